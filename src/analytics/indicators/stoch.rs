//! Slow stochastic oscillator: the `k` of [`stoch_fast`](super::stoch_fast), smoothed by a
//! simple average over `smoothing` bars (`k`), and the simple average of that (`d`).
//!
//! Source: G. Lane, "Lane's Stochastics", Technical Analysis of Stocks & Commodities 2:3
//! (1984). Equals TA-Lib's `STOCH`: silent until `d` is there. Amortised O(1) a bar.

use crate::analytics::indicator::{Arguments, Bar, Entry, Needs, Parameter, any, keeping};
use crate::analytics::rolling::span::Spans;
use crate::analytics::rolling::state::State;
use crate::analytics::rolling::sum::Sum;

pub const ENTRY: Entry = Entry {
    name: "stoch",
    summary: "slow stochastic oscillator, 0 to 100",
    parameters: &[
        Parameter::period("k_period", 5, 1),
        Parameter::period("smoothing", 3, 1),
        Parameter::period("d_period", 3, 1),
    ],
    outputs: &["k", "d"],
    warm_up: |arguments| arguments.period(0) + arguments.period(1) + arguments.period(2) - 2,
    check: any,
    build: |arguments| keeping(Stoch::new(arguments), Stoch::state, Stoch::advance),
    needs: Needs::Prices,
};

struct Stoch {
    spans: Spans,
    once: Sum,
    twice: Sum,
}

impl Stoch {
    fn new(arguments: &Arguments) -> Self {
        Self {
            spans: Spans::new(arguments.period(0)),
            once: Sum::new(arguments.period(1)),
            twice: Sum::new(arguments.period(2)),
        }
    }

    fn advance(&mut self, bar: &Bar<'_>) -> Option<[f64; 2]> {
        let span = self.spans.push(bar.high, bar.low)?;
        self.once.push(span.percent(bar.close));
        if !self.once.is_full() {
            return None;
        }
        let k = self.once.mean();
        self.twice.push(k);
        self.twice.is_full().then(|| [k, self.twice.mean()])
    }

    fn state(&mut self, state: &mut State<'_>) {
        self.spans.state(state);
        self.once.state(state);
        self.twice.state(state);
    }
}

#[cfg(test)]
mod tests {
    use crate::analytics::indicators::stoch_fast::naive::fast_k;
    use crate::analytics::indicators::trial::check_within;
    use crate::analytics::rolling::average::naive::sma;

    #[test]
    fn equals_the_recomputation() {
        for (k, smoothing, d) in [(5, 3, 3), (14, 1, 2), (1, 2, 1)] {
            // A mean of many zeros and one other.
            check_within(&format!("stoch({k},{smoothing},{d})"), 1e-12, |bars| {
                let k = sma(&fast_k(bars, k), smoothing);
                Some(vec![*k.last()?, *sma(&k, d).last()?])
            });
        }
    }
}
