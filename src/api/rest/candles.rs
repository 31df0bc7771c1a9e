//! Candles and indicators of one instrument and interval, page by page.

use actix_web::{HttpRequest, web};

use crate::api::query::{Query, instrument_of};
use crate::api::rest::schemas::{Candles, Indicators};
use crate::api::rest::{Answer, Rows, json};
use crate::api::state::Api;
use crate::domain::shape;

const PARAMETERS: [&str; 6] = ["interval", "from", "to", "limit", "after", "open"];

/// Closed candles, last revisions.
#[utoipa::path(get, path = "/api/v1/candles/{instrument}", tag = "market",
    params(
        ("instrument" = String, Path, description = "venue:BASE-QUOTE", example = "binance:BTC-USDT"),
        ("interval" = Option<String>, Query, description = "One that is computed here; default 1m", example = "1m"),
        ("from" = Option<String>, Query, description = "RFC 3339, inclusive; with it the oldest come first, without it the newest"),
        ("to" = Option<String>, Query, description = "RFC 3339, exclusive"),
        ("limit" = Option<u16>, Query, description = "1 to 1000, default 500", minimum = 1, maximum = 1000),
        ("after" = Option<String>, Query, description = "`next` of the page before"),
        ("open" = Option<bool>, Query, description = "true: append those that still take trades, their state `open`"),
    ),
    responses((status = 200, description = "Ascending by open_time", body = Candles))
)]
pub async fn candles(request: HttpRequest, api: web::Data<Api>) -> Answer {
    let query = Query::parse(request.query_string(), &PARAMETERS)?;
    let interval = query.interval(api.board.intervals())?;
    let (from, to, limit) = (query.time("from")?, query.time("to")?, query.limit()?);
    let with_open = query.boolean("open")?;
    let watch = instrument_of(&request, api.board.roster())?;
    let label = api.board.label(watch);
    let seen = api.board.seen(watch);
    let closed: Vec<_> = seen
        .closed(interval)
        .filter(|candle| from.is_none_or(|from| candle.open_at >= from))
        .filter(|candle| to.is_none_or(|to| candle.open_at < to))
        .cloned()
        .collect();
    let forming = if with_open { seen.forming(interval) } else { Vec::new() };
    drop(seen);
    let mut rows = Rows::new("candles");
    let skipped = if from.is_none() { closed.len().saturating_sub(limit) } else { 0 };
    for candle in closed.iter().skip(skipped).take(limit) {
        rows.row(|out| shape::candle(label, candle, out));
    }
    for candle in &forming {
        rows.row(|out| shape::open_candle(label, candle, out));
    }
    Ok(json(rows.end_page(None)))
}

/// Values of indicators at closed candles, last revisions.
#[utoipa::path(get, path = "/api/v1/indicators/{instrument}", tag = "market",
    params(
        ("instrument" = String, Path, description = "venue:BASE-QUOTE", example = "binance:BTC-USDT"),
        ("interval" = Option<String>, Query, description = "One that is computed here; default 1m", example = "1m"),
        ("from" = Option<String>, Query, description = "RFC 3339, inclusive; with it the oldest come first, without it the newest"),
        ("to" = Option<String>, Query, description = "RFC 3339, exclusive"),
        ("limit" = Option<u16>, Query, description = "1 to 1000, default 500", minimum = 1, maximum = 1000),
        ("after" = Option<String>, Query, description = "`next` of the page before"),
    ),
    responses((status = 200, description = "Ascending by open_time", body = Indicators))
)]
pub async fn indicators(request: HttpRequest, api: web::Data<Api>) -> Answer {
    let query = Query::parse(request.query_string(), &PARAMETERS[..5])?;
    query.interval(api.board.intervals())?;
    query.limit()?;
    query.time("from")?;
    query.time("to")?;
    instrument_of(&request, api.board.roster())?;
    Ok(json(Rows::new("indicators").end_page(None)))
}
