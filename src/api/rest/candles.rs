//! Candles and indicators of one instrument and interval, page by page.

use actix_web::{HttpRequest, web};

use crate::api::problem::Problem;
use crate::api::query::{Query, instrument_of};
use crate::api::rest::answer::{Answer, Rows, aside, cut, refuse_after};
use crate::api::rest::schemas::{Candles, Indicators};
use crate::api::state::Api;
use crate::domain::candle::{Candle, Origin};
use crate::domain::interval::Interval;
use crate::domain::shape;
use crate::domain::told::Watch;
use crate::storage::history::{Page, SeriesQuery, Span};

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
    let with_open = query.boolean("open")?;
    query.span()?;
    let watch = instrument_of(&request, api.board.roster())?;
    let api = api.into_inner();
    aside(move || {
        let span = query.span()?;
        let label = api.board.label(watch);
        // Those that form are copied first: one that closes meanwhile is told twice rather than not at all.
        let forming = if with_open { api.board.seen(watch).forming(interval) } else { Vec::new() };
        let page = match &api.history {
            Some(history) => {
                let instrument = api.board.roster().instrument(watch);
                let query = SeriesQuery { instrument, interval, span };
                history.candles(&query, Origin::Trades).map_err(|error| Problem::of_storage(&error))?
            }
            None => from_board(&api, watch, interval, &span)?,
        };
        let mut rows = Rows::new("candles");
        for candle in &page.rows {
            rows.row(|out| shape::candle(label, candle, out));
        }
        let closed_until = page.rows.last().map(|candle| candle.open_at);
        // Those that form come behind the last page, and only those that were asked for.
        let wanted = forming.iter().filter(|candle| {
            page.next.is_none()
                && closed_until.is_none_or(|closed| candle.open_at > closed)
                && span.from.is_none_or(|from| candle.open_at >= from)
                && span.to.is_none_or(|to| candle.open_at < to)
        });
        for candle in wanted {
            rows.row(|out| shape::open_candle(label, candle, out));
        }
        Ok(rows.end_page(page.next.as_deref()))
    })
    .await
}

/// The last closed candles, where no store is kept.
fn from_board(api: &Api, watch: Watch, interval: Interval, span: &Span<'_>) -> Result<Page<Candle>, Problem> {
    refuse_after(span)?;
    let seen = api.board.seen(watch);
    let wanted = seen
        .closed(interval)
        .filter(|candle| span.from.is_none_or(|from| candle.open_at >= from))
        .filter(|candle| span.to.is_none_or(|to| candle.open_at < to));
    Ok(Page { rows: cut(wanted.cloned().collect(), span), next: None })
}

/// Values of indicators at closed candles, last revisions.
#[utoipa::path(get, path = "/api/v1/indicators/{instrument}", tag = "market",
    params(
        ("instrument" = String, Path, description = "venue:BASE-QUOTE", example = "binance:BTC-USDT"),
        ("interval" = Option<String>, Query, description = "One that is computed here; default 1m", example = "1m"),
        ("indicator" = Option<String>, Query, description = "With its parameters; default all", example = "ema(20)"),
        ("from" = Option<String>, Query, description = "RFC 3339, inclusive; with it the oldest come first, without it the newest"),
        ("to" = Option<String>, Query, description = "RFC 3339, exclusive"),
        ("limit" = Option<u16>, Query, description = "1 to 1000, default 500", minimum = 1, maximum = 1000),
        ("after" = Option<String>, Query, description = "`next` of the page before"),
    ),
    responses((status = 200, description = "Ascending by open_time", body = Indicators))
)]
pub async fn indicators(request: HttpRequest, api: web::Data<Api>) -> Answer {
    let names = ["interval", "indicator", "from", "to", "limit", "after"];
    let query = Query::parse(request.query_string(), &names)?;
    let interval = query.interval(api.board.intervals())?;
    query.span()?;
    let watch = instrument_of(&request, api.board.roster())?;
    let api = api.into_inner();
    aside(move || {
        let Some(history) = &api.history else {
            return Err(Problem::unavailable(
                "indicators are read from the embedded store, which is disabled",
            ));
        };
        let instrument = api.board.roster().instrument(watch);
        let indicator = query.text("indicator");
        let query = SeriesQuery { instrument, interval, span: query.span()? };
        let page = history.indicators(&query, indicator).map_err(|error| Problem::of_storage(&error))?;
        let mut rows = Rows::new("indicators");
        for value in &page.rows {
            rows.row(|out| shape::indicator_row(api.board.label(watch), value.row(), out));
        }
        Ok(rows.end_page(page.next.as_deref()))
    })
    .await
}
