//! Average true range: how far prices reach in a bar, gaps between bars included.
//!
//! In units of price. Equals TA-Lib's `ATR` (Wilder's average, see
//! [`crate::analytics::rolling::true_range`]); silent until `period` true ranges were seen,
//! the first of which is that of the second bar. O(1) a bar.

use crate::analytics::indicator::{Entry, Needs, Parameter, any, keeping};
use crate::analytics::rolling::true_range::AverageTrueRange;

pub const ENTRY: Entry = Entry {
    name: "atr",
    summary: "average true range, Wilder's, in units of price",
    parameters: &[Parameter::period("period", 14, 1)],
    outputs: &["value"],
    warm_up: |arguments| arguments.period(0) + 1,
    check: any,
    build: |arguments| {
        keeping(AverageTrueRange::new(arguments.period(0)), AverageTrueRange::state, |range, bar| {
            Some([range.advance(bar)?])
        })
    },
    needs: Needs::Prices,
};

#[cfg(test)]
mod tests {
    use crate::analytics::indicators::trial::check;
    use crate::analytics::rolling::true_range::naive::average_true_range;

    #[test]
    fn equals_the_recomputation() {
        for period in [1, 2, 14] {
            check(&format!("atr({period})"), |bars| Some(vec![average_true_range(bars, period)?]));
        }
    }
}
