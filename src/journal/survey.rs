//! What a journal holds, at a glance: before its entries are read.
//!
//! Replay needs some things ahead of the entries: the instruments, the configuration, which
//! events to pass over. A survey walks from block header to block header and reads only the
//! blocks that tell these; trades are counted, not read, and damage inside of them stays for
//! the reading to find.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::domain::output::Position;
use crate::journal::entry::{Entry, Listed};
use crate::journal::error::JournalError;
use crate::journal::kind::Kind;
use crate::journal::reader::{Reader, Tail};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Survey {
    /// In the order in which a [`Reader`] numbers them.
    pub instruments: Vec<Listed>,
    /// The last configuration told to any partition, TOML.
    pub config: Option<String>,
    /// Each version of the engine that wrote here, in order.
    pub versions: Vec<String>,
    /// Quarantined events, by partition and position.
    pub skipped: BTreeSet<(u32, Position)>,
    /// Records of each kind of event.
    pub counts: BTreeMap<Kind, u64>,
    pub segments: u64,
    /// Unpacked.
    pub bytes: u64,
    pub tail: Tail,
}

impl Survey {
    /// Of a directory of segments, or one segment.
    pub fn of(path: &Path) -> Result<Self, JournalError> {
        let mut reader = Reader::open(path)?.only(&[Kind::Config, Kind::Version, Kind::Skipped]);
        let (mut config, mut versions, mut skipped) = (None, Vec::new(), BTreeSet::new());
        while let Some(block) = reader.next_block()? {
            block.for_each(|entry| match entry {
                Entry::Config { toml, .. } => config = Some(toml),
                Entry::Version { version, .. } => {
                    if versions.last() != Some(&version) {
                        versions.push(version);
                    }
                }
                Entry::Skipped { partition, skipped: at, .. } => {
                    skipped.insert((partition, at));
                }
                Entry::Event { .. }
                | Entry::Tick { .. }
                | Entry::Outputs { .. }
                | Entry::Closed { .. }
                | Entry::SkippedTick { .. } => {}
            })?;
        }
        let (counts, segments, bytes) = reader.passed();
        Ok(Self {
            counts,
            segments,
            bytes,
            instruments: reader.instruments().to_vec(),
            config,
            versions,
            skipped,
            tail: reader.tail().clone(),
        })
    }
}
