//! The log as the engine sees it: append a batch, read from a position.
//!
//! A directory of segments is one such log. Another (a partitioned log on other machines)
//! can stand in its place, for positions are ordered and opaque: nobody counts or subtracts
//! them.

use crate::domain::event::Event;
use crate::domain::instrument::Instrument;
use crate::domain::output::Position;
use crate::domain::venue::IdRule;
use crate::journal::appender::Appender;
use crate::journal::entry::{Entry, InstrumentNumber, Listed};
use crate::journal::error::JournalError;
use crate::journal::reader::Reader;
use crate::journal::writer::Writer;

pub trait Log {
    /// What a partition holds, in order.
    type Reading: Iterator<Item = Result<(Option<Listed>, Entry), JournalError>>;

    /// The number by which events of the instrument are appended.
    fn define(&mut self, instrument: &Instrument, rule: IdRule) -> InstrumentNumber;

    /// Appends the events in order and adds their positions to `at`. Once it returns, a kill of
    /// the process loses none of them. After an error, `at` tells which were taken; these are
    /// written with the next batch at the latest.
    fn append(
        &mut self,
        batch: &[(InstrumentNumber, Event)],
        at: &mut Vec<Position>,
    ) -> Result<(), JournalError>;

    /// All entries that reach the partition after `after` ([`Position::default`]: all there are),
    /// with the instrument where an entry is of one.
    fn read_after(&mut self, partition: u32, after: Position) -> Result<Self::Reading, JournalError>;
}

/// One partition of a journal.
#[derive(Debug)]
pub struct PartitionReading {
    reader: Reader,
    partition: u32,
    after: Position,
}

impl Log for Writer {
    type Reading = PartitionReading;

    fn define(&mut self, instrument: &Instrument, rule: IdRule) -> InstrumentNumber {
        Appender::define(self, instrument, rule)
    }

    fn append(
        &mut self,
        batch: &[(InstrumentNumber, Event)],
        at: &mut Vec<Position>,
    ) -> Result<(), JournalError> {
        for (number, event) in batch {
            at.push(Appender::append(self, *number, event)?);
        }
        self.flush()
    }

    fn read_after(&mut self, partition: u32, after: Position) -> Result<PartitionReading, JournalError> {
        self.flush()?;
        let reader = Reader::open_after(self.dir(), partition, after)?;
        Ok(PartitionReading { reader, partition, after })
    }
}

impl PartitionReading {
    /// The instrument of the entry, if the entry reaches the partition after the position.
    fn wanted(&self, entry: &Entry) -> Option<Option<Listed>> {
        let reaches = |partition: u32, at: Position| partition == self.partition && at > self.after;
        match entry {
            Entry::Event { instrument, at, .. }
            | Entry::Outputs { instrument, at, .. }
            | Entry::Closed { instrument, at, .. }
            | Entry::SkippedTick { instrument, at, .. } => {
                let listed = &self.reader.instruments()[instrument.0 as usize];
                reaches(listed.partition, *at).then(|| Some(listed.clone()))
            }
            Entry::Skipped { partition, at, .. } => reaches(*partition, *at).then_some(None),
            Entry::Tick { partitions, .. }
            | Entry::Config { partitions, .. }
            | Entry::Version { partitions, .. } => {
                partitions.iter().any(|&(partition, at)| reaches(partition, at)).then_some(None)
            }
        }
    }
}

impl Iterator for PartitionReading {
    type Item = Result<(Option<Listed>, Entry), JournalError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            match self.reader.next_entry().transpose()? {
                Err(error) => return Some(Err(error)),
                Ok(entry) => {
                    if let Some(listed) = self.wanted(&entry) {
                        return Some(Ok((listed, entry)));
                    }
                }
            }
        }
    }
}
