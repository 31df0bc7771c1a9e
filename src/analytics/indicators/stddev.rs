//! Standard deviation of closes over a window, of the population (divided by `period`).
//!
//! The definition of TA-Lib's `STDDEV` (with one deviation), and its warm-up. Its values too,
//! but where they cancel: TA-Lib takes the mean of squares less the square of the mean (and
//! versions before 0.8 call every variance below 1e-14 zero). Here the exact value rules,
//! whatever the level of the prices. Amortised O(1) a bar.

use crate::analytics::indicator::{Entry, Needs, Parameter, any, keeping};
use crate::analytics::rolling::moments::Moments;

pub const ENTRY: Entry = Entry {
    name: "stddev",
    summary: "standard deviation of closes, of the population",
    parameters: &[Parameter::period("period", 20, 2)],
    outputs: &["value"],
    warm_up: |arguments| arguments.period(0),
    check: any,
    build: |arguments| {
        keeping(Moments::<2>::new(arguments.period(0)), Moments::state, |closes, bar| {
            closes.push(bar.close);
            closes.is_full().then(|| [closes.variance().sqrt()])
        })
    },
    needs: Needs::Prices,
};

#[cfg(test)]
pub mod naive {
    use crate::analytics::indicator::Bar;

    /// Mean and population deviation of the last `period` closes, in two passes, and how far
    /// the newest lies above the mean.
    pub fn mean_deviation_above(bars: &[Bar<'_>], period: usize) -> Option<(f64, f64, f64)> {
        let window = &bars[bars.len().checked_sub(period)?..];
        let (origin, n) = (window[0].close, period as f64);
        let offset = window.iter().map(|bar| bar.close - origin).sum::<f64>() / n;
        let squares = window.iter().map(|bar| (bar.close - origin) - offset).map(|d| d * d).sum::<f64>();
        let flat = window.iter().all(|bar| bar.close == origin);
        let deviation = if flat { 0.0 } else { (squares / n).sqrt() };
        Some((origin + offset, deviation, (window[period - 1].close - origin) - offset))
    }
}

#[cfg(test)]
mod tests {
    use crate::analytics::indicators::trial::{check, closes, run};

    #[test]
    fn equals_two_passes() {
        for period in [2, 5, 20] {
            check(&format!("stddev({period})"), |bars| {
                Some(vec![super::naive::mean_deviation_above(bars, period)?.1])
            });
        }
    }

    #[test]
    fn is_exact_where_a_mean_of_squares_cancels() {
        let small = run("stddev(2)", &closes(&[3e-8, 1e-8]));
        assert!((small[1].as_ref().unwrap()[0] - 1e-8).abs() < 1e-22, "{small:?}");
        let large = run("stddev(4)", &closes(&[1e9 + 1.0, 1e9 - 1.0, 1e9 + 1.0, 1e9 - 1.0]));
        assert_eq!(large[3].as_ref().unwrap()[0], 1.0);
    }
}
