//! summary.json: what a run read and found, in one object.

use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// Accepted distinct trades.
    pub trades: u64,
    /// Copies of trades that were known.
    pub duplicates: u64,
    /// Copies that differ from the first of their id.
    pub conflicting: u64,
    /// Accepted trades that came more than the grace period behind the newest one.
    pub late: u64,
    /// Inputs refused.
    pub quarantined: u64,
    /// Lines of gaps.jsonl.
    pub gaps: u64,
    /// Of them: filled by late trades since they were told.
    #[serde(default)]
    pub gaps_filled: u64,
    /// Data rows of candles.csv.
    pub candles: u64,
    /// Data rows of indicators.csv.
    pub indicators: u64,
    pub anomalies: u64,
    pub forecasts: u64,
    pub signals: u64,
    /// Of all rows but gaps and quarantine, hexadecimal.
    pub digest: String,
    pub elapsed_seconds: f64,
    pub trades_per_second: f64,
    /// Of tapewatch.
    pub version: String,
    /// Of the configuration that bears on the results, hexadecimal.
    pub config_digest: String,
}
