//! Chaikin money flow: the money flow of [`ad`](super::ad) over the last `period` candles, as
//! a part of their volume; -1 to 1.
//!
//! Source: M. Chaikin, as in S. Achelis, "Technical Analysis from A to Z" (2000). Silent until
//! `period` candles were seen. Equals TA-Lib's `CMF`. Amortised O(1) a bar.

use crate::analytics::indicator::{Entry, Needs, Parameter, any, keeping};
use crate::analytics::indicators::ad::money_flow;
use crate::analytics::rolling::fold::{Fold, Sums};

pub const ENTRY: Entry = Entry {
    name: "cmf",
    summary: "Chaikin money flow, as a part of volume",
    parameters: &[Parameter::period("period", 20, 1)],
    outputs: &["value"],
    warm_up: |arguments| arguments.period(0),
    check: any,
    build: |arguments| {
        keeping(Fold::new(arguments.period(0)), Fold::state, |sums, bar| {
            sums.push(Sums([money_flow(bar), bar.volume]));
            let [flow, volume] = sums.total().0;
            sums.is_full().then(|| [if volume > 0.0 { flow / volume } else { 0.0 }])
        })
    },
    needs: Needs::Amounts,
};

#[cfg(test)]
mod tests {
    use super::money_flow;
    use crate::analytics::indicators::trial::check_within;

    #[test]
    fn equals_the_recomputation() {
        for period in [1, 2, 20] {
            // Flows of either sign cancel.
            check_within(&format!("cmf({period})"), 1e-13, |bars| {
                let window = &bars[bars.len().checked_sub(period)?..];
                let flow: f64 = window.iter().map(money_flow).sum();
                Some(vec![flow / window.iter().map(|bar| bar.volume).sum::<f64>()])
            });
        }
    }
}
