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
use crate::domain::instrument::Instrument;
use crate::domain::output::{Output, OutputSink, Position};
use crate::domain::tally::Tally;
use crate::domain::time::UnixNanos;
use crate::engine::error::EngineError;
use crate::engine::rerun::{Player, Rerun, Step, begins_at_the_beginning};
use crate::engine::symbol::Symbol;
use crate::journal::entry::Entry;
use crate::journal::error::JournalError;
use crate::journal::kind::Kind;
use crate::journal::reader::{Reader, Tail};
use crate::journal::snapshots::Snapshots;

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

/// Where something that the replay tells comes from.
#[derive(Clone, Copy, Debug)]
pub struct Cause<'a> {
    pub instrument: &'a Instrument,
    pub partition: u32,
    pub at: Position,
    /// Accepted events of the instrument until then.
    pub seq: u64,
}

/// Hears what the replay tells, in the order of each instrument's log: to compare a store.
pub trait Witness {
    /// From the event at `from` on it hears all that the live run told of the instrument. What is told of later than
    /// `known_until` was not told before.
    fn begin(&mut self, instrument: &Instrument, from: Position, known_until: UnixNanos);

    fn hear(&mut self, cause: &Cause<'_>, output: &Output<'_>);
}

/// For where there is nothing to compare.
pub struct NoWitness;

impl Witness for NoWitness {
    fn begin(&mut self, _instrument: &Instrument, _from: Position, _known_until: UnixNanos) {}

    fn hear(&mut self, _cause: &Cause<'_>, _output: &Output<'_>) {}
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
    partition: u32,
    at: Position,
    is_heard: bool,
    witness: &'a mut W,
    outputs: &'a mut u64,
}

impl<W: Witness> OutputSink for Ear<'_, W> {
    #[inline]
    fn accept(&mut self, seq: u64, output: Output<'_>) {
        *self.outputs += 1;
        if self.is_heard {
            let (instrument, partition, at) = (self.instrument, self.partition, self.at);
            self.witness.hear(&Cause { instrument, partition, at, seq }, &output);
        }
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
    let mut states = BTreeMap::new();
    if !begins_at_the_beginning(journal)? {
        verified.from_snapshots = true;
        states = snapshots.oldest(settings.fingerprint())?;
    }
    let mut rerun = match Rerun::open(journal, snapshots.chunks(), settings, &states) {
        Err(JournalError::Gone { .. }) => {
            Rerun::open(journal, snapshots.chunks(), settings, &BTreeMap::new())?
        }
        other => other?,
    };
    let is_since =
        |partition: u32, at: Position| recorded.since.get(&partition).is_none_or(|since| at > *since);
    loop {
        let Verified { events, outputs, compared, difference, .. } = &mut verified;
        let more = rerun.next_block(|player, step| match step {
            Step::Take(at, event) => {
                *events += 1;
                if !player.marked && is_since(player.partition, at) {
                    player.marked = true;
                    witness.begin(&player.instrument, at, player.symbol.pipeline.newest_at());
                }
                let Player { instrument, partition, symbol, marked, .. } = player;
                let (partition, is_heard) = (*partition, *marked);
                symbol.take(at, event, &mut Ear { instrument, partition, at, is_heard, witness, outputs });
            }
            Step::Stated { at, upto, tally } => {
                let Player { instrument, symbol, .. } = player;
                // The live run states only what it has worked off.
                if is_since(player.partition, at) && upto >= symbol.done_at {
                    *compared += 1;
                    if symbol.tally != *tally && difference.is_none() {
                        *difference = Some(difference_of(instrument, symbol, tally));
                    }
                }
            }
        })?;
        if !more || verified.difference.is_some() {
            break;
        }
    }
    verified.instruments = rerun.players().len();
    verified.tail = Some(rerun.tail().clone());
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
