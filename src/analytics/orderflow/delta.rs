//! Volume delta: base currency that takers bought less what they sold, over the last `period` candles.
//!
//! Also called signed volume or trade imbalance. J. Hasbrouck, "Measuring the information
//! content of stock trades", Journal of Finance 46 (1991), is the source of trades signed by who
//! crossed the spread; our venues say it, nothing is inferred.

use crate::analytics::indicator::{Arguments, Bar, Entry, Indicator, Needs, Parameter, any};
use crate::analytics::rolling::fold::{Fold, Sums};
use crate::analytics::rolling::state::State;

pub const ENTRY: Entry = Entry {
    name: "delta",
    summary: "volume delta: taker buy less taker sell volume",
    parameters: &[Parameter::period("period", 1, 1)],
    outputs: &["value"],
    warm_up: |arguments| arguments.period(0),
    check: any,
    build: |arguments| Box::new(Delta::new(arguments)),
    needs: Needs::Amounts,
};

struct Delta {
    deltas: Fold<Sums<1>>,
}

impl Delta {
    fn new(arguments: &Arguments) -> Self {
        Self { deltas: Fold::new(arguments.period(0)) }
    }
}

impl Indicator for Delta {
    fn advance(&mut self, bar: &Bar<'_>, out: &mut [f64]) -> bool {
        let (Some(buy), Some(sell)) = (bar.taker_buy_volume, bar.taker_sell_volume) else { return false };
        self.deltas.push(Sums([buy - sell]));
        out[0] = self.deltas.total().0[0];
        self.deltas.is_full()
    }

    fn state(&mut self, state: &mut State<'_>) {
        self.deltas.state(state);
    }
}

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
