//! How good intervals were: coverage, and what a proper score makes of coverage and width together.
//!
//! Coverage alone is cheap, an infinite interval has all of it: read it beside Winkler's score, which is the
//! width plus a fine for each miss. Sources: Winkler, A decision-theoretic approach to interval estimation
//! (1972); Koenker and Bassett, Regression quantiles (1978); Gneiting and Raftery, Strictly proper scoring
//! rules, prediction, and estimation (2007).

use crate::analytics::estimators::scores::point::mean;
use crate::analytics::rolling::state::State;

/// The loss of forecasting `quantile` for the level that a share `level` should lie below.
#[inline]
pub fn pinball(actual: f64, quantile: f64, level: f64) -> f64 {
    let error = actual - quantile;
    if error >= 0.0 { level * error } else { (level - 1.0) * error }
}

/// Width, and `2 / (1 - level)` for each unit by which the outcome lies outside.
pub fn winkler(actual: f64, lower: f64, upper: f64, level: f64) -> f64 {
    fined(actual, lower, upper, fine(level))
}

fn fine(level: f64) -> f64 {
    2.0 / (1.0 - level)
}

#[inline]
fn fined(actual: f64, lower: f64, upper: f64, fine: f64) -> f64 {
    // Plain comparisons: `max` would look for what is no number too.
    let above_zero = |number: f64| if number > 0.0 { number } else { 0.0 };
    (upper - lower) + fine * (above_zero(lower - actual) + above_zero(actual - upper))
}

/// Sums over intervals of one level.
#[derive(Clone, Debug, PartialEq)]
pub struct IntervalScore {
    /// For each unit outside.
    fine: f64,
    count: u64,
    inside: u64,
    winkler: f64,
}

impl IntervalScore {
    /// `level`: share of outcomes that should lie inside, above 0 and below 1.
    pub fn new(level: f64) -> Self {
        assert!(level > 0.0 && level < 1.0, "an interval's level is a share");
        Self { fine: fine(level), count: 0, inside: 0, winkler: 0.0 }
    }

    /// Takes what came and the interval it had been given; one with a bound that is not finite counts as
    /// nothing: its width has no mean.
    #[inline]
    pub fn learn(&mut self, actual: f64, lower: f64, upper: f64) {
        // Nothing but what is no number, or beyond all, is not 0 times 0.
        if actual * 0.0 + lower * 0.0 + upper * 0.0 != 0.0 {
            return;
        }
        self.count += 1;
        self.inside += u64::from((lower <= actual) & (actual <= upper));
        self.winkler += fined(actual, lower, upper, self.fine);
    }

    pub fn count(&self) -> u64 {
        self.count
    }

    /// Share of outcomes inside, bounds included; `None` without any.
    pub fn coverage(&self) -> Option<f64> {
        mean(self.inside as f64, self.count)
    }

    /// Mean of Winkler's score, in the target's unit.
    pub fn winkler(&self) -> Option<f64> {
        mean(self.winkler, self.count)
    }

    /// Mean pinball loss of the two bounds, in the target's unit: theirs together, by the half miss, is Winkler's score.
    pub fn pinball(&self) -> Option<f64> {
        self.winkler().map(|winkler| winkler / (2.0 * self.fine))
    }

    /// Visits every word of mutable state.
    pub fn state(&mut self, state: &mut State<'_>) {
        state.word(&mut self.count);
        state.word(&mut self.inside);
        state.f64(&mut self.winkler);
    }
}

/// The least and the greatest coverage of a day, over days with enough outcomes.
#[derive(Clone, Debug, PartialEq)]
pub struct CoverageByDay {
    /// Outcomes that a day needs.
    least: u64,
    day: i64,
    count: u64,
    inside: u64,
    days: u64,
    range: [f64; 2],
}

impl CoverageByDay {
    /// `least`: outcomes that a day needs to count.
    pub fn new(least: u64) -> Self {
        Self { least, day: i64::MIN, count: 0, inside: 0, days: 0, range: [f64::INFINITY, f64::NEG_INFINITY] }
    }

    /// `day`: any numbering that rises.
    #[inline]
    pub fn learn(&mut self, day: i64, is_inside: bool) {
        if day != self.day {
            self.begin(day);
        }
        self.count += 1;
        self.inside += u64::from(is_inside);
    }

    #[cold]
    fn begin(&mut self, day: i64) {
        (self.days, self.range) = self.with_today();
        (self.day, self.count, self.inside) = (day, 0, 0);
    }

    fn with_today(&self) -> (u64, [f64; 2]) {
        if self.count == 0 || self.count < self.least {
            return (self.days, self.range);
        }
        let share = self.inside as f64 / self.count as f64;
        (self.days + 1, [self.range[0].min(share), self.range[1].max(share)])
    }

    /// Days that counted, today included.
    pub fn days(&self) -> u64 {
        self.with_today().0
    }

    /// Least and greatest coverage of a day; `None` before any day counted.
    pub fn range(&self) -> Option<[f64; 2]> {
        let (days, range) = self.with_today();
        (days > 0).then_some(range)
    }

    /// Visits every word of mutable state.
    pub fn state(&mut self, state: &mut State<'_>) {
        state.i64(&mut self.day);
        for count in [&mut self.count, &mut self.inside, &mut self.days] {
            state.word(count);
        }
        self.range.iter_mut().for_each(|share| state.f64(share));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn winklers_score_is_the_two_pinball_losses_by_the_half_miss() {
        for (actual, lower, upper) in [(1.0, 0.0, 3.0), (-2.0, 0.0, 3.0), (4.5, 0.0, 3.0)] {
            let level = 0.8;
            let pinballs = pinball(actual, lower, 0.1) + pinball(actual, upper, 0.9);
            let winkler = winkler(actual, lower, upper, level);
            assert!((winkler - pinballs * 2.0 / (1.0 - level)).abs() < 1e-12, "{actual}");
        }
        let mut score = IntervalScore::new(0.8);
        for (actual, upper) in [(1.0, 3.0), (3.0, 3.0), (4.0, 3.0), (4.0, f64::INFINITY)] {
            score.learn(actual, 0.0, upper);
        }
        assert_eq!((score.count(), score.coverage()), (3, Some(2.0 / 3.0)));
        assert!((score.winkler().unwrap() - (3.0 + 3.0 + 13.0) / 3.0).abs() < 1e-12);
    }

    #[test]
    fn the_worst_day_is_found_and_one_with_few_outcomes_does_not_count() {
        let mut days = CoverageByDay::new(4);
        assert_eq!(days.range(), None);
        for (day, inside) in [(1, [true; 4]), (2, [true, false, true, true]), (4, [true, false, false, true])]
        {
            inside.iter().for_each(|&inside| days.learn(day, inside));
        }
        assert_eq!((days.days(), days.range()), (3, Some([0.5, 1.0])));
        days.learn(5, false);
        assert_eq!((days.days(), days.range()), (3, Some([0.5, 1.0])));
        let mut words = Vec::new();
        days.state(&mut State::Save(&mut words));
        let mut other = CoverageByDay::new(4);
        other.state(&mut State::load(&words));
        assert_eq!(other, days);
    }
}
