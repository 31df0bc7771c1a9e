//! What can go wrong with a journal. Each message names the file, and the offset where there is one.

use std::io;
use std::path::PathBuf;

#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    #[error("{}: failed to {action}: {source}", path.display())]
    Io { path: PathBuf, action: &'static str, source: io::Error },
    #[error("{}: is not a file", .0.display())]
    NotAFile(PathBuf),
    #[error("{}: holds no journal segment (files named 0000000001.twj or 0000000001.twj.lz4)", .0.display())]
    NoSegments(PathBuf),
    #[error("{}: is not a journal segment: it does not begin with \"TWJRNL\"", .0.display())]
    NotASegment(PathBuf),
    #[error("{}: segment format version {found} is not known: this tapewatch reads version {known}", file.display())]
    FormatVersion { file: PathBuf, found: u32, known: u32 },
    #[error(
        "{}: offset {offset}: records of kind {kind:?} are not known to this version of tapewatch", file.display()
    )]
    UnknownKind { file: PathBuf, offset: u64, kind: String },
    #[error(
        "{}: offset {offset}: records of kind {kind:?} have the schema {found:016x}, this version of tapewatch reads {known:016x}",
        file.display()
    )]
    Schema { file: PathBuf, offset: u64, kind: &'static str, found: u64, known: u64 },
    /// The bytes there are not what was written.
    #[error("{}: offset {offset}: {what}", file.display())]
    Damaged { file: PathBuf, offset: u64, what: &'static str },
    /// A segment ends in the middle of a block, or before one that is known to have been written.
    #[error("{}: offset {offset}: the segment ends here, and a later segment follows", file.display())]
    CutInTheMiddle { file: PathBuf, offset: u64 },
    #[error("{}: segment {missing:010} is missing, and a later segment follows", dir.display())]
    MissingSegment { dir: PathBuf, missing: u64 },
    /// Only who may write may cut it ([`crate::journal::tail::cut_tail`]).
    #[error(
        "{}: offset {offset}: the last block is torn ({bytes} bytes of it are there): its tail must be cut before more is written",
        file.display()
    )]
    TornTail { file: PathBuf, offset: u64, bytes: u64 },
    #[error("{}: another process writes this journal", .0.display())]
    Locked(PathBuf),
    #[error("{}: already holds a journal", .0.display())]
    NotEmpty(PathBuf),
    #[error("{}: is a journal of {found} partitions, not of {asked}", dir.display())]
    Partitions { dir: PathBuf, asked: u32, found: u32 },
    #[error("{}: writer generation {asked} is not above that of the last writer, {found}", dir.display())]
    Generation { dir: PathBuf, asked: u64, found: u64 },
    #[error("{}: partition {partition} no longer reaches back to the position asked for", dir.display())]
    Gone { dir: PathBuf, partition: u32 },
    #[error("an event of {bytes} bytes does not fit into a segment of {limit}")]
    TooLarge { bytes: usize, limit: usize },
    /// The caller broke the contract of the writer.
    #[error("event cannot be written: {0}")]
    Unwritable(&'static str),
}

impl JournalError {
    pub(crate) fn io(path: impl Into<PathBuf>, action: &'static str) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { path, action, source }
    }
}
