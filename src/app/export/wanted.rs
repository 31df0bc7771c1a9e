//! What is written of a source, and what is left out.

use crate::domain::instrument::Instrument;
use crate::domain::time::UnixNanos;

/// As the command line says it.
pub struct Wanted<'a> {
    /// None at all: every one.
    pub instruments: &'a [Instrument],
    pub from: Option<UnixNanos>,
    pub until: Option<UnixNanos>,
}

impl Wanted<'_> {
    pub fn instrument(&self, instrument: &Instrument) -> bool {
        self.instruments.is_empty() || self.instruments.contains(instrument)
    }

    pub fn at(&self, at: UnixNanos) -> bool {
        self.from.is_none_or(|from| at >= from) && self.until.is_none_or(|until| at < until)
    }
}
