//! Where live trades meet what came before them: one instrument's ids, in order.
//!
//! A trade that leaves ids out waits, and those after it, until the missing ones have come: late over the
//! socket, or asked of REST. It waits at most [`WAIT_MAX`] and with [`WAITING_MAX`] others, then all pass,
//! and the hole heals later. Copies and late trades always pass: the ledger knows what to do with them.
//! Pure: time is a parameter.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::time::Duration;

use crate::domain::event::{Trade, TradeId};
use crate::runtime::clock::Mono;
use crate::runtime::intake::FrameStamps;

pub const WAIT_MAX: Duration = Duration::from_secs(1);
pub const WAITING_MAX: usize = 10_000;
/// The socket gets so long to bring them itself: a trade that was overtaken costs no request.
const ASK_AFTER: Duration = Duration::from_millis(100);
/// Further away than this is no hole but another numbering, or nonsense: the ledger decides.
const JUMP_MAX: u64 = 1_000_000;

/// A trade that may pass now.
pub type Passing = (FrameStamps, Trade);

/// A run of missing ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Missing {
    pub first: u64,
    pub last: u64,
}

#[derive(Debug, Default)]
pub struct Seam {
    /// Nothing up to here is waited for.
    last: Option<u64>,
    /// The id of a trade that lay too far away to belong to the row.
    far: Option<u64>,
    waiting: BTreeMap<u64, Passing>,
    /// Second copies of those, for the ledger to count: they pass when nobody waits any more.
    copies: Vec<Passing>,
    /// When the first of them came.
    since: Option<Mono>,
    is_asked: bool,
}

impl Seam {
    /// `last`: the highest id known from before; `None`: what comes first begins the row.
    pub fn new(last: Option<u64>) -> Self {
        Self { last, ..Self::default() }
    }

    pub fn last(&self) -> Option<u64> {
        self.last
    }

    /// The highest id that was seen, waiting ones included.
    pub fn newest(&self) -> Option<u64> {
        self.waiting.last_key_value().map(|(id, _)| *id).or(self.last)
    }

    pub fn is_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// A live trade: adds to `out` what may pass now, in order.
    #[inline]
    pub fn live(&mut self, stamps: FrameStamps, trade: Trade, now: Mono, out: &mut Vec<Passing>) {
        let TradeId::Number(id) = trade.id else {
            out.push((stamps, trade));
            return;
        };
        let Some(last) = self.last else {
            self.last = Some(id);
            out.push((stamps, trade));
            return;
        };
        if id <= last {
            if last - id > JUMP_MAX {
                self.far_away(id, out);
            }
            out.push((stamps, trade));
        } else if id == last + 1 {
            self.last = Some(id);
            self.far = None;
            out.push((stamps, trade));
            if !self.waiting.is_empty() {
                self.close_ranks(out);
            }
        } else {
            self.jump(stamps, id, trade, now, out);
        }
    }

    #[cold]
    fn jump(&mut self, stamps: FrameStamps, id: u64, trade: Trade, now: Mono, out: &mut Vec<Passing>) {
        let last = self.last.expect("a jump leaves from somewhere");
        if id - last > JUMP_MAX {
            self.far_away(id, out);
            out.push((stamps, trade));
            return;
        }
        self.since.get_or_insert(now);
        match self.waiting.entry(id) {
            Entry::Occupied(_) => self.copies.push((stamps, trade)),
            Entry::Vacant(place) => {
                place.insert((stamps, trade));
            }
        }
        if self.waiting.len() + self.copies.len() >= WAITING_MAX {
            self.release(out);
        }
    }

    /// Two near one another: the venue counts from there now, as the ledger sees it too.
    #[cold]
    fn far_away(&mut self, id: u64, out: &mut Vec<Passing>) {
        if self.far.is_some_and(|far| id.abs_diff(far) <= JUMP_MAX && id != far) {
            self.release(out);
            self.last = Some(id);
            self.far = None;
        } else {
            self.far = Some(id);
        }
    }

    /// Lets those pass that are next in the row.
    fn close_ranks(&mut self, out: &mut Vec<Passing>) {
        while let Some(entry) = self.waiting.first_entry() {
            let id = *entry.key();
            if self.last.is_some_and(|last| id > last + 1) {
                // A hole of its own: it waits its own time, from now on less than a second.
                self.is_asked = false;
                return;
            }
            self.last = self.last.max(Some(id));
            out.push(entry.remove());
        }
        out.append(&mut self.copies);
        self.since = None;
        self.is_asked = false;
    }

    /// A page of history that follows on what is known: which of its trades are new here. Then those that
    /// waited for them pass. Holes in the page are left to the repair.
    pub fn page(&mut self, trades: Vec<Trade>, out: &mut Vec<Passing>) -> Vec<Trade> {
        let last = self.last;
        let mut fresh = trades;
        fresh.retain(|trade| match trade.id {
            TradeId::Number(id) => last.is_none_or(|last| id > last) && !self.waiting.contains_key(&id),
            _ => true,
        });
        for trade in &fresh {
            if let TradeId::Number(id) = trade.id
                && self.last.is_none_or(|last| id == last + 1)
            {
                self.last = Some(id);
            }
            // What waits may stand between two trades of the page.
            while let Some(next) = self.last.and_then(|last| last.checked_add(1))
                && self.waiting.contains_key(&next)
                && let Some(first) = self.waiting.first_key_value().map(|(id, _)| *id)
                && first == next
            {
                out.push(self.waiting.remove(&next).expect("it is there"));
                self.last = Some(next);
            }
        }
        self.close_ranks(out);
        if self.waiting.is_empty() {
            // Nobody waits: the end of the page is where the row goes on.
            self.last = self.last.max(end_of(self.last, &fresh));
        }
        fresh
    }

    /// What to ask of REST, once for each hole.
    pub fn ask(&mut self, now: Mono) -> Option<Missing> {
        let since = self.since?;
        if self.is_asked || now.since(since) < ASK_AFTER {
            return None;
        }
        let missing = self.missing()?;
        self.is_asked = true;
        Some(missing)
    }

    /// What is waited for first.
    pub fn missing(&self) -> Option<Missing> {
        let (&next, _) = self.waiting.first_key_value()?;
        let first = self.last? + 1;
        (first < next).then(|| Missing { first, last: next - 1 })
    }

    /// Lets all pass who have waited long enough.
    pub fn due(&mut self, now: Mono, out: &mut Vec<Passing>) {
        if self.since.is_some_and(|since| now.since(since) >= WAIT_MAX) {
            self.release(out);
        }
    }

    /// Lets all pass.
    pub fn release(&mut self, out: &mut Vec<Passing>) {
        while let Some((id, passing)) = self.waiting.pop_first() {
            self.last = self.last.max(Some(id));
            out.push(passing);
        }
        out.append(&mut self.copies);
        self.since = None;
        self.is_asked = false;
    }
}

/// The highest id of a page that another one near it confirms: a lone one far away is no end.
fn end_of(last: Option<u64>, page: &[Trade]) -> Option<u64> {
    let mut ids: Vec<u64> = page
        .iter()
        .filter_map(|trade| match trade.id {
            TradeId::Number(id) => Some(id),
            _ => None,
        })
        .chain(last)
        .collect();
    ids.sort_unstable();
    ids.dedup();
    ids.windows(2).rev().find(|pair| pair[1] - pair[0] <= JUMP_MAX).map(|pair| pair[1])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::decimal::{Price, Quantity};
    use crate::domain::time::UnixNanos;
    use crate::runtime::backoff::splitmix;

    fn trade(id: u64) -> Trade {
        Trade {
            price: Price::parse(b"1").unwrap(),
            quantity: Quantity::parse(b"1").unwrap(),
            exchange_at: UnixNanos(0),
            received_at: None,
            id: TradeId::Number(id),
            taker_side: None,
            trade_count: 1,
        }
    }

    const STAMPS: FrameStamps =
        FrameStamps { received_at: UnixNanos(0), received: Mono::ZERO, parsed: Mono::ZERO };

    fn at(millis: u64) -> Mono {
        Mono::ZERO.after(Duration::from_millis(millis))
    }

    fn ids(passing: &mut Vec<Passing>) -> Vec<u64> {
        let number = |(_, trade): Passing| match trade.id {
            TradeId::Number(id) => id,
            _ => 0,
        };
        passing.drain(..).map(number).collect()
    }

    /// Live ids at a moment, and what passes.
    fn check_live(seam: &mut Seam, millis: u64, live: &[u64], expected: &[u64]) {
        let mut out = Vec::new();
        for &id in live {
            seam.live(STAMPS, trade(id), at(millis), &mut out);
        }
        assert_eq!(ids(&mut out), expected, "{live:?}");
    }

    #[test]
    fn overtaken_trades_wait_for_those_before() {
        let mut seam = Seam::new(Some(10));
        check_live(&mut seam, 0, &[11, 13, 14], &[11]);
        check_live(&mut seam, 50, &[12], &[12, 13, 14]);
        assert_eq!((seam.ask(at(500)), seam.last()), (None, Some(14)));
    }

    #[test]
    fn what_is_missing_is_asked_once_and_comes_first() {
        let mut seam = Seam::new(Some(10));
        check_live(&mut seam, 0, &[14, 15, 18], &[]);
        assert_eq!(seam.ask(at(50)), None);
        assert_eq!(seam.ask(at(100)), Some(Missing { first: 11, last: 13 }));
        assert_eq!(seam.ask(at(200)), None);
        let mut out = Vec::new();
        let fresh = seam.page((9..=16).map(trade).collect(), &mut out);
        let fresh: Vec<_> = fresh.into_iter().map(|trade| trade.id.to_string()).collect();
        assert_eq!(fresh, ["11", "12", "13", "16"]);
        assert_eq!(ids(&mut out), [14, 15]);
        assert_eq!(seam.missing(), Some(Missing { first: 17, last: 17 }));
        assert_eq!(seam.ask(at(300)), Some(Missing { first: 17, last: 17 }));
        check_live(&mut seam, 400, &[17], &[17, 18]);
    }

    #[test]
    fn nobody_waits_longer_than_a_second() {
        let mut seam = Seam::new(Some(10));
        check_live(&mut seam, 0, &[12, 13], &[]);
        let mut out = Vec::new();
        seam.due(at(999), &mut out);
        assert!(out.is_empty());
        seam.due(at(1_000), &mut out);
        assert_eq!(ids(&mut out), [12, 13]);
        check_live(&mut seam, 1_001, &[14, 11], &[14, 11]);
    }

    #[test]
    fn nor_with_more_than_ten_thousand_others() {
        let mut seam = Seam::new(Some(0));
        let mut out = Vec::new();
        for id in 2..20_000 {
            seam.live(STAMPS, trade(id), at(0), &mut out);
            assert!(seam.waiting.len() < WAITING_MAX);
        }
        assert_eq!(out.len(), 19_998);
    }

    #[test]
    fn another_numbering_is_not_waited_for() {
        let mut seam = Seam::new(Some(10));
        check_live(&mut seam, 0, &[5_000_000, 11, 12], &[5_000_000, 11, 12]);
        check_live(&mut seam, 0, &[9_000_000, 9_000_001, 9_000_002], &[9_000_000, 9_000_001, 9_000_002]);
        assert_eq!(seam.last(), Some(9_000_002));
        check_live(&mut seam, 0, &[3, 9_000_003], &[3, 9_000_003]);
        assert_eq!(seam.last(), Some(9_000_003), "one alone says nothing");
        check_live(&mut seam, 0, &[7, 8, 10], &[7, 8]);
        assert_eq!(seam.newest(), Some(10), "it counts from the beginning again");
    }

    #[test]
    fn a_page_with_an_id_that_never_was_ends_where_its_others_do() {
        let mut seam = Seam::new(Some(10));
        let page = |ids: &[u64]| ids.iter().map(|&id| trade(id)).collect::<Vec<_>>();
        let mut out = Vec::new();
        assert_eq!(seam.page(page(&[11, 12, 1_000_000_000_000_000]), &mut out).len(), 3);
        assert_eq!(seam.last(), Some(12));
        seam.page(page(&[1_000_000_000_000_000]), &mut out);
        assert_eq!(seam.last(), Some(12));
        seam.page(page(&[9_000_000, 9_000_001]), &mut out);
        assert_eq!(seam.last(), Some(9_000_001), "two are another numbering");
    }

    #[test]
    fn the_first_page_begins_the_row() {
        let mut seam = Seam::new(None);
        assert_eq!(seam.page(vec![trade(5), trade(6)], &mut Vec::new()).len(), 2);
        check_live(&mut seam, 0, &[7, 6], &[7, 6]);
        let mut out = Vec::new();
        assert_eq!(seam.page(vec![trade(9), trade(10)], &mut out).len(), 2);
        assert_eq!(seam.last(), Some(10));
    }

    /// Whatever comes in whatever order: each trade passes exactly once, and within the second.
    #[test]
    fn every_trade_passes_once() {
        for seed in 0..200 {
            let mut dice = seed;
            let mut roll = |sides: u64| {
                dice = splitmix(dice);
                dice % sides
            };
            let mut seam = Seam::new((roll(2) == 0).then_some(99));
            let (mut out, mut sent, mut now) = (Vec::new(), Vec::new(), 0);
            let mut next = 100;
            for _ in 0..300 {
                now += roll(120);
                match roll(10) {
                    0 => next += roll(5),
                    1 => {
                        let from = next.saturating_sub(roll(8));
                        let fresh = seam.page((from..next).map(trade).collect(), &mut out);
                        sent.extend(fresh.iter().map(|trade| trade.id.to_string()));
                        out.extend(fresh.into_iter().map(|trade| (STAMPS, trade)));
                    }
                    2 => next = next.saturating_sub(roll(4)),
                    _ => {
                        seam.live(STAMPS, trade(next), at(now), &mut out);
                        sent.push(next.to_string());
                        next += 1;
                    }
                }
                seam.due(at(now), &mut out);
                assert!(seam.since.is_none_or(|since| at(now).since(since) < WAIT_MAX));
                assert_eq!(seam.since.is_some(), seam.is_waiting(), "seed {seed}");
            }
            seam.release(&mut out);
            let mut passed: Vec<_> = out.iter().map(|(_, trade)| trade.id.to_string()).collect();
            passed.sort();
            sent.sort();
            assert_eq!(passed, sent, "seed {seed}");
        }
    }
}
