//! Amihud's illiquidity: how far a unit of quote currency moves the price.
//!
//! Mean over the last `period` candles of |ln(close / previous close)| / quote volume, per unit
//! of quote currency (often shown times 10^6). Y. Amihud, "Illiquidity and stock returns:
//! cross-section and time-series effects", Journal of Financial Markets 5 (2002), with candles in
//! place of days and the logarithmic return in place of the plain one.
//!
//! A candle without quote volume is left out; the next return starts from its close all the same.

use crate::analytics::indicator::{Arguments, Bar, Entry, Needs, Parameter, any, keeping};
use crate::analytics::rolling::fold::{Fold, Sums};
use crate::analytics::rolling::state::State;

pub const ENTRY: Entry = Entry {
    name: "amihud",
    summary: "Amihud's illiquidity: mean absolute log return per unit of quote volume",
    parameters: &[Parameter::period("period", 20, 1)],
    outputs: &["value"],
    warm_up: |arguments| arguments.period(0) + 1,
    check: any,
    build: |arguments| keeping(Amihud::new(arguments), Amihud::state, Amihud::advance),
    needs: Needs::Amounts,
};

struct Amihud {
    period: f64,
    previous_close: Option<f64>,
    moves: Fold<Sums<1>>,
}

impl Amihud {
    fn new(arguments: &Arguments) -> Self {
        let moves = Fold::new(arguments.period(0));
        Self { period: arguments.real(0), previous_close: None, moves }
    }

    fn advance(&mut self, bar: &Bar<'_>) -> Option<[f64; 1]> {
        let previous = self.previous_close.replace(bar.close)?;
        let quote_volume = bar.quote_volume.filter(|&volume| volume > 0.0)?;
        self.moves.push(Sums([log_return(previous, bar.close).abs() / quote_volume]));
        self.moves.is_full().then(|| [self.moves.total().0[0] / self.period])
    }

    fn state(&mut self, state: &mut State<'_>) {
        state.option_f64(&mut self.previous_close);
        self.moves.state(state);
    }
}

/// ln(to / from). Of neighbours the difference is exact, their quotient is not; of prices far apart
/// it is the other way round.
fn log_return(from: f64, to: f64) -> f64 {
    let ratio = to / from;
    if (0.5..=2.0).contains(&ratio) { libm::log1p((to - from) / from) } else { libm::log(ratio) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analytics::orderflow::bars::{self, Truth};

    #[test]
    fn returns_are_exact_near_and_far() {
        let check = |from: f64, to: f64, expected: f64| {
            let got = log_return(from, to);
            assert!((got - expected).abs() <= 1e-15 * expected.abs(), "{from} to {to}: {got}");
        };
        check(1e10, 1e10 + 1.0, 9.9999999995e-11);
        check(1e18, 1e-15, -75.98530806880352);
        check(1.0, 1e15, 34.538776394910684);
        check(7.0, 7.0, 0.0);
    }

    #[test]
    fn incremental_equals_naive() {
        bars::check("amihud(4)", |bars| {
            let moves: Vec<f64> = bars
                .windows(2)
                .filter_map(|pair| {
                    let quote_volume = pair[1].quote_volume.filter(|&volume| volume > 0.0)?;
                    Some(libm::log(pair[1].bar().close / pair[0].bar().close).abs() / quote_volume)
                })
                .collect();
            bars.last()?.quote_volume.filter(|&volume| volume > 0.0 && bars.len() > 1)?;
            let newest = moves.len().checked_sub(4)?;
            let mean = moves[newest..].iter().sum::<f64>() / 4.0;
            Some(vec![Truth { value: mean, scale: mean + 1e-20 }])
        });
    }
}
