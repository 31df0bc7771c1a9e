//! A simulated venue's markets and connections: who is subscribed to what, and what waits to be sent.
//!
//! Knows no venue's words. A frame is encoded once, and copied into the buffer of each connection that wants
//! it; a buffer is written to its socket in one piece.

use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;

use tokio::sync::Notify;

use crate::domain::time::UnixNanos;
use crate::runtime::clock::{self, Mono};
use crate::venues::simulator::config::SimulatorConfig;
use crate::venues::simulator::fault::{Dice, Faults, Schedule};
use crate::venues::simulator::history::History;
use crate::venues::simulator::socket::{Opcode, write_close, write_frame};
use crate::venues::simulator::tape::Listing;

/// Bytes that wait for one client; one that is further behind is cut, as venues do.
const OUTBOX_BYTES_MAX: usize = 64 << 20;

/// Kinds of streams that a dialect may tell apart.
pub const CHANNELS: usize = 8;

/// One market.
#[derive(Debug)]
pub struct Market {
    pub listing: Listing,
    /// As the venue writes it: `BTCUSDT`, `BTC-USD`.
    pub spelled: String,
    /// The same in lower case.
    pub lower: String,
    pub history: History,
    pub subscribers: Vec<Subscriber>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Subscriber {
    pub connection: usize,
    /// Below [`CHANNELS`].
    pub channel: u8,
    /// Dead in silence until then; nanoseconds since the start.
    pub silent_until: u64,
}

/// How a connection ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// Nothing more is sent.
    Abrupt,
    /// What waits is sent first.
    Drained,
}

/// One client's socket, as the venue sees it. Moments are nanoseconds since the start.
#[derive(Debug)]
pub struct Connection {
    pub wake: Rc<Notify>,
    outbox: Vec<u8>,
    /// What a stall holds back.
    held: Vec<u8>,
    pub stalled_until: Option<u64>,
    ending: Option<Ending>,
    pub opened: u64,
    pub ends_at: u64,
    pub next_ping: u64,
    pub pong_due: Option<u64>,
    pub next_cut: u64,
    pub next_stall: u64,
    pub next_silence: u64,
    /// When messages of the last second came.
    pub messages: Vec<u64>,
}

/// What is counted, for `GET /simulator/status`.
pub type Counters = BTreeMap<&'static str, u64>;

pub struct World {
    pub config: SimulatorConfig,
    pub markets: Vec<Market>,
    by_spelling: HashMap<String, usize>,
    pub connections: Vec<Option<Connection>>,
    pub faults: Faults,
    pub dice: BTreeMap<&'static str, Dice>,
    pub counters: Counters,
    started: Mono,
    /// Connections that have something new to send.
    dirty: Vec<usize>,
    scratch: Vec<u8>,
    payload: Vec<u8>,
}

impl World {
    pub fn new(config: SimulatorConfig, listings: &[Listing], spell: fn(&str) -> String) -> Self {
        let keep = config.keep_trades / listings.len().max(1);
        let markets: Vec<Market> = listings
            .iter()
            .map(|listing| {
                let spelled = spell(&listing.symbol);
                Market {
                    listing: listing.clone(),
                    lower: spelled.to_lowercase(),
                    spelled,
                    history: History::new(config.first_id, keep),
                    subscribers: Vec::new(),
                }
            })
            .collect();
        let by_spelling =
            markets.iter().enumerate().map(|(at, market)| (market.spelled.clone(), at)).collect();
        Self {
            faults: config.faults,
            config,
            markets,
            by_spelling,
            connections: Vec::new(),
            dice: BTreeMap::new(),
            counters: Counters::new(),
            started: Mono::now(),
            dirty: Vec::new(),
            scratch: Vec::new(),
            payload: Vec::new(),
        }
    }

    /// The market of a spelling.
    pub fn market(&self, spelled: &str) -> Option<usize> {
        self.by_spelling.get(spelled).copied()
    }

    /// The market of a spelling or of `BASE-QUOTE`, in any letter case; for people and tests.
    pub fn market_named(&self, name: &str) -> Option<usize> {
        let upper = name.to_uppercase();
        self.market(&upper).or_else(|| self.markets.iter().position(|market| market.listing.symbol == upper))
    }

    /// Nanoseconds since the start.
    pub fn elapsed(&self) -> u64 {
        Mono::now().nanos_since(self.started)
    }

    /// The venue's clock: ours and the offset, in whole microseconds.
    pub fn now(&self) -> UnixNanos {
        let now = clock::now().0.saturating_add(self.faults.clock_offset);
        UnixNanos(now - now.rem_euclid(1_000))
    }

    /// REST knows nothing from this moment on.
    pub fn rest_until(&self) -> UnixNanos {
        let lag = i64::try_from(self.faults.rest_lag.as_nanos()).unwrap_or(i64::MAX);
        if lag == 0 { UnixNanos(i64::MAX) } else { UnixNanos(self.now().0.saturating_sub(lag)) }
    }

    pub fn count(&mut self, what: &'static str) {
        *self.counters.entry(what).or_default() += 1;
    }

    /// The dice of that name.
    pub fn dice(&mut self, name: &'static str) -> &mut Dice {
        let seed = self.config.seed;
        self.dice.entry(name).or_insert_with(|| Dice::new(seed, name))
    }

    /// Whether a fault happens now; counts it.
    pub fn happens(&mut self, name: &'static str, chance: f64) -> bool {
        let happens = chance > 0.0 && self.dice(name).happens(chance);
        if happens {
            self.count(name);
        }
        happens
    }

    /// When something of that schedule is next due; never without a schedule.
    pub fn due(&mut self, name: &'static str, schedule: Option<Schedule>) -> u64 {
        let now = self.elapsed();
        schedule.map_or(u64::MAX, |schedule| now + self.dice(name).about(schedule.every))
    }

    pub fn open(&mut self, ping_every: Option<u64>) -> usize {
        let now = self.elapsed();
        let faults = self.faults;
        let connection = Connection {
            wake: Rc::new(Notify::new()),
            outbox: Vec::new(),
            held: Vec::new(),
            stalled_until: None,
            ending: None,
            opened: now,
            ends_at: now.saturating_add(u64::try_from(self.config.life.as_nanos()).unwrap_or(u64::MAX)),
            next_ping: ping_every.map_or(u64::MAX, |every| now + every),
            pong_due: None,
            next_cut: self.due("cut", faults.cut),
            next_stall: self.due("stall", faults.stall),
            next_silence: self.due("silence", faults.silence),
            messages: Vec::new(),
        };
        self.count("connections");
        let free = self.connections.iter().position(Option::is_none);
        let at = free.unwrap_or_else(|| {
            self.connections.push(None);
            self.connections.len() - 1
        });
        self.connections[at] = Some(connection);
        at
    }

    /// The socket is gone.
    pub fn close(&mut self, connection: usize) {
        self.connections[connection] = None;
        for market in &mut self.markets {
            market.subscribers.retain(|subscriber| subscriber.connection != connection);
        }
    }

    /// Subscribing anew revives what had died in silence.
    pub fn subscribe(&mut self, market: usize, connection: usize, channel: u8) {
        self.unsubscribe(market, connection, channel);
        self.markets[market].subscribers.push(Subscriber { connection, channel, silent_until: 0 });
    }

    pub fn unsubscribe(&mut self, market: usize, connection: usize, channel: u8) {
        let subscribers = &mut self.markets[market].subscribers;
        subscribers.retain(|known| (known.connection, known.channel) != (connection, channel));
    }

    /// A message to one client.
    pub fn send(&mut self, connection: usize, text: &[u8]) {
        self.send_frame(connection, Opcode::Text, text);
    }

    pub fn send_frame(&mut self, connection: usize, opcode: Opcode, payload: &[u8]) {
        if let Some(Some(open)) = self.connections.get_mut(connection) {
            self.scratch.clear();
            write_frame(opcode, payload, &mut self.scratch);
            // Stalled connections answer pings: nobody shall notice but by what is missing.
            open.push(&self.scratch, opcode == Opcode::Pong || opcode == Opcode::Ping);
            self.dirty.push(connection);
        }
    }

    /// To each subscriber of the market what `encode` makes for its channel, made once a channel; it makes nothing
    /// for channels that are told otherwise.
    pub fn broadcast(&mut self, market: usize, mut encode: impl FnMut(u8, &Market, &mut Vec<u8>)) {
        let Self { markets, connections, scratch, payload, dirty, started, .. } = self;
        let market = &markets[market];
        let now = Mono::now().nanos_since(*started);
        let mut made: [Option<(usize, usize)>; CHANNELS] = [None; CHANNELS];
        scratch.clear();
        for subscriber in &market.subscribers {
            if subscriber.silent_until > now {
                continue;
            }
            let (start, end) = *made[usize::from(subscriber.channel)].get_or_insert_with(|| {
                payload.clear();
                encode(subscriber.channel, market, payload);
                let start = scratch.len();
                if !payload.is_empty() {
                    write_frame(Opcode::Text, payload, scratch);
                }
                (start, scratch.len())
            });
            if start < end
                && let Some(Some(open)) = connections.get_mut(subscriber.connection)
            {
                open.push(&scratch[start..end], false);
                dirty.push(subscriber.connection);
            }
        }
    }

    /// What was pushed goes out: wakes each connection once.
    pub fn flush(&mut self) {
        let mut dirty = std::mem::take(&mut self.dirty);
        dirty.sort_unstable();
        dirty.dedup();
        for connection in dirty.drain(..) {
            if let Some(Some(open)) = self.connections.get_mut(connection) {
                if open.outbox.len() + open.held.len() > OUTBOX_BYTES_MAX {
                    open.ending = Some(Ending::Abrupt);
                    *self.counters.entry("slow_clients").or_default() += 1;
                }
                open.wake.notify_one();
            }
        }
        self.dirty = dirty;
    }

    /// Ends a connection once what waits is sent, or at once.
    pub fn end(&mut self, connection: usize, ending: Ending) {
        if let Some(Some(open)) = self.connections.get_mut(connection) {
            open.ending = Some(ending);
            self.dirty.push(connection);
        }
    }

    /// A closing frame, and the end.
    pub fn end_with(&mut self, connection: usize, code: u16, reason: &str) {
        if let Some(Some(open)) = self.connections.get_mut(connection) {
            write_close(code, reason, &mut open.outbox);
        }
        self.end(connection, Ending::Drained);
    }

    /// What is to be written now, in exchange for an empty buffer, and whether it is the last.
    pub fn take(&mut self, connection: usize, mut spare: Vec<u8>) -> (Vec<u8>, Option<Ending>) {
        spare.clear();
        let Some(Some(open)) = self.connections.get_mut(connection) else {
            return (spare, Some(Ending::Abrupt));
        };
        (std::mem::replace(&mut open.outbox, spare), open.ending)
    }

    /// Lets go what a stall has held back.
    pub fn resume(&mut self, connection: usize) {
        if let Some(Some(open)) = self.connections.get_mut(connection) {
            open.stalled_until = None;
            open.outbox.append(&mut open.held);
            self.dirty.push(connection);
        }
    }

    /// Connections that are open.
    pub fn open_connections(&self) -> Vec<usize> {
        (0..self.connections.len()).filter(|&at| self.connections[at].is_some()).collect()
    }
}

impl Connection {
    fn push(&mut self, frame: &[u8], at_once: bool) {
        let is_held = self.stalled_until.is_some() && !at_once;
        if is_held { &mut self.held } else { &mut self.outbox }.extend_from_slice(frame);
    }

    /// Whatever the client says now, nobody hears it.
    pub fn is_ending(&self) -> bool {
        self.ending.is_some()
    }

    /// Notes a message; whether there were more than `allowed` within a second.
    pub fn is_too_busy(&mut self, now: u64, allowed: u32) -> bool {
        self.messages.retain(|at| now - at < 1_000_000_000);
        self.messages.push(now);
        self.messages.len() > allowed as usize
    }
}
