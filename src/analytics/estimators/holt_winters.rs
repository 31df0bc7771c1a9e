//! Exponential smoothing of level, trend and season, by Holt and Winters; without season and trend it is
//! simple exponential smoothing, with a damped trend Gardner and McKenzie's.
//!
//! `beta` is the share by which the trend moves to the last change of the level (Hyndman and Athanasopoulos,
//! Forecasting: Principles and Practice, 3rd edition, 8.3; statsmodels' `smoothing_trend`). Where no start
//! is given, the first values make it. Fixed parameters: to choose among several, run several and mix them.
//! Sources: Holt (1957); Winters, Forecasting sales by exponentially weighted moving averages (1960);
//! Gardner and McKenzie, Forecasting trends in time series (1985).

use crate::analytics::rolling::state::State;

/// How much of each part the newest value decides, 0 to 1 each.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Smoothing {
    pub level: f64,
    /// 0, with a start of 0: no trend.
    pub trend: f64,
    pub season: f64,
    /// What remains of the trend at each further step; 1: it goes on for ever.
    pub damping: f64,
}

impl Smoothing {
    /// Of the level alone: simple exponential smoothing.
    pub fn level(level: f64) -> Self {
        Self { level, trend: 0.0, season: 0.0, damping: 1.0 }
    }
}

/// How the season enters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SeasonForm {
    /// Added to the level.
    Additive,
    /// The level's factor: for values above zero only; others are passed over.
    Multiplicative,
}

/// How the first values make a start, when as many as a season has were seen (at least two): the level is
/// their mean, the trend their mean change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FirstSeason {
    /// How far each lies from the level: its difference, or its ratio where the season is a factor.
    FromLevel,
    /// As river 0.26 has it: the ratio in either form.
    River,
}

/// The model; `season` values are kept, none where there is no season.
#[derive(Clone, Debug)]
pub struct HoltWinters {
    smoothing: Smoothing,
    form: SeasonForm,
    first: FirstSeason,
    has_trend: bool,
    level: f64,
    trend: f64,
    /// From the next value's on, in a ring; while gathering the values themselves.
    season: Box<[f64]>,
    at: usize,
    /// Values that the start is made of, and of the ones seen the first, the last and their sum.
    gathered: u64,
    bounds: [f64; 2],
    sum: f64,
    is_ready: bool,
}

impl HoltWinters {
    /// With a known start; `season` begins with the next value's, and is empty where there is none.
    pub fn known(smoothing: Smoothing, form: SeasonForm, level: f64, trend: f64, season: &[f64]) -> Self {
        Self {
            level,
            trend,
            season: season.into(),
            is_ready: true,
            ..Self::gathering(smoothing, form, season.len(), true, FirstSeason::FromLevel)
        }
    }

    /// Begins with what the first values make: `season` of them, at least two.
    pub fn gathering(
        smoothing: Smoothing,
        form: SeasonForm,
        season: usize,
        has_trend: bool,
        first: FirstSeason,
    ) -> Self {
        Self {
            smoothing,
            form,
            first,
            has_trend,
            level: 0.0,
            trend: 0.0,
            season: vec![0.0; season].into(),
            at: 0,
            gathered: 0,
            bounds: [0.0; 2],
            sum: 0.0,
            is_ready: false,
        }
    }

    /// Takes the next value; gives back what had been expected of it, `None` while gathering.
    pub fn learn(&mut self, value: f64) -> Option<f64> {
        if !value.is_finite() || (self.form == SeasonForm::Multiplicative && value <= 0.0) {
            return None;
        }
        if !self.is_ready {
            self.gather(value);
            return None;
        }
        let base = self.level + self.smoothing.damping * self.trend;
        let Smoothing { level: alpha, trend: beta, season: gamma, damping } = self.smoothing;
        let season = self.season.get(self.at).copied();
        let (expected, without_season) = match (season, self.form) {
            (None, _) => (base, value),
            (Some(season), SeasonForm::Additive) => (base + season, value - season),
            (Some(season), SeasonForm::Multiplicative) => (base * season, value / season),
        };
        let level = alpha * without_season + (1.0 - alpha) * base;
        if self.has_trend {
            self.trend = beta * (level - self.level) + (1.0 - beta) * damping * self.trend;
        }
        self.level = level;
        if let Some(season) = self.season.get_mut(self.at) {
            match self.form {
                SeasonForm::Additive => *season = gamma * (value - base) + (1.0 - gamma) * *season,
                // A base at or below zero, where a trend overshot, says nothing of a factor.
                SeasonForm::Multiplicative if base > 0.0 => {
                    *season = gamma * (value / base) + (1.0 - gamma) * *season;
                }
                SeasonForm::Multiplicative => {}
            }
            self.advance();
        }
        Some(expected)
    }

    fn gather(&mut self, value: f64) {
        if self.gathered == 0 {
            self.bounds[0] = value;
        }
        self.bounds[1] = value;
        self.sum += value;
        self.gathered += 1;
        // A season of one value is longer by the second value that the trend needs.
        if let Some(place) = self.season.get_mut(self.at) {
            *place = value;
            self.advance();
        }
        if self.gathered < self.season.len().max(2) as u64 {
            return;
        }
        let count = self.gathered as f64;
        self.level = self.sum / count;
        if self.has_trend {
            self.trend = (self.bounds[1] - self.bounds[0]) / (count - 1.0);
        }
        let is_difference = self.form == SeasonForm::Additive && self.first == FirstSeason::FromLevel;
        for season in &mut self.season {
            if is_difference {
                *season -= self.level;
            } else if self.level != 0.0 {
                *season /= self.level;
            }
        }
        self.at = 0;
        self.is_ready = true;
    }

    fn advance(&mut self) {
        self.at += 1;
        if self.at == self.season.len() {
            self.at = 0;
        }
    }

    /// The value `horizon` steps ahead, at least 1; `None` while gathering. O(horizon) with damping.
    pub fn forecast(&self, horizon: usize) -> Option<f64> {
        let horizon = horizon.max(1);
        let trends = if self.smoothing.damping == 1.0 {
            horizon as f64
        } else {
            let (mut sum, mut factor) = (0.0, 1.0);
            for _ in 0..horizon {
                factor *= self.smoothing.damping;
                sum += factor;
            }
            sum
        };
        let base = self.level + trends * self.trend;
        let season = match self.season.len() {
            0 => None,
            length => Some(self.season[(self.at + horizon - 1) % length]),
        };
        self.is_ready.then_some(match (season, self.form) {
            (None, _) => base,
            (Some(season), SeasonForm::Additive) => base + season,
            (Some(season), SeasonForm::Multiplicative) => base * season,
        })
    }

    /// The sum of the values from `after + 1` to `until` steps ahead; `None` while gathering.
    pub fn sum_ahead(&self, after: usize, until: usize) -> Option<f64> {
        if !self.is_ready {
            return None;
        }
        if self.form == SeasonForm::Multiplicative || self.smoothing.damping != 1.0 {
            return (after + 1..=until).map(|horizon| self.forecast(horizon)).sum();
        }
        let (after_steps, until_steps) = (after as f64, until as f64);
        let trends = (until_steps * (until_steps + 1.0) - after_steps * (after_steps + 1.0)) / 2.0;
        let base = (until_steps - after_steps) * self.level + trends * self.trend;
        let mut seasons = 0.0;
        let (mut at, mut left) = (self.at + after, until - after);
        while left > 0 && !self.season.is_empty() {
            at %= self.season.len();
            let here = left.min(self.season.len() - at);
            seasons += sum(&self.season[at..at + here]);
            (at, left) = (at + here, left - here);
        }
        Some(base + seasons)
    }

    /// `None` while gathering.
    pub fn level(&self) -> Option<f64> {
        self.is_ready.then_some(self.level)
    }

    /// A step's; 0 where there is none; `None` while gathering.
    pub fn trend(&self) -> Option<f64> {
        self.is_ready.then_some(self.trend)
    }

    /// What the last value left in its place of the season; `None` without season, or while gathering.
    pub fn last_season(&self) -> Option<f64> {
        let length = self.season.len();
        (self.is_ready && length > 0).then(|| self.season[(self.at + length - 1) % length])
    }

    /// Visits every word of mutable state.
    pub fn state(&mut self, state: &mut State<'_>) {
        state.f64(&mut self.level);
        state.f64(&mut self.trend);
        self.season.iter_mut().for_each(|season| state.f64(season));
        state.index(&mut self.at, self.season.len().saturating_sub(1));
        state.word(&mut self.gathered);
        self.bounds.iter_mut().for_each(|bound| state.f64(bound));
        state.f64(&mut self.sum);
        state.bool(&mut self.is_ready);
    }
}

/// In four lanes, so that no addition waits for the one before.
fn sum(values: &[f64]) -> f64 {
    let mut lanes = [0.0; 4];
    for four in values.chunks(4) {
        lanes.iter_mut().zip(four).for_each(|(lane, value)| *lane += value);
    }
    (lanes[0] + lanes[1]) + (lanes[2] + lanes[3])
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMOOTHING: Smoothing = Smoothing { level: 0.3, trend: 0.1, season: 0.2, damping: 1.0 };

    /// A line with a season of four, as a sum or as a factor.
    fn value(form: SeasonForm, i: usize) -> f64 {
        let line = 100.0 + 0.5 * i as f64;
        match form {
            SeasonForm::Additive => line + [5.0, -3.0, 0.0, -2.0][i % 4],
            SeasonForm::Multiplicative => line * [1.1, 0.9, 1.05, 0.95][i % 4],
        }
    }

    #[test]
    fn a_line_with_a_season_is_learnt_from_its_own_first_values() {
        for form in [SeasonForm::Additive, SeasonForm::Multiplicative] {
            let mut model = HoltWinters::gathering(SMOOTHING, form, 4, true, FirstSeason::FromLevel);
            for i in 0..3_000 {
                assert_eq!(model.learn(value(form, i)).is_some(), i >= 4, "{form:?} {i}");
            }
            for horizon in 1..=9 {
                let is = model.forecast(horizon).unwrap();
                let is_to_be = value(form, 2_999 + horizon);
                assert!((is - is_to_be).abs() < 1e-3 * is_to_be, "{form:?} {horizon}: {is} {is_to_be}");
            }
            for (after, until) in [(0, 1), (1, 3), (2, 31), (7, 7)] {
                let one_by_one: f64 = (after + 1..=until).filter_map(|ahead| model.forecast(ahead)).sum();
                let sum = model.sum_ahead(after, until).unwrap();
                assert!((sum - one_by_one).abs() < 1e-9 * (1.0 + sum), "{form:?} {after} {until}");
            }
        }
    }

    #[test]
    fn without_season_two_values_make_a_start() {
        let mut model =
            HoltWinters::gathering(SMOOTHING, SeasonForm::Additive, 0, true, FirstSeason::FromLevel);
        assert_eq!((model.learn(4.0), model.forecast(1), model.sum_ahead(0, 1)), (None, None, None));
        assert_eq!((model.learn(6.0), model.forecast(3)), (None, Some(11.0)));
        let smoothing = Smoothing::level(0.5);
        let mut flat =
            HoltWinters::gathering(smoothing, SeasonForm::Additive, 0, false, FirstSeason::FromLevel);
        let _ = [4.0, 6.0].map(|value| flat.learn(value));
        assert_eq!((flat.learn(9.0), flat.forecast(1), flat.forecast(50)), (Some(5.0), Some(7.0), Some(7.0)));
    }

    #[test]
    fn a_factor_is_not_learnt_from_what_is_not_above_zero() {
        let form = SeasonForm::Multiplicative;
        let mut model = HoltWinters::known(SMOOTHING, form, 100.0, 0.0, &[1.1, 0.9]);
        let before = model.forecast(1);
        assert_eq!([0.0, -3.0, f64::NAN].map(|value| model.learn(value)), [None; 3]);
        assert_eq!(model.forecast(1), before);
    }

    #[test]
    fn saving_in_the_middle_changes_nothing() {
        for saved_at in [2, 50] {
            let form = SeasonForm::Additive;
            let mut one = HoltWinters::gathering(SMOOTHING, form, 4, true, FirstSeason::River);
            (0..saved_at).for_each(|i| _ = one.learn(value(form, i)));
            let mut words = Vec::new();
            one.state(&mut State::Save(&mut words));
            let mut other = HoltWinters::gathering(SMOOTHING, form, 4, true, FirstSeason::River);
            let mut loading = State::load(&words);
            other.state(&mut loading);
            assert_eq!(loading.finish(), Ok(()));
            for i in saved_at..saved_at + 50 {
                let value = value(form, i * i % 17);
                assert_eq!(one.learn(value), other.learn(value), "{i}");
            }
        }
    }
}
