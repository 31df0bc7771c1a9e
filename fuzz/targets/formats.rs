//! Recordings of every format from any bytes: what is read is sound, nothing panics.
//!
//! The first byte picks the format (the last value: whichever the text looks like), the second
//! what the user said; the rest is the text.

use std::sync::LazyLock;

use tapewatch::domain::event::Event;
use tapewatch::domain::interval::{Interval, TimeInterval};
use tapewatch::domain::venue::Venue;
use tapewatch::replay::decoder::{Batch, Facts, Sample};
use tapewatch::replay::formats::{FORMATS, choose};
use tapewatch::venues::PARSERS;

static VENUE: LazyLock<Venue> = LazyLock::new(|| Venue::new("binance").unwrap());
static HOUR: LazyLock<Option<TimeInterval>> = LazyLock::new(|| "1h".parse::<Interval>().unwrap().time());
const NAMES: [&str; 4] =
    ["x.csv", "BTCUSDT-trades-2024-05-01.csv", "BTC-USDT-aggtrades-2023-11-18.csv", "XBTUSD.csv"];

pub fn run(bytes: &[u8]) {
    let [format, said, text @ ..] = bytes else { return };
    let name = FORMATS.get(usize::from(*format) % (FORMATS.len() + 1)).map_or("auto", |entry| entry.name);
    let facts = Facts {
        file_name: NAMES[usize::from(said >> 4) % NAMES.len()],
        venue: (said & 1 == 1).then_some(&*VENUE),
        symbol: (said & 2 == 2).then_some("BTC-USDT"),
        interval: if said & 4 == 4 { *HOUR } else { None },
        frame_parsers: PARSERS,
        raw_instruments: &[],
    };
    let lines: Vec<&[u8]> = text.split(|&b| b == b'\n').collect();
    let sample = Sample { lines: lines.iter().take(Sample::LINES_MAX).map(|line| line.to_vec()).collect() };
    let Ok(entry) = choose(name, &sample, &facts) else { return };
    let Ok(mut decoder) = (entry.open)(&sample, &facts) else { return };
    let mut batch = Batch::default();
    for (at, line) in lines.iter().enumerate() {
        if decoder.line(at as u64 + 1, line, &mut batch).is_err() {
            return;
        }
    }
    while decoder.drain(&mut batch).unwrap_or(false) {}
    for entry in &batch.entries {
        assert!(entry.instrument.0 < batch.enlisted());
        if let Event::Trade(trade) = &entry.event {
            assert!(!trade.price.decimal().is_zero() && !trade.quantity.decimal().is_zero());
            assert!(trade.exchange_at.plausible().is_ok() && trade.trade_count > 0);
        }
    }
    for skipped in &batch.skipped {
        assert!(!skipped.reason.is_empty() && skipped.text.chars().count() <= 201);
    }
}
