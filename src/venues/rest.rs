//! REST: one question to a venue, within its budget, its answer read and counted.
//!
//! Nothing of an answer is believed: not its length, not its type, not that it is whole. Redirects are not
//! followed. What the venue says of patience (429, 418, `Retry-After`, used weight) binds every request to it.

use std::sync::Arc;
use std::time::Duration;

use reqwest::header::{HeaderMap, RETRY_AFTER};
use tracing::warn;

use crate::domain::fields::shown;
use crate::runtime::clock::{self, Stopwatch};
use crate::runtime::retry_after::wait_of;
use crate::venues::desk::Desk;
use crate::venues::dialect::{Answer, AnswerError, Ask, Request};
use crate::venues::error::{RestError, VenuesError};
use crate::venues::patience::PATIENCE_MAX;

/// Lists of markets are the longest.
const BODY_BYTES_MAX: usize = 64 << 20;
/// Longer bodies are read on a thread for such work.
const PARSE_HERE_BYTES_MAX: usize = 64 << 10;
const CONNECT_LIMIT: Duration = Duration::from_secs(5);
const ANSWER_LIMIT: Duration = Duration::from_secs(10);
/// Where the venue does not say how long.
const PATIENCE: Duration = Duration::from_secs(10);
const BANNED_PATIENCE: Duration = Duration::from_secs(120);
/// Refused as a whole: by a firewall, or for where we are.
const BARRED_PATIENCE: Duration = Duration::from_secs(300);

#[derive(Clone, Debug)]
pub struct RestClient {
    http: reqwest::Client,
}

impl RestClient {
    pub fn new() -> Result<Self, VenuesError> {
        install_tls();
        let http = reqwest::Client::builder()
            .connect_timeout(CONNECT_LIMIT)
            .timeout(ANSWER_LIMIT)
            .redirect(reqwest::redirect::Policy::none())
            .user_agent(concat!("tapewatch/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|e| VenuesError::Client(e.to_string()))?;
        Ok(Self { http })
    }

    /// Asks, waiting for the budget first; other ways are tried where the venue does not know the first.
    pub async fn ask(&self, desk: &Arc<Desk>, ask: &Ask) -> Result<Answer, RestError> {
        let requests = desk.dialect.requests(ask);
        let ways = requests.len();
        let mut last = RestError::Answer(AnswerError::Unsupported);
        for (way, request) in requests.into_iter().enumerate() {
            loop {
                let wait = desk.weight_wait(request.weight);
                if wait.is_zero() {
                    break;
                }
                tokio::time::sleep(wait).await;
            }
            match self.send(desk, ask, way, &request).await {
                Ok(answer) => return Ok(answer),
                Err(error @ RestError::Answer(AnswerError::Unknown(_) | AnswerError::Garbled { .. }))
                    if way + 1 < ways =>
                {
                    last = error
                }
                Err(error @ RestError::Status { status: 404, .. }) if way + 1 < ways => last = error,
                Err(error) => return Err(error),
            }
        }
        Err(last)
    }

    async fn send(
        &self,
        desk: &Arc<Desk>,
        ask: &Ask,
        way: usize,
        request: &Request,
    ) -> Result<Answer, RestError> {
        let host = desk.config.rest_url.as_deref().unwrap_or(request.host).trim_end_matches('/');
        let address = format!("{host}{}", request.path);
        let stopwatch = Stopwatch::start();
        let fetched = self.fetch(desk, &address, request).await;
        let status = match &fetched {
            Ok((status, _)) => status.to_string(),
            Err(_) => "none".to_owned(),
        };
        let metrics = &desk.tools.metrics;
        metrics.venue_requests.with_label_values(&[desk.name, &status]).inc();
        metrics
            .venue_request_duration
            .with_label_values(&[desk.name])
            .observe(stopwatch.elapsed().as_secs_f64());
        let (status, body) = fetched?;
        if status != 200 {
            return Err(refusal(desk, status, &body));
        }
        let (desk, ask) = (desk.clone(), ask.clone());
        let is_short = body.len() <= PARSE_HERE_BYTES_MAX;
        let read = move || desk.dialect.answer(&ask, way, &body);
        let answer = if is_short {
            read()
        } else {
            match tokio::task::spawn_blocking(read).await {
                Ok(answer) => answer,
                Err(error) => Err(AnswerError::Garbled { text: String::new(), why: error.to_string() }),
            }
        };
        Ok(answer?)
    }

    /// Status and body, and what the headers say of patience.
    async fn fetch(&self, desk: &Desk, address: &str, request: &Request) -> Result<(u16, String), RestError> {
        let unreachable = |error: reqwest::Error| RestError::Unreachable {
            address: address.to_owned(),
            why: causes(&error),
        };
        let mut builder = self.http.get(address);
        for (name, value) in request.headers {
            builder = builder.header(*name, *value);
        }
        let mut response = builder.send().await.map_err(unreachable)?;
        let status = response.status().as_u16();
        heed(desk, status, response.headers());
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(unreachable)? {
            if body.len() + chunk.len() > BODY_BYTES_MAX {
                return Err(RestError::TooLong(BODY_BYTES_MAX));
            }
            body.extend_from_slice(&chunk);
        }
        // Not UTF-8 is no JSON; what is left of it tells a person what came.
        Ok((status, String::from_utf8_lossy(&body).into_owned()))
    }
}

/// Obeys what a venue says of patience.
fn heed(desk: &Desk, status: u16, headers: &HeaderMap) {
    if let Some(name) = desk.dialect.used_weight_header()
        && let Some(used) = headers.get(name)
        && let Some(used) = used.to_str().ok().and_then(|used| used.trim().parse::<u64>().ok())
    {
        desk.note_used_weight(u32::try_from(used).unwrap_or(u32::MAX));
    }
    let default = match status {
        429 => PATIENCE,
        418 => BANNED_PATIENCE,
        403 | 451 => BARRED_PATIENCE,
        503 if headers.contains_key(RETRY_AFTER) => PATIENCE,
        _ => return,
    };
    let told = headers.get(RETRY_AFTER).and_then(|value| wait_of(value.to_str().ok()?, clock::now()));
    let patience = told.map_or(default, |told| told.min(PATIENCE_MAX));
    warn!(venue = desk.name, status, ?patience, "venue asks for patience, no request until then");
    desk.shut_rest(patience);
}

fn refusal(desk: &Desk, status: u16, body: &str) -> RestError {
    match desk.dialect.error(status, body) {
        Some(error) => {
            if matches!(error, AnswerError::TooMuch(_)) && !matches!(status, 418 | 429) {
                desk.shut_rest(PATIENCE);
            }
            RestError::Answer(error)
        }
        None => RestError::Status { status, body: shown(body.as_bytes(), 120) },
    }
}

/// An error with what caused it, in one line.
fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        next = cause.source();
    }
    text
}

/// One provider of TLS for the process; whoever comes second finds it there.
pub fn install_tls() {
    let _ = rustls::crypto::ring::default_provider().install_default();
}
