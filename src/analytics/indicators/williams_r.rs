//! Williams %R: how far below the highest high of the last `period` bars the close lies, in
//! percent of their range; 0 at the high, -100 at the low.
//!
//! Source: L. Williams, "How I Made One Million Dollars Last Year Trading Commodities" (1973).
//! Equals TA-Lib's `WILLR`: silent for `period - 1` bars, 0 where the bars have no range
//! between them. Amortised O(1) a bar.

use crate::analytics::indicator::{Entry, Needs, Parameter, any, keeping};
use crate::analytics::rolling::span::Spans;

pub const ENTRY: Entry = Entry {
    name: "williams_r",
    summary: "Williams %R, -100 to 0",
    parameters: &[Parameter::period("period", 14, 1)],
    outputs: &["value"],
    warm_up: |arguments| arguments.period(0),
    check: any,
    build: |arguments| {
        keeping(Spans::new(arguments.period(0)), Spans::state, |spans, bar| {
            let span = spans.push(bar.high, bar.low)?;
            Some([100.0 * span.part(bar.close - span.highest)])
        })
    },
    needs: Needs::Prices,
};

#[cfg(test)]
mod tests {
    use crate::analytics::indicators::trial::{check, closes, run};
    use crate::analytics::rolling::span::naive::span;

    #[test]
    fn equals_the_recomputation() {
        for period in [1, 2, 14] {
            check(&format!("williams_r({period})"), |bars| {
                let pairs: Vec<_> = bars.iter().map(|bar| (bar.high, bar.low)).collect();
                let span = span(&pairs, period)?;
                let width = span.highest - span.lowest;
                let below = span.highest - bars[bars.len() - 1].close;
                Some(vec![if width == 0.0 { 0.0 } else { -100.0 * below / width }])
            });
        }
    }

    #[test]
    fn at_the_top_at_the_bottom_and_on_a_plain() {
        let values = run("williams_r(3)", &closes(&[1.0, 2.0, 3.0, 1.0, 1.0, 1.0]));
        let expected = [None, None, Some(0.0), Some(-100.0), Some(-100.0), Some(0.0)];
        assert_eq!(values, expected.map(|value| value.map(|value| vec![value])));
    }
}
