//! Binance spot, from the other side: the market data of the REST interface, with its weights and errors.
//!
//! Source: binance/binance-spot-api-docs, rest-api.md and errors.md.

use std::fmt::Write;

use crate::domain::event::Side;
use crate::domain::time::UnixNanos;
use crate::venues::simulator::history::{Deal, Span};
use crate::venues::simulator::http::{Request, Response};
use crate::venues::simulator::json::{pad, write_padded, write_u64};
use crate::venues::simulator::world::{Market, World};

/// Refused requests within a minute after which the address is banned.
const PATIENCE: u32 = 20;
const BAN_SECONDS: u64 = 120;
const PAGE_MAX: usize = 1_000;
const PAGE_DEFAULT: usize = 500;

/// Ids of aggregates lie so far from those of trades that nobody mistakes one for the other.
pub const AGGREGATE_OFFSET: u64 = 500_000;

/// Weight used in the minute that runs.
#[derive(Debug, Default)]
pub struct Meter {
    minute: u64,
    used: u32,
    refused: u32,
    banned_until: u64,
}

const SECONDS: u64 = 1_000_000_000;

impl Meter {
    /// Whether that much more is allowed; else the status and when to come back.
    fn take(&mut self, weight: u32, limit: u32, elapsed: u64) -> Result<u32, (u16, u64)> {
        let second = elapsed / SECONDS;
        if second / 60 != self.minute {
            *self = Self { minute: second / 60, banned_until: self.banned_until, ..Self::default() };
        }
        if second < self.banned_until {
            return Err((418, self.banned_until - second));
        }
        self.used = self.used.saturating_add(weight);
        if self.used <= limit {
            return Ok(self.used);
        }
        self.refused += 1;
        if self.refused > PATIENCE {
            self.banned_until = second + BAN_SECONDS;
            return Err((418, BAN_SECONDS));
        }
        Err((429, 60 - second % 60))
    }
}

pub fn too_many(status: u16, retry_after_seconds: u64) -> Response {
    let message = match status {
        418 => {
            "Way too much request weight used; IP banned. Please use WebSocket Streams for live updates to avoid bans."
        }
        _ => {
            "Too much request weight used; current limit is 6000 request weight per 1 MINUTE. Please use WebSocket Streams for live updates to avoid polling the API."
        }
    };
    error(status, -1003, message).with("Retry-After", retry_after_seconds.to_string())
}

fn error(status: u16, code: i32, message: &str) -> Response {
    Response::json(status, format!("{{\"code\":{code},\"msg\":\"{message}\"}}"))
}

type Answer = Result<Vec<u8>, Response>;

pub fn answer(meter: &mut Meter, world: &mut World, request: &Request) -> Response {
    let weight = match request.path.as_str() {
        "/api/v3/ping" | "/api/v3/time" => 1,
        "/api/v3/exchangeInfo" => 20,
        "/api/v3/trades" | "/api/v3/historicalTrades" => 25,
        "/api/v3/aggTrades" => 4,
        "/api/v3/klines" | "/api/v3/uiKlines" => 2,
        _ => return Response::html(404, "404 Not Found"),
    };
    if request.method != "GET" {
        return error(405, -1000, "Request method is not supported.");
    }
    let used = match meter.take(weight, world.config.limits.requests, world.elapsed()) {
        Ok(used) => used,
        Err((status, seconds)) => return too_many(status, seconds),
    };
    let response = match content(world, request) {
        Ok(body) => Response::json(200, body),
        Err(refused) => refused,
    };
    let used = used.to_string();
    response.with("x-mbx-used-weight", used.clone()).with("x-mbx-used-weight-1m", used)
}

fn content(world: &mut World, request: &Request) -> Answer {
    let is_micros = match request.header("x-mbx-time-unit") {
        Some(unit) if unit.eq_ignore_ascii_case("microsecond") => true,
        Some(unit) if !unit.eq_ignore_ascii_case("millisecond") => {
            return Err(error(400, -1000, "Invalid time unit."));
        }
        _ => false,
    };
    let unit = if is_micros { 1_000 } else { 1_000_000 };
    match request.path.as_str() {
        "/api/v3/ping" => Ok(b"{}".to_vec()),
        "/api/v3/time" => Ok(format!("{{\"serverTime\":{}}}", world.now().0 / unit).into_bytes()),
        "/api/v3/exchangeInfo" => exchange_info(world, request, unit),
        "/api/v3/klines" | "/api/v3/uiKlines" => klines(world, request, unit),
        "/api/v3/aggTrades" => aggregates(world, request, unit),
        path => trades(world, request, unit, path == "/api/v3/historicalTrades"),
    }
}

fn exchange_info(world: &World, request: &Request, unit: i64) -> Answer {
    let wanted: Option<Vec<String>> = match (request.parameter("symbol"), request.parameter("symbols")) {
        (Some(symbol), None) => Some(vec![symbol.to_owned()]),
        (None, Some(symbols)) => Some(serde_json::from_str(symbols).map_err(|_| {
            error(
                400,
                -1100,
                "Illegal characters found in parameter 'symbols'; legal range is '^[A-Z0-9-_.]{1,20}$'.",
            )
        })?),
        (None, None) => None,
        (Some(_), Some(_)) => {
            return Err(error(400, -1128, "Combination of optional parameters invalid."));
        }
    };
    let status = request.parameter("symbolStatus").unwrap_or("TRADING");
    let listed: Vec<&Market> = match &wanted {
        Some(symbols) => {
            let find = |symbol: &String| world.market(symbol).map(|at| &world.markets[at]);
            let found: Option<Vec<_>> = symbols.iter().map(find).collect();
            found.ok_or_else(|| error(400, -1121, "Invalid symbol."))?
        }
        None if status != "TRADING" => Vec::new(),
        None => world.markets.iter().collect(),
    };
    let mut out = format!(
        "{{\"timezone\":\"UTC\",\"serverTime\":{},\"rateLimits\":[{{\"rateLimitType\":\"REQUEST_WEIGHT\",\"interval\":\"MINUTE\",\"intervalNum\":1,\"limit\":{}}},{{\"rateLimitType\":\"RAW_REQUESTS\",\"interval\":\"MINUTE\",\"intervalNum\":5,\"limit\":300000}}],\"exchangeFilters\":[],\"symbols\":[",
        world.now().0 / unit,
        world.config.limits.requests
    );
    for (at, market) in listed.iter().enumerate() {
        if at > 0 {
            out.push(',');
        }
        let (base, quote) = market.listing.symbol.split_once('-').unwrap_or((&market.listing.symbol, ""));
        let step = |step: Option<crate::domain::decimal::Decimal>| {
            let mut text = Vec::new();
            match step {
                Some(step) => write_padded(step, 8, &mut text),
                None => text.extend_from_slice(b"0.00000001"),
            }
            String::from_utf8(text).expect("digits are ASCII")
        };
        let (tick, lot) = (step(market.listing.price_step), step(market.listing.quantity_step));
        write!(
            out,
            "{{\"symbol\":\"{}\",\"status\":\"TRADING\",\"baseAsset\":\"{base}\",\"baseAssetPrecision\":8,\"quoteAsset\":\"{quote}\",\"quotePrecision\":8,\"quoteAssetPrecision\":8,\"baseCommissionPrecision\":8,\"quoteCommissionPrecision\":8,\"orderTypes\":[\"LIMIT\",\"MARKET\"],\"icebergAllowed\":true,\"ocoAllowed\":true,\"isSpotTradingAllowed\":true,\"isMarginTradingAllowed\":false,\"filters\":[{{\"filterType\":\"PRICE_FILTER\",\"minPrice\":\"{tick}\",\"maxPrice\":\"1000000.00000000\",\"tickSize\":\"{tick}\"}},{{\"filterType\":\"LOT_SIZE\",\"minQty\":\"{lot}\",\"maxQty\":\"9000.00000000\",\"stepSize\":\"{lot}\"}},{{\"filterType\":\"NOTIONAL\",\"minNotional\":\"5.00000000\",\"applyMinToMarket\":true,\"maxNotional\":\"9000000.00000000\",\"applyMaxToMarket\":false,\"avgPriceMins\":5}}],\"permissions\":[],\"permissionSets\":[{}]}}",
            market.spelled,
            if request.parameter("showPermissionSets") == Some("false") { "" } else { "[\"SPOT\"]" },
        )
        .expect("text takes text");
    }
    out.push_str("]}");
    Ok(out.into_bytes())
}

fn market_of<'a>(world: &'a World, request: &Request) -> Result<&'a Market, Response> {
    let symbol = request.parameter("symbol").ok_or_else(|| {
        error(400, -1102, "Mandatory parameter 'symbol' was not sent, was empty/null, or malformed.")
    })?;
    let is_sound = symbol.len() <= 20
        && symbol.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b"-_.".contains(&b));
    if !is_sound {
        return Err(error(
            400,
            -1100,
            "Illegal characters found in parameter 'symbol'; legal range is '^[A-Z0-9-_.]{1,20}$'.",
        ));
    }
    world.market(symbol).map(|at| &world.markets[at]).ok_or_else(|| error(400, -1121, "Invalid symbol."))
}

fn number(request: &Request, name: &'static str) -> Result<Option<u64>, Response> {
    let Some(text) = request.parameter(name) else { return Ok(None) };
    text.parse().map(Some).map_err(|_| {
        error(
            400,
            -1100,
            &format!("Illegal characters found in parameter '{name}'; legal range is '^[0-9]{{1,20}}$'."),
        )
    })
}

/// Rows that were asked for; a fault gives less.
fn limit(world: &mut World, request: &Request) -> Result<usize, Response> {
    let asked = match number(request, "limit")? {
        None => PAGE_DEFAULT,
        Some(0) => return Err(error(400, -1130, "Data sent for parameter 'limit' is not valid.")),
        Some(asked) => usize::try_from(asked).unwrap_or(PAGE_MAX).min(PAGE_MAX),
    };
    let is_short = world.happens("short-page", world.faults.short_page);
    Ok(if is_short { world.dice("short-page").below(2) * asked / 2 } else { asked })
}

/// A time that the client wrote in the unit it chose: told by its magnitude, as the venue does.
fn moment(request: &Request, name: &'static str) -> Result<Option<UnixNanos>, Response> {
    const MICROS_FROM: u64 = 100_000_000_000_000;
    let Some(count) = number(request, name)? else { return Ok(None) };
    let unit = if count < MICROS_FROM { 1_000_000 } else { 1_000 };
    Ok(Some(UnixNanos(i64::try_from(count).unwrap_or(i64::MAX).saturating_mul(unit))))
}

fn trades(world: &mut World, request: &Request, unit: i64, by_id: bool) -> Answer {
    market_of(world, request)?;
    let limit = limit(world, request)?;
    let from = if by_id { number(request, "fromId")? } else { None };
    let until = world.rest_until();
    let rows = page(market_of(world, request)?, from, limit, until);
    let mut out = vec![b'['];
    for (id, deal) in rows {
        if out.len() > 1 {
            out.push(b',');
        }
        out.extend_from_slice(b"{\"id\":");
        write_u64(id, &mut out);
        out.extend_from_slice(b",\"price\":\"");
        write_padded(deal.price.decimal(), 8, &mut out);
        out.extend_from_slice(b"\",\"qty\":\"");
        write_padded(deal.quantity.decimal(), 8, &mut out);
        out.extend_from_slice(b"\",\"quoteQty\":\"");
        let start = out.len();
        crate::domain::decimal::QuoteVolume::of(deal.price, deal.quantity).write_to(&mut out);
        pad(start, 8, &mut out);
        out.extend_from_slice(b"\",\"time\":");
        write_u64((deal.at.0 / unit) as u64, &mut out);
        let maker: &[u8] = if deal.taker_side == Side::Sell { b"true" } else { b"false" };
        out.extend_from_slice(b",\"isBuyerMaker\":");
        out.extend_from_slice(maker);
        out.extend_from_slice(b",\"isBestMatch\":true}");
    }
    out.push(b']');
    Ok(out)
}

/// Trades from an id on, or the newest; ascending.
fn page(market: &Market, from: Option<u64>, limit: usize, until: UnixNanos) -> Vec<(u64, Deal)> {
    let is_told = |(_, deal): &(u64, &Deal)| !deal.is_missing && deal.at < until;
    let own = |(id, deal): (u64, &Deal)| (id, *deal);
    match from {
        Some(from) => market.history.from(from).filter(is_told).take(limit).map(own).collect(),
        None => {
            let mut newest: Vec<_> =
                market.history.from(0).rev().filter(is_told).take(limit).map(own).collect();
            newest.reverse();
            newest
        }
    }
}

fn aggregates(world: &mut World, request: &Request, unit: i64) -> Answer {
    market_of(world, request)?;
    let limit = limit(world, request)?;
    let until = world.rest_until();
    let market = market_of(world, request)?;
    let (start, end) = (moment(request, "startTime")?, moment(request, "endTime")?);
    let from_id = number(request, "fromId")?;
    if from_id.is_some() && (start.is_some() || end.is_some()) {
        return Err(error(400, -1128, "Combination of optional parameters invalid."));
    }
    // The end is inclusive, to the last nanosecond of its unit.
    let until = end.map_or(until, |end| until.min(UnixNanos(end.0.saturating_add(unit))));
    let from =
        from_id.map(|id| id.saturating_sub(AGGREGATE_OFFSET)).or(start.map(|at| market.history.id_at(at)));
    let mut out = vec![b'['];
    for (id, deal) in page(market, from, limit, until) {
        if out.len() > 1 {
            out.push(b',');
        }
        out.extend_from_slice(b"{\"a\":");
        write_u64(id + AGGREGATE_OFFSET, &mut out);
        out.extend_from_slice(b",\"p\":\"");
        write_padded(deal.price.decimal(), 8, &mut out);
        out.extend_from_slice(b"\",\"q\":\"");
        write_padded(deal.quantity.decimal(), 8, &mut out);
        out.extend_from_slice(b"\",\"f\":");
        write_u64(id, &mut out);
        out.extend_from_slice(b",\"l\":");
        write_u64(id, &mut out);
        out.extend_from_slice(b",\"T\":");
        write_u64((deal.at.0 / unit) as u64, &mut out);
        let maker: &[u8] = if deal.taker_side == Side::Sell { b"true" } else { b"false" };
        out.extend_from_slice(b",\"m\":");
        out.extend_from_slice(maker);
        out.extend_from_slice(b",\"M\":true}");
    }
    out.push(b']');
    Ok(out)
}

/// Seconds of an interval that has a fixed length; months have none and are refused.
fn interval_seconds(name: &str) -> Option<i64> {
    let (number, unit) = name.split_at(name.len().checked_sub(1)?);
    let unit = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        "d" => 86_400,
        "w" => 604_800,
        _ => return None,
    };
    const ALLOWED: [&str; 15] =
        ["1s", "1m", "3m", "5m", "15m", "30m", "1h", "2h", "4h", "6h", "8h", "12h", "1d", "3d", "1w"];
    ALLOWED.contains(&name).then_some(number.parse::<i64>().ok()? * unit)
}

fn klines(world: &mut World, request: &Request, unit: i64) -> Answer {
    market_of(world, request)?;
    let name = request.parameter("interval").ok_or_else(|| {
        error(400, -1102, "Mandatory parameter 'interval' was not sent, was empty/null, or malformed.")
    })?;
    let interval =
        interval_seconds(name).ok_or_else(|| error(400, -1120, "Invalid interval."))? * SECONDS as i64;
    let limit = limit(world, request)?;
    let (start, end) = (moment(request, "startTime")?, moment(request, "endTime")?);
    let span = Span {
        interval,
        from: start.unwrap_or(UnixNanos(i64::MIN)),
        to: end.map_or(UnixNanos(i64::MAX), |end| UnixNanos(end.0.saturating_add(1))),
        until: world.rest_until().min(world.now()),
        limit,
        newest: start.is_none(),
        with_empty: true,
    };
    let market = market_of(world, request)?;
    let mut out = vec![b'['];
    for bucket in market.history.buckets(span) {
        if out.len() > 1 {
            out.push(b',');
        }
        out.push(b'[');
        write_u64((bucket.open_at.0 / unit) as u64, &mut out);
        for price in [bucket.open, bucket.high, bucket.low, bucket.close] {
            out.extend_from_slice(b",\"");
            write_padded(price.decimal(), 8, &mut out);
            out.push(b'"');
        }
        out.extend_from_slice(b",\"");
        let start = out.len();
        bucket.volume.write_to(&mut out);
        pad(start, 8, &mut out);
        out.extend_from_slice(b"\",");
        write_u64(((bucket.open_at.0 + interval) / unit - 1) as u64, &mut out);
        out.extend_from_slice(b",\"");
        let start = out.len();
        bucket.quote_volume.write_to(&mut out);
        pad(start, 8, &mut out);
        out.extend_from_slice(b"\",");
        write_u64(bucket.trade_count, &mut out);
        out.extend_from_slice(b",\"");
        let start = out.len();
        bucket.taker_buy_volume.write_to(&mut out);
        pad(start, 8, &mut out);
        out.extend_from_slice(b"\",\"");
        let start = out.len();
        bucket.taker_buy_quote_volume.write_to(&mut out);
        pad(start, 8, &mut out);
        out.extend_from_slice(b"\",\"0\"]");
    }
    out.push(b']');
    Ok(out)
}
