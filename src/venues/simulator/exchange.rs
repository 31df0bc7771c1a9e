//! A simulated venue at work: trades are made and told, connections age, and faults happen.

use std::collections::VecDeque;
use std::time::Duration;

use crate::domain::decimal::{Decimal, Price};
use crate::domain::time::UnixNanos;
use crate::venues::simulator::binance::Binance;
use crate::venues::simulator::coinbase::Coinbase;
use crate::venues::simulator::config::{Pace, SimulatedVenue, SimulatorConfig};
use crate::venues::simulator::dialect::Dialect;
use crate::venues::simulator::fault::FaultError;
use crate::venues::simulator::garbage;
use crate::venues::simulator::history::Deal;
use crate::venues::simulator::http::{Request, Response};
use crate::venues::simulator::socket::{Heard, Opcode, Violation};
use crate::venues::simulator::tape::{Draw, Tape};
use crate::venues::simulator::world::{Ending, Subscriber, World};

/// How long a trade waits that is told out of order.
const REORDER_NANOS: u64 = 50_000_000;
/// Trades that wait so, at most; beyond it they are told at once.
const REORDERED_MAX: usize = 65_536;
/// Trades made before others get a turn.
const TURN: usize = 2_048;
/// A market so far behind its pace gives up the backlog: the process was stopped, or is too slow.
const BEHIND_NANOS_MAX: u64 = 2_000_000_000;

pub struct Exchange {
    pub world: World,
    pub dialect: Box<dyn Dialect>,
    pub tape: Box<dyn Tape>,
    pub is_trading: bool,
    /// Drawn, and not yet due.
    next: Option<Draw>,
    /// Where the pace was last set to begin: our clock, and the source's.
    begun: Option<(u64, UnixNanos)>,
    /// Trades since then.
    drawn: u64,
    /// Told later, out of order: when, and what.
    reordered: VecDeque<(u64, usize, u64)>,
    /// Faults asked for at once: name, market (or any), and how many times.
    pub once: Vec<(&'static str, Option<usize>, u64)>,
    opened_at: VecDeque<u64>,
}

impl Exchange {
    pub fn new(config: SimulatorConfig, mut tape: Box<dyn Tape>) -> Self {
        let dialect: Box<dyn Dialect> = match config.venue {
            SimulatedVenue::Binance => Box::new(Binance::default()),
            SimulatedVenue::Coinbase => Box::new(Coinbase::default()),
        };
        let is_trading = config.trading;
        let mut world = World::new(config, tape.listings(), dialect.spell());
        for Draw { symbol, price, quantity, taker_side, at } in tape.past() {
            let at = UnixNanos(at.0 - at.0.rem_euclid(1_000));
            world.markets[symbol].history.push(Deal { price, quantity, at, taker_side, is_missing: false });
        }
        Self {
            world,
            dialect,
            tape,
            is_trading,
            next: None,
            begun: None,
            drawn: 0,
            reordered: VecDeque::new(),
            once: Vec::new(),
            opened_at: VecDeque::new(),
        }
    }

    /// Makes what is due, and says how long to rest until the next; zero: there is more.
    pub fn trade(&mut self) -> Duration {
        const LONG: Duration = Duration::from_millis(100);
        let now = self.world.elapsed();
        self.tell_reordered(now);
        if !self.is_trading {
            self.begun = None;
            self.world.flush();
            return if self.reordered.is_empty() { LONG } else { Duration::from_millis(1) };
        }
        let mut made = 0;
        let rest = loop {
            if self.next.is_none() {
                self.next = self.tape.draw();
            }
            let Some(draw) = self.next else { break LONG };
            let (begun, source_begun) = *self.begun.get_or_insert_with(|| {
                self.drawn = 0;
                (now, draw.at)
            });
            let due = begun.saturating_add(match self.world.config.pace {
                Pace::Even(rate) => (self.drawn as f64 * 1e9 / rate) as u64,
                Pace::Source(speed) => {
                    (draw.at.0.saturating_sub(source_begun.0).max(0) as f64 / speed) as u64
                }
            });
            if due > now {
                break Duration::from_nanos(due - now);
            }
            if now - due > BEHIND_NANOS_MAX {
                self.world.count("backlogs_given_up");
                self.begun = None;
                continue;
            }
            if made == TURN {
                break Duration::ZERO;
            }
            self.next = None;
            self.drawn += 1;
            made += 1;
            self.make(draw);
        };
        self.world.flush();
        if self.reordered.is_empty() { rest } else { rest.min(Duration::from_millis(5)) }
    }

    /// A trade happens; its id.
    pub fn make(&mut self, draw: Draw) -> u64 {
        let now = self.world.now();
        let history = &mut self.world.markets[draw.symbol].history;
        let at = history.last_at().map_or(now, |last| now.max(last));
        let Draw { quantity, taker_side, .. } = draw;
        let price = moved(draw.price, self.world.faults.price_offset);
        let id = history.push(Deal { price, quantity, at, taker_side, is_missing: false });
        self.world.count("trades");
        let faults = self.world.faults;
        if self.strikes("missing", draw.symbol, faults.missing) {
            self.world.markets[draw.symbol].history.lose(id);
            return id;
        }
        if self.strikes("skip", draw.symbol, faults.skip) {
            return id;
        }
        if self.reordered.len() < REORDERED_MAX && self.strikes("reorder", draw.symbol, faults.reorder) {
            self.reordered.push_back((self.world.elapsed() + REORDER_NANOS, draw.symbol, id));
            return id;
        }
        if self.strikes("garbage", draw.symbol, faults.garbage) {
            garbage::tell(&mut self.world, draw.symbol);
        }
        self.dialect.publish(&mut self.world, draw.symbol, id);
        if self.strikes("duplicate", draw.symbol, faults.duplicate) {
            self.dialect.publish(&mut self.world, draw.symbol, id);
        }
        id
    }

    /// Whether a fault meets this trade: by chance, or because it was asked for.
    fn strikes(&mut self, name: &'static str, market: usize, chance: f64) -> bool {
        let asked = self
            .once
            .iter_mut()
            .find(|(known, at, left)| *known == name && *left > 0 && at.is_none_or(|at| at == market));
        if let Some((.., left)) = asked {
            *left -= 1;
            self.once.retain(|(.., left)| *left > 0);
            self.world.count(name);
            return true;
        }
        self.world.happens(name, chance)
    }

    fn tell_reordered(&mut self, now: u64) {
        while let Some(&(due, market, id)) = self.reordered.front() {
            if due > now {
                break;
            }
            self.reordered.pop_front();
            self.dialect.publish(&mut self.world, market, id);
        }
    }

    /// Time passes. About every 50 ms.
    pub fn beat(&mut self) {
        self.dialect.beat(&mut self.world);
        let now = self.world.elapsed();
        for at in self.world.open_connections() {
            self.age(at, now);
        }
        self.world.flush();
    }

    fn age(&mut self, at: usize, now: u64) {
        let world = &mut self.world;
        let faults = world.faults;
        let ping = self.dialect.ping();
        let Some(open) = world.connections[at].as_mut() else { return };
        if open.pong_due.is_some_and(|due| due <= now) {
            world.count("pongs_missed");
            return world.end(at, Ending::Abrupt);
        }
        if open.stalled_until.is_some_and(|until| until <= now) {
            world.resume(at);
        }
        let Some(open) = world.connections[at].as_mut() else { return };
        if open.ends_at <= now {
            open.ends_at = u64::MAX;
            world.count("lives_ended");
            self.dialect.farewell(world, at);
            return world.end_with(at, 1001, "the connection has lived its time");
        }
        if let Some((every, patience)) = ping
            && open.next_ping <= now
        {
            open.next_ping = now + every;
            // One pong answers all pings before it.
            open.pong_due.get_or_insert(now + patience);
            world.send_frame(at, Opcode::Ping, (now / 1_000_000).to_string().as_bytes());
        }
        let Some(open) = world.connections[at].as_mut() else { return };
        if open.next_cut <= now {
            open.next_cut = u64::MAX;
            return self.cut(at);
        }
        if open.next_stall <= now {
            let next = world.due("stall", faults.stall);
            world.connections[at].iter_mut().for_each(|open| open.next_stall = next);
            let length = faults.stall.and_then(|schedule| schedule.length);
            self.stall(at, length.unwrap_or(Duration::from_secs(3)));
        }
        let Some(open) = self.world.connections[at].as_mut() else { return };
        if open.next_silence <= now {
            let next = self.world.due("silence", faults.silence);
            self.world.connections[at].iter_mut().for_each(|open| open.next_silence = next);
            self.silence(Some(at), None, faults.silence.and_then(|schedule| schedule.length));
        }
    }

    /// Cuts a connection, every second time without a closing frame.
    pub fn cut(&mut self, connection: usize) {
        self.world.count("cut");
        if self.world.counters["cut"].is_multiple_of(2) {
            self.world.end_with(connection, 1001, "");
        } else {
            self.world.end(connection, Ending::Abrupt);
        }
    }

    /// Holds everything back but pongs and pings.
    pub fn stall(&mut self, connection: usize, length: Duration) {
        self.world.count("stall");
        let until = self.world.elapsed() + nanos(length);
        if let Some(Some(open)) = self.world.connections.get_mut(connection) {
            open.stalled_until = Some(until);
        }
    }

    /// Lets one subscription die in silence: of that connection and market, or whichever the dice say.
    pub fn silence(&mut self, connection: Option<usize>, market: Option<usize>, length: Option<Duration>) {
        let until = length.map_or(u64::MAX, |length| self.world.elapsed() + nanos(length));
        let mut living = Vec::new();
        for (at, known) in self.world.markets.iter().enumerate() {
            if market.is_none_or(|market| market == at) {
                let meant = |(_, subscriber): &(usize, &Subscriber)| {
                    connection.is_none_or(|connection| connection == subscriber.connection)
                };
                living
                    .extend(known.subscribers.iter().enumerate().filter(meant).map(|(place, _)| (at, place)));
            }
        }
        // A market that is named dies everywhere.
        let chosen = match market {
            Some(_) => living,
            None => {
                let drawn = self.world.dice("silence").below(living.len());
                living.get(drawn).copied().into_iter().collect()
            }
        };
        for (market, place) in chosen {
            self.world.count("silence");
            self.world.markets[market].subscribers[place].silent_until = until;
        }
    }

    /// Sets the standing faults; connections that are open follow the new schedules.
    pub fn set_faults(&mut self, text: &str) -> Result<(), FaultError> {
        let mut faults = self.world.faults;
        faults.apply(text)?;
        self.world.faults = faults;
        for at in self.world.open_connections() {
            let (cut, stall, silence) = (
                self.world.due("cut", faults.cut),
                self.world.due("stall", faults.stall),
                self.world.due("silence", faults.silence),
            );
            if let Some(open) = self.world.connections[at].as_mut() {
                (open.next_cut, open.next_stall, open.next_silence) = (cut, stall, silence);
            }
        }
        Ok(())
    }

    /// A socket wants to speak: its number, or why not.
    pub fn open(&mut self, request: &Request) -> Result<usize, Response> {
        let now = self.world.elapsed();
        let limits = self.world.config.limits;
        let window = nanos(limits.connections_window);
        while self.opened_at.front().is_some_and(|at| now - at >= window) {
            self.opened_at.pop_front();
        }
        if self.opened_at.len() >= limits.connections as usize {
            self.world.count("connections_refused");
            let oldest = self.opened_at.front().copied().unwrap_or(now);
            return Err(self.dialect.too_many((oldest + window - now).div_ceil(1_000_000_000)));
        }
        // Without a limit nothing is to be remembered.
        if limits.connections != u32::MAX {
            self.opened_at.push_back(now);
        }
        let at = self.world.open(self.dialect.ping().map(|(every, _)| every));
        if let Err(refused) = self.dialect.opened(&mut self.world, at, request) {
            self.world.close(at);
            return Err(refused);
        }
        Ok(at)
    }

    /// What a client's frame does.
    pub fn hear(&mut self, connection: usize, heard: Heard) {
        let (now, limits) = (self.world.elapsed(), self.world.config.limits);
        let Some(Some(open)) = self.world.connections.get_mut(connection) else { return };
        if open.is_ending() {
            return;
        }
        if self.world.config.venue == SimulatedVenue::Binance && open.is_too_busy(now, limits.messages) {
            self.world.count("clients_too_busy");
            return self.world.end_with(connection, 1008, "Too many requests");
        }
        match heard {
            Heard::Text(text) => {
                self.world.count("messages");
                self.dialect.heard(&mut self.world, connection, &text);
            }
            Heard::Ping(payload) => self.world.send_frame(connection, Opcode::Pong, &payload),
            Heard::Pong => open.pong_due = None,
            Heard::Close => self.world.end_with(connection, 1000, ""),
        }
        self.world.flush();
    }

    /// A client broke the protocol.
    pub fn offend(&mut self, connection: usize, violation: Violation) {
        self.world.count("violations");
        self.world.end_with(connection, violation.0, "");
        self.world.flush();
    }

    /// How long an answer is held back.
    pub fn delay(&mut self) -> Duration {
        let slow_rest = self.world.faults.slow_rest;
        match slow_rest {
            Some((chance, time)) if self.world.happens("slow-rest", chance) => time,
            _ => Duration::ZERO,
        }
    }

    pub fn answer(&mut self, request: &Request) -> Response {
        self.world.count("requests");
        let faults = self.world.faults;
        if self.asked("http429") || self.world.happens("http429", faults.http429) {
            return self.dialect.too_many(1);
        }
        if self.asked("http503") || self.world.happens("http503", faults.http503) {
            return Response::json(503, r#"{"message":"Service unavailable"}"#);
        }
        if self.asked("html") || self.world.happens("html", faults.html) {
            let status = if self.world.dice("html").happens(0.5) { 200 } else { 503 };
            return Response::html(status, "Down for maintenance");
        }
        self.dialect.answer(&mut self.world, request)
    }

    /// Whether a fault of REST was asked for once more.
    fn asked(&mut self, name: &'static str) -> bool {
        let is_asked = self.once.iter().any(|(known, ..)| *known == name);
        is_asked && self.strikes(name, 0, 0.0)
    }
}

/// The price so many basis points away, on the grid of its own digits; as it is, where that is no price.
fn moved(price: Price, basis_points: i32) -> Price {
    let (units, scale) = (i128::from(price.decimal().mantissa()), price.decimal().scale());
    let units = (units * (10_000 + i128::from(basis_points)) + 5_000) / 10_000;
    let value = u64::try_from(units).ok().and_then(|units| Decimal::new(units, scale).ok());
    value.and_then(|value| Price::new(value).ok()).unwrap_or(price)
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX / 2)
}
