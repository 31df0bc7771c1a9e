//! What a row costs from the pipeline's telling to the file, beside what its bytes alone cost.
//!
//! A slower `candles` or `indicators` means that `replay` cannot write as fast as it computes: a
//! candle of 50 trades has 12.5 us in all at 4 million trades a second. `copied` moves the same
//! bytes through memory, `hashed and written` also does what no writer can leave out.

use std::hint::black_box;
use std::io::Write;
use std::path::Path;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use tapewatch::analytics::catalogue::Spec;
use tapewatch::analytics::pipeline::Settings;
use tapewatch::domain::candle::{Candle, CandleState, Ohlc, Origin};
use tapewatch::domain::data_state::DataState;
use tapewatch::domain::decimal::{Decimal, Price, Quantity, QuoteVolume, Volume};
use tapewatch::domain::output::{IndicatorSnapshot, Output, OutputSink};
use tapewatch::domain::time::UnixNanos;
use tapewatch::domain::venue::IdRule;
use tapewatch::replay::results::collector::Collector;
use tapewatch::replay::results::directory::{CANDLES, INDICATORS, OutDir};
use tapewatch::replay::results::summary::Summary;
use tapewatch::replay::results::writer::{Options, Written, finish, write};
use tapewatch::replay::roster::Roster;

const INSTRUMENTS: usize = 16;
const BUDGET_BYTES: usize = 32 << 20;
const VALUES: usize = 11;

fn settings() -> Settings {
    let list: Vec<String> = (0..VALUES).map(|i| format!("sma({})", i + 2)).collect();
    let indicators = Spec::parse_list(&list.join(",")).unwrap();
    Settings::new(&["1s".parse().unwrap()], &indicators, 0)
}

/// A candle of fifty trades that looks like one of BTC-USDT.
fn candle(second: i64, settings: &Settings) -> Candle {
    let step = (second * 2_654_435_761) as u64;
    let price =
        |offset: u64| Price::new(Decimal::new(6_012_345 + (step + offset) % 9_999, 2).unwrap()).unwrap();
    let quantity = |scale: u64| Quantity::new(Decimal::new(1 + (step / scale) % 99_999, 5).unwrap()).unwrap();
    let (mut volume, mut quote_volume) = (Volume::ZERO, QuoteVolume::ZERO);
    for i in 0..3 {
        volume.add(Volume::of(quantity(7 + i)));
        quote_volume.add(QuoteVolume::of(price(i), quantity(7 + i)));
    }
    Candle {
        interval: settings.intervals[0],
        open_at: UnixNanos((1_714_521_600 + second) * 1_000_000_000),
        close_at: UnixNanos((1_714_521_601 + second) * 1_000_000_000),
        prices: Some(Ohlc { open: price(0), high: price(77), low: price(5), close: price(40) }),
        volume,
        quote_volume: Some(quote_volume),
        trade_count: Some(50),
        taker_buy_volume: Some(Volume::of(quantity(7))),
        taker_buy_quote_volume: Some(QuoteVolume::of(price(0), quantity(7))),
        state: CandleState::Traded,
        revision: 0,
        origin: Origin::Trades,
    }
}

/// Collects and writes the candles, or eleven values of each.
fn run(dir: &Path, settings: &Settings, told: &[Candle], values: bool) -> Written {
    let mut out = OutDir::open(dir).unwrap();
    let mut roster = Roster::default();
    let mut collector = Collector::new(settings, dir, BUDGET_BYTES);
    let indices: Vec<_> = (0..INSTRUMENTS)
        .map(|i| roster.enlist(&format!("binance:A{i}-USDT").parse().unwrap(), IdRule::Contiguous))
        .collect();
    for (i, candle) in told.iter().enumerate() {
        let mut sink = collector.sink(indices[i % INSTRUMENTS]);
        if !values {
            sink.accept(0, Output::Candle(candle));
            continue;
        }
        for position in 0..VALUES {
            let snapshot = IndicatorSnapshot {
                interval: candle.interval,
                open_at: candle.open_at,
                position,
                indicator: "sma",
                outputs: &["value"],
                values: &[60_000.0 + (i * (position + 3)) as f64 / 7.0],
                revision: 0,
                data_state: DataState::Complete,
            };
            sink.accept(0, Output::Indicator(&snapshot));
        }
    }
    let written = write(&mut out, vec![collector], settings, &roster, Options::default()).unwrap();
    finish(out, &Summary::default()).unwrap();
    written
}

fn results(c: &mut Criterion) {
    // Run by `cargo test`, or with `--test`, each runs once: small, then.
    let given = |flag: &str| std::env::args().any(|argument| argument == flag);
    let small = given("--test") || !given("--bench");
    let settings = settings();
    for (name, file, values) in [("candles", CANDLES, false), ("indicators", INDICATORS, true)] {
        let rows = if small { 100 } else { 300_000 };
        let candles = (if values { rows / VALUES } else { rows }).div_ceil(INSTRUMENTS) * INSTRUMENTS;
        let told: Vec<Candle> = (0..candles).map(|i| candle((i / INSTRUMENTS) as i64, &settings)).collect();
        let dir = tempfile::tempdir().unwrap();
        let written = run(dir.path(), &settings, &told, values);
        let bytes = std::fs::read(dir.path().join(file)).unwrap();
        let rows = if values { written.indicators } else { written.candles };
        println!("{name}: {rows} rows, {} bytes a row, digest {}", bytes.len() as u64 / rows, written.digest);

        let mut group = c.benchmark_group(format!("results/{name}"));
        group.sample_size(10).throughput(Throughput::Elements(rows));
        group.bench_function("collected and written", |b| {
            b.iter(|| run(dir.path(), &settings, &told, values));
        });
        group.bench_function("hashed and written", |b| {
            b.iter_batched(
                || tempfile::tempfile().unwrap(),
                |mut file| {
                    let mut hasher = blake3::Hasher::new();
                    for part in bytes.chunks(256 << 10) {
                        hasher.update(part);
                        file.write_all(part).unwrap();
                    }
                    hasher.finalize()
                },
                BatchSize::PerIteration,
            );
        });
        let mut copy = vec![0; bytes.len()];
        group.bench_function("copied", |b| b.iter(|| copy.copy_from_slice(black_box(&bytes))));
        black_box(&copy);
        group.finish();
    }
}

criterion_group!(benches, results);
criterion_main!(benches);
