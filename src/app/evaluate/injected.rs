//! `tapewatch evaluate anomalies --inject INPUT...`: what detectors find of what was put into a recording.
//!
//! Each detector first runs over the recording as it is: how many anomalies it tells a day, and whether its scores
//! are calibrated. Then something odd is put in (`staging.rs`), close together and far apart, and it runs again. Found
//! is what is told within 15 candles of its beginning, with the threshold that the detector had at that candle of
//! the untouched recording: the budget is the market's own, and what was put in comes on top. `steered` is the
//! same with the threshold that follows all that is told, as it does live. Where an asset was recorded at two venues or more,
//! prices of one are moved as well (`offsets.rs`).

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

use crate::analytics::across::plan::AcrossPlan;
use crate::analytics::anomaly::DETECTORS;
use crate::analytics::anomaly::budget::Budget;
use crate::analytics::anomaly::detector::{Assessment, DetectorEntry, Tuning};
use crate::analytics::estimators::scores::direction::{Z_95, wilson};
use crate::analytics::features::{FeatureMaker, Reading};
use crate::app::evaluate::chart::{self, Better, Mark};
use crate::app::evaluate::destinations::Destinations;
use crate::app::evaluate::findings::{Alerts, Found};
use crate::app::evaluate::offsets::{self, Market, Offsets};
use crate::app::evaluate::page::Page;
use crate::app::evaluate::recordings::{
    RecordingArguments, WholeFile, aligned, make_directory, number, shown,
};
use crate::app::evaluate::staging::{Kind, Staged, Step, stage};
use crate::app::evaluate::strip;
use crate::app::inputs::InputArguments;
use crate::app::outcome::{self, Failure};
use crate::domain::candle::{Candle, CandleState};
use crate::domain::instrument::Instrument;
use crate::domain::interval::Interval;
use crate::domain::output::Output;
use crate::domain::time::NANOS_PER_DAY;
use crate::domain::venue::Venue;

#[derive(Debug, clap::Args)]
pub struct InjectArguments {
    /// Recordings to put something odd into: trades, or ready candles; VENUE:BASE-QUOTE=FILE says what one is of
    #[arg(long, value_name = "INPUT", num_args = 1..)]
    inject: Vec<PathBuf>,
    /// What the recordings are; `tapewatch check` lists the formats
    #[arg(long, value_name = "FORMAT", default_value = "auto")]
    format: String,
    /// The venue, where the files do not tell
    #[arg(long, value_name = "VENUE", value_parser = Venue::new)]
    venue: Option<Venue>,
    /// The market, where the files do not tell
    #[arg(long, value_name = "BASE-QUOTE")]
    symbol: Option<String>,
    /// The candles to look at: the first of these
    #[arg(long, value_name = "LIST", default_value = "1m")]
    intervals: String,
    /// The detectors [default: all]
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    detectors: Vec<String>,
    /// How many anomalies a detector should tell a day
    #[arg(long, value_name = "N", default_value_t = Tuning::ALERTS_PER_DAY, value_parser = clap::value_parser!(u32).range(1..=1440))]
    alerts_per_day: u32,
    /// Where what is put in is drawn from
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
}

/// How close what is put in comes, in candles on the mean, and how often the recording is run through with it.
const SPACINGS: [(&str, usize, u64); 2] = [("dense", 350, 3), ("sparse", 3_000, 12)];
/// Candles within which it has to be told.
const GRACE: usize = 15;
/// Scores whose exceedance is shown.
const LEVELS: [f64; 5] = [0.9, 0.95, 0.98, 0.99, 0.995];

/// The candles of one instrument.
struct Recording {
    name: String,
    interval: Interval,
    steps: Vec<Step>,
    /// The same, as they are compared with those of other venues.
    market: Market,
}

/// What a detector made of one step.
#[derive(Clone, Copy, Default)]
struct Said {
    assessment: Option<Assessment>,
    told: bool,
}

/// One detector at one spacing.
#[derive(Default)]
struct Findings {
    kinds: BTreeMap<Kind, Found>,
    steered: Found,
    alerts: Alerts,
}

impl Findings {
    fn all(&self) -> Found {
        self.kinds.values().sum()
    }

    fn delay(&self) -> Option<f64> {
        self.alerts.mean_delay(self.all())
    }
}

/// One detector on all recordings.
struct Judged {
    entry: &'static DetectorEntry,
    told: u64,
    days: f64,
    /// Candles with a score, and those above each of [`LEVELS`].
    scored: u64,
    above: [u64; LEVELS.len()],
    /// In the order of [`SPACINGS`].
    findings: [Findings; 2],
}

impl Judged {
    fn new(entry: &'static DetectorEntry) -> Self {
        Self { entry, told: 0, days: 0.0, scored: 0, above: Default::default(), findings: Default::default() }
    }

    fn a_day(&self) -> Option<f64> {
        (self.days > 0.0).then(|| self.told as f64 / self.days)
    }

    /// Share of candles whose score is above a level.
    fn above(&self, level: usize) -> Option<f64> {
        (self.scored > 0).then(|| self.above[level] as f64 / self.scored as f64)
    }
}

pub fn injected(arguments: &InjectArguments, to: &Destinations<'_>) -> Result<(), Failure> {
    let (chosen, is_compared) = chosen(&arguments.detectors)?;
    if let Some(out) = to.out {
        make_directory(out)?;
    }
    let recordings = read(arguments)?;
    let mut judged: Vec<Judged> = chosen.into_iter().map(Judged::new).collect();
    let mut strips = Vec::new();
    for recording in &recordings {
        let tuning = recording.tuning(arguments.alerts_per_day);
        let clean: Vec<Vec<Said>> =
            judged.iter().map(|judged| run(judged.entry, &tuning, &recording.steps)).collect();
        for (judged, said) in judged.iter_mut().zip(&clean) {
            judged.take_clean(said, recording);
        }
        for (place, (spacing, candles, repeats)) in SPACINGS.into_iter().enumerate() {
            for repeat in 0..repeats {
                let (steps, staged) = stage(&recording.steps, candles, arguments.seed.wrapping_add(repeat));
                let said: Vec<Vec<Said>> =
                    judged.iter().map(|judged| run(judged.entry, &tuning, &steps)).collect();
                for ((judged, said), clean) in judged.iter_mut().zip(&said).zip(&clean) {
                    let alerts = alerts(said, clean, &tuning);
                    let steered: Vec<usize> = (0..said.len()).filter(|&step| said[step].told).collect();
                    judged.findings[place].take(&staged, &alerts, &steered);
                    if repeat == 0 {
                        strips.push(Strip::new(
                            judged.entry.name,
                            recording,
                            spacing,
                            &steps,
                            &staged,
                            alerts,
                        ));
                    }
                }
                if let (0, Some(out)) = (repeat, to.out) {
                    write_rows(out, recording, spacing, &steps, &staged, &judged, &said)?;
                }
            }
        }
    }
    let offsets = if is_compared { offsets(arguments, &recordings) } else { None };
    if let Some(report) = to.report {
        page(arguments, &recordings, &judged, offsets.as_ref(), &strips).write(report.clone())?;
    }
    outcome::print(&if to.json {
        format!("{}\n", object(&recordings, &judged, offsets.as_ref()))
    } else {
        text(arguments, &recordings, &judged, offsets.as_ref())
    })
}

/// What the comparison of venues finds; `None`: no asset was recorded at two.
fn offsets(arguments: &InjectArguments, recordings: &[Recording]) -> Option<Offsets> {
    let interval = recordings.first()?.interval.time()?;
    let plan = AcrossPlan { alerts_per_day: arguments.alerts_per_day, ..AcrossPlan::new(interval) };
    let markets = recordings.iter().map(|recording| recording.market.clone()).collect();
    let spacings = SPACINGS.map(|(_, candles, repeats)| (candles, repeats));
    Offsets::judge(plan, markets, &spacings, GRACE, arguments.seed)
}

/// Detectors of one instrument, and whether venues are compared.
fn chosen(names: &[String]) -> Result<(Vec<&'static DetectorEntry>, bool), Failure> {
    let all = || DETECTORS.iter().map(|entry| entry.name).chain([offsets::NAME]);
    if let Some(unknown) = names.iter().find(|name| !all().any(|known| known == name.as_str())) {
        let allowed: Vec<_> = all().collect();
        let allowed = allowed.join(", ");
        return Err(Failure::refused(format!("--detectors {unknown:?} is unknown; allowed are {allowed}")));
    }
    let wanted = |known: &str| names.is_empty() || names.iter().any(|name| name == known);
    Ok((DETECTORS.iter().filter(|entry| wanted(entry.name)).collect(), wanted(offsets::NAME)))
}

/// What an input is of, where it says so: `VENUE:BASE-QUOTE=FILE`.
fn named(input: &Path) -> Option<(Instrument, PathBuf)> {
    let (name, path) = input.to_str()?.split_once('=')?;
    Some((name.parse().ok()?, path.into()))
}

fn read(arguments: &InjectArguments) -> Result<Vec<Recording>, Failure> {
    let first = arguments.intervals.split(',').next().unwrap_or_default().trim();
    let interval: Interval = first.parse().map_err(Failure::refused)?;
    if interval.time().is_none() {
        return Err(Failure::refused(format!("--intervals {first} is no stretch of time")));
    }
    let nothing = |key| (key, "--inject", String::new());
    let flags = ["intelligence.detectors", "intelligence.forecasters", "intelligence.rules"].map(nothing);
    let mut found: BTreeMap<Instrument, Recording> = BTreeMap::new();
    let mut hear = |instrument: &Instrument, output: Output<'_>| {
        if let Output::Candle(candle) = output
            && candle.revision == 0
            && candle.interval == interval
        {
            let recording = found.entry(instrument.clone()).or_insert_with(|| Recording {
                name: instrument.to_string(),
                interval,
                steps: Vec::new(),
                market: Market::new(instrument.clone()),
            });
            recording.steps.push(step(candle));
            recording.market.take(candle);
        }
    };
    let mut listen = |paths: Vec<PathBuf>, venue: Option<Venue>, symbol: Option<String>| {
        let format = arguments.format.clone();
        let input = InputArguments { paths, format, venue, symbol, max_quarantined: None };
        RecordingArguments::new(input, arguments.intervals.clone()).listen(&flags, &mut hear).map(|_| ())
    };
    let mut together = Vec::new();
    for input in &arguments.inject {
        let Some((instrument, path)) = named(input) else {
            together.push(input.clone());
            continue;
        };
        listen(vec![path], Some(instrument.venue().clone()), Some(instrument.symbol().to_owned()))?;
    }
    if !together.is_empty() {
        listen(together, arguments.venue.clone(), arguments.symbol.clone())?;
    }
    if found.is_empty() {
        return Err(Failure::refused(format!("the recordings hold no candles of {interval}")));
    }
    for Recording { name, market, .. } in found.values() {
        if !market.closes.is_sorted_by(|before, next| before.0 < next.0) {
            return Err(Failure::refused(format!("--inject names recordings of {name} that overlap")));
        }
    }
    Ok(found.into_values().collect())
}

fn step(candle: &Candle) -> Step {
    match (candle.state, Reading::of(candle)) {
        (CandleState::Partial | CandleState::Unknown, _) => Step::Hole,
        (_, Some(reading)) => Step::Traded(reading),
        (_, None) => Step::Quiet,
    }
}

impl Recording {
    fn tuning(&self, alerts_per_day: u32) -> Tuning {
        let length = self.interval.time().map_or(NANOS_PER_DAY, |interval| interval.nanos());
        Tuning {
            candles_per_day: NANOS_PER_DAY as f64 / length as f64,
            alerts_per_day: f64::from(alerts_per_day),
        }
    }
}

/// Runs a detector over all steps, from its beginning.
fn run(entry: &DetectorEntry, tuning: &Tuning, steps: &[Step]) -> Vec<Said> {
    let (mut maker, mut detector) = (FeatureMaker::default(), (entry.build)(tuning));
    let mut found = Vec::new();
    let mut say = |step: &Step| {
        let reading = match step {
            Step::Traded(reading) => reading,
            Step::Quiet => return Said::default(),
            Step::Hole => {
                maker.interrupt();
                detector.interrupt();
                return Said::default();
            }
        };
        let Some(features) = maker.take(reading) else { return Said::default() };
        found.clear();
        detector.observe(&features, &mut found);
        Said { assessment: detector.assessment(), told: !found.is_empty() }
    };
    steps.iter().map(&mut say).collect()
}

/// Where a detector would have told something, with the thresholds that it had on the untouched recording; where
/// it does not say how odd a candle was, where it did.
fn alerts(said: &[Said], clean: &[Said], tuning: &Tuning) -> Vec<usize> {
    if said.iter().all(|said| said.assessment.is_none()) {
        return (0..said.len()).filter(|&step| said[step].told).collect();
    }
    let mut budget = Budget::new(tuning);
    let mut threshold = budget.threshold_nats();
    let mut alerts = Vec::new();
    for (step, (said, clean)) in said.iter().zip(clean).enumerate() {
        threshold = clean.assessment.map_or(threshold, |clean| clean.threshold);
        if let Some(is) = said.assessment
            && budget.admit_from(threshold, is.nats)
        {
            alerts.push(step);
        }
    }
    alerts
}

impl Judged {
    fn take_clean(&mut self, said: &[Said], recording: &Recording) {
        self.told += said.iter().filter(|said| said.told).count() as u64;
        let length = recording.interval.time().map_or(0, |interval| interval.nanos());
        self.days += said.len() as f64 * length as f64 / NANOS_PER_DAY as f64;
        for score in said.iter().filter_map(|said| said.assessment).map(|is| is.score) {
            self.scored += 1;
            for (above, level) in self.above.iter_mut().zip(LEVELS) {
                *above += u64::from(score > level);
            }
        }
    }
}

impl Findings {
    /// `alerts` and `steered`: steps, ascending.
    fn take(&mut self, staged: &[Staged], alerts: &[usize], steered: &[usize]) {
        let first_in = |alerts: &[usize], from: usize, to: usize| {
            let place = alerts.partition_point(|&alert| alert < from);
            alerts.get(place).copied().filter(|&alert| alert < to)
        };
        for staged in staged {
            let found = self.kinds.entry(staged.kind).or_default();
            found.staged += 1;
            if let Some(alert) = first_in(alerts, staged.first, staged.first + GRACE) {
                found.found += 1;
                self.alerts.delay += (alert - staged.first) as u64;
            }
            self.steered.staged += 1;
            let seen = first_in(steered, staged.first, staged.first + GRACE);
            self.steered.found += u64::from(seen.is_some());
        }
        let part = |alert: &usize| {
            staged
                .iter()
                .any(|staged| (staged.first..staged.first + staged.length.max(1) + GRACE).contains(alert))
        };
        self.alerts.all += alerts.len() as u64;
        self.alerts.outside += alerts.iter().filter(|alert| !part(alert)).count() as u64;
    }
}

fn write_rows(
    out: &Path,
    recording: &Recording,
    spacing: &str,
    steps: &[Step],
    staged: &[Staged],
    judged: &[Judged],
    said: &[Vec<Said>],
) -> Result<(), Failure> {
    let name = format!("{}-{}-{spacing}.csv", recording.name.replace(':', "-"), recording.interval);
    let mut file = WholeFile::create(out.join(name))?;
    let names: Vec<_> = judged.iter().map(|judged| judged.entry.name).collect();
    file.write(format!("timestamp,value,label,{}\n", names.join(",")).as_bytes())?;
    let mut line = Vec::new();
    for (i, step) in steps.iter().enumerate() {
        let Step::Traded(reading) = step else { continue };
        line.clear();
        line.extend_from_slice(format!("{},", reading.open_at).as_bytes());
        number(reading.close, &mut line);
        let inside = staged.iter().any(|staged| (staged.first..staged.first + staged.length).contains(&i));
        line.extend_from_slice(if inside { b",1" } else { b",0" });
        for said in said {
            line.push(b',');
            let told = if said[i].told { 1.0 } else { 0.0 };
            number(said[i].assessment.map_or(told, |is| is.score), &mut line);
        }
        line.push(b'\n');
        file.write(&line)?;
    }
    file.finish()
}

fn object(recordings: &[Recording], judged: &[Judged], offsets: Option<&Offsets>) -> Value {
    let mut all = Map::new();
    let mut put = |name: String, value: Value| {
        all.insert(name, value);
    };
    put("inject.recordings".to_owned(), json!(recordings.len()));
    put("inject.candles".to_owned(), json!(recordings.iter().map(|one| one.steps.len()).sum::<usize>()));
    for judged in judged {
        let name = judged.entry.name;
        put(format!("inject.{name}.alerts_per_day"), json!(judged.a_day()));
        for (level, at) in LEVELS.iter().enumerate() {
            put(format!("inject.{name}.above_{at}"), json!(judged.above(level)));
        }
        for ((spacing, _, _), findings) in SPACINGS.iter().zip(&judged.findings) {
            let prefix = format!("inject.{spacing}.{name}");
            put(format!("{prefix}.injected"), json!(findings.all().staged));
            put(format!("{prefix}.recall"), json!(findings.all().recall()));
            put(format!("{prefix}.recall_steered"), json!(findings.steered.recall()));
            put(format!("{prefix}.precision"), json!(findings.alerts.precision()));
            put(format!("{prefix}.delay_candles"), json!(findings.delay()));
            for (kind, found) in &findings.kinds {
                put(format!("{prefix}.recall.{}", kind.name()), json!(found.recall()));
            }
        }
    }
    let spacings = SPACINGS.map(|(spacing, _, _)| spacing);
    all.extend(offsets.into_iter().flat_map(|offsets| offsets.figures(&spacings)));
    Value::Object(all)
}

fn offsets_table(offsets: &Offsets) -> Vec<Vec<String>> {
    offsets.table(&SPACINGS.map(|(spacing, candles, _)| format!("{spacing} ({candles})")))
}

fn table(judged: &[Judged]) -> Vec<Vec<String>> {
    let names = ["detector", "spacing", "a day", "recall", "steered", "precision", "delay"];
    let mut rows = vec![names.map(str::to_owned).to_vec()];
    rows[0].extend(Kind::ALL.map(|kind| kind.name().replace('_', " ")));
    rows[0].push("above .99".to_owned());
    let share = |share: Option<f64>| share.map_or_else(|| "-".to_owned(), |share| format!("{share:.2}"));
    for judged in judged {
        for ((spacing, candles, _), findings) in SPACINGS.iter().zip(&judged.findings) {
            let mut row = vec![
                judged.entry.name.to_owned(),
                format!("{spacing} ({candles})"),
                shown(judged.a_day()),
                share(findings.all().recall()),
                share(findings.steered.recall()),
                share(findings.alerts.precision()),
                shown(findings.delay()),
            ];
            row.extend(
                Kind::ALL.map(|kind| share(findings.kinds.get(&kind).and_then(|found| found.recall()))),
            );
            row.push(
                judged.above(3).map_or_else(|| "-".to_owned(), |above| format!("{:.2} %", 100.0 * above)),
            );
            rows.push(row);
        }
    }
    rows
}

const MEANING: &str = "Recall: told within 15 candles, with the threshold of the untouched recording; steered: with the \
    threshold that follows all that is told. Precision counts the market's own anomalies as false.";

const OFFSETS: &str = "One venue's price moved for a minute or a quarter of an hour: the share that is told of that market \
    within 15 candles, by size.";

fn text(
    arguments: &InjectArguments,
    recordings: &[Recording],
    judged: &[Judged],
    offsets: Option<&Offsets>,
) -> String {
    let candles: usize = recordings.iter().map(|recording| recording.steps.len()).sum();
    let staged = |place: usize| judged.first().map_or(0, |judged| judged.findings[place].all().staged);
    let detectors = if judged.is_empty() {
        String::new()
    } else {
        format!("\n{}\n{MEANING}\n", aligned(&table(judged), 2))
    };
    let across = offsets.map_or_else(String::new, |offsets| {
        format!("\n{}\n{OFFSETS}\n", aligned(&offsets_table(offsets), 2))
    });
    format!(
        "{} recordings, {candles} candles, a budget of {} a day, {} dense and {} sparse injections\n{detectors}{across}",
        recordings.len(),
        arguments.alerts_per_day,
        staged(0),
        staged(1),
    )
}

/// What the page draws of one run.
struct Strip {
    says: String,
    values: Vec<f64>,
    labels: Vec<(usize, usize)>,
    alerts: Vec<usize>,
}

impl Strip {
    fn new(
        detector: &str,
        recording: &Recording,
        spacing: &str,
        steps: &[Step],
        staged: &[Staged],
        alerts: Vec<usize>,
    ) -> Self {
        let close = |step: &Step| if let Step::Traded(reading) = step { reading.close } else { f64::NAN };
        Self {
            says: format!("{detector} on {}, {spacing}", recording.name),
            values: steps.iter().map(close).collect(),
            labels: staged.iter().map(|staged| (staged.first, staged.first + staged.length - 1)).collect(),
            alerts,
        }
    }
}

fn page(
    arguments: &InjectArguments,
    recordings: &[Recording],
    judged: &[Judged],
    offsets: Option<&Offsets>,
    strips: &[Strip],
) -> Page {
    let names: Vec<_> = recordings.iter().map(|recording| recording.name.as_str()).collect();
    let lead = format!("{}; a budget of {} a day. {MEANING}", names.join(", "), arguments.alerts_per_day);
    let mut page = Page::new("Detectors on injected anomalies", &lead);
    if !judged.is_empty() {
        page.table(&table(judged), 2);
    }
    if let Some(offsets) = offsets {
        page.paragraph(OFFSETS);
        page.table(&offsets_table(offsets), 2);
    }
    for (place, (spacing, candles, _)) in SPACINGS.iter().enumerate() {
        let marks: Vec<Mark> = judged
            .iter()
            .filter_map(|judged| {
                let all = judged.findings[place].all();
                let range = wilson(all.found, all.staged, Z_95);
                Some(Mark { label: judged.entry.name.to_owned(), value: all.recall()?, range })
            })
            .collect();
        let says = format!("Recall, {spacing}: one in about {candles} candles, with its 95 % interval");
        page.figure(&chart::marks(&says, &marks, 0.0, Better::Above), &says);
    }
    page.heading("Calibration");
    for judged in judged.iter().filter(|judged| judged.scored > 0) {
        let dots: Vec<(f64, f64, u64)> = LEVELS
            .iter()
            .enumerate()
            .map(|(level, &at)| {
                (at, 1.0 - judged.above(level).unwrap_or(0.0), judged.scored - judged.above[level])
            })
            .collect();
        let says = format!("{}: share of candles below a score, against the score", judged.entry.name);
        page.figure(&chart::reliability(&says, &dots), &says);
    }
    page.heading("Alerts");
    page.paragraph("Closes, what was put in behind them, and alerts below.");
    for strip in strips {
        page.figure(&strip::strip(&strip.says, &strip.values, &strip.labels, &strip.alerts), &strip.says);
    }
    page
}
