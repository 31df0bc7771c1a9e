//! Which events were quarantined, and are passed over: for all symbols of a partition, or for one alone (a tick
//! is its neighbours' too).

use std::collections::HashSet;

use crate::domain::instrument::Instrument;
use crate::domain::output::Position;
use crate::journal::entry::Entry;
use crate::journal::error::JournalError;
use crate::journal::kind::Kind;
use crate::journal::reader::Reader;

/// What a reader has to pass over.
#[derive(Clone, Debug, Default)]
pub struct Skips {
    events: HashSet<(u32, Position)>,
    ticks: HashSet<(Instrument, Position)>,
}

impl Skips {
    /// Reads all that a journal says of it, which stands behind what it speaks of.
    pub fn read(reader: Reader) -> Result<(Self, Reader), JournalError> {
        let mut reader = reader.only(&[Kind::Skipped, Kind::SkippedTick]);
        let mut skips = Self::default();
        while let Some(entry) = reader.next_entry()? {
            match entry {
                Entry::Skipped { partition, skipped, .. } => {
                    skips.events.insert((partition, skipped));
                }
                Entry::SkippedTick { instrument, skipped, .. } => {
                    let listed = &reader.instruments()[instrument.0 as usize];
                    skips.ticks.insert((listed.instrument.clone(), skipped));
                }
                _ => {}
            }
        }
        Ok((skips, reader))
    }

    pub fn is_empty(&self) -> bool {
        self.events.is_empty() && self.ticks.is_empty()
    }

    /// Whether nobody of the partition takes the event at that position.
    #[inline]
    pub fn has(&self, partition: u32, at: Position) -> bool {
        !self.events.is_empty() && self.events.contains(&(partition, at))
    }

    /// Whether the instrument does not take the tick at that position of its partition.
    #[inline]
    pub fn has_tick(&self, instrument: &Instrument, at: Position) -> bool {
        !self.ticks.is_empty() && self.ticks.contains(&(instrument.clone(), at))
    }
}
