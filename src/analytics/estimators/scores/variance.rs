//! How good forecasts of a variance were: QLIKE, which forgives noise in the outcome.
//!
//! `actual / forecast - ln(actual / forecast) - 1`: 0 where they agree, dearer where a forecast is too low than
//! where it is too high. It ranks forecasts rightly even though the true variance is never seen, only an
//! unbiased measure of it. Source: Patton, Volatility forecast comparison using imperfect volatility proxies
//! (2011).

use crate::analytics::estimators::scores::point::mean;
use crate::analytics::rolling::state::State;

/// Of one pair, both above 0.
pub fn qlike(actual: f64, forecast: f64) -> f64 {
    let ratio = actual / forecast;
    ratio - libm::log(ratio) - 1.0
}

/// The mean over pairs.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct QlikeScore {
    count: u64,
    sum: f64,
}

impl QlikeScore {
    /// Takes what came and what had been forecast; pairs that are not both above 0 have no score.
    pub fn learn(&mut self, actual: f64, forecast: f64) {
        let loss = qlike(actual, forecast);
        if actual > 0.0 && forecast > 0.0 && loss.is_finite() {
            self.count += 1;
            self.sum += loss;
        }
    }

    pub fn count(&self) -> u64 {
        self.count
    }

    /// `None` without pairs.
    pub fn mean(&self) -> Option<f64> {
        mean(self.sum, self.count)
    }

    /// Visits every word of mutable state.
    pub fn state(&mut self, state: &mut State<'_>) {
        state.word(&mut self.count);
        state.f64(&mut self.sum);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn too_low_is_dearer_than_too_high() {
        assert_eq!(qlike(2.0, 2.0), 0.0);
        assert!(qlike(2.0, 1.0) > qlike(1.0, 2.0) && qlike(1.0, 2.0) > 0.0);
        let mut score = QlikeScore::default();
        for (is, said) in [(2.0, 2.0), (0.0, 1.0), (1.0, 0.0), (-1.0, -1.0)] {
            score.learn(is, said);
        }
        assert_eq!((score.count(), score.mean()), (1, Some(0.0)));
    }
}
