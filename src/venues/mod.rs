//! Venues: one dialect a file, one line each in [`PARSERS`].
//!
//! Frame parsers are pure: text in, trades out or why not. Feeds that can be watched live are listed in
//! `dialects/`.

pub mod binance;
pub mod bitfinex;
pub mod bitstamp;
pub mod bybit;
pub mod clerk;
pub mod coinbase;
pub mod config;
pub mod crypto_com;
pub mod deribit;
pub mod desk;
pub mod dialect;
pub mod dialects;
pub mod edge;
mod elements;
pub mod error;
pub mod gap_book;
pub mod gate;
pub mod gemini;
pub mod history;
pub mod htx;
pub mod hyperliquid;
pub mod judgement;
pub mod kraken;
pub mod kucoin;
pub mod line;
pub mod okx;
pub mod pacer;
pub mod patience;
pub mod repair;
pub mod rest;
pub mod rhythm;
pub mod seam;
pub mod service;
pub mod simulator;
pub mod skew;
pub mod socket;
pub mod tap;
#[cfg(test)]
mod testing;

use crate::domain::frame::FrameParserEntry;

/// Every dialect. The first is that of frames which tell nothing of their venue.
pub static PARSERS: &[FrameParserEntry] = &[
    binance::ENTRY,
    coinbase::ENTRY,
    kraken::ENTRY,
    bybit::ENTRY,
    okx::ENTRY,
    bitstamp::ENTRY,
    bitfinex::ENTRY,
    gemini::ENTRY,
    kucoin::ENTRY,
    gate::ENTRY,
    crypto_com::ENTRY,
    htx::ENTRY,
    deribit::ENTRY,
    hyperliquid::ENTRY,
];
