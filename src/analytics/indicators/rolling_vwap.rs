//! Volume-weighted average price of the last `period` candles.
//!
//! What was paid by what was traded: quote volume over volume where the candles say the
//! former, which is exact; ready candles that do not are taken at their typical price,
//! `(high + low + close) / 3`. Silent until `period` candles were seen. TA-Lib has none; over
//! typical prices it is `VWMA` of these. Amortised O(1) a bar.

use crate::analytics::indicator::{Entry, Needs, Parameter, any, keeping};
use crate::analytics::rolling::fold::{Fold, Sums};

pub const ENTRY: Entry = Entry {
    name: "rolling_vwap",
    summary: "volume-weighted average price of the last candles",
    parameters: &[Parameter::period("period", 20, 1)],
    outputs: &["value"],
    warm_up: |arguments| arguments.period(0),
    check: any,
    build: |arguments| {
        keeping(Fold::new(arguments.period(0)), Fold::state, |sums, bar| {
            sums.push(Sums([bar.value_traded(), bar.volume]));
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
            check(&format!("rolling_vwap({period})"), |bars| {
                let window = &bars[bars.len().checked_sub(period)?..];
                let value: f64 = window.iter().map(|bar| bar.value_traded()).sum();
                Some(vec![value / window.iter().map(|bar| bar.volume).sum::<f64>()])
            });
        }
    }
}
