//! How good forecasts were: scores as sums that grow with each outcome, and tests of whether a difference
//! could be chance.
//!
//! Every score has a `state()` for models that are scored while they run; `diebold_mariano::test` and the
//! like take whole series at once.

pub mod diebold_mariano;
pub mod direction;
pub mod distribution;
pub mod interval;
pub mod point;
pub mod variance;
