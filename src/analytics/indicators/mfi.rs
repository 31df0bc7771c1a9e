//! Money flow index: the money flow of candles whose typical price rose, by that of all whose
//! typical price changed, over `period` candles; 0 to 100.
//!
//! Money flow is typical price times volume. Source: G. Quong and A. Soudack,
//! "Volume-weighted RSI: Money Flow", Technical Analysis of Stocks & Commodities 7:3 (1989).
//! Equals TA-Lib's `MFI`: silent for `period` bars, 0 where no typical price of the window
//! changed; a change within rounding is none. Amortised O(1) a bar.

use crate::analytics::indicator::{Arguments, Bar, Entry, Needs, Parameter, any, keeping};
use crate::analytics::rolling::fold::{Fold, Sums};
use crate::analytics::rolling::state::State;
use crate::analytics::rolling::tie::is_tie;

pub const ENTRY: Entry = Entry {
    name: "mfi",
    summary: "money flow index, 0 to 100",
    parameters: &[Parameter::period("period", 14, 1)],
    outputs: &["value"],
    warm_up: |arguments| arguments.period(0) + 1,
    check: any,
    build: |arguments| keeping(Mfi::new(arguments), Mfi::state, Mfi::advance),
    needs: Needs::Amounts,
};

struct Mfi {
    previous_price: Option<f64>,
    /// Flow of the candles that rose, and of those that fell.
    flows: Fold<Sums<2>>,
}

impl Mfi {
    fn new(arguments: &Arguments) -> Self {
        Self { previous_price: None, flows: Fold::new(arguments.period(0)) }
    }

    fn advance(&mut self, bar: &Bar<'_>) -> Option<[f64; 1]> {
        let price = bar.typical_price();
        let before = self.previous_price.replace(price)?;
        let flow = if is_tie(price - before, price + before) { 0.0 } else { price * bar.volume };
        self.flows.push(Sums(if price < before { [0.0, flow] } else { [flow, 0.0] }));
        let [risen, fallen] = self.flows.total().0;
        let total = risen + fallen;
        self.flows.is_full().then(|| [if total > 0.0 { 100.0 * (risen / total) } else { 0.0 }])
    }

    fn state(&mut self, state: &mut State<'_>) {
        state.option_f64(&mut self.previous_price);
        self.flows.state(state);
    }
}

#[cfg(test)]
mod tests {
    use crate::analytics::indicators::trial::{check, closes, run};

    #[test]
    fn equals_the_recomputation() {
        for period in [1, 2, 14] {
            check(&format!("mfi({period})"), |bars| {
                let window = &bars[bars.len().checked_sub(period + 1)?..];
                let (mut risen, mut fallen) = (0.0, 0.0);
                for pair in window.windows(2) {
                    let [before, now] =
                        [&pair[0], &pair[1]].map(|bar| (bar.high + bar.low + bar.close) / 3.0);
                    let side =
                        if (now - before).abs() <= 1e-14 * (now + before) { 0.0 } else { now - before };
                    risen += if side > 0.0 { now * pair[1].volume } else { 0.0 };
                    fallen += if side < 0.0 { now * pair[1].volume } else { 0.0 };
                }
                Some(vec![if risen + fallen > 0.0 { 100.0 * risen / (risen + fallen) } else { 0.0 }])
            });
        }
    }

    #[test]
    fn one_way_streets_and_plains() {
        assert_eq!(run("mfi(2)", &closes(&[1.0, 2.0, 3.0])).pop().unwrap(), Some(vec![100.0]));
        assert_eq!(run("mfi(2)", &closes(&[3.0, 2.0, 1.0])).pop().unwrap(), Some(vec![0.0]));
        assert_eq!(run("mfi(2)", &closes(&[0.1; 5])).pop().unwrap(), Some(vec![0.0]));
    }
}
