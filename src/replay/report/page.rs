//! The page: result files in, one HTML file out, with nothing to fetch.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{BufReader, BufWriter, Write};
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::analytics::pipeline::Settings;
use crate::domain::candle::{CandleState, Ohlc};
use crate::domain::decimal::{Amount, Decimal, Price};
use crate::domain::interval::Interval;
use crate::domain::time::UnixNanos;
use crate::replay::report::series::{ChartBar, Series};
use crate::replay::report::table::{ReportError, Table, failed, read_line};
use crate::replay::results::directory::{CANDLES, DIGESTS, GAPS, INDICATORS, SUMMARY};
use crate::replay::results::summary::Summary;

const PAGE: &str = include_str!("page.html");
pub const STYLE: &str = include_str!("page.css");
/// One script, and one scope: each part uses those before it.
const SCRIPT: [&str; 13] = [
    include_str!("script/texts.js"),
    include_str!("script/studies.js"),
    include_str!("script/series.js"),
    include_str!("script/view.js"),
    include_str!("script/colours.js"),
    include_str!("script/layout.js"),
    include_str!("script/scales.js"),
    include_str!("script/drawing.js"),
    include_str!("script/marks.js"),
    include_str!("script/overview.js"),
    include_str!("script/words.js"),
    include_str!("script/around.js"),
    include_str!("script/hands.js"),
];

/// How much a page holds. The defaults keep it below some six megabytes.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    pub instruments: usize,
    /// Of one instrument and interval.
    pub bars_per_series: usize,
    /// Below this, there are fewer instruments instead.
    pub bars_per_series_min: usize,
    /// In all.
    pub bars: usize,
    /// Of indicators, in all.
    pub values: usize,
    /// In all; of each instrument the first ones.
    pub gaps: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            instruments: 24,
            bars_per_series: 2_000,
            bars_per_series_min: 240,
            bars: 24_000,
            values: 200_000,
            gaps: 2_000,
        }
    }
}

/// Writes the page `to` from the published files in `results`; `settings` are those of the run.
pub fn write(results: &Path, to: &Path, settings: &Settings, limits: Limits) -> Result<(), ReportError> {
    let mut name = to.file_name().unwrap_or_default().to_owned();
    name.push(".tmp");
    let temporary = to.with_file_name(name);
    let written = compose(results, &temporary, settings, limits)
        .and_then(|()| fs::rename(&temporary, to).map_err(|e| failed("rename to", to, e)));
    if written.is_err() {
        // The error at hand says more than one from here would.
        let _ = fs::remove_file(&temporary);
    }
    written
}

fn compose(results: &Path, to: &Path, settings: &Settings, limits: Limits) -> Result<(), ReportError> {
    let file = File::create(to).map_err(|e| failed("create", to, e))?;
    let mut out = BufWriter::with_capacity(256 << 10, file);
    let (head, rest) = PAGE.split_once("/*style*/").expect("the page has a place for the style");
    let (body, rest) = rest.split_once("/*data*/").expect("the page has a place for the data");
    let (between, tail) = rest.split_once("/*script*/").expect("the page has a place for the script");
    let put = |out: &mut BufWriter<File>, text: &str| {
        out.write_all(text.as_bytes()).map_err(|e| failed("write", to, e))
    };
    put(&mut out, head)?;
    put(&mut out, STYLE)?;
    put(&mut out, body)?;
    Data::new(results, settings, limits)?.write(&mut |text| put(&mut out, text))?;
    put(&mut out, between)?;
    for part in SCRIPT {
        put(&mut out, part)?;
    }
    put(&mut out, tail)?;
    out.flush().map_err(|e| failed("write", to, e))
}

/// One output of one indicator.
#[derive(Serialize)]
struct Label {
    indicator: String,
    output: &'static str,
}

#[derive(Deserialize, Serialize)]
struct GapLine {
    id: String,
    venue: String,
    symbol: String,
    kind: String,
    first_missing_id: Option<String>,
    last_missing_id: Option<String>,
    from: String,
    to: String,
    state: String,
}

/// What the page says before its series.
#[derive(Serialize)]
struct Preamble<'a> {
    summary: &'a Summary,
    /// With rows of their own.
    instruments: u64,
    /// Those with charts.
    charted: &'a BTreeSet<String>,
    labels: &'a [Label],
    gaps: &'a [GapLine],
    /// Of charted instruments, but too many.
    gaps_left_out: u64,
}

struct Data<'a> {
    results: &'a Path,
    summary: Summary,
    instruments: u64,
    charted: BTreeSet<String>,
    labels: Vec<Label>,
    gaps: Vec<GapLine>,
    gaps_left_out: u64,
    bars_max: usize,
}

/// Takes text of the page.
type Put<'a> = dyn FnMut(&str) -> Result<(), ReportError> + 'a;

impl<'a> Data<'a> {
    fn new(results: &'a Path, settings: &'a Settings, limits: Limits) -> Result<Self, ReportError> {
        let labels: Vec<Label> = settings
            .indicators
            .specs
            .iter()
            .flat_map(|spec| {
                let outputs = spec.entry.outputs.iter();
                outputs.map(|&output| Label { indicator: spec.to_string(), output })
            })
            .collect();
        // Share the page out: all intervals of as many instruments as leave each series bars enough.
        let intervals = settings.intervals.len().max(1);
        let outputs = labels.len().max(1);
        let fitting = |instruments: usize| {
            let series = instruments * intervals;
            (limits.bars / series).min(limits.values / (series * outputs))
        };
        let (busiest, instruments) = busiest(&results.join(DIGESTS), limits.instruments)?;
        let mut count = busiest.len().max(1);
        while count > 1 && fitting(count) < limits.bars_per_series_min {
            count -= 1;
        }
        let charted: BTreeSet<String> = busiest.into_iter().take(count).collect();
        let (gaps, gaps_left_out) = gaps(&results.join(GAPS), &charted, limits.gaps)?;
        Ok(Self {
            results,
            summary: summary(&results.join(SUMMARY))?,
            instruments,
            charted,
            labels,
            gaps,
            gaps_left_out,
            bars_max: fitting(count).clamp(60, limits.bars_per_series.max(60)),
        })
    }

    fn write(&self, put: &mut Put<'_>) -> Result<(), ReportError> {
        let preamble = Preamble {
            summary: &self.summary,
            instruments: self.instruments,
            charted: &self.charted,
            labels: &self.labels,
            gaps: &self.gaps,
            gaps_left_out: self.gaps_left_out,
        };
        let preamble = json(&preamble);
        put(preamble.strip_suffix('}').expect("an object"))?;
        put(",\"series\":[")?;
        let mut candles = Candles::open(&self.results.join(CANDLES))?;
        let mut values = Values::open(&self.results.join(INDICATORS))?;
        let mut first = true;
        while let Some(group) = candles.group() {
            if !self.charted.contains(&group.instrument()) {
                candles.skip(&group)?;
                continue;
            }
            let interval: Interval = group.interval.parse().map_err(|_| candles.table.problem("interval"))?;
            let (bars, each) = candles.series(&group, interval, self.bars_max)?;
            let columns = values.columns(&group, &self.labels, &bars)?;
            put(if first { "\n" } else { ",\n" })?;
            put(&series_json(&group, interval, &bars, each, &columns))?;
            first = false;
        }
        put("]}")
    }
}

/// JSON that nothing inside of a script element can mistake for its end.
fn json(value: &impl Serialize) -> String {
    let text = serde_json::to_string(value).expect("plain texts and numbers become JSON");
    text.replace('<', "\\u003c")
}

fn summary(path: &Path) -> Result<Summary, ReportError> {
    let text = fs::read(path).map_err(|e| failed("read", path, e))?;
    serde_json::from_slice(&text).map_err(|e| problem(path, e.line() as u64, &e.to_string()))
}

fn problem(path: &Path, line: u64, problem: &str) -> ReportError {
    ReportError::Line { path: path.to_owned(), line, problem: problem.to_owned() }
}

/// The instruments with the most candles, most first, equal ones by name; and how many there are in all.
fn busiest(path: &Path, count: usize) -> Result<(Vec<String>, u64), ReportError> {
    let mut table = Table::open(path, &["instrument", "candles"])?;
    let mut busiest: BTreeSet<(std::cmp::Reverse<u64>, String)> = BTreeSet::new();
    let mut all = 0;
    while table.advance()? {
        all += 1;
        let candles = table.field(1).parse().map_err(|_| table.problem("candles is no count"))?;
        busiest.insert((std::cmp::Reverse(candles), table.field(0).to_owned()));
        if busiest.len() > count {
            busiest.pop_last();
        }
    }
    Ok((busiest.into_iter().map(|(_, name)| name).collect(), all))
}

/// Gaps of charted instruments, and how many there was no room for.
fn gaps(path: &Path, charted: &BTreeSet<String>, max: usize) -> Result<(Vec<GapLine>, u64), ReportError> {
    let file = File::open(path).map_err(|e| failed("open", path, e))?;
    let mut reader = BufReader::new(file);
    let (mut gaps, mut left_out) = (Vec::new(), 0);
    let (mut text, mut line) = (String::new(), 1);
    while read_line(&mut reader, &mut text, path, line)? {
        let gap: GapLine = serde_json::from_str(&text).map_err(|e| problem(path, line, &e.to_string()))?;
        if charted.contains(&format!("{}:{}", gap.venue, gap.symbol)) {
            if gaps.len() < max {
                gaps.push(gap);
            } else {
                left_out += 1;
            }
        }
        line += 1;
    }
    Ok((gaps, left_out))
}

/// Rows of one instrument and interval: they stand together in both CSV files, in the same order.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Group {
    venue: String,
    symbol: String,
    interval: String,
}

impl Group {
    fn of(table: &Table) -> Self {
        let [venue, symbol, interval] = [0, 1, 2].map(|column| table.field(column).to_owned());
        Self { venue, symbol, interval }
    }

    fn holds(&self, table: &Table) -> bool {
        table.at_row() && self.cmp_row(table).is_eq()
    }

    fn cmp_row(&self, table: &Table) -> std::cmp::Ordering {
        (self.venue.as_str(), self.symbol.as_str(), self.interval.as_str()).cmp(&(
            table.field(0),
            table.field(1),
            table.field(2),
        ))
    }

    fn instrument(&self) -> String {
        format!("{}:{}", self.venue, self.symbol)
    }
}

/// candles.csv; stands at the first row not yet used.
struct Candles {
    table: Table,
}

impl Candles {
    fn open(path: &Path) -> Result<Self, ReportError> {
        let columns = [
            "venue",
            "symbol",
            "interval",
            "open_time",
            "close_time",
            "open",
            "high",
            "low",
            "close",
            "volume",
            "quote_volume",
            "trade_count",
            "taker_buy_volume",
            "state",
            "revision",
        ];
        let mut table = Table::open(path, &columns)?;
        table.advance()?;
        Ok(Self { table })
    }

    fn group(&self) -> Option<Group> {
        self.table.at_row().then(|| Group::of(&self.table))
    }

    fn skip(&mut self, group: &Group) -> Result<(), ReportError> {
        while group.holds(&self.table) {
            self.table.advance()?;
        }
        Ok(())
    }

    fn series(
        &mut self,
        group: &Group,
        interval: Interval,
        bars_max: usize,
    ) -> Result<(Vec<ChartBar>, u64), ReportError> {
        let mut series = Series::new(interval, bars_max);
        while group.holds(&self.table) {
            series.push(self.bar()?);
            self.table.advance()?;
        }
        Ok(series.finish())
    }

    fn bar(&self) -> Result<ChartBar, ReportError> {
        let field = |column| self.table.field(column).as_bytes();
        let bad = |name: &str| self.table.problem(&format!("{name} is not what replay writes"));
        let time = |column, name| UnixNanos::parse_iso(field(column)).map_err(|_| bad(name));
        let price = |column| Price::parse(field(column)).map_err(|_| bad("a price"));
        let count = |column, name| {
            std::str::from_utf8(field(column)).ok().and_then(|t| t.parse().ok()).ok_or_else(|| bad(name))
        };
        let prices = if field(5).is_empty() {
            None
        } else {
            Some(Ohlc { open: price(5)?, high: price(6)?, low: price(7)?, close: price(8)? })
        };
        let state = match self.table.field(13) {
            "traded" => CandleState::Traded,
            "empty" => CandleState::Empty,
            "partial" => CandleState::Partial,
            "unknown" => CandleState::Unknown,
            _ => return Err(bad("state")),
        };
        let sum = optional_sum(field(10)).ok_or_else(|| bad("quote_volume"))?;
        Ok(ChartBar {
            open_at: time(3, "open_time")?.0,
            close_at: time(4, "close_time")?.0,
            prices,
            volume: Amount::parse(field(9)).map_err(|_| bad("volume"))?,
            quote_volume: sum,
            trade_count: if field(11).is_empty() { None } else { Some(count(11, "trade_count")?) },
            taker_buy_volume: optional_sum(field(12)).ok_or_else(|| bad("taker_buy_volume"))?,
            state,
            revision: count(14, "revision")?.try_into().map_err(|_| bad("revision"))?,
            candles: 1,
        })
    }
}

/// Outer `None`: no sum.
fn optional_sum<const SCALE: u32>(text: &[u8]) -> Option<Option<Amount<SCALE>>> {
    if text.is_empty() { Some(None) } else { Amount::parse(text).ok().map(Some) }
}

/// indicators.csv; stands at the first row not yet used.
struct Values {
    table: Table,
}

/// The values of one label at each bar, and which of them rest on partial data.
#[derive(Clone)]
struct Column {
    values: Vec<Option<f64>>,
    partial: Vec<bool>,
}

impl Values {
    fn open(path: &Path) -> Result<Self, ReportError> {
        let columns =
            ["venue", "symbol", "interval", "open_time", "indicator", "output", "value", "data_state"];
        let mut table = Table::open(path, &columns)?;
        table.advance()?;
        Ok(Self { table })
    }

    /// A bar has the value of its last candle that has one.
    fn columns(
        &mut self,
        group: &Group,
        labels: &[Label],
        bars: &[ChartBar],
    ) -> Result<Vec<Column>, ReportError> {
        while self.table.at_row() && group.cmp_row(&self.table).is_gt() {
            self.table.advance()?;
        }
        let empty = Column { values: vec![None; bars.len()], partial: vec![false; bars.len()] };
        let mut columns = vec![empty; labels.len()];
        let (mut bar, mut label) = (0, 0);
        while group.holds(&self.table) {
            let table = &self.table;
            let open_at = UnixNanos::parse_iso(table.field(3).as_bytes())
                .map_err(|_| table.problem("open_time is not what replay writes"))?;
            while bars.get(bar).is_some_and(|b| b.close_at <= open_at.0) {
                bar += 1;
            }
            // Rows of a candle come in the order of the labels, so the next one is mostly the one.
            let is = |label: &Label| label.indicator == table.field(4) && label.output == table.field(5);
            if !labels.get(label).is_some_and(is) {
                label = labels
                    .iter()
                    .position(is)
                    .ok_or_else(|| table.problem("the indicator is none of those of the run"))?;
            }
            let value: f64 = table.field(6).parse().map_err(|_| table.problem("value is no number"))?;
            if bars.get(bar).is_some_and(|b| b.open_at <= open_at.0) && value.is_finite() {
                columns[label].values[bar] = Some(value);
                columns[label].partial[bar] = table.field(7) != "complete";
            }
            label += 1;
            self.table.advance()?;
        }
        Ok(columns)
    }
}

/// A series as the page's script reads it: a column is one text, blanks between its items, `-` for none.
///
/// `d`: nanoseconds, in `unit`s, from the end of the bar before to the beginning; `w`: to the end.
fn series_json(
    group: &Group,
    interval: Interval,
    bars: &[ChartBar],
    each: u64,
    columns: &[Column],
) -> String {
    let unit = interval.time().map_or(1, |time| time.nanos());
    let first = bars.first().map_or(0, |bar| bar.open_at);
    let mut texts: [String; 12] = Default::default();
    let mut before = first;
    for bar in bars {
        let [d, w, o, h, l, c, v, q, n, b, x, r] = &mut texts;
        push(d, Some((bar.open_at - before) / unit));
        push(w, Some((bar.close_at - bar.open_at) / unit));
        before = bar.close_at;
        let price =
            |pick: fn(&Ohlc) -> Price| -> Option<Decimal> { bar.prices.as_ref().map(|p| pick(p).decimal()) };
        push(o, price(|p| p.open));
        push(h, price(|p| p.high));
        push(l, price(|p| p.low));
        push(c, price(|p| p.close));
        push(v, Some(bar.volume));
        push(q, bar.quote_volume);
        push(n, bar.trade_count);
        push(b, bar.taker_buy_volume);
        push(x, bar.quote_volume.and_then(|sum| sum.average_price(bar.volume)));
        push(r, Some(bar.revision));
    }
    let states: String = bars
        .iter()
        .map(|bar| match bar.state {
            CandleState::Traded => 't',
            CandleState::Empty => 'e',
            CandleState::Partial => 'p',
            CandleState::Unknown => 'u',
        })
        .collect();
    let mut out = format!(
        "{{\"instrument\":{},\"interval\":{},\"each\":{each},\"unit\":\"{unit}\",\"first\":\"{first}\",\"states\":\"{states}\"",
        json(&group.instrument()),
        json(&group.interval),
    );
    for (name, text) in ["d", "w", "o", "h", "l", "c", "v", "q", "n", "b", "x", "r"].iter().zip(&texts) {
        out.push_str(&format!(",\"{name}\":\"{text}\""));
    }
    out.push_str(",\"values\":[");
    for (i, column) in columns.iter().enumerate() {
        let mut text = String::new();
        for value in &column.values {
            push(&mut text, value.map(Shortest));
        }
        out.push_str(if i == 0 { "\"" } else { ",\"" });
        out.push_str(&text);
        out.push('"');
    }
    out.push_str("],\"partial\":[");
    for (i, column) in columns.iter().enumerate() {
        // Mostly there is none, and nothing is written.
        let marks: String = if column.partial.contains(&true) {
            column.partial.iter().map(|&partial| if partial { 'p' } else { 'c' }).collect()
        } else {
            String::new()
        };
        out.push_str(&format!("{}\"{marks}\"", if i == 0 { "" } else { "," }));
    }
    out.push_str("]}");
    out
}

fn push(column: &mut String, item: Option<impl std::fmt::Display>) {
    use std::fmt::Write as _;
    if !column.is_empty() {
        column.push(' ');
    }
    match item {
        Some(item) => write!(column, "{item}").expect("a string takes any text"),
        None => column.push('-'),
    }
}

/// A float in its shortest form, without the `.0` of whole ones.
struct Shortest(f64);

impl std::fmt::Display for Shortest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut buffer = ryu::Buffer::new();
        let text = buffer.format_finite(self.0);
        f.write_str(text.strip_suffix(".0").unwrap_or(text))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::analytics::catalogue::Spec;
    use crate::replay::results::text::{CANDLES_HEADER, DIGESTS_HEADER, INDICATORS_HEADER};

    /// Seconds of `2024-05-01T00:00:00Z` and of the minutes after it.
    fn time(second: u64) -> String {
        format!("2024-05-01T{:02}:{:02}:{:02}Z", second / 3_600, second / 60 % 60, second % 60)
    }

    /// A run of `seconds` one-second candles of each instrument, every seventh of them unknown, with a gap.
    fn page(instruments: &[&str], seconds: u64, limits: Limits) -> (String, Value) {
        let dir = tempfile::tempdir().unwrap();
        let (mut candles, mut indicators) = (CANDLES_HEADER.to_owned(), INDICATORS_HEADER.to_owned());
        let (mut digests, mut gaps) = (DIGESTS_HEADER.to_owned(), String::new());
        for (rank, name) in instruments.iter().enumerate() {
            let (venue, symbol) = name.split_once(':').unwrap();
            for i in 0..seconds {
                let head = format!("{venue},{symbol},1s,{},", time(i));
                let rest = if i % 7 == 6 {
                    ",,,,0,0,0,0,0,,unknown,0,trades".to_owned()
                } else {
                    format!("{i}.5,9999.25,0.001,{i}.25,2,3,1,0.5,0.75,1.5,traded,1,trades")
                };
                candles.push_str(&format!("{head}{},{rest}\n", time(i + 1)));
                if i % 7 != 6 {
                    for (output, state) in [("\"sma(3)\",value,", "complete"), ("sma(2),value,", "partial")] {
                        indicators.push_str(&format!("{head}{output}{i}.125,0,{state}\n"));
                    }
                }
            }
            digests.push_str(&format!("{name},{},0,00\n", seconds + rank as u64));
            gaps.push_str(&format!(
                r#"{{"id":"g{rank}","venue":"{venue}","symbol":"{symbol}","kind":"ids","first_missing_id":"5","last_missing_id":"9007199254740993","from":"2024-05-01T00:00:06.000000001Z","to":"2024-05-01T00:00:07Z","state":"open"}}"#
            ));
            gaps.push('\n');
        }
        let summary = Summary { version: "</script><b>".to_owned(), ..Summary::default() };
        let write = |name: &str, text: &str| fs::write(dir.path().join(name), text).unwrap();
        write(CANDLES, &candles);
        write(INDICATORS, &indicators);
        write(DIGESTS, &digests);
        write(GAPS, &gaps);
        write(SUMMARY, &serde_json::to_string(&summary).unwrap());
        let settings =
            Settings::new(&["1s".parse().unwrap()], &Spec::parse_list("sma(3),sma(2)").unwrap(), 0);
        let to = dir.path().join("report.html");
        super::write(dir.path(), &to, &settings, limits).unwrap();
        let page = fs::read_to_string(&to).unwrap();
        assert!(!dir.path().join("report.html.tmp").exists());
        let (_, rest) = page.split_once("<script type=\"application/json\" id=\"data\">").unwrap();
        let (data, _) = rest.split_once("</script>").unwrap();
        let data = serde_json::from_str(data).unwrap();
        (page, data)
    }

    fn items<'a>(series: &'a Value, column: &str) -> Vec<&'a str> {
        series[column].as_str().unwrap().split(' ').collect()
    }

    #[test]
    fn the_page_fetches_nothing() {
        let (page, data) = page(&["a:A-B"], 20, Limits::default());
        for reference in
            ["http:", "https:", "src=", "href=", "@import", "url(", "fetch(", "import(", "XMLHttpRequest"]
        {
            assert!(!page.contains(reference), "{reference}");
        }
        assert!(page.contains("default-src 'none'"));
        // What the data says cannot end its element.
        assert_eq!(page.matches("</script>").count(), 2);
        assert_eq!(data["summary"]["version"], "</script><b>");
    }

    #[test]
    fn every_instrument_bar_value_and_gap_is_there_exactly() {
        let names = ["a:A-B", "b:币安人生-USDT", "c:C-D"];
        let (_, data) = page(&names, 20, Limits::default());
        assert_eq!(data["instruments"], 3);
        assert_eq!(data["charted"].as_array().unwrap().len(), 3);
        assert_eq!(data["labels"][1]["indicator"], "sma(2)");
        for (rank, name) in names.iter().enumerate() {
            let gap = &data["gaps"][rank];
            assert_eq!(gap["id"], format!("g{rank}"));
            assert_eq!(gap["last_missing_id"], "9007199254740993");
            assert_eq!(gap["from"], "2024-05-01T00:00:06.000000001Z");
            let series = &data["series"][rank];
            assert_eq!((&series["instrument"], &series["each"]), (&Value::from(*name), &Value::from(1)));
            assert_eq!(
                (&series["unit"], &series["first"]),
                (&"1000000000".into(), &"1714521600000000000".into())
            );
            assert_eq!(series["states"], "ttttttuttttttutttttt");
            assert_eq!(items(series, "d"), ["0"; 20]);
            assert_eq!(items(series, "w"), ["1"; 20]);
            assert_eq!(items(series, "o")[5..8], ["5.5", "-", "7.5"]);
            assert_eq!(items(series, "h")[0], "9999.25");
            assert_eq!(items(series, "l")[0], "0.001");
            assert_eq!(items(series, "x")[..7], ["1.5", "1.5", "1.5", "1.5", "1.5", "1.5", "-"]);
            assert_eq!(items(series, "b")[0], "0.5");
            let column = |at: usize| series["values"][at].as_str().unwrap().split(' ').collect::<Vec<_>>();
            assert_eq!(column(0)[4..8], ["4.125", "5.125", "-", "7.125"]);
            assert_eq!((column(0).len(), column(1)[0]), (20, "0.125"));
            assert_eq!(series["partial"][0], "");
            assert_eq!(series["partial"][1], "ppppppcppppppcpppppp");
        }
    }

    #[test]
    fn more_than_a_page_holds_is_merged_or_left_out_and_said() {
        let limits = Limits { bars: 400, bars_per_series_min: 100, gaps: 2, ..Limits::default() };
        let names = ["a:A-B", "b:A-B", "c:A-B", "d:A-B", "e:A-B"];
        let (_, data) = page(&names, 1_000, limits);
        assert_eq!(data["instruments"], 5);
        // The later ones have more candles.
        assert_eq!(data["charted"], serde_json::json!(["b:A-B", "c:A-B", "d:A-B", "e:A-B"]));
        assert_eq!(data["series"].as_array().unwrap().len(), 4);
        assert_eq!((data["gaps"].as_array().unwrap().len(), &data["gaps_left_out"]), (2, &Value::from(2)));
        let series = &data["series"][0];
        assert_eq!(series["each"], 16);
        let bars = 1_000usize.div_ceil(16);
        assert_eq!(items(series, "w").len(), bars);
        // 00:00:00 is a multiple of sixteen seconds.
        assert_eq!(items(series, "w")[0], "16");
        assert_eq!(items(series, "v")[..2], ["28", "28"]);
        assert_eq!(items(series, "c")[0], "15.25");
        assert_eq!(series["states"], "p".repeat(bars));
        assert_eq!(series["values"][0].as_str().unwrap().split(' ').next(), Some("15.125"));
    }

    #[test]
    fn a_run_without_candles_has_a_page() {
        let (_, data) = page(&[], 0, Limits::default());
        assert_eq!(data["series"], serde_json::json!([]));
    }

    #[test]
    fn what_is_missing_or_damaged_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let settings = Settings::new(&["1s".parse().unwrap()], &[], 0);
        let to = dir.path().join("report.html");
        let message = write(dir.path(), &to, &settings, Limits::default()).unwrap_err().to_string();
        assert!(message.contains("digests.csv"), "{message}");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }
}
