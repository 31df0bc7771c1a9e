//! Moving average of candle closes, each weighted with its candle's volume.
//!
//! Silent until `period` candles were seen. Equals TA-Lib's `VWMA`. Amortised O(1) a bar.

use crate::analytics::indicator::{Arguments, Bar, Entry, Indicator, Needs, Parameter, any};
use crate::analytics::rolling::fold::{Fold, Sums};
use crate::analytics::rolling::state::State;

pub const ENTRY: Entry = Entry {
    name: "vwma",
    summary: "moving average of closes, weighted with volume",
    parameters: &[Parameter::period("period", 20, 1)],
    outputs: &["value"],
    warm_up: |arguments| arguments.period(0),
    check: any,
    build: |arguments| Box::new(Vwma::new(arguments)),
    needs: Needs::Amounts,
};

struct Vwma {
    sums: Fold<Sums<2>>,
}

impl Vwma {
    fn new(arguments: &Arguments) -> Self {
        Self { sums: Fold::new(arguments.period(0)) }
    }
}

impl Indicator for Vwma {
    fn advance(&mut self, bar: &Bar<'_>, out: &mut [f64]) -> bool {
        self.sums.push(Sums([bar.close * bar.volume, bar.volume]));
        let [value, volume] = self.sums.total().0;
        out[0] = value / volume;
        self.sums.is_full() && volume > 0.0
    }

    fn state(&mut self, state: &mut State<'_>) {
        self.sums.state(state);
    }
}

#[cfg(test)]
mod tests {
    use crate::analytics::indicators::trial::check;

    #[test]
    fn equals_the_recomputation() {
        for period in [1, 2, 20] {
            check(&format!("vwma({period})"), |bars| {
                let window = &bars[bars.len().checked_sub(period)?..];
                let value: f64 = window.iter().map(|bar| bar.close * bar.volume).sum();
                Some(vec![value / window.iter().map(|bar| bar.volume).sum::<f64>()])
            });
        }
    }
}
