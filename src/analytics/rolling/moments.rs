//! Mean, variance, skewness and kurtosis of the last `n` values.
//!
//! Numerically stable without limit of time: the sums are those of [`Blocks`], which never
//! subtract what leaves the window and take powers of differences to one of its own values.
//! Equal values have a variance of exactly zero. Amortised O(1) a value.

use crate::analytics::rolling::blocks::{Blocks, Terms};
use crate::analytics::rolling::state::State;

/// The powers 1 to `ORDER` of an item.
#[derive(Clone, Debug)]
struct Powers;

impl<const ORDER: usize> Terms<1, ORDER> for Powers {
    #[inline]
    fn of(_: usize, item: &[f64; 1], shift: f64) -> [f64; ORDER] {
        let difference = item[0] - shift;
        let mut power = 1.0;
        std::array::from_fn(|_| {
            power *= difference;
            power
        })
    }
}

/// The moments up to `ORDER` (1: mean, 2: variance, 3: skewness, 4: kurtosis) of a window.
#[derive(Clone, Debug)]
pub struct Moments<const ORDER: usize> {
    sums: Blocks<Powers, 1, ORDER>,
    /// One over the number of values held.
    share: f64,
}

impl<const ORDER: usize> Moments<ORDER> {
    /// `capacity` at least 1.
    pub fn new(capacity: usize) -> Self {
        Self { sums: Blocks::new(capacity), share: 0.0 }
    }

    #[inline]
    pub fn push(&mut self, value: f64) {
        let growing = !self.sums.is_full();
        self.sums.push([value]);
        if growing {
            self.share = 1.0 / self.sums.len() as f64;
        }
    }

    /// How many values are held: less than the capacity while the window fills.
    pub fn len(&self) -> usize {
        self.sums.len()
    }

    pub fn is_empty(&self) -> bool {
        self.sums.is_empty()
    }

    #[inline]
    pub fn is_full(&self) -> bool {
        self.sums.is_full()
    }

    /// Mean of the values held; 0 where there are none.
    #[inline]
    pub fn mean(&self) -> f64 {
        const { assert!(ORDER >= 1) };
        self.sums.shift() + self.sums.sums()[0] * self.share
    }

    /// Population variance: the mean squared deviation. At least 0.
    #[inline]
    pub fn variance(&self) -> f64 {
        self.mean_and_variance().1
    }

    /// [`Self::mean`] and [`Self::variance`] for the price of one.
    #[inline]
    pub fn mean_and_variance(&self) -> (f64, f64) {
        const { assert!(ORDER >= 2) };
        let [offset, second, ..] = self.raw();
        // Rounding may leave a trace below zero.
        (self.sums.shift() + offset, (second - offset * offset).max(0.0))
    }

    /// How far `value`, one near the window, lies above the mean, and [`Self::variance`]. More
    /// exact than a subtraction of the mean, which is rounded at the level of the values.
    #[inline]
    pub fn deviation_and_variance(&self, value: f64) -> (f64, f64) {
        const { assert!(ORDER >= 2) };
        let [offset, second, ..] = self.raw();
        ((value - self.sums.shift()) - offset, (second - offset * offset).max(0.0))
    }

    /// Sample variance: the squared deviations over one less than their number; `None` for
    /// fewer than two values.
    pub fn variance_sample(&self) -> Option<f64> {
        let n = self.len() as f64;
        (n >= 2.0).then(|| self.variance() * (n / (n - 1.0)))
    }

    /// Skewness of the sample, corrected for bias: `G1 = g1 sqrt(n (n - 1)) / (n - 2)` with
    /// `g1 = m3 / m2^(3/2)` (Joanes & Gill, "Comparing measures of sample skewness and
    /// kurtosis", The Statistician 47, 1998). That of pandas' `rolling().skew()`. `None` for
    /// fewer than three values and where all are equal.
    pub fn skewness(&self) -> Option<f64> {
        const { assert!(ORDER >= 3) };
        let n = self.len() as f64;
        let [m1, r2, r3, _] = self.raw();
        let m2 = r2 - m1 * m1;
        let m3 = r3 - 3.0 * m1 * r2 + 2.0 * m1 * m1 * m1;
        if n < 3.0 || m2 <= 0.0 {
            return None;
        }
        let value = m3 / (m2 * m2.sqrt()) * (n * (n - 1.0)).sqrt() / (n - 2.0);
        value.is_finite().then_some(value)
    }

    /// Excess kurtosis of the sample, corrected for bias: `G2 = (n - 1) ((n + 1) g2 + 6) /
    /// ((n - 2)(n - 3))` with `g2 = m4 / m2^2 - 3` (Joanes & Gill 1998). That of pandas'
    /// `rolling().kurt()`. `None` for fewer than four values and where all are equal.
    pub fn kurtosis(&self) -> Option<f64> {
        const { assert!(ORDER >= 4) };
        let n = self.len() as f64;
        let [m1, r2, r3, r4] = self.raw();
        let square = m1 * m1;
        let m2 = r2 - square;
        let m4 = r4 - 4.0 * m1 * r3 + 6.0 * square * r2 - 3.0 * square * square;
        if n < 4.0 || m2 <= 0.0 {
            return None;
        }
        let g2 = m4 / (m2 * m2) - 3.0;
        let value = (n - 1.0) * ((n + 1.0) * g2 + 6.0) / ((n - 2.0) * (n - 3.0));
        value.is_finite().then_some(value)
    }

    /// Means of the powers of the differences to the shift; 0 beyond `ORDER`.
    #[inline]
    fn raw(&self) -> [f64; 4] {
        let sums = self.sums.sums();
        std::array::from_fn(|i| if i < ORDER { sums[i] * self.share } else { 0.0 })
    }

    pub fn state(&mut self, state: &mut State<'_>) {
        self.sums.state(state);
        self.share = if self.is_empty() { 0.0 } else { 1.0 / self.len() as f64 };
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Two passes over the whole window: over its differences to the oldest value, for the
    /// rounding of a mean at the level of the values would be far from exact.
    fn naive(window: &[f64]) -> (f64, f64, Option<f64>, Option<f64>) {
        let n = window.len() as f64;
        let differences: Vec<f64> = window.iter().map(|x| x - window[0]).collect();
        let offset = differences.iter().sum::<f64>() / n;
        let mean = window[0] + offset;
        let central =
            |p: i32| differences.iter().map(|d| (0..p).map(|_| d - offset).product::<f64>()).sum::<f64>() / n;
        let flat = window.iter().all(|x| *x == window[0]);
        let (m2, m3, m4) = (central(2), central(3), central(4));
        let skewness =
            (n >= 3.0 && !flat).then(|| m3 / (m2 * m2.sqrt()) * (n * (n - 1.0)).sqrt() / (n - 2.0));
        let kurtosis = (n >= 4.0 && !flat)
            .then(|| (n - 1.0) / ((n - 2.0) * (n - 3.0)) * ((n + 1.0) * m4 / (m2 * m2) - 3.0 * (n - 1.0)));
        (mean, if flat { 0.0 } else { m2 }, skewness, kurtosis)
    }

    fn close(a: Option<f64>, b: Option<f64>, floor: f64) -> bool {
        match (a, b) {
            (None, None) => true,
            (Some(a), Some(b)) => (a - b).abs() <= 1e-9 * (b.abs() + floor),
            _ => false,
        }
    }

    fn check(n: usize, values: &[f64]) {
        let mut moments = Moments::<4>::new(n);
        for (i, &value) in values.iter().enumerate() {
            moments.push(value);
            let window = &values[(i + 1).saturating_sub(n)..=i];
            let (mean, variance, skewness, kurtosis) = naive(window);
            let is = (moments.mean(), moments.variance(), moments.skewness(), moments.kurtosis());
            let named = || format!("n {n}, item {i}: {is:?} for {:?}", (mean, variance, skewness, kurtosis));
            assert!(close(Some(is.0), Some(mean), 0.0), "{}", named());
            assert!(close(Some(is.1), Some(variance), 0.0), "{}", named());
            assert!(close(is.2, skewness, 1.0), "{}", named());
            assert!(close(is.3, kurtosis, 1.0), "{}", named());
        }
    }

    proptest! {
        #[test]
        fn equal_two_passes_over_the_window(
            n in 1usize..60,
            level in prop::sample::select(vec![1.0, 40_000.0, 1e6, 1e-8]),
            spread in prop::sample::select(vec![1e-4, 0.01, 1.0]),
            steps in prop::collection::vec((0.0f64..1.0, 0u8..20), 1..300),
        ) {
            let mut last = level;
            let values: Vec<f64> = steps
                .iter()
                .map(|&(u, kind)| {
                    last = match kind {
                        0 => level * 1e6 * (1.0 + u),
                        1..4 => last,
                        _ => level * (1.0 + spread * u),
                    };
                    last
                })
                .collect();
            check(n, &values);
        }
    }

    #[test]
    fn a_huge_value_spoils_nothing_after_it() {
        let mut values = vec![1e15];
        values.extend((0..200u32).map(|i| 1.0 + f64::from(i * 7919 % 97) * 1e-3));
        check(50, &values);
        check(1000, &values);
    }

    #[test]
    fn equal_values_have_no_variance() {
        let mut moments = Moments::<4>::new(5);
        for x in [3.0, 0.1, 0.1, 0.1, 0.1, 0.1] {
            moments.push(x);
        }
        assert_eq!((moments.mean(), moments.variance()), (0.1, 0.0));
        assert_eq!((moments.skewness(), moments.kurtosis()), (None, None));
    }

    #[test]
    fn known_values() {
        let mut moments = Moments::<4>::new(5);
        for x in [1.0, 2.0, 3.0, 4.0, 10.0] {
            moments.push(x);
        }
        assert_eq!((moments.mean(), moments.variance(), moments.variance_sample()), (4.0, 10.0, Some(12.5)));
        // pandas.Series([1, 2, 3, 4, 10]).skew() and .kurt()
        assert!(close(moments.skewness(), Some(1.697_056_274_847_714), 0.0), "{:?}", moments.skewness());
        assert!(close(moments.kurtosis(), Some(3.152), 0.0), "{:?}", moments.kurtosis());
    }
}
