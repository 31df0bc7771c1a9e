//! Share of large trades: how much of the newest candle's volume came in large pieces.
//!
//! Large is a trade at or above the `quantile` (nearest rank) of all trade sizes of the last
//! `period` candles, the newest included. `threshold` is that size; `share` is the volume of the
//! newest candle's large trades by its whole volume. Sizes are told apart to 1/128: whatever lies
//! in the threshold's bucket of the histogram is large. With period 1 the candle is measured by
//! itself. That size tells who trades is the ground of M. Barclay and J. Warner, "Stealth
//! trading and volatility", Journal of Financial Economics 34 (1993); classes relative to recent
//! trades, in place of fixed ones, make the statistic comparable between markets.
//!
//! A step costs as many operations as there are distinct sizes (to 1/128) in the window.

use crate::analytics::indicator::{Arguments, Bar, Entry, Needs, Parameter, any, keeping};
use crate::analytics::rolling::size_window::SizeWindow;
use crate::analytics::rolling::state::State;

pub const ENTRY: Entry = Entry {
    name: "large_trade_share",
    summary: "share of the volume that came in trades at or above a quantile of recent sizes",
    parameters: &[Parameter::period("period", 20, 1), Parameter::real("quantile", 0.99, 0.0, 1.0)],
    outputs: &["share", "threshold"],
    warm_up: |arguments| arguments.period(0),
    check: any,
    build: |arguments| {
        keeping(LargeTradeShare::new(arguments), LargeTradeShare::state, LargeTradeShare::advance)
    },
    needs: Needs::Sizes,
};

struct LargeTradeShare {
    window: SizeWindow,
    millionths: u32,
}

impl LargeTradeShare {
    fn new(arguments: &Arguments) -> Self {
        let millionths = (arguments.real(1) * 1e6 + 0.5).floor() as u32;
        Self { window: SizeWindow::new(arguments.period(0)), millionths }
    }

    fn advance(&mut self, bar: &Bar<'_>) -> Option<[f64; 2]> {
        let sizes = bar.sizes?;
        if sizes.is_empty() {
            return None;
        }
        self.window.push(sizes);
        let threshold = self.window.merged().threshold(self.millionths)?;
        let share = sizes.volume_from(threshold).to_f64() / sizes.volume().to_f64();
        self.window.is_full().then_some([share, threshold.size])
    }

    fn state(&mut self, state: &mut State<'_>) {
        self.window.state(state);
    }
}

#[cfg(test)]
mod tests {
    use crate::analytics::orderflow::bars::{self, Truth, newest};

    #[test]
    fn incremental_equals_naive() {
        for (period, percent) in [(1, 50), (3, 90), (2, 0), (2, 100)] {
            bars::check_eighths(&format!("large_trade_share({period},{})", percent as f64 / 100.0), |bars| {
                let window = newest(bars, period, |bar| bar.bar().sizes.map(|_| bar))?;
                let mut sizes: Vec<f64> = Vec::new();
                window.iter().for_each(|bar| sizes.extend(bar.trades.iter().map(|trade| trade.size())));
                sizes.sort_by(f64::total_cmp);
                let threshold = sizes[(sizes.len() * percent).div_ceil(100).max(1) - 1];
                let newest: Vec<f64> = bars.last()?.trades.iter().map(|trade| trade.size()).collect();
                let large: f64 = newest.iter().filter(|&&size| size >= threshold).sum();
                let share = large / newest.iter().sum::<f64>();
                Some(vec![Truth { value: share, scale: 1.0 }, Truth { value: threshold, scale: threshold }])
            });
        }
    }

    #[test]
    fn a_giant_among_lots() {
        let bars = bars::flows(&[(1.0, 1.0), (1.0, 1.0), (6.0, 2.0), (1.0, 1.0)]);
        let values = bars::run("large_trade_share(3,0.8)", &bars);
        assert_eq!(values[2], Some(vec![1.0, 2.0]));
        assert_eq!(values[3], Some(vec![0.0, 2.0]));
    }
}
