//! Indicators over closed candles, one file each. To add one: write its file, add its line here.

use crate::analytics::indicator::Entry;

pub mod sma;

/// Every indicator, in order of name.
pub const ENTRIES: &[Entry] = &[sma::ENTRY];
