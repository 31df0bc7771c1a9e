//! Moving averages as steps: a value in, the average out once it is warm.
//!
//! [`Ema`] and [`Rma`] are seeded as TA-Lib does, with the plain mean of their first `period`
//! values, and know all the past from then on; [`Wma`] is a window's. All three turn equal
//! values into exactly that value. [`EmaLag`] is for what compares such averages. O(1) a value
//! ([`Wma`] amortised).

use crate::analytics::rolling::blocks::{Blocks, Terms};
use crate::analytics::rolling::state::State;

/// Weight `keep` for what was, the rest for the newest value.
#[derive(Clone, Debug)]
struct Smoothed {
    value: f64,
    keep: f64,
    /// Values still missing until the seed is whole.
    missing: u64,
    period: u64,
}

impl Smoothed {
    fn new(period: usize, keep: f64) -> Self {
        assert!(period > 0, "an average is of something");
        Self { value: 0.0, keep, missing: period as u64, period: period as u64 }
    }

    #[inline]
    fn push(&mut self, value: f64) -> Option<f64> {
        if self.missing == 0 {
            // From the newest value back: exactly it where nothing is kept, and where all are equal.
            self.value = value - (value - self.value) * self.keep;
            return Some(self.value);
        }
        self.seed(value)
    }

    // The running mean, not the sum: that of equal values is exactly that value.
    #[cold]
    fn seed(&mut self, value: f64) -> Option<f64> {
        self.missing -= 1;
        self.value += (value - self.value) / (self.period - self.missing) as f64;
        (self.missing == 0).then_some(self.value)
    }

    fn state(&mut self, state: &mut State<'_>) {
        state.f64(&mut self.value);
        state.word(&mut self.missing);
    }
}

/// Exponential moving average: smoothing `2 / (period + 1)`. Equals TA-Lib's `EMA`.
#[derive(Clone, Debug)]
pub struct Ema(Smoothed);

impl Ema {
    /// `period` at least 1.
    pub fn new(period: usize) -> Self {
        let n = period as f64;
        Self(Smoothed::new(period, (n - 1.0) / (n + 1.0)))
    }

    /// `None` for the first `period - 1` values.
    #[inline]
    pub fn push(&mut self, value: f64) -> Option<f64> {
        self.0.push(value)
    }

    pub fn state(&mut self, state: &mut State<'_>) {
        self.0.state(state);
    }
}

/// An [`Ema`] seen from its newest value: how far it lags behind, and how far it moved.
///
/// Differences of averages are small against the averages. Fed with the changes of the
/// values, this knows them as exactly as those changes, however far from zero the values lie.
#[derive(Clone, Debug)]
pub struct EmaLag {
    lag: f64,
    smoothing: f64,
    /// Values still missing until the seed is whole.
    missing: u64,
    period: u64,
}

/// What [`EmaLag`] knows after a value.
#[derive(Clone, Copy, Debug)]
pub struct Lag {
    /// The value less the average.
    pub lag: f64,
    /// The average less the one before; means nothing for the first average.
    pub moved: f64,
}

impl EmaLag {
    /// `period` at least 1.
    pub fn new(period: usize) -> Self {
        assert!(period > 0, "an average is of something");
        let smoothing = 2.0 / (period as f64 + 1.0);
        Self { lag: 0.0, smoothing, missing: period as u64, period: period as u64 }
    }

    /// Takes the next value, told as its change; the first one's does not matter. `None` for
    /// the first `period - 1` values.
    #[inline]
    pub fn push(&mut self, change: f64) -> Option<Lag> {
        let smoothing = if self.missing == 0 {
            self.smoothing
        } else {
            self.missing -= 1;
            // A plain mean until the seed is whole.
            1.0 / (self.period - self.missing) as f64
        };
        let gap = self.lag + change;
        let moved = gap * smoothing;
        // Not the product with the rest of the weight: that of 1 would not be 0 exactly.
        self.lag = gap - moved;
        (self.missing == 0).then_some(Lag { lag: self.lag, moved })
    }

    pub fn state(&mut self, state: &mut State<'_>) {
        state.f64(&mut self.lag);
        state.word(&mut self.missing);
    }
}

/// Wilder's average: smoothing `1 / period` (J. W. Wilder, "New Concepts in Technical Trading
/// Systems", 1978). Equals TA-Lib's `RMA`, and what its `RSI`, `ATR` and `CMO` smooth with.
#[derive(Clone, Debug)]
pub struct Rma(Smoothed);

impl Rma {
    /// `period` at least 1.
    pub fn new(period: usize) -> Self {
        let n = period as f64;
        Self(Smoothed::new(period, (n - 1.0) / n))
    }

    /// `None` for the first `period - 1` values.
    #[inline]
    pub fn push(&mut self, value: f64) -> Option<f64> {
        self.0.push(value)
    }

    pub fn state(&mut self, state: &mut State<'_>) {
        self.0.state(state);
    }
}

/// Difference to the shift, plain and weighted with the position.
#[derive(Clone, Debug)]
struct Weighted;

impl Terms<1, 2> for Weighted {
    #[inline]
    fn of(position: usize, item: &[f64; 1], shift: f64) -> [f64; 2] {
        let difference = item[0] - shift;
        [difference, position as f64 * difference]
    }
}

/// Linearly weighted moving average: weights 1, 2, ... `period` from the oldest to the newest.
/// Equals TA-Lib's `WMA`.
#[derive(Clone, Debug)]
pub struct Wma {
    sums: Blocks<Weighted, 1, 2>,
}

impl Wma {
    /// `period` at least 1.
    pub fn new(period: usize) -> Self {
        Self { sums: Blocks::new(period) }
    }

    /// `None` for the first `period - 1` values.
    #[inline]
    pub fn push(&mut self, value: f64) -> Option<f64> {
        self.sums.push([value]);
        if !self.sums.is_full() {
            return None;
        }
        let n = self.sums.capacity() as f64;
        let at = self.sums.position() as f64;
        let (older, newer) = self.sums.parts();
        // In the window, the previous block starts with weight 1 and the running one behind it.
        let weighted = (older[1] - (at - 1.0) * older[0]) + (newer[1] + (n - at + 1.0) * newer[0]);
        Some(self.sums.shift() + weighted / (n * (n + 1.0) / 2.0))
    }

    pub fn state(&mut self, state: &mut State<'_>) {
        self.sums.state(state);
    }
}

#[cfg(test)]
pub mod naive {
    fn smoothed(values: &[f64], period: usize, smoothing: f64) -> Vec<f64> {
        let Some(rest) = values.get(period..) else { return Vec::new() };
        let mut last = values[..period].iter().sum::<f64>() / period as f64;
        let mut averages = vec![last];
        for value in rest {
            last = last * (1.0 - smoothing) + value * smoothing;
            averages.push(last);
        }
        averages
    }

    /// The averages from that of the first `period` values on.
    pub fn ema(values: &[f64], period: usize) -> Vec<f64> {
        smoothed(values, period, 2.0 / (period as f64 + 1.0))
    }

    /// The averages from that of the first `period` values on.
    pub fn rma(values: &[f64], period: usize) -> Vec<f64> {
        smoothed(values, period, 1.0 / period as f64)
    }

    fn over_windows(values: &[f64], period: usize, of: impl Fn(&[f64]) -> f64) -> Vec<f64> {
        values.windows(period).map(of).collect()
    }

    /// The averages from that of the first `period` values on.
    pub fn sma(values: &[f64], period: usize) -> Vec<f64> {
        over_windows(values, period, |window| window.iter().sum::<f64>() / period as f64)
    }

    /// The averages from that of the first `period` values on.
    pub fn wma(values: &[f64], period: usize) -> Vec<f64> {
        let weights = (period * (period + 1) / 2) as f64;
        over_windows(values, period, |window| {
            window.iter().zip(1..).map(|(x, k)| x * f64::from(k)).sum::<f64>() / weights
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(mut push: impl FnMut(f64) -> Option<f64>, values: &[f64], expected: &[Option<f64>]) {
        let is: Vec<_> = values.iter().map(|x| push(*x)).collect();
        assert_eq!(is, expected);
    }

    #[test]
    fn silent_until_warm_then_seeded_with_the_mean() {
        let mut ema = Ema::new(3);
        check(|x| ema.push(x), &[1.0, 2.0, 3.0, 5.0], &[None, None, Some(2.0), Some(3.5)]);
        let mut rma = Rma::new(4);
        check(|x| rma.push(x), &[1.0, 2.0, 3.0, 2.0, 6.0], &[None, None, None, Some(2.0), Some(3.0)]);
        let mut wma = Wma::new(3);
        check(|x| wma.push(x), &[1.0, 2.0, 6.0, 3.0], &[None, None, Some(23.0 / 6.0), Some(23.0 / 6.0)]);
        let (mut ema, mut rma, mut wma) = (Ema::new(1), Rma::new(1), Wma::new(1));
        for x in [2.0, 7.0, 3.0] {
            assert_eq!([ema.push(x), rma.push(x), wma.push(x)], [Some(x); 3]);
        }
    }

    #[test]
    fn equal_values_stay_what_they_are() {
        let (mut ema, mut rma, mut wma) = (Ema::new(20), Rma::new(14), Wma::new(9));
        for i in 1..100 {
            let is = [(ema.push(0.1), 20), (rma.push(0.1), 14), (wma.push(0.1), 9)];
            assert!(is.iter().all(|&(value, period)| value == (i >= period).then_some(0.1)), "{i}: {is:?}");
        }
    }

    proptest! {
        #[test]
        fn equal_their_definitions(
            n in 1usize..30,
            level in prop::sample::select(vec![1e-8, 1.0, 40_000.0]),
            steps in prop::collection::vec(0.0f64..1.0, 0..200),
        ) {
            let values: Vec<f64> = steps.iter().map(|u| level * (1.0 + 0.01 * u)).collect();
            let (mut ema, mut rma, mut wma) = (Ema::new(n), Rma::new(n), Wma::new(n));
            let expected = [naive::ema(&values, n), naive::rma(&values, n), naive::wma(&values, n)];
            for (i, &value) in values.iter().enumerate() {
                let is = [ema.push(value), rma.push(value), wma.push(value)];
                for (is, expected) in is.iter().zip(&expected) {
                    let Some(place) = (i + 1).checked_sub(n) else {
                        prop_assert_eq!(*is, None);
                        continue;
                    };
                    let close = (is.unwrap() - expected[place]).abs() <= 1e-12 * expected[place];
                    prop_assert!(close, "{is:?} {}", expected[place]);
                }
            }
        }

        #[test]
        fn lags_and_moves_are_those_of_the_average(
            n in 1usize..30,
            steps in prop::collection::vec(-1.0f64..1.0, 2..200),
        ) {
            let values: Vec<f64> = steps.iter().map(|u| 50.0 + u).collect();
            let (mut ema, mut lag, mut before) = (Ema::new(n), EmaLag::new(n), None);
            for (i, value) in values.iter().enumerate() {
                let average = ema.push(*value);
                let is = lag.push(value - if i > 0 { values[i - 1] } else { 0.0 });
                prop_assert_eq!(is.is_some(), average.is_some());
                if let (Some(is), Some(average)) = (is, average) {
                    prop_assert!((value - average - is.lag).abs() < 1e-12);
                    prop_assert!(before.is_none_or(|before: f64| (average - before - is.moved).abs() < 1e-12));
                }
                before = average;
            }
        }
    }

    #[test]
    fn a_lag_stays_exact_far_from_zero() {
        let mut lag = EmaLag::new(3);
        for change in [0.0, 1.0, 0.0] {
            lag.push(change);
        }
        for i in 1..900 {
            let expected = libm::ldexp(1.0 / 3.0, -i);
            let is = lag.push(0.0).unwrap();
            assert!(
                (is.lag - expected).abs() <= 1e-12 * expected
                    && (is.moved - expected).abs() <= 1e-12 * expected
            );
        }
    }
}
