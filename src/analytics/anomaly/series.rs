//! What finds anomalies in a plain series: a value now and then, and nothing else known of it.
//!
//! The methods of the detectors of candles, on other channels, so that they can be held against labelled series
//! that everybody has. Strictly causal: no length, no extremes, no labels; one set of parameters for all series.

use crate::analytics::estimators::day_profile::DayProfile;
use crate::analytics::rolling::extreme::{Highest, Lowest};
use crate::analytics::rolling::window::Window;
use crate::domain::time::UnixNanos;

/// One detector on one series.
pub trait SeriesDetector {
    /// Takes the next value, finite; gives back its score, 0 to 1.
    fn update(&mut self, at: UnixNanos, value: f64) -> f64;
}

/// A method by the name of its detector.
pub struct SeriesEntry {
    /// Lower-case: `novelty`.
    pub name: &'static str,
    /// One sentence for people.
    pub summary: &'static str,
    pub build: fn() -> Box<dyn SeriesDetector>,
}

/// Values of which the lowest and the highest are looked at.
const WINDOW: usize = 20;
/// Residuals whose mean is looked at.
const RESIDUALS: usize = 10;
/// Stretches of the day, and the weight of the newest day in what is usual then.
const STRETCHES: usize = 48;
const DAY_WEIGHT: f64 = 0.2;

/// A value from four sides.
#[derive(Clone, Debug)]
pub struct Views {
    lowest: Lowest,
    highest: Highest,
    profile: DayProfile,
    residuals: Window,
}

impl Default for Views {
    fn default() -> Self {
        Self {
            lowest: Lowest::new(WINDOW),
            highest: Highest::new(WINDOW),
            profile: DayProfile::new(STRETCHES, DAY_WEIGHT),
            residuals: Window::new(RESIDUALS),
        }
    }
}

impl Views {
    /// The value, the lowest and the highest of the last twenty, and how far the last ten lay from what is usual
    /// at their time of day, on a scale that squeezes what is large: `None` until an earlier day was seen.
    pub fn of(&mut self, at: UnixNanos, value: f64) -> [Option<f64>; 4] {
        let squeezed = libm::copysign(libm::log1p(value.abs()), value);
        let residual = self.profile.residual(at, squeezed).map(|residual| {
            self.residuals.push(residual);
            self.residuals.iter().sum::<f64>() / self.residuals.len() as f64
        });
        [Some(value), Some(self.lowest.push(value)), Some(self.highest.push(value)), residual]
    }
}

/// After an emission only a much stronger one is emitted for a while.
#[derive(Clone, Debug)]
pub struct Rest {
    values: u64,
    factor: f64,
    since: u64,
    last: f64,
}

impl Rest {
    /// For so many values one must be more than `factor` times as strong.
    pub fn new(values: u64, factor: f64) -> Self {
        Self { values, factor, since: u64::MAX, last: 0.0 }
    }

    /// The strength where it is emitted, 0 where it is not.
    pub fn emitted(&mut self, strength: f64) -> f64 {
        self.since = self.since.saturating_add(1);
        if strength <= 0.0 || (self.since <= self.values && strength <= self.factor * self.last) {
            return 0.0;
        }
        (self.since, self.last) = (0, strength);
        strength
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::time::NANOS_PER_DAY;

    #[test]
    fn an_emission_stands_for_weaker_ones_after_it() {
        let mut rest = Rest::new(2, 2.0);
        let emitted = [1.0, 2.0, 2.5, 1.0, 5.0, 0.1, 0.0].map(|strength| rest.emitted(strength));
        assert_eq!(emitted, [1.0, 0.0, 2.5, 0.0, 0.0, 0.1, 0.0]);
    }

    #[test]
    fn a_value_is_seen_from_four_sides() {
        let mut views = Views::default();
        let hour = |hour: i64| UnixNanos(hour * NANOS_PER_DAY / 24);
        assert_eq!(views.of(hour(0), 5.0), [Some(5.0), Some(5.0), Some(5.0), None]);
        assert_eq!(views.of(hour(1), 2.0), [Some(2.0), Some(2.0), Some(5.0), None]);
        let [value, lowest, highest, residual] = views.of(hour(24), 8.0);
        assert_eq!((value, lowest, highest), (Some(8.0), Some(2.0), Some(8.0)));
        assert!((residual.unwrap() - libm::log(9.0 / 6.0)).abs() < 1e-12);
    }
}
