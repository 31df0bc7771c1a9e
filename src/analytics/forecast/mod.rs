//! Forecasters: one file each, one line each in [`FORECASTERS`].

pub mod ewma_variance;
pub mod forecaster;

use crate::analytics::forecast::forecaster::ForecasterEntry;

/// Every forecaster, in order of name.
pub static FORECASTERS: &[ForecasterEntry] = &[ewma_variance::ENTRY];
