//! The number of trades by autoregression in logarithms.

use crate::analytics::forecast::ar_volume::{ArFlow, WARM_UP};
use crate::analytics::forecast::forecaster::ForecasterEntry;
use crate::analytics::forecast::ground::FlowKind;
use crate::domain::insight::Target;

pub const ENTRY: ForecasterEntry = ForecasterEntry {
    name: "ar_trade_count",
    version: 1,
    summary: "trade count from the last candles, their means and the range, by recursive least squares in logarithms",
    target: Target::TradeCount,
    is_baseline: false,
    warm_up: WARM_UP,
    build: |course| Box::new(ArFlow::new(FlowKind::Trades, course)),
};
