//! Distribution of trade sizes over the last `period` candles, in base currency.
//!
//! `p10` to `p99`: the size that so many per cent of the trades do not exceed (nearest rank:
//! R. Hyndman and Y. Fan, "Sample quantiles in statistical packages", The American Statistician
//! 50 (1996), definition 1), within 1/128, and exact where trades near it are of one size;
//! `max` likewise. `mean` is exact. An aggregate is one trade of its whole size: it is one
//! order of one taker.
//!
//! A step costs as many operations as there are distinct sizes (to 1/128) in the window.

use crate::analytics::indicator::{Entry, Needs, Parameter, any, keeping};
use crate::analytics::rolling::size_window::SizeWindow;
use crate::analytics::rolling::sizes::SizeHistogram;

pub const ENTRY: Entry = Entry {
    name: "trade_size",
    summary: "quantiles, mean and maximum of trade sizes",
    parameters: &[Parameter::period("period", 1, 1)],
    outputs: &["p10", "p50", "p90", "p99", "mean", "max"],
    warm_up: |arguments| arguments.period(0),
    check: any,
    build: |arguments| {
        keeping(SizeWindow::new(arguments.period(0)), SizeWindow::state, |window, bar| {
            window.push(bar.sizes.filter(|sizes| !sizes.is_empty())?);
            window.is_full().then(|| describe(window.merged()))?
        })
    },
    needs: Needs::Sizes,
};

fn describe(sizes: &SizeHistogram) -> Option<[f64; 6]> {
    let [p10, p50, p90, p99] = sizes.quantiles([100_000, 500_000, 900_000, 990_000])?;
    let mean = sizes.volume().to_f64() / sizes.count() as f64;
    Some([p10, p50, p90, p99, mean, sizes.max()?])
}

#[cfg(test)]
mod tests {
    use crate::analytics::orderflow::bars::{self, Truth, newest};

    #[test]
    fn incremental_equals_naive() {
        for period in [1, 3] {
            bars::check(&format!("trade_size({period})"), |bars| {
                let window = newest(bars, period, |bar| bar.bar().sizes.map(|_| bar))?;
                let mut sizes: Vec<f64> = Vec::new();
                window.iter().for_each(|bar| sizes.extend(bar.trades.iter().map(|trade| trade.size())));
                sizes.sort_by(f64::total_cmp);
                let rank = |percent: usize| sizes[(sizes.len() * percent).div_ceil(100).max(1) - 1];
                let within = |value: f64| Truth { value, scale: value / 128.0 / bars::TOLERANCE };
                let mean = sizes.iter().sum::<f64>() / sizes.len() as f64;
                let mut truths: Vec<_> = [10, 50, 90, 99].map(|percent| within(rank(percent))).into();
                truths.extend([Truth { value: mean, scale: mean }, within(rank(100))]);
                Some(truths)
            });
        }
    }

    #[test]
    fn lots_are_told_as_they_are() {
        let bars = bars::flows(&[(0.1, 0.0), (0.1, 0.3)]);
        assert_eq!(bars::run("trade_size", &bars)[0], Some(vec![0.1; 6]));
        let both = bars::run("trade_size(2)", &bars)[1].clone().unwrap();
        assert_eq!(both, [0.1, 0.1, 0.3, 0.3, 0.5 / 3.0, 0.3]);
    }
}
