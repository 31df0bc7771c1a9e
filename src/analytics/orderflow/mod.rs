//! Order flow over closed candles: who pressed, how large, how fast, at what cost. One file each;
//! to add one: write its file, add its line here.

use crate::analytics::indicator::Entry;

/// Every order-flow statistic, in order of name.
pub const ENTRIES: &[Entry] = &[];
