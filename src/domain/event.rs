//! What happens to one instrument: the inputs of a symbol's pipeline, in the order of its log.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use crate::domain::candle::{Ohlc, Origin};
use crate::domain::decimal::{Price, Quantity, QuoteVolume, Volume};
use crate::domain::divergence::Divergence;
use crate::domain::interval::TimeInterval;
use crate::domain::time::{Stamp, UnixNanos};

/// Who crossed the spread.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Side {
    Buy,
    Sell,
}

impl Side {
    pub fn name(self) -> &'static str {
        match self {
            Self::Buy => "buy",
            Self::Sell => "sell",
        }
    }
}

/// How the venue names a trade.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum TradeId {
    /// The venue gives none.
    Absent,
    /// A whole number without leading zeros.
    Number(u64),
    /// Any other text, at most [`TradeId::BYTES_MAX`] bytes.
    Text(TextId),
}

/// Text in eight bytes, its length being with it: nearly all ids are numbers, and are not made longer by those that
/// are not.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct TextId(Arc<Box<str>>);

impl Deref for TextId {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl<T: Into<Box<str>>> From<T> for TextId {
    fn from(text: T) -> Self {
        Self(Arc::new(text.into()))
    }
}

impl fmt::Debug for TextId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}

impl TradeId {
    pub const BYTES_MAX: usize = 64;

    /// What a venue's text says; `None` where it is longer than any id or holds what no id holds.
    pub fn parse(text: &str) -> Option<Self> {
        if text.is_empty() {
            return Some(Self::Absent);
        }
        let canonical = text == "0" || !text.starts_with('0');
        if canonical
            && text.bytes().all(|b| b.is_ascii_digit())
            && let Ok(number) = text.parse()
        {
            return Some(Self::Number(number));
        }
        let fits = text.len() <= Self::BYTES_MAX
            && text.bytes().all(|b| b.is_ascii_graphic() && b != b',' && b != b'"');
        fits.then(|| Self::Text(text.into()))
    }
}

impl fmt::Display for TradeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Absent => Ok(()),
            Self::Number(number) => write!(f, "{number}"),
            Self::Text(text) => f.write_str(text),
        }
    }
}

/// One trade, or one aggregate of trades, as the venue told it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trade {
    /// Quote currency per unit of base, exact. Above zero.
    pub price: Price,
    /// Base currency, exact. Above zero.
    pub quantity: Quantity,
    /// The venue's clock.
    pub exchange_at: UnixNanos,
    /// Our clock, as the frame left the socket; a recording may not know it.
    pub received_at: Option<Stamp>,
    pub id: TradeId,
    /// Who crossed the spread; some recordings do not know it.
    pub taker_side: Option<Side>,
    /// Trades in it: 1, or the size of an aggregate.
    pub trade_count: u32,
}

impl Trade {
    /// 1: the taker bought; 2: it sold; 0: nobody knows. Without a branch, for nobody foresees sides.
    #[inline]
    pub fn side_bits(&self) -> u64 {
        let place = self.taker_side.map_or(2, |side| side as u8);
        (1 << place) & 3
    }
}

/// A candle that somebody else made: a venue's history, a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadyCandle {
    pub interval: TimeInterval,
    pub open_at: UnixNanos,
    /// `None` where nothing traded (volume 0).
    pub prices: Option<Ohlc>,
    pub volume: Volume,
    pub quote_volume: Option<QuoteVolume>,
    pub trade_count: Option<u64>,
    pub taker_buy_volume: Option<Volume>,
    pub origin: Origin,
}

/// One entry of an instrument's log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    Trade(Trade),
    /// One page of history: one event, and at most one revision of each row.
    Backfill(Vec<Trade>),
    /// Boxed, for there are few of them: an event is no longer than a trade.
    Candle(Box<ReadyCandle>),
    /// Time has passed: the venue's clock as estimated at the edge, never backwards.
    Tick {
        venue_at: UnixNanos,
    },
    /// Nobody listened between these moments, both included, and no ids can show what was missed.
    Unwatched {
        from: UnixNanos,
        to: UnixNanos,
    },
    /// The venue was asked, and cannot give the trades of these ids, both included.
    Unfillable {
        first_id: u64,
        last_id: u64,
        reason: Unfillable,
    },
    /// The venue's side of the instrument changed.
    Status {
        venue_at: UnixNanos,
        status: WatchStatus,
    },
    /// Compared with the same asset elsewhere, a candle of it stands apart.
    Divergence(Box<Divergence>),
}

/// Why missing trades will not come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Unfillable {
    /// REST answered beyond the missing ids, without them.
    NotAtVenue,
    /// They lie behind what the venue's REST reaches.
    OutOfReach,
    /// The venue refuses to be asked.
    Refused,
}

impl Unfillable {
    pub const ALL: [Self; 3] = [Self::NotAtVenue, Self::OutOfReach, Self::Refused];

    pub fn name(self) -> &'static str {
        match self {
            Self::NotAtVenue => "not_at_venue",
            Self::OutOfReach => "out_of_reach",
            Self::Refused => "refused",
        }
    }
}

/// How an instrument is watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum WatchStatus {
    /// Subscribed, and heard of.
    Live,
    /// Subscribed, and silent for longer than its own rhythm explains.
    Stale,
    /// Not connected.
    Down,
    /// The venue does not list it.
    Unlisted,
}

impl WatchStatus {
    pub const ALL: [Self; 4] = [Self::Live, Self::Stale, Self::Down, Self::Unlisted];

    pub fn name(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Stale => "stale",
            Self::Down => "down",
            Self::Unlisted => "unlisted",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_no_longer_than_a_trade() {
        // Batches hold hundreds of thousands of them, and fetching them is a part of what a trade costs.
        assert_eq!((size_of::<Trade>(), size_of::<Event>()), (56, 56));
    }

    #[test]
    fn ids_keep_their_text() {
        for text in
            ["0", "7", "007", "18446744073709551615", "18446744073709551616", "f7496ecb-b174", "ETH-1234"]
        {
            assert_eq!(TradeId::parse(text).unwrap().to_string(), text);
        }
        assert_eq!(TradeId::parse("7"), Some(TradeId::Number(7)));
        assert!(matches!(TradeId::parse("007"), Some(TradeId::Text(_))));
        assert_eq!(TradeId::parse(""), Some(TradeId::Absent));
        assert_eq!(TradeId::parse("a,b"), None);
        assert_eq!(TradeId::parse(&"x".repeat(65)), None);
    }
}
