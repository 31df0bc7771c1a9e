//! Frames: what a venue's socket says, text in, trades out or why not.
//!
//! A parser is pure (no clock, no socket) and knows one venue's dialect. The trait stands
//! here, below the rooms, because both the live connectors and the recordings of raw frames
//! feed it, and neither may import the other.

use crate::domain::event::Trade;
use crate::domain::time::Stamp;
use crate::domain::venue::IdRule;

/// Whether a trade stands for itself or for several.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TradeKind {
    Raw,
    /// One taker order at one price, however many trades that made.
    Aggregate,
}

impl TradeKind {
    pub fn name(self) -> &'static str {
        match self {
            Self::Raw => "raw trades",
            Self::Aggregate => "aggregate trades",
        }
    }
}

/// Whose trade it is, in the venue's own spelling, and what its ids promise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spelled<'a> {
    /// Name of the venue: `binance-usdm`.
    pub venue: &'static str,
    /// As [`FrameParser::symbol`] takes it.
    pub symbol: &'a str,
    pub kind: TradeKind,
    pub id_rule: IdRule,
}

/// Takes what a frame holds, trade by trade.
pub trait FrameSink {
    fn trade(&mut self, spelled: Spelled<'_>, trade: Trade);

    /// One trade of the frame is no trade; `reason` names field and text.
    fn refuse(&mut self, reason: String);
}

/// One venue's dialect, with what one connection has said so far (Bitfinex numbers its channels).
pub trait FrameParser: Send {
    /// Reads one frame. One bad trade costs nothing but itself; what is no trade (books, acks,
    /// heartbeats, types yet unknown) tells nothing; text that should be JSON and is not is refused.
    fn frame(&mut self, text: &str, received_at: Option<Stamp>, sink: &mut dyn FrameSink);

    /// `BASE-QUOTE` of the venue's own spelling.
    fn symbol(&self, venue: &'static str, spelling: &str) -> Result<String, SymbolError>;
}

/// Why trades of a symbol cannot be taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SymbolError {
    #[error("symbol {0:?} cannot be split into BASE-QUOTE")]
    Unknown(String),
    #[error(
        "symbol {0:?} counts contracts, not base currency: it is refused until a contract size is configured"
    )]
    Contract(String),
}

/// Where frames came from, as far as it is known.
#[derive(Clone, Copy, Debug, Default)]
pub struct FrameSource<'a> {
    /// Address of the socket; empty where it is unknown.
    pub url: &'a str,
    /// Name of the venue, where somebody told it.
    pub venue: Option<&'a str>,
}

/// A dialect in the catalogue.
pub struct FrameParserEntry {
    /// Family of venues that speak it: `binance`.
    pub name: &'static str,
    /// Venues whose frames it reads: `binance`, `binance-usdm`.
    pub venues: &'static [&'static str],
    /// Host names, or ends of them, of its sockets.
    pub hosts: &'static [&'static str],
    /// Whether the frame is a trade in this dialect; for recordings that do not name their venue.
    pub recognises: fn(&str) -> bool,
    pub make: fn(FrameSource<'_>) -> Box<dyn FrameParser>,
}
