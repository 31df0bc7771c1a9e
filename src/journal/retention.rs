//! Retention: finished segments are sealed, and the oldest go once they are no longer wanted.
//!
//! A segment goes only if the two last committed snapshots of every partition stand behind it, so that a
//! start never needs it; always the oldest first, so that no hole is left. The segment that is written to,
//! and the one before, are left alone.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::{Duration, SystemTime};

use crate::domain::output::Position;
use crate::journal::error::JournalError;
use crate::journal::outlet::sync_dir;
use crate::journal::reader::Reader;
use crate::journal::seal::seal;
use crate::journal::segment::SegmentFile;

/// How long segments are kept; whichever is reached first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keep {
    /// Since a segment was last written to.
    pub age: Option<Duration>,
    /// Of all segments together, as they stand on the disk.
    pub bytes: Option<u64>,
}

/// What was done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tidied {
    pub sealed: usize,
    pub removed: usize,
}

/// Seals what is finished and removes what is too old or too much. `covered`: up to where each partition no longer
/// needs the log ([`Snapshots::covered`](crate::journal::snapshots::Snapshots::covered)); as long as one is missing,
/// nothing goes. Takes as long as compressing a segment takes: for a thread that nobody waits for.
pub fn tidy(
    dir: &Path,
    keep: Keep,
    now: SystemTime,
    covered: &BTreeMap<u32, Position>,
) -> Result<Tidied, JournalError> {
    let mut tidied = Tidied::default();
    let files = SegmentFile::list(dir)?;
    let finished = files.len().saturating_sub(2);
    for file in files[..finished].iter().filter(|file| !file.compressed) {
        let written = written_at(&file.path)?;
        let sealed = seal(&file.path)?;
        // Its age is that of what it holds.
        let handle = fs::OpenOptions::new().write(true).open(&sealed);
        let dated = handle.and_then(|handle| handle.set_modified(written));
        dated.map_err(JournalError::io(&sealed, "date"))?;
        tidied.sealed += 1;
    }
    let files = SegmentFile::list(dir)?;
    let mut bytes = 0;
    for file in &files {
        bytes += fs::metadata(&file.path).map_err(JournalError::io(&file.path, "look at"))?.len();
    }
    for (file, next) in files[..finished].iter().zip(&files[1..]) {
        let length = fs::metadata(&file.path).map_err(JournalError::io(&file.path, "look at"))?.len();
        let age = now.duration_since(written_at(&file.path)?).unwrap_or_default();
        let unwanted = keep.age.is_some_and(|kept| age > kept) || keep.bytes.is_some_and(|kept| bytes > kept);
        if !unwanted || !is_covered(next, covered)? {
            break;
        }
        fs::remove_file(&file.path).map_err(JournalError::io(&file.path, "remove"))?;
        bytes -= length;
        tidied.removed += 1;
    }
    if tidied.removed > 0 {
        sync_dir(dir)?;
    }
    Ok(tidied)
}

/// Whether every partition's state knows all that stands before the segment.
fn is_covered(next: &SegmentFile, covered: &BTreeMap<u32, Position>) -> Result<bool, JournalError> {
    let Some(began) = Reader::began_all(next)? else { return Ok(false) };
    let reached: BTreeMap<u32, Position> = began.reached.into_iter().collect();
    Ok((0..began.partitions).all(|partition| {
        let known = covered.get(&partition);
        known.is_some_and(|known| reached.get(&partition).is_none_or(|at| at <= known))
    }))
}

fn written_at(path: &Path) -> Result<SystemTime, JournalError> {
    fs::metadata(path).and_then(|metadata| metadata.modified()).map_err(JournalError::io(path, "look at"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::event::Event;
    use crate::domain::instrument::Instrument;
    use crate::domain::time::UnixNanos;
    use crate::domain::venue::IdRule;
    use crate::journal::options::WriterOptions;
    use crate::journal::writer::Writer;

    #[test]
    fn only_what_is_unwanted_and_covered_goes() {
        let dir = tempfile::tempdir().unwrap();
        let options = WriterOptions {
            partitions: 1,
            segment_bytes_max: 4_000,
            block_bytes_max: 400,
            sync_segments: false,
            ..WriterOptions::default()
        };
        let mut writer = Writer::create(dir.path(), options).unwrap();
        let instrument: Instrument = "x:A-USD".parse().unwrap();
        let number = writer.define(&instrument, IdRule::Absent);
        for i in 0..1_500 {
            let at = UnixNanos(i);
            writer.append(number, &Event::Unwatched { from: at, to: at }).unwrap();
        }
        writer.flush().unwrap();
        let names = || SegmentFile::list(dir.path()).unwrap();
        let all = names();
        assert!(all.len() > 6);
        let written = written_at(&all[0].path).unwrap();
        let now = written;
        let nothing = Keep { age: None, bytes: Some(0) };
        let covered = |at: u64| BTreeMap::from([(0, Position(at))]);
        let tidied = tidy(dir.path(), nothing, now, &BTreeMap::new()).unwrap();
        assert_eq!((tidied.sealed, tidied.removed), (all.len() - 2, 0));
        assert_eq!(written_at(&names()[0].path).unwrap(), written);
        let generous = Keep { age: Some(Duration::from_secs(3_600)), bytes: Some(1 << 40) };
        assert_eq!(tidy(dir.path(), generous, now, &covered(1_500)).unwrap(), Tidied::default());
        let third = Reader::began_all(&names()[2]).unwrap().unwrap().reached[0].1;
        assert_eq!(tidy(dir.path(), nothing, now, &covered(third.0)).unwrap().removed, 2);
        let later = now + Duration::from_secs(3_700);
        assert_eq!(tidy(dir.path(), generous, later, &covered(1_500)).unwrap().removed, all.len() - 4);
        assert_eq!(names().len(), 2);
    }
}
