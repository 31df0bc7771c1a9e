//! What a forecaster is: the ground on which its family stands.
//!
//! One model for all horizons of an interval of an instrument: it takes one closed candle after another and
//! says what it expects over the next candles, of each horizon, in the measure of its target. What that is
//! worth is judged outside of it, by the [`Panel`](super::panel::Panel) that it sits on.

use crate::analytics::forecast::ground::Ground;
use crate::analytics::rolling::state::State;
use crate::domain::insight::Target;
use crate::domain::interval::TimeInterval;

/// One incremental forecaster.
pub trait Forecaster: Send {
    /// Takes the candle that `ground` took last: learns what it made known, and says what is expected over each
    /// horizon. What is left as it is (not a number) is not known yet.
    ///
    /// The measure: of the price ln(close then / close now), of the variance the logarithm of the sum of squared
    /// returns, of volume and trades the logarithm of their sum, of the direction the chance of a rise.
    fn step(&mut self, ground: &Ground, said: &mut [f64]);

    /// A hole lies before the next candle: outcomes that would span it are not known.
    fn interrupt(&mut self);

    /// Visits every word of mutable state, always in the same order: saves or restores it.
    fn state(&mut self, state: &mut State<'_>);
}

/// What a forecaster is built for.
#[derive(Clone, Copy, Debug)]
pub struct Course<'a> {
    pub interval: TimeInterval,
    /// Candles ahead, ascending.
    pub horizons: &'a [usize],
}

/// A member of the family: the one line by which the catalogue knows it.
pub struct ForecasterEntry {
    /// Lower-case: `risk_metrics`.
    pub name: &'static str,
    /// Rises when the same input gives another output.
    pub version: u32,
    /// One sentence for people.
    pub summary: &'static str,
    pub target: Target,
    /// What the others of its target are held against; each target has one, which sits on every panel.
    pub is_baseline: bool,
    /// Candles until it may speak, the horizon apart.
    pub warm_up: usize,
    pub build: fn(&Course<'_>) -> Box<dyn Forecaster>,
}
