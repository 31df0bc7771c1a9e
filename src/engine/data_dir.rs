//! The data directory: one process at a time, and where in it things lie.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};

use crate::engine::error::EngineError;

const LOCK: &str = "lock";
const JOURNAL: &str = "journal";
const SNAPSHOTS: &str = "snapshots";
const QUARANTINE: &str = "quarantine.jsonl";

/// Locked as long as it lives; the lock ends with the process.
#[derive(Debug)]
pub struct DataDir {
    path: PathBuf,
    _lock: File,
}

impl DataDir {
    /// Makes the directory where it is missing. Refuses where another process uses it.
    pub fn lock(path: &Path) -> Result<Self, EngineError> {
        fs::create_dir_all(path).map_err(EngineError::io(path, "make"))?;
        let name = path.join(LOCK);
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&name)
            .map_err(EngineError::io(&name, "open"))?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { path: path.to_owned(), _lock: lock }),
            Err(TryLockError::WouldBlock) => Err(EngineError::InUse(path.to_owned())),
            Err(TryLockError::Error(error)) => Err(EngineError::io(name, "lock")(error)),
        }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Segments of the journal.
    pub fn journal(&self) -> PathBuf {
        Self::journal_of(&self.path)
    }

    /// Snapshots of the partitions.
    pub fn snapshots(&self) -> PathBuf {
        Self::snapshots_of(&self.path)
    }

    /// What was refused, one JSON object a line.
    pub fn quarantine(&self) -> PathBuf {
        self.path.join(QUARANTINE)
    }

    /// Where the journal of a data directory lies, locked or not.
    pub fn journal_of(path: &Path) -> PathBuf {
        path.join(JOURNAL)
    }

    pub fn snapshots_of(path: &Path) -> PathBuf {
        path.join(SNAPSHOTS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_process_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path().join("a/b");
        let held = DataDir::lock(&dir).unwrap();
        let error = DataDir::lock(&dir).unwrap_err();
        assert!(error.is_refusal() && error.to_string().contains("another process"), "{error}");
        drop(held);
        DataDir::lock(&dir).unwrap();
    }
}
