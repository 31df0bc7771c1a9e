//! The clock: the only place that asks the system what time it is, or waits for it.
//!
//! Results never depend on it. It measures how long a run took, and paces a recording that is
//! played slower than it could be.

use std::sync::OnceLock;
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use crate::domain::time::UnixNanos;

/// The system's clock.
pub fn now() -> UnixNanos {
    #[expect(clippy::disallowed_methods, reason = "the one place that may")]
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    // A clock before 1970 is a broken clock: trades would be refused as from the future, visibly.
    UnixNanos(since.map_or(0, |since| i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)))
}

/// A moment on the monotonic clock, in nanoseconds since the process first asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Mono(u64);

impl Mono {
    /// When the process first asked.
    pub const ZERO: Self = Self(0);

    pub fn now() -> Self {
        static FIRST: OnceLock<(quanta::Clock, quanta::Instant)> = OnceLock::new();
        let (clock, first) = FIRST.get_or_init(|| {
            let clock = quanta::Clock::new();
            #[expect(clippy::disallowed_methods, reason = "the one place that may")]
            let first = clock.now();
            (clock, first)
        });
        #[expect(clippy::disallowed_methods, reason = "the one place that may")]
        let since = clock.now().saturating_duration_since(*first);
        Self(since.as_nanos() as u64)
    }

    /// The moment that much later.
    pub fn after(self, time: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)))
    }

    /// Time since `earlier`; zero where it lies behind.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.nanos_since(earlier))
    }

    /// Nanoseconds since `earlier`; 0 where it lies behind.
    pub fn nanos_since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

/// Lets the thread rest.
pub fn sleep(time: Duration) {
    #[expect(clippy::disallowed_methods, reason = "the one place that may")]
    thread::sleep(time);
}

/// Time since a moment, on the monotonic clock.
#[derive(Clone, Copy, Debug)]
pub struct Stopwatch {
    started: Instant,
}

impl Stopwatch {
    pub fn start() -> Self {
        #[expect(clippy::disallowed_methods, reason = "the one place that may")]
        Self { started: Instant::now() }
    }

    pub fn elapsed(&self) -> Duration {
        #[expect(clippy::disallowed_methods, reason = "the one place that may")]
        self.started.elapsed()
    }
}

/// Lets event time pass at a multiple of real time.
#[derive(Debug)]
pub struct Pace {
    /// Event seconds a real second; above zero.
    speed: f64,
    begun: Option<(UnixNanos, Stopwatch)>,
}

impl Pace {
    /// `speed`: seconds of event time in a real second, finite and above zero.
    ///
    /// # Panics
    ///
    /// On any other speed: whoever read it from a user has refused it.
    pub fn new(speed: f64) -> Self {
        assert!(speed.is_finite() && speed > 0.0, "a pace is a finite number above zero, not {speed}");
        Self { speed, begun: None }
    }

    /// Returns once the event of that moment is due. The first call sets the beginning;
    /// moments that lie behind are due at once.
    pub fn wait_for(&mut self, at: UnixNanos) {
        let (begun_at, stopwatch) = self.begun.get_or_insert_with(|| (at, Stopwatch::start()));
        let wait = due(*begun_at, at, self.speed).saturating_sub(stopwatch.elapsed());
        if !wait.is_zero() {
            #[expect(clippy::disallowed_methods, reason = "the one place that may")]
            thread::sleep(wait);
        }
    }
}

/// How long after the beginning the event of `at` is due.
fn due(begun_at: UnixNanos, at: UnixNanos, speed: f64) -> Duration {
    let passed = i128::from(at.0) - i128::from(begun_at.0);
    let seconds = passed.max(0) as f64 / 1e9 / speed;
    Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_does_not_go_backwards() {
        let stopwatch = Stopwatch::start();
        let first = stopwatch.elapsed();
        assert!(stopwatch.elapsed() >= first);
    }

    #[test]
    fn events_are_due_at_the_pace() {
        let check = |begun: i64, at: i64, speed: f64, expected: Duration| {
            assert_eq!(due(UnixNanos(begun), UnixNanos(at), speed), expected, "{begun} {at} {speed}");
        };
        check(0, 1_000_000_000, 1.0, Duration::from_secs(1));
        check(500, 500, 1.0, Duration::ZERO);
        check(7, 60_000_000_007, 60.0, Duration::from_secs(1));
        check(0, 1_000_000_000, 0.5, Duration::from_secs(2));
        check(1_000_000_000, 0, 1.0, Duration::ZERO);
        check(i64::MIN, i64::MAX, 1e-300, Duration::MAX);
    }

    #[test]
    fn a_fast_pace_does_not_hold_anybody_up() {
        let mut pace = Pace::new(1e12);
        for hour in 0..1_000 {
            pace.wait_for(UnixNanos(hour * 3_600_000_000_000));
        }
        pace.wait_for(UnixNanos(0));
    }
}
