//! How large the trades of a candle were: counts and volume in logarithmic buckets.
//!
//! Adding is order-free and merging is adding, so the sizes of a candle with a late trade
//! equal those of the same trades in order. The relative width of a bucket bounds the error
//! of a quantile.

use crate::domain::decimal::Quantity;

/// Sizes of trades. Empty until the order-flow room fills it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SizeHistogram {}

impl SizeHistogram {
    /// Counts one trade.
    pub fn add(&mut self, _quantity: Quantity) {}

    pub fn merge(&mut self, _other: &Self) {}
}
