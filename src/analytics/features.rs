//! What models look at: stationary features of a closed candle, never a raw price.
//!
//! A row describes one candle that traded, with what came before it; it is silent where a hole lies
//! between the candle and the one before, for a return over a hole is a return over unknown time.

use crate::analytics::rolling::state::State;
use crate::domain::candle::{Candle, CandleState};

/// Version of the definitions below; part of every model's name would be too much, a change is told here.
pub const FEATURES_VERSION: u32 = 1;

/// Weight of the newest squared return in the volatility, as J.P. Morgan's RiskMetrics (1996) weighs it.
const VOLATILITY_WEIGHT: f64 = 0.06;
/// A market that did not move has a volatility all the same: a tenth of a basis point.
const VOLATILITY_FLOOR: f64 = 1e-5;

/// The features of one candle.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Features {
    /// ln(close / close before).
    pub log_return: f64,
    /// The return in units of the volatility expected before it.
    pub scaled_return: f64,
    /// ln of base currency traded.
    pub log_volume: f64,
    /// ln of trades; `None` where a ready candle does not say.
    pub log_trade_count: Option<f64>,
    /// ln(high / low).
    pub range: f64,
    /// Bought less sold by takers, as a share of the volume, -1 to 1; `None` where it is not known.
    pub taker_imbalance: Option<f64>,
}

/// Makes features of the candles of one interval, in order of open time.
#[derive(Clone, Debug, Default)]
pub struct FeatureMaker {
    /// Of the candle before; `None` at the beginning and after a hole.
    last_close: Option<f64>,
    /// Exponentially weighted mean of squared returns; `None` until there was one.
    variance: Option<f64>,
}

impl FeatureMaker {
    /// Takes the next candle. `None`: there is nothing to compare it with, or it did not trade.
    pub fn next(&mut self, candle: &Candle) -> Option<Features> {
        let Some(prices) = candle.prices else {
            if candle.state == CandleState::Unknown {
                self.last_close = None;
            }
            return None;
        };
        let close = prices.close.decimal().to_f64();
        let before = self.last_close.replace(close);
        if candle.state == CandleState::Partial {
            // What is missing of it would look like a quiet market.
            self.last_close = None;
            return None;
        }
        let log_return = libm::log(close / before?);
        let volatility = self.variance.map(|variance| variance.sqrt().max(VOLATILITY_FLOOR));
        let square = log_return * log_return;
        let variance = self.variance.get_or_insert(square);
        *variance += VOLATILITY_WEIGHT * (square - *variance);
        let volume = candle.volume.to_f64();
        let share = candle.taker_buy_volume.map(|bought| 2.0 * bought.to_f64() / volume - 1.0);
        Some(Features {
            log_return,
            scaled_return: log_return / volatility?,
            log_volume: libm::log(volume),
            log_trade_count: candle.trade_count.filter(|&n| n > 0).map(|n| libm::log(n as f64)),
            range: libm::log(prices.high.decimal().to_f64() / prices.low.decimal().to_f64()),
            taker_imbalance: share,
        })
    }

    /// Visits every word of mutable state.
    pub fn state(&mut self, state: &mut State<'_>) {
        state.option_f64(&mut self.last_close);
        state.option_f64(&mut self.variance);
    }
}
