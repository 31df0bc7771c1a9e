//! Elder's force index: the change of the close times the volume, exponentially averaged.
//!
//! In units of price times base currency. Source: A. Elder, "Trading for a Living" (1993).
//! Equals TA-Lib's `EFI`: silent for `period` bars, the first of which has no change. O(1) a bar.

use crate::analytics::indicator::{Arguments, Bar, Entry, Needs, Parameter, any, keeping};
use crate::analytics::rolling::average::Ema;
use crate::analytics::rolling::state::State;

pub const ENTRY: Entry = Entry {
    name: "force_index",
    summary: "Elder's force index: change times volume, smoothed",
    parameters: &[Parameter::period("period", 13, 1)],
    outputs: &["value"],
    warm_up: |arguments| arguments.period(0) + 1,
    check: any,
    build: |arguments| keeping(ForceIndex::new(arguments), ForceIndex::state, ForceIndex::advance),
    needs: Needs::Amounts,
};

struct ForceIndex {
    average: Ema,
    previous_close: Option<f64>,
}

impl ForceIndex {
    fn new(arguments: &Arguments) -> Self {
        Self { average: Ema::new(arguments.period(0)), previous_close: None }
    }

    fn advance(&mut self, bar: &Bar<'_>) -> Option<[f64; 1]> {
        let before = self.previous_close.replace(bar.close)?;
        let value = self.average.push((bar.close - before) * bar.volume)?;
        Some([value])
    }

    fn state(&mut self, state: &mut State<'_>) {
        self.average.state(state);
        state.option_f64(&mut self.previous_close);
    }
}

#[cfg(test)]
mod tests {
    use crate::analytics::indicators::trial::check_within;
    use crate::analytics::rolling::average::naive::ema;

    #[test]
    fn equals_the_recomputation() {
        for period in [1, 2, 13] {
            // Forces of either sign cancel; they are as large as prices times volumes.
            check_within(&format!("force_index({period})"), 1e-8, |bars| {
                let forces: Vec<f64> =
                    bars.windows(2).map(|pair| (pair[1].close - pair[0].close) * pair[1].volume).collect();
                Some(vec![*ema(&forces, period).last()?])
            });
        }
    }
}
