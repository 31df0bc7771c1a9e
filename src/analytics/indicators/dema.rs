//! Double exponential moving average of candle closes: twice the average less the average of
//! the average, which takes back some of its lag.
//!
//! Source: P. Mulloy, "Smoothing Data with Faster Moving Averages", Technical Analysis of
//! Stocks & Commodities 12:1 (1994). Equals TA-Lib's `DEMA`: silent for `2 period - 2` bars.
//! O(1) a bar.

use crate::analytics::indicator::{Arguments, Bar, Entry, Needs, Parameter, any, keeping};
use crate::analytics::rolling::average::Ema;
use crate::analytics::rolling::state::State;

pub const ENTRY: Entry = Entry {
    name: "dema",
    summary: "double exponential moving average of closes",
    parameters: &[Parameter::period("period", 20, 1)],
    outputs: &["value"],
    warm_up: |arguments| 2 * arguments.period(0) - 1,
    check: any,
    build: |arguments| keeping(Dema::new(arguments), Dema::state, Dema::advance),
    needs: Needs::Prices,
};

struct Dema {
    once: Ema,
    twice: Ema,
}

impl Dema {
    fn new(arguments: &Arguments) -> Self {
        let period = arguments.period(0);
        Self { once: Ema::new(period), twice: Ema::new(period) }
    }

    fn advance(&mut self, bar: &Bar<'_>) -> Option<[f64; 1]> {
        let once = self.once.push(bar.close)?;
        let twice = self.twice.push(once)?;
        Some([2.0 * once - twice])
    }

    fn state(&mut self, state: &mut State<'_>) {
        self.once.state(state);
        self.twice.state(state);
    }
}

#[cfg(test)]
mod tests {
    use crate::analytics::indicators::trial::{check, closing};
    use crate::analytics::rolling::average::naive::ema;

    #[test]
    fn equals_the_recomputation() {
        for period in [1, 2, 20] {
            check(&format!("dema({period})"), |bars| {
                let once = ema(&closing(bars), period);
                Some(vec![2.0 * once.last()? - ema(&once, period).last()?])
            });
        }
    }
}
