//! What one trade costs from a venue's text to a typed trade: Binance frames and rows of its dumps.
//!
//! `serde_json` reads the same frame into a struct of borrowed texts, which are then parsed into
//! the same trade: the way without a scanner. A frame or row that costs more than 120 ns makes reading
//! slower than the pipeline it feeds; a frame beside `serde_json` shows what the scanner is worth.
//! `passed over` is the frame of a quote, of which recordings are full.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use serde::Deserialize;
use tapewatch::domain::event::{Event, Side, Trade};
use tapewatch::domain::fields::{id, price, quantity, time};
use tapewatch::domain::frame::{FrameParser, FrameSink, FrameSource, Spelled};
use tapewatch::domain::time::TimeUnit;
use tapewatch::replay::decoder::{Batch, Decoder, Facts, Sample};
use tapewatch::replay::formats::choose;
use tapewatch::venues::PARSERS;
use tapewatch::venues::binance::Binance;

const COUNT: u64 = 1_000;

/// Folds what is told, so that nothing of it can be left out.
#[derive(Default)]
struct Folding {
    trades: u64,
    fold: u64,
}

impl Folding {
    #[inline]
    fn add(&mut self, trade: &Trade) {
        self.trades += 1;
        self.fold = self.fold.rotate_left(5)
            ^ trade.price.decimal().to_bits()
            ^ trade.quantity.decimal().to_bits()
            ^ trade.exchange_at.0 as u64
            ^ u64::from(trade.taker_side == Some(Side::Buy));
    }
}

impl FrameSink for Folding {
    #[inline]
    fn trade(&mut self, spelled: Spelled<'_>, trade: Trade) {
        self.fold ^= spelled.symbol.len() as u64;
        self.add(&trade);
    }

    fn refuse(&mut self, reason: String) {
        panic!("a frame of the bench was refused: {reason}");
    }
}

/// Price, quantity, id, milliseconds and side of the i-th trade.
fn values(i: u64) -> (String, String, u64, u64, bool) {
    let step = i.wrapping_mul(2_654_435_761);
    let price = format!("{}.{:02}000000", 60_000 + step % 999, step % 97);
    let quantity = format!("{}.{:05}000", step % 3, 1 + step % 99_999);
    (price, quantity, 3_735_693_016 + i, 1_723_161_601_437 + i * 7, step.is_multiple_of(3))
}

fn spot_frame(i: u64) -> String {
    let (price, quantity, id, at, maker) = values(i);
    format!(
        r#"{{"e":"trade","E":{at},"s":"BTCUSDT","t":{id},"p":"{price}","q":"{quantity}","T":{at},"m":{maker},"M":true}}"#
    )
}

fn combined_frame(i: u64) -> String {
    format!(r#"{{"stream":"btcusdt@trade","data":{}}}"#, spot_frame(i))
}

fn aggregate_frame(i: u64) -> String {
    let (price, quantity, id, at, maker) = values(i);
    format!(
        r#"{{"e":"aggTrade","E":{at},"a":{id},"s":"BTCUSDT","p":"{price}","q":"{quantity}","f":{id},"l":{},"T":{at},"m":{maker}}}"#,
        id + i % 5
    )
}

fn quote_frame(i: u64) -> String {
    let (price, quantity, id, _, _) = values(i);
    format!(
        r#"{{"stream":"btcusdt@bookTicker","data":{{"u":{id},"s":"BTCUSDT","b":"{price}","B":"{quantity}","a":"{price}","A":"{quantity}"}}}}"#
    )
}

fn trade_row(i: u64) -> String {
    let (price, quantity, id, at, maker) = values(i);
    let flag = if maker { "True" } else { "False" };
    format!("{id},{price},{quantity},10.48661830,{at},{flag},True")
}

fn aggregate_row(i: u64) -> String {
    let (price, quantity, id, at, maker) = values(i);
    format!("{id},{price},{quantity},{id},{},{at},{maker}", id + i % 5)
}

/// The frame as a general parser gives it.
#[derive(Deserialize)]
struct Frame<'a> {
    s: &'a str,
    t: u64,
    p: &'a str,
    q: &'a str,
    #[serde(rename = "T")]
    time: u64,
    m: bool,
}

fn by_serde(frame: &str) -> Trade {
    let frame: Frame<'_> = serde_json::from_str(frame).unwrap();
    black_box(frame.s);
    Trade {
        id: id(frame.t.to_string().as_bytes()).unwrap(),
        price: price(frame.p.as_bytes()).unwrap(),
        quantity: quantity(frame.q.as_bytes()).unwrap(),
        exchange_at: time(frame.time.to_string().as_bytes(), TimeUnit::Millis).unwrap(),
        received_at: None,
        taker_side: Some(if frame.m { Side::Sell } else { Side::Buy }),
        trade_count: 1,
    }
}

fn decoder(format: &str, file_name: &str, rows: &[String]) -> Box<dyn Decoder> {
    let sample = Sample { lines: rows.iter().take(100).map(|row| row.as_bytes().to_vec()).collect() };
    let facts = Facts { file_name, frame_parsers: PARSERS, ..Facts::default() };
    let entry = choose(format, &sample, &facts).unwrap();
    (entry.open)(&sample, &facts).unwrap()
}

fn parse(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("parse");
    group.throughput(Throughput::Elements(COUNT));
    let texts = |make: fn(u64) -> String| (0..COUNT).map(make).collect::<Vec<_>>();

    let mut parser = Binance::new(FrameSource::default());
    let mut frames = |name: &str, frames: &[String], trades: u64| {
        let mut folding = Folding::default();
        frames.iter().for_each(|frame| parser.frame(frame, None, &mut folding));
        assert_eq!(folding.trades, trades, "{name}");
        println!("{name}: {:016x}", folding.fold);
        group.bench_function(name, |b| {
            b.iter(|| {
                let mut folding = Folding::default();
                for frame in frames {
                    parser.frame(black_box(frame), None, &mut folding);
                }
                folding.fold
            });
        });
    };
    frames("trade frame", &texts(spot_frame), COUNT);
    frames("trade frame in a combined stream", &texts(combined_frame), COUNT);
    frames("aggregate frame", &texts(aggregate_frame), COUNT);
    frames("quote frame passed over", &texts(quote_frame), 0);

    let spot = texts(spot_frame);
    group.bench_function("trade frame by serde_json", |b| {
        b.iter(|| {
            let mut folding = Folding::default();
            for frame in &spot {
                folding.add(&by_serde(black_box(frame)));
            }
            folding.fold
        });
    });

    let mut lines = |name: &str, format: &str, file_name: &str, rows: Vec<String>| {
        let mut decoder = decoder(format, file_name, &rows);
        let mut batch = Batch::default();
        group.bench_function(name, |b| {
            b.iter(|| {
                let enlisted = batch.enlisted();
                batch.begin(enlisted);
                for (at, row) in rows.iter().enumerate() {
                    decoder.line(at as u64 + 1, black_box(row.as_bytes()), &mut batch).unwrap();
                }
                assert_eq!(batch.entries.len() as u64, COUNT);
                let mut folding = Folding::default();
                for entry in &batch.entries {
                    if let Event::Trade(trade) = &entry.event {
                        folding.add(trade);
                    }
                }
                folding.fold
            });
        });
    };
    let raw = |i: u64| format!("{} {}", 1_723_161_600_164_378_285 + i * 1_000, combined_frame(i));
    lines("trade row into a batch", "binance-trades", "BTCUSDT-trades-2024-08-09.csv", texts(trade_row));
    lines(
        "aggregate row into a batch",
        "binance-agg-trades",
        "BTCUSDT-aggTrades-2024-08-09.csv",
        texts(aggregate_row),
    );
    lines("raw line into a batch", "binance-raw", "x.gz", texts(raw));
    group.finish();
}

criterion_group!(benches, parse);
criterion_main!(benches);
