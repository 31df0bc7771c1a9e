//! SuperTrend: a stop some average true ranges away from the price, which only closes in
//! while the trend lasts.
//!
//! Both bands lie `multiplier` average true ranges (Wilder's, TA-Lib's `ATR`) from the middle
//! of high and low. While closes stay above it the lower band never falls, while they stay
//! below it the upper band never rises. `value` is the lower band while `direction` is 1 (up)
//! and the upper band while it is -1 (down); a close above the upper band of its own bar
//! turns the trend up, one below the lower band turns it down; the first value is up. Equals
//! TA-Lib's `SUPERTREND`, and after its first turn the rules of TradingView's
//! `ta.supertrend` (whose direction has the other sign). Source: O. Seban, "Tout le monde mérite
//! d'être riche" (2008). O(1) a bar.

use crate::analytics::indicator::{Arguments, Bar, Entry, Needs, Parameter, any, keeping};
use crate::analytics::rolling::state::State;
use crate::analytics::rolling::true_range::AverageTrueRange;

pub const ENTRY: Entry = Entry {
    name: "supertrend",
    summary: "trend-following stop at a multiple of the average true range, and its direction",
    parameters: &[Parameter::period("period", 10, 1), Parameter::real("multiplier", 3.0, 0.0, 100.0)],
    outputs: &["value", "direction"],
    warm_up: |arguments| arguments.period(0) + 1,
    check: any,
    build: |arguments| keeping(Supertrend::new(arguments), Supertrend::state, Supertrend::advance),
    needs: Needs::Prices,
};

struct Supertrend {
    range: AverageTrueRange,
    multiplier: f64,
    /// Whether the bands stand.
    running: bool,
    rising: bool,
    upper: f64,
    lower: f64,
    previous_close: f64,
}

impl Supertrend {
    fn new(arguments: &Arguments) -> Self {
        Self {
            range: AverageTrueRange::new(arguments.period(0)),
            multiplier: arguments.real(1),
            running: false,
            rising: true,
            upper: 0.0,
            lower: 0.0,
            previous_close: 0.0,
        }
    }

    fn advance(&mut self, bar: &Bar<'_>) -> Option<[f64; 2]> {
        let range = self.range.advance(bar)?;
        let middle = (bar.high + bar.low) / 2.0;
        let (upper, lower) = (middle + self.multiplier * range, middle - self.multiplier * range);
        if !self.running {
            (self.upper, self.lower, self.running) = (upper, lower, true);
        } else {
            if lower > self.lower || self.previous_close < self.lower {
                self.lower = lower;
            }
            if upper < self.upper || self.previous_close > self.upper {
                self.upper = upper;
            }
            self.rising = if self.rising { bar.close >= self.lower } else { bar.close > self.upper };
        }
        self.previous_close = bar.close;
        let (value, direction) = if self.rising { (self.lower, 1.0) } else { (self.upper, -1.0) };
        Some([value, direction])
    }

    fn state(&mut self, state: &mut State<'_>) {
        self.range.state(state);
        state.bool(&mut self.running);
        state.bool(&mut self.rising);
        for value in [&mut self.upper, &mut self.lower, &mut self.previous_close] {
            state.f64(value);
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::analytics::indicator::Bar;
    use crate::analytics::indicators::trial::{check, closes, run};
    use crate::analytics::rolling::true_range::naive::average_true_range;

    /// The reference's rules, over lists: which band the line was tells the trend.
    fn naive(bars: &[Bar<'_>], period: usize, multiplier: f64) -> Option<Vec<f64>> {
        let (mut line, mut top, mut bottom, mut direction) = (None, 0.0, 0.0, 1.0);
        for i in period..bars.len() {
            let reach = multiplier * average_true_range(&bars[..=i], period)?;
            let middle = (bars[i].high + bars[i].low) / 2.0;
            let (mut upper, mut lower) = (middle + reach, middle - reach);
            if let Some(line) = line {
                if lower <= bottom && bars[i - 1].close >= bottom {
                    lower = bottom;
                }
                if upper >= top && bars[i - 1].close <= top {
                    upper = top;
                }
                let was_upper = direction < 0.0;
                assert_eq!(line, if was_upper { top } else { bottom });
                direction = match was_upper {
                    true if bars[i].close > upper => 1.0,
                    false if bars[i].close < lower => -1.0,
                    _ => direction,
                };
            }
            (top, bottom) = (upper, lower);
            line = Some(if direction < 0.0 { top } else { bottom });
        }
        Some(vec![line?, direction])
    }

    #[test]
    fn equals_the_recomputation() {
        for (period, multiplier) in [(10, 3.0), (3, 1.0), (1, 0.5)] {
            check(&format!("supertrend({period},{multiplier})"), |bars| naive(bars, period, multiplier));
        }
    }

    #[test]
    fn a_fall_turns_it_down_and_a_climb_up() {
        let path: Vec<f64> = (1..20).rev().chain(1..20).map(|x| f64::from(x * 10)).collect();
        let directions: Vec<f64> =
            run("supertrend(2,1)", &closes(&path)).into_iter().flatten().map(|v| v[1]).collect();
        assert_eq!((directions[0], directions[10], *directions.last().unwrap()), (1.0, -1.0, 1.0));
    }
}
