//! Autocorrelation of log returns: whether moves go on (above zero) or turn (below).
//!
//! Of the last `period` returns of one bar, `r`, with their mean `m`:
//! `sum of (r[t] - m)(r[t - lag] - m)` over the pairs inside the window, over `sum of
//! (r[t] - m)^2` over all of it. Source: G. Box and G. Jenkins, "Time Series Analysis" (1970),
//! section 2.1 (their c_k / c_0). Between -1 and 1. No value where the returns differ by
//! nothing but rounding. Amortised O(1) a bar.

use crate::analytics::indicator::{Arguments, Bar, Entry, Needs, Parameter, keeping};
use crate::analytics::rolling::blocks::{Blocks, Terms};
use crate::analytics::rolling::moments::Moments;
use crate::analytics::rolling::state::State;
use crate::analytics::rolling::window::Window;

/// A log return is a rounded ratio: below this, its variance means nothing.
pub const NOISE: f64 = 1e-30;

pub const ENTRY: Entry = Entry {
    name: "autocorrelation",
    summary: "autocorrelation of log returns at a lag",
    parameters: &[Parameter::period("period", 50, 2), Parameter::period("lag", 1, 1)],
    outputs: &["value"],
    warm_up: |arguments| arguments.period(0) + 1,
    check: |arguments| match arguments.period(1) < arguments.period(0) {
        true => Ok(()),
        false => Err("lag must be below period"),
    },
    build: |arguments| {
        keeping(Autocorrelation::new(arguments), Autocorrelation::state, Autocorrelation::advance)
    },
    needs: Needs::Prices,
};

/// Both differences to the shift, and their product.
struct Pairs;

impl Terms<2, 3> for Pairs {
    fn of(_: usize, item: &[f64; 2], shift: f64) -> [f64; 3] {
        let [newer, older] = item.map(|x| x - shift);
        [newer, older, newer * older]
    }
}

struct Autocorrelation {
    period: f64,
    previous_close: Option<f64>,
    returns: Moments<2>,
    /// The returns that wait for their partner.
    waiting: Window,
    /// Each return with the one `lag` before it, both within the window.
    pairs: Blocks<Pairs, 2, 3>,
}

impl Autocorrelation {
    fn new(arguments: &Arguments) -> Self {
        let (period, lag) = (arguments.period(0), arguments.period(1));
        Self {
            period: arguments.real(0),
            previous_close: None,
            returns: Moments::new(period),
            waiting: Window::new(lag),
            pairs: Blocks::new(period - lag),
        }
    }

    fn advance(&mut self, bar: &Bar<'_>) -> Option<[f64; 1]> {
        let previous_close = self.previous_close.replace(bar.close)?;
        let newest = libm::log(bar.close / previous_close);
        self.returns.push(newest);
        if let Some(partner) = self.waiting.push(newest) {
            self.pairs.push([newest, partner]);
        }
        let (mean, variance) = self.returns.mean_and_variance();
        if !self.returns.is_full() || variance <= NOISE {
            return None;
        }
        let [newer, older, products] = self.pairs.sums();
        let offset = mean - self.pairs.shift();
        let pairs = self.pairs.capacity() as f64;
        let covariance = products - offset * (newer + older) + pairs * offset * offset;
        Some([covariance / (self.period * variance)])
    }

    fn state(&mut self, state: &mut State<'_>) {
        state.option_f64(&mut self.previous_close);
        self.returns.state(state);
        self.waiting.state(state);
        self.pairs.state(state);
    }
}

#[cfg(test)]
mod tests {
    use crate::analytics::catalogue::Spec;
    use crate::analytics::indicator::Bar;
    use crate::analytics::indicators::trial::{check_within, closes, run};

    fn check_lag(period: usize, lag: usize) {
        check_within(&format!("autocorrelation({period},{lag})"), 1e-9, |bars: &[Bar<'_>]| {
            let window = &bars[bars.len().checked_sub(period + 1)?..];
            let returns: Vec<f64> = window.windows(2).map(|w| libm::log(w[1].close / w[0].close)).collect();
            let mean = returns.iter().sum::<f64>() / period as f64;
            let d: Vec<f64> = returns.iter().map(|r| r - mean).collect();
            let squares: f64 = d.iter().map(|x| x * x).sum();
            let products: f64 = (lag..period).map(|t| d[t] * d[t - lag]).sum();
            (squares > 1e-29 * period as f64).then(|| vec![products / squares])
        });
    }

    #[test]
    fn equals_the_recomputation() {
        check_lag(50, 1);
        check_lag(20, 7);
        check_lag(3, 2);
    }

    #[test]
    fn moves_that_turn_are_anticorrelated() {
        let path: Vec<f64> = (0..40).map(|i| if i % 2 == 0 { 1.0 } else { 2.0 }).collect();
        let value = run("autocorrelation(20,1)", &closes(&path))[39].as_ref().unwrap()[0];
        assert!((value - -0.95).abs() < 1e-12, "{value}");
        assert_eq!(run("autocorrelation(3,1)", &closes(&[7.0; 9])), vec![None; 9]);
    }

    #[test]
    fn the_lag_lies_inside_the_period() {
        let message = Spec::parse("autocorrelation(5,5)").unwrap_err().to_string();
        assert!(message.contains("lag must be below period"), "{message}");
    }
}
