//! Ultimate oscillator: buying pressure by true range over three periods, weighted 4, 2 and 1;
//! 0 to 100.
//!
//! Buying pressure is the close less the lower of the low and the close before. Source:
//! L. Williams, "The Ultimate Oscillator", Technical Analysis of Stocks & Commodities 3:4
//! (1985). Equals TA-Lib's `ULTOSC`: silent for `long` bars, the first of which has no close
//! before it; a period without any range counts 0. Amortised O(1) a bar.

use crate::analytics::indicator::{Arguments, Bar, Entry, Needs, Parameter, keeping};
use crate::analytics::rolling::fold::{Fold, Sums};
use crate::analytics::rolling::state::State;
use crate::analytics::rolling::true_range::true_range;

pub const ENTRY: Entry = Entry {
    name: "ultimate_oscillator",
    summary: "buying pressure over three periods, 0 to 100",
    parameters: &[
        Parameter::period("short", 7, 1),
        Parameter::period("medium", 14, 1),
        Parameter::period("long", 28, 1),
    ],
    outputs: &["value"],
    warm_up: |arguments| arguments.period(2) + 1,
    check: in_order,
    build: |arguments| {
        keeping(UltimateOscillator::new(arguments), UltimateOscillator::state, UltimateOscillator::advance)
    },
    needs: Needs::Prices,
};

fn in_order(arguments: &Arguments) -> Result<(), &'static str> {
    let [short, medium, long] = [0, 1, 2].map(|i| arguments.period(i));
    if short < medium && medium < long {
        Ok(())
    } else {
        Err("short must be below medium, and medium below long")
    }
}

struct UltimateOscillator {
    previous_close: Option<f64>,
    /// Buying pressure and true range over short, medium and long.
    sums: [Fold<Sums<2>>; 3],
}

impl UltimateOscillator {
    fn new(arguments: &Arguments) -> Self {
        Self { previous_close: None, sums: [0, 1, 2].map(|i| Fold::new(arguments.period(i))) }
    }

    fn advance(&mut self, bar: &Bar<'_>) -> Option<[f64; 1]> {
        let before = self.previous_close.replace(bar.close)?;
        let terms = Sums([bar.close - bar.low.min(before), true_range(bar, before)]);
        let [short, medium, long] = self.sums.each_mut().map(|sums| {
            sums.push(terms);
            let [pressure, range] = sums.total().0;
            if range > 0.0 { pressure / range } else { 0.0 }
        });
        self.sums[2].is_full().then(|| [100.0 * (4.0 * short + 2.0 * medium + long) / 7.0])
    }

    fn state(&mut self, state: &mut State<'_>) {
        state.option_f64(&mut self.previous_close);
        for sums in &mut self.sums {
            sums.state(state);
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::analytics::catalogue::Spec;
    use crate::analytics::indicators::trial::{check_within, closes, run};

    #[test]
    fn equals_the_recomputation() {
        for periods in [[7, 14, 28], [1, 2, 3]] {
            let [short, medium, long] = periods;
            // Pressures are differences of prices.
            check_within(&format!("ultimate_oscillator({short},{medium},{long})"), 1e-9, |bars| {
                if bars.len() <= long {
                    return None;
                }
                let mut value = 0.0;
                for (period, weight) in periods.into_iter().zip([4.0, 2.0, 1.0]) {
                    let (mut pressure, mut range) = (0.0, 0.0);
                    for pair in bars[bars.len() - period - 1..].windows(2) {
                        let low = pair[1].low.min(pair[0].close);
                        pressure += pair[1].close - low;
                        range += pair[1].high.max(pair[0].close) - low;
                    }
                    value += if range > 0.0 { weight * pressure / range } else { 0.0 };
                }
                Some(vec![100.0 * value / 7.0])
            });
        }
    }

    #[test]
    fn one_way_streets_and_plains() {
        let rising: Vec<f64> = (0..9).map(f64::from).collect();
        assert_eq!(run("ultimate_oscillator(2,3,4)", &closes(&rising)).pop().unwrap(), Some(vec![100.0]));
        assert_eq!(run("ultimate_oscillator(2,3,4)", &closes(&[0.1; 9])).pop().unwrap(), Some(vec![0.0]));
        assert!(Spec::parse("ultimate_oscillator(7,7,28)").is_err());
    }
}
