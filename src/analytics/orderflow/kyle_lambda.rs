//! Kyle's lambda: how far a unit of signed volume moves the price.
//!
//! The slope of the least-squares line (with intercept) of the change from close to close on the
//! candle's delta (taker buy less taker sell volume), over the last `period` candles: a price per
//! unit of base currency. The model is A. Kyle,
//! "Continuous auctions and insider trading", Econometrica 53 (1985); its estimate by regression
//! on signed volume follows J. Hasbrouck, "Trading costs and returns for U.S. equities", Journal
//! of Finance 64 (2009), with volume itself in place of its signed square root.
//!
//! No value while the deltas of the window are all equal: a line needs two places.

use crate::analytics::indicator::{Arguments, Bar, Entry, Needs, Parameter, any, keeping};
use crate::analytics::rolling::fold::{Fold, PairMoments};
use crate::analytics::rolling::state::State;

pub const ENTRY: Entry = Entry {
    name: "kyle_lambda",
    summary: "Kyle's lambda: slope of the price change on taker buy less taker sell volume",
    parameters: &[Parameter::period("period", 50, 2)],
    outputs: &["value"],
    warm_up: |arguments| arguments.period(0) + 1,
    check: any,
    build: |arguments| keeping(KyleLambda::new(arguments), KyleLambda::state, KyleLambda::advance),
    needs: Needs::Amounts,
};

struct KyleLambda {
    previous_close: Option<f64>,
    /// Of delta (x) and price change (y).
    moments: Fold<PairMoments>,
}

impl KyleLambda {
    fn new(arguments: &Arguments) -> Self {
        Self { previous_close: None, moments: Fold::new(arguments.period(0)) }
    }

    fn advance(&mut self, bar: &Bar<'_>) -> Option<[f64; 1]> {
        let previous = self.previous_close.replace(bar.close)?;
        let (buy, sell) = (bar.taker_buy_volume?, bar.taker_sell_volume?);
        self.moments.push(PairMoments::of(buy - sell, bar.close - previous));
        let moments = self.moments.total();
        (self.moments.is_full() && moments.varies()).then(|| [moments.xy / moments.xx])
    }

    fn state(&mut self, state: &mut State<'_>) {
        state.option_f64(&mut self.previous_close);
        self.moments.state(state);
    }
}

#[cfg(test)]
mod tests {
    use crate::analytics::orderflow::bars::{self, Truth};

    #[test]
    fn incremental_equals_naive() {
        bars::check("kyle_lambda(6)", |bars| {
            let points: Vec<(f64, f64)> = bars
                .windows(2)
                .filter_map(|pair| {
                    let (buy, sell) = pair[1].taker()?;
                    Some((buy - sell, pair[1].close - pair[0].close))
                })
                .collect();
            bars.last()?.taker().filter(|_| bars.len() > 1)?;
            let window = &points[points.len().checked_sub(6)?..];
            let mx = window.iter().map(|p| p.0).sum::<f64>() / 6.0;
            let my = window.iter().map(|p| p.1).sum::<f64>() / 6.0;
            let xx: f64 = window.iter().map(|p| (p.0 - mx) * (p.0 - mx)).sum();
            let yy: f64 = window.iter().map(|p| (p.1 - my) * (p.1 - my)).sum();
            let xy: f64 = window.iter().map(|p| (p.0 - mx) * (p.1 - my)).sum();
            (xx > 0.0).then(|| vec![Truth { value: xy / xx, scale: (yy / xx).sqrt() }])
        });
    }

    #[test]
    fn a_line_is_found_and_a_point_is_not() {
        let mut bars = bars::flows(&[(1.0, 0.0), (2.0, 0.0), (0.0, 1.0), (4.0, 1.0), (3.0, 0.0), (5.0, 2.0)]);
        for (bar, close) in bars.iter_mut().zip([100.0, 104.5, 103.0, 109.5, 116.0, 122.5]) {
            bar.close = close;
        }
        let values = bars::run("kyle_lambda(3)", &bars);
        assert_eq!(values, [None, None, None, Some(vec![2.0]), Some(vec![2.0]), None]);
    }
}
