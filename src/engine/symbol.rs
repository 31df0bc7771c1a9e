//! One symbol's computation: its pipeline, the tally of what it told, and how far it has come.
//!
//! The same for the live actor, for the recovery of a start, and for `verify`.

use std::sync::Arc;

use tracing::error;

use crate::analytics::pipeline::{Settings, SymbolPipeline};
use crate::analytics::rolling::state::StateFault;
use crate::domain::event::Event;
use crate::domain::instrument::Instrument;
use crate::domain::output::{Output, OutputSink, Position};
use crate::domain::tally::{Tallied, Tally};
use crate::domain::venue::IdRule;
use crate::engine::archive::ChunkArchive;
use crate::journal::chunks::Chunks;
use crate::journal::snapshots::SymbolState;

/// The computation of one symbol.
pub struct Symbol<'s> {
    pub pipeline: Box<SymbolPipeline<'s>>,
    /// Its candles that are too old for memory.
    pub archive: ChunkArchive,
    /// Of all that was told since the beginning of its log.
    pub tally: Tally,
    /// The last event taken, or passed over.
    pub done_at: Position,
}

impl<'s> Symbol<'s> {
    pub fn new(instrument: Instrument, rule: IdRule, settings: &'s Settings, chunks: &Arc<Chunks>) -> Self {
        let pipeline = Box::new(SymbolPipeline::new(instrument, rule, settings));
        let archive = ChunkArchive::new(chunks);
        Self { pipeline, archive, tally: Tally::default(), done_at: Position::default() }
    }

    /// As it was after the event at `at`.
    pub fn restore(
        state: &SymbolState,
        at: Position,
        settings: &'s Settings,
        chunks: &Arc<Chunks>,
    ) -> Result<Self, StateFault> {
        let pipeline = SymbolPipeline::restore(state.instrument.clone(), state.rule, settings, &state.words)?;
        let archive = ChunkArchive::restore(chunks, &state.chunks);
        Ok(Self { pipeline: Box::new(pipeline), archive, tally: state.tally, done_at: at })
    }

    /// As [`Self::restore`], for one that has taken nothing yet. After an error it is good for nothing.
    pub fn load(
        &mut self,
        state: &SymbolState,
        at: Position,
        chunks: &Arc<Chunks>,
    ) -> Result<(), StateFault> {
        self.pipeline.load(&state.words)?;
        self.archive = ChunkArchive::restore(chunks, &state.chunks);
        (self.tally, self.done_at) = (state.tally, at);
        Ok(())
    }

    /// For a snapshot.
    pub fn save(&mut self, instrument: &Instrument, rule: IdRule) -> SymbolState {
        let mut words = Vec::new();
        self.pipeline.save(&mut words);
        let chunks = self.archive.save();
        if let Some(fault) = self.archive.take_fault() {
            error!(%instrument, %fault, "archived candles are lost: trades as late as these revise nothing");
        }
        SymbolState { instrument: instrument.clone(), rule, tally: self.tally, words, chunks }
    }

    /// Takes the next event of its log.
    #[inline]
    pub fn take(&mut self, at: Position, event: &Event, out: &mut impl OutputSink) {
        let mut out = Tallied { tally: &mut self.tally, out };
        let archive = &mut self.archive;
        match event {
            Event::Trade(trade) => self.pipeline.on_trade(at, trade, archive, &mut out),
            event => self.pipeline.on_event(at, event, archive, &mut out),
        }
        self.done_at = at;
    }
}

/// Hears nothing.
pub struct Silence;

impl OutputSink for Silence {
    #[inline]
    fn accept(&mut self, _cause_seq: u64, _output: Output<'_>) {}
}
