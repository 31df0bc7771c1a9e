//! How the parts of the process are: what `/health/ready` and `/api/v1/status` tell.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::domain::time::UnixNanos;
use crate::runtime::clock;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Condition {
    /// Not up yet.
    Starting,
    Up,
    /// Works, but somebody should look.
    Degraded,
    Down,
}

impl Condition {
    pub fn name(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Up => "up",
            Self::Degraded => "degraded",
            Self::Down => "down",
        }
    }
}

/// One part.
#[derive(Clone, Debug)]
pub struct Part {
    pub condition: Condition,
    /// One plain sentence; empty where there is nothing to say.
    pub reason: String,
    /// Since when it is so.
    pub since: UnixNanos,
    /// Whether it was ever up: a part that was holds back readiness no more.
    pub was_up: bool,
}

/// All parts of the process, by name: `journal`, `api`, `venue:binance`, `sink:questdb`, `shard:0`; `symbol:NAME` where
/// one is parked, `listing:NAME` where a venue does not list one.
#[derive(Clone, Debug, Default)]
pub struct Health {
    parts: Arc<Mutex<BTreeMap<String, Part>>>,
}

impl Health {
    pub fn set(&self, part: &str, condition: Condition, reason: impl Into<String>) {
        let mut parts = self.parts.lock().unwrap_or_else(PoisonError::into_inner);
        let before = parts.get(part);
        let was_up = condition == Condition::Up || before.is_some_and(|part| part.was_up);
        let since =
            before.filter(|part| part.condition == condition).map_or_else(clock::now, |part| part.since);
        parts.insert(part.to_owned(), Part { condition, reason: reason.into(), since, was_up });
    }

    pub fn condition(&self, part: &str) -> Option<Condition> {
        self.parts.lock().unwrap_or_else(PoisonError::into_inner).get(part).map(|part| part.condition)
    }

    pub fn parts(&self) -> BTreeMap<String, Part> {
        self.parts.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether every part has been up.
    pub fn is_ready(&self) -> bool {
        let parts = self.parts.lock().unwrap_or_else(PoisonError::into_inner);
        !parts.is_empty() && parts.values().all(|part| part.was_up)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ready_once_every_part_was_up() {
        let health = Health::default();
        assert!(!health.is_ready());
        health.set("journal", Condition::Up, "");
        health.set("venue:binance", Condition::Starting, "connecting");
        assert!(!health.is_ready());
        health.set("venue:binance", Condition::Up, "");
        assert!(health.is_ready());
        health.set("venue:binance", Condition::Down, "connection lost");
        assert!(health.is_ready());
        assert_eq!(health.parts()["venue:binance"].reason, "connection lost");
    }
}
