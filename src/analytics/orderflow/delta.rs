//! Volume delta: base currency that takers bought less what they sold, over the last `period` candles.
//!
//! Also called signed volume or trade imbalance. J. Hasbrouck, "Measuring the information
//! content of stock trades", Journal of Finance 46 (1991), is the source of trades signed by who
//! crossed the spread; our venues say it, nothing is inferred.

use crate::analytics::indicator::{Entry, Needs, Parameter, any, keeping};
use crate::analytics::rolling::fold::{Fold, Sums};

pub const ENTRY: Entry = Entry {
    name: "delta",
    summary: "volume delta: taker buy less taker sell volume",
    parameters: &[Parameter::period("period", 1, 1)],
    outputs: &["value"],
    warm_up: |arguments| arguments.period(0),
    check: any,
    build: |arguments| {
        keeping(Fold::new(arguments.period(0)), Fold::state, |deltas, bar| {
            deltas.push(Sums([bar.taker_buy_volume? - bar.taker_sell_volume?]));
            deltas.is_full().then(|| deltas.total().0)
        })
    },
    needs: Needs::Amounts,
};

#[cfg(test)]
mod tests {
    use crate::analytics::orderflow::bars::{self, Truth, newest};

    #[test]
    fn incremental_equals_naive() {
        for period in [1, 3] {
            bars::check(&format!("delta({period})"), |bars| {
                let window = newest(bars, period, |bar| bar.taker())?;
                let value = window.iter().map(|(buy, sell)| buy - sell).sum();
                let scale = window.iter().map(|(buy, sell)| buy + sell).sum();
                Some(vec![Truth { value, scale }])
            });
        }
    }

    #[test]
    fn a_candle_of_one_side_is_all_delta() {
        let bars = bars::flows(&[(2.0, 0.5), (0.0, 3.0), (1.0, 0.0)]);
        assert_eq!(bars::run("delta", &bars), [Some(vec![1.5]), Some(vec![-3.0]), Some(vec![1.0])]);
        assert_eq!(bars::run("delta(2)", &bars), [None, Some(vec![-1.5]), Some(vec![-2.0])]);
    }
}
