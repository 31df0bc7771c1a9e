//! The volatility of Garman and Klass: from open, high, low and close of each bar.
//!
//! `sqrt(mean of ln(high / low)^2 / 2 - (2 ln 2 - 1) ln(close / open)^2)` over the last
//! `period` bars: the estimator that they recommend for practice, without the term for the
//! jump from close to open. Source: M. Garman and M. Klass, "On the Estimation of Security
//! Price Volatilities from Historical Data", Journal of Business 53 (1980). Per bar, not
//! annualised. Assumes no drift. No value where the mean is below zero, which takes bars
//! whose close or open lies outside their range. Amortised O(1) a bar.

use crate::analytics::estimators::range_variance;
use crate::analytics::indicator::{Bar, Entry, Needs, Parameter, any};
use crate::analytics::indicators::range_volatility::keeping_mean;

pub const ENTRY: Entry = Entry {
    name: "garman_klass",
    summary: "Garman and Klass' volatility a bar, from open, high, low and close",
    parameters: &[Parameter::period("period", 20, 1)],
    outputs: &["value"],
    warm_up: |arguments| arguments.period(0),
    check: any,
    build: |arguments| keeping_mean(arguments.period(0), variance),
    needs: Needs::Prices,
};

/// The estimate of the variance of log prices that one bar makes.
pub fn variance(bar: &Bar<'_>) -> f64 {
    range_variance::garman_klass(bar.open, bar.high, bar.low, bar.close)
}

#[cfg(test)]
mod tests {
    use crate::analytics::indicators::trial::{bar, check, run};

    #[test]
    fn equals_the_recomputation() {
        for period in [1, 20] {
            check(&format!("garman_klass({period})"), |bars| {
                let window = &bars[bars.len().checked_sub(period)?..];
                let weight = 2.0 * libm::log(2.0) - 1.0;
                let terms = window.iter().map(|bar| {
                    let (range, change) = (libm::log(bar.high / bar.low), libm::log(bar.close / bar.open));
                    range * range / 2.0 - weight * (change * change)
                });
                Some(vec![(terms.sum::<f64>() / period as f64).sqrt()])
            });
        }
    }

    #[test]
    fn a_bar_that_contradicts_itself_has_none() {
        assert_eq!(run("garman_klass(1)", &[bar(0, [1.0, 1.0, 1.0, 2.0], 1.0)]), [None]);
    }
}
