//! What a simulated venue is asked to be.

use std::net::SocketAddr;
use std::time::Duration;

use crate::venues::simulator::fault::Faults;

/// Whose protocol is spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SimulatedVenue {
    Binance,
    /// Advanced Trade and the Exchange feed, told apart by what a client says and asks.
    Coinbase,
}

impl SimulatedVenue {
    pub const ALL: [Self; 2] = [Self::Binance, Self::Coinbase];

    pub fn name(self) -> &'static str {
        match self {
            Self::Binance => "binance",
            Self::Coinbase => "coinbase",
        }
    }
}

/// When trades are made.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Pace {
    /// So many a second over all symbols, at equal distances. Finite and above zero.
    Even(f64),
    /// As the source's own times say, so many times faster. Finite and above zero.
    Source(f64),
}

/// What the venue allows its clients. The defaults are the venue's documented limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Messages a second on one connection before it is closed (Binance), or a second on all (Coinbase).
    pub messages: u32,
    /// Connection attempts within [`Limits::connections_window`].
    pub connections: u32,
    pub connections_window: Duration,
    /// Streams of one connection (Binance).
    pub streams: usize,
    /// Request weight a minute (Binance); requests a second (Coinbase).
    pub requests: u32,
    /// Requests at once, above which [`Limits::requests`] holds (Coinbase).
    pub burst: u32,
}

impl Limits {
    /// Sources: Binance, web-socket-streams.md and rest-api.md, "Limits"; Coinbase, "Exchange rate limits",
    /// "Advanced Trade WebSocket rate limits".
    pub fn of(venue: SimulatedVenue) -> Self {
        match venue {
            SimulatedVenue::Binance => Self {
                messages: 5,
                connections: 300,
                connections_window: Duration::from_secs(300),
                streams: 1_024,
                requests: 6_000,
                burst: 0,
            },
            SimulatedVenue::Coinbase => Self {
                messages: 8,
                connections: 8,
                connections_window: Duration::from_secs(1),
                streams: usize::MAX,
                requests: 10,
                burst: 15,
            },
        }
    }

    /// Anything goes.
    pub fn none() -> Self {
        Self {
            messages: u32::MAX,
            connections: u32::MAX,
            connections_window: Duration::from_secs(1),
            streams: usize::MAX,
            requests: u32::MAX,
            burst: u32::MAX,
        }
    }
}

/// One simulated venue.
#[derive(Clone, Debug)]
pub struct SimulatorConfig {
    pub venue: SimulatedVenue,
    /// Loopback; port 0: one that is free.
    pub listen: SocketAddr,
    /// Of everything left to chance.
    pub seed: u64,
    pub pace: Pace,
    /// Id of the first trade of each symbol, at least 1.
    pub first_id: u64,
    /// Trades kept of all symbols together, for REST and as the truth; the oldest go first.
    pub keep_trades: usize,
    /// Longest life of a connection.
    pub life: Duration,
    pub limits: Limits,
    pub faults: Faults,
    /// Whether the market trades from the start; else once it is told to.
    pub trading: bool,
}

impl SimulatorConfig {
    pub fn new(venue: SimulatedVenue) -> Self {
        Self {
            venue,
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            seed: 1,
            pace: Pace::Source(1.0),
            first_id: 1_000_001,
            keep_trades: 4_000_000,
            life: Duration::from_secs(86_400),
            limits: Limits::of(venue),
            faults: Faults::default(),
            trading: true,
        }
    }
}
