//! The volatility of Yang and Zhang: from the four prices of each bar and the close before,
//! whatever the drift, gaps between bars included.
//!
//! `sqrt(gaps + k changes + (1 - k) rs)` over the last `n = period` bars, with the sample
//! variances of `ln(open / previous close)` and of `ln(close / open)`, the mean of Rogers and
//! Satchell's terms, and `k = 0.34 / (1.34 + (n + 1) / (n - 1))`. Source: D. Yang and Q.
//! Zhang, "Drift Independent Volatility Estimation Based on High, Low, Open, and Close
//! Prices", Journal of Business 73 (2000). Per bar, not annualised. Silent until `period`
//! bars with a bar before them were seen; no value where the sum is below zero, which takes
//! bars whose close or open lies outside their range. Amortised O(1) a bar.

use crate::analytics::indicator::{Arguments, Bar, Entry, Needs, Parameter, any, keeping};
use crate::analytics::indicators::rogers_satchell;
use crate::analytics::rolling::fold::{Fold, Sums};
use crate::analytics::rolling::moments::Moments;
use crate::analytics::rolling::state::State;

pub const ENTRY: Entry = Entry {
    name: "yang_zhang",
    summary: "Yang and Zhang's volatility a bar, free of drift, gaps included",
    parameters: &[Parameter::period("period", 20, 2)],
    outputs: &["value"],
    warm_up: |arguments| arguments.period(0) + 1,
    check: any,
    build: |arguments| keeping(YangZhang::new(arguments), YangZhang::state, YangZhang::advance),
    needs: Needs::Prices,
};

struct YangZhang {
    gaps: Moments<2>,
    changes: Moments<2>,
    ranges: Fold<Sums<1>>,
    period: f64,
    weight: f64,
    previous_close: Option<f64>,
}

impl YangZhang {
    fn new(arguments: &Arguments) -> Self {
        let (capacity, n) = (arguments.period(0), arguments.real(0));
        Self {
            gaps: Moments::new(capacity),
            changes: Moments::new(capacity),
            ranges: Fold::new(capacity),
            period: n,
            weight: 0.34 / (1.34 + (n + 1.0) / (n - 1.0)),
            previous_close: None,
        }
    }

    fn advance(&mut self, bar: &Bar<'_>) -> Option<[f64; 1]> {
        let previous_close = self.previous_close.replace(bar.close)?;
        self.gaps.push(libm::log(bar.open / previous_close));
        self.changes.push(libm::log(bar.close / bar.open));
        self.ranges.push(Sums([rogers_satchell::variance(bar)]));
        if !self.ranges.is_full() {
            return None;
        }
        let sample = self.period / (self.period - 1.0);
        let closes = sample * (self.gaps.variance() + self.weight * self.changes.variance());
        let variance = closes + (1.0 - self.weight) * (self.ranges.total().0[0] / self.period);
        (variance >= 0.0).then(|| [variance.sqrt()])
    }

    fn state(&mut self, state: &mut State<'_>) {
        self.gaps.state(state);
        self.changes.state(state);
        self.ranges.state(state);
        state.option_f64(&mut self.previous_close);
    }
}

#[cfg(test)]
mod tests {
    use crate::analytics::indicators::trial::check;

    fn sample_variance(values: &[f64]) -> f64 {
        let n = values.len() as f64;
        let mean = values.iter().sum::<f64>() / n;
        values.iter().map(|x| (x - mean) * (x - mean)).sum::<f64>() / (n - 1.0)
    }

    #[test]
    fn equals_the_recomputation() {
        for period in [2, 20] {
            check(&format!("yang_zhang({period})"), |bars| {
                let window = &bars[bars.len().checked_sub(period + 1)?..];
                let log = libm::log;
                let gaps: Vec<f64> = window.windows(2).map(|w| log(w[1].open / w[0].close)).collect();
                let changes: Vec<f64> = window[1..].iter().map(|bar| log(bar.close / bar.open)).collect();
                let ranges = window[1..].iter().map(|bar| {
                    let [up, down, change] = [bar.high, bar.low, bar.close].map(|x| log(x / bar.open));
                    up * (up - change) + down * (down - change)
                });
                let n = period as f64;
                let k = 0.34 / (1.34 + (n + 1.0) / (n - 1.0));
                let ranges = ranges.sum::<f64>() / n;
                let variance = sample_variance(&gaps) + k * sample_variance(&changes) + (1.0 - k) * ranges;
                Some(vec![variance.sqrt()])
            });
        }
    }
}
