//! The local linear trend: a level that drifts by a slope that wanders, seen through noise.
//!
//! `value = level + noise`, `level' = level + slope + noise`, `slope' = slope + noise`, filtered by
//! Kalman's recursion. A value that is missing costs certainty and nothing else. The three variances are
//! given; where only their ratios are known, [`KalmanTrend::scale`] is the factor by which all of them are off,
//! estimated from the surprises seen so far.
//! Sources: Kalman (1960); Harvey, Forecasting, Structural Time Series Models and the Kalman Filter (1989).

use std::f64::consts::TAU;

use crate::analytics::estimators::moments::weight_of_newest;
use crate::analytics::rolling::state::State;

/// The variances of the three noises, a step each; at or above 0, that of the observation above 0.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TrendVariances {
    pub observation: f64,
    pub level: f64,
    pub slope: f64,
}

/// What is known of level and slope, with the covariance of the two.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct TrendState {
    pub level: f64,
    pub slope: f64,
    pub level_variance: f64,
    pub covariance: f64,
    pub slope_variance: f64,
}

impl TrendState {
    /// The sum of squares by which the covariance matrix differs.
    fn moved(&self, other: &Self) -> f64 {
        let [level, both, slope] = [
            self.level_variance - other.level_variance,
            self.covariance - other.covariance,
            self.slope_variance - other.slope_variance,
        ];
        level * level + 2.0 * both * both + slope * slope
    }
}

/// What one step found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TrendStep {
    /// Of the value, before it was seen, and the variance of that forecast.
    pub forecast: f64,
    pub variance: f64,
    /// The value less the forecast; `None` where it was missing.
    pub innovation: Option<f64>,
    /// What is known after it.
    pub filtered: TrendState,
}

impl TrendStep {
    /// Logarithm of the density that the forecast gave to the value; 0 where it was missing.
    pub fn log_density(&self) -> f64 {
        self.innovation.map_or(0.0, |innovation| {
            -0.5 * (libm::log(TAU * self.variance) + innovation * innovation / self.variance)
        })
    }
}

/// The filter.
#[derive(Clone, Debug)]
pub struct KalmanTrend {
    variances: TrendVariances,
    /// Of the next value's step.
    predicted: TrendState,
    seen: u64,
    /// Mean of squared innovations, each by its variance.
    scale: f64,
    /// A step that changes the covariances by less, as a sum of squares, is the last that does; 0: none is.
    settled_below: f64,
    is_settled: bool,
}

/// Weight of the newest surprise in the scale.
const SCALE_WEIGHT: f64 = 0.005;

impl KalmanTrend {
    /// `first`: what is known of level and slope at the first value's step, before it is seen.
    pub fn new(variances: TrendVariances, first: TrendState) -> Self {
        assert!(variances.observation > 0.0, "a level that is seen without noise needs no filter");
        Self { variances, predicted: first, seen: 0, scale: 0.0, settled_below: 0.0, is_settled: false }
    }

    /// Holds the covariances, which no value changes, once a step moves them by less than `settled_below` (the
    /// sum of squares over the matrix), until a value is missing. statsmodels does so, at 1e-19.
    pub fn settling(self, settled_below: f64) -> Self {
        Self { settled_below, ..self }
    }

    /// Begins at a value with a slope of 0, both as uncertain as a hundred steps make them.
    pub fn beginning_at(variances: TrendVariances, value: f64) -> Self {
        let first = TrendState {
            level: value,
            slope: 0.0,
            level_variance: 100.0 * (variances.observation + variances.level),
            covariance: 0.0,
            slope_variance: 100.0 * (variances.level + variances.slope),
        };
        Self::new(variances, first)
    }

    /// Takes the next value, or that it is missing. One that is not finite counts as missing.
    pub fn step(&mut self, value: Option<f64>) -> TrendStep {
        let p = self.predicted;
        let (forecast, variance) = (p.level, p.level_variance + self.variances.observation);
        let innovation = value.map(|value| value - forecast).filter(|innovation| innovation.is_finite());
        let mut filtered = p;
        if let Some(innovation) = innovation {
            let (level_gain, slope_gain) = (p.level_variance / variance, p.covariance / variance);
            filtered = TrendState {
                level: p.level + level_gain * innovation,
                slope: p.slope + slope_gain * innovation,
                // As products of what is at or above 0: never below it by rounding.
                level_variance: level_gain * self.variances.observation,
                covariance: slope_gain * self.variances.observation,
                slope_variance: (p.slope_variance - slope_gain * p.covariance).max(0.0),
            };
            let square = innovation * innovation / variance;
            self.seen += 1;
            self.scale += weight_of_newest(SCALE_WEIGHT, self.seen) * (square - self.scale);
        }
        let f = filtered;
        let mut next = TrendState {
            level: f.level + f.slope,
            slope: f.slope,
            level_variance: f.level_variance + 2.0 * f.covariance + f.slope_variance + self.variances.level,
            covariance: f.covariance + f.slope_variance,
            slope_variance: f.slope_variance + self.variances.slope,
        };
        self.is_settled = innovation.is_some() && (self.is_settled || next.moved(&p) < self.settled_below);
        if self.is_settled {
            next = TrendState { level: next.level, slope: next.slope, ..p };
        }
        self.predicted = next;
        TrendStep { forecast, variance, innovation, filtered }
    }

    /// The value `horizon` steps ahead, at least 1, and the variance of that forecast.
    pub fn forecast(&self, horizon: usize) -> (f64, f64) {
        let p = self.predicted;
        let more = horizon.max(1) as f64 - 1.0;
        // The slope's wandering reaches the level summed: the squares from 0 to `more - 1`.
        let squares = (more - 1.0) * more * (2.0 * more - 1.0) / 6.0;
        let variance = p.level_variance
            + 2.0 * more * p.covariance
            + more * more * p.slope_variance
            + more * self.variances.level
            + squares * self.variances.slope
            + self.variances.observation;
        (p.level + more * p.slope, variance)
    }

    /// By how much the variances of forecasts should be multiplied; `None` before the first value.
    pub fn scale(&self) -> Option<f64> {
        (self.seen > 0).then_some(self.scale)
    }

    /// What is known of level and slope at the next step.
    pub fn predicted(&self) -> &TrendState {
        &self.predicted
    }

    /// Visits every word of mutable state.
    pub fn state(&mut self, state: &mut State<'_>) {
        let TrendState { level, slope, level_variance, covariance, slope_variance } = &mut self.predicted;
        for value in [level, slope, level_variance, covariance, slope_variance] {
            state.f64(value);
        }
        state.word(&mut self.seen);
        state.f64(&mut self.scale);
        state.bool(&mut self.is_settled);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analytics::indicators::trial::Random;

    const VARIANCES: TrendVariances = TrendVariances { observation: 0.25, level: 0.01, slope: 0.0004 };

    #[test]
    fn a_forecast_far_ahead_is_that_of_as_many_missing_values() {
        let mut filter = KalmanTrend::beginning_at(VARIANCES, 5.0);
        for i in 0..50 {
            filter.step(Some(5.0 + 0.1 * f64::from(i)));
        }
        for horizon in 1..40 {
            let mut blind = filter.clone();
            (1..horizon).for_each(|_| _ = blind.step(None));
            let step = blind.step(None);
            let (forecast, variance) = filter.forecast(horizon);
            assert!((forecast - step.forecast).abs() < 1e-9, "{horizon}: {forecast} {step:?}");
            assert!((variance - step.variance).abs() < 1e-9 * variance, "{horizon}: {variance} {step:?}");
        }
        assert!((filter.forecast(10).0 - 10.9).abs() < 0.05, "a straight line goes on straight");
    }

    #[test]
    fn the_scale_tells_by_how_much_the_variances_are_off() {
        let mut random = Random(9);
        let mut filter = KalmanTrend::beginning_at(VARIANCES, 0.0);
        let mut gauss = || (0..12).map(|_| random.unit()).sum::<f64>() - 6.0;
        let (mut level, mut slope) = (0.0, 0.0);
        for _ in 0..5_000 {
            // Nine times the variances that the filter was given.
            slope += 0.06 * gauss();
            level += slope + 0.3 * gauss();
            filter.step(Some(level + 1.5 * gauss()));
        }
        let scale = filter.scale().unwrap();
        assert!((7.0..11.0).contains(&scale), "{scale}");
    }

    #[test]
    fn a_settled_filter_says_what_one_that_never_settles_says_and_begins_anew_where_a_value_is_missing() {
        let mut one = KalmanTrend::beginning_at(VARIANCES, 0.0);
        let mut settling = one.clone().settling(1e-12);
        for i in 0..400 {
            let value = (i != 200).then(|| libm::sin(f64::from(i)));
            let (one, other) = (one.step(value), settling.step(value));
            assert!((one.forecast - other.forecast).abs() < 1e-4, "{i}: {one:?} {other:?}");
            assert!((one.variance / other.variance - 1.0).abs() < 1e-4, "{i}: {one:?} {other:?}");
            assert!(!settling.is_settled || i > 20 && !(200..220).contains(&i), "{i}");
        }
        assert!(settling.is_settled);
    }

    #[test]
    fn saving_in_the_middle_changes_nothing() {
        let mut one = KalmanTrend::beginning_at(VARIANCES, 1.0);
        let value = |i: u32| (i % 7 != 3).then(|| f64::from(i * i % 13));
        (0..60).for_each(|i| _ = one.step(value(i)));
        let mut words = Vec::new();
        one.state(&mut State::Save(&mut words));
        let mut other = KalmanTrend::beginning_at(VARIANCES, 9.0);
        other.state(&mut State::load(&words));
        for i in 60..120 {
            assert_eq!(one.step(value(i)), other.step(value(i)));
        }
        assert_eq!(one.step(Some(f64::NAN)).innovation, None);
    }
}
