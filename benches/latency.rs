//! What measuring costs: the stages of a trade alone, and of trades in batches that share their stamps.
//!
//! A trade alone reads the clock at each of its five boundaries and enters seven histograms under two
//! locks (its connection's and its shard's); in a batch both are shared. `clock` and `histogram` are the bounds:
//! five bare clock reads, seven bare records. A slower figure takes its share of the 15 us that a trade
//! has from frame to computed, and of the time of everything that is measured.

#[path = "support/cpu_time.rs"]
mod cpu_time;

use std::hint::black_box;

use cpu_time::CpuTime;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use hdrhistogram::Histogram;
use tapewatch::runtime::clock::Mono;
use tapewatch::runtime::latency::{Latency, Recorder, Stage};

const ROUNDS: u64 = 1_000;
const BATCH: u64 = 64;

/// The stamps and records of `trades` trades of one frame.
fn measured(venue: &Recorder, shard: &Recorder, trades: u64) {
    let received = Mono::now();
    let parsed = Mono::now();
    venue.batch(|stages| {
        stages.record(Stage::Venue, 1_500_000, trades);
        stages.record(Stage::Parse, parsed.nanos_since(received), 1);
    });
    let routed = Mono::now();
    let computed = Mono::now();
    let published = Mono::now();
    shard.batch(|stages| {
        stages.record(Stage::Route, routed.nanos_since(parsed), trades);
        stages.record(Stage::Queue, 1, trades);
        stages.record(Stage::Compute, computed.nanos_since(routed), trades);
        stages.record(Stage::Publish, published.nanos_since(computed), trades);
        stages.record_computed(computed.nanos_since(received), trades);
    });
}

fn latency(criterion: &mut Criterion<CpuTime>) {
    let latency = Latency::default();
    let (venue, shard) = (latency.recorder(), latency.recorder());
    let mut group = criterion.benchmark_group("measuring");
    group.throughput(Throughput::Elements(ROUNDS));
    group.bench_function("clock", |bencher| {
        bencher.iter(|| {
            (0..ROUNDS * 5).for_each(|_| {
                black_box(Mono::now());
            })
        });
    });
    let mut bare = Histogram::<u64>::new_with_bounds(1, 60_000_000_000, 2).unwrap();
    group.bench_function("histogram", |bencher| {
        bencher.iter(|| (0..ROUNDS * 7).for_each(|i| bare.record(100 + i % 50).unwrap()));
    });
    group.bench_function("a trade alone", |bencher| {
        bencher.iter(|| (0..ROUNDS).for_each(|_| measured(&venue, &shard, 1)));
    });
    group.throughput(Throughput::Elements(ROUNDS * BATCH));
    group.bench_function("trades in batches of 64", |bencher| {
        bencher.iter(|| (0..ROUNDS).for_each(|_| measured(&venue, &shard, BATCH)));
    });
    group.finish();
    let report = latency.report().stages;
    let counted = |stage: Stage| report[stage as usize].1.len();
    assert_eq!(counted(Stage::Route), counted(Stage::Compute), "each trade enters each stage once");
}

criterion_group! {
    name = benches;
    config = Criterion::default().with_measurement(CpuTime);
    targets = latency
}
criterion_main!(benches);
