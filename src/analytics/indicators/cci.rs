//! Commodity channel index: the typical price less its mean over `period` bars, by 0.015 times
//! their mean absolute deviation.
//!
//! Source: D. Lambert, "Commodity Channel Index", Commodities magazine (October 1980). Equals
//! TA-Lib's `CCI`: silent for `period - 1` bars, 0 where the prices of the window, or the
//! newest and the mean, are equal but for rounding. O(`period`) a bar: each deviation
//! depends on the newest mean.

use crate::analytics::indicator::{Arguments, Bar, Entry, Needs, Parameter, any, keeping};
use crate::analytics::rolling::state::State;
use crate::analytics::rolling::sum::exact_sum;
use crate::analytics::rolling::tie::is_tie;
use crate::analytics::rolling::window::Window;

pub const ENTRY: Entry = Entry {
    name: "cci",
    summary: "commodity channel index",
    parameters: &[Parameter::period("period", 20, 2)],
    outputs: &["value"],
    warm_up: |arguments| arguments.period(0),
    check: any,
    build: |arguments| keeping(Cci::new(arguments), Cci::state, Cci::advance),
    needs: Needs::Prices,
};

struct Cci {
    /// Three times the typical price: the nearest floats, and what these leave out. The newest
    /// less the mean is small against prices, and their own rounding would show in it.
    prices: Window,
    rests: Window,
}

impl Cci {
    fn new(arguments: &Arguments) -> Self {
        let period = arguments.period(0);
        Self { prices: Window::new(period), rests: Window::new(period) }
    }

    /// Sum, over the window, of what `of` makes of each price less `newest`.
    fn sum(&self, newest: (f64, f64), of: impl Fn(f64) -> f64) -> f64 {
        let part = |prices: &[f64], rests: &[f64]| -> f64 {
            prices.iter().zip(rests).map(|(price, rest)| of((price - newest.0) + (rest - newest.1))).sum()
        };
        let ((older, newer), (older_rests, newer_rests)) = (self.prices.as_slices(), self.rests.as_slices());
        part(older, older_rests) + part(newer, newer_rests)
    }

    fn advance(&mut self, bar: &Bar<'_>) -> Option<[f64; 1]> {
        let (sum, rest) = exact_sum(bar.high, bar.low);
        let (price, more) = exact_sum(sum, bar.close);
        let newest = (price, rest + more);
        self.prices.push(newest.0);
        self.rests.push(newest.1);
        if !self.prices.is_full() {
            return None;
        }
        let n = self.prices.capacity() as f64;
        let mean = self.sum(newest, |x| x) / n;
        let deviation = self.sum(newest, |x| (x - mean).abs()) / n;
        let flat = is_tie(mean, price) || is_tie(deviation, price);
        Some([if flat { 0.0 } else { -mean / (0.015 * deviation) }])
    }

    fn state(&mut self, state: &mut State<'_>) {
        self.prices.state(state);
        self.rests.state(state);
    }
}

#[cfg(test)]
mod tests {
    use crate::analytics::indicators::trial::{check_within, closes, run};

    #[test]
    fn equals_the_recomputation() {
        for period in [2, 20] {
            // The newest price and the mean cancel: small against their deviation.
            check_within(&format!("cci({period})"), 1e-7, |bars| {
                let window = &bars[bars.len().checked_sub(period)?..];
                let prices: Vec<_> =
                    window.iter().map(|bar| (bar.high + bar.low + bar.close) / 3.0).collect();
                let mean = prices.iter().sum::<f64>() / period as f64;
                let deviation = prices.iter().map(|x| (x - mean).abs()).sum::<f64>() / period as f64;
                let flat = deviation <= 1e-14 * mean;
                Some(vec![if flat { 0.0 } else { (prices[period - 1] - mean) / (0.015 * deviation) }])
            });
        }
    }

    #[test]
    fn a_plain_is_zero_and_a_leap_is_not() {
        assert_eq!(run("cci(5)", &closes(&[0.1; 9])).pop().unwrap(), Some(vec![0.0]));
        let leap = run("cci(5)", &closes(&[1.0, 1.0, 1.0, 1.0, 6.0])).pop().unwrap().unwrap()[0];
        assert!((leap - 4.0 / (0.015 * 1.6)).abs() < 1e-9, "{leap}");
    }
}
