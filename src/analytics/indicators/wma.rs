//! Linearly weighted moving average of candle closes: weights 1, 2, ... `period`, the newest
//! the heaviest.
//!
//! Silent until `period` closes were seen. Equals TA-Lib's `WMA`. Amortised O(1) a bar.

use crate::analytics::indicator::{Arguments, Bar, Entry, Indicator, Needs, Parameter, any};
use crate::analytics::rolling::average;
use crate::analytics::rolling::state::State;

pub const ENTRY: Entry = Entry {
    name: "wma",
    summary: "linearly weighted moving average of closes",
    parameters: &[Parameter::period("period", 20, 1)],
    outputs: &["value"],
    warm_up: |arguments| arguments.period(0),
    check: any,
    build: |arguments| Box::new(Wma::new(arguments)),
    needs: Needs::Prices,
};

struct Wma {
    average: average::Wma,
}

impl Wma {
    fn new(arguments: &Arguments) -> Self {
        Self { average: average::Wma::new(arguments.period(0)) }
    }
}

impl Indicator for Wma {
    fn advance(&mut self, bar: &Bar<'_>, out: &mut [f64]) -> bool {
        let Some(value) = self.average.push(bar.close) else { return false };
        out[0] = value;
        true
    }

    fn state(&mut self, state: &mut State<'_>) {
        self.average.state(state);
    }
}

#[cfg(test)]
mod tests {
    use crate::analytics::indicators::trial::{check, closing};
    use crate::analytics::rolling::average::naive::wma;

    #[test]
    fn equals_the_recomputation() {
        for period in [1, 2, 20] {
            check(&format!("wma({period})"), |bars| Some(vec![*wma(&closing(bars), period).last()?]));
        }
    }
}
