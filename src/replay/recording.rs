//! A recording: a file, or a directory of a journal, as a stream of events.

use crate::domain::event::Event;
use crate::replay::roster::InstrumentIndex;

/// One event of a recording, and where it stands there.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    pub instrument: InstrumentIndex,
    pub event: Event,
    /// Line of the (unpacked) text, from 1, or number of the record.
    pub line: u64,
}
