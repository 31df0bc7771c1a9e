//! Parkinson's volatility: from the range of each bar alone.
//!
//! `sqrt(mean of ln(high / low)^2 / (4 ln 2))` over the last `period` bars. Source: M.
//! Parkinson, "The Extreme Value Method for Estimating the Variance of the Rate of Return",
//! Journal of Business 53 (1980). Per bar, not annualised. Assumes no drift, no gap between
//! bars, and trading without pause. Amortised O(1) a bar.

use crate::analytics::estimators::range_variance;
use crate::analytics::indicator::{Bar, Entry, Needs, Parameter, any};
use crate::analytics::indicators::range_volatility::keeping_mean;

pub const ENTRY: Entry = Entry {
    name: "parkinson",
    summary: "Parkinson's volatility a bar, from high and low",
    parameters: &[Parameter::period("period", 20, 1)],
    outputs: &["value"],
    warm_up: |arguments| arguments.period(0),
    check: any,
    build: |arguments| keeping_mean(arguments.period(0), variance),
    needs: Needs::Prices,
};

/// The estimate of the variance of log prices that one bar makes.
pub fn variance(bar: &Bar<'_>) -> f64 {
    range_variance::parkinson(bar.high, bar.low)
}

#[cfg(test)]
mod tests {
    use crate::analytics::indicators::trial::{bar, check, run};

    #[test]
    fn equals_the_recomputation() {
        for period in [1, 20] {
            check(&format!("parkinson({period})"), |bars| {
                let window = &bars[bars.len().checked_sub(period)?..];
                let sum: f64 = window.iter().map(|bar| libm::log(bar.high / bar.low)).map(|r| r * r).sum();
                Some(vec![(sum / period as f64 / (4.0 * libm::log(2.0))).sqrt()])
            });
        }
    }

    #[test]
    fn a_range_of_twice_the_low() {
        let value = &run("parkinson(1)", &[bar(0, [3.0, 4.0, 2.0, 3.0], 1.0)])[0];
        // ln 2 / sqrt(4 ln 2)
        assert!((value.as_ref().unwrap()[0] - 0.416_277_305_578_848_9).abs() < 1e-15, "{value:?}");
    }
}
