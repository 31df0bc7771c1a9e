//! The writer: an [`Appender`] and the [`Outlet`] behind it, for whoever writes a journal.
//!
//! Appending gathers records in memory. What was appended is safe against a kill of the
//! process once [`Writer::flush`] has returned, against a loss of power once
//! [`Writer::sync`] has. A full block is written by itself.
//!
//! An error takes nothing: what failed to be written is kept and written by the next flush,
//! at the same place.

use std::fs;
use std::ops::{Deref, DerefMut};
use std::path::Path;
use std::sync::{MutexGuard, PoisonError};

use crate::domain::event::Event;
use crate::domain::output::Position;
use crate::journal::appender::{self, Appender};
use crate::journal::entry::InstrumentNumber;
use crate::journal::error::JournalError;
use crate::journal::lock::WriterLock;
use crate::journal::options::WriterOptions;
use crate::journal::outlet::Outlet;
use crate::journal::segment::{PARTITIONS_MAX, SEGMENT_BYTES_MAX, SegmentFile, SegmentHeader};
use crate::journal::tail::{self, Ending};

/// Appends to the journal of one directory, alone.
#[derive(Debug)]
pub struct Writer {
    appender: Appender,
}

impl Writer {
    /// Begins a journal. The directory is made where it is missing; one that holds a journal is refused.
    pub fn create(dir: &Path, options: WriterOptions) -> Result<Self, JournalError> {
        fs::create_dir_all(dir).map_err(JournalError::io(dir, "make"))?;
        let lock = WriterLock::take(dir)?;
        if !SegmentFile::list(dir)?.is_empty() {
            return Err(JournalError::NotEmpty(dir.to_owned()));
        }
        let positions = vec![0; options.partitions as usize];
        let generation = options.generation.unwrap_or(1);
        Self::begin(dir, options, generation, positions, 1, 0, lock)
    }

    /// Goes on with a journal, in a new segment. One whose last block is torn is refused: see
    /// [`tail::cut_tail`].
    pub fn open(dir: &Path, options: WriterOptions) -> Result<Self, JournalError> {
        let lock = WriterLock::take(dir)?;
        let files = SegmentFile::list(dir)?;
        let last = files.last().ok_or_else(|| JournalError::NoSegments(dir.to_owned()))?;
        let Ending { header, positions, bytes } = tail::ending(last)?;
        if header.partitions != options.partitions {
            let (asked, found) = (options.partitions, header.partitions);
            return Err(JournalError::Partitions { dir: dir.to_owned(), asked, found });
        }
        let generation = options.generation.unwrap_or(header.generation.saturating_add(1));
        if generation <= header.generation {
            let found = header.generation;
            return Err(JournalError::Generation { dir: dir.to_owned(), asked: generation, found });
        }
        Self::begin(dir, options, generation, positions, header.number + 1, bytes, lock)
    }

    fn begin(
        dir: &Path,
        options: WriterOptions,
        generation: u64,
        positions: Vec<u64>,
        number: u64,
        previous_bytes: u64,
        lock: WriterLock,
    ) -> Result<Self, JournalError> {
        if !(1..=PARTITIONS_MAX).contains(&options.partitions) {
            return Err(JournalError::Unwritable("partitions are not between 1 and 65536"));
        }
        if options.segment_bytes_max > SEGMENT_BYTES_MAX {
            return Err(JournalError::Unwritable("segments are longer than 16 MiB"));
        }
        let header = SegmentHeader::new(number, generation, options.partitions, previous_bytes);
        let head = appender::head(&header, &positions);
        let outlet = Outlet::begin(dir, number, &head, options.sync_segments, lock)?;
        Ok(Self { appender: Appender::new(dir, options, &header, positions, outlet) })
    }

    /// As [`Appender::append`]; here because the trait [`Log`](crate::journal::log::Log) has another of that name.
    pub fn append(&mut self, number: InstrumentNumber, event: &Event) -> Result<Position, JournalError> {
        self.appender.append(number, event)
    }

    /// Hands all that was appended to the kernel: a kill of the process no longer loses it.
    pub fn flush(&mut self) -> Result<(), JournalError> {
        self.write_and(|_| Ok(()))
    }

    /// Flushes, and waits until the disk has it: a loss of power no longer loses it.
    pub fn sync(&mut self) -> Result<(), JournalError> {
        self.write_and(Outlet::sync)
    }

    fn write_and(
        &mut self,
        then: impl FnOnce(&mut Outlet) -> Result<(), JournalError>,
    ) -> Result<(), JournalError> {
        let outlet = self.appender.outlet();
        let mut outlet: MutexGuard<'_, Outlet> = outlet.lock().unwrap_or_else(PoisonError::into_inner);
        self.appender.write_through(&mut outlet)?;
        then(&mut outlet)
    }

    /// Syncs, and gives the directory free. A writer that is dropped flushes, and tells nobody if it cannot.
    pub fn close(mut self) -> Result<(), JournalError> {
        self.sync()
    }
}

impl Deref for Writer {
    type Target = Appender;

    fn deref(&self) -> &Appender {
        &self.appender
    }
}

impl DerefMut for Writer {
    fn deref_mut(&mut self) -> &mut Appender {
        &mut self.appender
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        let _ = self.flush();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::decimal::{Decimal, Price, Quantity};
    use crate::domain::event::{Trade, TradeId};
    use crate::domain::time::UnixNanos;
    use crate::domain::venue::IdRule;
    use crate::journal::appender::WRITE_BYTES;
    use crate::journal::reader::{Reader, Tail};

    fn trade(i: u64) -> Trade {
        Trade {
            price: Price::new(Decimal::new(100 + i, 2).unwrap()).unwrap(),
            quantity: Quantity::new(Decimal::new(1, 0).unwrap()).unwrap(),
            exchange_at: UnixNanos(i as i64),
            received_at: None,
            id: TradeId::Number(i),
            taker_side: None,
            trade_count: 1,
        }
    }

    /// A disk that is full for a while, played by a handle that cannot be written through.
    #[test]
    fn what_failed_to_be_written_is_written_later() {
        let dir = tempfile::tempdir().unwrap();
        let options = WriterOptions { block_bytes_max: 1_024, ..WriterOptions::default() };
        let mut writer = Writer::create(dir.path(), options).unwrap();
        let number = writer.define(&"kraken:BTC-USD".parse().unwrap(), IdRule::Absent);
        let (mut taken, mut failures) = (Vec::new(), 0);
        let (mut good, mut most) = (None, 0);
        for i in 0..20_000 {
            if i == 5_000 {
                good = Some(writer.outlet().lock().unwrap().break_for_test());
            }
            if i == 15_000 {
                writer.outlet().lock().unwrap().mend_for_test(good.take().unwrap());
            }
            match writer.append_trade(number, &trade(i)) {
                Ok(_) => taken.push(i),
                Err(_) => failures += 1,
            }
            if i % 100 == 0 {
                // Whoever flushes meanwhile makes it no worse.
                let _ = writer.flush();
                most = most.max(writer.outlet().lock().unwrap().bytes_waiting_for_test());
            }
        }
        assert!(failures > 5_000, "{failures}");
        assert!(most <= 4 * WRITE_BYTES, "a full disk does not fill the memory: {most}");
        writer.close().unwrap();

        let mut reader = Reader::open(dir.path()).unwrap();
        let (mut read, mut last) = (Vec::new(), Position::default());
        while let Some(block) = reader.next_block().unwrap() {
            for entry in block.trades().unwrap() {
                let entry = entry.unwrap();
                assert!(entry.at > last);
                last = entry.at;
                read.push(entry.trade.exchange_at.0 as u64);
            }
        }
        assert_eq!((read, reader.tail()), (taken, &Tail::Whole));
    }
}
