//! Candles: what traded in an interval, exactly, and how sure we are of it.

use std::fmt;

use crate::domain::decimal::{AveragePrice, Price, QuoteVolume, Volume};
use crate::domain::interval::Interval;
use crate::domain::time::UnixNanos;

/// First, highest, lowest and last price.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ohlc {
    pub open: Price,
    pub high: Price,
    pub low: Price,
    pub close: Price,
}

/// What is known of an interval.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CandleState {
    /// It traded, and no hole touches it.
    Traded,
    /// We were watching, and nothing traded.
    Empty,
    /// It traded, and a hole touches it.
    Partial,
    /// No trade is known, and we cannot say that there was none.
    Unknown,
}

impl CandleState {
    pub fn name(self) -> &'static str {
        match self {
            Self::Traded => "traded",
            Self::Empty => "empty",
            Self::Partial => "partial",
            Self::Unknown => "unknown",
        }
    }
}

/// Who made a candle; part of its identity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Origin {
    /// tapewatch, from trades.
    Trades,
    /// The venue.
    Venue,
    /// A file of ready candles.
    File,
}

impl Origin {
    pub fn name(self) -> &'static str {
        match self {
            Self::Trades => "trades",
            Self::Venue => "venue",
            Self::File => "file",
        }
    }
}

/// One closed candle, or a long stretch of intervals without a trade.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candle {
    pub interval: Interval,
    /// Inclusive.
    pub open_at: UnixNanos,
    /// Exclusive. A stretch of more than 3,600 trade-less intervals ends with its last.
    pub close_at: UnixNanos,
    /// `None` where no trade is known.
    pub prices: Option<Ohlc>,
    pub volume: Volume,
    /// `None` where a ready candle does not say.
    pub quote_volume: Option<QuoteVolume>,
    /// `None` where a ready candle does not say.
    pub trade_count: Option<u64>,
    /// `None` where a ready candle does not say.
    pub taker_buy_volume: Option<Volume>,
    /// `None` where a ready candle does not say.
    pub taker_buy_quote_volume: Option<QuoteVolume>,
    pub state: CandleState,
    /// 0 when first told; one more with each telling that differs.
    pub revision: u32,
    pub origin: Origin,
}

impl Candle {
    /// Quote volume by volume, rounded half-even to 12 places; `None` where nothing traded.
    pub fn vwap(&self) -> Option<AveragePrice> {
        self.quote_volume?.average_price(self.volume)
    }
}

impl fmt::Display for CandleState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
