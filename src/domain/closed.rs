//! A closed candle as the comparison across instruments hears of it.

use crate::domain::candle::{Candle, CandleState};
use crate::domain::decimal::Price;
use crate::domain::time::UnixNanos;

/// What a closed candle says of its asset's price.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Said {
    /// It traded, and closed at.
    Price(Price),
    /// Nothing traded.
    Nothing,
    /// A hole touches it.
    Hole,
}

impl Said {
    pub fn of(candle: &Candle) -> Self {
        match (candle.state, candle.prices) {
            (CandleState::Traded, Some(prices)) => Self::Price(prices.close),
            (CandleState::Empty, _) => Self::Nothing,
            _ => Self::Hole,
        }
    }
}

/// One closed candle, as far as it is compared. One that closed at the beginning of time makes its instrument known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Closed {
    pub close_at: UnixNanos,
    pub said: Said,
    /// Accepted events of its instrument when it was told.
    pub cause_seq: u64,
    /// Older than the comparison itself: it teaches, and nothing is told of it.
    pub is_quiet: bool,
    /// Others are still on their way, however long that takes.
    pub is_held: bool,
}

impl Closed {
    /// Before its first candle: whoever has none yet is waited for, too.
    pub const MEETING: Self = Self {
        close_at: UnixNanos(i64::MIN),
        said: Said::Nothing,
        cause_seq: 0,
        is_quiet: true,
        is_held: true,
    };
}
