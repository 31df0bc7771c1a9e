//! Realised volatility: the square root of the sum of squared log returns.
//!
//! `sqrt(sum of ln(close / previous close)^2)` over the last `period` returns: the sum, not
//! the mean, and without taking off a drift; so it is the volatility of the whole stretch of
//! `period` bars, not of a bar, and not annualised. Source: T. Andersen, T. Bollerslev, F.
//! Diebold and P. Labys, "Modeling and Forecasting Realized Volatility", Econometrica 71
//! (2003). Amortised O(1) a bar.

use crate::analytics::indicator::{Arguments, Bar, Entry, Needs, Parameter, any, keeping};
use crate::analytics::rolling::fold::{Fold, Sums};
use crate::analytics::rolling::state::State;

pub const ENTRY: Entry = Entry {
    name: "realized_volatility",
    summary: "square root of the sum of squared log returns",
    parameters: &[Parameter::period("period", 20, 1)],
    outputs: &["value"],
    warm_up: |arguments| arguments.period(0) + 1,
    check: any,
    build: |arguments| {
        keeping(RealizedVolatility::new(arguments), RealizedVolatility::state, RealizedVolatility::advance)
    },
    needs: Needs::Prices,
};

struct RealizedVolatility {
    squares: Fold<Sums<1>>,
    previous_close: Option<f64>,
}

impl RealizedVolatility {
    fn new(arguments: &Arguments) -> Self {
        Self { squares: Fold::new(arguments.period(0)), previous_close: None }
    }

    fn advance(&mut self, bar: &Bar<'_>) -> Option<[f64; 1]> {
        let previous_close = self.previous_close.replace(bar.close)?;
        let log_return = libm::log(bar.close / previous_close);
        self.squares.push(Sums([log_return * log_return]));
        self.squares.is_full().then(|| [self.squares.total().0[0].sqrt()])
    }

    fn state(&mut self, state: &mut State<'_>) {
        self.squares.state(state);
        state.option_f64(&mut self.previous_close);
    }
}

#[cfg(test)]
mod tests {
    use crate::analytics::indicators::trial::check;

    #[test]
    fn equals_the_recomputation() {
        for period in [1, 20] {
            check(&format!("realized_volatility({period})"), |bars| {
                let window = &bars[bars.len().checked_sub(period + 1)?..];
                let returns = window.windows(2).map(|w| libm::log(w[1].close / w[0].close));
                Some(vec![returns.map(|r| r * r).sum::<f64>().sqrt()])
            });
        }
    }
}
