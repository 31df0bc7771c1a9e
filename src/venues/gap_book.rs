//! The open gaps of a venue: when each is asked for, and when it is given up.
//!
//! A gap is asked for until it is filled: the most recent first, each with its own back-off, never given up.
//! It is called unfillable only where REST told trades before and behind missing ids without them, twice; a
//! page that is empty or ends too early is asked for again, for REST lags. Pure but for one lock: time is
//! a parameter.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::domain::event::Unfillable;
use crate::domain::output::{Gap, GapId, GapState};
use crate::domain::time::UnixNanos;
use crate::domain::told::Watch;
use crate::runtime::backoff::Backoff;
use crate::runtime::clock::Mono;
use crate::runtime::metrics::QueueMeter;
use crate::venues::seam::Missing;

/// Beyond this the oldest gap is forgotten until the next start tells it again; counted as dropped.
const GAPS_MAX: usize = 65_536;
const FIRST_TRY_AFTER_FAILURE: Duration = Duration::from_millis(500);
const LONGEST_WAIT: Duration = Duration::from_secs(300);
/// What was delivered is told as filled soon.
const SETTLE: Duration = Duration::from_secs(2);
/// Two answers that say the same have to lie so far apart.
const CONFIRM_AFTER: Duration = Duration::from_secs(1);
/// A gap that was called unfillable and still stands is looked at again: the venue may have found it.
const LOOK_AGAIN: Duration = Duration::from_secs(3_600);
/// Pieces of a gap that are remembered as given up; more would be told again.
const GIVEN_UP_MAX: usize = 1_024;
/// A venue whose pages begin behind the missing ids so many times does not reach back to them.
const OUT_OF_REACH_TRIES: u32 = 6;

/// A gap by its identity.
pub type GapKey = (Watch, GapId);

#[derive(Debug)]
struct OpenGap {
    missing: Missing,
    /// The first known trade behind it.
    to: UnixNanos,
    next_try: Mono,
    backoff: Backoff,
    /// What an answer passed over, and when it said so first.
    passed_over: Option<(Vec<Missing>, Mono)>,
    /// What was called unfillable: told once.
    given_up: Vec<Missing>,
    /// How often in a row pages began behind it.
    behind: u32,
    is_asked: bool,
}

/// What trying to fill a gap brought.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tried {
    /// Trades that were delivered.
    pub delivered: usize,
    /// Ids that the venue passed over.
    pub passed_over: Vec<Missing>,
    /// Ids before the first that the venue has.
    pub out_of_reach: Option<Missing>,
    /// No answer at all.
    pub has_failed: bool,
}

#[derive(Debug)]
pub struct GapBook {
    gaps: Mutex<BTreeMap<GapKey, OpenGap>>,
    meter: QueueMeter,
}

impl GapBook {
    pub fn new(meter: QueueMeter) -> Self {
        Self { gaps: Mutex::default(), meter }
    }

    fn gaps(&self) -> MutexGuard<'_, BTreeMap<GapKey, OpenGap>> {
        self.gaps.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A gap was told: opened, shrunk, closed.
    pub fn heed(&self, watch: Watch, gap: &Gap, now: Mono) {
        let key = (watch, gap.id);
        let mut gaps = self.gaps();
        let missing = match (gap.state, gap.first_missing_id, gap.last_missing_id) {
            (GapState::Open, Some(first), Some(last)) if first <= last => Missing { first, last },
            // Nobody can be asked for a stretch of time without ids.
            _ => {
                gaps.remove(&key);
                self.meter.depth.set(gaps.len() as i64);
                return;
            }
        };
        if let Some(known) = gaps.get_mut(&key) {
            known.missing = missing;
            known.to = gap.to;
            return;
        }
        let seed = gap.id.0 ^ u64::from(watch.0);
        let backoff = Backoff::new(FIRST_TRY_AFTER_FAILURE, LONGEST_WAIT, seed);
        let open = OpenGap {
            missing,
            to: gap.to,
            next_try: now,
            backoff,
            passed_over: None,
            given_up: Vec::new(),
            behind: 0,
            is_asked: false,
        };
        gaps.insert(key, open);
        if gaps.len() > GAPS_MAX
            && let Some(oldest) = gaps.iter().min_by_key(|(_, gap)| gap.to).map(|(key, _)| *key)
        {
            gaps.remove(&oldest);
            self.meter.dropped.inc();
        }
        self.meter.depth.set(gaps.len() as i64);
    }

    pub fn len(&self) -> usize {
        self.gaps().len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The most recent gap whose time has come. It is nobody else's until [`GapBook::tried`].
    pub fn next(&self, now: Mono) -> Option<(GapKey, Missing)> {
        let mut gaps = self.gaps();
        let (key, gap) = gaps
            .iter_mut()
            .filter(|(_, gap)| !gap.is_asked && gap.next_try <= now)
            .min_by_key(|(key, gap)| (Reverse(gap.to), **key))?;
        gap.is_asked = true;
        Some((*key, gap.missing))
    }

    /// What came of it; gives back what the venue cannot give, to be told.
    pub fn tried(&self, key: GapKey, tried: Tried, now: Mono) -> Vec<(Missing, Unfillable)> {
        let mut gaps = self.gaps();
        // Filled meanwhile.
        let Some(gap) = gaps.get_mut(&key) else { return Vec::new() };
        gap.is_asked = false;
        let mut unfillable: Vec<(Missing, Unfillable)> = Vec::new();
        if !tried.has_failed {
            gap.behind = if tried.out_of_reach.is_some() { gap.behind + 1 } else { 0 };
            if let Some(missing) = tried.out_of_reach
                && gap.behind >= OUT_OF_REACH_TRIES
            {
                unfillable.push((missing, Unfillable::OutOfReach));
            }
            gap.passed_over = match gap.passed_over.take() {
                _ if tried.passed_over.is_empty() => None,
                Some((before, since)) if now.since(since) >= CONFIRM_AFTER => {
                    let both = tried.passed_over.iter().filter(|missing| before.contains(missing));
                    unfillable.extend(both.map(|missing| (*missing, Unfillable::NotAtVenue)));
                    Some((tried.passed_over, since))
                }
                Some((before, since)) if before == tried.passed_over => Some((before, since)),
                _ => Some((tried.passed_over, now)),
            };
        }
        unfillable.retain(|(missing, _)| !gap.given_up.contains(missing));
        gap.given_up.extend(unfillable.iter().map(|(missing, _)| *missing));
        gap.given_up.truncate(GIVEN_UP_MAX);
        let wait = if gap.given_up.contains(&gap.missing) {
            LOOK_AGAIN
        } else if !unfillable.is_empty() || tried.delivered > 0 {
            gap.backoff.reset();
            SETTLE
        } else {
            gap.backoff.failed()
        };
        gap.next_try = now.after(wait);
        unfillable
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::output::GapKind;
    use crate::runtime::metrics::Metrics;

    fn at(millis: u64) -> Mono {
        Mono::ZERO.after(Duration::from_millis(millis))
    }

    fn gap(id: u64, first: u64, last: u64, to: i64, state: GapState) -> Gap {
        Gap {
            id: GapId(id),
            kind: GapKind::Ids,
            first_missing_id: Some(first),
            last_missing_id: Some(last),
            from: UnixNanos(0),
            to: UnixNanos(to),
            state,
            reason: None,
        }
    }

    fn book() -> GapBook {
        GapBook::new(Metrics::new().queue("gap_book"))
    }

    #[test]
    fn the_most_recent_gap_is_asked_for_first_and_once() {
        let book = book();
        book.heed(Watch(0), &gap(1, 10, 14, 100, GapState::Open), at(0));
        book.heed(Watch(1), &gap(2, 20, 24, 300, GapState::Open), at(0));
        book.heed(Watch(2), &gap(3, 30, 34, 200, GapState::Open), at(0));
        let order: Vec<_> = std::iter::from_fn(|| book.next(at(0))).map(|((watch, _), _)| watch.0).collect();
        assert_eq!(order, [1, 2, 0]);
        book.heed(Watch(1), &gap(2, 20, 24, 300, GapState::Filled), at(0));
        assert_eq!(book.len(), 2);
    }

    #[test]
    fn what_fails_is_tried_again_later_and_for_ever() {
        let book = book();
        book.heed(Watch(0), &gap(1, 10, 14, 100, GapState::Open), at(0));
        let mut now = 0;
        for _ in 0..50 {
            let Some((key, _)) = book.next(at(now)) else {
                now += 400_000;
                continue;
            };
            let tried = Tried { has_failed: true, ..Tried::default() };
            assert!(book.tried(key, tried, at(now)).is_empty());
            assert_eq!(book.next(at(now)), None);
        }
        assert_eq!(book.len(), 1);
    }

    #[test]
    fn one_answer_is_not_enough_to_give_up() {
        let book = book();
        book.heed(Watch(0), &gap(1, 10, 14, 100, GapState::Open), at(0));
        let missing = Missing { first: 11, last: 12 };
        let tried = Tried { passed_over: vec![missing], ..Tried::default() };
        let (key, _) = book.next(at(0)).unwrap();
        assert!(book.tried(key, tried.clone(), at(0)).is_empty());
        assert!(book.tried(key, tried.clone(), at(500)).is_empty());
        assert_eq!(book.tried(key, tried.clone(), at(1_500)), [(missing, Unfillable::NotAtVenue)]);
        assert!(book.tried(key, tried.clone(), at(5_000)).is_empty(), "it is said once");
        let other = Tried { passed_over: Vec::new(), ..Tried::default() };
        assert!(book.tried(key, other, at(9_000)).is_empty());
        assert!(book.tried(key, tried, at(20_000)).is_empty(), "it starts anew");
    }

    #[test]
    fn what_lies_behind_the_venues_reach_is_said_after_several_tries() {
        let book = book();
        book.heed(Watch(0), &gap(1, 10, 14, 100, GapState::Open), at(0));
        let missing = Missing { first: 10, last: 14 };
        let tried = Tried { out_of_reach: Some(missing), ..Tried::default() };
        let key = (Watch(0), GapId(1));
        for _ in 1..OUT_OF_REACH_TRIES {
            assert!(book.tried(key, tried.clone(), at(0)).is_empty());
        }
        assert_eq!(book.tried(key, tried, at(0)), [(missing, Unfillable::OutOfReach)]);
    }
}
