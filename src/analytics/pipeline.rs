//! One symbol's pipeline: events in, outputs out, in a written order.

use crate::analytics::catalogue::Spec;
use crate::domain::event::Event;
use crate::domain::instrument::Instrument;
use crate::domain::interval::Interval;
use crate::domain::output::{OutputSink, Position};
use crate::domain::venue::IdRule;

/// What a pipeline computes; the same for all symbols of a run.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Ascending, no repeats.
    pub intervals: Vec<Interval>,
    pub indicators: Vec<Spec>,
    /// How long a closed interval waits for late trades.
    pub grace_nanos: i64,
    /// Closed candles an interval that are kept for revisions.
    pub window: usize,
}

/// What a pipeline has seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Accepted distinct trades.
    pub trades: u64,
    pub duplicates: u64,
    /// Duplicates that differ from the first of their id.
    pub conflicting: u64,
    /// Accepted trades that came more than the grace period behind the newest one.
    pub late: u64,
    pub refused: u64,
    /// Gaps ever claimed.
    pub gaps: u64,
    /// Candle rows told, revisions not counted again.
    pub candles: u64,
}

/// The state of one symbol.
pub struct SymbolPipeline {}

impl SymbolPipeline {
    pub fn new(_instrument: Instrument, _id_rule: IdRule, _settings: &Settings) -> Self {
        Self {}
    }

    /// Takes the next event of the instrument's log.
    pub fn on_event(&mut self, _at: Position, _event: &Event, _out: &mut impl OutputSink) {}

    /// The recording has ended: closes what is open, as partial.
    pub fn finish(&mut self, _out: &mut impl OutputSink) {}

    pub fn counts(&self) -> Counts {
        Counts::default()
    }
}
