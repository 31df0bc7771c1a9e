//! In what targets are measured: how a forecaster's number becomes a value, and what an error costs.
//!
//! Forecasters speak in measures in which errors are about alike at all times: changes and logarithms. Values
//! are what people read: a price, a variance, a volume.

use std::f64::consts::LN_2;

use crate::analytics::estimators::elementary::{exp, exp_both, exp_each, ln};
use crate::analytics::forecast::ground::{FlowKind, Ground};
use crate::domain::insight::Target;

/// What a target asks of those who forecast it.
#[derive(Clone, Copy, Debug)]
pub struct Terms {
    pub target: Target,
    /// Nobody is believed to know it before it is proven: that its loss is smaller by more than luck explains.
    pub is_doubtful: bool,
    /// Losses from it on are alike to the mixture.
    pub loss_max: f64,
    /// How far outcomes may lie from the first forecasts, in units of the scale: at a horizon of one, and far ahead.
    reach: [f64; 2],
    /// By what share of itself one miss too many moves the sides of an interval out: lower and upper. Of amounts the
    /// upper one less, for it is told as a value: a step up in logarithms is the wider one.
    pub stretch: [f64; 2],
}

/// The same of variances, volumes and counts of trades.
const AMOUNT_STRETCH: [f64; 2] = [0.011, 0.006];
/// A price's scale follows the variance that is expected, up to so many times the volatility of now and down to as
/// small a part.
const APART_MAX: f64 = 4.0;

impl Terms {
    pub fn of(target: Target) -> Self {
        let (is_doubtful, loss_max, reach, stretch) = match target {
            // Squared error in volatilities.
            Target::Price => (true, 9.0, [1.645, 1.45], [0.0037; 2]),
            // QLIKE.
            Target::RealizedVariance => (false, 2.0, [3.0, 0.8], AMOUNT_STRETCH),
            // Absolute error of logarithms.
            Target::Volume | Target::TradeCount => (false, 2.0, [2.0, 0.6], AMOUNT_STRETCH),
            // Minus the logarithm of the chance given.
            Target::Direction => (true, 2.0 * LN_2, [0.0; 2], [0.0; 2]),
        };
        Self { target, is_doubtful, loss_max, reach, stretch }
    }

    /// How far outcomes may lie from the first forecasts over a horizon, in units of the scale.
    pub fn reach(&self, horizon: usize) -> f64 {
        let [near, far] = self.reach;
        far + (near - far) / (horizon as f64).sqrt()
    }

    /// What came over the last candles of horizon `k`, as a value and in the measure; `None`: it is not known.
    /// `close_then`: before them. A direction is 1 for a rise and 0 for a fall, and neither is none in the measure and a
    /// half as a value.
    #[inline]
    pub fn came(&self, ground: &Ground, k: usize, close_then: f64) -> Option<(f64, Option<f64>)> {
        let close = ground.bar().close;
        match self.target {
            Target::Price if close == close_then => Some((close, Some(0.0))),
            Target::Price => Some((close, ground.change(k))),
            Target::Direction => {
                let went = (close != close_then).then(|| f64::from(u8::from(close > close_then)));
                Some((went.unwrap_or(0.5), went))
            }
            Target::RealizedVariance => Some((ground.realized(k)?, ground.log_realized(k))),
            Target::Volume => Some((ground.volume().sum(k)?, FlowKind::Volume.log_sum(ground, k))),
            Target::TradeCount => Some((ground.trades().sum(k)?, FlowKind::Trades.log_sum(ground, k))),
        }
    }

    /// A measure as a value; `close`: the price when it was said.
    #[inline]
    pub fn value(&self, measure: f64, close: f64) -> f64 {
        match self.target {
            Target::Price if measure == 0.0 => close,
            Target::Price => close * growth(measure),
            Target::Direction => measure,
            Target::RealizedVariance | Target::Volume | Target::TradeCount => exp(measure),
        }
    }

    /// Measures as values, into `values`.
    #[inline]
    pub fn values(&self, measures: impl Iterator<Item = f64>, close: f64, values: &mut [f64]) {
        let each = values.iter_mut().zip(measures);
        match self.target {
            Target::RealizedVariance | Target::Volume | Target::TradeCount => {
                each.for_each(|(value, measure)| *value = measure);
                exp_each(values);
            }
            Target::Price | Target::Direction => {
                each.for_each(|(value, measure)| *value = self.value(measure, close));
            }
        }
    }

    /// The bounds of an interval as values: an amount that is next to nothing may be nothing at all.
    #[inline]
    pub fn bounds(&self, ground: &Ground, measures: [f64; 2], close: f64) -> [f64; 2] {
        let (lower, upper) = match self.target {
            Target::RealizedVariance | Target::Volume | Target::TradeCount => {
                exp_both(measures[0], measures[1])
            }
            Target::Price | Target::Direction => {
                (self.value(measures[0], close), self.value(measures[1], close))
            }
        };
        [if lower <= self.least(ground) { 0.0 } else { lower }, upper]
    }

    /// The amount next to nothing; below 0 where there is no such thing.
    #[inline]
    pub fn least(&self, ground: &Ground) -> f64 {
        match self.target {
            Target::Volume => FlowKind::Volume.least(ground),
            Target::TradeCount => FlowKind::Trades.least(ground),
            _ => f64::NEG_INFINITY,
        }
    }

    /// The unit of errors, so that they are alike in quiet and wild times.
    #[inline]
    pub fn scale(&self, ground: &Ground, k: usize) -> f64 {
        match self.target {
            Target::Price => {
                let usual = ground.usual_deviation(k);
                // Where nobody forecasts the variance, that of now goes on.
                ground
                    .expected_deviation(k)
                    .map_or(usual, |expected| expected.clamp(usual / APART_MAX, usual * APART_MAX))
            }
            _ => 1.0,
        }
    }

    /// What it costs to have said `said` where `outcome` came. `ratio`: of the outcome by the forecast, as values.
    #[inline]
    pub fn loss(&self, outcome: f64, said: f64, scale: f64, ratio: f64) -> f64 {
        match self.target {
            Target::Price => {
                let error = (outcome - said) / scale;
                error * error
            }
            Target::RealizedVariance => ratio - (outcome - said) - 1.0,
            Target::Volume | Target::TradeCount => (outcome - said).abs(),
            Target::Direction => -ln(if outcome > 0.5 { said } else { 1.0 - said }),
        }
    }
}

/// The exponential of a change of a price, nearly always a small one: its series then, to the last bit but one.
#[inline]
fn growth(change: f64) -> f64 {
    if change.abs() > 0.01 {
        return exp(change);
    }
    let x = change;
    1.0 + x * (1.0 + x / 2.0 * (1.0 + x / 3.0 * (1.0 + x / 4.0 * (1.0 + x / 5.0 * (1.0 + x / 6.0)))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analytics::forecast::ground::Bar;
    use crate::domain::interval::Interval;
    use crate::domain::time::UnixNanos;

    #[test]
    fn a_prices_scale_follows_the_variance_that_is_expected_within_bounds() {
        let minute = "1m".parse::<Interval>().unwrap().time().unwrap();
        let mut ground = Ground::new(minute, &[1, 4]);
        for i in 1..50 {
            let close = if i % 2 == 0 { 100.0 } else { 100.1 };
            let close_at = UnixNanos(i * minute.nanos());
            let (range, volume) = (1e-3, 1.0);
            ground.take(&Bar { close_at, close, range, volume, trades: None, taker_imbalance: None });
        }
        let scale = |ground: &Ground| Terms::of(Target::Price).scale(ground, 1);
        let usual = 2.0 * ground.volatility();
        assert_eq!(scale(&ground), usual, "nobody forecasts the variance");
        for (times, expected) in [(1.5, 1.5), (0.5, 0.5), (100.0, 4.0), (0.001, 0.25)] {
            ground.expect(|_| 2.0 * ln(times * usual));
            let ratio = scale(&ground) / usual;
            assert!((ratio - expected).abs() < 1e-9, "{times}: {ratio}");
        }
    }
}
