//! The composition root: the command line, the configuration, and what each command puts together.

pub mod alerts;
pub mod backfill;
pub mod check;
pub mod cli;
pub mod config;
pub mod demo;
pub mod evaluate;
pub mod export;
mod export_store;
pub mod generate;
pub mod import;
pub mod inputs;
pub mod keys;
pub mod latency;
pub mod layers;
pub mod live;
pub mod logging;
pub mod market_tape;
pub mod outcome;
pub mod probe;
pub mod quantity;
pub mod record;
pub mod replay;
pub mod simulate;
pub mod venue_arguments;
pub mod verify;
pub mod watching;
