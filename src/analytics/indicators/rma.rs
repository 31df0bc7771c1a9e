//! Wilder's moving average of candle closes (also called smoothed, or running): weight
//! `1 / period` for the newest.
//!
//! Source: J. W. Wilder, "New Concepts in Technical Trading Systems" (1978). Silent until
//! `period` closes were seen; their plain mean is the first value. Equals TA-Lib's `RMA`.
//! O(1) a bar.

use crate::analytics::indicator::{Entry, Needs, Parameter, any, keeping};
use crate::analytics::rolling::average::Rma;

pub const ENTRY: Entry = Entry {
    name: "rma",
    summary: "moving average of closes as Wilder smooths",
    parameters: &[Parameter::period("period", 14, 1)],
    outputs: &["value"],
    warm_up: |arguments| arguments.period(0),
    check: any,
    build: |arguments| {
        keeping(Rma::new(arguments.period(0)), Rma::state, |average, bar| Some([average.push(bar.close)?]))
    },
    needs: Needs::Prices,
};

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
