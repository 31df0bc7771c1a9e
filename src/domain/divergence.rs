//! A market that stands apart: what comparing an asset's venues found about one of them.
//!
//! Found beside the instruments, from closed candles of several; what it gives back to an instrument enters
//! that instrument's log as an event, so that the log alone tells everything.

use crate::domain::decimal::Price;
use crate::domain::instrument::Instrument;
use crate::domain::interval::TimeInterval;
use crate::domain::time::UnixNanos;

/// One candle whose close stands apart from the same asset's closes elsewhere.
///
/// Distances are differences of natural logarithms: times 10,000 they are basis points, nearly.
#[derive(Clone, Debug, PartialEq)]
pub struct Divergence {
    /// Of the candles that were compared.
    pub interval: TimeInterval,
    /// The candle's.
    pub close_at: UnixNanos,
    /// Close of the first candle since which it has stood apart without a break, this one at the latest.
    pub since: UnixNanos,
    /// Accepted events of the instrument when the candle was told: what is told of it names that cause, whenever
    /// the comparison came to its end.
    pub cause_seq: u64,
    /// The close.
    pub price: Price,
    /// Whom it was held against: at least one, at most [`Divergence::NAMED_MAX`].
    pub against: Vec<Instrument>,
    /// Others of the asset that had no say: a hole, nothing traded, or nothing heard in time.
    pub missing: Vec<Instrument>,
    /// Where it stands beside the median of all (of two: beside the other), what is usual taken off: above 0 is dearer.
    pub apart: f64,
    /// Where it usually stands there.
    pub premium: f64,
    /// How far it usually is from there: above 0.
    pub spread: f64,
    /// Distance from the middle of all in such spreads, and from which on it is told.
    pub z: f64,
    pub z_min: f64,
    /// Share of its candles that were closer, 0 to 1, and from which on it is told.
    pub score: f64,
    pub threshold: f64,
    /// Share of its candles that are farther.
    pub tail: f64,
    /// All that it rests on lies behind the instrument's last hole.
    pub complete: bool,
}

/// All floats are finite.
impl Eq for Divergence {}

impl Divergence {
    /// Instruments that one names of each kind.
    pub const NAMED_MAX: usize = 64;

    /// What makes it one; a fragment that says what is wrong.
    pub fn check(&self) -> Result<(), &'static str> {
        let floats = [self.apart, self.premium, self.spread, self.z, self.z_min, self.tail];
        let shares = [self.score, self.threshold, self.tail];
        if !floats.iter().all(|value| value.is_finite()) || !shares.iter().all(|x| (0.0..=1.0).contains(x)) {
            return Err("divergence has a number out of its range");
        }
        if self.spread <= 0.0 || self.z < 0.0 {
            return Err("divergence has a distance that is none");
        }
        if self.since > self.close_at {
            return Err("divergence begins after its candle");
        }
        if self.against.is_empty()
            || self.against.len() > Self::NAMED_MAX
            || self.missing.len() > Self::NAMED_MAX
        {
            return Err("divergence names nobody, or too many");
        }
        Ok(())
    }
}
