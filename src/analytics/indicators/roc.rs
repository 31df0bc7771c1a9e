//! Rate of change: the close against that of `period` bars before, in percent.
//!
//! Equals TA-Lib's `ROC`: silent for `period` bars. O(1) a bar.

use crate::analytics::indicator::{Entry, Needs, Parameter, any, keeping};
use crate::analytics::rolling::window::Window;

pub const ENTRY: Entry = Entry {
    name: "roc",
    summary: "change of the close in percent",
    parameters: &[Parameter::period("period", 10, 1)],
    outputs: &["value"],
    warm_up: |arguments| arguments.period(0) + 1,
    check: any,
    build: |arguments| {
        keeping(Window::new(arguments.period(0)), Window::state, |closes, bar| {
            let before = closes.push(bar.close)?;
            Some([if before == 0.0 { 0.0 } else { 100.0 * ((bar.close - before) / before) }])
        })
    },
    needs: Needs::Prices,
};

#[cfg(test)]
mod tests {
    use crate::analytics::indicators::trial::check;

    #[test]
    fn equals_the_recomputation() {
        for period in [1, 10] {
            check(&format!("roc({period})"), |bars| {
                let (now, before) =
                    (bars[bars.len() - 1].close, bars[bars.len().checked_sub(period + 1)?].close);
                Some(vec![(now - before) / before * 100.0])
            });
        }
    }
}
