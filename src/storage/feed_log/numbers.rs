//! The numbers of messages: reserved on disk in blocks, and none is used twice.
//!
//! The file says up to which number all may have been used. It is replaced whole, and is on the disk
//! (not only in the kernel) before the first number of a new block is given out.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::storage::feed_log::error::FeedLogError;

/// Numbers of a block: about ten seconds of a very busy engine. Half of one is still there when the
/// next is asked for, so that nobody waits for the disk.
const BLOCK: u64 = 1 << 20;

#[derive(Debug)]
pub(super) struct Numbers {
    next: u64,
    reserved: Reserved,
}

/// The end of what is reserved, and its file; shared with the thread that moves it on.
#[derive(Clone, Debug)]
pub(super) struct Reserved {
    dir: PathBuf,
    /// Last number that may be used.
    through: Arc<AtomicU64>,
    /// Held while the file is replaced: two at once could leave the lower number behind.
    writing: Arc<Mutex<()>>,
}

impl Numbers {
    /// `logged`: the highest number that is known to have been used.
    pub fn open(dir: &Path, logged: u64) -> Result<Self, FeedLogError> {
        let path = dir.join("numbers");
        let used = match fs::read_to_string(&path) {
            Ok(text) => {
                text.trim().parse().map_err(|_| FeedLogError::Numbers { path: path.clone(), text })?
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => 0,
            Err(error) => return Err(FeedLogError::io("read", &path)(error)),
        };
        let used = logged.max(used);
        let reserved = Reserved {
            dir: dir.to_owned(),
            through: Arc::new(AtomicU64::new(used)),
            writing: Arc::default(),
        };
        Ok(Self { next: used + 1, reserved })
    }

    /// The number that comes next.
    pub fn next(&self) -> u64 {
        self.next
    }

    /// The first of `count` numbers. Waits for the disk only where the block was used up before the
    /// next one could be reserved.
    pub fn take(&mut self, count: u64) -> Result<u64, FeedLogError> {
        let last = self.next + count - 1;
        if last > self.reserved.through.load(Ordering::Acquire) {
            self.reserved.extend_to(last + BLOCK)?;
        }
        Ok(std::mem::replace(&mut self.next, last + 1))
    }

    /// What should be reserved ahead of need; `None` while there is enough.
    pub fn ahead(&self) -> Option<u64> {
        let through = self.reserved.through.load(Ordering::Acquire);
        (through.saturating_sub(self.next) < BLOCK / 2).then_some(through + BLOCK)
    }

    pub fn reserved(&self) -> &Reserved {
        &self.reserved
    }
}

impl Reserved {
    /// Returns once it is on the disk.
    pub fn extend_to(&self, through: u64) -> Result<(), FeedLogError> {
        let _alone = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        if through <= self.through.load(Ordering::Acquire) {
            return Ok(());
        }
        let path = self.dir.join("numbers");
        let unfinished = self.dir.join("numbers.unfinished");
        let mut file = File::create(&unfinished).map_err(FeedLogError::io("create", &unfinished))?;
        file.write_all(format!("{through}\n").as_bytes()).map_err(FeedLogError::io("write", &unfinished))?;
        file.sync_all().map_err(FeedLogError::io("sync", &unfinished))?;
        fs::rename(&unfinished, &path).map_err(FeedLogError::io("rename", &unfinished))?;
        sync_folder(&self.dir)?;
        self.through.store(through, Ordering::Release);
        Ok(())
    }
}

/// Names in a folder survive a loss of power only once the folder itself is synced.
pub(super) fn sync_folder(dir: &Path) -> Result<(), FeedLogError> {
    File::open(dir).and_then(|folder| folder.sync_all()).map_err(FeedLogError::io("sync", dir))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_number_is_given_twice_whenever_the_process_ends() {
        let dir = tempfile::tempdir().unwrap();
        let mut last = 0;
        for round in 0..20_u64 {
            let mut numbers = Numbers::open(dir.path(), 0).unwrap();
            assert!(numbers.next() > last);
            for _ in 0..round {
                let count = BLOCK / 4 + round;
                let first = numbers.take(count).unwrap();
                assert!(first > last);
                last = first + count - 1;
                if let Some(through) = numbers.ahead().filter(|_| round % 2 == 0) {
                    numbers.reserved().extend_to(through).unwrap();
                }
            }
        }
    }

    #[test]
    fn the_log_knows_better_than_a_lost_file() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(Numbers::open(dir.path(), 500).unwrap().next(), 501);
        fs::write(dir.path().join("numbers"), "many").unwrap();
        assert!(Numbers::open(dir.path(), 500).unwrap_err().to_string().contains("\"many\""));
    }
}
