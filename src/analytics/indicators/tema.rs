//! Triple exponential moving average of candle closes: `3 a - 3 b + c` of the average `a`, its
//! average `b` and the average of that.
//!
//! Source: P. Mulloy, "Smoothing Data with Less Lag", Technical Analysis of Stocks &
//! Commodities 12:2 (1994). Equals TA-Lib's `TEMA`: silent for `3 period - 3` bars. O(1) a bar.

use crate::analytics::indicator::{Arguments, Bar, Entry, Needs, Parameter, any, keeping};
use crate::analytics::rolling::average::Ema;
use crate::analytics::rolling::state::State;

pub const ENTRY: Entry = Entry {
    name: "tema",
    summary: "triple exponential moving average of closes",
    parameters: &[Parameter::period("period", 20, 1)],
    outputs: &["value"],
    warm_up: |arguments| 3 * arguments.period(0) - 2,
    check: any,
    build: |arguments| keeping(Tema::new(arguments), Tema::state, Tema::advance),
    needs: Needs::Prices,
};

struct Tema {
    once: Ema,
    twice: Ema,
    thrice: Ema,
}

impl Tema {
    fn new(arguments: &Arguments) -> Self {
        let period = arguments.period(0);
        Self { once: Ema::new(period), twice: Ema::new(period), thrice: Ema::new(period) }
    }

    fn advance(&mut self, bar: &Bar<'_>) -> Option<[f64; 1]> {
        let once = self.once.push(bar.close)?;
        let twice = self.twice.push(once)?;
        let thrice = self.thrice.push(twice)?;
        Some([3.0 * (once - twice) + thrice])
    }

    fn state(&mut self, state: &mut State<'_>) {
        self.once.state(state);
        self.twice.state(state);
        self.thrice.state(state);
    }
}

#[cfg(test)]
mod tests {
    use crate::analytics::indicators::trial::{check, closing};
    use crate::analytics::rolling::average::naive::ema;

    #[test]
    fn equals_the_recomputation() {
        for period in [1, 2, 20] {
            check(&format!("tema({period})"), |bars| {
                let once = ema(&closing(bars), period);
                let twice = ema(&once, period);
                let thrice = ema(&twice, period);
                Some(vec![3.0 * once.last()? - 3.0 * twice.last()? + thrice.last()?])
            });
        }
    }
}
