//! Where a person finds what was refused: frames, trades and events, with the reason.

use crate::domain::time::UnixNanos;

/// Longest piece of foreign text that is kept of one refusal.
pub const TEXT_CHARS_MAX: usize = 4_096;

/// One thing that was set aside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quarantined {
    pub received_at: UnixNanos,
    /// Name of the venue.
    pub venue: String,
    /// Field, text and why.
    pub reason: String,
    /// What came, cut to [`TEXT_CHARS_MAX`].
    pub text: String,
}

/// Keeps what was refused. `put` returns at once: an implementation has a bounded queue, and counts what
/// it cannot keep.
pub trait Quarantine: Send + Sync {
    fn put(&self, item: Quarantined);
}

/// Keeps nothing: for commands that print refusals themselves.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoQuarantine;

impl Quarantine for NoQuarantine {
    fn put(&self, _item: Quarantined) {}
}
