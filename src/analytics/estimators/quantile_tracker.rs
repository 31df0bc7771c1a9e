//! A quantile followed one step at a time: two numbers of state, and the right coverage whatever comes.
//!
//! Where a score lies above it, it rises by `step (1 - miss)`, else it falls by `step miss`: over time the
//! share of scores above it is `miss`, with no assumption on the scores, at a rate that the step decides. Scale
//! scores by their volatility first, so that one step fits quiet and wild times. Source: Angelopoulos,
//! Candes and Tibshirani, Conformal PID control for time series prediction (2023), the proportional part.

use crate::analytics::rolling::state::State;

/// The level that a share `miss` of scores exceeds.
#[derive(Clone, Debug)]
pub struct QuantileTracker {
    miss: f64,
    step: f64,
    quantile: f64,
}

impl QuantileTracker {
    /// `miss`: 0 to 1. `step`: above 0, in the scores' unit; about .05 by the horizon.
    pub fn new(start: f64, miss: f64, step: f64) -> Self {
        Self { miss, step, quantile: start }
    }

    /// As it stands before the next score.
    #[inline]
    pub fn quantile(&self) -> f64 {
        self.quantile
    }

    /// Takes a score; gives back whether it lay above. One that is no number is passed over.
    #[inline]
    pub fn learn(&mut self, score: f64) -> bool {
        if score.is_nan() {
            return false;
        }
        let is_above = score > self.quantile;
        self.answer(is_above, 1.0);
        is_above
    }

    /// Takes whether a score lay above the level that had been told of it, which may have been another then, in `pace`
    /// steps at once.
    ///
    /// Where scores come late, as those of forecasts far ahead do, this is what keeps the share of what was told at its
    /// promise: the sum of misses beyond it is how far the quantile went, by the step.
    #[inline]
    pub fn answer(&mut self, was_above: bool, pace: f64) {
        self.quantile += pace * self.step * (f64::from(u8::from(was_above)) - self.miss);
    }

    /// Holds the quantile at or below a bound.
    #[inline]
    pub fn hold_below(&mut self, most: f64) {
        self.quantile = if self.quantile > most { most } else { self.quantile };
    }

    /// Holds the quantile at or above a bound.
    #[inline]
    pub fn hold_above(&mut self, least: f64) {
        self.quantile = if self.quantile < least { least } else { self.quantile };
    }

    /// Visits every word of mutable state.
    pub fn state(&mut self, state: &mut State<'_>) {
        state.f64(&mut self.quantile);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analytics::indicators::trial::Random;

    #[test]
    fn the_promised_share_lies_above_even_when_the_scores_change() {
        let mut random = Random(81);
        let mut tracker = QuantileTracker::new(1.0, 0.1, 0.02);
        let mut above = 0;
        for i in 0..50_000 {
            let spread = if i / 5_000 % 2 == 0 { 1.0 } else { 3.0 };
            above += u32::from(tracker.learn(spread * random.unit()));
        }
        let share = f64::from(above) / 50_000.0;
        assert!((0.097..0.103).contains(&share), "{share}");
        let before = tracker.quantile();
        assert!(!tracker.learn(f64::NAN));
        assert_eq!(tracker.quantile(), before);
    }
}
