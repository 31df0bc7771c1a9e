//! The engine as a whole, in one process and without sockets: seeded trades of many instruments through its
//! shards, with full inboxes, panics and kills at random moments. What it told must be what a replay of its
//! own journal tells, and a run that was interrupted must end as one that was not.
//!
//! A kill is played by a copy of the data directory taken while the engine runs: that holds what the kernel
//! had, and nothing that only the process knew. Every test prints its seed; `TAPEWATCH_SEED` sets it.

#[path = "common/patience.rs"]
mod patience;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rusqlite::types::ValueRef;
use tapewatch::analytics::catalogue::Spec;
use tapewatch::analytics::pipeline::Settings;
use tapewatch::api::board::{Board, sink as board_sink};
use tapewatch::app::config::Config;
use tapewatch::domain::candle::Candle;
use tapewatch::domain::decimal::Price;
use tapewatch::domain::event::{Event, Trade, TradeId};
use tapewatch::domain::instrument::Instrument;
use tapewatch::domain::output::Position;
use tapewatch::domain::time::UnixNanos;
use tapewatch::domain::told::{IndicatorNames, Roster, Told};
use tapewatch::domain::venue::IdRule;
use tapewatch::engine::assembly::{Connect, Engine, Opened, Plan, ShardDoor, Tools};
use tapewatch::engine::config::LiveConfig;
use tapewatch::engine::data_dir::DataDir;
use tapewatch::engine::shard::Fault;
use tapewatch::engine::symbol::Symbol;
use tapewatch::engine::symbol_actor::Voice;
use tapewatch::engine::verify::{NoWitness, Recorded, verify};
use tapewatch::journal::catch_up::CatchUp;
use tapewatch::journal::chunks::Chunks;
use tapewatch::journal::entry::Entry;
use tapewatch::journal::segment::SegmentFile;
use tapewatch::journal::snapshots::Snapshots;
use tapewatch::replay::generate::market::Market;
use tapewatch::runtime::backoff::splitmix;
use tapewatch::runtime::clock::{self, Mono};
use tapewatch::runtime::health::Health;
use tapewatch::runtime::intake::FrameStamps;
use tapewatch::runtime::latency::Latency;
use tapewatch::runtime::metrics::Metrics;
use tapewatch::runtime::quarantine::{Quarantine, Quarantined};
use tapewatch::runtime::sink::{Barrier, Batch, Refill, Sink};
use tapewatch::runtime::venue_clock::VenueClock;
use tapewatch::storage::config::EmbeddedConfig;
use tapewatch::storage::embedded::sink::Embedded;

use crate::patience::patiently;

fn seed(name: &str) -> u64 {
    let told = std::env::var("TAPEWATCH_SEED").ok().and_then(|text| text.parse().ok());
    let seed = told.unwrap_or_else(|| splitmix(clock::now().0.cast_unsigned()));
    println!("{name}: TAPEWATCH_SEED={seed}");
    seed
}

struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = splitmix(self.0);
        self.0 % bound
    }
}

fn settings() -> Settings {
    let intervals = ["1s", "5s", "ticks:100"].map(|text| text.parse().unwrap());
    Settings::new(&intervals, &Spec::parse_list("ema(5),rsi(3),bollinger(5,2)").unwrap(), 500_000_000)
}

/// Remembers everything, by instrument.
struct Ear {
    roster: Roster,
    heard: Mutex<BTreeMap<Instrument, Vec<String>>>,
    recovered: AtomicUsize,
}

impl Ear {
    fn new(roster: Roster) -> Arc<Self> {
        Arc::new(Self { roster, heard: Mutex::default(), recovered: AtomicUsize::new(0) })
    }

    fn heard(&self) -> BTreeMap<Instrument, Vec<String>> {
        self.heard.lock().unwrap().clone()
    }
}

fn line(at: u64, cause_seq: u64, told: &Told) -> String {
    format!("{at} {cause_seq} {told:?}")
}

impl Sink for Ear {
    fn name(&self) -> &'static str {
        "ear"
    }

    fn offer(&self, batch: &Arc<Batch>) {
        if batch.recovered {
            self.recovered.fetch_add(batch.tellings.len(), Ordering::Relaxed);
        }
        let mut heard = self.heard.lock().unwrap();
        for telling in &batch.tellings {
            let instrument = self.roster.instrument(telling.watch);
            let lines = heard.entry(instrument.clone()).or_default();
            lines.push(line(telling.at.0, telling.cause_seq, &telling.told));
        }
    }
}

#[derive(Default)]
struct Cell(Mutex<Vec<Quarantined>>);

impl Quarantine for Cell {
    fn put(&self, item: Quarantined) {
        self.0.lock().unwrap().push(item);
    }
}

/// What a replay of the journal tells, by instrument; from the first entry on.
fn replayed(journal: &Path, settings: &Settings) -> BTreeMap<Instrument, Vec<String>> {
    let mut reading = CatchUp::open(journal, BTreeMap::new()).unwrap();
    let archive = tempfile::tempdir().unwrap();
    let chunks = Arc::new(Chunks::open(archive.path(), []).unwrap());
    let names = IndicatorNames::default();
    let mut symbols: Vec<(Instrument, u32, Symbol<'_>)> = Vec::new();
    let mut heard: BTreeMap<Instrument, Vec<String>> = BTreeMap::new();
    let skips = reading.skips();
    loop {
        let more = reading
            .next_block(|instruments, entry| {
                for listed in &instruments[symbols.len()..] {
                    let symbol = Symbol::new(listed.instrument.clone(), listed.rule, settings, &chunks);
                    symbols.push((listed.instrument.clone(), listed.partition, symbol));
                }
                let mut take = |number: usize, at, event: &Event| {
                    let (instrument, _, symbol) = &mut symbols[number];
                    let mut tellings = Vec::new();
                    let watch = tapewatch::domain::told::Watch(0);
                    let mut voice = Voice::new(&mut tellings, &names, watch, at, None);
                    symbol.take(at, event, &mut voice);
                    let lines = heard.entry(instrument.clone()).or_default();
                    lines.extend(tellings.iter().map(|t| line(t.at.0, t.cause_seq, &t.told)));
                };
                match entry {
                    Entry::Event { instrument, at, event } => take(instrument.0 as usize, at, &event),
                    Entry::Tick { venue_at, partitions } => {
                        for (partition, at) in partitions {
                            for (number, listed) in instruments.iter().enumerate() {
                                if listed.partition == partition && !skips.has_tick(&listed.instrument, at) {
                                    take(number, at, &Event::Tick { venue_at });
                                }
                            }
                        }
                    }
                    _ => {}
                }
            })
            .unwrap();
        if !more {
            return heard;
        }
    }
}

fn check_same(live: &BTreeMap<Instrument, Vec<String>>, offline: &BTreeMap<Instrument, Vec<String>>) {
    assert_eq!(live.keys().collect::<Vec<_>>(), offline.keys().collect::<Vec<_>>());
    for (instrument, live) in live {
        let offline = &offline[instrument];
        for (i, (a, b)) in live.iter().zip(offline).enumerate() {
            assert_eq!(a, b, "{instrument}: output {i} of {} and {}", live.len(), offline.len());
        }
        assert_eq!(live.len(), offline.len(), "{instrument}");
    }
}

struct World {
    instruments: Vec<Instrument>,
    trades: Arc<Vec<(usize, Trade)>>,
    clock: VenueClock,
}

impl World {
    fn new(seed: u64, symbols: usize, trades: usize) -> Self {
        let mut market = Market::bench_many(seed, symbols);
        let instruments = market.instruments().to_vec();
        let trades: Vec<_> = market.by_ref().take(trades).collect();
        let clock = VenueClock::default();
        clock.set_skew_ns(clock::now().0 - trades[0].1.exchange_at.0);
        Self { instruments, trades: Arc::new(trades), clock }
    }

    fn tools(&self, quarantine: Arc<Cell>) -> Tools {
        Tools {
            metrics: Metrics::new(),
            latency: Latency::default(),
            health: Health::default(),
            quarantine,
            clocks: [(self.instruments[0].venue().clone(), self.clock.clone())].into(),
        }
    }

    /// Feeds each shard its own, in bursts and alone, as much as `pace` says at a time; those that were
    /// taken in before are left out.
    fn feeder(&self, seed: u64, upto: usize, done: Arc<AtomicUsize>) -> Connect {
        let (trades, instruments) = (self.trades.clone(), self.instruments.clone());
        let skew = self.clock.skew_ns().unwrap();
        let ours = move |trade: &Trade| UnixNanos(trade.exchange_at.0 + skew);
        Arc::new(move |door: ShardDoor| {
            let (trades, instruments, done) = (trades.clone(), instruments.clone(), done.clone());
            actix_rt::spawn(async move {
                let watches: BTreeMap<&Instrument, _> =
                    door.watches.iter().map(|(watch, instrument)| (instrument, *watch)).collect();
                let own: Vec<_> = instruments.iter().map(|i| watches.get(i).copied()).collect();
                let known: Vec<_> =
                    own.iter().map(|watch| watch.and_then(|watch| door.intake.last_id(watch))).collect();
                let mut dice = Dice(seed ^ door.shard as u64);
                let mut frame = Vec::new();
                let mut room = 1;
                for (symbol, trade) in &trades[..upto] {
                    let Some(watch) = own[*symbol] else { continue };
                    let TradeId::Number(id) = trade.id else { unreachable!("the market numbers its trades") };
                    if known[*symbol].is_some_and(|known| id <= known) {
                        continue;
                    }
                    frame.push((watch, trade.clone()));
                    if frame.len() < room {
                        continue;
                    }
                    room = [1, 1, 3, 40, 300][dice.below(5) as usize];
                    let received_at = ours(trade);
                    let now = Mono::now();
                    door.intake.trades(FrameStamps { received_at, received: now, parsed: now }, &mut frame);
                    if dice.below(8) > 0 {
                        door.intake.rest();
                    }
                    if dice.below(3) == 0 {
                        tokio::task::yield_now().await;
                    }
                    if dice.below(5) == 0 {
                        tokio::time::sleep(Duration::from_millis(dice.below(30))).await;
                    }
                }
                let now = Mono::now();
                let received_at = ours(&trades[upto - 1].1);
                door.intake.trades(FrameStamps { received_at, received: now, parsed: now }, &mut frame);
                door.intake.rest();
                done.fetch_add(1, Ordering::Relaxed);
            });
        })
    }
}

fn plan(shards: usize, inbox_capacity: usize, fault: Option<Fault>) -> Plan {
    let live = LiveConfig {
        inbox_capacity,
        snapshot_interval: Duration::from_secs(1),
        // Debug builds on busy machines are slow at reading journals back.
        drain_deadline: Duration::from_secs(60),
        ..LiveConfig::default()
    };
    Plan { live, shards, recorded: String::new(), fault }
}

async fn opened(dir: &Path, world: &World, settings: impl Fn() -> Settings) -> Opened {
    patiently(async || Opened::open(DataDir::lock(dir)?, &world.instruments, settings())).await
}

async fn start(dir: &Path, world: &World, plan: Plan, quarantine: &Arc<Cell>) -> (Engine, Arc<Ear>, Tools) {
    let opened = opened(dir, world, settings).await;
    let ear = Ear::new(opened.roster().clone());
    let tools = world.tools(quarantine.clone());
    let engine = opened.start(plan, tools.clone(), vec![ear.clone()]).await.unwrap();
    (engine, ear, tools)
}

/// Holds the journal against what the live run said of itself; how often that was.
fn verified(dir: &Path) -> u64 {
    let journal = dir.join("journal");
    let recorded = Recorded::of(&journal).unwrap();
    let own = tempfile::tempdir().unwrap();
    let snapshots = Snapshots::at(&dir.join("snapshots"), own.path()).unwrap();
    let verified = verify(&journal, &snapshots, &settings(), &recorded, &mut NoWitness).unwrap();
    assert_eq!(verified.difference, None);
    verified.compared
}

async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    for _ in 0..30_000 {
        if holds() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("{what} did not come true");
}

/// Ids of trades told, by instrument.
fn ids(heard: &BTreeMap<Instrument, Vec<String>>) -> BTreeMap<Instrument, Vec<String>> {
    let of = |lines: &Vec<String>| {
        let trades = lines.iter().filter(|line| line.contains("Trade(Trade"));
        let id = |line: &String| {
            let from = line.find("Number(").unwrap();
            line[from..line[from..].find(')').unwrap() + from].to_owned()
        };
        trades.map(id).collect()
    };
    heard.iter().map(|(instrument, lines)| (instrument.clone(), of(lines))).collect()
}

#[test]
fn live_is_the_replay_of_its_journal() {
    let seed = seed("live_is_the_replay_of_its_journal");
    let folder = tempfile::tempdir().unwrap();
    let world = World::new(seed, 40, 60_000);
    // Some trades panic, each time they are taken.
    let picks: BTreeSet<_> = world
        .trades
        .iter()
        .enumerate()
        .filter(|(i, _)| splitmix(seed ^ *i as u64).is_multiple_of(5_000))
        .map(|(_, (symbol, trade))| (world.instruments[*symbol].clone(), trade.id.to_string()))
        .collect();
    let asked = picks.clone();
    let fault: Fault = Arc::new(move |instrument, event| match event {
        Event::Trade(trade) => asked.contains(&(instrument.clone(), trade.id.to_string())),
        _ => false,
    });
    actix_rt::System::new().block_on(async {
        let quarantine = Arc::new(Cell::default());
        let (engine, ear, tools) = start(folder.path(), &world, plan(3, 20, Some(fault)), &quarantine).await;
        let done = Arc::new(AtomicUsize::new(0));
        engine.connect(world.feeder(seed, world.trades.len(), done.clone())).await;
        until("feeding", || done.load(Ordering::Relaxed) == 3).await;
        assert!(engine.stop().await.unwrap(), "everything is worked off before the deadline");
        let heard = ear.heard();
        check_same(&heard, &replayed(&folder.path().join("journal"), &settings()));
        assert!(verified(folder.path()) >= world.instruments.len() as u64);
        let told: usize = ids(&heard).values().map(Vec::len).sum();
        assert_eq!(told + picks.len(), world.trades.len());
        assert_eq!(quarantine.0.lock().unwrap().len(), picks.len());
        let behind = tools.metrics.queue("inbox").dropped.get();
        println!("{} panics, {behind} events read from the journal", picks.len());
        assert!(behind > 0 && !picks.is_empty());
    });
}

#[test]
fn a_kill_at_any_moment_loses_and_doubles_nothing() {
    let seed = seed("a_kill_at_any_moment_loses_and_doubles_nothing");
    let mut dice = Dice(seed);
    let folder = tempfile::tempdir().unwrap();
    let world = World::new(seed, 25, 40_000);
    actix_rt::System::new().block_on(async {
        let quarantine = Arc::new(Cell::default());
        let mut dir = folder.path().join("0");
        let done = Arc::new(AtomicUsize::new(0));
        let mut rounds = 0;
        loop {
            let shards = 1 + dice.below(4) as usize;
            let (engine, ear, _) = start(&dir, &world, plan(shards, 64, None), &quarantine).await;
            done.store(0, Ordering::Relaxed);
            rounds += 1;
            let last = rounds == 5;
            engine.connect(world.feeder(dice.below(1 << 40), world.trades.len(), done.clone())).await;
            if last {
                until("feeding", || done.load(Ordering::Relaxed) == shards).await;
                assert!(engine.stop().await.unwrap());
                let offline = replayed(&dir.join("journal"), &settings());
                let all: usize = ids(&offline).values().map(Vec::len).sum();
                assert_eq!(all, world.trades.len(), "every trade once");
                // The last run has told the end of it, from its last snapshot on.
                for (instrument, heard) in ear.heard() {
                    let whole = &offline[&instrument];
                    assert!(
                        whole.ends_with(&heard),
                        "{instrument}: what was told is not the end of the replay"
                    );
                }
                let compared = verified(&dir);
                let tellings: usize = offline.values().map(Vec::len).sum();
                let recovered = ear.recovered.load(Ordering::Relaxed);
                println!("{compared} tallies compared, {recovered} of {tellings} outputs told again");
                assert!(compared > 0);
                // A stop leaves snapshots of everything: the next start has nothing to compute.
                let (engine, ear, _) = start(&dir, &world, plan(2, 64, None), &quarantine).await;
                assert_eq!(ear.recovered.load(Ordering::Relaxed), 0);
                assert!(engine.stop().await.unwrap());
                assert!(verified(&dir) > compared);
                return;
            }
            tokio::time::sleep(Duration::from_millis(200 + dice.below(800))).await;
            let told = ear.heard();
            let image = folder.path().join(rounds.to_string());
            copy(&dir, &image);
            engine.stop().await.unwrap();
            // What had left the engine before the kill is in what the kernel had, to the letter.
            let offline = replayed(&cut(&image), &settings());
            for (instrument, told) in &told {
                let whole = offline.get(instrument).map(Vec::as_slice).unwrap_or_default();
                let found = whole.windows(told.len().max(1)).any(|window| window == told);
                assert!(found || told.is_empty(), "{instrument}: told, and not in the journal");
            }
            dir = image;
        }
    });
}

/// The image's journal, its tail cut as a start would do it.
fn cut(image: &Path) -> std::path::PathBuf {
    let journal = image.join("journal");
    tapewatch::journal::tail::cut_tail(&journal).unwrap();
    journal
}

/// As a kill leaves it. Snapshots first: one never speaks of what the journal does not hold yet.
fn copy(from: &Path, to: &Path) {
    for part in ["snapshots", "journal"] {
        fs::create_dir_all(to.join(part)).unwrap();
        let Ok(entries) = fs::read_dir(from.join(part)) else { continue };
        let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        for name in names {
            // Pending snapshots come and go.
            let _ = fs::copy(from.join(part).join(&name), to.join(part).join(&name));
        }
    }
}

#[test]
fn instruments_of_the_market_count_their_ids() {
    let market = Market::bench_many(1, 3);
    assert!(market.instruments().iter().all(|i| i.venue().id_rule() == Some(IdRule::Contiguous)));
}

/// Who panics again while it is computed anew is given up until the next start.
#[test]
fn a_parked_symbol_says_so_and_leaves_its_neighbours_alone() {
    let seed = seed("a_parked_symbol_says_so_and_leaves_its_neighbours_alone");
    let folder = tempfile::tempdir().unwrap();
    let world = World::new(seed, 5, 5_000);
    let victim = world.instruments[0].clone();
    let (asked, broken) = (victim.clone(), AtomicBool::new(false));
    let fault: Fault = Arc::new(move |instrument, event| {
        let is_tick = matches!(event, Event::Tick { .. });
        *instrument == asked && (broken.load(Ordering::Relaxed) || is_tick) && {
            broken.store(true, Ordering::Relaxed);
            true
        }
    });
    actix_rt::System::new().block_on(async {
        let quarantine = Arc::new(Cell::default());
        let (engine, ear, tools) = start(folder.path(), &world, plan(2, 64, Some(fault)), &quarantine).await;
        let done = Arc::new(AtomicUsize::new(0));
        engine.connect(world.feeder(seed, world.trades.len(), done.clone())).await;
        let parked = |heard: &BTreeMap<Instrument, Vec<String>>| {
            heard.get(&victim).is_some_and(|lines| lines.iter().any(|line| line.contains("symbol_parked")))
        };
        until("parking", || parked(&ear.heard()) && done.load(Ordering::Relaxed) == 2).await;
        assert!(tools.health.parts().contains_key(&format!("symbol:{victim}")));
        assert!(engine.stop().await.unwrap());
        let told = ids(&ear.heard());
        for (number, instrument) in world.instruments.iter().enumerate().skip(1) {
            let all = world.trades.iter().filter(|(symbol, _)| *symbol == number).count();
            assert_eq!(told[instrument].len(), all, "{instrument}");
        }
        assert!(verified(folder.path()) > 0);
    });
}

/// As the service records it, so that the program can replay it.
fn recorded() -> Config {
    let text = "[engine]\ngrace = \"500ms\"\nintervals = [\"1s\", \"5s\", \"ticks:100\"]\n\
                indicators = [\"ema(5)\", \"bollinger(5,2)\"]\n[intelligence]\nintervals = [\"1s\"]\n";
    Config::recorded("test", text, None, &[]).unwrap()
}

/// Runs over the embedded store until `upto` trades are taken in, and `ready` is.
async fn run_with_store(dir: &Path, world: &World, upto: usize, ready: impl Fn() -> bool) {
    let config = recorded();
    let opened = opened(dir, world, || config.engine.settings()).await;
    let tools = world.tools(Arc::default());
    let embedded =
        Embedded::start(dir, opened.roster(), EmbeddedConfig::default(), &tools.metrics, &tools.health, None)
            .unwrap();
    let plan = Plan { recorded: config.engine.recorded(), ..plan(2, 4_096, None) };
    let engine = opened.start(plan, tools, vec![embedded.sink()]).await.unwrap();
    let done = Arc::new(AtomicUsize::new(0));
    engine.connect(world.feeder(1, upto, done.clone())).await;
    until("feeding", || done.load(Ordering::Relaxed) == 2).await;
    until("readiness", ready).await;
    assert!(engine.stop().await.unwrap());
    drop(embedded);
}

/// Rows of the store, each as text under its table and key.
fn stored(dir: &Path) -> BTreeMap<String, String> {
    let store = rusqlite::Connection::open(dir.join("store.sqlite")).unwrap();
    let mut rows = BTreeMap::new();
    for (sql, keys) in [
        (
            "SELECT 'candle', n.name, i.name, open_time, origin, close, volume, state, revision FROM candles t \
             JOIN instruments n ON n.id = t.instrument JOIN intervals i ON i.id = t.interval",
            5,
        ),
        (
            "SELECT 'indicator', n.name, i.name, open_time, d.name, value, data_state, revision FROM indicators t \
             JOIN instruments n ON n.id = t.instrument JOIN intervals i ON i.id = t.interval \
             JOIN indicator_names d ON d.id = t.indicator",
            5,
        ),
        ("SELECT 'gap', id, kind, first_missing_id, last_missing_id, state FROM gaps", 2),
        ("SELECT 'forecast', at, id, fields FROM forecasts", 3),
        ("SELECT 'signal', at, id, fields FROM signals", 3),
    ] {
        let mut statement = store.prepare(sql).unwrap();
        let columns = statement.column_count();
        let mut found = statement.query([]).unwrap();
        while let Some(row) = found.next().unwrap() {
            let text = |at| match row.get_ref(at).unwrap() {
                ValueRef::Text(text) => String::from_utf8_lossy(text).into_owned(),
                other => format!("{other:?}"),
            };
            let cells: Vec<String> = (0..columns).map(text).collect();
            let known = rows.insert(cells[..keys].join(" "), cells[keys..].join(" "));
            assert_eq!(known, None, "no row twice");
        }
    }
    rows
}

fn verify_by_program(dir: &Path) -> (bool, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_tapewatch")).arg("verify").arg(dir).output().unwrap();
    let said = [&output.stdout[..], &output.stderr[..]].concat();
    (output.status.success(), String::from_utf8_lossy(&said).into_owned())
}

#[test]
fn verify_finds_a_store_that_differs_from_its_journal() {
    let seed = seed("verify_finds_a_store_that_differs_from_its_journal");
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("data");
    // Few enough outputs for the queue of the store, however slow its disk is: what is dropped there is not compared.
    let world = World::new(seed, 6, 6_000);
    actix_rt::System::new().block_on(run_with_store(&dir, &world, world.trades.len(), || true));
    let (is_equal, said) = verify_by_program(&dir);
    assert!(is_equal && said.contains("rows of the store compared"), "{said}");
    let rows = stored(&dir);
    for kind in ["candle", "indicator", "forecast"] {
        assert!(rows.keys().any(|key| key.contains(kind)), "no {kind} to compare");
    }
    let whole = fs::read(dir.join("store.sqlite")).unwrap();
    let last = "(SELECT max(open_time) FROM candles WHERE close IS NOT NULL)";
    for (sql, words) in [
        (format!("UPDATE candles SET close = '1' WHERE open_time = {last}"), "close is 1 in the store, and "),
        (
            format!("DELETE FROM candles WHERE open_time = {last}"),
            "is told by the replay, and not in the store",
        ),
        (
            "UPDATE indicators SET value = '0.5' WHERE value IS NOT NULL AND indicator = 1".to_owned(),
            "value is 0.5",
        ),
        (
            "UPDATE forecasts SET fields = replace(fields, '\"level\":0.9', '\"level\":0.8')".to_owned(),
            "fields is",
        ),
        (
            "INSERT INTO gaps SELECT at, id + 1, instrument, 1, 'ids', '1', '2', 0, 0, 'open', NULL FROM \
             (SELECT max(at) AS at, max(id) AS id, max(instrument) AS instrument FROM forecasts)"
                .to_owned(),
            "is in the store, and the replay does not tell it",
        ),
    ] {
        fs::write(dir.join("store.sqlite"), &whole).unwrap();
        let store = rusqlite::Connection::open(dir.join("store.sqlite")).unwrap();
        assert!(store.execute(&sql, []).unwrap() > 0, "{sql}");
        drop(store);
        let (is_equal, said) = verify_by_program(&dir);
        assert!(!is_equal && said.contains(words), "{sql}: {said}");
    }
}

#[test]
fn a_store_that_was_deleted_or_is_old_is_told_again_what_it_lacks() {
    let seed = seed("a_store_that_was_deleted_or_is_old_is_told_again_what_it_lacks");
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("data");
    let file = dir.join("store.sqlite");
    let world = World::new(seed, 6, 6_000);
    actix_rt::System::new().block_on(async {
        run_with_store(&dir, &world, world.trades.len() / 2, || true).await;
        let old = fs::read(&file).unwrap();
        run_with_store(&dir, &world, world.trades.len(), || true).await;
        let whole = stored(&dir);
        for state in ["deleted", "old"] {
            fs::remove_file(&file).unwrap();
            if state == "old" {
                fs::write(&file, &old).unwrap();
                assert!(stored(&dir).len() < whole.len());
            }
            let has_all = || {
                let rows = stored(&dir);
                whole.keys().all(|key| rows.contains_key(key))
            };
            // Nothing new comes in: what is found was told again.
            run_with_store(&dir, &world, world.trades.len(), has_all).await;
            let rows = stored(&dir);
            for (key, row) in &whole {
                assert_eq!(rows.get(key), Some(row), "{state}: {key}");
            }
            let (is_equal, said) = verify_by_program(&dir);
            assert!(is_equal, "{state}: {said}");
            assert!(!dir.join("refill/store").exists(), "what it put aside is gone");
        }
    });
}

/// Keeps everything but what it loses, and is told that again.
struct Leaky {
    ear: Arc<Ear>,
    /// Outputs until a batch is lost.
    left: AtomicI64,
    lost: AtomicUsize,
    lacks: AtomicBool,
    kept: Mutex<BTreeMap<u32, Position>>,
}

impl Sink for Leaky {
    fn name(&self) -> &'static str {
        "leaky"
    }

    fn offer(&self, batch: &Arc<Batch>) {
        let tellings = batch.tellings.len() as i64;
        let left = self.left.fetch_sub(tellings, Ordering::Relaxed);
        if left <= 0 || left > tellings {
            return self.ear.offer(batch);
        }
        self.lost.fetch_add(batch.tellings.len(), Ordering::Relaxed);
        self.lacks.store(true, Ordering::Release);
    }

    fn mark(&self, barrier: Barrier) {
        if !self.lacks.load(Ordering::Acquire) {
            self.kept.lock().unwrap().extend(barrier.covers().iter().copied());
            barrier.reach(self.name());
        }
    }

    fn kept(&self) -> Option<BTreeMap<u32, Position>> {
        Some(self.kept.lock().unwrap().clone())
    }

    fn is_lacking(&self) -> bool {
        self.lacks.load(Ordering::Acquire)
    }

    fn refill(&self, step: Refill<'_>) -> bool {
        match step {
            Refill::Begins => {}
            Refill::Batch(batch) => self.ear.offer(batch),
            Refill::Ends => self.lacks.store(false, Ordering::Release),
        }
        true
    }
}

#[test]
fn what_a_sink_lost_while_the_engine_ran_is_told_again() {
    let seed = seed("what_a_sink_lost_while_the_engine_ran_is_told_again");
    let folder = tempfile::tempdir().unwrap();
    // Enough for several passes through the journal.
    let world = World::new(seed, 150, 6_000);
    actix_rt::System::new().block_on(async {
        let opened = opened(folder.path(), &world, settings).await;
        let (whole, ear) = (Ear::new(opened.roster().clone()), Ear::new(opened.roster().clone()));
        let leaky = Arc::new(Leaky {
            ear: ear.clone(),
            left: (1 + Dice(seed).below(3_000) as i64).into(),
            lost: 0.into(),
            lacks: false.into(),
            kept: Mutex::default(),
        });
        let sinks: Vec<Arc<dyn Sink>> = vec![whole.clone(), leaky.clone()];
        let tools = world.tools(Arc::default());
        let engine = opened.start(plan(2, 4_096, None), tools, sinks).await.unwrap();
        let done = Arc::new(AtomicUsize::new(0));
        engine.connect(world.feeder(seed, world.trades.len(), done.clone())).await;
        until("feeding", || done.load(Ordering::Relaxed) == 2).await;
        until("a loss", || leaky.lost.load(Ordering::Relaxed) > 0).await;
        until("the refill", || !leaky.is_lacking()).await;
        assert!(engine.stop().await.unwrap());
        let unique = |ear: &Ear| -> BTreeMap<Instrument, BTreeSet<String>> {
            let all = ear.heard().into_iter();
            all.map(|(instrument, lines)| (instrument, lines.into_iter().collect())).collect()
        };
        assert!(ear.recovered.load(Ordering::Relaxed) > 0, "nothing was told again");
        let (whole, found) = (unique(&whole), unique(&ear));
        for (instrument, lines) in &whole {
            let missing: Vec<_> = lines.difference(&found[instrument]).take(3).collect();
            let invented: Vec<_> = found[instrument].difference(lines).take(3).collect();
            assert!(missing.is_empty() && invented.is_empty(), "{instrument}: {missing:#?} {invented:#?}");
        }
    });
}

/// Lines of a file of results.
fn lines(out: &Path, file: &str) -> BTreeSet<String> {
    fs::read_to_string(out.join(file)).unwrap().lines().map(str::to_owned).collect()
}

#[test]
fn a_journal_whose_oldest_segments_are_gone_replays_from_its_snapshots() {
    let seed = seed("a_journal_whose_oldest_segments_are_gone_replays_from_its_snapshots");
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("data");
    let world = World::new(seed, 6, 15_000);
    actix_rt::System::new().block_on(async {
        for third in 1..=3 {
            run_with_store(&dir, &world, world.trades.len() / 3 * third, || true).await;
        }
    });
    let replayed = |out: &Path| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tapewatch"));
        let output = command.arg("replay").arg(dir.join("journal")).arg("--out").arg(out).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        let summary: serde_json::Value =
            serde_json::from_str(&fs::read_to_string(out.join("summary.json")).unwrap()).unwrap();
        (summary["trades"].as_u64().unwrap(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let (whole, rest) = (folder.path().join("whole"), folder.path().join("rest"));
    let (all, said) = replayed(&whole);
    assert!(all == world.trades.len() as u64 && !said.contains("gone"), "{all}: {said}");
    for segment in 1..=2 {
        fs::remove_file(dir.join(format!("journal/{segment:010}.twj"))).unwrap();
    }
    let (trades, said) = replayed(&rest);
    assert!(said.contains("older segments are gone: the replay begins at the oldest snapshots"), "{said}");
    assert!(trades > 0 && trades <= all / 3, "{trades} of {all}");
    for file in ["candles.csv", "indicators.csv", "forecasts.jsonl", "anomalies.jsonl", "signals.jsonl"] {
        let (whole, rest) = (lines(&whole, file), lines(&rest, file));
        let other: Vec<_> = rest.difference(&whole).take(3).collect();
        assert!(other.is_empty(), "{file}: {other:#?}");
        assert!(rest.len() > 10 || file.starts_with("anomalies") || file.starts_with("signals"), "{file}");
        // Of each series, from where it begins: nothing is left out.
        if file.ends_with(".csv") {
            let cells = |line: &String| line.split(',').map(str::to_owned).collect::<Vec<_>>();
            let mut begins: BTreeMap<Vec<String>, String> = BTreeMap::new();
            for cells in rest.iter().map(cells).filter(|cells| cells[0] != "venue") {
                let at = begins.entry(cells[..3].to_vec()).or_insert(cells[3].clone());
                *at = cells[3].clone().min(at.clone());
            }
            assert!(begins.len() >= 6, "{file}: {begins:?}");
            for line in &whole {
                let cells = cells(line);
                let is_since = begins.get(&cells[..3]).is_some_and(|begin| cells[3] > *begin);
                assert!(!is_since || rest.contains(line), "{file}: {line}");
            }
        }
    }
    let (is_equal, said) = verify_by_program(&dir);
    assert!(is_equal && said.contains("compared from the oldest snapshots on"), "{said}");
}

/// The segment in which the start stated it is removed one day.
#[test]
fn the_configuration_stands_in_each_segment() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::new(7, 1, 1);
    let (trade, done) = (world.trades[0].1.clone(), Arc::new(AtomicUsize::new(0)));
    let (skew, fed) = (world.clock.skew_ns().unwrap(), done.clone());
    let journal = folder.path().join("journal");
    let connect: Connect = Arc::new(move |door: ShardDoor| {
        let (trade, fed) = (trade.clone(), fed.clone());
        actix_rt::spawn(async move {
            // A segment of copies: they are journalled, and nothing is computed of them.
            for _ in 0..280 {
                let received_at = UnixNanos(trade.exchange_at.0 + skew);
                let mut frame = vec![(door.watches[0].0, trade.clone()); 1_000];
                let now = Mono::now();
                door.intake.trades(FrameStamps { received_at, received: now, parsed: now }, &mut frame);
                door.intake.rest();
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            fed.fetch_add(1, Ordering::Relaxed);
        });
    });
    actix_rt::System::new().block_on(async {
        let recorded = Plan { recorded: "[engine]\ngrace = \"500ms\"\n".to_owned(), ..plan(1, 65_536, None) };
        let (engine, _, _) = start(folder.path(), &world, recorded, &Arc::default()).await;
        engine.connect(connect).await;
        until("feeding", || done.load(Ordering::Relaxed) == 1).await;
        // With the next tick.
        until("the second segment's", || {
            let later = tempfile::tempdir().unwrap();
            for file in SegmentFile::list(&journal).unwrap().into_iter().skip(1) {
                fs::copy(&file.path, later.path().join(file.path.file_name().unwrap())).unwrap();
            }
            Recorded::of(later.path()).is_ok_and(|recorded| recorded.config.is_some())
        })
        .await;
        engine.stop().await.unwrap();
    });
    fs::remove_file(journal.join("0000000001.twj")).unwrap();
    let left = Recorded::of(&journal).unwrap();
    assert_eq!(left.config.as_deref(), Some("[engine]\ngrace = \"500ms\"\n"));
}

/// What the board shows of each instrument: the last price, and what forms.
type Shown = BTreeMap<Instrument, (Option<(Price, UnixNanos)>, Vec<Candle>)>;

/// Runs beneath a board until `upto` trades are taken in.
async fn run_with_board(dir: &Path, world: &World, upto: usize) -> Shown {
    let forming = ["1h", "1d", "ticks:1000000"].map(|text| text.parse().unwrap());
    let settings =
        || Settings::new(&[["1s".parse().unwrap()].as_slice(), &forming].concat(), &[], 500_000_000);
    let opened = opened(dir, world, settings).await;
    let tools = world.tools(Arc::default());
    let board = Arc::new(Board::new(opened.roster().clone(), &settings().intervals));
    let (sink, thread) = board_sink::start(board.clone(), &tools.metrics).unwrap();
    let engine = opened.start(plan(2, 4_096, None), tools, vec![sink]).await.unwrap();
    let done = Arc::new(AtomicUsize::new(0));
    engine.connect(world.feeder(1, upto, done.clone())).await;
    until("feeding", || done.load(Ordering::Relaxed) == 2).await;
    assert!(engine.stop().await.unwrap());
    drop(thread);
    let shown = |(watch, instrument): (_, &Instrument)| {
        let seen = board.seen(watch);
        let candles = forming.iter().flat_map(|interval| seen.forming(*interval)).collect();
        (instrument.clone(), (seen.last_price(), candles))
    };
    board.roster().iter().map(shown).collect()
}

#[test]
fn the_board_shows_the_same_after_a_restart() {
    let seed = seed("the_board_shows_the_same_after_a_restart");
    let folder = tempfile::tempdir().unwrap();
    let world = World::new(seed, 4, 8_000);
    let (half, all) = (world.trades.len() / 2, world.trades.len());
    let [stopped, whole] = ["stopped", "whole"].map(|name| folder.path().join(name));
    actix_rt::System::new().block_on(async {
        let before = run_with_board(&stopped, &world, half).await;
        assert!(before.values().all(|(price, candles)| price.is_some() && candles.len() >= 3));
        assert_eq!(run_with_board(&stopped, &world, half).await, before, "nothing came in between");
        let after = run_with_board(&stopped, &world, all).await;
        assert_eq!(after, run_with_board(&whole, &world, all).await, "trades go on where it had stopped");
    });
}

/// A tick is its neighbours' too: the symbol that panics at it passes over it alone, and goes on.
#[test]
fn a_panic_at_the_passing_of_time_is_passed_over_by_that_symbol_alone() {
    let seed = seed("a_panic_at_the_passing_of_time_is_passed_over_by_that_symbol_alone");
    let folder = tempfile::tempdir().unwrap();
    let world = World::new(seed, 30, 12_000);
    let victim = world.instruments[0].clone();
    let (asked, ticks) = (victim.clone(), Mutex::new((0, None)));
    // The third tick that reaches it, whenever it is taken: computed anew it hears of those too that it had put off.
    let fault: Fault = Arc::new(move |instrument, event| match event {
        Event::Tick { venue_at } if *instrument == asked => {
            let (heard, third) = &mut *ticks.lock().unwrap();
            *heard += 1;
            if *heard == 3 {
                *third = Some(*venue_at);
            }
            *third == Some(*venue_at)
        }
        _ => false,
    });
    let all = world.trades.len();
    actix_rt::System::new().block_on(async {
        let quarantine = Arc::new(Cell::default());
        let (engine, ear, tools) =
            start(folder.path(), &world, plan(2, 64, Some(fault.clone())), &quarantine).await;
        let done = Arc::new(AtomicUsize::new(0));
        engine.connect(world.feeder(seed, all / 2, done.clone())).await;
        until("feeding", || done.load(Ordering::Relaxed) == 2).await;
        until("the panic", || !quarantine.0.lock().unwrap().is_empty()).await;
        assert!(engine.stop().await.unwrap());
        assert!(!tools.health.parts().contains_key(&format!("symbol:{victim}")), "it goes on");
        let told: usize = ids(&ear.heard()).values().map(Vec::len).sum();
        assert_eq!(told, all / 2, "no trade was passed over");
        check_same(&ear.heard(), &replayed(&folder.path().join("journal"), &settings()));
        assert!(verified(folder.path()) >= world.instruments.len() as u64);
        // The start passes over it too, from the journal alone.
        fs::remove_dir_all(folder.path().join("snapshots")).unwrap();
        let (engine, ..) = start(folder.path(), &world, plan(3, 64, Some(fault)), &quarantine).await;
        assert!(engine.stop().await.unwrap());
        assert_eq!(quarantine.0.lock().unwrap().len(), 1);
        verified(folder.path());
    });
}
