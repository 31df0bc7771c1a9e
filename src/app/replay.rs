//! `tapewatch replay`: recordings in, results out.

use std::fs;
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;

use crate::analytics::pipeline::Settings;
use crate::app::config::{Config, FlagSetting};
use crate::app::inputs::{self, InputArguments};
use crate::app::outcome::{self, Failure};
use crate::domain::interval::{Interval, TimeInterval};
use crate::domain::time::UnixNanos;
use crate::engine::data_dir::DataDir;
use crate::journal::survey::Survey;
use crate::replay::beginning::{Beginning, Found};
use crate::replay::driver::{self, DriverError, Outcome, Plan};
use crate::replay::lines::journal_in;
use crate::replay::merge::{Inputs, Options};
use crate::replay::report::page::{self, Limits};
use crate::replay::results::directory::{OutDir, QUARANTINE, ResultsError};
use crate::replay::results::summary::Summary;
use crate::replay::results::writer;
use crate::replay::sorter::DEFAULT_BUDGET_BYTES;
use crate::runtime::progress::Progress;

#[derive(Debug, clap::Args)]
pub struct ReplayArguments {
    #[command(flatten)]
    input: InputArguments,
    /// Only what happened at or after this time
    #[arg(long, value_name = "TIME", value_parser = inputs::read_time)]
    from: Option<UnixNanos>,
    /// Only what happened before this time
    #[arg(long, value_name = "TIME", value_parser = inputs::read_time)]
    to: Option<UnixNanos>,
    /// The directory for the results
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// What to make candles of: 1s,1m,ticks:1000; for `ohlcv` the first is the files' own
    #[arg(long, value_name = "LIST")]
    intervals: Option<String>,
    /// What to compute: "sma(20),obv"
    #[arg(long, value_name = "LIST")]
    indicators: Option<String>,
    /// Tell what every forecaster says, not the mixtures alone
    #[arg(long)]
    all_models: bool,
    /// How long a closed interval waits for late trades
    #[arg(long, value_name = "DURATION", allow_hyphen_values = true)]
    grace: Option<String>,
    /// Threads that compute [default: as many as cores]
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    shards: Option<String>,
    /// Times real time, or `max`
    #[arg(long, value_name = "N", default_value = "max", allow_negative_numbers = true)]
    speed: String,
    /// A page with the candles, indicators and gaps drawn, that opens offline
    #[arg(long, value_name = "FILE.html")]
    report: Option<PathBuf>,
    /// The configuration
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Fail where the digest of the results is another
    #[arg(long, value_name = "DIGEST")]
    expect: Option<String>,
    /// Write every revision, not the last alone
    #[arg(long)]
    all_revisions: bool,
    /// The summary as one JSON object
    #[arg(long)]
    json: bool,
}

impl From<DriverError> for Failure {
    fn from(error: DriverError) -> Self {
        match error {
            DriverError::Input(error) => error.into(),
            other => Self::failed(other),
        }
    }
}

impl From<ResultsError> for Failure {
    fn from(error: ResultsError) -> Self {
        match error {
            place @ (ResultsError::Foreign { .. } | ResultsError::NoDirectory { .. }) => Self::refused(place),
            other => Self::failed(other),
        }
    }
}

impl ReplayArguments {
    fn flags(&self) -> Vec<FlagSetting> {
        let all_models = self.all_models.then(|| "true".to_owned());
        let settings = [
            ("intelligence.all_models", "--all-models", &all_models),
            ("engine.intervals", "--intervals", &self.intervals),
            ("engine.indicators", "--indicators", &self.indicators),
            ("engine.grace", "--grace", &self.grace),
            ("engine.shards", "--shards", &self.shards),
        ];
        settings.into_iter().filter_map(|(key, flag, text)| Some((key, flag, text.clone()?))).collect()
    }

    /// `quarantine`: where skipped lines go.
    fn options(&self, quarantine: PathBuf) -> Options {
        let interval = self.intervals.as_deref().and_then(inputs::first_interval);
        Options { from: self.from, to: self.to, ..self.input.options(interval, Some(quarantine)) }
    }

    /// Where a journal begins whose oldest segments are gone; says so.
    fn beginning(&self, settings: &Settings, own: &Path) -> Result<Option<Arc<Beginning>>, Failure> {
        let [path] = &self.input.paths[..] else { return Ok(None) };
        let Some(journal) = journal_in(path) else { return Ok(None) };
        let data_dir = journal.parent().unwrap_or(Path::new(""));
        let snapshots = DataDir::snapshots_of(data_dir);
        let name = journal.display();
        let (found, note) = match Beginning::find(&journal, &snapshots, own, settings)? {
            Found::Whole => return Ok(None),
            Found::Snapshots(beginning) => (
                Some(Arc::new(beginning)),
                format!("{name}: older segments are gone: the replay begins at the oldest snapshots"),
            ),
            Found::Nothing => (
                None,
                format!(
                    "{name}: older segments are gone, and no snapshot of this configuration stands behind them: \
                     computed from what there is"
                ),
            ),
        };
        inputs::tell_notes(&[note]);
        Ok(found)
    }

    fn speed(&self) -> Result<Option<f64>, Failure> {
        if self.speed == "max" {
            return Ok(None);
        }
        match self.speed.parse::<f64>() {
            Ok(speed) if speed.is_finite() && speed > 0.0 => Ok(Some(speed)),
            _ => Err(Failure::refused(format!(
                "--speed {:?} is neither `max` nor a number above zero",
                self.speed
            ))),
        }
    }
}

/// A journal replays under the configuration recorded in it, all else under that of today.
pub fn configuration(
    paths: &[PathBuf],
    file: Option<&Path>,
    flags: &[FlagSetting],
) -> Result<Config, Failure> {
    let mut recorded = Vec::new();
    for path in paths {
        let (name, text) = match journal_in(path) {
            Some(dir) => (dir.display().to_string(), Survey::of(&dir)?.config),
            None => (path.display().to_string(), None),
        };
        recorded.push((name, text));
    }
    let differs = |text: &Option<String>| *text != recorded[0].1;
    match recorded.iter().find(|(_, text)| differs(text)) {
        // Which of them would hold?
        Some((other, _)) if file.is_none() => Err(Failure::refused(format!(
            "{} and {other} were not recorded under one configuration: name one with --config",
            recorded[0].0
        ))),
        None if recorded[0].1.is_some() => {
            let (name, text) = &recorded[0];
            Config::recorded(name, text.as_deref().unwrap_or_default(), file, flags).map_err(Failure::refused)
        }
        _ => Config::load(file, flags).map_err(Failure::refused),
    }
}

pub fn replay(arguments: &ReplayArguments) -> Result<(), Failure> {
    let config = configuration(&arguments.input.paths, arguments.config.as_deref(), &arguments.flags())?;
    let speed = arguments.speed()?;
    if let (Some(from), Some(to)) = (arguments.from, arguments.to)
        && from >= to
    {
        return Err(Failure::refused(format!("--from {from} must be before --to {to}")));
    }
    let expected = arguments.expect.as_deref().map(str::to_ascii_lowercase);
    if let Some(text) =
        expected.as_ref().filter(|text| text.len() != 64 || !text.bytes().all(|b| b.is_ascii_hexdigit()))
    {
        return Err(Failure::refused(format!("--expect {text:?} is no digest: 64 hexadecimal digits")));
    }
    let settings = config.engine.settings();
    let mut out = OutDir::open(&arguments.out)?;
    out.create(QUARANTINE)?;
    let skipped = out.path().join(format!("{QUARANTINE}.tmp"));
    let beginning = arguments.beginning(&settings, out.path())?;
    let options = Options { beginning, ..arguments.options(skipped.clone()) };
    let result = run(arguments, &config, &settings, options, speed, &mut out);
    // Before the directory is closed, which removes what has no name yet.
    if result.is_err() && fs::metadata(&skipped).is_ok_and(|file| file.len() > 0) {
        // What was skipped is often why it failed: it stays, under its name.
        let _ = fs::rename(&skipped, arguments.out.join(QUARANTINE));
    }
    let (summary, first_skipped) = result?;
    writer::finish(out, &summary)?;
    if let Some(first) = first_skipped {
        inputs::tell_skipped(summary.quarantined, &first, &arguments.out.join(QUARANTINE));
    }
    if let Some(to) = &arguments.report {
        page::write(&arguments.out, to, &settings, Limits::default()).map_err(Failure::failed)?;
    }
    tell(arguments, &summary)?;
    match expected {
        Some(expected) if expected != summary.digest => Err(Failure::failed(format!(
            "the digest is {}, expected was {expected}; digests.csv tells the instruments apart",
            summary.digest
        ))),
        _ => Ok(()),
    }
}

/// All but giving the files their names; also tells the first line that was skipped.
fn run(
    arguments: &ReplayArguments,
    config: &Config,
    settings: &Settings,
    options: Options,
    speed: Option<f64>,
    out: &mut OutDir,
) -> Result<(Summary, Option<String>), Failure> {
    let (first, beginning) = (options.interval, options.beginning.clone());
    let mut inputs = Inputs::open(&arguments.input.paths, options)?;
    refuse_unmakable(&inputs, settings, first)?;
    let progress = Progress::new("replay", Some(inputs.bytes_total()));
    let cores = thread::available_parallelism().map_or(1, NonZero::get);
    let plan = Plan {
        shards: config.engine.shards.unwrap_or(cores),
        speed,
        spool_dir: out.path().to_owned(),
        budget_bytes: DEFAULT_BUDGET_BYTES,
        beginning,
    };
    let Outcome { collectors, counts } = driver::run(&mut inputs, settings, &plan, &progress)?;
    inputs.finish()?;
    inputs::tell_notes(inputs.notes());
    let write_options = writer::Options { all_revisions: arguments.all_revisions };
    let written = writer::write(out, collectors, settings, inputs.roster(), write_options)?;
    let elapsed_seconds = progress.elapsed().as_secs_f64();
    progress.finish();
    let summary = Summary {
        trades: counts.trades,
        duplicates: counts.duplicates,
        conflicting: counts.conflicting,
        late: counts.late,
        quarantined: inputs.quarantined(),
        gaps: written.gaps,
        gaps_filled: written.gaps_filled,
        candles: written.candles,
        anomalies: written.anomalies,
        forecasts: written.forecasts,
        signals: written.signals,
        indicators: written.indicators,
        digest: written.digest,
        elapsed_seconds,
        trades_per_second: if elapsed_seconds > 0.0 { counts.trades as f64 / elapsed_seconds } else { 0.0 },
        version: env!("CARGO_PKG_VERSION").to_owned(),
        config_digest: config.digest(),
    };
    Ok((summary, inputs.first_quarantined().map(str::to_owned)))
}

/// Ready candles make longer ones, and nothing else.
pub fn refuse_unmakable(
    inputs: &Inputs,
    settings: &Settings,
    first: Option<TimeInterval>,
) -> Result<(), Failure> {
    let Some((file, _)) = inputs.recordings().find(|(_, format)| *format == "ohlcv") else { return Ok(()) };
    let Some(first) = first else {
        let message = format!("{file} holds ready candles: --intervals must name their length first");
        return Err(Failure::refused(message));
    };
    let unmakable = |interval: &&Interval| !interval.time().is_some_and(|time| time.is_multiple_of(first));
    match settings.intervals.iter().find(unmakable) {
        None => Ok(()),
        Some(interval) => Err(Failure::refused(format!(
            "--intervals {interval} cannot be made of the candles of {} in {file}",
            Interval::Time(first)
        ))),
    }
}

fn tell(arguments: &ReplayArguments, summary: &Summary) -> Result<(), Failure> {
    if arguments.json {
        let object = serde_json::to_string(summary).map_err(Failure::failed)?;
        return outcome::print(&format!("{object}\n"));
    }
    let directory: &Path = &arguments.out;
    let skipped = [
        (summary.duplicates, "duplicates"),
        (summary.conflicting, "conflicting"),
        (summary.late, "late"),
        (summary.quarantined, "quarantined"),
        (summary.gaps, "gaps"),
    ];
    let mut skipped: Vec<_> = skipped
        .iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, name)| format!("{count} {name}"))
        .collect();
    if let (Some(gaps), 1..) = (skipped.last_mut(), summary.gaps_filled) {
        gaps.push_str(&format!(", {} of them filled since", summary.gaps_filled));
    }
    let report = arguments.report.as_ref().map(|to| format!("report   {}\n", to.display()));
    outcome::print(&format!(
        "trades   {}{}{}\nrows     {} candles, {} indicator values, {} anomalies, {} forecasts, {} signals in {}\nspeed    {:.0} trades/s, {:.3} s\n{}digest   {}\n",
        summary.trades,
        if skipped.is_empty() { "" } else { "; " },
        skipped.join(", "),
        summary.candles,
        summary.indicators,
        summary.anomalies,
        summary.forecasts,
        summary.signals,
        directory.display(),
        summary.trades_per_second,
        summary.elapsed_seconds,
        report.unwrap_or_default(),
        summary.digest,
    ))
}
