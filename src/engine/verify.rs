//! Verifying: a replay of a live data directory's journal, held against what the live run said it had told.
//!
//! Every so often, and when it stops, a live run journals for each instrument how many outputs it has told and a
//! hash of them all. The replay computes the same from the events alone. Where the oldest segments are gone
//! it begins at the oldest snapshots, whose tallies count on. Nothing is changed on the disk.
//!
//! The configuration is the last recorded one: a start under another configuration computes everything anew, so
//! that only what was said since then can be held against it. The same goes for another version of the engine.

use std::collections::BTreeMap;
use std::path::Path;

use crate::analytics::pipeline::Settings;
use crate::domain::event::Event;
use crate::domain::instrument::Instrument;
use crate::domain::output::{Output, OutputSink, Position};
use crate::domain::tally::Tally;
use crate::engine::error::EngineError;
use crate::engine::symbol::Symbol;
use crate::journal::catch_up::CatchUp;
use crate::journal::entry::Entry;
use crate::journal::error::JournalError;
use crate::journal::kind::Kind;
use crate::journal::reader::{Reader, Tail};
use crate::journal::segment::SegmentFile;
use crate::journal::snapshots::{PartitionState, Snapshots};

/// What was compared.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verified {
    pub instruments: usize,
    pub events: u64,
    pub outputs: u64,
    /// Statements of the live run that were held against the replay.
    pub compared: u64,
    /// The first that differed.
    pub difference: Option<Difference>,
    /// The replay began at snapshots, for older segments are gone.
    pub from_snapshots: bool,
    pub tail: Option<Tail>,
}

/// Live and replay told different things.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{instrument}: seq {seq}: the live run had told {live} outputs until then (hash {live_hash}), the replay tells {replayed} (hash {replayed_hash})"
)]
pub struct Difference {
    pub instrument: Instrument,
    /// Accepted events of the instrument until then.
    pub seq: u64,
    pub live: u64,
    pub live_hash: String,
    pub replayed: u64,
    pub replayed_hash: String,
}

/// Hears what the replay tells, instrument by instrument: to compare a store.
pub trait Witness {
    fn hear(&mut self, instrument: &Instrument, cause_seq: u64, output: &Output<'_>);
}

/// For where there is nothing to compare.
pub struct NoWitness;

impl Witness for NoWitness {
    fn hear(&mut self, _instrument: &Instrument, _cause_seq: u64, _output: &Output<'_>) {}
}

/// What the journal says of how it was made.
pub struct Recorded {
    /// The last configuration, TOML.
    pub config: Option<String>,
    /// Statements before are of another configuration or version.
    since: BTreeMap<u32, Position>,
}

impl Recorded {
    /// Reads the configurations and versions of the journal.
    pub fn of(journal: &Path) -> Result<Self, EngineError> {
        let mut reader = Reader::open(journal)?.only(&[Kind::Config, Kind::Version]);
        let (mut config, mut version) = (None, None);
        let mut since = BTreeMap::new();
        while let Some(entry) = reader.next_entry()? {
            let (known, text, partitions) = match entry {
                Entry::Config { toml, partitions } => (&mut config, toml, partitions),
                Entry::Version { version: text, partitions } => (&mut version, text, partitions),
                _ => continue,
            };
            if known.as_ref() != Some(&text) {
                *known = Some(text);
                since.extend(partitions);
            }
        }
        Ok(Self { config, since })
    }
}

struct Ear<'a, W> {
    instrument: &'a Instrument,
    witness: &'a mut W,
    outputs: &'a mut u64,
}

impl<W: Witness> OutputSink for Ear<'_, W> {
    #[inline]
    fn accept(&mut self, cause_seq: u64, output: Output<'_>) {
        *self.outputs += 1;
        self.witness.hear(self.instrument, cause_seq, &output);
    }
}

/// Replays the journal under `settings`, which are those of `recorded`.
pub fn verify(
    journal: &Path,
    snapshots: &Snapshots,
    settings: &Settings,
    recorded: &Recorded,
    witness: &mut impl Witness,
) -> Result<Verified, EngineError> {
    let mut verified = Verified::default();
    let mut states: BTreeMap<u32, PartitionState> = BTreeMap::new();
    let mut reading = if begins_at_the_beginning(journal)? {
        CatchUp::open(journal, BTreeMap::new())?
    } else {
        verified.from_snapshots = true;
        states = snapshots.oldest(settings.fingerprint())?;
        let after = states.values().map(|state| (state.partition, state.position)).collect();
        match CatchUp::open(journal, after) {
            Err(JournalError::Gone { .. }) => {
                states.clear();
                CatchUp::open(journal, BTreeMap::new())?
            }
            other => other?,
        }
    };
    let mut symbols: Vec<(Instrument, Symbol<'_>)> = Vec::new();
    let mut of_partition: BTreeMap<u32, Vec<usize>> = BTreeMap::new();
    loop {
        let more = reading.next_block(|instruments, entry| {
            for listed in &instruments[symbols.len()..] {
                let state = states.get(&listed.partition);
                let own = state.and_then(|state| {
                    let own = state.symbols.iter().find(|own| own.instrument == listed.instrument)?;
                    // What it says of itself stands before the snapshot as well as behind.
                    Symbol::restore(own, Position::default(), settings, snapshots.chunks()).ok()
                });
                let symbol = own.unwrap_or_else(|| {
                    Symbol::new(listed.instrument.clone(), listed.rule, settings, snapshots.chunks())
                });
                of_partition.entry(listed.partition).or_default().push(symbols.len());
                symbols.push((listed.instrument.clone(), symbol));
            }
            let Verified { events, outputs, compared, difference, .. } = &mut verified;
            let mut take = |(instrument, symbol): &mut (Instrument, Symbol<'_>), at, event: &Event| {
                *events += 1;
                let mut ear = Ear { instrument, witness, outputs };
                symbol.take(at, event, &mut ear);
            };
            match entry {
                Entry::Event { instrument, at, event } => {
                    take(&mut symbols[instrument.0 as usize], at, &event);
                }
                Entry::Tick { venue_at, partitions } => {
                    for (partition, at) in partitions {
                        for &number in of_partition.get(&partition).into_iter().flatten() {
                            take(&mut symbols[number], at, &Event::Tick { venue_at });
                        }
                    }
                }
                Entry::Outputs { instrument, at, upto, tally } => {
                    let (name, symbol) = &symbols[instrument.0 as usize];
                    let since = recorded.since.get(&instruments[instrument.0 as usize].partition);
                    // The live run states only what it has worked off.
                    if since.is_none_or(|since| at > *since) && upto >= symbol.done_at {
                        *compared += 1;
                        if symbol.tally != tally && difference.is_none() {
                            *difference = Some(difference_of(name, symbol, &tally));
                        }
                    }
                }
                Entry::Config { .. } | Entry::Version { .. } | Entry::Skipped { .. } => {}
            }
        })?;
        if !more || verified.difference.is_some() {
            break;
        }
    }
    verified.instruments = symbols.len();
    verified.tail = Some(reading.tail().clone());
    Ok(verified)
}

fn difference_of(instrument: &Instrument, symbol: &Symbol<'_>, live: &Tally) -> Difference {
    let hash = |tally: &Tally| format!("{:016x}{:016x}", tally.hash[1], tally.hash[0]);
    Difference {
        instrument: instrument.clone(),
        seq: symbol.pipeline.seq(),
        live: live.count,
        live_hash: hash(live),
        replayed: symbol.tally.count,
        replayed_hash: hash(&symbol.tally),
    }
}

/// Whether the journal still holds its first segment.
fn begins_at_the_beginning(journal: &Path) -> Result<bool, EngineError> {
    let files = SegmentFile::list(journal)?;
    Ok(files.first().is_none_or(|first| first.number == Some(1)))
}
