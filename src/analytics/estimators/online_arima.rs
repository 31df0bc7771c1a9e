//! ARIMA without batches: the differences of a series as a weighted sum of their last `M`, the weights moved
//! by the online Newton step.
//!
//! Enough lags stand in for the moving-average part, whose errors nobody sees. The Newton step is
//! `w -= A^-1 g / rate` with `A` the sum of the gradients' outer products, inverted as it grows (Sherman and
//! Morrison); weights are held in a box. Nothing is forgotten, so that steps become ever smaller. Feed
//! it values of ordinary size: the start of `A` is an absolute number.
//! Sources: Anava, Hazan, Mannor and Shamir, Online learning for time series prediction (2013); Liu, Hoi,
//! Zhao and Sun, Online ARIMA algorithms for time series prediction (2016).

use crate::analytics::estimators::rls::{dot, spread};
use crate::analytics::rolling::state::State;

/// How it learns.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ArimaSettings {
    /// How many times the series is differenced: at most [`DIFFERENCES_MAX`].
    pub differences: usize,
    /// Above 0: larger is slower.
    pub rate: f64,
    /// `A` begins as this times the identity; above 0.
    pub start: f64,
    /// No weight is larger.
    pub weight_max: f64,
}

/// Prices need one, their changes none; two is a trend that wanders.
pub const DIFFERENCES_MAX: usize = 2;

/// The model, with `M` lags.
#[derive(Clone, Debug)]
pub struct OnlineArima<const M: usize> {
    settings: ArimaSettings,
    weights: [f64; M],
    /// Of `A`: symmetric.
    inverse: [[f64; M]; M],
    /// The last differences, the newest first.
    lags: [f64; M],
    /// The last value, and its differences of lower order than the modelled one.
    last: [f64; DIFFERENCES_MAX],
    seen: u64,
}

/// Forecasts, from the next value's on, without end.
#[derive(Clone, Debug)]
pub struct Ahead<'a, const M: usize> {
    model: &'a OnlineArima<M>,
    lags: [f64; M],
    last: [f64; DIFFERENCES_MAX],
}

impl<const M: usize> Ahead<'_, M> {
    /// The value one step further.
    #[inline]
    pub fn step(&mut self) -> f64 {
        let mut value = dot(&self.model.weights, &self.lags);
        push_front(&mut self.lags, value);
        for last in self.last[..self.model.settings.differences].iter_mut().rev() {
            *last += value;
            value = *last;
        }
        value
    }
}

impl<const M: usize> OnlineArima<M> {
    pub fn new(settings: ArimaSettings) -> Self {
        assert!(settings.differences <= DIFFERENCES_MAX, "differenced at most twice");
        assert!(settings.rate > 0.0 && settings.start > 0.0, "rate and start are above 0");
        let mut inverse = [[0.0; M]; M];
        (0..M).for_each(|i| inverse[i][i] = 1.0 / settings.start);
        Self { settings, weights: [0.0; M], inverse, lags: [0.0; M], last: [0.0; DIFFERENCES_MAX], seen: 0 }
    }

    /// Values until there are as many lags as it looks at.
    pub fn warm_up(&self) -> u64 {
        (M + self.settings.differences) as u64
    }

    /// Takes the next value; gives back the error of what was expected of it, `None` while it warms up. One
    /// that is not finite is passed over.
    pub fn learn(&mut self, value: f64) -> Option<f64> {
        if !value.is_finite() {
            return None;
        }
        let mut difference = value;
        for last in &mut self.last[..self.settings.differences] {
            let now = difference;
            difference = now - *last;
            *last = now;
        }
        let is_warm = self.seen >= self.warm_up();
        let error = difference - dot(&self.weights, &self.lags);
        if is_warm {
            self.newton(error);
        }
        self.seen += 1;
        // The first differences lack the values before them.
        if self.seen > self.settings.differences as u64 {
            push_front(&mut self.lags, difference);
        }
        is_warm.then_some(error)
    }

    /// The step on the squared error, whose gradient is `-2 error lags`.
    fn newton(&mut self, error: f64) {
        let gradient = self.lags.map(|lag| -2.0 * error * lag);
        let mut reach = spread(&self.inverse, &gradient);
        let norm = 1.0 + dot(&reach, &gradient);
        if !(norm.is_finite() && norm >= 1.0) {
            return;
        }
        for (weight, reach) in self.weights.iter_mut().zip(&reach) {
            // The new inverse times the gradient is the old one's, by the norm.
            let bound = self.settings.weight_max;
            *weight = (*weight - reach / norm / self.settings.rate).clamp(-bound, bound);
        }
        let root = norm.sqrt();
        reach.iter_mut().for_each(|reach| *reach /= root);
        for (row, left) in self.inverse.iter_mut().zip(reach) {
            for (entry, right) in row.iter_mut().zip(&reach) {
                *entry -= left * right;
            }
        }
    }

    /// The values one, two and more steps ahead, each fed with the one before; `None` while it warms up. O(M) a step.
    pub fn ahead(&self) -> Option<Ahead<'_, M>> {
        (self.seen >= self.warm_up()).then_some(Ahead { model: self, lags: self.lags, last: self.last })
    }

    /// The value `horizon` steps ahead, at least 1; `None` while it warms up. O(horizon M).
    pub fn forecast(&self, horizon: usize) -> Option<f64> {
        let mut ahead = self.ahead()?;
        (1..horizon).for_each(|_| _ = ahead.step());
        Some(ahead.step()).filter(|value| value.is_finite())
    }

    pub fn weights(&self) -> &[f64; M] {
        &self.weights
    }

    /// Values lie between the last one and the next: lags are gathered anew, weights stay.
    pub fn interrupt(&mut self) {
        self.seen = 0;
        self.lags = [0.0; M];
        self.last = [0.0; DIFFERENCES_MAX];
    }

    /// Visits every word of mutable state.
    pub fn state(&mut self, state: &mut State<'_>) {
        self.weights.iter_mut().for_each(|weight| state.f64(weight));
        self.inverse.iter_mut().flatten().for_each(|entry| state.f64(entry));
        self.lags.iter_mut().for_each(|lag| state.f64(lag));
        self.last.iter_mut().for_each(|last| state.f64(last));
        state.word(&mut self.seen);
    }
}

#[inline]
fn push_front<const M: usize>(lags: &mut [f64; M], newest: f64) {
    lags.copy_within(..M - 1, 1);
    lags[0] = newest;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analytics::indicators::trial::Random;

    const SETTINGS: ArimaSettings = ArimaSettings { differences: 0, rate: 0.5, start: 1e-3, weight_max: 2.0 };

    /// x' = 0.6 x - 0.3 x_before + noise, as it is or summed up.
    fn series(count: usize, sums: usize) -> Vec<f64> {
        let mut random = Random(21);
        let (mut last, mut totals) = ([0.0; 2], [0.0; 2]);
        (0..count)
            .map(|_| {
                let noise = random.unit() + random.unit() - 1.0;
                let mut value = 0.6 * last[0] - 0.3 * last[1] + noise;
                last = [value, last[0]];
                for total in &mut totals[..sums] {
                    *total += value;
                    value = *total;
                }
                value
            })
            .collect()
    }

    #[test]
    fn the_weights_of_an_autoregression_are_found_at_any_order_of_differences() {
        for differences in 0..=DIFFERENCES_MAX {
            let mut model = OnlineArima::<2>::new(ArimaSettings { differences, ..SETTINGS });
            let values = series(20_000, differences);
            for (i, &value) in values.iter().enumerate() {
                assert_eq!(model.learn(value).is_some(), i >= 2 + differences, "{differences} {i}");
            }
            let [first, second] = *model.weights();
            assert!((first - 0.6).abs() < 0.05 && (second + 0.3).abs() < 0.05, "{:?}", model.weights());
        }
    }

    #[test]
    fn the_forecast_is_what_the_next_value_is_measured_against() {
        for differences in 0..=DIFFERENCES_MAX {
            let mut model = OnlineArima::<3>::new(ArimaSettings { differences, ..SETTINGS });
            for value in series(300, differences) {
                let forecast = model.forecast(1);
                let error = model.learn(value);
                assert_eq!(forecast.is_some(), error.is_some());
                if let (Some(forecast), Some(error)) = (forecast, error) {
                    assert!((value - forecast - error).abs() < 1e-9, "{value} {forecast} {error}");
                }
            }
            // Fed with its own forecast it expects what it had forecast for two steps.
            let two = model.forecast(2).unwrap();
            let mut ahead = model.clone();
            ahead.learn(model.forecast(1).unwrap());
            assert!((ahead.forecast(1).unwrap() - two).abs() < 1e-9);
        }
    }

    #[test]
    fn saving_in_the_middle_changes_nothing() {
        let settings = ArimaSettings { differences: 1, ..SETTINGS };
        let values = series(200, 1);
        let mut one = OnlineArima::<4>::new(settings);
        values[..77].iter().for_each(|&value| _ = one.learn(value));
        let mut words = Vec::new();
        one.state(&mut State::Save(&mut words));
        let mut other = OnlineArima::<4>::new(settings);
        other.state(&mut State::load(&words));
        for &value in &values[77..] {
            assert_eq!(one.learn(value).map(f64::to_bits), other.learn(value).map(f64::to_bits));
        }
        one.interrupt();
        assert_eq!((one.forecast(1), one.weights()), (None, other.weights()));
    }
}
