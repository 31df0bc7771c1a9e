//! What the engine makes of what it saw: anomalies, forecasts, signals.
//!
//! Records of what was known when they were told: never amended, never taken back. Each names the
//! numbers it rests on, so that a person can check it without the engine.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use crate::domain::interval::Interval;
use crate::domain::output::DataState;
use crate::domain::time::UnixNanos;

/// The identity of an insight: a hash of instrument, kind, name, interval, exchange time and ordinal,
/// so that a replay gives the same.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InsightId(pub u64);

impl fmt::Display for InsightId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl fmt::Debug for InsightId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// One number or word that an insight rests on.
#[derive(Clone, Debug, PartialEq)]
pub enum Fact {
    /// Finite.
    Number(f64),
    Count(i64),
    Text(Cow<'static, str>),
    /// Exact decimal text: a price, a quantity.
    Decimal(String),
    At(UnixNanos),
}

/// Named facts, in the order in which they are told; no name twice.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Evidence(pub Vec<(Cow<'static, str>, Fact)>);

impl Evidence {
    pub fn with(mut self, name: impl Into<Cow<'static, str>>, fact: Fact) -> Self {
        self.0.push((name.into(), fact));
        self
    }
}

/// Something that seldom happens, by one detector.
#[derive(Clone, Debug, PartialEq)]
pub struct Anomaly {
    pub id: InsightId,
    /// Name and version: `robust_z@1`.
    pub detector: Arc<str>,
    pub interval: Interval,
    /// The close of the candle that it was found in.
    pub exchange_at: UnixNanos,
    /// Which of the detector's features: `return`, `volume`.
    pub channel: &'static str,
    /// Share of quieter moments, 0 to 1.
    pub score: f64,
    /// The score from which on it is told.
    pub threshold: f64,
    pub evidence: Evidence,
    /// Revision of the candle that it rests on.
    pub revision: u32,
    pub data_state: DataState,
}

/// What a forecast is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Target {
    Price,
    RealizedVariance,
    Volume,
    TradeCount,
    Direction,
}

impl Target {
    pub const ALL: [Self; 5] =
        [Self::Price, Self::RealizedVariance, Self::Volume, Self::TradeCount, Self::Direction];

    pub fn name(self) -> &'static str {
        match self {
            Self::Price => "price",
            Self::RealizedVariance => "realized_variance",
            Self::Volume => "volume",
            Self::TradeCount => "trade_count",
            Self::Direction => "direction",
        }
    }
}

/// Part of a forecast's row: who is trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    Champion,
    Challenger,
    Online,
}

impl Role {
    pub fn name(self) -> &'static str {
        match self {
            Self::Champion => "champion",
            Self::Challenger => "challenger",
            Self::Online => "online",
        }
    }
}

/// A number that is expected, with an interval, and how such forecasts fared until now.
#[derive(Clone, Debug, PartialEq)]
pub struct Forecast {
    pub id: InsightId,
    pub interval: Interval,
    pub target: Target,
    /// Name and version: `ewma_variance@1`.
    pub model: Arc<str>,
    pub role: Role,
    /// Candles ahead, at least 1.
    pub horizon: u32,
    /// The close of the last candle that it knows.
    pub made_at: UnixNanos,
    /// The close of the candle that it speaks of.
    pub target_at: UnixNanos,
    pub forecast: f64,
    pub lower: f64,
    pub upper: f64,
    /// Share of outcomes that should lie in the interval: 0.9.
    pub level: f64,
    /// What the baseline says.
    pub naive: f64,
    /// Past loss divided by the baseline's: below 1 is better; `None`: not scored yet.
    pub skill: Option<f64>,
    /// Revision of the candle that it rests on.
    pub revision: u32,
    pub data_state: DataState,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SignalKind {
    Anomaly,
    Direction,
    Regime,
    Volatility,
    Quality,
}

impl SignalKind {
    pub const ALL: [Self; 5] =
        [Self::Anomaly, Self::Direction, Self::Regime, Self::Volatility, Self::Quality];

    pub fn name(self) -> &'static str {
        match self {
            Self::Anomaly => "anomaly",
            Self::Direction => "direction",
            Self::Regime => "regime",
            Self::Volatility => "volatility",
            Self::Quality => "quality",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    Info,
    Warning,
    Critical,
}

impl Severity {
    pub const ALL: [Self; 3] = [Self::Info, Self::Warning, Self::Critical];

    pub fn name(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Critical => "critical",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Action {
    Buy,
    Sell,
    Hold,
}

impl Action {
    pub fn name(self) -> &'static str {
        match self {
            Self::Buy => "buy",
            Self::Sell => "sell",
            Self::Hold => "hold",
        }
    }
}

/// What a rule thinks somebody should know.
#[derive(Clone, Debug, PartialEq)]
pub struct Signal {
    pub id: InsightId,
    pub kind: SignalKind,
    /// Of the rule: `volume_burst`.
    pub name: &'static str,
    pub severity: Severity,
    pub action: Option<Action>,
    pub exchange_at: UnixNanos,
    /// 0 to 1.
    pub score: f64,
    /// One plain sentence.
    pub message: String,
    pub evidence: Evidence,
    /// Name and version of each model that it rests on.
    pub models: Vec<Arc<str>>,
    pub data_state: DataState,
}
