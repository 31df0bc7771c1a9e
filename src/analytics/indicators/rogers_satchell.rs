//! The volatility of Rogers and Satchell: from the four prices of each bar, whatever the drift.
//!
//! `sqrt(mean of ln(high / close) ln(high / open) + ln(low / close) ln(low / open))` over
//! the last `period` bars. Source: L. Rogers and S. Satchell, "Estimating Variance from
//! High, Low and Closing Prices", Annals of Applied Probability 1 (1991). Per bar, not
//! annualised. Knows nothing of gaps between bars. No value where the mean is below zero,
//! which takes bars whose close or open lies outside their range. Amortised O(1) a bar.

use crate::analytics::estimators::range_variance;
use crate::analytics::indicator::{Bar, Entry, Needs, Parameter, any};
use crate::analytics::indicators::range_volatility::keeping_mean;

pub const ENTRY: Entry = Entry {
    name: "rogers_satchell",
    summary: "Rogers and Satchell's volatility a bar, free of drift",
    parameters: &[Parameter::period("period", 20, 1)],
    outputs: &["value"],
    warm_up: |arguments| arguments.period(0),
    check: any,
    build: |arguments| keeping_mean(arguments.period(0), variance),
    needs: Needs::Prices,
};

/// The estimate of the variance of log prices that one bar makes.
pub fn variance(bar: &Bar<'_>) -> f64 {
    range_variance::rogers_satchell(bar.open, bar.high, bar.low, bar.close)
}

#[cfg(test)]
mod tests {
    use crate::analytics::indicators::trial::{bar, check, run};

    #[test]
    fn equals_the_recomputation() {
        for period in [1, 20] {
            check(&format!("rogers_satchell({period})"), |bars| {
                let window = &bars[bars.len().checked_sub(period)?..];
                let terms = window.iter().map(|bar| {
                    let [up, down, change] = [bar.high, bar.low, bar.close].map(|x| libm::log(x / bar.open));
                    // The paper's form, from logs over the open.
                    up * (up - change) + down * (down - change)
                });
                Some(vec![(terms.sum::<f64>() / period as f64).sqrt()])
            });
        }
    }

    #[test]
    fn a_straight_move_has_no_volatility() {
        let values = run("rogers_satchell(1)", &[bar(0, [1.0, 2.0, 1.0, 2.0], 1.0)]);
        assert_eq!(values, [Some(vec![0.0])]);
        assert_eq!(run("rogers_satchell(1)", &[bar(0, [1.0, 2.0, 1.5, 3.0], 1.0)]), [None]);
    }
}
