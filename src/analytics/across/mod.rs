//! Across instruments: the second stage, which compares what single pipelines cannot.
//!
//! A pipeline sees one instrument. What takes several is fed by their closed candles, in order of close and
//! instrument ([`group`]), and what it finds about one of them goes back into that one's log as an event: so each log
//! alone replays to the same bytes, and the comparison is never made twice.

pub mod comparison;
pub mod divergence;
pub mod found;
pub mod group;
pub mod market;
pub mod plan;
