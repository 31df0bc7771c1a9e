//! A symbol's actor: works off its inbox, a turn at a time, and survives its own panics.
//!
//! A turn is at most [`TURN_EVENTS`] events or [`TURN_NANOS`]; then its neighbours on the thread, sockets
//! among them, have theirs. Its mailbox never holds more than one [`Wake`].
//!
//! A panic is caught at the event: that is quarantined, journalled as skipped, and the symbol computed
//! anew from its last snapshot and the journal, without telling again what was told; then it goes on with
//! the same inbox. [`Supervision`] says how often; then the symbol is parked: its events are journalled,
//! and the next start computes them. A tick is its neighbours' too: it is skipped for this symbol alone.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use actix::fut::WrapFuture;
use actix::{Actor, AsyncContext, Context, Handler};
use prometheus::core::{AtomicF64, GenericGauge};
use prometheus::{IntCounter, IntGauge};
use tracing::{error, warn};

use crate::analytics::pipeline::Counts;
use crate::domain::data_state::DataState;
use crate::domain::event::Event;
use crate::domain::insight::{Evidence, Fact, InsightId, Severity, Signal, SignalKind};
use crate::domain::output::{HeldBack, Output, OutputSink, Position};
use crate::domain::told::{IndicatorNames, Told, Watch};
use crate::engine::bus::Bus;
use crate::engine::reading::Reading;
use crate::engine::seat::{Seat, Wake};
use crate::engine::shard::{Fault, Shard};
use crate::engine::supervision::{Supervision, Verdict};
use crate::engine::symbol::{Silence, Symbol};
use crate::journal::error::JournalError;
use crate::runtime::clock::{self, Mono};
use crate::runtime::health::Condition;
use crate::runtime::metrics::Metrics;
use crate::runtime::quarantine::Quarantined;
use crate::runtime::sink::Telling;

/// Events of one turn.
pub const TURN_EVENTS: usize = 256;
/// Length of one turn.
pub const TURN_NANOS: u64 = 1_000_000;
/// Events between two looks at the clock.
const LOOK_EVERY: usize = 16;

/// One symbol.
pub struct SymbolActor {
    shard: Rc<Shard>,
    seat: Rc<Seat>,
    source: Source,
    supervision: Supervision,
    /// An event that panicked, and is not journalled as skipped yet.
    mishap: Option<Mishap>,
    /// What a parked symbol tells last.
    parting: Option<Telling>,
    handles: Handles,
    counted: Counts,
}

/// Where the next event comes from.
enum Source {
    Inbox,
    Journal(Box<Reread>),
}

/// Events that come from the journal.
struct Reread {
    reading: Reading,
    ready: VecDeque<(Position, Event)>,
    /// `Some`: the symbol is rebuilt up to there, and tells nothing. `None`: it is behind, and tells.
    rebuilt_at: Option<Position>,
}

/// An event that panicked.
#[derive(Clone, Debug)]
pub struct Mishap {
    pub at: Position,
    pub event: String,
    pub is_tick: bool,
    pub message: String,
}

/// What one step came to.
enum Step {
    /// So much work was done, in events.
    Did(usize),
    /// Nothing is left to do.
    Idle,
    /// An event panicked, or the journal cannot be read.
    Stopped,
}

/// What follows a turn.
enum Next {
    Sleep,
    Again,
    Wait(Duration),
}

/// The symbol's metrics, looked up once.
struct Handles {
    trades: IntCounter,
    duplicates: IntCounter,
    restarts: IntCounter,
    gaps_open: IntGauge,
    last_price: GenericGauge<AtomicF64>,
}

impl Handles {
    fn new(metrics: &Metrics, seat: &Seat) -> Self {
        let labels = [seat.instrument.venue().name(), seat.instrument.symbol()];
        Self {
            trades: metrics.trades.with_label_values(&labels),
            duplicates: metrics.duplicates.with_label_values(&labels[..1]),
            restarts: metrics.actor_restarts.with_label_values(&[&seat.instrument.to_string()]),
            gaps_open: metrics.gaps_open.with_label_values(&labels),
            last_price: metrics.last_price.with_label_values(&labels),
        }
    }
}

/// Makes tellings of what the pipeline says of one event.
pub struct Voice<'a> {
    pub tellings: &'a mut Vec<Telling>,
    pub names: &'a IndicatorNames,
    pub watch: Watch,
    pub at: Position,
    pub received: Option<Mono>,
    /// How long the last step of forecasts took, and how many tellings stood before its own.
    pub forecasting: Option<(Duration, usize)>,
    /// Anomalies that are not told, of which detector and why: nothing in nearly all events.
    pub held_back: Vec<(Arc<str>, HeldBack)>,
}

impl<'a> Voice<'a> {
    pub fn new(
        tellings: &'a mut Vec<Telling>,
        names: &'a IndicatorNames,
        watch: Watch,
        at: Position,
        received: Option<Mono>,
    ) -> Self {
        Self { tellings, names, watch, at, received, forecasting: None, held_back: Vec::new() }
    }

    fn tell_held_back(&self, metrics: &Metrics) {
        for (detector, why) in &self.held_back {
            metrics.held_back.with_label_values(&[&**detector, why.name()]).inc();
        }
    }

    /// Each forecast of a step took its share of the step's time.
    fn tell_durations(&mut self, metrics: &Metrics) {
        let Some((took, before)) = self.forecasting.take() else { return };
        let models = || {
            self.tellings[before..].iter().filter_map(|telling| match &telling.told {
                Told::Forecast(forecast) => Some(&*forecast.model),
                _ => None,
            })
        };
        let each = took.as_secs_f64() / models().count().max(1) as f64;
        models().for_each(|model| metrics.prediction_duration.with_label_values(&[model]).observe(each));
    }
}

impl OutputSink for Voice<'_> {
    /// Several candles may close with one event: the last one's step is what is told.
    fn forecasting<T>(&mut self, step: impl FnOnce() -> T) -> T {
        let began = Mono::now();
        let made = step();
        self.forecasting = Some((Mono::now().since(began), self.tellings.len()));
        made
    }

    fn held_back(&mut self, detector: &Arc<str>, why: HeldBack) {
        self.held_back.push((detector.clone(), why));
    }

    #[inline]
    fn accept(&mut self, cause_seq: u64, output: Output<'_>) {
        let told = Told::of(output, self.names);
        let (watch, at, received) = (self.watch, self.at, self.received);
        self.tellings.push(Telling { watch, cause_seq, at, received, told });
    }
}

/// Takes one event, whatever it does.
#[inline]
pub fn attempt(
    symbol: &mut Symbol<'_>,
    seat: &Seat,
    fault: Option<&Fault>,
    (at, event): (Position, &Event),
    out: &mut impl OutputSink,
) -> Result<(), Mishap> {
    let caught = catch_unwind(AssertUnwindSafe(|| {
        if let Some(fault) = fault {
            assert!(!fault(&seat.instrument, event), "a test asked for it");
        }
        symbol.take(at, event, out);
    }));
    caught.map_err(|panic| {
        seat.broken.set(true);
        Mishap {
            at,
            event: format!("{event:?}"),
            is_tick: matches!(event, Event::Tick { .. }),
            message: message_of(&*panic),
        }
    })
}

#[cold]
fn message_of(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(ToString::to_string);
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "no message".to_owned())
}

impl SymbolActor {
    /// `mishap`: an event that panicked when the start computed it.
    pub fn new(shard: Rc<Shard>, seat: Rc<Seat>, mishap: Option<Mishap>) -> Self {
        let handles = Handles::new(&shard.common.metrics, &seat);
        handles.gaps_open.set(seat.symbol.borrow().pipeline.gaps_open() as i64);
        let counted = seat.symbol.borrow().pipeline.counts();
        Self {
            shard,
            seat,
            source: Source::Inbox,
            supervision: Supervision::default(),
            mishap,
            parting: None,
            handles,
            counted,
        }
    }

    /// Works off what waits.
    fn turn(&mut self) -> Next {
        let begun = Mono::now();
        let shard = self.shard.clone();
        if shard.common.log.is_failing() {
            // What it would tell could not be published: it is woken when the journal can be written.
            shard.touch(&self.seat);
            shard.slept(&self.seat, begun);
            return Next::Sleep;
        }
        if let Some(mishap) = self.mishap.take() {
            let next = self.recover(mishap, begun);
            if !matches!(next, Next::Again) {
                return next;
            }
        }
        if self.seat.parked.get() {
            shard.bus.borrow_mut().tellings().extend(self.parting.take());
            shard.slept(&self.seat, begun);
            return Next::Sleep;
        }
        let seat = self.seat.clone();
        let mut symbol = seat.symbol.borrow_mut();
        symbol.pipeline.touch();
        let mut bus = shard.bus.borrow_mut();
        let (mut done, mut looked) = (0, 0);
        let told = bus.tellings().len();
        let step = loop {
            let step = match &mut self.source {
                Source::Inbox => self.step_inbox(&mut symbol, &mut bus, begun),
                Source::Journal(_) => self.step_journal(&mut symbol, &mut bus),
            };
            let Step::Did(events) = step else { break step };
            done += events;
            if done >= TURN_EVENTS {
                break step;
            }
            if done >= looked + LOOK_EVERY {
                looked = done;
                if Mono::now().nanos_since(begun) >= TURN_NANOS {
                    break step;
                }
            }
        };
        let computed = Mono::now();
        bus.computed(begun, computed);
        seat.still_until.set(symbol.pipeline.still_until());
        self.tell_metrics(&symbol, &bus.tellings()[told..]);
        drop((bus, symbol));
        match step {
            Step::Idle => {
                shard.slept(&self.seat, computed);
                Next::Sleep
            }
            Step::Did(_) | Step::Stopped => {
                shard.turned(computed);
                Next::Again
            }
        }
    }

    /// The next event of the inbox.
    #[inline]
    fn step_inbox(&mut self, symbol: &mut Symbol<'static>, bus: &mut Bus, begun: Mono) -> Step {
        let mut inbox = self.seat.inbox.borrow_mut();
        let Some(waiting) = inbox.first() else {
            let behind = inbox.behind();
            drop(inbox);
            return if behind.is_some() { self.fall_back(symbol) } else { Step::Idle };
        };
        let told = bus.tellings().len();
        let received = waiting.stamps.map(|stamps| stamps.received);
        let names = &self.shard.common.names;
        let mut voice = Voice::new(bus.tellings(), names, self.seat.watch, waiting.at, received);
        let fault = self.shard.common.fault.as_ref();
        let event = (waiting.at, &waiting.event);
        let taken = attempt(symbol, &self.seat, fault, event, &mut voice);
        let stamps = waiting.stamps;
        inbox.pop();
        match taken {
            Ok(()) => {
                voice.tell_durations(&self.shard.common.metrics);
                voice.tell_held_back(&self.shard.common.metrics);
                if let Some(stamps) = stamps {
                    bus.count(stamps, begun);
                }
                Step::Did(1)
            }
            Err(mishap) => {
                bus.tellings().truncate(told);
                self.mishap = Some(mishap);
                Step::Stopped
            }
        }
    }

    /// The inbox is worked off, and more was journalled than it could take: reads on there.
    #[cold]
    fn fall_back(&mut self, symbol: &Symbol<'static>) -> Step {
        if !self.shard.flush() {
            return Step::Stopped;
        }
        match self.reading(symbol.done_at, true) {
            Ok(reading) => {
                self.source =
                    Source::Journal(Box::new(Reread { reading, ready: VecDeque::new(), rebuilt_at: None }));
                Step::Did(LOOK_EVERY)
            }
            Err(error) => self.unreadable(symbol, &error),
        }
    }

    fn reading(&self, after: Position, begun: bool) -> Result<Reading, JournalError> {
        let seat = &self.seat;
        Reading::open(&self.shard.common.journal, seat.instrument.clone(), seat.partition, after, begun)
    }

    /// The next event of the journal, or its next block.
    #[cold]
    fn step_journal(&mut self, symbol: &mut Symbol<'static>, bus: &mut Bus) -> Step {
        let Source::Journal(reread) = &mut self.source else { return Step::Did(0) };
        let rebuilt_at = reread.rebuilt_at;
        if let Some((at, event)) = reread.ready.pop_front() {
            if rebuilt_at.is_some_and(|until| at > until) {
                return Step::Did(0); // it waits in the inbox, or comes when the symbol is behind
            }
            let told = bus.tellings().len();
            let (seat, fault) = (&self.seat, self.shard.common.fault.as_ref());
            let taken = if rebuilt_at.is_some() {
                attempt(symbol, seat, fault, (at, &event), &mut Silence)
            } else {
                let (names, watch) = (&self.shard.common.names, seat.watch);
                let mut voice = Voice::new(bus.tellings(), names, watch, at, None);
                let taken = attempt(symbol, seat, fault, (at, &event), &mut voice);
                voice.tell_held_back(&self.shard.common.metrics);
                taken
            };
            return match taken {
                Ok(()) => Step::Did(1),
                Err(mishap) => {
                    bus.tellings().truncate(told);
                    self.mishap = Some(mishap);
                    Step::Stopped
                }
            };
        }
        match reread.reading.next_block(&mut reread.ready) {
            // Reading a block takes about as long as taking a few events.
            Ok(true) => Step::Did(LOOK_EVERY),
            Ok(false) => self.come_to_the_end(symbol, rebuilt_at),
            Err(error) => self.unreadable(symbol, &error),
        }
    }

    /// All of the journal that was there when the reading began has been read.
    fn come_to_the_end(&mut self, symbol: &mut Symbol<'static>, rebuilt_at: Option<Position>) -> Step {
        self.source = Source::Inbox;
        if let Some(at) = rebuilt_at {
            symbol.done_at = at;
            self.counted = symbol.pipeline.counts();
            return Step::Did(LOOK_EVERY);
        }
        let behind = self.seat.inbox.borrow().behind();
        if behind.is_none_or(|last| last <= symbol.done_at) {
            self.seat.inbox.borrow_mut().caught_up();
        }
        // Otherwise more was journalled meanwhile, and is read next.
        Step::Did(LOOK_EVERY)
    }

    #[cold]
    fn unreadable(&mut self, symbol: &Symbol<'static>, error: &JournalError) -> Step {
        self.park(symbol, &format!("the journal cannot be read: {error}"));
        Step::Stopped
    }

    /// Sets the event that panicked aside, and begins to compute the symbol anew.
    #[cold]
    fn recover(&mut self, mishap: Mishap, now: Mono) -> Next {
        let (shard, seat) = (self.shard.clone(), self.seat.clone());
        let reason = format!("panicked: {}", mishap.message);
        let was_rebuilding = matches!(&self.source, Source::Journal(reread) if reread.rebuilt_at.is_some());
        if was_rebuilding {
            // It was told before: a journal that passed over it would tell another story.
            self.quarantine(&mishap, &reason);
            self.handles.restarts.inc();
            error!(instrument = %seat.instrument, at = mishap.at.0, message = mishap.message, "symbol panicked again");
            self.park(&seat.symbol.borrow(), &reason);
            return Next::Again;
        }
        let log = &shard.common.log;
        shard.set_unflushed();
        let skipped = if mishap.is_tick {
            log.lock().append_skipped_tick(seat.number, mishap.at, &reason)
        } else {
            log.lock().append_skipped(seat.partition, mishap.at, &reason)
        };
        let is_kept = skipped.is_ok() && shard.flush();
        if !is_kept {
            // The skip must stand in the journal before anything follows it.
            log.flush();
            self.mishap = Some(mishap);
            shard.touch(&seat);
            shard.slept(&seat, now);
            return Next::Sleep;
        }
        self.quarantine(&mishap, &reason);
        self.handles.restarts.inc();
        let verdict = self.supervision.panicked(now);
        error!(instrument = %seat.instrument, at = mishap.at.0, message = mishap.message, ?verdict, "symbol panicked");
        if verdict == Verdict::Park {
            self.park(&seat.symbol.borrow(), &reason);
            return Next::Again;
        }
        if let Err(error) = self.begin_again(mishap.at) {
            self.park(&seat.symbol.borrow(), &format!("it cannot be computed anew: {error}"));
            return Next::Again;
        }
        match verdict {
            Verdict::GoOnAfter(wait) => {
                shard.paused(now);
                Next::Wait(wait)
            }
            _ => Next::Again,
        }
    }

    fn quarantine(&self, mishap: &Mishap, reason: &str) {
        let (seat, common) = (&self.seat, &self.shard.common);
        let venue = seat.instrument.venue().name();
        common.metrics.quarantined.with_label_values(&[venue, "panic"]).inc();
        common.quarantine.put(Quarantined {
            received_at: clock::now(),
            venue: venue.to_owned(),
            reason: format!(
                "{}: partition {}, position {} of the journal: {reason}",
                seat.instrument, seat.partition, mishap.at.0
            ),
            text: mishap.event.clone(),
        });
    }

    /// The last snapshot, and the journal since, up to what was done before `skipped`.
    fn begin_again(&mut self, skipped: Position) -> Result<(), String> {
        let (seat, common) = (&self.seat, &self.shard.common);
        let text = |error: &dyn std::fmt::Display| error.to_string();
        let found = common.snapshots.newest(seat.partition, common.fingerprint).map_err(|e| text(&e))?;
        for fault in found.refused {
            warn!(%fault, "snapshot refused");
        }
        let mut symbol =
            Symbol::new(seat.instrument.clone(), seat.rule, common.settings, common.snapshots.chunks());
        let mut begun = false;
        if let Some(state) = found.newest {
            symbol.done_at = state.position;
            let own = state.symbols.iter().find(|state| state.instrument == seat.instrument);
            if let Some(own) = own.filter(|own| own.rule == seat.rule) {
                symbol = Symbol::restore(own, state.position, common.settings, common.snapshots.chunks())
                    .map_err(|e| text(&e))?;
                begun = true;
            }
        }
        let reading = self.reading(symbol.done_at, begun).map_err(|e| text(&e))?;
        *seat.symbol.borrow_mut() = symbol;
        seat.broken.set(false);
        self.source =
            Source::Journal(Box::new(Reread { reading, ready: VecDeque::new(), rebuilt_at: Some(skipped) }));
        Ok(())
    }

    /// Gives the symbol up until the next start.
    #[cold]
    fn park(&mut self, symbol: &Symbol<'static>, reason: &str) {
        let (seat, at) = (&self.seat, symbol.done_at);
        error!(instrument = %seat.instrument, reason, "symbol is parked until the next start: its events are journalled");
        seat.parked.set(true);
        seat.inbox.borrow_mut().empty();
        self.source = Source::Inbox;
        let part = format!("symbol:{}", seat.instrument);
        self.shard.common.health.set(&part, Condition::Down, format!("parked: {reason}"));
        let hash = blake3::hash(format!("{}|symbol_parked|{}", seat.instrument, at.0).as_bytes());
        let id = u64::from_le_bytes(hash.as_bytes()[..8].try_into().expect("a hash has 32 bytes"));
        let signal = Signal {
            id: InsightId(id),
            kind: SignalKind::Quality,
            name: "symbol_parked",
            severity: Severity::Critical,
            action: None,
            exchange_at: clock::now(),
            score: 1.0,
            message: format!("{} is no longer computed until the next start: {reason}", seat.instrument),
            evidence: Evidence::default()
                .with("position", Fact::Count(at.0.cast_signed()))
                .with("reason", Fact::Text(reason.to_owned().into())),
            models: Vec::new(),
            data_state: DataState::Partial,
        };
        // Not of its log: it stands in no tally, and a replay does not tell it.
        let (watch, cause_seq) = (seat.watch, symbol.pipeline.seq());
        let told = Told::Signal(Box::new(signal));
        self.parting = Some(Telling { watch, cause_seq, at, received: None, told });
    }

    /// Once a turn, not once an output.
    #[inline]
    fn tell_metrics(&mut self, symbol: &Symbol<'static>, tellings: &[Telling]) {
        let counts = symbol.pipeline.counts();
        if matches!(&self.source, Source::Journal(reread) if reread.rebuilt_at.is_some()) {
            return; // all of it was counted before
        }
        if counts.trades > self.counted.trades {
            self.handles.trades.inc_by(counts.trades - self.counted.trades);
            let last = tellings.iter().rev().find_map(|telling| match &telling.told {
                Told::Trade(trade) => Some(trade.price),
                _ => None,
            });
            if let Some(price) = last {
                self.handles.last_price.set(price.decimal().to_f64());
            }
            self.seat.last_trade.set(Some(Mono::now()));
        }
        if counts.duplicates > self.counted.duplicates {
            self.handles.duplicates.inc_by(counts.duplicates - self.counted.duplicates);
        }
        self.counted = counts;
        self.tell_rare_metrics(symbol, tellings);
    }

    fn tell_rare_metrics(&mut self, symbol: &Symbol<'static>, tellings: &[Telling]) {
        let metrics = &self.shard.common.metrics;
        let mut gaps = false;
        for telling in tellings {
            match &telling.told {
                Told::Trade(_) | Told::Candle(_) | Told::Indicator(_) | Told::Outcome(_) | Told::Score(_) => {
                }
                Told::Gap(_) => gaps = true,
                Told::Anomaly(anomaly) => metrics.anomalies.with_label_values(&[&*anomaly.detector]).inc(),
                Told::Forecast(forecast) => {
                    metrics.predictions.with_label_values(&[&*forecast.model]).inc();
                }
                Told::Signal(signal) => {
                    metrics.signals.with_label_values(&[signal.kind.name(), signal.severity.name()]).inc();
                }
                Told::Refused { .. } => {
                    let venue = self.seat.instrument.venue().name();
                    metrics.quarantined.with_label_values(&[venue, "refused"]).inc();
                }
            }
        }
        if gaps {
            self.handles.gaps_open.set(symbol.pipeline.gaps_open() as i64);
        }
    }
}

impl Actor for SymbolActor {
    type Context = Context<Self>;
}

impl Handler<Wake> for SymbolActor {
    type Result = ();

    fn handle(&mut self, _: Wake, ctx: &mut Context<Self>) {
        match self.turn() {
            Next::Sleep => {}
            Next::Again => {
                // An actor works off its whole mailbox before anybody else has a turn, so that a
                // message to itself would not let go of the thread: this does.
                ctx.wait(tokio::task::yield_now().into_actor(self));
                ctx.notify(Wake);
            }
            Next::Wait(time) => {
                ctx.run_later(time, |actor, ctx| {
                    actor.shard.resumed();
                    ctx.notify(Wake);
                });
            }
        }
    }
}
