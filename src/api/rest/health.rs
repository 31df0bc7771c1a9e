//! `/health`: whether the process lives, and whether it is ready.

use std::collections::BTreeMap;

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, web};
use serde::Serialize;
use utoipa::ToSchema;

use crate::api::rest::answer::json_of;
use crate::api::state::Api;
use crate::runtime::health::{Condition, Health};

/// How the process is.
#[derive(Debug, Serialize, ToSchema)]
pub struct HealthReport {
    /// `ready` once every part has been up, until then `starting`.
    #[schema(example = "ready")]
    status: &'static str,
    /// By name: `journal`, `api`, `venue:binance`, `sink:questdb`, `shard:0`.
    parts: BTreeMap<String, PartReport>,
}

/// How a part of it is.
#[derive(Debug, Serialize, ToSchema)]
pub struct PartReport {
    /// `starting`, `up`, `degraded` or `down`.
    #[schema(example = "up")]
    condition: &'static str,
    /// One plain sentence; empty where there is nothing to say.
    reason: String,
    /// Since when it is so.
    since: String,
}

/// That it lives.
#[derive(Debug, Serialize, ToSchema)]
pub struct Live {
    #[schema(example = "live")]
    status: &'static str,
    version: &'static str,
}

/// The report of all parts.
pub fn report(health: &Health) -> HealthReport {
    let part = |part: crate::runtime::health::Part| PartReport {
        condition: part.condition.name(),
        reason: part.reason,
        since: part.since.to_string(),
    };
    let parts = health.parts().into_iter().map(|(name, known)| (name, part(known))).collect();
    HealthReport { status: if health.is_ready() { "ready" } else { "starting" }, parts }
}

/// Whether the process lives.
#[utoipa::path(get, path = "/health/live", tag = "health", security(()), responses(
    (status = 200, description = "It answers, so it lives", body = Live)
))]
pub async fn live() -> HttpResponse {
    json_of(&Live { status: "live", version: env!("CARGO_PKG_VERSION") })
}

/// Whether journal, API and each venue's first subscription are up, or were once.
///
/// A venue that drops later is reported here, and does not make it 503.
#[utoipa::path(get, path = "/health/ready", tag = "health", security(()), responses(
    (status = 200, description = "Ready", body = HealthReport),
    (status = 503, description = "Not ready yet; the parts say why", body = HealthReport)
))]
pub async fn ready(api: web::Data<Api>) -> HttpResponse {
    let report = report(&api.health);
    if report.status == "ready" {
        return json_of(&report);
    }
    // The parts are the reason: a problem document would say less.
    let mut response = json_of(&report);
    *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    response
}

/// Whether a venue's connection is up: what `Health` says of the part `venue:NAME`.
pub fn venue_condition(health: &Health, venue: &str) -> Option<Condition> {
    health.condition(&format!("venue:{venue}"))
}
