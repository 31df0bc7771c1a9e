//! What a forecaster is: the ground on which its family stands.
//!
//! A forecaster looks at one closed candle after another and says what it expects over the next
//! `horizon` candles. It is scored while it runs: what it said is kept until the outcome is known, and
//! compared with what a naive forecast would have cost.

use crate::analytics::features::Features;
use crate::analytics::rolling::state::State;
use crate::domain::insight::Target;

/// What is expected, in the target's unit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Expectation {
    pub forecast: f64,
    pub lower: f64,
    pub upper: f64,
    /// Share of outcomes that should lie in the interval.
    pub level: f64,
    /// What the baseline says.
    pub naive: f64,
    /// Past loss divided by the baseline's; `None` until it was scored.
    pub skill: Option<f64>,
}

/// One incremental forecaster, for one interval and horizon of one instrument.
pub trait Forecaster: Send {
    /// Takes the next candle's features and says what it expects; `None` while it warms up.
    fn observe(&mut self, features: &Features) -> Option<Expectation>;

    /// A hole lies before the next candle: outcomes that would span it are not known.
    fn interrupt(&mut self);

    /// Visits every word of mutable state, always in the same order: saves or restores it.
    fn state(&mut self, state: &mut State<'_>);
}

/// A member of the family: the one line by which the catalogue knows it.
pub struct ForecasterEntry {
    /// Lower-case: `ewma_variance`.
    pub name: &'static str,
    /// Rises when the same input gives another output.
    pub version: u32,
    /// One sentence for people.
    pub summary: &'static str,
    pub target: Target,
    /// Candles until it may speak, the horizon apart.
    pub warm_up: usize,
    /// `horizon`: candles ahead, at least 1.
    pub build: fn(horizon: usize) -> Box<dyn Forecaster>,
}
