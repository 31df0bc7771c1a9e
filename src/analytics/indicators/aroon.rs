//! Aroon: how recent the highest high (`up`) and the lowest low (`down`) of the last
//! `period + 1` bars are, 100 for this bar, 0 for the oldest; and `up` less `down`.
//!
//! Source: T. Chande, "The Time Price Oscillator", Technical Analysis of Stocks & Commodities
//! 13:9 (1995). Equals TA-Lib's `AROON` and `AROONOSC`: silent for `period` bars, the newest of
//! equal extremes counts. Amortised O(1) a bar.

use crate::analytics::indicator::{Arguments, Bar, Entry, Needs, Parameter, any, keeping};
use crate::analytics::rolling::extreme::{Highest, Lowest};
use crate::analytics::rolling::state::State;

pub const ENTRY: Entry = Entry {
    name: "aroon",
    summary: "how recent the highest high and lowest low are, 0 to 100",
    parameters: &[Parameter::period("period", 14, 1)],
    outputs: &["up", "down", "oscillator"],
    warm_up: |arguments| arguments.period(0) + 1,
    check: any,
    build: |arguments| keeping(Aroon::new(arguments), Aroon::state, Aroon::advance),
    needs: Needs::Prices,
};

struct Aroon {
    period: f64,
    highs: Highest,
    lows: Lowest,
}

impl Aroon {
    fn new(arguments: &Arguments) -> Self {
        let period = arguments.period(0);
        Self { period: period as f64, highs: Highest::new(period + 1), lows: Lowest::new(period + 1) }
    }

    fn advance(&mut self, bar: &Bar<'_>) -> Option<[f64; 3]> {
        self.highs.push(bar.high);
        self.lows.push(bar.low);
        if !self.highs.is_full() {
            return None;
        }
        let percent = |age: usize| 100.0 * (self.period - age as f64) / self.period;
        let (up, down) = (percent(self.highs.age()), percent(self.lows.age()));
        Some([up, down, up - down])
    }

    fn state(&mut self, state: &mut State<'_>) {
        self.highs.state(state);
        self.lows.state(state);
    }
}

#[cfg(test)]
mod tests {
    use crate::analytics::indicators::trial::{check_within, closes, run};

    #[test]
    fn equals_the_recomputation() {
        for period in [1, 2, 14] {
            check_within(&format!("aroon({period})"), 1e-12, |bars| {
                let window = &bars[bars.len().checked_sub(period + 1)?..];
                let (mut highest, mut lowest) = (0, 0);
                for (i, bar) in window.iter().enumerate() {
                    highest = if bar.high >= window[highest].high { i } else { highest };
                    lowest = if bar.low <= window[lowest].low { i } else { lowest };
                }
                let percent = |place: usize| 100.0 * place as f64 / period as f64;
                let (up, down) = (percent(highest), percent(lowest));
                Some(vec![up, down, up - down])
            });
        }
    }

    #[test]
    fn the_newest_of_equals_counts() {
        assert_eq!(run("aroon(4)", &closes(&[2.0; 6])).pop().unwrap(), Some(vec![100.0, 100.0, 0.0]));
        let values = run("aroon(4)", &closes(&[9.0, 1.0, 2.0, 3.0, 4.0]));
        assert_eq!(values[4], Some(vec![0.0, 25.0, -25.0]));
    }
}
