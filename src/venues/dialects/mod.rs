//! The feeds that can be watched live: one file each, one line each.

pub mod binance;
mod body;
pub mod coinbase_advanced;
pub mod coinbase_exchange;

use crate::venues::dialect::{Dialect, DialectEntry};

/// Every feed; the first of a venue is its default.
pub static DIALECTS: &[DialectEntry] = &[binance::ENTRY, coinbase_advanced::ENTRY, coinbase_exchange::ENTRY];

/// The feed of that name, the venue's default where it is empty.
pub fn find(venue: &str, feed: &str) -> Option<Box<dyn Dialect>> {
    let entry =
        DIALECTS.iter().find(|entry| entry.venue == venue && (feed.is_empty() || entry.feed == feed))?;
    Some((entry.make)())
}
