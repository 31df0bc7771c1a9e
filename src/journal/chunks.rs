//! Chunks: what symbols put aside for seldom use, in files of their own beside the snapshots.
//!
//! A chunk is written once and never changed; whoever put it knows its [`Address`], and its addresses are
//! part of its snapshot. So going back to a snapshot needs nothing but its addresses, as long as the files
//! that they name are kept: a file goes once neither of the two last snapshots of any partition speaks of it,
//! and nothing was put into it since. Files hold chunks of one stream each, which age alike; what lasts
//! longest in an old file is moved by its owner ([`Chunks::is_sparse`]), so that at most half of what is kept is waste.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::journal::error::JournalError;
use crate::journal::outlet::sync_dir;
use crate::journal::segment::SEGMENT_BYTES_MAX;

/// Checksum, packed length, plain length, zero.
const HEADER_BYTES: usize = 16;
const ALIGNMENT: usize = 16;
/// Bytes that wait to be written together, for each stream.
const BUFFER_BYTES: usize = 64 << 10;
/// On a disk that takes nothing, no more waits than this.
const BUFFER_BYTES_MAX: usize = 8 << 20;
/// Sizes are counted in units of so many bytes.
const UNIT_BYTES: usize = 256;

/// Where a chunk is: number of its file, offset by sixteens, size in units. Means nothing elsewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Address(pub u64);

/// The chunks of one data directory.
#[derive(Debug)]
pub struct Chunks {
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    /// Where files from before stand, and where new ones are made.
    dir: PathBuf,
    own: PathBuf,
    first_own: u32,
    next: u32,
    open: BTreeMap<u32, Growing>,
    /// Bytes of each file that is not written to any more.
    closed: BTreeMap<u32, usize>,
    unsynced: Vec<PathBuf>,
    rounds: BTreeMap<u32, Rounds>,
}

/// The file that a stream's chunks go to.
#[derive(Debug)]
struct Growing {
    number: u32,
    path: PathBuf,
    file: File,
    written: usize,
    buffer: Vec<u8>,
}

/// The two last snapshots of a partition; `None` where it made none since the start.
#[derive(Debug, Default)]
struct Rounds {
    before: Option<Round>,
    last: Option<Round>,
}

/// What a snapshot speaks of, and what was being written when it was committed.
#[derive(Debug)]
struct Round {
    /// Units that are live in each file.
    live: BTreeMap<u32, u64>,
    open: BTreeSet<u32>,
    next: u32,
}

impl Address {
    fn new(number: u32, offset: usize, bytes: usize) -> Self {
        let units = bytes.div_ceil(UNIT_BYTES).min(0xfff) as u64;
        Self(u64::from(number) << 32 | ((offset / ALIGNMENT) as u64) << 12 | units)
    }

    fn number(self) -> u32 {
        (self.0 >> 32) as u32
    }

    fn offset(self) -> usize {
        ((self.0 >> 12 & 0xf_ffff) as usize) * ALIGNMENT
    }

    fn units(self) -> u64 {
        self.0 & 0xfff
    }
}

impl Chunks {
    /// Goes on with the files of a directory, in new ones. `partitions`: those that have snapshots.
    pub fn open(dir: &Path, partitions: impl IntoIterator<Item = u32>) -> Result<Self, JournalError> {
        fs::create_dir_all(dir).map_err(JournalError::io(dir, "make"))?;
        Self::beside(dir, dir, partitions)
    }

    /// Reads the files of `dir` and puts new ones into `own`: for whoever must not change what is there.
    pub fn beside(
        dir: &Path,
        own: &Path,
        partitions: impl IntoIterator<Item = u32>,
    ) -> Result<Self, JournalError> {
        let mut closed = BTreeMap::new();
        if dir.exists() {
            for entry in fs::read_dir(dir).map_err(JournalError::io(dir, "list"))? {
                let entry = entry.map_err(JournalError::io(dir, "list"))?;
                if let Some(number) = entry.file_name().to_str().and_then(number_of) {
                    let bytes = entry.metadata().map_err(JournalError::io(entry.path(), "look at"))?.len();
                    closed.insert(number, bytes as usize);
                }
            }
        }
        let next = closed.last_key_value().map_or(1, |(last, _)| last + 1);
        let inner = Inner {
            dir: dir.to_owned(),
            own: own.to_owned(),
            first_own: next,
            next,
            open: BTreeMap::new(),
            closed,
            unsynced: Vec::new(),
            rounds: partitions.into_iter().map(|partition| (partition, Rounds::default())).collect(),
        };
        Ok(Self { inner: Mutex::new(inner) })
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // Nothing in there is left half-done by a panic.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts a chunk aside. It lasts once [`Chunks::sync`] has returned.
    pub fn put(&self, stream: u32, words: &[u64]) -> Result<Address, JournalError> {
        let plain: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        let packed = lz4_flex::block::compress(&plain);
        let mut chunk = Vec::with_capacity(HEADER_BYTES + packed.len() + ALIGNMENT);
        chunk.extend_from_slice(&crc32fast::hash(&packed).to_le_bytes());
        chunk.extend_from_slice(&(packed.len() as u32).to_le_bytes());
        chunk.extend_from_slice(&(plain.len() as u32).to_le_bytes());
        chunk.extend_from_slice(&[0; 4]);
        chunk.extend_from_slice(&packed);
        chunk.resize(chunk.len().next_multiple_of(ALIGNMENT), 0);
        if chunk.len() > SEGMENT_BYTES_MAX {
            return Err(JournalError::TooLarge { bytes: chunk.len(), limit: SEGMENT_BYTES_MAX });
        }
        self.lock().put(stream, &chunk)
    }

    /// Reads a chunk into `words`.
    pub fn get(&self, address: Address, words: &mut Vec<u64>) -> Result<(), JournalError> {
        let (path, chunk) = self.lock().get(address)?;
        let damaged =
            |what| JournalError::Damaged { file: path.clone(), offset: address.offset() as u64, what };
        let word = |at: usize| u32::from_le_bytes(std::array::from_fn(|i| chunk[at + i]));
        let packed = &chunk[HEADER_BYTES..];
        if crc32fast::hash(packed) != word(0) {
            return Err(damaged("chunk does not match its checksum"));
        }
        let plain = lz4_flex::block::decompress(packed, word(8) as usize)
            .ok()
            .filter(|plain| plain.len() == word(8) as usize)
            .ok_or_else(|| damaged("chunk cannot be unpacked"))?;
        words.clear();
        words.extend(plain.as_chunks::<8>().0.iter().map(|word| u64::from_le_bytes(*word)));
        Ok(())
    }

    /// Waits until the disk has all that was put.
    pub fn sync(&self) -> Result<(), JournalError> {
        self.lock().sync()
    }

    /// A snapshot of the partition counts from now on, and these are all the chunks that it speaks of.
    /// Removes the files that nobody needs any more.
    pub fn committed(
        &self,
        partition: u32,
        addresses: impl IntoIterator<Item = Address>,
    ) -> Result<(), JournalError> {
        let mut live: BTreeMap<u32, u64> = BTreeMap::new();
        for address in addresses {
            *live.entry(address.number()).or_default() += address.units();
        }
        let inner = &mut *self.lock();
        let open = inner.open.values().map(|growing| growing.number).collect();
        let round = Round { live, open, next: inner.next };
        let rounds = inner.rounds.entry(partition).or_default();
        rounds.before = rounds.last.replace(round);
        inner.sweep()
    }

    /// Whether little of the file that holds the chunk is still live: it should be put anew.
    pub fn is_sparse(&self, address: Address) -> bool {
        let inner = self.lock();
        let Some(bytes) = inner.closed.get(&address.number()) else { return false };
        let mut live = 0;
        for rounds in inner.rounds.values() {
            // Before all have told what is live nobody knows.
            let Some(last) = &rounds.last else { return false };
            live += last.live.get(&address.number()).copied().unwrap_or(0);
        }
        live * (UNIT_BYTES as u64) * 2 < *bytes as u64
    }

    /// Bytes of all files.
    pub fn bytes(&self) -> u64 {
        let inner = self.lock();
        let growing: usize = inner.open.values().map(|growing| growing.written).sum();
        (inner.closed.values().sum::<usize>() + growing) as u64
    }
}

impl Inner {
    fn put(&mut self, stream: u32, chunk: &[u8]) -> Result<Address, JournalError> {
        let is_full =
            |growing: &Growing| growing.written + growing.buffer.len() + chunk.len() > SEGMENT_BYTES_MAX;
        if self.open.get(&stream).is_some_and(is_full)
            && let Some(growing) = self.open.get_mut(&stream)
        {
            growing.flush()?;
            self.closed.insert(growing.number, growing.written);
            self.unsynced.push(growing.path.clone());
            self.open.remove(&stream);
        }
        if !self.open.contains_key(&stream) {
            let path = self.own.join(name_of(self.next));
            let file = OpenOptions::new().read(true).write(true).create_new(true).open(&path);
            let file = file.map_err(JournalError::io(&path, "create"))?;
            let growing = Growing { number: self.next, path, file, written: 0, buffer: Vec::new() };
            self.open.insert(stream, growing);
            self.next += 1;
        }
        let growing = self.open.get_mut(&stream).expect("opened above");
        if growing.buffer.len() + chunk.len() > BUFFER_BYTES {
            let flushed = growing.flush();
            // What a full disk does not take now is written later.
            if growing.buffer.len() + chunk.len() > BUFFER_BYTES_MAX {
                flushed?;
            }
        }
        let address = Address::new(growing.number, growing.written + growing.buffer.len(), chunk.len());
        growing.buffer.extend_from_slice(chunk);
        Ok(address)
    }

    /// Path of its file, header and packed bytes.
    fn get(&mut self, address: Address) -> Result<(PathBuf, Vec<u8>), JournalError> {
        let (number, offset) = (address.number(), address.offset());
        let growing = self.open.values_mut().find(|growing| growing.number == number);
        let (path, file) = match growing {
            Some(growing) => {
                growing.flush()?;
                let file = growing.file.try_clone().map_err(JournalError::io(&growing.path, "open"))?;
                (growing.path.clone(), file)
            }
            None => {
                let dir = if number >= self.first_own { &self.own } else { &self.dir };
                let path = dir.join(name_of(number));
                let file = File::open(&path).map_err(JournalError::io(&path, "open"))?;
                (path, file)
            }
        };
        let mut chunk = vec![0; HEADER_BYTES];
        file.read_exact_at(&mut chunk, offset as u64).map_err(JournalError::io(&path, "read"))?;
        let packed = u32::from_le_bytes(std::array::from_fn(|i| chunk[4 + i])) as usize;
        let plain = u32::from_le_bytes(std::array::from_fn(|i| chunk[8 + i])) as usize;
        if packed > SEGMENT_BYTES_MAX || plain > packed.saturating_mul(255) {
            let what = "chunk says to be larger than it can be";
            return Err(JournalError::Damaged { file: path, offset: offset as u64, what });
        }
        chunk.resize(HEADER_BYTES + packed, 0);
        file.read_exact_at(&mut chunk[HEADER_BYTES..], (offset + HEADER_BYTES) as u64)
            .map_err(JournalError::io(&path, "read"))?;
        Ok((path, chunk))
    }

    fn sync(&mut self) -> Result<(), JournalError> {
        for growing in self.open.values_mut() {
            growing.flush()?;
            growing.file.sync_data().map_err(JournalError::io(&growing.path, "sync"))?;
        }
        while let Some(path) = self.unsynced.last() {
            let file = File::open(path).map_err(JournalError::io(path, "open"))?;
            file.sync_all().map_err(JournalError::io(path, "sync"))?;
            self.unsynced.pop();
        }
        sync_dir(&self.own)
    }

    fn sweep(&mut self) -> Result<(), JournalError> {
        // What the snapshot before the last speaks of is known of all partitions, or nothing goes.
        let rounds: Option<Vec<(&Round, &Round)>> =
            self.rounds.values().map(|rounds| rounds.before.as_ref().zip(rounds.last.as_ref())).collect();
        let Some(rounds) = rounds.filter(|_| self.own == self.dir) else { return Ok(()) };
        let is_needed = |number: &u32| {
            rounds.iter().any(|(before, last)| {
                // What was put after the last snapshot was made stands in what was open at the one before.
                *number >= before.next
                    || [before, last]
                        .iter()
                        .any(|round| round.live.contains_key(number) || round.open.contains(number))
            })
        };
        let gone: Vec<u32> = self.closed.keys().copied().filter(|number| !is_needed(number)).collect();
        for number in gone {
            let path = self.dir.join(name_of(number));
            fs::remove_file(&path).map_err(JournalError::io(&path, "remove"))?;
            self.closed.remove(&number);
            self.unsynced.retain(|unsynced| *unsynced != path);
        }
        Ok(())
    }
}

impl Growing {
    fn flush(&mut self) -> Result<(), JournalError> {
        let place = self.written as u64;
        self.file.write_all_at(&self.buffer, place).map_err(JournalError::io(&self.path, "write"))?;
        self.written += self.buffer.len();
        self.buffer.clear();
        Ok(())
    }
}

fn name_of(number: u32) -> String {
    format!("{number:010}.twa")
}

fn number_of(name: &str) -> Option<u32> {
    let digits = name.strip_suffix(".twa").filter(|digits| digits.len() == 10)?;
    if digits.bytes().all(|b| b.is_ascii_digit()) { digits.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(seed: u64, len: u64) -> Vec<u64> {
        (0..len).map(|i| i.wrapping_mul(seed).wrapping_mul(0x9E37_79B9_7F4A_7C15)).collect()
    }

    fn check(chunks: &Chunks, put: &[(Address, Vec<u64>)]) {
        let mut found = Vec::new();
        for (address, words) in put {
            chunks.get(*address, &mut found).unwrap();
            assert_eq!(&found, words);
        }
    }

    #[test]
    fn what_was_put_is_found_again_also_after_a_restart() {
        let dir = tempfile::tempdir().unwrap();
        let chunks = Chunks::open(dir.path(), []).unwrap();
        let mut put = Vec::new();
        for i in 0..3_000u64 {
            let words = words(i, i % 700);
            put.push((chunks.put((i % 3) as u32, &words).unwrap(), words));
        }
        check(&chunks, &put);
        chunks.sync().unwrap();
        drop(chunks);
        let other = tempfile::tempdir().unwrap();
        let beside = Chunks::beside(dir.path(), other.path(), [7]).unwrap();
        let here = (beside.put(0, &[1, 2]).unwrap(), vec![1, 2]);
        let before = fs::read_dir(dir.path()).unwrap().count();
        let chunks = Chunks::open(dir.path(), []).unwrap();
        put.push((chunks.put(0, &[7]).unwrap(), vec![7]));
        check(&chunks, &put);
        check(&beside, &put[..3_000]);
        check(&beside, &[here]);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), before + 1);
    }

    #[test]
    fn files_go_when_no_snapshot_speaks_of_them() {
        let dir = tempfile::tempdir().unwrap();
        let chunks = Chunks::open(dir.path(), [1, 2]).unwrap();
        // Noise does not pack: about four files.
        let mut put = Vec::new();
        for i in 0..130u64 {
            put.push(chunks.put(0, &words(i * 2 + 1, 64 << 10)).unwrap());
        }
        chunks.sync().unwrap();
        let files = || fs::read_dir(dir.path()).unwrap().count();
        let all = files();
        assert!(all >= 4, "{all}");
        chunks.committed(2, []).unwrap();
        chunks.committed(2, []).unwrap();
        chunks.committed(1, put.iter().copied()).unwrap();
        assert_eq!(files(), all, "of partition 1 one snapshot is known");
        chunks.committed(1, [put[0], put[129]]).unwrap();
        assert_eq!(files(), all, "the snapshot before still counts");
        chunks.committed(1, [put[0], put[129]]).unwrap();
        assert!(files() < all, "{}", files());
        check(&chunks, &[(put[0], words(1, 64 << 10)), (put[129], words(259, 64 << 10))]);
        assert!(chunks.is_sparse(put[0]) && !chunks.is_sparse(put[129]));
    }

    #[test]
    fn damage_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let chunks = Chunks::open(dir.path(), []).unwrap();
        let address = chunks.put(0, &words(3, 100)).unwrap();
        chunks.sync().unwrap();
        let path = dir.path().join(name_of(1));
        let whole = fs::read(&path).unwrap();
        for at in [0, 5, 9, 20, whole.len() - 17] {
            let mut bytes = whole.clone();
            bytes[at] ^= 0x40;
            fs::write(&path, &bytes).unwrap();
            let error = chunks.get(address, &mut Vec::new()).unwrap_err().to_string();
            assert!(error.contains("0000000001.twa"), "{error}");
        }
    }
}
