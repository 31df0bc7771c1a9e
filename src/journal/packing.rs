//! The LZ4 frame of a sealed segment: packed, and unpacked by whoever does not trust it.

use std::io::{Read, Write};
use std::path::Path;

use lz4_flex::frame::{BlockMode, BlockSize, FrameDecoder, FrameEncoder, FrameInfo};
use rkyv::util::AlignedVec;

use crate::journal::error::JournalError;
use crate::journal::segment::SEGMENT_BYTES_MAX;

/// Magic of an LZ4 frame, then flags: version 1, linked blocks, checksums of block and content, length.
const FRAME_BEGINS: [u8; 5] = [0x04, 0x22, 0x4d, 0x18, 0b0101_1100];
/// Magic, flags, block size, length, checksum of these.
const FRAME_HEADER_BYTES: usize = 15;

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
