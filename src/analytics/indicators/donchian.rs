//! Donchian channel: the highest high and lowest low of the last `period` bars, this one
//! included, and the middle between them.
//!
//! Source: R. Donchian's four-week rule, as in C. Kestner, "Quantitative Trading Strategies"
//! (2003). Equals TA-Lib's `DONCHIAN`. Amortised O(1) a bar.

use crate::analytics::indicator::{Arguments, Bar, Entry, Needs, Parameter, any, keeping};
use crate::analytics::rolling::extreme::{Highest, Lowest};
use crate::analytics::rolling::state::State;

pub const ENTRY: Entry = Entry {
    name: "donchian",
    summary: "highest high and lowest low of a period, and their middle",
    parameters: &[Parameter::period("period", 20, 1)],
    outputs: &["upper", "middle", "lower"],
    warm_up: |arguments| arguments.period(0),
    check: any,
    build: |arguments| keeping(Donchian::new(arguments), Donchian::state, Donchian::advance),
    needs: Needs::Prices,
};

struct Donchian {
    highs: Highest,
    lows: Lowest,
}

impl Donchian {
    fn new(arguments: &Arguments) -> Self {
        let period = arguments.period(0);
        Self { highs: Highest::new(period), lows: Lowest::new(period) }
    }

    fn advance(&mut self, bar: &Bar<'_>) -> Option<[f64; 3]> {
        let upper = self.highs.push(bar.high);
        let lower = self.lows.push(bar.low);
        self.highs.is_full().then(|| [upper, (upper + lower) / 2.0, lower])
    }

    fn state(&mut self, state: &mut State<'_>) {
        self.highs.state(state);
        self.lows.state(state);
    }
}

#[cfg(test)]
pub mod naive {
    use crate::analytics::indicator::Bar;

    /// Highest high and lowest low of the last `period` bars.
    pub fn channel(bars: &[Bar<'_>], period: usize) -> Option<(f64, f64)> {
        let window = &bars[bars.len().checked_sub(period)?..];
        let upper = window.iter().map(|bar| bar.high).reduce(f64::max)?;
        let lower = window.iter().map(|bar| bar.low).reduce(f64::min)?;
        Some((upper, lower))
    }
}

#[cfg(test)]
mod tests {
    use crate::analytics::indicators::trial::check;

    #[test]
    fn equals_a_search_of_the_window() {
        for period in [1, 3, 20] {
            check(&format!("donchian({period})"), |bars| {
                let (upper, lower) = super::naive::channel(bars, period)?;
                Some(vec![upper, (upper + lower) / 2.0, lower])
            });
        }
    }
}
