//! One record of the feed log, as bytes.
//!
//! `length u32, crc u32`, then what both speak of: `seq u64, at u64, ordinal u32, tag [u8; 3],
//! name length u8, name, body`. All numbers little-endian.

use crate::domain::output::Position;

/// What was told, or what is known to be missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record<'a> {
    /// Of the message; of the first one missing where it is a hole.
    pub seq: u64,
    /// Place of the cause in its partition's log.
    pub at: Position,
    /// How many records of the same instrument and cause came before it.
    pub ordinal: u32,
    /// Whatever the feed wants to select by without reading the body; the log does not look at it.
    pub tag: [u8; 3],
    /// Of the instrument, at most 255 bytes; empty where it belongs to none.
    pub name: &'a str,
    pub body: &'a [u8],
}

/// Tag of a record that holds the marks of all instruments: the first of each segment.
pub(super) const MARKS: [u8; 3] = [255, 0, 0];
/// Tag of a record that says which numbers will never be told: body is the last of them, then why.
pub(super) const HOLE: [u8; 3] = [254, 0, 0];

/// Tag of the record that a log ends with when it was closed in order.
pub(super) const END: [u8; 3] = [253, 0, 0];

const HEAD_BYTES: usize = 8;
const FIXED_BYTES: usize = 8 + 8 + 4 + 3 + 1;
/// Longer ones are damage, not records.
const BYTES_MAX: usize = 64 << 20;

/// What stands at the front of some bytes.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Front<'a> {
    /// A record, and how many bytes it takes.
    Whole(Record<'a>, usize),
    /// Nothing, or the beginning of a record.
    Short,
    /// No record.
    Damaged,
}

impl Record<'_> {
    pub(super) fn write_to(&self, out: &mut Vec<u8>) {
        let begin = out.len();
        out.extend_from_slice(&[0; HEAD_BYTES]);
        out.extend_from_slice(&self.seq.to_le_bytes());
        out.extend_from_slice(&self.at.0.to_le_bytes());
        out.extend_from_slice(&self.ordinal.to_le_bytes());
        out.extend_from_slice(&self.tag);
        assert!(self.name.len() <= 255, "names of instruments are short");
        out.push(self.name.len() as u8);
        out.extend_from_slice(self.name.as_bytes());
        out.extend_from_slice(self.body);
        let content = begin + HEAD_BYTES;
        let length = out.len() - content;
        assert!(length <= BYTES_MAX, "messages are small");
        let crc = crc32fast::hash(&out[content..]);
        out[begin..begin + 4].copy_from_slice(&(length as u32).to_le_bytes());
        out[begin + 4..content].copy_from_slice(&crc.to_le_bytes());
    }
}

pub(super) fn front(bytes: &[u8]) -> Front<'_> {
    let Some(head) = bytes.first_chunk::<HEAD_BYTES>() else { return Front::Short };
    let length = u32::from_le_bytes([head[0], head[1], head[2], head[3]]) as usize;
    let crc = u32::from_le_bytes([head[4], head[5], head[6], head[7]]);
    if !(FIXED_BYTES..=BYTES_MAX).contains(&length) {
        return Front::Damaged;
    }
    let Some(content) = bytes.get(HEAD_BYTES..HEAD_BYTES + length) else { return Front::Short };
    if crc32fast::hash(content) != crc {
        return Front::Damaged;
    }
    let number = |from: usize| u64::from_le_bytes(content[from..from + 8].try_into().expect("eight bytes"));
    let ordinal = u32::from_le_bytes(content[16..20].try_into().expect("four bytes"));
    let name_end = FIXED_BYTES + usize::from(content[FIXED_BYTES - 1]);
    let Some(Ok(name)) = content.get(FIXED_BYTES..name_end).map(str::from_utf8) else {
        return Front::Damaged;
    };
    let record = Record {
        seq: number(0),
        at: Position(number(8)),
        ordinal,
        tag: [content[20], content[21], content[22]],
        name,
        body: &content[name_end..],
    };
    Front::Whole(record, HEAD_BYTES + length)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes() -> (Record<'static>, Vec<u8>) {
        let record = Record {
            seq: 7,
            at: Position(1 << 40),
            ordinal: 3,
            tag: [1, 2, 3],
            name: "binance:BTC-USDT",
            body: b"{\"seq\":7}",
        };
        let mut out = Vec::new();
        record.write_to(&mut out);
        (record, out)
    }

    #[test]
    fn records_read_as_written() {
        let (record, out) = bytes();
        assert_eq!(front(&out), Front::Whole(record, out.len()));
        let mut two = out.clone();
        two.extend_from_slice(&out);
        assert_eq!(front(&two), Front::Whole(record, out.len()));
    }

    #[test]
    fn no_byte_may_differ_and_none_may_be_missing() {
        let (record, out) = bytes();
        for end in 0..out.len() {
            assert_eq!(front(&out[..end]), Front::Short, "{end}");
        }
        for at in 0..out.len() {
            for bit in 0..8 {
                let mut bent = out.clone();
                bent[at] ^= 1 << bit;
                let front = front(&bent);
                assert!(!matches!(front, Front::Whole(read, _) if read == record), "{at} {bit}");
                assert!(!matches!(front, Front::Whole(..)), "{at} {bit}");
            }
        }
    }
}
