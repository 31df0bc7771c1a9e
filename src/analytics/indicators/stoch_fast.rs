//! Fast stochastic oscillator: where between the lowest low and the highest high of the last
//! `k_period` bars the close lies (`k`, 0 to 100), and its simple average (`d`).
//!
//! Source: G. Lane, "Lane's Stochastics", Technical Analysis of Stocks & Commodities 2:3
//! (1984). Equals TA-Lib's `STOCHF`: silent until `d` is there, 0 where the bars have no range
//! between them. Amortised O(1) a bar.

use crate::analytics::indicator::{Arguments, Bar, Entry, Needs, Parameter, any, keeping};
use crate::analytics::rolling::span::Spans;
use crate::analytics::rolling::state::State;
use crate::analytics::rolling::sum::Sum;

pub const ENTRY: Entry = Entry {
    name: "stoch_fast",
    summary: "fast stochastic oscillator, 0 to 100",
    parameters: &[Parameter::period("k_period", 5, 1), Parameter::period("d_period", 3, 1)],
    outputs: &["k", "d"],
    warm_up: |arguments| arguments.period(0) + arguments.period(1) - 1,
    check: any,
    build: |arguments| keeping(StochFast::new(arguments), StochFast::state, StochFast::advance),
    needs: Needs::Prices,
};

struct StochFast {
    spans: Spans,
    average: Sum,
}

impl StochFast {
    fn new(arguments: &Arguments) -> Self {
        Self { spans: Spans::new(arguments.period(0)), average: Sum::new(arguments.period(1)) }
    }

    fn advance(&mut self, bar: &Bar<'_>) -> Option<[f64; 2]> {
        let span = self.spans.push(bar.high, bar.low)?;
        let k = span.percent(bar.close);
        self.average.push(k);
        self.average.is_full().then(|| [k, self.average.mean()])
    }

    fn state(&mut self, state: &mut State<'_>) {
        self.spans.state(state);
        self.average.state(state);
    }
}

#[cfg(test)]
pub mod naive {
    use crate::analytics::indicator::Bar;
    use crate::analytics::rolling::span::naive::span;

    /// `k` from the `period`th bar on.
    pub fn fast_k(bars: &[Bar<'_>], period: usize) -> Vec<f64> {
        let pairs: Vec<_> = bars.iter().map(|bar| (bar.high, bar.low)).collect();
        (period..=bars.len())
            .map(|end| span(&pairs[..end], period).unwrap().percent(bars[end - 1].close))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::naive::fast_k;
    use crate::analytics::indicators::trial::{check_within, closes, run};
    use crate::analytics::rolling::average::naive::sma;

    #[test]
    fn equals_the_recomputation() {
        for (k, d) in [(5, 3), (1, 1), (14, 1)] {
            // A mean of many zeros and one other.
            check_within(&format!("stoch_fast({k},{d})"), 1e-12, |bars| {
                let k = fast_k(bars, k);
                Some(vec![*k.last()?, *sma(&k, d).last()?])
            });
        }
    }

    #[test]
    fn at_the_top_at_the_bottom_and_on_a_plain() {
        let values = run("stoch_fast(3,1)", &closes(&[1.0, 2.0, 3.0, 1.0, 1.0, 1.0]));
        let expected = [None, None, Some(100.0), Some(0.0), Some(0.0), Some(0.0)];
        assert_eq!(values, expected.map(|k| k.map(|k| vec![k, k])));
    }
}
