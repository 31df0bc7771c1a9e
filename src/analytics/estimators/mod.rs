//! Streaming algorithms on plain numbers, one file each: what detectors and forecasters are made of.
//!
//! They know nothing of candles: numbers in, numbers out, no allocation after they were built. Where a
//! reference implementation exists, values are held against it in `tests/oracles_forecast.rs`.

pub mod aci;
pub mod experts;
pub mod ftrl;
pub mod garch;
pub mod holt_winters;
pub mod kalman_trend;
pub mod online_arima;
pub mod quantile_tracker;
pub mod range_variance;
pub mod ridge;
pub mod risk_metrics;
pub mod rls;
pub mod scores;
