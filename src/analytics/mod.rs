//! What is computed: pure, still, the same bytes for the same events.
//!
//! No clock, no randomness, no iteration over hash maps, no logging, no `async`; floats only
//! through exact operations and `libm`.

pub mod catalogue;
pub mod indicator;
pub mod indicators;
pub mod orderflow;
pub mod pipeline;
pub mod rolling;
