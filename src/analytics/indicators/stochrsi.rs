//! Stochastic of the relative strength index: where between its lowest and highest of the
//! last `k_period` bars the index of `period` closes lies (`k`, 0 to 100), and the simple
//! average of that (`d`).
//!
//! Source: T. Chande and S. Kroll, "The New Technical Trader" (1994). Equals TA-Lib's
//! `STOCHRSI`: silent until `d` is there, 0 where the index did not move by more than
//! rounding. Amortised O(1) a bar.

use crate::analytics::indicator::{Arguments, Bar, Entry, Needs, Parameter, any, keeping};
use crate::analytics::indicators::rsi::index;
use crate::analytics::rolling::gains::Gains;
use crate::analytics::rolling::span::Spans;
use crate::analytics::rolling::state::State;
use crate::analytics::rolling::sum::Sum;

pub const ENTRY: Entry = Entry {
    name: "stochrsi",
    summary: "stochastic of the relative strength index, 0 to 100",
    parameters: &[
        Parameter::period("period", 14, 2),
        Parameter::period("k_period", 5, 1),
        Parameter::period("d_period", 3, 1),
    ],
    outputs: &["k", "d"],
    warm_up: |arguments| arguments.period(0) + arguments.period(1) + arguments.period(2) - 1,
    check: any,
    build: |arguments| keeping(StochRsi::new(arguments), StochRsi::state, StochRsi::advance),
    needs: Needs::Prices,
};

struct StochRsi {
    gains: Gains,
    spans: Spans,
    average: Sum,
}

impl StochRsi {
    fn new(arguments: &Arguments) -> Self {
        Self {
            gains: Gains::new(arguments.period(0)),
            spans: Spans::new(arguments.period(1)),
            average: Sum::new(arguments.period(2)),
        }
    }

    fn advance(&mut self, bar: &Bar<'_>) -> Option<[f64; 2]> {
        let gains = self.gains.push(bar.close)?;
        let rsi = index(gains);
        let span = self.spans.push(rsi, rsi)?;
        let k = span.percent(rsi);
        self.average.push(k);
        self.average.is_full().then(|| [k, self.average.mean()])
    }

    fn state(&mut self, state: &mut State<'_>) {
        self.gains.state(state);
        self.spans.state(state);
        self.average.state(state);
    }
}

#[cfg(test)]
mod tests {
    use crate::analytics::indicators::rsi::index;
    use crate::analytics::indicators::trial::{check_within, closing};
    use crate::analytics::rolling::average::naive::sma;
    use crate::analytics::rolling::gains::naive::gains;
    use crate::analytics::rolling::span::naive::span;

    #[test]
    fn equals_the_recomputation() {
        for (period, k, d) in [(14, 5, 3), (14, 14, 3), (2, 3, 1)] {
            // The span of the index may be as small as some 1e-4, and its rounding 1e-14.
            check_within(&format!("stochrsi({period},{k},{d})"), 1e-8, |bars| {
                let rsi: Vec<_> = gains(&closing(bars), period).into_iter().map(index).collect();
                let pairs: Vec<_> = rsi.iter().map(|x| (*x, *x)).collect();
                let k: Vec<_> = (k..=rsi.len())
                    .map(|end| span(&pairs[..end], k).unwrap().percent(rsi[end - 1]))
                    .collect();
                Some(vec![*k.last()?, *sma(&k, d).last()?])
            });
        }
    }
}
