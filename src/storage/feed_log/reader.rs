//! The feed log, as those see it who catch up.
//!
//! Reads in pieces, in order, beside the writer and on any thread; keeps its place between calls.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use crate::domain::output::Position;
use crate::storage::feed_log::error::FeedLogError;
use crate::storage::feed_log::index::Index;
use crate::storage::feed_log::record::{END, Front, HOLE, MARKS, Record, front};
use crate::storage::feed_log::segment;

pub struct FeedLogReader {
    dir: PathBuf,
    index: Arc<Mutex<Index>>,
    place: Option<Place>,
}

/// Where the last piece ended.
struct Place {
    first_seq: u64,
    file: File,
    offset: u64,
    /// Everything up to it was given.
    after: u64,
}

/// A piece of the log.
#[derive(Debug, Default)]
pub struct Piece {
    bytes: Vec<u8>,
    /// Where in `bytes` the records begin.
    records: Vec<usize>,
    /// No record up to this number is missing in it, but those of `gone` and holes.
    pub complete_through: u64,
    /// Numbers up to this one may be gone with old segments; 0: none.
    pub gone_through: u64,
}

/// One entry of a piece.
#[derive(Debug, PartialEq, Eq)]
pub enum Entry<'a> {
    Record(Record<'a>),
    /// These numbers, both included, will never be told.
    Hole {
        first: u64,
        last: u64,
        reason: &'a str,
    },
}

impl Piece {
    /// In order of their numbers.
    pub fn entries(&self) -> impl Iterator<Item = Entry<'_>> {
        self.records.iter().filter_map(|&at| match front(&self.bytes[at..]) {
            Front::Whole(record, _) if record.tag == HOLE => {
                segment::hole(&record).map(|(last, reason)| Entry::Hole { first: record.seq, last, reason })
            }
            Front::Whole(record, _) => Some(Entry::Record(record)),
            Front::Short | Front::Damaged => None,
        })
    }
}

impl FeedLogReader {
    pub(super) fn new(dir: PathBuf, index: Arc<Mutex<Index>>) -> Self {
        Self { dir, index, place: None }
    }

    /// Records above `after` and not above `head`, as many as `bytes_max` holds but at least one;
    /// `head` has been committed. Blocks on the disk.
    pub fn read(&mut self, after: u64, head: u64, bytes_max: usize) -> Result<Piece, FeedLogError> {
        let mut piece = Piece { complete_through: after, ..Piece::default() };
        loop {
            let (segment, dropped_through) = {
                let index = self.index.lock().unwrap_or_else(PoisonError::into_inner);
                let at = index.segments.partition_point(|s| s.last_seq <= piece.complete_through);
                (index.segments.get(at).cloned(), index.dropped_through)
            };
            if after < dropped_through {
                piece.gone_through = dropped_through.min(head);
            }
            let Some(segment) = segment.filter(|segment| segment.first_seq <= head) else {
                piece.complete_through = head;
                return Ok(piece);
            };
            let mut place = match self.place.take() {
                Some(place)
                    if place.first_seq == segment.first_seq && place.after <= piece.complete_through =>
                {
                    place
                }
                _ => {
                    let path = segment::path(&self.dir, segment.first_seq);
                    match File::open(&path) {
                        Ok(file) => Place {
                            first_seq: segment.first_seq,
                            file,
                            offset: 0,
                            after: piece.complete_through,
                        },
                        // Gone since the index was looked at: the index knows by now.
                        Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                        Err(error) => return Err(FeedLogError::io("open", &path)(error)),
                    }
                }
            };
            let end = self.take_from(&mut place, segment.bytes, head, bytes_max, &mut piece)?;
            place.after = piece.complete_through;
            self.place = Some(place);
            match end {
                End::Segment => {
                    piece.complete_through = segment.last_seq.min(head).max(piece.complete_through)
                }
                End::Full => return Ok(piece),
            }
            if piece.complete_through >= head {
                return Ok(piece);
            }
        }
    }

    /// Reads on in one segment.
    fn take_from(
        &self,
        place: &mut Place,
        segment_bytes: u64,
        head: u64,
        bytes_max: usize,
        piece: &mut Piece,
    ) -> Result<End, FeedLogError> {
        let mut window = bytes_max.max(64);
        loop {
            let left = segment_bytes.saturating_sub(place.offset);
            if left == 0 {
                return Ok(End::Segment);
            }
            let length = usize::try_from(left).unwrap_or(usize::MAX).min(window);
            let mut bytes = vec![0; length];
            let path = || segment::path(&self.dir, place.first_seq);
            place
                .file
                .read_exact_at(&mut bytes, place.offset)
                .map_err(|e| FeedLogError::io("read", &path())(e))?;
            let mut at = 0;
            let damaged = loop {
                match front(&bytes[at..]) {
                    Front::Whole(record, _) if record.seq > head => {
                        place.offset += at as u64;
                        piece.complete_through = head;
                        return Ok(End::Full);
                    }
                    Front::Whole(record, length) => {
                        let last = match record.tag {
                            MARKS | END => None,
                            HOLE => segment::hole(&record).map(|(last, _)| last),
                            _ => Some(record.seq),
                        };
                        if let Some(last) = last.filter(|&last| last > piece.complete_through) {
                            if !piece.records.is_empty() && piece.bytes.len() + length > bytes_max {
                                place.offset += at as u64;
                                return Ok(End::Full);
                            }
                            piece.records.push(piece.bytes.len());
                            piece.bytes.extend_from_slice(&bytes[at..at + length]);
                            piece.complete_through = last;
                        }
                        at += length;
                    }
                    Front::Short => break false,
                    Front::Damaged => break true,
                }
            };
            if damaged || (at == 0 && length as u64 == left) {
                // The rest of the segment cannot be read: its numbers become a hole.
                let index = self.index.lock().unwrap_or_else(PoisonError::into_inner);
                let last = index
                    .segments
                    .iter()
                    .find(|segment| segment.first_seq == place.first_seq)
                    .map_or(piece.complete_through, |segment| segment.last_seq);
                if last > piece.complete_through {
                    piece.push_hole(piece.complete_through + 1, last.min(head), "damaged");
                }
                place.offset = segment_bytes;
                return Ok(End::Segment);
            }
            place.offset += at as u64;
            // A record that is longer than the window.
            window = if at == 0 { window.saturating_mul(4) } else { bytes_max.max(64) };
        }
    }
}

impl Piece {
    fn push_hole(&mut self, first: u64, last: u64, reason: &str) {
        let mut body = last.to_le_bytes().to_vec();
        body.extend_from_slice(reason.as_bytes());
        self.records.push(self.bytes.len());
        let record = Record { seq: first, at: Position(0), ordinal: 0, tag: HOLE, name: "", body: &body };
        record.write_to(&mut self.bytes);
        self.complete_through = last;
    }
}

enum End {
    /// Nothing more is in the segment.
    Segment,
    /// The piece is full, or has reached the head.
    Full,
}
