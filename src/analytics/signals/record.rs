//! How often something that a rule says came true: a share with its Wilson interval.
//!
//! Source: Wilson, Probable inference, the law of succession, and statistical inference, JASA 22 (1927).

use crate::analytics::rolling::state::State;

/// Of the standard normal distribution: 95 of 100 lie within.
const QUANTILE: f64 = 1.959_963_984_540_054;

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
        let Some(share) = self.share() else { return (0.0, 1.0) };
        let n = self.trials as f64;
        let square = QUANTILE * QUANTILE;
        let centre = share + square / (2.0 * n);
        let half = QUANTILE * (share * (1.0 - share) / n + square / (4.0 * n * n)).sqrt();
        let scale = 1.0 + square / n;
        (((centre - half) / scale).max(0.0), ((centre + half) / scale).min(1.0))
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
