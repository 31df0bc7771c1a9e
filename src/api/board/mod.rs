//! The read model: what the process knows now, made of outputs alone.
//!
//! One lock an instrument, held for as long as it takes to copy an answer or to enter a batch, so that
//! readers never hold up the shards: these only put batches into a bounded queue, which the board's own
//! thread empties every few milliseconds (nobody is woken for it).
//!
//! Everything here is bounded. What is older than the board keeps is in the store.

pub mod forming;
pub mod seen;
pub mod sink;

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::api::board::seen::Seen;
use crate::domain::insight::{Anomaly, Signal};
use crate::domain::interval::Interval;
use crate::domain::shape::Label;
use crate::domain::standing::Standing;
use crate::domain::told::{Roster, Told, Watch};
use crate::runtime::sink::{Batch, Telling};

/// Anomalies and signals that are kept, of all instruments together.
const RECENT_MAX: usize = 1_000;
/// Trades that are kept, of all instruments together and of one.
const TRADES_MAX: usize = 256_000;
const TRADES_EACH_MAX: usize = 1_000;
const TRADES_EACH_MIN: usize = 100;

/// An insight, whose it is, and what caused it.
#[derive(Clone, Debug)]
pub struct Found<T> {
    pub watch: Watch,
    pub cause_seq: u64,
    pub insight: T,
}

/// What is known now.
#[derive(Debug)]
pub struct Board {
    roster: Roster,
    intervals: Vec<Interval>,
    labels: Vec<Label>,
    seats: Vec<Mutex<Seen>>,
    signals: Mutex<VecDeque<Found<Signal>>>,
    anomalies: Mutex<VecDeque<Found<Anomaly>>>,
    /// Batches that the full queue refused: counts are too low from then on.
    missed_batches: AtomicU64,
}

impl Board {
    /// `intervals`: those of which candles are told.
    pub fn new(roster: Roster, intervals: &[Interval]) -> Self {
        let trades_each = (TRADES_MAX / roster.len().max(1)).clamp(TRADES_EACH_MIN, TRADES_EACH_MAX);
        Self {
            labels: roster.iter().map(|(_, instrument)| Label::new(instrument)).collect(),
            seats: roster.iter().map(|_| Mutex::new(Seen::new(intervals, trades_each))).collect(),
            signals: Mutex::default(),
            anomalies: Mutex::default(),
            missed_batches: AtomicU64::new(0),
            intervals: intervals.to_vec(),
            roster,
        }
    }

    pub fn roster(&self) -> &Roster {
        &self.roster
    }

    /// Those of which candles are told, in ascending order.
    pub fn intervals(&self) -> &[Interval] {
        &self.intervals
    }

    pub fn label(&self, watch: Watch) -> &Label {
        &self.labels[watch.0 as usize]
    }

    /// What is known of an instrument. Whoever holds it holds up the board.
    pub fn seen(&self, watch: Watch) -> MutexGuard<'_, Seen> {
        lock(&self.seats[watch.0 as usize])
    }

    /// The last signals, oldest first.
    pub fn signals(&self) -> Vec<Found<Signal>> {
        lock(&self.signals).iter().cloned().collect()
    }

    /// The last anomalies, oldest first.
    pub fn anomalies(&self) -> Vec<Found<Anomaly>> {
        lock(&self.anomalies).iter().cloned().collect()
    }

    pub fn missed_batches(&self) -> u64 {
        self.missed_batches.load(Ordering::Relaxed)
    }

    /// Enters what was told.
    pub fn enter(&self, batch: &Batch) {
        for run in batch.tellings.chunk_by(|one, next| one.watch == next.watch) {
            // A batch of another roster would be a mistake of ours that costs a reader nothing.
            let Some(seat) = self.seats.get(run[0].watch.0 as usize) else { continue };
            let mut seen = lock(seat);
            for telling in run {
                if seen.enter(telling, batch.recovered) {
                    self.enter_insight(telling);
                }
            }
        }
    }

    /// A symbol goes on after a start, which told everything but its trades.
    fn stand(&self, watch: Watch, standing: &Standing) {
        if let Some(seat) = self.seats.get(watch.0 as usize) {
            lock(seat).stand(standing);
        }
    }

    /// A batch was lost: what is forming is no longer exact.
    fn miss(&self, batches: u64) {
        self.missed_batches.fetch_add(batches, Ordering::Relaxed);
        for seat in &self.seats {
            lock(seat).forget_forming();
        }
    }

    fn enter_insight(&self, telling: &Telling) {
        match &telling.told {
            Told::Signal(signal) => keep(&self.signals, telling, (**signal).clone()),
            Told::Anomaly(anomaly) => keep(&self.anomalies, telling, (**anomaly).clone()),
            _ => {}
        }
    }
}

fn keep<T>(kept: &Mutex<VecDeque<Found<T>>>, telling: &Telling, insight: T) {
    let mut kept = lock(kept);
    if kept.len() == RECENT_MAX {
        kept.pop_front();
    }
    kept.push_back(Found { watch: telling.watch, cause_seq: telling.cause_seq, insight });
}

/// What was entered before a panic is still whole: entering one telling changes nothing half.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
