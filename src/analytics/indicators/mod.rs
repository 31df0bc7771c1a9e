//! Indicators over closed candles, one file each. To add one: write its file, add its line here.

use crate::analytics::indicator::Entry;

pub mod ad;
pub mod adx;
pub mod aroon;
pub mod atr;
pub mod autocorrelation;
pub mod bollinger;
pub mod cci;
pub mod cmf;
pub mod cmo;
pub mod dema;
pub mod donchian;
pub mod ema;
pub mod force_index;
pub mod garman_klass;
pub mod hma;
pub mod hurst;
pub mod ichimoku;
pub mod kama;
pub mod keltner;
pub mod kurtosis;
pub mod linreg;
pub mod macd;
pub mod mfi;
pub mod momentum;
pub mod natr;
pub mod obv;
pub mod parkinson;
pub mod ppo;
pub mod psar;
mod range_volatility;
pub mod realized_volatility;
pub mod returns;
pub mod rma;
pub mod roc;
pub mod rogers_satchell;
pub mod rolling_vwap;
pub mod rsi;
pub mod skew;
pub mod sma;
pub mod stddev;
pub mod stoch;
pub mod stoch_fast;
pub mod stochrsi;
pub mod supertrend;
pub mod tema;
#[cfg(test)]
pub mod trial;
pub mod trix;
pub mod ultimate_oscillator;
pub mod vwap;
pub mod vwma;
pub mod williams_r;
pub mod wma;
pub mod yang_zhang;
pub mod zscore;

/// Every indicator, in order of name.
pub const ENTRIES: &[Entry] = &[
    ad::ENTRY,
    adx::ENTRY,
    aroon::ENTRY,
    atr::ENTRY,
    autocorrelation::ENTRY,
    bollinger::ENTRY,
    cci::ENTRY,
    cmf::ENTRY,
    cmo::ENTRY,
    dema::ENTRY,
    donchian::ENTRY,
    ema::ENTRY,
    force_index::ENTRY,
    garman_klass::ENTRY,
    hma::ENTRY,
    hurst::ENTRY,
    ichimoku::ENTRY,
    kama::ENTRY,
    keltner::ENTRY,
    kurtosis::ENTRY,
    linreg::ENTRY,
    macd::ENTRY,
    mfi::ENTRY,
    momentum::ENTRY,
    natr::ENTRY,
    obv::ENTRY,
    parkinson::ENTRY,
    ppo::ENTRY,
    psar::ENTRY,
    realized_volatility::ENTRY,
    returns::ENTRY,
    rma::ENTRY,
    roc::ENTRY,
    rogers_satchell::ENTRY,
    rolling_vwap::ENTRY,
    rsi::ENTRY,
    skew::ENTRY,
    sma::ENTRY,
    stddev::ENTRY,
    stoch::ENTRY,
    stoch_fast::ENTRY,
    stochrsi::ENTRY,
    supertrend::ENTRY,
    tema::ENTRY,
    trix::ENTRY,
    ultimate_oscillator::ENTRY,
    vwap::ENTRY,
    vwma::ENTRY,
    williams_r::ENTRY,
    wma::ENTRY,
    yang_zhang::ENTRY,
    zscore::ENTRY,
];
