//! Skewness of the last `period` closes: above zero where the long tail lies above.
//!
//! The estimator corrected for bias, G1 of Joanes & Gill, "Comparing measures of sample
//! skewness and kurtosis" (The Statistician 47, 1998), which is that of pandas'
//! `rolling(period).skew()`. No value where all closes are equal (pandas says 0 there).
//! Amortised O(1) a bar.

use crate::analytics::indicator::{Arguments, Bar, Entry, Indicator, Needs, Parameter, any};
use crate::analytics::rolling::moments::Moments;
use crate::analytics::rolling::state::State;

pub const ENTRY: Entry = Entry {
    name: "skew",
    summary: "skewness of closes, corrected for bias",
    parameters: &[Parameter::period("period", 20, 3)],
    outputs: &["value"],
    warm_up: |arguments| arguments.period(0),
    check: any,
    build: |arguments| Box::new(Skew::new(arguments)),
    needs: Needs::Prices,
};

struct Skew {
    closes: Moments<3>,
}

impl Skew {
    fn new(arguments: &Arguments) -> Self {
        Self { closes: Moments::new(arguments.period(0)) }
    }
}

impl Indicator for Skew {
    fn advance(&mut self, bar: &Bar<'_>, out: &mut [f64]) -> bool {
        self.closes.push(bar.close);
        if !self.closes.is_full() {
            return false;
        }
        let Some(skewness) = self.closes.skewness() else { return false };
        out[0] = skewness;
        true
    }

    fn state(&mut self, state: &mut State<'_>) {
        self.closes.state(state);
    }
}

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
