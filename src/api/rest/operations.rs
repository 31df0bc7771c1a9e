//! How the process does: metrics, latency per stage, data quality, queues and sinks.

use std::collections::BTreeMap;

use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, web};
use hdrhistogram::Histogram;
use serde::Serialize;
use utoipa::ToSchema;

use crate::api::exposition::exposition;
use crate::api::query::Query;
use crate::api::rest::answer::{Answer, json_of};
use crate::api::rest::health::{HealthReport, report};
use crate::api::state::Api;
use crate::domain::output::GapState;
use crate::domain::time::Stamp;
use crate::runtime::clock::Mono;
use crate::runtime::latency::Stage;

/// How long each stage of a trade took.
#[derive(Debug, Serialize, ToSchema)]
pub struct LatencyReport {
    /// Since the process started: from the venue to the client, in order.
    stages: Vec<StageReport>,
    receive_to_computed: SpanReport,
    window: LatencyWindow,
}

/// The same stages over the last minute, or somewhat more where nobody asked for a while.
#[derive(Debug, Serialize, ToSchema)]
pub struct LatencyWindow {
    /// How far back it reaches.
    seconds: f64,
    stages: Vec<StageReport>,
    receive_to_computed: SpanReport,
}

/// One stage. Nanoseconds, with two significant digits; `null` before the first trade.
#[derive(Debug, Serialize, ToSchema)]
pub struct StageReport {
    /// `venue`, `parse`, `route`, `queue`, `compute`, `publish`, `feed`, `store`, `visible` or `total`.
    #[schema(example = "parse")]
    stage: &'static str,
    count: u64,
    #[schema(required = true)]
    p50: Option<u64>,
    #[schema(required = true)]
    p90: Option<u64>,
    #[schema(required = true)]
    p99: Option<u64>,
    #[schema(required = true)]
    p99_9: Option<u64>,
    #[schema(required = true)]
    max: Option<u64>,
}

/// The way of each trade from our socket to computed (`parse`, `route`, `queue`, `compute`), which the sum of its
/// stages' quantiles does not tell. Nanoseconds, with two significant digits; `null` before the first trade.
#[derive(Debug, Serialize, ToSchema)]
pub struct SpanReport {
    count: u64,
    #[schema(required = true)]
    p50: Option<u64>,
    #[schema(required = true)]
    p90: Option<u64>,
    #[schema(required = true)]
    p99: Option<u64>,
    #[schema(required = true)]
    p99_9: Option<u64>,
    #[schema(required = true)]
    max: Option<u64>,
}

/// How whole the data is.
#[derive(Debug, Serialize, ToSchema)]
pub struct QualityReport {
    instruments: Vec<InstrumentQuality>,
}

/// How whole the data of one instrument is, since the process started.
#[derive(Debug, Serialize, ToSchema)]
pub struct InstrumentQuality {
    instrument: String,
    trades: u64,
    /// Candles told.
    candles: u64,
    /// Of them: traded, but a hole overlapped them when they were told first.
    candles_partial: u64,
    /// Of them: nobody knew whether there was a trade when they were told first.
    candles_unknown: u64,
    /// Candles told again.
    revisions: u64,
    gaps_open: usize,
    gaps_filled: usize,
    gaps_unfillable: usize,
    /// Events that were not taken, by reason.
    refused: BTreeMap<String, u64>,
    /// Seconds from the last trade, as heard, to now.
    staleness_seconds: Option<f64>,
}

/// Parts, queues, sinks and actors.
#[derive(Debug, Serialize, ToSchema)]
pub struct StatusReport {
    version: &'static str,
    uptime_seconds: f64,
    instruments: usize,
    /// Of the candles that are told, ascending.
    intervals: Vec<String>,
    health: HealthReport,
    /// By name.
    queues: BTreeMap<String, QueueReport>,
    /// By name.
    sinks: BTreeMap<String, SinkReport>,
    /// Restarts, by name of the actor.
    actor_restarts: BTreeMap<String, f64>,
    feed_clients: i64,
    /// Batches that the board missed: its counts are too low by what was in them.
    board_missed_batches: u64,
}

/// How full a queue is.
#[derive(Debug, Default, Serialize, ToSchema)]
pub struct QueueReport {
    depth: f64,
    dropped: f64,
}

/// What a sink has taken.
#[derive(Debug, Default, Serialize, ToSchema)]
pub struct SinkReport {
    backlog_bytes: f64,
    /// Rows, by table.
    rows: BTreeMap<String, f64>,
}

/// Everything that is counted and measured, for Prometheus.
#[utoipa::path(get, path = "/metrics", tag = "operations", responses(
    (status = 200, description = "Prometheus text format", content_type = "text/plain", body = String)
))]
pub async fn metrics(request: HttpRequest, api: web::Data<Api>) -> Answer {
    // Scrapers may send parameters of their own.
    let _ = request;
    let kind = "text/plain; version=0.0.4; charset=utf-8";
    Ok(HttpResponse::Ok().insert_header((header::CONTENT_TYPE, kind)).body(exposition(&api)))
}

/// How long each stage of a trade takes.
#[utoipa::path(get, path = "/api/v1/latency", tag = "operations", responses(
    (status = 200, description = "Since the process started, and over the last minute; nanoseconds", body = LatencyReport)
))]
pub async fn latency(request: HttpRequest, api: web::Data<Api>) -> Answer {
    Query::parse(request.query_string(), &[])?;
    let (all, window) = (api.latency.report(), api.latency.window(Mono::now()));
    Ok(json_of(&LatencyReport {
        stages: reports(&all.stages),
        receive_to_computed: span(&all.computed),
        window: LatencyWindow {
            seconds: window.seconds,
            stages: reports(&window.report.stages),
            receive_to_computed: span(&window.report.computed),
        },
    }))
}

fn reports(stages: &[(Stage, Histogram<u64>)]) -> Vec<StageReport> {
    let report = |(stage, histogram): &(Stage, Histogram<u64>)| {
        let SpanReport { count, p50, p90, p99, p99_9, max } = span(histogram);
        StageReport { stage: stage.name(), count, p50, p90, p99, p99_9, max }
    };
    stages.iter().map(report).collect()
}

fn span(histogram: &Histogram<u64>) -> SpanReport {
    let count = histogram.len();
    let at = |quantile: f64| (count > 0).then(|| histogram.value_at_quantile(quantile));
    SpanReport { count, p50: at(0.5), p90: at(0.9), p99: at(0.99), p99_9: at(0.999), max: at(1.0) }
}

/// How whole the data is.
#[utoipa::path(get, path = "/api/v1/quality", tag = "operations", responses(
    (status = 200, description = "In order of instrument", body = QualityReport)
))]
pub async fn quality(request: HttpRequest, api: web::Data<Api>) -> Answer {
    Query::parse(request.query_string(), &[])?;
    let now = crate::runtime::clock::now();
    let instruments = api.board.roster().iter().map(|(watch, instrument)| {
        let seen = api.board.seen(watch);
        let counts = seen.counts();
        let gaps = |state: GapState| seen.gaps().filter(|gap| gap.state == state).count();
        let heard_at = seen.last_trade().map(|trade| trade.received_at.map_or(trade.exchange_at, Stamp::at));
        InstrumentQuality {
            instrument: instrument.to_string(),
            trades: counts.trades,
            candles: counts.candles,
            candles_partial: counts.partial,
            candles_unknown: counts.unknown,
            revisions: counts.revisions,
            gaps_open: gaps(GapState::Open),
            gaps_filled: gaps(GapState::Filled),
            gaps_unfillable: gaps(GapState::Unfillable),
            refused: seen.refused().clone(),
            staleness_seconds: heard_at.map(|at| now.0.saturating_sub(at.0).max(0) as f64 / 1e9),
        }
    });
    Ok(json_of(&QualityReport { instruments: instruments.collect() }))
}

/// Parts, queues, sinks and actors.
#[utoipa::path(get, path = "/api/v1/status", tag = "operations", responses(
    (status = 200, description = "Now", body = StatusReport)
))]
pub async fn status(request: HttpRequest, api: web::Data<Api>) -> Answer {
    Query::parse(request.query_string(), &[])?;
    let mut queues: BTreeMap<String, QueueReport> = BTreeMap::new();
    let mut sinks: BTreeMap<String, SinkReport> = BTreeMap::new();
    let mut actor_restarts = BTreeMap::new();
    for family in api.metrics.registry.gather() {
        for metric in family.get_metric() {
            let label = |name: &str| {
                let pair = metric.get_label().iter().find(|pair| pair.name() == name);
                pair.map_or_else(String::new, |pair| pair.value().to_owned())
            };
            match family.name() {
                "tapewatch_queue_depth" => {
                    queues.entry(label("queue")).or_default().depth = metric.get_gauge().get_value();
                }
                "tapewatch_queue_dropped_total" => {
                    queues.entry(label("queue")).or_default().dropped = metric.get_counter().get_value();
                }
                "tapewatch_sink_backlog_bytes" => {
                    sinks.entry(label("sink")).or_default().backlog_bytes = metric.get_gauge().get_value();
                }
                "tapewatch_sink_rows_total" => {
                    let rows = &mut sinks.entry(label("sink")).or_default().rows;
                    rows.insert(label("table"), metric.get_counter().get_value());
                }
                "tapewatch_actor_restarts_total" => {
                    actor_restarts.insert(label("actor"), metric.get_counter().get_value());
                }
                _ => {}
            }
        }
    }
    Ok(json_of(&StatusReport {
        version: env!("CARGO_PKG_VERSION"),
        uptime_seconds: api.started.elapsed().as_secs_f64(),
        instruments: api.board.roster().len(),
        intervals: api.board.intervals().iter().map(ToString::to_string).collect(),
        health: report(&api.health),
        queues,
        sinks,
        actor_restarts,
        feed_clients: api.metrics.feed_clients.get(),
        board_missed_batches: api.board.missed_batches(),
    }))
}
