//! Excess kurtosis of the last `period` closes: above zero where the tails are heavier than
//! those of a normal distribution.
//!
//! The estimator corrected for bias, G2 of Joanes & Gill, "Comparing measures of sample
//! skewness and kurtosis" (The Statistician 47, 1998), which is that of pandas'
//! `rolling(period).kurt()`. No value where all closes are equal (pandas says -3 there).
//! Amortised O(1) a bar.

use crate::analytics::indicator::{Entry, Needs, Parameter, any, keeping};
use crate::analytics::rolling::moments::Moments;

pub const ENTRY: Entry = Entry {
    name: "kurtosis",
    summary: "excess kurtosis of closes, corrected for bias",
    parameters: &[Parameter::period("period", 20, 4)],
    outputs: &["value"],
    warm_up: |arguments| arguments.period(0),
    check: any,
    build: |arguments| {
        keeping(Moments::<4>::new(arguments.period(0)), Moments::state, |closes, bar| {
            closes.push(bar.close);
            let kurtosis = closes.is_full().then(|| closes.kurtosis())??;
            Some([kurtosis])
        })
    },
    needs: Needs::Prices,
};

#[cfg(test)]
mod tests {
    use crate::analytics::indicators::trial::{check_within, closes, run};

    #[test]
    fn equals_two_passes() {
        for period in [4, 20] {
            check_within(&format!("kurtosis({period})"), 1e-9, |bars| {
                let window = &bars[bars.len().checked_sub(period)?..];
                let (n, origin) = (period as f64, window[0].close);
                let offset = window.iter().map(|bar| bar.close - origin).sum::<f64>() / n;
                let (mut second, mut fourth) = (0.0, 0.0);
                for d in window.iter().map(|bar| (bar.close - origin) - offset) {
                    second += d * d;
                    fourth += d * d * d * d;
                }
                // The form that pandas documents, with the sample variance.
                let variance = second / (n - 1.0);
                let scores = fourth / (variance * variance);
                let weight = n * (n + 1.0) / ((n - 1.0) * (n - 2.0) * (n - 3.0));
                let normal = 3.0 * (n - 1.0) * (n - 1.0) / ((n - 2.0) * (n - 3.0));
                let flat = window.iter().all(|bar| bar.close == origin);
                (!flat).then(|| vec![weight * scores - normal])
            });
        }
    }

    #[test]
    fn a_plain_has_none_and_steps_are_flat() {
        let values = run("kurtosis(4)", &closes(&[1.0, 1.0, 1.0, 1.0, 2.0, 3.0, 4.0]));
        assert_eq!(values[3], None);
        assert!((values[6].as_ref().unwrap()[0] - -1.2).abs() < 1e-12, "{values:?}");
    }
}
