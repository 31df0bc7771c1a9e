//! Average true range: how far prices reach in a bar, gaps between bars included.
//!
//! In units of price. Equals TA-Lib's `ATR` (Wilder's average, see
//! [`crate::analytics::rolling::true_range`]); silent until `period` true ranges were seen,
//! the first of which is that of the second bar. O(1) a bar.

use crate::analytics::indicator::{Arguments, Bar, Entry, Indicator, Needs, Parameter, any};
use crate::analytics::rolling::state::State;
use crate::analytics::rolling::true_range::AverageTrueRange;

pub const ENTRY: Entry = Entry {
    name: "atr",
    summary: "average true range, Wilder's, in units of price",
    parameters: &[Parameter::period("period", 14, 1)],
    outputs: &["value"],
    warm_up: |arguments| arguments.period(0) + 1,
    check: any,
    build: |arguments| Box::new(Atr::new(arguments)),
    needs: Needs::Prices,
};

struct Atr {
    range: AverageTrueRange,
}

impl Atr {
    fn new(arguments: &Arguments) -> Self {
        Self { range: AverageTrueRange::new(arguments.period(0)) }
    }
}

impl Indicator for Atr {
    fn advance(&mut self, bar: &Bar<'_>, out: &mut [f64]) -> bool {
        let Some(range) = self.range.advance(bar) else { return false };
        out[0] = range;
        true
    }

    fn state(&mut self, state: &mut State<'_>) {
        self.range.state(state);
    }
}

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
