//! Where each gap began when it was first told: the time under which QuestDB knows it.
//!
//! The beginning of a gap moves as it is filled, and a row's time cannot. What was first told is kept in a
//! file, a line a gap, so that a restart goes on with the same rows. A gap that is no longer remembered (the
//! file is lost, or [`GAPS_MAX`] others came since) gets a second row. The file is written anew by a start, and where
//! some are forgotten.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use tracing::warn;

use crate::domain::output::GapId;
use crate::domain::time::UnixNanos;
use crate::storage::error::StorageError;

/// Gaps that are remembered; half of them, the oldest, are forgotten when there are more.
const GAPS_MAX: usize = 1 << 16;

#[derive(Debug)]
pub struct GapPlaces {
    path: PathBuf,
    places: BTreeMap<u64, i64>,
    file: File,
}

impl GapPlaces {
    pub fn open(path: &Path) -> Result<Self, StorageError> {
        let mut places = BTreeMap::new();
        if path.exists() {
            let text = fs::read(path).map_err(StorageError::io(path, "read"))?;
            // A line that was torn by the end of a process reads as nothing.
            for line in String::from_utf8_lossy(&text).lines() {
                if let Some((id, at)) = line.split_once(' ')
                    && let (Ok(id), Ok(at)) = (u64::from_str_radix(id, 16), at.parse())
                {
                    places.entry(id).or_insert(at);
                }
            }
        }
        forget(&mut places);
        let file = write_anew(path, &places)?;
        Ok(Self { path: path.to_owned(), places, file })
    }

    /// Where the gap began when it was first told; now, if it never was.
    pub fn place(&mut self, id: GapId, from: UnixNanos) -> UnixNanos {
        if let Some(at) = self.places.get(&id.0) {
            return UnixNanos(*at);
        }
        let has_forgotten = forget(&mut self.places);
        self.places.insert(id.0, from.0);
        let line = line(id.0, from.0);
        let written = match has_forgotten {
            true => write_anew(&self.path, &self.places).map(|file| self.file = file),
            false => self.file.write_all(line.as_bytes()).map_err(StorageError::io(&self.path, "write")),
        };
        if let Err(error) = written {
            warn!(%error, "where a gap began cannot be kept: after a restart it may get a second row");
        }
        from
    }
}

fn write_anew(path: &Path, places: &BTreeMap<u64, i64>) -> Result<File, StorageError> {
    let aside = path.with_extension("new");
    let lines: String = places.iter().map(|(id, at)| line(*id, *at)).collect();
    fs::write(&aside, lines).map_err(StorageError::io(&aside, "write"))?;
    fs::rename(&aside, path).map_err(StorageError::io(path, "write"))?;
    OpenOptions::new().append(true).open(path).map_err(StorageError::io(path, "open"))
}

fn line(id: u64, at: i64) -> String {
    format!("{id:016x} {at}\n")
}

/// Lets the older half go where there are too many; whether it was so.
fn forget(places: &mut BTreeMap<u64, i64>) -> bool {
    if places.len() < GAPS_MAX {
        return false;
    }
    let mut times: Vec<i64> = places.values().copied().collect();
    times.sort_unstable();
    let oldest_kept = times[times.len() / 2];
    places.retain(|_, at| *at >= oldest_kept);
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gaps_keep_their_place_over_restarts() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("gaps");
        for from in [5, 9, 7] {
            let mut places = GapPlaces::open(&path).unwrap();
            assert_eq!(places.place(GapId(u64::MAX), UnixNanos(from)), UnixNanos(5));
            assert_eq!(places.place(GapId(1), UnixNanos(6)), UnixNanos(6));
        }
        fs::write(&path, "ffffffffffffffff 5\n0000000000000001 6\n00000000000").unwrap();
        let mut places = GapPlaces::open(&path).unwrap();
        assert_eq!(places.place(GapId(1), UnixNanos(60)), UnixNanos(6));
        for id in 2..100_000 {
            places.place(GapId(id), UnixNanos(id as i64));
        }
        assert!(places.places.len() <= GAPS_MAX);
        assert!(fs::read_to_string(&path).unwrap().lines().count() <= GAPS_MAX);
        assert_eq!(places.place(GapId(99_999), UnixNanos(0)), UnixNanos(99_999));
    }
}
