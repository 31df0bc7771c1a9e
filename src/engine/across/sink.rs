//! How closed candles reach the comparison: a bounded queue that shards put them into.
//!
//! Only candles of instruments that are compared, of the plan's interval, as they are first told. **When the queue is
//! full** they are dropped and counted: their minutes are compared without them once patience is over.

use std::sync::Arc;

use crossbeam::channel::{Receiver, Sender, TrySendError, bounded};

use crate::analytics::across::plan::AcrossPlan;
use crate::domain::closed::Said;
use crate::domain::divergence::Divergence;
use crate::domain::instrument::Instrument;
use crate::domain::interval::Interval;
use crate::domain::time::UnixNanos;
use crate::domain::told::{Roster, Told, Watch};
use crate::runtime::metrics::{Metrics, QueueMeter};
use crate::runtime::sink::{Barrier, Batch, Heard, Sink};

/// Messages that wait: some batches a minute of each shard, and what a start tells again.
const QUEUE: usize = 4_096;
/// So many, and whoever can should wait.
const CROWDED: usize = QUEUE / 4;

/// One candle on its way.
#[derive(Clone, Copy, Debug)]
pub struct Candidate {
    pub watch: Watch,
    pub close_at: UnixNanos,
    pub said: Said,
    pub cause_seq: u64,
}

/// Hands a divergence to its shard; `false`: that has no room now.
pub type Give = Box<dyn Fn(Watch, Box<Divergence>) -> bool + Send>;

/// What the comparison's thread hears.
pub enum Message {
    Closed {
        candidates: Vec<Candidate>,
        recovered: bool,
    },
    Mark(Barrier),
    /// All shards have told what they computed again: from here on there is somebody to give to.
    Begin(Give),
    /// What was found of the candle that closed then stands in its instrument's log.
    Taken(Watch, UnixNanos),
}

/// The shards' side.
pub struct AcrossSink {
    interval: Interval,
    /// By watch: whether it is compared.
    members: Vec<bool>,
    sender: Sender<Message>,
    meter: QueueMeter,
}

impl AcrossSink {
    /// `None`: no asset is watched on two venues.
    pub fn new(plan: &AcrossPlan, roster: &Roster, metrics: &Metrics) -> Option<(Self, Receiver<Message>)> {
        let markets: Vec<_> =
            roster.iter().map(|(_, instrument)| (plan.asset(instrument), instrument)).collect();
        let is_member = |(asset, own): &(_, &Instrument)| {
            markets.iter().any(|(other, market)| other == asset && market.venue() != own.venue())
        };
        let members: Vec<bool> = markets.iter().map(is_member).collect();
        if !members.contains(&true) {
            return None;
        }
        let (sender, receiver) = bounded(QUEUE);
        let (interval, meter) = (Interval::Time(plan.interval), metrics.queue("across"));
        Some((Self { interval, members, sender, meter }, receiver))
    }

    /// Whom it compares.
    pub fn members<'a>(&'a self, roster: &'a Roster) -> impl Iterator<Item = &'a Instrument> {
        roster.iter().filter(|(watch, _)| self.members[watch.0 as usize]).map(|(_, instrument)| instrument)
    }

    /// For whoever else speaks to the comparison.
    pub fn sender(&self) -> Sender<Message> {
        self.sender.clone()
    }
}

impl Sink for AcrossSink {
    fn name(&self) -> &'static str {
        "across"
    }

    fn heard(&self, _watch: Watch) -> Heard {
        Heard::ALL
    }

    fn offer(&self, batch: &Arc<Batch>) {
        let mut candidates = Vec::new();
        for telling in &batch.tellings {
            if let Told::Candle(candle) = &telling.told
                && candle.revision == 0
                && candle.interval == self.interval
                && self.members[telling.watch.0 as usize]
            {
                let (watch, cause_seq) = (telling.watch, telling.cause_seq);
                let (close_at, said) = (candle.close_at, Said::of(candle));
                candidates.push(Candidate { watch, close_at, said, cause_seq });
            }
        }
        if candidates.is_empty() {
            return;
        }
        let lost = candidates.len() as u64;
        let sent = self.sender.try_send(Message::Closed { candidates, recovered: batch.recovered });
        if sent.is_err() {
            self.meter.dropped.inc_by(lost);
        }
        self.meter.depth.set(self.sender.len() as i64);
    }

    fn mark(&self, barrier: Barrier) {
        let sent = self.sender.try_send(Message::Mark(barrier));
        // Where nobody compares any more that must not keep the shards from their snapshots. Where the queue is full
        // it is not reached, and the snapshot does not count.
        if let Err(TrySendError::Disconnected(Message::Mark(barrier))) = sent {
            barrier.reach(self.name());
        }
    }

    fn is_crowded(&self) -> bool {
        self.sender.len() >= CROWDED
    }
}
