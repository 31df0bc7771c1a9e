//! Kaufman's adaptive moving average of candle closes: quick where prices go one way, slow
//! where they go to and fro.
//!
//! The efficiency ratio is the change over `period` bars by the sum of the changes from bar
//! to bar, 1 where nothing changed. The smoothing lies between that of averages of 30 and of
//! 2 bars, squared. Source: P. Kaufman, "Smarter Trading" (1995). Equals TA-Lib's `KAMA`:
//! silent for `period` bars, after which the average starts from the close before. Where
//! TA-Lib keeps a trace of changes that left its window and so takes a plain for to and fro,
//! this one does not. Amortised O(1) a bar.

use crate::analytics::indicator::{Arguments, Bar, Entry, Needs, Parameter, any, keeping};
use crate::analytics::rolling::fold::{Fold, Sums};
use crate::analytics::rolling::state::State;
use crate::analytics::rolling::window::Window;

pub const ENTRY: Entry = Entry {
    name: "kama",
    summary: "Kaufman's adaptive moving average of closes",
    parameters: &[Parameter::period("period", 10, 2)],
    outputs: &["value"],
    warm_up: |arguments| arguments.period(0) + 1,
    check: any,
    build: |arguments| keeping(Kama::new(arguments), Kama::state, Kama::advance),
    needs: Needs::Prices,
};

struct Kama {
    closes: Window,
    moves: Fold<Sums<1>>,
    /// The close before, while there is no average yet.
    value: f64,
}

impl Kama {
    fn new(arguments: &Arguments) -> Self {
        let period = arguments.period(0);
        Self { closes: Window::new(period), moves: Fold::new(period), value: 0.0 }
    }

    fn advance(&mut self, bar: &Bar<'_>) -> Option<[f64; 1]> {
        const SLOW: f64 = 2.0 / 31.0;
        const FAST: f64 = 2.0 / 3.0;
        if let Some(before) = self.closes.back(0) {
            self.moves.push(Sums([(bar.close - before).abs()]));
        }
        let Some(oldest) = self.closes.push(bar.close) else {
            self.value = bar.close;
            return None;
        };
        let (change, path) = ((bar.close - oldest).abs(), self.moves.total().0[0]);
        let efficiency = if path <= change { 1.0 } else { change / path };
        let smoothing = efficiency * (FAST - SLOW) + SLOW;
        self.value += (bar.close - self.value) * (smoothing * smoothing);
        Some([self.value])
    }

    fn state(&mut self, state: &mut State<'_>) {
        self.closes.state(state);
        self.moves.state(state);
        state.f64(&mut self.value);
    }
}

#[cfg(test)]
mod tests {
    use crate::analytics::indicators::trial::{check, closes, closing, run};

    #[test]
    fn equals_the_recomputation() {
        for period in [2, 10] {
            check(&format!("kama({period})"), |bars| {
                let closes = closing(bars);
                let mut value = *closes.get(period - 1)?;
                for window in closes.windows(period + 1) {
                    let change = (window[period] - window[0]).abs();
                    let path: f64 = window.windows(2).map(|pair| (pair[1] - pair[0]).abs()).sum();
                    let efficiency = if path > 0.0 { (change / path).min(1.0) } else { 1.0 };
                    let smoothing = efficiency * (2.0 / 3.0 - 2.0 / 31.0) + 2.0 / 31.0;
                    value += (window[period] - value) * smoothing * smoothing;
                }
                (closes.len() > period).then(|| vec![value])
            });
        }
    }

    #[test]
    fn runs_after_a_trend_and_waits_in_a_range() {
        let last = |list: &[f64]| run("kama(2)", &closes(list)).pop().unwrap().unwrap()[0];
        assert!((last(&[1.0, 2.0, 3.0]) - (2.0 + 4.0 / 9.0)).abs() < 1e-15);
        assert!((last(&[1.0, 2.0, 1.0]) - (2.0 - 4.0 / 961.0)).abs() < 1e-15);
        assert_eq!(run("kama(2)", &closes(&[1.0, 2.0])), [None, None]);
    }
}
