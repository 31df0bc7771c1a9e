//! Captured frames and REST pages of the venues that are watched live: every file is read, and every
//! trade in it is found.
//!
//! What stands in a file is counted by looking for its marks in the raw text, not by the parser that is
//! tested.

mod common;

use std::io::Read;
use std::path::Path;

use serde_json::Value;
use serde_json::value::RawValue;
use tapewatch::domain::event::Trade;
use tapewatch::domain::frame::{FrameSink, FrameSource, Spelled};
use tapewatch::domain::interval::Interval;
use tapewatch::domain::time::UnixNanos;
use tapewatch::venues::dialect::{Answer, Ask, Dialect};
use tapewatch::venues::dialects;

fn text_of(path: &Path) -> String {
    let bytes = std::fs::read(path).unwrap();
    let mut text = String::new();
    flate2::read::MultiGzDecoder::new(&bytes[..]).read_to_string(&mut text).unwrap();
    text
}

fn files(folder: &str) -> Vec<std::path::PathBuf> {
    let Some(folder) = common::shared(folder) else { return Vec::new() };
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(!files.is_empty());
    files
}

/// What was received, frame by frame, of both layouts of cryptofeed's captures.
fn received(text: &str) -> Vec<String> {
    if text.starts_with("{\"t\":") {
        let recv = |line: &str| -> Option<String> {
            let record: Value = serde_json::from_str(line).ok()?;
            (record["t"] == "recv").then(|| record["data"].as_str().unwrap().to_owned())
        };
        return text.lines().filter_map(recv).collect();
    }
    let recv = |line: &str| {
        let (head, frame) = line.split_once(": ")?;
        head.parse::<f64>().ok().map(|_| frame.to_owned())
    };
    text.lines().filter_map(recv).collect()
}

#[derive(Default)]
struct Told {
    trades: u64,
    refused: Vec<String>,
    symbols: Vec<String>,
}

impl FrameSink for Told {
    fn trade(&mut self, spelled: Spelled<'_>, _trade: Trade) {
        self.trades += u64::from(spelled.venue == "binance" || spelled.venue == "coinbase");
        self.symbols.push(spelled.symbol.to_owned());
    }

    fn refuse(&mut self, reason: String) {
        self.refused.push(reason);
    }
}

/// Reads the file's frames; gives back acknowledgements and snapshots seen.
fn check_frames(dialect: &dyn Dialect, path: &Path, marks: &[&str]) -> (usize, usize) {
    let mut told = Told::default();
    let mut parser = (dialect.parser().make)(FrameSource::default());
    let (mut expected, mut acks, mut snapshots) = (0, 0, 0);
    for frame in received(&text_of(path)) {
        expected += marks.iter().map(|mark| frame.matches(mark).count() as u64).sum::<u64>();
        let before = told.trades;
        parser.frame(&frame, None, &mut told);
        if told.trades > before && dialect.is_snapshot(&frame) {
            snapshots += 1;
        }
        acks += dialect.control(&frame).len();
    }
    assert_eq!((told.trades, told.refused), (expected, Vec::new()), "{}", path.display());
    assert!(expected > 0, "{}", path.display());
    (acks, snapshots)
}

#[test]
fn every_trade_of_binance_frames_is_found() {
    let dialect = dialects::find("binance", "").unwrap();
    for path in files("data/ws/binance") {
        check_frames(&*dialect, &path, &["\"e\":\"trade\"", "\"e\":\"aggTrade\""]);
    }
}

#[test]
fn every_trade_of_coinbase_frames_is_found() {
    let advanced = dialects::find("coinbase", "advanced").unwrap();
    for path in files("data/ws/coinbase") {
        // Ticker messages have no trade_id here, but other channels tell none either.
        let (acks, snapshots) = check_frames(&*advanced, &path, &["\"trade_id\":"]);
        assert!(acks >= 2, "{acks} acknowledgements and heartbeats");
        assert_eq!(snapshots, 2);
    }
    let exchange = dialects::find("coinbase", "exchange").unwrap();
    for path in files("data/ws/coinbase_exchange") {
        let marks = ["\"type\":\"match\"", "\"type\":\"last_match\""];
        let (acks, snapshots) = check_frames(&*exchange, &path, &marks);
        assert_eq!((acks, snapshots), (3, 10));
    }
}

#[test]
fn captured_lists_of_markets_are_read() {
    let listings = |venue: &str, feed: &str, way: usize, body: &str| {
        let dialect = dialects::find(venue, feed).unwrap();
        match dialect.answer(&Ask::Listings, way, body) {
            Ok(Answer::Listings(found)) => found,
            other => panic!("{venue} {feed}: {other:?}"),
        }
    };
    let body_of = |text: &str, part: &str| -> String {
        let line = text.lines().find(|line| line.starts_with("https") && line.contains(part)).unwrap();
        line[line.find(": ").unwrap() + 2..].to_owned()
    };
    for path in files("data/rest/binance")
        .iter()
        .filter(|path| path.ends_with("cryptofeed_BINANCE_2021-10-12.txt.gz"))
    {
        let text = text_of(path);
        let found = listings("binance", "", 0, &body_of(&text, "exchangeInfo"));
        assert_eq!(found.len(), text.matches("\"baseAsset\":").count());
        assert!(found.iter().any(|listing| listing.spelling == "NKNUSDT" && listing.symbol == "NKN-USDT"));
    }
    for path in files("data/rest/coinbase_exchange") {
        let text = text_of(&path);
        let found = listings("coinbase", "exchange", 0, &body_of(&text, "/products"));
        assert_eq!(found.len(), text.matches("\"base_currency\":").count());
    }
    for path in files("data/ws/coinbase") {
        let text = text_of(&path);
        let record: Value = serde_json::from_str(text.lines().nth(1).unwrap()).unwrap();
        let found = listings("coinbase", "advanced", 0, record["data"].as_str().unwrap());
        let spelling = |symbol: &str| {
            found.iter().find(|listing| listing.symbol == symbol).map(|listing| listing.spelling.as_str())
        };
        assert_eq!(spelling("BTC-USD"), Some("BTC-USD"));
        assert_eq!(spelling("BTC-USDC"), Some("BTC-USD"), "the twin's name");
        assert_eq!(spelling("USDT-USDC"), Some("USDT-USDC"));
    }
}

/// gocryptotrader's recorded answers: of each path that we ask, all bodies.
#[test]
fn captured_rest_pages_are_read() {
    let Some(path) = common::shared("data/rest/binance/gocryptotrader_http_mock.json.gz") else { return };
    let text = text_of(&path);
    let mock: std::collections::BTreeMap<String, Box<RawValue>> = serde_json::from_str(&text).unwrap();
    let routes: std::collections::BTreeMap<String, std::collections::BTreeMap<String, Vec<Box<RawValue>>>> =
        serde_json::from_str(mock["routes"].get()).unwrap();
    let bodies = |path: &str| -> Vec<String> {
        routes[path]["GET"]
            .iter()
            .map(|entry| {
                let entry: std::collections::BTreeMap<String, Box<RawValue>> =
                    serde_json::from_str(entry.get()).unwrap();
                entry["data"].get().to_owned()
            })
            .collect()
    };
    let dialect = dialects::find("binance", "").unwrap();
    let spelling = "BTCUSDT".to_owned();

    let trades = Ask::Trades { spelling: spelling.clone(), first_id: 1, limit: 1_000 };
    for body in bodies("/api/v3/historicalTrades") {
        let rows: Vec<Value> = serde_json::from_str(&body).unwrap();
        let Ok(Answer::Trades(page)) = dialect.answer(&trades, 0, &body) else { panic!("{body}") };
        assert_eq!((page.trades.len(), page.refused.len()), (rows.len(), 0));
        let ids: Vec<_> = page.trades.iter().map(|trade| trade.id.to_string()).collect();
        let expected: Vec<_> = rows.iter().map(|row| row["id"].to_string()).collect();
        assert_eq!(ids, expected);
    }
    let Some(Interval::Time(hour)) = "1h".parse().ok() else { panic!("an interval") };
    let klines = Ask::Klines { spelling, interval: hour, from: UnixNanos(0), to: UnixNanos(1) };
    let mut candles = 0;
    for body in bodies("/api/v3/klines") {
        let rows: Vec<Value> = serde_json::from_str(&body).unwrap();
        let Ok(Answer::Klines(found)) = dialect.answer(&klines, 0, &body) else { panic!("{body}") };
        assert_eq!(found.len(), rows.len());
        candles += found.len();
    }
    assert!(candles > 1_000, "{candles}");
    for body in bodies("/api/v3/exchangeInfo") {
        assert!(
            matches!(dialect.answer(&Ask::Listings, 0, &body), Ok(Answer::Listings(found)) if !found.is_empty())
        );
    }
}

/// Answers and control frames as venues write them, to be spoilt.
const SAMPLES: &[&str] = &[
    r#"{"serverTime":1700000000123}"#,
    r#"{"symbols":[{"symbol":"BTCUSDT","status":"TRADING","baseAsset":"BTC","quoteAsset":"USDT"}]}"#,
    r#"[{"id":870281750,"isBestMatch":true,"isBuyerMaker":true,"price":"38172.11000000","qty":"0.15000000","quoteQty":"5725.81650000","time":1621933655947}]"#,
    r#"[[1586987400000,"6733.55","6737.79","6726.61","6727.14","121.2",1586987699999,"815879.49",2208,"56.19","378311.74","0"]]"#,
    r#"{"result":null,"id":3}"#,
    r#"{"error":{"code":1,"msg":"bad"},"id":"5"}"#,
    r#"{"stream":"!serverShutdown","data":{"e":"serverShutdown","E":1}}"#,
    r#"{"iso":"2026-01-02T03:04:05.123Z","epochSeconds":"1767323045","epochMillis":"1767323045123"}"#,
    r#"{"products":[{"product_id":"BTC-USDC","base_currency_id":"BTC","quote_currency_id":"USDC","alias":"BTC-USD","status":"online"}]}"#,
    r#"[{"id":"BTC-USD","base_currency":"BTC","quote_currency":"USD","status":"online","trading_disabled":false}]"#,
    r#"[{"trade_id":12,"side":"sell","size":"0.1","price":"10.5","time":"2026-01-02T03:04:05.605867Z"}]"#,
    r#"{"trades":[{"trade_id":"12","product_id":"BTC-USD","price":"1","size":"2","time":"2026-01-02T03:04:05Z","side":"SELL"}]}"#,
    "[[1704067260,9.5,11,10,10.5,3.25]]",
    r#"{"channel":"subscriptions","events":[{"subscriptions":{"market_trades":["BTC-USD"]}}]}"#,
    r#"{"channel":"market_trades","events":[{"type":"snapshot","trades":[]}]}"#,
    r#"{"type":"heartbeat","sequence":90,"last_trade_id":20,"product_id":"BTC-USD","time":"2014-11-07T08:19:28.464459Z"}"#,
    r#"{"type":"error","message":"Failed to subscribe","reason":"XXX-YYY is not a valid product"}"#,
];

/// Pieces that parsers stumble over.
const PIECES: &[&str] = &[
    "null",
    "{}",
    "[]",
    "\"",
    "\\u0000",
    "-1",
    "1e999",
    "18446744073709551616",
    "é",
    ",",
    ":",
    "}",
    "]",
    "NaN",
    "0.0",
    "9999999999999999999999999",
    "\"\"",
    "true",
];

/// Whatever is said, nothing panics, and what is read is sound. `TAPEWATCH_NOISE_SECONDS` spoils for longer.
#[test]
fn spoilt_answers_cost_nothing_but_themselves() {
    let seconds = std::env::var("TAPEWATCH_NOISE_SECONDS").ok().and_then(|text| text.parse().ok());
    let limit = std::time::Duration::from_secs(seconds.unwrap_or(0));
    let stopwatch = tapewatch::runtime::clock::Stopwatch::start();
    let interval = "1m".parse::<Interval>().unwrap().time().unwrap();
    let mut seed = 7;
    let mut roll = |sides: usize| {
        seed = tapewatch::runtime::backoff::splitmix(seed);
        (seed % sides as u64) as usize
    };
    let mut spoilt = 0_u64;
    while spoilt < 20_000 || stopwatch.elapsed() < limit {
        let mut text = SAMPLES[roll(SAMPLES.len())].to_owned();
        for _ in 0..=roll(4) {
            let at = (0..=roll(text.len() + 1)).rev().find(|&at| text.is_char_boundary(at.min(text.len())));
            let at = at.unwrap_or(0).min(text.len());
            match roll(4) {
                0 => text.truncate(at),
                1 => text.insert_str(at, PIECES[roll(PIECES.len())]),
                2 => {
                    let end = (at + roll(12)).min(text.len());
                    let end = (at..=end).rev().find(|&end| text.is_char_boundary(end)).unwrap_or(at);
                    text.replace_range(at..end, PIECES[roll(PIECES.len())]);
                }
                _ => {
                    let again = text[at..].to_owned();
                    text.push_str(&again);
                }
            }
        }
        let entry = &dialects::DIALECTS[roll(dialects::DIALECTS.len())];
        let dialect = (entry.make)();
        let _ =
            (dialect.control(&text), dialect.is_snapshot(&text), dialect.error(400 + roll(30) as u16, &text));
        let spelling = "BTC-USD".to_owned();
        let ask = match roll(5) {
            0 => Ask::Time,
            1 => Ask::Listings,
            2 => Ask::Trades { spelling, first_id: 7, limit: 100 },
            3 => Ask::Latest { spelling, limit: 10 },
            _ => {
                Ask::Klines { spelling: text.clone(), interval, from: UnixNanos(0), to: UnixNanos(i64::MAX) }
            }
        };
        assert!(dialect.requests(&ask).iter().all(|request| request.path.is_ascii()), "{text}");
        match dialect.answer(&ask, roll(2), &text) {
            Ok(Answer::Time(at)) => assert!(at.plausible().is_ok(), "{text}"),
            Ok(Answer::Trades(page)) => {
                let is_sound = |trade: &Trade| {
                    !trade.price.decimal().is_zero()
                        && !trade.quantity.decimal().is_zero()
                        && trade.exchange_at.plausible().is_ok()
                };
                assert!(page.trades.iter().all(is_sound), "{text}");
            }
            Ok(Answer::Listings(_) | Answer::Klines(_)) | Err(_) => {}
        }
        let mut parser = (dialect.parser().make)(FrameSource::default());
        parser.frame(&text, None, &mut Told::default());
        spoilt += 1;
    }
    println!("{spoilt} texts spoilt, seed 7");
}
