//! On-balance volume: the volume of candles that closed higher than the one before, less that
//! of those that closed lower. It never restarts.
//!
//! Source: J. Granville, "Granville's New Key to Stock Market Profits" (1963). Equals TA-Lib's
//! `OBV`, which counts the first candle as risen, but does not drift as it grows long. O(1) a
//! bar.

use crate::analytics::indicator::{Arguments, Bar, Entry, Needs, any, keeping};
use crate::analytics::rolling::state::State;
use crate::analytics::rolling::sum::Total;

pub const ENTRY: Entry = Entry {
    name: "obv",
    summary: "on-balance volume, without restart",
    parameters: &[],
    outputs: &["value"],
    warm_up: |_| 1,
    check: any,
    build: |arguments| keeping(Obv::new(arguments), Obv::state, Obv::advance),
    needs: Needs::Amounts,
};

struct Obv {
    total: Total,
    previous_close: Option<f64>,
}

impl Obv {
    fn new(_: &Arguments) -> Self {
        Self { total: Total::default(), previous_close: None }
    }

    fn advance(&mut self, bar: &Bar<'_>) -> Option<[f64; 1]> {
        let change = self.previous_close.map_or(1.0, |before| bar.close - before);
        self.previous_close = Some(bar.close);
        if change > 0.0 {
            self.total.add(bar.volume);
        } else if change < 0.0 {
            self.total.add(-bar.volume);
        }
        Some([self.total.value()])
    }

    fn state(&mut self, state: &mut State<'_>) {
        self.total.state(state);
        state.option_f64(&mut self.previous_close);
    }
}

#[cfg(test)]
mod tests {
    use crate::analytics::indicators::trial::{check_within, closes, run};

    #[test]
    fn equals_the_recomputation() {
        // Volumes of either sign cancel.
        check_within("obv", 1e-11, |bars| {
            let signed = bars.windows(2).map(|pair| {
                let side = pair[1].close.partial_cmp(&pair[0].close).unwrap();
                f64::from(side as i8) * pair[1].volume
            });
            Some(vec![bars[0].volume + signed.sum::<f64>()])
        });
    }

    #[test]
    fn the_direction_decides() {
        let values = run("obv", &closes(&[5.0, 6.0, 6.0, 5.0, 4.0, 3.0]));
        assert_eq!(values, [1.0, 2.0, 2.0, 1.0, 0.0, -1.0].map(|x| Some(vec![x])));
    }
}
