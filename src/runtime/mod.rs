//! What the moving parts live in: clock, latency, metrics, health, and the two doors of a shard.

pub mod backoff;
pub mod clock;
pub mod health;
pub mod intake;
pub mod latency;
pub mod metrics;
pub mod progress;
pub mod quarantine;
pub mod retry_after;
pub mod sink;
pub mod venue_clock;
