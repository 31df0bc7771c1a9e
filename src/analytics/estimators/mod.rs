//! Streaming algorithms on plain numbers, one file each: what detectors and forecasters are made of.
//!
//! They know nothing of candles: numbers in, numbers out. Each names its source, learns in bounded memory, and
//! passes its state through one door. Where a reference implementation exists, values are held against it
//! in `tests/oracles_detect.rs`, `tests/oracles_forecast.rs` and `tests/oracles_nab.rs`.

pub mod aci;
pub mod adwin;
pub mod bocpd;
pub mod clipped_z;
pub mod day_profile;
pub mod elementary;
pub mod envelope;
pub mod error_rate_drift;
pub mod experts;
pub mod ftrl;
pub mod garch;
pub mod gaussian_scorer;
pub mod gpd;
pub mod half_space_trees;
pub mod holt_winters;
pub mod kalman_trend;
pub mod moments;
pub mod online_arima;
pub mod p2;
pub mod page_hinkley;
pub mod quantile_tracker;
pub mod random_cut_forest;
pub mod range_variance;
pub mod ridge;
pub mod risk_metrics;
pub mod rls;
pub mod scores;
pub mod split_mix;
pub mod spot;
pub mod tdigest;
