//! The state of a symbol from any words, and snapshots from any bytes: restored or refused.
//!
//! Most inputs become patches of a state that was saved, so that they get behind its first lengths.

use std::sync::LazyLock;

use tapewatch::analytics::archive::MemoryArchive;
use tapewatch::analytics::catalogue::Spec;
use tapewatch::analytics::pipeline::{Settings, SymbolPipeline};
use tapewatch::domain::decimal::{Decimal, Price, Quantity};
use tapewatch::domain::event::{Event, Side, Trade, TradeId};
use tapewatch::domain::instrument::Instrument;
use tapewatch::domain::output::{Output, OutputSink, Position};
use tapewatch::domain::time::UnixNanos;
use tapewatch::domain::venue::IdRule;
use tapewatch::journal::snapshots::Snapshots;

struct Silence;

impl OutputSink for Silence {
    fn accept(&mut self, _cause_seq: u64, _output: Output<'_>) {}
}

static SETTINGS: LazyLock<Settings> = LazyLock::new(|| {
    let intervals = ["1s", "1m", "ticks:7"].map(|text| text.parse().unwrap());
    let indicators = Spec::parse_list("ema(5),macd(3,6,3),bollinger(4,2),atr(3),vwap").unwrap();
    Settings { window: 8, ..Settings::new(&intervals, &indicators, 2_000_000_000) }
});
static INSTRUMENT: LazyLock<Instrument> = LazyLock::new(|| "binance:BTC-USDT".parse().unwrap());
static WORDS: LazyLock<Vec<u64>> = LazyLock::new(|| {
    let mut pipeline = SymbolPipeline::new(INSTRUMENT.clone(), IdRule::Contiguous, &SETTINGS);
    let mut archive = MemoryArchive::default();
    for n in 0..400_i64 {
        // Every tenth id is left out, every seventh trade comes late.
        let id = n + n / 10;
        let at = UnixNanos(1_714_521_600_000_000_000 + n * 400_000_000 - (n % 7 / 6) * 5_000_000_000);
        let number = |text: String| Decimal::parse(text.as_bytes()).unwrap();
        let trade = Trade {
            id: TradeId::parse(&id.to_string()).unwrap(),
            price: Price::new(number(format!("{}.25", 60_000 + n % 13))).unwrap(),
            quantity: Quantity::new(number(format!("0.{:03}", 1 + n % 9))).unwrap(),
            taker_side: Some(if n % 3 == 0 { Side::Buy } else { Side::Sell }),
            exchange_at: at,
            received_at: at.stamp(),
            trade_count: 1,
        };
        pipeline.on_event(Position(n as u64 + 1), &Event::Trade(trade), &mut archive, &mut Silence);
    }
    let mut words = Vec::new();
    pipeline.save(&mut words);
    words
});

pub fn run(bytes: &[u8]) {
    let Some((&mode, bytes)) = bytes.split_first() else { return };
    match mode % 4 {
        0 => restore(bytes.chunks(8).map(word).collect()),
        1 => snapshot(bytes),
        _ => restore(patched(bytes)),
    }
}

fn word(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0, |word, byte| word << 8 | u64::from(*byte))
}

/// Patches of an offset, and a word to put there; a short one is what the state ends with.
fn patched(bytes: &[u8]) -> Vec<u64> {
    let mut words = WORDS.clone();
    for patch in bytes.chunks(10) {
        let at = word(&patch[..patch.len().min(2)]) as usize % words.len();
        match patch.get(2..) {
            Some(value) if !value.is_empty() => words[at] = word(value),
            _ => words.truncate(at.max(1)),
        }
    }
    words
}

fn restore(words: Vec<u64>) {
    let restored = SymbolPipeline::restore(INSTRUMENT.clone(), IdRule::Contiguous, &SETTINGS, &words);
    if let Ok(mut pipeline) = restored {
        let mut again = Vec::new();
        pipeline.save(&mut again);
        assert_eq!(again.len(), words.len(), "what is read is written again");
    }
}

fn snapshot(bytes: &[u8]) {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("00003-00000000000000000007-0000000001.tws"), bytes).unwrap();
    let snapshots = Snapshots::open(folder.path()).unwrap();
    let found = snapshots.newest(3, 5).unwrap();
    assert_eq!(found.newest.is_some(), found.refused.is_empty());
}
