//! Accumulation/distribution line: volume, weighted with where in its range a candle closed,
//! added up. It never restarts.
//!
//! The weight is 1 for a close at the high, -1 at the low, 0 for a candle without range.
//! Source: M. Chaikin, as in S. Achelis, "Technical Analysis from A to Z" (2000). Equals
//! TA-Lib's `AD`, but does not drift as the line grows long. O(1) a bar.

use crate::analytics::indicator::{Bar, Entry, Needs, any, keeping};
use crate::analytics::rolling::sum::Total;

pub const ENTRY: Entry = Entry {
    name: "ad",
    summary: "accumulation/distribution line, without restart",
    parameters: &[],
    outputs: &["value"],
    warm_up: |_| 1,
    check: any,
    build: |_| {
        keeping(Total::default(), Total::state, |total, bar| {
            total.add(money_flow(bar));
            Some([total.value()])
        })
    },
    needs: Needs::Amounts,
};

/// Volume, weighted with where between low (-1) and high (1) the candle closed.
#[inline]
pub fn money_flow(bar: &Bar<'_>) -> f64 {
    let range = bar.high - bar.low;
    if range > 0.0 { ((bar.close - bar.low) - (bar.high - bar.close)) / range * bar.volume } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use crate::analytics::indicators::trial::{bar, check_within, run};

    #[test]
    fn equals_the_recomputation() {
        // Flows of either sign cancel.
        check_within("ad", 1e-11, |bars| {
            let weight = |high: f64, low: f64, close: f64| {
                if high > low { (2.0 * close - low - high) / (high - low) } else { 0.0 }
            };
            Some(vec![bars.iter().map(|bar| bar.volume * weight(bar.high, bar.low, bar.close)).sum()])
        });
    }

    #[test]
    fn the_close_decides() {
        let bars = [[2.0, 4.0, 1.0, 4.0], [4.0, 5.0, 3.0, 3.0], [3.0, 4.0, 2.0, 3.0], [3.0; 4]];
        let bars: Vec<_> =
            bars.iter().enumerate().map(|(i, prices)| bar(i, *prices, 10.0 + i as f64)).collect();
        let values: Vec<_> = run("ad", &bars).into_iter().map(|is| is.unwrap()[0]).collect();
        assert_eq!(values, [10.0, -1.0, -1.0, -1.0]);
    }
}
