//! How long each stage of a trade takes, from the venue to the client.
//!
//! Each thread records into a [`Recorder`] of its own; [`Latency::report`] reads them all since the start,
//! [`Latency::window`] the last minute. Values are nanoseconds, from 1 to a minute, with two significant digits.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hdrhistogram::Histogram;

use crate::runtime::clock::Mono;

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

/// How far back a window reaches, and how often its beginning moves on.
const WINDOW_NANOS: u64 = 60_000_000_000;
const WINDOW_STEP_NANOS: u64 = 10_000_000_000;

/// All recorders of the process.
#[derive(Clone, Debug, Default)]
pub struct Latency {
    recorders: Arc<Mutex<Vec<Arc<Mutex<Stages>>>>>,
    /// What was known at earlier moments, oldest first: as many as a window has steps.
    past: Arc<Mutex<VecDeque<(Mono, Stages)>>>,
}

/// What one thread saw.
#[derive(Clone, Debug)]
pub struct Recorder {
    stages: Arc<Mutex<Stages>>,
}

/// The stages over the last minute, or since the start where that is less.
#[derive(Clone, Debug)]
pub struct Window {
    pub seconds: f64,
    /// In order.
    pub stages: Vec<(Stage, Histogram<u64>)>,
}

impl Latency {
    /// A recorder for one thread.
    pub fn recorder(&self) -> Recorder {
        let stages = Arc::new(Mutex::new(empty()));
        unpoisoned(&self.recorders).push(stages.clone());
        Recorder { stages }
    }

    /// Each stage since the start, in order.
    pub fn report(&self) -> Vec<(Stage, Histogram<u64>)> {
        Stage::ALL.into_iter().zip(self.sum()).collect()
    }

    /// Each stage since about a minute ago. The beginning moves on as somebody asks: a window that nobody
    /// asked for in a while is longer, and says so.
    pub fn window(&self, now: Mono) -> Window {
        let sum = self.sum();
        let mut past = unpoisoned(&self.past);
        if past.is_empty() {
            past.push_back((Mono::ZERO, empty()));
        }
        // The newest beginning that is a whole window old.
        while past.get(1).is_some_and(|(at, _)| now.nanos_since(*at) >= WINDOW_NANOS) {
            past.pop_front();
        }
        let (began_at, began) = &past[0];
        let seconds = now.nanos_since(*began_at) as f64 / 1e9;
        let stages = Stage::ALL.into_iter().zip(sum.iter().zip(began)).map(|(stage, (sum, began))| {
            let mut since = sum.clone();
            since.subtract(began).expect("what was counted once is counted still");
            (stage, since)
        });
        let stages = stages.collect();
        if past.back().is_none_or(|(at, _)| now.nanos_since(*at) >= WINDOW_STEP_NANOS) {
            past.push_back((now, sum));
        }
        Window { seconds, stages }
    }

    fn sum(&self) -> Stages {
        let mut sum = empty();
        for recorder in unpoisoned(&self.recorders).iter() {
            // Copied first: whoever records waits for a copy, not for the adding up.
            let stages = unpoisoned(recorder).clone();
            for (sum, stage) in sum.iter_mut().zip(stages.iter()) {
                sum.add(stage).expect("all histograms have the same bounds");
            }
        }
        sum
    }
}

fn unpoisoned<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Recorder {
    /// `count` trades took `nanos` each.
    pub fn record(&self, stage: Stage, nanos: u64, count: u64) {
        self.batch(|batch| batch.record(stage, nanos, count));
    }

    /// Records several at the cost of one lock.
    pub fn batch(&self, record: impl FnOnce(&mut RecorderBatch<'_>)) {
        record(&mut RecorderBatch { stages: &mut unpoisoned(&self.stages) });
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
    use std::time::Duration;

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

    #[test]
    fn a_window_forgets_what_is_older_than_a_minute() {
        let latency = Latency::default();
        let recorder = latency.recorder();
        let at = |seconds: u64| Mono::ZERO.after(Duration::from_secs(seconds));
        let counted = |seconds: u64| {
            let window = latency.window(at(seconds));
            (window.seconds, window.stages[Stage::Parse as usize].1.len())
        };
        recorder.record(Stage::Parse, 100, 5);
        assert_eq!(counted(10), (10.0, 5));
        recorder.record(Stage::Parse, 100, 2);
        assert_eq!(counted(30), (30.0, 7));
        assert_eq!(counted(75), (65.0, 2), "since the tenth second");
        assert_eq!(counted(100), (70.0, 0), "since the thirtieth");
        assert_eq!(latency.report()[Stage::Parse as usize].1.len(), 7);
    }
}
