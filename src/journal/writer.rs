//! The writer: events in, positions out, blocks onto the disk.
//!
//! Appending gathers records in memory. What was appended is safe against a kill of the
//! process once [`Writer::flush`] has returned, against a loss of power once
//! [`Writer::sync`] has. A full block is written by itself; a segment that could not take
//! the next event is left and another begun, which names the instruments again, so that each
//! segment can be read alone.
//!
//! An error takes nothing: what failed to be written is kept and written by the next flush,
//! at the same place.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use rkyv::util::AlignedVec;

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
use crate::journal::lock::WriterLock;
use crate::journal::record::{
    BackfillRecord, CandleRecord, InstrumentRecord, OutputsRecord, Reach, Run, SkippedRecord,
    SkippedTickRecord, StatusRecord, TextRecord, TickRecord, TradeRecord, UnfillableRecord, UnwatchedRecord,
};
use crate::journal::segment::{PARTITIONS_MAX, SEGMENT_BYTES_MAX, SegmentFile, SegmentHeader};
use crate::journal::tail::{self, Ending};

/// Sealed blocks that are gathered before they are written without being asked for.
const WRITE_BYTES: usize = 64 << 10;
/// Of an instrument that this segment has not named yet.
const UNNAMED: u32 = u32::MAX;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WriterOptions {
    /// Partitions of the journal: set when it is made, the same ever after. 1 to 65,536.
    pub partitions: u32,
    /// Above that of every writer before; `None` takes the next.
    pub generation: Option<u64>,
    /// At most [`SEGMENT_BYTES_MAX`].
    pub segment_bytes_max: usize,
    /// A block is written when the next event would make it longer. One event is never divided.
    pub block_bytes_max: usize,
    /// Whether a segment is synced before the next is begun. Without it a loss of power may leave a
    /// journal cut in the middle: for journals that can be made again (imports).
    pub sync_segments: bool,
}

impl Default for WriterOptions {
    fn default() -> Self {
        Self {
            partitions: 64,
            generation: None,
            segment_bytes_max: SEGMENT_BYTES_MAX,
            block_bytes_max: 64 << 10,
            sync_segments: true,
        }
    }
}

/// Appends to the journal of one directory, alone.
#[derive(Debug)]
pub struct Writer {
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
    /// Sealed blocks, not written yet.
    sealed: Vec<u8>,
    scratch: AlignedVec,
    /// Segments left, and the directory, since the last sync.
    unsynced: Vec<PathBuf>,
    dir_unsynced: bool,
    _lock: WriterLock,
}

#[derive(Debug)]
struct Named {
    listed: Listed,
    /// Number in the current segment, or `UNNAMED`.
    local: u32,
}

#[derive(Debug)]
struct Segment {
    number: u64,
    path: PathBuf,
    file: File,
    /// Whole blocks in the kernel.
    written: usize,
    /// A write failed half-way: what follows belongs to `written`.
    astray: bool,
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
        Ok(Self {
            dir: dir.to_owned(),
            segment: Segment::begin(dir, &header, &positions)?,
            options,
            generation,
            instruments: Vec::new(),
            numbers: BTreeMap::new(),
            positions,
            open: None,
            open_bytes: 0,
            runs: Runs::default(),
            definitions: Run::new(),
            sealed: Vec::new(),
            scratch: AlignedVec::new(),
            unsynced: Vec::new(),
            dir_unsynced: true,
            _lock: lock,
        })
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

    /// Hands all that was appended to the kernel: a kill of the process no longer loses it.
    pub fn flush(&mut self) -> Result<(), JournalError> {
        self.seal();
        self.write_out()
    }

    /// Flushes, and waits until the disk has it: a loss of power no longer loses it.
    pub fn sync(&mut self) -> Result<(), JournalError> {
        self.flush()?;
        while let Some(path) = self.unsynced.last() {
            sync_left(path)?;
            self.unsynced.pop();
        }
        self.segment.file.sync_all().map_err(JournalError::io(&self.segment.path, "sync"))?;
        if self.dir_unsynced {
            sync_dir(&self.dir)?;
            self.dir_unsynced = false;
        }
        Ok(())
    }

    /// Flushes, and names what the disk must have so that a loss of power loses nothing of it: to be
    /// synced while this writer goes on.
    pub fn unsynced(&mut self) -> Result<Unsynced, JournalError> {
        self.flush()?;
        let segment = &self.segment;
        let file = segment.file.try_clone().map_err(JournalError::io(&segment.path, "open again"))?;
        let dir = self.dir_unsynced.then(|| self.dir.clone());
        self.dir_unsynced = false;
        let left = std::mem::take(&mut self.unsynced);
        Ok(Unsynced { left, path: segment.path.clone(), file, dir })
    }

    /// What could not be synced is synced with the next.
    pub fn still_unsynced(&mut self, mut unsynced: Unsynced) {
        self.dir_unsynced |= unsynced.dir.is_some();
        // The segment may have been left since.
        unsynced.left.push(unsynced.path);
        self.unsynced.append(&mut unsynced.left);
    }

    /// Syncs, and gives the directory free. A writer that is dropped flushes, and tells nobody if it cannot.
    pub fn close(mut self) -> Result<(), JournalError> {
        self.sync()
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
        if self.sealed.len() >= WRITE_BYTES {
            self.write_out()?;
        }
        if !self.fits_segment(bytes + naming) {
            self.write_out()?;
            self.rotate(bytes + naming)?;
        }
        self.open = Some(kind);
        Ok(())
    }

    #[inline]
    fn fits_segment(&self, bytes: usize) -> bool {
        let open = self.open_bytes + self.definitions.content_bytes() + 2 * BLOCK_OVERHEAD_BYTES;
        self.segment.written + self.sealed.len() + open + bytes <= self.options.segment_bytes_max
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
                    let (count, at) = (run.records.len(), self.segment.written + self.sealed.len());
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
            Kind::Positions | Kind::Instrument => unreachable!("these runs are never opened"),
        }
    }

    fn write_out(&mut self) -> Result<(), JournalError> {
        if self.sealed.is_empty() {
            return Ok(());
        }
        let segment = &mut self.segment;
        if segment.astray {
            let place = SeekFrom::Start(segment.written as u64);
            segment.file.seek(place).map_err(JournalError::io(&segment.path, "seek in"))?;
        }
        segment.astray = true;
        segment.file.write_all(&self.sealed).map_err(JournalError::io(&segment.path, "write"))?;
        segment.astray = false;
        segment.written += self.sealed.len();
        self.sealed.clear();
        Ok(())
    }

    /// Goes on in a new segment, if that can take `bytes`.
    fn rotate(&mut self, bytes: usize) -> Result<(), JournalError> {
        let number = self.segment.number + 1;
        let header =
            SegmentHeader::new(number, self.generation, self.options.partitions, self.segment.written as u64);
        let head = Segment::head(&header, &self.positions).len();
        let limit = self.options.segment_bytes_max.saturating_sub(head + 2 * BLOCK_OVERHEAD_BYTES);
        if bytes > limit {
            return Err(JournalError::TooLarge { bytes, limit });
        }
        if self.options.sync_segments {
            self.sync()?;
        }
        let next = Segment::begin(&self.dir, &header, &self.positions)?;
        let left = std::mem::replace(&mut self.segment, next);
        if !self.options.sync_segments {
            self.unsynced.push(left.path);
        }
        self.dir_unsynced = true;
        for named in &mut self.instruments {
            named.local = UNNAMED;
        }
        Ok(())
    }
}

/// What a writer has written and the disk may not have yet.
#[derive(Debug)]
pub struct Unsynced {
    /// Segments left since the last sync.
    left: Vec<PathBuf>,
    path: PathBuf,
    file: File,
    /// The journal's directory, where names in it are new.
    dir: Option<PathBuf>,
}

impl Unsynced {
    /// Waits until the disk has it.
    pub fn sync(&self) -> Result<(), JournalError> {
        self.left.iter().try_for_each(|path| sync_left(path))?;
        self.file.sync_data().map_err(JournalError::io(&self.path, "sync"))?;
        self.dir.as_deref().map_or(Ok(()), sync_dir)
    }
}

/// Makes a segment last that is no longer written to.
fn sync_left(path: &Path) -> Result<(), JournalError> {
    match File::open(path) {
        Ok(file) => file.sync_all().map_err(JournalError::io(path, "sync")),
        // Sealed meanwhile; that has synced it.
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(JournalError::io(path, "open")(error)),
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        let _ = self.flush();
    }
}

impl Segment {
    /// The bytes before the first block of events.
    fn head(header: &SegmentHeader, positions: &[u64]) -> Vec<u8> {
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

    /// A new file with its head written.
    fn begin(dir: &Path, header: &SegmentHeader, positions: &[u64]) -> Result<Self, JournalError> {
        let path = SegmentFile::path_in(dir, header.number);
        let head = Self::head(header, positions);
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .open(&path)
            .map_err(JournalError::io(&path, "create"))?;
        if let Err(error) = file.write_all(&head) {
            // Nothing is in it, and the next attempt creates it anew.
            let _ = fs::remove_file(&path);
            return Err(JournalError::io(path, "write")(error));
        }
        Ok(Self { number: header.number, path, file, written: head.len(), astray: false, named: 0 })
    }
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

/// Makes the names in a directory last.
pub(crate) fn sync_dir(dir: &Path) -> Result<(), JournalError> {
    let handle = File::open(dir).map_err(JournalError::io(dir, "open"))?;
    handle.sync_all().map_err(JournalError::io(dir, "sync"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::decimal::{Decimal, Price, Quantity};
    use crate::domain::event::TradeId;
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
        let mut good = None;
        for i in 0..20_000 {
            if i == 5_000 {
                let broken = File::open(&writer.segment.path).unwrap();
                good = Some(std::mem::replace(&mut writer.segment.file, broken));
            }
            if i == 15_000 {
                // Half of it had come through.
                let mut file = good.take().unwrap();
                let half = writer.sealed.len() / 2;
                file.write_all(&writer.sealed[..half]).unwrap();
                writer.segment.file = file;
            }
            match writer.append_trade(number, &trade(i)) {
                Ok(_) => taken.push(i),
                Err(_) => failures += 1,
            }
        }
        assert!(failures > 5_000, "{failures}");
        assert!(writer.sealed.len() <= 2 * WRITE_BYTES, "a full disk does not fill the memory");
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
