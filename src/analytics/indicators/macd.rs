//! Moving average convergence/divergence: a fast less a slow exponential average of closes
//! (`macd`), the exponential average of that (`signal`) and the difference of the two
//! (`histogram`). In units of price.
//!
//! Source: G. Appel, "Technical Analysis: Power Tools for Active Investors" (2005). Equals
//! TA-Lib's `MACD`, seeds included: the fast average takes only the last of the closes that seed
//! the slow one, so that both start at the same bar; all is silent until the signal is there.
//! O(1) a bar.

use crate::analytics::indicator::{Arguments, Bar, Entry, Needs, Parameter, keeping};
use crate::analytics::rolling::average::{Ema, EmaLag};
use crate::analytics::rolling::state::State;

pub const ENTRY: Entry = Entry {
    name: "macd",
    summary: "moving average convergence/divergence, in units of price",
    parameters: &[
        Parameter::period("fast", 12, 1),
        Parameter::period("slow", 26, 2),
        Parameter::period("signal", 9, 1),
    ],
    outputs: &["macd", "signal", "histogram"],
    warm_up: |arguments| arguments.period(1) + arguments.period(2) - 1,
    check: fast_below_slow,
    build: |arguments| keeping(Macd::new(arguments), Macd::state, Macd::advance),
    needs: Needs::Prices,
};

/// For [`Entry::check`] where the first parameter is the fast and the second the slow period.
pub fn fast_below_slow(arguments: &Arguments) -> Result<(), &'static str> {
    if arguments.period(0) < arguments.period(1) { Ok(()) } else { Err("fast must be below slow") }
}

struct Macd {
    previous_close: f64,
    /// Bars that the fast average still leaves out, so that it starts with the slow one.
    skip: u64,
    fast: EmaLag,
    slow: EmaLag,
    signal: Ema,
}

impl Macd {
    fn new(arguments: &Arguments) -> Self {
        let (fast, slow) = (arguments.period(0), arguments.period(1));
        Self {
            previous_close: 0.0,
            skip: (slow - fast) as u64,
            fast: EmaLag::new(fast),
            slow: EmaLag::new(slow),
            signal: Ema::new(arguments.period(2)),
        }
    }

    #[inline(always)]
    fn advance(&mut self, bar: &Bar<'_>) -> Option<[f64; 3]> {
        let change = bar.close - self.previous_close;
        self.previous_close = bar.close;
        let slow = self.slow.push(change);
        if self.skip > 0 {
            self.skip -= 1;
            return None;
        }
        let (fast, slow) = (self.fast.push(change)?, slow?);
        // The averages are large and their difference is small; their lags are as small as it.
        let macd = slow.lag - fast.lag;
        let signal = self.signal.push(macd)?;
        Some([macd, signal, macd - signal])
    }

    fn state(&mut self, state: &mut State<'_>) {
        state.f64(&mut self.previous_close);
        state.word(&mut self.skip);
        self.fast.state(state);
        self.slow.state(state);
        self.signal.state(state);
    }
}

#[cfg(test)]
pub mod naive {
    use crate::analytics::indicator::Bar;
    use crate::analytics::indicators::trial::closing;
    use crate::analytics::rolling::average::naive::ema;

    /// Fast and slow average from the `slow`th bar on.
    pub fn averages(bars: &[Bar<'_>], fast: usize, slow: usize) -> Vec<(f64, f64)> {
        let closes = closing(bars);
        let Some(late) = closes.get(slow - fast..) else { return Vec::new() };
        ema(late, fast).into_iter().zip(ema(&closes, slow)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::naive::averages;
    use crate::analytics::catalogue::Spec;
    use crate::analytics::indicators::trial::{check_within, closes, run};
    use crate::analytics::rolling::average::naive::ema;

    #[test]
    fn equals_the_recomputation() {
        for (fast, slow, signal) in [(12, 26, 9), (1, 2, 1), (3, 10, 4)] {
            // Averages of prices up to a million, each right within some 1e-16 of itself, cancel.
            check_within(&format!("macd({fast},{slow},{signal})"), 1e-8, |bars| {
                let macd: Vec<_> =
                    averages(bars, fast, slow).iter().map(|(fast, slow)| fast - slow).collect();
                let (macd, signal) = (*macd.last()?, *ema(&macd, signal).last()?);
                Some(vec![macd, signal, macd - signal])
            });
        }
    }

    #[test]
    fn a_plain_converges() {
        assert_eq!(run("macd(3,5,2)", &closes(&[0.1; 9])).pop().unwrap(), Some(vec![0.0; 3]));
    }

    #[test]
    fn fast_is_below_slow() {
        let message = Spec::parse("macd(26,12,9)").unwrap_err().to_string();
        assert!(message.contains("fast must be below slow"), "{message}");
    }
}
