//! Gaps, anomalies, forecasts, signals.

use actix_web::{HttpRequest, web};

use crate::api::board::Found;
use crate::api::problem::Problem;
use crate::api::query::{LIMIT_MAX, Query, instrument_of};
use crate::api::rest::answer::{Answer, Rows, aside, cut, json, refuse_after};
use crate::api::rest::schemas::{Anomalies, Forecasts, Gaps, Prediction, Signals};
use crate::api::state::Api;
use crate::domain::insight::{Forecast, Role, Severity, SignalKind, Target};
use crate::domain::instrument::Instrument;
use crate::domain::output::{Gap, GapKind, GapState};
use crate::domain::shape;
use crate::domain::time::UnixNanos;
use crate::domain::told::Watch;
use crate::storage::error::StorageError;
use crate::storage::history::listing::InsightText;
use crate::storage::history::{ListingQuery, Page, Span};

/// Steps that may be asked for.
const STEPS_MAX: usize = 100;
const GAP_KINDS: [GapKind; 3] = [GapKind::Ids, GapKind::Time, GapKind::Reset];
const GAP_STATES: [GapState; 3] = [GapState::Open, GapState::Filled, GapState::Unfillable];

/// Whether a row of the board is in the part that was asked for.
fn holds(span: &Span<'_>, wanted: Option<Watch>, watch: Watch, at: UnixNanos) -> bool {
    wanted.is_none_or(|wanted| wanted == watch)
        && span.from.is_none_or(|from| at >= from)
        && span.to.is_none_or(|to| at < to)
}

/// A page of what the store has kept as text.
fn page_of(name: &str, page: Result<Page<InsightText>, StorageError>) -> Result<Vec<u8>, Problem> {
    let page = page.map_err(|error| Problem::of_storage(&error))?;
    let mut rows = Rows::new(name);
    for insight in &page.rows {
        rows.row(|out| out.extend_from_slice(insight.fields.as_bytes()));
    }
    Ok(rows.end_page(page.next.as_deref()))
}

/// Missing trades.
#[utoipa::path(get, path = "/api/v1/gaps", tag = "insights",
    params(
        ("instrument" = Option<String>, Query, description = "venue:BASE-QUOTE"),
        ("kind" = Option<String>, Query, description = "ids, time or reset"),
        ("state" = Option<String>, Query, description = "open, filled or unfillable"),
        ("from" = Option<String>, Query, description = "RFC 3339, inclusive: began"),
        ("to" = Option<String>, Query, description = "RFC 3339, exclusive: began"),
        ("limit" = Option<u16>, Query, description = "1 to 1000, default 500", minimum = 1, maximum = 1000),
        ("after" = Option<String>, Query, description = "`next` of the page before"),
    ),
    responses((status = 200, description = "Ascending by when they began", body = Gaps))
)]
pub async fn gaps(request: HttpRequest, api: web::Data<Api>) -> Answer {
    let names = ["instrument", "kind", "state", "from", "to", "limit", "after"];
    let query = Query::parse(request.query_string(), &names)?;
    let wanted = query.instrument(api.board.roster())?;
    let kind = query.word("kind", &GAP_KINDS, |kind| kind.name())?;
    let state = query.word("state", &GAP_STATES, |state| state.name())?;
    query.span()?;
    let api = api.into_inner();
    aside(move || {
        let mut span = query.span()?;
        let limit = span.limit;
        let (mut found, next): (Vec<(Watch, Gap)>, Option<String>) = match &api.history {
            Some(history) => {
                // States are told apart here: a page may hold fewer than were asked for, and the next goes on.
                if state.is_some() && span.from.is_none() && span.after.is_none() {
                    span.limit = LIMIT_MAX;
                }
                let instrument = wanted.map(|watch| api.board.roster().instrument(watch));
                let kind = kind.map(GapKind::name);
                let query = ListingQuery { instrument, kind, severity: None, interval: None, span };
                let page = history.gaps(&query).map_err(|error| Problem::of_storage(&error))?;
                let watch = |instrument: &Instrument| api.board.roster().find(instrument);
                let rows = page.rows.into_iter().filter_map(|(name, gap)| Some((watch(&name)?, gap)));
                (rows.collect(), page.next)
            }
            None => {
                refuse_after(&span)?;
                let mut found = Vec::new();
                for (watch, _) in api.board.roster().iter() {
                    let seen = api.board.seen(watch);
                    let wanted = seen.gaps().filter(|gap| {
                        holds(&span, wanted, watch, gap.from) && kind.is_none_or(|kind| kind == gap.kind)
                    });
                    found.extend(wanted.map(|gap| (watch, gap.clone())));
                }
                found.sort_by_key(|(watch, gap)| (gap.from, *watch, gap.id));
                (found, None)
            }
        };
        found.retain(|(_, gap)| state.is_none_or(|state| state == gap.state));
        span.limit = limit;
        let found = if next.is_none() { cut(found, &span) } else { found };
        let mut rows = Rows::new("gaps");
        for (watch, gap) in &found {
            rows.row(|out| shape::gap(api.board.label(*watch), gap, out));
        }
        Ok(rows.end_page(next.as_deref()))
    })
    .await
}

/// What seldom happens.
#[utoipa::path(get, path = "/api/v1/anomalies", tag = "insights",
    params(
        ("instrument" = Option<String>, Query, description = "venue:BASE-QUOTE"),
        ("kind" = Option<String>, Query, description = "The detector's feature: `channel` of an anomaly"),
        ("severity" = Option<String>, Query, description = "info, warning or critical; anomalies carry none, so any leaves nothing: signals have it"),
        ("from" = Option<String>, Query, description = "RFC 3339, inclusive"),
        ("to" = Option<String>, Query, description = "RFC 3339, exclusive"),
        ("limit" = Option<u16>, Query, description = "1 to 1000, default 500", minimum = 1, maximum = 1000),
        ("after" = Option<String>, Query, description = "`next` of the page before"),
    ),
    responses((status = 200, description = "Ascending by exchange_at", body = Anomalies))
)]
pub async fn anomalies(request: HttpRequest, api: web::Data<Api>) -> Answer {
    let names = ["instrument", "kind", "severity", "from", "to", "limit", "after"];
    let query = Query::parse(request.query_string(), &names)?;
    let wanted = query.instrument(api.board.roster())?;
    let severity = query.word("severity", &Severity::ALL, Severity::name)?;
    query.span()?;
    let api = api.into_inner();
    aside(move || {
        let (span, kind) = (query.span()?, query.text("kind"));
        if let Some(history) = &api.history {
            let instrument = wanted.map(|watch| api.board.roster().instrument(watch));
            let severity = severity.map(Severity::name);
            let query = ListingQuery { instrument, kind, severity, interval: None, span };
            return page_of("anomalies", history.anomalies(&query));
        }
        refuse_after(&span)?;
        let mut found = api.board.anomalies();
        found.retain(|found| {
            holds(&span, wanted, found.watch, found.insight.exchange_at)
                && severity.is_none()
                && kind.is_none_or(|kind| kind == found.insight.channel)
        });
        let mut rows = Rows::new("anomalies");
        for Found { watch, cause_seq, insight } in cut(found, &span) {
            rows.row(|out| shape::anomaly(api.board.label(watch), &insight, cause_seq, out));
        }
        Ok(rows.end_page(None))
    })
    .await
}

/// What rules think somebody should know.
#[utoipa::path(get, path = "/api/v1/signals", tag = "insights",
    params(
        ("instrument" = Option<String>, Query, description = "venue:BASE-QUOTE"),
        ("kind" = Option<String>, Query, description = "anomaly, direction, regime, volatility or quality"),
        ("severity" = Option<String>, Query, description = "info, warning or critical"),
        ("from" = Option<String>, Query, description = "RFC 3339, inclusive"),
        ("to" = Option<String>, Query, description = "RFC 3339, exclusive"),
        ("limit" = Option<u16>, Query, description = "1 to 1000, default 500", minimum = 1, maximum = 1000),
        ("after" = Option<String>, Query, description = "`next` of the page before"),
    ),
    responses((status = 200, description = "Ascending by exchange_at", body = Signals))
)]
pub async fn signals(request: HttpRequest, api: web::Data<Api>) -> Answer {
    let names = ["instrument", "kind", "severity", "from", "to", "limit", "after"];
    let query = Query::parse(request.query_string(), &names)?;
    let wanted = query.instrument(api.board.roster())?;
    let kind = query.word("kind", &SignalKind::ALL, SignalKind::name)?;
    let severity = query.word("severity", &Severity::ALL, Severity::name)?;
    query.span()?;
    let api = api.into_inner();
    aside(move || {
        let span = query.span()?;
        if let Some(history) = &api.history {
            let instrument = wanted.map(|watch| api.board.roster().instrument(watch));
            let (kind, severity) = (kind.map(SignalKind::name), severity.map(Severity::name));
            let query = ListingQuery { instrument, kind, severity, interval: None, span };
            return page_of("signals", history.signals(&query));
        }
        refuse_after(&span)?;
        let mut found = api.board.signals();
        found.retain(|found| {
            holds(&span, wanted, found.watch, found.insight.exchange_at)
                && kind.is_none_or(|kind| kind == found.insight.kind)
                && severity.is_none_or(|severity| severity == found.insight.severity)
        });
        let mut rows = Rows::new("signals");
        for Found { watch, cause_seq, insight } in cut(found, &span) {
            rows.row(|out| shape::signal(api.board.label(watch), &insight, cause_seq, out));
        }
        Ok(rows.end_page(None))
    })
    .await
}

/// What models expected of one instrument.
#[utoipa::path(get, path = "/api/v1/forecasts/{instrument}", tag = "insights",
    params(
        ("instrument" = String, Path, description = "venue:BASE-QUOTE", example = "binance:BTC-USDT"),
        ("kind" = Option<String>, Query, description = "The target: price, realized_variance, volume, trade_count or direction"),
        ("interval" = Option<String>, Query, description = "One that is computed here"),
        ("from" = Option<String>, Query, description = "RFC 3339, inclusive: made at"),
        ("to" = Option<String>, Query, description = "RFC 3339, exclusive: made at"),
        ("limit" = Option<u16>, Query, description = "1 to 1000, default 500", minimum = 1, maximum = 1000),
        ("after" = Option<String>, Query, description = "`next` of the page before"),
    ),
    responses((status = 200, description = "Ascending by made_at", body = Forecasts))
)]
pub async fn forecasts(request: HttpRequest, api: web::Data<Api>) -> Answer {
    let names = ["kind", "interval", "from", "to", "limit", "after"];
    let query = Query::parse(request.query_string(), &names)?;
    let target = query.word("kind", &Target::ALL, Target::name)?;
    let interval = query.text("interval").map(|_| query.interval(api.board.intervals())).transpose()?;
    query.span()?;
    let watch = instrument_of(&request, api.board.roster())?;
    let api = api.into_inner();
    aside(move || {
        let span = query.span()?;
        if let Some(history) = &api.history {
            let instrument = Some(api.board.roster().instrument(watch));
            let kind = target.map(Target::name);
            let query = ListingQuery { instrument, kind, severity: None, interval, span };
            return page_of("forecasts", history.forecasts(&query));
        }
        refuse_after(&span)?;
        let seen = api.board.seen(watch);
        let wanted = seen.forecasts().filter(|(forecast, _)| {
            holds(&span, None, watch, forecast.made_at)
                && target.is_none_or(|target| target == forecast.target)
                && interval.is_none_or(|interval| interval == forecast.interval)
        });
        let mut found: Vec<_> = wanted.map(|(forecast, cause)| (forecast.clone(), cause)).collect();
        drop(seen);
        found.sort_by_key(|(forecast, _)| (forecast.made_at, forecast.id));
        let mut rows = Rows::new("forecasts");
        for (forecast, cause_seq) in cut(found, &span) {
            rows.row(|out| {
                shape::forecast(api.board.label(watch), &forecast, cause_seq, out);
                out.extend_from_slice(b",\"actual\":null");
            });
        }
        Ok(rows.end_page(None))
    })
    .await
}

/// What the current model expects of one instrument, at most so many candles ahead: one forecast for each interval,
/// target and horizon.
#[utoipa::path(get, path = "/api/v1/predict/{instrument}", tag = "insights",
    params(
        ("instrument" = String, Path, description = "venue:BASE-QUOTE", example = "binance:BTC-USDT"),
        ("steps" = Option<u8>, Query, description = "1 to 100, default 1", minimum = 1, maximum = 100),
    ),
    responses((status = 200, description = "The last forecasts", body = Prediction))
)]
pub async fn predict(request: HttpRequest, api: web::Data<Api>) -> Answer {
    let query = Query::parse(request.query_string(), &["steps"])?;
    let watch = instrument_of(&request, api.board.roster())?;
    prediction(&api, watch, &query)
}

/// As `/api/v1/predict/{instrument}`; the only instrument, where there is one.
#[utoipa::path(get, path = "/predict", tag = "short forms",
    params(
        ("instrument" = Option<String>, Query, description = "venue:BASE-QUOTE"),
        ("steps" = Option<u8>, Query, description = "1 to 100, default 1", minimum = 1, maximum = 100),
    ),
    responses((status = 200, description = "The last forecasts", body = Prediction))
)]
pub async fn predict_short(request: HttpRequest, api: web::Data<Api>) -> Answer {
    let query = Query::parse(request.query_string(), &["instrument", "steps"])?;
    let only = || (api.board.roster().len() == 1).then_some(Watch(0));
    let watch = query.instrument(api.board.roster())?.or_else(only);
    let watch = watch.ok_or_else(|| Problem::field("instrument", "has to be named: there are several"))?;
    prediction(&api, watch, &query)
}

fn prediction(api: &Api, watch: Watch, query: &Query) -> Answer {
    let steps = query.whole("steps", STEPS_MAX)?.unwrap_or(1);
    let mut found: Vec<(Forecast, u64)> = api
        .board
        .seen(watch)
        .forecasts()
        .filter(|(forecast, _)| forecast.horizon as usize <= steps)
        .map(|(forecast, cause_seq)| (forecast.clone(), cause_seq))
        .collect();
    if found.is_empty() {
        return Err(Problem::unavailable("no model has a forecast of this instrument yet"));
    }
    let place =
        |forecast: &Forecast| (forecast.target_at, forecast.interval, forecast.target, forecast.horizon);
    found.sort_by(|(one, _), (other, _)| (place(one), trust(one)).cmp(&(place(other), trust(other))));
    found.dedup_by(|(next, _), (first, _)| place(next) == place(first));
    let instrument = api.board.roster().instrument(watch).to_string();
    let mut out = b"{\"instrument\":".to_vec();
    shape::text(&instrument, &mut out);
    out.extend_from_slice(b",\"forecasts\":[");
    for (at, (forecast, cause_seq)) in found.iter().enumerate() {
        out.extend_from_slice(if at == 0 { b"{" } else { b",{" });
        shape::forecast(api.board.label(watch), forecast, *cause_seq, &mut out);
        out.push(b'}');
    }
    out.extend_from_slice(b"]}");
    Ok(json(out))
}

/// Of several forecasts of one thing the first counts: by whoever is in charge, else the mixture's, which tells the
/// naive forecast where nobody is better.
fn trust(forecast: &Forecast) -> (u8, &str) {
    let rank = match forecast.role {
        Role::Champion => 0,
        _ if forecast.model.starts_with("mixture@") => 1,
        Role::Online => 2,
        Role::Challenger => 3,
    };
    (rank, &forecast.model)
}
