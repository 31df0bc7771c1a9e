//! QuestDB: everything that is told, trades too, as rows of tables that tapewatch makes and checks.
//!
//! Rows are encoded once, as line protocol; the same bytes are sent until they are acknowledged, from memory
//! while the server answers, from a spool on disk while it does not. Rows name themselves (deduplication by
//! keys), so that sending one twice changes nothing, and there is one writer, so that revisions of
//! a row arrive in order.

pub mod chunk;
pub mod client;
pub mod delivery;
pub mod encoder;
pub mod gap_places;
pub mod kept;
pub mod newer;
pub mod open_forecasts;
pub mod schema;
pub mod sink;
pub mod visibility;
