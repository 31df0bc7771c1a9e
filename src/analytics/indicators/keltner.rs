//! Keltner channel: an average of closes, and so many average true ranges above and below.
//!
//! `middle` is the exponential average of closes (TA-Lib's `EMA`); `upper` and `lower` lie
//! `multiplier` average true ranges (Wilder's, TA-Lib's `ATR`) from it. Source: C. Keltner,
//! "How to Make Money in Commodities" (1960), in the form of L. Raschke, with the exponential
//! average and the true range; (20, 2, 10) are her parameters. Silent until both averages
//! are warm. O(1) a bar.

use crate::analytics::indicator::{Arguments, Bar, Entry, Indicator, Parameter, any};
use crate::analytics::rolling::average::Ema;
use crate::analytics::rolling::state::State;
use crate::analytics::rolling::true_range::AverageTrueRange;

pub const ENTRY: Entry = Entry {
    name: "keltner",
    summary: "channel of average true ranges round an exponential average of closes",
    parameters: &[
        Parameter::period("period", 20, 1),
        Parameter::real("multiplier", 2.0, 0.0, 100.0),
        Parameter::period("atr_period", 10, 1),
    ],
    outputs: &["upper", "middle", "lower"],
    warm_up: |arguments| arguments.period(0).max(arguments.period(2) + 1),
    check: any,
    build: |arguments| Box::new(Keltner::new(arguments)),
    needs_sizes: false,
};

struct Keltner {
    closes: Ema,
    multiplier: f64,
    range: AverageTrueRange,
}

impl Keltner {
    fn new(arguments: &Arguments) -> Self {
        Self {
            closes: Ema::new(arguments.period(0)),
            multiplier: arguments.real(1),
            range: AverageTrueRange::new(arguments.period(2)),
        }
    }
}

impl Indicator for Keltner {
    fn advance(&mut self, bar: &Bar<'_>, out: &mut [f64]) -> bool {
        let (middle, range) = (self.closes.push(bar.close), self.range.advance(bar));
        let (Some(middle), Some(range)) = (middle, range) else { return false };
        let reach = self.multiplier * range;
        out.copy_from_slice(&[middle + reach, middle, middle - reach]);
        true
    }

    fn state(&mut self, state: &mut State<'_>) {
        self.closes.state(state);
        self.range.state(state);
    }
}

#[cfg(test)]
mod tests {
    use crate::analytics::indicator::Bar;
    use crate::analytics::indicators::trial::check;
    use crate::analytics::rolling::true_range::naive::average_true_range;

    fn check_channel(period: usize, multiplier: f64, atr_period: usize) {
        check(&format!("keltner({period},{multiplier},{atr_period})"), |bars: &[Bar<'_>]| {
            let (first, rest) = bars.split_at_checked(period)?;
            let n = period as f64;
            let start = first.iter().map(|bar| bar.close).sum::<f64>() / n;
            let middle = rest.iter().fold(start, |e, bar| (e * (n - 1.0) + bar.close * 2.0) / (n + 1.0));
            let reach = multiplier * average_true_range(bars, atr_period)?;
            Some(vec![middle + reach, middle, middle - reach])
        });
    }

    #[test]
    fn equals_the_recomputation() {
        check_channel(20, 2.0, 10);
        check_channel(3, 1.5, 14);
        check_channel(5, 0.0, 4);
    }
}
