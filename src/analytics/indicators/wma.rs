//! Linearly weighted moving average of candle closes: weights 1, 2, ... `period`, the newest
//! the heaviest.
//!
//! Silent until `period` closes were seen. Equals TA-Lib's `WMA`. Amortised O(1) a bar.

use crate::analytics::indicator::{Entry, Needs, Parameter, any, keeping};
use crate::analytics::rolling::average::Wma;

pub const ENTRY: Entry = Entry {
    name: "wma",
    summary: "linearly weighted moving average of closes",
    parameters: &[Parameter::period("period", 20, 1)],
    outputs: &["value"],
    warm_up: |arguments| arguments.period(0),
    check: any,
    build: |arguments| {
        keeping(Wma::new(arguments.period(0)), Wma::state, |average, bar| Some([average.push(bar.close)?]))
    },
    needs: Needs::Prices,
};

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
