//! What an anomaly detector is: the ground on which its family stands.
//!
//! A detector looks at the features of one closed candle after another, learns as it goes, and says what
//! is seldom about one. It sees each candle once, as first told, and never unlearns.

use crate::analytics::features::Features;
use crate::analytics::rolling::state::State;
use crate::domain::insight::Evidence;

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

/// One incremental detector, for one interval of one instrument.
pub trait Detector: Send {
    /// Takes the next candle's features; adds to `found` what is seldom about it. Silent while warming up.
    fn observe(&mut self, features: &Features, found: &mut Vec<Finding>);

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
    pub build: fn() -> Box<dyn Detector>,
}
