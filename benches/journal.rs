//! What a trade costs on its way into the journal and out of it, beside what its bytes alone cost.
//!
//! `scanned` sums bare 48-byte structs in a memory map: the wall. `decoded` reads the same trades
//! from a journal, checksums and all: a slower figure takes its share of the 250 ns that a trade has
//! in `replay` at 4 million a second. `looked at` reads two fields of each record where it lies,
//! so that the difference is what making a `Trade` costs. `appended` stands beside `written`, the
//! same number of bytes in writes of the same size.

use std::fs::{self, File};
use std::hint::black_box;
use std::io::Write;
use std::path::Path;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use memmap2::Mmap;
use tapewatch::domain::decimal::{Decimal, Price, Quantity};
use tapewatch::domain::event::{Event, Side, Trade, TradeId};
use tapewatch::domain::instrument::Instrument;
use tapewatch::domain::time::UnixNanos;
use tapewatch::domain::venue::IdRule;
use tapewatch::journal::entry::Entry;
use tapewatch::journal::options::WriterOptions;
use tapewatch::journal::reader::Reader;
use tapewatch::journal::seal::seal;
use tapewatch::journal::segment::SegmentFile;
use tapewatch::journal::writer::Writer;

const RAW_BYTES: usize = 48;
const INSTRUMENTS: u64 = 16;

fn trade(i: u64) -> Trade {
    let step = i.wrapping_mul(2_654_435_761);
    Trade {
        price: Price::new(Decimal::new(6_012_345 + step % 9_999, 2).unwrap()).unwrap(),
        quantity: Quantity::new(Decimal::new(1 + step / 7 % 99_999, 5).unwrap()).unwrap(),
        exchange_at: UnixNanos(1_714_521_600_000_000_000 + i as i64 * 20_000_000),
        received_at: UnixNanos(1_714_521_600_004_000_000 + i as i64 * 20_000_000).stamp(),
        id: TradeId::Number(3_000_000_000 + i),
        taker_side: Some(if step.is_multiple_of(3) { Side::Buy } else { Side::Sell }),
        trade_count: 1,
    }
}

fn instrument(i: u64) -> Instrument {
    format!("binance:C{i}-USDT").parse().unwrap()
}

fn options() -> WriterOptions {
    WriterOptions { sync_segments: false, ..WriterOptions::default() }
}

fn append(dir: &Path, trades: &[Trade]) {
    let mut writer = Writer::create(dir, options()).unwrap();
    let numbers: Vec<_> =
        (0..INSTRUMENTS).map(|i| writer.define(&instrument(i), IdRule::Contiguous)).collect();
    for (i, trade) in trades.iter().enumerate() {
        writer.append_trade(numbers[i % numbers.len()], trade).unwrap();
    }
    writer.flush().unwrap();
}

/// The same trades as bare structs: price, quantity, times, id, instrument.
fn raw(trades: &[Trade]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(trades.len() * RAW_BYTES);
    for (i, trade) in trades.iter().enumerate() {
        let id = if let TradeId::Number(number) = trade.id { number } else { 0 };
        bytes.extend_from_slice(&trade.price.decimal().to_bits().to_le_bytes());
        bytes.extend_from_slice(&trade.quantity.decimal().to_bits().to_le_bytes());
        bytes.extend_from_slice(&trade.exchange_at.0.to_le_bytes());
        bytes.extend_from_slice(&trade.received_at.map_or(0, |stamp| stamp.at().0).to_le_bytes());
        bytes.extend_from_slice(&id.to_le_bytes());
        bytes.extend_from_slice(&(i as u64 % INSTRUMENTS).to_le_bytes());
    }
    bytes
}

/// Wrapping sum of price, quantity and time: what each reading must agree on.
fn add(sum: u64, trade: &Trade) -> u64 {
    sum.wrapping_add(trade.price.decimal().to_bits())
        .wrapping_add(trade.quantity.decimal().to_bits())
        .wrapping_add(trade.exchange_at.0 as u64)
}

fn scan(path: &Path) -> u64 {
    let file = File::open(path).unwrap();
    // SAFETY: nobody else knows the temporary file.
    #[expect(unsafe_code, reason = "the wall is a scan of a memory map")]
    let map = unsafe { Mmap::map(&file).unwrap() };
    let word =
        |record: &[u8; RAW_BYTES], at: usize| u64::from_le_bytes(record[at..at + 8].try_into().unwrap());
    let (records, _) = map.as_chunks::<RAW_BYTES>();
    records.iter().fold(0, |sum: u64, record| {
        sum.wrapping_add(word(record, 0)).wrapping_add(word(record, 8)).wrapping_add(word(record, 16))
    })
}

fn decode(path: &Path) -> u64 {
    let mut reader = Reader::open(path).unwrap();
    let mut sum = 0;
    while let Some(block) = reader.next_block().unwrap() {
        let Some(trades) = block.trades() else { continue };
        for entry in trades {
            sum = add(sum, &entry.unwrap().trade);
        }
    }
    sum
}

fn look_at(path: &Path) -> u64 {
    let mut reader = Reader::open(path).unwrap();
    let mut sum = 0u64;
    while let Some(block) = reader.next_block().unwrap() {
        for record in block.trades().into_iter().flat_map(|trades| trades.records()) {
            sum = sum
                .wrapping_add(record.price.to_native())
                .wrapping_add(record.quantity.to_native())
                .wrapping_add(record.exchange_at.to_native() as u64);
        }
    }
    sum
}

fn entries(path: &Path) -> u64 {
    let mut reader = Reader::open(path).unwrap();
    let mut sum = 0;
    while let Some(entry) = reader.next_entry().unwrap() {
        if let Entry::Event { event: Event::Trade(trade), .. } = entry {
            sum = add(sum, &trade);
        }
    }
    sum
}

fn journal(c: &mut Criterion) {
    // Small inside the tests, which do not ask for a measurement.
    let testing =
        !std::env::args().any(|arg| arg == "--bench") || std::env::args().any(|arg| arg == "--test");
    let count = if testing { 20_000 } else { 1_000_000u64 };
    let trades: Vec<Trade> = (0..count).map(trade).collect();
    let expected = trades.iter().fold(0, add);
    println!("sum of the trades: {expected:016x}");

    let dir = tempfile::tempdir().unwrap();
    let (raw_file, plain, sealed) =
        (dir.path().join("raw"), dir.path().join("plain"), dir.path().join("sealed"));
    fs::write(&raw_file, raw(&trades)).unwrap();
    append(&plain, &trades);
    append(&sealed, &trades);
    let mut packed = 0;
    for segment in SegmentFile::list(&sealed).unwrap() {
        packed += fs::metadata(seal(&segment.path).unwrap()).unwrap().len();
    }
    println!("sealed: {:.1} bytes a trade", packed as f64 / count as f64);

    let mut group = c.benchmark_group("journal/read");
    group.throughput(Throughput::Elements(count)).sample_size(20);
    let mut bench = |name: &str, path: &Path, read: fn(&Path) -> u64| {
        assert_eq!(read(path), expected, "{name}");
        group.bench_function(name, |b| b.iter(|| black_box(read(path))));
    };
    bench("scanned", &raw_file, scan);
    bench("looked at", &plain, look_at);
    bench("decoded", &plain, decode);
    bench("decoded as entries", &plain, entries);
    bench("decoded from sealed", &sealed, decode);
    group.finish();

    let mut group = c.benchmark_group("journal/write");
    group.throughput(Throughput::Elements(count)).sample_size(10);
    let fresh = || tempfile::tempdir().unwrap();
    group.bench_function("written", |b| {
        let bytes = vec![7; 64 * trades.len()];
        b.iter_batched(
            fresh,
            |dir| {
                let mut file = File::create(dir.path().join("raw")).unwrap();
                for chunk in bytes.chunks(64 << 10) {
                    file.write_all(chunk).unwrap();
                }
                dir
            },
            BatchSize::PerIteration,
        );
    });
    group.bench_function("appended", |b| {
        b.iter_batched(
            fresh,
            |dir| {
                append(dir.path(), &trades);
                dir
            },
            BatchSize::PerIteration,
        );
    });
    group.finish();
}

criterion_group!(benches, journal);
criterion_main!(benches);
