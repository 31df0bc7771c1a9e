//! What a user says of a venue: its table in the configuration, checked.

use crate::domain::instrument::Instrument;
use crate::domain::venue::Venue;

/// One venue that is watched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VenueConfig {
    pub venue: Venue,
    /// No repeats, at least one.
    pub instruments: Vec<Instrument>,
    pub mode: Mode,
    /// Scheme, host and port, where they differ from the venue's.
    pub ws_url: Option<String>,
    pub rest_url: Option<String>,
    /// Coinbase alone has a choice.
    pub feed: Option<Feed>,
}

/// How a venue is watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Websocket; holes are repaired over REST.
    Ws,
    /// Polling.
    Rest,
    /// Websocket, with polling as a second line.
    Both,
}

/// Which of Coinbase's feeds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Feed {
    Advanced,
    Exchange,
}

impl Mode {
    pub fn name(self) -> &'static str {
        match self {
            Self::Ws => "ws",
            Self::Rest => "rest",
            Self::Both => "both",
        }
    }
}

impl Feed {
    pub fn name(self) -> &'static str {
        match self {
            Self::Advanced => "advanced",
            Self::Exchange => "exchange",
        }
    }
}

impl VenueConfig {
    /// Name of the feed, as the catalogue has it; empty for the venue's default.
    pub fn feed_name(&self) -> &'static str {
        self.feed.map_or("", Feed::name)
    }
}
