//! Binance spot, from the other side: the market data websocket.
//!
//! `/ws` and `/ws/<streams>` tell events bare, `/stream` tells them wrapped; streams `<symbol>@trade` and
//! `<symbol>@aggTrade` (each trade its own aggregate, under ids of their own). A subscription to anything
//! else is acknowledged and never heard of again.
//! Sources: binance/binance-spot-api-docs, web-socket-streams.md and rest-api.md.

use std::collections::BTreeSet;

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::domain::event::Side;
use crate::domain::time::UnixNanos;
use crate::venues::simulator::binance_rest::{self, AGGREGATE_OFFSET};
use crate::venues::simulator::dialect::Dialect;
use crate::venues::simulator::history::Deal;
use crate::venues::simulator::http::{Request, Response};
use crate::venues::simulator::json::{write_padded, write_text, write_u64};
use crate::venues::simulator::world::{Market, World};

const PING_NANOS: u64 = 20_000_000_000;
const PONG_NANOS: u64 = 60_000_000_000;

// What the bits of a channel mean.
const AGGREGATE: u8 = 1;
const WRAPPED: u8 = 2;
const MICROS: u8 = 4;

#[derive(Debug, Default)]
struct Session {
    is_wrapped: bool,
    is_micros: bool,
    /// As the client spelled them.
    streams: BTreeSet<String>,
}

#[derive(Debug, Default)]
pub struct Binance {
    sessions: Vec<Session>,
    pub meter: binance_rest::Meter,
}

#[derive(Deserialize)]
struct Command<'a> {
    #[serde(borrow)]
    id: Option<&'a RawValue>,
    method: Option<Value>,
    params: Option<Value>,
}

impl Binance {
    fn command(&mut self, world: &mut World, connection: usize, text: &str) {
        let Ok(command) = serde_json::from_str::<Command<'_>>(text) else {
            let message = match serde_json::from_str::<Value>(text) {
                Ok(_) => (2, "Invalid request: request must be a JSON object"),
                Err(_) => (3, "Invalid JSON: expected value at line 1 column 1"),
            };
            return refuse(world, connection, None, message.0, message.1);
        };
        let id = command.id.map(RawValue::get);
        if !id.is_none_or(is_id) {
            return refuse(
                world,
                connection,
                None,
                2,
                "Invalid request: request ID must be an unsigned integer, an alphanumeric string or null",
            );
        }
        match command.method.as_ref().and_then(Value::as_str) {
            Some("SUBSCRIBE") => self.subscribe(world, connection, id, command.params.as_ref()),
            Some("UNSUBSCRIBE") => {
                let Some(streams) = texts(command.params.as_ref()) else {
                    return refuse(world, connection, id, 1, "Invalid value type: expected Array of strings");
                };
                for stream in streams {
                    self.remove(world, connection, &stream);
                }
                acknowledge(world, connection, id, "null");
            }
            Some("LIST_SUBSCRIPTIONS") => {
                let listed =
                    serde_json::to_string(&self.sessions[connection].streams).expect("texts are JSON");
                acknowledge(world, connection, id, &listed);
            }
            Some(method @ ("SET_PROPERTY" | "GET_PROPERTY")) => {
                let params = command.params.as_ref().and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
                if params.first().and_then(Value::as_str) != Some("combined") {
                    return refuse(world, connection, id, 0, "Unknown property");
                }
                if method == "GET_PROPERTY" {
                    let combined = self.sessions[connection].is_wrapped.to_string();
                    return acknowledge(world, connection, id, &combined);
                }
                let Some(combined) = params.get(1).and_then(Value::as_bool) else {
                    return refuse(world, connection, id, 1, "Invalid value type: expected Boolean");
                };
                let streams = self.sessions[connection].streams.clone();
                for stream in &streams {
                    self.remove(world, connection, stream);
                }
                self.sessions[connection].is_wrapped = combined;
                for stream in streams {
                    self.add(world, connection, stream);
                }
                acknowledge(world, connection, id, "null");
            }
            Some(method) => {
                let message = format!(
                    "Invalid request: unknown variant `{method}`, expected one of `SUBSCRIBE`, `UNSUBSCRIBE`, `LIST_SUBSCRIPTIONS`, `SET_PROPERTY`, `GET_PROPERTY`"
                );
                refuse(world, connection, id, 2, &message);
            }
            None => refuse(world, connection, id, 2, "Invalid request: method must be a string"),
        }
    }

    fn subscribe(&mut self, world: &mut World, connection: usize, id: Option<&str>, params: Option<&Value>) {
        let Some(streams) = texts(params) else {
            return refuse(world, connection, id, 1, "Invalid value type: expected Array of strings");
        };
        let known = &self.sessions[connection].streams;
        let more = streams.iter().filter(|stream| !known.contains(*stream)).count();
        if known.len() + more > world.config.limits.streams {
            return refuse(world, connection, id, 2, "Invalid request: too many params");
        }
        if world.happens("wrong-ack", world.faults.wrong_ack) {
            if world.dice("wrong-ack").happens(0.5) {
                return refuse(world, connection, id, 2, "Invalid request: too many requests");
            }
            // Acknowledged, and never heard of again.
            self.sessions[connection].streams.extend(streams);
            return acknowledge(world, connection, id, "null");
        }
        for stream in streams {
            self.add(world, connection, stream);
        }
        acknowledge(world, connection, id, "null");
    }

    fn add(&mut self, world: &mut World, connection: usize, stream: String) {
        if let Some((market, channel)) = self.channel(world, connection, &stream) {
            world.subscribe(market, connection, channel);
        }
        self.sessions[connection].streams.insert(stream);
    }

    fn remove(&mut self, world: &mut World, connection: usize, stream: &str) {
        if let Some((market, channel)) = self.channel(world, connection, stream) {
            world.unsubscribe(market, connection, channel);
        }
        self.sessions[connection].streams.remove(stream);
    }

    /// Which market a stream is of, and how it is told there; `None` for a stream that tells nothing.
    fn channel(&self, world: &World, connection: usize, stream: &str) -> Option<(usize, u8)> {
        let (symbol, kind) = stream.split_once('@')?;
        // Names are lower case; others are taken and stay silent.
        if symbol.chars().any(char::is_uppercase) {
            return None;
        }
        let session = &self.sessions[connection];
        let mut channel = match kind {
            "trade" => 0,
            "aggTrade" => AGGREGATE,
            _ => return None,
        };
        channel |= if session.is_wrapped { WRAPPED } else { 0 } | if session.is_micros { MICROS } else { 0 };
        Some((world.market(&symbol.to_uppercase())?, channel))
    }
}

impl Dialect for Binance {
    fn spell(&self) -> fn(&str) -> String {
        |symbol| symbol.replace('-', "")
    }

    fn ping(&self) -> Option<(u64, u64)> {
        Some((PING_NANOS, PONG_NANOS))
    }

    fn opened(&mut self, world: &mut World, connection: usize, request: &Request) -> Result<(), Response> {
        let is_wrapped = request.path == "/stream";
        if !is_wrapped && request.path != "/ws" && !request.path.starts_with("/ws/") {
            return Err(Response::html(404, "Not Found"));
        }
        let is_micros =
            request.parameter("timeUnit").is_some_and(|unit| unit.eq_ignore_ascii_case("microsecond"));
        if self.sessions.len() <= connection {
            self.sessions.resize_with(connection + 1, Session::default);
        }
        self.sessions[connection] = Session { is_wrapped, is_micros, streams: BTreeSet::new() };
        let named = match is_wrapped {
            true => request.parameter("streams").unwrap_or_default(),
            false => request.path.trim_start_matches("/ws").trim_start_matches('/'),
        };
        let named: Vec<_> = named.split('/').filter(|name| !name.is_empty()).map(str::to_owned).collect();
        if named.len() > world.config.limits.streams {
            return Err(Response::html(400, "Bad Request"));
        }
        for stream in named {
            self.add(world, connection, stream);
        }
        Ok(())
    }

    fn heard(&mut self, world: &mut World, connection: usize, text: &str) {
        self.command(world, connection, text);
    }

    fn publish(&mut self, world: &mut World, market: usize, id: u64) {
        let event_at = world.now();
        let Some(&deal) = world.markets[market].history.get(id) else { return };
        world.broadcast(market, |channel, market, out| encode(channel, market, id, &deal, event_at, out));
    }

    fn beat(&mut self, _world: &mut World) {}

    fn farewell(&mut self, world: &mut World, connection: usize) {
        let millis = world.now().0 / 1_000_000;
        let text = if self.sessions[connection].is_wrapped {
            format!(r#"{{"stream":"!serverShutdown","data":{{"e":"serverShutdown","E":{millis}}}}}"#)
        } else {
            format!(r#"{{"e":"serverShutdown","E":{millis}}}"#)
        };
        world.send(connection, text.as_bytes());
    }

    fn answer(&mut self, world: &mut World, request: &Request) -> Response {
        binance_rest::answer(&mut self.meter, world, request)
    }

    fn too_many(&self, retry_after_seconds: u64) -> Response {
        binance_rest::too_many(429, retry_after_seconds)
    }
}

fn encode(channel: u8, market: &Market, id: u64, deal: &Deal, event_at: UnixNanos, out: &mut Vec<u8>) {
    let unit = if channel & MICROS == 0 { 1_000_000 } else { 1_000 };
    let kind: &[u8] = if channel & AGGREGATE == 0 { b"trade" } else { b"aggTrade" };
    if channel & WRAPPED != 0 {
        out.extend_from_slice(b"{\"stream\":\"");
        out.extend_from_slice(market.lower.as_bytes());
        out.push(b'@');
        out.extend_from_slice(kind);
        out.extend_from_slice(b"\",\"data\":");
    }
    out.extend_from_slice(b"{\"e\":\"");
    out.extend_from_slice(kind);
    out.extend_from_slice(b"\",\"E\":");
    write_u64((event_at.0 / unit) as u64, out);
    out.extend_from_slice(b",\"s\":\"");
    out.extend_from_slice(market.spelled.as_bytes());
    out.extend_from_slice(if channel & AGGREGATE == 0 { b"\",\"t\":" } else { b"\",\"a\":" });
    write_u64(if channel & AGGREGATE == 0 { id } else { id + AGGREGATE_OFFSET }, out);
    out.extend_from_slice(b",\"p\":\"");
    write_padded(deal.price.decimal(), 8, out);
    out.extend_from_slice(b"\",\"q\":\"");
    write_padded(deal.quantity.decimal(), 8, out);
    out.push(b'"');
    if channel & AGGREGATE != 0 {
        out.extend_from_slice(b",\"f\":");
        write_u64(id, out);
        out.extend_from_slice(b",\"l\":");
        write_u64(id, out);
    }
    out.extend_from_slice(b",\"T\":");
    write_u64((deal.at.0 / unit) as u64, out);
    // The buyer is the maker where the taker sold.
    let buyer_is_maker: &[u8] = if deal.taker_side == Side::Sell { b"true" } else { b"false" };
    out.extend_from_slice(b",\"m\":");
    out.extend_from_slice(buyer_is_maker);
    out.extend_from_slice(b",\"M\":true}");
    if channel & WRAPPED != 0 {
        out.push(b'}');
    }
}

/// Whether a request may be called so: a whole number, an alphanumeric text of at most 36, or null.
fn is_id(raw: &str) -> bool {
    match serde_json::from_str(raw) {
        Ok(Value::Null) => true,
        Ok(Value::Number(number)) => number.is_i64() || number.is_u64(),
        Ok(Value::String(text)) => {
            text.len() <= 36 && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_')
        }
        _ => false,
    }
}

fn texts(params: Option<&Value>) -> Option<Vec<String>> {
    params?.as_array()?.iter().map(|param| param.as_str().map(str::to_owned)).collect()
}

fn acknowledge(world: &mut World, connection: usize, id: Option<&str>, result: &str) {
    let id = id.unwrap_or("null");
    world.send(connection, format!("{{\"result\":{result},\"id\":{id}}}").as_bytes());
}

fn refuse(world: &mut World, connection: usize, id: Option<&str>, code: u32, message: &str) {
    let mut text = format!("{{\"code\":{code},\"msg\":").into_bytes();
    write_text(message, &mut text);
    text.extend_from_slice(format!(",\"id\":{}}}", id.unwrap_or("null")).as_bytes());
    world.send(connection, &text);
}
