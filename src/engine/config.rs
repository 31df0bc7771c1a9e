//! How the live engine runs; what it computes stands in [`Settings`](crate::analytics::pipeline::Settings).

use std::time::Duration;

use crate::journal::retention::Keep;

/// Between two ticks of a shard: part of what a journal means, so nobody sets it.
pub const TICK_EVERY: Duration = Duration::from_millis(100);

/// The live engine's own settings, as its configuration has checked them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LiveConfig {
    /// Events that wait for one symbol; those that come to a full inbox are read from the journal. 16 to 1,048,576.
    pub inbox_capacity: usize,
    /// Between two snapshots of a partition. 1 s to 1 h.
    pub snapshot_interval: Duration,
    /// How long a stop waits for what is in flight. 1 s to 10 min.
    pub drain_deadline: Duration,
    /// Between two fsyncs of the journal: what a loss of power may cost. 1 ms to 1 min.
    pub sync_interval: Duration,
    /// How much of the journal is kept once snapshots cover it.
    pub keep: Keep,
}

impl Default for LiveConfig {
    fn default() -> Self {
        Self {
            inbox_capacity: 4_096,
            snapshot_interval: Duration::from_secs(60),
            drain_deadline: Duration::from_secs(10),
            sync_interval: Duration::from_millis(10),
            keep: Keep { age: None, bytes: None },
        }
    }
}
