//! `journal`: a directory of segments, or one of them; no text, and read by [`crate::journal`].
//!
//! The order is the log's own. A tick reaches each instrument of the partitions that it names, in
//! their order; an event that was journalled as skipped is passed over. Nothing is changed: a
//! torn tail is read up to its last whole block and noted. Where the oldest segments are gone it begins behind
//! what the snapshots know ([`Beginning`]).

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::domain::event::Event;
use crate::domain::instrument::Instrument;
use crate::domain::output::Position;
use crate::journal::entry::{Entry, InstrumentNumber};
use crate::journal::error::JournalError;
use crate::journal::kind::Kind;
use crate::journal::reader::{Reader, Tail};
use crate::journal::skips::Skips;
use crate::replay::beginning::Beginning;
use crate::replay::decoder::{Batch, FormatEntry, Likeness, Stream};
use crate::replay::recording::InputError;
use crate::replay::roster::InstrumentIndex;

/// Never chosen by the looks of a text.
pub static ENTRY: FormatEntry = FormatEntry {
    name: "journal",
    sniff: |_, _| Likeness::No,
    open: |_, _| Err("is no directory of a journal".to_owned()),
    mixes_kinds: false,
};

/// A journal being read.
pub struct JournalSource {
    reader: Reader,
    skips: Skips,
    /// Where the oldest segments are gone.
    beginning: Option<Arc<Beginning>>,
    /// Instruments told so far.
    enlisted: u32,
    /// The text's own number of each instrument, by the reader's.
    numbers: Vec<InstrumentIndex>,
    /// Those that were told before the reader met them.
    ahead: BTreeMap<Instrument, InstrumentIndex>,
    /// Instruments of each partition.
    partitions: Vec<Vec<(InstrumentIndex, Instrument)>>,
    records: u64,
    /// Number and length of the segment that is being read.
    segment: (u64, u64),
    bytes_read: Arc<AtomicU64>,
}

impl JournalSource {
    pub fn open(
        path: &Path,
        beginning: Option<Arc<Beginning>>,
        bytes_read: Arc<AtomicU64>,
    ) -> Result<Self, InputError> {
        // Which events were skipped stands behind them in the log.
        let (skips, _) = Reader::open(path).and_then(Skips::read).map_err(input_error)?;
        Ok(Self {
            reader: Reader::open(path).map_err(input_error)?,
            skips,
            beginning,
            enlisted: 0,
            numbers: Vec::new(),
            ahead: BTreeMap::new(),
            partitions: Vec::new(),
            records: 0,
            segment: (0, 0),
            bytes_read,
        })
    }

    /// As a text's source does: `false` with the last batch.
    pub fn next_batch(&mut self, batch: &mut Batch) -> Result<bool, InputError> {
        batch.begin(self.enlisted);
        if self.enlisted == 0
            && let Some(beginning) = self.beginning.clone()
        {
            // Ticks reach all of them, also those that say nothing themselves for a while.
            for (partition, symbol) in beginning.symbols() {
                let index = batch.enlist(symbol.instrument.clone(), symbol.rule, Stream::Journal);
                self.ahead.insert(symbol.instrument.clone(), index);
                seat(&mut self.partitions, partition, index, &symbol.instrument);
            }
            self.enlisted = batch.enlisted();
        }
        let Some(block) = self.reader.next_block().map_err(input_error)? else {
            self.bytes_read.fetch_add(self.segment.1, Ordering::Relaxed);
            self.segment.1 = 0;
            if let Tail::Torn { file, offset, bytes } = self.reader.tail() {
                batch.notes.push(torn(file, *offset, *bytes));
            }
            return Ok(false);
        };
        for listed in &block.instruments()[self.numbers.len()..] {
            let index = self.ahead.get(&listed.instrument).copied().unwrap_or_else(|| {
                let index = batch.enlist(listed.instrument.clone(), listed.rule, Stream::Journal);
                seat(&mut self.partitions, listed.partition, index, &listed.instrument);
                index
            });
            self.numbers.push(index);
        }
        self.enlisted = batch.enlisted();
        let (skips, instruments, numbers) = (&self.skips, block.instruments(), &self.numbers);
        let beginning = self.beginning.as_deref();
        let is_skipped = |partition: u32, at: Position| {
            skips.has(partition, at) || beginning.is_some_and(|beginning| beginning.knows(partition, at))
        };
        let is_left_out = |instrument: InstrumentNumber, at: Position| {
            (!skips.is_empty() || beginning.is_some())
                && is_skipped(instruments[instrument.0 as usize].partition, at)
        };
        let before = self.records;
        let records = &mut self.records;
        if let Some(trades) = block.trades() {
            for trade in trades {
                let trade = trade.map_err(input_error)?;
                *records += 1;
                if !is_left_out(trade.instrument, trade.at) {
                    let index = numbers[trade.instrument.0 as usize];
                    batch.push(index, *records, Event::Trade(trade.trade));
                }
            }
        } else {
            let partitions = &self.partitions;
            block
                .for_each(|entry| {
                    *records += 1;
                    match entry {
                        Entry::Event { instrument, at, event } => {
                            if !is_left_out(instrument, at) {
                                batch.push(numbers[instrument.0 as usize], *records, event);
                            }
                        }
                        Entry::Tick { venue_at, partitions: reached } => {
                            for (partition, at) in reached {
                                if is_skipped(partition, at) {
                                    continue;
                                }
                                for (index, instrument) in
                                    partitions.get(partition as usize).into_iter().flatten()
                                {
                                    if !skips.has_tick(instrument, at) {
                                        batch.push(*index, *records, Event::Tick { venue_at });
                                    }
                                }
                            }
                        }
                        Entry::Config { .. }
                        | Entry::Version { .. }
                        | Entry::Skipped { .. }
                        | Entry::SkippedTick { .. }
                        | Entry::Closed { .. }
                        | Entry::Outputs { .. } => {}
                    }
                })
                .map_err(input_error)?;
        }
        batch.lines = self.records - before;
        self.count_bytes();
        Ok(true)
    }

    fn count_bytes(&mut self) {
        let Some((header, length)) = self.reader.segment() else { return };
        if header.number != self.segment.0 {
            self.bytes_read.fetch_add(self.segment.1, Ordering::Relaxed);
            self.segment = (header.number, length);
        }
    }
}

/// Ticks of the partition reach the instrument.
fn seat(
    partitions: &mut Vec<Vec<(InstrumentIndex, Instrument)>>,
    partition: u32,
    index: InstrumentIndex,
    instrument: &Instrument,
) {
    let at = partition as usize;
    if at >= partitions.len() {
        partitions.resize_with(at + 1, Vec::new);
    }
    partitions[at].push((index, instrument.clone()));
}

/// Whether a running engine has made the journal: it states its configuration, an import does not.
pub fn is_live(path: &Path) -> bool {
    let config = Reader::open(path).map(|reader| reader.only(&[Kind::Config]).next_entry());
    // What cannot be read is found where it is read.
    matches!(config, Ok(Ok(Some(_))))
}

fn torn(file: &Path, offset: u64, bytes: u64) -> String {
    let file = file.display();
    format!("{file}: offset {offset}: the last block is torn, {bytes} bytes of it are there: read up to it")
}

/// Damage and failing disks stop a run that began; what is no journal of ours is refused.
fn input_error(error: JournalError) -> InputError {
    match error {
        JournalError::NotAFile(_)
        | JournalError::NoSegments(_)
        | JournalError::NotASegment(_)
        | JournalError::FormatVersion { .. }
        | JournalError::UnknownKind { .. }
        | JournalError::Schema { .. } => InputError::Refused(error.to_string()),
        error => InputError::Failed(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::event::{Side, Trade, TradeId};
    use crate::domain::fields::{price, quantity};
    use crate::domain::time::UnixNanos;
    use crate::domain::venue::IdRule;
    use crate::journal::options::WriterOptions;
    use crate::journal::writer::Writer;
    use crate::replay::merge::{Inputs, Options};

    fn trade(id: u64) -> Event {
        Event::Trade(Trade {
            price: price(b"61000.5").unwrap(),
            quantity: quantity(b"0.1").unwrap(),
            exchange_at: UnixNanos(1_700_000_000_000_000_000 + id as i64),
            received_at: None,
            id: TradeId::Number(id),
            taker_side: Some(Side::Buy),
            trade_count: 1,
        })
    }

    #[test]
    fn a_journal_comes_back_in_its_own_order() {
        let dir = tempfile::tempdir().unwrap();
        let journal = dir.path().join("journal");
        std::fs::create_dir(&journal).unwrap();
        let mut writer = Writer::create(&journal, WriterOptions::default()).unwrap();
        let instruments = ["binance:BTC-USDT", "okx:BTC-USDT"].map(|name| name.parse().unwrap());
        let numbers = instruments.clone().map(|instrument| writer.define(&instrument, IdRule::Contiguous));
        for id in [1, 3, 2] {
            for number in numbers {
                writer.append(number, &trade(id)).unwrap();
            }
        }
        writer.close().unwrap();
        for path in [dir.path(), &journal] {
            let mut inputs = Inputs::open(&[path.to_owned()], Options::default()).unwrap();
            let (mut batch, mut found) = (Vec::new(), Vec::new());
            while inputs.next_batch(&mut batch).unwrap() {
                found.extend(batch.drain(..).map(|entry| {
                    (
                        inputs.roster().get(entry.instrument).0.to_string(),
                        entry.event,
                        inputs.place(entry.position).1,
                    )
                }));
            }
            let expected: Vec<_> = [1, 3, 2]
                .into_iter()
                .flat_map(|id| instruments.clone().map(|instrument| (instrument.to_string(), trade(id))))
                .zip(1..)
                .map(|((instrument, event), record)| (instrument, event, record))
                .collect();
            assert_eq!(found, expected);
            assert_eq!(inputs.lines_read(), 6);
            assert_eq!(inputs.bytes_read(), inputs.bytes_total());
        }
    }

    #[test]
    fn what_is_no_journal_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let open = |options| Inputs::open(&[dir.path().to_owned()], options).err().unwrap().to_string();
        assert!(open(Options::default()).contains("without a journal"));
        std::fs::write(dir.path().join("0000000001.twj"), b"x").unwrap();
        assert!(open(Options::default()).contains("0000000001.twj"));
        let as_csv = Options { format: Some("csv".to_owned()), ..Options::default() };
        assert!(open(as_csv).contains("--format says csv"));
    }
}
