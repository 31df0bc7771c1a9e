//! How one model fares at one horizon, and whether it is leaned on.
//!
//! Everything is scored before it is learnt from, on targets that do not overlap, and against the baseline at
//! the same targets. A model whose mean loss (exponentially weighted, so that it may recover) is not below the
//! baseline's is demoted; it is trusted again once it is below by a hundredth. Of a doubtful target nobody is
//! trusted before the Diebold-Mariano statistic says, by three standard errors, that it was no luck, and of
//! directions not before the lower end of Wilson's interval lies above the share of the commoner direction.

use crate::analytics::estimators::moments::weight_of_newest;
use crate::analytics::estimators::scores::diebold_mariano::{DieboldMariano, Lags};
use crate::analytics::estimators::scores::direction::DirectionScore;
use crate::analytics::estimators::scores::interval::{CoverageByDay, IntervalScore};
use crate::analytics::estimators::scores::point::PointScore;
use crate::analytics::forecast::bounds::LEVEL;
use crate::analytics::forecast::measure::Terms;
use crate::analytics::rolling::state::State;
use crate::domain::insight::{ModelScore, Share, Target};

/// Weight of the newest loss in the mean of losses; a plain mean until there were as many.
const LOSS_WEIGHT: f64 = 0.002;
/// Outcomes before a model is judged, and between two judgements.
pub const JUDGED_FROM: u64 = 30;
const JUDGED_EVERY: u64 = 10;
/// Of the baseline's loss, below which a demoted model is trusted again.
const BETTER_BY: f64 = 0.99;
/// Of the Diebold-Mariano statistic. Three standard errors, not the usual two: many models are judged, and again and
/// again.
const LUCK: f64 = -3.0;
/// Outcomes that a day needs for its coverage to count, and how many of them that do not overlap.
const DAY_MIN: u64 = 20;
const DAY_MIN_APART: u64 = 8;

/// What is thought of a model.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Standing {
    /// Too little is known of it.
    #[default]
    Unproven,
    Trusted,
    /// It does not beat its baseline.
    Demoted,
}

/// Of one outcome: values, as people read them, and losses.
#[derive(Clone, Copy, Debug)]
pub struct Case {
    pub actual: f64,
    /// The last outcome before it that did not overlap.
    pub before: Option<f64>,
    pub forecast: f64,
    pub loss: f64,
    pub baseline_loss: f64,
}

/// The record of one model at one horizon.
#[derive(Clone, Debug)]
pub struct Record {
    target: Target,
    is_doubtful: bool,
    is_baseline: bool,
    standing: Standing,
    scored: u64,
    loss: f64,
    baseline_loss: f64,
    /// Of all losses: of a variance QLIKE, of a direction the logarithmic loss.
    loss_sum: f64,
    point: PointScore,
    interval: IntervalScore,
    days: CoverageByDay,
    direction: DirectionScore,
    against: DieboldMariano,
}

impl Record {
    /// `is_baseline`: it is not held against itself. `overlap`: how many of the intervals it hears of look at one candle.
    pub fn new(terms: Terms, is_baseline: bool, overlap: usize) -> Self {
        Self {
            target: terms.target,
            is_doubtful: terms.is_doubtful,
            is_baseline,
            standing: Standing::default(),
            scored: 0,
            loss: 0.0,
            baseline_loss: 0.0,
            loss_sum: 0.0,
            point: PointScore::default(),
            interval: IntervalScore::new(LEVEL),
            days: CoverageByDay::new(DAY_MIN.max(DAY_MIN_APART * overlap as u64)),
            direction: DirectionScore::default(),
            against: DieboldMariano::new(1, Lags::Bartlett),
        }
    }

    /// Takes one outcome, and judges now and then. `close`: the price when it was forecast.
    #[inline]
    pub fn learn(&mut self, case: &Case, close: f64) {
        if !(case.loss.is_finite() && case.baseline_loss.is_finite()) {
            return;
        }
        self.scored += 1;
        let weight = weight_of_newest(LOSS_WEIGHT, self.scored);
        self.loss += weight * (case.loss - self.loss);
        self.baseline_loss += weight * (case.baseline_loss - self.baseline_loss);
        self.loss_sum += case.loss;
        self.against.learn(case.loss, case.baseline_loss);
        match self.target {
            Target::Direction => self.direction.learn(case.actual > 0.5, case.forecast > 0.5),
            _ => self.point.learn(case.actual, case.forecast, case.before),
        }
        // Whether a price that was forecast moved the way that was said.
        if self.target == Target::Price && case.forecast != close && case.actual != close {
            self.direction.learn(case.actual > close, case.forecast > close);
        }
        if self.scored >= JUDGED_FROM && self.scored.is_multiple_of(JUDGED_EVERY) {
            self.judge();
        }
    }

    /// Takes what came of an interval; `day`: of its target.
    #[inline]
    pub fn learn_interval(&mut self, actual: f64, [lower, upper]: [f64; 2], day: i64) {
        self.interval.learn(actual, lower, upper);
        self.days.learn(day, lower <= actual && actual <= upper);
    }

    #[cold]
    fn judge(&mut self) {
        // Who fell once has to be better by more than nothing, or it would rise and fall all the time; who has to
        // prove it was no luck does not rise by chance.
        let fell = self.standing == Standing::Demoted && !self.is_doubtful;
        let bar = if fell { BETTER_BY } else { 1.0 };
        let is_better = self.loss < bar * self.baseline_loss;
        let is_trusted = is_better && (self.standing == Standing::Trusted || self.is_proven());
        self.standing = if is_trusted || self.is_baseline { Standing::Trusted } else { Standing::Demoted };
    }

    fn is_proven(&self) -> bool {
        if !self.is_doubtful {
            return true;
        }
        if self.against.statistic().is_none_or(|statistic| statistic >= LUCK) {
            return false;
        }
        self.target != Target::Direction || self.direction().is_some_and(|share| share.lower > share.majority)
    }

    /// Whether the mixture may lean on it.
    #[inline]
    pub fn is_leaned_on(&self) -> bool {
        match self.standing {
            Standing::Trusted => true,
            Standing::Unproven => !self.is_doubtful,
            Standing::Demoted => false,
        }
    }

    pub fn standing(&self) -> Standing {
        self.standing
    }

    pub fn scored(&self) -> u64 {
        self.scored
    }

    /// Its loss by the baseline's; `None` until it is judged, or where the baseline loses nothing.
    #[inline]
    pub fn skill(&self) -> Option<f64> {
        (self.scored >= JUDGED_FROM && self.baseline_loss > 0.0).then(|| self.loss / self.baseline_loss)
    }

    /// Outcomes that went one way or the other.
    pub fn directions(&self) -> u64 {
        self.direction.count()
    }

    fn direction(&self) -> Option<Share> {
        let [lower, upper] = self.direction.interval()?;
        Some(Share { share: self.direction.share()?, lower, upper, majority: self.direction.majority()? })
    }

    /// Puts its figures into a score.
    pub fn tell(&self, score: &mut ModelScore) {
        score.scored = self.scored;
        score.skill = self.skill();
        score.mae = self.point.mae();
        score.rmse = self.point.rmse();
        score.mape = self.point.mape();
        score.smape = self.point.smape();
        score.mase = self.point.mase();
        score.pinball = self.interval.pinball();
        score.coverage = self.interval.coverage();
        score.coverage_worst_day = self.days.range().map(|[least, _]| least);
        score.winkler = self.interval.winkler();
        let mean_loss = (self.scored > 0).then(|| self.loss_sum / self.scored as f64);
        score.qlike = mean_loss.filter(|_| self.target == Target::RealizedVariance);
        score.log_loss = mean_loss.filter(|_| self.target == Target::Direction);
        score.direction = self.direction();
        let test = self.against.test();
        score.dm_statistic = test.map(|test| test.statistic);
        score.dm_p = test.map(|test| test.p);
        score.demoted = self.standing == Standing::Demoted;
    }

    /// Visits every word of mutable state.
    pub fn state(&mut self, state: &mut State<'_>) {
        let mut standing = match self.standing {
            Standing::Unproven => 0,
            Standing::Trusted => 1,
            Standing::Demoted => 2,
        };
        state.index(&mut standing, 2);
        self.standing = [Standing::Unproven, Standing::Trusted, Standing::Demoted][standing];
        state.word(&mut self.scored);
        state.f64(&mut self.loss);
        state.f64(&mut self.baseline_loss);
        state.f64(&mut self.loss_sum);
        self.point.state(state);
        self.interval.state(state);
        self.days.state(state);
        self.direction.state(state);
        self.against.state(state);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn case(loss: f64, baseline_loss: f64) -> Case {
        Case { actual: 1.0, before: None, forecast: 1.0, loss, baseline_loss }
    }

    #[test]
    fn a_model_that_does_not_beat_its_baseline_is_demoted_until_it_does() {
        let mut record = Record::new(Terms::of(Target::Volume), false, 1);
        assert!(record.is_leaned_on(), "nothing speaks against it yet");
        (0..JUDGED_FROM).for_each(|_| record.learn(&case(1.0, 1.0), 1.0));
        assert_eq!((record.standing(), record.skill()), (Standing::Demoted, Some(1.0)));
        assert!(!record.is_leaned_on());
        while record.standing() == Standing::Demoted {
            record.learn(&case(0.9, 1.0), 1.0);
            assert!(record.scored() < 60);
        }
        assert!(record.skill().unwrap() < BETTER_BY);
        (0..200).for_each(|_| record.learn(&case(1.5, 1.0), 1.0));
        assert_eq!(record.standing(), Standing::Demoted);
    }

    #[test]
    fn of_a_doubtful_target_luck_is_not_enough() {
        let mut record = Record::new(Terms::of(Target::Price), false, 1);
        assert!(!record.is_leaned_on());
        // A little better on the mean, by far less than the differences scatter.
        for i in 0..100 {
            record.learn(&case(if i % 2 == 0 { 0.0 } else { 1.98 }, 1.0), 1.0);
        }
        assert!(record.skill().unwrap() < 1.0);
        assert_eq!(record.standing(), Standing::Demoted);
        for i in 0..100 {
            record.learn(&case(if i % 2 == 0 { 0.6 } else { 0.7 }, 1.0), 1.0);
        }
        assert_eq!(record.standing(), Standing::Trusted);
    }
}
