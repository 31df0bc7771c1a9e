//! A journal computed again, beside a running engine or without one: what `verify` compares, and what a sink
//! that lags is told again.
//!
//! From the beginning, or from states of the partitions; a partition without one is computed from what there is.
//! Nothing is changed on the disk, but what the symbols put aside, which goes to the chunks of the
//! snapshots that were given.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use crate::analytics::pipeline::Settings;
use crate::domain::event::Event;
use crate::domain::instrument::Instrument;
use crate::domain::output::Position;
use crate::domain::tally::Tally;
use crate::domain::venue::IdRule;
use crate::engine::symbol::Symbol;
use crate::journal::catch_up::CatchUp;
use crate::journal::chunks::Chunks;
use crate::journal::entry::{Entry, Listed};
use crate::journal::error::JournalError;
use crate::journal::reader::Tail;
use crate::journal::segment::SegmentFile;
use crate::journal::snapshots::{PartitionState, SymbolState};

/// A symbol on its way through the journal.
pub struct Player<'s> {
    pub instrument: Instrument,
    pub partition: u32,
    pub symbol: Symbol<'s>,
    /// It goes on from a state: what it told before is not told here.
    pub from_state: bool,
    /// For whoever plays it; `false` at first.
    pub marked: bool,
}

/// What the journal says of one symbol.
pub enum Step<'a> {
    /// The next event of its log.
    Take(Position, &'a Event),
    /// The live run had told so much because of events up to `upto`; stated at `at`.
    Stated { at: Position, upto: Position, tally: &'a Tally },
}

/// A journal, and the symbols that it is computed by.
pub struct Rerun<'s> {
    reading: CatchUp,
    seats: Seats<'s>,
}

struct Seats<'s> {
    settings: &'s Settings,
    chunks: Arc<Chunks>,
    players: Vec<Player<'s>>,
    of_instrument: BTreeMap<Instrument, usize>,
    /// By the reader's number; `None`: nothing is wanted of its partition.
    of_number: Vec<Option<usize>>,
    unwanted: BTreeSet<u32>,
    of_partition: BTreeMap<u32, Vec<usize>>,
}

impl<'s> Rerun<'s> {
    /// `states`: where partitions begin; those that are not named begin with the first entry that there is. Nothing is
    /// computed of one that begins at `Position(u64::MAX)`.
    ///
    /// # Errors
    ///
    /// [`JournalError::Gone`] where a state is older than the journal reaches back.
    pub fn open(
        journal: &Path,
        chunks: &Arc<Chunks>,
        settings: &'s Settings,
        states: &BTreeMap<u32, PartitionState>,
    ) -> Result<Self, JournalError> {
        let after = states.values().map(|state| (state.partition, state.position)).collect();
        let reading = CatchUp::open(journal, after)?;
        let mut seats = Seats {
            settings,
            chunks: chunks.clone(),
            players: Vec::new(),
            of_instrument: BTreeMap::new(),
            of_number: Vec::new(),
            unwanted: after_all(states),
            of_partition: BTreeMap::new(),
        };
        // All of them before the first entry: ticks reach a symbol that says nothing itself.
        for state in states.values() {
            for own in &state.symbols {
                seats.seat(state.partition, &own.instrument, own.rule, Some(own));
            }
        }
        Ok(Self { reading, seats })
    }

    /// Those met so far.
    pub fn players(&self) -> &[Player<'s>] {
        &self.seats.players
    }

    /// How the journal ends: only true once all was read.
    pub fn tail(&self) -> &Tail {
        self.reading.tail()
    }

    /// Hands on the next block, step by step; whoever gets a [`Step::Take`] lets the symbol take it. `false`:
    /// there are no more blocks.
    pub fn next_block(
        &mut self,
        mut each: impl FnMut(&mut Player<'s>, Step<'_>),
    ) -> Result<bool, JournalError> {
        let Self { reading, seats } = self;
        let skips = reading.skips();
        reading.next_block(|instruments, entry| {
            seats.number_all(instruments);
            let Seats { players, of_number, of_partition, .. } = seats;
            match entry {
                Entry::Event { instrument, at, event } => {
                    let Some(seat) = of_number[instrument.0 as usize] else { return };
                    each(&mut players[seat], Step::Take(at, &event));
                }
                Entry::Tick { venue_at, partitions } => {
                    for (partition, at) in partitions {
                        for &seat in of_partition.get(&partition).into_iter().flatten() {
                            if skips.has_tick(&players[seat].instrument, at) {
                                continue;
                            }
                            each(&mut players[seat], Step::Take(at, &Event::Tick { venue_at }));
                        }
                    }
                }
                Entry::Outputs { instrument, at, upto, tally } => {
                    let Some(seat) = of_number[instrument.0 as usize] else { return };
                    each(&mut players[seat], Step::Stated { at, upto, tally: &tally });
                }
                Entry::Config { .. }
                | Entry::Version { .. }
                | Entry::Skipped { .. }
                | Entry::Closed { .. }
                | Entry::SkippedTick { .. } => {}
            }
        })
    }
}

impl Seats<'_> {
    fn number_all(&mut self, instruments: &[Listed]) {
        for listed in &instruments[self.of_number.len()..] {
            let seat = match self.of_instrument.get(&listed.instrument) {
                Some(seat) => Some(*seat),
                None if self.unwanted.contains(&listed.partition) => None,
                None => Some(self.seat(listed.partition, &listed.instrument, listed.rule, None)),
            };
            self.of_number.push(seat);
        }
    }

    fn seat(
        &mut self,
        partition: u32,
        instrument: &Instrument,
        rule: IdRule,
        own: Option<&SymbolState>,
    ) -> usize {
        // What it says of itself stands before the state as well as behind.
        let at = Position::default();
        let restored = own.and_then(|own| Symbol::restore(own, at, self.settings, &self.chunks).ok());
        let from_state = restored.is_some();
        let symbol =
            restored.unwrap_or_else(|| Symbol::new(instrument.clone(), rule, self.settings, &self.chunks));
        let seat = self.players.len();
        self.of_partition.entry(partition).or_default().push(seat);
        self.of_instrument.insert(instrument.clone(), seat);
        let instrument = instrument.clone();
        self.players.push(Player { instrument, partition, symbol, from_state, marked: false });
        seat
    }
}

/// Partitions of which nothing is wanted.
fn after_all(states: &BTreeMap<u32, PartitionState>) -> BTreeSet<u32> {
    let last = Position(u64::MAX);
    states.values().filter(|state| state.position == last).map(|state| state.partition).collect()
}

/// Whether the journal still holds its first segment.
pub fn begins_at_the_beginning(journal: &Path) -> Result<bool, JournalError> {
    let files = SegmentFile::list(journal)?;
    Ok(files.first().is_none_or(|first| first.number == Some(1)))
}
