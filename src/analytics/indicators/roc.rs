//! Rate of change: the close against that of `period` bars before, in percent.
//!
//! Equals TA-Lib's `ROC`: silent for `period` bars. O(1) a bar.

use crate::analytics::indicator::{Arguments, Bar, Entry, Indicator, Needs, Parameter, any};
use crate::analytics::rolling::state::State;
use crate::analytics::rolling::window::Window;

pub const ENTRY: Entry = Entry {
    name: "roc",
    summary: "change of the close in percent",
    parameters: &[Parameter::period("period", 10, 1)],
    outputs: &["value"],
    warm_up: |arguments| arguments.period(0) + 1,
    check: any,
    build: |arguments| Box::new(Roc::new(arguments)),
    needs: Needs::Prices,
};

struct Roc {
    closes: Window,
}

impl Roc {
    fn new(arguments: &Arguments) -> Self {
        Self { closes: Window::new(arguments.period(0)) }
    }
}

impl Indicator for Roc {
    fn advance(&mut self, bar: &Bar<'_>, out: &mut [f64]) -> bool {
        let Some(before) = self.closes.push(bar.close) else { return false };
        out[0] = if before == 0.0 { 0.0 } else { 100.0 * ((bar.close - before) / before) };
        true
    }

    fn state(&mut self, state: &mut State<'_>) {
        self.closes.state(state);
    }
}

#[cfg(test)]
mod tests {
    use crate::analytics::indicators::trial::check;

    #[test]
    fn equals_the_recomputation() {
        for period in [1, 10] {
            check(&format!("roc({period})"), |bars| {
                let (now, before) =
                    (bars[bars.len() - 1].close, bars[bars.len().checked_sub(period + 1)?].close);
                Some(vec![(now - before) / before * 100.0])
            });
        }
    }
}
