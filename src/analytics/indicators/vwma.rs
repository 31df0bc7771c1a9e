//! Moving average of candle closes, each weighted with its candle's volume.
//!
//! Silent until `period` candles were seen. Equals TA-Lib's `VWMA`. Amortised O(1) a bar.

use crate::analytics::indicator::{Entry, Needs, Parameter, any, keeping};
use crate::analytics::rolling::fold::{Fold, Sums};

pub const ENTRY: Entry = Entry {
    name: "vwma",
    summary: "moving average of closes, weighted with volume",
    parameters: &[Parameter::period("period", 20, 1)],
    outputs: &["value"],
    warm_up: |arguments| arguments.period(0),
    check: any,
    build: |arguments| {
        keeping(Fold::new(arguments.period(0)), Fold::state, |sums, bar| {
            sums.push(Sums([bar.close * bar.volume, bar.volume]));
            let [value, volume] = sums.total().0;
            (sums.is_full() && volume > 0.0).then(|| [value / volume])
        })
    },
    needs: Needs::Amounts,
};

#[cfg(test)]
mod tests {
    use crate::analytics::indicators::trial::check;

    #[test]
    fn equals_the_recomputation() {
        for period in [1, 2, 20] {
            check(&format!("vwma({period})"), |bars| {
                let window = &bars[bars.len().checked_sub(period)?..];
                let value: f64 = window.iter().map(|bar| bar.close * bar.volume).sum();
                Some(vec![value / window.iter().map(|bar| bar.volume).sum::<f64>()])
            });
        }
    }
}
