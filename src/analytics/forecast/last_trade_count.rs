//! As many trades as in as many candles before: what every forecast of their number is held against.

use crate::analytics::forecast::forecaster::ForecasterEntry;
use crate::analytics::forecast::ground::FlowKind;
use crate::analytics::forecast::last_volume::LastFlow;
use crate::domain::insight::Target;

pub const ENTRY: ForecasterEntry = ForecasterEntry {
    name: "last_trade_count",
    version: 1,
    summary: "as many trades as in as many candles before; the baseline of trade counts",
    target: Target::TradeCount,
    is_baseline: true,
    warm_up: 1,
    build: |_| Box::new(LastFlow(FlowKind::Trades)),
};
