//! Reading one symbol's events back from the journal, a block at a time: for one that is rebuilt after a
//! panic, and for one that is behind because its inbox was full.

use std::collections::VecDeque;
use std::path::Path;

use crate::domain::event::Event;
use crate::domain::instrument::Instrument;
use crate::domain::output::Position;
use crate::journal::entry::Entry;
use crate::journal::error::JournalError;
use crate::journal::reader::Reader;
use crate::journal::skips::Skips;

/// The events of one instrument after a position, as far as the journal reached when this was opened.
/// What was journalled as skipped is passed over.
pub struct Reading {
    reader: Reader,
    instrument: Instrument,
    partition: u32,
    after: Position,
    skips: Skips,
    /// The journal has named the instrument: ticks reach it.
    begun: bool,
}

impl Reading {
    /// `begun`: the instrument had events before. From the beginning, where that is gone, is from the
    /// oldest there is: so did the start that computed without a snapshot.
    pub fn open(
        dir: &Path,
        instrument: Instrument,
        partition: u32,
        after: Position,
        begun: bool,
    ) -> Result<Self, JournalError> {
        let open = || match Reader::open_after(dir, partition, after) {
            Err(JournalError::Gone { .. }) if after == Position::default() => Reader::open(dir),
            other => other,
        };
        let (skips, _) = Skips::read(open()?)?;
        Ok(Self { reader: open()?, instrument, partition, after, skips, begun })
    }

    /// Appends what the next block holds of it; `false`: there is no further block.
    pub fn next_block(&mut self, events: &mut VecDeque<(Position, Event)>) -> Result<bool, JournalError> {
        let (after, skips, partition) = (self.after, &self.skips, self.partition);
        let is_wanted = |at: Position| at > after && !skips.has(partition, at);
        let is_taken = |at: Position| is_wanted(at) && !skips.has_tick(&self.instrument, at);
        let Some(block) = self.reader.next_block()? else { return Ok(false) };
        let number = block.instruments().iter().position(|listed| listed.instrument == self.instrument);
        self.begun |= number.is_some();
        if let Some(trades) = block.trades() {
            for entry in trades {
                let entry = entry?;
                if Some(entry.instrument.0 as usize) == number && is_wanted(entry.at) {
                    events.push_back((entry.at, Event::Trade(entry.trade)));
                }
            }
            return Ok(true);
        }
        let begun = self.begun;
        block.for_each(|entry| match entry {
            Entry::Event { instrument, at, event }
                if Some(instrument.0 as usize) == number && is_wanted(at) =>
            {
                events.push_back((at, event));
            }
            Entry::Tick { venue_at, partitions } => {
                let reached = partitions.iter().find(|(p, at)| begun && *p == partition && is_taken(*at));
                events.extend(reached.map(|(_, at)| (*at, Event::Tick { venue_at })));
            }
            _ => {}
        })?;
        Ok(true)
    }
}
