//! Sealed segments: compressed, for keeping.
//!
//! A sealed segment `0000000001.twj.lz4` is one LZ4 frame of the plain one, with its length
//! and with checksums over each block and over the whole, as any LZ4 tool writes and reads
//! it: unpacking gives the plain segment back, byte for byte. Readers take either form.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use crate::journal::error::JournalError;
use crate::journal::lock::WriterLock;
use crate::journal::outlet::sync_dir;
use crate::journal::packing::pack;
use crate::journal::reader::{Reader, Tail};
use crate::journal::segment::SegmentFile;

/// Compresses a segment and removes the plain file; gives the path of the sealed one.
///
/// Everything in it is checked first: a torn or damaged segment is refused and stays as it is.
/// So is the last segment of a journal that is being written.
pub fn seal(path: &Path) -> Result<PathBuf, JournalError> {
    let file = SegmentFile::of(path);
    let dir = match path.parent() {
        Some(dir) if !dir.as_os_str().is_empty() => dir,
        _ => Path::new("."),
    };
    let Some(number) = file.number.filter(|_| !file.compressed) else {
        return Err(JournalError::NotASegment(path.to_owned()));
    };
    let last = SegmentFile::list(dir)?.last().is_some_and(|last| last.number == Some(number));
    let _lock = if last { Some(WriterLock::take(dir)?) } else { None };

    check_whole(path)?;
    let plain = fs::read(path).map_err(JournalError::io(path, "read"))?;
    let packed = pack(&plain);
    let sealed = SegmentFile::compressed_path_in(dir, number);
    let unfinished = sealed.with_extension("tmp");
    let write = || -> std::io::Result<()> {
        let mut out = File::create(&unfinished)?;
        out.write_all(&packed)?;
        out.sync_all()?;
        fs::rename(&unfinished, &sealed)
    };
    write().map_err(JournalError::io(&sealed, "write"))?;
    sync_dir(dir)?;
    fs::remove_file(path).map_err(JournalError::io(path, "remove"))?;
    Ok(sealed)
}

/// Reads every block of a segment; refuses a torn one.
fn check_whole(path: &Path) -> Result<(), JournalError> {
    let mut reader = Reader::open(path)?;
    while let Some(block) = reader.next_block()? {
        block.for_each(|_| ())?;
    }
    match reader.tail() {
        Tail::Whole => Ok(()),
        Tail::Torn { file, offset, bytes } => {
            Err(JournalError::TornTail { file: file.clone(), offset: *offset, bytes: *bytes })
        }
    }
}
