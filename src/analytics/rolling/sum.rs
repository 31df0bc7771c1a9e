//! Sums: of the last `n` values, and of all values ever.
//!
//! [`Sum`] is built on [`Blocks`]: nothing that left the window is subtracted, so no error
//! outlives its window, and the mean of equal values is exactly that value. Amortised O(1) a
//! value. Several series that are summed side by side are better served by
//! [`Fold`](super::fold::Fold) of [`Sums`](super::fold::Sums). [`Total`] keeps what rounding
//! leaves out.

use crate::analytics::rolling::blocks::{Blocks, Terms};
use crate::analytics::rolling::state::State;

/// The difference to the shift.
#[derive(Clone, Debug)]
struct Differences;

impl Terms<1, 1> for Differences {
    #[inline]
    fn of(_: usize, item: &[f64; 1], shift: f64) -> [f64; 1] {
        [item[0] - shift]
    }
}

/// The sum of a window.
#[derive(Clone, Debug)]
pub struct Sum {
    differences: Blocks<Differences, 1, 1>,
}

impl Sum {
    /// `capacity` at least 1.
    pub fn new(capacity: usize) -> Self {
        Self { differences: Blocks::new(capacity) }
    }

    #[inline]
    pub fn push(&mut self, value: f64) {
        self.differences.push([value]);
    }

    /// Whether `capacity` values were seen.
    #[inline]
    pub fn is_full(&self) -> bool {
        self.differences.is_full()
    }

    /// Of the values held, at most `capacity`; 0 where there are none.
    #[inline]
    pub fn sum(&self) -> f64 {
        self.differences.shift() * self.differences.len() as f64 + self.differences.sums()[0]
    }

    /// Of the values held, at most `capacity`; 0 where there are none.
    #[inline]
    pub fn mean(&self) -> f64 {
        let len = self.differences.len().max(1) as f64;
        self.differences.shift() + self.differences.sums()[0] / len
    }

    pub fn state(&mut self, state: &mut State<'_>) {
        self.differences.state(state);
    }
}

/// The float nearest to `a + b`, and what it leaves out, exactly (D. Knuth, "The Art of
/// Computer Programming" 2, 4.2.2, theorem B).
#[inline]
pub fn exact_sum(a: f64, b: f64) -> (f64, f64) {
    let sum = a + b;
    let b_part = sum - a;
    (sum, (a - (sum - b_part)) + (b - b_part))
}

/// A sum without end that does not drift: what each addition leaves out is kept beside it
/// (A. Neumaier, "Rundungsfehleranalyse einiger Verfahren zur Summation endlicher Summen",
/// ZAMM 54, 1974). O(1) a value.
#[derive(Clone, Debug, Default)]
pub struct Total {
    rounded: f64,
    left_out: f64,
}

impl Total {
    #[inline]
    pub fn add(&mut self, value: f64) {
        let (sum, rest) = exact_sum(self.rounded, value);
        self.rounded = sum;
        self.left_out += rest;
    }

    #[inline]
    pub fn value(&self) -> f64 {
        self.rounded + self.left_out
    }

    pub fn state(&mut self, state: &mut State<'_>) {
        state.f64(&mut self.rounded);
        state.f64(&mut self.left_out);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn equals_the_sum_of_the_window(
            n in 1usize..40,
            values in prop::collection::vec(prop_oneof![8 => 1.0f64..2.0, 1 => Just(1e12), 1 => Just(1e-9)], 0..200),
        ) {
            let mut rolling = Sum::new(n);
            prop_assert_eq!((rolling.sum(), rolling.mean()), (0.0, 0.0));
            for (i, &value) in values.iter().enumerate() {
                rolling.push(value);
                let window = &values[(i + 1).saturating_sub(n)..=i];
                let sum: f64 = window.iter().sum();
                prop_assert_eq!(rolling.is_full(), i + 1 >= n);
                prop_assert!((rolling.sum() - sum).abs() <= 1e-12 * sum, "{} {}", rolling.sum(), sum);
                let mean = sum / window.len() as f64;
                prop_assert!((rolling.mean() - mean).abs() <= 1e-12 * mean, "{} {}", rolling.mean(), mean);
            }
        }
    }

    #[test]
    fn equal_values_are_their_own_mean() {
        let mut rolling = Sum::new(7);
        for _ in 0..30 {
            rolling.push(0.1);
            assert_eq!(rolling.mean(), 0.1);
        }
    }

    #[test]
    fn a_million_values_later_nothing_has_drifted() {
        let mut rolling = Sum::new(3);
        for i in 0..1_000_000u32 {
            rolling.push(if i % 1000 == 0 { 1e15 } else { 0.1 });
        }
        assert!((rolling.sum() - 0.3).abs() < 1e-15, "{}", rolling.sum());
    }

    #[test]
    fn a_total_keeps_what_rounding_leaves_out() {
        let mut total = Total::default();
        (0..1_000_000).for_each(|_| total.add(0.1));
        assert_eq!(total.value(), 100_000.0);
        total.add(1e18);
        total.add(0.25);
        total.add(-1e18);
        assert_eq!(total.value(), 100_000.25);
    }
}
