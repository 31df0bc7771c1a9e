//! Where outputs go: one trait for storage, alerts, board and feed, and the batches they share.
//!
//! A shard publishes what it told since it last rested as one batch, the same one for every sink. A
//! sink never makes the shard wait: it takes the batch into a bounded queue of its own or does what
//! its written rule for a full queue says.

use std::sync::Arc;

use crossbeam::channel::{Receiver, Sender, bounded};

use crate::domain::output::Position;
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

    /// Everything offered before this call has to survive a loss of the process before `barrier` is
    /// reached. Returns at once; sinks that keep nothing reach it at once.
    fn mark(&self, barrier: Barrier) {
        barrier.reach(self.name());
    }
}

/// Tells whoever waits for it that a sink has kept what it was offered; a snapshot counts only then.
#[derive(Clone, Debug)]
pub struct Barrier {
    reached: Sender<&'static str>,
}

impl Barrier {
    /// A barrier for so many sinks, and where their names arrive.
    pub fn new(sinks: usize) -> (Self, Receiver<&'static str>) {
        let (reached, arrivals) = bounded(sinks.max(1));
        (Self { reached }, arrivals)
    }

    /// Once a sink. Whoever no longer waits is not told.
    pub fn reach(&self, sink: &'static str) {
        let _ = self.reached.try_send(sink);
    }
}
