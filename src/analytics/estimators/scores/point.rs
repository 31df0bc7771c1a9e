//! How far forecasts of a number were off: MAE, RMSE, MAPE, sMAPE, MASE.
//!
//! Percentages are of 100. Where a denominator is 0 the pair has no percentage and does not count for it: on
//! prices percentages are too small to mean much, on volumes near zero too large.
//! Source: Hyndman and Koehler, Another look at measures of forecast accuracy (2006).

use crate::analytics::rolling::state::State;

/// Sums over pairs of what came and what had been forecast.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PointScore {
    count: u64,
    absolute: f64,
    square: f64,
    /// Of |error / actual|, and how many there were.
    share: f64,
    shares: u64,
    /// Of 2 |error| / (|actual| + |forecast|), and how many there were.
    symmetric: f64,
    symmetrics: u64,
    /// Of |actual - actual before|, and how many there were.
    change: f64,
    changes: u64,
}

impl PointScore {
    /// Takes what came, what had been forecast, and what came before it (`None` for the first): the mean
    /// size of the changes is what MASE measures in.
    #[inline]
    pub fn learn(&mut self, actual: f64, forecast: f64, before: Option<f64>) {
        let error = (actual - forecast).abs();
        if !error.is_finite() {
            return;
        }
        self.count += 1;
        self.absolute += error;
        self.square += error * error;
        if actual != 0.0 {
            self.share += error / actual.abs();
            self.shares += 1;
        }
        let both = actual.abs() + forecast.abs();
        if both > 0.0 {
            self.symmetric += 2.0 * error / both;
            self.symmetrics += 1;
        }
        if let Some(before) = before.filter(|before| before.is_finite()) {
            self.change += (actual - before).abs();
            self.changes += 1;
        }
    }

    /// Pairs scored.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Mean absolute error, in the target's unit; `None` without pairs.
    pub fn mae(&self) -> Option<f64> {
        mean(self.absolute, self.count)
    }

    /// Root of the mean squared error, in the target's unit.
    pub fn rmse(&self) -> Option<f64> {
        mean(self.square, self.count).map(f64::sqrt)
    }

    /// Mean absolute percentage error.
    pub fn mape(&self) -> Option<f64> {
        mean(100.0 * self.share, self.shares)
    }

    /// Its symmetric sibling, 0 to 200.
    pub fn smape(&self) -> Option<f64> {
        mean(100.0 * self.symmetric, self.symmetrics)
    }

    /// Mean absolute error by the mean size of one step's change: below 1 is better than to repeat the last
    /// value for one step. `None` where nothing ever changed.
    pub fn mase(&self) -> Option<f64> {
        let scale = mean(self.change, self.changes).filter(|&scale| scale > 0.0)?;
        self.mae().map(|mae| mae / scale)
    }

    /// Visits every word of mutable state.
    pub fn state(&mut self, state: &mut State<'_>) {
        for count in [&mut self.count, &mut self.shares, &mut self.symmetrics, &mut self.changes] {
            state.word(count);
        }
        let sums =
            [&mut self.absolute, &mut self.square, &mut self.share, &mut self.symmetric, &mut self.change];
        for sum in sums {
            state.f64(sum);
        }
    }
}

/// Scores a whole series, each value's predecessor being the one before.
pub fn score(actuals: &[f64], forecasts: &[f64]) -> PointScore {
    let mut score = PointScore::default();
    for (i, (&actual, &forecast)) in actuals.iter().zip(forecasts).enumerate() {
        score.learn(actual, forecast, i.checked_sub(1).map(|before| actuals[before]));
    }
    score
}

/// A sum by its count; `None` for none.
pub(super) fn mean(sum: f64, count: u64) -> Option<f64> {
    (count > 0).then(|| sum / count as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_textbooks_numbers() {
        let score = score(&[10.0, 20.0, 0.0, 10.0], &[12.0, 16.0, 0.0, 10.0]);
        assert_eq!((score.mae(), score.rmse()), (Some(1.5), Some(5.0_f64.sqrt())));
        // Of the 0, no share; of 0 and 0 no symmetric one either.
        assert!((score.mape().unwrap() - 40.0 / 3.0).abs() < 1e-12);
        assert!((score.smape().unwrap() - 100.0 * (4.0 / 22.0 + 8.0 / 36.0) / 3.0).abs() < 1e-12);
        assert!((score.mase().unwrap() - 1.5 / (40.0 / 3.0)).abs() < 1e-12);
    }

    #[test]
    fn without_pairs_or_changes_there_is_no_score() {
        let none = PointScore::default();
        assert_eq!([none.mae(), none.rmse(), none.mape(), none.smape(), none.mase()], [None; 5]);
        assert_eq!(score(&[3.0, 3.0], &[2.0, 4.0]).mase(), None);
        assert_eq!(score(&[f64::NAN, f64::INFINITY], &[2.0, 4.0]), none);
    }

    #[test]
    fn saved_and_restored_it_is_the_same() {
        let mut one = score(&[1.0, 5.0, 2.0], &[2.0, 2.0, 0.5]);
        let mut words = Vec::new();
        one.state(&mut State::Save(&mut words));
        let mut other = PointScore::default();
        let mut loading = State::load(&words);
        other.state(&mut loading);
        assert_eq!((loading.finish(), other), (Ok(()), one));
    }
}
