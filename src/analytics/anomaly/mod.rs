//! Anomaly detectors: one file each, one line each in [`DETECTORS`].

pub mod detector;
pub mod robust_z;

use crate::analytics::anomaly::detector::DetectorEntry;

/// Every detector, in order of name.
pub static DETECTORS: &[DetectorEntry] = &[robust_z::ENTRY];
