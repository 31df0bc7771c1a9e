//! Page-Hinkley: has the mean of a stream moved, up or down?
//!
//! Two sums of what lies above and below the running mean, each with a slack of `delta` a value; a drift is
//! told when a sum has come further than `threshold` from its extreme. Both are in the unit of the values:
//! give it standardised ones. O(1) a value, seven words of state; begins anew after a drift.
//! Source: E. Page, Continuous inspection schemes, Biometrika 41 (1954); forgetting and the reset as in
//! river's `PageHinkley` (0.26, mode `both`).

use crate::analytics::rolling::state::State;

/// What does not change while it runs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PageHinkleyParameters {
    /// Values until a drift may be told.
    pub count_min: u64,
    /// How far a value may be off without counting, in its unit.
    pub delta: f64,
    /// How far a sum may come from its extreme, in the unit of the values.
    pub threshold: f64,
    /// What remains of the sums at each value, above 0, at most 1.
    pub keep: f64,
}

/// Which way a mean has moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    Up,
    Down,
}

/// The test, two-sided.
#[derive(Clone, Debug, PartialEq)]
pub struct PageHinkley {
    parameters: PageHinkleyParameters,
    has_drifted: bool,
    count: u64,
    mean: f64,
    rise: f64,
    rise_min: f64,
    fall: f64,
    fall_max: f64,
}

impl PageHinkley {
    pub fn new(parameters: PageHinkleyParameters) -> Self {
        Self {
            parameters,
            has_drifted: false,
            count: 0,
            mean: 0.0,
            rise: 0.0,
            rise_min: f64::INFINITY,
            fall: 0.0,
            fall_max: f64::NEG_INFINITY,
        }
    }

    /// Takes a finite value; says whether the mean has moved with it, and which way.
    #[inline]
    pub fn push(&mut self, value: f64) -> Option<Direction> {
        if self.has_drifted {
            *self = Self::new(self.parameters);
        }
        let PageHinkleyParameters { count_min, delta, threshold, keep } = self.parameters;
        self.count += 1;
        self.mean += (value - self.mean) / self.count as f64;
        let deviation = value - self.mean;
        self.rise = keep * self.rise + (deviation - delta);
        self.fall = keep * self.fall + (deviation + delta);
        self.rise_min = self.rise_min.min(self.rise);
        self.fall_max = self.fall_max.max(self.fall);
        if self.count < count_min {
            return None;
        }
        let (up, down) = self.distances();
        let direction = if up > threshold {
            Some(Direction::Up)
        } else if down > threshold {
            Some(Direction::Down)
        } else {
            None
        };
        self.has_drifted = direction.is_some();
        direction
    }

    /// Values since the last drift, the one that told it not counted.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Of the values since the last drift; 0 before the first.
    pub fn mean(&self) -> f64 {
        self.mean
    }

    /// How far the sums are from their extremes: of what lies above the mean, of what lies below.
    pub fn distances(&self) -> (f64, f64) {
        (self.rise - self.rise_min, self.fall_max - self.fall)
    }

    /// The sum of what lies above the mean and its lowest, the sum of what lies below and its highest.
    pub fn sums(&self) -> [f64; 4] {
        [self.rise, self.rise_min, self.fall, self.fall_max]
    }

    /// Visits every word of mutable state.
    pub fn state(&mut self, state: &mut State<'_>) {
        state.bool(&mut self.has_drifted);
        state.word(&mut self.count);
        for number in [&mut self.mean, &mut self.rise, &mut self.rise_min, &mut self.fall, &mut self.fall_max]
        {
            state.f64(number);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analytics::estimators::split_mix::SplitMix;

    fn check(step: f64, expected: Option<Direction>) {
        let parameters = PageHinkleyParameters { count_min: 30, delta: 0.05, threshold: 15.0, keep: 0.9999 };
        let mut test = PageHinkley::new(parameters);
        let mut random = SplitMix::new(2);
        let mut found = Vec::new();
        for i in 0..600 {
            let level = if i < 300 { 0.0 } else { step };
            found.extend(test.push(level + random.unit() - 0.5).map(|direction| (i, direction)));
        }
        assert_eq!(found.first().map(|(_, direction)| *direction), expected, "{step}: {found:?}");
        assert!(found.iter().all(|(i, _)| *i >= 300), "{step}: {found:?}");
    }

    #[test]
    fn a_mean_that_moves_is_found_with_its_direction() {
        check(0.0, None);
        check(1.0, Some(Direction::Up));
        check(-1.0, Some(Direction::Down));
    }
}
