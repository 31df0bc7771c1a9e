//! What a trade costs in the pipeline, beside the least that any program pays for it.
//!
//! `bound` scans the same trades as plain 48-byte records and updates four bars of floats: the wall.
//! `pipeline` is the whole of it: ledger, exact candles of 1s, 1m, 5m and 1,000 ticks with EMA(20),
//! RSI(14), MACD(12,26,9), Bollinger(20,2) and ATR(14) on each, told to a sink that counts. Trades come
//! in batches of the size that `replay` makes, are grouped by symbol as it does it (which is timed), and
//! 400 a symbol go before untimed, so that windows are full and memory has been touched. Not in it:
//! reading, merging and results, which have benches of their own. Archived candles are thrown away. A
//! slower figure means that replay is slower by as much for each trade.
//!
//! Markets: `one symbol` trades every 20 ms on average, a quarter of it in bursts; in the others each
//! symbol trades about once a second, so that a trade closes 0.63 candles of 1s with all their
//! indicators and 0.37 empty ones. `one slow symbol` is what that costs without a cache ever missing.
//!
//! The hash is of all outputs in their order, which for many symbols depends on the size of batches.
//! Time is CPU time of the thread. Trades a run: 2,000,000, or as `TAPEWATCH_BENCH_TRADES` says.

#[path = "support/cpu_time.rs"]
mod cpu_time;

use std::hint::black_box;
use std::time::Duration;

use criterion::measurement::Measurement;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use mimalloc::MiMalloc;
use tapewatch::analytics::ahead::want_near;
use tapewatch::analytics::archive::NoArchive;
use tapewatch::analytics::catalogue::Spec;
use tapewatch::analytics::pipeline::{Settings, SymbolPipeline, WANT_STEPS};
use tapewatch::domain::event::{Trade, TradeId};
use tapewatch::domain::instrument::Instrument;
use tapewatch::domain::output::{Output, OutputSink, Position};
use tapewatch::domain::venue::IdRule;
use tapewatch::replay::generate::market::Market;
use tapewatch::replay::grouping::{Grouping, batch_len};

use crate::cpu_time::CpuTime;

// As the program: where a symbol's state lies is part of what a trade costs.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn is_smoke() -> bool {
    std::env::args().any(|argument| argument == "--test")
}

fn trades_wanted() -> usize {
    let told = std::env::var("TAPEWATCH_BENCH_TRADES").ok().and_then(|text| text.parse().ok());
    told.unwrap_or(if is_smoke() { 20_000 } else { 2_000_000 })
}

/// The columns of a trade, as a program without exactness would keep them.
#[derive(Clone, Copy)]
#[expect(dead_code, reason = "the record has the size of a real one")]
struct Plain {
    price: f64,
    quantity: f64,
    exchange_at: i64,
    received_at: i64,
    id: u64,
    symbol: u32,
    buy: u32,
}

#[derive(Clone, Copy, Default)]
#[expect(dead_code, reason = "what a bar holds is written, not read")]
struct PlainBar {
    open_at: i64,
    open: f64,
    high: f64,
    low: f64,
    close: f64,
    volume: f64,
    count: u64,
}

impl PlainBar {
    fn add(&mut self, trade: &Plain, open_at: i64, closed: &mut u64) {
        if self.open_at != open_at {
            *closed += self.count.min(1);
            *self =
                Self { open_at, open: trade.price, high: trade.price, low: trade.price, ..Self::default() };
        }
        self.high = self.high.max(trade.price);
        self.low = self.low.min(trade.price);
        self.close = trade.price;
        self.volume += trade.quantity;
        self.count += 1;
    }
}

fn scan(trades: &[Plain], symbols: usize) -> u64 {
    let mut bars = vec![[PlainBar::default(); 4]; symbols];
    let mut closed = 0;
    for trade in trades {
        let bars = &mut bars[trade.symbol as usize];
        for (bar, seconds) in bars.iter_mut().zip([1, 60, 300]) {
            let nanos = seconds * 1_000_000_000;
            bar.add(trade, trade.exchange_at / nanos * nanos, &mut closed);
        }
        let ticks = &mut bars[3];
        if ticks.count == 1_000 {
            ticks.open_at = 0;
        }
        let open_at = if ticks.open_at == 0 { trade.exchange_at } else { ticks.open_at };
        ticks.add(trade, open_at, &mut closed);
    }
    black_box(&bars);
    closed
}

/// Counts what is told, and takes a hash of it that no optimiser can leave out.
#[derive(Default)]
struct Counting {
    candles: u64,
    values: u64,
    hash: u64,
}

impl OutputSink for Counting {
    #[inline]
    fn accept(&mut self, _cause_seq: u64, output: Output<'_>) {
        match output {
            Output::Candle(candle) => {
                self.candles += 1;
                self.hash = self.hash.rotate_left(5) ^ candle.volume.units().as_u64();
            }
            Output::Indicator(snapshot) => {
                self.values += snapshot.values.len() as u64;
                self.hash = self.hash.rotate_left(5) ^ snapshot.values[0].to_bits();
            }
            _ => {}
        }
    }
}

fn settings() -> Settings {
    let intervals = ["1s", "1m", "5m", "ticks:1000"].map(|text| text.parse().unwrap());
    let indicators = "ema(20),rsi(14),macd(12,26,9),bollinger(20,2),atr(14)";
    Settings::new(&intervals, &Spec::parse_list(indicators).unwrap(), 2_000_000_000)
}

/// Feeds the first trades untimed, so that windows are full and memory is touched, then times the rest.
fn pipeline(
    trades: &[(usize, Trade)],
    warm: usize,
    instruments: &[Instrument],
    settings: &Settings,
) -> (Duration, Counting) {
    let pipeline_of =
        |instrument: &Instrument| SymbolPipeline::new(instrument.clone(), IdRule::Contiguous, settings);
    let mut pipelines: Vec<_> = instruments.iter().map(pipeline_of).collect();
    let (mut archive, mut sink) = (NoArchive, Counting::default());
    let mut grouping = Grouping::default();
    let mut feed = |trades: &[(usize, Trade)]| {
        for batch in trades.chunks(batch_len(instruments.len())) {
            grouping.group(batch.iter().map(|(symbol, _)| *symbol as u32));
            for ((symbol, group), coming) in grouping.groups_ahead::<WANT_STEPS>() {
                for (step, coming) in (1..=WANT_STEPS).rev().zip(coming) {
                    let Some((symbol, group)) = coming else { continue };
                    pipelines[symbol as usize].want(step, group.len());
                }
                let next = coming[WANT_STEPS - 1].map_or(&[][..], |(_, next)| next);
                let pipeline = &mut pipelines[symbol as usize];
                for (turn, &at) in group.iter().enumerate() {
                    if let Some(&next) = next.get(turn) {
                        want_near(&batch[next as usize]);
                    }
                    let trade = &batch[at as usize].1;
                    pipeline.on_trade(Position(u64::from(at)), trade, &mut archive, &mut sink);
                }
                next.iter().skip(group.len()).for_each(|&next| want_near(&batch[next as usize]));
            }
        }
    };
    feed(&trades[..warm]);
    let begun = CpuTime.start();
    feed(&trades[warm..]);
    (CpuTime.end(begun), sink)
}

fn plain((symbol, trade): &(usize, Trade)) -> Plain {
    let TradeId::Number(id) = trade.id else { unreachable!("the generator numbers its trades") };
    Plain {
        price: trade.price.decimal().to_f64(),
        quantity: trade.quantity.decimal().to_f64(),
        exchange_at: trade.exchange_at.0,
        received_at: 0,
        id,
        symbol: *symbol as u32,
        buy: 0,
    }
}

fn bench(criterion: &mut Criterion<CpuTime>) {
    let settings = settings();
    let markets = [
        ("one symbol", Market::bench_one(7)),
        ("one slow symbol", Market::bench_many(7, 1)),
        ("1,000 symbols", Market::bench_many(7, 1_000)),
        ("10,000 symbols", Market::bench_many(7, 10_000)),
    ];
    let filters: Vec<String> = std::env::args().skip(1).filter(|a| !a.starts_with('-')).collect();
    for (name, mut market) in markets {
        // What is filtered out need not be generated.
        if !filters.is_empty() && !filters.iter().any(|filter| filter.starts_with(name)) {
            continue;
        }
        let instruments = market.instruments().to_vec();
        // So many that every ring of 1s candles has grown to its full size.
        let warm = (instruments.len() * 400).min(if is_smoke() { trades_wanted() } else { usize::MAX });
        let trades: Vec<(usize, Trade)> = market.by_ref().take(warm + trades_wanted()).collect();
        let plain: Vec<Plain> = trades[warm..].iter().map(plain).collect();
        let (_, counted) = pipeline(&trades, warm, &instruments, &settings);
        println!(
            "{name}: {} candles, {} values, hash {:016x}",
            counted.candles, counted.values, counted.hash
        );
        let mut group = criterion.benchmark_group(name);
        group.throughput(Throughput::Elements(plain.len() as u64)).sample_size(10);
        group.bench_function("bound: scan, four bars", |b| {
            b.iter(|| scan(black_box(&plain), instruments.len()))
        });
        group.bench_function("pipeline", |b| {
            b.iter_custom(|iterations| {
                (0..iterations).map(|_| pipeline(black_box(&trades), warm, &instruments, &settings).0).sum()
            })
        });
        group.finish();
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default().with_measurement(CpuTime);
    targets = bench
}
criterion_main!(benches);
