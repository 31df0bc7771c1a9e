//! How one feed of a venue is spoken to: text in, meaning out, no socket, no clock.
//!
//! What a frame says of trades is the `FrameParser`'s to read; a dialect knows the rest: addresses,
//! limits, subscriptions, what is said beside trades, and the requests and answers of REST.
//! Requests are values; who sends them, when and how often is decided elsewhere.

use std::time::Duration;

use crate::domain::event::{ReadyCandle, Trade};
use crate::domain::frame::FrameParserEntry;
use crate::domain::interval::TimeInterval;
use crate::domain::time::UnixNanos;
use crate::domain::venue::IdRule;

/// So many in so much time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    pub count: u32,
    pub per: Duration,
}

/// What the venue allows, each with a margin of safety.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Markets that one connection may carry.
    pub markets_per_connection: usize,
    /// Markets that one subscribe message may name.
    pub markets_per_message: usize,
    /// Messages that a connection may send, our pings among them.
    pub messages: Rate,
    /// Whether those are counted by address: of all connections together.
    pub messages_by_address: bool,
    /// Attempts to connect, of all shards together.
    pub connects: Rate,
    /// Weight of REST requests, of all shards together.
    pub weight: Rate,
    /// Trades that one REST page holds at most.
    pub page_trades_max: u32,
    /// How old a connection may get before it is replaced; `None`: as old as it likes.
    pub lifetime: Option<Duration>,
}

/// A market that the venue lists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listing {
    /// `BASE-QUOTE`.
    pub symbol: String,
    /// As the feed and REST name it; several symbols may share one (Coinbase's -USDC twins).
    pub spelling: String,
    /// Whether it trades now; what is listed and does not may come back.
    pub is_trading: bool,
}

/// What a frame says beside its trades.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Heard {
    /// The request was taken: by number, or the markets by name, as the venue tells it.
    Acknowledged { request: Option<u64>, spellings: Vec<String> },
    /// The request was not taken; `spelling` where the venue names a market.
    Refused { request: Option<u64>, spelling: Option<String>, message: String },
    /// The id of the market's newest trade.
    LastId { spelling: String, id: u64 },
    /// Nothing but a sign of life.
    Heartbeat,
    /// The venue is about to close the connection.
    ShuttingDown,
}

/// A question to REST.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ask {
    Time,
    Listings,
    /// At most `limit` trades, `first_id` and those after it.
    Trades {
        spelling: String,
        first_id: u64,
        limit: u32,
    },
    /// The newest trades.
    Latest {
        spelling: String,
        limit: u32,
    },
    /// Ready candles of `[from, to)`.
    Klines {
        spelling: String,
        interval: TimeInterval,
        from: UnixNanos,
        to: UnixNanos,
    },
}

/// A GET request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// Scheme and host, where the configuration names no other: `https://api.binance.com`.
    pub host: &'static str,
    /// Begins with a slash, escaped.
    pub path: String,
    pub headers: &'static [(&'static str, &'static str)],
    /// What it costs of [`Limits::weight`].
    pub weight: u32,
}

/// What REST answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The venue's clock.
    Time(UnixNanos),
    Listings(Vec<Listing>),
    Trades(Page),
    /// In order of time.
    Klines(Vec<ReadyCandle>),
}

/// One page of trades.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// In order of id.
    pub trades: Vec<Trade>,
    /// What stood among them and is no trade: why.
    pub refused: Vec<String>,
}

/// Why an answer is none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AnswerError {
    /// HTML, a cut text, another shape: asking again may help.
    #[error("answer {text:?} is not as documented: {why}")]
    Garbled { text: String, why: String },
    /// The venue does not know what was asked for.
    #[error("the venue does not know it: {0}")]
    Unknown(String),
    /// The venue will not be asked for this while nothing changes.
    #[error("the venue refuses it: {0}")]
    Refused(String),
    /// Too much was asked in too short a time.
    #[error("the venue asks for patience: {0}")]
    TooMuch(String),
    #[error("this feed has no such request")]
    Unsupported,
}

/// One feed of a venue.
pub trait Dialect: Send + Sync {
    fn id_rule(&self) -> IdRule;

    /// Of the frames' trades.
    fn parser(&self) -> &'static FrameParserEntry;

    fn limits(&self) -> Limits;

    /// Where to connect; `host` (scheme, host and port) stands in for the venue's own.
    fn socket(&self, host: Option<&str>) -> String;

    /// The texts that subscribe to these markets. `request` numbers the first, the next the following.
    fn subscribe(&self, spellings: &[&str], request: u64) -> Vec<String>;

    fn unsubscribe(&self, spellings: &[&str], request: u64) -> Vec<String>;

    /// What a frame says beside its trades; nothing where it is of no interest or no JSON (then the
    /// parser has refused it).
    fn control(&self, frame: &str) -> Vec<Heard>;

    /// Whether the trades of this frame are of before the subscription.
    fn is_snapshot(&self, frame: &str) -> bool;

    /// Whether something is heard of every market each second, trades or not.
    fn has_heartbeat(&self) -> bool;

    /// How to ask, the best way first; the others are for hosts that do not know it.
    fn requests(&self, ask: &Ask) -> Vec<Request>;

    /// What the body of a 200 says; `way` is the request's place among [`Dialect::requests`].
    fn answer(&self, ask: &Ask, way: usize, body: &str) -> Result<Answer, AnswerError>;

    /// What the body of another status says; `None` where the status alone decides.
    fn error(&self, status: u16, body: &str) -> Option<AnswerError>;

    /// The header that tells how much of [`Limits::weight`] is used up in this minute.
    fn used_weight_header(&self) -> Option<&'static str> {
        None
    }

    /// The market under which trades of an unknown one belong: where a venue merges markets.
    fn twin(&self, spelling: &str) -> Option<String> {
        let _ = spelling;
        None
    }
}

/// A dialect in the catalogue.
pub struct DialectEntry {
    pub venue: &'static str,
    /// Empty where the venue has one feed.
    pub feed: &'static str,
    pub make: fn() -> Box<dyn Dialect>,
}
