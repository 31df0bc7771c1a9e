//! The appender: events in, positions out, blocks into memory.
//!
//! What it has made of them is written by the [`Outlet`], in order: whoever appends waits for no disk. Only what
//! nobody has handed over for [`WRITE_BYTES`] is written on the way, unless another thread does so just then. A
//! segment that could not take the next event is left and another begun, which names the instruments again, so
//! that each segment can be read alone.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, TryLockError};

use rkyv::util::AlignedVec;

use crate::domain::closed::Closed;
use crate::domain::divergence::Divergence;
use crate::domain::event::{Event, ReadyCandle, Trade};
use crate::domain::instrument::Instrument;
use crate::domain::output::Position;
use crate::domain::tally::Tally;
use crate::domain::time::UnixNanos;
use crate::domain::venue::IdRule;
use crate::journal::block::{BLOCK_OVERHEAD_BYTES, append_block};
use crate::journal::convert;
use crate::journal::entry::{InstrumentNumber, Listed};
use crate::journal::error::JournalError;
use crate::journal::kind::Kind;
use crate::journal::options::WriterOptions;
use crate::journal::outlet::{Outlet, Parcel};
use crate::journal::record::{
    BackfillRecord, CandleRecord, ClosedRecord, DivergenceRecord, InstrumentRecord, OutputsRecord, Reach,
    Run, SkippedRecord, SkippedTickRecord, StatusRecord, TextRecord, TickRecord, TradeRecord,
    UnfillableRecord, UnwatchedRecord,
};
use crate::journal::segment::SegmentHeader;

/// Sealed blocks that are gathered before they are written without being asked for.
pub const WRITE_BYTES: usize = 64 << 10;
/// Of an instrument that this segment has not named yet.
const UNNAMED: u32 = u32::MAX;

/// Gathers what is to be written of a journal.
#[derive(Debug)]
pub struct Appender {
    dir: PathBuf,
    options: WriterOptions,
    generation: u64,
    instruments: Vec<Named>,
    numbers: BTreeMap<Instrument, InstrumentNumber>,
    /// The last position given, by partition.
    positions: Vec<u64>,
    segment: Segment,
    /// The run that is being filled, and its content.
    open: Option<Kind>,
    open_bytes: usize,
    runs: Runs,
    /// Instruments named in this segment by records that are not sealed yet.
    definitions: Run<InstrumentRecord, u8>,
    /// Sealed blocks of this segment that were not handed over.
    sealed: Vec<u8>,
    /// The ends of segments that were left since the last handing over, and the heads of those that were begun.
    left: Vec<Parcel>,
    scratch: AlignedVec,
    outlet: Arc<Mutex<Outlet>>,
}

#[derive(Debug)]
struct Named {
    listed: Listed,
    /// Number in the current segment, or `UNNAMED`.
    local: u32,
}

/// The segment that is filled; its file is the outlet's.
#[derive(Debug)]
struct Segment {
    number: u64,
    /// Bytes handed over.
    handed: usize,
    /// Instruments named.
    named: u32,
}

#[derive(Debug, Default)]
struct Runs {
    trade: Run<TradeRecord, u8>,
    backfill: Run<BackfillRecord, TradeRecord>,
    candle: Run<CandleRecord, u8>,
    tick: Run<TickRecord, Reach>,
    unwatched: Run<UnwatchedRecord, u8>,
    text: Run<TextRecord, Reach>,
    skipped: Run<SkippedRecord, u8>,
    unfillable: Run<UnfillableRecord, u8>,
    status: Run<StatusRecord, u8>,
    outputs: Run<OutputsRecord, u8>,
    skipped_tick: Run<SkippedTickRecord, u8>,
    divergence: Run<DivergenceRecord, u8>,
    closed: Run<ClosedRecord, u8>,
}

impl Appender {
    /// After the head of the segment that `header` speaks of, which the outlet has written.
    pub(super) fn new(
        dir: &Path,
        options: WriterOptions,
        header: &SegmentHeader,
        positions: Vec<u64>,
        outlet: Outlet,
    ) -> Self {
        Self {
            dir: dir.to_owned(),
            segment: Segment { number: header.number, handed: outlet.written(), named: 0 },
            options,
            generation: header.generation,
            instruments: Vec::new(),
            numbers: BTreeMap::new(),
            positions,
            open: None,
            open_bytes: 0,
            runs: Runs::default(),
            definitions: Run::new(),
            sealed: Vec::new(),
            left: Vec::new(),
            scratch: AlignedVec::new(),
            outlet: Arc::new(Mutex::new(outlet)),
        }
    }

    /// Where what was appended is written. Whoever holds both locks the outlet first.
    pub fn outlet(&self) -> Arc<Mutex<Outlet>> {
        self.outlet.clone()
    }

    /// Gives the outlet all that was appended.
    pub fn hand_over(&mut self, outlet: &mut Outlet) {
        self.seal();
        self.left.drain(..).for_each(|parcel| outlet.put(parcel));
        if !self.sealed.is_empty() {
            let (segment, at) = (self.segment.number, self.segment.handed);
            self.segment.handed += self.sealed.len();
            // The next is likely to be as long.
            let room = Vec::with_capacity(self.sealed.len().min(WRITE_BYTES));
            outlet.put(Parcel { segment, at, bytes: std::mem::replace(&mut self.sealed, room) });
        }
    }

    /// Bytes that were not handed over.
    fn waiting(&self) -> usize {
        self.sealed.len() + self.left.iter().map(|parcel| parcel.bytes.len()).sum::<usize>()
    }

    /// Hands all that was appended to the kernel. What failed before goes first: while it cannot be written no more is
    /// handed over.
    pub(super) fn write_through(&mut self, outlet: &mut Outlet) -> Result<(), JournalError> {
        outlet.write_out()?;
        self.hand_over(outlet);
        outlet.write_out()
    }

    /// Writes what waits, unless another thread does so just now.
    fn write_out(&mut self) -> Result<(), JournalError> {
        let outlet = self.outlet.clone();
        let mut outlet = match outlet.try_lock() {
            Ok(outlet) => outlet,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            // Whoever appended this has to flush it, and waits there.
            Err(TryLockError::WouldBlock) => return Ok(()),
        };
        self.write_through(&mut outlet)
    }

    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Number of the segment that is written to.
    pub fn segment(&self) -> u64 {
        self.segment.number
    }

    pub fn generation(&self) -> u64 {
        self.generation
    }

    pub fn partitions(&self) -> u32 {
        self.options.partitions
    }

    /// The last position given in the partition; [`Position::default`] before the first.
    pub fn position(&self, partition: u32) -> Position {
        Position(self.positions.get(partition as usize).copied().unwrap_or(0))
    }

    /// The number by which this writer knows the instrument, from now on if it did not yet. The
    /// weaker of two rules wins.
    pub fn define(&mut self, instrument: &Instrument, rule: IdRule) -> InstrumentNumber {
        if let Some(&number) = self.numbers.get(instrument) {
            let named = &mut self.instruments[number.0 as usize];
            if rule > named.listed.rule {
                named.listed.rule = rule;
                // Said again in this segment: a reader takes the last it was told.
                named.local = UNNAMED;
            }
            return number;
        }
        let number = InstrumentNumber(u32::try_from(self.instruments.len()).expect("fewer than 2^32"));
        let partition = instrument.partition(self.options.partitions);
        let listed = Listed { instrument: instrument.clone(), rule, partition };
        self.instruments.push(Named { listed, local: UNNAMED });
        self.numbers.insert(instrument.clone(), number);
        number
    }

    /// Appends a trade; its position is the next of the instrument's partition.
    #[inline]
    pub fn append_trade(
        &mut self,
        number: InstrumentNumber,
        trade: &Trade,
    ) -> Result<Position, JournalError> {
        convert::check_trade(trade).map_err(JournalError::Unwritable)?;
        let local = self.make_room_for(Kind::Trade, number, convert::trade_bytes(trade))?;
        let at = self.next_position(number);
        let run = &mut self.runs.trade;
        let record = convert::trade_record(trade, local, at.0, &mut run.text);
        run.records.push(record);
        Ok(at)
    }

    /// Appends any event of one instrument. A tick is none: it belongs to partitions.
    pub fn append(&mut self, number: InstrumentNumber, event: &Event) -> Result<Position, JournalError> {
        match event {
            Event::Trade(trade) => self.append_trade(number, trade),
            Event::Backfill(trades) => self.append_backfill(number, trades),
            Event::Candle(candle) => self.append_candle(number, candle),
            Event::Unwatched { from, to } => {
                let local = self.make_room_for(Kind::Unwatched, number, size_of::<UnwatchedRecord>())?;
                let at = self.next_position(number);
                let record =
                    UnwatchedRecord { position: at.0, from: from.0, to: to.0, instrument: local, zero: 0 };
                self.runs.unwatched.records.push(record);
                Ok(at)
            }
            Event::Unfillable { first_id, last_id, reason } => {
                if first_id > last_id {
                    return Err(JournalError::Unwritable("missing ids end before they begin"));
                }
                let local = self.make_room_for(Kind::Unfillable, number, size_of::<UnfillableRecord>())?;
                let at = self.next_position(number);
                self.runs.unfillable.records.push(UnfillableRecord {
                    position: at.0,
                    first_id: *first_id,
                    last_id: *last_id,
                    instrument: local,
                    reason: convert::unfillable_number(*reason),
                });
                Ok(at)
            }
            Event::Status { venue_at, status } => {
                let local = self.make_room_for(Kind::Status, number, size_of::<StatusRecord>())?;
                let at = self.next_position(number);
                let status = convert::status_number(*status);
                let record = StatusRecord { position: at.0, venue_at: venue_at.0, instrument: local, status };
                self.runs.status.records.push(record);
                Ok(at)
            }
            Event::Divergence(divergence) => self.append_divergence(number, divergence),
            Event::Tick { .. } => Err(JournalError::Unwritable("a tick belongs to partitions: append_tick")),
        }
    }

    fn append_backfill(
        &mut self,
        number: InstrumentNumber,
        trades: &[Trade],
    ) -> Result<Position, JournalError> {
        let mut bytes = size_of::<BackfillRecord>();
        for trade in trades {
            convert::check_trade(trade).map_err(JournalError::Unwritable)?;
            bytes += convert::trade_bytes(trade);
        }
        let local = self.make_room_for(Kind::Backfill, number, bytes)?;
        let at = self.next_position(number);
        let run = &mut self.runs.backfill;
        let (first, count) = (run.items.len() as u32, trades.len() as u32);
        for trade in trades {
            let record = convert::trade_record(trade, local, 0, &mut run.text);
            run.items.push(record);
        }
        run.records.push(BackfillRecord { position: at.0, instrument: local, first, count, zero: 0 });
        Ok(at)
    }

    fn append_candle(
        &mut self,
        number: InstrumentNumber,
        candle: &ReadyCandle,
    ) -> Result<Position, JournalError> {
        let mut record = convert::candle_record(candle, 0, 0).map_err(JournalError::Unwritable)?;
        record.instrument = self.make_room_for(Kind::Candle, number, size_of::<CandleRecord>())?;
        let at = self.next_position(number);
        record.position = at.0;
        self.runs.candle.records.push(record);
        Ok(at)
    }

    fn append_divergence(
        &mut self,
        number: InstrumentNumber,
        divergence: &Divergence,
    ) -> Result<Position, JournalError> {
        divergence.check().map_err(JournalError::Unwritable)?;
        let against = convert::names_text(&divergence.against);
        let missing = convert::names_text(&divergence.missing);
        let bytes = size_of::<DivergenceRecord>() + against.len() + missing.len();
        let instrument = self.make_room_for(Kind::Divergence, number, bytes)?;
        let at = self.next_position(number);
        let run = &mut self.runs.divergence;
        let text = run.text.len() as u32;
        run.text.extend_from_slice(against.as_bytes());
        run.text.extend_from_slice(missing.as_bytes());
        let mut record = convert::divergence_record(divergence);
        (record.position, record.instrument, record.text) = (at.0, instrument, text);
        (record.against_bytes, record.missing_bytes) = (against.len() as u32, missing.len() as u32);
        run.records.push(record);
        Ok(at)
    }

    /// Appends one record of passed time that reaches these partitions, in this order.
    pub fn append_tick(&mut self, venue_at: UnixNanos, partitions: &[u32]) -> Result<(), JournalError> {
        self.check_partitions(partitions)?;
        self.make_room(Kind::Tick, size_of::<TickRecord>() + size_of_val(partitions) * 4, 0)?;
        let first = self.runs.tick.items.len() as u32;
        reach(&mut self.positions, partitions, &mut self.runs.tick.items);
        let record = TickRecord { venue_at: venue_at.0, first, count: partitions.len() as u32 };
        self.runs.tick.records.push(record);
        Ok(())
    }

    /// Appends the configuration (TOML) that these partitions are computed under from here on.
    pub fn append_config(&mut self, toml: &str, partitions: &[u32]) -> Result<(), JournalError> {
        self.append_text(Kind::Config, toml, partitions)
    }

    /// Appends the version of the engine that computes these partitions from here on.
    pub fn append_version(&mut self, version: &str, partitions: &[u32]) -> Result<(), JournalError> {
        self.append_text(Kind::Version, version, partitions)
    }

    fn append_text(&mut self, kind: Kind, text: &str, partitions: &[u32]) -> Result<(), JournalError> {
        self.check_partitions(partitions)?;
        let bytes = size_of::<TextRecord>() + size_of_val(partitions) * 4 + text.len();
        self.make_room(kind, bytes, 0)?;
        let run = &mut self.runs.text;
        let (first, at) = (run.items.len() as u32, run.text.len() as u32);
        reach(&mut self.positions, partitions, &mut run.items);
        run.text.extend_from_slice(text.as_bytes());
        let (count, bytes) = (partitions.len() as u32, text.len() as u32);
        run.records.push(TextRecord { first, count, text: at, bytes });
        Ok(())
    }

    /// Appends that the event at `skipped` was quarantined, and why.
    pub fn append_skipped(
        &mut self,
        partition: u32,
        skipped: Position,
        reason: &str,
    ) -> Result<Position, JournalError> {
        self.check_partitions(&[partition])?;
        self.make_room(Kind::Skipped, size_of::<SkippedRecord>() + reason.len(), 0)?;
        let position = &mut self.positions[partition as usize];
        *position += 1;
        let run = &mut self.runs.skipped;
        let (text, bytes) = (run.text.len() as u32, reason.len() as u32);
        run.text.extend_from_slice(reason.as_bytes());
        let position = *position;
        run.records.push(SkippedRecord { position, skipped: skipped.0, partition, text, bytes, zero: 0 });
        Ok(Position(position))
    }

    /// Appends that the tick at `skipped` was quarantined for this instrument alone, and why.
    pub fn append_skipped_tick(
        &mut self,
        number: InstrumentNumber,
        skipped: Position,
        reason: &str,
    ) -> Result<Position, JournalError> {
        let bytes = size_of::<SkippedTickRecord>() + reason.len();
        let instrument = self.make_room_for(Kind::SkippedTick, number, bytes)?;
        let at = self.next_position(number);
        let run = &mut self.runs.skipped_tick;
        let (text, bytes) = (run.text.len() as u32, reason.len() as u32);
        run.text.extend_from_slice(reason.as_bytes());
        let (position, skipped) = (at.0, skipped.0);
        run.records.push(SkippedTickRecord { position, skipped, instrument, text, bytes, zero: 0 });
        Ok(at)
    }

    /// Appends a closed candle that is compared with others'.
    pub fn append_closed(
        &mut self,
        number: InstrumentNumber,
        closed: &Closed,
    ) -> Result<Position, JournalError> {
        let instrument = self.make_room_for(Kind::Closed, number, size_of::<ClosedRecord>())?;
        let at = self.next_position(number);
        let record = ClosedRecord { position: at.0, instrument, ..convert::closed_record(closed) };
        self.runs.closed.records.push(record);
        Ok(at)
    }

    /// Appends what the instrument has told because of its events up to `upto`, that one included.
    pub fn append_outputs(
        &mut self,
        number: InstrumentNumber,
        upto: Position,
        tally: &Tally,
    ) -> Result<Position, JournalError> {
        let local = self.make_room_for(Kind::Outputs, number, size_of::<OutputsRecord>())?;
        let at = self.next_position(number);
        let [hash_low, hash_high] = tally.hash;
        self.runs.outputs.records.push(OutputsRecord {
            position: at.0,
            upto: upto.0,
            count: tally.count,
            hash_low,
            hash_high,
            instrument: local,
            zero: 0,
        });
        Ok(at)
    }

    fn check_partitions(&self, partitions: &[u32]) -> Result<(), JournalError> {
        if partitions.iter().all(|&partition| partition < self.options.partitions) {
            Ok(())
        } else {
            Err(JournalError::Unwritable("the journal has no such partition"))
        }
    }

    #[inline]
    fn next_position(&mut self, number: InstrumentNumber) -> Position {
        let partition = self.instruments[number.0 as usize].listed.partition;
        let position = &mut self.positions[partition as usize];
        *position += 1;
        Position(*position)
    }

    /// Room for `bytes` of an instrument, and its number in the segment.
    #[inline]
    fn make_room_for(
        &mut self,
        kind: Kind,
        number: InstrumentNumber,
        bytes: usize,
    ) -> Result<u32, JournalError> {
        let Some(named) = self.instruments.get(number.0 as usize) else {
            return Err(JournalError::Unwritable("no such instrument was defined"));
        };
        let naming = naming_bytes(&named.listed.instrument);
        self.make_room(kind, bytes, naming)?;
        let local = self.instruments[number.0 as usize].local;
        if local != UNNAMED { Ok(local) } else { Ok(self.name(number)) }
    }

    /// Leaves an open run of the kind that can take `bytes`, in a segment that can take them too,
    /// `naming` bytes of a definition besides. After an error nothing has changed but what is written.
    #[inline]
    fn make_room(&mut self, kind: Kind, bytes: usize, naming: usize) -> Result<(), JournalError> {
        let fits_block = self.open_bytes + bytes <= self.options.block_bytes_max;
        if self.open != Some(kind) || !fits_block || !self.fits_segment(bytes + naming) {
            self.make_room_slowly(kind, bytes, naming)?;
        }
        self.open_bytes += bytes;
        Ok(())
    }

    #[cold]
    fn make_room_slowly(&mut self, kind: Kind, bytes: usize, naming: usize) -> Result<(), JournalError> {
        self.seal();
        if self.waiting() >= WRITE_BYTES {
            self.write_out()?;
        }
        if !self.fits_segment(bytes + naming) {
            self.rotate(bytes + naming)?;
        }
        self.open = Some(kind);
        Ok(())
    }

    #[inline]
    fn fits_segment(&self, bytes: usize) -> bool {
        let open = self.open_bytes + self.definitions.content_bytes() + 2 * BLOCK_OVERHEAD_BYTES;
        self.segment.handed + self.sealed.len() + open + bytes <= self.options.segment_bytes_max
    }

    /// Names the instrument in this segment, before the run that is open.
    #[cold]
    fn name(&mut self, number: InstrumentNumber) -> u32 {
        let named = &mut self.instruments[number.0 as usize];
        let local = self.segment.named;
        self.segment.named += 1;
        named.local = local;
        let (venue, symbol) = (named.listed.instrument.venue().name(), named.listed.instrument.symbol());
        let run = &mut self.definitions;
        let text = run.text.len() as u32;
        run.text.extend_from_slice(venue.as_bytes());
        run.text.extend_from_slice(symbol.as_bytes());
        run.records.push(InstrumentRecord {
            number: local,
            partition: named.listed.partition,
            text,
            venue_bytes: venue.len() as u32,
            symbol_bytes: symbol.len() as u32,
            rule: convert::rule_number(named.listed.rule),
        });
        local
    }

    /// Makes blocks of the definitions and of the open run.
    fn seal(&mut self) {
        let Some(kind) = self.open.take() else { return };
        self.open_bytes = 0;
        macro_rules! seal {
            ($kind:expr, $run:expr) => {{
                let run = &mut $run;
                if !run.records.is_empty() {
                    let (count, at) = (run.records.len(), self.segment.handed + self.sealed.len());
                    let number = self.segment.number;
                    append_block($kind, run, count, number, at, &mut self.scratch, &mut self.sealed);
                    run.clear();
                }
            }};
        }
        seal!(Kind::Instrument, self.definitions);
        match kind {
            Kind::Trade => seal!(kind, self.runs.trade),
            Kind::Backfill => seal!(kind, self.runs.backfill),
            Kind::Candle => seal!(kind, self.runs.candle),
            Kind::Tick => seal!(kind, self.runs.tick),
            Kind::Unwatched => seal!(kind, self.runs.unwatched),
            Kind::Config | Kind::Version => seal!(kind, self.runs.text),
            Kind::Skipped => seal!(kind, self.runs.skipped),
            Kind::Unfillable => seal!(kind, self.runs.unfillable),
            Kind::Status => seal!(kind, self.runs.status),
            Kind::Outputs => seal!(kind, self.runs.outputs),
            Kind::SkippedTick => seal!(kind, self.runs.skipped_tick),
            Kind::Divergence => seal!(kind, self.runs.divergence),
            Kind::Closed => seal!(kind, self.runs.closed),
            Kind::Positions | Kind::Instrument => unreachable!("these runs are never opened"),
        }
    }

    /// Goes on in a new segment, if that can take `bytes`.
    fn rotate(&mut self, bytes: usize) -> Result<(), JournalError> {
        let number = self.segment.number + 1;
        let end = self.segment.handed + self.sealed.len();
        let header = SegmentHeader::new(number, self.generation, self.options.partitions, end as u64);
        let head = head(&header, &self.positions);
        let limit = self.options.segment_bytes_max.saturating_sub(head.len() + 2 * BLOCK_OVERHEAD_BYTES);
        if bytes > limit {
            return Err(JournalError::TooLarge { bytes, limit });
        }
        if !self.sealed.is_empty() {
            let (segment, at) = (self.segment.number, self.segment.handed);
            self.left.push(Parcel { segment, at, bytes: std::mem::take(&mut self.sealed) });
        }
        self.segment = Segment { number, handed: head.len(), named: 0 };
        self.left.push(Parcel { segment: number, at: 0, bytes: head });
        for named in &mut self.instruments {
            named.local = UNNAMED;
        }
        Ok(())
    }
}

/// The bytes before the first block of events.
pub(super) fn head(header: &SegmentHeader, positions: &[u64]) -> Vec<u8> {
    let mut head = header.encode();
    let mut run = Run::<Reach, u8>::new();
    for (partition, &position) in positions.iter().enumerate() {
        if position > 0 {
            run.records.push(Reach { position, partition: partition as u32, zero: 0 });
        }
    }
    let (count, at) = (run.records.len(), head.len());
    append_block(Kind::Positions, &run, count, header.number, at, &mut AlignedVec::new(), &mut head);
    head
}

/// Gives each of the partitions its next position, and says so in items.
fn reach(positions: &mut [u64], partitions: &[u32], items: &mut Vec<Reach>) {
    for &partition in partitions {
        let position = &mut positions[partition as usize];
        *position += 1;
        items.push(Reach { position: *position, partition, zero: 0 });
    }
}

fn naming_bytes(instrument: &Instrument) -> usize {
    size_of::<InstrumentRecord>() + instrument.venue().name().len() + instrument.symbol().len()
}
