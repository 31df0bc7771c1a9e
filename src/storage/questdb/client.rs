//! The HTTP side of QuestDB: line protocol in, SQL and its answers.
//!
//! Requests are sent here and not by the client library's own sender: what waited on disk is bytes, which
//! that cannot take, and it tries again by itself what must be judged first (a row that can never be stored
//! looks like a server in trouble for ten seconds). The library encodes the rows.
//!
//! No proxy is ever asked, whatever the environment says.

use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use secrecy::ExposeSecret;
use serde::Deserialize;
use ureq::Agent;

use crate::storage::config::QuestDbConfig;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// Of a request without what its size allows.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);
/// A server is given a second for as many bytes.
const BYTES_PER_SECOND: u64 = 1 << 20;
/// A longer answer is none of QuestDB's.
const ANSWER_BYTES_MAX: u64 = 64 << 20;

#[derive(Debug)]
pub struct Client {
    agent: Agent,
    address: String,
    authorization: Option<String>,
}

/// Why a request was not done.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ClientError {
    /// No answer, or none of QuestDB's: it may have been done all the same.
    #[error("{address} does not answer: {problem}")]
    Away { address: String, problem: String },
    #[error("{0} refuses the login")]
    Login(String),
    /// A row can never be stored; it counts from 1.
    #[error("row {line} is refused: {message}")]
    Row { line: usize, message: String },
    #[error("the request is too large")]
    TooLarge,
    /// The server is in trouble, or some row is.
    #[error("the server failed: {0}")]
    Internal(String),
    #[error("the server refuses: {0}")]
    Refused(String),
}

/// What QuestDB says of a refused write.
#[derive(Deserialize)]
struct Complaint {
    #[serde(default)]
    code: String,
    #[serde(default)]
    message: String,
    line: Option<usize>,
}

/// The answer to a query.
#[derive(Debug, Deserialize)]
pub struct Rows {
    #[serde(default)]
    pub columns: Vec<Column>,
    #[serde(default)]
    pub dataset: Vec<Vec<serde_json::Value>>,
    error: Option<String>,
}

#[derive(Debug, Deserialize)]
pub struct Column {
    pub name: String,
}

impl Client {
    pub fn new(config: &QuestDbConfig) -> Self {
        let agent = Agent::config_builder()
            .proxy(None)
            .http_status_as_error(false)
            .max_redirects(0)
            .timeout_connect(Some(CONNECT_TIMEOUT))
            .timeout_global(Some(REQUEST_TIMEOUT))
            .user_agent(concat!("tapewatch/", env!("CARGO_PKG_VERSION")))
            .build()
            .into();
        let authorization = config.login.as_ref().map(|(user, password)| {
            let login = BASE64_STANDARD.encode(format!("{user}:{}", password.expose_secret()));
            format!("Basic {login}")
        });
        Self { agent, address: config.http_address.clone(), authorization }
    }

    pub fn address(&self) -> &str {
        &self.address
    }

    /// Stores rows of line protocol: all of them, or says why not.
    pub fn write(&self, bytes: &[u8]) -> Result<(), ClientError> {
        let timeout = REQUEST_TIMEOUT + Duration::from_secs(bytes.len() as u64 / BYTES_PER_SECOND);
        let mut request = self
            .agent
            .post(format!("http://{}/write?precision=n", self.address))
            .content_type("text/plain; charset=utf-8");
        if let Some(authorization) = &self.authorization {
            request = request.header("Authorization", authorization);
        }
        let answer = request.config().timeout_global(Some(timeout)).build().send(bytes);
        let mut answer = answer.map_err(|error| self.away(error))?;
        let status = answer.status().as_u16();
        if (200..300).contains(&status) {
            return Ok(());
        }
        let text = answer.body_mut().with_config().limit(ANSWER_BYTES_MAX).read_to_string();
        // The head said no: what is missing of the text only explains it.
        Err(write_refused(&self.address, status, &text.unwrap_or_default()))
    }

    /// One statement.
    pub fn query(&self, sql: &str) -> Result<Rows, ClientError> {
        let mut request = self.agent.get(format!("http://{}/exec", self.address)).query("query", sql);
        if let Some(authorization) = &self.authorization {
            request = request.header("Authorization", authorization);
        }
        let mut answer = request.call().map_err(|error| self.away(error))?;
        let status = answer.status().as_u16();
        let text = answer
            .body_mut()
            .with_config()
            .limit(ANSWER_BYTES_MAX)
            .read_to_string()
            .map_err(|error| self.away(error))?;
        rows_of(&self.address, status, &text)
    }

    fn away(&self, error: ureq::Error) -> ClientError {
        ClientError::Away { address: self.address.clone(), problem: error.to_string() }
    }
}

/// What an answer to a write means whose status is no success.
pub fn write_refused(address: &str, status: u16, text: &str) -> ClientError {
    let complaint = serde_json::from_str::<Complaint>(text).ok();
    let message = complaint.as_ref().map_or_else(|| short(text), |complaint| short(&complaint.message));
    let code = complaint.as_ref().map_or("", |complaint| complaint.code.as_str());
    match (status, code) {
        (401 | 403, _) => ClientError::Login(address.to_owned()),
        (413, _) | (_, "request too large") => ClientError::TooLarge,
        (_, "internal error") | (500.., _) => ClientError::Internal(format!("{status}: {message}")),
        (_, "invalid") => match complaint.and_then(|complaint| complaint.line) {
            Some(line) if line > 0 => ClientError::Row { line, message },
            _ => ClientError::Internal(message),
        },
        _ => ClientError::Refused(format!("{status}: {message}")),
    }
}

/// What an answer to a query says.
pub fn rows_of(address: &str, status: u16, text: &str) -> Result<Rows, ClientError> {
    if matches!(status, 401 | 403) {
        return Err(ClientError::Login(address.to_owned()));
    }
    // An answer of 200 may hold an error all the same: it failed half-way.
    match serde_json::from_str::<Rows>(text) {
        Ok(Rows { error: None, columns, dataset }) if status == 200 => {
            Ok(Rows { error: None, columns, dataset })
        }
        Ok(Rows { error: Some(error), .. }) => Err(ClientError::Refused(short(&error))),
        Ok(_) => Err(ClientError::Refused(format!("{status}: {}", short(text)))),
        Err(_) if status >= 500 => Err(ClientError::Internal(short(text))),
        // Statements that change something are answered {"ddl":"OK"}: that reads as no rows.
        Err(_) => Err(ClientError::Refused(format!("{status}: {}", short(text)))),
    }
}

fn short(text: &str) -> String {
    text.chars().take(300).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_told_apart() {
        let check = |status: u16, text: &str, expected: ClientError| {
            assert_eq!(write_refused("127.0.0.1:9000", status, text), expected, "{status} {text}");
        };
        let row = |line| ClientError::Row { line, message: "cast error".to_owned() };
        check(400, r#"{"code":"invalid","message":"cast error","line":2,"errorId":"x"}"#, row(2));
        check(
            400,
            r#"{"code":"internal error","message":"m","line":1}"#,
            ClientError::Internal("400: m".to_owned()),
        );
        check(413, r#"{"code":"request too large","message":"m"}"#, ClientError::TooLarge);
        check(401, "Unauthorized", ClientError::Login("127.0.0.1:9000".to_owned()));
        check(502, "<html>", ClientError::Internal("502: <html>".to_owned()));
        check(404, "not found", ClientError::Refused("404: not found".to_owned()));
    }

    #[test]
    fn nobody_at_home_is_away() {
        let http_address = "127.0.0.1:1".to_owned();
        let client = Client::new(&QuestDbConfig { http_address, ..QuestDbConfig::default() });
        assert!(matches!(client.write(b"x"), Err(ClientError::Away { .. })));
        assert!(matches!(client.query("SELECT 1"), Err(ClientError::Away { .. })));
    }
}
