//! The true range of a bar, and Wilder's average of it.
//!
//! Source: J. W. Wilder, "New Concepts in Technical Trading Systems" (1978). Equal TA-Lib's
//! `TRANGE` and `ATR`: the first bar has no true range, for it has no bar before it.

use crate::analytics::indicator::Bar;
use crate::analytics::rolling::state::State;

/// The greatest of the bar's own range and the distances from the previous close to its
/// high and low.
#[inline]
pub fn true_range(bar: &Bar<'_>, previous_close: f64) -> f64 {
    (bar.high - bar.low).max((previous_close - bar.high).abs()).max((previous_close - bar.low).abs())
}

/// Average true range: the mean of the first `period` true ranges, then `1 / period` of the
/// newest and the rest of the average before.
#[derive(Clone, Debug)]
pub struct AverageTrueRange {
    period: usize,
    share: f64,
    keep: f64,
    /// Bars seen, no longer counted once the average is there.
    seen: usize,
    previous_close: f64,
    /// The sum while the first ones are collected, then the average.
    value: f64,
}

impl AverageTrueRange {
    /// `period` at least 1.
    pub fn new(period: usize) -> Self {
        let n = period as f64;
        Self { period, share: 1.0 / n, keep: (n - 1.0) / n, seen: 0, previous_close: 0.0, value: 0.0 }
    }

    /// `None` for the first `period` bars.
    #[inline]
    pub fn advance(&mut self, bar: &Bar<'_>) -> Option<f64> {
        let range = true_range(bar, self.previous_close);
        self.previous_close = bar.close;
        if self.seen > self.period {
            self.value = self.value * self.keep + range * self.share;
            return Some(self.value);
        }
        if self.seen > 0 {
            self.value += range;
        }
        self.seen += 1;
        if self.seen <= self.period {
            return None;
        }
        self.value /= self.period as f64;
        Some(self.value)
    }

    pub fn state(&mut self, state: &mut State<'_>) {
        state.usize(&mut self.seen);
        state.f64(&mut self.previous_close);
        state.f64(&mut self.value);
    }
}

#[cfg(test)]
pub mod naive {
    use super::*;

    /// Recomputes the average from the first bar on, as the definition says it.
    pub fn average_true_range(bars: &[Bar<'_>], period: usize) -> Option<f64> {
        let ranges: Vec<f64> = bars.windows(2).map(|pair| true_range(&pair[1], pair[0].close)).collect();
        let (first, rest) = ranges.split_at_checked(period)?;
        let n = period as f64;
        let start = first.iter().sum::<f64>() / n;
        Some(rest.iter().fold(start, |average, range| (average * (n - 1.0) + range) / n))
    }
}
