//! The ledger: which trades are new, which are known, which ids are missing.
//!
//! Where ids are contiguous a run of seen ids and its holes say all, however far back; where
//! they are not, the last [`REMEMBERED`] ids are remembered; a trade without an id is never a
//! duplicate. The first of an id wins: a copy that differs is a conflict, which is noticed
//! for the last [`REMEMBERED`] ids and is a plain duplicate beyond.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasherDefault, Hasher};

use crate::analytics::ahead::want_items;
use crate::analytics::gaps::{Dirty, Gaps};
use crate::analytics::rolling::nouns::{blank_trade, visit_trade};
use crate::analytics::rolling::state::State;
use crate::domain::event::{Trade, TradeId};
use crate::domain::output::{Position, Refusal};
use crate::domain::time::UnixNanos;
use crate::domain::venue::IdRule;

/// Ids whose trades are remembered well enough to tell a conflicting copy.
pub const REMEMBERED: usize = 2_048;
/// An id that far from all others is not believed before a second one confirms it.
pub const REACH: u64 = 1_000_000;

/// What the ledger says of a trade.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// New. `repaired`: it filled a gap that had been claimed.
    Accepted {
        repaired: bool,
    },
    /// Known already.
    Duplicate,
    /// Its id is known, of a different trade.
    Conflicting,
    /// Its id is out of reach: it waits for the next trade.
    Held,
    Refused(Refusal),
}

/// A trade whose id was out of reach, and what became of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Release {
    pub trade: Trade,
    pub at: Position,
    /// The numbering started anew with it: it comes before the trade that confirmed it.
    pub confirmed: bool,
}

/// The ids of one instrument.
#[derive(Debug)]
pub struct Ledger {
    rule: IdRule,
    numbers: Option<Numbers>,
    /// Where ids are not contiguous.
    recent: Box<RecentIds>,
    held: Option<Box<(Trade, Position)>>,
}

/// A run of contiguous ids, holes kept elsewhere.
#[derive(Debug)]
struct Numbers {
    low: u64,
    high: u64,
    low_at: UnixNanos,
    high_at: UnixNanos,
    /// Of the trade whose id has the slot as its remainder; valid for accepted ids above `high - REMEMBERED`.
    fingerprints: Box<[u32; REMEMBERED]>,
}

impl Ledger {
    pub fn new(rule: IdRule) -> Self {
        Self { rule, numbers: None, recent: Box::default(), held: None }
    }

    /// Whether missing ids tell what is missing.
    pub fn counts_ids(&self) -> bool {
        self.rule == IdRule::Contiguous
    }

    /// The highest id seen, where ids are contiguous.
    pub fn last_id(&self) -> Option<u64> {
        self.numbers.as_ref().filter(|_| self.counts_ids()).map(|numbers| numbers.high)
    }

    /// Whether a trade waits to be confirmed.
    pub fn holds(&self) -> bool {
        self.held.is_some()
    }

    /// Asks for what it will use for so many trades.
    pub fn want(&self, trades: usize) {
        if let Some(numbers) = &self.numbers {
            let first = (numbers.high as usize).wrapping_add(1) % REMEMBERED;
            want_items(&numbers.fingerprints[first..(first + trades).min(REMEMBERED)]);
        }
    }

    /// Visits all that is remembered. A ledger of another rule is none that can go on here.
    pub fn state(&mut self, state: &mut State<'_>) {
        let rules = [IdRule::Contiguous, IdRule::Sparse, IdRule::Absent];
        let mut rule = rules.iter().position(|rule| *rule == self.rule).unwrap_or(0);
        state.index(&mut rule, rules.len() - 1);
        state.check(rules[rule] == self.rule, "ids of another rule");
        let mut some = self.numbers.is_some();
        state.bool(&mut some);
        if some {
            self.numbers.get_or_insert_with(Numbers::blank).state(state);
        } else {
            self.numbers = None;
        }
        self.recent.state(state);
        let mut some = self.held.is_some();
        state.bool(&mut some);
        if some {
            let held = self.held.get_or_insert_with(|| Box::new((blank_trade(), Position::default())));
            visit_trade(&mut held.0, state);
            state.word(&mut held.1.0);
        } else {
            self.held = None;
        }
    }

    /// Takes the next id of a contiguous run. `false`: the trade is another one, and nothing has changed.
    /// Asked only while no trade waits to be confirmed.
    #[inline]
    pub fn follow(&mut self, trade: &Trade) -> bool {
        if let (Some(numbers), TradeId::Number(id)) = (&mut self.numbers, &trade.id)
            && numbers.high.checked_add(1) == Some(*id)
        {
            numbers.extend(*id, trade);
            return true;
        }
        false
    }

    /// Looks at a trade. `now` is the newest time known, this trade included.
    #[inline]
    pub fn admit(
        &mut self,
        trade: &Trade,
        at: Position,
        now: UnixNanos,
        gaps: &mut Gaps,
        dirty: &mut Option<Dirty>,
    ) -> Admission {
        // The common case.
        if self.held.is_none() && self.follow(trade) {
            return Admission::Accepted { repaired: false };
        }
        match (self.rule, &trade.id) {
            (IdRule::Contiguous, TradeId::Number(id)) => self.admit_number(*id, trade, at, now, gaps, dirty),
            (IdRule::Contiguous, _) | (IdRule::Sparse, TradeId::Absent) => {
                Admission::Refused(Refusal::IdMissing)
            }
            (IdRule::Sparse | IdRule::Absent, TradeId::Number(id)) => self.recent.admit(*id, trade),
            (IdRule::Sparse | IdRule::Absent, TradeId::Text(text)) => {
                let hash = blake3::hash(text.as_bytes());
                let key = u64::from_le_bytes(hash.as_bytes()[..8].try_into().expect("a hash has 32 bytes"));
                self.recent.admit(key, trade)
            }
            (IdRule::Absent, TradeId::Absent) => Admission::Accepted { repaired: false },
        }
    }

    fn admit_number(
        &mut self,
        id: u64,
        trade: &Trade,
        at: Position,
        now: UnixNanos,
        gaps: &mut Gaps,
        dirty: &mut Option<Dirty>,
    ) -> Admission {
        let Some(numbers) = &mut self.numbers else {
            self.numbers = Some(Numbers::start(id, trade));
            return Admission::Accepted { repaired: false };
        };
        if id > numbers.high {
            if id - numbers.high > REACH {
                return self.hold(trade, at);
            }
            if id - numbers.high > 1 {
                let between = (numbers.high_at, trade.exchange_at);
                gaps.suspect(numbers.high + 1, id - 1, between, now);
                Dirty::join(dirty, between.0.min(between.1), between.0.max(between.1));
            }
            numbers.extend(id, trade);
            return Admission::Accepted { repaired: false };
        }
        if id < numbers.low {
            if numbers.low - id > REACH {
                return self.hold(trade, at);
            }
            if numbers.low - id > 1 {
                let between = (trade.exchange_at, numbers.low_at);
                gaps.suspect(id + 1, numbers.low - 1, between, now);
                Dirty::join(dirty, between.0.min(between.1), between.0.max(between.1));
            }
            numbers.low = id;
            numbers.low_at = trade.exchange_at;
            numbers.remember(id, trade);
            return Admission::Accepted { repaired: false };
        }
        if let Some(filled) = gaps.fill(id, trade.exchange_at, dirty) {
            numbers.remember(id, trade);
            return Admission::Accepted { repaired: filled.repaired };
        }
        if gaps.has_forgotten(id) {
            return Admission::Refused(Refusal::GapForgotten);
        }
        if numbers.conflicts(id, trade) { Admission::Conflicting } else { Admission::Duplicate }
    }

    fn hold(&mut self, trade: &Trade, at: Position) -> Admission {
        if let Some(held) = self.held.as_ref().filter(|held| held.0.id == trade.id) {
            let same = fingerprint(&held.0) == fingerprint(trade);
            return if same { Admission::Duplicate } else { Admission::Conflicting };
        }
        self.held = Some(Box::new((trade.clone(), at)));
        Admission::Held
    }

    /// What becomes of the held trade now that another one is there: asked before that one is admitted.
    pub fn release(&mut self, next: &Trade) -> Option<Release> {
        let held = self.held.as_ref()?;
        let (TradeId::Number(held_id), TradeId::Number(id)) = (&held.0.id, &next.id) else {
            return None; // a trade without a number is refused, and confirms nothing
        };
        if id == held_id {
            return None; // a copy of the held trade confirms nothing
        }
        let near = |a: u64, b: u64| a.abs_diff(b) <= REACH;
        let known = self
            .numbers
            .as_ref()
            .is_some_and(|n| (n.low..=n.high).contains(id) || near(*id, n.low) || near(*id, n.high));
        let confirmed = !known && near(*id, *held_id);
        let (trade, at) = *self.held.take()?;
        Some(Release { trade, at, confirmed })
    }

    /// The held trade, for the recording is at its end and nothing confirmed it.
    pub fn give_up(&mut self) -> Option<Release> {
        let (trade, at) = *self.held.take()?;
        Some(Release { trade, at, confirmed: false })
    }

    /// Starts the numbering anew with a confirmed trade.
    pub fn restart(&mut self, trade: &Trade, gaps: &mut Gaps, dirty: &mut Option<Dirty>) {
        if let (Some(numbers), TradeId::Number(id)) = (&self.numbers, &trade.id) {
            let (from, to) = (numbers.high_at, trade.exchange_at);
            gaps.reset(from, to);
            Dirty::join(dirty, from.min(to), from.max(to));
            self.numbers = Some(Numbers::start(*id, trade));
        }
    }
}

impl Numbers {
    fn start(id: u64, trade: &Trade) -> Self {
        let (low_at, high_at) = (trade.exchange_at, trade.exchange_at);
        let mut numbers = Self { low: id, high: id, low_at, high_at, ..Self::blank() };
        numbers.remember(id, trade);
        numbers
    }

    fn blank() -> Self {
        Self {
            low: 0,
            high: 0,
            low_at: UnixNanos(0),
            high_at: UnixNanos(0),
            fingerprints: vec![0; REMEMBERED].try_into().expect("the vector has the length of the array"),
        }
    }

    fn state(&mut self, state: &mut State<'_>) {
        state.word(&mut self.low);
        state.word(&mut self.high);
        state.i64(&mut self.low_at.0);
        state.i64(&mut self.high_at.0);
        state.check(self.low <= self.high, "lowest id above the highest");
        // Two a word; those that were never given stay out.
        let mut seen = (self.high.saturating_sub(self.low) as usize).saturating_add(1).min(REMEMBERED);
        let first = self.high.wrapping_add(1).wrapping_sub(seen as u64) as usize;
        let mut at = first;
        while seen > 0 {
            let (a, b) = (at % REMEMBERED, at.wrapping_add(1) % REMEMBERED);
            let mut word = u64::from(self.fingerprints[a]);
            if seen > 1 {
                word |= u64::from(self.fingerprints[b]) << 32;
            }
            state.word(&mut word);
            self.fingerprints[a] = word as u32;
            if seen > 1 {
                self.fingerprints[b] = (word >> 32) as u32;
            }
            (at, seen) = (at.wrapping_add(2), seen.saturating_sub(2));
        }
    }

    #[inline]
    fn extend(&mut self, id: u64, trade: &Trade) {
        self.high = id;
        self.high_at = trade.exchange_at;
        self.fingerprints[id as usize % REMEMBERED] = fingerprint(trade);
    }

    #[inline]
    fn remember(&mut self, id: u64, trade: &Trade) {
        if self.high - id < REMEMBERED as u64 {
            self.fingerprints[id as usize % REMEMBERED] = fingerprint(trade);
        }
    }

    fn conflicts(&self, id: u64, trade: &Trade) -> bool {
        self.high - id < REMEMBERED as u64
            && self.fingerprints[id as usize % REMEMBERED] != fingerprint(trade)
    }
}

/// The last ids of a venue whose ids say nothing about each other.
#[derive(Debug, Default)]
struct RecentIds {
    fingerprints: HashMap<u64, u32, BuildHasherDefault<Spread>>,
    order: VecDeque<u64>,
}

impl RecentIds {
    /// From the oldest to the newest.
    fn state(&mut self, state: &mut State<'_>) {
        let mut len = self.order.len();
        state.index(&mut len, REMEMBERED);
        if state.is_load() {
            self.fingerprints.clear();
            self.order = vec![0; len].into();
        }
        for key in &mut self.order {
            state.word(key);
            let mut fingerprint = self.fingerprints.get(key).copied().unwrap_or(0);
            state.u32(&mut fingerprint);
            if state.is_load() {
                self.fingerprints.insert(*key, fingerprint);
            }
        }
        state.check(self.fingerprints.len() == self.order.len(), "an id is remembered twice");
    }

    fn admit(&mut self, key: u64, trade: &Trade) -> Admission {
        let new = fingerprint(trade);
        if let Some(&known) = self.fingerprints.get(&key) {
            return if known == new { Admission::Duplicate } else { Admission::Conflicting };
        }
        if self.order.len() == REMEMBERED
            && let Some(oldest) = self.order.pop_front()
        {
            self.fingerprints.remove(&oldest);
        }
        self.order.push_back(key);
        self.fingerprints.insert(key, new);
        Admission::Accepted { repaired: false }
    }
}

/// Spreads numbers over a table that is only ever asked by key; the same in every run.
#[derive(Default)]
struct Spread(u64);

impl Hasher for Spread {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.write_u64(u64::from(byte));
        }
    }

    fn write_u64(&mut self, word: u64) {
        self.0 = mix(self.0 ^ word);
    }
}

#[inline]
fn mix(word: u64) -> u64 {
    let mixed = (word ^ (word >> 32)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    mixed ^ (mixed >> 29)
}

/// All by which a copy can differ: price, quantity, time, side, count. Not when it reached us.
///
/// A multilinear hash: the upper half of a sum of products with odd keys, which two different trades share with a
/// chance of 2^-31 (D. Lemire, O. Kaser, "Strongly Universal String Hashing is Fast", The Computer Journal 57, 2014).
#[inline]
fn fingerprint(trade: &Trade) -> u32 {
    let parts = [
        trade.price.decimal().to_bits(),
        trade.quantity.decimal().to_bits(),
        trade.exchange_at.0.cast_unsigned(),
        (u64::from(trade.trade_count) << 2) | trade.side_bits(),
    ];
    let products = parts.into_iter().zip(KEYS).map(|(part, key)| part.wrapping_mul(key));
    (products.fold(0, u64::wrapping_add) >> 32) as u32
}

/// Halves of one bits, in no order: fractions of the golden ratio and of the square roots of 2, 3 and 5.
const KEYS: [u64; 4] =
    [0x9E37_79B9_7F4A_7C15, 0x6A09_E667_F3BC_C909, 0xBB67_AE85_84CA_A73B, 0x3C6E_F372_FE94_F82B];

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::decimal::{Price, Quantity};
    use crate::domain::event::Side;

    fn trade(id: TradeId, at: i64, price: &[u8]) -> Trade {
        Trade {
            price: Price::parse(price).unwrap(),
            quantity: Quantity::parse(b"1").unwrap(),
            exchange_at: UnixNanos(at),
            received_at: None,
            id,
            taker_side: Some(Side::Buy),
            trade_count: 1,
        }
    }

    fn gaps() -> Gaps {
        Gaps::new("x:A-B".parse().unwrap())
    }

    fn check(rule: IdRule, trades: &[(Trade, Admission)]) {
        let (mut ledger, mut gaps) = (Ledger::new(rule), gaps());
        for (i, (trade, expected)) in trades.iter().enumerate() {
            let got = ledger.admit(trade, Position(i as u64), trade.exchange_at, &mut gaps, &mut None);
            assert_eq!(got, *expected, "trade {i}: {trade:?}");
        }
    }

    const NEW: Admission = Admission::Accepted { repaired: false };

    #[test]
    fn contiguous_ids_are_known_however_far_back() {
        let n = |id, at, price: &[u8]| trade(TradeId::Number(id), at, price);
        check(
            IdRule::Contiguous,
            &[
                (n(10, 0, b"5"), NEW),
                (n(11, 1, b"5"), NEW),
                (n(11, 1, b"5"), Admission::Duplicate),
                (n(11, 1, b"6"), Admission::Conflicting),
                (n(15, 2, b"5"), NEW),
                (n(13, 3, b"5"), NEW),
                (n(13, 3, b"5"), Admission::Duplicate),
                (n(8, 0, b"5"), NEW),
                (n(9, 0, b"5"), NEW),
                (n(5_000, 4, b"5"), NEW),
                (n(10, 0, b"7"), Admission::Duplicate),
                (n(2_000_000, 5, b"5"), Admission::Held),
                (trade(TradeId::Absent, 6, b"5"), Admission::Refused(Refusal::IdMissing)),
            ],
        );
    }

    #[test]
    fn other_ids_are_known_for_a_while() {
        let text = |text: &str, price: &[u8]| trade(TradeId::parse(text).unwrap(), 0, price);
        let mut rows = vec![
            (text("a-1", b"5"), NEW),
            (text("a-1", b"5"), Admission::Duplicate),
            (text("a-1", b"6"), Admission::Conflicting),
            (text("99", b"5"), NEW),
            (text("7", b"5"), NEW),
            (text("99", b"5"), Admission::Duplicate),
            (trade(TradeId::Absent, 0, b"5"), Admission::Refused(Refusal::IdMissing)),
        ];
        rows.extend((0..REMEMBERED).map(|i| (text(&format!("n{i}"), b"5"), NEW)));
        rows.push((text("a-1", b"5"), NEW));
        check(IdRule::Sparse, &rows);
        check(
            IdRule::Absent,
            &[(trade(TradeId::Absent, 0, b"5"), NEW), (trade(TradeId::Absent, 0, b"5"), NEW)],
        );
    }

    proptest! {
        #[test]
        fn each_id_is_accepted_once_and_holes_are_what_was_never_seen(
            ids in prop::collection::vec(1_000u64..1_060, 1..200),
        ) {
            let (mut ledger, mut gaps) = (Ledger::new(IdRule::Contiguous), gaps());
            let mut seen = std::collections::BTreeSet::new();
            for (i, &id) in ids.iter().enumerate() {
                let trade = trade(TradeId::Number(id), id.cast_signed(), b"5");
                let got = ledger.admit(&trade, Position(i as u64), UnixNanos(2_000), &mut gaps, &mut None);
                prop_assert_eq!(matches!(got, Admission::Accepted { .. }), seen.insert(id));
            }
            let (low, high) = (*seen.first().unwrap(), *seen.last().unwrap());
            for id in 990..1_070 {
                prop_assert_eq!(gaps.is_missing(id), (low..high).contains(&id) && !seen.contains(&id));
            }
        }
    }
}
