//! A seat: one symbol of a shard, as router and actor share it.

use std::cell::{Cell, OnceCell, RefCell};

use actix::Recipient;
use prometheus::core::{AtomicF64, GenericGauge};

use crate::domain::event::{Trade, TradeId};
use crate::domain::instrument::Instrument;
use crate::domain::output::Position;
use crate::domain::time::UnixNanos;
use crate::domain::told::Watch;
use crate::domain::venue::IdRule;
use crate::engine::inbox::Inbox;
use crate::engine::symbol::Symbol;
use crate::journal::entry::InstrumentNumber;
use crate::runtime::clock::Mono;
use crate::runtime::venue_clock::VenueClock;

/// Ids further apart than this are another numbering.
const ID_REACH: u64 = 1_000_000;

/// Something waits: what a seat tells its actor.
#[derive(Debug, actix::Message)]
#[rtype(result = "()")]
pub struct Wake;

/// Lives on its shard's thread.
pub struct Seat {
    pub watch: Watch,
    pub instrument: Instrument,
    pub rule: IdRule,
    pub partition: u32,
    /// By which the journal's writer knows it.
    pub number: InstrumentNumber,
    pub clock: VenueClock,
    pub inbox: RefCell<Inbox>,
    /// Its actor's, lent to whoever takes snapshots between two turns.
    pub symbol: RefCell<Symbol<'static>>,
    /// The actor was told that something waits, and has not come to its end.
    pub woken: Cell<bool>,
    /// Something was put into the inbox since the shard last rested.
    pub touched: Cell<bool>,
    /// It has not been woken for the last tick.
    pub lagging: Cell<bool>,
    /// Ticks before it change nothing: see [`SymbolPipeline::still_until`](crate::analytics::pipeline::SymbolPipeline::still_until).
    pub still_until: Cell<UnixNanos>,
    /// The last of them that was journalled; it goes before the next event into the inbox.
    pub quiet_tick: Cell<Option<(Position, UnixNanos)>>,
    /// The journal holds an event of it. Until then no tick reaches it: a replay does not know of it either.
    pub begun: Cell<bool>,
    /// The last event that the router journalled for it.
    pub last_at: Cell<Position>,
    pub last_id: Cell<Option<u64>>,
    /// Events that could not be journalled: the first and the last moment that they speak of.
    pub missed: Cell<Option<(UnixNanos, UnixNanos)>>,
    /// When a trade was last taken.
    pub last_trade: Cell<Option<Mono>>,
    /// Metric: seconds since.
    pub last_trade_age: GenericGauge<AtomicF64>,
    /// A panic has left its state half-changed.
    pub broken: Cell<bool>,
    /// Given up until the next start: its events are journalled, and nothing is computed.
    pub parked: Cell<bool>,
    /// The one address that messages go through.
    pub actor: OnceCell<Recipient<Wake>>,
}

impl Seat {
    /// Something was taken in.
    #[inline]
    pub fn note_id(&self, trade: &Trade) {
        if let (TradeId::Number(id), IdRule::Contiguous) = (&trade.id, self.rule) {
            let id = *id;
            match self.last_id.get() {
                Some(last) if id <= last && last - id <= ID_REACH => {}
                _ => self.last_id.set(Some(id)),
            }
        }
    }

    /// Whether everything that was journalled of it has been computed.
    pub fn is_settled(&self) -> bool {
        let is_still = !self.woken.get() && !self.touched.get();
        is_still && !self.broken.get() && !self.parked.get() && self.inbox.borrow().is_idle()
    }

    /// Whether a tick of that time would change nothing, and nothing stands before it.
    #[inline]
    pub fn is_still(&self, venue_at: UnixNanos) -> bool {
        venue_at < self.still_until.get() && self.is_settled()
    }

    /// Something could not be taken in.
    pub fn note_missed(&self, at: UnixNanos) {
        let (from, to) = self.missed.get().unwrap_or((at, at));
        self.missed.set(Some((from.min(at), to.max(at))));
    }
}
