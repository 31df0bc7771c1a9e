//! Hull moving average of candle closes: weighted averages over half and whole period, twice
//! the former less the latter, smoothed over the root of the period.
//!
//! Source: A. Hull, "How to reduce lag in a moving average" (2005), whose half and root are
//! cut to whole numbers. Equals TA-Lib's `HMA`: silent for `period + root - 2` bars. Amortised
//! O(1) a bar.

use crate::analytics::indicator::{Arguments, Bar, Entry, Needs, Parameter, any, keeping};
use crate::analytics::rolling::average::Wma;
use crate::analytics::rolling::state::State;

pub const ENTRY: Entry = Entry {
    name: "hma",
    summary: "Hull moving average of closes",
    parameters: &[Parameter::period("period", 20, 2)],
    outputs: &["value"],
    warm_up: |arguments| arguments.period(0) + arguments.period(0).isqrt() - 1,
    check: any,
    build: |arguments| keeping(Hma::new(arguments), Hma::state, Hma::advance),
    needs: Needs::Prices,
};

struct Hma {
    half: Wma,
    whole: Wma,
    smooth: Wma,
}

impl Hma {
    fn new(arguments: &Arguments) -> Self {
        let period = arguments.period(0);
        Self { half: Wma::new(period / 2), whole: Wma::new(period), smooth: Wma::new(period.isqrt()) }
    }

    fn advance(&mut self, bar: &Bar<'_>) -> Option<[f64; 1]> {
        // Each of them sees every close.
        let (half, whole) = (self.half.push(bar.close), self.whole.push(bar.close));
        Some([self.smooth.push(2.0 * half? - whole?)?])
    }

    fn state(&mut self, state: &mut State<'_>) {
        self.half.state(state);
        self.whole.state(state);
        self.smooth.state(state);
    }
}

#[cfg(test)]
mod tests {
    use crate::analytics::indicators::trial::{check, closing};
    use crate::analytics::rolling::average::naive::wma;

    #[test]
    fn equals_the_recomputation() {
        for (period, root) in [(2, 1), (3, 1), (4, 2), (9, 3), (20, 4)] {
            check(&format!("hma({period})"), |bars| {
                let closes = closing(bars);
                let whole = wma(&closes, period);
                let mut half = wma(&closes, period / 2);
                let half = half.split_off(half.len().min(period - period / 2));
                let ahead: Vec<f64> =
                    half.iter().zip(&whole).map(|(half, whole)| 2.0 * half - whole).collect();
                Some(vec![*wma(&ahead, root).last()?])
            });
        }
    }
}
