//! The comparison of markets, beside the shards of a replay.
//!
//! Shards note the candles that they close, each with the place of the event that closed it in the merged stream; batch by
//! batch these are put into that order again, and compared: so the number of shards, the length of batches and the
//! order of files decide nothing. What is found goes into its instrument's log [`LAG`] batches later, so that nobody
//! waits for a shard that is a little behind; what is told of it names the event that closed its candle all the same.
//!
//! What a running engine found stands in its journal: its instruments are left out here. Nothing is noted at all
//! until some asset is met on two venues.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::analytics::across::comparison::Comparison;
use crate::analytics::across::found::Found;
use crate::analytics::pipeline::Settings;
use crate::domain::candle::Candle;
use crate::domain::closed::{Closed, Said};
use crate::domain::event::Event;
use crate::domain::interval::Interval;
use crate::domain::venue::Venue;
use crate::replay::merge::Inputs;
use crate::replay::recording::InputError;
use crate::replay::roster::{InstrumentIndex, Roster};

/// Batches between a candle and what is found of it: as many as wait for a shard.
pub const LAG: usize = 8;

/// A candle that was closed.
#[derive(Clone, Copy, Debug)]
pub struct Closing {
    /// Place of the event that closed it in its batch.
    order: u32,
    instrument: InstrumentIndex,
    closed: Closed,
}

/// Notes the candles that one shard closes.
#[derive(Debug)]
pub struct Closings {
    interval: Interval,
    /// Of the event that is taken.
    pub order: u32,
    pub noted: Vec<Closing>,
}

impl Closings {
    pub fn new(interval: Interval) -> Self {
        Self { interval, order: 0, noted: Vec::new() }
    }

    pub fn note(&mut self, instrument: InstrumentIndex, cause_seq: u64, candle: &Candle) {
        if candle.interval != self.interval || candle.revision > 0 {
            return;
        }
        let (close_at, said) = (candle.close_at, Said::of(candle));
        let closed = Closed { close_at, said, cause_seq, is_quiet: false, is_held: false };
        self.noted.push(Closing { order: self.order, instrument, closed });
    }
}

/// What goes into an instrument's log.
pub type Given = (InstrumentIndex, Event);

/// A batch that shards work off.
#[derive(Debug, Default)]
struct Pending {
    /// Parts of it that are not worked off.
    outstanding: usize,
    closings: Vec<Closing>,
}

/// The comparison, and the batches that it waits for.
#[derive(Debug)]
pub struct Across {
    comparison: Comparison,
    /// Venues of each asset.
    assets: BTreeMap<(String, String), BTreeSet<Venue>>,
    /// By instrument: whether it is compared here.
    members: Vec<bool>,
    is_on: bool,
    pending: VecDeque<Pending>,
    /// Number of the first of `pending`.
    first: u64,
}

impl Across {
    /// `None`: nothing is compared.
    pub fn new(settings: &Settings) -> Option<Self> {
        let plan = settings.intelligence.across.clone()?;
        Some(Self {
            comparison: Comparison::new(plan),
            assets: BTreeMap::new(),
            members: Vec::new(),
            is_on: false,
            pending: VecDeque::new(),
            first: 0,
        })
    }

    pub fn interval(&self) -> Interval {
        Interval::Time(self.comparison.plan().interval)
    }

    /// Looks at the instruments met so far; whether candles are to be noted from here on.
    pub fn meet(&mut self, inputs: &mut Inputs) -> Result<bool, InputError> {
        while self.members.len() < inputs.roster().len() {
            let index = InstrumentIndex(self.members.len() as u32);
            let instrument = inputs.roster().get(index).0.clone();
            let is_member = !inputs.is_compared_already(index)?;
            self.members.push(is_member);
            if is_member {
                let venues = self.assets.entry(self.comparison.plan().asset(&instrument)).or_default();
                venues.insert(instrument.venue().clone());
                self.is_on |= venues.len() > 1;
            }
        }
        Ok(self.is_on)
    }

    /// A batch begins; gives back its number.
    pub fn begin(&mut self) -> u64 {
        self.pending.push_back(Pending::default());
        self.first + self.pending.len() as u64 - 1
    }

    /// A part of the newest batch is on its way.
    pub fn sent(&mut self) {
        if let Some(pending) = self.pending.back_mut() {
            pending.outstanding += 1;
        }
    }

    /// A part of a batch is worked off.
    pub fn done(&mut self, batch: u64, mut closings: Vec<Closing>) {
        let at = batch.checked_sub(self.first).and_then(|at| usize::try_from(at).ok());
        if let Some(pending) = at.and_then(|at| self.pending.get_mut(at)) {
            pending.outstanding -= 1;
            pending.closings.append(&mut closings);
        }
    }

    /// All of the newest batch is worked off, if one began.
    pub fn done_last(&mut self, closings: Vec<Closing>) {
        if self.is_on {
            self.done(self.first + self.pending.len() as u64 - 1, closings);
        }
    }

    /// Whether the oldest batch has to be compared before the next begins.
    pub fn is_due(&self) -> bool {
        self.pending.len() >= LAG
    }

    /// Whether it can be; `None`: there is none.
    pub fn is_whole(&self) -> Option<bool> {
        self.pending.front().map(|pending| pending.outstanding == 0)
    }

    /// Compares the oldest batch.
    pub fn compare(&mut self, roster: &Roster) -> Vec<Given> {
        let Some(mut pending) = self.pending.pop_front() else { return Vec::new() };
        self.first += 1;
        // One event is one instrument's: what it closed stays in its order.
        pending.closings.sort_by_key(|closing| closing.order);
        let mut found = Vec::new();
        for Closing { instrument, closed, .. } in pending.closings {
            if self.members[instrument.0 as usize] {
                self.comparison.take(&roster.get(instrument).0, &closed, &mut found);
            }
        }
        given(found, roster)
    }

    /// All batches are compared, and nothing more comes.
    pub fn finish(&mut self, roster: &Roster) -> Vec<Given> {
        let mut found = Vec::new();
        self.comparison.finish(&mut found);
        given(found, roster)
    }
}

fn given(found: Vec<Found>, roster: &Roster) -> Vec<Given> {
    let index_of = |found: Found| {
        let index = roster.find(&found.instrument).expect("what is found is found of who was fed");
        (index, Event::Divergence(Box::new(found.divergence)))
    };
    found.into_iter().map(index_of).collect()
}
