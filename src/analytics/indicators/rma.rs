//! Wilder's moving average of candle closes (also called smoothed, or running): weight
//! `1 / period` for the newest.
//!
//! Source: J. W. Wilder, "New Concepts in Technical Trading Systems" (1978). Silent until
//! `period` closes were seen; their plain mean is the first value. Equals TA-Lib's `RMA`.
//! O(1) a bar.

use crate::analytics::indicator::{Arguments, Bar, Entry, Indicator, Needs, Parameter, any};
use crate::analytics::rolling::average;
use crate::analytics::rolling::state::State;

pub const ENTRY: Entry = Entry {
    name: "rma",
    summary: "moving average of closes as Wilder smooths",
    parameters: &[Parameter::period("period", 14, 1)],
    outputs: &["value"],
    warm_up: |arguments| arguments.period(0),
    check: any,
    build: |arguments| Box::new(Rma::new(arguments)),
    needs: Needs::Prices,
};

struct Rma {
    average: average::Rma,
}

impl Rma {
    fn new(arguments: &Arguments) -> Self {
        Self { average: average::Rma::new(arguments.period(0)) }
    }
}

impl Indicator for Rma {
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
    use crate::analytics::rolling::average::naive::rma;

    #[test]
    fn equals_the_recomputation() {
        for period in [1, 2, 14] {
            check(&format!("rma({period})"), |bars| Some(vec![*rma(&closing(bars), period).last()?]));
        }
    }
}
