//! All that goes out of a symbol's pipeline, with the event that caused it.

use std::fmt;
use std::sync::Arc;

use crate::domain::candle::Candle;
use crate::domain::data_state::DataState;
use crate::domain::event::{Trade, Unfillable};
use crate::domain::insight::{Anomaly, Forecast, ModelScore, Outcome, Signal};
use crate::domain::interval::Interval;
use crate::domain::time::UnixNanos;

/// The values of one indicator at one closed candle.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct IndicatorSnapshot<'a> {
    pub interval: Interval,
    /// The candle's.
    pub open_at: UnixNanos,
    /// Position in the pipeline's list of indicators.
    pub position: usize,
    /// With its parameters: `ema(20)`.
    pub indicator: &'a str,
    /// One name for each value.
    pub outputs: &'a [&'static str],
    /// Finite, one for each output; none at all withdraws what was told before.
    pub values: &'a [f64],
    pub revision: u32,
    pub data_state: DataState,
}

/// What kind of hole a gap is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum GapKind {
    /// Trade ids are missing.
    Ids,
    /// Nobody listened, and ids cannot tell what was missed.
    Time,
    /// The venue's numbering started anew.
    Reset,
}

impl GapKind {
    pub fn name(self) -> &'static str {
        match self {
            Self::Ids => "ids",
            Self::Time => "time",
            Self::Reset => "reset",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum GapState {
    Open,
    Filled,
    /// REST answered beyond the missing ids without them.
    Unfillable,
}

impl GapState {
    pub fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Filled => "filled",
            Self::Unfillable => "unfillable",
        }
    }
}

/// The identity of a gap: a hash of its instrument, kind and first missing id (or time) at opening.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GapId(pub u64);

impl fmt::Display for GapId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl fmt::Debug for GapId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A hole in what is known of an instrument.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gap {
    pub id: GapId,
    pub kind: GapKind,
    /// Both `Some` for kind `ids`, both `None` otherwise.
    pub first_missing_id: Option<u64>,
    pub last_missing_id: Option<u64>,
    /// The last known trade before it.
    pub from: UnixNanos,
    /// The first known trade after it.
    pub to: UnixNanos,
    pub state: GapState,
    /// Why it is unfillable; `None` where it is not.
    pub reason: Option<Unfillable>,
}

/// Why an event that could be read was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("trade id is more than 1000000 away from the others and no later trade confirmed it")]
    IdOutOfReach,
    #[error("trade without the numeric id that this venue promises")]
    IdMissing,
    #[error("trade id belongs to a gap too old to be remembered")]
    GapForgotten,
    #[error("a different candle of the same open time came before")]
    UnequalRepeat,
    #[error("ready candles and trades of one instrument do not mix")]
    MixedOrigin,
    #[error("candle is not aligned to its interval")]
    Misaligned,
}

/// One thing that a pipeline tells.
#[derive(Clone, Copy, Debug)]
pub enum Output<'a> {
    /// An accepted trade.
    Trade(&'a Trade),
    Candle(&'a Candle),
    Indicator(&'a IndicatorSnapshot<'a>),
    Gap(&'a Gap),
    Anomaly(&'a Anomaly),
    Forecast(&'a Forecast),
    Signal(&'a Signal),
    /// What became of a forecast. Follows from what was told before: part of no digest and no tally.
    Outcome(&'a Outcome),
    /// How a model fares. Likewise part of no digest and no tally.
    Score(&'a ModelScore),
    /// The event at that position of the log (not always the current one) was not taken.
    Refused {
        at: Position,
        reason: Refusal,
    },
}

/// Where an event stands in the log it came from. Ordered and opaque: nobody counts or subtracts it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Position(pub u64);

/// Why an anomaly that was odd enough is not told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum HeldBack {
    /// A hole lies so close behind that it may be no more than that.
    Gap,
    /// One that was told shortly before stands for it.
    Burst,
    /// Too many were told: it takes more than usual to be one.
    Budget,
}

impl HeldBack {
    pub const ALL: [Self; 3] = [Self::Gap, Self::Burst, Self::Budget];

    pub fn name(self) -> &'static str {
        match self {
            Self::Gap => "gap",
            Self::Burst => "burst",
            Self::Budget => "budget",
        }
    }
}

/// Takes what a pipeline tells, in order.
pub trait OutputSink {
    /// `cause_seq`: how many events of the instrument had been accepted, this one included.
    fn accept(&mut self, cause_seq: u64, output: Output<'_>);

    /// Runs the step in which the forecasts of a candle are made, before they are told: whoever has a clock may time
    /// it. One sink behind another passes it on.
    fn forecasting<T>(&mut self, step: impl FnOnce() -> T) -> T
    where
        Self: Sized,
    {
        step()
    }

    /// A detector would have told an anomaly and did not. Nothing follows from it: whoever counts may count it. One
    /// sink behind another passes it on.
    fn held_back(&mut self, _detector: &Arc<str>, _why: HeldBack) {}
}
