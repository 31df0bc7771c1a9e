//! How often something that a rule says came true: a share with its Wilson interval.

use crate::analytics::estimators::scores::direction::{Z_95, wilson};
use crate::analytics::rolling::state::State;

/// Trials, and how many of them succeeded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Record {
    pub hits: u64,
    pub trials: u64,
}

impl Record {
    pub fn count(&mut self, hit: bool) {
        self.trials += 1;
        self.hits += u64::from(hit);
    }

    /// `None` before the first trial.
    pub fn share(&self) -> Option<f64> {
        (self.trials > 0).then(|| self.hits as f64 / self.trials as f64)
    }

    /// Where the true share lies, 95 times of 100; all there is before the first trial.
    pub fn interval(&self) -> (f64, f64) {
        wilson(self.hits, self.trials, Z_95).map_or((0.0, 1.0), |[lower, upper]| (lower, upper))
    }

    pub fn state(&mut self, state: &mut State<'_>) {
        state.word(&mut self.hits);
        state.word(&mut self.trials);
        state.check(self.hits <= self.trials, "more hits than trials");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Values of R's `prop.test(hits, trials, correct = FALSE)`.
    #[test]
    fn intervals_are_those_of_wilson() {
        let check = |hits, trials, lower: f64, upper: f64| {
            let (low, high) = Record { hits, trials }.interval();
            assert!(
                (low - lower).abs() < 1e-6 && (high - upper).abs() < 1e-6,
                "{hits}/{trials}: {low} {high}"
            );
        };
        check(0, 0, 0.0, 1.0);
        check(5, 10, 0.236_593, 0.763_407);
        check(0, 10, 0.0, 0.277_533);
        check(55, 100, 0.452_446, 0.643_855);
    }
}
