//! Skewness of the last `period` closes: above zero where the long tail lies above.
//!
//! The estimator corrected for bias, G1 of Joanes & Gill, "Comparing measures of sample
//! skewness and kurtosis" (The Statistician 47, 1998), which is that of pandas'
//! `rolling(period).skew()`. No value where all closes are equal (pandas says 0 there).
//! Amortised O(1) a bar.

use crate::analytics::indicator::{Entry, Needs, Parameter, any, keeping};
use crate::analytics::rolling::moments::Moments;

pub const ENTRY: Entry = Entry {
    name: "skew",
    summary: "skewness of closes, corrected for bias",
    parameters: &[Parameter::period("period", 20, 3)],
    outputs: &["value"],
    warm_up: |arguments| arguments.period(0),
    check: any,
    build: |arguments| {
        keeping(Moments::<3>::new(arguments.period(0)), Moments::state, |closes, bar| {
            closes.push(bar.close);
            let skewness = closes.is_full().then(|| closes.skewness())??;
            Some([skewness])
        })
    },
    needs: Needs::Prices,
};

#[cfg(test)]
mod tests {
    use crate::analytics::indicators::trial::{check_within, closes, run};

    #[test]
    fn equals_two_passes() {
        for period in [3, 20] {
            check_within(&format!("skew({period})"), 1e-9, |bars| {
                let window = &bars[bars.len().checked_sub(period)?..];
                let (n, origin) = (period as f64, window[0].close);
                let offset = window.iter().map(|bar| bar.close - origin).sum::<f64>() / n;
                let (mut second, mut third) = (0.0, 0.0);
                for d in window.iter().map(|bar| (bar.close - origin) - offset) {
                    second += d * d;
                    third += d * d * d;
                }
                // n / ((n - 1)(n - 2)) times the sum of cubed standard scores: another form of G1.
                let deviation = (second / (n - 1.0)).sqrt();
                let cubes = third / (deviation * deviation * deviation);
                let flat = window.iter().all(|bar| bar.close == origin);
                (!flat).then(|| vec![n / ((n - 1.0) * (n - 2.0)) * cubes])
            });
        }
    }

    #[test]
    fn a_plain_has_none_and_symmetry_is_zero() {
        let values = run("skew(3)", &closes(&[2.0, 2.0, 2.0, 3.0, 4.0]));
        assert_eq!((&values[2], &values[4]), (&None, &Some(vec![0.0])));
    }
}
