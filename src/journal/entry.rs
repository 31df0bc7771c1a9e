//! Entries: what a journal holds, as its readers get it.

use crate::domain::closed::Closed;
use crate::domain::event::{Event, Trade};
use crate::domain::instrument::Instrument;
use crate::domain::output::Position;
use crate::domain::tally::Tally;
use crate::domain::time::UnixNanos;
use crate::domain::venue::IdRule;

/// An instrument's number with one writer or one reader; means nothing elsewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InstrumentNumber(pub u32);

/// An instrument as the journal defines it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    pub instrument: Instrument,
    /// Where two segments differ, the weaker.
    pub rule: IdRule,
    pub partition: u32,
}

/// A trade of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TradeEntry {
    pub instrument: InstrumentNumber,
    pub at: Position,
    pub trade: Trade,
}

/// One entry of the log. Positions are those of a partition: the instrument's, or the one named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entry {
    /// Any event but a tick.
    Event { instrument: InstrumentNumber, at: Position, event: Event },
    /// Time has passed, for each instrument of these partitions, in this order.
    Tick { venue_at: UnixNanos, partitions: Vec<(u32, Position)> },
    /// From here on, these partitions are computed under this configuration.
    Config { toml: String, partitions: Vec<(u32, Position)> },
    /// From here on, this version of the engine computes these partitions.
    Version { version: String, partitions: Vec<(u32, Position)> },
    /// The event at `skipped` was quarantined: replay passes over it.
    Skipped { partition: u32, at: Position, skipped: Position, reason: String },
    /// The tick at `skipped` of the instrument's partition was quarantined for the instrument alone: replay passes
    /// over it, and its neighbours take it.
    SkippedTick { instrument: InstrumentNumber, at: Position, skipped: Position, reason: String },
    /// What the instrument had told, live, once its events up to `upto` (included) were worked off.
    Outputs { instrument: InstrumentNumber, at: Position, upto: Position, tally: Tally },
    /// A closed candle that is compared with others'. Only the comparison's own log holds any: it changes no instrument.
    Closed { instrument: InstrumentNumber, at: Position, closed: Closed },
}

impl From<TradeEntry> for Entry {
    fn from(entry: TradeEntry) -> Self {
        Self::Event { instrument: entry.instrument, at: entry.at, event: Event::Trade(entry.trade) }
    }
}
