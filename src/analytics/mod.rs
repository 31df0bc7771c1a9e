//! What is computed: pure, still, the same bytes for the same events.
//!
//! No clock, no randomness, no iteration over hash maps, no logging, no `async`; floats only
//! through exact operations and `libm`.

pub mod across;
pub mod ahead;
pub mod anomaly;
pub mod archive;
pub mod before;
pub mod candles;
pub mod catalogue;
pub mod desk;
pub mod estimators;
pub mod features;
pub mod forecast;
pub mod gaps;
pub mod indicator;
pub mod indicator_set;
pub mod indicators;
pub mod information;
pub mod intelligence;
pub mod ledger;
pub mod orderflow;
pub mod pipeline;
pub mod quiet;
pub mod quiet_close;
pub mod revision;
pub mod ring;
pub mod rolling;
pub mod row;
pub mod rows;
pub mod series;
pub mod signals;
pub mod sums;
