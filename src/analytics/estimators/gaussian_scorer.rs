//! How far in the tails of a bell curve a value is, as a score from 0 to 1.
//!
//! The curve has the mean and variance of the values before: of all, or of the last `window`. The score is
//! the probability of a value nearer to the mean, `|erf((x - mean) / (sd sqrt 2))|`, and 0 until the grace
//! period is over. Markets have fatter tails than a bell curve: read it as an order, not as a probability.
//! The semantics are those of river's `GaussianScorer` (0.26), but for values that never differed: there a
//! value equal to them scores 0, where river divides by zero and says 1.

use crate::analytics::estimators::moments::Welford;
use crate::analytics::rolling::moments::Moments;
use crate::analytics::rolling::state::State;

/// Scores values against those before them.
#[derive(Clone, Debug)]
pub struct GaussianScorer {
    grace: u64,
    values: Values,
}

#[derive(Clone, Debug)]
enum Values {
    All(Welford),
    Last(Moments<2>),
}

impl GaussianScorer {
    /// `grace`: values before the first score that may be above 0, at least 2. `window`: of so many values,
    /// at least as many as `grace`; of all where there is none.
    pub fn new(grace: u64, window: Option<usize>) -> Self {
        assert!(grace >= 2, "one value has no variance");
        assert!(
            window.is_none_or(|window| window as u64 >= grace),
            "the window fills before the first score"
        );
        let values = window.map_or(Values::All(Welford::default()), |n| Values::Last(Moments::new(n)));
        Self { grace, values }
    }

    /// The score of a value that was not learned yet.
    pub fn score(&self, value: f64) -> f64 {
        let (count, distance, variance) = match &self.values {
            Values::All(all) => (all.count(), all.mean().map(|mean| value - mean), all.variance_sample()),
            Values::Last(last) => {
                (last.len() as u64, Some(last.deviation_and_variance(value).0), last.variance_sample())
            }
        };
        let (Some(distance), Some(variance)) = (distance, variance) else { return 0.0 };
        if count < self.grace || distance == 0.0 {
            return 0.0;
        }
        libm::erf(distance.abs() / (variance.sqrt() * std::f64::consts::SQRT_2))
    }

    /// Takes a finite value.
    pub fn learn(&mut self, value: f64) {
        match &mut self.values {
            Values::All(all) => all.push(value),
            Values::Last(last) => last.push(value),
        }
    }

    /// Visits every word of mutable state.
    pub fn state(&mut self, state: &mut State<'_>) {
        match &mut self.values {
            Values::All(all) => all.state(state),
            Values::Last(last) => last.state(state),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_that_never_differed_are_no_division_by_zero() {
        for window in [None, Some(5)] {
            let mut scorer = GaussianScorer::new(3, window);
            assert_eq!(scorer.score(1.0), 0.0);
            (0..9).for_each(|_| scorer.learn(0.1));
            assert_eq!((scorer.score(0.1), scorer.score(0.2)), (0.0, 1.0), "{window:?}");
        }
    }

    #[test]
    fn an_outlier_is_forgotten_with_its_window() {
        let mut scorer = GaussianScorer::new(3, Some(4));
        let score = |scorer: &mut GaussianScorer, values: &[f64]| {
            values.iter().for_each(|value| scorer.learn(*value));
            scorer.score(2.0)
        };
        let before = score(&mut scorer, &[0.0, 1.0, 0.0, 1.0]);
        assert!(score(&mut scorer, &[1e12]) < before);
        assert_eq!(score(&mut scorer, &[0.0, 1.0, 0.0, 1.0]), before);
    }
}
