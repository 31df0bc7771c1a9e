//! What people and tests ask a simulated venue that no real one would answer.
//!
//! - `GET /simulator/status`: what was counted, and whether the market trades.
//! - `GET /simulator/trades?symbol=&from_id=&limit=&unit=`: every trade made so far, as it was.
//! - `POST /simulator/fault?skip=0.01&cut=30s`: sets faults (`?none`, `?all` too). The value `now` lets one happen at
//!   once: `?cut=now`, `?stall=now&for=3s`, `?silence=now&symbol=BTC-USDT&for=5s`, `?skip=now&symbol=BTC-USDT&count=3`.
//! - `POST /simulator/market?trading=false`: the market rests, until `true`.
//! - `POST /simulator/trade?symbol=&price=&quantity=&side=`: one trade, now.

use std::fmt::Write;
use std::time::Duration;

use crate::domain::decimal::{Price, Quantity};
use crate::domain::event::Side;
use crate::domain::time::UnixNanos;
use crate::venues::simulator::config::SimulatedVenue;
use crate::venues::simulator::exchange::Exchange;
use crate::venues::simulator::fault::{CATALOGUE, read_duration};
use crate::venues::simulator::http::{Request, Response};
use crate::venues::simulator::tape::Draw;

/// Rows of one answer.
const PAGE_MAX: usize = 100_000;

pub fn is_control(request: &Request) -> bool {
    request.path.starts_with("/simulator/")
}

pub fn answer(exchange: &mut Exchange, request: &Request) -> Response {
    let result = match (request.method.as_str(), request.path.as_str()) {
        ("GET", "/simulator/status") => Ok(status(exchange)),
        ("GET", "/simulator/trades") => trades(exchange, request),
        ("POST", "/simulator/fault") => fault(exchange, request),
        ("POST", "/simulator/market") => market(exchange, request),
        ("POST", "/simulator/trade") => trade(exchange, request),
        (
            _,
            "/simulator/status" | "/simulator/trades" | "/simulator/fault" | "/simulator/market"
            | "/simulator/trade",
        ) => {
            return problem(405, "another method is wanted here");
        }
        _ => return problem(404, "there are status, trades, fault, market and trade below /simulator"),
    };
    match result {
        Ok(body) => Response::json(200, body),
        Err(why) => problem(400, &why),
    }
}

fn problem(status: u16, why: &str) -> Response {
    Response::json(status, serde_json::json!({ "error": why }).to_string())
}

fn status(exchange: &Exchange) -> String {
    let world = &exchange.world;
    let mut all = serde_json::Map::new();
    all.insert("venue".to_owned(), world.config.venue.name().into());
    all.insert("trading".to_owned(), exchange.is_trading.into());
    all.insert("symbols".to_owned(), world.markets.len().into());
    all.insert("open_connections".to_owned(), world.open_connections().len().into());
    let subscriptions: usize = world.markets.iter().map(|market| market.subscribers.len()).sum();
    all.insert("subscriptions".to_owned(), subscriptions.into());
    let counts = world.counters.iter().map(|(name, count)| ((*name).to_owned(), (*count).into())).collect();
    all.insert("counts".to_owned(), serde_json::Value::Object(counts));
    serde_json::Value::Object(all).to_string()
}

fn number<T: std::str::FromStr>(request: &Request, name: &str, default: T) -> Result<T, String> {
    match request.parameter(name) {
        None => Ok(default),
        Some(text) => text.parse().map_err(|_| format!("{name} {text:?} is no number")),
    }
}

fn market_of(exchange: &Exchange, request: &Request) -> Result<usize, String> {
    let name = request.parameter("symbol").ok_or("symbol is missing")?;
    exchange.world.market_named(name).ok_or_else(|| format!("symbol {name:?} is not listed here"))
}

fn trades(exchange: &Exchange, request: &Request) -> Result<String, String> {
    let market = &exchange.world.markets[market_of(exchange, request)?];
    let from = number(request, "from_id", 0)?;
    let limit = number(request, "limit", PAGE_MAX)?.clamp(1, PAGE_MAX);
    // What a client of this venue gets to see, unless it asks for more.
    let default = if exchange.world.config.venue == SimulatedVenue::Binance { "ms" } else { "us" };
    let unit = match request.parameter("unit").unwrap_or(default) {
        "ms" => 1_000_000,
        "us" => 1_000,
        other => return Err(format!("unit {other:?} is unknown: allowed are ms, us")),
    };
    let history = &market.history;
    let mut out = format!(
        "{{\"symbol\":\"{}\",\"first_id\":{},\"oldest_id\":{},\"next_id\":{},\"trades\":[",
        market.listing.symbol,
        history.first_id(),
        history.oldest_id(),
        history.next_id()
    );
    for (at, (id, deal)) in history.from(from).take(limit).enumerate() {
        let comma = if at > 0 { "," } else { "" };
        write!(
            out,
            "{comma}{{\"trade_id\":\"{id}\",\"price\":\"{}\",\"quantity\":\"{}\",\"taker_side\":\"{}\",\"exchange_at\":\"{}\",\"missing\":{}}}",
            deal.price.decimal(),
            deal.quantity.decimal(),
            deal.taker_side.name(),
            UnixNanos(deal.at.0 - deal.at.0.rem_euclid(unit)),
            deal.is_missing
        )
        .expect("text takes text");
    }
    out.push_str("]}");
    Ok(out)
}

fn fault(exchange: &mut Exchange, request: &Request) -> Result<String, String> {
    if request.query.is_empty() {
        return Err("name a fault and its value: ?skip=0.01, ?cut=now, ?none".to_owned());
    }
    let market = match request.parameter("symbol") {
        Some(_) => Some(market_of(exchange, request)?),
        None => None,
    };
    let length = match request.parameter("for") {
        Some(text) => Some(read_duration(text).ok_or_else(|| format!("for {text:?} is no time like 3s"))?),
        None => None,
    };
    let count = number(request, "count", 1)?;
    for (name, value) in &request.query {
        match (name.as_str(), value.as_str()) {
            ("symbol" | "for" | "count", _) => {}
            (name, "now") => now(exchange, name, market, length, count)?,
            (name, "") => exchange.set_faults(name).map_err(|error| error.to_string())?,
            (name, value) => {
                exchange.set_faults(&format!("{name}={value}")).map_err(|error| error.to_string())?
            }
        }
    }
    Ok("{\"ok\":true}".to_owned())
}

/// Lets a fault happen at once; those of trades and requests meet the next `count` of them.
fn now(
    exchange: &mut Exchange,
    name: &str,
    market: Option<usize>,
    length: Option<Duration>,
    count: u64,
) -> Result<(), String> {
    let subscribed = |exchange: &Exchange| -> Vec<usize> {
        let world = &exchange.world;
        let concerns = |at: &usize| {
            let holds = |market: usize| world.markets[market].subscribers.iter().any(|s| s.connection == *at);
            market.is_none_or(holds)
        };
        world.open_connections().into_iter().filter(concerns).collect()
    };
    match name {
        "cut" => subscribed(exchange).into_iter().for_each(|at| exchange.cut(at)),
        "stall" => {
            let length = length.unwrap_or(Duration::from_secs(3));
            subscribed(exchange).into_iter().for_each(|at| exchange.stall(at, length));
        }
        "silence" => exchange.silence(None, market, length),
        "skip" | "missing" | "duplicate" | "reorder" | "garbage" | "http429" | "http503" | "html" => {
            let (name, ..) = CATALOGUE.iter().find(|(known, ..)| *known == name).expect("it stands there");
            exchange.once.push((name, market, count));
        }
        _ => return Err(format!("{name:?} cannot happen now: give it a value")),
    }
    Ok(())
}

fn market(exchange: &mut Exchange, request: &Request) -> Result<String, String> {
    exchange.is_trading = match request.parameter("trading") {
        Some("true") => true,
        Some("false") => false,
        other => return Err(format!("trading is {other:?}, allowed are true and false")),
    };
    Ok("{\"ok\":true}".to_owned())
}

fn trade(exchange: &mut Exchange, request: &Request) -> Result<String, String> {
    let symbol = market_of(exchange, request)?;
    let text = |name: &str| request.parameter(name).ok_or_else(|| format!("{name} is missing"));
    let price = Price::parse(text("price")?.as_bytes()).map_err(|error| format!("price {error}"))?;
    let quantity =
        Quantity::parse(text("quantity")?.as_bytes()).map_err(|error| format!("quantity {error}"))?;
    let taker_side = match request.parameter("side").unwrap_or("buy") {
        "buy" => Side::Buy,
        "sell" => Side::Sell,
        other => return Err(format!("side {other:?} is unknown: allowed are buy, sell")),
    };
    let at = exchange.world.now();
    let id = exchange.make(Draw { symbol, price, quantity, taker_side, at });
    Ok(format!("{{\"trade_id\":\"{id}\"}}"))
}
