//! What a journal keeps of a writer that is killed.
//!
//! The only test of its program: another that runs beside it would lend its locks to the process started here,
//! until that is another program.

use std::io::{self, BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::{env, iter};

use tapewatch::domain::decimal::{Decimal, Price, Quantity};
use tapewatch::domain::event::{Event, Side, Trade, TradeId};
use tapewatch::domain::output::Position;
use tapewatch::domain::time::UnixNanos;
use tapewatch::domain::venue::IdRule;
use tapewatch::journal::entry::{Entry, InstrumentNumber};
use tapewatch::journal::options::WriterOptions;
use tapewatch::journal::reader::{Reader, Tail};
use tapewatch::journal::tail::cut_tail;
use tapewatch::journal::writer::Writer;

fn trade(i: u64) -> Trade {
    let exchange_at = UnixNanos(1_714_521_600_000_000_000 + i as i64 * 20_000_000);
    Trade {
        price: Price::new(Decimal::new(6_168_599 + i, 2).unwrap()).unwrap(),
        quantity: Quantity::new(Decimal::new(17 + i, 5).unwrap()).unwrap(),
        exchange_at,
        received_at: exchange_at.stamp(),
        id: TradeId::Number(1_000 + i),
        taker_side: Some(Side::Buy),
        trade_count: 1,
    }
}

/// The test runs itself again as the writer, and kills it.
#[test]
fn a_killed_writer_loses_nothing_that_was_flushed() {
    const PLACE: &str = "TAPEWATCH_TEST_JOURNAL_OF_THE_KILLED";
    if let Some(dir) = env::var_os(PLACE) {
        let options = WriterOptions { sync_segments: false, ..WriterOptions::default() };
        let mut writer = Writer::create(Path::new(&dir), options).unwrap();
        let number = writer.define(&"binance:BTC-USDT".parse().unwrap(), IdRule::Contiguous);
        for i in 0.. {
            let at = writer.append_trade(number, &trade(i)).unwrap();
            // Every third one waits in memory.
            if i % 3 != 0 {
                writer.flush().unwrap();
                println!("flushed {}", at.0);
            }
        }
    }
    let dir = tempfile::tempdir().unwrap();
    let mut child = Command::new(env::current_exe().unwrap())
        .args(["--exact", "a_killed_writer_loses_nothing_that_was_flushed", "--nocapture"])
        .env(PLACE, dir.path())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let told = |line: io::Result<String>| line.ok()?.strip_prefix("flushed ")?.parse::<u64>().ok();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut flushed = lines.by_ref().filter_map(told).take(1_000).last().unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    flushed = flushed.max(lines.filter_map(told).last().unwrap_or(0));

    cut_tail(dir.path()).unwrap();
    let mut reader = Reader::open(dir.path()).unwrap();
    let entries: Vec<Entry> = iter::from_fn(|| reader.next_entry().unwrap()).collect();
    assert_eq!(*reader.tail(), Tail::Whole);
    assert!(flushed >= 1_000 && entries.len() as u64 >= flushed, "{flushed} flushed, {} read", entries.len());
    for (i, entry) in entries.into_iter().enumerate() {
        let i = i as u64;
        let expected = Entry::Event {
            instrument: InstrumentNumber(0),
            at: Position(i + 1),
            event: Event::Trade(trade(i)),
        };
        assert_eq!(entry, expected);
    }
    Writer::open(dir.path(), WriterOptions::default()).unwrap();
}
