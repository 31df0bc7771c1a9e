//! What the volatilities of ranges share: the root of the mean, over the last `period` bars, of a variance that each
//! bar estimates.

use crate::analytics::indicator::{Bar, Indicator, keeping};
use crate::analytics::rolling::fold::{Fold, Sums};

/// The indicator of `variance`, in the units of its root. No value where the mean is below zero. Amortised O(1) a bar.
pub fn keeping_mean(
    period: usize,
    variance: impl Fn(&Bar<'_>) -> f64 + Send + 'static,
) -> Box<dyn Indicator> {
    keeping(Fold::new(period), Fold::state, move |variances, bar| {
        variances.push(Sums([variance(bar)]));
        let [sum] = variances.total().0;
        (variances.is_full() && sum >= 0.0).then(|| [(sum / period as f64).sqrt()])
    })
}
