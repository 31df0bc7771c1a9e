//! Trade rate: trades per second over the last `period` candles.
//!
//! Their trades divided by the time from the open of the oldest to the close of the newest;
//! intervals between them in which nothing traded are time too. An aggregate counts as many
//! trades as it is made of. The intensity of a point process as in R. Engle and J. Russell,
//! "Autoregressive conditional duration", Econometrica 66 (1998), by plain counting.

use crate::analytics::indicator::{Entry, Needs, Parameter, any, keeping};
use crate::analytics::rolling::counts::CountWindow;
use crate::domain::time::NANOS_PER_SECOND;

pub const ENTRY: Entry = Entry {
    name: "trade_rate",
    summary: "trades per second",
    parameters: &[Parameter::period("period", 1, 1)],
    outputs: &["value"],
    warm_up: |arguments| arguments.period(0),
    check: any,
    build: |arguments| {
        // With the open time of each candle.
        keeping(CountWindow::new(arguments.period(0)), CountWindow::state, |trades, bar| {
            trades.push(bar.trade_count?, bar.open_at);
            let nanos = trades.nanos_until(bar.close_at).filter(|&nanos| nanos > 0)?;
            trades.is_full().then(|| [trades.total() as f64 / (nanos as f64 / NANOS_PER_SECOND as f64)])
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
            bars::check(&format!("trade_rate({period})"), |bars| {
                let window = newest(bars, period, |bar| Some((bar.bar().trade_count?, bar.open_at)))?;
                let count: u64 = window.iter().map(|(count, _)| count).sum();
                let nanos = bars.last()?.close_at.0 - window[0].1.0;
                let value = count as f64 / (nanos as f64 / 1e9);
                Some(vec![Truth { value, scale: value }])
            });
        }
    }

    #[test]
    fn silent_time_is_time() {
        let mut bars = bars::flows(&[(1.0, 0.0), (1.0, 0.0)]);
        bars[1].open_at.0 += 8_000_000_000;
        bars[1].close_at.0 += 8_000_000_000;
        assert_eq!(bars::run("trade_rate", &bars), [Some(vec![1.0]), Some(vec![1.0])]);
        assert_eq!(bars::run("trade_rate(2)", &bars), [None, Some(vec![0.2])]);
    }
}
