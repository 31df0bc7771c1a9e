//! What answers are made of: JSON, rows and pages of them, and reads that take their time elsewhere.

use std::time::Duration;

use actix_web::http::header;
use actix_web::{HttpResponse, web};
use serde::Serialize;

use crate::api::problem::Problem;
use crate::storage::history::Span;

/// How long a read may take.
const READ_TIME_MAX: Duration = Duration::from_secs(10);

/// What a handler gives.
pub type Answer = Result<HttpResponse, Problem>;

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
