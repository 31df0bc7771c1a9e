//! Which segments of the feed log can be read, and how far: the writer keeps it, readers look.

use std::collections::VecDeque;

/// What can be read: shared with the readers.
#[derive(Debug, Default)]
pub(super) struct Index {
    pub segments: VecDeque<Segment>,
    /// Highest number that may have been in a segment that is gone; 0 while none is.
    pub dropped_through: u64,
}

#[derive(Clone, Debug)]
pub(super) struct Segment {
    pub first_seq: u64,
    /// No number above it is in the segment.
    pub last_seq: u64,
    /// Readable bytes.
    pub bytes: u64,
}
