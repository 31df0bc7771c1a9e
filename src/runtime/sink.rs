//! Where outputs go: one trait for storage, alerts, board and feed, and the batches they share.
//!
//! A shard publishes what it told since it last rested as one batch, the same one for every sink. A
//! sink never makes the shard wait: it takes the batch into a bounded queue of its own or does what
//! its written rule for a full queue says.

use std::collections::BTreeMap;
use std::sync::Arc;

use crossbeam::channel::{Receiver, Sender, bounded};

use crate::domain::output::Position;
use crate::domain::standing::Standing;
use crate::domain::told::{Told, Watch};
use crate::runtime::clock::Mono;

/// One output, and what caused it.
#[derive(Clone, Debug)]
pub struct Telling {
    pub watch: Watch,
    /// Accepted events of the instrument until then, the cause included.
    pub cause_seq: u64,
    /// Place of the causing event in its partition's log.
    pub at: Position,
    /// When the frame of the cause left the socket; `None` for ticks, repairs and recovery: no latency
    /// is measured of them.
    pub received: Option<Mono>,
    pub told: Told,
}

/// What a shard told since it last rested, in order.
#[derive(Clone, Debug)]
pub struct Batch {
    pub tellings: Vec<Telling>,
    /// When it was handed to the sinks.
    pub published: Mono,
    /// Computed again after a restart: sinks have kept some of it already.
    pub recovered: bool,
}

/// Takes batches. Called on the shards' threads: `offer` returns at once, whatever happens.
pub trait Sink: Send + Sync {
    /// Constant, for metrics and logs.
    fn name(&self) -> &'static str;

    fn offer(&self, batch: &Arc<Batch>);

    /// Of the trades and indicators that a start computes again of a symbol, those that need not be told. All else is.
    fn heard(&self, _watch: Watch) -> Heard {
        Heard::default()
    }

    /// A start has computed a symbol: what it knows by now, behind all that was told of it on the way. May wait.
    fn stand(&self, _watch: Watch, _standing: &Standing) {}

    /// Everything offered before this call has to survive a loss of the process before `barrier` is
    /// reached. Returns at once; sinks that keep nothing reach it at once.
    fn mark(&self, barrier: Barrier) {
        barrier.reach(self.name());
    }

    /// Whether so much waits that whoever can should wait before offering more.
    fn is_crowded(&self) -> bool {
        false
    }

    /// Up to where, by partition, it has surely kept what was told; a partition that is not named: nothing
    /// of it. What a start goes on from may stand behind that (the store was deleted, or was off for a
    /// while): then it is told again what it lacks. `None`: it has no need of that.
    fn kept(&self) -> Option<BTreeMap<u32, Position>> {
        None
    }

    /// Whether it lost something of what it was offered since the start, and waits to be told it again.
    fn is_lacking(&self) -> bool {
        false
    }

    /// What it lacks, told by a thread of its own beside what is offered. `false`: it has no room for it now, and
    /// is to be told again.
    fn refill(&self, _step: Refill<'_>) -> bool {
        true
    }
}

/// Up to where a sink needs to hear nothing again of a symbol, by what caused it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Heard {
    pub trades: Position,
    pub indicators: Position,
}

impl Heard {
    /// Neither is ever needed again.
    pub const ALL: Self = Self { trades: Position(u64::MAX), indicators: Position(u64::MAX) };

    /// What nobody of two needs.
    pub fn and(self, other: Self) -> Self {
        Self { trades: self.trades.min(other.trades), indicators: self.indicators.min(other.indicators) }
    }
}

/// Telling a sink again what it lacks.
#[derive(Clone, Copy, Debug)]
pub enum Refill<'a> {
    /// Until the end it has not kept what barriers say that they cover.
    Begins,
    /// Older than everything that is offered meanwhile.
    Batch(&'a Arc<Batch>),
    /// That was all.
    Ends,
}

/// Positions of partitions.
pub type Covers = Arc<[(u32, Position)]>;

/// Tells whoever waits for it that a sink has kept what it was offered; a snapshot counts only then.
#[derive(Clone, Debug)]
pub struct Barrier {
    reached: Sender<&'static str>,
    covers: Covers,
}

impl Barrier {
    /// A barrier for so many sinks, and where their names arrive.
    pub fn new(sinks: usize) -> (Self, Receiver<&'static str>) {
        Self::covering(sinks, Covers::default())
    }

    /// Likewise; everything that these partitions told because of events up to these positions was offered before it.
    pub fn covering(sinks: usize, covers: Covers) -> (Self, Receiver<&'static str>) {
        let (reached, arrivals) = bounded(sinks.max(1));
        (Self { reached, covers }, arrivals)
    }

    /// What a sink has kept of each partition once the barrier is reached.
    pub fn covers(&self) -> &[(u32, Position)] {
        &self.covers
    }

    /// Once a sink. Whoever no longer waits is not told.
    pub fn reach(&self, sink: &'static str) {
        let _ = self.reached.try_send(sink);
    }
}
