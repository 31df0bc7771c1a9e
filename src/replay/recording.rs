//! A recording: a file, an entry of an archive, or the directory of a journal, as a stream of events.

use crate::domain::event::Event;
use crate::domain::output::Position;
use crate::replay::roster::InstrumentIndex;

/// One event of a recording, and where it stands.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    pub instrument: InstrumentIndex,
    pub event: Event,
    /// File and line, as [`position`] packs them.
    pub position: Position,
}

/// Why the inputs of a run cannot be read, or not further.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InputError {
    /// The input, or what was said of it, is not what it should be: exit code 2. Names file, line and
    /// what is allowed.
    #[error("{0}")]
    Refused(String),
    /// Reading failed, or too much had to be skipped: exit code 1.
    #[error("{0}")]
    Failed(String),
}

const LINE_BITS: u32 = 48;

/// Recordings that one run can number.
pub const FILES_MAX: usize = 1 << (64 - LINE_BITS);

/// The file, by its number in the run, in the upper 16 bits; the line of its (unpacked) text, from 1, or the
/// number of its record, in the lower 48.
#[inline]
pub fn position(file: u16, line: u64) -> Position {
    Position(u64::from(file) << LINE_BITS | (line & ((1 << LINE_BITS) - 1)))
}

/// The inverse of [`position`].
#[inline]
pub fn file_and_line(position: Position) -> (u16, u64) {
    ((position.0 >> LINE_BITS) as u16, position.0 & ((1 << LINE_BITS) - 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_keep_file_and_line() {
        for (file, line) in [(0, 0), (0, 1), (1, 1), (u16::MAX, (1 << 48) - 1)] {
            assert_eq!(file_and_line(position(file, line)), (file, line));
        }
        assert!(position(0, u64::MAX) < position(1, 0));
    }
}
