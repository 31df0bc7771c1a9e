//! Snapshots: the state of a partition at one position of its log, one file each.
//!
//! A snapshot is written beside its name, synced, and *pending* until [`Pending::commit`]: its maker
//! commits it once everything told before its position is kept by whoever has to keep it. Committed ones
//! are kept two a partition, so that a damaged one leaves the one before. Whoever starts takes
//! [`Snapshots::newest`]: the newest committed one that passes its checks and was made under the same
//! settings; what is refused is told, never misread. `docs/journal.md` describes the file byte by byte.
//!
//! What the states and the archive mean is for whoever made them to know: here they are words.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::domain::instrument::Instrument;
use crate::domain::output::Position;
use crate::domain::tally::Tally;
use crate::domain::venue::{IdRule, Venue};
use crate::journal::chunks::{Address, Chunks};
use crate::journal::convert;
use crate::journal::error::JournalError;
use crate::journal::outlet::sync_dir;

const MAGIC: [u8; 8] = *b"TWSNAP\r\n";
const FORMAT_VERSION: u32 = 1;
/// Chunks of the symbols, beside the snapshots that speak of them.
pub const ARCHIVE: &str = "archive";
const HEADER_BYTES: usize = 64;
/// Committed snapshots that are kept of a partition.
const KEPT: usize = 2;
/// LZ4 makes nothing smaller than by this factor.
const PACKING_MAX: usize = 255;
/// Before the words of a symbol.
const SYMBOL_BYTES: usize = 40;

/// The state of one partition.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PartitionState {
    pub partition: u32,
    /// The state is that after the entry at this position, and after all before it.
    pub position: Position,
    /// Of the writer of the log.
    pub generation: u64,
    /// What the states were made under; another one cannot go on with them.
    pub fingerprint: u64,
    pub symbols: Vec<SymbolState>,
}

/// The state of one instrument.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SymbolState {
    pub instrument: Instrument,
    pub rule: IdRule,
    /// Of all that was told until then.
    pub tally: Tally,
    pub words: Vec<u64>,
    /// Its chunks in the archive, by stream from the oldest to the newest.
    pub chunks: Vec<Vec<Address>>,
}

/// The snapshots of one data directory.
#[derive(Clone, Debug)]
pub struct Snapshots {
    dir: PathBuf,
    chunks: Arc<Chunks>,
}

/// A snapshot on the disk that does not count yet. Dropped, it is removed.
#[derive(Debug)]
pub struct Pending {
    dir: PathBuf,
    path: PathBuf,
    name: Name,
    chunks: Arc<Chunks>,
    /// What the snapshot speaks of.
    addresses: Vec<Address>,
    committed: bool,
}

/// What was found of a partition.
#[derive(Debug, Default)]
pub struct Found {
    pub newest: Option<PartitionState>,
    /// Newer ones that cannot be used, and why.
    pub refused: Vec<SnapshotFault>,
}

/// Why a snapshot cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotFault {
    #[error("{}: snapshot was made under other settings or by another version of the engine", .0.display())]
    OtherSettings(PathBuf),
    #[error("{}: snapshot format version {found} is not known: this tapewatch reads version {FORMAT_VERSION}", file.display())]
    FormatVersion { file: PathBuf, found: u32 },
    #[error("{}: snapshot is damaged: {what}", file.display())]
    Damaged { file: PathBuf, what: &'static str },
    #[error(transparent)]
    Unreadable(#[from] JournalError),
}

/// What the name of a committed snapshot says. Orders those of a partition from old to new.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Name {
    partition: u32,
    position: Position,
    generation: u64,
}

impl Snapshots {
    /// For their one maker: makes the directory where it is missing, and removes what a kill left pending.
    pub fn open(dir: &Path) -> Result<Self, JournalError> {
        fs::create_dir_all(dir).map_err(JournalError::io(dir, "make"))?;
        for entry in fs::read_dir(dir).map_err(JournalError::io(dir, "list"))? {
            let path = entry.map_err(JournalError::io(dir, "list"))?.path();
            if path.extension().is_some_and(|extension| extension == "pending" || extension == "tmp") {
                fs::remove_file(&path).map_err(JournalError::io(&path, "remove"))?;
            }
        }
        let partitions: BTreeSet<u32> = list(dir)?.into_iter().map(|name| name.partition).collect();
        let chunks = Arc::new(Chunks::open(&dir.join(ARCHIVE), partitions)?);
        Ok(Self { dir: dir.to_owned(), chunks })
    }

    /// For readers: changes nothing in `dir`; what they put aside themselves goes to `own`.
    pub fn at(dir: &Path, own: &Path) -> Result<Self, JournalError> {
        let chunks = Arc::new(Chunks::beside(&dir.join(ARCHIVE), own, [])?);
        Ok(Self { dir: dir.to_owned(), chunks })
    }

    /// Where the symbols put candles aside that are too old for memory.
    pub fn chunks(&self) -> &Arc<Chunks> {
        &self.chunks
    }

    /// Writes a snapshot and waits until the disk has it. It counts once it is committed.
    pub fn begin(&self, state: &PartitionState) -> Result<Pending, JournalError> {
        let PartitionState { partition, position, generation, .. } = *state;
        let name = Name { partition, position, generation };
        let path = self.dir.join(format!("{}.pending", name.file_name()));
        let unfinished = path.with_extension("tmp");
        self.chunks.sync()?;
        let bytes = encode(state);
        let write = || -> std::io::Result<()> {
            let mut file = File::create(&unfinished)?;
            file.write_all(&bytes)?;
            file.sync_all()?;
            fs::rename(&unfinished, &path)
        };
        write().map_err(JournalError::io(&path, "write"))?;
        let addresses =
            state.symbols.iter().flat_map(|symbol| symbol.chunks.iter().flatten().copied()).collect();
        let chunks = self.chunks.clone();
        Ok(Pending { dir: self.dir.clone(), path, name, chunks, addresses, committed: false })
    }

    /// The newest committed snapshot of a partition that was made under these settings and is whole.
    pub fn newest(&self, partition: u32, fingerprint: u64) -> Result<Found, JournalError> {
        let mut found = Found::default();
        for name in list(&self.dir)?.into_iter().rev().filter(|name| name.partition == partition) {
            match read(&self.dir.join(name.file_name()), name, fingerprint) {
                Ok(state) => {
                    found.newest = Some(state);
                    break;
                }
                Err(fault) => found.refused.push(fault),
            }
        }
        Ok(found)
    }

    /// The oldest usable snapshot of one partition.
    pub fn oldest_of(
        &self,
        partition: u32,
        fingerprint: u64,
    ) -> Result<Option<PartitionState>, JournalError> {
        let mut own = list(&self.dir)?.into_iter().filter(|name| name.partition == partition);
        Ok(own.find_map(|name| read(&self.dir.join(name.file_name()), name, fingerprint).ok()))
    }

    /// The oldest usable snapshot of each partition that has one: for those who look back.
    pub fn oldest(&self, fingerprint: u64) -> Result<BTreeMap<u32, PartitionState>, JournalError> {
        let mut states: BTreeMap<u32, PartitionState> = BTreeMap::new();
        for name in list(&self.dir)? {
            if !states.contains_key(&name.partition)
                && let Ok(state) = read(&self.dir.join(name.file_name()), name, fingerprint)
            {
                states.insert(name.partition, state);
            }
        }
        Ok(states)
    }

    /// Up to where committed snapshots reach, by partition: what was told until then is kept by all who keep it.
    pub fn reached(&self) -> Result<BTreeMap<u32, Position>, JournalError> {
        Ok(list(&self.dir)?.into_iter().map(|name| (name.partition, name.position)).collect())
    }

    /// Up to where the log is no longer needed, by partition: the position of the older one where two
    /// committed snapshots of these settings are there. Others still need all of their log.
    pub fn covered(&self, fingerprint: u64) -> Result<BTreeMap<u32, Position>, JournalError> {
        let mut kept: BTreeMap<u32, Vec<Position>> = BTreeMap::new();
        for name in list(&self.dir)? {
            if head(&self.dir.join(name.file_name()), name, fingerprint).is_ok() {
                kept.entry(name.partition).or_default().push(name.position);
            }
        }
        let older = |(partition, positions): (u32, Vec<Position>)| match positions[..] {
            [.., older, _] => Some((partition, older)),
            _ => None,
        };
        Ok(kept.into_iter().filter_map(older).collect())
    }
}

impl Pending {
    pub fn partition(&self) -> u32 {
        self.name.partition
    }

    pub fn position(&self) -> Position {
        self.name.position
    }

    /// Lets it count, and removes those of its partition that are no longer needed.
    pub fn commit(mut self) -> Result<(), JournalError> {
        let path = self.dir.join(self.name.file_name());
        fs::rename(&self.path, &path).map_err(JournalError::io(&path, "name"))?;
        self.committed = true;
        sync_dir(&self.dir)?;
        let kept: Vec<_> =
            list(&self.dir)?.into_iter().filter(|n| n.partition == self.name.partition).collect();
        for old in &kept[..kept.len().saturating_sub(KEPT)] {
            let path = self.dir.join(old.file_name());
            fs::remove_file(&path).map_err(JournalError::io(&path, "remove"))?;
        }
        self.chunks.committed(self.name.partition, std::mem::take(&mut self.addresses))
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        if !self.committed {
            // One that stays is removed by the next start.
            let _ = fs::remove_file(&self.path);
        }
    }
}

impl Name {
    fn file_name(self) -> String {
        format!("{:05}-{:020}-{:010}.tws", self.partition, self.position.0, self.generation)
    }

    fn parse(text: &str) -> Option<Self> {
        let mut parts = text.strip_suffix(".tws")?.split('-');
        let mut part = |digits: usize| {
            let part = parts.next()?;
            let plain = part.len() == digits && part.bytes().all(|b| b.is_ascii_digit());
            plain.then(|| part.parse::<u64>().ok())?
        };
        let (partition, position, generation) = (part(5)?, part(20)?, part(10)?);
        let name =
            Self { partition: u32::try_from(partition).ok()?, position: Position(position), generation };
        parts.next().is_none().then_some(name)
    }
}

/// Committed snapshots, by partition from old to new.
fn list(dir: &Path) -> Result<Vec<Name>, JournalError> {
    let mut names = Vec::new();
    let entries = match fs::read_dir(dir) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(names),
        entries => entries.map_err(JournalError::io(dir, "list"))?,
    };
    for entry in entries {
        let name = entry.map_err(JournalError::io(dir, "list"))?.file_name();
        names.extend(name.to_str().and_then(Name::parse));
    }
    names.sort_unstable();
    Ok(names)
}

fn encode(state: &PartitionState) -> Vec<u8> {
    let mut body = Vec::new();
    for symbol in &state.symbols {
        pack(&mut body, &symbol_bytes(symbol));
    }
    let mut bytes = Vec::with_capacity(HEADER_BYTES + body.len());
    bytes.extend_from_slice(&MAGIC);
    bytes.extend_from_slice(&FORMAT_VERSION.to_le_bytes());
    bytes.extend_from_slice(&state.partition.to_le_bytes());
    bytes.extend_from_slice(&state.position.0.to_le_bytes());
    bytes.extend_from_slice(&state.generation.to_le_bytes());
    bytes.extend_from_slice(&state.fingerprint.to_le_bytes());
    bytes.extend_from_slice(&(body.len() as u64).to_le_bytes());
    bytes.extend_from_slice(&(state.symbols.len() as u32).to_le_bytes());
    bytes.extend_from_slice(&[0; 4]);
    bytes.extend_from_slice(&crc32fast::hash(&body).to_le_bytes());
    bytes.extend_from_slice(&crc32fast::hash(&bytes).to_le_bytes());
    bytes.extend_from_slice(&body);
    bytes
}

/// A symbol before it is packed: lengths of its names, rule, streams, tally, names; from the next multiple
/// of 8 on its chunks, by stream behind their number, then its words.
fn symbol_bytes(symbol: &SymbolState) -> Vec<u8> {
    let (venue, name) = (symbol.instrument.venue().name(), symbol.instrument.symbol());
    let mut bytes = Vec::with_capacity(SYMBOL_BYTES + 64 + symbol.words.len() * 8);
    let streams = symbol.chunks.len() as u32;
    for number in [venue.len() as u32, name.len() as u32, convert::rule_number(symbol.rule), streams] {
        bytes.extend_from_slice(&number.to_le_bytes());
    }
    for number in [symbol.tally.count, symbol.tally.hash[0], symbol.tally.hash[1]] {
        bytes.extend_from_slice(&number.to_le_bytes());
    }
    bytes.extend_from_slice(venue.as_bytes());
    bytes.extend_from_slice(name.as_bytes());
    bytes.resize(bytes.len().next_multiple_of(8), 0);
    for stream in &symbol.chunks {
        bytes.extend_from_slice(&(stream.len() as u64).to_le_bytes());
        stream.iter().for_each(|address| bytes.extend_from_slice(&address.0.to_le_bytes()));
    }
    symbol.words.iter().for_each(|word| bytes.extend_from_slice(&word.to_le_bytes()));
    bytes
}

/// Appends plain length, packed length and an LZ4 block.
fn pack(out: &mut Vec<u8>, plain: &[u8]) {
    let packed = lz4_flex::block::compress(plain);
    out.extend_from_slice(&(plain.len() as u64).to_le_bytes());
    out.extend_from_slice(&(packed.len() as u64).to_le_bytes());
    out.extend_from_slice(&packed);
}

/// The header, if it is of this snapshot and of these settings; number of symbols, length and checksum of the body.
fn head(path: &Path, name: Name, fingerprint: u64) -> Result<(u32, u64, u32), SnapshotFault> {
    let mut file = File::open(path).map_err(JournalError::io(path, "open"))?;
    let mut header = Vec::with_capacity(HEADER_BYTES);
    let reading = Read::by_ref(&mut file).take(HEADER_BYTES as u64).read_to_end(&mut header);
    reading.map_err(JournalError::io(path, "read"))?;
    check_head(&header, path, name, fingerprint)
}

fn check_head(
    header: &[u8],
    path: &Path,
    name: Name,
    fingerprint: u64,
) -> Result<(u32, u64, u32), SnapshotFault> {
    let file = || path.to_owned();
    let damaged = |what| SnapshotFault::Damaged { file: file(), what };
    let header: &[u8; HEADER_BYTES] = header.try_into().map_err(|_| damaged("it ends within its header"))?;
    let word = |at: usize| u32::from_le_bytes(std::array::from_fn(|i| header[at + i]));
    let long = |at: usize| u64::from_le_bytes(std::array::from_fn(|i| header[at + i]));
    if header[..8] != MAGIC {
        return Err(damaged("it does not begin with \"TWSNAP\""));
    }
    if crc32fast::hash(&header[..60]) != word(60) {
        return Err(damaged("its header does not match its checksum"));
    }
    if word(8) != FORMAT_VERSION {
        return Err(SnapshotFault::FormatVersion { file: file(), found: word(8) });
    }
    if (word(12), long(16), long(24)) != (name.partition, name.position.0, name.generation) {
        return Err(damaged("its header and its name differ"));
    }
    if long(32) != fingerprint {
        return Err(SnapshotFault::OtherSettings(file()));
    }
    Ok((word(48), long(40), word(56)))
}

fn read(path: &Path, name: Name, fingerprint: u64) -> Result<PartitionState, SnapshotFault> {
    let damaged = |what| SnapshotFault::Damaged { file: path.to_owned(), what };
    let bytes = fs::read(path).map_err(JournalError::io(path, "read"))?;
    let (header, body) = bytes.split_at(bytes.len().min(HEADER_BYTES));
    let (symbols, length, crc) = check_head(header, path, name, fingerprint)?;
    if body.len() as u64 != length {
        return Err(damaged("it has another length than it says"));
    }
    if crc32fast::hash(body) != crc {
        return Err(damaged("it does not match its checksum"));
    }
    let mut rest = body;
    let mut state = PartitionState {
        partition: name.partition,
        position: name.position,
        generation: name.generation,
        fingerprint,
        symbols: Vec::new(),
    };
    // One piece of memory for all of them: fresh pages cost more than unpacking does.
    let mut plain = Vec::new();
    for _ in 0..symbols {
        let symbol = unpack(&mut rest, &mut plain).and_then(|()| symbol_of(&plain));
        state.symbols.push(symbol.map_err(damaged)?);
    }
    if !rest.is_empty() {
        return Err(damaged("bytes follow its last symbol"));
    }
    Ok(state)
}

/// Replaces what `unpacked` holds by the next symbol.
fn unpack(rest: &mut &[u8], unpacked: &mut Vec<u8>) -> Result<(), &'static str> {
    const SHORT: &str = "it ends within a symbol";
    let mut long = || -> Result<usize, &'static str> {
        let (bytes, more) = rest.split_first_chunk().ok_or(SHORT)?;
        *rest = more;
        usize::try_from(u64::from_le_bytes(*bytes)).map_err(|_| SHORT)
    };
    let (plain, packed) = (long()?, long()?);
    let (block, more) = rest.split_at_checked(packed).ok_or(SHORT)?;
    *rest = more;
    if plain > packed.saturating_mul(PACKING_MAX) {
        return Err("it says to be larger than it can be");
    }
    unpacked.resize(plain, 0);
    match lz4_flex::block::decompress_into(block, unpacked) {
        Ok(length) if length == plain => Ok(()),
        Ok(_) => Err("it unpacks to another length than it says"),
        Err(_) => Err("it cannot be unpacked"),
    }
}

fn symbol_of(plain: &[u8]) -> Result<SymbolState, &'static str> {
    const SHORT: &str = "a symbol ends too early";
    let (head, rest) = plain.split_first_chunk::<SYMBOL_BYTES>().ok_or(SHORT)?;
    let word = |at: usize| u32::from_le_bytes(std::array::from_fn(|i| head[at + i]));
    let long = |at: usize| u64::from_le_bytes(std::array::from_fn(|i| head[at + i]));
    let names = (word(0) as usize).checked_add(word(4) as usize).ok_or(SHORT)?;
    let text = rest.get(..names).ok_or(SHORT)?;
    let text = std::str::from_utf8(text).map_err(|_| "a symbol's name is no text")?;
    let (venue, name) = text.split_at_checked(word(0) as usize).ok_or(SHORT)?;
    let instrument = Venue::new(venue).ok().and_then(|venue| Instrument::new(venue, name).ok());
    let (mut words, tail) = rest.get(names.next_multiple_of(8)..).ok_or(SHORT)?.as_chunks::<8>();
    if !tail.is_empty() {
        return Err("its words are not whole");
    }
    let mut chunks = Vec::new();
    for _ in 0..word(12) {
        let (len, more) = words.split_first().ok_or(SHORT)?;
        let len = usize::try_from(u64::from_le_bytes(*len)).ok();
        let (stream, more) = len.and_then(|len| more.split_at_checked(len)).ok_or(SHORT)?;
        chunks.push(stream.iter().map(|address| Address(u64::from_le_bytes(*address))).collect());
        words = more;
    }
    Ok(SymbolState {
        instrument: instrument.ok_or("an instrument has no valid name")?,
        rule: convert::rule(word(8))?,
        tally: Tally { count: long(16), hash: [long(24), long(32)] },
        words: words.iter().map(|word| u64::from_le_bytes(*word)).collect(),
        chunks,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(partition: u32, position: u64) -> PartitionState {
        let symbol = |i: u64| SymbolState {
            instrument: format!("binance:C{i}-USDT").parse().unwrap(),
            rule: [IdRule::Contiguous, IdRule::Sparse, IdRule::Absent][i as usize % 3],
            tally: Tally { count: i, hash: [i * 7, u64::MAX - i] },
            words: (0..i * 100).map(|word| word * position).collect(),
            chunks: (0..i).map(|stream| (0..stream).map(Address).collect()).collect(),
        };
        PartitionState {
            partition,
            position: Position(position),
            generation: 3,
            fingerprint: 77,
            symbols: (0..5).map(symbol).collect(),
        }
    }

    fn kept(snapshots: &Snapshots) -> Vec<u64> {
        list(&snapshots.dir).unwrap().iter().map(|name| name.position.0).collect()
    }

    #[test]
    fn only_what_was_committed_counts() {
        let dir = tempfile::tempdir().unwrap();
        let snapshots = Snapshots::open(&dir.path().join("snapshots")).unwrap();
        assert!(snapshots.newest(7, 77).unwrap().newest.is_none());
        snapshots.begin(&state(7, 10)).unwrap().commit().unwrap();
        snapshots.begin(&state(8, 11)).unwrap().commit().unwrap();
        assert_eq!(snapshots.covered(77).unwrap(), BTreeMap::new());
        let pending = snapshots.begin(&state(7, 20)).unwrap();
        assert_eq!(snapshots.newest(7, 77).unwrap().newest, Some(state(7, 10)));
        pending.commit().unwrap();
        assert_eq!(snapshots.newest(7, 77).unwrap().newest, Some(state(7, 20)));
        drop(snapshots.begin(&state(7, 30)).unwrap());
        snapshots.begin(&state(7, 40)).unwrap().commit().unwrap();
        assert_eq!(kept(&snapshots), [20, 40, 11]);
        assert_eq!(snapshots.covered(77).unwrap(), BTreeMap::from([(7, Position(20))]));
        std::mem::forget(snapshots.begin(&state(7, 50)).unwrap());
        assert_eq!(fs::read_dir(&snapshots.dir).unwrap().count(), 5);
        let snapshots = Snapshots::open(&snapshots.dir).unwrap();
        assert_eq!(fs::read_dir(&snapshots.dir).unwrap().count(), 4);
        assert_eq!(snapshots.newest(7, 77).unwrap().newest, Some(state(7, 40)));
    }

    #[test]
    fn a_snapshot_of_other_settings_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let snapshots = Snapshots::open(dir.path()).unwrap();
        snapshots.begin(&PartitionState { fingerprint: 76, ..state(0, 10) }).unwrap().commit().unwrap();
        snapshots.begin(&state(0, 20)).unwrap().commit().unwrap();
        let found = snapshots.newest(0, 76).unwrap();
        assert_eq!(found.newest.map(|state| state.position), Some(Position(10)));
        assert!(matches!(&found.refused[..], [SnapshotFault::OtherSettings(_)]));
        assert_eq!(snapshots.covered(77).unwrap(), BTreeMap::new());
    }

    #[test]
    fn a_damaged_one_leaves_the_one_before() {
        let dir = tempfile::tempdir().unwrap();
        let snapshots = Snapshots::open(dir.path()).unwrap();
        snapshots.begin(&state(0, 10)).unwrap().commit().unwrap();
        snapshots.begin(&state(0, 20)).unwrap().commit().unwrap();
        let path = dir.path().join(list(dir.path()).unwrap()[1].file_name());
        let whole = fs::read(&path).unwrap();
        let check = |bytes: &[u8], what: &str| {
            fs::write(&path, bytes).unwrap();
            let found = snapshots.newest(0, 77).unwrap();
            assert_eq!(found.newest, Some(state(0, 10)), "{what}");
            assert_eq!(found.refused.len(), 1, "{what}");
        };
        for cut in (0..whole.len()).step_by(97).chain([0, 8, 63, 64, 65]) {
            check(&whole[..cut], &format!("cut at {cut}"));
        }
        for bit in (0..whole.len() * 8).step_by(131).chain(0..HEADER_BYTES * 8) {
            let mut bytes = whole.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            check(&bytes, &format!("bit {bit}"));
        }
        check(&[whole.as_slice(), b"x"].concat(), "a byte more");
        let mut other = whole.clone();
        other[8] = 2;
        let crc = crc32fast::hash(&other[..60]);
        other[60..64].copy_from_slice(&crc.to_le_bytes());
        check(&other, "version 2");
    }

    /// The checksums are right, and what they are of is not.
    #[test]
    fn words_that_nobody_wrote_are_refused() {
        let mut header = encode(&state(0, 10));
        header.truncate(HEADER_BYTES);
        for (body, what) in [
            (vec![], "it ends within a symbol"),
            (vec![0xff; 16], "it ends within a symbol"),
            ([[0xff; 8], [0; 8]].concat(), "it says to be larger than it can be"),
        ] {
            assert_eq!(unpack(&mut body.as_slice(), &mut Vec::new()), Err(what));
        }
        for plain in [vec![], vec![0; 39], vec![0; 41], vec![0xff; 48], vec![0; 40]] {
            assert!(symbol_of(&plain).is_err(), "{plain:?}");
        }
    }
}
