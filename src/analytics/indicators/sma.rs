//! Simple moving average of candle closes.
//!
//! Silent until `period` closes were seen. Equals TA-Lib's `SMA`. Amortised O(1) a bar.

use crate::analytics::indicator::{Entry, Needs, Parameter, any, keeping};
use crate::analytics::rolling::sum::Sum;

pub const ENTRY: Entry = Entry {
    name: "sma",
    summary: "simple moving average of closes",
    parameters: &[Parameter::period("period", 20, 1)],
    outputs: &["value"],
    warm_up: |arguments| arguments.period(0),
    check: any,
    build: |arguments| {
        keeping(Sum::new(arguments.period(0)), Sum::state, |closes, bar| {
            closes.push(bar.close);
            closes.is_full().then(|| [closes.mean()])
        })
    },
    needs: Needs::Prices,
};

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
