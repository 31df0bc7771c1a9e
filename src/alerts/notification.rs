//! One alert for one channel, as it is kept in the outbox and sent.

use std::fmt::Write;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::alerts::policy::Group;
use crate::domain::insight::Severity;
use crate::domain::time::UnixNanos;

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Notification {
    /// The same for every try, and after a restart: a hash of the channel and its signals.
    pub id: String,
    pub channel: String,
    pub instrument: String,
    /// Of the worst signal.
    pub severity: String,
    /// When it was decided, in nanoseconds since 1970.
    pub decided_at: i64,
    pub signals: Vec<Shown>,
    /// Signals that are not shown: too many, or too soon after an alert.
    pub more: u64,
}

/// One signal of an alert.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Shown {
    pub severity: String,
    pub name: String,
    pub message: String,
    /// The whole signal.
    pub signal: Box<RawValue>,
}

impl Notification {
    pub fn new(group: &Group, decided_at: UnixNanos) -> Self {
        let mut hasher = blake3::Hasher::new();
        hasher.update(group.channel.as_bytes());
        for key in &group.keys {
            hasher.update(&key.signal.to_le_bytes());
        }
        let worst = group.subjects.iter().map(|subject| subject.severity).max().unwrap_or(Severity::Info);
        Self {
            id: format!("msg_{}", &hasher.finalize().to_hex()[..32]),
            channel: group.channel.clone(),
            instrument: group.instrument.clone(),
            severity: worst.name().to_owned(),
            decided_at: decided_at.0,
            signals: group
                .subjects
                .iter()
                .map(|subject| Shown {
                    severity: subject.severity.name().to_owned(),
                    name: subject.name.clone(),
                    message: subject.message.clone(),
                    signal: RawValue::from_string(subject.json.clone()).expect("signals are written as JSON"),
                })
                .collect(),
            more: group.more,
        }
    }

    /// For people: one line a signal.
    pub fn text(&self) -> String {
        let mut out = format!("[{}] {}", self.severity, self.instrument);
        for shown in &self.signals {
            // Writing to a string cannot fail.
            let _ = write!(out, "\n{} ({}): {}", shown.name, shown.severity, shown.message);
        }
        if self.more > 0 {
            let _ = write!(out, "\nand {} more", self.more);
        }
        out
    }
}
