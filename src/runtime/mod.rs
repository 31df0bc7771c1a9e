//! What the moving parts live in: the clock, and how far we are.

pub mod clock;
pub mod progress;
