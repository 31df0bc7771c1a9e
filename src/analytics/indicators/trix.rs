//! Rate of change, from bar to bar, of a triply smoothed exponential average of closes, in
//! percent.
//!
//! Source: J. Hutson, "Good Trix", Technical Analysis of Stocks & Commodities 1:5 (1983).
//! Equals TA-Lib's `TRIX`: silent for `3 period - 2` bars. O(1) a bar.

use crate::analytics::indicator::{Arguments, Bar, Entry, Needs, Parameter, any, keeping};
use crate::analytics::rolling::average::EmaLag;
use crate::analytics::rolling::state::State;

pub const ENTRY: Entry = Entry {
    name: "trix",
    summary: "rate of change of a triple exponential average, in percent",
    parameters: &[Parameter::period("period", 15, 1)],
    outputs: &["value"],
    warm_up: |arguments| 3 * arguments.period(0) - 1,
    check: any,
    build: |arguments| keeping(Trix::new(arguments), Trix::state, Trix::advance),
    needs: Needs::Prices,
};

struct Trix {
    previous_close: f64,
    once: EmaLag,
    twice: EmaLag,
    thrice: EmaLag,
    /// Whether there was an average before.
    started: bool,
}

impl Trix {
    fn new(arguments: &Arguments) -> Self {
        let period = arguments.period(0);
        let average = EmaLag::new(period);
        Self {
            previous_close: 0.0,
            once: average.clone(),
            twice: average.clone(),
            thrice: average,
            started: false,
        }
    }

    fn advance(&mut self, bar: &Bar<'_>) -> Option<[f64; 1]> {
        let change = bar.close - self.previous_close;
        self.previous_close = bar.close;
        let once = self.once.push(change)?;
        let twice = self.twice.push(once.moved)?;
        let thrice = self.thrice.push(twice.moved)?;
        let before = bar.close - once.lag - twice.lag - thrice.lag - thrice.moved;
        std::mem::replace(&mut self.started, true)
            .then(|| [if before == 0.0 { 0.0 } else { 100.0 * (thrice.moved / before) }])
    }

    fn state(&mut self, state: &mut State<'_>) {
        state.f64(&mut self.previous_close);
        self.once.state(state);
        self.twice.state(state);
        self.thrice.state(state);
        state.bool(&mut self.started);
    }
}

#[cfg(test)]
mod tests {
    use crate::analytics::indicators::trial::{check_within, closing};
    use crate::analytics::rolling::average::naive::ema;

    #[test]
    fn equals_the_recomputation() {
        for period in [1, 2, 15] {
            // One average less the one before it, each right within some 1e-16 of itself.
            check_within(&format!("trix({period})"), 1e-12, |bars| {
                let averages = ema(&ema(&ema(&closing(bars), period), period), period);
                let [.., before, now] = averages[..] else { return None };
                Some(vec![100.0 * (now - before) / before])
            });
        }
    }
}
