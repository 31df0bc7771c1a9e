//! The paths of the API, and how their answers are written.

pub mod candles;
pub mod health;
pub mod insights;
pub mod instruments;
pub mod models;
pub mod operations;
pub mod schemas;

use std::time::Duration;

use actix_web::guard;
use actix_web::http::StatusCode;
use actix_web::http::header;
use actix_web::{Handler, HttpRequest, HttpResponse, Resource, Responder, web};
use serde::Serialize;

use crate::api::page;
use crate::api::problem::Problem;
use crate::storage::history::Span;

/// How long a read may take.
const READ_TIME_MAX: Duration = Duration::from_secs(10);

/// What a handler gives.
pub type Answer = Result<HttpResponse, Problem>;

/// Registers every path.
pub fn configure(config: &mut web::ServiceConfig) {
    config
        .service(look("/health", health::ready))
        .service(look("/health/live", health::live))
        .service(look("/health/ready", health::ready))
        .service(look("/metrics", operations::metrics))
        .service(look("/api/v1/instruments", instruments::instruments))
        .service(look("/api/v1/price/{instrument}", instruments::price))
        .service(look("/api/v1/trades/{instrument}", instruments::trades))
        .service(look("/api/v1/candles/{instrument}", candles::candles))
        .service(look("/api/v1/indicators/{instrument}", candles::indicators))
        .service(look("/api/v1/gaps", insights::gaps))
        .service(look("/api/v1/anomalies", insights::anomalies))
        .service(look("/api/v1/forecasts/{instrument}", insights::forecasts))
        .service(look("/api/v1/signals", insights::signals))
        .service(look("/api/v1/predict/{instrument}", insights::predict))
        .service(look("/predict", insights::predict_short))
        .service(look("/api/v1/models", models::models))
        .service(look("/model/info", models::models))
        .service(look("/api/v1/models/{id}", models::model))
        .service(look("/api/v1/scores/{instrument}", models::scores))
        .service(look("/data/latest", instruments::latest))
        .service(look("/api/v1/latency", operations::latency))
        .service(look("/api/v1/quality", operations::quality))
        .service(look("/api/v1/status", operations::status))
        .configure(page::configure)
        .service(look("/api/v1/feed", crate::api::feed::upgrade::needed))
        .service(look("/api/v1/openapi.json", crate::api::openapi::document));
}

/// A path that answers `GET` and `HEAD`, and says so to every other method.
pub fn look<F, Args>(path: &str, handler: F) -> Resource
where
    F: Handler<Args>,
    Args: actix_web::FromRequest + 'static,
    F::Output: Responder + 'static,
{
    let looks = guard::Any(guard::Get()).or(guard::Head());
    web::resource(path)
        .route(web::route().guard(looks).to(handler))
        .default_service(web::to(|| async { HttpResponse::MethodNotAllowed().insert_header(ALLOW).finish() }))
}

const ALLOW: (header::HeaderName, &str) = (header::ALLOW, "GET, HEAD");

/// For every path that nobody has.
pub async fn nowhere(request: HttpRequest) -> Answer {
    Err(Problem::of_status(StatusCode::NOT_FOUND, request.headers()))
}

/// A JSON answer.
pub fn json(body: Vec<u8>) -> HttpResponse {
    HttpResponse::Ok().insert_header((header::CONTENT_TYPE, "application/json")).body(body)
}

/// A JSON answer of something that knows its own form.
pub fn json_of(value: &impl Serialize) -> HttpResponse {
    json(serde_json::to_vec(value).expect("texts and numbers are JSON"))
}

/// `{"name":[{..},..],"next":..}`, written row by row.
pub struct Rows {
    out: Vec<u8>,
    any: bool,
}

impl Rows {
    pub fn new(name: &str) -> Self {
        let mut out = Vec::with_capacity(16 << 10);
        out.extend_from_slice(b"{\"");
        out.extend_from_slice(name.as_bytes());
        out.extend_from_slice(b"\":[");
        Self { out, any: false }
    }

    /// `fields` writes the fields of a row, without braces.
    pub fn row(&mut self, fields: impl FnOnce(&mut Vec<u8>)) {
        self.out.extend_from_slice(if self.any { b",{" } else { b"{" });
        self.any = true;
        fields(&mut self.out);
        self.out.push(b'}');
    }

    /// Of a listing without pages.
    pub fn end(mut self) -> Vec<u8> {
        self.out.extend_from_slice(b"]}");
        self.out
    }

    /// `next`: where the following page begins.
    pub fn end_page(mut self, next: Option<&str>) -> Vec<u8> {
        self.out.extend_from_slice(b"],\"next\":");
        match next {
            Some(cursor) => crate::domain::shape::text(cursor, &mut self.out),
            None => self.out.extend_from_slice(b"null"),
        }
        self.out.push(b'}');
        self.out
    }
}

/// Of rows in ascending order: with `from` the oldest, without it the newest.
pub fn cut<T>(mut rows: Vec<T>, span: &Span<'_>) -> Vec<T> {
    if span.from.is_none() {
        rows.drain(..rows.len().saturating_sub(span.limit));
    }
    rows.truncate(span.limit);
    rows
}

/// What is read from the board is one page: no cursor leads into it.
pub fn refuse_after(span: &Span<'_>) -> Result<(), Problem> {
    match span.after {
        Some(_) => Err(Problem::field("after", "is none that a page of this query gave")),
        None => Ok(()),
    }
}

/// Runs what may read from a disk away from the thread that answers, for at most ten seconds.
pub async fn aside(read: impl FnOnce() -> Result<Vec<u8>, Problem> + Send + 'static) -> Answer {
    let answer = tokio::time::timeout(READ_TIME_MAX, web::block(read)).await;
    match answer {
        Ok(Ok(result)) => result.map(json),
        Ok(Err(error)) => {
            tracing::error!(%error, "a read was cancelled");
            Err(Problem::internal())
        }
        Err(_) => Err(Problem::unavailable("reading took too long; ask for less, or later")),
    }
}
