//! The right to write a journal: an advisory lock that ends with the process that holds it.
//!
//! Readers take no lock. The file stays; only the lock on it means something.

use std::fs::{File, OpenOptions, TryLockError};
use std::path::Path;

use crate::journal::error::JournalError;

const FILE_NAME: &str = "writer.lock";

/// Held as long as it lives.
#[derive(Debug)]
pub struct WriterLock {
    _file: File,
}

impl WriterLock {
    /// Refuses where another writer, of this process or another, holds it.
    pub fn take(dir: &Path) -> Result<Self, JournalError> {
        let path = dir.join(FILE_NAME);
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .map_err(JournalError::io(&path, "open"))?;
        match file.try_lock() {
            Ok(()) => Ok(Self { _file: file }),
            Err(TryLockError::WouldBlock) => Err(JournalError::Locked(dir.to_owned())),
            Err(TryLockError::Error(source)) => Err(JournalError::io(&path, "lock")(source)),
        }
    }
}
