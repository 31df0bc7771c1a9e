//! How many standard deviations the close lies above the mean of its window.
//!
//! `(close - mean) / deviation` over the last `period` closes, the newest included, with the
//! deviation of the population as in `stddev` and `bollinger`: at most `sqrt(period - 1)`
//! either way. No value where all closes of the window are equal. Amortised O(1) a bar.

use crate::analytics::indicator::{Entry, Needs, Parameter, any, keeping};
use crate::analytics::rolling::moments::Moments;

pub const ENTRY: Entry = Entry {
    name: "zscore",
    summary: "distance of the close from its mean, in standard deviations",
    parameters: &[Parameter::period("period", 20, 2)],
    outputs: &["value"],
    warm_up: |arguments| arguments.period(0),
    check: any,
    build: |arguments| {
        keeping(Moments::<2>::new(arguments.period(0)), Moments::state, |closes, bar| {
            closes.push(bar.close);
            let (deviation, variance) = closes.deviation_and_variance(bar.close);
            (closes.is_full() && variance > 0.0).then(|| [deviation / variance.sqrt()])
        })
    },
    needs: Needs::Prices,
};

#[cfg(test)]
mod tests {
    use crate::analytics::indicators::stddev::naive::mean_deviation_above;
    use crate::analytics::indicators::trial::{check_within, closes, run};

    #[test]
    fn equals_the_recomputation() {
        for period in [3, 20] {
            check_within(&format!("zscore({period})"), 1e-12, |bars| {
                let (_, deviation, above) = mean_deviation_above(bars, period)?;
                (deviation > 0.0).then(|| vec![above / deviation])
            });
        }
    }

    #[test]
    fn a_plain_has_no_score() {
        assert_eq!(run("zscore(3)", &closes(&[0.1; 5])), vec![None; 5]);
        assert_eq!(run("zscore(2)", &closes(&[1.0, 3.0, 2.0]))[1..], [Some(vec![1.0]), Some(vec![-1.0])]);
    }
}
