//! The bus of one shard: what its symbols told, as batches, to every sink.
//!
//! Outputs gather while the shard works and go out together when it rests, when there are
//! [`TELLINGS_MAX`] of them or when the first has waited [`PATIENCE_NANOS`]. A queue it is not: nothing
//! stays in it when the shard rests, unless the journal cannot be written, and then nothing more is computed.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use tracing::error;

use crate::engine::inbox::Stamps;
use crate::runtime::clock::Mono;
use crate::runtime::health::{Condition, Health};
use crate::runtime::latency::{Recorder, Stage};
use crate::runtime::sink::{Batch, Sink, Telling};

/// Outputs that make a batch full.
pub const TELLINGS_MAX: usize = 256;
/// How long an output waits for others.
pub const PATIENCE_NANOS: u64 = 200_000;

/// Trades that came and were computed together, and when.
#[derive(Clone, Copy, Debug)]
struct Leg {
    stamps: Stamps,
    begun: Mono,
    computed: Mono,
    trades: u64,
}

/// Who listens, and what they have not heard yet.
pub struct Bus {
    sinks: Vec<Arc<dyn Sink>>,
    tellings: Vec<Telling>,
    legs: Vec<Leg>,
    /// When the first of `tellings` was told.
    waiting_since: Option<Mono>,
    recorder: Recorder,
    health: Health,
}

impl Bus {
    pub fn new(sinks: Vec<Arc<dyn Sink>>, recorder: Recorder, health: Health) -> Self {
        Self { sinks, tellings: Vec::new(), legs: Vec::new(), waiting_since: None, recorder, health }
    }

    /// Those that still listen.
    pub fn sinks(&self) -> &[Arc<dyn Sink>] {
        &self.sinks
    }

    /// Where symbols tell.
    #[inline]
    pub fn tellings(&mut self) -> &mut Vec<Telling> {
        &mut self.tellings
    }

    /// A turn has ended.
    #[inline]
    pub fn turned(&mut self, now: Mono) {
        if !self.tellings.is_empty() {
            self.waiting_since.get_or_insert(now);
        }
    }

    /// A trade of the turn that began at `begun`: consecutive ones that share their stamps are measured together.
    #[inline]
    pub fn count(&mut self, stamps: Stamps, begun: Mono) {
        match self.legs.last_mut() {
            Some(leg) if leg.stamps == stamps && leg.begun == begun => leg.trades += 1,
            _ => self.legs.push(Leg { stamps, begun, computed: begun, trades: 1 }),
        }
    }

    /// The turn that began at `begun` has ended.
    #[inline]
    pub fn computed(&mut self, begun: Mono, computed: Mono) {
        for leg in self.legs.iter_mut().rev().take_while(|leg| leg.begun == begun) {
            leg.computed = computed;
        }
    }

    /// Whether trades were computed that have not been told.
    pub fn has_trades(&self) -> bool {
        !self.legs.is_empty()
    }

    pub fn depth(&self) -> usize {
        self.tellings.len()
    }

    /// Whether nobody should wait any longer.
    #[inline]
    pub fn is_due(&self, now: Mono) -> bool {
        self.tellings.len() >= TELLINGS_MAX
            || self.waiting_since.is_some_and(|since| now.nanos_since(since) >= PATIENCE_NANOS)
    }

    #[inline]
    pub fn is_empty(&self) -> bool {
        self.tellings.is_empty() && self.legs.is_empty()
    }

    /// Hands everything to the sinks; the causes are safe in the journal.
    pub fn publish(&mut self, published: Mono, recovered: bool) {
        self.waiting_since = None;
        if !self.tellings.is_empty() {
            // The next batch is likely to be as long.
            let room = Vec::with_capacity(self.tellings.len());
            let tellings = std::mem::replace(&mut self.tellings, room);
            let batch = Arc::new(Batch { tellings, published, recovered });
            self.offer(&batch);
        }
        if self.legs.is_empty() {
            return;
        }
        let handed = Mono::now();
        let legs = &mut self.legs;
        self.recorder.batch(|stages| {
            for Leg { stamps, begun, computed, trades } in legs.drain(..) {
                stages.record(Stage::Route, stamps.routed.nanos_since(stamps.parsed), trades);
                stages.record(Stage::Queue, begun.nanos_since(stamps.routed), trades);
                stages.record(Stage::Compute, computed.nanos_since(begun), trades);
                stages.record(Stage::Publish, handed.nanos_since(computed), trades);
                stages.record_computed(computed.nanos_since(stamps.received), trades);
            }
        });
    }

    fn offer(&mut self, batch: &Arc<Batch>) {
        let health = &self.health;
        self.sinks.retain(|sink| {
            let offered = catch_unwind(AssertUnwindSafe(|| sink.offer(batch)));
            if offered.is_err() {
                // Its neighbours go on; what it had is for it to find again at the next start.
                error!(sink = sink.name(), "sink panicked and gets nothing more");
                health.set(&format!("sink:{}", sink.name()), Condition::Down, "it panicked");
            }
            offered.is_ok()
        });
    }
}
