//! Inter-arrival time: mean seconds from a trade to the next, over the last `period` candles.
//!
//! The time from the first trade of the oldest to the last of the newest, divided by the
//! number of trades less one: the mean of all the durations between, without one of them
//! being kept. Durations between trades are the subject of R. Engle and J. Russell,
//! "Autoregressive conditional duration", Econometrica 66 (1998). An aggregate counts as many
//! trades as it is made of, all at one moment. No value for a single trade, none for ready
//! candles, which know no trade times.

use crate::analytics::indicator::{Entry, Needs, Parameter, any, keeping};
use crate::analytics::rolling::counts::CountWindow;
use crate::domain::time::NANOS_PER_SECOND;

pub const ENTRY: Entry = Entry {
    name: "inter_arrival",
    summary: "mean seconds from a trade to the next",
    parameters: &[Parameter::period("period", 1, 1)],
    outputs: &["value"],
    warm_up: |arguments| arguments.period(0),
    check: any,
    build: |arguments| {
        // With the time of the first trade of each candle.
        keeping(CountWindow::new(arguments.period(0)), CountWindow::state, |trades, bar| {
            let (count, (first, last)) = (bar.trade_count?, bar.trade_times?);
            trades.push(count, first);
            // A late trade can enter an information-driven bar and put its clock behind an older one's.
            let nanos = trades.nanos_until(last).filter(|&nanos| nanos >= 0)?;
            let durations = trades.total().checked_sub(1).filter(|&n| n > 0)?;
            trades.is_full().then(|| [nanos as f64 / NANOS_PER_SECOND as f64 / durations as f64])
        })
    },
    needs: Needs::Prices,
};

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
