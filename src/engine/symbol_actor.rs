//! A symbol's actor: works off its inbox, a turn at a time.
//!
//! A turn is at most [`TURN_EVENTS`] events or [`TURN_NANOS`]; then its neighbours on the thread, sockets
//! among them, have theirs. Its mailbox never holds more than one [`Wake`].

use std::rc::Rc;

use actix::fut::WrapFuture;
use actix::{Actor, AsyncContext, Context, Handler};
use prometheus::core::{AtomicF64, GenericGauge};
use prometheus::{IntCounter, IntGauge};

use crate::analytics::archive::NoArchive;
use crate::analytics::pipeline::{Counts, SymbolPipeline};
use crate::domain::event::Event;
use crate::domain::output::{Output, OutputSink, Position};
use crate::domain::told::{IndicatorNames, Told, Watch};
use crate::engine::bus::Leg;
use crate::engine::inbox::{Stamps, Waiting};
use crate::engine::seat::Seat;
use crate::engine::shard::Shard;
use crate::runtime::clock::Mono;
use crate::runtime::metrics::Metrics;
use crate::runtime::sink::Telling;

/// Events of one turn.
pub const TURN_EVENTS: usize = 256;
/// Length of one turn.
pub const TURN_NANOS: u64 = 1_000_000;
/// Events between two looks at the clock.
const LOOK_EVERY: usize = 16;

/// Something waits.
#[derive(Debug, actix::Message)]
#[rtype(result = "()")]
pub struct Wake;

/// One symbol.
pub struct SymbolActor {
    shard: Rc<Shard>,
    seat: Rc<Seat>,
    pipeline: Box<SymbolPipeline<'static>>,
    handles: Handles,
    counted: Counts,
}

/// The symbol's metrics, looked up once.
struct Handles {
    trades: IntCounter,
    duplicates: IntCounter,
    gaps_open: IntGauge,
    last_price: GenericGauge<AtomicF64>,
}

impl Handles {
    fn new(metrics: &Metrics, seat: &Seat) -> Self {
        let labels = [seat.instrument.venue().name(), seat.instrument.symbol()];
        Self {
            trades: metrics.trades.with_label_values(&labels),
            duplicates: metrics.duplicates.with_label_values(&labels[..1]),
            gaps_open: metrics.gaps_open.with_label_values(&labels),
            last_price: metrics.last_price.with_label_values(&labels),
        }
    }
}

/// Makes tellings of what the pipeline says of one event.
struct Voice<'a> {
    tellings: &'a mut Vec<Telling>,
    names: &'a IndicatorNames,
    watch: Watch,
    at: Position,
    received: Option<Mono>,
    price: Option<f64>,
}

impl OutputSink for Voice<'_> {
    #[inline]
    fn accept(&mut self, cause_seq: u64, output: Output<'_>) {
        if let Output::Trade(trade) = output {
            self.price = Some(trade.price.decimal().to_f64());
        }
        let told = Told::of(output, self.names);
        let (watch, at, received) = (self.watch, self.at, self.received);
        self.tellings.push(Telling { watch, cause_seq, at, received, told });
    }
}

impl SymbolActor {
    pub fn new(shard: Rc<Shard>, seat: Rc<Seat>) -> Self {
        let pipeline = SymbolPipeline::new(seat.instrument.clone(), seat.rule, shard.common.settings);
        let handles = Handles::new(&shard.common.metrics, &seat);
        handles.gaps_open.set(0);
        Self { shard, seat, pipeline: Box::new(pipeline), handles, counted: Counts::default() }
    }

    /// Works off what waits; `true`: there is more.
    fn turn(&mut self) -> bool {
        let begun = Mono::now();
        let shard = self.shard.clone();
        if shard.common.log.is_failing() {
            // What it would tell could not be published: it is woken when the journal can be written.
            shard.touch(&self.seat);
            shard.slept(&self.seat, begun);
            return false;
        }
        self.pipeline.touch();
        let mut bus = shard.bus.borrow_mut();
        let mut inbox = self.seat.inbox.borrow_mut();
        let (mut events, mut trades) = (0, 0);
        let mut price = None;
        let mut legs: Vec<(Stamps, u64)> = Vec::new();
        while events < TURN_EVENTS {
            let Some(Waiting { at, event, stamps }) = inbox.first() else { break };
            if let Some(fault) = &shard.common.fault {
                assert!(!fault(&self.seat.instrument, event), "a test asked for it");
            }
            let mut voice = Voice {
                tellings: bus.tellings(),
                names: &shard.common.names,
                watch: self.seat.watch,
                at: *at,
                received: stamps.map(|stamps| stamps.received),
                price: None,
            };
            match event {
                Event::Trade(trade) => self.pipeline.on_trade(*at, trade, &mut NoArchive, &mut voice),
                event => self.pipeline.on_event(*at, event, &mut NoArchive, &mut voice),
            }
            price = voice.price.or(price);
            if let Some(stamps) = stamps {
                trades += 1;
                match legs.last_mut() {
                    Some((last, count)) if last == stamps => *count += 1,
                    _ => legs.push((*stamps, 1)),
                }
            }
            inbox.pop();
            events += 1;
            if events % LOOK_EVERY == 0 && Mono::now().nanos_since(begun) >= TURN_NANOS {
                break;
            }
        }
        let computed = Mono::now();
        for (stamps, trades) in legs {
            bus.leg(Leg { parsed: stamps.parsed, routed: stamps.routed, begun, computed, trades });
        }
        let more = !inbox.is_idle();
        drop((bus, inbox));
        if trades > 0 || events > 0 {
            self.tell_metrics(price);
        }
        if more {
            shard.turned(computed);
        } else {
            shard.slept(&self.seat, computed);
        }
        more
    }

    fn tell_metrics(&mut self, price: Option<f64>) {
        let counts = self.pipeline.counts();
        let trades = counts.trades - self.counted.trades;
        if trades > 0 {
            self.handles.trades.inc_by(trades);
        }
        if counts.duplicates > self.counted.duplicates {
            self.handles.duplicates.inc_by(counts.duplicates - self.counted.duplicates);
        }
        if let Some(price) = price {
            self.handles.last_price.set(price);
        }
        self.counted = counts;
    }
}

impl Actor for SymbolActor {
    type Context = Context<Self>;
}

impl Handler<Wake> for SymbolActor {
    type Result = ();

    fn handle(&mut self, _: Wake, ctx: &mut Context<Self>) {
        if self.turn() {
            // An actor works off its whole mailbox before anybody else has a turn, so that a
            // message to itself would not let go of the thread: this does.
            ctx.wait(tokio::task::yield_now().into_actor(self));
            ctx.notify(Wake);
        }
    }
}
