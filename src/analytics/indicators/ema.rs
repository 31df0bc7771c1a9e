//! Exponential moving average of candle closes: weight `2 / (period + 1)` for the newest.
//!
//! Silent until `period` closes were seen; their plain mean is the first value. Equals
//! TA-Lib's `EMA`. O(1) a bar.

use crate::analytics::indicator::{Entry, Needs, Parameter, any, keeping};
use crate::analytics::rolling::average::Ema;

pub const ENTRY: Entry = Entry {
    name: "ema",
    summary: "exponential moving average of closes",
    parameters: &[Parameter::period("period", 20, 1)],
    outputs: &["value"],
    warm_up: |arguments| arguments.period(0),
    check: any,
    build: |arguments| {
        keeping(Ema::new(arguments.period(0)), Ema::state, |average, bar| Some([average.push(bar.close)?]))
    },
    needs: Needs::Prices,
};

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
