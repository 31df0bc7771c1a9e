//! Indicators over closed candles, one file each. To add one: write its file, add its line here.

use crate::analytics::indicator::Entry;

pub mod adx;
pub mod atr;
pub mod autocorrelation;
pub mod bollinger;
pub mod donchian;
pub mod garman_klass;
pub mod hurst;
pub mod ichimoku;
pub mod keltner;
pub mod kurtosis;
pub mod linreg;
pub mod natr;
pub mod parkinson;
pub mod psar;
pub mod realized_volatility;
pub mod returns;
pub mod rogers_satchell;
pub mod skew;
pub mod sma;
pub mod stddev;
pub mod supertrend;
#[cfg(test)]
pub mod trial;
pub mod yang_zhang;
pub mod zscore;

/// Every indicator, in order of name.
pub const ENTRIES: &[Entry] = &[
    adx::ENTRY,
    atr::ENTRY,
    autocorrelation::ENTRY,
    bollinger::ENTRY,
    donchian::ENTRY,
    garman_klass::ENTRY,
    hurst::ENTRY,
    ichimoku::ENTRY,
    keltner::ENTRY,
    kurtosis::ENTRY,
    linreg::ENTRY,
    natr::ENTRY,
    parkinson::ENTRY,
    psar::ENTRY,
    realized_volatility::ENTRY,
    returns::ENTRY,
    rogers_satchell::ENTRY,
    skew::ENTRY,
    sma::ENTRY,
    stddev::ENTRY,
    supertrend::ENTRY,
    yang_zhang::ENTRY,
    zscore::ENTRY,
];
