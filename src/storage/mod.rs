//! What is kept for reading: an embedded store, QuestDB, and history reads over them.

pub mod feed_log;
