//! Mean and variance of all values so far, and exponentially weighted.
//!
//! Both follow differences to the running mean, never sums of squares: at a level of a million with a
//! spread of one a sum of squares has no correct digit of the variance. Of the last `n` values:
//! [`rolling::moments`](crate::analytics::rolling::moments), and median with its distances
//! [`rolling::sorted`](crate::analytics::rolling::sorted).
//! Sources: B. Welford, Note on a method for calculating corrected sums of squares and products,
//! Technometrics 4 (1962); T. Finch, Incremental calculation of weighted mean and variance (2009).

use crate::analytics::rolling::state::State;

/// Of all values so far.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Welford {
    count: u64,
    mean: f64,
    /// Sum of squared deviations from the mean.
    squares: f64,
}

impl Welford {
    /// Takes a finite value.
    #[inline]
    pub fn push(&mut self, value: f64) {
        self.count += 1;
        let before = value - self.mean;
        self.mean += before / self.count as f64;
        self.squares += before * (value - self.mean);
    }

    pub fn count(&self) -> u64 {
        self.count
    }

    /// `None` before the first value.
    pub fn mean(&self) -> Option<f64> {
        (self.count > 0).then_some(self.mean)
    }

    /// Squared deviations over one less than their number; `None` for fewer than two values.
    pub fn variance_sample(&self) -> Option<f64> {
        (self.count > 1).then(|| self.squares / (self.count - 1) as f64)
    }

    /// Visits every word of mutable state.
    pub fn state(&mut self, state: &mut State<'_>) {
        state.word(&mut self.count);
        state.f64(&mut self.mean);
        state.f64(&mut self.squares);
    }
}

/// Exponentially weighted: each value weighs `1 - weight` of what the next one does.
#[derive(Clone, Debug, PartialEq)]
pub struct EwMoments {
    weight: f64,
    has_even_start: bool,
    count: u64,
    mean: f64,
    variance: f64,
}

impl EwMoments {
    /// `weight` of the newest value, above 0, at most 1. The first value is the mean, with no variance.
    pub fn new(weight: f64) -> Self {
        assert!(weight > 0.0 && weight <= 1.0, "a weight is a share");
        Self { weight, has_even_start: false, count: 0, mean: 0.0, variance: 0.0 }
    }

    /// As [`Self::new`], but the first `1 / weight` values weigh the same: for small weights, which would
    /// lean on the first value for long.
    pub fn with_even_start(weight: f64) -> Self {
        Self { has_even_start: true, ..Self::new(weight) }
    }

    /// Takes a finite value.
    #[inline]
    pub fn push(&mut self, value: f64) {
        self.count += 1;
        if self.count == 1 {
            self.mean = value;
            return;
        }
        let even = if self.has_even_start { 1.0 / self.count as f64 } else { 0.0 };
        let weight = self.weight.max(even);
        let difference = value - self.mean;
        self.mean += weight * difference;
        self.variance = (1.0 - weight) * (self.variance + weight * difference * difference);
    }

    /// How many values were taken.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// `None` before the first value.
    pub fn mean(&self) -> Option<f64> {
        (self.count > 0).then_some(self.mean)
    }

    /// At least 0; `None` before the first value.
    pub fn variance(&self) -> Option<f64> {
        (self.count > 0).then_some(self.variance)
    }

    /// Visits every word of mutable state.
    pub fn state(&mut self, state: &mut State<'_>) {
        state.word(&mut self.count);
        state.f64(&mut self.mean);
        state.f64(&mut self.variance);
    }
}

/// Of the newest value in a mean of the `seen` values until now, itself among them: each alike at first, and never below
/// `least`.
#[inline]
pub fn weight_of_newest(least: f64, seen: u64) -> f64 {
    // A branch that is nearly always taken one way costs less than a division.
    let seen = seen.cast_signed() as f64;
    if seen * least >= 1.0 { least } else { 1.0 / seen }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_said_too_early() {
        let (mut all, mut recent) = (Welford::default(), EwMoments::new(0.5));
        assert_eq!(
            (all.mean(), all.variance_sample(), recent.mean(), recent.variance()),
            (None, None, None, None)
        );
        all.push(3.0);
        recent.push(3.0);
        assert_eq!((all.mean(), all.variance_sample()), (Some(3.0), None));
        assert_eq!((recent.mean(), recent.variance()), (Some(3.0), Some(0.0)));
        all.push(5.0);
        recent.push(5.0);
        assert_eq!((all.mean(), all.variance_sample()), (Some(4.0), Some(2.0)));
        assert_eq!((recent.mean(), recent.variance()), (Some(4.0), Some(1.0)));
    }

    #[test]
    fn an_even_start_is_a_plain_mean_and_variance() {
        let (mut all, mut even) = (Welford::default(), EwMoments::with_even_start(0.01));
        for i in 0..100 {
            let value = f64::from(i * 37 % 11);
            all.push(value);
            even.push(value);
        }
        let population = all.variance_sample().unwrap() * 99.0 / 100.0;
        assert!((even.mean().unwrap() - all.mean().unwrap()).abs() < 1e-12);
        assert!((even.variance().unwrap() - population).abs() < 1e-12);
        (0..2_000).for_each(|_| even.push(3.0));
        assert!((even.mean().unwrap() - 3.0).abs() < 1e-6, "{even:?}");
    }
}
