//! How the feed treats its clients: `[api.feed]` of the configuration, checked.

/// Limits of the feed. All are at least 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FeedConfig {
    /// Further clients are answered 503.
    pub clients_max: usize,
    /// Channels of subscriptions that one client may hold at once.
    pub subscriptions_max: usize,
    /// Messages that a client may send in a second, pings included, twice as many at once; who sends
    /// more is closed with 1008.
    pub requests_per_second: u32,
    /// A client with more messages waiting is too slow.
    pub backlog_messages_max: usize,
    /// Likewise, in bytes.
    pub backlog_bytes_max: usize,
    /// Of the log of told messages; the oldest go first.
    pub keep_bytes: u64,
}

impl Default for FeedConfig {
    fn default() -> Self {
        Self {
            clients_max: 4_096,
            subscriptions_max: 64,
            requests_per_second: 50,
            backlog_messages_max: 8_192,
            backlog_bytes_max: 4 << 20,
            keep_bytes: 1 << 30,
        }
    }
}
