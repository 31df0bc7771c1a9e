//! How long each stage of a trade takes, from the venue to the client.
//!
//! Each thread records into a [`Recorder`] of its own; [`Latency::report`] reads them all. Values
//! are nanoseconds, from 1 to a minute, with two significant digits.

use std::sync::{Arc, Mutex, PoisonError};

use hdrhistogram::Histogram;

/// Where a trade is on its way, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stage {
    /// From the venue's clock to our socket, corrected for the clocks' difference.
    Venue,
    /// Frame to trades.
    Parse,
    /// Into the journal, to its symbol's inbox.
    Route,
    /// In the inbox.
    Queue,
    /// All analytics.
    Compute,
    /// To the sinks.
    Publish,
    /// To the client's socket.
    Feed,
    /// To acknowledged by the database.
    Store,
    /// To readable in the database.
    Visible,
    /// From our socket to the client's.
    Total,
}

impl Stage {
    pub const ALL: [Self; 10] = [
        Self::Venue,
        Self::Parse,
        Self::Route,
        Self::Queue,
        Self::Compute,
        Self::Publish,
        Self::Feed,
        Self::Store,
        Self::Visible,
        Self::Total,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::Venue => "venue",
            Self::Parse => "parse",
            Self::Route => "route",
            Self::Queue => "queue",
            Self::Compute => "compute",
            Self::Publish => "publish",
            Self::Feed => "feed",
            Self::Store => "store",
            Self::Visible => "visible",
            Self::Total => "total",
        }
    }
}

const NANOS_MAX: u64 = 60_000_000_000;

type Stages = [Histogram<u64>; Stage::ALL.len()];

/// All recorders of the process.
#[derive(Clone, Debug, Default)]
pub struct Latency {
    recorders: Arc<Mutex<Vec<Arc<Mutex<Stages>>>>>,
}

/// What one thread saw.
#[derive(Clone, Debug)]
pub struct Recorder {
    stages: Arc<Mutex<Stages>>,
}

impl Latency {
    /// A recorder for one thread.
    pub fn recorder(&self) -> Recorder {
        let stages = Arc::new(Mutex::new(empty()));
        self.recorders.lock().unwrap_or_else(PoisonError::into_inner).push(stages.clone());
        Recorder { stages }
    }

    /// Each stage since the start, in order.
    pub fn report(&self) -> Vec<(Stage, Histogram<u64>)> {
        let mut sum = empty();
        for recorder in self.recorders.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            let stages = recorder.lock().unwrap_or_else(PoisonError::into_inner);
            for (sum, stage) in sum.iter_mut().zip(stages.iter()) {
                sum.add(stage).expect("all histograms have the same bounds");
            }
        }
        Stage::ALL.into_iter().zip(sum).collect()
    }
}

impl Recorder {
    /// `count` trades took `nanos` each.
    pub fn record(&self, stage: Stage, nanos: u64, count: u64) {
        self.batch(|batch| batch.record(stage, nanos, count));
    }

    /// Records several at the cost of one lock.
    pub fn batch(&self, record: impl FnOnce(&mut RecorderBatch<'_>)) {
        let mut stages = self.stages.lock().unwrap_or_else(PoisonError::into_inner);
        record(&mut RecorderBatch { stages: &mut stages });
    }
}

/// A recorder while nobody reads it.
pub struct RecorderBatch<'a> {
    stages: &'a mut Stages,
}

impl RecorderBatch<'_> {
    pub fn record(&mut self, stage: Stage, nanos: u64, count: u64) {
        self.stages[stage as usize]
            .record_n(nanos.clamp(1, NANOS_MAX), count)
            .expect("a value within the bounds");
    }
}

fn empty() -> Stages {
    std::array::from_fn(|_| Histogram::new_with_bounds(1, NANOS_MAX, 2).expect("sound bounds"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_sums_all_threads() {
        let latency = Latency::default();
        let (one, other) = (latency.recorder(), latency.recorder());
        one.record(Stage::Parse, 200, 3);
        other.record(Stage::Parse, 400, 1);
        other.record(Stage::Total, u64::MAX, 1);
        let report = latency.report();
        assert_eq!(report[Stage::Parse as usize].0, Stage::Parse);
        assert_eq!(report[Stage::Parse as usize].1.len(), 4);
        assert_eq!(report[Stage::Queue as usize].1.len(), 0);
        assert!(report[Stage::Total as usize].1.max() >= NANOS_MAX);
    }
}
