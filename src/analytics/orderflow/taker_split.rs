//! Taker split: base currency bought and sold by those who crossed the spread, and the bought share.
//!
//! Sums over the last `period` candles. `buy_share` is buy / (buy + sell): volume whose taker is
//! unknown is in neither, and no value is told where nothing else traded. Sides are the venue's
//! own, not inferred from prices as by C. Lee and M. Ready, "Inferring trade direction from
//! intraday data", Journal of Finance 46 (1991).

use crate::analytics::indicator::{Entry, Needs, Parameter, any, keeping};
use crate::analytics::rolling::fold::{Fold, Sums};

pub const ENTRY: Entry = Entry {
    name: "taker_split",
    summary: "volume bought and sold by takers, and the bought share of the two",
    parameters: &[Parameter::period("period", 1, 1)],
    outputs: &["buy", "sell", "buy_share"],
    warm_up: |arguments| arguments.period(0),
    check: any,
    build: |arguments| {
        keeping(Fold::new(arguments.period(0)), Fold::state, |volumes, bar| {
            volumes.push(Sums([bar.taker_buy_volume?, bar.taker_sell_volume?]));
            let Sums([buy, sell]) = volumes.total();
            (volumes.is_full() && buy + sell > 0.0).then(|| [buy, sell, buy / (buy + sell)])
        })
    },
    needs: Needs::Amounts,
};

#[cfg(test)]
mod tests {
    use crate::analytics::orderflow::bars::{self, Truth, newest};

    #[test]
    fn incremental_equals_naive() {
        for period in [1, 4] {
            bars::check(&format!("taker_split({period})"), |bars| {
                let window = newest(bars, period, |bar| bar.taker())?;
                let buy: f64 = window.iter().map(|(buy, _)| buy).sum();
                let sell: f64 = window.iter().map(|(_, sell)| sell).sum();
                let share = Truth { value: buy / (buy + sell), scale: 1.0 };
                let truth = |value| Truth { value, scale: value };
                (buy + sell > 0.0).then(|| vec![truth(buy), truth(sell), share])
            });
        }
    }

    #[test]
    fn one_side_and_no_side() {
        let bars = bars::flows(&[(3.0, 1.0), (2.0, 0.0), (0.0, 0.0)]);
        let expected = [Some(vec![3.0, 1.0, 0.75]), Some(vec![2.0, 0.0, 1.0]), None];
        assert_eq!(bars::run("taker_split", &bars), expected);
    }
}
