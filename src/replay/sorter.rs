//! An external merge sort: any number of records, ordered by key, in bounded memory.
//!
//! Records gather in memory up to a budget; a full buffer is sorted and appended, as one
//! run, to an unnamed temporary file. Thirty-two runs of one tier are merged into one of
//! the next, so that few runs and fewer files are ever open, and each record is rewritten
//! as often as the logarithm of their number says. What fits into the budget never touches
//! the disk. Records of equal key keep the order in which they were pushed.
//!
//! The top 32 bits of a key are its group. Groups can be read one by one, in any order
//! ([`Sorted::select`]); a run remembers, in 16 bytes, where each of its groups begins.
//!
//! The temporary files have no name (or lose it as soon as they are open), so that nothing
//! stays behind an error, a panic or a kill.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::collections::binary_heap::PeekMut;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Memory that a sorter may hold before it spills, where nothing else is asked for.
pub const DEFAULT_BUDGET_BYTES: usize = 48 << 20;

/// Runs of one tier that are merged into one of the next.
const FAN_IN: usize = 32;
/// File runs that are read at once.
const OPEN_RUNS_MAX: usize = 64;
/// Read ahead of each run.
const READ_BYTES: usize = 64 << 10;
/// Gathered before a write.
const WRITE_BYTES: usize = 256 << 10;
/// Key and length before each payload.
const HEADER_BYTES: usize = 20;

#[derive(Debug, thiserror::Error)]
#[error("temporary file in {dir:?}: {source}")]
pub struct SorterError {
    pub dir: PathBuf,
    pub source: io::Error,
}

/// Takes records in any order.
pub struct Sorter {
    dir: PathBuf,
    budget_bytes: usize,
    /// Payloads, in order of arrival.
    arena: Vec<u8>,
    slots: Vec<Slot>,
    /// Tier 0 first; the runs of a tier stand in one file.
    tiers: Vec<Tier>,
}

/// A record in memory. Ordered by key, then arrival.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Slot {
    // Two halves: a whole 128-bit integer would be aligned to 16 bytes, and pad the slot to 32.
    key_high: u64,
    key_low: u64,
    /// Into the arena; rises with arrival.
    offset: u32,
    bytes: u32,
}

impl Slot {
    fn key(&self) -> u128 {
        (u128::from(self.key_high) << 64) | u128::from(self.key_low)
    }
}

struct Tier {
    file: Arc<File>,
    runs: Vec<Run>,
}

/// A sorted stretch of a file.
struct Run {
    file: Arc<File>,
    /// Where each group begins, ascending.
    groups: Vec<(u32, u64)>,
    begin: u64,
    end: u64,
}

impl Run {
    /// Where the records of a group lie; nothing where the run has none.
    fn extent(&self, group: u32) -> Option<(u64, u64)> {
        let at = self.groups.binary_search_by_key(&group, |&(g, _)| g).ok()?;
        let end = self.groups.get(at + 1).map_or(self.end, |&(_, next)| next);
        Some((self.groups[at].1, end))
    }
}

fn group_of(key: u128) -> u32 {
    (key >> 96) as u32
}

impl Sorter {
    /// Spills into `dir`, which must exist, whenever more than `budget_bytes` are held.
    pub fn new(dir: &Path, budget_bytes: usize) -> Self {
        // Offsets into the arena have 32 bits.
        let budget_bytes = budget_bytes.clamp(64 << 10, 1 << 30);
        Self { dir: dir.to_owned(), budget_bytes, arena: Vec::new(), slots: Vec::new(), tiers: Vec::new() }
    }

    /// Takes one record. `payload` may be empty; at most 1 GiB.
    #[inline]
    pub fn push(&mut self, key: u128, payload: &[u8]) -> Result<(), SorterError> {
        self.push_with(key, |arena| arena.extend_from_slice(payload))
    }

    /// As [`Sorter::push`]; `write` appends the payload to what is already in its argument.
    #[inline]
    pub fn push_with(&mut self, key: u128, write: impl FnOnce(&mut Vec<u8>)) -> Result<(), SorterError> {
        if self.arena.len() + self.slots.len() * size_of::<Slot>() >= self.budget_bytes {
            self.spill().map_err(|source| SorterError { dir: self.dir.clone(), source })?;
        }
        // Grown in steps: doubling would hold twice the budget.
        let step = self.budget_bytes / 16;
        if self.arena.capacity() - self.arena.len() < step / 4 {
            self.arena.reserve_exact(step);
        }
        if self.slots.len() == self.slots.capacity() {
            self.slots.reserve_exact(step / size_of::<Slot>());
        }
        let offset = self.arena.len();
        write(&mut self.arena);
        self.slots.push(Slot {
            key_high: (key >> 64) as u64,
            key_low: key as u64,
            offset: offset as u32,
            bytes: u32::try_from(self.arena.len() - offset).expect("a payload is below 1 GiB"),
        });
        Ok(())
    }

    /// All records, in order.
    pub fn finish(self) -> Result<Sorted, SorterError> {
        Sorted::merge(vec![self])
    }

    fn spill(&mut self) -> io::Result<()> {
        self.slots.sort_unstable();
        if self.tiers.is_empty() {
            self.add_tier()?;
        }
        let tier = &mut self.tiers[0];
        let mut writer = RunWriter::append(&tier.file)?;
        for slot in &self.slots {
            let from = slot.offset as usize;
            writer.push(slot.key(), &self.arena[from..from + slot.bytes as usize])?;
        }
        tier.runs.push(writer.finish()?);
        self.arena.clear();
        self.slots.clear();
        self.merge_full_tiers()
    }

    fn add_tier(&mut self) -> io::Result<()> {
        let file = Arc::new(tempfile::tempfile_in(&self.dir)?);
        self.tiers.push(Tier { file, runs: Vec::new() });
        Ok(())
    }

    fn merge_full_tiers(&mut self) -> io::Result<()> {
        let mut level = 0;
        while self.tiers[level].runs.len() >= FAN_IN {
            if self.tiers.len() == level + 1 {
                self.add_tier()?;
            }
            let runs = std::mem::take(&mut self.tiers[level].runs);
            let merged = merge_runs(runs, &self.tiers[level + 1].file)?;
            self.tiers[level + 1].runs.push(merged);
            // What was merged is given back to the disk at once.
            self.tiers[level].file.set_len(0)?;
            level += 1;
        }
        Ok(())
    }
}

/// Writes one run to the end of a file.
struct RunWriter<'a> {
    file: &'a Arc<File>,
    buffer: Vec<u8>,
    groups: Vec<(u32, u64)>,
    begin: u64,
    written_to: u64,
}

impl<'a> RunWriter<'a> {
    fn append(file: &'a Arc<File>) -> io::Result<Self> {
        let begin = (&**file).seek(SeekFrom::End(0))?;
        Ok(Self {
            file,
            buffer: Vec::with_capacity(WRITE_BYTES + HEADER_BYTES),
            groups: Vec::new(),
            begin,
            written_to: begin,
        })
    }

    fn push(&mut self, key: u128, payload: &[u8]) -> io::Result<()> {
        let group = group_of(key);
        if self.groups.last().is_none_or(|&(last, _)| last != group) {
            self.groups.push((group, self.written_to + self.buffer.len() as u64));
        }
        self.buffer.extend_from_slice(&key.to_le_bytes());
        self.buffer.extend_from_slice(&(payload.len() as u32).to_le_bytes());
        if self.buffer.len() + payload.len() > WRITE_BYTES {
            self.flush()?;
        }
        self.buffer.extend_from_slice(payload);
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        // A reader of another run may have moved the file's one cursor.
        (&**self.file).seek(SeekFrom::Start(self.written_to))?;
        (&**self.file).write_all(&self.buffer)?;
        self.written_to += self.buffer.len() as u64;
        self.buffer.clear();
        Ok(())
    }

    fn finish(mut self) -> io::Result<Run> {
        self.flush()?;
        self.groups.shrink_to_fit();
        Ok(Run { file: self.file.clone(), groups: self.groups, begin: self.begin, end: self.written_to })
    }
}

/// The records of one or more sorters, by key; of equal keys, the earlier sorter's first,
/// then as pushed.
pub struct Sorted {
    dir: PathBuf,
    sources: Vec<Source>,
    /// Key and source of the next record of each source that has one.
    heap: BinaryHeap<Reverse<(u128, usize)>>,
    /// The record on top of the heap was handed out.
    taken: bool,
}

impl Sorted {
    pub fn merge(sorters: Vec<Sorter>) -> Result<Self, SorterError> {
        let dir = sorters.first().map(|sorter| sorter.dir.clone()).unwrap_or_default();
        let sorted = Self::of_sorters(sorters, &dir);
        sorted.map_err(|source| SorterError { dir, source })
    }

    fn of_sorters(sorters: Vec<Sorter>, dir: &Path) -> io::Result<Self> {
        let runs: usize = sorters.iter().flat_map(|s| &s.tiers).map(|tier| tier.runs.len()).sum();
        let per_source = runs.div_ceil(OPEN_RUNS_MAX);
        let mut sources = Vec::new();
        for mut sorter in sorters {
            // The highest tier is the oldest, and equal keys keep their order.
            let mut rest: Vec<Run> = sorter.tiers.drain(..).rev().flat_map(|tier| tier.runs).collect();
            if per_source > 1 {
                let file = Arc::new(tempfile::tempfile_in(&sorter.dir)?);
                let mut merged = Vec::new();
                while !rest.is_empty() {
                    let after = rest.split_off(per_source.min(rest.len()));
                    merged.push(merge_runs(rest, &file)?);
                    rest = after;
                }
                rest = merged;
            }
            sources.extend(rest.into_iter().map(|run| Source::File(FileSource::new(run))));
            if !sorter.slots.is_empty() {
                sorter.slots.sort_unstable();
                sources.push(Source::Memory(MemorySource::new(sorter.arena, sorter.slots)));
            }
        }
        Self::of_sources(sources, dir)
    }

    fn of_sources(sources: Vec<Source>, dir: &Path) -> io::Result<Self> {
        let mut sorted = Self { dir: dir.to_owned(), sources, heap: BinaryHeap::new(), taken: false };
        sorted.fill_heap()?;
        Ok(sorted)
    }

    /// From here on, the records of that group alone, from its first.
    pub fn select(&mut self, group: u32) -> Result<(), SorterError> {
        for source in &mut self.sources {
            source.select(group);
        }
        self.fill_heap().map_err(|source| self.error(source))
    }

    /// The next record: its key and payload.
    #[expect(clippy::should_implement_trait, reason = "the payload is lent until the next call")]
    pub fn next(&mut self) -> Result<Option<(u128, &[u8])>, SorterError> {
        if self.taken
            && let Err(source) = self.drop_first()
        {
            return Err(self.error(source));
        }
        let Some(&Reverse((key, at))) = self.heap.peek() else {
            return Ok(None);
        };
        self.taken = true;
        Ok(Some((key, self.sources[at].payload())))
    }

    fn drop_first(&mut self) -> io::Result<()> {
        self.taken = false;
        let Some(mut first) = self.heap.peek_mut() else {
            return Ok(());
        };
        match self.sources[first.0.1].advance()? {
            // Runs follow each other in time, so the same one mostly stays first, at the cost of a comparison.
            Some(key) => first.0.0 = key,
            None => {
                PeekMut::pop(first);
            }
        }
        Ok(())
    }

    fn fill_heap(&mut self) -> io::Result<()> {
        self.heap.clear();
        self.taken = false;
        for (at, source) in self.sources.iter_mut().enumerate() {
            if let Some(key) = source.advance()? {
                self.heap.push(Reverse((key, at)));
            }
        }
        Ok(())
    }

    fn error(&self, source: io::Error) -> SorterError {
        SorterError { dir: self.dir.clone(), source }
    }
}

fn merge_runs(runs: Vec<Run>, file: &Arc<File>) -> io::Result<Run> {
    let sources = runs.into_iter().map(|run| Source::File(FileSource::new(run))).collect();
    let mut sorted = Sorted::of_sources(sources, Path::new(""))?;
    let mut writer = RunWriter::append(file)?;
    while let Some((key, payload)) = sorted.next().map_err(|error| error.source)? {
        writer.push(key, payload)?;
    }
    writer.finish()
}

/// A run being read.
enum Source {
    Memory(MemorySource),
    File(FileSource),
}

impl Source {
    fn select(&mut self, group: u32) {
        match self {
            Self::Memory(source) => source.select(group),
            Self::File(source) => source.select(group),
        }
    }

    /// Steps to the next record and tells its key.
    fn advance(&mut self) -> io::Result<Option<u128>> {
        match self {
            Self::Memory(source) => Ok(source.advance()),
            Self::File(source) => source.advance(),
        }
    }

    /// Of the record stepped to.
    fn payload(&self) -> &[u8] {
        match self {
            Self::Memory(source) => source.payload(),
            Self::File(source) => &source.buffer[source.payload_at..source.at],
        }
    }
}

/// The run that never left memory.
struct MemorySource {
    arena: Vec<u8>,
    slots: Vec<Slot>,
    /// The slot to step to.
    at: usize,
    end: usize,
}

impl MemorySource {
    fn new(arena: Vec<u8>, slots: Vec<Slot>) -> Self {
        let end = slots.len();
        Self { arena, slots, at: 0, end }
    }

    fn select(&mut self, group: u32) {
        self.at = self.slots.partition_point(|slot| group_of(slot.key()) < group);
        self.end = self.slots.partition_point(|slot| group_of(slot.key()) <= group);
    }

    fn advance(&mut self) -> Option<u128> {
        (self.at < self.end).then(|| {
            self.at += 1;
            self.slots[self.at - 1].key()
        })
    }

    fn payload(&self) -> &[u8] {
        let slot = &self.slots[self.at - 1];
        &self.arena[slot.offset as usize..slot.offset as usize + slot.bytes as usize]
    }
}

/// A run in a file.
struct FileSource {
    run: Run,
    /// Read from the file; records before `at` were stepped over.
    buffer: Vec<u8>,
    at: usize,
    /// Where the payload of the last record stepped to begins; it ends at `at`.
    payload_at: usize,
    /// What of the file is not yet in the buffer.
    unread: (u64, u64),
}

impl FileSource {
    fn new(run: Run) -> Self {
        let unread = (run.begin, run.end);
        Self { run, buffer: Vec::new(), at: 0, payload_at: 0, unread }
    }

    fn select(&mut self, group: u32) {
        self.buffer.clear();
        (self.at, self.payload_at) = (0, 0);
        self.unread = self.run.extent(group).unwrap_or((0, 0));
    }

    fn advance(&mut self) -> io::Result<Option<u128>> {
        if self.at == self.buffer.len() && self.unread.0 == self.unread.1 {
            return Ok(None);
        }
        self.have(HEADER_BYTES)?;
        let header = &self.buffer[self.at..self.at + HEADER_BYTES];
        let key = u128::from_le_bytes(header[..16].try_into().expect("sixteen bytes"));
        let bytes = u32::from_le_bytes(header[16..].try_into().expect("four bytes")) as usize;
        self.have(HEADER_BYTES + bytes)?;
        self.payload_at = self.at + HEADER_BYTES;
        self.at = self.payload_at + bytes;
        Ok(Some(key))
    }

    /// Brings that many bytes from `at` on into the buffer.
    fn have(&mut self, bytes: usize) -> io::Result<()> {
        let held = self.buffer.len() - self.at;
        if held >= bytes {
            return Ok(());
        }
        self.buffer.drain(..self.at);
        self.at = 0;
        let (from, to) = self.unread;
        let wanted = (bytes - held).max(READ_BYTES).min(usize::try_from(to - from).unwrap_or(usize::MAX));
        if held + wanted < bytes {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.buffer.resize(held + wanted, 0);
        (&*self.run.file).seek(SeekFrom::Start(from))?;
        (&*self.run.file).read_exact(&mut self.buffer[held..])?;
        self.unread.0 += wanted as u64;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Records whose payload tells key and arrival; sorted, they are those of a stable sort.
    fn check_sort(keys: &[u128], budget_bytes: usize, payload_bytes: usize) {
        let dir = tempfile::tempdir().unwrap();
        let mut sorter = Sorter::new(dir.path(), budget_bytes);
        let payload = |arrival: usize| {
            let mut payload = arrival.to_le_bytes().to_vec();
            payload.resize(8 + arrival % (payload_bytes + 1), 0xa5);
            payload
        };
        for (arrival, &key) in keys.iter().enumerate() {
            sorter.push(key, &payload(arrival)).unwrap();
        }
        let mut expected: Vec<(u128, usize)> = keys.iter().copied().zip(0..).collect();
        expected.sort();
        let mut sorted = sorter.finish().unwrap();
        for &(key, arrival) in &expected {
            assert_eq!(sorted.next().unwrap(), Some((key, &payload(arrival)[..])));
        }
        assert_eq!(sorted.next().unwrap(), None);
        // Group by group, last group first, twice.
        let mut groups: Vec<u32> = keys.iter().map(|&key| group_of(key)).collect();
        groups.sort_unstable();
        groups.dedup();
        for &group in groups.iter().rev().chain(&groups) {
            sorted.select(group).unwrap();
            for &(key, arrival) in expected.iter().filter(|(key, _)| group_of(*key) == group) {
                assert_eq!(sorted.next().unwrap(), Some((key, &payload(arrival)[..])));
            }
            assert_eq!(sorted.next().unwrap(), None);
        }
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0, "temporary files have no name");
    }

    /// A cheap sequence that looks random.
    fn scattered(count: usize, groups: u128) -> Vec<u128> {
        let mut state = 0x9e37_79b9_7f4a_7c15u64;
        (0..count)
            .map(|_| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                let word = u128::from(state >> 33);
                ((word % groups) << 96) | ((word >> 7) % 64)
            })
            .collect()
    }

    #[test]
    fn what_fits_into_memory_is_sorted_there() {
        check_sort(&[], 1 << 20, 0);
        check_sort(&[7], 1 << 20, 0);
        check_sort(&scattered(1_000, 3), 1 << 20, 30);
    }

    #[test]
    fn runs_are_merged() {
        check_sort(&scattered(20_000, 5), 64 << 10, 40);
    }

    #[test]
    fn tiers_of_runs_are_merged() {
        // More than 64 runs: two full tiers and a rest.
        check_sort(&scattered(150_000, 2), 64 << 10, 64);
    }

    #[test]
    fn payloads_may_be_larger_than_buffers() {
        check_sort(&scattered(300, 4), 64 << 10, 200_000);
    }

    #[test]
    fn several_sorters_read_as_one() {
        let dir = tempfile::tempdir().unwrap();
        let mut sorters: Vec<Sorter> = (0..3).map(|_| Sorter::new(dir.path(), 64 << 10)).collect();
        // Twenty-eight runs each, more than are read at once.
        let keys = scattered(172_000, 300);
        for (arrival, &key) in keys.iter().enumerate() {
            sorters[group_of(key) as usize % 3].push(key, &arrival.to_le_bytes()).unwrap();
        }
        let mut expected: Vec<(u128, usize)> = keys.iter().copied().zip(0..).collect();
        expected.sort();
        let runs: usize = sorters.iter().flat_map(|s| &s.tiers).map(|tier| tier.runs.len()).sum();
        assert!(runs > OPEN_RUNS_MAX, "{runs}");
        let mut sorted = Sorted::merge(sorters).unwrap();
        assert!(sorted.sources.len() <= OPEN_RUNS_MAX + 3, "{}", sorted.sources.len());
        for (key, arrival) in expected {
            assert_eq!(sorted.next().unwrap(), Some((key, &arrival.to_le_bytes()[..])));
        }
        assert_eq!(sorted.next().unwrap(), None);
    }

    #[test]
    fn memory_stays_within_the_budget() {
        let dir = tempfile::tempdir().unwrap();
        let mut sorter = Sorter::new(dir.path(), 1 << 20);
        for key in scattered(200_000, 10) {
            sorter.push(key, &[0; 24]).unwrap();
            let held = sorter.arena.capacity() + sorter.slots.capacity() * size_of::<Slot>();
            assert!(held < (1 << 20) * 5 / 4, "{held}");
        }
    }

    #[test]
    fn a_missing_directory_is_named() {
        let mut sorter = Sorter::new(Path::new("/nonexistent/spool"), 64 << 10);
        let error = (0..10_000).find_map(|key| sorter.push(key, &[0; 32]).err()).unwrap();
        assert!(error.to_string().contains("/nonexistent/spool"), "{error}");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(16))]
        #[test]
        fn any_order_is_sorted(keys in prop::collection::vec(any::<u128>(), 0..3_000), payload in 0usize..100) {
            check_sort(&keys, 64 << 10, payload);
        }
    }
}
