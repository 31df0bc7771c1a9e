//! What an anomaly detector is: the ground on which its family stands.
//!
//! A detector looks at the features of one closed candle after another, learns as it goes, and says what
//! is seldom about one. It sees each candle once, as first told, and never unlearns.

use crate::analytics::features::Features;
use crate::analytics::rolling::state::State;
use crate::domain::insight::Evidence;
use crate::domain::output::HeldBack;

/// Something seldom in one candle.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    /// Which of the detector's features.
    pub channel: &'static str,
    /// Share of quieter candles, 0 to 1: a score of 0.99 is exceeded about once in a hundred.
    pub score: f64,
    /// The score from which on it is told.
    pub threshold: f64,
    /// How far, against what.
    pub evidence: Evidence,
}

/// How odd a candle was, and how odd it had to be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Assessment {
    /// As in a [`Finding`].
    pub score: f64,
    /// -ln of how seldom something is that is as odd.
    pub nats: f64,
    /// From how many on it would have been told.
    pub threshold: f64,
}

/// What a detector is built for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tuning {
    /// Of the interval, above zero.
    pub candles_per_day: f64,
    /// How many anomalies it should tell a day, above zero.
    pub alerts_per_day: f64,
}

impl Tuning {
    /// Unless configured otherwise.
    pub const ALERTS_PER_DAY: u32 = 4;
    /// Minute candles and the usual budget.
    pub const MINUTES: Self = Self { candles_per_day: 1_440.0, alerts_per_day: 4.0 };
}

/// One incremental detector, for one interval of one instrument.
pub trait Detector: Send {
    /// Takes the next candle's features; adds to `found` what is seldom about it. Silent while warming up.
    fn observe(&mut self, features: &Features, found: &mut Vec<Finding>);

    /// A hole: what comes next does not follow on what came before. Short memories begin anew, and nothing is
    /// told until they are full again.
    fn interrupt(&mut self) {}

    /// What it made of the last candle, told or not; `None` while silent.
    fn assessment(&self) -> Option<Assessment> {
        None
    }

    /// Why the last candle is not told although it was odd enough; `None`: it is, or was not, or there is no budget.
    fn held_back(&self) -> Option<HeldBack> {
        None
    }

    /// Visits every word of mutable state, always in the same order: saves or restores it.
    fn state(&mut self, state: &mut State<'_>);
}

/// A member of the family: the one line by which the catalogue knows it.
pub struct DetectorEntry {
    /// Lower-case: `robust_z`.
    pub name: &'static str,
    /// Rises when the same input gives another output.
    pub version: u32,
    /// One sentence for people.
    pub summary: &'static str,
    /// Names of the features that it can point at.
    pub channels: &'static [&'static str],
    /// Candles until it may speak.
    pub warm_up: usize,
    pub build: fn(&Tuning) -> Box<dyn Detector>,
}
