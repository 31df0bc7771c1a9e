//! Simple moving average of candle closes.
//!
//! Silent until `period` closes were seen. Equals TA-Lib's `SMA`. Amortised O(1) a bar.

use crate::analytics::indicator::{Arguments, Bar, Entry, Indicator, Needs, Parameter, any};
use crate::analytics::rolling::state::State;
use crate::analytics::rolling::sum::Sum;

pub const ENTRY: Entry = Entry {
    name: "sma",
    summary: "simple moving average of closes",
    parameters: &[Parameter::period("period", 20, 1)],
    outputs: &["value"],
    warm_up: |arguments| arguments.period(0),
    check: any,
    build: |arguments| Box::new(Sma::new(arguments)),
    needs: Needs::Prices,
};

struct Sma {
    closes: Sum,
}

impl Sma {
    fn new(arguments: &Arguments) -> Self {
        Self { closes: Sum::new(arguments.period(0)) }
    }
}

impl Indicator for Sma {
    fn advance(&mut self, bar: &Bar<'_>, out: &mut [f64]) -> bool {
        self.closes.push(bar.close);
        out[0] = self.closes.mean();
        self.closes.is_full()
    }

    fn state(&mut self, state: &mut State<'_>) {
        self.closes.state(state);
    }
}

#[cfg(test)]
mod tests {
    use crate::analytics::indicators::trial::{check, closing};
    use crate::analytics::rolling::average::naive::sma;

    #[test]
    fn equals_the_recomputation() {
        for period in [1, 2, 20] {
            check(&format!("sma({period})"), |bars| Some(vec![*sma(&closing(bars), period).last()?]));
        }
    }
}
