//! What is watched, what it costs, and what was traded last.

use actix_web::{HttpRequest, HttpResponse, web};
use serde::Serialize;
use utoipa::ToSchema;

use crate::api::board::seen::Trouble;
use crate::api::query::{Query, instrument_of};
use crate::api::rest::answer::{Answer, Rows, json, json_of};
use crate::api::rest::health::venue_condition;
use crate::api::rest::schemas::{TradeRow, Trades};
use crate::api::state::Api;
use crate::domain::event::WatchStatus;
use crate::domain::instrument::Instrument;
use crate::domain::output::{Gap, GapState};
use crate::domain::shape;
use crate::domain::time::UnixNanos;
use crate::domain::told::Watch;
use crate::runtime::clock;
use crate::runtime::health::{Condition, Health};

/// One instrument that is watched.
#[derive(Debug, Serialize, ToSchema)]
pub struct InstrumentReport {
    #[schema(example = "binance:BTC-USDT")]
    instrument: String,
    #[schema(example = "binance")]
    venue: String,
    #[schema(example = "BTC-USDT")]
    symbol: String,
    /// `live`; `waiting` for a first trade; `stale` where it is silent for longer than its rhythm explains; `down` where its
    /// venue is not connected; `unlisted` where the venue does not list it.
    #[schema(example = "live")]
    state: &'static str,
    /// Why, where it is not live; else empty.
    reason: String,
    #[schema(value_type = Option<TradeRow>)]
    last_trade: Option<Box<serde_json::value::RawValue>>,
    /// Exact decimal text.
    last_price: Option<String>,
    /// The venue's clock.
    last_trade_at: Option<String>,
    /// Seconds since the last trade was heard.
    staleness_seconds: Option<f64>,
    /// Gaps that are open or unfillable.
    gaps_open: usize,
    /// The last of them.
    gap: Option<GapReport>,
    /// Accepted trades since the process started.
    trades: u64,
}

/// A hole in what is known.
#[derive(Debug, Serialize, ToSchema)]
pub struct GapReport {
    id: String,
    /// `ids`, `time` or `reset`.
    kind: &'static str,
    /// `open`, `filled` or `unfillable`.
    state: &'static str,
    from: String,
    to: String,
}

/// The price of the last trade.
#[derive(Debug, Serialize, ToSchema)]
pub struct Price {
    #[schema(example = "binance:BTC-USDT")]
    instrument: String,
    /// Exact decimal text; `null` before the first trade.
    #[schema(example = "60000.1")]
    price: Option<String>,
    /// The venue's clock.
    exchange_at: Option<String>,
}

/// All instruments that are watched.
#[utoipa::path(get, path = "/api/v1/instruments", tag = "market", responses(
    (status = 200, description = "In order of name", body = Vec<InstrumentReport>)
))]
pub async fn instruments(request: HttpRequest, api: web::Data<Api>) -> Answer {
    Query::parse(request.query_string(), &[])?;
    let now = clock::now();
    let all: Vec<_> = api.board.roster().iter().map(|(watch, _)| report(&api, watch, now)).collect();
    Ok(json_of(&all))
}

/// The last price of one instrument.
#[utoipa::path(get, path = "/api/v1/price/{instrument}", tag = "market",
    params(("instrument" = String, Path, description = "venue:BASE-QUOTE", example = "binance:BTC-USDT")),
    responses((status = 200, description = "Its last trade's", body = Price))
)]
pub async fn price(request: HttpRequest, api: web::Data<Api>) -> Answer {
    Query::parse(request.query_string(), &[])?;
    let watch = instrument_of(&request, api.board.roster())?;
    Ok(json_of(&price_of(&api, watch)))
}

/// The last price of every instrument.
#[utoipa::path(get, path = "/data/latest", tag = "short forms", responses(
    (status = 200, description = "In order of name", body = Vec<Price>)
))]
pub async fn latest(request: HttpRequest, api: web::Data<Api>) -> Answer {
    Query::parse(request.query_string(), &[])?;
    let all: Vec<_> = api.board.roster().iter().map(|(watch, _)| price_of(&api, watch)).collect();
    Ok(json_of(&all))
}

/// The last trades of one instrument, newest last.
#[utoipa::path(get, path = "/api/v1/trades/{instrument}", tag = "market",
    params(
        ("instrument" = String, Path, description = "venue:BASE-QUOTE", example = "binance:BTC-USDT"),
        ("limit" = Option<u16>, Query, description = "1 to 1000, default 500", minimum = 1, maximum = 1000),
    ),
    responses((status = 200, description = "Those still in memory", body = Trades))
)]
pub async fn trades(request: HttpRequest, api: web::Data<Api>) -> Answer {
    let query = Query::parse(request.query_string(), &["limit"])?;
    let limit = query.limit()?;
    let watch = instrument_of(&request, api.board.roster())?;
    Ok(trades_of(&api, watch, limit))
}

fn trades_of(api: &Api, watch: Watch, limit: usize) -> HttpResponse {
    let label = api.board.label(watch);
    // Copied, so that nobody waits for the writing.
    let trades: Vec<_> = api.board.seen(watch).trades(limit).cloned().collect();
    let mut rows = Rows::new("trades");
    for trade in &trades {
        rows.row(|out| shape::trade(label, trade, out));
    }
    json(rows.end())
}

fn price_of(api: &Api, watch: Watch) -> Price {
    let instrument = api.board.roster().instrument(watch).to_string();
    let seen = api.board.seen(watch);
    let last = seen.last_price();
    Price {
        instrument,
        price: last.map(|(price, _)| price.decimal().to_string()),
        exchange_at: last.map(|(_, at)| at.to_string()),
    }
}

/// What is known of one instrument.
pub fn report(api: &Api, watch: Watch, now: UnixNanos) -> InstrumentReport {
    let instrument = api.board.roster().instrument(watch);
    let seen = api.board.seen(watch);
    let (last, last_price) = (seen.last_trade().cloned(), seen.last_price());
    let unfilled = |gap: &&Gap| gap.state != GapState::Filled;
    let gaps_open = seen.gaps().filter(unfilled).count();
    let gap = seen.gaps().filter(unfilled).last().map(GapReport::of);
    let (trades, trouble) = (seen.counts().trades, seen.trouble().cloned());
    drop(seen);
    let (state, reason) = state_of(&api.health, instrument, last_price.is_some(), trouble);
    let row = last.as_ref().and_then(|trade| {
        let mut out = b"{".to_vec();
        shape::trade(api.board.label(watch), trade, &mut out);
        out.push(b'}');
        serde_json::value::RawValue::from_string(String::from_utf8(out).ok()?).ok()
    });
    let staleness = |at: UnixNanos| now.0.saturating_sub(at.0).max(0) as f64 / 1e9;
    InstrumentReport {
        instrument: instrument.to_string(),
        venue: instrument.venue().to_string(),
        symbol: instrument.symbol().to_owned(),
        state,
        reason,
        last_trade: row,
        last_price: last_price.map(|(price, _)| price.decimal().to_string()),
        last_trade_at: last_price.map(|(_, at)| at.to_string()),
        staleness_seconds: last
            .as_ref()
            .and_then(|trade| Some(trade.received_at?.at()))
            .or(last_price.map(|(_, at)| at))
            .map(staleness),
        gaps_open,
        gap,
        trades,
    }
}

fn state_of(
    health: &Health,
    instrument: &Instrument,
    has_traded: bool,
    trouble: Option<Trouble>,
) -> (&'static str, String) {
    let venue = instrument.venue().name();
    if health.condition(&format!("listing:{instrument}")) == Some(Condition::Degraded) {
        return (WatchStatus::Unlisted.name(), format!("{venue} does not list it"));
    }
    if let Some(Trouble { status, reason, .. }) = trouble {
        return (status.name(), reason);
    }
    match venue_condition(health, venue) {
        Some(Condition::Down) => ("down", format!("{venue} is not connected")),
        _ if !has_traded => ("waiting", "no trade was heard yet".to_owned()),
        _ => ("live", String::new()),
    }
}

impl GapReport {
    fn of(gap: &Gap) -> Self {
        Self {
            id: gap.id.to_string(),
            kind: gap.kind.name(),
            state: gap.state.name(),
            from: gap.from.to_string(),
            to: gap.to.to_string(),
        }
    }
}
