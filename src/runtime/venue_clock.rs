//! How far a venue's clock is from ours, as the venue's connections estimate it.
//!
//! Shared by everything that compares the two: ticks (venue time is our clock less the skew), the
//! `venue` stage of latency, and the door where trades from the future are refused.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use crate::domain::time::UnixNanos;

/// Not estimated yet.
const UNKNOWN: i64 = i64::MIN;

/// The clock of one venue; clones share it.
#[derive(Clone, Debug)]
pub struct VenueClock {
    /// Our clock less the venue's, in nanoseconds.
    skew_ns: Arc<AtomicI64>,
}

impl Default for VenueClock {
    fn default() -> Self {
        Self { skew_ns: Arc::new(AtomicI64::new(UNKNOWN)) }
    }
}

impl VenueClock {
    /// Our clock less the venue's, in nanoseconds; `None` until somebody has estimated it.
    pub fn skew_ns(&self) -> Option<i64> {
        Some(self.skew_ns.load(Ordering::Relaxed)).filter(|&skew| skew != UNKNOWN)
    }

    /// What the venue's clock shows when ours shows `now`; the same where the skew is unknown.
    pub fn venue_at(&self, now: UnixNanos) -> UnixNanos {
        UnixNanos(now.0.saturating_sub(self.skew_ns().unwrap_or(0)))
    }

    pub fn set_skew_ns(&self, skew_ns: i64) {
        self.skew_ns.store(skew_ns.max(UNKNOWN + 1), Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn venue_time_is_ours_less_the_skew() {
        let clock = VenueClock::default();
        assert_eq!((clock.skew_ns(), clock.venue_at(UnixNanos(100))), (None, UnixNanos(100)));
        clock.clone().set_skew_ns(30);
        assert_eq!((clock.skew_ns(), clock.venue_at(UnixNanos(100))), (Some(30), UnixNanos(70)));
        clock.set_skew_ns(i64::MIN);
        assert_eq!(clock.venue_at(UnixNanos(5)), UnixNanos(i64::MAX));
    }
}
