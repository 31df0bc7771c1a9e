//! Our candles against candles that others made of the same trades.
//!
//! Trades and candles of one market from one source, candles of several lengths that an exchange
//! computed itself, and captures in which trades and the exchange's own running candles lie side
//! by side. Numbers are compared as exact text, never within a tolerance.

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::Read;
use std::path::Path;

use flate2::read::GzDecoder;
use serde_json::Value;
use tapewatch::analytics::archive::MemoryArchive;
use tapewatch::analytics::pipeline::{Settings, SymbolPipeline};
use tapewatch::domain::candle::Candle;
use tapewatch::domain::decimal::{Decimal, Price, QuoteVolume, Volume};
use tapewatch::domain::event::{Event, Trade};
use tapewatch::domain::interval::{Interval, TimeInterval};
use tapewatch::domain::output::{Output, OutputSink, Position};
use tapewatch::domain::time::UnixNanos;
use tapewatch::domain::venue::{IdRule, Venue};
use tapewatch::replay::merge::{Inputs, Options};
use tapewatch::venues::PARSERS;

const SECOND: i64 = 1_000_000_000;

/// By the second in which a candle opens.
type Candles = BTreeMap<i64, Bar>;

/// What both sides know of a candle.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Bar {
    open: String,
    high: String,
    low: String,
    close: String,
    volume: String,
}

impl Bar {
    /// `None` where nothing traded.
    fn of(candle: &Candle) -> Option<Self> {
        let prices = candle.prices?;
        let [open, high, low, close] =
            [prices.open, prices.high, prices.low, prices.close].map(|price| price.decimal().to_string());
        Some(Self { open, high, low, close, volume: candle.volume.to_string() })
    }

    /// From texts that may bear exponents and zeros at their end.
    fn read(texts: &[&str]) -> Self {
        let [open, high, low, close, volume] = texts else { panic!("no candle: {texts:?}") };
        let price = |text: &str| Decimal::parse_scientific(text.as_bytes()).unwrap().to_string();
        Self {
            open: price(open),
            high: price(high),
            low: price(low),
            close: price(close),
            volume: Volume::parse(volume.as_bytes()).unwrap().to_string(),
        }
    }
}

/// Keeps the last revision of each candle.
#[derive(Default)]
struct Last(BTreeMap<(Interval, i64), Candle>);

impl OutputSink for Last {
    fn accept(&mut self, _cause_seq: u64, output: Output<'_>) {
        if let Output::Candle(candle) = output {
            self.0.insert((candle.interval, candle.open_at.0 / SECOND), candle.clone());
        }
    }
}

impl Last {
    fn traded(&self, interval: &str) -> Candles {
        let interval: Interval = interval.parse().unwrap();
        let of_it = self.0.iter().filter(|((of, _), _)| *of == interval);
        of_it.filter_map(|((_, open), candle)| Some((*open, Bar::of(candle)?))).collect()
    }
}

/// One instrument's events through a pipeline of its own.
fn candles_of(events: &[Event], rule: IdRule, intervals: &str) -> Last {
    let intervals: Vec<Interval> = intervals.split(',').map(|text| text.parse().unwrap()).collect();
    let settings = Settings::new(&intervals, &[], 2 * SECOND);
    let mut pipeline = SymbolPipeline::new("x:A-B".parse().unwrap(), rule, &settings);
    let (mut last, mut archive) = (Last::default(), MemoryArchive::default());
    for (i, event) in events.iter().enumerate() {
        pipeline.on_event(Position(i as u64), event, &mut archive, &mut last);
    }
    pipeline.finish(&mut archive, &mut last);
    last
}

/// The events of a recording by instrument, none of its lines skipped.
fn read(path: &Path, options: Options) -> BTreeMap<String, (IdRule, Vec<Event>)> {
    let options = Options { max_quarantined: Some(0), frame_parsers: PARSERS, ..options };
    let mut inputs = Inputs::open(&[path.to_owned()], options).unwrap();
    let (mut batch, mut events) = (Vec::new(), BTreeMap::new());
    while inputs.next_batch(&mut batch).unwrap() {
        for entry in &batch {
            let (instrument, rule) = inputs.roster().get(entry.instrument);
            let of_it: &mut (_, Vec<_>) =
                events.entry(instrument.to_string()).or_insert_with(|| (*rule, Vec::new()));
            of_it.1.push(entry.event.clone());
        }
    }
    inputs.finish().unwrap();
    assert_eq!(inputs.quarantined(), 0);
    events
}

fn read_one(path: &Path, options: Options) -> (IdRule, Vec<Event>) {
    let mut all = read(path, options);
    assert_eq!(all.len(), 1, "{:?}", all.keys());
    all.pop_first().unwrap().1
}

fn said(instrument: &str, format: &str, interval: Option<&str>) -> Options {
    let (venue, symbol) = instrument.split_once(':').unwrap();
    Options {
        format: Some(format.to_owned()),
        venue: Some(Venue::new(venue).unwrap()),
        symbol: Some(symbol.to_owned()),
        interval: interval.map(time_interval),
        ..Options::default()
    }
}

fn time_interval(text: &str) -> TimeInterval {
    text.parse::<Interval>().unwrap().time().unwrap()
}

/// Ready candles as a file of ours, rebuilt into `intervals`, of which the first is their own.
fn rebuilt(dir: &Path, rows: impl Iterator<Item = (i64, Vec<String>)>, intervals: &str) -> Last {
    let mut text = String::from("open_time,open,high,low,close,volume\n");
    for (open, texts) in rows {
        text.push_str(&format!("{open},{}\n", texts.join(",")));
    }
    let path = dir.join("candles.csv");
    fs::write(&path, text).unwrap();
    let own = intervals.split(',').next();
    let (rule, events) = read_one(&path, said("binance:BTC-USDT", "ohlcv", own));
    candles_of(&events, rule, intervals)
}

fn unpacked(path: &Path) -> String {
    let mut text = String::new();
    let file = File::open(path).unwrap();
    if path.extension().is_some_and(|extension| extension == "zip") {
        zip::ZipArchive::new(file).unwrap().by_index(0).unwrap().read_to_string(&mut text).unwrap();
    } else {
        GzDecoder::new(file).read_to_string(&mut text).unwrap();
    }
    text
}

fn seconds(text: &str) -> i64 {
    let text = text.replace("+00:00", "Z").replacen(' ', "T", 1);
    UnixNanos::parse_iso(text.as_bytes()).unwrap().0 / SECOND
}

#[test]
fn aggregates_make_the_candles_of_freqtrade() {
    let Some(folder) = common::shared("data/candlecheck/binance_xrpeth") else { return };
    let trades: Vec<Value> = serde_json::from_str(&unpacked(&folder.join("XRP_OLD-trades.json.gz"))).unwrap();
    assert_eq!(trades.len(), 12_477);
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let lines: Vec<String> = trades
        .iter()
        .map(|trade| {
            ["a", "p", "q", "f", "l", "T", "m", "M"].map(|name| text(&trade["info"][name])).join(",")
        })
        .collect();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("XRPETH-aggTrades-2019-10.csv");
    fs::write(&path, lines.join("\n")).unwrap();
    let (rule, events) = read_one(&path, Options::default());
    let last = candles_of(&events, rule, "1m,5m");
    for (interval, rows) in [("1m", 2_469), ("5m", 706)] {
        let expected: Candles = unpacked(&folder.join(format!("XRP_ETH-{interval}.derived.csv.gz")))
            .lines()
            .skip(1)
            .map(|line| {
                let fields: Vec<&str> = line.split(',').collect();
                (seconds(fields[0]), Bar::read(&fields[1..]))
            })
            .collect();
        assert_eq!(expected.len(), rows);
        check_equal(interval, &expected, &last.traded(interval));
    }
    let first = trades[0]["info"]["f"].as_u64().unwrap();
    let counted: u64 = last.0.values().filter_map(|candle| candle.trade_count).sum();
    let last_id = trades.last().unwrap()["info"]["l"].as_u64().unwrap();
    assert_eq!(counted, 2 * (last_id - first + 1), "each trade of an aggregate counts, once an interval");
}

#[test]
fn seconds_make_the_minutes_of_lean() {
    let Some(folder) = common::shared("data/candlecheck/lean_coinbase_btcusd") else { return };
    let dir = tempfile::tempdir().unwrap();
    for (day, rows) in [("20161007", 1_419), ("20161008", 1_400)] {
        let midnight = seconds(&format!("{}-{}-{}T00:00:00Z", &day[..4], &day[4..6], &day[6..]));
        let bars = |name: &str| -> Vec<(i64, Vec<String>)> {
            unpacked(&folder.join(format!("{day}_{name}_trade.zip")))
                .lines()
                .map(|line| {
                    let fields: Vec<&str> = line.trim().split(',').collect();
                    let millis: i64 = fields[0].parse().unwrap();
                    (midnight + millis / 1_000, fields[1..].iter().map(|&text| text.to_owned()).collect())
                })
                .collect()
        };
        let expected: Candles = bars("minute").iter().map(|(open, texts)| (*open, bar_of(texts))).collect();
        assert_eq!(expected.len(), rows);
        let last = rebuilt(dir.path(), bars("second").into_iter(), "1s,1m");
        check_equal(day, &expected, &last.traded("1m"));
    }
}

fn bar_of(texts: &[String]) -> Bar {
    Bar::read(&texts.iter().map(String::as_str).collect::<Vec<_>>())
}

/// All that differs is told, at most ten of it.
fn check_equal(name: &str, expected: &Candles, made: &Candles) {
    let opens: BTreeSet<&i64> = expected.keys().chain(made.keys()).collect();
    let differing: Vec<String> = opens
        .into_iter()
        .filter(|open| expected.get(open) != made.get(open))
        .map(|open| format!("{open}: {:?}, not {:?}", made.get(open), expected.get(open)))
        .collect();
    let shown = differing.len().min(10);
    assert!(differing.is_empty(), "{name}: {} differ\n{}", differing.len(), differing[..shown].join("\n"));
}

/// Every longer candle of a file of candles that the exchange made, of the shorter ones of the same
/// file. Gives back how many were compared. The newest of a length was still open.
fn check_lengths(file: &str) -> usize {
    let Some(path) = common::shared(&format!("data/candlecheck/octobot_multi_tf/{file}")) else { return 0 };
    // By symbol and length: open time and texts.
    let mut frames: BTreeMap<(String, TimeInterval), BTreeMap<i64, Vec<String>>> = BTreeMap::new();
    for line in unpacked(&path).lines().skip(1) {
        let fields: Vec<&str> = line.split(',').collect();
        // 3d and 1M are none of ours.
        let Ok(interval) = fields[2].parse::<Interval>() else { continue };
        let open = fields[4].trim_end_matches(".0").parse().unwrap();
        let texts = fields[5..].iter().map(|&text| text.to_owned()).collect();
        frames.entry((fields[1].to_owned(), interval.time().unwrap())).or_default().insert(open, texts);
    }
    let dir = tempfile::tempdir().unwrap();
    let mut compared = 0;
    for ((symbol, short), rows) in &frames {
        let longer: Vec<_> = frames
            .iter()
            .filter(|((of, long), _)| of == symbol && long > short && long.is_multiple_of(*short))
            .collect();
        let intervals: Vec<String> = std::iter::once(*short)
            .chain(longer.iter().map(|((_, long), _)| *long))
            .map(|interval| Interval::Time(interval).to_string())
            .collect();
        let rows_in = rows.iter().map(|(open, texts)| (*open, texts.clone()));
        let last = rebuilt(dir.path(), rows_in, &intervals.join(","));
        for ((_, long), truth) in longer {
            let name = Interval::Time(*long).to_string();
            let (made, newest) = (last.traded(&name), *truth.keys().next_back().unwrap());
            let step = short.nanos() / SECOND;
            let is_whole = |open: &i64| {
                let end = open + long.nanos() / SECOND;
                (*open..end).step_by(step as usize).all(|part| rows.contains_key(&part))
            };
            let whole: Vec<i64> =
                truth.keys().copied().filter(|open| *open != newest && is_whole(open)).collect();
            let chosen = |of: &Candles| -> Candles {
                whole.iter().filter_map(|open| Some((*open, of.get(open)?.clone()))).collect()
            };
            let expected = truth.iter().map(|(open, texts)| (*open, bar_of(texts))).collect();
            check_equal(
                &format!("{file}: {symbol} {intervals:?} to {name}"),
                &chosen(&expected),
                &chosen(&made),
            );
            compared += whole.len();
        }
    }
    compared
}

#[test]
fn short_candles_make_the_long_ones_of_their_exchange() {
    for (file, expected) in [
        ("binance_ADABTC_AbstractExchangeHistoryCollector_1581774950.9324272.data.derived.csv.gz", 3_800),
        ("binance_ADABTC_ExchangeHistoryDataCollector_1588110698.1060486.data.derived.csv.gz", 4_551),
        ("binance_BTCUSDT_AbstractExchangeHistoryCollector_1581774962.1269426.data.derived.csv.gz", 3_835),
        ("bittrex_ETCBTC_AbstractExchangeHistoryCollector_1581775133.1533682.data.derived.csv.gz", 2_499),
        ("bittrex_XRPBTC_AbstractExchangeHistoryCollector_1581775149.6372743.data.derived.csv.gz", 3_489),
    ] {
        let compared = check_lengths(file);
        assert!(compared == expected || compared == 0, "{file}: {compared} compared, not {expected}");
    }
}

/// Binance shows a minute without trades at a price that is not that of its neighbours: 21:30 of
/// 2020-04-28, which opens at 0.00000607 where the candles of 3, 5 and 15 minutes that begin with
/// it open at 0.00000606. Such prices are of no trade, and are dropped: hence the equality above.
#[test]
fn a_minute_without_trades_has_no_prices() {
    let file = "binance_ADABTC_ExchangeHistoryDataCollector_1588110698.1060486.data.derived.csv.gz";
    let Some(path) = common::shared(&format!("data/candlecheck/octobot_multi_tf/{file}")) else { return };
    let text = unpacked(&path);
    let row = |interval: &str| -> Vec<String> {
        let start = format!("binance,ADA/BTC,{interval},");
        let at = text
            .lines()
            .find(|line| line.starts_with(&start) && line.split(',').nth(4) == Some("1588109400.0"));
        at.unwrap().split(',').skip(5).map(str::to_owned).collect()
    };
    let minute = row("1m");
    assert_eq!((minute[0].as_str(), minute[4].as_str()), ("6.07e-06", "0.0"));
    for parent in ["3m", "5m", "15m"] {
        assert_eq!(row(parent)[0], "6.06e-06", "{parent}");
    }
    let dir = tempfile::tempdir().unwrap();
    let last = rebuilt(dir.path(), std::iter::once((1_588_109_400, minute)), "1m,3m");
    assert!(last.traded("1m").is_empty() && last.traded("3m").is_empty());
}

/// Lines of a capture that hold a received frame, as JSON.
fn frames(path: &Path) -> Vec<Value> {
    let text = unpacked(path);
    let frame = |line: &str| -> Option<Value> {
        if line.starts_with('{') {
            let record: Value = serde_json::from_str(line).ok()?;
            let is_received = record["t"] == "recv";
            return is_received.then(|| serde_json::from_str(record["data"].as_str()?).ok()).flatten();
        }
        serde_json::from_str(line.split_once(": ")?.1).ok()
    };
    text.lines().filter_map(frame).collect()
}

fn trades_of(events: &[Event]) -> BTreeMap<String, Trade> {
    let trade = |event: &Event| match event {
        Event::Trade(trade) => Some((trade.id.to_string(), trade.clone())),
        _ => None,
    };
    events.iter().filter_map(trade).collect()
}

fn field(value: &Value, name: &str) -> String {
    value[name].as_str().unwrap_or_else(|| panic!("{name} in {value}")).to_owned()
}

/// The running candles of a capture whose trades it holds all: compared and not.
fn check_klines(file: &str) -> (usize, usize) {
    let Some(path) = common::shared(&format!("data/ws/{file}.gz")) else { return (0, 0) };
    let events = read(&path, Options::default());
    let (mut aggregates, mut klines) = (BTreeMap::<String, Vec<Value>>::new(), Vec::new());
    for frame in frames(&path) {
        let data = &frame["data"];
        match data["e"].as_str() {
            Some("aggTrade") => aggregates.entry(field(data, "s")).or_default().push(data.clone()),
            Some("kline") => klines.push(data["k"].clone()),
            _ => {}
        }
    }
    let (mut equal, mut uncovered) = (0, 0);
    for kline in klines {
        let whole = |value: &Value, name: &str| value[name].as_u64();
        let symbol = field(&kline, "s");
        let inside: Vec<&Value> = aggregates
            .get(&symbol)
            .into_iter()
            .flatten()
            .filter(|trade| {
                whole(trade, "f") >= whole(&kline, "f") && whole(trade, "l") <= whole(&kline, "L")
            })
            .collect();
        let ends = (inside.first().and_then(|t| whole(t, "f")), inside.last().and_then(|t| whole(t, "l")));
        if ends.0.is_none() || ends != (whole(&kline, "f"), whole(&kline, "L")) {
            uncovered += 1;
            continue;
        }
        let (_, (rule, events)) = events
            .iter()
            .find(|(name, _)| name.split_once(':').unwrap().1.replace('-', "") == symbol)
            .expect("its trades were read");
        let trades = trades_of(events);
        let taken: Vec<Event> =
            inside.iter().map(|trade| Event::Trade(trades[&trade["a"].to_string()].clone())).collect();
        let last = candles_of(&taken, *rule, "1m");
        assert_eq!(last.0.len(), 1);
        let candle = last.0.values().next().unwrap();
        assert_eq!(kline["t"], candle.open_at.0 / 1_000_000);
        let texts = ["o", "h", "l", "c", "v"].map(|name| field(&kline, name));
        assert_eq!(Bar::of(candle), Some(bar_of(&texts)), "{file}: {kline}");
        let quote = |name: &str| QuoteVolume::parse(field(&kline, name).as_bytes()).ok();
        assert_eq!(candle.trade_count, whole(&kline, "n"), "{file}: {kline}");
        assert_eq!(candle.quote_volume, quote("q"), "{file}: {kline}");
        assert_eq!(candle.taker_buy_quote_volume, quote("Q"), "{file}: {kline}");
        assert_eq!(
            candle.taker_buy_volume,
            Volume::parse(field(&kline, "V").as_bytes()).ok(),
            "{file}: {kline}"
        );
        equal += 1;
    }
    (equal, uncovered)
}

#[test]
fn captured_trades_make_the_running_candles_of_binance() {
    for (file, equal, begun_before) in [
        ("binance/cryptofeed_BINANCE.ws.1_2021-08-14.txt", 2, 15),
        ("binance/cryptofeed_BINANCE.ws.1_2021-10-12.txt", 1, 1),
        ("binance_us/cryptofeed_BINANCE_US.ws.1_2021-10-12.txt", 1, 4),
        ("binance_futures/cryptofeed_BINANCE_FUTURES.ws.1_2021-07-22.txt", 15, 52),
    ] {
        let found = check_klines(file);
        assert!([(equal, begun_before), (0, 0)].contains(&found), "{file}: {found:?}");
    }
}

/// Bybit's candle begins with the close of the one before, so that its open, high and low hold a
/// price that may be of no trade of its own; all else is the trades'. A candle is told up to a
/// moment; what trades shortly before it may come only with the next.
#[test]
fn captured_trades_make_the_running_candles_of_bybit() {
    let path = "data/ws/bybit/cryptofeed_BYBIT_2026-08-09_part1.jsonl.gz";
    let Some(path) = common::shared(path) else { return };
    let events = read(&path, Options::default());
    let whole = |value: &Value| value.as_i64().unwrap() * 1_000_000;
    let (mut equal, mut begun_before, mut behind) = (0, 0, Vec::new());
    for frame in frames(&path) {
        let Some(symbol) = frame["topic"].as_str().and_then(|topic| topic.strip_prefix("kline.1.")) else {
            continue;
        };
        let (_, (rule, events)) = events
            .iter()
            .find(|(name, _)| name.split_once(':').unwrap().1.replace('-', "") == symbol)
            .expect("its trades were read");
        for kline in frame["data"].as_array().unwrap() {
            let (start, told) = (whole(&kline["start"]), whole(&kline["timestamp"]));
            // The capture begins within the minute before.
            if start < 1_786_310_820 * SECOND {
                begun_before += 1;
                continue;
            }
            let at = |event: &&Event| match event {
                Event::Trade(trade) => (start..=told).contains(&trade.exchange_at.0),
                _ => false,
            };
            let taken: Vec<Event> = events.iter().filter(at).cloned().collect();
            if is_bybits(kline, &candles_of(&taken, *rule, "1m")) {
                equal += 1;
            } else {
                let without_last = &taken[..taken.len() - 1];
                assert!(is_bybits(kline, &candles_of(without_last, *rule, "1m")), "{symbol} {kline}");
                behind.push((symbol.to_owned(), kline["timestamp"].as_i64().unwrap()));
            }
        }
    }
    assert_eq!((equal, begun_before), (44, 10));
    // Its last trade is of 65 ms before it.
    assert_eq!(behind, [("SOLUSDT".to_owned(), 1_786_310_822_006)]);
}

fn is_bybits(kline: &Value, last: &Last) -> bool {
    let bar = bar_of(&["open", "high", "low", "close", "volume"].map(|name| field(kline, name)));
    let turnover = QuoteVolume::parse(field(kline, "turnover").as_bytes()).ok();
    let Some(candle) = last.0.values().next() else { return bar.volume == "0" };
    let prices = candle.prices.expect("it has trades");
    let price = |text: &str| Price::new(Decimal::parse(text.as_bytes()).unwrap()).unwrap();
    let open = price(&bar.open);
    candle.volume.to_string() == bar.volume
        && candle.quote_volume == turnover
        && prices.close == price(&bar.close)
        && prices.high.max(open) == price(&bar.high)
        && prices.low.min(open) == price(&bar.low)
}
