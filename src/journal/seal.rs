//! Sealed segments: compressed, for keeping.
//!
//! A sealed segment `0000000001.twj.lz4` is one LZ4 frame of the plain one, with its length
//! and with checksums over each block and over the whole, as any LZ4 tool writes and reads
//! it: unpacking gives the plain segment back, byte for byte. Readers take either form.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use lz4_flex::frame::{BlockMode, BlockSize, FrameDecoder, FrameEncoder, FrameInfo};
use rkyv::util::AlignedVec;

use crate::journal::error::JournalError;
use crate::journal::lock::WriterLock;
use crate::journal::outlet::sync_dir;
use crate::journal::reader::{Reader, Tail};
use crate::journal::segment::{SEGMENT_BYTES_MAX, SegmentFile};

/// Magic of an LZ4 frame, then flags: version 1, linked blocks, checksums of block and content, length.
const FRAME_BEGINS: [u8; 5] = [0x04, 0x22, 0x4d, 0x18, 0b0101_1100];
/// Magic, flags, block size, length, checksum of these.
const FRAME_HEADER_BYTES: usize = 15;

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

pub(crate) fn pack(plain: &[u8]) -> Vec<u8> {
    let info = FrameInfo::new()
        .content_size(Some(plain.len() as u64))
        .block_size(BlockSize::Max256KB)
        .block_mode(BlockMode::Linked)
        .block_checksums(true)
        .content_checksum(true);
    let mut encoder = FrameEncoder::with_frame_info(info, Vec::with_capacity(plain.len() / 2));
    encoder.write_all(plain).expect("writing to memory cannot fail");
    encoder.finish().expect("the length said is the length written")
}

/// The plain segment, in `out`. Never more than a segment may hold.
pub(crate) fn unpack(packed: &[u8], path: &Path, out: &mut AlignedVec) -> Result<(), JournalError> {
    unpack_frame(packed, out).map_err(|what| JournalError::Damaged { file: path.to_owned(), offset: 0, what })
}

fn unpack_frame(packed: &[u8], out: &mut AlignedVec) -> Result<(), &'static str> {
    let Some((header, _)) = packed.split_first_chunk::<FRAME_HEADER_BYTES>() else {
        return Err("sealed segment ends within its first bytes");
    };
    if header[..4] != FRAME_BEGINS[..4] {
        return Err("sealed segment does not begin as an LZ4 frame");
    }
    if header[4] != FRAME_BEGINS[4] {
        return Err("sealed segment is an LZ4 frame without its checksums");
    }
    // The decoder takes a frame that was cut between two blocks for a whole one.
    match frame_bytes(packed) {
        None => return Err("sealed segment ends too early"),
        Some(end) if end < packed.len() => return Err("sealed segment is followed by other bytes"),
        Some(_) => {}
    }
    let length = u64::from_le_bytes(header[6..14].try_into().expect("eight bytes"));
    if length > SEGMENT_BYTES_MAX as u64 {
        return Err("sealed segment holds more than 16 MiB");
    }
    out.resize(length as usize, 0);
    let mut decoder = FrameDecoder::new(packed);
    // The checksum of all is looked at by the read that finds the end.
    let whole = decoder.read_exact(out).and_then(|()| decoder.read(&mut [0]));
    match whole {
        Ok(0) => Ok(()),
        Ok(_) | Err(_) => Err("sealed segment does not match its checksums"),
    }
}

/// Where the first LZ4 frame ends: blocks, each behind its length and before its checksum, up to
/// one of no length, then the checksum of all (LZ4 frame format 1.6.4). `None` where it does not.
fn frame_bytes(packed: &[u8]) -> Option<usize> {
    let mut at = FRAME_HEADER_BYTES;
    loop {
        let word = packed.get(at..at.checked_add(4)?)?;
        // The upper bit tells that the block was not worth compressing.
        let length = u32::from_le_bytes(word.try_into().ok()?) & 0x7fff_ffff;
        at += 8;
        if length == 0 {
            return (at <= packed.len()).then_some(at);
        }
        at = at.checked_add(length as usize)?;
    }
}
