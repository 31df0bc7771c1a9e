//! Average true range in percent of the close: comparable between instruments.
//!
//! Equals TA-Lib's `NATR`: silent until `period` true ranges were seen, the first of which
//! is that of the second bar. O(1) a bar.

use crate::analytics::indicator::{Arguments, Bar, Entry, Indicator, Needs, Parameter, any};
use crate::analytics::rolling::state::State;
use crate::analytics::rolling::true_range::AverageTrueRange;

pub const ENTRY: Entry = Entry {
    name: "natr",
    summary: "average true range in percent of the close",
    parameters: &[Parameter::period("period", 14, 1)],
    outputs: &["value"],
    warm_up: |arguments| arguments.period(0) + 1,
    check: any,
    build: |arguments| Box::new(Natr::new(arguments)),
    needs: Needs::Prices,
};

struct Natr {
    range: AverageTrueRange,
}

impl Natr {
    fn new(arguments: &Arguments) -> Self {
        Self { range: AverageTrueRange::new(arguments.period(0)) }
    }
}

impl Indicator for Natr {
    fn advance(&mut self, bar: &Bar<'_>, out: &mut [f64]) -> bool {
        let Some(range) = self.range.advance(bar) else { return false };
        out[0] = 100.0 * (range / bar.close);
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
        for period in [1, 14] {
            check(&format!("natr({period})"), |bars| {
                Some(vec![100.0 * average_true_range(bars, period)? / bars[bars.len() - 1].close])
            });
        }
    }
}
