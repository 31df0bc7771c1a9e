//! The comparison of all assets that several venues trade: closed candles in, what stands apart out.
//!
//! Pure: what it finds follows from the candles and their order alone. Candles of one instrument come in order of
//! close; whoever feeds it makes the order among instruments, and writes it down where it must be made again.

use std::collections::BTreeMap;

use crate::analytics::across::found::{Counts, Found};
use crate::analytics::across::group::Group;
use crate::analytics::across::plan::AcrossPlan;
use crate::analytics::rolling::state::{State, StateFault};
use crate::domain::closed::Closed;
use crate::domain::instrument::Instrument;
use crate::domain::time::UnixNanos;

/// All assets.
#[derive(Clone, Debug)]
pub struct Comparison {
    plan: AcrossPlan,
    groups: BTreeMap<(String, String), Group>,
    counts: Counts,
}

impl Comparison {
    pub fn new(plan: AcrossPlan) -> Self {
        Self { plan, groups: BTreeMap::new(), counts: Counts::default() }
    }

    pub fn plan(&self) -> &AcrossPlan {
        &self.plan
    }

    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// Close of the newest candle that was taken; the beginning of time where there was none.
    pub fn closed_until(&self) -> UnixNanos {
        let newest = self.groups.values().filter_map(Group::closed_until).max();
        newest.unwrap_or(UnixNanos(i64::MIN))
    }

    /// Takes the next closed candle of an instrument, and adds what follows to `found`, in order of close and
    /// instrument. One that was taken before changes nothing.
    pub fn take(&mut self, instrument: &Instrument, closed: &Closed, found: &mut Vec<Found>) {
        let asset = self.plan.asset(instrument);
        let group = self.groups.entry(asset).or_default();
        group.take(&self.plan, instrument, closed, &mut self.counts, found);
    }

    /// Nothing more comes: what waits is compared without whoever lags.
    pub fn finish(&mut self, found: &mut Vec<Found>) {
        for group in self.groups.values_mut() {
            group.finish(&self.plan, &mut self.counts, found);
        }
    }

    /// Appends all that later findings rest on.
    pub fn save(&mut self, words: &mut Vec<u64>) {
        self.state(&mut State::Save(words));
    }

    /// One that goes on where another of the same plan was saved.
    ///
    /// # Errors
    ///
    /// On words that no such comparison has saved; never a panic, whatever they are.
    pub fn restore(plan: AcrossPlan, words: &[u64]) -> Result<Self, StateFault> {
        let mut comparison = Self::new(plan);
        let mut state = State::load(words);
        comparison.state(&mut state);
        state.finish()?;
        Ok(comparison)
    }

    fn state(&mut self, state: &mut State<'_>) {
        let Self { plan, groups, .. } = self;
        let mut len = groups.len();
        state.len(&mut len);
        if !state.is_load() {
            groups.values_mut().for_each(|group| group.state(plan, state));
            return;
        }
        for _ in 0..len {
            let mut group = Group::default();
            group.state(plan, state);
            match group.asset(plan) {
                Some(asset) => _ = groups.insert(asset, group),
                None => return state.fault(StateFault::Impossible("an asset without a market")),
            }
        }
        state.check(groups.len() == len, "an asset stands twice");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analytics::across::market::{SETTLING, WARM_UP};
    use crate::analytics::indicators::trial::Random;
    use crate::domain::closed::Said;
    use crate::domain::decimal::{Decimal, Price};
    use crate::domain::time::UnixNanos;

    const MINUTE: i64 = 60_000_000_000;
    const BP: f64 = 1e-4;
    /// How far a venue's close strays from the market, in standard deviations.
    const NOISE: f64 = 1.0 * BP;

    /// Some venues of one asset, at premiums of their own, round a market that wanders.
    struct Street {
        comparison: Comparison,
        venues: Vec<(Instrument, f64)>,
        random: Random,
        level: f64,
        minute: i64,
        found: Vec<Found>,
    }

    fn plan() -> AcrossPlan {
        AcrossPlan::new("1m".parse::<crate::domain::interval::Interval>().unwrap().time().unwrap())
    }

    impl Street {
        fn new(venues: &[(&str, f64)]) -> Self {
            Self {
                comparison: Comparison::new(plan()),
                venues: venues.iter().map(|(name, premium)| (name.parse().unwrap(), premium * BP)).collect(),
                random: Random(11),
                level: 0.0,
                minute: 0,
                found: Vec::new(),
            }
        }

        fn gauss(&mut self) -> f64 {
            (0..12).map(|_| self.random.unit()).sum::<f64>() - 6.0
        }

        /// A minute of every venue; `change` makes another close, or none, of what a venue would have said.
        fn pass(&mut self, mut change: impl FnMut(usize, f64) -> Option<Said>) {
            self.level += 5.0 * BP * self.gauss();
            self.minute += 1;
            for at in 0..self.venues.len() {
                let level = self.level + self.venues[at].1 + NOISE * self.gauss();
                if let Some(said) = change(at, level) {
                    self.tell(at, self.minute, said);
                }
            }
        }

        fn tell(&mut self, at: usize, minute: i64, said: Said) {
            let close_at = UnixNanos(minute * MINUTE);
            let cause_seq = minute.unsigned_abs();
            let closed = Closed { close_at, said, cause_seq, is_quiet: false, is_held: false };
            self.comparison.take(&self.venues[at].0, &closed, &mut self.found);
        }

        fn pass_quietly(&mut self, minutes: usize) {
            (0..minutes).for_each(|_| self.pass(|_, level| Some(price(level))));
        }

        fn names(&self) -> Vec<String> {
            self.found.iter().map(|found| found.instrument.to_string()).collect()
        }
    }

    fn price(level: f64) -> Said {
        let value = (60_000.0 * libm::exp(level) * 100.0).round() as u64;
        Said::Price(Price::new(Decimal::new(value, 2).unwrap()).unwrap())
    }

    const TWO: [(&str, f64); 2] = [("binance:BTC-USDT", 0.0), ("coinbase:BTC-USD", 60.0)];
    const THREE: [(&str, f64); 3] =
        [("binance:BTC-USDT", -3.0), ("coinbase:BTC-USD", 60.0), ("kraken:BTC-USD", 5.0)];

    /// Lives until all may be told of; forgets what was told until then.
    fn warm(venues: &[(&str, f64)]) -> Street {
        let mut street = Street::new(venues);
        street.pass_quietly(2_000);
        street.found.clear();
        street
    }

    #[test]
    fn a_premium_that_stays_is_no_divergence() {
        for venues in [&TWO[..], &THREE] {
            let mut street = Street::new(venues);
            street.pass_quietly(5 * 1_440);
            let days = 5 * street.venues.len();
            assert!(street.found.len() <= 6 * days, "{} in {days} days of a venue", street.found.len());
            for Found { divergence, .. } in &street.found {
                assert!(divergence.apart.abs() < 10.0 * BP, "{divergence:?}");
                assert!(divergence.close_at.0 > WARM_UP as i64 * MINUTE, "{divergence:?}");
                assert_eq!(divergence.check(), Ok(()));
            }
        }
    }

    #[test]
    fn of_two_that_part_both_are_told_and_of_three_the_odd_one() {
        let check = |venues: &[(&str, f64)], odd: usize, expected: &[&str]| {
            let mut street = warm(venues);
            // Five standard deviations of what lies between two venues.
            let jump = 5.0 * NOISE * 2.0_f64.sqrt();
            street.pass(|at, level| Some(price(if at == odd { level + jump } else { level })));
            assert_eq!(street.names(), expected, "{venues:?}");
            for Found { instrument, divergence } in &street.found {
                let is_odd = *instrument == street.venues[odd].0;
                let apart = if is_odd { divergence.apart } else { -divergence.apart };
                assert!((3.0 * BP..12.0 * BP).contains(&apart), "{divergence:?}");
                assert_eq!(divergence.against.len(), venues.len() - 1);
                let middle = if venues.len() == 2 { venues[1 - odd].1 } else { 5.0 };
                let premium = if is_odd { divergence.premium } else { -divergence.premium };
                assert!((premium - (venues[odd].1 - middle) * BP).abs() < BP, "{divergence:?}");
                assert_eq!((divergence.since, divergence.complete), (divergence.close_at, true));
                assert_eq!(divergence.cause_seq, street.minute.unsigned_abs());
                assert!(divergence.score >= divergence.threshold && divergence.z >= divergence.z_min);
            }
        };
        check(&TWO, 0, &["binance:BTC-USDT", "coinbase:BTC-USD"]);
        check(&TWO, 1, &["binance:BTC-USDT", "coinbase:BTC-USD"]);
        for (odd, (name, _)) in THREE.iter().enumerate() {
            check(&THREE, odd, &[name]);
        }
    }

    #[test]
    fn a_venue_that_has_frozen_is_told_as_the_market_leaves_it() {
        let mut street = warm(&THREE);
        let frozen = price(street.level);
        let mut minutes = 0;
        while street.found.is_empty() {
            street.pass(|at, level| Some(if at == 2 { frozen } else { price(level) }));
            minutes += 1;
            assert!(minutes < 30, "not told within half an hour");
        }
        assert_eq!(street.names(), ["kraken:BTC-USD"]);
        let since = street.found[0].divergence.since;
        // As long as it stays away it is one divergence.
        for _ in 0..100 {
            street.level += 20.0 * BP;
            street.pass(|at, level| Some(if at == 2 { frozen } else { price(level) }));
        }
        assert!((2..20).contains(&street.found.len()));
        let of_it = |found: &&Found| found.instrument == street.venues[2].0;
        assert!(
            street.found.iter().filter(of_it).all(|found| found.divergence.since == since),
            "{:?}",
            street.found
        );
    }

    #[test]
    fn nothing_is_told_of_a_hole_nor_right_after_it() {
        for venues in [&TWO[..], &THREE] {
            let mut street = warm(venues);
            let far = |at: usize, level: f64| price(if at == 0 { level + 100.0 * BP } else { level });
            street.pass(|at, level| Some(if at == 0 { Said::Hole } else { far(at, level) }));
            for _ in 0..SETTLING {
                street.pass(|at, level| Some(far(at, level)));
            }
            assert_eq!(street.names(), [""; 0], "{venues:?}");
            street.pass(|at, level| Some(far(at, level)));
            assert_eq!(street.names()[0], "binance:BTC-USDT");
            assert!(!street.found[0].divergence.complete);
        }
    }

    #[test]
    fn a_minute_without_trades_is_compared_without_the_venue() {
        let mut street = warm(&THREE);
        street.pass(|at, level| match at {
            0 => Some(Said::Nothing),
            1 => Some(price(level + 50.0 * BP)),
            _ => Some(price(level)),
        });
        assert_eq!(street.names(), ["coinbase:BTC-USD", "kraken:BTC-USD"]);
        let divergence = &street.found[0].divergence;
        assert_eq!(divergence.missing, ["binance:BTC-USDT".parse().unwrap()]);
        assert_eq!(divergence.against, ["kraken:BTC-USD".parse().unwrap()]);
    }

    #[test]
    fn whoever_lags_is_waited_for_as_long_as_patience_lasts() {
        let mut street = warm(&THREE);
        let patience = plan().patience_nanos / MINUTE;
        let before = street.comparison.counts();
        let far = |at: usize, level: f64| price(if at == 0 { level + 50.0 * BP } else { level });
        for minute in 0..=patience {
            assert_eq!((street.names().len(), minute <= patience), (0, true));
            street.pass(|at, level| (at != 2).then(|| far(at, level)));
        }
        // The first minute that lacked the third was compared without it, and so is all that waited behind it.
        assert_eq!(street.names()[..2], ["binance:BTC-USDT", "coinbase:BTC-USD"]);
        assert_eq!(street.found[0].divergence.missing, ["kraken:BTC-USD".parse().unwrap()]);
        let after = street.comparison.counts();
        assert_eq!((after.short - before.short, after.whole - before.whole), (1, patience as u64));
        // From here on nobody waits for it, and what it says too late is counted.
        street.tell(2, street.minute - patience, price(street.level));
        assert_eq!(street.comparison.counts().late - before.late, 1);
        street.pass(|at, level| (at != 2).then(|| price(level)));
        assert_eq!(street.comparison.counts().whole, after.whole + 1);
        // Once it is heard of in time, or nearly, it is waited for again.
        street.pass(|_, level| Some(price(level)));
        street.pass(|at, level| (at != 2).then(|| price(level)));
        assert_eq!(street.comparison.counts().whole, after.whole + 2);
        street.found.clear();
        street.comparison.finish(&mut street.found);
        assert_eq!(street.comparison.counts().short, after.short + 1);
    }

    #[test]
    fn markets_of_one_venue_are_not_held_against_each_other() {
        let mut street = warm(&[("binance:BTC-USDT", 0.0), ("binance:BTC-USDC", 1.0)]);
        street.pass(|at, level| Some(price(level + 1_000.0 * BP * at as f64)));
        assert_eq!((street.names().len(), street.comparison.counts()), (0, Counts::default()));
    }

    #[test]
    fn what_is_told_again_changes_nothing() {
        let (mut once, mut twice) = (Street::new(&THREE), Street::new(&THREE));
        for minute in 1..1_000 {
            once.pass_quietly(1);
            let mut said = Vec::new();
            twice.pass(|at, level| {
                said.push((at, price(level)));
                Some(price(level))
            });
            said.into_iter().for_each(|(at, said)| twice.tell(at, minute, said));
        }
        assert_eq!(once.found, twice.found);
        assert!(!once.found.is_empty());
    }

    #[test]
    fn quiet_candles_teach_and_tell_nothing() {
        let mut street = Street::new(&TWO);
        for _ in 0..2_000 {
            street.pass(|_, _| None);
            for at in 0..2 {
                let level = street.level + street.venues[at].1 + NOISE * street.gauss();
                let (close_at, cause_seq) = (UnixNanos(street.minute * MINUTE), 1);
                let closed =
                    Closed { close_at, said: price(level), cause_seq, is_quiet: true, is_held: true };
                street.comparison.take(&street.venues[at].0, &closed, &mut street.found);
            }
        }
        assert_eq!(street.names().len(), 0);
        street.pass(|at, level| Some(price(level + 50.0 * BP * at as f64)));
        assert_eq!(street.names().len(), 2);
    }

    #[test]
    fn while_others_are_on_their_way_patience_does_not_count() {
        let mut street = warm(&TWO);
        let before = street.comparison.counts();
        for minute in street.minute + 1..street.minute + 100 {
            let closed = Closed {
                close_at: UnixNanos(minute * MINUTE),
                said: price(street.level),
                cause_seq: 1,
                is_quiet: false,
                is_held: true,
            };
            street.comparison.take(&street.venues[0].0, &closed, &mut street.found);
        }
        assert_eq!(street.comparison.counts(), before);
    }

    #[test]
    fn whoever_was_met_is_waited_for_before_its_first_candle() {
        let mut street = Street::new(&TWO);
        street.comparison.take(&street.venues[1].0, &Closed::MEETING, &mut street.found);
        for minute in 1..=3 {
            street.tell(0, minute, price(0.0));
        }
        assert_eq!(street.comparison.counts(), Counts::default());
        for minute in 1..=3 {
            street.tell(1, minute, price(0.0));
        }
        assert_eq!(street.comparison.counts(), Counts { whole: 3, ..Counts::default() });
    }

    #[test]
    fn saved_in_the_middle_it_goes_on_as_if_nothing_had_happened() {
        for cut in [0, 1, 29, 31, 330, 700, 1_500] {
            let mut street = Street::new(&THREE);
            street.pass_quietly(cut);
            // One is under way.
            street.pass(|at, level| (at != 1).then(|| price(level)));
            let mut words = Vec::new();
            street.comparison.save(&mut words);
            let restored = Comparison::restore(plan(), &words).unwrap();
            let mut other =
                Street { comparison: restored, found: street.found.clone(), ..Street::new(&THREE) };
            (other.random, other.level, other.minute) =
                (Random(street.random.0), street.level, street.minute);
            for minute in 0..1_200 {
                let shock = if minute % 400 == 399 { 30.0 * BP } else { 0.0 };
                let change = |at: usize, level: f64| Some(price(if at == 0 { level + shock } else { level }));
                street.pass(change);
                other.pass(change);
            }
            assert_eq!(street.found, other.found, "cut at {cut}");
            assert!(!street.found.is_empty(), "cut at {cut}");
            let mut both = [Vec::new(), Vec::new()];
            street.comparison.save(&mut both[0]);
            other.comparison.save(&mut both[1]);
            assert_eq!(both[0], both[1], "cut at {cut}");
        }
    }

    #[test]
    fn words_that_no_comparison_saved_are_refused() {
        let mut street = Street::new(&THREE);
        street.pass_quietly(400);
        street.pass(|at, level| (at != 1).then(|| price(level)));
        let mut words = Vec::new();
        street.comparison.save(&mut words);
        for cut in [0, 1, 3, words.len() / 2, words.len() - 1] {
            assert!(Comparison::restore(plan(), &words[..cut]).is_err(), "cut at {cut}");
        }
        let mut random = Random(3);
        for _ in 0..2_000 {
            let mut other = words.clone();
            let at = random.word() as usize % other.len();
            other[at] = random.word() >> (random.word() % 64);
            // Never a panic; what is a float may be any.
            let _ = Comparison::restore(plan(), &other);
        }
    }
}
