//! `tapewatch evaluate signals`: what the price did after signals, and how many there are a day.
//!
//! Of every signal: how far the price moved after it, against how far it usually moves in that time. Of those
//! that name a way: how often the price went it, and what following them would have earned, before and after
//! the stated fee. A way is buy or sell where a signal says so; otherwise the side in its evidence (broken out
//! upwards, crossed downwards), and of a price that is stretched the way back. Moves of signals that follow each
//! other closely overlap; their intervals are the wider for it in truth.

use std::collections::{BTreeMap, VecDeque};
use std::path::PathBuf;

use serde_json::{Map, Value, json};

use crate::analytics::estimators::scores::direction::{Z_95, wilson};
use crate::app::evaluate::chart::{self, Better, Mark};
use crate::app::evaluate::page::Page;
use crate::app::evaluate::recordings::{
    RecordingArguments, WholeFile, aligned, make_directory, number, shown,
};
use crate::app::evaluate::track::{Move, Track};
use crate::app::outcome::{self, Failure};
use crate::domain::insight::{Action, Fact, Severity, Signal, SignalKind};
use crate::domain::instrument::Instrument;
use crate::domain::interval::Interval;
use crate::domain::output::Output;
use crate::domain::time::UnixNanos;

const SIGNALS: &str = "signals.csv";
const HEADER: &str =
    "instrument,name,kind,severity,action,exchange_at,score,data_state,way,after,move_bp,edge_bp\n";
const BASIS_POINTS: f64 = 1e4;
/// Signals that wait for their moves; more than that, and the oldest are told as lost.
const WAITING_MAX: usize = 100_000;

#[derive(Debug, clap::Args)]
pub struct SignalsArguments {
    #[command(flatten)]
    recordings: RecordingArguments,
    /// How long after a signal its move is measured
    #[arg(long, value_name = "LIST", default_value = "5m,15m,1h", value_parser = read_after)]
    after: Distances,
    /// What buying and selling again costs, together, in basis points
    #[arg(long, value_name = "BP", default_value_t = 10.0, value_parser = read_fee)]
    fee_bp: f64,
    /// A directory for signals.csv: every signal with the moves after it
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// A page with the figures drawn, that opens offline
    #[arg(long, value_name = "FILE.html")]
    report: Option<PathBuf>,
    /// The figures as one JSON object
    #[arg(long)]
    json: bool,
}

/// One word of the command line.
#[derive(Clone, Debug)]
struct Distances(Vec<After>);

/// A stretch of time after a signal, with its name.
#[derive(Clone, Debug)]
pub struct After {
    name: String,
    nanos: i64,
}

fn read_after(text: &str) -> Result<Distances, String> {
    let one = |text: &str| {
        let text = text.trim();
        match text.parse::<Interval>().ok().and_then(Interval::time) {
            Some(time) => Ok(After { name: text.to_owned(), nanos: time.nanos() }),
            None => Err(format!("{text:?} is no stretch of time: 1m, 5m, 15m, 1h, ...")),
        }
    };
    text.split(',').map(one).collect::<Result<_, _>>().map(Distances)
}

fn read_fee(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(fee) if fee.is_finite() && fee >= 0.0 => Ok(fee),
        _ => Err("must be a number of basis points, at or above 0".to_owned()),
    }
}

/// Where a signal says that the price goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Up,
    Down,
}

impl Way {
    fn of(signal: &Signal) -> Option<Self> {
        let fact =
            |name: &str| signal.evidence.0.iter().find(|(other, _)| other == name).map(|(_, fact)| fact);
        match (signal.action, fact("side"), fact("z")) {
            (Some(Action::Buy), ..) => Some(Self::Up),
            (Some(Action::Sell), ..) => Some(Self::Down),
            (Some(Action::Hold), ..) => None,
            (None, Some(Fact::Text(side)), _) if side == "up" => Some(Self::Up),
            (None, Some(Fact::Text(side)), _) if side == "down" => Some(Self::Down),
            // So many deviations away from the mean: it is the way back that is told.
            (None, None, Some(Fact::Number(z))) if signal.name == "mean_reversion" => {
                Some(if *z > 0.0 { Self::Down } else { Self::Up })
            }
            _ => None,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Down => "down",
        }
    }
}

/// Moves after signals of one rule, at one distance.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Moves {
    known: u64,
    lost: u64,
    /// Of sizes, in basis points.
    size: f64,
    /// Of those that named a way.
    hits: u64,
    said: u64,
    /// Signed by the way, in basis points, before the fee.
    edge: f64,
    edge_square: f64,
}

impl Moves {
    fn edge(&self) -> Option<f64> {
        (self.said > 0).then(|| self.edge / self.said as f64)
    }

    /// To each side of the edge, 95 %.
    fn edge_error(&self) -> Option<f64> {
        let (mean, count) = (self.edge()?, self.said as f64);
        let variance = (self.edge_square / count - mean * mean).max(0.0);
        (self.said > 1).then(|| Z_95 * (variance / (count - 1.0)).sqrt())
    }
}

/// One rule of one instrument.
#[derive(Clone, Debug)]
struct RuleScore {
    kind: SignalKind,
    count: u64,
    severities: [u64; 3],
    actions: [u64; 3],
    moves: Vec<Moves>,
}

/// A signal whose move is still to come.
struct Waiting {
    signal: Signal,
    after: usize,
}

/// One instrument: its price, and the signals that wait.
struct Watch {
    track: Track,
    /// One queue for each distance, in order of time.
    waiting: Vec<VecDeque<Waiting>>,
    /// Sizes of all moves of each distance, in basis points, and how many there were.
    usual: Vec<(f64, u64)>,
}

/// All figures of a run.
struct Tally<'a> {
    after: &'a [After],
    fee_bp: f64,
    watches: BTreeMap<Instrument, Watch>,
    rules: BTreeMap<(Instrument, &'static str), RuleScore>,
    lines: Vec<u8>,
}

impl<'a> Tally<'a> {
    fn new(after: &'a [After], fee_bp: f64) -> Self {
        Self { after, fee_bp, watches: BTreeMap::new(), rules: BTreeMap::new(), lines: Vec::new() }
    }

    fn watch(&mut self, instrument: &Instrument) {
        if !self.watches.contains_key(instrument) {
            let longest = self.after.iter().map(|after| after.nanos).max().unwrap_or(0);
            let watch = Watch {
                track: Track::new(longest.saturating_mul(2)),
                waiting: self.after.iter().map(|_| VecDeque::new()).collect(),
                usual: vec![(0.0, 0); self.after.len()],
            };
            self.watches.insert(instrument.clone(), watch);
        }
    }

    fn hear(&mut self, instrument: &Instrument, output: Output<'_>) {
        match output {
            Output::Candle(candle) => {
                self.watch(instrument);
                let Some(watch) = self.watches.get_mut(instrument) else { return };
                if !watch.track.take(candle) {
                    return;
                }
                if let Some(now) = watch.track.now() {
                    for (after, usual) in self.after.iter().zip(&mut watch.usual) {
                        let from = UnixNanos(now.0.saturating_sub(after.nanos));
                        if let Move::Known(moved) = watch.track.moved(from, after.nanos) {
                            usual.0 += moved.abs() * BASIS_POINTS;
                            usual.1 += 1;
                        }
                    }
                }
                self.settle(instrument, false);
            }
            Output::Signal(signal) => {
                self.watch(instrument);
                self.take(instrument, signal);
            }
            _ => {}
        }
    }

    fn take(&mut self, instrument: &Instrument, signal: &Signal) {
        let distances = self.after.len();
        let rule = self.rules.entry((instrument.clone(), signal.name)).or_insert_with(|| RuleScore {
            kind: signal.kind,
            count: 0,
            severities: [0; 3],
            actions: [0; 3],
            moves: vec![Moves::default(); distances],
        });
        rule.count += 1;
        rule.severities[signal.severity as usize] += 1;
        if let Some(action) = signal.action {
            rule.actions[action as usize] += 1;
        }
        let Some(watch) = self.watches.get_mut(instrument) else { return };
        for (after, queue) in watch.waiting.iter_mut().enumerate() {
            queue.push_back(Waiting { signal: signal.clone(), after });
        }
        self.settle(instrument, false);
    }

    /// Tells what has become of those that wait; at the end of all of them.
    fn settle(&mut self, instrument: &Instrument, is_end: bool) {
        let Some(watch) = self.watches.get_mut(instrument) else { return };
        for queue in &mut watch.waiting {
            while let Some(first) = queue.front() {
                let after = &self.after[first.after];
                let moved = match watch.track.moved(first.signal.exchange_at, after.nanos) {
                    Move::Coming if !is_end && queue.len() <= WAITING_MAX => break,
                    Move::Known(moved) => Some(moved * BASIS_POINTS),
                    Move::Coming | Move::Lost => None,
                };
                let Some(Waiting { signal, after: at }) = queue.pop_front() else { break };
                let Some(rule) = self.rules.get_mut(&(instrument.clone(), signal.name)) else { break };
                let way = Way::of(&signal);
                let edge = rule.moves[at].take(moved, way);
                write_row(instrument, &signal, way, &after.name, moved, edge, &mut self.lines);
            }
        }
    }

    fn finish(&mut self) {
        for instrument in self.watches.keys().cloned().collect::<Vec<_>>() {
            self.settle(&instrument, true);
        }
    }

    /// Mean size of a move of that distance.
    fn usual(&self, instrument: &Instrument, after: usize) -> Option<f64> {
        let (sum, count) = *self.watches.get(instrument)?.usual.get(after)?;
        (count > 0).then(|| sum / count as f64)
    }

    fn days(&self, instrument: &Instrument) -> f64 {
        self.watches.get(instrument).map_or(0.0, |watch| watch.track.days())
    }

    fn a_day(&self, instrument: &Instrument, count: u64) -> Option<f64> {
        let days = self.days(instrument);
        (days > 0.0).then(|| count as f64 / days)
    }
}

impl Moves {
    /// Takes a move in basis points, `None` where none is known; gives back the edge where a way was named.
    fn take(&mut self, moved: Option<f64>, way: Option<Way>) -> Option<f64> {
        let Some(moved) = moved else {
            self.lost += 1;
            return None;
        };
        self.known += 1;
        self.size += moved.abs();
        let edge = match way? {
            Way::Up => moved,
            Way::Down => -moved,
        };
        self.said += 1;
        self.hits += u64::from(edge > 0.0);
        self.edge += edge;
        self.edge_square += edge * edge;
        Some(edge)
    }
}

fn write_row(
    instrument: &Instrument,
    signal: &Signal,
    way: Option<Way>,
    after: &str,
    moved: Option<f64>,
    edge: Option<f64>,
    out: &mut Vec<u8>,
) {
    let words = [
        instrument.to_string(),
        signal.name.to_owned(),
        signal.kind.name().to_owned(),
        signal.severity.name().to_owned(),
        signal.action.map_or("", Action::name).to_owned(),
        signal.exchange_at.to_string(),
    ];
    out.extend_from_slice(words.join(",").as_bytes());
    out.push(b',');
    number(signal.score, out);
    let way = way.map_or("", Way::name);
    out.extend_from_slice(format!(",{},{way},{after},", signal.data_state.name()).as_bytes());
    moved.inspect(|&moved| number(moved, out));
    out.push(b',');
    edge.inspect(|&edge| number(edge, out));
    out.push(b'\n');
}

pub fn signals(arguments: &SignalsArguments) -> Result<(), Failure> {
    let mut rows = match &arguments.out {
        None => None,
        Some(dir) => {
            make_directory(dir)?;
            let mut rows = WholeFile::create(dir.join(SIGNALS))?;
            rows.write(HEADER.as_bytes())?;
            Some(rows)
        }
    };
    let mut tally = Tally::new(&arguments.after.0, arguments.fee_bp);
    let mut failure = None;
    let mut put = |lines: &mut Vec<u8>| {
        if let Some(rows) = &mut rows
            && failure.is_none()
        {
            failure = rows.write(lines).err();
        }
        lines.clear();
    };
    arguments.recordings.listen(&[], &mut |instrument, output| {
        tally.hear(instrument, output);
        put(&mut tally.lines);
    })?;
    tally.finish();
    put(&mut tally.lines);
    if let Some(failure) = failure {
        return Err(failure);
    }
    if let Some(rows) = rows {
        rows.finish()?;
    }
    if let Some(to) = &arguments.report {
        page(&tally).write(to.clone())?;
    }
    outcome::print(&if arguments.json { format!("{}\n", object(&tally)) } else { text(&tally) })
}

fn object(tally: &Tally<'_>) -> Value {
    let scores: Vec<Value> = tally
        .rules
        .iter()
        .map(|((instrument, name), rule)| {
            let mut moves = Map::new();
            for (at, (after, found)) in tally.after.iter().zip(&rule.moves).enumerate() {
                let hits = wilson(found.hits, found.said, Z_95);
                let usual = tally.usual(instrument, at);
                let size = (found.known > 0).then(|| found.size / found.known as f64);
                moves.insert(
                    after.name.clone(),
                    json!({
                        "known": found.known, "lost": found.lost, "move_bp": size, "usual_move_bp": usual,
                        "said": found.said, "hits": found.hits,
                        "hit_rate": (found.said > 0).then(|| found.hits as f64 / found.said as f64),
                        "hit_lower": hits.map(|[lower, _]| lower), "hit_upper": hits.map(|[_, upper]| upper),
                        "edge_bp": found.edge(), "edge_error_bp": found.edge_error(),
                        "edge_after_fee_bp": found.edge().map(|edge| edge - tally.fee_bp),
                    }),
                );
            }
            let severities: Map<String, Value> = Severity::ALL
                .iter()
                .map(|&severity| (severity.name().to_owned(), json!(rule.severities[severity as usize])))
                .collect();
            json!({
                "instrument": instrument.to_string(), "name": name, "kind": rule.kind.name(),
                "signals": rule.count, "a_day": tally.a_day(instrument, rule.count), "severities": severities,
                "buy": rule.actions[0], "sell": rule.actions[1], "hold": rule.actions[2], "after": moves,
            })
        })
        .collect();
    let watched: Map<String, Value> = tally
        .watches
        .keys()
        .map(|instrument| (instrument.to_string(), json!(tally.days(instrument))))
        .collect();
    let count: u64 = tally.rules.values().map(|rule| rule.count).sum();
    json!({ "signals": { "told": count, "fee_bp": tally.fee_bp, "days": watched, "scores": scores } })
}

fn table(tally: &Tally<'_>) -> Vec<Vec<String>> {
    let heading = [
        "instrument",
        "signal",
        "after",
        "signals",
        "a day",
        "moves bp",
        "usual bp",
        "with a way",
        "right [95 %]",
        "edge bp",
        "after fee",
    ];
    let mut rows = vec![heading.map(str::to_owned).to_vec()];
    for ((instrument, name), rule) in &tally.rules {
        for (at, (after, found)) in tally.after.iter().zip(&rule.moves).enumerate() {
            let right = wilson(found.hits, found.said, Z_95).map_or_else(
                || "-".to_owned(),
                |[lower, upper]| {
                    let share = found.hits as f64 / found.said as f64;
                    format!("{share:.3} [{lower:.3}, {upper:.3}]")
                },
            );
            let edge = match (found.edge(), found.edge_error()) {
                (Some(edge), Some(error)) => format!("{edge:.2} +- {error:.2}"),
                (edge, _) => shown(edge),
            };
            rows.push(vec![
                instrument.to_string(),
                (*name).to_owned(),
                after.name.clone(),
                rule.count.to_string(),
                shown(tally.a_day(instrument, rule.count)),
                shown((found.known > 0).then(|| found.size / found.known as f64)),
                shown(tally.usual(instrument, at)),
                found.said.to_string(),
                right,
                edge,
                found.edge().map_or_else(|| "-".to_owned(), |edge| format!("{:.2}", edge - tally.fee_bp)),
            ]);
        }
    }
    rows
}

fn note(tally: &Tally<'_>) -> String {
    format!(
        "Moves are sizes, beside those of all moments; right and edge are of signals that name a way. \
         The fee is {} bp for both ways together.",
        tally.fee_bp
    )
}

fn text(tally: &Tally<'_>) -> String {
    if tally.rules.is_empty() {
        return "no signals: nothing to score\n".to_owned();
    }
    format!("{}\n{}\n", aligned(&table(tally), 3), note(tally))
}

fn page(tally: &Tally<'_>) -> Page {
    let mut page = Page::new("Signals", &note(tally));
    if tally.rules.is_empty() {
        page.paragraph("There were no signals: there is nothing to score.");
        return page;
    }
    page.table(&table(tally), 3);
    let each = || {
        tally.rules.iter().flat_map(|((instrument, name), rule)| {
            rule.moves.iter().enumerate().map(move |(at, found)| (instrument, *name, at, found))
        })
    };
    let label = |name: &str, at: usize| format!("{name} +{}", tally.after[at].name);
    let edges: Vec<Mark> = each()
        .filter_map(|(_, name, at, found)| {
            let edge = found.edge()? - tally.fee_bp;
            let range = found.edge_error().map(|error| [edge - error, edge + error]);
            Some(Mark { label: label(name, at), value: edge, range })
        })
        .collect();
    if !edges.is_empty() {
        page.heading("Edge");
        let caption =
            "Loss in basis points after the fee, with its 95 % interval: left of the line a signal earned.";
        page.figure(
            &chart::marks("What following each signal earned, in basis points", &edges, 0.0, Better::Above),
            caption,
        );
    }
    let sizes: Vec<Mark> = each()
        .filter_map(|(instrument, name, at, found)| {
            let usual = tally.usual(instrument, at).filter(|&usual| usual > 0.0)?;
            let size = (found.known > 0).then(|| found.size / found.known as f64)?;
            Some(Mark { label: label(name, at), value: size / usual, range: None })
        })
        .collect();
    if !sizes.is_empty() {
        page.heading("Moves");
        let caption =
            "Size of the move after a signal by that after any moment: right of the line more happened.";
        page.figure(
            &chart::marks("Moves after signals by usual moves", &sizes, 1.0, Better::Neither),
            caption,
        );
    }
    page
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::data_state::DataState;
    use crate::domain::insight::{Evidence, InsightId};

    #[test]
    fn hits_and_edges_are_those_of_what_was_said() {
        let mut moves = Moves::default();
        assert_eq!(moves.take(Some(12.0), Some(Way::Up)), Some(12.0));
        assert_eq!(moves.take(Some(4.0), Some(Way::Down)), Some(-4.0));
        assert_eq!(moves.take(Some(-6.0), None), None);
        assert_eq!(moves.take(Some(2.0), None), None);
        assert_eq!(moves.take(None, Some(Way::Up)), None);
        assert_eq!((moves.known, moves.lost, moves.said, moves.hits), (4, 1, 2, 1));
        assert_eq!((moves.edge(), moves.size), (Some(4.0), 24.0));
        // Two values 16 apart: the standard error of their mean is 8.
        assert!((moves.edge_error().unwrap() - 8.0 * Z_95).abs() < 1e-12);
    }

    #[test]
    fn a_way_is_an_action_or_a_side_or_the_way_back() {
        let signal = |name: &'static str, action, evidence| Signal {
            id: InsightId(1),
            kind: SignalKind::Direction,
            name,
            severity: Severity::Info,
            action,
            exchange_at: UnixNanos(0),
            score: 0.5,
            message: String::new(),
            evidence,
            models: Vec::new(),
            data_state: DataState::Complete,
        };
        let side = |side: &'static str| Evidence::default().with("side", Fact::Text(side.into()));
        let z = |z| Evidence::default().with("z", Fact::Number(z));
        for (signal, way) in [
            (signal("direction", Some(Action::Sell), side("up")), Some(Way::Down)),
            (signal("direction", Some(Action::Hold), side("up")), None),
            (signal("breakout", None, side("down")), Some(Way::Down)),
            (signal("mean_reversion", None, z(3.0)), Some(Way::Down)),
            (signal("mean_reversion", None, z(-3.0)), Some(Way::Up)),
            (signal("anomaly", None, z(3.0)), None),
        ] {
            assert_eq!(Way::of(&signal), way, "{signal:?}");
        }
    }

    #[test]
    fn stretches_and_fees_are_read() {
        let Distances(after) = read_after("5m, 1h").unwrap();
        assert_eq!((after[0].nanos, after[1].name.as_str()), (300_000_000_000, "1h"));
        assert!(read_after("ticks:5").is_err() && read_after("").is_err() && read_after("7m").is_err());
        assert_eq!(read_fee("7.5"), Ok(7.5));
        assert!(read_fee("-1").is_err() && read_fee("NaN").is_err());
    }
}
