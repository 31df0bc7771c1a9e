//! The store that needs no server: SQLite, one file, one writer thread.

pub mod audit;
pub mod row;
pub mod schema;
pub mod sink;
pub mod store;
