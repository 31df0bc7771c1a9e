//! The way from close to close, for rules that look at prices themselves.

use crate::analytics::rolling::state::State;
use crate::analytics::signals::rule::Closed;

/// The close before, and how far the price came since.
#[derive(Clone, Copy, Debug, Default)]
pub struct Returns {
    last: Option<f64>,
}

impl Returns {
    /// ln(close / close before). `None` for a candle that did not trade, and for the first one behind a hole: a return
    /// over a hole is one over unknown time.
    pub fn next(&mut self, closed: &Closed<'_>) -> Option<f64> {
        if closed.whole <= 1 {
            self.last = None;
        }
        let close = closed.close()?;
        let before = self.last.replace(close)?;
        Some(libm::log(close / before))
    }

    pub fn state(&mut self, state: &mut State<'_>) {
        state.option_f64(&mut self.last);
    }
}

/// Of something that is so many times its threshold, 0 to 1: half at the threshold itself.
pub fn score_of(times: f64) -> f64 {
    let times = times.abs();
    times / (1.0 + times)
}
