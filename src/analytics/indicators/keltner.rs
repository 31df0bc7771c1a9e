//! Keltner channel: an average of prices, and so many average true ranges above and below.
//!
//! `middle` is the exponential average of typical prices, (high + low + close) / 3; `upper` and
//! `lower` lie `multiplier` average true ranges (Wilder's) from it. Source: C. Keltner, "How
//! to Make Money in Commodities" (1960), in the later form with an exponential average and
//! the true range. Equals TA-Lib's `KC`, which begins both averages so late that their first
//! values stand at the same bar: the one that warms up faster leaves out the first bars. O(1)
//! a bar.

use crate::analytics::indicator::{Arguments, Bar, Entry, Needs, Parameter, any, keeping};
use crate::analytics::rolling::average::Ema;
use crate::analytics::rolling::state::State;
use crate::analytics::rolling::true_range::AverageTrueRange;

pub const ENTRY: Entry = Entry {
    name: "keltner",
    summary: "channel of average true ranges round an exponential average of typical prices",
    parameters: &[
        Parameter::period("period", 20, 1),
        Parameter::period("atr_period", 10, 1),
        Parameter::real("multiplier", 2.0, 0.0, 100.0),
    ],
    outputs: &["upper", "middle", "lower"],
    warm_up: |arguments| arguments.period(0).max(arguments.period(1) + 1),
    check: any,
    build: |arguments| keeping(Keltner::new(arguments), Keltner::state, Keltner::advance),
    needs: Needs::Prices,
};

struct Keltner {
    prices: Ema,
    range: AverageTrueRange,
    multiplier: f64,
    /// Bars that each of the averages still leaves out.
    prices_wait: usize,
    range_waits: usize,
}

impl Keltner {
    fn new(arguments: &Arguments) -> Self {
        let (period, atr_period) = (arguments.period(0), arguments.period(1));
        Self {
            prices: Ema::new(period),
            range: AverageTrueRange::new(atr_period),
            multiplier: arguments.real(2),
            prices_wait: (atr_period + 1).saturating_sub(period),
            range_waits: period.saturating_sub(atr_period + 1),
        }
    }

    fn advance(&mut self, bar: &Bar<'_>) -> Option<[f64; 3]> {
        if self.prices_wait > 0 {
            self.prices_wait -= 1;
            self.range.advance(bar);
            return None;
        }
        let middle = self.prices.push((bar.high + bar.low + bar.close) / 3.0);
        if self.range_waits > 0 {
            self.range_waits -= 1;
            return None;
        }
        let range = self.range.advance(bar);
        let (middle, range) = (middle?, range?);
        let reach = self.multiplier * range;
        Some([middle + reach, middle, middle - reach])
    }

    fn state(&mut self, state: &mut State<'_>) {
        self.prices.state(state);
        self.range.state(state);
        state.usize(&mut self.prices_wait);
        state.usize(&mut self.range_waits);
    }
}

#[cfg(test)]
mod tests {
    use crate::analytics::indicator::Bar;
    use crate::analytics::indicators::trial::check;
    use crate::analytics::rolling::true_range::naive::average_true_range;

    fn check_channel(period: usize, atr_period: usize, multiplier: f64) {
        check(&format!("keltner({period},{atr_period},{multiplier})"), |bars: &[Bar<'_>]| {
            let warm = period.max(atr_period + 1);
            let (first, rest) = bars.get(warm - period..)?.split_at_checked(period)?;
            let typical = |bar: &Bar<'_>| (bar.high + bar.low + bar.close) / 3.0;
            let n = period as f64;
            let start = first.iter().map(typical).sum::<f64>() / n;
            let middle = rest.iter().map(typical).fold(start, |e, x| (e * (n - 1.0) + x * 2.0) / (n + 1.0));
            let reach = multiplier * average_true_range(&bars[warm - atr_period - 1..], atr_period)?;
            Some(vec![middle + reach, middle, middle - reach])
        });
    }

    #[test]
    fn equals_the_recomputation() {
        check_channel(20, 10, 2.0);
        check_channel(3, 14, 1.5);
        check_channel(5, 4, 0.0);
        check_channel(1, 1, 1.0);
    }
}
