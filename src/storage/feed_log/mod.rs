//! What the feed has told, kept: every message but trades and indicators, under its number.
//!
//! Segments of append-only records and a file of reserved numbers, both in one folder. A record is in
//! the kernel before its message is sent, so that a kill loses nothing; fsync follows at each snapshot.

pub mod contents;
pub mod error;
mod index;
pub mod log;
mod numbers;
pub mod reader;
pub mod record;
mod segment;
