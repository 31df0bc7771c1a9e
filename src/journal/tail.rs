//! The end of a journal: where the next writer goes on, and what a kill left half-written.

use std::fs::{self, File, OpenOptions};
use std::path::{Path, PathBuf};

use crate::domain::output::Position;
use crate::journal::entry::Entry;
use crate::journal::error::JournalError;
use crate::journal::lock::WriterLock;
use crate::journal::outlet::sync_dir;
use crate::journal::reader::{Reader, Tail};
use crate::journal::segment::{SegmentFile, SegmentHeader};

/// What was cut.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cut {
    pub file: PathBuf,
    /// The file now ends here; at 0 it is gone, for nothing in it was whole.
    pub offset: u64,
    pub bytes: u64,
}

/// The last segment of a journal, read to its end.
#[derive(Debug)]
pub(crate) struct Ending {
    pub header: SegmentHeader,
    /// The last position of each partition.
    pub positions: Vec<u64>,
    pub bytes: u64,
}

/// Cuts the torn block off the end of a journal: for the live engine, before it writes on.
///
/// Takes the writer's lock. Only a tail shorter than its own header says is cut; anything else
/// that is wrong (a whole block with a bad checksum above all) is an error, and nothing is
/// changed. `None` where the journal ends with a whole block, or where there is no journal.
pub fn cut_tail(dir: &Path) -> Result<Option<Cut>, JournalError> {
    let _lock = WriterLock::take(dir)?;
    let Some(last) = SegmentFile::list(dir)?.pop() else { return Ok(None) };
    let mut reader = Reader::open(&last.path)?;
    while let Some(block) = reader.next_block()? {
        block.for_each(|_| ())?;
    }
    let Tail::Torn { file, offset, bytes } = reader.tail().clone() else { return Ok(None) };
    let headless = reader.segment().is_none() || !reader.has_head();
    // The map is let go before the file is made shorter.
    drop(reader);
    if headless {
        let bytes = bytes + offset;
        fs::remove_file(&file).map_err(JournalError::io(&file, "remove"))?;
        sync_dir(dir)?;
        return Ok(Some(Cut { file, offset: 0, bytes }));
    }
    let handle: File = OpenOptions::new().write(true).open(&file).map_err(JournalError::io(&file, "open"))?;
    handle.set_len(offset).map_err(JournalError::io(&file, "cut"))?;
    handle.sync_all().map_err(JournalError::io(&file, "sync"))?;
    Ok(Some(Cut { file, offset, bytes }))
}

/// Where a journal ends; refuses a torn one.
pub(crate) fn ending(last: &SegmentFile) -> Result<Ending, JournalError> {
    let mut reader = Reader::open(&last.path)?;
    let mut positions = Vec::new();
    let raise = |positions: &mut Vec<u64>, partition: u32, at: Position| {
        if positions.len() <= partition as usize {
            positions.resize(partition as usize + 1, 0);
        }
        let position = &mut positions[partition as usize];
        *position = (*position).max(at.0);
    };
    while let Some(block) = reader.next_block()? {
        let instruments = block.instruments();
        block.for_each(|entry| match entry {
            Entry::Event { instrument, at, .. }
            | Entry::Outputs { instrument, at, .. }
            | Entry::Closed { instrument, at, .. }
            | Entry::SkippedTick { instrument, at, .. } => {
                raise(&mut positions, instruments[instrument.0 as usize].partition, at);
            }
            Entry::Skipped { partition, at, .. } => raise(&mut positions, partition, at),
            Entry::Tick { partitions, .. }
            | Entry::Config { partitions, .. }
            | Entry::Version { partitions, .. } => {
                for (partition, at) in partitions {
                    raise(&mut positions, partition, at);
                }
            }
        })?;
    }
    if let Tail::Torn { file, offset, bytes } = reader.tail().clone() {
        return Err(JournalError::TornTail { file, offset, bytes });
    }
    let Some((header, bytes)) = reader.segment().filter(|_| reader.has_head()) else {
        // A kill came between the header and the block that belongs to it.
        return Err(JournalError::TornTail { file: last.path.clone(), offset: 0, bytes: 0 });
    };
    for &(partition, at) in reader.began_at() {
        raise(&mut positions, partition, at);
    }
    positions.resize(header.partitions as usize, 0);
    Ok(Ending { header: header.clone(), positions, bytes })
}
