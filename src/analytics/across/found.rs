//! What a comparison makes of candles: what it found, and what it counted on the way.

use crate::domain::divergence::Divergence;
use crate::domain::instrument::Instrument;

/// What goes back to an instrument.
#[derive(Clone, Debug, PartialEq)]
pub struct Found {
    pub instrument: Instrument,
    pub divergence: Divergence,
}

/// What has happened to candles, since this was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Minutes of assets that every market had closed.
    pub whole: u64,
    /// Those that went without some market, because patience was over.
    pub short: u64,
    /// Candles that came when their minute had gone.
    pub late: u64,
}
