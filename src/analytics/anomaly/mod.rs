//! Anomaly detectors: one file each, one line each in [`DETECTORS`].

pub mod bocpd;
pub mod detector;
pub mod drift;
pub mod half_space_trees;
pub mod joint;
pub mod random_cut_forest;
pub mod rarity;
pub mod robust_z;
#[cfg(test)]
mod trial;

use crate::analytics::anomaly::detector::DetectorEntry;

/// Every detector, in order of name.
pub static DETECTORS: &[DetectorEntry] =
    &[bocpd::ENTRY, drift::ENTRY, half_space_trees::ENTRY, random_cut_forest::ENTRY, robust_z::ENTRY];
