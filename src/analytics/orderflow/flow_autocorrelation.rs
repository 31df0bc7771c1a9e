//! Autocorrelation of signed volume: whether buying follows buying.
//!
//! Sample autocorrelation, at distance `lag`, of the deltas (taker buy less taker sell volume) of
//! the last `period` candles: the sum of `(x[t] - m)(x[t - lag] - m)` by the sum of `(x[t] - m)^2`, both
//! about the mean m of the whole window, so that it lies in [-1, 1]. The estimator is that of
//! G. Box and G. Jenkins, "Time series analysis" (1970); that the sign of order flow
//! remembers long is the finding of F. Lillo and J. D. Farmer, "The long memory of the efficient
//! market", Studies in Nonlinear Dynamics & Econometrics 8 (2004).
//!
//! No value while the deltas of the window are all equal.

use crate::analytics::indicator::{Arguments, Bar, Entry, Needs, Parameter, keeping};
use crate::analytics::rolling::fold::{Fold, PairMoments};
use crate::analytics::rolling::state::State;
use crate::analytics::rolling::window::Window;

pub const ENTRY: Entry = Entry {
    name: "flow_autocorrelation",
    summary: "autocorrelation of taker buy less taker sell volume",
    parameters: &[Parameter::period("period", 50, 2), Parameter::period("lag", 1, 1)],
    outputs: &["value"],
    warm_up: |arguments| arguments.period(0),
    check: |arguments| {
        if arguments.period(1) < arguments.period(0) { Ok(()) } else { Err("lag must be below period") }
    },
    build: |arguments| {
        keeping(FlowAutocorrelation::new(arguments), FlowAutocorrelation::state, FlowAutocorrelation::advance)
    },
    needs: Needs::Amounts,
};

struct FlowAutocorrelation {
    /// The last `lag` deltas.
    recent: Window,
    deltas: Fold<PairMoments>,
    /// Of delta and the one `lag` earlier, both in the window.
    pairs: Fold<PairMoments>,
}

impl FlowAutocorrelation {
    fn new(arguments: &Arguments) -> Self {
        let (period, lag) = (arguments.period(0), arguments.period(1));
        Self { recent: Window::new(lag), deltas: Fold::new(period), pairs: Fold::new(period - lag) }
    }

    fn advance(&mut self, bar: &Bar<'_>) -> Option<[f64; 1]> {
        let (buy, sell) = (bar.taker_buy_volume?, bar.taker_sell_volume?);
        let delta = buy - sell;
        self.deltas.push(PairMoments::of(delta, 0.0));
        if let Some(earlier) = self.recent.push(delta) {
            self.pairs.push(PairMoments::of(delta, earlier));
        }
        let (deltas, pairs) = (self.deltas.total(), self.pairs.total());
        // The pairs' products are about their own means; the second term moves them to that of the window.
        let shift = pairs.count * (pairs.mean_x - deltas.mean_x) * (pairs.mean_y - deltas.mean_x);
        (self.deltas.is_full() && deltas.varies()).then(|| [(pairs.xy + shift) / deltas.xx])
    }

    fn state(&mut self, state: &mut State<'_>) {
        self.recent.state(state);
        self.deltas.state(state);
        self.pairs.state(state);
    }
}

#[cfg(test)]
mod tests {
    use crate::analytics::catalogue::Spec;
    use crate::analytics::orderflow::bars::{self, Truth, newest};

    #[test]
    fn incremental_equals_naive() {
        for (period, lag) in [(5, 1), (7, 3), (4, 3), (2, 1)] {
            bars::check(&format!("flow_autocorrelation({period},{lag})"), |bars| {
                let window = newest(bars, period, |bar| bar.taker().map(|(buy, sell)| buy - sell))?;
                let mean = window.iter().sum::<f64>() / period as f64;
                let xx: f64 = window.iter().map(|x| (x - mean) * (x - mean)).sum();
                let xy: f64 = window.windows(lag + 1).map(|w| (w[0] - mean) * (w[lag] - mean)).sum();
                (xx > 0.0).then(|| vec![Truth { value: xy / xx, scale: 1.0 }])
            });
        }
    }

    #[test]
    fn turn_and_turn_about() {
        let bars = bars::flows(&[(1.0, 0.0), (0.0, 1.0), (1.0, 0.0), (0.0, 1.0), (0.0, 1.0), (0.0, 1.0)]);
        let values = bars::run("flow_autocorrelation(4,1)", &bars);
        assert_eq!(values[3], Some(vec![-0.75]));
        let values = bars::run("flow_autocorrelation(3,1)", &bars);
        assert_eq!(values[5], None, "all equal");
        assert!(
            Spec::parse("flow_autocorrelation(5,5)").unwrap_err().to_string().contains("lag must be below")
        );
    }
}
