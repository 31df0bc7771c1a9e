//! The straight line of least squares through the last `n` values, at x = 0, 1, ... n - 1
//! from the oldest to the newest.
//!
//! Built on [`Blocks`]: nothing that left the window is subtracted, so errors do not pile
//! up. Amortised O(1) a value.

use crate::analytics::rolling::blocks::{Blocks, Terms};
use crate::analytics::rolling::state::State;

/// Difference to the shift, its square, and the difference weighted with the position.
#[derive(Clone, Debug)]
struct Products;

impl Terms<1, 3> for Products {
    #[inline]
    fn of(position: usize, item: &[f64; 1], shift: f64) -> [f64; 3] {
        let difference = item[0] - shift;
        [difference, difference * difference, position as f64 * difference]
    }
}

#[derive(Clone, Debug)]
pub struct Regression {
    sums: Blocks<Products, 1, 3>,
}

impl Regression {
    /// `capacity` at least 2: one point has no slope.
    pub fn new(capacity: usize) -> Self {
        assert!(capacity > 1, "a line needs two points");
        Self { sums: Blocks::new(capacity) }
    }

    #[inline]
    pub fn push(&mut self, value: f64) {
        self.sums.push([value]);
    }

    #[inline]
    pub fn is_full(&self) -> bool {
        self.sums.is_full()
    }

    /// Change of the line from one value to the next, and the share of the variance that the
    /// line explains: 0 to 1, and 0 where all values are equal (what TA-Lib's `CORREL` says of
    /// them). Only of a full window.
    pub fn slope_and_r2(&self) -> (f64, f64) {
        let (sxx, sxy, syy) = self.sums_of_deviations();
        let slope = sxy / sxx;
        (slope, if syy > 0.0 { (slope * (sxy / syy)).min(1.0) } else { 0.0 })
    }

    /// Sums of squared deviations of x, of the products, of squared deviations of y.
    fn sums_of_deviations(&self) -> (f64, f64, f64) {
        let n = self.sums.capacity() as f64;
        let at = self.sums.position() as f64;
        let (older, newer) = self.sums.parts();
        let sum = older[0] + newer[0];
        // In the window, the previous block starts at 0 and the running one behind it.
        let weighted = (older[2] - at * older[0]) + (newer[2] + (n - at) * newer[0]);
        let sxx = n * (n * n - 1.0) / 12.0;
        let sxy = weighted - (n - 1.0) / 2.0 * sum;
        let syy = (older[1] + newer[1]) - sum * (sum / n);
        (sxx, sxy, syy)
    }

    pub fn state(&mut self, state: &mut State<'_>) {
        self.sums.state(state);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(n: usize, values: &[f64]) {
        let mut regression = Regression::new(n);
        for (i, &value) in values.iter().enumerate() {
            regression.push(value);
            assert_eq!(regression.is_full(), i + 1 >= n);
            if i + 1 < n {
                continue;
            }
            let window = &values[i + 1 - n..=i];
            let count = n as f64;
            let (x_mean, y_mean) = ((count - 1.0) / 2.0, window.iter().sum::<f64>() / count);
            let (mut sxx, mut sxy, mut syy) = (0.0, 0.0, 0.0);
            for (x, y) in window.iter().enumerate() {
                let (x, y) = (x as f64 - x_mean, y - y_mean);
                sxx += x * x;
                sxy += x * y;
                syy += y * y;
            }
            let flat = window.iter().all(|y| *y == window[0]);
            let (slope, r2) = if flat { (0.0, 0.0) } else { (sxy / sxx, (sxy * sxy / (sxx * syy)).min(1.0)) };
            // A slope is as exact as the scatter it is read from.
            let scale = slope.abs() + (syy / sxx).sqrt();
            let is = regression.slope_and_r2();
            assert!((is.0 - slope).abs() <= 1e-9 * scale, "n {n}, value {i}");
            assert!((is.1 - r2).abs() <= 1e-9, "n {n}, value {i}");
        }
    }

    proptest! {
        #[test]
        fn equals_two_passes_over_the_window(
            n in 2usize..50,
            level in prop::sample::select(vec![0.0, 1.0, 40_000.0]),
            steps in prop::collection::vec(0.0f64..1.0, 0..200),
        ) {
            let values: Vec<f64> = steps.iter().map(|u| if *u < 0.1 { level } else { level + u }).collect();
            check(n, &values);
        }
    }

    #[test]
    fn a_line_is_a_line() {
        let line: Vec<f64> = (0..50).map(|i| 7.0 - 0.25 * f64::from(i)).collect();
        check(14, &line);
        let mut regression = Regression::new(14);
        line.iter().for_each(|y| regression.push(*y));
        assert_eq!(regression.slope_and_r2(), (-0.25, 1.0));
        check(3, &[5.0; 20]);
    }
}
