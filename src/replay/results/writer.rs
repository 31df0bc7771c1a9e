//! From the collectors' rows to the files, instrument by instrument, in order of their names.
//!
//! Only the last revision of a row is written, unless all are asked for; the digest rests on
//! the last ones in either case: BLAKE3 over an instrument's lines (candles, indicators, anomalies,
//! forecasts, signals), then BLAKE3 over name, newline and hash of each instrument that has any, in order of venue
//! and symbol. Memory is that of the sorter, whatever the number of rows or instruments.

use std::path::PathBuf;

use crate::analytics::pipeline::Settings;
use crate::domain::instrument::Instrument;
use crate::domain::interval::Interval;
use crate::domain::output::GapState;
use crate::domain::time::UnixNanos;
use crate::replay::results::collector::{Collector, in_text_order};
use crate::replay::results::directory::{
    ANOMALIES, CANDLES, DIGESTS, FORECASTS, GAPS, INDICATORS, OutDir, OutFile, ResultsError, SIGNALS, SUMMARY,
};
use crate::replay::results::row::{Key, Table, decode_candle, decode_gap, decode_indicator};
use crate::replay::results::stretches::Stretches;
use crate::replay::results::summary::Summary;
use crate::replay::results::text::{
    CANDLES_HEADER, DIGESTS_HEADER, INDICATORS_HEADER, TimeText, labels, prefix, write_candle, write_gap,
    write_value,
};
use crate::replay::roster::{InstrumentIndex, Roster};
use crate::replay::sorter::{Sorted, Sorter};

/// Gathered before a write; large, for the hash works on many blocks at once.
const WRITE_BYTES: usize = 256 << 10;

/// Memory for the gaps, which are sorted once more, by time.
const GAPS_BUDGET_BYTES: usize = 4 << 20;
/// Memory for each table of insights, likewise.
const INSIGHTS_BUDGET_BYTES: usize = 8 << 20;
/// The files of insights, in the order of their tables.
const INSIGHTS: [&str; 3] = [ANOMALIES, FORECASTS, SIGNALS];

#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// Every revision is written, not the last alone. The digest does not change.
    pub all_revisions: bool,
}

/// What was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// Hexadecimal.
    pub digest: String,
    /// Data rows of candles.csv.
    pub candles: u64,
    /// Data rows of indicators.csv.
    pub indicators: u64,
    /// Lines of gaps.jsonl.
    pub gaps: u64,
    /// Of them: filled since they were told.
    pub gaps_filled: u64,
    /// Lines of anomalies.jsonl, forecasts.jsonl, signals.jsonl.
    pub anomalies: u64,
    pub forecasts: u64,
    pub signals: u64,
    /// With rows of their own.
    pub instruments: u64,
}

/// Writes all files but quarantine.jsonl and summary.json; [`finish`] publishes them.
///
/// `settings` are those of the collectors; `roster` has every instrument they know.
pub fn write(
    out: &mut OutDir,
    collectors: Vec<Collector>,
    settings: &Settings,
    roster: &Roster,
    options: Options,
) -> Result<Written, ResultsError> {
    let sorters = collectors.into_iter().map(Collector::into_sorter).collect::<Result<Vec<_>, _>>()?;
    let mut rows = Sorted::merge(sorters)?;
    let mut writer = Writer::new(out, settings, options)?;
    let mut order: Vec<(&Instrument, InstrumentIndex)> =
        roster.iter().map(|(index, instrument, _)| (instrument, index)).collect();
    order.sort();
    for (rank, (instrument, index)) in order.into_iter().enumerate() {
        rows.select(index.0)?;
        writer.instrument(rank as u32, instrument, &mut rows)?;
    }
    writer.close(out)
}

/// Writes summary.json and gives all files their names.
pub fn finish(mut out: OutDir, summary: &Summary) -> Result<(), ResultsError> {
    let mut text = serde_json::to_vec_pretty(summary).expect("a summary is plain numbers and texts");
    text.push(b'\n');
    out.create(SUMMARY)?.write(&text)?;
    out.publish()
}

/// A file of lines, most of which enter the digest of their instrument.
struct Lines {
    file: OutFile,
    buffer: Vec<u8>,
    /// What of the buffer has entered the digest, or was kept out of it.
    hashed: usize,
    rows: u64,
    /// Rows that entered the digest of the instrument at hand.
    counted: u64,
}

impl Lines {
    fn new(file: OutFile, header: &str) -> Self {
        let mut buffer = Vec::with_capacity(WRITE_BYTES * 2);
        buffer.extend_from_slice(header.as_bytes());
        Self { file, hashed: buffer.len(), buffer, rows: 0, counted: 0 }
    }

    /// Rows were appended to the buffer: the last of their keys, or others (what stood before them
    /// was hashed).
    fn appended(&mut self, rows: u64, stand: bool, hasher: &mut blake3::Hasher) -> Result<(), ResultsError> {
        self.rows += rows;
        if stand {
            self.counted += rows;
        } else {
            self.hashed = self.buffer.len();
        }
        if self.buffer.len() >= WRITE_BYTES {
            self.hash(hasher);
            self.flush()?;
        }
        Ok(())
    }

    fn hash(&mut self, hasher: &mut blake3::Hasher) {
        hasher.update(&self.buffer[self.hashed..]);
        self.hashed = self.buffer.len();
    }

    fn flush(&mut self) -> Result<(), ResultsError> {
        self.file.write(&self.buffer)?;
        self.buffer.clear();
        self.hashed = 0;
        Ok(())
    }
}

/// What is the same for all rows of an instrument and interval, and what was the same for the last ones.
struct Writer {
    spool_dir: PathBuf,
    options: Options,
    intervals: Vec<Interval>,
    /// `indicator,output,` by position and output.
    labels: Vec<Vec<Vec<u8>>>,
    candles: Lines,
    indicators: Lines,
    digests: Lines,
    /// Lines of gaps.jsonl, by time.
    gaps: Sorter,
    gap_rows: u64,
    gaps_filled: u64,
    /// Lines of the files of insights, by time.
    insights: [Sorter; 3],
    insight_rows: [u64; 3],
    /// Of the instrument at hand.
    insights_counted: u64,
    instruments: u64,
    overall: blake3::Hasher,
    times: TimeText,
    /// Payload of the row that waits to learn whether it is the last of its key.
    pending: Vec<u8>,
    /// By origin, of the interval at hand.
    stretches: [Stretches; 3],
    candles_of: Option<u8>,
    /// First fields of rows, by interval.
    prefixes: Vec<Vec<u8>>,
    /// Prefix and open time of the indicator rows of one candle, and whose they are.
    head: Vec<u8>,
    head_of: Option<(u8, i64)>,
}

impl Writer {
    fn new(out: &mut OutDir, settings: &Settings, options: Options) -> Result<Self, ResultsError> {
        Ok(Self {
            spool_dir: out.path().to_owned(),
            options,
            intervals: in_text_order(&settings.intervals),
            labels: settings.indicators.specs.iter().map(labels).collect(),
            candles: Lines::new(out.create(CANDLES)?, CANDLES_HEADER),
            indicators: Lines::new(out.create(INDICATORS)?, INDICATORS_HEADER),
            digests: Lines::new(out.create(DIGESTS)?, DIGESTS_HEADER),
            gaps: Sorter::new(out.path(), GAPS_BUDGET_BYTES),
            gap_rows: 0,
            gaps_filled: 0,
            insights: std::array::from_fn(|_| Sorter::new(out.path(), INSIGHTS_BUDGET_BYTES)),
            insight_rows: [0; 3],
            insights_counted: 0,
            instruments: 0,
            overall: blake3::Hasher::new(),
            times: TimeText::default(),
            pending: Vec::new(),
            stretches: Default::default(),
            candles_of: None,
            prefixes: Vec::new(),
            head: Vec::new(),
            head_of: None,
        })
    }

    /// All rows of one instrument: `rows` stands before its first.
    fn instrument(&mut self, rank: u32, name: &Instrument, rows: &mut Sorted) -> Result<(), ResultsError> {
        let mut hasher = blake3::Hasher::new();
        self.begin(name);
        let mut waiting: Option<u128> = None;
        loop {
            let next = rows.next()?;
            if let Some(key) = waiting {
                let last = next.is_none_or(|(next_key, _)| next_key != key);
                self.row(rank, name, Key::unpack(key), last, &mut hasher)?;
            }
            let Some((key, payload)) = next else { break };
            waiting = Some(key);
            self.pending.clear();
            self.pending.extend_from_slice(payload);
        }
        self.candles.hash(&mut hasher);
        self.indicators.hash(&mut hasher);
        self.end(name, &hasher)
    }

    fn begin(&mut self, name: &Instrument) {
        self.prefixes.clear();
        self.prefixes.extend(self.intervals.iter().map(|&interval| prefix(name, interval)));
        (self.candles_of, self.head_of) = (None, None);
        (self.candles.counted, self.indicators.counted, self.insights_counted) = (0, 0, 0);
    }

    fn end(&mut self, name: &Instrument, hasher: &blake3::Hasher) -> Result<(), ResultsError> {
        let (candles, indicators) = (self.candles.counted, self.indicators.counted);
        if candles + indicators + self.insights_counted == 0 {
            return Ok(());
        }
        let hash = hasher.finalize();
        self.overall.update(format!("{name}\n").as_bytes());
        self.overall.update(hash.as_bytes());
        self.instruments += 1;
        let line = format!("{name},{candles},{indicators},{hash}\n");
        self.digests.buffer.extend_from_slice(line.as_bytes());
        if self.digests.buffer.len() >= WRITE_BYTES { self.digests.flush() } else { Ok(()) }
    }

    /// The pending row: the last of its key, or not.
    fn row(
        &mut self,
        rank: u32,
        name: &Instrument,
        key: Key,
        last: bool,
        hasher: &mut blake3::Hasher,
    ) -> Result<(), ResultsError> {
        let known = match key.table {
            Table::Candles => self.candle(key, last, hasher)?,
            Table::Indicators => self.indicator(key, last, hasher)?,
            Table::Gaps => self.gap(rank, name, key, last)?,
            Table::Anomalies | Table::Forecasts | Table::Signals => {
                self.insight(rank, key, hasher)?;
                Some(())
            }
        };
        known.ok_or_else(|| ResultsError::Damaged { dir: self.spool_dir.clone() })
    }

    fn candle(
        &mut self,
        key: Key,
        last: bool,
        hasher: &mut blake3::Hasher,
    ) -> Result<Option<()>, ResultsError> {
        let Some(&interval) = self.intervals.get(usize::from(key.interval)) else { return Ok(None) };
        let Some(row) = decode_candle(key, interval, &self.pending) else { return Ok(None) };
        let candle = &row.candle;
        let mut stands = last;
        if candle.prices.is_none() {
            if self.candles_of != Some(key.interval) {
                self.candles_of = Some(key.interval);
                self.stretches.iter_mut().for_each(Stretches::clear);
            }
            let stretches = &mut self.stretches[key.position as usize];
            stands &= !stretches.supersede(candle.close_at, row.told);
            stretches.observe(candle.open_at, candle.close_at, row.told);
        }
        if stands || self.options.all_revisions {
            if !stands {
                self.candles.hash(hasher);
            }
            self.candles.buffer.extend_from_slice(&self.prefixes[usize::from(key.interval)]);
            write_candle(candle, &mut self.times, &mut self.candles.buffer);
            self.candles.appended(1, stands, hasher)?;
        }
        Ok(Some(()))
    }

    fn indicator(
        &mut self,
        key: Key,
        last: bool,
        hasher: &mut blake3::Hasher,
    ) -> Result<Option<()>, ResultsError> {
        if !last && !self.options.all_revisions {
            return Ok(Some(()));
        }
        let Some(prefix) = self.prefixes.get(usize::from(key.interval)) else { return Ok(None) };
        let Some(labels) = self.labels.get(key.position as usize) else { return Ok(None) };
        let Some((revision, data_state, values)) = decode_indicator(&self.pending) else { return Ok(None) };
        if self.head_of != Some((key.interval, key.moment)) {
            self.head_of = Some((key.interval, key.moment));
            self.head.clear();
            self.head.extend_from_slice(prefix);
            self.times.write(UnixNanos(key.moment), &mut self.head);
            self.head.push(b',');
        }
        if !last {
            self.indicators.hash(hasher);
        }
        let out = &mut self.indicators.buffer;
        let mut rows = 0;
        for (label, value) in labels.iter().zip(values) {
            // JSON and CSV have no word for it; a pipeline does not tell it.
            if value.is_finite() {
                out.extend_from_slice(&self.head);
                out.extend_from_slice(label);
                write_value(value, revision, data_state, out);
                rows += 1;
            }
        }
        self.indicators.appended(rows, last, hasher)?;
        Ok(Some(()))
    }

    fn gap(
        &mut self,
        rank: u32,
        name: &Instrument,
        key: Key,
        last: bool,
    ) -> Result<Option<()>, ResultsError> {
        if !last {
            return Ok(Some(()));
        }
        let Some(gap) = decode_gap(key, &self.pending) else { return Ok(None) };
        let from = (gap.from.0 as u64) ^ (1 << 63);
        let by_time = (u128::from(from) << 64) | (u128::from(rank) << 32) | u128::from(gap.id.0 >> 32);
        self.gap_rows += 1;
        self.gaps_filled += u64::from(gap.state == GapState::Filled);
        self.gaps.push_with(by_time, |out| write_gap(name, &gap, out))?;
        Ok(Some(()))
    }

    /// The pending line enters the digest, behind the candles and indicators, and waits for its place.
    fn insight(&mut self, rank: u32, key: Key, hasher: &mut blake3::Hasher) -> Result<(), ResultsError> {
        self.candles.hash(hasher);
        self.indicators.hash(hasher);
        hasher.update(&self.pending);
        let at = key.table as usize - Table::Anomalies as usize;
        self.insight_rows[at] += 1;
        self.insights_counted += 1;
        let moment = (key.moment as u64) ^ (1 << 63);
        let by_time = (u128::from(moment) << 64) | (u128::from(rank) << 32) | u128::from(key.position);
        self.insights[at].push_with(by_time, |out| out.extend_from_slice(&self.pending))?;
        Ok(())
    }

    fn close(mut self, out: &mut OutDir) -> Result<Written, ResultsError> {
        for lines in [&mut self.candles, &mut self.indicators, &mut self.digests] {
            lines.flush()?;
        }
        write_sorted(out.create(GAPS)?, self.gaps)?;
        for (name, lines) in INSIGHTS.into_iter().zip(self.insights) {
            write_sorted(out.create(name)?, lines)?;
        }
        let [anomalies, forecasts, signals] = self.insight_rows;
        Ok(Written {
            digest: self.overall.finalize().to_string(),
            candles: self.candles.rows,
            indicators: self.indicators.rows,
            gaps: self.gap_rows,
            gaps_filled: self.gaps_filled,
            anomalies,
            forecasts,
            signals,
            instruments: self.instruments,
        })
    }
}

/// Writes lines in the order of their keys.
fn write_sorted(mut file: OutFile, lines: Sorter) -> Result<(), ResultsError> {
    let mut sorted = lines.finish()?;
    let mut buffer = Vec::new();
    while let Some((_, line)) = sorted.next()? {
        buffer.extend_from_slice(line);
        if buffer.len() >= WRITE_BYTES {
            file.write(&buffer)?;
            buffer.clear();
        }
    }
    file.write(&buffer)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::analytics::catalogue::Spec;
    use crate::analytics::indicator_set::IndicatorPlan;
    use crate::domain::candle::{Candle, CandleState, Ohlc, Origin};
    use crate::domain::data_state::DataState;
    use crate::domain::decimal::{Price, QuoteVolume, Volume};
    use crate::domain::output::{Gap, GapId, GapKind, GapState, IndicatorSnapshot, Output, OutputSink};
    use crate::domain::venue::IdRule;

    const SECOND: i64 = 1_000_000_000;
    /// 2024-05-01
    const START: i64 = 1_714_521_600;

    fn settings() -> Settings {
        Settings {
            intervals: vec!["1s".parse().unwrap(), "5s".parse().unwrap(), "1m".parse().unwrap()],
            indicators: IndicatorPlan::new(&Spec::parse_list("sma(3),sma(2)").unwrap()),
            grace_nanos: 0,
            window: 8,
            intelligence: Default::default(),
        }
    }

    /// A candle of a second: traded at that price, or (`None`) trade-less for as many seconds.
    fn candle(interval: &str, second: i64, seconds: i64, price: Option<&str>, revision: u32) -> Candle {
        let price = price.map(|text| Price::parse(text.as_bytes()).unwrap());
        Candle {
            interval: interval.parse().unwrap(),
            open_at: UnixNanos((START + second) * SECOND),
            close_at: UnixNanos((START + second + seconds) * SECOND),
            prices: price.map(|p| Ohlc { open: p, high: p, low: p, close: p }),
            volume: price.map_or(Volume::ZERO, |_| Volume::parse(b"2").unwrap()),
            quote_volume: Some(QuoteVolume::ZERO),
            trade_count: Some(u64::from(price.is_some())),
            taker_buy_volume: Some(Volume::ZERO),
            taker_buy_quote_volume: Some(QuoteVolume::ZERO),
            state: if price.is_some() { CandleState::Traded } else { CandleState::Empty },
            revision,
            origin: Origin::Trades,
        }
    }

    fn tell_value(sink: &mut impl OutputSink, second: i64, position: usize, value: f64, revision: u32) {
        tell_values(sink, second, position, &[value], revision);
    }

    fn tell_values(sink: &mut impl OutputSink, second: i64, position: usize, values: &[f64], revision: u32) {
        let snapshot = IndicatorSnapshot {
            interval: "1s".parse().unwrap(),
            open_at: UnixNanos((START + second) * SECOND),
            position,
            indicator: "",
            outputs: &["value"],
            values,
            revision,
            data_state: DataState::Complete,
        };
        sink.accept(0, Output::Indicator(&snapshot));
    }

    fn gap(id: u64, from: i64, state: GapState) -> Gap {
        Gap {
            id: GapId(id),
            kind: GapKind::Ids,
            first_missing_id: Some(id),
            last_missing_id: Some(id + 1),
            from: UnixNanos((START + from) * SECOND),
            to: UnixNanos((START + from + 1) * SECOND),
            state,
            reason: None,
        }
    }

    /// A run whose instruments were met in that order, on as many threads; `tell` gets each one's name.
    struct Run {
        dir: tempfile::TempDir,
        written: Written,
    }

    fn run(
        names: &[&str],
        threads: usize,
        budget_bytes: usize,
        options: Options,
        tell: impl Fn(&str, &mut dyn FnMut(Output<'_>)),
    ) -> Run {
        let dir = tempfile::tempdir().unwrap();
        let mut out = OutDir::open(dir.path()).unwrap();
        let mut roster = Roster::default();
        let mut collectors: Vec<Collector> =
            (0..threads).map(|_| Collector::new(&settings(), dir.path(), budget_bytes)).collect();
        for (i, name) in names.iter().enumerate() {
            let index = roster.enlist(&name.parse().unwrap(), IdRule::Contiguous);
            let mut sink = collectors[i % threads].sink(index);
            tell(name, &mut |output| sink.accept(0, output));
        }
        let written = write(&mut out, collectors, &settings(), &roster, options).unwrap();
        finish(out, &Summary::default()).unwrap();
        Run { dir, written }
    }

    impl Run {
        fn text(&self, name: &str) -> String {
            fs::read_to_string(self.dir.path().join(name)).unwrap()
        }

        /// Chosen columns of the data rows, blank-separated.
        fn columns(&self, name: &str, columns: &[&str]) -> Vec<String> {
            let text = self.text(name);
            let mut lines = text.lines().map(|line| line.split(',').collect::<Vec<_>>());
            let header = lines.next().unwrap();
            let places: Vec<usize> =
                columns.iter().map(|c| header.iter().position(|h| h == c).unwrap()).collect();
            lines.map(|fields| places.iter().map(|&at| fields[at]).collect::<Vec<_>>().join(" ")).collect()
        }
    }

    struct Told<'a>(&'a mut dyn FnMut(Output<'_>));

    impl OutputSink for Told<'_> {
        fn accept(&mut self, _cause_seq: u64, output: Output<'_>) {
            (self.0)(output);
        }
    }

    /// A little of everything, out of order, with revisions.
    fn tell_sample(name: &str, out: &mut dyn FnMut(Output<'_>)) {
        let price = format!("{}.5", name.len());
        out(Output::Candle(&candle("1s", 1, 1, Some(&price), 0)));
        out(Output::Candle(&candle("1s", 0, 1, Some(&price), 0)));
        out(Output::Candle(&candle("5s", 0, 5, Some(&price), 0)));
        out(Output::Candle(&candle("1m", 0, 60, Some(&price), 0)));
        out(Output::Gap(&gap(9, 3, GapState::Open)));
        out(Output::Gap(&gap(4, 2, GapState::Open)));
        tell_value(&mut Told(out), 1, 1, 1.0, 0);
        tell_value(&mut Told(out), 1, 0, 0.5, 0);
        out(Output::Candle(&candle("1s", 0, 1, Some("7"), 1)));
        tell_value(&mut Told(out), 1, 0, 0.25, 1);
        out(Output::Gap(&gap(9, 3, GapState::Filled)));
    }

    #[test]
    fn a_withdrawn_value_leaves_no_row() {
        let told = |values: &'static [&'static [f64]]| {
            run(&["x:A-B"], 1, 1 << 20, Options::default(), move |_, out| {
                out(Output::Candle(&candle("1s", 0, 1, Some("7"), 0)));
                for (revision, values) in (0..).zip(values) {
                    tell_values(&mut Told(out), 0, 0, values, revision);
                }
            })
        };
        let (never, withdrawn) = (told(&[]), told(&[&[1.5], &[]]));
        assert_eq!(withdrawn.columns(INDICATORS, &["value"]), Vec::<String>::new());
        assert_eq!(withdrawn.written.indicators, 0);
        assert_eq!(withdrawn.written.digest, never.written.digest);
        let again = told(&[&[1.5], &[], &[2.5]]);
        assert_eq!(again.columns(INDICATORS, &["value", "revision"]), ["2.5 2"]);
    }

    #[test]
    fn files_hold_the_last_revisions_in_order() {
        let run = run(&["kraken:A-B", "binance:Z-B"], 1, 1 << 20, Options::default(), tell_sample);
        let candles =
            run.columns(CANDLES, &["venue", "symbol", "interval", "open_time", "close", "revision"]);
        let one = |venue: &str, symbol: &str, price: &str| {
            [
                format!("{venue} {symbol} 1m 2024-05-01T00:00:00Z {price} 0"),
                format!("{venue} {symbol} 1s 2024-05-01T00:00:00Z 7 1"),
                format!("{venue} {symbol} 1s 2024-05-01T00:00:01Z {price} 0"),
                format!("{venue} {symbol} 5s 2024-05-01T00:00:00Z {price} 0"),
            ]
        };
        assert_eq!(candles, [one("binance", "Z-B", "11.5"), one("kraken", "A-B", "10.5")].concat());
        let values =
            run.columns(INDICATORS, &["symbol", "interval", "open_time", "indicator", "output", "value"]);
        let both = |symbol: &str| {
            [
                format!("{symbol} 1s 2024-05-01T00:00:01Z sma(3) value 0.25"),
                format!("{symbol} 1s 2024-05-01T00:00:01Z sma(2) value 1.0"),
            ]
        };
        assert_eq!(values, [both("Z-B"), both("A-B")].concat());
        let gaps: Vec<(String, String, String)> = run
            .text(GAPS)
            .lines()
            .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap())
            .map(|gap| ["venue", "first_missing_id", "state"].map(|k| gap[k].as_str().unwrap().to_owned()))
            .map(|[venue, id, state]| (venue, id, state))
            .collect();
        let expected = [
            ("binance", "4", "open"),
            ("kraken", "4", "open"),
            ("binance", "9", "filled"),
            ("kraken", "9", "filled"),
        ];
        assert_eq!(gaps, expected.map(|(v, i, s)| (v.to_owned(), i.to_owned(), s.to_owned())));
        let expected = (8, 4, 4, 2);
        let w = &run.written;
        assert_eq!((w.candles, w.indicators, w.gaps, w.instruments), expected);
        for name in [ANOMALIES, FORECASTS, SIGNALS] {
            assert_eq!(run.text(name), "");
        }
        assert_eq!(run.text(SUMMARY).lines().next(), Some("{"));
    }

    #[test]
    fn the_digest_is_that_of_the_lines() {
        let run = run(&["kraken:A-B", "binance:Z-B"], 1, 1 << 20, Options::default(), tell_sample);
        let (candles, indicators) = (run.text(CANDLES), run.text(INDICATORS));
        let mut overall = blake3::Hasher::new();
        let mut digests = vec![DIGESTS_HEADER.trim().to_owned()];
        for (name, start) in [("binance:Z-B", "binance,"), ("kraken:A-B", "kraken,")] {
            let lines = candles.lines().chain(indicators.lines()).filter(|line| line.starts_with(start));
            let text: String = lines.map(|line| format!("{line}\n")).collect();
            let hash = blake3::hash(text.as_bytes());
            overall.update(name.as_bytes()).update(b"\n").update(hash.as_bytes());
            digests.push(format!("{name},4,2,{hash}"));
        }
        assert_eq!(run.written.digest, overall.finalize().to_string());
        assert_eq!(run.text(DIGESTS).lines().collect::<Vec<_>>(), digests);
    }

    #[test]
    fn results_depend_neither_on_threads_nor_on_the_order_of_instruments() {
        let names: Vec<String> = (0..40).map(|i| format!("binance:A{i}-B")).collect();
        let mut names: Vec<&str> = names.iter().map(String::as_str).collect();
        let many = |name: &str, out: &mut dyn FnMut(Output<'_>)| {
            for second in 0..200 {
                out(Output::Candle(&candle("1s", second ^ 3, 1, Some("1.5"), 0)));
                out(Output::Candle(&candle("1s", second / 2, 1, Some("2.5"), 1)));
            }
            tell_sample(name, out);
        };
        let options = Options::default();
        let expected = run(&names, 1, 1 << 30, options, many);
        names.reverse();
        names.rotate_left(11);
        // The smallest budget: nearly all rows are spilled.
        for threads in [1, 3] {
            let other = run(&names, threads, 0, options, many);
            assert_eq!(other.written, expected.written);
            for file in [CANDLES, INDICATORS, GAPS, DIGESTS] {
                assert_eq!(other.text(file), expected.text(file), "{file}");
            }
        }
    }

    #[test]
    fn all_revisions_are_written_on_demand_and_leave_the_digest_alone() {
        let all = run(&["a:A-B"], 1, 1 << 20, Options { all_revisions: true }, tell_sample);
        let last = run(&["a:A-B"], 1, 1 << 20, Options::default(), tell_sample);
        assert_eq!(all.written.digest, last.written.digest);
        assert_eq!(all.text(DIGESTS), last.text(DIGESTS));
        assert_eq!((all.written.candles, last.written.candles), (5, 4));
        assert_eq!((all.written.indicators, last.written.indicators), (3, 2));
        let rows = all.columns(CANDLES, &["interval", "open_time", "revision"]);
        assert_eq!(rows[1..3], ["1s 2024-05-01T00:00:00Z 0", "1s 2024-05-01T00:00:00Z 1"]);
        assert_eq!(all.text(GAPS), last.text(GAPS));
    }

    #[test]
    fn rows_inside_a_later_stretch_are_dropped() {
        let tell = |_: &str, out: &mut dyn FnMut(Output<'_>)| {
            for second in 0..10 {
                let price = (second == 0).then_some("1.5");
                out(Output::Candle(&candle("1s", second, 1, price, 0)));
            }
            // Together from the second on, then cut by a late trade.
            out(Output::Candle(&candle("1s", 1, 9, None, 1)));
            out(Output::Candle(&candle("1s", 1, 4, None, 2)));
            out(Output::Candle(&candle("1s", 5, 1, Some("3"), 1)));
            out(Output::Candle(&candle("1s", 6, 4, None, 1)));
            // Another interval is another matter.
            out(Output::Candle(&candle("5s", 5, 5, None, 0)));
        };
        let last = run(&["a:A-B"], 1, 1 << 20, Options::default(), tell);
        let expected = [
            "1s 2024-05-01T00:00:00Z 2024-05-01T00:00:01Z 0",
            "1s 2024-05-01T00:00:01Z 2024-05-01T00:00:05Z 2",
            "1s 2024-05-01T00:00:05Z 2024-05-01T00:00:06Z 1",
            "1s 2024-05-01T00:00:06Z 2024-05-01T00:00:10Z 1",
            "5s 2024-05-01T00:00:05Z 2024-05-01T00:00:10Z 0",
        ];
        let columns = ["interval", "open_time", "close_time", "revision"];
        assert_eq!(last.columns(CANDLES, &columns), expected);
        let all = run(&["a:A-B"], 1, 1 << 20, Options { all_revisions: true }, tell);
        assert_eq!(all.written.candles, 15);
        assert_eq!(all.written.digest, last.written.digest);
        assert_eq!(all.text(DIGESTS), last.text(DIGESTS));
    }

    #[test]
    fn a_failed_spill_is_told_once_the_run_ends() {
        let mut collector = Collector::new(&settings(), "/nonexistent".as_ref(), 0);
        let mut sink = collector.sink(InstrumentIndex(0));
        for second in 0..10_000 {
            sink.accept(0, Output::Candle(&candle("1s", second, 1, Some("1"), 0)));
        }
        for _ in 0..2 {
            assert!(collector.check().unwrap_err().to_string().contains("/nonexistent"));
        }
        let dir = tempfile::tempdir().unwrap();
        let mut out = OutDir::open(dir.path()).unwrap();
        let result = write(&mut out, vec![collector], &settings(), &Roster::default(), Options::default());
        assert!(result.is_err());
        drop(out);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }
}
