//! The straight line of least squares through the last `period` closes: its slope, and how
//! much of their variance it explains.
//!
//! `slope` (price a bar) equals TA-Lib's `LINEARREG_SLOPE`. `r2` is the squared correlation of
//! close and time, 0 to 1; 0 where all closes are equal, as TA-Lib's `CORREL` has it.
//! Amortised O(1) a bar.

use crate::analytics::indicator::{Entry, Needs, Parameter, any, keeping};
use crate::analytics::rolling::regression::Regression;

pub const ENTRY: Entry = Entry {
    name: "linreg",
    summary: "slope and r2 of the regression of closes on time",
    parameters: &[Parameter::period("period", 14, 2)],
    outputs: &["slope", "r2"],
    warm_up: |arguments| arguments.period(0),
    check: any,
    build: |arguments| {
        keeping(Regression::new(arguments.period(0)), Regression::state, |closes, bar| {
            closes.push(bar.close);
            let (slope, r2) = closes.slope_and_r2();
            closes.is_full().then_some([slope, r2])
        })
    },
    needs: Needs::Prices,
};

#[cfg(test)]
mod tests {
    use crate::analytics::indicators::trial::{check_within, closes, run};

    #[test]
    fn equals_two_passes() {
        for period in [2, 14] {
            // A slope that nearly vanishes is known to the rounding of prices, 1e6 at most.
            check_within(&format!("linreg({period})"), 1e-9, |bars| {
                let window = &bars[bars.len().checked_sub(period)?..];
                let (n, origin) = (period as f64, window[0].close);
                let y_mean = window.iter().map(|bar| bar.close - origin).sum::<f64>() / n;
                let (mut sxx, mut sxy, mut syy) = (0.0, 0.0, 0.0);
                for (i, bar) in window.iter().enumerate() {
                    let (x, y) = (i as f64 - (n - 1.0) / 2.0, (bar.close - origin) - y_mean);
                    sxx += x * x;
                    sxy += x * y;
                    syy += y * y;
                }
                let flat = window.iter().all(|bar| bar.close == origin);
                Some(if flat { vec![0.0; 2] } else { vec![sxy / sxx, sxy * sxy / (sxx * syy)] })
            });
        }
    }

    #[test]
    fn a_line_and_a_plain() {
        let values = run("linreg(3)", &closes(&[5.0, 4.0, 3.0, 3.0, 3.0]));
        assert_eq!(values[2], Some(vec![-1.0, 1.0]));
        assert_eq!(values[4], Some(vec![0.0, 0.0]));
    }
}
