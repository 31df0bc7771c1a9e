//! What is missing of an instrument: holes in its ids and in the time that was watched.
//!
//! A hole runs from the last known trade before it to the first known after it, both
//! included; an interval that it touches is partial or unknown. A jump in the ids is
//! *suspected* at once (and counts as a hole) and *claimed* as a gap when it is still there
//! after [`CLAIM_AFTER_NANOS`]. A hole that is filled from its middle falls into pieces: the
//! first keeps the identity, the others are new.
//!
//! Stretches that no ids measure are gaps of their own kinds; nobody can fill them. The last [`STRETCHES_MAX`] are
//! remembered by name, for whoever counts or shows what is missing.
//!
//! Bounded: beyond [`HOLES_MAX`] holes, or [`STRETCHES_KNOWN_MAX`] stretches without ids, the oldest is forgotten. It
//! stays open for ever in what was told, nothing can fill it any more, and no interval up to its end becomes whole again.

use std::collections::{BTreeMap, VecDeque};

use crate::analytics::rolling::state::State;
use crate::domain::event::Unfillable;
use crate::domain::instrument::Instrument;
use crate::domain::output::{Gap, GapId, GapKind, GapState};
use crate::domain::time::{NANOS_PER_DAY, UnixNanos};

/// How long missing ids may come late before they are a gap.
pub const CLAIM_AFTER_NANOS: i64 = 500_000_000;
/// How long an unfillable gap is counted among those that are missing.
pub const UNFILLABLE_COUNTS_NANOS: i64 = NANOS_PER_DAY;
/// Holes in the ids of one instrument that are remembered.
pub const HOLES_MAX: usize = 65_536;
/// Deadlines that wait for holes, of which some are gone.
const SUSPECTS_MAX: usize = 2 * HOLES_MAX;
/// Stretches without ids whose intervals are known one by one.
pub const STRETCHES_KNOWN_MAX: usize = 65_536;
/// Stretches without ids that are remembered by name.
pub const STRETCHES_MAX: usize = 256;

/// A stretch of which no ids tell what is missing: why, and from which moment to which.
type Stretch = (GapKind, UnixNanos, UnixNanos);

/// A run of missing ids.
#[derive(Clone, Debug)]
struct Hole {
    last: u64,
    from: UnixNanos,
    to: UnixNanos,
    /// `None` while it is only suspected.
    claimed: Option<GapId>,
    /// The venue cannot give it: why, and when that was told. It is claimed then.
    unfillable: Option<(Unfillable, UnixNanos)>,
}

impl Hole {
    fn state(&mut self, state: &mut State<'_>) {
        state.word(&mut self.last);
        state.i64(&mut self.from.0);
        state.i64(&mut self.to.0);
        let mut claimed = self.claimed.map(|id| id.0);
        state.option_word(&mut claimed);
        self.claimed = claimed.map(GapId);
        let mut some = self.unfillable.is_some();
        state.bool(&mut some);
        self.unfillable = some.then(|| self.unfillable.unwrap_or((Unfillable::NotAtVenue, UnixNanos(0))));
        if let Some((reason, since)) = &mut self.unfillable {
            let mut at = Unfillable::ALL.iter().position(|one| one == reason).unwrap_or(0);
            state.index(&mut at, Unfillable::ALL.len() - 1);
            *reason = Unfillable::ALL[at];
            state.i64(&mut since.0);
        }
    }

    fn gap(&self, id: GapId, first: u64, state: GapState) -> Gap {
        Gap {
            id,
            kind: GapKind::Ids,
            first_missing_id: Some(first),
            last_missing_id: Some(self.last),
            from: self.from,
            to: self.to,
            state,
            reason: self.unfillable.map(|(reason, _)| reason).filter(|_| state == GapState::Unfillable),
        }
    }

    fn gap_state(&self) -> GapState {
        if self.unfillable.is_some() { GapState::Unfillable } else { GapState::Open }
    }
}

fn restored_holes(count: usize, state: &mut State<'_>) -> BTreeMap<u64, Hole> {
    let mut holes = BTreeMap::new();
    let mut before = None;
    for _ in 0..count {
        let mut first = 0;
        let (from, to) = (UnixNanos(0), UnixNanos(0));
        let mut hole = Hole { last: 0, from, to, claimed: None, unfillable: None };
        state.word(&mut first);
        hole.state(state);
        state.check(before.is_none_or(|last| last < first) && first <= hole.last, "holes overlap");
        before = Some(hole.last);
        holes.insert(first, hole);
    }
    holes
}

fn visit_pairs<A: Copy + Default, B: Copy + Default>(
    pairs: &mut VecDeque<(A, B)>,
    state: &mut State<'_>,
    each: impl Fn(&mut (A, B), &mut State<'_>),
) {
    let mut len = pairs.len();
    state.len(&mut len);
    pairs.resize(len, Default::default());
    pairs.iter_mut().for_each(|pair| each(pair, state));
}

/// Stretches of time, in order of their beginning; some may lie in others.
#[derive(Debug, Default)]
struct Spans {
    spans: VecDeque<(UnixNanos, UnixNanos)>,
    /// None is longer.
    longest_nanos: i64,
}

impl Spans {
    fn len(&self) -> usize {
        self.spans.len()
    }

    fn is_empty(&self) -> bool {
        self.spans.is_empty()
    }

    fn add(&mut self, from: UnixNanos, to: UnixNanos) {
        if self.spans.is_empty() {
            self.longest_nanos = 0;
        }
        let at = self.spans.partition_point(|span| *span <= (from, to));
        self.spans.insert(at, (from, to));
        self.longest_nanos = self.longest_nanos.max(to.0.saturating_sub(from.0));
    }

    fn remove(&mut self, from: UnixNanos, to: UnixNanos) {
        let at = self.spans.partition_point(|span| *span < (from, to));
        assert!(self.spans.get(at) == Some(&(from, to)), "every hole has its span");
        self.spans.remove(at);
    }

    /// Where it ended.
    fn remove_oldest(&mut self) -> UnixNanos {
        self.spans.pop_front().expect("there is one").1
    }

    /// Those that touch `[open, close)`, latest first.
    fn overlapping(
        &self,
        open: UnixNanos,
        close: UnixNanos,
    ) -> impl Iterator<Item = (UnixNanos, UnixNanos)> + '_ {
        let end = self.spans.partition_point(|span| span.0 < close);
        let earliest = open.0.saturating_sub(self.longest_nanos);
        self.spans
            .range(..end)
            .rev()
            .take_while(move |span| span.0.0 >= earliest)
            .filter(move |span| span.1 >= open)
            .copied()
    }

    fn state(&mut self, state: &mut State<'_>) {
        visit_pairs(&mut self.spans, state, |(from, to), state| {
            state.i64(&mut from.0);
            state.i64(&mut to.0);
        });
        if state.is_load() {
            state.check(self.spans.iter().is_sorted(), "stretches out of order");
            let lengths = self.spans.iter().map(|(from, to)| to.0.saturating_sub(from.0));
            self.longest_nanos = lengths.max().unwrap_or(0);
        }
    }
}

/// The stretch of time in which something may have changed for the candles.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dirty {
    pub from: UnixNanos,
    /// Included.
    pub to: UnixNanos,
}

impl Dirty {
    pub fn join(slot: &mut Option<Self>, from: UnixNanos, to: UnixNanos) {
        *slot = Some(match *slot {
            None => Self { from, to },
            Some(known) => Self { from: known.from.min(from), to: known.to.max(to) },
        });
    }
}

/// The holes of one instrument.
#[derive(Debug)]
pub struct Gaps {
    instrument: Instrument,
    /// By first missing id.
    holes: BTreeMap<u64, Hole>,
    /// (deadline, first missing id) of suspected holes, in order of deadline.
    suspects: VecDeque<(UnixNanos, u64)>,
    /// Extents of all holes.
    extents: Spans,
    /// What no hole in ids stands for any more, or ever did.
    shaded: Spans,
    /// Nothing that is missing ends later.
    latest: UnixNanos,
    /// Nothing up to here becomes whole again: what reached it was forgotten.
    forgotten_until: UnixNanos,
    /// No hole in ids up to here is remembered.
    forgotten_id: Option<u64>,
    /// A stretch without a listener that no trade has ended yet: (last known trade, listening again at).
    unwatched: Option<(UnixNanos, UnixNanos)>,
    /// The last stretches that were told, in order.
    stretches: VecDeque<Stretch>,
    /// To be told, in order.
    told: Vec<Gap>,
}

impl Gaps {
    /// Gaps that were told and are not filled, those aside that are unfillable for so long that
    /// nobody waits for them any more. Without ids they are so from the first.
    pub fn waited_for(&self, now: UnixNanos) -> usize {
        let is_recent = |since: UnixNanos| now.0.saturating_sub(since.0) < UNFILLABLE_COUNTS_NANOS;
        let waits = |hole: &&Hole| {
            hole.claimed.is_some() && hole.unfillable.is_none_or(|(_, since)| is_recent(since))
        };
        let stretches = self.stretches.iter().filter(|(_, _, to)| is_recent(*to)).count();
        self.holes.values().filter(waits).count() + stretches
    }

    pub fn new(instrument: Instrument) -> Self {
        Self {
            instrument,
            holes: BTreeMap::new(),
            suspects: VecDeque::new(),
            extents: Spans::default(),
            shaded: Spans::default(),
            latest: UnixNanos(i64::MIN),
            forgotten_until: UnixNanos(i64::MIN),
            forgotten_id: None,
            unwatched: None,
            stretches: VecDeque::new(),
            told: Vec::new(),
        }
    }

    /// Visits all that is known to be missing, and what is still to be told.
    pub fn state(&mut self, state: &mut State<'_>) {
        let mut holes = self.holes.len();
        state.index(&mut holes, HOLES_MAX);
        if state.is_load() {
            self.holes = restored_holes(holes, state);
        } else {
            for (first, hole) in &mut self.holes {
                state.word(&mut { *first });
                hole.state(state);
            }
        }
        visit_pairs(&mut self.suspects, state, |(deadline, first), state| {
            state.i64(&mut deadline.0);
            state.word(first);
        });
        if state.is_load() {
            self.extents = Spans::default();
            self.holes.values().for_each(|hole| self.extents.add(hole.from, hole.to));
        }
        self.shaded.state(state);
        state.i64(&mut self.latest.0);
        state.i64(&mut self.forgotten_until.0);
        state.option_word(&mut self.forgotten_id);
        let mut some = self.unwatched.is_some();
        state.bool(&mut some);
        self.unwatched = some.then(|| self.unwatched.unwrap_or((UnixNanos(0), UnixNanos(0))));
        if let Some((from, again)) = &mut self.unwatched {
            state.i64(&mut from.0);
            state.i64(&mut again.0);
        }
        let mut stretches = self.stretches.len();
        state.index(&mut stretches, STRETCHES_MAX);
        self.stretches.resize(stretches, (GapKind::Time, UnixNanos(0), UnixNanos(0)));
        for (kind, from, to) in &mut self.stretches {
            let mut is_reset = *kind == GapKind::Reset;
            state.bool(&mut is_reset);
            *kind = if is_reset { GapKind::Reset } else { GapKind::Time };
            state.i64(&mut from.0);
            state.i64(&mut to.0);
        }
        assert!(self.told.is_empty(), "between two events nothing waits to be told");
    }

    /// Whether any hole touches `[open, close)`.
    #[inline]
    pub fn touches(&self, open: UnixNanos, close: UnixNanos) -> bool {
        if open > self.latest && self.unwatched.is_none() {
            return false;
        }
        self.touches_slowly(open, close)
    }

    #[cold]
    fn touches_slowly(&self, open: UnixNanos, close: UnixNanos) -> bool {
        self.unwatched.is_some_and(|(from, _)| from < close)
            || open <= self.forgotten_until
            || self.overlapping(open, close).any(|_| true)
    }

    /// Spans that touch `[open, close)`.
    fn overlapping(
        &self,
        open: UnixNanos,
        close: UnixNanos,
    ) -> impl Iterator<Item = (UnixNanos, UnixNanos)> + '_ {
        self.extents.overlapping(open, close).chain(self.shaded.overlapping(open, close))
    }

    /// The spans that touch `[open, close)` as far as they lie in it, earliest first, joined where they overlap.
    pub fn shadows(&self, open: UnixNanos, close: UnixNanos) -> Vec<(UnixNanos, UnixNanos)> {
        let mut found: Vec<_> = self.overlapping(open, close).collect();
        if let Some((from, _)) = self.unwatched.filter(|(from, _)| *from < close) {
            found.push((from, UnixNanos(i64::MAX)));
        }
        if open <= self.forgotten_until {
            found.push((open, self.forgotten_until));
        }
        found.sort_unstable();
        let mut joined: Vec<(UnixNanos, UnixNanos)> = Vec::new();
        for (from, to) in found {
            let (from, to) = (from.max(open), to.min(UnixNanos(close.0 - 1)));
            match joined.last_mut() {
                Some(last) if from <= last.1 => last.1 = last.1.max(to),
                _ => joined.push((from, to)),
            }
        }
        joined
    }

    fn add_span(&mut self, from: UnixNanos, to: UnixNanos) {
        self.extents.add(from, to);
        self.latest = self.latest.max(to);
    }

    fn remove_span(&mut self, from: UnixNanos, to: UnixNanos) {
        self.extents.remove(from, to);
        if self.extents.is_empty() && self.shaded.is_empty() {
            self.latest = self.forgotten_until;
        }
    }

    /// The ids `first..=last` were skipped; `now` is the newest time known.
    pub fn suspect(&mut self, first: u64, last: u64, between: (UnixNanos, UnixNanos), now: UnixNanos) {
        let (from, to) = (between.0.min(between.1), between.0.max(between.1));
        self.holes.insert(first, Hole { last, from, to, claimed: None, unfillable: None });
        self.suspects.push_back((UnixNanos(now.0.saturating_add(CLAIM_AFTER_NANOS)), first));
        self.add_span(from, to);
        self.forget_oldest();
    }

    /// Forgets what is too much.
    fn forget_oldest(&mut self) {
        while self.holes.len() > HOLES_MAX
            && let Some((&oldest, _)) = self.holes.first_key_value()
        {
            if self.holes[&oldest].claimed.is_none() {
                self.claim(oldest);
            }
            let hole = self.holes.remove(&oldest).expect("the oldest hole is there");
            self.forgotten_until = self.forgotten_until.max(hole.to);
            self.forgotten_id = self.forgotten_id.max(Some(hole.last));
            self.remove_span(hole.from, hole.to);
            self.latest = self.latest.max(self.forgotten_until);
        }
        if self.suspects.len() > SUSPECTS_MAX {
            // Of most nothing is missing any more. That says nothing of those that are left.
            let holes = &self.holes;
            self.suspects.retain(|(_, first)| holes.get(first).is_some_and(|hole| hole.claimed.is_none()));
        }
    }

    /// Claims what was suspected long enough.
    #[inline]
    pub fn claim_due(&mut self, now: UnixNanos) {
        while let Some(&(deadline, first)) = self.suspects.front()
            && deadline <= now
        {
            self.suspects.pop_front();
            self.claim(first);
        }
    }

    /// Claims all that is suspected: nothing more will come.
    pub fn claim_all(&mut self) {
        self.claim_due(UnixNanos(i64::MAX));
    }

    #[cold]
    fn claim(&mut self, first: u64) {
        let Some(hole) = self.holes.get_mut(&first).filter(|hole| hole.claimed.is_none()) else {
            return; // filled in time, or in pieces that have deadlines of their own
        };
        let id = identity(&self.instrument, GapKind::Ids, &first.to_string());
        hole.claimed = Some(id);
        let hole = hole.clone();
        self.tell_ids(id, first, &hole, GapState::Open);
    }

    fn tell_ids(&mut self, id: GapId, first: u64, hole: &Hole, state: GapState) {
        self.told.push(hole.gap(id, first, state));
    }

    /// The gaps that were told and are not filled: those in ids, in order of id, then the last without.
    pub fn unfilled(&self) -> impl Iterator<Item = Gap> + '_ {
        let in_ids = |(first, hole): (&u64, &Hole)| Some(hole.gap(hole.claimed?, *first, hole.gap_state()));
        let stretches = self.stretches.iter().map(|stretch| self.gap_of(*stretch));
        self.holes.iter().filter_map(in_ids).chain(stretches)
    }

    /// Whether the id is missing.
    pub fn is_missing(&self, id: u64) -> bool {
        self.holes.range(..=id).next_back().is_some_and(|(_, hole)| hole.last >= id)
    }

    /// Whether an id that is not missing may have been so before it was forgotten.
    pub fn has_forgotten(&self, id: u64) -> bool {
        self.forgotten_id.is_some_and(|last| id <= last)
    }

    /// A missing id has arrived, of a trade at that time. `None`: it was not missing.
    pub fn fill(&mut self, id: u64, at: UnixNanos, dirty: &mut Option<Dirty>) -> Option<Filled> {
        let (&first, _) = self.holes.range(..=id).next_back().filter(|(_, hole)| hole.last >= id)?;
        let hole = self.holes.remove(&first).expect("found above");
        self.remove_span(hole.from, hole.to);
        Dirty::join(dirty, hole.from.min(at), hole.to.max(at));
        let mut keeps = hole.claimed;
        let piece = |a: UnixNanos, b: UnixNanos| (a.min(b), a.max(b));
        let mut remains = false;
        let pieces = [
            (first, id.wrapping_sub(1), first < id, piece(hole.from, at)),
            (id.wrapping_add(1), hole.last, id < hole.last, piece(at, hole.to)),
        ];
        for (from_id, to_id, exists, (from, to)) in pieces {
            if !exists {
                continue;
            }
            remains = true;
            self.add_span(from, to);
            // A trade that came from elsewhere does not make the venue give the others.
            let mut rest = Hole { last: to_id, from, to, claimed: None, unfillable: hole.unfillable };
            if hole.claimed.is_some() {
                let id = keeps
                    .take()
                    .unwrap_or_else(|| identity(&self.instrument, GapKind::Ids, &from_id.to_string()));
                rest.claimed = Some(id);
                self.tell_ids(id, from_id, &rest, rest.gap_state());
            } else if from_id != first {
                // The deadline of the whole still stands under its first id; the piece gets the same.
                let deadline = self.suspects.iter().find(|s| s.1 == first).map(|s| s.0);
                let deadline = deadline.unwrap_or(UnixNanos(at.0.saturating_add(CLAIM_AFTER_NANOS)));
                let position = self.suspects.partition_point(|s| s.0 <= deadline);
                self.suspects.insert(position, (deadline, from_id));
            }
            self.holes.insert(from_id, rest);
        }
        if let (Some(gap), false) = (hole.claimed, remains) {
            self.tell_ids(gap, first, &hole, GapState::Filled);
        }
        self.forget_oldest();
        Some(Filled { repaired: hole.claimed.is_some() })
    }

    /// The venue cannot give the ids `first..=last`: what of them is missing is told as unfillable. A
    /// hole that reaches beyond falls into pieces.
    pub fn give_up(&mut self, first: u64, last: u64, reason: Unfillable, now: UnixNanos) {
        let before = self.holes.range(..first).next_back().filter(|(_, hole)| hole.last >= first);
        let inside = self.holes.range(first..=last);
        let touched: Vec<u64> = before.into_iter().chain(inside).map(|(&first, _)| first).collect();
        for start in touched {
            let Some(hole) = self.holes.remove(&start) else { continue };
            if hole.unfillable.is_some_and(|(known, _)| known == reason) {
                self.holes.insert(start, hole);
                continue;
            }
            self.remove_span(hole.from, hole.to);
            let mut keeps = hole.claimed;
            let pieces = [
                (start, first.wrapping_sub(1), start < first, false),
                (start.max(first), hole.last.min(last), true, true),
                (last.wrapping_add(1), hole.last, last < hole.last, false),
            ];
            for (from_id, to_id, exists, given_up) in pieces {
                if !exists {
                    continue;
                }
                self.add_span(hole.from, hole.to);
                let mut piece = Hole { last: to_id, ..hole.clone() };
                if given_up {
                    piece.unfillable = Some((reason, now));
                }
                if given_up || hole.claimed.is_some() {
                    let named = || identity(&self.instrument, GapKind::Ids, &from_id.to_string());
                    let id = keeps.take().unwrap_or_else(named);
                    piece.claimed = Some(id);
                    self.tell_ids(id, from_id, &piece, piece.gap_state());
                } else if from_id != start {
                    self.suspects.push_back((UnixNanos(now.0.saturating_add(CLAIM_AFTER_NANOS)), from_id));
                }
                self.holes.insert(from_id, piece);
            }
        }
        self.forget_oldest();
    }

    /// The numbering started anew between these trades: what was missing can no longer be told by ids.
    pub fn reset(&mut self, from: UnixNanos, to: UnixNanos) {
        self.claim_all();
        self.holes.clear();
        self.forgotten_id = None;
        for (from, to) in std::mem::take(&mut self.extents).spans {
            self.shade(from, to);
        }
        let (from, to) = (from.min(to), from.max(to));
        self.shade(from, to);
        self.tell_stretch(GapKind::Reset, from, to);
    }

    /// Nobody listened until `again`; `last` is the newest trade known.
    pub fn unwatched(&mut self, last: UnixNanos, again: UnixNanos, dirty: &mut Option<Dirty>) {
        self.unwatched = Some(match self.unwatched {
            None => (last, again),
            Some((first, known)) => (first, known.max(again)),
        });
        Dirty::join(dirty, last, UnixNanos(i64::MAX));
    }

    /// A trade arrived at that time: the stretch without a listener ends with the first one after it.
    #[inline]
    pub fn heard(&mut self, at: UnixNanos, dirty: &mut Option<Dirty>) {
        if let Some((from, again)) = self.unwatched
            && at >= again
        {
            self.unwatched = None;
            self.shade(from, at);
            self.tell_stretch(GapKind::Time, from, at);
            Dirty::join(dirty, from, UnixNanos(i64::MAX));
        }
    }

    /// Nothing more will come: a stretch without a listener ends where listening began again.
    pub fn end(&mut self) {
        self.claim_all();
        if let Some((from, again)) = self.unwatched.take() {
            self.shade(from, again.max(from));
            self.tell_stretch(GapKind::Time, from, again.max(from));
        }
    }

    /// A stretch of time of which nothing is known, and which nobody calls a gap (missing ready candles).
    pub fn shade(&mut self, from: UnixNanos, to: UnixNanos) {
        self.shaded.add(from, to);
        if self.shaded.len() > STRETCHES_KNOWN_MAX {
            self.forgotten_until = self.forgotten_until.max(self.shaded.remove_oldest());
        }
        self.latest = self.latest.max(to).max(self.forgotten_until);
    }

    fn tell_stretch(&mut self, kind: GapKind, from: UnixNanos, to: UnixNanos) {
        let stretch = (kind, from, to);
        if self.stretches.len() == STRETCHES_MAX {
            self.stretches.pop_front();
        }
        self.stretches.push_back(stretch);
        self.told.push(self.gap_of(stretch));
    }

    fn gap_of(&self, (kind, from, to): Stretch) -> Gap {
        Gap {
            id: identity(&self.instrument, kind, &from.0.to_string()),
            kind,
            first_missing_id: None,
            last_missing_id: None,
            from,
            to,
            state: GapState::Open,
            reason: None,
        }
    }

    /// Before then a trade that follows on the last one neither ends nor claims anything.
    pub fn calm_until(&self) -> UnixNanos {
        if self.unwatched.is_some() || !self.told.is_empty() {
            return UnixNanos(i64::MIN);
        }
        self.suspects.front().map_or(UnixNanos(i64::MAX), |suspect| suspect.0)
    }

    /// What is to be told, in order.
    #[inline]
    pub fn take_told(&mut self) -> Option<Vec<Gap>> {
        if self.told.is_empty() { None } else { Some(std::mem::take(&mut self.told)) }
    }
}

/// What came of a trade that filled a hole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Filled {
    /// The hole had been claimed as a gap.
    pub repaired: bool,
}

fn identity(instrument: &Instrument, kind: GapKind, first: &str) -> GapId {
    let mut hasher = blake3::Hasher::new();
    for part in [instrument.venue().name(), instrument.symbol(), kind.name(), first] {
        hasher.update(part.as_bytes());
        hasher.update(&[0]);
    }
    let hash = hasher.finalize();
    GapId(u64::from_be_bytes(hash.as_bytes()[..8].try_into().expect("a hash has 32 bytes")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gaps() -> Gaps {
        Gaps::new("binance:BTC-USDT".parse().unwrap())
    }

    fn told(gaps: &mut Gaps) -> Vec<String> {
        let line = |gap: Gap| {
            let ids = gap.first_missing_id.zip(gap.last_missing_id);
            let ids = ids.map_or("-".to_owned(), |(a, b)| format!("{a}..{b}"));
            format!("{} {ids} {}-{} {}", gap.kind.name(), gap.from.0, gap.to.0, gap.state.name())
        };
        gaps.take_told().unwrap_or_default().into_iter().map(line).collect()
    }

    const S: i64 = 1_000_000_000;

    #[test]
    fn a_jump_is_a_gap_only_when_it_lasts() {
        let mut gaps = gaps();
        gaps.suspect(5, 7, (UnixNanos(S), UnixNanos(2 * S)), UnixNanos(2 * S));
        assert!(gaps.touches(UnixNanos(2 * S), UnixNanos(3 * S)));
        assert!(gaps.touches(UnixNanos(0), UnixNanos(S + 1)));
        assert!(!gaps.touches(UnixNanos(0), UnixNanos(S)));
        assert!(!gaps.touches(UnixNanos(2 * S + 1), UnixNanos(3 * S)));
        gaps.claim_due(UnixNanos(2 * S + 499_999_999));
        assert_eq!(told(&mut gaps), [""; 0]);
        let mut dirty = None;
        assert_eq!(gaps.fill(6, UnixNanos(S + 5), &mut dirty), Some(Filled { repaired: false }));
        assert_eq!(dirty, Some(Dirty { from: UnixNanos(S), to: UnixNanos(2 * S) }));
        gaps.claim_due(UnixNanos(2 * S + 500_000_000));
        assert_eq!(
            told(&mut gaps),
            ["ids 5..5 1000000000-1000000005 open", "ids 7..7 1000000005-2000000000 open"]
        );
    }

    #[test]
    fn a_claimed_gap_shrinks_and_the_first_piece_keeps_its_name() {
        let mut gaps = gaps();
        gaps.suspect(5, 9, (UnixNanos(10), UnixNanos(90)), UnixNanos(90));
        gaps.claim_all();
        let whole = gaps.take_told().unwrap()[0].id;
        gaps.fill(5, UnixNanos(20), &mut None);
        let shrunk = gaps.take_told().unwrap();
        assert_eq!((shrunk.len(), shrunk[0].id, shrunk[0].first_missing_id), (1, whole, Some(6)));
        gaps.fill(8, UnixNanos(70), &mut None);
        let pieces = gaps.take_told().unwrap();
        assert_eq!(pieces.len(), 2);
        assert_eq!((pieces[0].id, pieces[0].last_missing_id), (whole, Some(7)));
        assert_ne!(pieces[1].id, whole);
        assert!(!gaps.touches(UnixNanos(0), UnixNanos(20)));
        gaps.fill(9, UnixNanos(80), &mut None);
        assert_eq!(told(&mut gaps), ["ids 9..9 70-90 filled"]);
        gaps.fill(6, UnixNanos(30), &mut None);
        gaps.fill(7, UnixNanos(40), &mut None);
        assert_eq!(told(&mut gaps), ["ids 7..7 30-70 open", "ids 7..7 30-70 filled"]);
        assert!(!gaps.touches(UnixNanos(0), UnixNanos(1_000)));
        assert!(!gaps.is_missing(7));
    }

    #[test]
    fn whoever_goes_on_from_a_snapshot_knows_what_is_unfilled() {
        let mut before = gaps();
        before.suspect(5, 9, (UnixNanos(10), UnixNanos(90)), UnixNanos(90));
        assert_eq!(before.unfilled().count(), 0, "it is only suspected");
        before.claim_all();
        let told = before.take_told().unwrap();
        let mut words = Vec::new();
        before.state(&mut State::Save(&mut words));
        let (mut after, mut state) = (gaps(), State::load(&words));
        after.state(&mut state);
        assert_eq!(state.finish(), Ok(()));
        assert_eq!(after.unfilled().collect::<Vec<_>>(), told);
    }

    #[test]
    fn stretches_without_ids_are_known_after_a_restart_and_counted_for_a_day() {
        let mut before = gaps();
        before.unwatched(UnixNanos(10), UnixNanos(50), &mut None);
        before.heard(UnixNanos(60), &mut None);
        before.reset(UnixNanos(70), UnixNanos(90));
        let all = before.take_told().unwrap();
        let mut words = Vec::new();
        before.state(&mut State::Save(&mut words));
        let mut after = gaps();
        let mut state = State::load(&words);
        after.state(&mut state);
        state.finish().unwrap();
        assert_eq!(after.unfilled().collect::<Vec<_>>(), all);
        assert_eq!(all.iter().map(|gap| gap.kind).collect::<Vec<_>>(), [GapKind::Time, GapKind::Reset]);
        let day = |nanos| UnixNanos(UNFILLABLE_COUNTS_NANOS + nanos);
        for (now, count) in [(UnixNanos(90), 2), (day(59), 2), (day(60), 1), (day(90), 0)] {
            assert_eq!((before.waited_for(now), after.waited_for(now)), (count, count), "{now}");
        }
        for i in 0..2 * STRETCHES_MAX as i64 {
            after.reset(UnixNanos(100 + i), UnixNanos(101 + i));
        }
        assert_eq!(after.unfilled().count(), STRETCHES_MAX);
        assert_eq!(after.take_told().map(|told| told.len()), Some(2 * STRETCHES_MAX));
    }

    #[test]
    fn what_the_venue_cannot_give_is_told_with_its_reason_and_may_still_come() {
        let mut gaps = gaps();
        let now = UnixNanos(NANOS_PER_DAY);
        gaps.suspect(5, 9, (UnixNanos(10), UnixNanos(90)), UnixNanos(90));
        gaps.suspect(20, 22, (UnixNanos(95), UnixNanos(99)), UnixNanos(99));
        gaps.claim_due(UnixNanos(90 + CLAIM_AFTER_NANOS));
        let whole = gaps.take_told().unwrap()[0].id;
        gaps.give_up(6, 21, Unfillable::OutOfReach, now);
        let told_now = gaps.told.clone();
        let reasons: Vec<_> = told_now.iter().map(|gap| gap.reason).collect();
        assert_eq!(reasons, [None, Some(Unfillable::OutOfReach), Some(Unfillable::OutOfReach)]);
        assert_eq!((told_now[0].id, told_now[1].id == whole), (whole, false));
        assert_eq!(
            told(&mut gaps),
            ["ids 5..5 10-90 open", "ids 6..9 10-90 unfillable", "ids 20..21 95-99 unfillable"]
        );
        gaps.give_up(6, 9, Unfillable::OutOfReach, now);
        assert_eq!(told(&mut gaps), [""; 0]);
        assert!(gaps.touches(UnixNanos(50), UnixNanos(51)));
        // What was only suspected is claimed in its own time.
        gaps.claim_due(UnixNanos(now.0 + CLAIM_AFTER_NANOS));
        assert_eq!(told(&mut gaps), ["ids 22..22 95-99 open"]);
        assert_eq!(gaps.waited_for(UnixNanos(now.0 + UNFILLABLE_COUNTS_NANOS - 1)), 4);
        assert_eq!(gaps.waited_for(UnixNanos(now.0 + UNFILLABLE_COUNTS_NANOS)), 2);
        gaps.fill(7, UnixNanos(50), &mut None);
        // A trade that came from elsewhere: what is left is as little to be had as before.
        let left = gaps.told.clone();
        assert!(left.iter().all(|gap| gap.reason == Some(Unfillable::OutOfReach)), "{left:?}");
        assert_eq!(told(&mut gaps), ["ids 6..6 10-50 unfillable", "ids 8..9 50-90 unfillable"]);
        assert_eq!(gaps.waited_for(UnixNanos(now.0 + UNFILLABLE_COUNTS_NANOS)), 2, "and counted no longer");
        gaps.give_up(0, u64::MAX, Unfillable::Refused, now);
        assert_eq!(gaps.take_told().unwrap().len(), 5);
        for (id, at) in [(5, 20), (6, 30), (8, 60), (9, 70), (20, 96), (21, 97), (22, 98)] {
            assert_eq!(gaps.fill(id, UnixNanos(at), &mut None), Some(Filled { repaired: true }));
        }
        assert_eq!((gaps.waited_for(now), gaps.extents.len()), (0, 0));
    }

    #[test]
    fn shadows_are_joined_and_cut() {
        let mut gaps = gaps();
        for (from, to) in [(10, 20), (15, 40), (60, 70), (0, 5)] {
            gaps.shade(UnixNanos(from), UnixNanos(to));
        }
        let shadows = gaps.shadows(UnixNanos(4), UnixNanos(65));
        let shadows: Vec<_> = shadows.iter().map(|(a, b)| (a.0, b.0)).collect();
        assert_eq!(shadows, [(4, 5), (10, 40), (60, 64)]);
    }

    #[test]
    fn memory_is_bounded_and_what_is_forgotten_stays_doubtful() {
        let mut gaps = gaps();
        for i in 0..=HOLES_MAX as u64 {
            let at = UnixNanos(i.cast_signed() * 10);
            gaps.suspect(2 * i, 2 * i, (at, UnixNanos(at.0 + 5)), at);
        }
        assert_eq!(gaps.holes.len(), HOLES_MAX);
        assert_eq!(gaps.fill(0, UnixNanos(2), &mut None), None);
        assert!(gaps.touches(UnixNanos(0), UnixNanos(5)));
        let told = gaps.take_told().unwrap();
        assert_eq!((told[0].first_missing_id, told[0].state), (Some(0), GapState::Open));
    }

    #[test]
    fn stretches_without_ids_are_bounded_and_those_that_are_forgotten_stay_doubtful() {
        let mut gaps = gaps();
        let known = STRETCHES_KNOWN_MAX as i64;
        let at = |i: i64| UnixNanos(i * 10);
        for i in 0..known + 3 {
            gaps.unwatched(at(i), UnixNanos(at(i).0 + 1), &mut None);
            gaps.heard(UnixNanos(at(i).0 + 5), &mut None);
            gaps.take_told();
        }
        assert_eq!(gaps.shaded.len(), STRETCHES_KNOWN_MAX);
        // Between those that are known it was listened to; between the others nobody knows any more.
        let between = |i: i64| gaps.touches(UnixNanos(at(i).0 + 6), UnixNanos(at(i).0 + 9));
        assert!(gaps.touches(at(1), UnixNanos(at(1).0 + 5)) && between(0) && between(1));
        assert!(!between(2) && gaps.touches(at(3), at(4)) && !between(3) && !between(known + 1));
        assert_eq!(
            gaps.shadows(at(0), at(4)),
            [(at(0), UnixNanos(at(2).0 + 5)), (at(3), UnixNanos(at(3).0 + 5))]
        );
        let mut words = Vec::new();
        gaps.state(&mut State::Save(&mut words));
        let (mut after, mut state) = (Gaps::new(gaps.instrument.clone()), State::load(&words));
        after.state(&mut state);
        assert_eq!(state.finish(), Ok(()));
        assert_eq!(after.shadows(at(0), at(known)), gaps.shadows(at(0), at(known)));
    }

    #[test]
    fn a_hole_that_falls_into_pieces_is_bounded_too() {
        let mut gaps = gaps();
        let ids = 2 * HOLES_MAX as u64 + 10;
        gaps.suspect(1, ids, (UnixNanos(10), UnixNanos(20)), UnixNanos(20));
        gaps.claim_all();
        for id in (2..ids).step_by(2) {
            assert!(gaps.fill(id, UnixNanos(15), &mut None).is_some());
        }
        assert_eq!((gaps.holes.len(), gaps.extents.len()), (HOLES_MAX, HOLES_MAX));
        assert!(gaps.is_missing(ids - 1) && gaps.has_forgotten(1));
    }

    #[test]
    fn what_was_in_ids_stays_missing_after_a_reset() {
        let mut gaps = gaps();
        gaps.suspect(5, 9, (UnixNanos(10), UnixNanos(20)), UnixNanos(20));
        gaps.reset(UnixNanos(40), UnixNanos(50));
        gaps.suspect(105, 105, (UnixNanos(60), UnixNanos(70)), UnixNanos(70));
        gaps.fill(105, UnixNanos(65), &mut None);
        let touched =
            [(10, 11), (21, 40), (45, 46), (60, 71)].map(|(a, b)| gaps.touches(UnixNanos(a), UnixNanos(b)));
        assert_eq!(touched, [true, false, true, false]);
    }

    #[test]
    fn deadlines_are_bounded_where_time_stands_still() {
        let mut gaps = gaps();
        for id in 1..=2 * SUSPECTS_MAX as u64 {
            gaps.suspect(2 * id, 2 * id, (UnixNanos(10), UnixNanos(10)), UnixNanos(10));
            gaps.fill(2 * id, UnixNanos(10), &mut None);
        }
        gaps.suspect(1, 1, (UnixNanos(10), UnixNanos(10)), UnixNanos(10));
        assert!(gaps.suspects.len() <= SUSPECTS_MAX);
        gaps.claim_all();
        assert_eq!(told(&mut gaps), ["ids 1..1 10-10 open"]);
    }

    #[test]
    fn a_stretch_without_a_listener_ends_with_the_first_trade_after_it() {
        let mut gaps = gaps();
        gaps.unwatched(UnixNanos(10), UnixNanos(50), &mut None);
        assert!(gaps.touches(UnixNanos(60), UnixNanos(70)));
        gaps.heard(UnixNanos(40), &mut None);
        assert_eq!(told(&mut gaps), [""; 0]);
        gaps.heard(UnixNanos(65), &mut None);
        assert_eq!(told(&mut gaps), ["time - 10-65 open"]);
        assert!(!gaps.touches(UnixNanos(66), UnixNanos(70)));
    }
}
