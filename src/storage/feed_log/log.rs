//! The feed log, as its one writer sees it.
//!
//! Records are gathered and written together; once `commit` has returned they survive a kill of the
//! process. A commit that failed can be tried again: nothing of it is lost, and nothing is doubled.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use crossbeam::channel::{Sender, bounded};
use tracing::{error, warn};

use crate::domain::output::Position;
use crate::runtime::sink::Barrier;
use crate::storage::feed_log::error::FeedLogError;
use crate::storage::feed_log::index::{Index, Segment};
use crate::storage::feed_log::numbers::{self, Numbers, Reserved};
use crate::storage::feed_log::reader::FeedLogReader;
use crate::storage::feed_log::record::{END, HOLE, Record};
use crate::storage::feed_log::segment::{self, Contents, Head, Marks};

/// How much is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FeedLogOptions {
    /// Oldest segments go when all together are larger; the newest always stays.
    pub keep_bytes: u64,
    /// A segment that is larger is followed by a new one.
    pub segment_bytes: u64,
}

impl Default for FeedLogOptions {
    fn default() -> Self {
        Self { keep_bytes: 1 << 30, segment_bytes: 16 << 20 }
    }
}

/// More segments than this are not kept, however small: each is a file.
const SEGMENTS_MAX: usize = 4_096;

pub struct FeedLog {
    dir: PathBuf,
    options: FeedLogOptions,
    boot: [u8; 16],
    numbers: Numbers,
    marks: Marks,
    index: Arc<Mutex<Index>>,
    file: Arc<File>,
    path: PathBuf,
    /// Records that wait for `commit`, and the last number among them.
    pending: Vec<u8>,
    pending_seq: u64,
    keeper: Option<Sender<Keep>>,
    keeper_thread: Option<JoinHandle<()>>,
}

/// What the thread does that waits for the disk, so that the writer need not.
enum Keep {
    Reserve(Reserved, u64),
    Sync(Arc<File>, Option<(Barrier, &'static str)>),
}

impl FeedLog {
    /// Opens or makes the log of a folder. The beginning of a record at its end is cut off; what is
    /// damaged, or may have been lost with the power, is left out and becomes a hole.
    pub fn open(dir: &Path, options: FeedLogOptions) -> Result<Self, FeedLogError> {
        fs::create_dir_all(dir).map_err(FeedLogError::io("create", dir))?;
        let boot = segment::boot();
        let mut firsts = segment::list(dir)?;
        let mut newest: Option<Contents> = None;
        let mut empty = Vec::new();
        let mut last_seq = 0;
        while let Some(&first) = firsts.last() {
            let contents = segment::read(&segment::path(dir, first))?;
            let told = contents.last_seq;
            last_seq = last_seq.max(told.unwrap_or(first.saturating_sub(1)));
            newest.get_or_insert(contents);
            if told.is_some() {
                break;
            }
            // A start after which nothing was told.
            firsts.pop();
            empty.push(first);
        }
        let newest = newest.unwrap_or_default();
        let lost = if newest.damaged {
            error!(dir = %dir.display(), last_seq, "feed log is damaged, messages are lost");
            Some("damaged")
        } else {
            (newest.head.boot != boot && !newest.closed && last_seq > 0).then_some("power_loss")
        };

        let numbers = Numbers::open(dir, last_seq)?;
        let mut index = Index { dropped_through: newest.head.dropped_through, ..Index::default() };
        for (at, &first_seq) in firsts.iter().enumerate() {
            let path = segment::path(dir, first_seq);
            if first_seq <= index.dropped_through {
                // It was to go when the process ended.
                fs::remove_file(&path).map_err(FeedLogError::io("remove", &path))?;
                continue;
            }
            let length = fs::metadata(&path).map_err(FeedLogError::io("look at", &path))?.len();
            let last_seq = firsts.get(at + 1).map_or(last_seq, |next| next - 1);
            index.segments.push_back(Segment { first_seq, last_seq, bytes: length });
        }

        let lost = lost.filter(|_| last_seq + 1 < numbers.next());
        let first_seq = if lost.is_some() { last_seq + 1 } else { numbers.next() };
        let head = Head { boot, ..newest.head };
        let (path, file, bytes) = begin_segment(dir, first_seq, &head)?;
        index.segments.push_back(Segment { first_seq, last_seq: first_seq - 1, bytes });
        for first in empty.into_iter().filter(|&first| first != first_seq) {
            let path = segment::path(dir, first);
            fs::remove_file(&path).map_err(FeedLogError::io("remove", &path))?;
        }
        let (keeper, wishes) = bounded(64);
        let keeper_thread = thread::Builder::new()
            .name("feed-log".to_owned())
            .spawn(move || wishes.iter().for_each(keep))
            .map_err(FeedLogError::io("start a thread for", dir))?;
        let mut log = Self {
            dir: dir.to_owned(),
            options,
            boot,
            numbers,
            marks: head.marks,
            index: Arc::new(Mutex::new(index)),
            file: Arc::new(file),
            path,
            pending: Vec::new(),
            pending_seq: 0,
            keeper: Some(keeper),
            keeper_thread: Some(keeper_thread),
        };
        let through = log.numbers.next() - 1;
        if let Some(reason) = lost {
            warn!(from = last_seq + 1, through, reason, "messages of the feed may be missing");
            log.push_hole(last_seq + 1, through, reason);
            log.commit()?;
        }
        Ok(log)
    }

    /// The highest number that may have been used.
    pub fn head(&self) -> u64 {
        self.numbers.next() - 1
    }

    /// The first of `count` numbers that nobody has used or will use.
    pub fn take_numbers(&mut self, count: u64) -> Result<u64, FeedLogError> {
        if let Some(through) = self.numbers.ahead() {
            self.ask(Keep::Reserve(self.numbers.reserved().clone(), through));
        }
        self.numbers.take(count)
    }

    /// The last record of an instrument: its cause, and which of the cause's records it is.
    pub fn mark(&self, name: &str) -> Option<(Position, u32)> {
        self.marks.get(name).copied()
    }

    /// Gathers a record for the next commit. Numbers ascend.
    pub fn push(&mut self, record: &Record<'_>) {
        record.write_to(&mut self.pending);
        self.pending_seq = record.seq;
        if !record.name.is_empty() {
            let mark = (record.at, record.ordinal);
            match self.marks.get_mut(record.name) {
                Some(known) => *known = mark,
                None => _ = self.marks.insert(record.name.to_owned(), mark),
            }
        }
    }

    /// Gathers that these numbers, both included, will never be told.
    pub fn push_hole(&mut self, first: u64, last: u64, reason: &str) {
        let mut body = last.to_le_bytes().to_vec();
        body.extend_from_slice(reason.as_bytes());
        Record { seq: first, at: Position(0), ordinal: 0, tag: HOLE, name: "", body: &body }
            .write_to(&mut self.pending);
        self.pending_seq = last;
    }

    /// Writes what was gathered; once it has returned, a kill of the process loses none of it.
    pub fn commit(&mut self) -> Result<(), FeedLogError> {
        if self.pending.is_empty() {
            return Ok(());
        }
        let written = self.newest().bytes;
        // Always at the same place: what a failed try left half-written is written over.
        self.file.write_all_at(&self.pending, written).map_err(FeedLogError::io("write", &self.path))?;
        let bytes = written + self.pending.len() as u64;
        {
            let mut index = self.index.lock().unwrap_or_else(PoisonError::into_inner);
            let newest = index.segments.back_mut().expect("a log has a segment");
            newest.bytes = bytes;
            newest.last_seq = self.pending_seq;
        }
        self.pending.clear();
        if bytes >= self.options.segment_bytes {
            // What is written is safe; a new segment can wait for the next commit.
            if let Err(error) = self.rotate() {
                warn!(%error, "feed log keeps its segment");
            }
        }
        Ok(())
    }

    pub fn reader(&self) -> FeedLogReader {
        FeedLogReader::new(self.dir.clone(), self.index.clone())
    }

    /// Reaches the barrier once all that is committed survives a loss of power. Returns at once.
    pub fn sync(&self, barrier: Barrier, sink: &'static str) {
        self.ask(Keep::Sync(self.file.clone(), Some((barrier, sink))));
    }

    fn newest(&self) -> Segment {
        let index = self.index.lock().unwrap_or_else(PoisonError::into_inner);
        index.segments.back().expect("a log has a segment").clone()
    }

    fn rotate(&mut self) -> Result<(), FeedLogError> {
        let first_seq = self.newest().last_seq + 1;
        // The head says what goes before it goes: a kill in between leaves files that opening removes.
        let mut gone = Vec::new();
        let mut dropped_through;
        {
            let index = self.index.lock().unwrap_or_else(PoisonError::into_inner);
            dropped_through = index.dropped_through;
            let mut total: u64 = index.segments.iter().map(|segment| segment.bytes).sum();
            let mut left = index.segments.len();
            for oldest in index.segments.iter().take(index.segments.len() - 1) {
                if total <= self.options.keep_bytes && left < SEGMENTS_MAX {
                    break;
                }
                total -= oldest.bytes;
                left -= 1;
                dropped_through = oldest.last_seq;
                gone.push(oldest.first_seq);
            }
        }
        let head = Head { boot: self.boot, dropped_through, marks: self.marks.clone() };
        let (path, file, bytes) = begin_segment(&self.dir, first_seq, &head)?;
        let done = std::mem::replace(&mut self.file, Arc::new(file));
        self.ask(Keep::Sync(done, None));
        self.path = path;
        let mut index = self.index.lock().unwrap_or_else(PoisonError::into_inner);
        index.segments.push_back(Segment { first_seq, last_seq: first_seq - 1, bytes });
        index.segments.drain(..gone.len());
        index.dropped_through = dropped_through;
        for first in gone {
            let path = segment::path(&self.dir, first);
            if let Err(error) = fs::remove_file(&path) {
                warn!(%error, path = %path.display(), "an old segment of the feed log cannot be removed");
            }
        }
        Ok(())
    }

    /// The queue holds 64 wishes; where it is full the writer waits for the disk itself, rather than
    /// forget one.
    fn ask(&self, wish: Keep) {
        let refused = match &self.keeper {
            Some(keeper) => keeper.try_send(wish).err().map(|error| error.into_inner()),
            None => Some(wish),
        };
        if let Some(wish) = refused {
            keep(wish);
        }
    }
}

impl Drop for FeedLog {
    fn drop(&mut self) {
        // Says that nothing was lost with the power, should the machine boot before the next start.
        Record { seq: 0, at: Position(0), ordinal: 0, tag: END, name: "", body: b"" }
            .write_to(&mut self.pending);
        if let Err(error) = self.commit() {
            warn!(%error, "feed log was not closed in order");
        }
        self.ask(Keep::Sync(self.file.clone(), None));
        self.keeper = None;
        if let Some(thread) = self.keeper_thread.take() {
            let _ = thread.join();
        }
    }
}

fn keep(wish: Keep) {
    match wish {
        Keep::Reserve(reserved, through) => {
            // The writer tries again by itself once it needs them, and is told then.
            if let Err(error) = reserved.extend_to(through) {
                warn!(%error, "numbers of the feed cannot be reserved");
            }
        }
        Keep::Sync(file, barrier) => match (file.sync_data(), barrier) {
            (Ok(()), Some((barrier, sink))) => barrier.reach(sink),
            (Ok(()), None) => {}
            // The barrier stays out of reach: no snapshot counts that rests on this.
            (Err(error), _) => error!(%error, "feed log cannot be synced"),
        },
    }
}

fn begin_segment(dir: &Path, first_seq: u64, head: &Head) -> Result<(PathBuf, File, u64), FeedLogError> {
    let path = segment::path(dir, first_seq);
    let unfinished = dir.join("segment.unfinished");
    let mut bytes = Vec::new();
    segment::write_head(first_seq, head, &mut bytes);
    let file = File::create(&unfinished).map_err(FeedLogError::io("create", &unfinished))?;
    file.write_all_at(&bytes, 0).map_err(FeedLogError::io("write", &unfinished))?;
    // Renamed, not written in place: it may take the place of an empty segment whose marks it repeats.
    fs::rename(&unfinished, &path).map_err(FeedLogError::io("rename", &unfinished))?;
    numbers::sync_folder(dir)?;
    Ok((path, file, bytes.len() as u64))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::backoff::splitmix;
    use crate::storage::feed_log::reader::Entry;

    const SMALL: FeedLogOptions = FeedLogOptions { keep_bytes: u64::MAX, segment_bytes: 2_000 };

    fn tell(log: &mut FeedLog, name: &str, at: u64, ordinal: u32) -> u64 {
        let seq = log.take_numbers(1).unwrap();
        let body = format!("{{\"seq\":{seq}}}");
        log.push(&Record { seq, at: Position(at), ordinal, tag: [1, 0, 0], name, body: body.as_bytes() });
        seq
    }

    /// All numbers above `after`; holes as (first, last).
    fn read_all(log: &FeedLog, after: u64, bytes_max: usize) -> (Vec<u64>, Vec<(u64, u64)>, u64) {
        let (mut seqs, mut holes, mut gone) = (Vec::new(), Vec::new(), 0);
        let mut reader = log.reader();
        let mut at = after;
        while at < log.head() {
            let piece = reader.read(at, log.head(), bytes_max).unwrap();
            assert!(piece.complete_through > at, "no progress at {at}");
            for entry in piece.entries() {
                match entry {
                    Entry::Record(record) => {
                        assert_eq!(record.body, format!("{{\"seq\":{}}}", record.seq).as_bytes());
                        seqs.push(record.seq);
                    }
                    Entry::Hole { first, last, .. } => holes.push((first, last)),
                }
            }
            gone = gone.max(piece.gone_through);
            at = piece.complete_through;
        }
        (seqs, holes, gone)
    }

    /// As a kill leaves it: nothing more is written.
    fn kill(log: FeedLog) {
        log.keeper.as_ref().inspect(|keeper| while !keeper.is_empty() {});
        std::mem::forget(log);
    }

    #[test]
    fn what_was_committed_is_read_in_order_over_kills() {
        let dir = tempfile::tempdir().unwrap();
        let mut told = Vec::new();
        let mut random = 7;
        for start in 0..12_u64 {
            let mut log = FeedLog::open(dir.path(), SMALL).unwrap();
            assert!(log.head() >= told.last().copied().unwrap_or(0));
            for n in 0..start * 5 {
                random = splitmix(random);
                log.take_numbers(1 + random % 5).unwrap();
                told.push(tell(&mut log, ["a:B-C", "d:E-F"][n as usize % 2], start * 100 + n, 0));
                if random.is_multiple_of(3) {
                    log.commit().unwrap();
                }
            }
            log.commit().unwrap();
            for bytes_max in [1, 100, 1_000, 1 << 20] {
                assert_eq!(
                    read_all(&log, 0, bytes_max),
                    (told.clone(), Vec::new(), 0),
                    "{start} {bytes_max}"
                );
            }
            let middle = told.len() / 2;
            let after = told.get(middle).copied().unwrap_or(0);
            let rest = told.iter().copied().filter(|&seq| seq > after).collect::<Vec<_>>();
            assert_eq!(read_all(&log, after, 300).0, rest);
            if start % 2 == 0 { kill(log) } else { drop(log) }
        }
        assert!(segment::list(dir.path()).unwrap().len() > 5, "too few segments to mean anything");
    }

    #[test]
    fn what_was_not_committed_is_not_there() {
        let dir = tempfile::tempdir().unwrap();
        let mut log = FeedLog::open(dir.path(), SMALL).unwrap();
        let first = tell(&mut log, "a:B-C", 1, 0);
        log.commit().unwrap();
        let second = tell(&mut log, "a:B-C", 2, 4);
        kill(log);
        let mut log = FeedLog::open(dir.path(), SMALL).unwrap();
        assert_eq!(log.mark("a:B-C"), Some((Position(1), 0)));
        assert_eq!(read_all(&log, 0, 1_000).0, [first]);
        let third = tell(&mut log, "a:B-C", 2, 0);
        assert!(third > second);
    }

    #[test]
    fn marks_survive_starts_without_a_message() {
        let dir = tempfile::tempdir().unwrap();
        let mut log = FeedLog::open(dir.path(), SMALL).unwrap();
        tell(&mut log, "a:B-C", 5, 3);
        log.commit().unwrap();
        kill(log);
        for _ in 0..5 {
            let log = FeedLog::open(dir.path(), SMALL).unwrap();
            assert_eq!(log.mark("a:B-C"), Some((Position(5), 3)));
            assert_eq!(read_all(&log, 0, 1_000).0.len(), 1);
            kill(log);
        }
        assert!(segment::list(dir.path()).unwrap().len() <= 2);
    }

    #[test]
    fn old_segments_go_and_are_told_of() {
        let dir = tempfile::tempdir().unwrap();
        let options = FeedLogOptions { keep_bytes: 8_000, segment_bytes: 2_000 };
        let mut log = FeedLog::open(dir.path(), options).unwrap();
        for at in 0..500 {
            tell(&mut log, "a:B-C", at, 0);
            log.commit().unwrap();
        }
        let check = |log: &FeedLog| {
            let (seqs, holes, gone) = read_all(log, 0, 500);
            assert!(gone > 300 && gone < 500, "{gone}");
            assert_eq!(seqs, (gone + 1..=500).collect::<Vec<_>>());
            assert_eq!((holes.len(), read_all(log, gone, 500).2), (0, 0));
        };
        check(&log);
        kill(log);
        check(&FeedLog::open(dir.path(), options).unwrap());
    }

    #[test]
    fn a_torn_end_is_cut_and_damage_is_a_hole() {
        let dir = tempfile::tempdir().unwrap();
        let mut log = FeedLog::open(dir.path(), SMALL).unwrap();
        let told: Vec<_> = (0..10).map(|at| tell(&mut log, "a:B-C", at, 0)).collect();
        log.commit().unwrap();
        let path = log.path.clone();
        kill(log);
        let whole = fs::read(&path).unwrap();

        fs::write(&path, &whole[..whole.len() - 3]).unwrap();
        let log = FeedLog::open(dir.path(), SMALL).unwrap();
        assert_eq!(read_all(&log, 0, 200), (told[..9].to_vec(), Vec::new(), 0));
        assert_eq!(log.mark("a:B-C"), Some((Position(8), 0)));
        let newest = log.path.clone();
        kill(log);
        fs::remove_file(newest).unwrap();

        let mut bent = whole.clone();
        let at = whole.len() - 200;
        bent[at] ^= 1;
        fs::write(&path, bent).unwrap();
        let log = FeedLog::open(dir.path(), SMALL).unwrap();
        let (seqs, holes, _) = read_all(&log, 0, 200);
        assert_eq!(seqs, told[..seqs.len()]);
        assert!(seqs.len() < 9);
        assert_eq!(holes, [(seqs.len() as u64 + 1, log.head())]);
    }

    #[test]
    fn a_barrier_is_reached() {
        let dir = tempfile::tempdir().unwrap();
        let mut log = FeedLog::open(dir.path(), SMALL).unwrap();
        tell(&mut log, "a:B-C", 1, 0);
        log.commit().unwrap();
        let (barrier, reached) = Barrier::new(1);
        log.sync(barrier, "feed");
        assert_eq!(reached.recv_timeout(std::time::Duration::from_secs(120)), Ok("feed"));
    }
}
