//! What is kept for reading: an embedded store, QuestDB, and history reads over them.

pub mod config;
pub mod cursor;
pub mod embedded;
pub mod error;
pub mod feed_log;
pub mod history;
pub mod pending;
pub mod progress;
pub mod questdb;
pub mod spool;
