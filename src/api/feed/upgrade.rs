//! From an HTTP request to a client of the feed: the handshake of RFC 6455, section 4.2.
//!
//! Requests that ask for a websocket come here before the application sees them: the socket then leaves the
//! HTTP server for the hub's thread. The same gate stands before it.

use std::fmt::Write;
use std::sync::Arc;

use actix_codec::Framed;
use actix_http::h1::Codec;
use actix_http::{HttpMessage, Request};
use actix_web::http::header::{self, HeaderValue};
use actix_web::http::{Method, StatusCode};
use actix_web::web;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use tokio::io::AsyncWriteExt;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use crate::api::feed::service::{FeedDoor, Place};
use crate::api::keys::Scope;
use crate::api::problem::Problem;
use crate::api::socket::Socket;
use crate::api::state::Api;

pub const PATH: &str = "/api/v1/feed";

/// Answers one request for a websocket.
pub async fn upgrade(
    request: Request,
    framed: Framed<Socket, Codec>,
    api: web::Data<Api>,
    door: Option<Arc<FeedDoor>>,
) -> Result<(), actix_web::Error> {
    let mut parts = framed.into_parts();
    // Answers to earlier requests of the same connection go first.
    parts.io.write_all(&parts.write_buf).await?;
    let admitted = admit(&request, &api, door.as_deref());
    let (path, status) = match &admitted {
        Ok(_) => (PATH, StatusCode::SWITCHING_PROTOCOLS),
        Err(problem) => (if request.path() == PATH { PATH } else { "other" }, problem.status()),
    };
    api.metrics.http_requests.with_label_values(&[path, status.as_str()]).inc();
    match admitted {
        Ok((place, key)) => {
            let answer = format!(
                "HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n\
                 sec-websocket-accept: {}\r\n\r\n",
                derive_accept_key(key.as_bytes())
            );
            parts.io.write_all(answer.as_bytes()).await?;
            place.take(parts.io.into_inner().into_std()?, parts.read_buf.to_vec());
            Ok(())
        }
        Err(problem) => {
            parts.io.write_all(refusal(&problem).as_bytes()).await?;
            parts.io.shutdown().await?;
            Ok(())
        }
    }
}

/// What asks for the feed without asking for a websocket is told how.
pub async fn needed() -> Result<actix_web::HttpResponse, Problem> {
    Err(upgrade_required("the feed is a websocket: Connection: upgrade and Upgrade: websocket are missing"))
}

fn upgrade_required(detail: &str) -> Problem {
    Problem::new(StatusCode::UPGRADE_REQUIRED, detail)
        .with(header::UPGRADE, HeaderValue::from_static("websocket"))
        .with(header::SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"))
}

fn admit(request: &Request, api: &Api, door: Option<&FeedDoor>) -> Result<(Place, String), Problem> {
    let caller = api.gate.admit(request.method(), request.uri(), request.headers())?;
    if request.path() != PATH {
        return Err(Problem::not_found(format!("the only websocket is at {PATH}")));
    }
    caller.require(Scope::Read)?;
    if request.method() != Method::GET {
        let problem = Problem::new(StatusCode::METHOD_NOT_ALLOWED, "a websocket is asked for with GET");
        return Err(problem.with(header::ALLOW, HeaderValue::from_static("GET")));
    }
    let text = |name| request.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if text(header::SEC_WEBSOCKET_VERSION) != "13" {
        return Err(upgrade_required("Sec-WebSocket-Version: must be 13"));
    }
    let asks = text(header::CONNECTION).split(',').any(|word| word.trim().eq_ignore_ascii_case("upgrade"));
    if !asks {
        return Err(Problem::field("Connection", "must be upgrade"));
    }
    let key = text(header::SEC_WEBSOCKET_KEY).trim();
    if STANDARD.decode(key).ok().is_none_or(|nonce| nonce.len() != 16) {
        return Err(Problem::field("Sec-WebSocket-Key", "must be 16 bytes in base64"));
    }
    let full = || {
        Problem::unavailable("the feed has as many clients as it takes")
            .with(header::RETRY_AFTER, HeaderValue::from_static("5"))
    };
    let place = door.and_then(FeedDoor::place).ok_or_else(full)?;
    Ok((place, key.to_owned()))
}

fn refusal(problem: &Problem) -> String {
    let (status, body) = (problem.status(), problem.body());
    let mut out = format!(
        "HTTP/1.1 {} {}\r\ncontent-type: application/problem+json\r\ncontent-length: {}\r\n\
         connection: close\r\ncache-control: no-store\r\n",
        status.as_str(),
        status.canonical_reason().unwrap_or("Error"),
        body.len()
    );
    for (name, value) in problem.headers() {
        // Writing to a string cannot fail.
        let _ = write!(out, "{name}: {}\r\n", value.to_str().unwrap_or_default());
    }
    out.push_str("\r\n");
    out.push_str(&body);
    out
}
