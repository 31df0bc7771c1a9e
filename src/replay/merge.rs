//! Many recordings as one stream in order of event time.
//!
//! Each recording keeps its own order; of their heads the earliest exchange time goes first.
//! Equal times go by rank: time of the first trade, then file name, then size, so that the
//! order in which inputs were named never matters.

use std::path::PathBuf;

use crate::domain::frame::FrameParserEntry;
use crate::domain::interval::TimeInterval;
use crate::domain::output::Position;
use crate::domain::time::UnixNanos;
use crate::domain::venue::Venue;
use crate::replay::recording::{Entry, InputError};
use crate::replay::roster::Roster;

/// What the files do not say of themselves, and what of them is wanted.
#[derive(Clone, Default)]
pub struct Options {
    /// A name of the catalogue in [`crate::replay::formats`]; `None` or `auto`: found out per file.
    pub format: Option<String>,
    pub venue: Option<Venue>,
    /// `BASE-QUOTE`.
    pub symbol: Option<String>,
    /// Inclusive.
    pub from: Option<UnixNanos>,
    /// Exclusive.
    pub to: Option<UnixNanos>,
    /// The length of ready candles (`ohlcv`): the first of `--intervals`.
    pub interval: Option<TimeInterval>,
    /// The dialects in which raw frames are read.
    pub frame_parsers: &'static [FrameParserEntry],
    /// Lines that may be skipped; `None`: 1,000 or a tenth of the lines read, whichever is more.
    pub max_quarantined: Option<u64>,
    /// Where skipped lines are written (`quarantine.jsonl`); `None`: they are only counted.
    pub quarantine: Option<PathBuf>,
}

/// The recordings of a run, merged.
pub struct Inputs {
    roster: Roster,
}

impl Inputs {
    /// Looks into every file: what cannot be read at all is refused before anything runs.
    pub fn open(_paths: &[PathBuf], _options: Options) -> Result<Self, InputError> {
        Err(InputError::Refused("reading recordings is being built".to_owned()))
    }

    /// Replaces what `batch` holds with the next events; `false`: there are none left.
    pub fn next_batch(&mut self, batch: &mut Vec<Entry>) -> Result<bool, InputError> {
        batch.clear();
        Ok(false)
    }

    /// The instruments met so far; grows with each batch.
    pub fn roster(&self) -> &Roster {
        &self.roster
    }

    /// Counts an event that a pipeline refused as a skipped line, and writes it down.
    pub fn quarantine(&mut self, _at: Position, _reason: &str) -> Result<(), InputError> {
        Ok(())
    }

    /// Lines skipped so far, those that pipelines refused included.
    pub fn quarantined(&self) -> u64 {
        0
    }

    /// Lines (or records) read so far.
    pub fn lines_read(&self) -> u64 {
        0
    }

    /// Bytes of the files, as they lie on disk, that were read so far.
    pub fn bytes_read(&self) -> u64 {
        0
    }

    /// Bytes of all files, as they lie on disk.
    pub fn bytes_total(&self) -> u64 {
        0
    }

    /// Flushes what was quarantined. To be called once, at the end.
    pub fn finish(&mut self) -> Result<(), InputError> {
        Ok(())
    }
}
