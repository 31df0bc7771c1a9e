//! A symbol on its way from its snapshot to the end of the journal, while a start computes it.
//!
//! What is read gathers, and a symbol takes its share at a time: its state lies in so much memory that going from one
//! symbol to the next with each event would cost more than the events do. Ticks gather once for all symbols of a
//! partition; those that change nothing are passed over, as live ([`Shard::put_tick`]).

use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;

use crate::domain::event::{Event, Trade};
use crate::domain::output::{Output, OutputSink, Position};
use crate::domain::standing::Standing;
use crate::domain::time::UnixNanos;
use crate::engine::bus::Bus;
use crate::engine::seat::Seat;
use crate::engine::shard::Shard;
use crate::engine::symbol_actor::{Mishap, Voice, attempt};
use crate::journal::skips::Skips;
use crate::runtime::sink::{Heard, Sink};

/// Trades of a symbol that are remembered for whoever shows the last ones.
const TRADES: usize = 100;

/// The ticks of one partition that were gathered.
pub type Ticks = Vec<(Position, UnixNanos)>;

/// One symbol.
pub struct Returning {
    pub seat: Rc<Seat>,
    /// It panicked on the way: its actor goes on from there.
    pub mishap: Option<Mishap>,
    /// What no sink needs to hear.
    heard: Heard,
    /// Events that were gathered, in order.
    events: Vec<(Position, Event)>,
    /// So many of the gathered ticks came before the journal named the symbol.
    ticks_from: usize,
    /// The last trades that it took.
    trades: VecDeque<Trade>,
    /// It took something since its seat was told until when ticks change nothing.
    has_moved: bool,
}

/// What those that compute it share.
pub struct Around<'a> {
    pub shard: &'a Shard,
    pub skips: &'a Arc<Skips>,
    pub bus: &'a mut Bus,
}

impl Returning {
    pub fn new(seat: Rc<Seat>, sinks: &[Arc<dyn Sink>]) -> Self {
        let heard = sinks.iter().map(|sink| sink.heard(seat.watch)).fold(Heard::ALL, Heard::and);
        Self {
            seat,
            mishap: None,
            heard,
            events: Vec::new(),
            ticks_from: 0,
            trades: VecDeque::new(),
            has_moved: true,
        }
    }

    /// The journal names it, with so many ticks of its partition gathered before; ticks reach it from here on.
    pub fn begin(&mut self, ticks: usize) {
        if !self.seat.begun.replace(true) {
            self.ticks_from = ticks;
        }
    }

    /// The next event of its log.
    #[inline]
    pub fn gather(&mut self, at: Position, event: Event) {
        self.events.push((at, event));
    }

    /// Takes all that was gathered, in the order of its log.
    pub fn work_off(&mut self, ticks: &Ticks, around: &mut Around<'_>) {
        let mut events = std::mem::take(&mut self.events);
        let from = std::mem::take(&mut self.ticks_from).min(ticks.len());
        if self.seat.begun.get() {
            self.seat.symbol.borrow().pipeline.touch();
            let mut ticks = ticks[from..].iter().peekable();
            let mut left = events.len();
            for (at, event) in events.drain(..) {
                while let Some((tick_at, venue_at)) = ticks.next_if(|(tick_at, _)| *tick_at < at) {
                    self.tick(*tick_at, *venue_at, around);
                }
                self.hear_of_time(around);
                self.take(at, &event, left <= TRADES, around);
                left -= 1;
            }
            for (tick_at, venue_at) in ticks {
                self.tick(*tick_at, *venue_at, around);
            }
            self.settle();
        }
        self.events = events;
    }

    fn tick(&mut self, at: Position, venue_at: UnixNanos, around: &mut Around<'_>) {
        let seat = &self.seat;
        if around.skips.has_tick(&seat.instrument, at) {
            return;
        }
        seat.last_at.set(at);
        if self.mishap.is_some() {
            return;
        }
        self.settle();
        let seat = &self.seat;
        if venue_at < seat.still_until.get() {
            seat.quiet_tick.set(Some((at, venue_at)));
            return;
        }
        // This one says what those before it said.
        seat.quiet_tick.set(None);
        self.take(at, &Event::Tick { venue_at }, false, around);
    }

    #[inline]
    fn settle(&mut self) {
        if self.mishap.is_none() && std::mem::take(&mut self.has_moved) {
            self.seat.still_until.set(self.seat.symbol.borrow().pipeline.still_until());
        }
    }

    /// Before an event: the tick that was put off.
    #[inline]
    fn hear_of_time(&mut self, around: &mut Around<'_>) {
        if let Some((at, venue_at)) = self.seat.quiet_tick.take() {
            self.take(at, &Event::Tick { venue_at }, false, around);
        }
    }

    #[inline]
    fn take(&mut self, at: Position, event: &Event, is_remembered: bool, around: &mut Around<'_>) {
        self.seat.last_at.set(at);
        if self.mishap.is_some() {
            return; // its actor reads on from there
        }
        let shard = around.shard;
        let told = around.bus.tellings().len();
        let (names, watch) = (&shard.common.names, self.seat.watch);
        let tellings = around.bus.tellings();
        let voice = Voice::new(tellings, names, watch, at, None);
        let trades = is_remembered.then_some(&mut self.trades);
        let mut echo = Echo { voice, heard: self.heard, trades };
        let symbol = &mut *self.seat.symbol.borrow_mut();
        let fault = shard.common.fault.as_ref();
        self.has_moved = true;
        if let Err(panicked) = attempt(symbol, &self.seat, fault, (at, event), &mut echo) {
            around.bus.tellings().truncate(told);
            self.seat.quiet_tick.set(None);
            self.mishap = Some(panicked);
        }
    }

    /// What it knows now. `before`: what its snapshot knew, for one that panicked.
    pub fn standing(&mut self, before: impl FnOnce() -> Option<Standing>) -> Standing {
        let trades: Vec<Trade> = std::mem::take(&mut self.trades).into();
        if self.mishap.is_none() {
            return Standing { trades, ..self.seat.symbol.borrow().pipeline.standing() };
        }
        // Its state is half changed. What is missing is asked for all the same; what forms, nobody knows.
        let last = trades.last().map(|trade| (trade.price, trade.exchange_at));
        let gaps = before().map(|standing| standing.gaps).unwrap_or_default();
        Standing { last, gaps, trades, ..Standing::default() }
    }
}

/// Tells what somebody needs to hear again, and remembers the last trades.
struct Echo<'a> {
    voice: Voice<'a>,
    heard: Heard,
    trades: Option<&'a mut VecDeque<Trade>>,
}

impl OutputSink for Echo<'_> {
    #[inline]
    fn accept(&mut self, cause_seq: u64, output: Output<'_>) {
        let at = self.voice.at;
        match output {
            Output::Trade(trade) => {
                if let Some(trades) = &mut self.trades {
                    if trades.len() == TRADES {
                        trades.pop_front();
                    }
                    trades.push_back(trade.clone());
                }
                if at <= self.heard.trades {
                    return;
                }
            }
            Output::Indicator(_) if at <= self.heard.indicators => return,
            _ => {}
        }
        self.voice.accept(cause_seq, output);
    }
}
