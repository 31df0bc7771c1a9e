//! One asset's markets: their closed candles brought together minute by minute, and each held against the others.
//!
//! A minute is released once every market has closed it: a symbol closes its candles when its own watermark has passed
//! them, so that nothing of the minute is under way any more. One that is parked, or of which nothing comes, is
//! waited for no longer than the plan's patience of event time, and not at all from then on until it is heard of again.
//! A minute in which a market has a hole, or nothing traded, is compared without it.

use std::collections::BTreeMap;

use crate::analytics::across::found::{Counts, Found};
use crate::analytics::across::market::{Look, Market};
use crate::analytics::across::plan::AcrossPlan;
use crate::analytics::rolling::state::{State, StateFault};
use crate::domain::closed::{Closed, Said};
use crate::domain::decimal::{Decimal, Price};
use crate::domain::divergence::Divergence;
use crate::domain::instrument::Instrument;
use crate::domain::time::UnixNanos;

/// Minutes that wait while patience does not count; of more, the oldest goes without whoever lags.
const WAITING_MAX: usize = 4_096;

/// All markets of one asset.
#[derive(Clone, Debug, Default)]
pub struct Group {
    markets: BTreeMap<Instrument, Market>,
    /// By close: what was said of it, and because of which event.
    rounds: BTreeMap<UnixNanos, Round>,
    released_until: Option<UnixNanos>,
}

/// One minute of all of them.
#[derive(Clone, Debug, Default)]
struct Round {
    heard: BTreeMap<Instrument, (Said, u64)>,
    /// It teaches and tells nothing.
    is_quiet: bool,
}

/// A market with a price in a minute.
struct Stand<'a> {
    instrument: &'a Instrument,
    market: &'a mut Market,
    price: Price,
    cause_seq: u64,
    /// The price's logarithm, and the same less the usual premium.
    level: f64,
    fair: f64,
    has_a_say: bool,
}

impl Group {
    /// The next closed candle of one of them.
    pub fn take(
        &mut self,
        plan: &AcrossPlan,
        instrument: &Instrument,
        closed: &Closed,
        counts: &mut Counts,
        found: &mut Vec<Found>,
    ) {
        if !self.markets.contains_key(instrument) {
            self.markets.insert(instrument.clone(), Market::new(&plan.tuning()));
        }
        let is_compared = self.venues() > 1;
        let Some(market) = self.markets.get_mut(instrument) else { return };
        if closed.close_at <= market.closed_until {
            return; // told again by a start
        }
        market.closed_until = closed.close_at;
        if !is_compared {
            self.released_until = Some(closed.close_at);
            return;
        }
        if self.released_until.is_some_and(|until| closed.close_at <= until) {
            counts.late += 1;
            // From the next minute on it is waited for, if it is no farther behind than patience reaches.
            let frontier = self.closed_until().unwrap_or(closed.close_at);
            let is_near = frontier.0.saturating_sub(closed.close_at.0) < plan.patience_nanos;
            self.markets.get_mut(instrument).into_iter().for_each(|market| market.is_absent &= !is_near);
            return;
        }
        market.is_absent = false;
        let round = self.rounds.entry(closed.close_at).or_default();
        round.heard.insert(instrument.clone(), (closed.said, closed.cause_seq));
        round.is_quiet |= closed.is_quiet;
        self.release(plan, closed.is_held, counts, found);
    }

    /// Nothing more comes: whoever lags is not waited for.
    pub fn finish(&mut self, plan: &AcrossPlan, counts: &mut Counts, found: &mut Vec<Found>) {
        while let Some(close_at) = self.rounds.keys().next().copied() {
            self.release_one(plan, close_at, counts, found);
        }
    }

    fn venues(&self) -> usize {
        let mut venues: Vec<_> = self.markets.keys().map(Instrument::venue).collect();
        venues.dedup(); // in order of venue
        venues.len()
    }

    fn release(&mut self, plan: &AcrossPlan, is_held: bool, counts: &mut Counts, found: &mut Vec<Found>) {
        let frontier = self.closed_until();
        while let Some(close_at) = self.rounds.keys().next().copied() {
            let is_whole = self.lagging(close_at).next().is_none();
            let latest = UnixNanos(close_at.0.saturating_add(plan.patience_nanos));
            let has_waited = !is_held && frontier.is_some_and(|frontier| frontier >= latest);
            if !is_whole && !has_waited && self.rounds.len() <= WAITING_MAX {
                return;
            }
            self.release_one(plan, close_at, counts, found);
        }
    }

    /// Those that have not closed it and are waited for.
    fn lagging(&mut self, close_at: UnixNanos) -> impl Iterator<Item = &mut Market> {
        let lags = move |market: &&mut Market| !market.is_absent && market.closed_until < close_at;
        self.markets.values_mut().filter(lags)
    }

    fn release_one(
        &mut self,
        plan: &AcrossPlan,
        close_at: UnixNanos,
        counts: &mut Counts,
        found: &mut Vec<Found>,
    ) {
        let mut lagging = 0_u64;
        for market in self.lagging(close_at) {
            market.is_absent = true;
            lagging += 1;
        }
        counts.whole += u64::from(lagging == 0);
        counts.short += u64::from(lagging > 0);
        self.released_until = Some(close_at);
        if let Some(round) = self.rounds.remove(&close_at) {
            self.compare(plan, close_at, &round, found);
        }
    }

    /// Holds each market that has a price against the others.
    fn compare(&mut self, plan: &AcrossPlan, close_at: UnixNanos, round: &Round, found: &mut Vec<Found>) {
        let (mut stands, mut missing) = (Vec::new(), Vec::new());
        for (instrument, market) in &mut self.markets {
            match round.heard.get(instrument) {
                Some(&(Said::Price(price), cause_seq)) => {
                    stands.push(Stand::new(instrument, market, price, cause_seq));
                    continue;
                }
                Some((Said::Nothing, _)) => {}
                Some((Said::Hole, _)) | None => market.interrupt(),
            }
            missing.push(instrument.clone());
        }
        if stands.windows(2).all(|pair| pair[0].instrument.venue() == pair[1].instrument.venue()) {
            return;
        }
        // Those that have a say are the measure; where these are too few, all learn and nobody is judged.
        let is_judged = stands.iter().filter(|stand| stand.has_a_say).count() > 1;
        let measure = stands.iter().filter(|stand| stand.has_a_say || !is_judged);
        let middle = median(measure.map(|stand| stand.fair).collect());
        let mut told = Vec::new();
        for (at, stand) in stands.iter_mut().enumerate() {
            let place = stand.level - middle;
            if !(is_judged && stand.has_a_say) {
                stand.market.learn(place);
            } else if let Some(look) = stand.market.look(close_at, place) {
                told.push((at, look));
            }
        }
        if !round.is_quiet {
            let found_of = |(at, look)| found_one(plan, close_at, (&stands, middle), &missing, at, &look);
            found.extend(told.into_iter().map(found_of));
        }
    }

    /// Visits every word of mutable state.
    pub fn state(&mut self, plan: &AcrossPlan, state: &mut State<'_>) {
        let mut len = self.markets.len();
        state.len(&mut len);
        if state.is_load() {
            self.markets.clear();
            for _ in 0..len {
                let Some(instrument) = visit_name(None, state) else { return };
                let mut market = Market::new(&plan.tuning());
                market.state(state);
                self.markets.insert(instrument, market);
            }
            state.check(self.markets.len() == len, "a market stands twice");
        } else {
            for (instrument, market) in &mut self.markets {
                visit_name(Some(instrument), state);
                market.state(state);
            }
        }
        let mut released = self.released_until.map(|at| at.0.cast_unsigned());
        state.option_word(&mut released);
        self.released_until = released.map(|at| UnixNanos(at.cast_signed()));
        let mut len = self.rounds.len();
        state.len(&mut len);
        if !state.is_load() {
            for (close_at, round) in &mut self.rounds {
                state.i64(&mut { close_at.0 });
                round.state(state);
            }
            return;
        }
        self.rounds.clear();
        for _ in 0..len {
            let (mut close_at, mut round) = (0, Round::default());
            state.i64(&mut close_at);
            round.state(state);
            self.rounds.insert(UnixNanos(close_at), round);
        }
    }

    /// Close of the newest candle of any of them.
    pub fn closed_until(&self) -> Option<UnixNanos> {
        self.markets.values().map(|market| market.closed_until).max()
    }

    /// As which asset it is compared; `None` without a market.
    pub fn asset(&self, plan: &AcrossPlan) -> Option<(String, String)> {
        self.markets.keys().next().map(|instrument| plan.asset(instrument))
    }
}

impl Round {
    fn state(&mut self, state: &mut State<'_>) {
        state.bool(&mut self.is_quiet);
        let mut len = self.heard.len();
        state.len(&mut len);
        if !state.is_load() {
            for (instrument, (said, cause_seq)) in &mut self.heard {
                visit_name(Some(instrument), state);
                visit_said(said, state);
                state.word(cause_seq);
            }
            return;
        }
        for _ in 0..len {
            let Some(instrument) = visit_name(None, state) else { return };
            let (mut said, mut cause_seq) = (Said::Hole, 0);
            visit_said(&mut said, state);
            state.word(&mut cause_seq);
            self.heard.insert(instrument, (said, cause_seq));
        }
    }
}

impl<'a> Stand<'a> {
    fn new(instrument: &'a Instrument, market: &'a mut Market, price: Price, cause_seq: u64) -> Self {
        let level = libm::log(price.decimal().to_f64());
        let fair = level - market.premium().unwrap_or(0.0);
        let has_a_say = market.has_a_say();
        Self { instrument, market, price, cause_seq, level, fair, has_a_say }
    }
}

fn found_one(
    plan: &AcrossPlan,
    close_at: UnixNanos,
    (stands, middle): (&[Stand<'_>], f64),
    missing: &[Instrument],
    at: usize,
    look: &Look,
) -> Found {
    let own = &stands[at];
    let others = || stands.iter().enumerate().filter(|(other, stand)| *other != at && stand.has_a_say);
    let named = |names: &[Instrument]| names.iter().take(Divergence::NAMED_MAX).cloned().collect();
    let against: Vec<_> = others().map(|(_, stand)| stand.instrument.clone()).collect();
    // Of two the middle is half-way: between them lies twice as much.
    let share = if against.len() == 1 { 2.0 } else { 1.0 };
    let divergence = Divergence {
        interval: plan.interval,
        close_at,
        since: look.since,
        cause_seq: own.cause_seq,
        price: own.price,
        against: named(&against),
        missing: named(missing),
        apart: share * (own.fair - middle),
        premium: share * look.premium,
        spread: share * look.spread,
        z: look.z,
        z_min: look.alert.strength_min,
        score: look.alert.score,
        threshold: look.alert.threshold,
        tail: look.alert.tail,
        complete: own.market.is_complete(),
    };
    Found { instrument: own.instrument.clone(), divergence }
}

/// The middle value, or the mean of the middle two; 0 of none.
fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    match values.len() {
        0 => 0.0,
        n if n % 2 == 1 => values[n / 2],
        n => f64::midpoint(values[n / 2 - 1], values[n / 2]),
    }
}

/// One word: a price's bits are neither none nor all of them.
fn visit_said(said: &mut Said, state: &mut State<'_>) {
    const NOTHING: u64 = 0;
    const HOLE: u64 = u64::MAX;
    let mut word = match said {
        Said::Price(price) => price.decimal().to_bits(),
        Said::Nothing => NOTHING,
        Said::Hole => HOLE,
    };
    state.word(&mut word);
    let price = || Decimal::from_bits(word).and_then(|value| Price::new(value).ok());
    *said = match word {
        NOTHING => Said::Nothing,
        HOLE => Said::Hole,
        _ => price().map_or_else(
            || {
                state.fault(StateFault::Impossible("a price that is none"));
                Said::Hole
            },
            Said::Price,
        ),
    };
}

/// The longest text of a name: venue, colon, symbol.
const NAME_BYTES_MAX: usize = 4 * (32 + 1 + 48);

/// Saves the name, or reads one: its length, then eight bytes a word. `None`: it is none.
fn visit_name(name: Option<&Instrument>, state: &mut State<'_>) -> Option<Instrument> {
    let mut bytes = name.map(|name| name.to_string().into_bytes()).unwrap_or_default();
    let mut len = bytes.len();
    state.index(&mut len, NAME_BYTES_MAX);
    bytes.resize(len, 0);
    for eight in bytes.chunks_mut(8) {
        let mut word = [0; 8];
        word[..eight.len()].copy_from_slice(eight);
        let mut number = u64::from_le_bytes(word);
        state.word(&mut number);
        eight.copy_from_slice(&number.to_le_bytes()[..eight.len()]);
    }
    let read = String::from_utf8(bytes).ok().and_then(|text| text.parse().ok());
    if read.is_none() {
        state.fault(StateFault::Impossible("a name that is no instrument's"));
    }
    read
}
