//! Snapshots of a running engine: partition by partition, so that no symbol waits long for another's.
//!
//! The shard's thread copies the state of one partition, between two turns, when all that was journalled
//! of it has been computed; a busy one is asked again at the next tick. A thread of its own writes the
//! copy, waits until every sink has kept what it was offered before, and only then lets it count.
//! **When its queue is full** the partition is asked again later: a snapshot that is missing costs a start some time.

use std::path::PathBuf;
use std::thread::{self, JoinHandle};
use std::time::{Duration, SystemTime};

use crossbeam::channel::{Receiver, Sender, bounded};
use tracing::{debug, info, warn};

use crate::engine::error::EngineError;
use crate::engine::shard::Shard;
use crate::journal::error::JournalError;
use crate::journal::retention::{self, Keep, Tidied};
use crate::journal::snapshots::{PartitionState, Snapshots};
use crate::runtime::clock::{self, Mono};
use crate::runtime::sink::Barrier;

/// Snapshots that wait to be written.
const QUEUE: usize = 4;
/// A sink that has not kept what it was offered after so long: the snapshot does not count.
const PATIENCE: Duration = Duration::from_secs(30);

/// Between two looks at what of the journal is no longer needed.
const HOUSEKEEPING_EVERY: Duration = Duration::from_secs(60);

/// What of the journal is kept; done between two snapshots, on their thread.
pub struct Housekeeping {
    pub journal: PathBuf,
    pub keep: Keep,
    pub fingerprint: u64,
}

impl Housekeeping {
    fn tidy(&self, snapshots: &Snapshots) {
        let since_1970 = u64::try_from(clock::now().0).unwrap_or_default();
        let now = SystemTime::UNIX_EPOCH + Duration::from_nanos(since_1970);
        let covered = snapshots.covered(self.fingerprint);
        match covered.and_then(|covered| retention::tidy(&self.journal, self.keep, now, &covered)) {
            Ok(Tidied { sealed, removed: 0 }) => debug!(sealed, "journal segments sealed"),
            Ok(Tidied { sealed, removed }) => info!(sealed, removed, "journal segments sealed and removed"),
            Err(error) => warn!(%error, "journal segments cannot be sealed or removed"),
        }
    }
}

/// A copy of a partition's state, and the sinks that have to keep what it rests on.
struct Copied {
    state: PartitionState,
    sinks: usize,
    arrivals: Receiver<&'static str>,
}

/// The thread that writes snapshots; clones of its queue are with the shards.
pub struct SnapshotWriter {
    queue: Option<Sender<Copied>>,
    thread: Option<JoinHandle<()>>,
}

impl SnapshotWriter {
    pub fn start(snapshots: Snapshots, housekeeping: Housekeeping) -> Result<Self, EngineError> {
        let (queue, copies) = bounded(QUEUE);
        let thread = thread::Builder::new()
            .name("snapshots".to_owned())
            .spawn(move || write_all(&snapshots, &housekeeping, &copies))
            .map_err(EngineError::Thread)?;
        Ok(Self { queue: Some(queue), thread: Some(thread) })
    }

    /// Whoever takes the copies of one shard.
    pub fn of_shard(&self, owned: Vec<u32>, every: Duration) -> Snapshotter {
        let queue = self.queue.clone().expect("there until it is dropped");
        // A shard's partitions are spread over the interval.
        let step = every / u32::try_from(owned.len().max(1)).expect("few partitions");
        Snapshotter { queue, owned, next: 0, step, due: Mono::now().after(step) }
    }
}

impl Drop for SnapshotWriter {
    fn drop(&mut self) {
        self.queue = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn write_all(snapshots: &Snapshots, housekeeping: &Housekeeping, copies: &Receiver<Copied>) {
    let mut failed = false;
    let mut due = Mono::now().after(HOUSEKEEPING_EVERY);
    for copied in copies {
        let partition = copied.state.partition;
        match write(snapshots, &copied) {
            Ok(true) => {
                debug!(partition, "snapshot counts");
                failed = false;
            }
            Ok(false) if failed => {}
            Ok(false) => {
                failed = true;
                warn!(partition, "a sink has not kept what it was offered: the snapshot does not count");
            }
            Err(error) => {
                failed = true;
                warn!(%error, partition, "snapshot cannot be written");
            }
        }
        if Mono::now() >= due {
            due = Mono::now().after(HOUSEKEEPING_EVERY);
            housekeeping.tidy(snapshots);
        }
    }
}

/// `false`: a sink was too slow.
fn write(snapshots: &Snapshots, copied: &Copied) -> Result<bool, JournalError> {
    let pending = snapshots.begin(&copied.state)?;
    for _ in 0..copied.sinks {
        if copied.arrivals.recv_timeout(PATIENCE).is_err() {
            return Ok(false);
        }
    }
    pending.commit()?;
    Ok(true)
}

/// Takes the copies of one shard, on its thread.
pub struct Snapshotter {
    queue: Sender<Copied>,
    owned: Vec<u32>,
    next: usize,
    step: Duration,
    due: Mono,
}

impl Snapshotter {
    /// At every tick: copies the next partition when it is due and settled.
    pub fn tick(&mut self, shard: &Shard, now: Mono) {
        if self.owned.is_empty() || now < self.due || self.queue.is_full() {
            return;
        }
        let Some(state) = copy(shard, self.owned[self.next]) else { return };
        // What was told until now must be kept by those who keep it.
        if !shard.publish_now() {
            return;
        }
        let sinks = shard.sinks();
        let covers = [(state.partition, state.position)];
        let (barrier, arrivals) = Barrier::covering(sinks.len(), covers.into());
        sinks.iter().for_each(|sink| sink.mark(barrier.clone()));
        let _ = self.queue.try_send(Copied { state, sinks: sinks.len(), arrivals });
        self.next = (self.next + 1) % self.owned.len();
        // Not from when it was due: a shard that was busy does not copy everything at once afterwards.
        self.due = now.after(self.step);
    }

    /// Copies of all partitions that are settled: for a stop.
    pub fn copy_all(&self, shard: &Shard) -> Vec<PartitionState> {
        self.owned.iter().filter_map(|&partition| copy(shard, partition)).collect()
    }
}

/// The state of a partition after its last journalled event; `None` while some of these wait.
fn copy(shard: &Shard, partition: u32) -> Option<PartitionState> {
    let seats = || shard.own().filter(|seat| seat.partition == partition);
    // Who put a tick off hears of it now, and is asked again at the next.
    let late = seats().filter(|seat| shard.hurry(seat)).count();
    if late > 0 || !seats().all(|seat| seat.is_settled()) {
        return None;
    }
    let (position, generation) = {
        let writer = shard.common.log.lock();
        (writer.position(partition), writer.generation())
    };
    let begun = seats().filter(|seat| seat.begun.get());
    let symbols = begun.map(|seat| seat.symbol.borrow_mut().save(&seat.instrument, seat.rule)).collect();
    let fingerprint = shard.common.fingerprint;
    Some(PartitionState { partition, position, generation, fingerprint, symbols })
}
