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
