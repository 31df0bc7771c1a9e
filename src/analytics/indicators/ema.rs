//! Exponential moving average of candle closes: weight `2 / (period + 1)` for the newest.
//!
//! Silent until `period` closes were seen; their plain mean is the first value. Equals
//! TA-Lib's `EMA`. O(1) a bar.

use crate::analytics::indicator::{Arguments, Bar, Entry, Indicator, Needs, Parameter, any};
use crate::analytics::rolling::average;
use crate::analytics::rolling::state::State;

pub const ENTRY: Entry = Entry {
    name: "ema",
    summary: "exponential moving average of closes",
    parameters: &[Parameter::period("period", 20, 1)],
    outputs: &["value"],
    warm_up: |arguments| arguments.period(0),
    check: any,
    build: |arguments| Box::new(Ema::new(arguments)),
    needs: Needs::Prices,
};

struct Ema {
    average: average::Ema,
}

impl Ema {
    fn new(arguments: &Arguments) -> Self {
        Self { average: average::Ema::new(arguments.period(0)) }
    }
}

impl Indicator for Ema {
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
    use crate::analytics::rolling::average::naive::ema;

    #[test]
    fn equals_the_recomputation() {
        for period in [1, 2, 20] {
            check(&format!("ema({period})"), |bars| Some(vec![*ema(&closing(bars), period).last()?]));
        }
    }
}
