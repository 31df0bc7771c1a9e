//! What the four prices of one bar say of its variance: better than the squared return, for each price path
//! leaves its extremes.
//!
//! All three estimate the variance of log prices over the bar; prices are above zero. None knows of what was
//! traded between bars.

use std::f64::consts::LN_2;

/// From the range alone; assumes no drift.
///
/// Source: M. Parkinson, "The Extreme Value Method for Estimating the Variance of the Rate of Return",
/// Journal of Business 53 (1980).
pub fn parkinson(high: f64, low: f64) -> f64 {
    let range = libm::log(high / low);
    range * range / (4.0 * LN_2)
}

/// From all four prices; assumes no drift. Below zero only where open or close lie outside the range.
///
/// Source: M. Garman and M. Klass, "On the Estimation of Security Price Volatilities from Historical Data",
/// Journal of Business 53 (1980), their practical estimator without the jump before the open.
pub fn garman_klass(open: f64, high: f64, low: f64, close: f64) -> f64 {
    let range = libm::log(high / low);
    let change = libm::log(close / open);
    0.5 * range * range - (2.0 * LN_2 - 1.0) * change * change
}

/// From all four prices, whatever the drift. Below zero only where open or close lie outside the range.
///
/// Source: L. Rogers and S. Satchell, "Estimating Variance from High, Low and Closing Prices", Annals of
/// Applied Probability 1 (1991).
pub fn rogers_satchell(open: f64, high: f64, low: f64, close: f64) -> f64 {
    let above = libm::log(high / close) * libm::log(high / open);
    let below = libm::log(low / close) * libm::log(low / open);
    above + below
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analytics::indicators::trial::Random;

    #[test]
    fn all_three_find_the_variance_of_a_walk_and_only_one_bears_a_drift() {
        for (drift, bears) in [(0.0, [true, true, true]), (8e-7, [false, false, true])] {
            let mut random = Random(61);
            let (bars, steps, deviation) = (600, 1_000, 1e-5);
            let mut sums = [0.0; 3];
            for _ in 0..bars {
                let (mut at, mut high, mut low) = (0.0, 0.0_f64, 0.0_f64);
                for _ in 0..steps {
                    at += drift + deviation * if random.word() >> 63 == 0 { 1.0 } else { -1.0 };
                    high = high.max(at);
                    low = low.min(at);
                }
                let [high, low, close] = [high, low, at].map(libm::exp);
                sums[0] += parkinson(high, low);
                sums[1] += garman_klass(1.0, high, low, close);
                sums[2] += rogers_satchell(1.0, high, low, close);
            }
            for (sum, bears) in sums.iter().zip(bears) {
                let ratio = sum / f64::from(bars) / (f64::from(steps) * deviation * deviation);
                // A walk of a thousand steps misses a little of the range of a continuous one.
                assert_eq!((0.85..1.1).contains(&ratio), bears, "drift {drift}: {ratio}");
            }
        }
    }
}
