//! The comparison across venues, beside the running shards: a sink of closed candles, a thread, a log of its own.
//!
//! The candles that shards tell come in whatever order the threads make; they are compared in the order in which they
//! stand in the comparison's own [`log`], written before anything follows from them. What is found goes to the
//! instrument's shard, into that instrument's log ([`stage`]), and from there on it is an event like any other.
//!
//! After a kill the comparison is what its snapshot and its log make of it; candles that it had not written down are told
//! again by the start, for no snapshot of a shard counts before the candles behind it are written down here; and what it had
//! found and not handed over is found again. An instrument takes nothing twice: it knows up to which candle it was told.

pub mod log;
pub mod sink;
pub mod stage;
