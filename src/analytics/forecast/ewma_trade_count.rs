//! The number of trades by an exponentially weighted mean of its logarithm.

use crate::analytics::forecast::ewma_volume::{EwmaFlow, WARM_UP};
use crate::analytics::forecast::forecaster::ForecasterEntry;
use crate::analytics::forecast::ground::FlowKind;
use crate::domain::insight::Target;

pub const ENTRY: ForecasterEntry = ForecasterEntry {
    name: "ewma_trade_count",
    version: 1,
    summary: "the exponentially weighted mean of the trade count's logarithm",
    target: Target::TradeCount,
    is_baseline: false,
    warm_up: WARM_UP,
    build: |course| Box::new(EwmaFlow::new(FlowKind::Trades, course)),
};
