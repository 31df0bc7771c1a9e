//! What models cost: a candle and horizon of all that run, a trade's share of it, and the algorithms alone
//! against river, which has them in Python.
//!
//! `candles` feeds ready one-minute candles to a pipeline without models, with those of the default configuration,
//! and with all of the catalogue but the three that are priced apart (half-space trees, run lengths, forests of cuts),
//! each without rules and with them.
//! What models cost is the difference from the first, by candle and by horizon. `trades` feeds the trades of
//! a market that trades fifty times a second: what its models cost a trade is what one-minute candles cost,
//! spread over the three thousand trades of a candle, and what features gather trade by trade. `algorithms` runs
//! recursive least squares as an autoregression of order 5, FTRL of ten inputs, and 25 half-space trees of
//! height 8. A slower figure weighs on `replay` and on the latency of the first trade after a minute.
//!
//! Time is CPU time of the thread; printed figures are the best of several, beside those of criterion.
//! Against river 0.26 (of the same input, its process's CPU time): where `target/river/bin/python` is, which
//! `benches/support/river-venv` makes, or the Python that `TAPEWATCH_RIVER_PYTHON` names.

#[path = "support/cpu_time.rs"]
mod cpu_time;

use std::fmt::Write;
use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use criterion::measurement::Measurement;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use tapewatch::analytics::anomaly::DETECTORS;
use tapewatch::analytics::archive::NoArchive;
use tapewatch::analytics::estimators::ftrl::{Ftrl, FtrlSettings};
use tapewatch::analytics::estimators::half_space_trees::{HalfSpaceParameters, HalfSpaceTrees};
use tapewatch::analytics::estimators::rls::{Rls, RlsSettings};
use tapewatch::analytics::forecast::FORECASTERS;
use tapewatch::analytics::pipeline::{Settings, SymbolPipeline};
use tapewatch::analytics::signals::RULES;
use tapewatch::app::config::{Config, FlagSetting};
use tapewatch::domain::candle::{Ohlc, Origin};
use tapewatch::domain::decimal::Volume;
use tapewatch::domain::event::{Event, ReadyCandle, Trade};
use tapewatch::domain::fields;
use tapewatch::domain::interval::Interval;
use tapewatch::domain::output::{Output, OutputSink, Position};
use tapewatch::domain::time::UnixNanos;
use tapewatch::domain::venue::IdRule;
use tapewatch::replay::generate::market::Market;

use crate::cpu_time::CpuTime;

const MINUTE: i64 = 60_000_000_000;
/// Priced apart.
const APART: [&str; 3] = ["bocpd", "half_space_trees", "random_cut_forest"];
const REPEATS: usize = 5;

/// `cargo bench` says so; `cargo test --benches` does not.
fn is_smoke() -> bool {
    !std::env::args().any(|argument| argument == "--bench")
}

/// So many, or few where it is only seen whether it runs.
fn sized(full: usize, smoke: usize) -> usize {
    if is_smoke() { smoke } else { full }
}

/// A generator of numbers (Knuth's constants).
struct Random(u64);

impl Random {
    /// From 0, below 1.
    fn unit(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 11) as f64 / (1_u64 << 53) as f64
    }

    fn gauss(&mut self) -> f64 {
        (0..12).map(|_| self.unit()).sum::<f64>() - 6.0
    }
}

/// Counts what is told, and takes a hash of it that no optimiser can leave out.
#[derive(Default)]
struct Counting {
    forecasts: u64,
    anomalies: u64,
    hash: u64,
}

impl OutputSink for Counting {
    #[inline]
    fn accept(&mut self, _: u64, output: Output<'_>) {
        match output {
            Output::Forecast(forecast) => {
                self.forecasts += 1;
                self.hash = self.hash.rotate_left(5) ^ forecast.forecast.to_bits() ^ forecast.upper.to_bits();
            }
            Output::Anomaly(anomaly) => {
                self.anomalies += 1;
                self.hash = self.hash.rotate_left(5) ^ anomaly.score.to_bits();
            }
            _ => {}
        }
    }
}

/// Volatility comes in regimes of hours, volume follows it.
fn candles(count: usize) -> Vec<Event> {
    let mut random = Random(20_240_501);
    let interval = "1m".parse::<Interval>().unwrap().time().unwrap();
    let mut level = 60_000.0;
    (0..count)
        .map(|i| {
            let wild = if i / 300 % 3 == 0 { 2.5 } else { 1.0 };
            let open = level;
            level *= 1.0 + 5e-4 * wild * random.gauss();
            let reach = 3e-4 * wild * open;
            let (high, low) =
                (open.max(level) + reach * random.unit(), open.min(level) - reach * random.unit());
            let price = |value: f64| fields::price(format!("{value:.2}").as_bytes()).unwrap();
            let volume = |value: f64| Volume::parse(format!("{value:.5}").as_bytes()).unwrap();
            let traded = wild * (0.5 + 10.0 * random.unit());
            let trades = 1 + (300.0 * wild * random.unit()) as u64;
            Event::Candle(Box::new(ReadyCandle {
                interval,
                open_at: UnixNanos(1_714_521_600_000_000_000 + i as i64 * MINUTE),
                prices: Some(Ohlc {
                    open: price(open),
                    high: price(high),
                    low: price(low),
                    close: price(level),
                }),
                volume: volume(traded),
                quote_volume: None,
                trade_count: Some(trades),
                taker_buy_volume: Some(volume(traded * random.unit())),
                origin: Origin::File,
            }))
        })
        .collect()
}

/// The default configuration for one-minute candles, with other models where `flags` says so.
fn settings(flags: &[FlagSetting]) -> Settings {
    let mut all: Vec<FlagSetting> =
        vec![("engine.intervals", "", "1m".to_owned()), ("engine.indicators", "", String::new())];
    all.extend_from_slice(flags);
    Config::load(None, &all).unwrap().engine.settings()
}

/// No models at all; those of the default configuration, without its rules and with them; all but those that are priced
/// apart, and the rules too.
fn plans() -> [(&'static str, Settings); 5] {
    let joined = |names: Vec<&str>| names.join(",");
    let detectors = DETECTORS.iter().map(|entry| entry.name).filter(|name| !APART.contains(name));
    let models = [
        ("intelligence.detectors", "", joined(detectors.collect())),
        ("intelligence.forecasters", "", joined(FORECASTERS.iter().map(|entry| entry.name).collect())),
    ];
    let no_rules = [("intelligence.rules", "", String::new())];
    let rules = [("intelligence.rules", "", joined(RULES.iter().map(|entry| entry.name).collect()))];
    let none = ["intelligence.detectors", "intelligence.forecasters", "intelligence.rules"]
        .map(|key| (key, "", String::new()));
    [
        ("without models", settings(&none)),
        ("default set without rules", settings(&no_rules)),
        ("default set", settings(&[])),
        ("all but trees, run lengths and forest", settings(&[&models[..], &no_rules].concat())),
        ("and all rules", settings(&[&models[..], &rules].concat())),
    ]
}

/// Feeds the first of the events untimed, so that models have learnt and memory is touched.
fn run<'e>(
    settings: &Settings,
    warm: usize,
    events: impl Iterator<Item = (usize, Fed<'e>)>,
) -> (Duration, Counting) {
    let instrument = "bench:BTC-USDT".parse().unwrap();
    let mut pipeline = SymbolPipeline::new(instrument, IdRule::Contiguous, settings);
    let (mut archive, mut sink) = (NoArchive, Counting::default());
    let mut begun = CpuTime.start();
    for (at, event) in events {
        if at == warm {
            begun = CpuTime.start();
        }
        let position = Position(at as u64);
        match event {
            Fed::Event(event) => pipeline.on_event(position, event, &mut archive, &mut sink),
            Fed::Trade(trade) => pipeline.on_trade(position, trade, &mut archive, &mut sink),
        }
    }
    (CpuTime.end(begun), sink)
}

enum Fed<'e> {
    Event(&'e Event),
    Trade(&'e Trade),
}

fn best(of: impl FnMut() -> Duration) -> f64 {
    let repeats = if is_smoke() { 1 } else { REPEATS };
    std::iter::repeat_with(of).take(repeats).min().unwrap_or_default().as_nanos() as f64
}

fn bench_candles(criterion: &mut Criterion<CpuTime>) {
    let (warm, count) = (sized(3_000, 200), sized(12_000, 300));
    let events = candles(warm + count);
    let mut group = criterion.benchmark_group("candles");
    group.throughput(Throughput::Elements(count as u64)).sample_size(10);
    let horizons = settings(&[]).intelligence.forecasts.horizons.len();
    let mut bare = 0.0;
    for (name, settings) in plans() {
        let once = || run(&settings, warm, events.iter().map(Fed::Event).enumerate());
        let (_, told) = once();
        let nanos = best(|| once().0) / count as f64;
        if name == "without models" {
            bare = nanos;
        }
        println!(
            "{name}: {nanos:.0} ns a candle; models {:.0} ns, {:.0} ns a candle and horizon of {horizons}; {} forecasts, {} anomalies, hash {:016x}",
            nanos - bare,
            (nanos - bare) / horizons as f64,
            told.forecasts,
            told.anomalies,
            told.hash,
        );
        group.bench_function(name, |bencher| {
            bencher.iter_custom(|iterations| (0..iterations).map(|_| black_box(once()).0).sum())
        });
    }
    group.finish();
}

fn bench_trades(criterion: &mut Criterion<CpuTime>) {
    let (warm, count) = (sized(200_000, 2_000), sized(2_000_000, 8_000));
    let trades: Vec<Trade> = Market::bench_one(7).take(warm + count).map(|(_, trade)| trade).collect();
    let mut group = criterion.benchmark_group("trades");
    group.throughput(Throughput::Elements(count as u64)).sample_size(10);
    let mut bare = 0.0;
    for (name, settings) in plans() {
        let once = || run(&settings, warm, trades.iter().map(Fed::Trade).enumerate()).0;
        let nanos = best(once) / count as f64;
        if name == "without models" {
            bare = nanos;
        }
        println!("{name}: {nanos:.1} ns a trade at fifty a second, models {:.1} ns of it", nanos - bare);
        group.bench_function(name, |bencher| {
            bencher.iter_custom(|iterations| (0..iterations).map(|_| once()).sum())
        });
    }
    group.finish();
}

/// What the algorithms are given, ours and river's.
struct Inputs {
    series: Vec<f64>,
    /// Ten inputs, the first a constant, and whether it was so.
    examples: Vec<([f64; 10], bool)>,
    points: Vec<[f64; 2]>,
}

impl Inputs {
    fn new(count: usize) -> Self {
        let mut random = Random(7);
        let mut last = [0.0, 0.0];
        let mut level = 100.0;
        let series = (0..count).map(|_| {
            let change = 0.4 * last[0] - 0.2 * last[1] + random.gauss();
            last = [change, last[0]];
            level += 0.01 * change;
            level
        });
        let series = series.collect();
        let examples = (0..count)
            .map(|_| {
                let mut inputs = [1.0; 10];
                inputs[1..].iter_mut().for_each(|input| *input = random.gauss());
                let lean = 0.3 * inputs[1] - 0.2 * inputs[2] + random.gauss();
                (inputs, lean > 0.0)
            })
            .collect();
        let points =
            (0..count).map(|_| [(); 2].map(|()| (0.5 + 0.15 * random.gauss()).clamp(0.0, 1.0))).collect();
        Self { series, examples, points }
    }

    /// A line a row: value, ten inputs, whether, two coordinates. Shortest forms that read back the same.
    fn text(&self) -> String {
        let mut text = String::new();
        for ((value, (inputs, was_so)), point) in self.series.iter().zip(&self.examples).zip(&self.points) {
            let numbers = inputs.iter().chain(point).map(ToString::to_string).collect::<Vec<_>>().join(",");
            let _ = writeln!(text, "{value},{},{numbers}", u8::from(*was_so));
        }
        text
    }
}

fn autoregression(series: &[f64]) -> f64 {
    let mut model =
        Rls::<6>::new(RlsSettings { trace_max: 1e4, clip: Some(4.0), ..RlsSettings::plain(0.999, 100.0) });
    let (mut lags, mut before, mut errors) = ([1.0, 0.0, 0.0, 0.0, 0.0, 0.0], series[0], 0.0);
    for value in &series[1..] {
        let change = value - before;
        let said = model.predict(&lags);
        errors += (change - said).abs();
        model.correct(&lags, change - said);
        lags[1..].rotate_right(1);
        lags[1] = change;
        before = *value;
    }
    errors
}

fn logistic(examples: &[([f64; 10], bool)]) -> f64 {
    let mut model = Ftrl::<10>::new(FtrlSettings { alpha: 0.1, beta: 1.0, l1: 0.5, l2: 1.0 });
    examples.iter().map(|(inputs, was_so)| model.predict(inputs) + model.learn(inputs, *was_so)).sum()
}

fn trees(points: &[[f64; 2]]) -> f64 {
    let shape = HalfSpaceParameters { dimensions: 2, trees: 25, height: 8, window: 250, seed: 42 };
    let mut forest = HalfSpaceTrees::new(shape);
    points.iter().filter_map(|point| forest.observe(point)).sum()
}

fn bench_algorithms(criterion: &mut Criterion<CpuTime>) {
    let count = sized(20_000, 600);
    let inputs = Inputs::new(count);
    type Run<'i> = Box<dyn Fn() -> f64 + 'i>;
    let algorithms: [(&str, f64, Run<'_>); 3] = [
        ("autoregression", 100.0, Box::new(|| autoregression(&inputs.series))),
        ("ftrl", 50.0, Box::new(|| logistic(&inputs.examples))),
        ("half-space trees", 30.0, Box::new(|| trees(&inputs.points))),
    ];
    let theirs = river(&inputs);
    let mut group = criterion.benchmark_group("algorithms");
    group.throughput(Throughput::Elements(count as u64)).sample_size(10);
    for (name, wanted, run) in &algorithms {
        // As many rounds as make a time that the clock can tell.
        let rounds = sized(20, 1);
        let ours = best(|| {
            let begun = CpuTime.start();
            (0..rounds).for_each(|_| _ = black_box(run()));
            CpuTime.end(begun)
        }) / (rounds * count) as f64;
        match theirs.iter().find(|(other, _)| other == name) {
            None => println!("{name}: {ours:.1} ns a row"),
            Some((_, theirs)) => println!(
                "{name}: {ours:.1} ns a row, river {theirs:.0} ns: {:.0} times as fast, wanted {wanted} times",
                theirs / ours
            ),
        }
        group.bench_function(*name, |bencher| bencher.iter(run));
    }
    group.finish();
}

/// What river needs for the same rows, in nanoseconds a row; empty, and said why, where it is not asked.
fn river(inputs: &Inputs) -> Vec<(String, f64)> {
    if is_smoke() {
        println!("skipped: river is not asked in a smoke run");
        return Vec::new();
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let python = std::env::var_os("TAPEWATCH_RIVER_PYTHON")
        .map_or_else(|| root.join("target/river/bin/python"), PathBuf::from);
    let has_river =
        Command::new(&python).args(["-c", "import river"]).output().is_ok_and(|out| out.status.success());
    if !has_river {
        println!("skipped: {} has no river; benches/support/river-venv makes one that has", python.display());
        return Vec::new();
    }
    let rows = tempfile::NamedTempFile::new().expect("a temporary file can be made");
    std::fs::write(rows.path(), inputs.text()).expect("a temporary file can be written");
    let out = Command::new(&python).arg(root.join("benches/support/river_rows.py")).arg(rows.path()).output();
    let out = out.expect("python starts, as it just did");
    assert!(out.status.success(), "river_rows.py failed: {}", String::from_utf8_lossy(&out.stderr));
    String::from_utf8_lossy(&out.stdout)
        .lines()
        .filter_map(|line| {
            let (name, nanos) = line.split_once('\t')?;
            Some((name.to_owned(), nanos.parse().ok()?))
        })
        .collect()
}

criterion_group! {
    name = benches;
    config = Criterion::default().with_measurement(CpuTime);
    targets = bench_candles, bench_trades, bench_algorithms
}
criterion_main!(benches);
