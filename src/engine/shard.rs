//! A shard: one thread, the partitions it owns, and the seats of their symbols.
//!
//! Everything of a shard happens on its thread, so that what its parts share needs no lock. It rests
//! when no symbol has anything to do and no connection has a frame at hand: then what was told goes
//! out. The journal goes first: nothing is published before what caused it is in the kernel. Computing
//! does not wait for that: an event is computed as soon as it has its place in the journal's order.
//!
//! The passing of time is every symbol's at once, and nobody waits for it: symbols hear of it a few at a
//! time, between two frames, unless an event of their own comes first and finds it before itself in the inbox.
//! Where it changes nothing (no candle to close, no gap to claim) they hear of it with their next event.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;

use crate::analytics::pipeline::Settings;
use crate::domain::event::Event;
use crate::domain::instrument::Instrument;
use crate::domain::output::Position;
use crate::domain::time::UnixNanos;
use crate::domain::told::{IndicatorNames, Watch};
use crate::engine::bus::Bus;
use crate::engine::inbox::Waiting;
use crate::engine::log::SharedLog;
use crate::engine::seat::{Seat, Wake};
use crate::journal::snapshots::Snapshots;
use crate::runtime::clock::Mono;
use crate::runtime::health::Health;
use crate::runtime::metrics::{Metrics, QueueMeter};
use crate::runtime::quarantine::Quarantine;
use crate::runtime::sink::Sink;

/// Whether taking that event should panic: for tests of what happens then.
pub type Fault = Arc<dyn Fn(&Instrument, &Event) -> bool + Send + Sync>;

/// What all shards are given.
#[derive(Clone)]
pub struct Common {
    /// As long as the process.
    pub settings: &'static Settings,
    pub names: Arc<IndicatorNames>,
    /// Identifies them in snapshots.
    pub fingerprint: u64,
    /// What the journal records of the configuration, TOML.
    pub recorded: Arc<str>,
    pub log: SharedLog,
    /// Where the log's segments lie.
    pub journal: PathBuf,
    pub snapshots: Snapshots,
    pub metrics: Metrics,
    pub health: Health,
    pub quarantine: Arc<dyn Quarantine>,
    pub fault: Option<Fault>,
}

/// One thread's share of the symbols.
pub struct Shard {
    pub number: usize,
    pub common: Common,
    /// The partitions it owns that hold a symbol, ascending.
    pub partitions: Vec<u32>,
    /// By watch; `None`: another shard's.
    pub seats: Vec<Option<Rc<Seat>>>,
    pub bus: RefCell<Bus>,
    /// Room for the places that the trades of a frame get in the log.
    pub places: RefCell<Vec<Option<Position>>>,
    /// Seats that were given something since the shard last rested.
    touched: RefCell<Vec<Rc<Seat>>>,
    /// Seats that have a tick to hear of and were not woken for it; each once.
    lagging: RefCell<VecDeque<Rc<Seat>>>,
    /// A connection has more frames at hand.
    more_comes: Cell<bool>,
    /// Symbols that were woken and have not come to their end.
    busy: Cell<usize>,
    /// Something was appended and is perhaps not in the kernel.
    unflushed: Cell<bool>,
    /// Events that could not be journalled, trades aside.
    pub deferred: RefCell<Vec<(Watch, Event)>>,
    /// Something was missed while the journal could not be written.
    pub missed: Cell<bool>,
    /// The last tick told.
    pub ticked_at: Cell<UnixNanos>,
    /// When it last journalled how much was told.
    pub tallied: Cell<Option<Mono>>,
    /// The segment in which it last stated the configuration.
    pub configured: Cell<u64>,
    /// When it last told how long ago its symbols traded.
    pub told_ages: Cell<Option<Mono>>,
    meters: Meters,
}

/// What the shard has told of its queues.
struct Meters {
    inbox: QueueMeter,
    bus: QueueMeter,
    journal: QueueMeter,
    inbox_told: Cell<i64>,
    bus_told: Cell<i64>,
}

impl Shard {
    pub fn new(
        number: usize,
        common: Common,
        partitions: Vec<u32>,
        seats: Vec<Option<Rc<Seat>>>,
        bus: Bus,
    ) -> Self {
        let meters = Meters {
            inbox: common.metrics.queue("inbox"),
            bus: common.metrics.queue("bus"),
            journal: common.metrics.queue("journal"),
            inbox_told: Cell::new(0),
            bus_told: Cell::new(0),
        };
        Self {
            number,
            common,
            partitions,
            seats,
            bus: RefCell::new(bus),
            places: RefCell::default(),
            touched: RefCell::default(),
            lagging: RefCell::default(),
            more_comes: Cell::new(false),
            busy: Cell::new(0),
            unflushed: Cell::new(false),
            deferred: RefCell::default(),
            missed: Cell::new(false),
            ticked_at: Cell::new(UnixNanos(i64::MIN)),
            tallied: Cell::new(None),
            configured: Cell::new(0),
            told_ages: Cell::new(None),
            meters,
        }
    }

    /// This shard's own.
    pub fn own(&self) -> impl Iterator<Item = &Rc<Seat>> {
        self.seats.iter().flatten()
    }

    /// # Panics
    ///
    /// On a watch of another shard: whoever deals symbols to shards has made a mistake.
    #[inline]
    pub fn seat(&self, watch: Watch) -> &Rc<Seat> {
        let seat = self.seats.get(watch.0 as usize).and_then(Option::as_ref);
        seat.expect("a connection speaks of symbols of its own shard")
    }

    /// An event of the seat was appended: it waits for its actor.
    #[inline]
    pub fn put(&self, seat: &Rc<Seat>, waiting: Waiting) {
        if self.take_in(seat, waiting) {
            self.touch(seat);
        }
    }

    /// The same for a tick, which is in no hurry.
    pub fn put_tick(&self, seat: &Rc<Seat>, at: Position, venue_at: UnixNanos) {
        if seat.is_still(venue_at) {
            self.unflushed.set(true);
            seat.last_at.set(at);
            seat.quiet_tick.set(Some((at, venue_at)));
            return;
        }
        // This one says what those before it said.
        seat.quiet_tick.set(None);
        self.put_later(seat, at, venue_at);
    }

    /// Lets the seat hear of a tick that it put off; `false`: there is none.
    pub fn hurry(&self, seat: &Rc<Seat>) -> bool {
        let tick = seat.quiet_tick.take();
        if let Some((at, venue_at)) = tick {
            self.put_later(seat, at, venue_at);
        }
        tick.is_some()
    }

    fn put_later(&self, seat: &Rc<Seat>, at: Position, venue_at: UnixNanos) {
        let tick = Waiting { at, event: Event::Tick { venue_at }, stamps: None };
        if self.take_in(seat, tick) && !seat.lagging.replace(true) {
            self.lagging.borrow_mut().push_back(seat.clone());
        }
    }

    /// `false`: nobody computes it before the next start.
    #[inline]
    fn take_in(&self, seat: &Seat, waiting: Waiting) -> bool {
        self.unflushed.set(true);
        seat.begun.set(true);
        seat.last_at.set(waiting.at);
        if seat.parked.get() {
            return false;
        }
        let mut inbox = seat.inbox.borrow_mut();
        if let Some((at, venue_at)) = seat.quiet_tick.take() {
            let tick = Waiting { at, event: Event::Tick { venue_at }, stamps: None };
            self.meters.inbox.dropped.inc_by(u64::from(!inbox.put(tick)));
        }
        if !inbox.put(waiting) {
            self.meters.inbox.dropped.inc();
        }
        true
    }

    /// The seat has something to do.
    #[inline]
    pub fn touch(&self, seat: &Rc<Seat>) {
        if !seat.touched.replace(true) {
            self.touched.borrow_mut().push(seat.clone());
        }
    }

    /// So many events could not be journalled.
    pub fn count_missed(&self, events: usize) {
        self.missed.set(true);
        self.meters.journal.dropped.inc_by(events as u64);
    }

    /// Wakes who has something to do. While the journal cannot be written nobody is: whoever comes next tries again.
    fn wake_touched(&self) {
        if !self.is_writable() {
            return;
        }
        for seat in self.touched.borrow_mut().drain(..) {
            seat.touched.set(false);
            self.wake(&seat);
        }
    }

    fn wake(&self, seat: &Seat) {
        if !seat.woken.replace(true) {
            self.busy.set(self.busy.get() + 1);
            if let Some(actor) = seat.actor.get() {
                // At most one message of this address is under way: its mailbox does not grow.
                actor.do_send(Wake);
            }
        }
    }

    /// Who has something to do is woken; more comes at once, so that outputs may wait for others.
    pub fn work(&self) {
        self.more_comes.set(true);
        self.wake_touched();
    }

    /// Nothing more is at hand: who has something to do is woken, and outputs go out when it is done.
    pub fn rest(&self) {
        self.more_comes.set(false);
        self.wake_touched();
        if self.busy.get() == 0 {
            self.turned(Mono::now());
        }
    }

    /// Whether some have not heard of the last tick, and can.
    pub fn is_lagging(&self) -> bool {
        !self.lagging.borrow().is_empty() && !self.common.log.is_failing()
    }

    /// Lets the next few hear of the last tick.
    pub fn wake_lagging(&self, seats: usize) {
        if !self.is_writable() {
            return;
        }
        let mut woken = 0;
        while woken < seats {
            let Some(seat) = self.lagging.borrow_mut().pop_front() else { break };
            seat.lagging.set(false);
            // Where a trade came meanwhile, the tick before it was heard.
            if !seat.inbox.borrow().is_idle() {
                self.wake(&seat);
                woken += 1;
            }
        }
        if self.busy.get() == 0 {
            self.turned(Mono::now());
        }
    }

    /// Tries again where the last write failed.
    fn is_writable(&self) -> bool {
        !self.common.log.is_failing() || self.common.log.flush()
    }

    /// Hands what was appended to the kernel; `false`: the log is failing.
    pub fn flush(&self) -> bool {
        if self.unflushed.get() {
            if !self.common.log.flush() {
                return false;
            }
            self.unflushed.set(false);
        }
        true
    }

    pub fn set_unflushed(&self) {
        self.unflushed.set(true);
    }

    /// A symbol has nothing more to do; the last one lets the outputs go.
    pub fn slept(&self, seat: &Seat, now: Mono) {
        seat.woken.set(false);
        self.busy.set(self.busy.get() - 1);
        self.turned(now);
    }

    /// A symbol waits for a while, and is not to be woken before it has [`resumed`](Self::resumed).
    pub fn paused(&self, now: Mono) {
        self.busy.set(self.busy.get() - 1);
        self.turned(now);
    }

    pub fn resumed(&self) {
        self.busy.set(self.busy.get() + 1);
    }

    /// A turn has ended: outputs go out if the shard rests, or if they have waited long enough.
    pub fn turned(&self, now: Mono) {
        let mut bus = self.bus.borrow_mut();
        bus.turned(now);
        let is_still = self.busy.get() == 0 && !self.more_comes.get();
        if bus.is_empty() {
            // What has told nothing belongs into the kernel all the same.
            if is_still {
                self.flush();
            }
            return;
        }
        // What ticks close goes out together; what trades told does not wait for it.
        let is_done = is_still && (bus.has_trades() || self.lagging.borrow().is_empty());
        if (is_done || bus.is_due(now)) && self.flush() {
            bus.publish(now, false);
        }
    }

    /// Hands over what was told, without waiting for the shard to rest; `false`: the log is failing.
    pub fn publish_now(&self) -> bool {
        if !self.flush() {
            return false;
        }
        self.bus.borrow_mut().publish(Mono::now(), false);
        true
    }

    pub fn sinks(&self) -> Vec<Arc<dyn Sink>> {
        self.bus.borrow().sinks().to_vec()
    }

    /// Whether no symbol has anything to do and nothing waits to be told.
    pub fn is_idle(&self) -> bool {
        let nobody_waits = self.touched.borrow().is_empty() && self.lagging.borrow().is_empty();
        self.busy.get() == 0 && nobody_waits && self.bus.borrow().is_empty()
    }

    /// Tells the meters how full the queues are.
    pub fn meter(&self) {
        let waiting: usize = self.own().map(|seat| seat.inbox.borrow().depth()).sum();
        let told = self.bus.borrow().depth();
        for (depth, before, meter) in [
            (waiting, &self.meters.inbox_told, &self.meters.inbox),
            (told, &self.meters.bus_told, &self.meters.bus),
        ] {
            // The gauge is the sum of all shards.
            let depth = depth as i64;
            meter.depth.add(depth - before.replace(depth));
        }
    }

    /// Where an event of another partition's clock stands: for `Position`s of ticks.
    pub fn position_of(positions: &[(u32, Position)], partition: u32) -> Option<Position> {
        positions.iter().find(|(p, _)| *p == partition).map(|(_, at)| *at)
    }
}
