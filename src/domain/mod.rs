//! The nouns: what every other room speaks of, exact and without behaviour of its own.

pub mod candle;
pub mod closed;
pub mod data_state;
pub mod decimal;
pub mod divergence;
pub mod event;
pub mod fields;
pub mod frame;
pub mod insight;
pub mod instrument;
pub mod interval;
pub mod json;
pub mod output;
pub mod scan;
pub mod shape;
pub mod standing;
pub mod symbol;
pub mod tally;
pub mod time;
pub mod told;
pub mod venue;
