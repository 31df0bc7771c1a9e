//! Files as lines of text: plain, gzipped or zipped, told apart by their first bytes.
//!
//! A part is one text: a file, or an entry of an archive. Whatever is packed is unpacked while
//! it is read, memory stays bounded by the longest line allowed, and every error says which
//! file and how far it came. What we cannot unpack is refused by its name.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use flate2::read::{DeflateDecoder, MultiGzDecoder};

use crate::replay::recording::InputError;

/// Longest line that is read; a longer one is skipped and reported. Captures hold whole
/// answers of a venue on one line, some of them of several megabytes.
pub const LINE_BYTES_MAX: usize = 16 << 20;

/// How much is asked of the file at once, and the buffer that a file starts with.
const READ_BYTES: usize = 256 << 10;

/// Entries of one archive that are read.
const ENTRIES_MAX: usize = 10_000;

/// One text that can be opened, any number of times.
#[derive(Clone, Debug)]
pub struct Part {
    path: PathBuf,
    /// The path, and the entry's name where it is an archive: for messages.
    name: String,
    packing: Packing,
    /// Bytes on disk.
    bytes: u64,
}

#[derive(Clone, Debug)]
enum Packing {
    /// No text at all: a directory of segments, or one of them.
    Journal,
    Plain,
    Gzip,
    /// Entry of an archive, as it is.
    Stored {
        offset: u64,
        crc: u32,
    },
    /// Entry of an archive, deflated.
    Deflated {
        offset: u64,
        crc: u32,
    },
}

/// The directory of the segments: the path itself, or `journal` in it (a data directory).
pub fn journal_in(path: &Path) -> Option<PathBuf> {
    [path.to_owned(), path.join("journal")].into_iter().find(|dir| segment_bytes(dir).is_some())
}

/// Bytes of all segments in a directory; `None` where there are none.
fn segment_bytes(dir: &Path) -> Option<u64> {
    let is_segment = |name: &str| name.ends_with(".twj") || name.ends_with(".twj.lz4");
    let segments = std::fs::read_dir(dir).ok()?.flatten();
    let mut sizes = segments
        .filter(|file| file.file_name().to_str().is_some_and(is_segment))
        .map(|file| file.metadata().map_or(0, |metadata| metadata.len()))
        .peekable();
    sizes.peek()?;
    Some(sizes.sum())
}

impl Part {
    /// The texts of a file, in order of name.
    pub fn all_of(path: &Path) -> Result<Vec<Self>, InputError> {
        let name = path.display().to_string();
        let failed = |e: io::Error| cannot_open(&name, &e);
        let metadata = std::fs::metadata(path).map_err(failed)?;
        if metadata.is_dir() {
            return Self::journal_in(path, name);
        }
        // Each text is read more than once; and a pipe without a writer would be waited for forever.
        if !metadata.is_file() {
            return Err(InputError::Refused(format!(
                "{name} is a pipe or a device: recordings are files, write it to one first"
            )));
        }
        let mut file = File::open(path).map_err(failed)?;
        let mut magic = Vec::new();
        file.by_ref().take(16).read_to_end(&mut magic).map_err(failed)?;
        if magic.is_empty() {
            return Err(InputError::Refused(format!("{name} is empty")));
        }
        // A sealed segment is compressed and told by its name.
        if magic.starts_with(b"TWJRNL") || name.ends_with(".twj.lz4") {
            let packing = Packing::Journal;
            return Ok(vec![Self { path: path.to_owned(), name, packing, bytes: metadata.len() }]);
        }
        if magic.starts_with(b"PK\x03\x04") || magic.starts_with(b"PK\x05\x06") {
            return Self::entries_of(path, &name, file);
        }
        if let Some(kind) = foreign_kind(&magic) {
            return Err(InputError::Refused(format!(
                "{name} is {kind}: plain text, .gz and .zip are read; unpack or convert it first"
            )));
        }
        let packing = if magic.starts_with(b"\x1f\x8b") { Packing::Gzip } else { Packing::Plain };
        Ok(vec![Self { path: path.to_owned(), name, packing, bytes: metadata.len() }])
    }

    fn entries_of(path: &Path, name: &str, file: File) -> Result<Vec<Self>, InputError> {
        let refused = |why: String| InputError::Refused(format!("{name}: {why}"));
        let mut archive = zip::ZipArchive::new(file)
            .map_err(|e| refused(format!("is no whole zip archive, it may be cut short ({e})")))?;
        if archive.len() > ENTRIES_MAX {
            return Err(refused(format!("holds {} entries, more than {ENTRIES_MAX}", archive.len())));
        }
        let mut parts = Vec::new();
        for i in 0..archive.len() {
            let entry =
                archive.by_index_raw(i).map_err(|e| refused(format!("entry {i} is not readable ({e})")))?;
            let label = String::from_utf8_lossy(entry.name_raw()).into_owned();
            // Archivers of desktops leave notes of their own.
            let hidden = label.starts_with("__MACOSX/")
                || label.rsplit('/').next().is_some_and(|f| f.starts_with('.'));
            if entry.is_dir() || hidden || entry.size() == 0 || label.ends_with(".CHECKSUM") {
                continue;
            }
            if entry.encrypted() {
                return Err(refused(format!("entry {label:?} is encrypted; unpack it first")));
            }
            let offset = entry
                .data_start()
                .ok_or_else(|| refused(format!("entry {label:?} does not say where it begins")))?;
            let crc = entry.crc32();
            let packing = match entry.compression() {
                zip::CompressionMethod::Stored => Packing::Stored { offset, crc },
                zip::CompressionMethod::Deflated => Packing::Deflated { offset, crc },
                other => {
                    return Err(refused(format!(
                        "entry {label:?} is packed by {other:?}; deflated and stored entries are read"
                    )));
                }
            };
            parts.push(Self {
                path: path.to_owned(),
                name: format!("{name}/{label}"),
                packing,
                bytes: entry.compressed_size(),
            });
        }
        if parts.is_empty() {
            return Err(refused("holds no file with anything in it".to_owned()));
        }
        parts.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(parts)
    }

    /// A directory of segments, or a data directory with one inside.
    fn journal_in(path: &Path, name: String) -> Result<Vec<Self>, InputError> {
        match journal_in(path) {
            Some(dir) => {
                let bytes = segment_bytes(&dir).unwrap_or_default();
                Ok(vec![Self {
                    name: dir.display().to_string(),
                    path: dir,
                    packing: Packing::Journal,
                    bytes,
                }])
            }
            None => Err(InputError::Refused(format!(
                "{name} is a directory without a journal (files such as 0000000001.twj); other recordings are read file by file"
            ))),
        }
    }

    /// Where the journal lies, if it is one.
    pub fn journal(&self) -> Option<&Path> {
        matches!(self.packing, Packing::Journal).then_some(self.path.as_path())
    }

    /// Path, and entry: for messages.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The last piece of the name without endings that tell of packing: `BTCUSDT-trades-2024-05-01.csv`.
    pub fn file_name(&self) -> &str {
        let last = self.name.rsplit(['/', '\\']).next().unwrap_or(&self.name);
        let lower = last.to_ascii_lowercase();
        for ending in [".gz", ".gzip", ".zip"] {
            if lower.ends_with(ending) && last.len() > ending.len() {
                return &last[..last.len() - ending.len()];
            }
        }
        last
    }

    /// Bytes on disk.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Opens the text at its beginning; bytes taken from disk are added to `read`.
    pub fn open(&self, read: Arc<AtomicU64>) -> Result<Lines, InputError> {
        let failed = |e: io::Error| cannot_open(&self.name, &e);
        let mut file = File::open(&self.path).map_err(failed)?;
        let mut seek = |offset| file.seek(SeekFrom::Start(offset)).map_err(failed);
        let reader: Box<dyn Read + Send> = match self.packing {
            Packing::Journal => {
                return Err(InputError::Refused(format!("{} is a journal, not a text", self.name)));
            }
            Packing::Plain => Box::new(Counted { inner: file, read }),
            Packing::Gzip => {
                let buffered = io::BufReader::with_capacity(READ_BYTES, Counted { inner: file, read });
                Box::new(MultiGzDecoder::new(buffered))
            }
            Packing::Stored { offset, crc } => {
                seek(offset)?;
                let entry = Counted { inner: file, read }.take(self.bytes);
                Box::new(Checked { inner: entry, crc, hasher: crc32fast::Hasher::new() })
            }
            Packing::Deflated { offset, crc } => {
                seek(offset)?;
                let entry = Counted { inner: file, read }.take(self.bytes);
                let buffered = io::BufReader::with_capacity(READ_BYTES, entry);
                let inner = DeflateDecoder::new(buffered);
                Box::new(Checked { inner, crc, hasher: crc32fast::Hasher::new() })
            }
        };
        Lines::new(self.name.clone(), reader)
    }
}

fn cannot_open(name: &str, error: &io::Error) -> InputError {
    match error.kind() {
        io::ErrorKind::NotFound => InputError::Refused(format!("{name} does not exist")),
        _ => InputError::Refused(format!("{name} cannot be opened: {error}")),
    }
}

/// Files that people have and we do not read, by their first bytes.
fn foreign_kind(magic: &[u8]) -> Option<&'static str> {
    const KINDS: [(&[u8], &str); 12] = [
        (b"\x28\xb5\x2f\xfd", "compressed by zstd"),
        (b"BZh", "compressed by bzip2"),
        (b"\xfd7zXZ\0", "compressed by xz"),
        (b"\x04\x22\x4d\x18", "compressed by lz4"),
        (b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive"),
        (b"Rar!", "a RAR archive"),
        (b"PAR1", "a Parquet file"),
        (b"ARROW1", "an Arrow (feather) file"),
        (b"SQLite format 3", "an SQLite database"),
        (b"\x89HDF\r\n", "an HDF5 file"),
        (b"\xff\xfe", "UTF-16 text"),
        (b"\xfe\xff", "UTF-16 text"),
    ];
    KINDS.iter().find(|(start, _)| magic.starts_with(start)).map(|(_, kind)| *kind)
}

/// Counts what passes.
struct Counted<R> {
    inner: R,
    read: Arc<AtomicU64>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.read.fetch_add(count as u64, Ordering::Relaxed);
        Ok(count)
    }
}

/// Holds an archive's entry against its checksum, at its end.
struct Checked<R> {
    inner: R,
    crc: u32,
    hasher: crc32fast::Hasher,
}

impl<R: Read> Read for Checked<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.hasher.update(&buffer[..count]);
        if count == 0 && !buffer.is_empty() && self.hasher.clone().finalize() != self.crc {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "the checksum of the entry does not match",
            ));
        }
        Ok(count)
    }
}

/// A text, line by line, from the first.
pub struct Lines {
    name: String,
    reader: Box<dyn Read + Send>,
    buffer: Vec<u8>,
    /// What of the buffer is not handed out yet.
    start: usize,
    end: usize,
    at_end: bool,
    number: u64,
    /// Unpacked bytes.
    read: u64,
}

/// One line without its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Line<'a> {
    Text(&'a [u8]),
    /// Longer than [`LINE_BYTES_MAX`]; its beginning.
    TooLong(&'a [u8]),
}

impl Lines {
    pub fn new(name: String, reader: Box<dyn Read + Send>) -> Result<Self, InputError> {
        let mut lines = Self {
            name,
            reader,
            buffer: vec![0; READ_BYTES],
            start: 0,
            end: 0,
            at_end: false,
            number: 0,
            read: 0,
        };
        while lines.end < 3 && !lines.at_end {
            lines.fill()?;
        }
        if lines.buffer[..lines.end].starts_with(b"\xef\xbb\xbf") {
            lines.start = 3;
        }
        Ok(lines)
    }

    /// Lines handed out so far: the number of the last one.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// The next line; `None` at the end of the text.
    #[inline]
    pub fn next_line(&mut self) -> Result<Option<Line<'_>>, InputError> {
        let mut searched = self.start;
        loop {
            if let Some(at) = memchr::memchr(b'\n', &self.buffer[searched..self.end]) {
                let line = self.start..searched + at;
                self.start = line.end + 1;
                self.number += 1;
                return Ok(Some(Line::Text(without_return(&self.buffer[line]))));
            }
            if self.at_end {
                let line = self.start..self.end;
                self.start = self.end;
                if line.is_empty() {
                    return Ok(None);
                }
                self.number += 1;
                return Ok(Some(Line::Text(without_return(&self.buffer[line]))));
            }
            let pending = self.end - self.start;
            if pending >= LINE_BYTES_MAX {
                return self.skip_line();
            }
            searched = pending;
            self.fill()?;
        }
    }

    /// Drops the rest of a line that is too long.
    #[cold]
    fn skip_line(&mut self) -> Result<Option<Line<'_>>, InputError> {
        const KEPT: usize = 1024;
        self.number += 1;
        let mut head = self.buffer[self.start..self.start + KEPT].to_vec();
        loop {
            self.start = self.end;
            self.fill()?;
            if let Some(at) = memchr::memchr(b'\n', &self.buffer[self.start..self.end]) {
                // The head is laid before what is left, so that a slice of it can be lent.
                let rest = self.start + at + 1;
                let kept = self.buffer[rest..self.end].to_vec();
                head.extend_from_slice(&kept);
                self.buffer.clear();
                self.buffer.extend_from_slice(&head);
                self.end = self.buffer.len();
                self.buffer.resize(self.end.max(READ_BYTES), 0);
                self.start = KEPT;
                return Ok(Some(Line::TooLong(&self.buffer[..KEPT])));
            }
            if self.at_end {
                self.start = self.end;
                self.buffer[..KEPT].copy_from_slice(&head);
                return Ok(Some(Line::TooLong(&self.buffer[..KEPT])));
            }
        }
    }

    /// Moves what is pending to the front and reads behind it.
    fn fill(&mut self) -> Result<(), InputError> {
        self.buffer.copy_within(self.start..self.end, 0);
        self.end -= self.start;
        self.start = 0;
        if self.buffer.len() - self.end < READ_BYTES / 2 {
            let grown = (self.buffer.len() * 2).min(LINE_BYTES_MAX + 2 * READ_BYTES);
            self.buffer.resize(grown.max(self.end + READ_BYTES), 0);
        }
        loop {
            match self.reader.read(&mut self.buffer[self.end..]) {
                Ok(0) => self.at_end = true,
                Ok(count) => {
                    self.end += count;
                    self.read += count as u64;
                }
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                Err(e) => return Err(self.broken(&e)),
            }
            return Ok(());
        }
    }

    #[cold]
    fn broken(&self, error: &io::Error) -> InputError {
        let (name, line, read) = (&self.name, self.number + 1, self.read);
        let place = format!("at line {line}, after {read} unpacked bytes");
        match error.kind() {
            io::ErrorKind::UnexpectedEof => {
                InputError::Refused(format!("{name} is cut short: the compressed data end {place}"))
            }
            io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput => {
                InputError::Refused(format!("{name} is damaged {place}: {error}"))
            }
            _ => InputError::Failed(format!("failed to read {name} {place}: {error}")),
        }
    }
}

#[inline]
fn without_return(line: &[u8]) -> &[u8] {
    line.strip_suffix(b"\r").unwrap_or(line)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    fn lines_of(path: &Path) -> Result<Vec<String>, InputError> {
        let mut texts = Vec::new();
        for part in Part::all_of(path)? {
            let mut lines = part.open(Arc::default())?;
            while let Some(line) = lines.next_line()? {
                match line {
                    Line::Text(text) => texts.push(String::from_utf8_lossy(text).into_owned()),
                    Line::TooLong(head) => texts.push(format!("too long: {}", head.len())),
                }
            }
        }
        Ok(texts)
    }

    fn write(name: &str, bytes: &[u8]) -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        (dir, path)
    }

    fn check(name: &str, bytes: &[u8], expected: &[&str]) {
        let (_dir, path) = write(name, bytes);
        assert_eq!(lines_of(&path).unwrap(), expected, "{name}");
    }

    fn check_refused(name: &str, bytes: &[u8], words: &[&str]) {
        let (_dir, path) = write(name, bytes);
        let Err(InputError::Refused(message)) = lines_of(&path) else { panic!("{name} was not refused") };
        for word in words.iter().chain(&[name]) {
            assert!(message.contains(word), "{message:?} lacks {word:?}");
        }
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn zipped(entries: &[(&str, &[u8])], method: zip::CompressionMethod) -> Vec<u8> {
        let mut writer = zip::ZipWriter::new(io::Cursor::new(Vec::new()));
        for (name, bytes) in entries {
            let options = zip::write::SimpleFileOptions::default().compression_method(method);
            writer.start_file(*name, options).unwrap();
            writer.write_all(bytes).unwrap();
        }
        writer.finish().unwrap().into_inner()
    }

    #[test]
    fn lines_end_in_any_common_way() {
        check("a.csv", b"a\nb\r\n\nc", &["a", "b", "", "c"]);
        check("a.csv", b"\xef\xbb\xbfa\n", &["a"]);
        check("a.csv", b"\n", &[""]);
        check("a.csv", b"x", &["x"]);
    }

    #[test]
    fn packing_is_told_by_content_not_name() {
        check("a.csv", &gzip(b"a\nb\n"), &["a", "b"]);
        let members = [gzip(b"a\nb"), gzip(b"c\nd\n")].concat();
        check("a.gz", &members, &["a", "bc", "d"]);
        let two = [("b.csv", &b"3\n"[..]), ("a.csv", b"1\n2\n"), ("__MACOSX/a", b"x"), ("e.csv", b"")];
        check("a.txt", &zipped(&two, zip::CompressionMethod::Deflated), &["1", "2", "3"]);
        check("a.zip", &zipped(&two, zip::CompressionMethod::Stored), &["1", "2", "3"]);
        check("plain.gz", b"not packed\n", &["not packed"]);
    }

    #[test]
    fn what_cannot_be_unpacked_says_so() {
        check_refused("a.csv", b"", &["is empty"]);
        check_refused("a.zst", b"\x28\xb5\x2f\xfd....", &["zstd", ".gz and .zip"]);
        check_refused("a.parquet", b"PAR1....", &["Parquet"]);
        check_refused("a.zip", b"PK\x03\x04 and no more", &["zip archive"]);
        check_refused("a.zip", &zipped(&[], zip::CompressionMethod::Stored), &["holds no file"]);
        let mut text = Vec::new();
        for i in 0..100_000u32 {
            text.extend_from_slice(format!("{}\n", i.wrapping_mul(2_654_435_761)).as_bytes());
        }
        let mut cut = gzip(&text);
        cut.truncate(cut.len() / 2);
        check_refused("a.gz", &cut, &["cut short", "at line ", "unpacked bytes"]);
        let mut damaged = gzip(&text);
        let middle = damaged.len() / 2;
        damaged[middle..middle + 8].fill(0xff);
        check_refused("a.gz", &damaged, &["damaged", "at line "]);
        let mut damaged = zipped(&[("a.csv", &text)], zip::CompressionMethod::Stored);
        damaged[1000] ^= 1;
        check_refused("a.zip", &damaged, &["a.zip/a.csv", "checksum"]);
    }

    #[test]
    fn a_missing_file_and_a_directory_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let missing = Part::all_of(&dir.path().join("none.csv")).unwrap_err().to_string();
        assert!(missing.contains("none.csv does not exist"), "{missing}");
        let directory = Part::all_of(dir.path()).unwrap_err().to_string();
        assert!(directory.contains("is a directory"), "{directory}");
    }

    #[test]
    fn a_line_beyond_the_limit_is_skipped_and_counted() {
        let mut text = b"a\n".to_vec();
        text.resize(text.len() + LINE_BYTES_MAX + 12_345, b'x');
        let ends_long = text.clone();
        text.extend_from_slice(b"\nb\nc");
        check("a.csv", &text, &["a", "too long: 1024", "b", "c"]);
        check("a.csv", &ends_long, &["a", "too long: 1024"]);
        let mut fits = vec![b'y'; LINE_BYTES_MAX - 1];
        fits.push(b'\n');
        let (_dir, path) = write("a.csv", &fits);
        assert_eq!(lines_of(&path).unwrap()[0].len(), LINE_BYTES_MAX - 1);
    }

    #[test]
    fn file_names_lose_their_packing() {
        let (_dir, path) = write("BTCUSDT-trades-2024-05-01.csv.gz", b"x\n");
        assert_eq!(Part::all_of(&path).unwrap()[0].file_name(), "BTCUSDT-trades-2024-05-01.csv");
    }
}
