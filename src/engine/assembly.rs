//! The engine put together: opened, started, connected, stopped.
//!
//! Opening locks the data directory, cuts the tail that a kill may have torn, and finds every
//! instrument; then sinks can be made, which speak of instruments by number. Starting brings up sinks,
//! symbols and routers, in this order; connections come last. Stopping goes the other way, and whatever
//! happens the journal is written out.

use std::collections::BTreeMap;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use actix::{Actor, Context};
use actix_rt::Arbiter;
use crossbeam::channel;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::MissedTickBehavior;
use tracing::{info, warn};

use crate::analytics::pipeline::Settings;
use crate::domain::divergence::Divergence;
use crate::domain::instrument::Instrument;
use crate::domain::time::UnixNanos;
use crate::domain::told::{IndicatorNames, Roster, Watch};
use crate::domain::venue::{IdRule, Venue};
use crate::engine::across::stage::{Across, AcrossDoor};
use crate::engine::bus::Bus;
use crate::engine::config::{LiveConfig, TICK_EVERY};
use crate::engine::data_dir::DataDir;
use crate::engine::error::EngineError;
use crate::engine::inbox::Inbox;
use crate::engine::log::{SharedLog, Syncer, state_configuration};
use crate::engine::recovery;
use crate::engine::refill::{self, Refills};
use crate::engine::returning::Returning;
use crate::engine::router::Router;
use crate::engine::seat::Seat;
use crate::engine::shard::{Common, Fault, Shard};
use crate::engine::snapshotter::{Housekeeping, SnapshotWriter, Snapshotter};
use crate::engine::symbol::Symbol;
use crate::engine::symbol_actor::SymbolActor;
use crate::journal::catch_up::{CatchUp, Found};
use crate::journal::entry::InstrumentNumber;
use crate::journal::error::JournalError;
use crate::journal::kind::Kind;
use crate::journal::options::WriterOptions;
use crate::journal::reader::Reader;
use crate::journal::segment::SegmentFile;
use crate::journal::snapshots::{PartitionState, Snapshots};
use crate::journal::tail;
use crate::journal::writer::Writer;
use crate::runtime::clock::{self, Mono};
use crate::runtime::health::{Condition, Health};
use crate::runtime::intake::Intake;
use crate::runtime::latency::Latency;
use crate::runtime::metrics::Metrics;
use crate::runtime::quarantine::Quarantine;
use crate::runtime::sink::{Barrier, Sink};
use crate::runtime::venue_clock::VenueClock;

/// Fixed when a data directory is made.
pub const PARTITIONS: u32 = 64;
/// Messages that wait for a shard's keeper; whoever sends one more waits.
const ORDERS: usize = 16;
/// So long a few symbols may take to hear of a tick before frames have their turn again.
const TICK_SLICE_NANOS: u64 = 20_000;
/// Symbols that hear of it at once, at most.
const TICK_SLICE_MAX: usize = 4;
/// Between two looks at whether a shard has come to rest.
const POLL: Duration = Duration::from_millis(2);

/// What the process shares.
#[derive(Clone)]
pub struct Tools {
    pub metrics: Metrics,
    pub latency: Latency,
    pub health: Health,
    pub quarantine: Arc<dyn Quarantine>,
    /// One for each venue; those that are missing have no skew.
    pub clocks: BTreeMap<Venue, VenueClock>,
}

/// What is run, and how.
pub struct Plan {
    pub live: LiveConfig,
    /// At least 1.
    pub shards: usize,
    /// What the journal records of the configuration, TOML: a replay computes the same.
    pub recorded: String,
    /// Tests alone give one.
    pub fault: Option<Fault>,
}

/// A data directory that is ours, and who is in it.
pub struct Opened {
    dir: DataDir,
    roster: Roster,
    rules: BTreeMap<Instrument, IdRule>,
    writer: Writer,
    snapshots: Snapshots,
    states: BTreeMap<u32, PartitionState>,
    /// What stands in the journal, so that it is looked through once.
    found: Arc<Found>,
    settings: Settings,
    fingerprint: u64,
}

impl Opened {
    /// `watched`: the instruments of the configuration.
    pub fn open(dir: DataDir, watched: &[Instrument], settings: Settings) -> Result<Self, EngineError> {
        let journal = dir.journal();
        for place in [dir.path(), &journal] {
            if is_imported(place)? {
                return Err(EngineError::Imported(place.to_owned()));
            }
        }
        let mut rules: BTreeMap<Instrument, IdRule> = watched
            .iter()
            .map(|instrument| (instrument.clone(), instrument.venue().id_rule().unwrap_or(IdRule::Absent)))
            .collect();
        std::fs::create_dir_all(&journal).map_err(EngineError::io(&journal, "make"))?;
        if let Some(cut) = tail::cut_tail(&journal)? {
            warn!(file = %cut.file.display(), offset = cut.offset, bytes = cut.bytes, "torn tail of the journal cut");
        }
        let snapshots = Snapshots::open(&dir.snapshots())?;
        let fingerprint = settings.fingerprint();
        let mut states = recovery::newest_snapshots(&snapshots, PARTITIONS, fingerprint)?;
        let options = WriterOptions { partitions: PARTITIONS, ..WriterOptions::default() };
        let mut found = Arc::default();
        let writer = if SegmentFile::list(&journal)?.is_empty() {
            Writer::create(&journal, options)?
        } else {
            let all: Vec<u32> = (0..PARTITIONS).collect();
            let open = |states: &_| CatchUp::open(&journal, recovery::positions(PARTITIONS, &all, states));
            let reading = match open(&states) {
                Err(error @ JournalError::Gone { .. }) => {
                    warn!(%error, "snapshots are older than the journal: state is computed from what there is");
                    states.clear();
                    open(&states)?
                }
                other => other?,
            };
            let mut meet = |instrument: &Instrument, known: IdRule| {
                let rule = rules.entry(instrument.clone()).or_insert(known);
                *rule = (*rule).max(known);
            };
            reading.listed().iter().for_each(|listed| meet(&listed.instrument, listed.rule));
            let saved = states.values().flat_map(|state| &state.symbols);
            saved.for_each(|symbol| meet(&symbol.instrument, symbol.rule));
            found = reading.found();
            Writer::open(&journal, options)?
        };
        let roster = Roster::new(rules.keys().cloned());
        Ok(Self { dir, roster, rules, writer, snapshots, states, found, settings, fingerprint })
    }

    /// Every instrument, by the number that sinks know it by.
    pub fn roster(&self) -> &Roster {
        &self.roster
    }

    pub fn dir(&self) -> &DataDir {
        &self.dir
    }

    /// Starts shards and symbols; trades may come once it returns. Inside of an actix system.
    pub async fn start(
        self,
        plan: Plan,
        tools: Tools,
        sinks: Vec<Arc<dyn Sink>>,
    ) -> Result<Engine, EngineError> {
        assert!(plan.shards > 0, "an engine has a shard");
        let Self { dir, roster, rules, mut writer, snapshots, states, found, settings, fingerprint } = self;
        let across = start_across(&dir, &settings, &roster, &plan, &tools)?;
        let mut sinks = sinks;
        sinks.extend(across.as_ref().map(Across::sink));
        state_configuration(&mut writer, &plan.recorded)?;
        let mut deals: Vec<Vec<SeatPlan>> = (0..plan.shards).map(|_| Vec::new()).collect();
        for (watch, instrument) in roster.iter() {
            let rule = rules[instrument];
            let partition = instrument.partition(PARTITIONS);
            deals[partition as usize % plan.shards].push(SeatPlan {
                watch,
                instrument: instrument.clone(),
                rule,
                partition,
                number: writer.define(instrument, rule),
                clock: tools.clocks.get(instrument.venue()).cloned().unwrap_or_default(),
            });
        }
        let log = SharedLog::new(writer, tools.health.clone());
        log.sync()?;
        let names = settings.indicators.names.iter().zip(&settings.indicators.outputs);
        let names = Arc::new(IndicatorNames::new(names.map(|(name, outputs)| (&**name, *outputs))));
        let common = Common {
            // There is one engine in a process, and it lives as long.
            settings: Box::leak(Box::new(settings)),
            names,
            fingerprint,
            recorded: plan.recorded.into(),
            log: log.clone(),
            journal: dir.journal(),
            snapshots: snapshots.clone(),
            metrics: tools.metrics.clone(),
            health: tools.health.clone(),
            quarantine: tools.quarantine.clone(),
            fault: plan.fault,
        };
        let source = refill::Source {
            data_dir: dir.path().to_owned(),
            journal: dir.journal(),
            snapshots_dir: dir.snapshots(),
            snapshots: snapshots.clone(),
            settings: common.settings,
            fingerprint,
            names: common.names.clone(),
            roster: roster.clone(),
            partitions: PARTITIONS,
        };
        let with_symbols = states.values().filter(|state| !state.symbols.is_empty());
        let until = with_symbols.map(|state| (state.partition, state.position)).collect();
        let keepers = Refills::announce(&sinks, &source, &until)?;
        let writer = SnapshotWriter::start(
            snapshots.clone(),
            Housekeeping { journal: dir.journal(), keep: plan.live.keep, fingerprint },
        )?;
        let (stopping, _) = watch::channel(false);
        let (states, mut shards, mut starting) = (Arc::new(states), Vec::new(), Vec::new());
        for (number, seats) in deals.into_iter().enumerate() {
            let (orders, received) = mpsc::channel(ORDERS);
            let arbiter = Arbiter::try_new().map_err(EngineError::Thread)?;
            let bus = Bus::new(sinks.clone(), tools.latency.recorder(), tools.health.clone());
            let start = ShardStart {
                number,
                common: common.clone(),
                owned: (0..PARTITIONS).filter(|p| *p as usize % plan.shards == number).collect(),
                seats,
                roster_len: roster.len(),
                capacity: plan.live.inbox_capacity,
                states: states.clone(),
                found: found.clone(),
                sinks: sinks.clone(),
                bus,
                across: across.as_ref().map(Across::door),
            };
            let (ready, is_ready) = oneshot::channel();
            let signal = stopping.subscribe();
            let snapshotter = writer.of_shard(start.owned.clone(), plan.live.snapshot_interval);
            arbiter.spawn_fn(move || match start.seat_all() {
                Ok((shard, router, across)) => {
                    let _ = ready.send(Ok(()));
                    actix_rt::spawn(keep(shard, router, across, snapshotter, received, signal));
                }
                Err(error) => {
                    let _ = ready.send(Err(error));
                }
            });
            starting.push(is_ready);
            shards.push(ShardHandle { arbiter, orders });
        }
        // They recover side by side.
        for (shard, is_ready) in starting.into_iter().enumerate() {
            is_ready.await.map_err(|_| EngineError::Shard { shard, what: "ended before it had begun" })??;
        }
        if let Some(across) = &across {
            let orders: Vec<_> = shards.iter().map(|shard| shard.orders.clone()).collect();
            let roster = roster.clone();
            across.begin(Box::new(move |watch, divergence| {
                let partition = roster.instrument(watch).partition(PARTITIONS);
                let shard = &orders[partition as usize % orders.len()];
                shard.try_send(Order::Give(watch, divergence)).is_ok()
            }));
        }
        let syncer = Syncer::start(log.clone(), plan.live.sync_interval)?;
        let refills = Refills::start(keepers, &source, &log)?;
        info!(instruments = roster.len(), shards = shards.len(), "engine is up");
        let snapshots = (snapshots, writer);
        let live = plan.live;
        Ok(Engine {
            _dir: dir,
            roster,
            log,
            syncer,
            snapshots,
            shards,
            sinks,
            refills,
            across,
            stopping,
            live,
        })
    }
}

/// Whether the directory holds the journal of an import. A service states its version before the first event; computing an
/// import would tell all of it as if it happened now.
fn is_imported(dir: &Path) -> Result<bool, JournalError> {
    // Of a journal whose first segment is gone somebody has let go of it.
    let first = match SegmentFile::list(dir) {
        Ok(files) => files.into_iter().next().filter(|first| first.number == Some(1)),
        Err(_) if !dir.exists() => None,
        Err(error) => return Err(error),
    };
    let Some(first) = first else { return Ok(false) };
    match Reader::open(&first.path)?.next_block() {
        Ok(block) => Ok(block.is_some_and(|block| block.kind() != Kind::Version)),
        // What cannot be read is said where it is read.
        Err(_) => Ok(false),
    }
}

/// `None`: nothing is compared.
fn start_across(
    dir: &DataDir,
    settings: &Settings,
    roster: &Roster,
    plan: &Plan,
    tools: &Tools,
) -> Result<Option<Across>, EngineError> {
    let Some(across) = &settings.intelligence.across else { return Ok(None) };
    Across::start(dir.path(), across, roster, plan.live.snapshot_interval, (&tools.metrics, &tools.health))
}

/// What a seat is made of, before it has a thread.
struct SeatPlan {
    watch: Watch,
    instrument: Instrument,
    rule: IdRule,
    partition: u32,
    number: InstrumentNumber,
    clock: VenueClock,
}

/// What a shard is made of, on its way to its thread.
struct ShardStart {
    number: usize,
    common: Common,
    /// Its partitions, those without a symbol too.
    owned: Vec<u32>,
    seats: Vec<SeatPlan>,
    roster_len: usize,
    capacity: usize,
    states: Arc<BTreeMap<u32, PartitionState>>,
    found: Arc<Found>,
    sinks: Vec<Arc<dyn Sink>>,
    bus: Bus,
    across: Option<AcrossDoor>,
}

impl ShardStart {
    /// On the shard's thread: its seats, recovered, each with its actor.
    fn seat_all(self) -> Result<(Rc<Shard>, Router, Option<AcrossDoor>), EngineError> {
        let settings = self.common.settings;
        let ages = self.common.metrics.last_trade_age.clone();
        let mut seats: Vec<Option<Rc<Seat>>> = (0..self.roster_len).map(|_| None).collect();
        let mut partitions: Vec<u32> = self.seats.iter().map(|plan| plan.partition).collect();
        partitions.sort_unstable();
        partitions.dedup();
        for plan in self.seats {
            let at = plan.watch.0 as usize;
            seats[at] = Some(Rc::new(Seat {
                watch: plan.watch,
                rule: plan.rule,
                partition: plan.partition,
                number: plan.number,
                clock: plan.clock,
                inbox: Inbox::new(self.capacity).into(),
                symbol: Symbol::new(
                    plan.instrument.clone(),
                    plan.rule,
                    settings,
                    self.common.snapshots.chunks(),
                )
                .into(),
                woken: false.into(),
                touched: false.into(),
                lagging: false.into(),
                still_until: UnixNanos(i64::MIN).into(),
                quiet_tick: None.into(),
                begun: false.into(),
                last_at: Default::default(),
                last_id: None.into(),
                missed: None.into(),
                last_trade: None.into(),
                last_trade_age: ages
                    .with_label_values(&[plan.instrument.venue().name(), plan.instrument.symbol()]),
                broken: false.into(),
                parked: false.into(),
                actor: Default::default(),
                instrument: plan.instrument,
            }));
        }
        let shard = Rc::new(Shard::new(self.number, self.common, partitions, seats, self.bus));
        let after = recovery::positions(PARTITIONS, &self.owned, &self.states);
        let reading = CatchUp::of(self.found, &after);
        let recovered = recovery::recover(&shard, reading, &self.states, &self.sinks)?;
        for Returning { seat, mishap, .. } in recovered {
            if mishap.is_some() {
                shard.touch(&seat);
            }
            let actor = SymbolActor::new(shard.clone(), seat.clone(), mishap);
            let address = SymbolActor::create(|_: &mut Context<SymbolActor>| actor);
            assert!(seat.actor.set(address.recipient()).is_ok(), "a seat gets its actor once");
        }
        shard.common.health.set(&format!("shard:{}", self.number), Condition::Up, "");
        let router = Router::new(shard.clone());
        Ok((shard, router, self.across))
    }
}

/// What connections get of the shard whose thread they run on.
#[derive(Clone)]
pub struct ShardDoor {
    pub shard: usize,
    /// Where they put what they heard. Given up when they end: the shard stops only then.
    pub intake: Rc<dyn Intake>,
    /// The shard's own instruments, in order.
    pub watches: Arc<[(Watch, Instrument)]>,
    /// Turns true when connections have to end.
    pub stopping: watch::Receiver<bool>,
}

/// Runs once on the thread of each shard, inside its arbiter: `actix_rt::spawn` and actors start there.
pub type Connect = Arc<dyn Fn(ShardDoor) + Send + Sync>;

/// What a shard is asked to do by other threads.
enum Order {
    Connect(Connect),
    /// What comparing venues found goes into the instrument's log.
    Give(Watch, Box<Divergence>),
    /// Answered with the state of its partitions, once its connections are gone and nothing is left to do.
    Drain(oneshot::Sender<Vec<PartitionState>>),
}

/// Keeps the shard: ticks, and what other threads ask of it.
async fn keep(
    shard: Rc<Shard>,
    router: Router,
    across: Option<AcrossDoor>,
    mut snapshotter: Snapshotter,
    mut orders: mpsc::Receiver<Order>,
    stopping: watch::Receiver<bool>,
) {
    let intake: Rc<dyn Intake> = Rc::new(router.clone());
    let watches: Arc<[_]> = shard.own().map(|seat| (seat.watch, seat.instrument.clone())).collect();
    let mut ticks = tokio::time::interval(TICK_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut slices = Slices::default();
    loop {
        tokio::select! {
            _ = ticks.tick() => {
                // Before the tick: after it, every symbol has something to do.
                snapshotter.tick(&shard, Mono::now());
                router.tick(clock::now());
                slices.begun = None;
            }
            // Comes back when everybody else had a turn, the sockets too.
            () = tokio::task::yield_now(), if shard.is_lagging() => shard.wake_lagging(slices.next(Mono::now())),
            order = orders.recv() => match order {
                None => return,
                Some(Order::Connect(connect)) => connect(ShardDoor {
                    shard: shard.number,
                    intake: intake.clone(),
                    watches: watches.clone(),
                    stopping: stopping.clone(),
                }),
                Some(Order::Give(watch, divergence)) => {
                    let close_at = divergence.close_at;
                    if router.give(watch, divergence)
                        && let Some(across) = &across
                    {
                        across.taken(watch, close_at);
                    }
                }
                Some(Order::Drain(done)) => {
                    for seat in shard.own() {
                        shard.hurry(seat);
                    }
                    // The connections hold the others.
                    while Rc::strong_count(&intake) > 1 {
                        tokio::time::sleep(POLL).await;
                    }
                    loop {
                        shard.wake_lagging(usize::MAX);
                        router.rest();
                        if shard.is_idle() {
                            break;
                        }
                        tokio::time::sleep(POLL).await;
                    }
                    router.tell_tallies();
                    shard.meter();
                    let _ = done.send(snapshotter.copy_all(&shard));
                    return;
                }
            },
        }
    }
}

/// How many symbols hear of a tick at once: fewer where the last took long.
struct Slices {
    symbols: usize,
    /// When the last began.
    begun: Option<Mono>,
}

impl Default for Slices {
    fn default() -> Self {
        Self { symbols: 1, begun: None }
    }
}

impl Slices {
    fn next(&mut self, now: Mono) -> usize {
        if let Some(begun) = self.begun.replace(now) {
            let was_long = now.nanos_since(begun) > TICK_SLICE_NANOS;
            self.symbols = if was_long { self.symbols.div_ceil(2) } else { self.symbols + 1 };
        }
        self.symbols = self.symbols.clamp(1, TICK_SLICE_MAX);
        self.symbols
    }
}

struct ShardHandle {
    arbiter: Arbiter,
    orders: mpsc::Sender<Order>,
}

/// A running engine.
pub struct Engine {
    _dir: DataDir,
    roster: Roster,
    log: SharedLog,
    syncer: Syncer,
    snapshots: (Snapshots, SnapshotWriter),
    shards: Vec<ShardHandle>,
    sinks: Vec<Arc<dyn Sink>>,
    refills: Refills,
    across: Option<Across>,
    stopping: watch::Sender<bool>,
    live: LiveConfig,
}

impl Engine {
    pub fn roster(&self) -> &Roster {
        &self.roster
    }

    /// The journal, to write it out whatever happens.
    pub fn log(&self) -> SharedLog {
        self.log.clone()
    }

    /// Runs `connect` once on each shard's thread.
    pub async fn connect(&self, connect: Connect) {
        for shard in &self.shards {
            // A shard that is gone has said so.
            let _ = shard.orders.send(Order::Connect(connect.clone())).await;
        }
    }

    /// Ends connections, works off what is in flight, waits for the sinks, takes snapshots, and syncs the
    /// journal; `false`: the deadline came first. The journal is written out in any case.
    pub async fn stop(self) -> Result<bool, EngineError> {
        let deadline = self.live.drain_deadline;
        // What is still to be told again is told by the next start.
        self.refills.end();
        let drained = tokio::time::timeout(deadline, self.drain()).await;
        if drained.is_err() {
            warn!(?deadline, "stopping although something is still in flight");
        }
        // What it has found and nobody took is found again by the next start.
        drop(self.across);
        self.syncer.stop();
        self.refills.stop();
        let result = self.log.sync();
        for shard in self.shards {
            shard.arbiter.stop();
            let _ = shard.arbiter.join();
        }
        let (snapshots, writer) = self.snapshots;
        drop(writer);
        result?;
        for state in drained.as_deref().unwrap_or_default() {
            snapshots.begin(state)?.commit()?;
        }
        Ok(drained.is_ok())
    }

    /// The state of all partitions, kept by all sinks.
    async fn drain(&self) -> Vec<PartitionState> {
        self.stopping.send_replace(true);
        let mut answers = Vec::new();
        for shard in &self.shards {
            let (done, answer) = oneshot::channel();
            if shard.orders.send(Order::Drain(done)).await.is_ok() {
                answers.push(answer);
            }
        }
        let mut states = Vec::new();
        for answer in answers {
            states.extend(answer.await.unwrap_or_default());
        }
        let covers = states.iter().map(|state| (state.partition, state.position)).collect();
        let (barrier, arrivals) = Barrier::covering(self.sinks.len(), covers);
        self.sinks.iter().for_each(|sink| sink.mark(barrier.clone()));
        drop(barrier);
        for _ in &self.sinks {
            if !wait_for(&arrivals).await {
                return Vec::new(); // one of them keeps nothing any more
            }
        }
        states
    }
}

/// Waits for the next name; `false` where nobody is left who could send one.
async fn wait_for(arrivals: &channel::Receiver<&'static str>) -> bool {
    loop {
        match arrivals.try_recv() {
            Ok(_) => return true,
            Err(channel::TryRecvError::Disconnected) => return false,
            Err(channel::TryRecvError::Empty) => tokio::time::sleep(POLL).await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analytics::catalogue::Spec;
    use crate::domain::decimal::{Price, Quantity};
    use crate::domain::event::{Trade, TradeId};
    use crate::domain::interval::Interval;
    use crate::runtime::quarantine::NoQuarantine;

    fn settings() -> Settings {
        Settings::new(&["1m".parse().unwrap()], &Spec::parse_list("ema(5)").unwrap(), 0)
    }

    fn trade() -> Trade {
        Trade {
            price: Price::parse(b"1").unwrap(),
            quantity: Quantity::parse(b"1").unwrap(),
            exchange_at: UnixNanos(1_714_521_600_000_000_000),
            received_at: None,
            id: TradeId::Number(1),
            taker_side: None,
            trade_count: 1,
        }
    }

    fn tools() -> Tools {
        Tools {
            metrics: Metrics::new(),
            latency: Latency::default(),
            health: Health::default(),
            quarantine: Arc::new(NoQuarantine),
            clocks: BTreeMap::new(),
        }
    }

    /// `inside`: the directory below the data directory that the import was made into.
    fn check_import(inside: &str, sealed: bool) {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path().join(inside);
        std::fs::create_dir_all(&dir).unwrap();
        let mut writer = Writer::create(&dir, WriterOptions::default()).unwrap();
        let number = writer.define(&"binance:BTC-USDT".parse().unwrap(), IdRule::Contiguous);
        writer.append_trade(number, &trade()).unwrap();
        writer.close().unwrap();
        if sealed {
            let files = SegmentFile::list(&dir).unwrap();
            crate::journal::seal::seal(&files[0].path).unwrap();
        }
        let opened = Opened::open(DataDir::lock(folder.path()).unwrap(), &[], settings());
        let error = opened.err().expect("it is refused");
        assert!(error.is_refusal() && error.to_string().contains("`import`"), "{error}");
    }

    #[test]
    fn an_import_is_not_gone_on_with() {
        for inside in ["", "journal"] {
            check_import(inside, false);
            check_import(inside, true);
        }
    }

    #[test]
    fn its_own_journal_is_gone_on_with() {
        let folder = tempfile::tempdir().unwrap();
        let watched = ["binance:BTC-USDT".parse().unwrap()];
        for _ in 0..2 {
            let dir = DataDir::lock(folder.path()).unwrap();
            let opened = Opened::open(dir, &watched, settings()).unwrap();
            actix_rt::System::new().block_on(async {
                let plan =
                    Plan { live: LiveConfig::default(), shards: 1, recorded: String::new(), fault: None };
                assert!(opened.start(plan, tools(), Vec::new()).await.unwrap().stop().await.unwrap());
            });
        }
    }

    #[test]
    fn a_finding_that_no_journal_takes_is_refused_once() {
        let folder = tempfile::tempdir().unwrap();
        let instrument: Instrument = "binance:BTC-USDT".parse().unwrap();
        let opened = Opened::open(
            DataDir::lock(folder.path()).unwrap(),
            std::slice::from_ref(&instrument),
            settings(),
        );
        let finding = |close_at: i64, against: usize| {
            let against = (0..against).map(|i| format!("x:C{i}-USD").parse().unwrap()).collect();
            let close_at = UnixNanos(close_at * 60_000_000_000);
            Box::new(Divergence {
                interval: "1m".parse::<Interval>().unwrap().time().unwrap(),
                close_at,
                since: close_at,
                cause_seq: 1,
                price: Price::parse(b"1").unwrap(),
                against,
                missing: Vec::new(),
                apart: 0.01,
                premium: 0.0,
                spread: 0.001,
                z: 10.0,
                z_min: 4.0,
                score: 1.0,
                threshold: 0.99,
                tail: 0.001,
                complete: true,
            })
        };
        let tools = tools();
        let refused = tools.metrics.quarantined.with_label_values(&["binance", "unwritable"]);
        actix_rt::System::new().block_on(async {
            let Opened { dir, roster, mut writer, snapshots, settings, fingerprint, .. } = opened.unwrap();
            let number = writer.define(&instrument, IdRule::Contiguous);
            let partition = instrument.partition(PARTITIONS);
            let common = Common {
                settings: Box::leak(Box::new(settings)),
                names: Arc::default(),
                fingerprint,
                recorded: "".into(),
                log: SharedLog::new(writer, tools.health.clone()),
                journal: dir.journal(),
                snapshots,
                metrics: tools.metrics.clone(),
                health: tools.health.clone(),
                quarantine: tools.quarantine.clone(),
                fault: None,
            };
            let watch = Watch(0);
            let clock = VenueClock::default();
            let start = ShardStart {
                number: 0,
                bus: Bus::new(Vec::new(), tools.latency.recorder(), tools.health.clone()),
                common: common.clone(),
                owned: vec![partition],
                seats: vec![SeatPlan {
                    watch,
                    instrument,
                    rule: IdRule::Contiguous,
                    partition,
                    number,
                    clock,
                }],
                roster_len: roster.len(),
                capacity: 16,
                states: Arc::default(),
                found: Arc::default(),
                sinks: Vec::new(),
                across: None,
            };
            let (_shard, router, _) = start.seat_all().unwrap();
            let before = common.log.lock().position(partition);
            // It is not given again, although it stands in no log.
            assert!(router.give(watch, finding(1, Divergence::NAMED_MAX + 1)));
            assert_eq!((refused.get(), common.log.lock().position(partition)), (1, before));
            // What follows it is taken.
            assert!(router.give(watch, finding(2, 2)));
            assert!(common.log.lock().position(partition) > before);
            assert_eq!(refused.get(), 1);
        });
    }
}
