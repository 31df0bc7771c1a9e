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
    /// To acknowledged by the database; where there is none, to committed by the embedded store.
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

/// What is measured: each stage, and the way from our socket to computed, which the sum of its stages'
/// quantiles does not tell.
#[derive(Clone, Debug)]
struct Measured {
    stages: [Histogram<u64>; Stage::ALL.len()],
    computed: Histogram<u64>,
}

impl Measured {
    fn new() -> Self {
        Self { stages: std::array::from_fn(|_| empty()), computed: empty() }
    }

    fn each(&self) -> impl Iterator<Item = &Histogram<u64>> {
        self.stages.iter().chain([&self.computed])
    }

    fn each_mut(&mut self) -> impl Iterator<Item = &mut Histogram<u64>> {
        self.stages.iter_mut().chain([&mut self.computed])
    }

    fn add(&mut self, other: &Self) {
        for (sum, more) in self.each_mut().zip(other.each()) {
            sum.add(more).expect("all histograms have the same bounds");
        }
    }

    /// Without what was measured until `earlier`.
    fn since(mut self, earlier: &Self) -> Self {
        for (all, before) in self.each_mut().zip(earlier.each()) {
            all.subtract(before).expect("what was counted once is counted still");
        }
        self
    }

    fn told(self) -> Report {
        Report { stages: Stage::ALL.into_iter().zip(self.stages).collect(), computed: self.computed }
    }
}

/// What was measured in some time.
#[derive(Clone, Debug)]
pub struct Report {
    /// In order.
    pub stages: Vec<(Stage, Histogram<u64>)>,
    /// From our socket to computed.
    pub computed: Histogram<u64>,
}

/// How far back a window reaches, and how often its beginning moves on.
const WINDOW_NANOS: u64 = 60_000_000_000;
const WINDOW_STEP_NANOS: u64 = 10_000_000_000;

/// All recorders of the process.
#[derive(Clone, Debug, Default)]
pub struct Latency {
    recorders: Arc<Mutex<Vec<Arc<Mutex<Measured>>>>>,
    /// What was known at earlier moments, oldest first: as many as a window has steps.
    past: Arc<Mutex<VecDeque<(Mono, Measured)>>>,
}

/// What one thread saw.
#[derive(Clone, Debug)]
pub struct Recorder {
    measured: Arc<Mutex<Measured>>,
}

/// What was measured over the last minute, or since the start where that is less.
#[derive(Clone, Debug)]
pub struct Window {
    pub seconds: f64,
    pub report: Report,
}

impl Latency {
    /// A recorder for one thread.
    pub fn recorder(&self) -> Recorder {
        let measured = Arc::new(Mutex::new(Measured::new()));
        unpoisoned(&self.recorders).push(measured.clone());
        Recorder { measured }
    }

    /// Since the start.
    pub fn report(&self) -> Report {
        self.sum().told()
    }

    /// Since about a minute ago. The beginning moves on as somebody asks: a window that nobody
    /// asked for in a while is longer, and says so.
    pub fn window(&self, now: Mono) -> Window {
        let sum = self.sum();
        let mut past = unpoisoned(&self.past);
        if past.is_empty() {
            past.push_back((Mono::ZERO, Measured::new()));
        }
        // The newest beginning that is a whole window old.
        while past.get(1).is_some_and(|(at, _)| now.nanos_since(*at) >= WINDOW_NANOS) {
            past.pop_front();
        }
        let (began_at, began) = &past[0];
        let seconds = now.nanos_since(*began_at) as f64 / 1e9;
        let report = sum.clone().since(began).told();
        if past.back().is_none_or(|(at, _)| now.nanos_since(*at) >= WINDOW_STEP_NANOS) {
            past.push_back((now, sum));
        }
        Window { seconds, report }
    }

    fn sum(&self) -> Measured {
        let mut sum = Measured::new();
        for recorder in unpoisoned(&self.recorders).iter() {
            // Copied first: whoever records waits for a copy, not for the adding up.
            let measured = unpoisoned(recorder).clone();
            sum.add(&measured);
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
        record(&mut RecorderBatch { measured: &mut unpoisoned(&self.measured) });
    }
}

/// A recorder while nobody reads it.
pub struct RecorderBatch<'a> {
    measured: &'a mut Measured,
}

impl RecorderBatch<'_> {
    pub fn record(&mut self, stage: Stage, nanos: u64, count: u64) {
        record(&mut self.measured.stages[stage as usize], nanos, count);
    }

    /// `count` trades took `nanos` each from our socket to computed.
    pub fn record_computed(&mut self, nanos: u64, count: u64) {
        record(&mut self.measured.computed, nanos, count);
    }
}

fn record(histogram: &mut Histogram<u64>, nanos: u64, count: u64) {
    histogram.record_n(nanos.clamp(1, NANOS_MAX), count).expect("a value within the bounds");
}

fn empty() -> Histogram<u64> {
    Histogram::new_with_bounds(1, NANOS_MAX, 2).expect("sound bounds")
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
        let report = latency.report().stages;
        assert_eq!(report[Stage::Parse as usize].0, Stage::Parse);
        assert_eq!(report[Stage::Parse as usize].1.len(), 4);
        assert_eq!(report[Stage::Queue as usize].1.len(), 0);
        assert!(report[Stage::Total as usize].1.max() >= NANOS_MAX);
    }

    #[test]
    fn the_way_to_computed_is_measured_as_a_whole() {
        let latency = Latency::default();
        latency.recorder().batch(|stages| {
            stages.record(Stage::Queue, 100, 1);
            stages.record_computed(1_500, 1);
        });
        latency.recorder().batch(|stages| stages.record_computed(2_000, 2));
        let report = latency.report();
        assert_eq!((report.computed.len(), report.stages[Stage::Queue as usize].1.len()), (3, 1));
        let window = latency.window(Mono::ZERO.after(Duration::from_secs(5)));
        assert_eq!(window.report.computed.len(), 3);
    }

    #[test]
    fn a_window_forgets_what_is_older_than_a_minute() {
        let latency = Latency::default();
        let recorder = latency.recorder();
        let at = |seconds: u64| Mono::ZERO.after(Duration::from_secs(seconds));
        let counted = |seconds: u64| {
            let window = latency.window(at(seconds));
            (window.seconds, window.report.stages[Stage::Parse as usize].1.len())
        };
        recorder.record(Stage::Parse, 100, 5);
        assert_eq!(counted(10), (10.0, 5));
        recorder.record(Stage::Parse, 100, 2);
        assert_eq!(counted(30), (30.0, 7));
        assert_eq!(counted(75), (65.0, 2), "since the tenth second");
        assert_eq!(counted(100), (70.0, 0), "since the thirtieth");
        assert_eq!(latency.report().stages[Stage::Parse as usize].1.len(), 7);
    }
}
