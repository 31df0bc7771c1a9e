//! The channels: how an alert becomes a request, and what an answer means.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};
use sha2::Sha256;

use crate::alerts::config::ChannelConfig;
use crate::alerts::notification::Notification;
use crate::domain::time::UnixNanos;
use crate::runtime::retry_after::wait_of;

/// A request to be posted.
#[derive(Debug)]
pub struct Outgoing {
    pub url: SecretString,
    pub headers: Vec<(&'static str, String)>,
    pub body: String,
}

/// What became of a try.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    Taken,
    /// Try again, not before that time where one is named.
    Again {
        after: Option<Duration>,
        why: String,
    },
    /// It will never be taken.
    Refused(String),
}

impl ChannelConfig {
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Slack { .. } => "slack",
            Self::Webhook { .. } => "webhook",
            Self::Log => "log",
        }
    }

    /// `None`: nothing is posted, it goes to the log.
    pub fn outgoing(&self, notification: &Notification, now: UnixNanos) -> Option<Outgoing> {
        let json_type = ("content-type", "application/json".to_owned());
        match self {
            Self::Log => None,
            Self::Slack { url } => {
                let body = json!({"text": escaped(&notification.text())}).to_string();
                Some(Outgoing { url: url.clone(), headers: vec![json_type], body })
            }
            Self::Webhook { url, secret } => {
                let body = webhook_body(notification);
                let seconds = now.0.div_euclid(1_000_000_000);
                let mut headers = vec![
                    json_type,
                    ("webhook-id", notification.id.clone()),
                    ("webhook-timestamp", seconds.to_string()),
                ];
                if let Some(secret) = secret {
                    headers.push(("webhook-signature", sign(secret, &notification.id, seconds, &body)));
                }
                Some(Outgoing { url: url.clone(), headers, body })
            }
        }
    }
}

/// What Slack would read as markup.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

fn webhook_body(notification: &Notification) -> String {
    let signals: Vec<Value> = notification
        .signals
        .iter()
        .map(|shown| serde_json::from_str(shown.signal.get()).unwrap_or(Value::Null))
        .collect();
    json!({
        "type": "signal.alert",
        "timestamp": UnixNanos(notification.decided_at).to_string(),
        "data": {
            "channel": notification.channel,
            "instrument": notification.instrument,
            "severity": notification.severity,
            "more": notification.more,
            "signals": signals,
        },
    })
    .to_string()
}

/// Standard Webhooks, symmetric: HMAC-SHA256 over `id.timestamp.body`, with the bytes behind `whsec_`, or with
/// those of the text where it has no such beginning.
fn sign(secret: &SecretString, id: &str, seconds: i64, body: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(&secret_bytes(secret.expose_secret()))
        .expect("HMAC takes keys of any length");
    mac.update(format!("{id}.{seconds}.{body}").as_bytes());
    format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
}

fn secret_bytes(text: &str) -> Vec<u8> {
    text.strip_prefix("whsec_")
        .and_then(|text| STANDARD.decode(text).ok())
        .unwrap_or_else(|| text.as_bytes().to_vec())
}

/// What the status of an answer means. `retry_after`: as the header says it.
pub fn answer(status: u16, retry_after: Option<&str>, now: UnixNanos) -> Answer {
    let after = retry_after.and_then(|text| wait_of(text, now));
    match status {
        200..=299 => Answer::Taken,
        408 | 425 | 429 | 500..=599 => Answer::Again { after, why: format!("answered {status}") },
        // Moved, forbidden, gone: who configured it has to look.
        _ => Answer::Refused(format!("answered {status}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signatures_are_those_of_the_standard() {
        // The example of the reference implementations (standardwebhooks.com, libraries).
        let secret = SecretString::from("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".to_owned());
        let body = r#"{"test": 2432232314}"#;
        let signature = sign(&secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, body);
        assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn answers_say_whether_to_try_again() {
        let again = |after: Option<u64>, status: u16| Answer::Again {
            after: after.map(Duration::from_secs),
            why: format!("answered {status}"),
        };
        let now = UnixNanos::parse_iso(b"2026-10-21T07:27:00Z").unwrap();
        let check = |status, retry_after, expected| assert_eq!(answer(status, retry_after, now), expected);
        check(204, None, Answer::Taken);
        check(429, Some(" 7 "), again(Some(7), 429));
        check(503, Some("Wed, 21 Oct 2026 07:28:00 GMT"), again(Some(60), 503));
        check(429, Some("soon"), again(None, 429));
        check(503, None, again(None, 503));
        for status in [301, 400, 403, 404, 410] {
            check(status, None, Answer::Refused(format!("answered {status}")));
        }
    }

    #[test]
    fn slack_reads_no_markup() {
        assert_eq!(escaped("a < b & <!channel>"), "a &lt; b &amp; &lt;!channel&gt;");
    }
}
