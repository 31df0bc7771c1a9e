//! Four tests of whether something errs more often than it did: DDM, EDDM, HDDM_A and HDDM_W.
//!
//! Each takes a stream of "wrong or not" and says at every step whether the rate of errors is as it was,
//! suspiciously higher, or higher; after a drift it begins anew. O(1) a value, a few words of state. DDM
//! follows the error rate, EDDM the distances between errors (better on slow drifts, and hasty), HDDM_A
//! means of all values, HDDM_W exponentially weighted ones, both with a bound that assumes nothing of the
//! distribution. All are one-sided: fewer errors are no drift.
//! Sources: Gama et al., Learning with drift detection, SBIA 2004; Baena-Garcia et al., Early drift
//! detection method, 2006; Frias-Blanco et al., Online and non-parametric drift detection methods based on
//! Hoeffding's bounds, IEEE TKDE 27 (2015); parameters and odd cases as in river 0.26.

use crate::analytics::estimators::moments::Welford;
use crate::analytics::rolling::state::State;

/// What a test says of the rate of errors.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Alarm {
    #[default]
    None,
    Warning,
    Drift,
}

impl Alarm {
    fn of(drift: bool, warning: bool) -> Self {
        match (drift, warning) {
            (true, _) => Self::Drift,
            (false, true) => Self::Warning,
            (false, false) => Self::None,
        }
    }

    fn state(&mut self, state: &mut State<'_>) {
        let all = [Self::None, Self::Warning, Self::Drift];
        let mut at = all.iter().position(|alarm| alarm == self).unwrap_or(0);
        state.index(&mut at, all.len() - 1);
        *self = all[at];
    }
}

/// Values, or errors, before which nothing is told.
const WARM_UP: u64 = 30;
/// Confidences of HDDM: how often a drift, or a warning, may be told where there is none.
const DRIFT_CONFIDENCE: f64 = 0.001;
const WARNING_CONFIDENCE: f64 = 0.005;

/// Drift detection method: the error rate by its standard deviation above the lowest it was.
#[derive(Clone, Debug, PartialEq)]
pub struct Ddm {
    alarm: Alarm,
    count: u64,
    rate: f64,
    rate_min: f64,
    deviation_min: f64,
}

impl Default for Ddm {
    fn default() -> Self {
        let infinite = f64::INFINITY;
        Self { alarm: Alarm::None, count: 0, rate: 0.0, rate_min: infinite, deviation_min: infinite }
    }
}

impl Ddm {
    pub fn push(&mut self, is_error: bool) -> Alarm {
        if self.alarm == Alarm::Drift {
            *self = Self::default();
        }
        self.count += 1;
        self.rate += (f64::from(u8::from(is_error)) - self.rate) / self.count as f64;
        let deviation = (self.rate * (1.0 - self.rate) / self.count as f64).sqrt();
        if self.count > WARM_UP {
            let level = self.rate + deviation;
            if level <= self.rate_min + self.deviation_min {
                (self.rate_min, self.deviation_min) = (self.rate, deviation);
            }
            let above = |times: f64| level > self.rate_min + times * self.deviation_min;
            self.alarm = Alarm::of(above(3.0), above(2.0));
        }
        self.alarm
    }

    /// Of the values since the last drift.
    pub fn rate(&self) -> f64 {
        self.rate
    }

    /// Visits every word of mutable state.
    pub fn state(&mut self, state: &mut State<'_>) {
        self.alarm.state(state);
        state.word(&mut self.count);
        [&mut self.rate, &mut self.rate_min, &mut self.deviation_min]
            .into_iter()
            .for_each(|number| state.f64(number));
    }
}

/// Early drift detection method: how far errors are apart, against the farthest they were.
#[derive(Clone, Debug, PartialEq)]
pub struct Eddm {
    alarm: Alarm,
    count: u64,
    last_error: u64,
    distances: Welford,
    level_max: f64,
}

impl Default for Eddm {
    fn default() -> Self {
        let distances = Welford::default();
        Self { alarm: Alarm::None, count: 0, last_error: 0, distances, level_max: -1.0 }
    }
}

impl Eddm {
    pub fn push(&mut self, is_error: bool) -> Alarm {
        if self.alarm == Alarm::Drift {
            *self = Self::default();
        }
        self.count += 1;
        if !is_error {
            return self.alarm;
        }
        self.distances.push((self.count - self.last_error) as f64);
        self.last_error = self.count;
        if self.count > WARM_UP {
            let deviation = self.distances.variance_sample().unwrap_or(0.0).sqrt();
            let level = self.distances.mean().unwrap_or(0.0) + 2.0 * deviation;
            if level > self.level_max {
                self.level_max = level;
            } else if self.distances.count() > WARM_UP {
                let share = level / self.level_max;
                self.alarm = Alarm::of(share < 0.9, share < 0.95);
            }
        }
        self.alarm
    }

    /// Visits every word of mutable state.
    pub fn state(&mut self, state: &mut State<'_>) {
        self.alarm.state(state);
        state.word(&mut self.count);
        state.word(&mut self.last_error);
        self.distances.state(state);
        state.f64(&mut self.level_max);
    }
}

/// A mean and of how many values it is.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Share {
    count: u64,
    mean: f64,
}

/// HDDM_A: the mean of all values against the lowest that it was, by Hoeffding's inequality.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct HddmA {
    alarm: Alarm,
    all: Share,
    lowest: Share,
}

impl HddmA {
    pub fn push(&mut self, is_error: bool) -> Alarm {
        if self.alarm == Alarm::Drift {
            *self = Self::default();
        }
        self.all.count += 1;
        self.all.mean += (f64::from(u8::from(is_error)) - self.all.mean) / self.all.count as f64;
        let bound = |share: Share| {
            share.mean + (1.0 / (2.0 * share.count as f64) * libm::log(1.0 / DRIFT_CONFIDENCE)).sqrt()
        };
        if self.lowest.count == 0 || bound(self.lowest) >= bound(self.all) {
            self.lowest = self.all;
        }
        self.alarm = Alarm::of(self.has_risen(DRIFT_CONFIDENCE), self.has_risen(WARNING_CONFIDENCE));
        self.alarm
    }

    fn has_risen(&self, confidence: f64) -> bool {
        let (all, lowest) = (self.all.count as f64, self.lowest.count as f64);
        if self.all.count == self.lowest.count {
            return false;
        }
        let share = (all - lowest) / lowest * (1.0 / all);
        self.all.mean - self.lowest.mean >= (share / 2.0 * libm::log(2.0 / confidence)).sqrt()
    }

    /// Visits every word of mutable state.
    pub fn state(&mut self, state: &mut State<'_>) {
        self.alarm.state(state);
        for share in [&mut self.all, &mut self.lowest] {
            state.word(&mut share.count);
            state.f64(&mut share.mean);
        }
    }
}

/// An exponentially weighted mean, and the sum of its squared weights.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Weighted {
    has_begun: bool,
    mean: f64,
    squares: f64,
}

impl Weighted {
    const WEIGHT: f64 = 0.05;
    const NONE: Self = Self { has_begun: false, mean: 0.0, squares: 1.0 };

    fn push(&mut self, value: f64) {
        self.mean = if self.has_begun { self.mean + Self::WEIGHT * (value - self.mean) } else { value };
        self.has_begun = true;
        self.squares =
            Self::WEIGHT * Self::WEIGHT + (1.0 - Self::WEIGHT) * (1.0 - Self::WEIGHT) * self.squares;
    }

    fn state(&mut self, state: &mut State<'_>) {
        state.bool(&mut self.has_begun);
        state.f64(&mut self.mean);
        state.f64(&mut self.squares);
    }
}

/// HDDM_W: the weighted mean since the lowest against that up to there, by McDiarmid's inequality.
#[derive(Clone, Debug, PartialEq)]
pub struct HddmW {
    alarm: Alarm,
    all: Weighted,
    up_to_lowest: Weighted,
    since: Weighted,
    lowest: f64,
}

impl Default for HddmW {
    fn default() -> Self {
        let none = Weighted::NONE;
        Self { alarm: Alarm::None, all: none, up_to_lowest: none, since: none, lowest: f64::INFINITY }
    }
}

impl HddmW {
    pub fn push(&mut self, is_error: bool) -> Alarm {
        if self.alarm == Alarm::Drift {
            *self = Self::default();
        }
        let value = f64::from(u8::from(is_error));
        self.all.push(value);
        let level = self.all.mean + mcdiarmid(self.all.squares, DRIFT_CONFIDENCE);
        if level < self.lowest {
            self.lowest = level;
            self.up_to_lowest = self.all;
            self.since = Weighted::NONE;
        } else {
            self.since.push(value);
        }
        self.alarm = Alarm::of(self.has_risen(DRIFT_CONFIDENCE), self.has_risen(WARNING_CONFIDENCE));
        self.alarm
    }

    fn has_risen(&self, confidence: f64) -> bool {
        let squares = self.up_to_lowest.squares + self.since.squares;
        self.up_to_lowest.has_begun
            && self.since.has_begun
            && self.since.mean - self.up_to_lowest.mean > mcdiarmid(squares, confidence)
    }

    /// Visits every word of mutable state.
    pub fn state(&mut self, state: &mut State<'_>) {
        self.alarm.state(state);
        [&mut self.all, &mut self.up_to_lowest, &mut self.since].into_iter().for_each(|one| one.state(state));
        state.f64(&mut self.lowest);
    }
}

/// How far a weighted mean, the squares of whose weights sum to `squares`, is off by chance.
fn mcdiarmid(squares: f64, confidence: f64) -> f64 {
    (squares * libm::log(1.0 / confidence) / 2.0).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analytics::estimators::split_mix::SplitMix;

    /// At which steps a test tells a drift, of errors that come at one rate and, from the middle on, at another.
    fn drifts(rates: [f64; 2], mut test: impl FnMut(bool) -> Alarm) -> Vec<usize> {
        let mut random = SplitMix::new(4);
        (0..2_000).filter(|i| test(random.unit() < rates[i / 1_000]) == Alarm::Drift).collect()
    }

    fn check(rates: [f64; 2], is_drift: bool) {
        let (mut ddm, mut a, mut w) = (Ddm::default(), HddmA::default(), HddmW::default());
        for (name, found) in [
            ("DDM", drifts(rates, |error| ddm.push(error))),
            ("HDDM_A", drifts(rates, |error| a.push(error))),
            ("HDDM_W", drifts(rates, |error| w.push(error))),
        ] {
            assert_eq!(found.iter().any(|i| (1_000..1_500).contains(i)), is_drift, "{name}: {found:?}");
            // DDM promises nothing of false alarms, the bounds of the others do.
            assert!(name == "DDM" || found.iter().all(|i| *i >= 1_000), "{name}: {found:?}");
        }
    }

    #[test]
    fn more_errors_are_a_drift_and_fewer_are_none() {
        check([0.1, 0.4], true);
        check([0.1, 0.1], false);
        check([0.4, 0.1], false);
    }

    #[test]
    fn errors_that_come_closer_are_a_drift() {
        let mut test = Eddm::default();
        let found = drifts([0.05, 0.3], |error| test.push(error));
        assert!(found.iter().any(|i| (1_000..1_300).contains(i)), "{found:?}");
    }
}
