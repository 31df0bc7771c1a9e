//! Single frames of every dialect, captured by others: what is read of them stays as it is.
//!
//! The frames are not part of the repository, so what is held is how many trades they tell, how many
//! are refused, and a hash of both as text; where it differs, the text is printed.

mod common;

use serde::Deserialize;
use serde_json::value::RawValue;
use tapewatch::domain::event::Trade;
use tapewatch::domain::frame::{FrameParserEntry, FrameSink, FrameSource, Spelled};
use tapewatch::venues::PARSERS;

#[derive(Deserialize)]
struct Tardis {
    message: Box<RawValue>,
}

#[derive(Deserialize)]
struct Captured {
    raw: String,
}

#[derive(Default)]
struct Told {
    trades: u64,
    refused: u64,
    text: String,
}

impl FrameSink for Told {
    fn trade(&mut self, spelled: Spelled<'_>, trade: Trade) {
        self.trades += 1;
        let Spelled { venue, symbol, kind, id_rule } = spelled;
        self.text += &format!(
            "{venue} {symbol} {kind:?} {} {} {} {} {} {:?} {}\n",
            id_rule.name(),
            trade.id,
            trade.price.decimal(),
            trade.quantity.decimal(),
            trade.exchange_at,
            trade.taker_side,
            trade.trade_count
        );
    }

    fn refuse(&mut self, reason: String) {
        self.refused += 1;
        self.text += &format!("refused: {reason}\n");
    }
}

fn entry(name: &str) -> &'static FrameParserEntry {
    PARSERS.iter().find(|entry| entry.name == name).unwrap()
}

fn text_of(path: &str) -> Option<String> {
    use std::io::Read;
    let path = common::shared(path)?;
    let bytes = std::fs::read(&path).unwrap();
    let mut text = String::new();
    if path.extension().is_some_and(|extension| extension == "gz") {
        flate2::read::MultiGzDecoder::new(&bytes[..]).read_to_string(&mut text).unwrap();
    } else {
        text = String::from_utf8(bytes).unwrap();
    }
    Some(text)
}

/// Checks of `(file, dialect, trades, refused, hash)`.
fn check(folder: &str, cases: &[(&str, &str, u64, u64, &str)]) {
    let mut failures = String::new();
    for &(file, dialect, trades, refused, hash) in cases {
        let Some(text) = text_of(&format!("data/msgs/{folder}/{file}")) else { continue };
        let mut parser = (entry(dialect).make)(FrameSource::default());
        let mut told = Told::default();
        for line in text.lines() {
            if folder == "tardis" {
                let line: Tardis = serde_json::from_str(line).unwrap();
                parser.frame(line.message.get(), None, &mut told);
            } else {
                let line: Captured = serde_json::from_str(line).unwrap();
                parser.frame(&line.raw, None, &mut told);
            }
        }
        let found = blake3::hash(told.text.as_bytes()).to_hex()[..12].to_owned();
        if (told.trades, told.refused, found.as_str()) != (trades, refused, hash) {
            failures += &format!(
                "(\"{file}\", \"{dialect}\", {}, {}, \"{found}\"):\n{}",
                told.trades, told.refused, told.text
            );
        }
    }
    assert!(failures.is_empty(), "{failures}");
}

#[test]
fn frames_of_tardis_are_read_as_before() {
    check(
        "tardis",
        &[
            ("binance.jsonl", "binance", 1, 0, "547e8afb9850"),
            ("binance-futures.jsonl", "binance", 1, 1, "8ee36f42e247"),
            ("coinbase.jsonl", "coinbase", 1, 0, "9017764377fa"),
            ("kraken.jsonl", "kraken", 2, 0, "6cfe6e8e39c7"),
            ("bybit.jsonl", "bybit", 3, 0, "39d7ff99ac77"),
            ("bybit-spot.jsonl", "bybit", 1, 0, "048afe3fef93"),
            ("okex.jsonl", "okx", 2, 0, "da90ce7f557f"),
            ("bitstamp.jsonl", "bitstamp", 1, 0, "0bc8c4e054cb"),
            ("bitfinex.jsonl", "bitfinex", 0, 0, "af1349b9f5f9"),
            ("gemini.jsonl", "gemini", 0, 0, "af1349b9f5f9"),
            ("kucoin.jsonl", "kucoin", 1, 0, "f933fc207922"),
            ("gate-io.jsonl", "gate", 1, 0, "1337b5eccc2d"),
            ("crypto-com.jsonl", "crypto-com", 8, 0, "fb0c1997eb1b"),
            ("huobi.jsonl", "htx", 2, 0, "51bf10e7fa85"),
            ("deribit.jsonl", "deribit", 3, 0, "051872a4223c"),
            ("hyperliquid.jsonl", "hyperliquid", 4, 0, "ed6a0056c244"),
        ],
    );
}

#[test]
fn frames_of_crypto_msg_parser_are_read_as_before() {
    check(
        "crypto-msg-parser",
        &[
            ("binance.jsonl.gz", "binance", 3, 0, "d98d339dd2de"),
            ("bitfinex.jsonl", "bitfinex", 0, 1, "332c0899258b"),
            ("bitstamp.jsonl", "bitstamp", 1, 0, "c6ccaf7743f3"),
            ("bybit.jsonl.gz", "bybit", 0, 0, "af1349b9f5f9"),
            ("coinbase_pro.jsonl", "coinbase", 1, 0, "8a2e4d0b1610"),
            ("deribit.jsonl", "deribit", 2, 0, "97a74460a96d"),
            ("gate.jsonl.gz", "gate", 0, 0, "af1349b9f5f9"),
            ("huobi.jsonl.gz", "htx", 6, 0, "fd2973df1312"),
            ("kraken.jsonl", "kraken", 1, 0, "12af89f1d80a"),
            ("kucoin.jsonl.gz", "kucoin", 1, 0, "87101aaeab37"),
            ("okx.jsonl.gz", "okx", 3, 0, "0bdbae1e1554"),
        ],
    );
}
