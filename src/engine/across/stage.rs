//! The thread that compares: writes candles down, compares them, and hands what it finds to the instruments' shards.
//!
//! One finding of an instrument is under way at a time, in order of close, and is given again until the shard has said
//! that it stands in the instrument's log. **While its log cannot be written** nothing is compared: candles wait in
//! the queue, which is bounded, health says why, and it tries again.

use std::collections::{BTreeMap, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crossbeam::channel::{Receiver, Sender};
use tracing::{error, info, warn};

use crate::analytics::across::comparison::Comparison;
use crate::analytics::across::found::{Counts, Found};
use crate::analytics::across::plan::AcrossPlan;
use crate::domain::closed::Closed;
use crate::domain::divergence::Divergence;
use crate::domain::time::UnixNanos;
use crate::domain::told::{Roster, Watch};
use crate::engine::across::log::{Opened, StageLog};
use crate::engine::across::sink::{AcrossSink, Candidate, Give, Message};
use crate::engine::error::EngineError;
use crate::journal::error::JournalError;
use crate::runtime::clock::{self, Mono};
use crate::runtime::health::{Condition, Health};
use crate::runtime::metrics::{Metrics, QueueMeter};
use crate::runtime::sink::{Barrier, Sink};

/// Its name among the parts of the process.
pub const PART: &str = "across";
/// Below the data directory.
pub const DIR: &str = "across";
const POLL_EVERY: Duration = Duration::from_millis(20);
/// So long a shard may take to say that it has taken something.
const ANSWER: Duration = Duration::from_secs(1);
/// Candles that wait for a log that cannot be written; more stay in the queue.
const WAITING_MAX: usize = 16_384;
/// Findings that wait for their shards; of more, the oldest of the instrument that has most goes, and is counted.
const OWED_MAX: usize = 4_096;
/// What a start computes again of more than so many times the patience after the newest candle known here was missed: it
/// teaches, and is not told. A comparison that is new, or was switched off for a while, does not speak of what is long
/// past.
const MISSED: i64 = 2;

/// The running comparison; dropped, it ends, its log written out.
pub struct Across {
    sink: Arc<AcrossSink>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Across {
    /// `None`: nothing is compared, for no asset is watched on two venues.
    pub fn start(
        data_dir: &Path,
        plan: &AcrossPlan,
        roster: &Roster,
        snapshot_every: Duration,
        (metrics, health): (&Metrics, &Health),
    ) -> Result<Option<Self>, EngineError> {
        let Some((sink, messages)) = AcrossSink::new(plan, roster, metrics) else { return Ok(None) };
        let mut opened = StageLog::open(&data_dir.join(DIR), plan)?;
        opened.log.meet(&mut opened.comparison, sink.members(roster))?;
        let stop = Arc::new(AtomicBool::new(false));
        let stage = Stage::new(opened, roster.clone(), snapshot_every, metrics, health.clone());
        health.set(PART, Condition::Up, "");
        let (stopping, health) = (stop.clone(), health.clone());
        let thread = thread::Builder::new()
            .name("across".to_owned())
            .spawn(move || {
                if catch_unwind(AssertUnwindSafe(|| stage.run(&messages, &stopping))).is_err() {
                    error!("comparing venues panicked: nothing is compared until the next start");
                    health.set(PART, Condition::Down, "it panicked");
                }
            })
            .map_err(EngineError::Thread)?;
        Ok(Some(Self { sink: Arc::new(sink), stop, thread: Some(thread) }))
    }

    pub fn sink(&self) -> Arc<dyn Sink> {
        self.sink.clone()
    }

    /// Where shards say what they have taken.
    pub fn door(&self) -> AcrossDoor {
        AcrossDoor(self.sink.sender())
    }

    /// All shards are up: what is found is handed to them from now on.
    pub fn begin(&self, give: Give) {
        // Waits where candles of the start fill the queue; nobody listens where the thread has ended.
        let _ = self.sink.sender().send(Message::Begin(give));
    }
}

impl Drop for Across {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// The way back from the shards.
#[derive(Clone)]
pub struct AcrossDoor(Sender<Message>);

impl AcrossDoor {
    /// It stands in the instrument's log. Where there is no room it is given once more, and said again.
    pub fn taken(&self, watch: Watch, close_at: UnixNanos) {
        let _ = self.0.try_send(Message::Taken(watch, close_at));
    }
}

struct Stage {
    log: StageLog,
    comparison: Comparison,
    roster: Roster,
    /// Candles that are not in the log, and those that are there and not compared.
    waiting: VecDeque<(Watch, Closed)>,
    written: Vec<(Watch, Closed)>,
    /// Found, and not known to stand in their instruments' logs: by instrument, in order of close.
    owed: BTreeMap<Watch, VecDeque<Divergence>>,
    /// When the first of an instrument was given last.
    given: BTreeMap<Watch, Mono>,
    give: Option<Give>,
    /// Candles that a start tells of later than this were missed.
    missed_after: UnixNanos,
    is_failing: bool,
    /// Something was compared since the last snapshot.
    is_changed: bool,
    due: Mono,
    snapshot_every: Duration,
    counted: Counts,
    metrics: Metrics,
    owed_meter: QueueMeter,
    health: Health,
}

impl Stage {
    fn new(
        opened: Opened,
        roster: Roster,
        snapshot_every: Duration,
        metrics: &Metrics,
        health: Health,
    ) -> Self {
        let Opened { log, comparison, found } = opened;
        let known_until = comparison.closed_until().0;
        let patience = comparison.plan().patience_nanos;
        let mut stage = Self {
            log,
            counted: comparison.counts(),
            comparison,
            roster,
            waiting: VecDeque::new(),
            written: Vec::new(),
            owed: BTreeMap::new(),
            given: BTreeMap::new(),
            give: None,
            missed_after: UnixNanos(known_until.saturating_add(patience.saturating_mul(MISSED))),
            is_failing: false,
            is_changed: false,
            due: Mono::now().after(snapshot_every),
            snapshot_every,
            metrics: metrics.clone(),
            owed_meter: metrics.queue("across_found"),
            health,
        };
        stage.owe(found);
        stage
    }

    fn run(mut self, messages: &Receiver<Message>, stop: &AtomicBool) {
        loop {
            let is_stopping = stop.load(Ordering::Relaxed);
            for _ in 0..messages.len() {
                if self.waiting.len() >= WAITING_MAX {
                    break;
                }
                let Ok(message) = messages.try_recv() else { break };
                self.hear(message);
            }
            self.work();
            if is_stopping {
                break;
            }
            clock::sleep(POLL_EVERY);
        }
        if let Err(error) = self.log.sync() {
            error!(%error, "the comparison's log cannot be written out");
        }
        self.snapshot();
    }

    fn hear(&mut self, message: Message) {
        match message {
            Message::Closed { candidates, recovered } => {
                for candidate in candidates {
                    self.waiting.push_back((candidate.watch, self.closed(candidate, recovered)));
                }
            }
            Message::Mark(barrier) => self.reach(&barrier),
            Message::Begin(give) => self.give = Some(give),
            Message::Taken(watch, close_at) => self.taken(watch, close_at),
        }
    }

    fn closed(&self, candidate: Candidate, recovered: bool) -> Closed {
        let Candidate { close_at, said, cause_seq, .. } = candidate;
        let is_quiet = recovered && close_at > self.missed_after;
        Closed { close_at, said, cause_seq, is_quiet, is_held: self.give.is_none() }
    }

    /// What was offered before is kept, if all of it is in the log.
    fn reach(&mut self, barrier: &Barrier) {
        self.write();
        let kept = self.waiting.is_empty() && !self.is_failing && self.noted(|log| log.sync());
        if kept {
            barrier.reach("across");
        }
    }

    fn work(&mut self) {
        self.write();
        let mut found = Vec::new();
        if !self.is_failing {
            self.is_changed |= !self.written.is_empty();
            for (watch, closed) in self.written.drain(..) {
                self.comparison.take(self.roster.instrument(watch), &closed, &mut found);
            }
        }
        self.owe(found);
        self.give_all();
        self.count();
        if Mono::now() >= self.due {
            self.due = Mono::now().after(self.snapshot_every);
            self.snapshot();
        }
    }

    /// Puts what waits into the log: nothing follows from it before.
    fn write(&mut self) {
        while let Some((watch, closed)) = self.waiting.front().copied() {
            let instrument = self.roster.instrument(watch).clone();
            if !self.noted(|log| log.append(&instrument, &closed)) {
                return;
            }
            self.written.push((watch, closed));
            self.waiting.pop_front();
        }
        if !self.written.is_empty() {
            self.noted(StageLog::flush);
        }
    }

    /// What the log said: `true` where it went well.
    fn noted(&mut self, act: impl FnOnce(&mut StageLog) -> Result<(), JournalError>) -> bool {
        match act(&mut self.log) {
            Ok(()) => {
                if std::mem::replace(&mut self.is_failing, false) {
                    info!("the comparison's log can be written again");
                    self.health.set(PART, Condition::Up, "");
                }
                true
            }
            Err(error) => {
                if !std::mem::replace(&mut self.is_failing, true) {
                    error!(%error, "the comparison's log cannot be written: nothing is compared until it can");
                }
                self.health.set(PART, Condition::Down, error.to_string());
                false
            }
        }
    }

    fn owe(&mut self, found: Vec<Found>) {
        for Found { instrument, divergence } in found {
            if let Some(watch) = self.roster.find(&instrument) {
                self.owed.entry(watch).or_default().push_back(divergence);
            }
        }
        while self.owed.values().map(VecDeque::len).sum::<usize>() > OWED_MAX {
            let Some(most) = self.owed.values_mut().max_by_key(|owed| owed.len()) else { break };
            most.pop_front();
            self.owed_meter.dropped.inc();
        }
    }

    fn give_all(&mut self) {
        let Some(give) = &self.give else { return };
        let now = Mono::now();
        for (watch, owed) in &self.owed {
            let is_under_way = self.given.get(watch).is_some_and(|at| now.since(*at) < ANSWER);
            if let Some(first) = owed.front().filter(|_| !is_under_way)
                && give(*watch, Box::new(first.clone()))
            {
                self.given.insert(*watch, now);
            }
        }
    }

    fn taken(&mut self, watch: Watch, close_at: UnixNanos) {
        let Some(owed) = self.owed.get_mut(&watch) else { return };
        if owed.front().is_some_and(|first| first.close_at == close_at) {
            owed.pop_front();
            self.given.remove(&watch);
        }
        if owed.is_empty() {
            self.owed.remove(&watch);
        }
    }

    fn count(&mut self) {
        let counts = self.comparison.counts();
        let before = std::mem::replace(&mut self.counted, counts);
        for (outcome, count) in [
            ("whole", counts.whole - before.whole),
            ("short", counts.short - before.short),
            ("late", counts.late - before.late),
        ] {
            if count > 0 {
                self.metrics.compared.with_label_values(&[outcome]).inc_by(count);
            }
        }
        self.owed_meter.depth.set(self.owed.values().map(VecDeque::len).sum::<usize>() as i64);
    }

    /// Only while nothing is owed: what is found again after a start is what was found since the snapshot.
    fn snapshot(&mut self) {
        let is_settled = self.owed.is_empty() && self.waiting.is_empty() && self.written.is_empty();
        if !self.is_changed || !is_settled || self.is_failing {
            return;
        }
        match self.log.snapshot(&mut self.comparison) {
            Ok(()) => self.is_changed = false,
            Err(error) => warn!(%error, "snapshot of the comparison cannot be written"),
        }
    }
}
