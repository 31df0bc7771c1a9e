//! What a symbol knows already when it goes on after a start, for whoever shows what forms or asks for what is
//! missing: outputs alone tell it only of what comes from then on.

use crate::domain::candle::Candle;
use crate::domain::decimal::Price;
use crate::domain::event::Trade;
use crate::domain::interval::Interval;
use crate::domain::output::Gap;
use crate::domain::time::UnixNanos;

/// Exchange time of a trade; then its id where that is a number, else the order of arrival.
pub type Rank = (UnixNanos, u64);

/// A symbol between two events.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Standing {
    /// Accepted events.
    pub seq: u64,
    /// Of the latest trade that is remembered.
    pub last: Option<(Price, UnixNanos)>,
    pub series: Vec<StandingSeries>,
    /// Those that were told and are not filled.
    pub gaps: Vec<Gap>,
    /// The last trades that were taken, without a hole between them, in the order in which they came; as many as
    /// the start happens to remember.
    pub trades: Vec<Trade>,
}

/// One interval of it.
#[derive(Clone, Debug, PartialEq)]
pub struct StandingSeries {
    pub interval: Interval,
    /// Candles up to here are closed; the beginning of time where intervals are no stretches of it.
    pub closed_until: UnixNanos,
    /// Those that still take trades, ascending.
    pub forming: Vec<FormingCandle>,
}

/// A candle that still takes trades, as it is by now.
#[derive(Clone, Debug, PartialEq)]
pub struct FormingCandle {
    pub candle: Candle,
    pub first: Rank,
    pub last: Rank,
}
