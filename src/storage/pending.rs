//! What was told and is not kept yet: the bounded queue before a store's writer.
//!
//! Batches stay in it until they are kept elsewhere, so that whoever reads history looks here first and
//! misses nothing. `offer` costs the shard a lock and wakes nobody: the writer looks every few
//! milliseconds.
//!
//! **When it is full** a batch is dropped and counted, and no barrier is reached any more: the last
//! snapshot that counts then lies before the dropped batch. What was dropped is computed and told again from the journal
//! while the engine runs, or by the next start; then barriers count again. Writers keep it from coming to that: they
//! move what waits to disk before the queue is full.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::domain::output::Position;
use crate::runtime::metrics::QueueMeter;
use crate::runtime::sink::{Barrier, Batch};

/// One entry, in order.
#[derive(Clone, Debug)]
pub enum Entry {
    Batch(Arc<Batch>),
    /// Told again: older than the batches around it.
    Older(Arc<Batch>),
    /// Reached once everything before it is kept.
    Barrier(Barrier),
}

/// The queue; clones share it.
#[derive(Clone, Debug)]
pub struct Pending {
    shared: Arc<Mutex<Queue>>,
    /// More tellings than this are not held.
    tellings_max: usize,
    meter: QueueMeter,
}

#[derive(Debug, Default)]
struct Queue {
    entries: VecDeque<Entry>,
    tellings: usize,
    barriers: usize,
    /// Whether a batch was dropped that has not been told again.
    has_dropped: bool,
    /// Whether one was since older rows began to be told again.
    has_dropped_anew: bool,
    /// Whether what was kept elsewhere is gone, and is not being told again.
    has_forgotten: bool,
    /// Rows that were taken out and wait on disk.
    spooled: bool,
    refilling: Refilling,
    closed: bool,
}

/// Whether older rows are being told again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Refilling {
    #[default]
    No,
    Yes,
    /// The last of them are among so many first entries.
    Ending(usize),
}

impl Pending {
    pub fn new(tellings_max: usize, meter: QueueMeter) -> Self {
        Self { shared: Arc::default(), tellings_max, meter }
    }

    /// `false`: it was full, and the batch is dropped.
    pub fn offer(&self, batch: &Arc<Batch>) -> bool {
        self.push(batch, Entry::Batch)
    }

    fn push(&self, batch: &Arc<Batch>, entry: fn(Arc<Batch>) -> Entry) -> bool {
        let mut queue = self.lock();
        let tellings = queue.tellings + batch.tellings.len();
        // One batch always fits, however large.
        if queue.closed || (tellings > self.tellings_max && queue.tellings > 0) {
            queue.has_dropped = true;
            queue.has_dropped_anew = true;
            drop(queue);
            self.meter.dropped.inc_by(batch.tellings.len() as u64);
            return false;
        }
        queue.tellings = tellings;
        queue.entries.push_back(entry(batch.clone()));
        self.meter.depth.set(tellings as i64);
        true
    }

    pub fn mark(&self, barrier: Barrier) {
        let mut queue = self.lock();
        queue.barriers += 1;
        queue.entries.push_back(Entry::Barrier(barrier));
    }

    /// The first entries, up to about so many tellings (at least one entry, where there is one); they stay.
    pub fn peek(&self, tellings_max: usize) -> Vec<Entry> {
        let queue = self.lock();
        let mut tellings = 0;
        let mut taken = Vec::new();
        for entry in &queue.entries {
            if let Entry::Batch(batch) | Entry::Older(batch) = entry {
                tellings += batch.tellings.len();
                if tellings > tellings_max && !taken.is_empty() {
                    break;
                }
            }
            taken.push(entry.clone());
        }
        taken
    }

    /// What of each partition is kept once these entries are: what the last barriers among them cover. Nothing
    /// where something was dropped, or older rows are still to come.
    pub fn covered(&self, entries: &[Entry]) -> BTreeMap<u32, Position> {
        let queue = self.lock();
        if !queue.is_whole() {
            return BTreeMap::new();
        }
        let barriers = entries.iter().filter_map(|entry| match entry {
            Entry::Barrier(barrier) => Some(barrier),
            Entry::Batch(_) | Entry::Older(_) => None,
        });
        barriers.flat_map(|barrier| barrier.covers().iter().copied()).collect()
    }

    /// Whether what was taken out of it is all that was ever told.
    pub fn is_whole(&self) -> bool {
        self.lock().is_whole()
    }

    /// What was kept elsewhere is gone. Barriers go on: what is told from now on is kept.
    pub fn forget(&self) {
        self.lock().has_forgotten = true;
    }

    /// Whether something was dropped or is gone, and is not being told again.
    pub fn is_lacking(&self) -> bool {
        let queue = self.lock();
        (queue.has_dropped || queue.has_forgotten) && queue.refilling == Refilling::No
    }

    /// Older rows will be offered beside the others.
    pub fn begin_refill(&self) {
        let mut queue = self.lock();
        queue.refilling = Refilling::Yes;
        queue.has_dropped_anew = false;
        queue.has_forgotten = false;
    }

    /// All older rows were offered.
    pub fn end_refill(&self) {
        let mut queue = self.lock();
        let waiting = queue.entries.len();
        queue.end_refill(waiting);
    }

    /// As [`Pending::offer`], for whoever may wait; `false`: there should be room for others beside it, and it is
    /// to be offered again.
    pub fn offer_later(&self, batch: &Arc<Batch>) -> bool {
        !self.is_crowded() && self.push(batch, Entry::Older)
    }

    /// The first `count` entries are kept elsewhere: they go, and the barriers among them are reached.
    pub fn done(&self, count: usize, sink: &'static str) {
        let (gone, has_dropped) = {
            let mut queue = self.lock();
            let gone: Vec<Entry> = queue.entries.drain(..count).collect();
            if let Refilling::Ending(waiting) = queue.refilling {
                queue.end_refill(waiting.saturating_sub(count));
            }
            queue.tellings -= gone.iter().map(Entry::tellings).sum::<usize>();
            queue.barriers -= gone.iter().filter(|entry| matches!(entry, Entry::Barrier(_))).count();
            self.meter.depth.set(queue.tellings as i64);
            (gone, queue.has_dropped)
        };
        for entry in gone {
            if let Entry::Barrier(barrier) = entry
                && !has_dropped
            {
                barrier.reach(sink);
            }
        }
    }

    /// Every batch that is not kept yet, in order.
    ///
    /// Whoever then reads the store misses nothing: a batch leaves the queue after it was committed.
    /// `None`: some of it waits on disk.
    pub fn batches(&self) -> Option<Vec<Arc<Batch>>> {
        let queue = self.lock();
        if queue.spooled {
            return None;
        }
        let batch = |entry: &Entry| match entry {
            Entry::Batch(batch) | Entry::Older(batch) => Some(batch.clone()),
            Entry::Barrier(_) => None,
        };
        Some(queue.entries.iter().filter_map(batch).collect())
    }

    /// Whether rows wait on disk; set before the entries that hold them go.
    pub fn set_spooled(&self, spooled: bool) {
        self.lock().spooled = spooled;
    }

    /// How many tellings wait.
    pub fn len(&self) -> usize {
        self.lock().tellings
    }

    pub fn is_empty(&self) -> bool {
        self.lock().entries.is_empty()
    }

    /// Whether somebody waits for what is in it to be kept.
    pub fn has_barrier(&self) -> bool {
        self.lock().barriers > 0
    }

    /// Whether it is so full that its writer should make room on disk.
    pub fn is_crowded(&self) -> bool {
        self.lock().tellings > self.tellings_max / 2
    }

    /// Whether it is so full that those who can should wait; its writer makes no room on disk yet.
    pub fn is_filling(&self) -> bool {
        self.lock().tellings > self.tellings_max / 4
    }

    pub fn has_dropped(&self) -> bool {
        self.lock().has_dropped
    }

    /// Takes nothing more; what is in it is still to be worked off.
    pub fn close(&self) {
        self.lock().closed = true;
    }

    pub fn is_closed(&self) -> bool {
        self.lock().closed
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Queue {
    fn is_whole(&self) -> bool {
        !self.has_dropped && !self.has_forgotten && self.refilling == Refilling::No
    }

    /// The last of the older rows are among so many first entries.
    fn end_refill(&mut self, waiting: usize) {
        self.refilling = if waiting > 0 { Refilling::Ending(waiting) } else { Refilling::No };
        if waiting == 0 && !self.has_dropped_anew {
            self.has_dropped = false;
        }
    }
}

impl Entry {
    fn tellings(&self) -> usize {
        match self {
            Self::Batch(batch) | Self::Older(batch) => batch.tellings.len(),
            Self::Barrier(_) => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::output::Refusal;
    use crate::domain::told::{Told, Watch};
    use crate::runtime::clock::Mono;
    use crate::runtime::metrics::Metrics;
    use crate::runtime::sink::Telling;

    fn batch(tellings: usize) -> Arc<Batch> {
        let telling = Telling {
            watch: Watch(0),
            cause_seq: 1,
            at: Position(1),
            received: None,
            told: Told::Refused { at: Position(1), reason: Refusal::IdMissing },
        };
        Arc::new(Batch { tellings: vec![telling; tellings], published: Mono::now(), recovered: false })
    }

    #[test]
    fn what_is_kept_goes_and_barriers_follow_it() {
        let metrics = Metrics::new();
        let pending = Pending::new(10, metrics.queue("store"));
        let (barrier, reached) = Barrier::new(1);
        assert!(pending.offer(&batch(4)));
        pending.mark(barrier);
        assert!(pending.offer(&batch(6)) && !pending.offer(&batch(1)));
        assert_eq!((pending.len(), metrics.queue("store").dropped.get()), (10, 1));
        assert!(pending.is_filling() && pending.is_crowded());
        assert_eq!(pending.peek(4).len(), 2);
        assert_eq!(pending.peek(1).len(), 2);
        assert_eq!(pending.peek(100).len(), 3);
        pending.done(1, "store");
        assert_eq!((pending.len(), reached.len()), (6, 0));
        pending.done(1, "store");
        // Dropped rows are told again only from a snapshot before them: none may count from now on.
        assert_eq!(reached.len(), 0);
        assert_eq!(pending.batches().map(|batches| batches.len()), Some(1));
        pending.set_spooled(true);
        assert!(pending.batches().is_none());
    }

    #[test]
    fn what_barriers_cover_is_kept_unless_something_is_missing() {
        let pending = Pending::new(10, Metrics::new().queue("store"));
        let covering = |partition: u32, at: u64| Barrier::covering(1, [(partition, Position(at))].into()).0;
        pending.offer(&batch(1));
        pending.mark(covering(3, 7));
        pending.mark(covering(4, 1));
        pending.mark(covering(3, 9));
        let entries = pending.peek(100);
        let kept = BTreeMap::from([(3, Position(9)), (4, Position(1))]);
        assert_eq!(pending.covered(&entries), kept);
        assert_eq!(pending.covered(&entries[..1]), BTreeMap::new());
        pending.begin_refill();
        assert_eq!(pending.covered(&entries), BTreeMap::new());
        pending.end_refill();
        // The last older row may still wait behind these barriers.
        assert_eq!(pending.covered(&entries), BTreeMap::new());
        pending.done(4, "store");
        pending.offer(&batch(1));
        pending.mark(covering(3, 12));
        let entries = pending.peek(100);
        assert_eq!(pending.covered(&entries), BTreeMap::from([(3, Position(12))]));
        assert!(!pending.offer(&batch(10)));
        assert_eq!(pending.covered(&entries), BTreeMap::new(), "something was dropped");
    }

    #[test]
    fn what_was_dropped_counts_again_once_it_was_told_again() {
        let pending = Pending::new(10, Metrics::new().queue("store"));
        pending.offer(&batch(10));
        assert!(pending.is_whole() && !pending.offer(&batch(1)));
        assert!(pending.is_lacking() && !pending.is_whole());
        pending.done(1, "store");
        pending.begin_refill();
        assert!(!pending.is_lacking() && pending.offer_later(&batch(4)));
        // Something else is lost meanwhile: all of it once more.
        assert!(!pending.offer(&batch(10)));
        pending.end_refill();
        pending.done(1, "store");
        assert!(pending.is_lacking() && pending.has_dropped());
        pending.begin_refill();
        assert!(pending.offer_later(&batch(4)));
        let (barrier, reached) = Barrier::new(1);
        pending.mark(barrier);
        pending.end_refill();
        assert!(!pending.is_whole(), "the last of it waits");
        pending.done(2, "store");
        assert!(pending.is_whole() && !pending.has_dropped());
        assert_eq!(reached.len(), 1);
        pending.forget();
        assert!(pending.is_lacking() && !pending.has_dropped() && !pending.is_whole());
        pending.begin_refill();
        pending.end_refill();
        assert!(pending.is_whole());
    }

    #[test]
    fn barriers_are_reached_in_order() {
        let pending = Pending::new(10, Metrics::new().queue("store"));
        let (barrier, reached) = Barrier::new(1);
        pending.offer(&batch(40));
        pending.mark(barrier);
        pending.done(2, "store");
        assert_eq!(reached.try_recv(), Ok("store"));
        assert!(pending.is_empty());
        pending.close();
        assert!(!pending.offer(&batch(1)) && pending.is_closed());
    }
}
