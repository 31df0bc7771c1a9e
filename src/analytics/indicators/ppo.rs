//! Percentage price oscillator: a fast less a slow exponential average of closes, in percent
//! of the slow one.
//!
//! Source: G. Appel, "Technical Analysis: Power Tools for Active Investors" (2005). Equals
//! TA-Lib's `PPO` over exponential averages: each starts with the first close (otherwise than in
//! [`macd`](super::macd)); silent for `slow - 1` bars. O(1) a bar.

use crate::analytics::indicator::{Arguments, Bar, Entry, Needs, Parameter, keeping};
use crate::analytics::indicators::macd::fast_below_slow;
use crate::analytics::rolling::average::EmaLag;
use crate::analytics::rolling::state::State;

pub const ENTRY: Entry = Entry {
    name: "ppo",
    summary: "percentage price oscillator",
    parameters: &[Parameter::period("fast", 12, 1), Parameter::period("slow", 26, 2)],
    outputs: &["value"],
    warm_up: |arguments| arguments.period(1),
    check: fast_below_slow,
    build: |arguments| keeping(Ppo::new(arguments), Ppo::state, Ppo::advance),
    needs: Needs::Prices,
};

struct Ppo {
    previous_close: f64,
    fast: EmaLag,
    slow: EmaLag,
}

impl Ppo {
    fn new(arguments: &Arguments) -> Self {
        Self {
            previous_close: 0.0,
            fast: EmaLag::new(arguments.period(0)),
            slow: EmaLag::new(arguments.period(1)),
        }
    }

    fn advance(&mut self, bar: &Bar<'_>) -> Option<[f64; 1]> {
        let change = bar.close - self.previous_close;
        self.previous_close = bar.close;
        // Each of them sees every change.
        let (fast, slow) = (self.fast.push(change), self.slow.push(change));
        let (fast, slow) = (fast?, slow?);
        let average = bar.close - slow.lag;
        // The averages are large and their difference is small; their lags are as small as it.
        Some([if average == 0.0 { 0.0 } else { 100.0 * ((slow.lag - fast.lag) / average) }])
    }

    fn state(&mut self, state: &mut State<'_>) {
        state.f64(&mut self.previous_close);
        self.fast.state(state);
        self.slow.state(state);
    }
}

#[cfg(test)]
mod tests {
    use crate::analytics::indicators::trial::{check_within, closing};
    use crate::analytics::rolling::average::naive::ema;

    #[test]
    fn equals_the_recomputation() {
        for (fast, slow) in [(12, 26), (1, 2)] {
            // The averages, each right within some 1e-16 of itself, cancel.
            check_within(&format!("ppo({fast},{slow})"), 1e-12, |bars| {
                let closes = closing(bars);
                let (fast, slow) = (*ema(&closes, fast).last()?, *ema(&closes, slow).last()?);
                Some(vec![100.0 * (fast - slow) / slow])
            });
        }
    }
}
