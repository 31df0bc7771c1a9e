//! Coinbase, from the other side: the websockets of Advanced Trade and of the Exchange feed.
//!
//! Which of the two a client speaks is told by its first subscription (`channel` or `channels`). Sides are the
//! maker's. Advanced tells what traded in 250 ms as one message a product, the newest first, and begins
//! with a snapshot; the Exchange feed tells each `match`, and begins with the `last_match`.
//! Sources: Coinbase documentation, "Advanced Trade WebSocket channels", "Exchange WebSocket channels"; order and
//! form of the first messages as in captures of both.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use serde::Deserialize;

use crate::domain::event::Side;
use crate::venues::simulator::coinbase_deal::{maker_side, write_time};
use crate::venues::simulator::coinbase_rest;
use crate::venues::simulator::dialect::Dialect;
use crate::venues::simulator::history::Deal;
use crate::venues::simulator::http::{Request, Response};
use crate::venues::simulator::json::{write_text, write_u64};
use crate::venues::simulator::world::{Ending, Market, World};

/// A client that has not subscribed by then is cut.
const SUBSCRIBE_NANOS: u64 = 5_000_000_000;
/// Advanced tells trades at this distance.
const BATCH_NANOS: u64 = 250_000_000;
const HEARTBEAT_NANOS: u64 = 1_000_000_000;
/// Without heartbeats a connection on which nothing is told is closed after this.
const IDLE_NANOS: u64 = 90_000_000_000;
const SNAPSHOT_TRADES: usize = 100;

// Channels of the world.
const ADVANCED: u8 = 0;
const EXCHANGE: u8 = 1;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Feed {
    #[default]
    Unsaid,
    Advanced,
    Exchange,
}

#[derive(Debug, Default)]
struct Session {
    feed: Feed,
    /// Counts every message of the connection (Advanced).
    sequence: u64,
    /// Products of each channel.
    channels: BTreeMap<String, BTreeSet<String>>,
    next_heartbeat: u64,
    last_told: u64,
}

#[derive(Debug, Default)]
pub struct Coinbase {
    sessions: Vec<Session>,
    /// Ids that Advanced has still to tell, in order of telling, of each market.
    batches: BTreeMap<usize, Vec<u64>>,
    next_batch: u64,
    /// When messages of the last second came, of all connections.
    messages: Vec<u64>,
    pub meter: coinbase_rest::Meter,
}

#[derive(Deserialize)]
struct Command {
    #[serde(rename = "type")]
    kind: Option<String>,
    channel: Option<String>,
    channels: Option<Vec<Channel>>,
    #[serde(default)]
    product_ids: Vec<String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Channel {
    Name(String),
    Named {
        name: String,
        #[serde(default)]
        product_ids: Vec<String>,
    },
}

impl Coinbase {
    fn command(&mut self, world: &mut World, connection: usize, text: &str) {
        let Ok(command) = serde_json::from_str::<Command>(text) else {
            return error(world, connection, "Failed to parse request", "not a valid message");
        };
        let is_subscribe = match command.kind.as_deref() {
            Some("subscribe") => true,
            Some("unsubscribe") => false,
            _ => {
                return error(
                    world,
                    connection,
                    "Malformed request",
                    "type must be subscribe or unsubscribe",
                );
            }
        };
        match (command.channel, command.channels) {
            (Some(channel), None) => {
                self.sessions[connection].feed = Feed::Advanced;
                self.advanced(world, connection, is_subscribe, &channel, &command.product_ids);
            }
            (None, Some(channels)) => {
                self.sessions[connection].feed = Feed::Exchange;
                self.exchange(world, connection, is_subscribe, &channels, &command.product_ids);
            }
            _ => error(world, connection, "Malformed request", "no channel"),
        }
    }

    fn advanced(
        &mut self,
        world: &mut World,
        connection: usize,
        subscribes: bool,
        channel: &str,
        products: &[String],
    ) {
        const KNOWN: [&str; 9] = [
            "market_trades",
            "heartbeats",
            "ticker",
            "ticker_batch",
            "level2",
            "candles",
            "status",
            "user",
            "futures_balance_summary",
        ];
        if !KNOWN.contains(&channel) {
            return error(world, connection, &format!("channel {channel} is unknown"), "");
        }
        let products: Vec<String> = match channel {
            "heartbeats" => vec!["heartbeats".to_owned()],
            _ => products.iter().map(|product| twin(world, product)).collect(),
        };
        if products.is_empty() {
            return error(world, connection, "no product_ids were given", "");
        }
        let is_wrong = subscribes && world.happens("wrong-ack", world.faults.wrong_ack);
        if is_wrong && world.dice("wrong-ack").happens(0.5) {
            return error(world, connection, "rate limit exceeded", "");
        }
        self.note(subscribes, connection, channel, &products);
        if channel == "market_trades" && !is_wrong {
            for market in products.iter().filter_map(|product| world.market(product)).collect::<Vec<_>>() {
                if subscribes {
                    world.subscribe(market, connection, ADVANCED);
                    self.snapshot(world, connection, market);
                } else {
                    world.unsubscribe(market, connection, ADVANCED);
                }
            }
        }
        let state = serde_json::to_string(&self.sessions[connection].channels).expect("texts are JSON");
        self.tell_advanced(world, connection, "subscriptions", &format!("[{{\"subscriptions\":{state}}}]"));
    }

    fn exchange(
        &mut self,
        world: &mut World,
        connection: usize,
        subscribes: bool,
        channels: &[Channel],
        products: &[String],
    ) {
        const KNOWN: [&str; 8] =
            ["matches", "heartbeat", "ticker", "ticker_batch", "level2", "level2_batch", "full", "status"];
        let is_wrong = subscribes && world.happens("wrong-ack", world.faults.wrong_ack);
        if is_wrong && world.dice("wrong-ack").happens(0.5) {
            return error(world, connection, "Failed to subscribe", "rate limit exceeded");
        }
        let mut wanted = Vec::new();
        for channel in channels {
            let (name, own) = match channel {
                Channel::Name(name) => (name, &[][..]),
                Channel::Named { name, product_ids } => (name, &product_ids[..]),
            };
            if !KNOWN.contains(&name.as_str()) {
                return error(
                    world,
                    connection,
                    "Failed to subscribe",
                    &format!("{name} is not a valid channel"),
                );
            }
            let all: Vec<String> = products.iter().chain(own).cloned().collect();
            if let Some(unknown) = all.iter().find(|product| world.market(product).is_none()) {
                return error(
                    world,
                    connection,
                    "Failed to subscribe",
                    &format!("{unknown} is not a valid product"),
                );
            }
            wanted.push((name.clone(), all));
        }
        for (name, products) in wanted {
            self.note(subscribes, connection, &name, &products);
            if name != "matches" || is_wrong {
                continue;
            }
            for market in products.iter().filter_map(|product| world.market(product)).collect::<Vec<_>>() {
                if !subscribes {
                    world.unsubscribe(market, connection, EXCHANGE);
                    continue;
                }
                world.subscribe(market, connection, EXCHANGE);
                let known = &world.markets[market];
                let last = known.history.from(0).rev().find(|(_, deal)| !deal.is_missing);
                if let Some((id, deal)) = last {
                    let mut text = Vec::new();
                    write_match("last_match", known, id, deal, &mut text);
                    world.send(connection, &text);
                }
            }
        }
        let mut text = "{\"type\":\"subscriptions\",\"channels\":[".to_owned();
        for (at, (name, products)) in self.sessions[connection].channels.iter().enumerate() {
            let comma = if at > 0 { "," } else { "" };
            let products = serde_json::to_string(products).expect("texts are JSON");
            write!(text, "{comma}{{\"name\":\"{name}\",\"product_ids\":{products}}}")
                .expect("text takes text");
        }
        text.push_str("]}");
        world.send(connection, text.as_bytes());
    }

    fn note(&mut self, subscribes: bool, connection: usize, channel: &str, products: &[String]) {
        let channels = &mut self.sessions[connection].channels;
        let known = channels.entry(channel.to_owned()).or_default();
        if subscribes {
            known.extend(products.iter().cloned());
        } else {
            for product in products {
                known.remove(product);
            }
        }
        channels.retain(|_, products| !products.is_empty());
    }

    /// One message of Advanced, with the connection's own number.
    fn tell_advanced(&mut self, world: &mut World, connection: usize, channel: &str, events: &str) {
        let session = &mut self.sessions[connection];
        let text = format!(
            "{{\"channel\":\"{channel}\",\"client_id\":\"\",\"timestamp\":\"{}\",\"sequence_num\":{},\"events\":{events}}}",
            world.now(),
            session.sequence
        );
        session.sequence += 1;
        session.last_told = world.elapsed();
        world.send(connection, text.as_bytes());
    }

    fn snapshot(&mut self, world: &mut World, connection: usize, market: usize) {
        let known = &world.markets[market];
        let mut events = "[{\"type\":\"snapshot\",\"trades\":[".to_owned();
        let newest = known.history.from(0).rev().filter(|(_, deal)| !deal.is_missing).take(SNAPSHOT_TRADES);
        for (at, (id, deal)) in newest.enumerate() {
            write_row(at > 0, known, id, deal, &mut events);
        }
        events.push_str("]}]");
        self.tell_advanced(world, connection, "market_trades", &events);
    }

    fn tell_batches(&mut self, world: &mut World) {
        let now = world.elapsed();
        for (market, ids) in std::mem::take(&mut self.batches) {
            let known = &world.markets[market];
            let mut events = "[{\"type\":\"update\",\"trades\":[".to_owned();
            let mut rows = 0;
            for &id in ids.iter().rev() {
                if let Some(deal) = known.history.get(id) {
                    write_row(rows > 0, known, id, deal, &mut events);
                    rows += 1;
                }
            }
            events.push_str("]}]");
            let living = known.subscribers.iter().filter(|s| s.channel == ADVANCED && s.silent_until <= now);
            for connection in living.map(|subscriber| subscriber.connection).collect::<Vec<_>>() {
                self.tell_advanced(world, connection, "market_trades", &events);
            }
        }
    }

    fn heartbeat(&mut self, world: &mut World, connection: usize, now: u64) {
        let at = world.now();
        match self.sessions[connection].feed {
            Feed::Advanced if self.sessions[connection].channels.contains_key("heartbeats") => {
                // As printed by the server's own language, and counting seconds since it began.
                let time = at.to_string().replace('T', " ").replace('Z', "");
                let counter = now / HEARTBEAT_NANOS;
                let events = format!(
                    "[{{\"current_time\":\"{time} +0000 UTC m=+{counter}.000000001\",\"heartbeat_counter\":{counter}}}]"
                );
                self.tell_advanced(world, connection, "heartbeats", &events);
            }
            Feed::Exchange => {
                let products =
                    self.sessions[connection].channels.get("heartbeat").cloned().unwrap_or_default();
                for product in products {
                    let Some(market) = world.market(&product) else { continue };
                    let history = &world.markets[market].history;
                    // What is not told over REST either does not exist for the venue.
                    let last =
                        history.from(0).rev().find(|(_, deal)| !deal.is_missing).map_or(0, |(id, _)| id);
                    let text = format!(
                        "{{\"type\":\"heartbeat\",\"last_trade_id\":{last},\"product_id\":\"{product}\",\"sequence\":{},\"time\":\"{at}\"}}",
                        sequence_of(last)
                    );
                    self.sessions[connection].last_told = now;
                    world.send(connection, text.as_bytes());
                }
            }
            _ => {}
        }
    }
}

impl Dialect for Coinbase {
    fn spell(&self) -> fn(&str) -> String {
        str::to_owned
    }

    fn ping(&self) -> Option<(u64, u64)> {
        None
    }

    fn opened(&mut self, world: &mut World, connection: usize, request: &Request) -> Result<(), Response> {
        if request.path != "/" {
            return Err(Response::html(404, "Not Found"));
        }
        if self.sessions.len() <= connection {
            self.sessions.resize_with(connection + 1, Session::default);
        }
        let now = world.elapsed();
        self.sessions[connection] =
            Session { next_heartbeat: now + HEARTBEAT_NANOS, last_told: now, ..Session::default() };
        Ok(())
    }

    fn heard(&mut self, world: &mut World, connection: usize, text: &str) {
        let now = world.elapsed();
        self.messages.retain(|at| now - at < 1_000_000_000);
        self.messages.push(now);
        if self.messages.len() > world.config.limits.messages as usize {
            world.count("clients_too_busy");
            return error(world, connection, "rate limit exceeded", "too many messages a second");
        }
        self.command(world, connection, text);
    }

    fn publish(&mut self, world: &mut World, market: usize, id: u64) {
        let known = &world.markets[market];
        if known.subscribers.iter().any(|subscriber| subscriber.channel == ADVANCED) {
            self.batches.entry(market).or_default().push(id);
        }
        let Some(&deal) = known.history.get(id) else { return };
        world.broadcast(market, |channel, market, out| {
            if channel == EXCHANGE {
                write_match("match", market, id, &deal, out);
            }
        });
    }

    fn beat(&mut self, world: &mut World) {
        let now = world.elapsed();
        if now >= self.next_batch {
            self.next_batch = now + BATCH_NANOS;
            self.tell_batches(world);
        }
        for connection in world.open_connections() {
            let opened = world.connections[connection].as_ref().map_or(now, |open| open.opened);
            let Some(session) = self.sessions.get_mut(connection) else { continue };
            if session.feed == Feed::Unsaid && now.saturating_sub(opened) > SUBSCRIBE_NANOS {
                world.count("never_subscribed");
                world.end(connection, Ending::Abrupt);
                continue;
            }
            if session.next_heartbeat <= now {
                session.next_heartbeat += HEARTBEAT_NANOS;
                self.heartbeat(world, connection, now);
            }
            if now.saturating_sub(self.sessions[connection].last_told) > IDLE_NANOS
                && self.sessions[connection].feed == Feed::Advanced
            {
                world.count("idle");
                world.end(connection, Ending::Abrupt);
            }
        }
    }

    fn farewell(&mut self, _world: &mut World, _connection: usize) {}

    fn answer(&mut self, world: &mut World, request: &Request) -> Response {
        coinbase_rest::answer(&mut self.meter, world, request)
    }

    fn too_many(&self, retry_after_seconds: u64) -> Response {
        coinbase_rest::too_many(false).with("Retry-After", retry_after_seconds.to_string())
    }
}

/// Market data of `-USDC` products is that of the `-USD` ones.
fn twin(world: &World, product: &str) -> String {
    match product.strip_suffix("-USDC") {
        Some(base) if world.market(product).is_none() => format!("{base}-USD"),
        _ => product.to_owned(),
    }
}

/// Other messages of the product count too.
fn sequence_of(id: u64) -> u64 {
    id * 3
}

fn write_row(is_next: bool, market: &Market, id: u64, deal: &Deal, out: &mut String) {
    let side = if maker_side(deal) == Side::Buy { "BUY" } else { "SELL" };
    let comma = if is_next { "," } else { "" };
    write!(
        out,
        "{comma}{{\"product_id\":\"{}\",\"trade_id\":\"{id}\",\"price\":\"{}\",\"size\":\"{}\",\"time\":\"{}\",\"side\":\"{side}\"}}",
        market.spelled,
        deal.price.decimal(),
        deal.quantity.decimal(),
        deal.at,
    )
    .expect("text takes text");
}

fn write_match(kind: &str, market: &Market, id: u64, deal: &Deal, out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"type\":\"");
    out.extend_from_slice(kind.as_bytes());
    out.extend_from_slice(b"\",\"trade_id\":");
    write_u64(id, out);
    out.extend_from_slice(b",\"maker_order_id\":\"00000000-0000-4000-8000-000000000001\",\"taker_order_id\":\"00000000-0000-4000-8000-000000000002\",\"side\":\"");
    out.extend_from_slice(maker_side(deal).name().as_bytes());
    out.extend_from_slice(b"\",\"size\":\"");
    deal.quantity.decimal().write_to(out);
    out.extend_from_slice(b"\",\"price\":\"");
    deal.price.decimal().write_to(out);
    out.extend_from_slice(b"\",\"product_id\":\"");
    out.extend_from_slice(market.spelled.as_bytes());
    out.extend_from_slice(b"\",\"sequence\":");
    write_u64(sequence_of(id), out);
    out.extend_from_slice(b",\"time\":\"");
    write_time(deal.at, out);
    out.extend_from_slice(b"\"}");
}

fn error(world: &mut World, connection: usize, message: &str, reason: &str) {
    let mut text = b"{\"type\":\"error\",\"message\":".to_vec();
    write_text(message, &mut text);
    if !reason.is_empty() {
        text.extend_from_slice(b",\"reason\":");
        write_text(reason, &mut text);
    }
    text.push(b'}');
    world.send(connection, &text);
}
