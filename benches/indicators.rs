//! What an indicator costs a closed candle: the five of the default set alone and together,
//! and every other of the catalogue with its defaults.
//!
//! A slower `the five together` weighs on `replay`, where each trade may close a candle of the
//! shortest interval; hand-written loops over the same five cost about as much. A member that
//! becomes slower than its neighbours has lost its amortised O(1), or allocates.
//!
//! Time is CPU time of the thread.

#[path = "support/cpu_time.rs"]
mod cpu_time;

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use tapewatch::analytics::catalogue::{Spec, entries};
use tapewatch::analytics::indicator::{Bar, Indicator, Needs, OUTPUTS_MAX};
use tapewatch::domain::time::UnixNanos;

use crate::cpu_time::CpuTime;

const BARS: usize = 10_000;
const FIVE: &str = "ema(20),rsi(14),macd(12,26,9),bollinger(20,2),atr(14)";

/// A walk of minutes on a grid of cents.
fn bars() -> Vec<Bar<'static>> {
    let (mut random, mut cents) = (20_240_501u64, 6_000_000u64);
    let mut next = |below: u64| {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (random >> 33) % below
    };
    (0..BARS)
        .map(|i| {
            let open = cents;
            cents = cents + next(2_001) - 1_000;
            let (high, low) = (open.max(cents) + next(500), open.min(cents) - next(500));
            let [open, high, low, close] = [open, high, low, cents].map(|cents| cents as f64 / 100.0);
            let volume = (1 + next(1_000_000)) as f64 / 1_000.0;
            let open_at = UnixNanos(1_714_521_600_000_000_000 + i as i64 * 60_000_000_000);
            Bar {
                open_at,
                close_at: UnixNanos(open_at.0 + 60_000_000_000),
                open,
                high,
                low,
                close,
                volume,
                quote_volume: Some(volume * close),
                trade_count: Some(1 + next(100)),
                taker_buy_volume: Some(volume * 0.25),
                taker_sell_volume: Some(volume * 0.75),
                trade_times: Some((open_at, UnixNanos(open_at.0 + 59_000_000_000))),
                sizes: None,
            }
        })
        .collect()
}

/// Advances all of them over all bars; a hash of the bits of what they say.
fn run(indicators: &mut [Box<dyn Indicator>], bars: &[Bar<'_>]) -> u64 {
    let mut hash = 0u64;
    let mut out = [0.0; OUTPUTS_MAX];
    for bar in bars {
        for indicator in &mut *indicators {
            if indicator.advance(bar, &mut out) {
                hash = hash.rotate_left(5) ^ out[0].to_bits();
            }
        }
    }
    hash
}

fn build(list: &str) -> Vec<Box<dyn Indicator>> {
    let specs = Spec::parse_list(list).unwrap();
    specs.iter().map(Spec::build).collect()
}

fn bench(criterion: &mut Criterion<CpuTime>) {
    let bars = bars();
    println!("hash of the five over {BARS} bars: {:016x}", run(&mut build(FIVE), &bars));
    let others =
        entries().filter(|entry| entry.needs < Needs::Sizes && !FIVE.contains(&format!("{}(", entry.name)));
    let alone = FIVE.replace("),", ");");
    let mut names: Vec<(&str, &str)> = vec![("the five together", FIVE)];
    names.extend(alone.split(';').map(|one| (one, one)));
    names.extend(others.map(|entry| (entry.name, entry.name)));
    let mut group = criterion.benchmark_group("indicators");
    group.throughput(Throughput::Elements(BARS as u64)).sample_size(20);
    for (name, list) in names {
        let mut indicators = build(list);
        group.bench_function(name, |bencher| bencher.iter(|| black_box(run(&mut indicators, &bars))));
    }
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default().with_measurement(CpuTime);
    targets = bench
}
criterion_main!(benches);
