//! Average true range in percent of the close: comparable between instruments.
//!
//! Equals TA-Lib's `NATR`: silent until `period` true ranges were seen, the first of which
//! is that of the second bar. O(1) a bar.

use crate::analytics::indicator::{Entry, Needs, Parameter, any, keeping};
use crate::analytics::rolling::true_range::AverageTrueRange;

pub const ENTRY: Entry = Entry {
    name: "natr",
    summary: "average true range in percent of the close",
    parameters: &[Parameter::period("period", 14, 1)],
    outputs: &["value"],
    warm_up: |arguments| arguments.period(0) + 1,
    check: any,
    build: |arguments| {
        keeping(AverageTrueRange::new(arguments.period(0)), AverageTrueRange::state, |range, bar| {
            Some([100.0 * (range.advance(bar)? / bar.close)])
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
        for period in [1, 14] {
            check(&format!("natr({period})"), |bars| {
                Some(vec![100.0 * average_true_range(bars, period)? / bars[bars.len() - 1].close])
            });
        }
    }
}
