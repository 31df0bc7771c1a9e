//! What waits on disk, in order, for a store that does not take it: a bounded queue of files.
//!
//! A record is a piece of bytes whose meaning is its owner's. It survives a kill of the process once
//! [`Spool::append`] has returned, a loss of power once [`Spool::sync`] has. A file goes when all its
//! records are done; after a restart its records come again from the file's beginning, so whoever reads them must not mind
//! one twice. The beginning of a record at the end of the last file is cut off; a file that is damaged elsewhere is
//! set aside under another name, and said.

use std::collections::VecDeque;
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use tracing::error;

use crate::storage::error::StorageError;

/// A file that is larger is followed by a new one.
const FILE_BYTES: u64 = 16 << 20;
const MAGIC: u32 = 0x5350_5754;
/// Magic, bytes of the body, checksum of the body.
const HEADER: u64 = 12;
const ENDING: &str = "spool";

#[derive(Debug)]
pub struct Spool {
    dir: PathBuf,
    bytes_max: u64,
    files: VecDeque<SpoolFile>,
    /// Where the next record of the first file begins.
    at: u64,
    bytes: u64,
    /// Whether something was appended since the last sync.
    dirty: bool,
}

#[derive(Debug)]
struct SpoolFile {
    number: u64,
    file: File,
    bytes: u64,
}

impl Spool {
    /// Opens what waits in the folder; makes the folder where there is none.
    pub fn open(dir: &Path, bytes_max: u64) -> Result<Self, StorageError> {
        fs::create_dir_all(dir).map_err(StorageError::io(dir, "make"))?;
        let mut numbers: Vec<u64> = Vec::new();
        for entry in fs::read_dir(dir).map_err(StorageError::io(dir, "list"))? {
            let name = entry.map_err(StorageError::io(dir, "list"))?.file_name();
            let stem = name.to_str().and_then(|name| name.strip_suffix(ENDING)?.strip_suffix('.'));
            numbers.extend(stem.and_then(|stem| stem.parse::<u64>().ok()));
        }
        numbers.sort_unstable();
        let mut spool =
            Self { dir: dir.to_owned(), bytes_max, files: VecDeque::new(), at: 0, bytes: 0, dirty: false };
        for (at, &number) in numbers.iter().enumerate() {
            spool.recover(number, at + 1 == numbers.len())?;
        }
        Ok(spool)
    }

    fn recover(&mut self, number: u64, is_last: bool) -> Result<(), StorageError> {
        let path = path(&self.dir, number);
        let file =
            OpenOptions::new().read(true).write(true).open(&path).map_err(StorageError::io(&path, "open"))?;
        let bytes = file.metadata().map_err(StorageError::io(&path, "read"))?.len();
        let mut whole = 0;
        while let Some(body) = body(&file, &path, whole, bytes)? {
            whole += HEADER + body.len() as u64;
        }
        if whole < bytes && !is_last {
            error!(file = %path.display(), offset = whole, "spool file is damaged and set aside");
            let aside = path.with_extension("damaged");
            return fs::rename(&path, &aside).map_err(StorageError::io(&path, "rename"));
        }
        if whole == 0 {
            return fs::remove_file(&path).map_err(StorageError::io(&path, "remove"));
        }
        if whole < bytes {
            file.set_len(whole).map_err(StorageError::io(&path, "cut"))?;
        }
        self.bytes += whole;
        self.files.push_back(SpoolFile { number, file, bytes: whole });
        Ok(())
    }

    /// Bytes that wait.
    pub fn bytes(&self) -> u64 {
        self.bytes - self.at
    }

    pub fn is_empty(&self) -> bool {
        self.files.is_empty()
    }

    /// `false`: it is full, and nothing was written.
    pub fn append(&mut self, body: &[u8]) -> Result<bool, StorageError> {
        let bytes = HEADER + body.len() as u64;
        if self.bytes() + bytes > self.bytes_max && !self.is_empty() {
            return Ok(false);
        }
        if self.files.back().is_none_or(|file| file.bytes >= FILE_BYTES) {
            // What is in the file before survives whatever is in this one.
            self.sync()?;
            let number = self.files.back().map_or(1, |file| file.number + 1);
            let path = path(&self.dir, number);
            let file = OpenOptions::new()
                .read(true)
                .write(true)
                .create(true)
                .truncate(true)
                .open(&path)
                .map_err(StorageError::io(&path, "create"))?;
            self.files.push_back(SpoolFile { number, file, bytes: 0 });
        }
        let last = self.files.back_mut().expect("made above");
        let mut record = Vec::with_capacity(bytes as usize);
        record.extend_from_slice(&MAGIC.to_le_bytes());
        record.extend_from_slice(&(body.len() as u32).to_le_bytes());
        record.extend_from_slice(&crc32fast::hash(body).to_le_bytes());
        record.extend_from_slice(body);
        // At its place, so that a write that failed half-way is written over by the next.
        if let Err(source) = last.file.write_all_at(&record, last.bytes) {
            let path = path(&self.dir, last.number);
            let _ = last.file.set_len(last.bytes);
            if last.bytes == 0 {
                let _ = fs::remove_file(&path);
                self.files.pop_back();
            }
            return Err(StorageError::Io { path, action: "write", source });
        }
        last.bytes += bytes;
        self.bytes += bytes;
        self.dirty = true;
        Ok(true)
    }

    /// Waits until everything appended is on the disk.
    pub fn sync(&mut self) -> Result<(), StorageError> {
        if !self.dirty {
            return Ok(());
        }
        if let Some(last) = self.files.back_mut() {
            let path = path(&self.dir, last.number);
            last.file
                .flush()
                .and_then(|()| last.file.sync_data())
                .map_err(StorageError::io(&path, "sync"))?;
            // A new file is there only once its folder says so.
            File::open(&self.dir)
                .and_then(|dir| dir.sync_all())
                .map_err(StorageError::io(&self.dir, "sync"))?;
        }
        self.dirty = false;
        Ok(())
    }

    /// The oldest record; it stays until [`Spool::pop`].
    pub fn front(&mut self) -> Result<Option<Vec<u8>>, StorageError> {
        let Some(first) = self.files.front() else { return Ok(None) };
        let path = path(&self.dir, first.number);
        let found = body(&first.file, &path, self.at, first.bytes)?;
        if found.is_none() {
            // Read whole before, and changed by somebody since.
            error!(file = %path.display(), offset = self.at, "spool file was damaged while it waited");
            let aside = path.with_extension("damaged");
            fs::rename(&path, &aside).map_err(StorageError::io(&path, "rename"))?;
            self.bytes -= first.bytes;
            self.at = 0;
            self.files.pop_front();
            return self.front();
        }
        Ok(found)
    }

    /// The oldest record, of that many bytes, is done.
    pub fn pop(&mut self, body_bytes: usize) -> Result<(), StorageError> {
        let Some(first) = self.files.front() else { return Ok(()) };
        self.at += HEADER + body_bytes as u64;
        if self.at < first.bytes {
            return Ok(());
        }
        let path = path(&self.dir, first.number);
        fs::remove_file(&path).map_err(StorageError::io(&path, "remove"))?;
        self.bytes -= first.bytes;
        self.at = 0;
        self.files.pop_front();
        Ok(())
    }
}

fn path(dir: &Path, number: u64) -> PathBuf {
    dir.join(format!("{number:010}.{ENDING}"))
}

/// The body of the record at `at`; `None` where no whole one is.
fn body(file: &File, path: &Path, at: u64, end: u64) -> Result<Option<Vec<u8>>, StorageError> {
    if at + HEADER > end {
        return Ok(None);
    }
    let mut header = [0; HEADER as usize];
    file.read_exact_at(&mut header, at).map_err(StorageError::io(path, "read"))?;
    let word = |from: usize| u32::from_le_bytes(header[from..from + 4].try_into().expect("four bytes"));
    if word(0) != MAGIC || at + HEADER + u64::from(word(4)) > end {
        return Ok(None);
    }
    let mut body = vec![0; word(4) as usize];
    file.read_exact_at(&mut body, at + HEADER).map_err(StorageError::io(path, "read"))?;
    Ok((crc32fast::hash(&body) == word(8)).then_some(body))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drain(spool: &mut Spool) -> Vec<Vec<u8>> {
        let mut all = Vec::new();
        while let Some(body) = spool.front().unwrap() {
            spool.pop(body.len()).unwrap();
            all.push(body);
        }
        all
    }

    #[test]
    fn records_come_back_in_order() {
        let folder = tempfile::tempdir().unwrap();
        let mut spool = Spool::open(folder.path(), 1 << 30).unwrap();
        assert!(spool.is_empty() && spool.front().unwrap().is_none());
        let large = vec![7; FILE_BYTES as usize];
        for body in [&b"one"[..], b"", &large, b"four"] {
            assert!(spool.append(body).unwrap());
        }
        spool.sync().unwrap();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
        spool.pop(3).unwrap();
        // After a restart the file's records come again.
        let mut spool = Spool::open(folder.path(), 1 << 30).unwrap();
        assert_eq!(drain(&mut spool), [b"one".to_vec(), Vec::new(), large, b"four".to_vec()]);
        assert_eq!((spool.bytes(), fs::read_dir(folder.path()).unwrap().count()), (0, 0));
        assert!(spool.append(b"again").unwrap());
        assert_eq!(drain(&mut spool), [b"again"]);
    }

    #[test]
    fn a_torn_tail_is_cut_and_damage_is_set_aside() {
        let folder = tempfile::tempdir().unwrap();
        let file = path(folder.path(), 1);
        for cut in [1, 5, 12, 15] {
            let mut spool = Spool::open(folder.path(), 1 << 30).unwrap();
            spool.append(b"whole").unwrap();
            let whole = fs::metadata(&file).unwrap().len();
            spool.append(b"torn").unwrap();
            drop(spool);
            let bytes = fs::read(&file).unwrap();
            fs::write(&file, &bytes[..whole as usize + cut]).unwrap();
            assert_eq!(drain(&mut Spool::open(folder.path(), 1 << 30).unwrap()), [b"whole"], "{cut}");
        }
        let mut spool = Spool::open(folder.path(), 1 << 30).unwrap();
        spool.append(&vec![1; FILE_BYTES as usize]).unwrap();
        spool.append(b"sound").unwrap();
        drop(spool);
        let mut bytes = fs::read(&file).unwrap();
        bytes[100] ^= 1;
        fs::write(&file, bytes).unwrap();
        assert_eq!(drain(&mut Spool::open(folder.path(), 1 << 30).unwrap()), [b"sound"]);
        assert!(file.with_extension("damaged").exists());
    }

    #[test]
    fn a_full_spool_refuses() {
        let folder = tempfile::tempdir().unwrap();
        let mut spool = Spool::open(folder.path(), 100).unwrap();
        assert!(spool.append(&[0; 60]).unwrap());
        assert!(!spool.append(&[0; 60]).unwrap());
        spool.pop(60).unwrap();
        assert!(spool.append(&[0; 60]).unwrap());
    }
}
