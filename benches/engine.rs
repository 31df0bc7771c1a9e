//! What a trade costs on its way through the live engine, beside the bare pipeline; how long it takes; and
//! how long a start takes.
//!
//! `bare pipeline` takes the trades one by one, in the order of the market. `engine, frames of 1` hands each trade
//! to the intake alone and lets the shard rest: journal (one write each), inbox, actor, bus, a sink that
//! counts, all stages timed. `frames of 64` is the same under a backlog. Time is CPU time of the shard's
//! thread, feeding included. The ratio is what the engine adds; a larger one means that fewer trades fit into
//! a second of a core. Latency is wall time at 10,000 single trades a second: from a parsed frame (`route`)
//! to the sinks (`publish`); it says something only on a machine that does nothing else. `start` is the time
//! from locking the data directory until trades may come: after a stop (snapshots alone), and with the
//! snapshots taken away (the whole journal).
//!
//! Trades a run: 1,000,000, or as `TAPEWATCH_BENCH_TRADES` says.

use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use cpu_time::ThreadTime;
use tapewatch::analytics::archive::NoArchive;
use tapewatch::analytics::catalogue::Spec;
use tapewatch::analytics::pipeline::{Settings, SymbolPipeline};
use tapewatch::domain::event::Trade;
use tapewatch::domain::instrument::Instrument;
use tapewatch::domain::output::{Output, OutputSink, Position};
use tapewatch::domain::time::UnixNanos;
use tapewatch::domain::told::Watch;
use tapewatch::domain::venue::IdRule;
use tapewatch::engine::assembly::{Connect, Engine, Opened, Plan, ShardDoor, Tools};
use tapewatch::engine::config::LiveConfig;
use tapewatch::engine::data_dir::DataDir;
use tapewatch::replay::generate::market::Market;
use tapewatch::runtime::clock::{self, Mono, Stopwatch};
use tapewatch::runtime::health::Health;
use tapewatch::runtime::intake::FrameStamps;
use tapewatch::runtime::latency::Latency;
use tapewatch::runtime::metrics::Metrics;
use tapewatch::runtime::quarantine::NoQuarantine;
use tapewatch::runtime::sink::{Batch, Sink};
use tapewatch::runtime::venue_clock::VenueClock;

const SYMBOLS: usize = 1_000;

fn settings() -> Settings {
    let intervals = ["1s", "1m", "5m", "1h"].map(|text| text.parse().unwrap());
    let indicators = "ema(20),rsi(14),macd(12,26,9),bollinger(20,2),atr(14)";
    Settings::new(&intervals, &Spec::parse_list(indicators).unwrap(), 2_000_000_000)
}

#[derive(Default)]
struct Counting(AtomicU64);

impl Sink for Counting {
    fn name(&self) -> &'static str {
        "counting"
    }

    fn offer(&self, batch: &Arc<Batch>) {
        self.0.fetch_add(batch.tellings.len() as u64, Ordering::Relaxed);
    }
}

#[derive(Default)]
struct Bare(u64);

impl OutputSink for Bare {
    fn accept(&mut self, cause_seq: u64, output: Output<'_>) {
        self.0 = self.0.wrapping_add(cause_seq);
        black_box(&output);
    }
}

/// CPU nanoseconds a trade.
fn bare(world: &World) -> f64 {
    let settings = settings();
    let of = |i: &Instrument| SymbolPipeline::new(i.clone(), IdRule::Contiguous, &settings);
    let mut pipelines: Vec<_> = world.instruments.iter().map(of).collect();
    let mut sink = Bare::default();
    let begun = ThreadTime::now();
    for (i, (symbol, trade)) in world.trades.iter().enumerate() {
        pipelines[*symbol].on_trade(Position(i as u64), trade, &mut NoArchive, &mut sink);
    }
    black_box(sink.0);
    begun.elapsed().as_nanos() as f64 / world.trades.len() as f64
}

#[derive(Clone)]
struct World {
    instruments: Vec<Instrument>,
    trades: Arc<Vec<(usize, Trade)>>,
    clock: VenueClock,
}

async fn start(dir: &Path, world: &World, latency: &Latency) -> (Engine, Arc<Counting>) {
    let opened = Opened::open(DataDir::lock(dir).unwrap(), &world.instruments, settings()).unwrap();
    let sink = Arc::new(Counting::default());
    let tools = Tools {
        metrics: Metrics::new(),
        latency: latency.clone(),
        health: Health::default(),
        quarantine: Arc::new(NoQuarantine),
        clocks: [(world.instruments[0].venue().clone(), world.clock.clone())].into(),
    };
    let plan = Plan { live: LiveConfig::default(), shards: 1, recorded: String::new(), fault: None };
    let engine = opened.start(plan, tools, vec![sink.clone()]).await.unwrap();
    (engine, sink)
}

/// Feeds all trades in frames of `frame`, each `every` apart where that is not zero; CPU nanoseconds.
async fn feed(engine: &Engine, world: &World, frame: usize, every: Duration) -> u64 {
    let (cpu, done) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicUsize::new(0)));
    let (world, cpu_there, done_there) = (world.clone(), cpu.clone(), done.clone());
    let connect: Connect = Arc::new(move |door: ShardDoor| {
        let (world, cpu, done) = (world.clone(), cpu_there.clone(), done_there.clone());
        actix_rt::spawn(async move {
            let find = |i: &Instrument| door.watches.iter().find(|(_, own)| own == i).unwrap().0;
            let watches: Vec<Watch> = world.instruments.iter().map(find).collect();
            let skew = world.clock.skew_ns().unwrap();
            let mut trades = Vec::new();
            let begun = ThreadTime::now();
            let mut due = Mono::now();
            for (i, (symbol, trade)) in world.trades.iter().enumerate() {
                trades.push((watches[*symbol], trade.clone()));
                if trades.len() < frame && i + 1 < world.trades.len() {
                    continue;
                }
                if !every.is_zero() {
                    due = due.after(every);
                    while Mono::now() < due {
                        tokio::task::yield_now().await;
                    }
                }
                let now = Mono::now();
                let received_at = UnixNanos(trade.exchange_at.0 + skew);
                door.intake.trades(FrameStamps { received_at, received: now, parsed: now }, &mut trades);
                door.intake.rest();
                tokio::task::yield_now().await;
            }
            for _ in 0..100 {
                tokio::task::yield_now().await;
            }
            cpu.store(begun.elapsed().as_nanos() as u64, Ordering::Relaxed);
            done.store(1, Ordering::Relaxed);
        });
    });
    engine.connect(connect).await;
    while done.load(Ordering::Relaxed) == 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    cpu.load(Ordering::Relaxed)
}

fn main() {
    let is_smoke = !std::env::args().any(|argument| argument == "--bench");
    let told = std::env::var("TAPEWATCH_BENCH_TRADES").ok().and_then(|text| text.parse().ok());
    let count: usize = told.unwrap_or(if is_smoke { 5_000 } else { 1_000_000 });
    let mut market = Market::bench_many(7, SYMBOLS);
    let instruments = market.instruments().to_vec();
    let trades: Vec<_> = market.by_ref().take(count).collect();
    let clock = VenueClock::default();
    clock.set_skew_ns(clock::now().0 - trades[0].1.exchange_at.0);
    let world = World { instruments, trades: Arc::new(trades), clock };
    let few = World { trades: Arc::new(world.trades[..count.min(100_000)].to_vec()), ..world.clone() };

    let bare = bare(&world);
    println!("bare pipeline: {bare:.0} ns of CPU a trade");
    let folder = tempfile::tempdir().unwrap();
    actix_rt::System::new().block_on(async {
        for frame in [1, 64] {
            let dir = folder.path().join(frame.to_string());
            let (engine, sink) = start(&dir, &world, &Latency::default()).await;
            let nanos = feed(&engine, &world, frame, Duration::ZERO).await as f64 / count as f64;
            assert!(engine.stop().await.unwrap());
            let outputs = sink.0.load(Ordering::Relaxed);
            println!(
                "engine, frames of {frame}: {nanos:.0} ns of CPU a trade, {:.2} of bare; {outputs} outputs",
                nanos / bare
            );
        }
        let latency = Latency::default();
        let (engine, _) = start(&folder.path().join("paced"), &few, &latency).await;
        feed(&engine, &few, 1, Duration::from_micros(100)).await;
        assert!(engine.stop().await.unwrap());
        let report = latency.report();
        let spans = report.stages.iter().map(|(stage, times)| (stage.name(), times));
        for (name, times) in spans.chain([("received to computed", &report.computed)]) {
            if !times.is_empty() {
                let at = |quantile| times.value_at_quantile(quantile) as f64 / 1e3;
                println!(
                    "10,000 a second, {name}: p50 {:.1} us, p99 {:.1} us, p99.9 {:.1} us ({} trades)",
                    at(0.5),
                    at(0.99),
                    at(0.999),
                    times.len()
                );
            }
        }
        let dir = folder.path().join("64");
        for what in ["after a stop", "from the whole journal"] {
            if what != "after a stop" {
                std::fs::remove_dir_all(dir.join("snapshots")).unwrap();
            }
            let watch = Stopwatch::start();
            let (engine, _) = start(&dir, &world, &Latency::default()).await;
            println!(
                "start of {SYMBOLS} symbols {what} ({count} trades): {:.0} ms",
                watch.elapsed().as_secs_f64() * 1e3
            );
            assert!(engine.stop().await.unwrap());
        }
    });
}
