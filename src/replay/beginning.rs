//! Where the replay of a journal begins whose oldest segments are gone: at the oldest snapshots, which stand behind
//! them. From there on everything is told as a replay of the whole would tell it.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use crate::analytics::archive::Archive;
use crate::analytics::pipeline::{Settings, SymbolPipeline};
use crate::domain::instrument::Instrument;
use crate::domain::output::Position;
use crate::domain::venue::IdRule;
use crate::journal::catch_up::CatchUp;
use crate::journal::chunks::Chunks;
use crate::journal::error::JournalError;
use crate::journal::segment::SegmentFile;
use crate::journal::snapshots::{PartitionState, Snapshots, SymbolState};

/// The states of the partitions.
#[derive(Debug)]
pub struct Beginning {
    states: BTreeMap<u32, PartitionState>,
    chunks: Arc<Chunks>,
}

/// What is known of the beginning of a journal.
#[derive(Debug)]
pub enum Found {
    /// Its first segment is there.
    Whole,
    Snapshots(Beginning),
    /// Older segments are gone, and no snapshot of these settings stands behind them.
    Nothing,
}

impl Beginning {
    /// Looks for the beginning of the journal in `dir`. Nothing is changed; nothing is put into `own`.
    pub fn find(
        dir: &Path,
        snapshots: &Path,
        own: &Path,
        settings: &Settings,
    ) -> Result<Found, JournalError> {
        let files = SegmentFile::list(dir)?;
        if files.first().is_none_or(|first| first.number == Some(1)) {
            return Ok(Found::Whole);
        }
        let snapshots = Snapshots::at(snapshots, own)?;
        let states = snapshots.oldest(settings.fingerprint())?;
        let after: BTreeMap<u32, Position> =
            states.values().map(|state| (state.partition, state.position)).collect();
        match CatchUp::open(dir, after) {
            Ok(_) if !states.is_empty() => {
                Ok(Found::Snapshots(Self { states, chunks: snapshots.chunks().clone() }))
            }
            Ok(_) | Err(JournalError::Gone { .. }) => Ok(Found::Nothing),
            Err(error) => Err(error),
        }
    }

    /// Whether an entry at that position is told of already.
    pub fn knows(&self, partition: u32, at: Position) -> bool {
        self.states.get(&partition).is_some_and(|state| at <= state.position)
    }

    /// Every symbol that goes on, with its partition.
    pub fn symbols(&self) -> impl Iterator<Item = (u32, &SymbolState)> {
        self.states.values().flat_map(|state| state.symbols.iter().map(|symbol| (state.partition, symbol)))
    }

    /// The symbol as the snapshot knew it, its older candles in `archive`; `None`: it begins anew.
    pub fn pipeline<'s>(
        &self,
        instrument: &Instrument,
        rule: IdRule,
        settings: &'s Settings,
        archive: &mut dyn Archive,
    ) -> Option<SymbolPipeline<'s>> {
        let (_, own) = self.symbols().find(|(_, own)| own.instrument == *instrument && own.rule == rule)?;
        let pipeline = SymbolPipeline::restore(instrument.clone(), rule, settings, &own.words).ok()?;
        let mut words = Vec::new();
        for (stream, stack) in own.chunks.iter().enumerate() {
            for address in stack {
                // What cannot be read is not revised: so it is for the engine itself.
                if self.chunks.get(*address, &mut words).is_ok() {
                    archive.push(stream as u32, &words);
                }
            }
        }
        Some(pipeline)
    }
}
