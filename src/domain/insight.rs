//! What the engine makes of what it saw: anomalies, forecasts, signals.
//!
//! Records of what was known when they were told: never amended, never taken back. Each names the
//! numbers it rests on, so that a person can check it without the engine.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use crate::domain::data_state::DataState;
use crate::domain::interval::Interval;
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

/// What became of a forecast, told at the close of the candle that it spoke of; never where a hole touched
/// a candle between the two.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// The forecast's.
    pub id: InsightId,
    pub interval: Interval,
    pub target: Target,
    /// Name and version, as the forecast said it.
    pub model: Arc<str>,
    /// As the forecast said it.
    pub role: Role,
    /// Candles ahead, at least 1.
    pub horizon: u32,
    pub made_at: UnixNanos,
    pub target_at: UnixNanos,
    /// In the forecast's unit.
    pub actual: f64,
}

/// How often a direction was right.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Share {
    /// Right ones, 0 to 1.
    pub share: f64,
    /// The 95 % interval of Wilson (1927).
    pub lower: f64,
    pub upper: f64,
    /// What always saying the commoner direction would have reached.
    pub majority: f64,
}

/// How one model fared at one target and horizon, until now: told once in a while.
///
/// Every figure comes from forecasts that were made before their outcome was known, and from targets that
/// do not overlap, but for the mixture's interval, which is scored at every candle. `None`: it does not apply to the target, or too little was scored.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelScore {
    /// The close of the last candle that counts.
    pub at: UnixNanos,
    pub interval: Interval,
    pub target: Target,
    /// Name and version: `mixture@1`.
    pub model: Arc<str>,
    pub role: Role,
    /// Candles ahead, at least 1.
    pub horizon: u32,
    /// Outcomes that count.
    pub scored: u64,
    /// The model that it is held against, name and version.
    pub baseline: Arc<str>,
    /// The model's loss by the baseline's, both as exponentially weighted means: below 1 is better.
    pub skill: Option<f64>,
    /// Mean absolute and root mean squared error, in the target's unit.
    pub mae: Option<f64>,
    pub rmse: Option<f64>,
    /// Per cent of the outcome.
    pub mape: Option<f64>,
    /// Per cent, 0 to 200.
    pub smape: Option<f64>,
    /// Mean absolute error by that of the last value known.
    pub mase: Option<f64>,
    /// Mean pinball loss of both bounds of the interval, in the target's unit.
    pub pinball: Option<f64>,
    /// Share of outcomes inside of the interval.
    pub coverage: Option<f64>,
    /// The same on the day, of those that are over, on which it was furthest below.
    pub coverage_worst_day: Option<f64>,
    /// Mean width of the interval with its penalty for outcomes outside, in the target's unit.
    pub winkler: Option<f64>,
    /// Mean QLIKE loss, of variances.
    pub qlike: Option<f64>,
    /// Mean negative logarithm of the probability given to the outcome, of directions.
    pub log_loss: Option<f64>,
    pub direction: Option<Share>,
    /// Diebold and Mariano's statistic against the baseline, with the correction of Harvey, Leybourne and
    /// Newbold; below 0 is better than the baseline. Two-sided p.
    pub dm_statistic: Option<f64>,
    pub dm_p: Option<f64>,
    /// It does not beat its baseline, and nothing leans on it until it does.
    pub demoted: bool,
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

    /// One step further, if there is one.
    pub fn raised(self) -> Self {
        match self {
            Self::Info => Self::Warning,
            Self::Warning | Self::Critical => Self::Critical,
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
