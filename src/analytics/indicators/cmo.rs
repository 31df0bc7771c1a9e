//! Chande momentum oscillator: average gain less average loss, by their sum; -100 to 100.
//!
//! Source: T. Chande and S. Kroll, "The New Technical Trader" (1994), with averages smoothed
//! as Wilder does, as in TA-Lib's `CMO`, which it equals (theirs are plain sums: TA-Lib's
//! `CMOU`). Silent for `period` bars, 0 where no close ever changed. O(1) a bar.

use crate::analytics::indicator::{Entry, Needs, Parameter, any, keeping};
use crate::analytics::rolling::gains::Gains;

pub const ENTRY: Entry = Entry {
    name: "cmo",
    summary: "Chande momentum oscillator, -100 to 100",
    parameters: &[Parameter::period("period", 14, 2)],
    outputs: &["value"],
    warm_up: |arguments| arguments.period(0) + 1,
    check: any,
    build: |arguments| {
        keeping(Gains::new(arguments.period(0)), Gains::state, |gains, bar| {
            let (gain, loss) = gains.push(bar.close)?;
            let total = gain + loss;
            Some([if total > 0.0 { 100.0 * ((gain - loss) / total) } else { 0.0 }])
        })
    },
    needs: Needs::Prices,
};

#[cfg(test)]
mod tests {
    use crate::analytics::indicators::trial::{check_within, closes, closing, run};
    use crate::analytics::rolling::gains::naive::gains;

    #[test]
    fn equals_the_recomputation() {
        for period in [2, 14] {
            // Gains and losses cancel.
            check_within(&format!("cmo({period})"), 1e-11, |bars| {
                let (gain, loss) = *gains(&closing(bars), period).last()?;
                Some(vec![if gain + loss == 0.0 { 0.0 } else { 100.0 * (gain - loss) / (gain + loss) }])
            });
        }
    }

    #[test]
    fn one_way_streets_and_plains() {
        let last = |list: &[f64]| run("cmo(3)", &closes(list)).pop().unwrap();
        assert_eq!(last(&[1.0, 2.0, 3.0, 4.0, 5.0]), Some(vec![100.0]));
        assert_eq!(last(&[5.0, 4.0, 3.0, 2.0, 1.0]), Some(vec![-100.0]));
        assert_eq!(last(&[0.1; 9]), Some(vec![0.0]));
    }
}
