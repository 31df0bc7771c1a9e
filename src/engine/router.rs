//! The router: gives each event its place in the journal, and puts it into its symbol's inbox.
//!
//! The side of a shard that connections see. Trades from the future are refused here, where our clock
//! and the venue's are known. While the journal cannot be written nothing is taken in: trades are
//! dropped and counted, and once it can be written again each symbol that missed some is told the stretch
//! (ids show what is missing, and REST repairs it); other events wait, [`DEFERRED_MAX`] of them.

use std::rc::Rc;

use crate::domain::divergence::Divergence;
use crate::domain::event::{Event, Trade};
use crate::domain::time::{Stamp, UnixNanos};
use crate::domain::told::Watch;
use crate::engine::inbox::{Stamps, Waiting};
use crate::engine::log::state_configuration;
use crate::engine::seat::Seat;
use crate::engine::shard::Shard;
use crate::journal::error::JournalError;
use crate::runtime::clock::{self, Mono};
use crate::runtime::intake::{FrameStamps, Intake};
use crate::runtime::quarantine::Quarantined;

/// How far a trade's time may lie ahead of ours, the venue's skew taken off.
const AHEAD_NANOS_MAX: i64 = 10_000_000_000;
/// Between two records of what was told.
const TALLY_NANOS: u64 = 10_000_000_000;
/// Between two looks at how long ago each symbol traded.
const AGES_NANOS: u64 = 900_000_000;
/// Events other than trades that wait for a journal that cannot be written; more are dropped and counted.
const DEFERRED_MAX: usize = 64;

/// The intake of one shard.
#[derive(Clone)]
pub struct Router {
    shard: Rc<Shard>,
}

impl Router {
    pub fn new(shard: Rc<Shard>) -> Self {
        Self { shard }
    }

    /// Time has passed: venue time as estimated from the clock that lags most.
    pub fn tick(&self, now: UnixNanos) {
        let shard = &self.shard;
        let log = &shard.common.log;
        shard.meter();
        // Gauges lie far apart in memory.
        if shard.told_ages.get().is_none_or(|at| Mono::now().nanos_since(at) >= AGES_NANOS) {
            shard.told_ages.set(Some(Mono::now()));
            self.tell_ages();
        }
        if log.is_failing() && !log.flush() {
            return;
        }
        if shard.missed.replace(false) {
            self.tell_missed();
        }
        if shard.number == 0 {
            self.tell_configuration();
        }
        if shard.partitions.is_empty() {
            return;
        }
        let due = shard.tallied.get().is_none_or(|at| Mono::now().nanos_since(at) >= TALLY_NANOS);
        if due {
            shard.tallied.set(Some(Mono::now()));
            self.tell_tallies();
        }
        let skew = shard.own().filter_map(|seat| seat.clock.skew_ns()).max().unwrap_or(0);
        let venue_at = UnixNanos(now.0.saturating_sub(skew)).max(shard.ticked_at.get());
        let mut writer = log.lock();
        if let Err(error) = writer.append_tick(venue_at, &shard.partitions) {
            drop(writer);
            log.noted(Err(error));
            return;
        }
        let at: Vec<_> = shard.partitions.iter().map(|&p| (p, writer.position(p))).collect();
        drop(writer);
        shard.ticked_at.set(venue_at);
        shard.set_unflushed();
        for seat in shard.own().filter(|seat| seat.begun.get()) {
            let at = Shard::position_of(&at, seat.partition).expect("a seat's partition is its shard's");
            shard.put_tick(seat, at, venue_at);
        }
        self.rest();
    }

    /// States version and configuration once in each segment: the one in which the start stated them goes one day,
    /// and a replay of what is left must know them.
    fn tell_configuration(&self) {
        let shard = &self.shard;
        let mut writer = shard.common.log.lock();
        let segment = writer.segment();
        match shard.configured.get() {
            known if known == segment => {}
            // The start has stated them.
            0 => shard.configured.set(segment),
            _ => {
                let stated = state_configuration(&mut writer, &shard.common.recorded);
                drop(writer);
                match stated {
                    Ok(()) => shard.configured.set(segment),
                    Err(error) => _ = shard.common.log.noted(Err(error)),
                }
                shard.set_unflushed();
            }
        }
    }

    /// How long ago each symbol last traded.
    fn tell_ages(&self) {
        let now = Mono::now();
        for seat in self.shard.own() {
            if let Some(at) = seat.last_trade.get() {
                seat.last_trade_age.set(now.nanos_since(at) as f64 / 1e9);
            }
        }
    }

    /// Journals how much each settled symbol has told, and a hash of it.
    pub fn tell_tallies(&self) {
        let shard = &self.shard;
        let mut writer = shard.common.log.lock();
        for seat in shard.own().filter(|seat| seat.begun.get() && seat.is_settled()) {
            let symbol = seat.symbol.borrow();
            if let Err(error) = writer.append_outputs(seat.number, symbol.done_at, &symbol.tally) {
                drop(writer);
                shard.common.log.noted(Err(error));
                return;
            }
        }
        shard.set_unflushed();
    }

    /// The journal can be written again: what was missed meanwhile is told, or done now.
    fn tell_missed(&self) {
        for seat in self.shard.own() {
            if let Some((from, to)) = seat.missed.take() {
                self.event(seat.watch, Event::Unwatched { from, to });
            }
        }
        for (watch, event) in self.shard.deferred.take() {
            self.event(watch, event);
        }
    }

    /// What the comparison found enters the instrument's log; `true`: it stands there, or it cannot stand anywhere.
    pub fn give(&self, watch: Watch, divergence: Box<Divergence>) -> bool {
        let shard = &self.shard;
        let seat = shard.seat(watch);
        if divergence.close_at <= seat.symbol.borrow().pipeline.diverged_at() {
            return true; // given before a restart, and taken
        }
        if shard.common.log.is_failing() {
            return false;
        }
        if self.enter(seat, Event::Divergence(divergence)).is_some() {
            return false;
        }
        shard.rest();
        shard.flush()
    }

    /// Journals an event and lays it into its symbol's inbox. One that no journal takes is refused; the event comes back
    /// where this one cannot be written now.
    fn enter(&self, seat: &Rc<Seat>, event: Event) -> Option<Event> {
        let common = &self.shard.common;
        let appended = common.log.lock().append(seat.number, &event);
        match appended {
            Ok(at) => self.shard.put(seat, Waiting { at, event, stamps: None }),
            Err(error @ (JournalError::Unwritable(_) | JournalError::TooLarge { .. })) => {
                let text: String = format!("{event:?}").chars().take(1_024).collect();
                self.refuse(seat, clock::now(), "unwritable", error.to_string(), text);
            }
            Err(error) => {
                common.log.noted(Err(error));
                return Some(event);
            }
        }
        None
    }

    fn defer(&self, watch: Watch, event: Event) {
        let mut deferred = self.shard.deferred.borrow_mut();
        if deferred.len() < DEFERRED_MAX {
            self.shard.missed.set(true);
            deferred.push((watch, event));
        } else {
            self.shard.count_missed(1);
        }
    }

    fn is_ahead(seat: &Seat, trade: &Trade, received_at: UnixNanos) -> bool {
        trade.exchange_at.0 > seat.clock.venue_at(received_at).0.saturating_add(AHEAD_NANOS_MAX)
    }

    #[cold]
    fn refuse(&self, seat: &Seat, received_at: UnixNanos, word: &'static str, reason: String, text: String) {
        let common = &self.shard.common;
        let venue = seat.instrument.venue().name();
        common.metrics.quarantined.with_label_values(&[venue, word]).inc();
        let reason = format!("{}: {reason}", seat.instrument);
        common.quarantine.put(Quarantined { received_at, venue: venue.to_owned(), reason, text });
    }

    #[cold]
    fn refuse_ahead(&self, seat: &Seat, trade: &Trade, received_at: UnixNanos) {
        let reason = format!("exchange_at {} is more than 10 s ahead of our clock", trade.exchange_at);
        self.refuse(seat, received_at, "ahead", reason, format!("{trade:?}"));
    }

    /// What the journal did not take: because it cannot be written, or because nobody could.
    #[cold]
    fn not_taken(&self, seat: &Seat, error: JournalError, trade: &Trade) {
        if matches!(error, JournalError::Unwritable(_) | JournalError::TooLarge { .. }) {
            self.refuse(seat, clock::now(), "unwritable", error.to_string(), format!("{trade:?}"));
        } else {
            self.shard.common.log.noted(Err(error));
            seat.note_missed(trade.exchange_at);
            self.shard.count_missed(1);
        }
    }
}

impl Intake for Router {
    fn trades(&self, stamps: FrameStamps, trades: &mut Vec<(Watch, Trade)>) {
        let shard = &self.shard;
        if shard.common.log.is_failing() {
            shard.count_missed(trades.len());
            for (watch, trade) in trades.drain(..) {
                shard.seat(watch).note_missed(trade.exchange_at);
            }
            return;
        }
        let mut untaken = None;
        let mut places = shard.places.take();
        let mut writer = shard.common.log.lock();
        for (watch, trade) in &*trades {
            let seat = shard.seat(*watch);
            if Self::is_ahead(seat, trade, stamps.received_at) {
                self.refuse_ahead(seat, trade, stamps.received_at);
                places.push(None);
                continue;
            }
            let appended = writer.append_trade(seat.number, trade);
            places.push(appended.as_ref().ok().copied());
            if let Err(error) = appended {
                untaken.get_or_insert_with(Vec::new).push((seat.clone(), error, trade.clone()));
            }
        }
        drop(writer);
        // Waiting for the writer belongs to the way, and not to the time in the inbox.
        let stamped = Stamps { received: stamps.received, parsed: stamps.parsed, routed: Mono::now() };
        for ((watch, trade), place) in trades.drain(..).zip(places.drain(..)) {
            if let Some(at) = place {
                let seat = shard.seat(watch);
                seat.note_id(&trade);
                shard.put(seat, Waiting { at, event: Event::Trade(trade), stamps: Some(stamped) });
            }
        }
        shard.places.replace(places);
        for (seat, error, trade) in untaken.into_iter().flatten() {
            self.not_taken(&seat, error, &trade);
        }
    }

    fn event(&self, watch: Watch, mut event: Event) {
        let shard = &self.shard;
        let seat = shard.seat(watch);
        if shard.common.log.is_failing() {
            return self.defer(watch, event);
        }
        if let Event::Backfill(page) = &mut event {
            let now = clock::now();
            let (ahead, kept) = std::mem::take(page)
                .into_iter()
                .partition(|trade| Self::is_ahead(seat, trade, trade.received_at.map_or(now, Stamp::at)));
            *page = kept;
            for trade in ahead as Vec<Trade> {
                self.refuse_ahead(seat, &trade, now);
            }
            page.iter().for_each(|trade| seat.note_id(trade));
        }
        if let Event::Trade(trade) = &event {
            seat.note_id(trade);
        }
        if let Some(event) = self.enter(seat, event) {
            self.defer(watch, event);
        }
    }

    fn last_id(&self, watch: Watch) -> Option<u64> {
        self.shard.seat(watch).last_id.get()
    }

    fn work(&self) {
        self.shard.work();
    }

    fn rest(&self) {
        self.shard.rest();
    }
}
