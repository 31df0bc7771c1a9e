//! The feed log as it lies on the disk, for whoever compares it: read once, from beginning to end, and nothing is
//! changed. What is being written meanwhile may be missing at its end.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use crate::domain::output::Position;
use crate::storage::feed_log::error::FeedLogError;
use crate::storage::feed_log::record::{END, Front, HOLE, MARKS, Record, front};
use crate::storage::feed_log::segment;

/// One message, as far as a comparison needs it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Logged {
    /// Place of the cause in its partition's log.
    pub at: Position,
    /// How many messages of the same cause came before it.
    pub ordinal: u32,
    pub seq: u64,
    /// Of its text: see [`hash`].
    pub hash: u64,
}

/// The messages of each instrument, in order.
#[derive(Debug, Default)]
pub struct Contents {
    pub messages: BTreeMap<String, Vec<Logged>>,
    /// Nothing was deleted for its age.
    pub from_the_beginning: bool,
    /// Numbers that were never told, or cannot be read.
    pub has_holes: bool,
}

/// Of the text of a message.
pub fn hash(body: &[u8]) -> u64 {
    let hash = blake3::hash(body);
    u64::from_le_bytes(hash.as_bytes()[..8].try_into().expect("a hash has 32 bytes"))
}

impl Contents {
    /// Of the log in `dir`; `None`: there is none. `wanted`: of messages of an instrument, which to keep.
    pub fn read(dir: &Path, wanted: impl Fn(&Record<'_>) -> bool) -> Result<Option<Self>, FeedLogError> {
        if !dir.is_dir() {
            return Ok(None);
        }
        let mut contents = Self { from_the_beginning: true, ..Self::default() };
        for first in segment::list(dir)? {
            let path = segment::path(dir, first);
            let bytes = fs::read(&path).map_err(FeedLogError::io("read", &path))?;
            contents.take(&bytes, &wanted);
        }
        Ok(Some(contents))
    }

    fn take(&mut self, bytes: &[u8], wanted: &impl Fn(&Record<'_>) -> bool) {
        let mut rest = bytes;
        loop {
            match front(rest) {
                Front::Whole(record, length) => {
                    match record.tag {
                        MARKS => {
                            let dropped = segment::dropped_through(record.body);
                            self.from_the_beginning &= dropped == Some(0);
                        }
                        HOLE => self.has_holes = true,
                        END => {}
                        _ if record.name.is_empty() || !wanted(&record) => {}
                        _ => {
                            let Record { at, ordinal, seq, body, .. } = record;
                            let logged = Logged { at, ordinal, seq, hash: hash(body) };
                            self.messages.entry(record.name.to_owned()).or_default().push(logged);
                        }
                    }
                    rest = &rest[length..];
                }
                Front::Short => return,
                Front::Damaged => {
                    self.has_holes = true;
                    return;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::feed_log::log::{FeedLog, FeedLogOptions};

    #[test]
    fn what_was_kept_is_found_by_instrument() {
        let dir = tempfile::tempdir().unwrap();
        assert!(Contents::read(&dir.path().join("none"), |_| true).unwrap().is_none());
        let options = FeedLogOptions { keep_bytes: u64::MAX, segment_bytes: 400 };
        let mut log = FeedLog::open(dir.path(), options).unwrap();
        for at in 0..20 {
            let seq = log.take_numbers(1).unwrap();
            let body = format!("{{\"seq\":{seq}}}");
            let name = ["a:B-C", "d:E-F"][at as usize % 2];
            let (at, body) = (Position(at), body.as_bytes());
            log.push(&Record { seq, at, ordinal: 0, tag: [1, 0, 0], name, body });
            log.commit().unwrap();
        }
        drop(log);
        let contents = Contents::read(dir.path(), |record| record.at != Position(4)).unwrap().unwrap();
        assert!(contents.from_the_beginning && !contents.has_holes);
        let places: Vec<_> = contents.messages["a:B-C"].iter().map(|logged| logged.at.0).collect();
        assert_eq!(places, [0, 2, 6, 8, 10, 12, 14, 16, 18]);
        assert_eq!(contents.messages["d:E-F"].len(), 10);
        let first = contents.messages["d:E-F"][0];
        assert_eq!(first.hash, hash(format!("{{\"seq\":{}}}", first.seq).as_bytes()));
    }
}
