//! Log return over `lag` bars: `ln(close / close lag bars before)`.
//!
//! Silent for the first `lag` bars. O(1) a bar.

use crate::analytics::indicator::{Entry, Needs, Parameter, any, keeping};
use crate::analytics::rolling::window::Window;

pub const ENTRY: Entry = Entry {
    name: "returns",
    summary: "log return over so many bars",
    parameters: &[Parameter::period("lag", 1, 1)],
    outputs: &["value"],
    warm_up: |arguments| arguments.period(0) + 1,
    check: any,
    build: |arguments| {
        keeping(Window::new(arguments.period(0)), Window::state, |closes, bar| {
            let before = closes.push(bar.close)?;
            Some([libm::log(bar.close / before)])
        })
    },
    needs: Needs::Prices,
};

#[cfg(test)]
mod tests {
    use crate::analytics::indicators::trial::{check, closes, run};

    #[test]
    fn equals_the_definition() {
        for lag in [1, 7] {
            check(&format!("returns({lag})"), |bars| {
                let before = bars[bars.len().checked_sub(lag + 1)?].close;
                Some(vec![libm::log(bars[bars.len() - 1].close / before)])
            });
        }
    }

    #[test]
    fn falls_are_negative() {
        let ln_2 = std::f64::consts::LN_2;
        let values = run("returns(1)", &closes(&[1.0, 2.0, 2.0, 1.0]));
        assert_eq!(values, [None, Some(vec![ln_2]), Some(vec![0.0]), Some(vec![-ln_2])]);
    }
}
