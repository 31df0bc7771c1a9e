//! What of storage can be configured: `[storage.embedded]`, `[storage.questdb]`.

use std::time::Duration;

use secrecy::SecretString;

#[derive(Clone, Debug)]
pub struct StorageConfig {
    pub embedded: EmbeddedConfig,
    pub questdb: QuestDbConfig,
}

/// The store that needs no server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EmbeddedConfig {
    pub enabled: bool,
    /// Rows older than this go; reckoned from the newest row, or from now where that is earlier.
    pub keep: Duration,
}

impl EmbeddedConfig {
    /// Less is no history.
    pub const KEEP_MIN: Duration = Duration::from_secs(3_600);
}

impl Default for EmbeddedConfig {
    fn default() -> Self {
        Self { enabled: true, keep: Duration::from_secs(90 * 86_400) }
    }
}

/// A server of QuestDB.
#[derive(Clone, Debug)]
pub struct QuestDbConfig {
    pub enabled: bool,
    /// `host:port`.
    pub http_address: String,
    /// Name and password.
    pub login: Option<(String, SecretString)>,
    pub partition_by: PartitionBy,
    /// TTL of the tables, a multiple of the partition; `None`: rows stay.
    pub keep: Option<Duration>,
    pub spool_bytes: u64,
}

impl QuestDbConfig {
    pub const SPOOL_BYTES_MIN: u64 = 64 << 20;
}

impl Default for QuestDbConfig {
    fn default() -> Self {
        Self {
            enabled: false,
            http_address: "127.0.0.1:9000".to_owned(),
            login: None,
            partition_by: PartitionBy::Day,
            keep: None,
            spool_bytes: 10_000_000_000,
        }
    }
}

/// How QuestDB parts its tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PartitionBy {
    Hour,
    Day,
    Week,
    Month,
}

impl PartitionBy {
    pub const ALL: [Self; 4] = [Self::Hour, Self::Day, Self::Week, Self::Month];

    pub fn name(self) -> &'static str {
        match self {
            Self::Hour => "hour",
            Self::Day => "day",
            Self::Week => "week",
            Self::Month => "month",
        }
    }

    /// `None`: it has no fixed length.
    pub fn length(self) -> Option<Duration> {
        let hours = match self {
            Self::Hour => 1,
            Self::Day => 24,
            Self::Week => 168,
            Self::Month => return None,
        };
        Some(Duration::from_secs(hours * 3_600))
    }
}
