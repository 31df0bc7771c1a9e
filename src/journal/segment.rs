//! Segments: the files of a journal.
//!
//! A header of 64 bytes, a table of kinds, then blocks up to the end of the file; the first
//! block is of kind `positions`. Nothing here looks into a block. The first 64 bytes keep
//! magic, format version and their checksum in place in every version to come, so that an
//! unknown version can be told from damage.

use std::fs;
use std::path::{Path, PathBuf};

use crate::journal::error::JournalError;
use crate::journal::kind::Kind;

/// No segment is longer, so that what is mapped at once is bounded.
pub const SEGMENT_BYTES_MAX: usize = 16 << 20;
pub const FORMAT_VERSION: u32 = 1;
pub const HEADER_BYTES: usize = 64;

const MAGIC: [u8; 8] = *b"TWJRNL\r\n";
const TABLE_ENTRY_BYTES: usize = 32;
/// More kinds than this in a table are damage.
const KINDS_MAX: u32 = 4_096;
/// Partitions of a journal at most.
pub const PARTITIONS_MAX: u32 = 1 << 16;
const NAME_DIGITS: usize = 10;

/// What a segment says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SegmentHeader {
    /// From 1, rising by one from file to file.
    pub number: u64,
    /// Who wrote it; each writer of a journal has a higher one.
    pub generation: u64,
    /// Partitions of the journal, set when it was made.
    pub partitions: u32,
    /// Length of the segment before it when this one was begun; 0 for the first of a journal.
    pub previous_bytes: u64,
    pub kinds: Vec<KindEntry>,
}

/// A kind as the segment's writer knew it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KindEntry {
    pub id: u16,
    pub name: String,
    pub schema: u64,
}

/// Why the bytes have no header; with an offset where that helps.
#[derive(Debug, PartialEq, Eq)]
pub enum HeaderFault {
    /// The file ends within it.
    Torn,
    NotASegment,
    Version(u32),
    Damaged(u64, &'static str),
}

/// One file of a journal.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SegmentFile {
    /// From its name; `None` where a file alone was asked for, under another name.
    pub number: Option<u64>,
    pub path: PathBuf,
    pub compressed: bool,
}

impl SegmentHeader {
    /// With the kinds of this version of tapewatch.
    pub fn new(number: u64, generation: u64, partitions: u32, previous_bytes: u64) -> Self {
        let entry =
            |kind: Kind| KindEntry { id: kind.id(), name: kind.name().to_owned(), schema: kind.schema() };
        Self { number, generation, partitions, previous_bytes, kinds: Kind::ALL.map(entry).into() }
    }

    pub fn encode(&self) -> Vec<u8> {
        let mut table = Vec::with_capacity(self.kinds.len() * TABLE_ENTRY_BYTES);
        for kind in &self.kinds {
            let mut name = [0; 16];
            name[..kind.name.len()].copy_from_slice(kind.name.as_bytes());
            table.extend_from_slice(&kind.id.to_le_bytes());
            table.extend_from_slice(&[0; 6]);
            table.extend_from_slice(&name);
            table.extend_from_slice(&kind.schema.to_le_bytes());
        }
        let mut out = Vec::with_capacity(HEADER_BYTES + table.len());
        out.extend_from_slice(&MAGIC);
        out.extend_from_slice(&FORMAT_VERSION.to_le_bytes());
        out.extend_from_slice(&self.partitions.to_le_bytes());
        out.extend_from_slice(&self.number.to_le_bytes());
        out.extend_from_slice(&self.generation.to_le_bytes());
        out.extend_from_slice(&self.previous_bytes.to_le_bytes());
        out.extend_from_slice(&[0; 12]);
        out.extend_from_slice(&(self.kinds.len() as u32).to_le_bytes());
        out.extend_from_slice(&crc32fast::hash(&table).to_le_bytes());
        out.extend_from_slice(&crc32fast::hash(&out).to_le_bytes());
        out.extend_from_slice(&table);
        out
    }

    /// The header, and where the blocks begin.
    pub fn decode(bytes: &[u8]) -> Result<(Self, usize), HeaderFault> {
        if !bytes.iter().zip(MAGIC).all(|(&byte, expected)| byte == expected) {
            return Err(HeaderFault::NotASegment);
        }
        let Some((header, rest)) = bytes.split_first_chunk::<HEADER_BYTES>() else {
            return Err(HeaderFault::Torn);
        };
        if crc32fast::hash(&header[..60]) != word(header, 60) {
            return Err(HeaderFault::Damaged(0, "segment header does not match its checksum"));
        }
        let version = word(header, 8);
        if version != FORMAT_VERSION {
            return Err(HeaderFault::Version(version));
        }
        let count = word(header, 52);
        let partitions = word(header, 12);
        if header[40..52] != [0; 12] || count > KINDS_MAX || !(1..=PARTITIONS_MAX).contains(&partitions) {
            return Err(HeaderFault::Damaged(0, "segment header says what no version 1 says"));
        }
        let table_bytes = count as usize * TABLE_ENTRY_BYTES;
        let Some(table) = rest.get(..table_bytes) else {
            return Err(HeaderFault::Torn);
        };
        if crc32fast::hash(table) != word(header, 56) {
            return Err(HeaderFault::Damaged(HEADER_BYTES as u64, "kind table does not match its checksum"));
        }
        let (entries, _) = table.as_chunks::<TABLE_ENTRY_BYTES>();
        let kinds = entries.iter().map(|entry| {
            let name = entry[8..24].trim_ascii_end();
            let name = name.split(|&b| b == 0).next().unwrap_or_default();
            KindEntry {
                id: u16::from_le_bytes([entry[0], entry[1]]),
                name: String::from_utf8_lossy(name).into_owned(),
                schema: long(entry, 24),
            }
        });
        let header = Self {
            number: long(header, 16),
            generation: long(header, 24),
            partitions,
            previous_bytes: long(header, 32),
            kinds: kinds.collect(),
        };
        Ok((header, HEADER_BYTES + table_bytes))
    }
}

impl HeaderFault {
    /// The error of a file that cannot be read at all. `Torn` is for the caller to judge.
    pub fn of(self, file: &Path) -> JournalError {
        let file = file.to_owned();
        match self {
            Self::Torn => JournalError::TornTail { file, offset: 0, bytes: 0 },
            Self::NotASegment => JournalError::NotASegment(file),
            Self::Version(found) => JournalError::FormatVersion { file, found, known: FORMAT_VERSION },
            Self::Damaged(offset, what) => JournalError::Damaged { file, offset, what },
        }
    }
}

impl SegmentFile {
    /// Any file, whatever its name; compressed where its name ends so.
    pub fn of(path: &Path) -> Self {
        let name = path.file_name().and_then(|n| n.to_str()).unwrap_or_default();
        Self {
            number: number_of(name).map(|(number, _)| number),
            path: path.to_owned(),
            compressed: name.ends_with(".lz4"),
        }
    }

    pub fn path_in(dir: &Path, number: u64) -> PathBuf {
        dir.join(format!("{number:0NAME_DIGITS$}.twj"))
    }

    pub fn compressed_path_in(dir: &Path, number: u64) -> PathBuf {
        dir.join(format!("{number:0NAME_DIGITS$}.twj.lz4"))
    }

    /// The segments of a directory in order of number. Of one that is there in both forms (sealing
    /// was interrupted) the plain one is taken; they are equal.
    pub fn list(dir: &Path) -> Result<Vec<Self>, JournalError> {
        let mut found = Vec::new();
        for entry in fs::read_dir(dir).map_err(JournalError::io(dir, "list"))? {
            let path = entry.map_err(JournalError::io(dir, "list"))?.path();
            let name = path.file_name().and_then(|n| n.to_str()).unwrap_or_default();
            if let Some((number, compressed)) = number_of(name) {
                found.push(Self { number: Some(number), path, compressed });
            }
        }
        found.sort_by_key(|file| (file.number, file.compressed));
        found.dedup_by_key(|file| file.number);
        Ok(found)
    }
}

/// Number and form of a segment's file name.
fn number_of(name: &str) -> Option<(u64, bool)> {
    let (digits, rest) = name.split_at_checked(NAME_DIGITS)?;
    let number = digits.bytes().all(|b| b.is_ascii_digit()).then(|| digits.parse().ok())??;
    match rest {
        ".twj" => Some((number, false)),
        ".twj.lz4" => Some((number, true)),
        _ => None,
    }
}

fn word(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
}

fn long(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_reads_as_it_was_written() {
        let header = SegmentHeader::new(7, 3, 64, 12_345);
        let bytes = header.encode();
        assert_eq!(SegmentHeader::decode(&bytes), Ok((header, bytes.len())));
        assert_eq!(bytes.len() % 16, 0);
    }

    #[test]
    fn a_cut_header_is_torn_and_a_flipped_bit_is_damage() {
        let whole = SegmentHeader::new(7, 3, 64, 12_345).encode();
        for cut in 0..whole.len() {
            assert_eq!(SegmentHeader::decode(&whole[..cut]), Err(HeaderFault::Torn), "{cut}");
        }
        for bit in 0..whole.len() * 8 {
            let mut bytes = whole.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            let fault = SegmentHeader::decode(&bytes).unwrap_err();
            assert!(
                matches!(fault, HeaderFault::NotASegment | HeaderFault::Damaged(..)),
                "bit {bit}: {fault:?}"
            );
        }
    }

    #[test]
    fn another_version_is_refused_by_its_number() {
        for version in [0u32, 2, 77] {
            let mut bytes = SegmentHeader::new(7, 3, 64, 0).encode();
            bytes[8..12].copy_from_slice(&version.to_le_bytes());
            let crc = crc32fast::hash(&bytes[..60]);
            bytes[60..64].copy_from_slice(&crc.to_le_bytes());
            let fault = SegmentHeader::decode(&bytes).unwrap_err();
            assert_eq!(fault, HeaderFault::Version(version));
            let message = fault.of(Path::new("j/0000000001.twj")).to_string();
            let expected = format!(
                "j/0000000001.twj: segment format version {version} is not known: this tapewatch reads version 1"
            );
            assert_eq!(message, expected);
        }
    }

    #[test]
    fn only_segment_names_are_segments() {
        assert_eq!(number_of("0000000042.twj"), Some((42, false)));
        assert_eq!(number_of("0000000042.twj.lz4"), Some((42, true)));
        for name in ["42.twj", "0000000042.twj.tmp", "0000000042", "+000000042.twj", "writer.lock", "é"] {
            assert_eq!(number_of(name), None, "{name}");
        }
    }

    #[test]
    fn a_directory_is_listed_in_order_and_each_segment_once() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["0000000010.twj", "0000000002.twj.lz4", "0000000002.twj", "0000000001.twj.lz4", "x.txt"]
        {
            fs::write(dir.path().join(name), b"").unwrap();
        }
        let found = SegmentFile::list(dir.path()).unwrap();
        let names: Vec<_> = found.iter().map(|f| f.path.file_name().unwrap().to_str().unwrap()).collect();
        assert_eq!(names, ["0000000001.twj.lz4", "0000000002.twj", "0000000010.twj"]);
    }
}
