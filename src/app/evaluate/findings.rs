//! What was found of what was put into a recording, and what else was told meanwhile.

use std::iter::Sum;

/// How much of something was found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Found {
    pub found: u64,
    pub staged: u64,
}

impl Found {
    pub fn recall(self) -> Option<f64> {
        (self.staged > 0).then(|| self.found as f64 / self.staged as f64)
    }
}

impl<'a> Sum<&'a Self> for Found {
    fn sum<I: Iterator<Item = &'a Self>>(all: I) -> Self {
        all.fold(Self::default(), |sum, one| Self {
            found: sum.found + one.found,
            staged: sum.staged + one.staged,
        })
    }
}

/// What was told at one spacing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Alerts {
    pub all: u64,
    /// Of those, what was no part of what was put in.
    pub outside: u64,
    /// Candles from the beginning of what was found to the alert, summed.
    pub delay: u64,
}

impl Alerts {
    pub fn precision(self) -> Option<f64> {
        (self.all > 0).then(|| (self.all - self.outside) as f64 / self.all as f64)
    }

    /// Candles on the mean; `found`: what the delays were summed of.
    pub fn mean_delay(self, found: Found) -> Option<f64> {
        (found.found > 0).then(|| self.delay as f64 / found.found as f64)
    }
}
