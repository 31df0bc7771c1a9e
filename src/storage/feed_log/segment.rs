//! One file of the feed log: its name, its first record, and what can be read of it.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use crate::domain::output::Position;
use crate::storage::feed_log::error::FeedLogError;
use crate::storage::feed_log::record::{END, Front, HOLE, MARKS, Record, front};

/// The last record of each instrument: which cause, and which of its records.
pub(super) type Marks = BTreeMap<String, (Position, u32)>;

const BOOT_BYTES: usize = 16;

/// `0000000000000000042.feed`: no number below it is in the file.
pub(super) fn path(dir: &Path, first_seq: u64) -> PathBuf {
    dir.join(format!("{first_seq:020}.feed"))
}

/// First numbers of the segments in a folder, ascending.
pub(super) fn list(dir: &Path) -> Result<Vec<u64>, FeedLogError> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).map_err(FeedLogError::io("list", dir))? {
        let name = entry.map_err(FeedLogError::io("list", dir))?.file_name();
        found.extend(name.to_str().and_then(|name| name.strip_suffix(".feed")?.parse::<u64>().ok()));
    }
    found.sort_unstable();
    Ok(found)
}

/// The record that a segment begins with, so that opening a log needs its last segment alone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Head {
    /// Which boot of the machine it was written in.
    pub boot: [u8; BOOT_BYTES],
    /// Highest number that may have been in a segment that is gone; 0 while none is.
    pub dropped_through: u64,
    /// Where every instrument stood.
    pub marks: Marks,
}

pub(super) fn write_head(first_seq: u64, head: &Head, out: &mut Vec<u8>) {
    let mut body = head.boot.to_vec();
    body.extend_from_slice(&head.dropped_through.to_le_bytes());
    for (name, (at, ordinal)) in &head.marks {
        body.push(u8::try_from(name.len()).expect("names of instruments are short"));
        body.extend_from_slice(name.as_bytes());
        body.extend_from_slice(&at.0.to_le_bytes());
        body.extend_from_slice(&ordinal.to_le_bytes());
    }
    Record { seq: first_seq, at: Position(0), ordinal: 0, tag: MARKS, name: "", body: &body }.write_to(out);
}

fn read_head(body: &[u8]) -> Option<Head> {
    let (boot, rest) = body.split_first_chunk::<BOOT_BYTES>()?;
    let (dropped_through, mut rest) = rest.split_first_chunk::<8>()?;
    let mut marks = Marks::new();
    while let Some((length, after)) = rest.split_first() {
        let (name, after) = after.split_at_checked(usize::from(*length))?;
        let (at, after) = after.split_first_chunk::<8>()?;
        let (ordinal, after) = after.split_first_chunk::<4>()?;
        let mark = (Position(u64::from_le_bytes(*at)), u32::from_le_bytes(*ordinal));
        marks.insert(str::from_utf8(name).ok()?.to_owned(), mark);
        rest = after;
    }
    Some(Head { boot: *boot, dropped_through: u64::from_le_bytes(*dropped_through), marks })
}

/// Of the body of a segment's first record: the highest number that may have been in a segment that is gone.
pub(super) fn dropped_through(body: &[u8]) -> Option<u64> {
    read_head(body).map(|head| head.dropped_through)
}

/// What a segment holds, as far as it can be read.
#[derive(Debug, Default)]
pub(super) struct Contents {
    /// With the marks as they are after its last record.
    pub head: Head,
    /// Highest number in it, holes included; `None` where it holds no message and no hole.
    pub last_seq: Option<u64>,
    /// Bytes up to the last whole record.
    pub bytes: u64,
    /// Something that is no record follows; the beginning of a record is not counted as such.
    pub damaged: bool,
    /// It ends as a log that was closed in order.
    pub closed: bool,
}

pub(super) fn read(path: &Path) -> Result<Contents, FeedLogError> {
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|mut file| file.read_to_end(&mut bytes))
        .map_err(FeedLogError::io("read", path))?;
    let mut contents = Contents::default();
    let mut rest = &bytes[..];
    loop {
        match front(rest) {
            Front::Whole(record, length) => {
                contents.closed = record.tag == END;
                match record.tag {
                    MARKS => match read_head(record.body) {
                        Some(head) => contents.head = head,
                        None => contents.damaged = true,
                    },
                    END => {}
                    HOLE => contents.last_seq = hole(&record).map(|(last, _)| last).or(contents.last_seq),
                    _ => {
                        contents.last_seq = Some(record.seq);
                        if !record.name.is_empty() {
                            let mark = (record.at, record.ordinal);
                            match contents.head.marks.get_mut(record.name) {
                                Some(known) => *known = mark,
                                None => _ = contents.head.marks.insert(record.name.to_owned(), mark),
                            }
                        }
                    }
                }
                contents.bytes += length as u64;
                rest = &rest[length..];
            }
            Front::Short => break,
            Front::Damaged => {
                contents.damaged = true;
                break;
            }
        }
    }
    Ok(contents)
}

/// Last missing number, and why they are missing.
pub(super) fn hole<'a>(record: &Record<'a>) -> Option<(u64, &'a str)> {
    let (last, reason) = record.body.split_first_chunk::<8>()?;
    Some((u64::from_le_bytes(*last), str::from_utf8(reason).ok()?))
}

/// Which boot of the machine this is: what was written in an earlier one may have been lost with the
/// power. All zero where the system does not say.
pub(super) fn boot() -> [u8; BOOT_BYTES] {
    let text = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    let mut boot = [0; BOOT_BYTES];
    let digits: Vec<u8> = text.chars().filter_map(|c| c.to_digit(16)).map(|digit| digit as u8).collect();
    for (byte, pair) in boot.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = pair[0] << 4 | pair[1];
    }
    boot
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_read_as_written() {
        let marks: Marks = [("a:B-C", 5, 0), ("a:D-E", u64::MAX, 9)]
            .into_iter()
            .map(|(name, at, ordinal)| (name.to_owned(), (Position(at), ordinal)))
            .collect();
        let head = Head { boot: boot(), dropped_through: 17, marks };
        let mut bytes = Vec::new();
        write_head(1, &head, &mut bytes);
        let Front::Whole(record, _) = front(&bytes) else { panic!("a whole record") };
        assert_eq!(read_head(record.body), Some(head));
        for end in 0..record.body.len() {
            // Cut anywhere: never more than was written, and no panic.
            let read = read_head(&record.body[..end]);
            assert!(read.is_none_or(|head| head.marks.len() < 2), "{end}");
        }
    }
}
