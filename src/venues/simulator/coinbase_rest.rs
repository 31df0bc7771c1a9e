//! Coinbase, from the other side: the public REST interfaces of Advanced Trade and of the Exchange.
//!
//! Sources: Coinbase documentation, "Get product trades", "Get product candles", "Get all known trading pairs"
//! (Exchange), "Get Market Trades", "Get Public Product Candles" (Advanced Trade), and the rate limits of both.

use std::fmt::Write;

use crate::domain::time::UnixNanos;
use crate::venues::simulator::coinbase_deal::{maker_side, write_time};
use crate::venues::simulator::history::{Deal, Span};
use crate::venues::simulator::http::{Request, Response};
use crate::venues::simulator::world::{Market, World};

const SECONDS: i64 = 1_000_000_000;
const TRADES_MAX: usize = 1_000;
const EXCHANGE_CANDLES_MAX: usize = 300;
const ADVANCED_CANDLES_MAX: usize = 350;

/// Requests that may come at once, refilled every second.
#[derive(Debug, Default)]
pub struct Meter {
    /// Thousandths of a request that were used and not refilled.
    used: u64,
    at: u64,
}

impl Meter {
    fn take(&mut self, limit: u32, burst: u32, elapsed: u64) -> bool {
        if limit == u32::MAX {
            return true;
        }
        let refilled = (elapsed - self.at) / 1_000_000 * u64::from(limit);
        if refilled > 0 {
            self.used = self.used.saturating_sub(refilled);
            self.at = elapsed;
        }
        let fits = self.used + 1_000 <= u64::from(burst) * 1_000;
        if fits {
            self.used += 1_000;
        }
        fits
    }
}

pub fn too_many(advanced: bool) -> Response {
    let body = match advanced {
        true => r#"{"errors":[{"id":"rate_limit_exceeded","message":"Too many requests"}]}"#,
        false => r#"{"message":"Public rate limit exceeded"}"#,
    };
    Response::json(429, body)
}

type Answer = Result<Response, Response>;

pub fn answer(meter: &mut Meter, world: &mut World, request: &Request) -> Response {
    let advanced = request.path.strip_prefix("/api/v3/brokerage");
    let limits = world.config.limits;
    if !meter.take(limits.requests, limits.burst, world.elapsed()) {
        world.count("requests_refused");
        return too_many(advanced.is_some()).with("Retry-After", "1");
    }
    if request.method != "GET" {
        return message(405, "Method not allowed");
    }
    let result = match advanced {
        Some(path) => {
            let path: Vec<&str> = path.split('/').skip(1).collect();
            self::advanced(world, request, &path)
        }
        None => {
            let path: Vec<&str> = request.path.split('/').skip(1).collect();
            exchange(world, request, &path)
        }
    };
    result.unwrap_or_else(|refused| refused)
}

fn message(status: u16, text: &str) -> Response {
    Response::json(status, serde_json::json!({ "message": text }).to_string())
}

fn market_of<'a>(world: &'a World, product: &str) -> Result<&'a Market, Response> {
    world.market(product).map(|at| &world.markets[at]).ok_or_else(|| message(404, "NotFound"))
}

fn number(request: &Request, name: &str) -> Result<Option<u64>, Response> {
    let parse = |text: &str| text.parse().map_err(|_| message(400, &format!("Invalid {name}")));
    request.parameter(name).map(parse).transpose()
}

/// A time as seconds or as text.
fn moment(request: &Request, name: &str) -> Result<Option<UnixNanos>, Response> {
    let Some(text) = request.parameter(name) else { return Ok(None) };
    let at = match text.parse::<i64>() {
        Ok(seconds) => seconds.checked_mul(SECONDS).map(UnixNanos),
        Err(_) => UnixNanos::parse_iso(text.as_bytes()).ok(),
    };
    at.map(Some).ok_or_else(|| message(400, &format!("Invalid {name}")))
}

fn shortened(world: &mut World, limit: usize) -> usize {
    let is_short = world.happens("short-page", world.faults.short_page);
    if is_short { world.dice("short-page").below(2) * limit / 2 } else { limit }
}

fn exchange(world: &mut World, request: &Request, path: &[&str]) -> Answer {
    match path {
        ["time"] => {
            let now = world.now();
            let epoch = now.0 as f64 / 1e9;
            Ok(Response::json(200, format!("{{\"iso\":\"{now}\",\"epoch\":{epoch:.3}}}")))
        }
        ["products"] => {
            let all: Vec<String> = world.markets.iter().map(exchange_product).collect();
            Ok(Response::json(200, format!("[{}]", all.join(","))))
        }
        ["products", product] => Ok(Response::json(200, exchange_product(market_of(world, product)?))),
        ["products", product, "trades"] => exchange_trades(world, request, product),
        ["products", product, "candles"] => exchange_candles(world, request, product),
        _ => Err(message(404, "Route not found")),
    }
}

fn exchange_product(market: &Market) -> String {
    let (base, quote) = market.listing.symbol.split_once('-').unwrap_or((&market.listing.symbol, ""));
    let step = |step: Option<_>| {
        step.map_or_else(|| "0.00000001".to_owned(), |step: crate::domain::decimal::Decimal| step.to_string())
    };
    serde_json::json!({
        "id": market.spelled, "base_currency": base, "quote_currency": quote,
        "quote_increment": step(market.listing.price_step), "base_increment": step(market.listing.quantity_step),
        "display_name": format!("{base}/{quote}"), "min_market_funds": "1", "margin_enabled": false,
        "post_only": false, "limit_only": false, "cancel_only": false, "status": "online", "status_message": "",
        "trading_disabled": false, "fx_stablecoin": false, "auction_mode": false, "high_bid_limit_percentage": "",
    })
    .to_string()
}

fn is_told(until: UnixNanos) -> impl Fn(&(u64, &Deal)) -> bool {
    move |(_, deal)| !deal.is_missing && deal.at < until
}

/// Pages of trades, the newest first: `after` gives older ones, `before` newer ones.
fn exchange_trades(world: &mut World, request: &Request, product: &str) -> Answer {
    market_of(world, product)?;
    let asked = match number(request, "limit")? {
        Some(limit @ 1..=1_000) => limit as usize,
        None => TRADES_MAX,
        Some(_) => return Err(message(400, "limit must be between 1 and 1000")),
    };
    let limit = shortened(world, asked);
    let until = world.rest_until();
    let (after, before) = (number(request, "after")?, number(request, "before")?);
    let history = &market_of(world, product)?.history;
    let rows: Vec<(u64, Deal)> = history
        .from(before.map_or(0, |id| id + 1))
        .rev()
        .skip_while(|(id, _)| after.is_some_and(|after| *id >= after))
        .filter(is_told(until))
        .take(limit)
        .map(|(id, deal)| (id, *deal))
        .collect();
    let mut out = b"[".to_vec();
    for (at, (id, deal)) in rows.iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        out.extend_from_slice(
            format!("{{\"trade_id\":{id},\"side\":\"{}\",\"size\":\"", maker_side(deal).name()).as_bytes(),
        );
        crate::venues::simulator::json::write_padded(deal.quantity.decimal(), 8, &mut out);
        out.extend_from_slice(b"\",\"price\":\"");
        crate::venues::simulator::json::write_padded(deal.price.decimal(), 8, &mut out);
        out.extend_from_slice(b"\",\"time\":\"");
        write_time(deal.at, &mut out);
        out.extend_from_slice(b"\"}");
    }
    out.push(b']');
    let mut response = Response::json(200, out);
    if let (Some((newest, _)), Some((oldest, _))) = (rows.first(), rows.last()) {
        response = response.with("CB-BEFORE", newest.to_string()).with("CB-AFTER", oldest.to_string());
    }
    Ok(response)
}

fn exchange_candles(world: &mut World, request: &Request, product: &str) -> Answer {
    market_of(world, product)?;
    let granularity = match number(request, "granularity")? {
        None => 60,
        Some(seconds @ (60 | 300 | 900 | 3_600 | 21_600 | 86_400)) => seconds as i64,
        Some(_) => return Err(message(400, "Unsupported granularity")),
    };
    let (start, end) = (moment(request, "start")?, moment(request, "end")?);
    if let (Some(start), Some(end)) = (start, end)
        && (end.0.saturating_sub(start.0)) / (granularity * SECONDS) > EXCHANGE_CANDLES_MAX as i64
    {
        return Err(message(
            400,
            "granularity too small for the requested time range. Count of aggregations requested exceeds 300",
        ));
    }
    let buckets = market_of(world, product)?.history.buckets(span(
        world,
        granularity,
        start,
        end,
        EXCHANGE_CANDLES_MAX,
    ));
    let mut out = "[".to_owned();
    for (at, bucket) in buckets.iter().rev().enumerate() {
        let comma = if at > 0 { "," } else { "" };
        write!(
            out,
            "{comma}[{},{},{},{},{},{}]",
            bucket.open_at.0 / SECONDS,
            bucket.low.decimal(),
            bucket.high.decimal(),
            bucket.open.decimal(),
            bucket.close.decimal(),
            bucket.volume
        )
        .expect("text takes text");
    }
    out.push(']');
    Ok(Response::json(200, out))
}

fn span(
    world: &World,
    granularity: i64,
    start: Option<UnixNanos>,
    end: Option<UnixNanos>,
    limit: usize,
) -> Span {
    Span {
        interval: granularity * SECONDS,
        from: start.unwrap_or(UnixNanos(i64::MIN)),
        to: end.map_or(UnixNanos(i64::MAX), |end| UnixNanos(end.0.saturating_add(1))),
        until: world.rest_until().min(world.now()),
        limit,
        newest: true,
        with_empty: false,
    }
}

fn advanced(world: &mut World, request: &Request, path: &[&str]) -> Answer {
    match path {
        ["time"] => {
            let now = world.now();
            let body = format!(
                "{{\"iso\":\"{now}\",\"epochSeconds\":\"{}\",\"epochMillis\":\"{}\"}}",
                now.0 / SECONDS,
                now.0 / 1_000_000
            );
            Ok(Response::json(200, body))
        }
        ["market", "products"] => {
            let all: Vec<String> = world.markets.iter().map(advanced_product).collect();
            Ok(Response::json(
                200,
                format!("{{\"products\":[{}],\"num_products\":{}}}", all.join(","), all.len()),
            ))
        }
        ["market", "products", product] => {
            Ok(Response::json(200, advanced_product(market_of(world, product)?)))
        }
        ["market", "products", product, "ticker"] => advanced_trades(world, request, product),
        ["market", "products", product, "candles"] => advanced_candles(world, request, product),
        _ => Err(message(404, "Not Found")),
    }
}

fn advanced_product(market: &Market) -> String {
    let (base, quote) = market.listing.symbol.split_once('-').unwrap_or((&market.listing.symbol, ""));
    let step = |step: Option<crate::domain::decimal::Decimal>| {
        step.map_or_else(|| "0.00000001".to_owned(), |step| step.to_string())
    };
    let last = market
        .history
        .from(0)
        .next_back()
        .map_or_else(|| "0".to_owned(), |(_, deal)| deal.price.decimal().to_string());
    serde_json::json!({
        "product_id": market.spelled, "price": last, "base_increment": step(market.listing.quantity_step),
        "quote_increment": step(market.listing.price_step), "price_increment": step(market.listing.price_step),
        "quote_min_size": "1", "base_min_size": "0.00000001", "base_name": base, "quote_name": quote,
        "base_currency_id": base, "quote_currency_id": quote, "base_display_symbol": base,
        "quote_display_symbol": quote, "status": "online", "product_type": "SPOT", "product_venue": "CBE",
        "is_disabled": false, "new": false, "cancel_only": false, "limit_only": false, "post_only": false,
        "trading_disabled": false, "auction_mode": false, "view_only": false, "alias": "", "alias_to": [],
    })
    .to_string()
}

fn advanced_trades(world: &mut World, request: &Request, product: &str) -> Answer {
    market_of(world, product)?;
    let asked = match number(request, "limit")? {
        Some(limit @ 1..) => usize::try_from(limit).unwrap_or(TRADES_MAX).min(TRADES_MAX),
        Some(0) => return Err(message(400, "limit must be above 0")),
        None => 100,
    };
    let limit = shortened(world, asked);
    let until = world.rest_until();
    let (start, end) = (moment(request, "start")?, moment(request, "end")?);
    let market = market_of(world, product)?;
    let from = start.map_or(0, |start| market.history.id_at(start));
    // The end is inclusive, to the second.
    let until = end.map_or(until, |end| until.min(UnixNanos(end.0.saturating_add(SECONDS))));
    let mut out = "{\"trades\":[".to_owned();
    for (at, (id, deal)) in market.history.from(from).rev().filter(is_told(until)).take(limit).enumerate() {
        let comma = if at > 0 { "," } else { "" };
        let side = maker_side(deal).name().to_uppercase();
        write!(
            out,
            "{comma}{{\"trade_id\":\"{id}\",\"product_id\":\"{}\",\"price\":\"{}\",\"size\":\"{}\",\"time\":\"{}\",\"side\":\"{side}\",\"exchange\":\"coinbase\"}}",
            market.spelled,
            deal.price.decimal(),
            deal.quantity.decimal(),
            deal.at
        )
        .expect("text takes text");
    }
    out.push_str("],\"best_bid\":\"\",\"best_ask\":\"\"}");
    Ok(Response::json(200, out))
}

fn advanced_candles(world: &mut World, request: &Request, product: &str) -> Answer {
    market_of(world, product)?;
    let granularity = match request.parameter("granularity") {
        Some("ONE_MINUTE") => 60,
        Some("FIVE_MINUTE") => 300,
        Some("FIFTEEN_MINUTE") => 900,
        Some("THIRTY_MINUTE") => 1_800,
        Some("ONE_HOUR") => 3_600,
        Some("TWO_HOUR") => 7_200,
        Some("FOUR_HOUR") => 14_400,
        Some("SIX_HOUR") => 21_600,
        Some("ONE_DAY") => 86_400,
        _ => return Err(message(400, "granularity is invalid")),
    };
    let (Some(start), Some(end)) = (moment(request, "start")?, moment(request, "end")?) else {
        return Err(message(400, "start and end are required"));
    };
    if end.0.saturating_sub(start.0) / (granularity * SECONDS) > ADVANCED_CANDLES_MAX as i64 {
        return Err(message(400, "number of candles requested should be less than 350"));
    }
    let limit = number(request, "limit")?
        .map_or(ADVANCED_CANDLES_MAX, |limit| (limit as usize).min(ADVANCED_CANDLES_MAX));
    let buckets =
        market_of(world, product)?.history.buckets(span(world, granularity, Some(start), Some(end), limit));
    let mut out = "{\"candles\":[".to_owned();
    for (at, bucket) in buckets.iter().rev().enumerate() {
        let comma = if at > 0 { "," } else { "" };
        write!(
            out,
            "{comma}{{\"start\":\"{}\",\"low\":\"{}\",\"high\":\"{}\",\"open\":\"{}\",\"close\":\"{}\",\"volume\":\"{}\"}}",
            bucket.open_at.0 / SECONDS,
            bucket.low.decimal(),
            bucket.high.decimal(),
            bucket.open.decimal(),
            bucket.close.decimal(),
            bucket.volume
        )
        .expect("text takes text");
    }
    out.push_str("]}");
    Ok(Response::json(200, out))
}
