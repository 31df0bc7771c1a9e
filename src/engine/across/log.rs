//! The comparison's own log: closed candles in the order in which they are compared, and snapshots of what it remembers.
//!
//! A journal like the shards', of one partition, in a folder of its own: what stands in it is read by the same code.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use tracing::{info, warn};

use crate::analytics::across::comparison::Comparison;
use crate::analytics::across::found::Found;
use crate::analytics::across::plan::AcrossPlan;
use crate::domain::closed::Closed;
use crate::domain::instrument::Instrument;
use crate::domain::output::Position;
use crate::domain::tally::Tally;
use crate::domain::venue::{IdRule, Venue};
use crate::engine::error::EngineError;
use crate::journal::catch_up::CatchUp;
use crate::journal::entry::Entry;
use crate::journal::error::JournalError;
use crate::journal::options::WriterOptions;
use crate::journal::retention::{self, Keep};
use crate::journal::segment::SegmentFile;
use crate::journal::snapshots::{PartitionState, Snapshots, SymbolState};
use crate::journal::tail;
use crate::journal::writer::Writer;
use crate::runtime::clock;

/// Its one partition.
const PARTITION: u32 = 0;
/// Rises with every change of what a comparison saves, or of what follows from it.
const STATE_VERSION: u32 = 1;
/// Of the log, beyond what the snapshots need: some months of a hundred markets.
const KEEP_BYTES: u64 = 64 << 20;

/// The log, open for writing.
pub struct StageLog {
    journal: PathBuf,
    writer: Writer,
    snapshots: Snapshots,
    fingerprint: u64,
}

/// A log, and what it makes of the comparison.
pub struct Opened {
    pub log: StageLog,
    pub comparison: Comparison,
    /// Found since the last snapshot: perhaps handed over already.
    pub found: Vec<Found>,
}

impl StageLog {
    /// Opens the log in `dir`, a new one where there is none.
    pub fn open(dir: &Path, plan: &AcrossPlan) -> Result<Opened, EngineError> {
        let journal = dir.join("journal");
        std::fs::create_dir_all(&journal).map_err(EngineError::io(&journal, "make"))?;
        if let Some(cut) = tail::cut_tail(&journal)? {
            warn!(file = %cut.file.display(), offset = cut.offset, bytes = cut.bytes, "torn tail of the comparison's log cut");
        }
        let snapshots = Snapshots::open(&dir.join("snapshots"))?;
        let fingerprint = fingerprint(plan);
        let options = WriterOptions { partitions: 1, ..WriterOptions::default() };
        let (mut comparison, mut found) = (Comparison::new(plan.clone()), Vec::new());
        let mut writer = if SegmentFile::list(&journal)?.is_empty() {
            Writer::create(&journal, options)?
        } else {
            (comparison, found) = read(&journal, &snapshots, plan, fingerprint)?;
            Writer::open(&journal, options)?
        };
        // What was found under other settings is not handed over again.
        writer.append_config(&settings(plan), &[PARTITION])?;
        writer.flush()?;
        Ok(Opened { log: Self { journal, writer, snapshots, fingerprint }, comparison, found })
    }

    /// Makes instruments known, before the first candle of any: those of one shard may be told long before another's.
    pub fn meet<'a>(
        &mut self,
        comparison: &mut Comparison,
        instruments: impl Iterator<Item = &'a Instrument>,
    ) -> Result<(), JournalError> {
        for instrument in instruments {
            self.append(instrument, &Closed::MEETING)?;
            comparison.take(instrument, &Closed::MEETING, &mut Vec::new());
        }
        self.flush()
    }

    /// Appends a candle; in the kernel once [`Self::flush`] has returned.
    pub fn append(&mut self, instrument: &Instrument, closed: &Closed) -> Result<(), JournalError> {
        let number = self.writer.define(instrument, IdRule::Absent);
        self.writer.append_closed(number, closed).map(|_| ())
    }

    pub fn flush(&mut self) -> Result<(), JournalError> {
        self.writer.flush()
    }

    pub fn sync(&mut self) -> Result<(), JournalError> {
        self.writer.sync()
    }

    /// Keeps what the comparison remembers after all that was appended, and lets go of what is no longer needed.
    pub fn snapshot(&mut self, comparison: &mut Comparison) -> Result<(), JournalError> {
        self.writer.sync()?;
        let mut words = Vec::new();
        comparison.save(&mut words);
        let symbol = SymbolState {
            instrument: name(),
            rule: IdRule::Absent,
            tally: Tally::default(),
            words,
            chunks: Vec::new(),
        };
        let state = PartitionState {
            partition: PARTITION,
            position: self.writer.position(PARTITION),
            generation: self.writer.generation(),
            fingerprint: self.fingerprint,
            symbols: vec![symbol],
        };
        self.snapshots.begin(&state)?.commit()?;
        let since_1970 = u64::try_from(clock::now().0).unwrap_or_default();
        let now = SystemTime::UNIX_EPOCH + Duration::from_nanos(since_1970);
        let covered = self.snapshots.covered(self.fingerprint)?;
        let keep = Keep { age: None, bytes: Some(KEEP_BYTES) };
        retention::tidy(&self.journal, keep, now, &covered).map(|_| ())
    }
}

/// What it is called among the symbols of its snapshots: no venue has that name.
fn name() -> Instrument {
    let venue = Venue::new("across").expect("the name is well-formed");
    Instrument::new(venue, "ALL-CLOSES").expect("the name is well-formed")
}

/// One line that differs where something else may be found.
fn settings(plan: &AcrossPlan) -> String {
    format!("{} {} alerts_per_day={}", plan.model, plan.canonical(), plan.alerts_per_day)
}

fn fingerprint(plan: &AcrossPlan) -> u64 {
    let hash = blake3::hash(format!("{STATE_VERSION}|{}", settings(plan)).as_bytes());
    u64::from_le_bytes(hash.as_bytes()[..8].try_into().expect("a hash has 32 bytes"))
}

/// The comparison after the last entry, and what it found since the snapshot.
fn read(
    journal: &Path,
    snapshots: &Snapshots,
    plan: &AcrossPlan,
    fingerprint: u64,
) -> Result<(Comparison, Vec<Found>), EngineError> {
    let saved = snapshots.newest(PARTITION, fingerprint)?;
    for fault in saved.refused {
        warn!(%fault, "snapshot of the comparison refused");
    }
    let restored = saved.newest.and_then(|state| {
        let words = &state.symbols.first()?.words;
        Some((Comparison::restore(plan.clone(), words).ok()?, state.position))
    });
    let mut is_same = restored.is_some();
    let (mut comparison, after) =
        restored.unwrap_or_else(|| (Comparison::new(plan.clone()), Position::default()));
    let mut reading = match CatchUp::open(journal, BTreeMap::from([(PARTITION, after)])) {
        Err(JournalError::Gone { .. }) => {
            warn!(
                "the comparison's log no longer reaches back to its beginning: it learns from what there is"
            );
            CatchUp::open(journal, BTreeMap::new())?
        }
        other => other?,
    };
    let (mut found, mut candles, settings) = (Vec::new(), 0_u64, settings(plan));
    while reading.next_block(|instruments, entry| match entry {
        Entry::Closed { instrument, closed, .. } => {
            candles += 1;
            let before = found.len();
            comparison.take(&instruments[instrument.0 as usize].instrument, &closed, &mut found);
            if !is_same {
                found.truncate(before);
            }
        }
        Entry::Config { toml, .. } => is_same = toml == settings,
        _ => {}
    })? {}
    info!(candles, found = found.len(), "comparison goes on from its log");
    Ok((comparison, found))
}
