//! The reader: a journal, or one of its segments, from the first entry to the last.
//!
//! Segment after segment is mapped into memory and let go once read, so that a reader needs
//! the same memory for any length. Each block is checked whole (place, checksums, kind,
//! schema) before anything in it is believed; then its records are read where they lie. What
//! is damaged, missing or unknown is an error that names the file and the offset, and ends
//! the reading. Only the last block of the last segment may be torn, as a kill leaves it:
//! that is told by [`Reader::tail`]. A reader never changes a file.
//!
//! Whole blocks that are missing at the very end of the last segment leave no trace in it.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::fs::{self, File};
use std::ops::Deref;
use std::path::{Path, PathBuf};

use memmap2::{Mmap, MmapOptions};
use rkyv::rancor::Failure;
use rkyv::util::AlignedVec;

use crate::domain::event::{Event, Trade};
use crate::domain::instrument::Instrument;
use crate::domain::output::Position;
use crate::domain::tally::Tally;
use crate::domain::time::UnixNanos;
use crate::domain::venue::Venue;
use crate::journal::block::{Frame, Step, step};
use crate::journal::convert::{self, slice_items, slice_text};
use crate::journal::entry::{Entry, InstrumentNumber, Listed, TradeEntry};
use crate::journal::error::JournalError;
use crate::journal::kind::Kind;
use crate::journal::packing::unpack;
use crate::journal::record::{
    ArchivedReach, ArchivedRun, ArchivedTradeRecord, BackfillRecord, CandleRecord, ClosedRecord,
    DivergenceRecord, InstrumentRecord, OutputsRecord, Reach, SkippedRecord, SkippedTickRecord, StatusRecord,
    TextRecord, TickRecord, TradeRecord, UnfillableRecord, UnwatchedRecord,
};
use crate::journal::segment::{HeaderFault, SEGMENT_BYTES_MAX, SegmentFile, SegmentHeader};

/// How the journal ends, known once all of it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tail {
    Whole,
    /// `bytes` of the last block are there from `offset` on, not all. What stood before was read.
    Torn {
        file: PathBuf,
        offset: u64,
        bytes: u64,
    },
}

/// Where a segment begins.
#[derive(Debug)]
pub(super) struct Beginning {
    /// Of the journal.
    pub partitions: u32,
    /// How far those with any entry had come.
    pub reached: Vec<(u32, Position)>,
}

/// Reads in order. After an error there is nothing more.
#[derive(Debug)]
pub struct Reader {
    files: VecDeque<SegmentFile>,
    segment: Option<OpenSegment>,
    done: bool,
    instruments: Vec<Listed>,
    numbers: BTreeMap<Instrument, InstrumentNumber>,
    wanted: u32,
    /// Records passed, by kind; segments entered, and their bytes.
    counts: [u64; Kind::ALL.len()],
    segments: u64,
    bytes: u64,
    tail: Tail,
    /// Memory for unpacking, while no sealed segment is open.
    spare: AlignedVec,
    /// Entries of the current block that [`Reader::next_entry`] has not given yet.
    entries: VecDeque<Entry>,
    fault: Option<JournalError>,
}

#[derive(Debug)]
struct OpenSegment {
    file: SegmentFile,
    bytes: Bytes,
    header: SegmentHeader,
    /// The kinds of its table.
    kinds: Vec<(u16, Match)>,
    offset: usize,
    /// The reader's number of each instrument that it named.
    locals: Vec<InstrumentNumber>,
    /// How far each partition had come when it was begun; `None` before its first block.
    positions: Option<Vec<(u32, Position)>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Match {
    Known(Kind),
    Unknown(String),
    OtherSchema(Kind, u64),
}

#[derive(Debug)]
enum Bytes {
    Mapped(Mmap),
    Held(AlignedVec),
}

/// A run of entries of one kind, checked as a whole.
#[derive(Clone, Copy)]
pub struct Block<'a> {
    run: RunRef<'a>,
    place: Place<'a>,
    locals: &'a [InstrumentNumber],
    instruments: &'a [Listed],
    partitions: u32,
}

#[derive(Clone, Copy)]
enum RunRef<'a> {
    Trade(&'a ArchivedRun<TradeRecord, u8>),
    Backfill(&'a ArchivedRun<BackfillRecord, TradeRecord>),
    Candle(&'a ArchivedRun<CandleRecord, u8>),
    Tick(&'a ArchivedRun<TickRecord, Reach>),
    Unwatched(&'a ArchivedRun<UnwatchedRecord, u8>),
    Config(&'a ArchivedRun<TextRecord, Reach>),
    Version(&'a ArchivedRun<TextRecord, Reach>),
    Skipped(&'a ArchivedRun<SkippedRecord, u8>),
    Unfillable(&'a ArchivedRun<UnfillableRecord, u8>),
    Status(&'a ArchivedRun<StatusRecord, u8>),
    Outputs(&'a ArchivedRun<OutputsRecord, u8>),
    SkippedTick(&'a ArchivedRun<SkippedTickRecord, u8>),
    Divergence(&'a ArchivedRun<DivergenceRecord, u8>),
    Closed(&'a ArchivedRun<ClosedRecord, u8>),
}

/// Where errors in a block are.
#[derive(Clone, Copy, Debug)]
struct Place<'a> {
    path: &'a Path,
    segment: &'a [u8],
}

/// The trades of a block, in order.
#[derive(Clone)]
pub struct Trades<'a> {
    records: std::slice::Iter<'a, ArchivedTradeRecord>,
    text: &'a [u8],
    locals: &'a [InstrumentNumber],
    place: Place<'a>,
}

impl Reader {
    /// A directory of segments, or one segment, plain or sealed.
    pub fn open(path: &Path) -> Result<Self, JournalError> {
        let metadata = fs::metadata(path).map_err(JournalError::io(path, "open"))?;
        if !metadata.is_dir() {
            return Ok(Self::over([SegmentFile::of(path)]));
        }
        let files = SegmentFile::list(path)?;
        if files.is_empty() {
            return Err(JournalError::NoSegments(path.to_owned()));
        }
        Ok(Self::over(files))
    }

    /// From the segment on in which the partition goes on after `after`: entries before it are
    /// still among the first. Refuses where the journal no longer reaches back so far.
    pub fn open_after(dir: &Path, partition: u32, after: Position) -> Result<Self, JournalError> {
        let mut files = SegmentFile::list(dir)?;
        let Some(first) = files.first().cloned() else {
            return Err(JournalError::NoSegments(dir.to_owned()));
        };
        let mut start = 0;
        for (i, file) in files.iter().enumerate().skip(1).rev() {
            if Self::began(file, partition)?.is_some_and(|position| position <= after) {
                start = i;
                break;
            }
        }
        if start == 0 && Self::began(&first, partition)?.is_some_and(|position| position > after) {
            return Err(JournalError::Gone { dir: dir.to_owned(), partition });
        }
        Ok(Self::over(files.drain(start..)))
    }

    /// A segment held in memory; errors call it `name`, by which a sealed one is known as well.
    pub fn of_bytes(name: &str, bytes: &[u8]) -> Result<Self, JournalError> {
        let mut reader = Self::over([]);
        let file = SegmentFile::of(Path::new(name));
        let mut held = AlignedVec::new();
        if file.compressed {
            unpack(bytes, &file.path, &mut held)?;
        } else {
            held.extend_from_slice(bytes);
        }
        reader.enter(file, Bytes::Held(held), None)?;
        Ok(reader)
    }

    pub(super) fn over(files: impl IntoIterator<Item = SegmentFile>) -> Self {
        Self {
            files: files.into_iter().collect(),
            segment: None,
            done: false,
            instruments: Vec::new(),
            numbers: BTreeMap::new(),
            wanted: u32::MAX,
            counts: [0; Kind::ALL.len()],
            segments: 0,
            bytes: 0,
            tail: Tail::Whole,
            spare: AlignedVec::new(),
            entries: VecDeque::new(),
            fault: None,
        }
    }

    /// How far a partition had come when the segment was begun; `None` where it has no whole head.
    fn began(file: &SegmentFile, partition: u32) -> Result<Option<Position>, JournalError> {
        let began = Self::began_all(file)?;
        Ok(began.map(|began| {
            began.reached.into_iter().find(|(p, _)| *p == partition).map_or(Position(0), |(_, at)| at)
        }))
    }

    /// Where a segment begins; `None` where it has no whole head.
    pub(super) fn began_all(file: &SegmentFile) -> Result<Option<Beginning>, JournalError> {
        let mut reader = Self::over([file.clone()]).only(&[]);
        reader.next_block()?;
        let segment = reader.segment;
        Ok(segment.and_then(|segment| {
            Some(Beginning { partitions: segment.header.partitions, reached: segment.positions? })
        }))
    }

    /// Passes over blocks of other kinds, without checking what is in them.
    pub fn only(mut self, kinds: &[Kind]) -> Self {
        self.wanted = kinds.iter().fold(0, |set, kind| set | 1 << kind.id());
        self
    }

    /// The instruments met so far, in order of number.
    pub fn instruments(&self) -> &[Listed] {
        &self.instruments
    }

    /// How the journal ends: only true once everything was read.
    pub fn tail(&self) -> &Tail {
        &self.tail
    }

    /// The segment that is being read, and its length.
    pub fn segment(&self) -> Option<(&SegmentHeader, u64)> {
        self.segment.as_ref().map(|segment| (&segment.header, segment.bytes.len() as u64))
    }

    /// How far the partitions had come when that segment was begun (those that had any event).
    pub fn began_at(&self) -> &[(u32, Position)] {
        self.segment.as_ref().and_then(|segment| segment.positions.as_deref()).unwrap_or_default()
    }

    pub(crate) fn has_head(&self) -> bool {
        self.segment.as_ref().is_some_and(|segment| segment.positions.is_some())
    }

    /// Records of each kind passed so far; segments entered so far, and their bytes.
    pub(crate) fn passed(&self) -> (BTreeMap<Kind, u64>, u64, u64) {
        let counts = Kind::ALL.into_iter().zip(self.counts).filter(|(_, count)| *count > 0);
        (counts.collect(), self.segments, self.bytes)
    }

    /// The next block of events, all that it rests on checked.
    pub fn next_block(&mut self) -> Result<Option<Block<'_>>, JournalError> {
        if self.done {
            return Ok(None);
        }
        // Set first: an error ends the reading.
        self.done = true;
        let Some((kind, frame)) = self.advance()? else { return Ok(None) };
        let Some(segment) = &self.segment else { return Ok(None) };
        let block = segment.block(kind, &frame, &self.instruments)?;
        self.done = false;
        Ok(Some(block))
    }

    /// The next entry. Convenient; [`Reader::next_block`] is faster where all are trades.
    pub fn next_entry(&mut self) -> Result<Option<Entry>, JournalError> {
        loop {
            if let Some(entry) = self.entries.pop_front() {
                return Ok(Some(entry));
            }
            if let Some(fault) = self.fault.take() {
                self.done = true;
                return Err(fault);
            }
            let mut entries = std::mem::take(&mut self.entries);
            let read = match self.next_block()? {
                None => return Ok(None),
                Some(block) => block.for_each(|entry| entries.push_back(entry)),
            };
            self.entries = entries;
            self.fault = read.err();
        }
    }

    /// Goes on to the next wanted block, through definitions and segments.
    fn advance(&mut self) -> Result<Option<(Kind, Frame)>, JournalError> {
        loop {
            let Some(segment) = &mut self.segment else {
                if !self.open_next()? {
                    return Ok(None);
                }
                continue;
            };
            let damaged = |offset, what| segment.file.damaged(offset, what);
            let frame = match step(&segment.bytes, segment.header.number, segment.offset) {
                Err(what) => return Err(damaged(segment.offset, what)),
                Ok(Step::Block(frame)) => frame,
                Ok(Step::End) => {
                    if !self.open_next()? {
                        return Ok(None);
                    }
                    continue;
                }
                Ok(Step::Torn) => {
                    let offset = segment.offset as u64;
                    let (file, bytes) = (segment.file.clone(), segment.bytes.len() as u64 - offset);
                    self.torn(&file, offset, bytes)?;
                    return Ok(None);
                }
            };
            let kind = segment.kind_of(&frame)?;
            segment.offset = frame.end;
            if (kind == Kind::Positions) != segment.positions.is_none() {
                return Err(damaged(
                    frame.offset,
                    "the first block of a segment, and no other, tells positions",
                ));
            }
            match kind {
                Kind::Positions => segment.read_positions(&frame)?,
                Kind::Instrument => self.read_definitions(&frame)?,
                _ => self.counts[kind as usize] += u64::from(frame.count),
            }
            match kind {
                Kind::Positions | Kind::Instrument => {}
                _ if self.wanted & 1 << kind.id() == 0 => {}
                _ => return Ok(Some((kind, frame))),
            }
        }
    }

    /// A segment ends too early: as a kill leaves the last one, or as damage.
    fn torn(&mut self, file: &SegmentFile, offset: u64, bytes: u64) -> Result<(), JournalError> {
        if !self.files.is_empty() {
            return Err(JournalError::CutInTheMiddle { file: file.path.clone(), offset });
        }
        if file.compressed {
            return Err(file.damaged(offset as usize, "sealed segment ends within a block"));
        }
        self.tail = Tail::Torn { file: file.path.clone(), offset, bytes };
        Ok(())
    }

    /// Opens the next segment; `false` after the last.
    fn open_next(&mut self) -> Result<bool, JournalError> {
        let Some(file) = self.files.pop_front() else { return Ok(false) };
        let previous = self.segment.take().map(|segment| {
            let length = segment.bytes.len() as u64;
            if let Bytes::Held(held) = segment.bytes {
                self.spare = held;
            }
            (segment.file, segment.header, length)
        });
        let (file, bytes) = self.load(file)?;
        self.enter(file, bytes, previous)
    }

    /// Reads the head of a segment, and whether it follows the one before.
    fn enter(
        &mut self,
        file: SegmentFile,
        bytes: Bytes,
        previous: Option<(SegmentFile, SegmentHeader, u64)>,
    ) -> Result<bool, JournalError> {
        let (header, offset) = match SegmentHeader::decode(&bytes) {
            Ok(decoded) => decoded,
            Err(HeaderFault::Torn) => {
                self.torn(&file, 0, bytes.len() as u64)?;
                self.done = true;
                return Ok(false);
            }
            Err(fault) => return Err(fault.of(&file.path)),
        };
        if file.number.is_some_and(|number| number != header.number) {
            return Err(file.damaged(16, "segment header has another number than the file's name"));
        }
        if let Some((before, known, length)) = previous {
            if header.number != known.number + 1 {
                let dir = file.path.parent().unwrap_or(Path::new("")).to_owned();
                return Err(JournalError::MissingSegment { dir, missing: known.number + 1 });
            }
            if header.previous_bytes > length {
                return Err(JournalError::CutInTheMiddle { file: before.path, offset: length });
            }
            if header.previous_bytes < length {
                let at = header.previous_bytes as usize;
                return Err(before.damaged(at, "segment was written to after the next was begun"));
            }
            if header.partitions != known.partitions || header.generation < known.generation {
                return Err(file.damaged(0, "segment header does not go on where the last segment ended"));
            }
        }
        let kinds = header.kinds.iter().map(|entry| {
            let found = match Kind::from_name(&entry.name) {
                None => Match::Unknown(entry.name.clone()),
                Some(kind) if kind.schema() == entry.schema => Match::Known(kind),
                Some(kind) => Match::OtherSchema(kind, entry.schema),
            };
            (entry.id, found)
        });
        let kinds = kinds.collect();
        self.segments += 1;
        self.bytes += bytes.len() as u64;
        let locals = Vec::new();
        self.segment = Some(OpenSegment { file, bytes, header, kinds, offset, locals, positions: None });
        Ok(true)
    }

    fn load(&mut self, file: SegmentFile) -> Result<(SegmentFile, Bytes), JournalError> {
        let io = |action| JournalError::io(&file.path, action);
        // Asked before it is opened: to open a pipe would wait for its other end.
        let metadata = match fs::metadata(&file.path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound && !file.compressed => {
                // Sealed since the directory was listed.
                let sealed = SegmentFile::of(&file.path.with_extension("twj.lz4"));
                return if sealed.path.exists() { self.load(sealed) } else { Err(io("open")(error)) };
            }
            other => other.map_err(io("open"))?,
        };
        if !metadata.is_file() {
            return Err(JournalError::NotAFile(file.path));
        }
        if metadata.len() > SEGMENT_BYTES_MAX as u64 {
            return Err(file.damaged(SEGMENT_BYTES_MAX, "segment is longer than 16 MiB"));
        }
        let handle = File::open(&file.path).map_err(io("open"))?;
        let bytes = match map(&handle, metadata.len()).map_err(io("map"))? {
            Bytes::Mapped(packed) if file.compressed => {
                let mut held = std::mem::take(&mut self.spare);
                unpack(&packed, &file.path, &mut held)?;
                Bytes::Held(held)
            }
            bytes if file.compressed && bytes.is_empty() => {
                return Err(file.damaged(0, "sealed segment is empty"));
            }
            bytes => bytes,
        };
        Ok((file, bytes))
    }

    fn read_definitions(&mut self, frame: &Frame) -> Result<(), JournalError> {
        let Some(segment) = &mut self.segment else { return Ok(()) };
        let body =
            frame.checked_body(&segment.bytes).map_err(|what| segment.file.damaged(frame.offset, what))?;
        let run = rkyv::access::<ArchivedRun<InstrumentRecord, u8>, Failure>(body)
            .map_err(|_| segment.file.damaged(frame.body.start, NOT_A_RUN))?;
        for record in run.records.iter() {
            let read = || -> Result<Listed, &'static str> {
                if record.number.to_native() as usize != segment.locals.len() {
                    return Err("instruments are not numbered in order");
                }
                let partition = record.partition.to_native();
                if partition >= segment.header.partitions {
                    return Err(NO_SUCH_PARTITION);
                }
                let (at, venue) = (record.text.to_native(), record.venue_bytes.to_native());
                let symbol_at = at.checked_add(venue).ok_or("text lies outside of its block")?;
                let venue = Venue::new(slice_text(&run.text, at, venue)?);
                let symbol = slice_text(&run.text, symbol_at, record.symbol_bytes.to_native())?;
                let instrument = venue.ok().and_then(|venue| Instrument::new(venue, symbol).ok());
                Ok(Listed {
                    instrument: instrument.ok_or("instrument has no valid name")?,
                    rule: convert::rule(record.rule.to_native())?,
                    partition,
                })
            };
            let listed = read().map_err(|what| segment.file.damaged(frame.body.start, what))?;
            let number = match self.numbers.get(&listed.instrument) {
                Some(&number) => {
                    let known = &mut self.instruments[number.0 as usize];
                    if known.partition != listed.partition {
                        let what = "instrument belongs to another partition than before";
                        return Err(segment.file.damaged(frame.body.start, what));
                    }
                    known.rule = known.rule.max(listed.rule);
                    number
                }
                None => {
                    let number = InstrumentNumber(self.instruments.len() as u32);
                    self.numbers.insert(listed.instrument.clone(), number);
                    self.instruments.push(listed);
                    number
                }
            };
            segment.locals.push(number);
        }
        Ok(())
    }
}

const NOT_A_RUN: &str = "block does not hold what its kind says";
const NO_SUCH_PARTITION: &str = "the journal has no such partition";

fn map(file: &File, length: u64) -> std::io::Result<Bytes> {
    if length == 0 {
        return Ok(Bytes::Held(AlignedVec::new()));
    }
    // All pages at once: faulting them in one by one costs as much as reading them.
    // SAFETY: a writer appends behind the length that is mapped and never changes what stands
    // before it; a torn tail is cut only under the writer's lock, and is not read.
    #[expect(unsafe_code, reason = "reading a memory map is what the journal is built for")]
    let mapped = unsafe { MmapOptions::new().len(length as usize).populate().map(file)? };
    Ok(Bytes::Mapped(mapped))
}

impl OpenSegment {
    fn kind_of(&self, frame: &Frame) -> Result<Kind, JournalError> {
        let found = self.kinds.iter().find(|(id, _)| *id == frame.kind_id);
        if let Some((_, Match::Known(kind))) = found {
            return Ok(*kind);
        }
        let (file, offset) = (self.file.path.clone(), frame.offset as u64);
        match found {
            Some((_, Match::Unknown(kind))) => {
                Err(JournalError::UnknownKind { file, offset, kind: kind.clone() })
            }
            Some((_, Match::OtherSchema(kind, found))) => {
                let (kind, known) = (kind.name(), kind.schema());
                Err(JournalError::Schema { file, offset, kind, found: *found, known })
            }
            _ => Err(self.file.damaged(frame.offset, "block of a kind that its segment does not name")),
        }
    }

    fn read_positions(&mut self, frame: &Frame) -> Result<(), JournalError> {
        let damaged = |offset, what| self.file.damaged(offset, what);
        let body = frame.checked_body(&self.bytes).map_err(|what| damaged(frame.offset, what))?;
        let run = rkyv::access::<ArchivedRun<Reach, u8>, Failure>(body)
            .map_err(|_| damaged(frame.body.start, NOT_A_RUN))?;
        let positions = reached(&run.records, self.header.partitions);
        self.positions = Some(positions.map_err(|what| damaged(frame.body.start, what))?);
        Ok(())
    }

    fn block<'a>(
        &'a self,
        kind: Kind,
        frame: &Frame,
        instruments: &'a [Listed],
    ) -> Result<Block<'a>, JournalError> {
        let body = frame.checked_body(&self.bytes).map_err(|what| self.file.damaged(frame.offset, what))?;
        macro_rules! run {
            ($variant:ident, $record:ty, $item:ty) => {
                rkyv::access::<ArchivedRun<$record, $item>, Failure>(body)
                    .ok()
                    .filter(|run| run.records.len() == frame.count as usize)
                    .map(RunRef::$variant)
            };
        }
        let run = match kind {
            Kind::Trade => run!(Trade, TradeRecord, u8),
            Kind::Backfill => run!(Backfill, BackfillRecord, TradeRecord),
            Kind::Candle => run!(Candle, CandleRecord, u8),
            Kind::Tick => run!(Tick, TickRecord, Reach),
            Kind::Unwatched => run!(Unwatched, UnwatchedRecord, u8),
            Kind::Config => run!(Config, TextRecord, Reach),
            Kind::Version => run!(Version, TextRecord, Reach),
            Kind::Skipped => run!(Skipped, SkippedRecord, u8),
            Kind::Unfillable => run!(Unfillable, UnfillableRecord, u8),
            Kind::Status => run!(Status, StatusRecord, u8),
            Kind::Outputs => run!(Outputs, OutputsRecord, u8),
            Kind::SkippedTick => run!(SkippedTick, SkippedTickRecord, u8),
            Kind::Divergence => run!(Divergence, DivergenceRecord, u8),
            Kind::Closed => run!(Closed, ClosedRecord, u8),
            Kind::Positions | Kind::Instrument => None,
        };
        Ok(Block {
            run: run.ok_or_else(|| self.file.damaged(frame.body.start, NOT_A_RUN))?,
            place: Place { path: &self.file.path, segment: &self.bytes },
            locals: &self.locals,
            instruments,
            partitions: self.header.partitions,
        })
    }
}

impl SegmentFile {
    fn damaged(&self, offset: usize, what: &'static str) -> JournalError {
        JournalError::Damaged { file: self.path.clone(), offset: offset as u64, what }
    }
}

impl Deref for Bytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Self::Mapped(map) => map,
            Self::Held(held) => held,
        }
    }
}

impl<'a> Block<'a> {
    pub fn kind(&self) -> Kind {
        match self.run {
            RunRef::Trade(_) => Kind::Trade,
            RunRef::Backfill(_) => Kind::Backfill,
            RunRef::Candle(_) => Kind::Candle,
            RunRef::Tick(_) => Kind::Tick,
            RunRef::Unwatched(_) => Kind::Unwatched,
            RunRef::Config(_) => Kind::Config,
            RunRef::Version(_) => Kind::Version,
            RunRef::Skipped(_) => Kind::Skipped,
            RunRef::Unfillable(_) => Kind::Unfillable,
            RunRef::Status(_) => Kind::Status,
            RunRef::Outputs(_) => Kind::Outputs,
            RunRef::SkippedTick(_) => Kind::SkippedTick,
            RunRef::Divergence(_) => Kind::Divergence,
            RunRef::Closed(_) => Kind::Closed,
        }
    }

    /// The instruments met so far, in order of number: all that this block speaks of are among them.
    pub fn instruments(&self) -> &'a [Listed] {
        self.instruments
    }

    /// Its trades, where it is a block of trades.
    pub fn trades(&self) -> Option<Trades<'a>> {
        let RunRef::Trade(run) = self.run else { return None };
        Some(self.trades_of(run))
    }

    fn trades_of(&self, run: &'a ArchivedRun<TradeRecord, u8>) -> Trades<'a> {
        Trades {
            records: run.records.iter(),
            text: run.text.as_slice(),
            locals: self.locals,
            place: self.place,
        }
    }

    /// Its entries, in order. An error ends them.
    pub fn for_each(&self, each: impl FnMut(Entry)) -> Result<(), JournalError> {
        self.for_each_wanted(|_, _| true, each)
    }

    /// Likewise, but for trades that are not wanted, by instrument and position: these are not looked into.
    pub fn for_each_wanted(
        &self,
        wanted: impl Fn(InstrumentNumber, Position) -> bool,
        mut each: impl FnMut(Entry),
    ) -> Result<(), JournalError> {
        match self.run {
            RunRef::Trade(run) => {
                let mut trades = self.trades_of(run);
                while let Some(record) = trades.records.as_slice().first() {
                    let number = self.locals.get(record.instrument.to_native() as usize);
                    if number.is_some_and(|number| !wanted(*number, Position(record.position.to_native()))) {
                        trades.records.next();
                        continue;
                    }
                    if let Some(trade) = trades.next() {
                        each(trade?.into());
                    }
                }
                Ok(())
            }
            RunRef::Backfill(run) => self.decode(&run.records, each, |record| {
                let items = slice_items(&run.items, record.first.to_native(), record.count.to_native())?;
                let trades: Result<Vec<Trade>, _> =
                    items.iter().map(|item| convert::trade(item, &run.text)).collect();
                self.event(
                    record.instrument.to_native(),
                    record.position.to_native(),
                    Event::Backfill(trades?),
                )
            }),
            RunRef::Candle(run) => self.decode(&run.records, each, |record| {
                let candle = Box::new(convert::candle(record)?);
                self.event(record.instrument.to_native(), record.position.to_native(), Event::Candle(candle))
            }),
            RunRef::Unwatched(run) => self.decode(&run.records, each, |record| {
                let (from, to) = (UnixNanos(record.from.to_native()), UnixNanos(record.to.to_native()));
                let event = Event::Unwatched { from, to };
                self.event(record.instrument.to_native(), record.position.to_native(), event)
            }),
            RunRef::Tick(run) => self.decode(&run.records, each, |record| {
                let items = slice_items(&run.items, record.first.to_native(), record.count.to_native())?;
                let partitions = reached(items, self.partitions)?;
                Ok(Entry::Tick { venue_at: UnixNanos(record.venue_at.to_native()), partitions })
            }),
            RunRef::Config(run) | RunRef::Version(run) => self.decode(&run.records, each, |record| {
                let items = slice_items(&run.items, record.first.to_native(), record.count.to_native())?;
                let partitions = reached(items, self.partitions)?;
                let text =
                    slice_text(&run.text, record.text.to_native(), record.bytes.to_native())?.to_owned();
                Ok(match self.run {
                    RunRef::Config(_) => Entry::Config { toml: text, partitions },
                    _ => Entry::Version { version: text, partitions },
                })
            }),
            RunRef::Unfillable(run) => self.decode(&run.records, each, |record| {
                let event = convert::unfillable(record)?;
                self.event(record.instrument.to_native(), record.position.to_native(), event)
            }),
            RunRef::Status(run) => self.decode(&run.records, each, |record| {
                let event = convert::status(record)?;
                self.event(record.instrument.to_native(), record.position.to_native(), event)
            }),
            RunRef::Outputs(run) => self.decode(&run.records, each, |record| {
                let hash = [record.hash_low.to_native(), record.hash_high.to_native()];
                Ok(Entry::Outputs {
                    instrument: self.numbered(record.instrument.to_native())?,
                    at: Position(record.position.to_native()),
                    upto: Position(record.upto.to_native()),
                    tally: Tally { count: record.count.to_native(), hash },
                })
            }),
            RunRef::SkippedTick(run) => self.decode(&run.records, each, |record| {
                Ok(Entry::SkippedTick {
                    instrument: self.numbered(record.instrument.to_native())?,
                    at: Position(record.position.to_native()),
                    skipped: Position(record.skipped.to_native()),
                    reason: slice_text(&run.text, record.text.to_native(), record.bytes.to_native())?
                        .to_owned(),
                })
            }),
            RunRef::Divergence(run) => self.decode(&run.records, each, |record| {
                let event = convert::divergence(record, &run.text)?;
                self.event(record.instrument.to_native(), record.position.to_native(), event)
            }),
            RunRef::Closed(run) => self.decode(&run.records, each, |record| {
                Ok(Entry::Closed {
                    instrument: self.numbered(record.instrument.to_native())?,
                    at: Position(record.position.to_native()),
                    closed: convert::closed(record)?,
                })
            }),
            RunRef::Skipped(run) => self.decode(&run.records, each, |record| {
                let partition = record.partition.to_native();
                if partition >= self.partitions {
                    return Err(NO_SUCH_PARTITION);
                }
                Ok(Entry::Skipped {
                    partition,
                    at: Position(record.position.to_native()),
                    skipped: Position(record.skipped.to_native()),
                    reason: slice_text(&run.text, record.text.to_native(), record.bytes.to_native())?
                        .to_owned(),
                })
            }),
        }
    }

    fn decode<R>(
        &self,
        records: &[R],
        mut each: impl FnMut(Entry),
        read: impl Fn(&R) -> Result<Entry, &'static str>,
    ) -> Result<(), JournalError> {
        for record in records {
            each(read(record).map_err(|what| self.place.damaged(record, what))?);
        }
        Ok(())
    }

    fn event(&self, local: u32, position: u64, event: Event) -> Result<Entry, &'static str> {
        Ok(Entry::Event { instrument: self.numbered(local)?, at: Position(position), event })
    }

    fn numbered(&self, local: u32) -> Result<InstrumentNumber, &'static str> {
        self.locals.get(local as usize).copied().ok_or(NOT_NAMED)
    }
}

const NOT_NAMED: &str = "record of an instrument that its segment does not name";

fn reached(items: &[ArchivedReach], partitions: u32) -> Result<Vec<(u32, Position)>, &'static str> {
    let mut reached = Vec::with_capacity(items.len());
    for item in items {
        let partition = item.partition.to_native();
        if partition >= partitions {
            return Err(NO_SUCH_PARTITION);
        }
        reached.push((partition, Position(item.position.to_native())));
    }
    Ok(reached)
}

impl Place<'_> {
    #[cold]
    fn damaged<R>(&self, record: &R, what: &'static str) -> JournalError {
        let offset = std::ptr::from_ref(record).addr().wrapping_sub(self.segment.as_ptr().addr());
        JournalError::Damaged { file: self.path.to_owned(), offset: offset as u64, what }
    }
}

impl<'a> Trades<'a> {
    /// The records that are left, where they lie.
    pub fn records(&self) -> &'a [ArchivedTradeRecord] {
        self.records.as_slice()
    }
}

impl Iterator for Trades<'_> {
    type Item = Result<TradeEntry, JournalError>;

    #[inline(always)]
    fn next(&mut self) -> Option<Self::Item> {
        let record = self.records.next()?;
        let Some(&instrument) = self.locals.get(record.instrument.to_native() as usize) else {
            return Some(Err(self.place.damaged(record, NOT_NAMED)));
        };
        Some(match convert::trade(record, self.text) {
            Ok(trade) => Ok(TradeEntry { instrument, at: Position(record.position.to_native()), trade }),
            Err(what) => Err(self.place.damaged(record, what)),
        })
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.records.size_hint()
    }
}

impl ExactSizeIterator for Trades<'_> {}

/// Its entries; the last may be an error.
impl Iterator for Reader {
    type Item = Result<Entry, JournalError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.next_entry().transpose()
    }
}

impl fmt::Display for Tail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Whole => f.write_str("the journal ends with a whole block"),
            Self::Torn { file, offset, bytes } => write!(
                f,
                "{}: offset {offset}: the last block is torn ({bytes} bytes of it are there), read up to the one before",
                file.display()
            ),
        }
    }
}
