//! Closed candles of a shard's instruments that are too old for memory, in one temporary file.
//!
//! Chunks form a stack for each series: each names the one below it. Space is not reused: a
//! chunk that was taken back and put aside again is written anew.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;

use crate::analytics::archive::Archive;
use crate::replay::roster::InstrumentIndex;

/// Bytes that wait to be written together.
const BUFFER_BYTES: usize = 1 << 20;
/// Of the chunk below (plus one; 0: none) and the length of what follows.
const HEADER_BYTES: usize = 12;

/// One shard's chunks.
pub struct SpoolArchive {
    file: File,
    /// What is not in the file yet.
    buffer: Vec<u8>,
    written: u64,
    /// For each series of each instrument the offset of the top chunk, plus one; 0: none.
    tops: Vec<u64>,
    streams: usize,
    bytes: Vec<u8>,
    failed: Option<io::Error>,
}

impl SpoolArchive {
    /// `streams`: series an instrument.
    pub fn new(dir: &Path, streams: usize) -> io::Result<Self> {
        Ok(Self {
            file: tempfile::tempfile_in(dir)?,
            buffer: Vec::new(),
            written: 0,
            tops: Vec::new(),
            streams,
            bytes: Vec::new(),
            failed: None,
        })
    }

    /// The stacks of one instrument.
    pub fn of(&mut self, instrument: InstrumentIndex) -> InstrumentArchive<'_> {
        InstrumentArchive { spool: self, instrument }
    }

    /// What went wrong, if anything did: a pipeline cannot say it.
    pub fn check(&mut self) -> io::Result<()> {
        self.failed.take().map_or(Ok(()), Err)
    }

    fn push(&mut self, slot: usize, words: &[u64]) -> io::Result<()> {
        if slot >= self.tops.len() {
            self.tops.resize(slot + 1, 0);
        }
        self.bytes.clear();
        words.iter().for_each(|word| self.bytes.extend_from_slice(&word.to_le_bytes()));
        let packed = lz4_flex::block::compress_prepend_size(&self.bytes);
        let top = self.written + self.buffer.len() as u64 + 1;
        self.buffer.extend_from_slice(&self.tops[slot].to_le_bytes());
        self.buffer.extend_from_slice(&(packed.len() as u32).to_le_bytes());
        self.buffer.extend_from_slice(&packed);
        self.tops[slot] = top;
        if self.buffer.len() >= BUFFER_BYTES { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.seek(SeekFrom::Start(self.written))?;
        self.file.write_all(&self.buffer)?;
        self.written += self.buffer.len() as u64;
        self.buffer.clear();
        Ok(())
    }

    fn pop(&mut self, slot: usize, words: &mut Vec<u64>) -> io::Result<bool> {
        let Some(offset) = self.tops.get(slot).and_then(|top| top.checked_sub(1)) else { return Ok(false) };
        self.flush()?;
        self.file.seek(SeekFrom::Start(offset))?;
        let mut header = [0; HEADER_BYTES];
        self.file.read_exact(&mut header)?;
        let (below, length) = header.split_at(8);
        self.tops[slot] = u64::from_le_bytes(below.try_into().expect("eight bytes"));
        let length = u32::from_le_bytes(length.try_into().expect("four bytes"));
        self.bytes.resize(length as usize, 0);
        self.file.read_exact(&mut self.bytes)?;
        let unpacked = lz4_flex::block::decompress_size_prepended(&self.bytes)
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
        let chunks = unpacked.chunks_exact(8);
        words.extend(chunks.map(|chunk| u64::from_le_bytes(chunk.try_into().expect("eight bytes"))));
        Ok(true)
    }
}

/// The stacks of one instrument.
pub struct InstrumentArchive<'a> {
    spool: &'a mut SpoolArchive,
    instrument: InstrumentIndex,
}

impl InstrumentArchive<'_> {
    fn slot(&self, stream: u32) -> usize {
        self.instrument.0 as usize * self.spool.streams + stream as usize
    }
}

impl Archive for InstrumentArchive<'_> {
    fn push(&mut self, stream: u32, words: &[u64]) {
        let slot = self.slot(stream);
        if self.spool.failed.is_none()
            && let Err(error) = self.spool.push(slot, words)
        {
            self.spool.failed = Some(error);
        }
    }

    fn pop(&mut self, stream: u32, words: &mut Vec<u64>) -> bool {
        words.clear();
        let slot = self.slot(stream);
        match self.spool.pop(slot, words) {
            Ok(found) => found,
            Err(error) => {
                self.spool.failed.get_or_insert(error);
                false
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_series_has_a_stack_of_its_own() {
        let dir = tempfile::tempdir().unwrap();
        let mut spool = SpoolArchive::new(dir.path(), 2).unwrap();
        let mut words = Vec::new();
        for round in 0..2_000u64 {
            for instrument in 0..3 {
                for stream in 0..2 {
                    let chunk: Vec<u64> = (0..round % 50).map(|i| i * round + u64::from(stream)).collect();
                    spool.of(InstrumentIndex(instrument)).push(stream, &chunk);
                }
            }
            if round % 3 == 0 {
                assert!(spool.of(InstrumentIndex(1)).pop(0, &mut words));
                assert_eq!(words, (0..round % 50).map(|i| i * round).collect::<Vec<_>>());
                spool.of(InstrumentIndex(1)).push(0, &words);
            }
        }
        for round in (0..2_000u64).rev() {
            assert!(spool.of(InstrumentIndex(2)).pop(1, &mut words));
            assert_eq!(words, (0..round % 50).map(|i| i * round + 1).collect::<Vec<_>>());
        }
        assert!(!spool.of(InstrumentIndex(2)).pop(1, &mut words));
        assert!(!spool.of(InstrumentIndex(9)).pop(0, &mut words));
        spool.check().unwrap();
    }
}
