//! Relative strength index: average gain by average gain and loss, 0 to 100.
//!
//! Source: J. W. Wilder, "New Concepts in Technical Trading Systems" (1978). Equals TA-Lib's
//! `RSI`: silent for `period` bars, 0 where no close ever changed. O(1) a bar.

use crate::analytics::indicator::{Entry, Needs, Parameter, any, keeping};
use crate::analytics::rolling::gains::Gains;

pub const ENTRY: Entry = Entry {
    name: "rsi",
    summary: "relative strength index, 0 to 100",
    parameters: &[Parameter::period("period", 14, 2)],
    outputs: &["value"],
    warm_up: |arguments| arguments.period(0) + 1,
    check: any,
    build: |arguments| {
        keeping(Gains::new(arguments.period(0)), Gains::state, |gains, bar| {
            Some([index(gains.push(bar.close)?)])
        })
    },
    needs: Needs::Prices,
};

/// The index of an average gain and loss.
#[inline]
pub fn index((gain, loss): (f64, f64)) -> f64 {
    let total = gain + loss;
    if total > 0.0 { 100.0 * (gain / total) } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use crate::analytics::indicators::trial::{check, closes, closing, run};
    use crate::analytics::rolling::gains::naive::gains;

    #[test]
    fn equals_the_recomputation() {
        for period in [2, 14] {
            check(&format!("rsi({period})"), |bars| {
                let (gain, loss) = *gains(&closing(bars), period).last()?;
                Some(vec![if gain + loss == 0.0 { 0.0 } else { 100.0 - 100.0 / (1.0 + gain / loss) }])
            });
        }
    }

    #[test]
    fn one_way_streets_and_plains() {
        let last = |list: &[f64]| run("rsi(3)", &closes(list)).pop().unwrap();
        assert_eq!(last(&[1.0, 2.0, 3.0, 4.0, 5.0]), Some(vec![100.0]));
        assert_eq!(last(&[5.0, 4.0, 3.0, 2.0, 1.0]), Some(vec![0.0]));
        assert_eq!(last(&[0.1; 9]), Some(vec![0.0]));
        assert_eq!(last(&[1.0, 2.0, 3.0]), None);
        assert!((last(&[1.0, 3.0, 2.0, 2.0]).unwrap()[0] - 200.0 / 3.0).abs() < 1e-12);
    }
}
