//! How far QuestDB has what was told: a file beside the spool, for the next start.
//!
//! It counts for one server, and as long as the tables are there: where they had to be made, nothing is kept. Its first
//! line is the address, then a line for each partition, up to where it is surely kept, and one for each symbol, up to
//! where what it told was taken.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tracing::warn;

use crate::domain::output::Position;
use crate::domain::told::Roster;
use crate::runtime::clock::Stopwatch;
use crate::storage::progress::Progress;

/// Between two notes of how far each symbol is taken: a start sends again what came after the last.
const NOTE_EVERY: Duration = Duration::from_secs(1);

/// Up to where each partition is kept; shared with who asks for it.
pub type Positions = Arc<Mutex<BTreeMap<u32, Position>>>;

/// Up to where each partition and each symbol is kept, with whoever answers at `address`.
#[derive(Debug)]
pub struct Kept {
    path: PathBuf,
    address: String,
    roster: Roster,
    positions: Positions,
    /// As the file said at the start, by watch; zero: it did not.
    reached: Vec<Position>,
    /// What was taken since.
    progress: Progress,
    /// What stands in the file of it, by name.
    written: BTreeMap<String, Position>,
    noted: Stopwatch,
}

impl Kept {
    /// What the file says; nothing where there is none, or where it speaks of another server.
    pub fn open(path: &Path, address: &str, roster: &Roster) -> Self {
        let (mut positions, mut reached) = (BTreeMap::new(), vec![Position(0); roster.len()]);
        let text = fs::read_to_string(path).unwrap_or_default();
        let mut lines = text.lines();
        if lines.next() == Some(address) {
            for line in lines {
                let Some((name, at)) = line.split_once(' ') else { continue };
                let Ok(at) = at.parse().map(Position) else { continue };
                if let Ok(partition) = name.parse() {
                    positions.insert(partition, at);
                } else if let Some(watch) = name.parse().ok().and_then(|name| roster.find(&name)) {
                    reached[watch.0 as usize] = at;
                }
            }
        }
        let kept = Self {
            path: path.to_owned(),
            address: address.to_owned(),
            roster: roster.clone(),
            positions: Positions::new(positions.into()),
            progress: Progress::new(roster.len()),
            reached,
            written: BTreeMap::new(),
            noted: Stopwatch::start(),
        };
        // After a loss of power the journal may end before what a symbol's line says, and its places are given to
        // other events: such a line counts for one start.
        if kept.reached.iter().any(|at| *at > Position(0)) {
            kept.write();
        }
        kept
    }

    pub fn positions(&self) -> Positions {
        self.positions.clone()
    }

    pub fn reached(&self) -> &[Position] {
        &self.reached
    }

    /// Batches were taken.
    pub fn progress(&mut self) -> &mut Progress {
        &mut self.progress
    }

    /// More is kept. `is_whole`: all that was ever told was taken.
    pub fn advance(&mut self, covered: BTreeMap<u32, Position>, is_whole: bool) {
        let is_due = is_whole && self.noted.elapsed() >= NOTE_EVERY;
        if covered.is_empty() && !is_due {
            return;
        }
        self.lock().extend(covered);
        if is_whole {
            for (watch, at) in self.progress.changed() {
                self.written.insert(self.roster.instrument(watch).to_string(), at);
            }
            self.progress.written();
            self.noted = Stopwatch::start();
        }
        self.write();
    }

    /// The tables were not there.
    pub fn forget(&mut self) {
        self.reached.fill(Position(0));
        self.written.clear();
        self.progress = Progress::new(self.roster.len());
        let mut positions = self.lock();
        if !positions.is_empty() {
            positions.clear();
            drop(positions);
            self.write();
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<u32, Position>> {
        self.positions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is lost of it is told again, and changes nothing.
    fn write(&self) {
        let mut text = format!("{}\n", self.address);
        for (partition, at) in &*self.lock() {
            text.push_str(&format!("{partition} {}\n", at.0));
        }
        for (name, at) in &self.written {
            text.push_str(&format!("{name} {}\n", at.0));
        }
        let aside = self.path.with_extension("new");
        if let Err(error) = fs::write(&aside, text).and_then(|()| fs::rename(&aside, &self.path)) {
            warn!(path = %self.path.display(), %error, "what QuestDB has cannot be noted: the next start tells it again");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::history::trial::{batch, roster, telling, told_candle};

    fn positions(path: &Path, address: &str) -> BTreeMap<u32, Position> {
        Kept::open(path, address, &roster()).lock().clone()
    }

    #[test]
    fn it_counts_for_one_server() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("kept");
        let mut kept = Kept::open(&path, "127.0.0.1:9000", &roster());
        assert!(kept.lock().is_empty());
        kept.advance([(3, Position(7)), (4, Position(u64::MAX - 1))].into(), true);
        kept.advance([(3, Position(9))].into(), true);
        let all = BTreeMap::from([(3, Position(9)), (4, Position(u64::MAX - 1))]);
        assert_eq!(positions(&path, "127.0.0.1:9000"), all);
        assert!(positions(&path, "other:9000").is_empty());
        let text = fs::read_to_string(&path).unwrap();
        fs::write(&path, &text[..text.len() - 20]).unwrap();
        assert!(positions(&path, "127.0.0.1:9000").len() <= 2);
        kept.forget();
        assert!(positions(&path, "127.0.0.1:9000").is_empty());
    }

    #[test]
    fn a_symbols_line_counts_for_one_start() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("kept");
        let reached = |kept: &Kept| kept.reached().iter().map(|at| at.0).collect::<Vec<_>>();
        let open = || Kept::open(&path, "a:1", &roster());
        let mut kept = open();
        kept.progress().note(&batch(vec![telling(1, 5, told_candle(1, 0))]));
        kept.advance([(3, Position(7))].into(), false);
        assert_eq!(reached(&open()), [0, 0], "something was missing");
        kept.advance([(3, Position(8))].into(), true);
        kept.progress().note(&batch(vec![telling(0, 6, told_candle(1, 0))]));
        kept.advance(BTreeMap::new(), true);
        assert_eq!(reached(&open()), [0, 5], "the other is noted a second later");
        let mut second = open();
        assert_eq!(reached(&second), [0, 0]);
        second.advance([(3, Position(9))].into(), true);
        assert_eq!(reached(&open()), [0, 0]);
    }
}
