//! Order flow over closed candles: who pressed, how large, how fast, at what cost. One file each;
//! to add one: write its file, add its line here.
//!
//! All of it is a function of the sequence of closed candles, never of the order in which trades
//! came, so that late trades converge. Candles that do not say what a statistic needs (ready
//! ones without taker volumes) bring no value and stay outside of its window; volume whose
//! taker is unknown counts to neither side. Where the parameter is a `period`, 1 means: of each
//! candle by itself.

use crate::analytics::indicator::Entry;

pub mod amihud;
#[cfg(test)]
mod bars;
pub mod cvd;
pub mod delta;
pub mod flow_autocorrelation;
pub mod inter_arrival;
pub mod kyle_lambda;
pub mod large_trade_share;
pub mod taker_split;
pub mod trade_rate;
pub mod trade_size;
pub mod vpin;

/// Every order-flow statistic, in order of name.
pub const ENTRIES: &[Entry] = &[
    amihud::ENTRY,
    cvd::ENTRY,
    delta::ENTRY,
    flow_autocorrelation::ENTRY,
    inter_arrival::ENTRY,
    kyle_lambda::ENTRY,
    large_trade_share::ENTRY,
    taker_split::ENTRY,
    trade_rate::ENTRY,
    trade_size::ENTRY,
    vpin::ENTRY,
];
