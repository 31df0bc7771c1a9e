//! Momentum: the close less that of `period` bars before. In units of price.
//!
//! Equals TA-Lib's `MOM`: silent for `period` bars. O(1) a bar.

use crate::analytics::indicator::{Entry, Needs, Parameter, any, keeping};
use crate::analytics::rolling::window::Window;

pub const ENTRY: Entry = Entry {
    name: "momentum",
    summary: "change of the close, in units of price",
    parameters: &[Parameter::period("period", 10, 1)],
    outputs: &["value"],
    warm_up: |arguments| arguments.period(0) + 1,
    check: any,
    build: |arguments| {
        keeping(Window::new(arguments.period(0)), Window::state, |closes, bar| {
            let before = closes.push(bar.close)?;
            Some([bar.close - before])
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
            check(&format!("momentum({period})"), |bars| {
                let (now, before) =
                    (bars[bars.len() - 1].close, bars[bars.len().checked_sub(period + 1)?].close);
                Some(vec![now - before])
            });
        }
    }
}
