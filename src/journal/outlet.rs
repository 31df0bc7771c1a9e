//! The outlet: what an appender has made, into the files of a journal, in order.
//!
//! Apart from the [`Appender`](crate::journal::appender::Appender), so that threads which share a journal go on appending
//! while one of them writes: a write may stand behind an fsync for as long as the disk takes. What failed to be
//! written is kept, and written by the next attempt at the same place.

use std::collections::VecDeque;
use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use crate::journal::error::JournalError;
use crate::journal::lock::WriterLock;
use crate::journal::segment::SegmentFile;

/// Bytes of a segment.
#[derive(Debug)]
pub struct Parcel {
    pub segment: u64,
    /// Where in it they stand; 0: with them it begins.
    pub at: usize,
    pub bytes: Vec<u8>,
}

/// Writes the files of one journal, alone.
#[derive(Debug)]
pub struct Outlet {
    dir: PathBuf,
    /// Whether a segment is synced before the next is begun.
    sync_segments: bool,
    number: u64,
    path: PathBuf,
    file: File,
    /// Bytes of the file in the kernel.
    written: usize,
    /// Not in the kernel yet, in order.
    queue: VecDeque<Parcel>,
    /// Segments left, and the directory, since the last sync.
    unsynced: Vec<PathBuf>,
    dir_unsynced: bool,
    _lock: WriterLock,
}

impl Outlet {
    /// Begins a segment.
    pub(super) fn begin(
        dir: &Path,
        number: u64,
        head: &[u8],
        sync_segments: bool,
        lock: WriterLock,
    ) -> Result<Self, JournalError> {
        let path = SegmentFile::path_in(dir, number);
        let file = create(&path, head)?;
        Ok(Self {
            dir: dir.to_owned(),
            sync_segments,
            number,
            path,
            file,
            written: head.len(),
            queue: VecDeque::new(),
            unsynced: Vec::new(),
            dir_unsynced: true,
            _lock: lock,
        })
    }

    /// Bytes of the last segment in the kernel.
    pub(super) fn written(&self) -> usize {
        self.written
    }

    /// To be written, after all that was put before.
    pub(super) fn put(&mut self, parcel: Parcel) {
        self.queue.push_back(parcel);
    }

    /// Hands all that was put to the kernel: a kill of the process no longer loses it.
    pub fn write_out(&mut self) -> Result<(), JournalError> {
        while let Some(parcel) = self.queue.front() {
            if parcel.segment == self.number {
                let place = parcel.at as u64;
                self.file
                    .write_all_at(&parcel.bytes, place)
                    .map_err(JournalError::io(&self.path, "write"))?;
                self.written = parcel.at + parcel.bytes.len();
            } else {
                self.turn_over()?;
            }
            self.queue.pop_front();
        }
        Ok(())
    }

    /// Leaves the segment for the one that the first parcel begins.
    #[cold]
    fn turn_over(&mut self) -> Result<(), JournalError> {
        if self.sync_segments {
            self.sync()?;
        }
        let Some(Parcel { segment, bytes, .. }) = self.queue.front() else { return Ok(()) };
        let path = SegmentFile::path_in(&self.dir, *segment);
        self.file = create(&path, bytes)?;
        (self.number, self.written) = (*segment, bytes.len());
        let left = std::mem::replace(&mut self.path, path);
        if !self.sync_segments {
            self.unsynced.push(left);
        }
        self.dir_unsynced = true;
        Ok(())
    }

    /// Waits until the disk has all that was written.
    pub(super) fn sync(&mut self) -> Result<(), JournalError> {
        while let Some(path) = self.unsynced.last() {
            sync_left(path)?;
            self.unsynced.pop();
        }
        self.file.sync_all().map_err(JournalError::io(&self.path, "sync"))?;
        if self.dir_unsynced {
            sync_dir(&self.dir)?;
            self.dir_unsynced = false;
        }
        Ok(())
    }

    /// Names what the disk must have so that a loss of power loses nothing of what was written: to be synced while
    /// others write.
    pub fn unsynced(&mut self) -> Result<Unsynced, JournalError> {
        let file = self.file.try_clone().map_err(JournalError::io(&self.path, "open again"))?;
        let dir = self.dir_unsynced.then(|| self.dir.clone());
        self.dir_unsynced = false;
        let left = std::mem::take(&mut self.unsynced);
        Ok(Unsynced { left, path: self.path.clone(), file, dir })
    }

    /// What could not be synced is synced with the next.
    pub fn still_unsynced(&mut self, mut unsynced: Unsynced) {
        self.dir_unsynced |= unsynced.dir.is_some();
        // The segment may have been left since.
        unsynced.left.push(unsynced.path);
        self.unsynced.append(&mut unsynced.left);
    }
}

#[cfg(test)]
impl Outlet {
    /// A disk that takes nothing, played by a handle that cannot be written through.
    pub(super) fn break_for_test(&mut self) -> File {
        std::mem::replace(&mut self.file, File::open(&self.path).unwrap())
    }

    /// Half of what waits had come through.
    pub(super) fn mend_for_test(&mut self, file: File) {
        let Parcel { at, bytes, .. } = self.queue.front().expect("something failed");
        file.write_all_at(&bytes[..bytes.len() / 2], *at as u64).unwrap();
        self.file = file;
    }

    pub(super) fn bytes_waiting_for_test(&self) -> usize {
        self.queue.iter().map(|parcel| parcel.bytes.len()).sum()
    }
}

/// A new file that begins so.
fn create(path: &Path, head: &[u8]) -> Result<File, JournalError> {
    let file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(path)
        .map_err(JournalError::io(path, "create"))?;
    if let Err(error) = file.write_all_at(head, 0) {
        // Nothing is in it, and the next attempt creates it anew.
        let _ = fs::remove_file(path);
        return Err(JournalError::io(path, "write")(error));
    }
    Ok(file)
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

/// Makes the names in a directory last.
pub(crate) fn sync_dir(dir: &Path) -> Result<(), JournalError> {
    let handle = File::open(dir).map_err(JournalError::io(dir, "open"))?;
    handle.sync_all().map_err(JournalError::io(dir, "sync"))
}
