//! What went wrong with a request, as RFC 9457 `application/problem+json`.

use std::fmt;

use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use actix_web::{HttpResponse, ResponseError};
use serde::Serialize;
use utoipa::ToSchema;

use crate::storage::error::StorageError;

/// One problem: why a request was not answered as it was meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    status: StatusCode,
    detail: String,
    field: Option<String>,
    headers: Vec<(HeaderName, HeaderValue)>,
}

/// Why a request was not answered as it was meant (RFC 9457).
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Problem)]
pub struct ProblemBody<'a> {
    /// Always `about:blank`: status and title say which kind it is.
    #[schema(example = "about:blank")]
    r#type: &'static str,
    /// What the status means.
    title: &'a str,
    status: u16,
    /// One sentence for people.
    detail: &'a str,
    /// Which parameter or header is meant, where one is.
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<&'a str>,
}

impl Problem {
    pub fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Self { status, detail: detail.into(), field: None, headers: Vec::new() }
    }

    /// A parameter has a value that it cannot have.
    pub fn field(field: &str, detail: impl fmt::Display) -> Self {
        let mut problem = Self::new(StatusCode::BAD_REQUEST, format!("{field}: {detail}"));
        problem.field = Some(field.to_owned());
        problem
    }

    pub fn not_found(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, detail)
    }

    /// What is asked for cannot be had now, and may be later.
    pub fn unavailable(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, detail)
    }

    /// What the store could not read.
    pub fn of_storage(error: &StorageError) -> Self {
        match error {
            StorageError::Cursor => Self::field("after", error),
            StorageError::Behind => Self::unavailable(error.to_string()),
            _ => {
                tracing::error!(%error, "history cannot be read");
                Self::unavailable("history cannot be read now; the log says why")
            }
        }
    }

    /// We broke a promise of our own; the log says more.
    pub fn internal() -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "something failed inside; the log says what")
    }

    pub fn with(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// The headers beside the content type: `Retry-After`, `WWW-Authenticate`, `Allow`.
    pub fn headers(&self) -> &[(HeaderName, HeaderValue)] {
        &self.headers
    }

    /// The JSON text.
    pub fn body(&self) -> String {
        let body = ProblemBody {
            r#type: "about:blank",
            title: self.status.canonical_reason().unwrap_or("Error"),
            status: self.status.as_u16(),
            detail: &self.detail,
            field: self.field.as_deref(),
        };
        serde_json::to_string(&body).expect("texts and numbers are JSON")
    }

    pub fn response(&self) -> HttpResponse {
        let mut response = HttpResponse::build(self.status);
        response.insert_header((header::CONTENT_TYPE, "application/problem+json"));
        for header in &self.headers {
            response.insert_header(header.clone());
        }
        response.body(self.body())
    }

    /// The problem of an answer that the framework gave without one: a path or method that nobody has.
    pub fn of_status(status: StatusCode, headers: &HeaderMap) -> Self {
        let detail = match status {
            StatusCode::NOT_FOUND => "nothing is at this path; /docs lists what there is",
            StatusCode::METHOD_NOT_ALLOWED => "the path is there, but not with this method",
            StatusCode::PAYLOAD_TOO_LARGE => "the body is larger than anything that is expected here",
            StatusCode::BAD_REQUEST => "the request cannot be understood",
            _ => status.canonical_reason().unwrap_or("the request failed"),
        };
        let mut problem = Self::new(status, detail);
        if let Some(allow) = headers.get(header::ALLOW) {
            problem.headers.push((header::ALLOW, allow.clone()));
        }
        problem
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.detail)
    }
}

impl ResponseError for Problem {
    fn status_code(&self) -> StatusCode {
        self.status
    }

    fn error_response(&self) -> HttpResponse {
        self.response()
    }
}
