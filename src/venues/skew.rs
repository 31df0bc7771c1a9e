//! How far a venue's clock is from ours, from two kinds of witness.
//!
//! REST tells the venue's time at some moment between question and answer: the skew lies between the two
//! ends, and the quickest answers know best. A trade was made before it was received: no skew can be larger
//! than the smallest distance seen. Trades alone are not believed, for one of them may lie, and a clock that
//! runs ahead closes candles early.

use std::collections::VecDeque;
use std::time::Duration;

use crate::domain::time::UnixNanos;

/// Answers that are remembered: about ten minutes of them.
const SAMPLES: usize = 10;
/// Trades may come from another clock of the venue than the answers, but not from another age.
const APART_NS_MAX: i64 = 2_000_000_000;
/// Windows of distances that are remembered.
const WINDOWS: usize = 6;
pub const WINDOW: Duration = Duration::from_secs(10);

/// One question for the time.
#[derive(Clone, Copy, Debug)]
struct Sample {
    /// Ours less the venue's, at most so far off as `error_ns`.
    skew_ns: i64,
    error_ns: i64,
}

#[derive(Clone, Debug, Default)]
pub struct Skew {
    samples: VecDeque<Sample>,
    /// Smallest distance from exchange to receipt, by window; the last is open.
    windows: VecDeque<i64>,
    open: Option<i64>,
}

impl Skew {
    /// The venue said `venue_at` to a question of `asked_at`, answered at `answered_at`.
    pub fn answered(&mut self, asked_at: UnixNanos, answered_at: UnixNanos, venue_at: UnixNanos) {
        let error_ns = answered_at.0.saturating_sub(asked_at.0).max(0) / 2;
        let middle = asked_at.0.saturating_add(error_ns);
        if self.samples.len() == SAMPLES {
            self.samples.pop_front();
        }
        let sample = Sample { skew_ns: middle.saturating_sub(venue_at.0), error_ns };
        // The clocks moved apart in a step: what was known before is of another time.
        let is_step = |known: &Sample| {
            known.skew_ns.saturating_sub(sample.skew_ns).saturating_abs()
                > known.error_ns + sample.error_ns + APART_NS_MAX
        };
        if self.samples.back().is_some_and(is_step) {
            *self = Self::default();
        }
        self.samples.push_back(sample);
    }

    /// A trade took so long to come, the clocks' distance included.
    #[inline]
    pub fn received_after(&mut self, distance_ns: i64) {
        if self.open.is_none_or(|open| distance_ns < open) && self.is_believable(distance_ns) {
            self.open = Some(distance_ns);
        }
    }

    fn is_believable(&self, distance_ns: i64) -> bool {
        self.best().is_some_and(|best| distance_ns > best.skew_ns - best.error_ns - APART_NS_MAX)
    }

    /// Every [`WINDOW`]: old distances are forgotten, for clocks drift.
    pub fn close_window(&mut self) {
        if let Some(open) = self.open.take() {
            self.windows.push_back(open);
        }
        if self.windows.len() > WINDOWS {
            self.windows.pop_front();
        }
    }

    fn best(&self) -> Option<Sample> {
        // The latest of equals: clocks drift.
        self.samples.iter().rev().min_by_key(|sample| sample.error_ns).copied()
    }

    /// Ours less the venue's, in nanoseconds; `None` before the first answer.
    pub fn estimate(&self) -> Option<i64> {
        let best = self.best()?;
        let closest = self.windows.iter().copied().chain(self.open).min();
        Some(closest.map_or(best.skew_ns, |closest| best.skew_ns.min(closest)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: i64 = 1_000_000;

    fn answered(skew: &mut Skew, asked_ms: i64, answered_ms: i64, venue_ms: i64) {
        skew.answered(UnixNanos(asked_ms * MS), UnixNanos(answered_ms * MS), UnixNanos(venue_ms * MS));
    }

    #[test]
    fn quick_answers_know_best() {
        let mut skew = Skew::default();
        assert_eq!(skew.estimate(), None);
        answered(&mut skew, 1_000, 1_800, 1_200);
        assert_eq!(skew.estimate(), Some(200 * MS));
        answered(&mut skew, 2_000, 2_010, 1_905);
        assert_eq!(skew.estimate(), Some(100 * MS));
        answered(&mut skew, 3_000, 3_900, 3_000);
        assert_eq!(skew.estimate(), Some(100 * MS));
    }

    #[test]
    fn no_trade_arrives_before_it_was_made() {
        let mut skew = Skew::default();
        skew.received_after(-5_000_000 * MS);
        answered(&mut skew, 1_000, 1_400, 1_000);
        skew.received_after(150 * MS);
        skew.received_after(300 * MS);
        assert_eq!(skew.estimate(), Some(150 * MS));
        for _ in 0..=WINDOWS {
            skew.close_window();
        }
        assert_eq!(skew.estimate(), Some(150 * MS));
        for _ in 0..=WINDOWS {
            skew.received_after(190 * MS);
            skew.close_window();
        }
        assert_eq!(skew.estimate(), Some(190 * MS));
    }

    #[test]
    fn a_lying_trade_moves_nothing() {
        let mut skew = Skew::default();
        answered(&mut skew, 1_000, 1_010, 1_000);
        skew.received_after(-3_600_000 * MS);
        assert_eq!(skew.estimate(), Some(5 * MS));
    }

    #[test]
    fn a_step_of_a_clock_is_followed() {
        let mut skew = Skew::default();
        answered(&mut skew, 1_000, 1_002, 1_000);
        skew.received_after(2 * MS);
        answered(&mut skew, 60_000, 60_100, 3_660_000);
        assert_eq!(skew.estimate(), Some(60_050 * MS - 3_660_000 * MS));
    }
}
