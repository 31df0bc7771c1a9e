//! Signal rules: one file each, one line each in [`RULES`].

pub mod data_quality;
pub mod rule;
pub mod volume_burst;

use crate::analytics::signals::rule::RuleEntry;

/// Every rule, in order of name.
pub static RULES: &[RuleEntry] = &[data_quality::ENTRY, volume_burst::ENTRY];
