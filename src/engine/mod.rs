//! The live engine: shards, one actor a symbol, the journal before everything, the bus behind it.
//!
//! A trade comes in at the [`router`], which journals it and puts it into its symbol's [`inbox`]; the
//! [`symbol_actor`] works that off and tells the [`bus`], which hands batches to the sinks. All of it
//! happens on the one thread of the symbol's [`shard`]. [`assembly`] starts and stops it.

pub mod across;
pub mod archive;
pub mod assembly;
pub mod bus;
pub mod config;
pub mod data_dir;
pub mod error;
pub mod inbox;
pub mod log;
pub mod quarantine;
pub mod reading;
pub mod recovery;
pub mod refill;
pub mod rerun;
pub mod returning;
pub mod router;
pub mod seat;
pub mod shard;
pub mod snapshotter;
pub mod supervision;
pub mod symbol;
pub mod symbol_actor;
pub mod verify;
