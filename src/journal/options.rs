//! How a journal is written.

use crate::journal::segment::SEGMENT_BYTES_MAX;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WriterOptions {
    /// Partitions of the journal: set when it is made, the same ever after. 1 to 65,536.
    pub partitions: u32,
    /// Above that of every writer before; `None` takes the next.
    pub generation: Option<u64>,
    /// At most [`SEGMENT_BYTES_MAX`].
    pub segment_bytes_max: usize,
    /// A block is written when the next event would make it longer. One event is never divided.
    pub block_bytes_max: usize,
    /// Whether a segment is synced before the next is begun. Without it a loss of power may leave a
    /// journal cut in the middle: for journals that can be made again (imports).
    pub sync_segments: bool,
}

impl Default for WriterOptions {
    fn default() -> Self {
        Self {
            partitions: 64,
            generation: None,
            segment_bytes_max: SEGMENT_BYTES_MAX,
            block_bytes_max: 64 << 10,
            sync_segments: true,
        }
    }
}
