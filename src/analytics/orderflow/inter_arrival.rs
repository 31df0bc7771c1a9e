//! Inter-arrival time: mean seconds from a trade to the next, over the last `period` candles.
//!
//! The time from the first trade of the oldest to the last of the newest, divided by the
//! number of trades less one: the mean of all the durations between, without one of them
//! being kept. Durations between trades are the subject of R. Engle and J. Russell,
//! "Autoregressive conditional duration", Econometrica 66 (1998). An aggregate counts as many
//! trades as it is made of, all at one moment. No value for a single trade, none for ready
//! candles, which know no trade times.

use crate::analytics::indicator::{Arguments, Bar, Entry, Indicator, Needs, Parameter, any};
use crate::analytics::rolling::counts::CountWindow;
use crate::analytics::rolling::state::State;
use crate::domain::time::NANOS_PER_SECOND;

pub const ENTRY: Entry = Entry {
    name: "inter_arrival",
    summary: "mean seconds from a trade to the next",
    parameters: &[Parameter::period("period", 1, 1)],
    outputs: &["value"],
    warm_up: |arguments| arguments.period(0),
    check: any,
    build: |arguments| Box::new(InterArrival::new(arguments)),
    needs: Needs::Prices,
};

struct InterArrival {
    /// With the time of the first trade of each candle.
    trades: CountWindow,
}

impl InterArrival {
    fn new(arguments: &Arguments) -> Self {
        Self { trades: CountWindow::new(arguments.period(0)) }
    }
}

impl Indicator for InterArrival {
    fn advance(&mut self, bar: &Bar<'_>, out: &mut [f64]) -> bool {
        let (Some(count), Some((first, last))) = (bar.trade_count, bar.trade_times) else { return false };
        self.trades.push(count, first);
        // A late trade can enter an information-driven bar and put its clock behind an older one's.
        let Some(nanos) = self.trades.nanos_until(last).filter(|&nanos| nanos >= 0) else { return false };
        let Some(durations) = self.trades.total().checked_sub(1).filter(|&n| n > 0) else { return false };
        out[0] = nanos as f64 / NANOS_PER_SECOND as f64 / durations as f64;
        self.trades.is_full()
    }

    fn state(&mut self, state: &mut State<'_>) {
        self.trades.state(state);
    }
}

#[cfg(test)]
mod tests {
    use crate::analytics::orderflow::bars::{self, Truth, newest};

    #[test]
    fn incremental_equals_naive() {
        for period in [1, 3] {
            bars::check(&format!("inter_arrival({period})"), |bars| {
                let window = newest(bars, period, |bar| bar.bar().trade_times.map(|_| bar))?;
                let mut times: Vec<i64> = Vec::new();
                window.iter().for_each(|bar| times.extend(bar.trades.iter().map(|trade| trade.at.0)));
                let durations: Vec<i64> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
                let mean = durations.iter().sum::<i64>() as f64 / 1e9 / durations.len() as f64;
                (!durations.is_empty()).then(|| vec![Truth { value: mean, scale: mean }])
            });
        }
    }

    #[test]
    fn a_single_trade_has_no_next_and_equal_times_no_distance() {
        let bars = bars::flows(&[(1.0, 0.0), (1.0, 2.0), (1.0, 2.0)]);
        let values = bars::run("inter_arrival", &bars);
        assert_eq!(values, [None, Some(vec![0.0]), Some(vec![0.0])]);
        let values = bars::run("inter_arrival(2)", &bars);
        assert_eq!(values, [None, Some(vec![0.5]), Some(vec![1.0 / 3.0])]);
    }

    #[test]
    fn a_clock_that_runs_backwards_brings_no_value() {
        let mut bars = bars::flows(&[(1.0, 1.0), (1.0, 1.0)]);
        bars.swap(0, 1);
        assert_eq!(bars::run("inter_arrival(2)", &bars), [None, None]);
    }
}
