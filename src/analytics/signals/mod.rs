//! Signal rules: one file each, one line each in [`RULES`].

pub mod anomaly;
pub mod average_cross;
pub mod breakout;
pub mod data_quality;
pub mod direction;
pub mod entry;
pub mod facts;
pub mod interval_breach;
pub mod mean_reversion;
pub mod pace;
pub mod parameter;
pub mod record;
pub mod returns;
pub mod rule;
#[cfg(test)]
pub mod trial;
pub mod volatility_regime;
pub mod volume_burst;

use crate::analytics::signals::entry::RuleEntry;

/// Every rule, in order of name.
pub static RULES: &[RuleEntry] = &[
    anomaly::ENTRY,
    average_cross::ENTRY,
    breakout::ENTRY,
    data_quality::ENTRY,
    direction::ENTRY,
    interval_breach::ENTRY,
    mean_reversion::ENTRY,
    volatility_regime::ENTRY,
    volume_burst::ENTRY,
];
