//! How far QuestDB has what was told: a file beside the spool, for the next start.
//!
//! It counts for one server, and as long as the tables are there: where they had to be made, nothing is kept.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use tracing::warn;

use crate::domain::output::Position;

/// Up to where each partition is kept, with whoever answers at `address`.
#[derive(Debug)]
pub struct Kept {
    path: PathBuf,
    address: String,
    positions: BTreeMap<u32, Position>,
}

impl Kept {
    /// What the file says; nothing where there is none, or where it speaks of another server.
    pub fn open(path: &Path, address: &str) -> Self {
        let mut positions = BTreeMap::new();
        let text = fs::read_to_string(path).unwrap_or_default();
        let mut lines = text.lines();
        if lines.next() == Some(address) {
            for line in lines {
                if let Some((partition, at)) = line.split_once(' ')
                    && let (Ok(partition), Ok(at)) = (partition.parse(), at.parse())
                {
                    positions.insert(partition, Position(at));
                }
            }
        }
        Self { path: path.to_owned(), address: address.to_owned(), positions }
    }

    pub fn positions(&self) -> &BTreeMap<u32, Position> {
        &self.positions
    }

    /// More is kept.
    pub fn advance(&mut self, covered: BTreeMap<u32, Position>) {
        if !covered.is_empty() {
            self.positions.extend(covered);
            self.write();
        }
    }

    /// The tables were not there.
    pub fn forget(&mut self) {
        if !self.positions.is_empty() {
            self.positions.clear();
            self.write();
        }
    }

    /// What is lost of it is told again, and changes nothing.
    fn write(&self) {
        let lines = self.positions.iter().map(|(partition, at)| format!("{partition} {}\n", at.0));
        let text: String = std::iter::once(format!("{}\n", self.address)).chain(lines).collect();
        let aside = self.path.with_extension("new");
        if let Err(error) = fs::write(&aside, text).and_then(|()| fs::rename(&aside, &self.path)) {
            warn!(path = %self.path.display(), %error, "what QuestDB has cannot be noted: the next start tells it again");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_counts_for_one_server() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("kept");
        let mut kept = Kept::open(&path, "127.0.0.1:9000");
        assert!(kept.positions().is_empty());
        kept.advance([(3, Position(7)), (4, Position(u64::MAX - 1))].into());
        kept.advance([(3, Position(9))].into());
        let all = BTreeMap::from([(3, Position(9)), (4, Position(u64::MAX - 1))]);
        assert_eq!(Kept::open(&path, "127.0.0.1:9000").positions(), &all);
        assert!(Kept::open(&path, "other:9000").positions().is_empty());
        let text = fs::read_to_string(&path).unwrap();
        fs::write(&path, &text[..text.len() - 20]).unwrap();
        assert!(Kept::open(&path, "127.0.0.1:9000").positions().len() <= 2);
        kept.forget();
        assert!(Kept::open(&path, "127.0.0.1:9000").positions().is_empty());
    }
}
