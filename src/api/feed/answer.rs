//! What the server says beside messages: acknowledgements, errors, heartbeats, gaps. None of them takes a
//! number.

use crate::api::feed::channel::Channel;
use crate::api::feed::frame;
use crate::api::feed::request::Refusal;
use crate::domain::shape;
use crate::domain::time::UnixNanos;

/// `seq`: messages above it follow.
pub fn subscribed(id: &str, channels: &[Channel], seq: u64) -> Vec<u8> {
    let channels: Vec<_> = channels.iter().map(|channel| format!("\"{}\"", channel.name())).collect();
    let channels = channels.join(",");
    text(&format!(r#"{{"type":"subscribed","id":{id},"channels":[{channels}],"seq":{seq}}}"#))
}

pub fn unsubscribed(id: &str) -> Vec<u8> {
    text(&format!(r#"{{"type":"unsubscribed","id":{id}}}"#))
}

pub fn pong(id: &str) -> Vec<u8> {
    text(&format!(r#"{{"type":"pong","id":{id}}}"#))
}

pub fn error(refusal: &Refusal) -> Vec<u8> {
    let mut message = Vec::new();
    shape::text(&refusal.message, &mut message);
    let mut out =
        format!(r#"{{"type":"error","id":{},"code":"{}","message":"#, refusal.id, refusal.code).into_bytes();
    out.extend_from_slice(&message);
    out.push(b'}');
    frame::text(&out)
}

/// `seq`: nothing up to it is still to come.
pub fn heartbeat(at: UnixNanos, seq: u64) -> Vec<u8> {
    text(&format!(r#"{{"type":"heartbeat","at":"{at}","seq":{seq}}}"#))
}

/// A hole in the feed itself: none of these numbers, both included, will come.
pub fn gap(from_seq: u64, to_seq: u64, reason: &str) -> Vec<u8> {
    text(&format!(r#"{{"type":"gap","from_seq":{from_seq},"to_seq":{to_seq},"reason":"{reason}"}}"#))
}

/// Why numbers do not come.
pub mod reason {
    /// The client did not read them in time.
    pub const SLOW_CLIENT: &str = "slow_client";
    /// They are no longer kept.
    pub const NOT_KEPT: &str = "not_kept";
    /// The feed itself was overrun.
    pub const OVERLOAD: &str = "overload";
}

fn text(text: &str) -> Vec<u8> {
    frame::text(text.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(frame: &[u8], expected: &str) {
        let text = str::from_utf8(&frame[2..]).unwrap();
        assert_eq!(text, expected);
        serde_json::from_str::<serde_json::Value>(text).unwrap();
    }

    #[test]
    fn answers_are_json() {
        check(
            &subscribed("1", &[Channel::Signals, Channel::Gaps], 9),
            r#"{"type":"subscribed","id":1,"channels":["signals","gaps"],"seq":9}"#,
        );
        check(&unsubscribed("\"a\""), r#"{"type":"unsubscribed","id":"a"}"#);
        check(&pong("3"), r#"{"type":"pong","id":3}"#);
        check(
            &error(&Refusal::new("null", "bad_request", "no \"op\"")),
            r#"{"type":"error","id":null,"code":"bad_request","message":"no \"op\""}"#,
        );
        check(
            &heartbeat(UnixNanos(1_714_521_600_000_000_000), 5),
            r#"{"type":"heartbeat","at":"2024-05-01T00:00:00Z","seq":5}"#,
        );
        check(
            &gap(3, 7, reason::SLOW_CLIENT),
            r#"{"type":"gap","from_seq":3,"to_seq":7,"reason":"slow_client"}"#,
        );
    }
}
