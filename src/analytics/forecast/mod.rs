//! Forecasters: one file each, one line each in [`FORECASTERS`]; and what judges and mixes them.

pub mod ar_trade_count;
pub mod ar_volume;
pub mod base_rate;
pub mod bounds;
pub mod direct;
pub mod drift;
pub mod ewma;
pub mod ewma_trade_count;
pub mod ewma_variance;
pub mod ewma_volume;
pub mod forecaster;
pub mod forecasts;
pub mod ftrl;
pub mod garch;
pub mod ground;
pub mod har;
pub mod holt_winters;
pub mod kalman_trend;
pub mod lane;
pub mod last_trade_count;
pub mod last_variance;
pub mod last_volume;
pub mod measure;
pub mod mixing;
pub mod online_arima;
pub mod panel;
pub mod path;
pub mod persistence;
pub mod record;
pub mod ridge;
pub mod risk_metrics;
pub mod rls_ar;
pub mod seasonal_naive;
pub mod slots;

use crate::analytics::forecast::forecaster::ForecasterEntry;

/// Every forecaster, in order of name.
pub static FORECASTERS: &[ForecasterEntry] = &[
    ar_trade_count::ENTRY,
    ar_volume::ENTRY,
    base_rate::ENTRY,
    drift::ENTRY,
    ewma::ENTRY,
    ewma_trade_count::ENTRY,
    ewma_variance::ENTRY,
    ewma_volume::ENTRY,
    ftrl::ENTRY,
    garch::ENTRY,
    har::ENTRY,
    holt_winters::ENTRY,
    kalman_trend::ENTRY,
    last_trade_count::ENTRY,
    last_variance::ENTRY,
    last_volume::ENTRY,
    online_arima::ENTRY,
    persistence::ENTRY,
    ridge::ENTRY,
    risk_metrics::ENTRY,
    rls_ar::ENTRY,
    seasonal_naive::ENTRY,
];
