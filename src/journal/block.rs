//! Blocks: what is written at once, and checked as a whole.
//!
//! A header of 32 bytes, then the body, padded with zeros to the next multiple of 16. The
//! header has a checksum of its own, so that its length can be believed before the body is
//! touched; it also names its segment and its offset, so that a block moved, repeated or
//! left out is noticed although its checksums are right.

use std::ops::Range;

use rkyv::Serialize;
use rkyv::api::high::HighSerializer;
use rkyv::rancor::Panic;
use rkyv::ser::allocator::ArenaHandle;
use rkyv::util::AlignedVec;

use crate::journal::kind::Kind;

pub const BLOCK_HEADER_BYTES: usize = 32;
/// The most that a block adds to the content of its run: header, root, alignment.
pub const BLOCK_OVERHEAD_BYTES: usize = BLOCK_HEADER_BYTES + 24 + 3 * ALIGNMENT;

const MAGIC: [u8; 4] = *b"TWB1";
const ALIGNMENT: usize = 16;

/// One block of a segment, its header checked, its body not yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    pub offset: usize,
    /// By the table of its segment.
    pub kind_id: u16,
    /// Records in it.
    pub count: u32,
    /// Of the archive, without the padding.
    pub body: Range<usize>,
    /// Where the next block begins.
    pub end: usize,
    body_crc: u32,
}

/// What stands at an offset of a segment.
#[derive(Debug, PartialEq, Eq)]
pub enum Step {
    Block(Frame),
    /// Nothing, the segment ends.
    End,
    /// The beginning of a block whose end was never written.
    Torn,
}

/// Appends the block of a run to `out`, which continues the segment at `offset`.
pub fn append_block(
    kind: Kind,
    run: &impl for<'a> Serialize<HighSerializer<AlignedVec, ArenaHandle<'a>, Panic>>,
    count: usize,
    segment: u64,
    offset: usize,
    scratch: &mut AlignedVec,
    out: &mut Vec<u8>,
) {
    let mut body = std::mem::take(scratch);
    body.clear();
    let body = rkyv::api::high::to_bytes_in::<_, Panic>(run, body).expect("writing to memory cannot fail");
    let padding = body.len().next_multiple_of(ALIGNMENT) - body.len();
    let mut crc = crc32fast::Hasher::new();
    crc.update(&body);
    crc.update(&[0; ALIGNMENT][..padding]);

    let start = out.len();
    let word = |x: usize| u32::try_from(x).expect("a segment is smaller than 4 GiB").to_le_bytes();
    out.extend_from_slice(&MAGIC);
    out.extend_from_slice(&word(body.len()));
    out.extend_from_slice(&(segment as u32).to_le_bytes());
    out.extend_from_slice(&word(offset));
    out.extend_from_slice(&kind.id().to_le_bytes());
    out.extend_from_slice(&[0; 2]);
    out.extend_from_slice(&word(count));
    out.extend_from_slice(&crc.finalize().to_le_bytes());
    let header_crc = crc32fast::hash(&out[start..]);
    out.extend_from_slice(&header_crc.to_le_bytes());
    out.extend_from_slice(&body);
    out.extend_from_slice(&[0; ALIGNMENT][..padding]);
    *scratch = body;
}

/// What stands at `offset` of the segment; the error is what is wrong there.
pub fn step(bytes: &[u8], segment: u64, offset: usize) -> Result<Step, &'static str> {
    let rest = &bytes[offset..];
    let Some((header, _)) = rest.split_first_chunk::<BLOCK_HEADER_BYTES>() else {
        return match rest {
            [] => Ok(Step::End),
            _ if begins_a_block(rest, segment, offset) => Ok(Step::Torn),
            _ => Err("bytes that begin no block"),
        };
    };
    let word = |at: usize| u32::from_le_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]);
    if crc32fast::hash(&header[..28]) != word(28) {
        return Err("block header does not match its checksum");
    }
    if !begins_a_block(header, segment, offset) || header[18..20] != [0; 2] {
        return Err("block belongs to another place");
    }
    let body_bytes = word(4) as usize;
    let body = offset + BLOCK_HEADER_BYTES..offset + BLOCK_HEADER_BYTES + body_bytes;
    let end = body.end.next_multiple_of(ALIGNMENT);
    if end > bytes.len() {
        return Ok(Step::Torn);
    }
    let kind_id = u16::from_le_bytes([header[16], header[17]]);
    Ok(Step::Block(Frame { offset, kind_id, count: word(20), body, end, body_crc: word(24) }))
}

impl Frame {
    /// The body, if it is what was written.
    pub fn checked_body<'a>(&self, bytes: &'a [u8]) -> Result<&'a [u8], &'static str> {
        if crc32fast::hash(&bytes[self.body.start..self.end]) != self.body_crc {
            return Err("block does not match its checksum");
        }
        Ok(&bytes[self.body.clone()])
    }
}

/// Whether bytes, a header or less, are as the header of a block there would begin.
fn begins_a_block(bytes: &[u8], segment: u64, offset: usize) -> bool {
    let place = ((u64::from(offset as u32) << 32) | u64::from(segment as u32)).to_le_bytes();
    let agrees = |from: usize, expected: &[u8]| {
        bytes.iter().skip(from).zip(expected).all(|(byte, expected)| byte == expected)
    };
    agrees(0, &MAGIC) && agrees(8, &place)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::record::{Reach, Run};

    fn block() -> Vec<u8> {
        let mut run = Run::<Reach, u8>::new();
        run.records.push(Reach { position: 7, partition: 3, zero: 0 });
        let mut out = Vec::new();
        append_block(Kind::Positions, &run, 1, 9, 0, &mut AlignedVec::new(), &mut out);
        out
    }

    #[test]
    fn a_block_is_found_and_checked() {
        let bytes = block();
        let Ok(Step::Block(frame)) = step(&bytes, 9, 0) else { panic!("no block") };
        assert_eq!((frame.kind_id, frame.count, frame.end), (1, 1, bytes.len()));
        assert_eq!(frame.checked_body(&bytes).unwrap().len(), 16 + 24);
        assert_eq!(step(&bytes, 9, bytes.len()), Ok(Step::End));
    }

    #[test]
    fn each_beginning_of_a_block_is_a_torn_one() {
        let bytes = block();
        for cut in 1..bytes.len() {
            assert_eq!(step(&bytes[..cut], 9, 0), Ok(Step::Torn), "{cut}");
        }
    }

    #[test]
    fn what_is_no_beginning_of_a_block_is_damage() {
        assert_eq!(step(b"hello", 9, 0), Err("bytes that begin no block"));
        assert_eq!(step(&[0; 31], 9, 0), Err("bytes that begin no block"));
        assert_eq!(step(&[0; 32], 9, 0), Err("block header does not match its checksum"));
        assert_eq!(step(&block(), 8, 0), Err("block belongs to another place"));
        let mut shifted = vec![0; 16];
        shifted.extend(block());
        assert_eq!(step(&shifted, 9, 16), Err("block belongs to another place"));
    }

    #[test]
    fn each_flipped_bit_is_noticed() {
        let whole = block();
        for bit in 0..whole.len() * 8 {
            let mut bytes = whole.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            let noticed = match step(&bytes, 9, 0) {
                Ok(Step::Block(frame)) => frame.checked_body(&bytes).is_err(),
                other => other.is_err(),
            };
            assert!(noticed, "bit {bit}");
        }
    }
}
