//! What servers answer that we write to, from any text: QuestDB, and whoever takes alerts.
//!
//! The first two bytes are the status; the rest is the body, or the header `Retry-After`.

use tapewatch::alerts::channel::{self, Answer};
use tapewatch::domain::time::UnixNanos;
use tapewatch::storage::questdb::client::{self, ClientError};

pub fn run(bytes: &[u8]) {
    let [high, low, text @ ..] = bytes else { return };
    let status = 100 + u16::from_be_bytes([*high, *low]) % 500;
    let text = String::from_utf8_lossy(text);
    match client::write_refused("127.0.0.1:9000", status, &text) {
        ClientError::Row { line, message } => assert!(line > 0 && message.chars().count() <= 300),
        error => assert!(error.to_string().chars().count() <= 400),
    }
    if let Err(error) = client::rows_of("127.0.0.1:9000", status, &text) {
        assert!(error.to_string().chars().count() <= 400);
    }
    match channel::answer(status, Some(&text), UnixNanos(1_714_521_600_000_000_000)) {
        Answer::Taken => assert!((200..300).contains(&status)),
        Answer::Again { why, .. } | Answer::Refused(why) => assert!(!why.is_empty()),
    }
}
