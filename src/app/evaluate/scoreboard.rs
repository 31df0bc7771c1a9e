//! Forecasts and what came of them: paired, scored, and held against naive.
//!
//! Scores come from targets that do not overlap: of a horizon of 15 candles every fifteenth forecast counts, those
//! made at whole multiples of 15 candles after 1970. Coverage counts every outcome, for the worst day as well.
//! What an error costs depends on the target: the square of a price's relative error, QLIKE for a variance, the
//! absolute error of logarithms for volume and trades, minus the logarithm of the chance given to a direction.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::analytics::estimators::scores::diebold_mariano::{DieboldMariano, Lags};
use crate::analytics::estimators::scores::direction::{self, DirectionScore};
use crate::analytics::estimators::scores::interval::IntervalScore;
use crate::analytics::estimators::scores::point::PointScore;
use crate::analytics::estimators::scores::variance::{QlikeScore, qlike};
use crate::domain::insight::{Forecast, InsightId, Outcome, Target};
use crate::domain::instrument::Instrument;
use crate::domain::interval::Interval;
use crate::domain::time::UnixNanos;

const DAY_NANOS: i64 = 86_400_000_000_000;
/// Outcomes that a day needs for its coverage to count, and how many of them that do not overlap.
const DAY_MIN: u64 = 20;
const DAY_MIN_APART: u64 = 8;
/// How long a forecast is kept when its moment has passed: outcomes come with the candle, or never.
const KEPT_NANOS: i64 = 3_600_000_000_000;
/// What forecasts of a target are held against besides naive.
const REFERENCES: [(Target, &str); 1] = [(Target::RealizedVariance, "risk_metrics@")];
/// Chances are told apart in tenths.
pub const BINS: usize = 10;

/// Whose scores they are.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ScoreKey {
    pub instrument: Instrument,
    pub interval: Interval,
    pub target: Target,
    /// Candles ahead.
    pub horizon: u32,
    /// Name and version.
    pub model: Arc<str>,
}

/// A forecast whose outcome is known.
#[derive(Clone, Debug)]
pub struct Scored {
    pub forecast: Forecast,
    pub actual: f64,
}

/// Outcomes of one day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Day {
    /// Days since 1970.
    pub day: i64,
    pub count: u64,
    pub inside: u64,
}

/// Chances within a tenth, and what came of them.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Bin {
    pub count: u64,
    pub ups: u64,
    /// Sum of the chances.
    pub chances: f64,
}

/// The scores of one model at one horizon.
#[derive(Clone, Debug)]
pub struct Score {
    target: Target,
    horizon: u32,
    /// Outcomes, overlapping ones included.
    pub outcomes: u64,
    pub level: f64,
    inside: u64,
    pub days: Vec<Day>,
    /// Outcomes that count for everything else.
    pub scored: u64,
    loss: f64,
    naive_loss: f64,
    against_naive: DieboldMariano,
    point: PointScore,
    /// The last outcome that counted.
    before: Option<f64>,
    interval: IntervalScore,
    qlike: QlikeScore,
    naive_qlike: QlikeScore,
    direction: DirectionScore,
    pub bins: [Bin; BINS],
    /// The same outcomes as the reference's.
    reference_loss: [f64; 2],
    against_reference: DieboldMariano,
}

impl Score {
    fn new(target: Target, horizon: u32, level: f64) -> Self {
        Self {
            target,
            horizon,
            outcomes: 0,
            level,
            inside: 0,
            days: Vec::new(),
            scored: 0,
            loss: 0.0,
            naive_loss: 0.0,
            against_naive: DieboldMariano::new(1, Lags::Rectangular),
            point: PointScore::default(),
            before: None,
            interval: IntervalScore::new(level.clamp(0.01, 0.999)),
            qlike: QlikeScore::default(),
            naive_qlike: QlikeScore::default(),
            direction: DirectionScore::default(),
            bins: [Bin::default(); BINS],
            reference_loss: [0.0; 2],
            against_reference: DieboldMariano::new(1, Lags::Rectangular),
        }
    }

    /// Takes one more; gives back its loss where it counts.
    fn learn(&mut self, forecast: &Forecast, actual: f64, counts: bool) -> Option<f64> {
        self.outcomes += 1;
        if self.target != Target::Direction {
            let is_inside = forecast.lower <= actual && actual <= forecast.upper;
            self.inside += u64::from(is_inside);
            let day = (forecast.target_at.0 - 1).div_euclid(DAY_NANOS);
            if self.days.last().is_none_or(|last| last.day != day) {
                self.days.push(Day { day, count: 0, inside: 0 });
            }
            if let Some(today) = self.days.last_mut() {
                today.count += 1;
                today.inside += u64::from(is_inside);
            }
        }
        if !counts {
            return None;
        }
        let loss = loss(self.target, forecast.forecast, actual);
        // Where the baseline gives no chance, a coin does.
        let naive_loss = loss_of_naive(self.target, forecast.naive, actual);
        let (Some(loss), Some(naive_loss)) = (loss, naive_loss) else { return None };
        self.scored += 1;
        self.loss += loss;
        self.naive_loss += naive_loss;
        self.against_naive.learn(loss, naive_loss);
        match self.target {
            Target::Direction => {
                let went_up = actual > 0.5;
                self.direction.learn_chance(went_up, forecast.forecast);
                let bin = (forecast.forecast * BINS as f64).clamp(0.0, BINS as f64 - 1.0) as usize;
                self.bins[bin].count += 1;
                self.bins[bin].ups += u64::from(went_up);
                self.bins[bin].chances += forecast.forecast;
                return Some(loss);
            }
            Target::Price if forecast.forecast != forecast.naive && actual != forecast.naive => {
                self.direction.learn(actual > forecast.naive, forecast.forecast > forecast.naive);
            }
            Target::RealizedVariance => {
                self.qlike.learn(actual, forecast.forecast);
                self.naive_qlike.learn(actual, forecast.naive);
            }
            _ => {}
        }
        self.point.learn(actual, forecast.forecast, self.before);
        self.before = Some(actual);
        self.interval.learn(actual, forecast.lower, forecast.upper);
        Some(loss)
    }

    /// Mean loss by that of naive: below 1 is better. Of prices the root of it: the ratio of the RMSE.
    pub fn ratio(&self) -> Option<f64> {
        self.ratio_of(self.loss, self.naive_loss)
    }

    /// The ratio's 95 % interval, as far as the test against naive knows the error of the difference.
    pub fn ratio_range(&self) -> Option<[f64; 2]> {
        let (test, mean) = (self.against_naive.test()?, self.against_naive.mean()?);
        let half = (direction::Z_95 * mean / test.statistic).abs() * self.scored as f64;
        let range =
            [self.loss - half, self.loss + half].map(|loss| self.ratio_of(loss.max(0.0), self.naive_loss));
        (test.statistic != 0.0).then_some([range[0]?, range[1]?])
    }

    fn ratio_of(&self, loss: f64, other: f64) -> Option<f64> {
        let ratio = (other > 0.0).then(|| loss / other)?;
        Some(if self.target == Target::Price { ratio.sqrt() } else { ratio })
    }

    /// The least coverage of a day with enough outcomes.
    fn coverage_days(&self) -> Option<[f64; 2]> {
        let least = DAY_MIN.max(DAY_MIN_APART * u64::from(self.horizon));
        let shares = self.days.iter().filter(|day| day.count >= least);
        shares.map(|day| day.inside as f64 / day.count as f64).fold(None, |range: Option<[f64; 2]>, share| {
            Some(range.map_or([share; 2], |[least, most]| [least.min(share), most.max(share)]))
        })
    }

    /// Every figure under its name; `None`: it does not apply, or nothing was scored.
    pub fn figures(&self) -> Vec<(&'static str, Option<f64>)> {
        let covered = (self.outcomes > 0 && self.target != Target::Direction)
            .then(|| self.inside as f64 / self.outcomes as f64);
        let days = self.coverage_days();
        let naive = self.against_naive.test();
        let reference = self.against_reference.test();
        let compared = self.against_reference.count() > 0;
        let [loss, reference_loss] = self.reference_loss;
        let interval = self.direction.interval();
        let p = (self.direction.count() > 0)
            .then(|| direction::binomial_two_sided(self.direction.hits(), self.direction.count()));
        let mean = |sum: f64| (self.scored > 0).then(|| sum / self.scored as f64);
        vec![
            ("skill", self.ratio()),
            ("loss", mean(self.loss)),
            ("naive_loss", mean(self.naive_loss)),
            ("dm_statistic", naive.map(|test| test.statistic)),
            ("dm_p", naive.map(|test| test.p)),
            ("mae", self.point.mae()),
            ("rmse", self.point.rmse()),
            ("mape", self.point.mape()),
            ("smape", self.point.smape()),
            ("mase", self.point.mase()),
            ("qlike", self.qlike.mean()),
            ("naive_qlike", self.naive_qlike.mean()),
            ("coverage", covered),
            ("coverage_worst_day", days.map(|[least, _]| least)),
            ("coverage_best_day", days.map(|[_, most]| most)),
            ("pinball", self.interval.pinball()),
            ("winkler", self.interval.winkler()),
            ("log_loss", self.direction.log_loss()),
            ("brier", self.direction.brier()),
            ("directional_accuracy", self.direction.share()),
            ("directional_lower", interval.map(|[lower, _]| lower)),
            ("directional_upper", interval.map(|[_, upper]| upper)),
            ("directional_majority", self.direction.majority()),
            ("directional_p", p),
            ("reference_skill", self.ratio_of(loss, reference_loss).filter(|_| compared)),
            ("reference_dm_statistic", reference.map(|test| test.statistic)),
            ("reference_dm_p", reference.map(|test| test.p)),
        ]
    }

    pub fn figure(&self, name: &str) -> Option<f64> {
        self.figures().into_iter().find(|(other, _)| *other == name)?.1
    }
}

/// What it costs; `None` where it has no cost: a direction that was none, an amount of nothing.
fn loss(target: Target, forecast: f64, actual: f64) -> Option<f64> {
    let loss = match target {
        Target::Price if actual > 0.0 => {
            let error = (forecast - actual) / actual;
            error * error
        }
        Target::RealizedVariance if actual > 0.0 && forecast > 0.0 => qlike(actual, forecast),
        Target::Volume | Target::TradeCount if actual > 0.0 && forecast > 0.0 => {
            (libm::log(actual) - libm::log(forecast)).abs()
        }
        Target::Direction if actual != 0.5 => {
            -libm::log(if actual > 0.5 { forecast } else { 1.0 - forecast })
        }
        _ => return None,
    };
    loss.is_finite().then_some(loss)
}

fn loss_of_naive(target: Target, naive: f64, actual: f64) -> Option<f64> {
    let is_chance = naive > 0.0 && naive < 1.0;
    let naive = if target == Target::Direction && !is_chance { 0.5 } else { naive };
    loss(target, naive, actual)
}

/// Losses of one moment's forecasts, until all of them are there.
#[derive(Debug, Default)]
struct Moment {
    of: Option<(Instrument, Interval, Target, u32, UnixNanos)>,
    losses: Vec<(Arc<str>, f64)>,
}

/// All scores of a run.
#[derive(Debug, Default)]
pub struct ScoreBoard {
    pub scores: BTreeMap<ScoreKey, Score>,
    /// By instrument and by the moment that they speak of.
    waiting: BTreeMap<Instrument, BTreeMap<(UnixNanos, InsightId), Forecast>>,
    moment: Moment,
    /// Forecasts that were told.
    pub told: u64,
    /// Those whose moment lies behind a hole, or behind the end.
    pub unscored: u64,
}

impl ScoreBoard {
    /// A forecast was told.
    pub fn forecast(&mut self, instrument: &Instrument, forecast: &Forecast) {
        self.told += 1;
        let waiting = match self.waiting.get_mut(instrument) {
            Some(waiting) => waiting,
            None => self.waiting.entry(instrument.clone()).or_default(),
        };
        while let Some(first) = waiting.first_entry()
            && first.key().0.0.saturating_add(KEPT_NANOS) < forecast.made_at.0
        {
            first.remove();
            self.unscored += 1;
        }
        waiting.insert((forecast.target_at, forecast.id), forecast.clone());
    }

    /// What came of a forecast: gives back the pair.
    pub fn outcome(&mut self, instrument: &Instrument, outcome: &Outcome) -> Option<Scored> {
        let forecast = self.waiting.get_mut(instrument)?.remove(&(outcome.target_at, outcome.id))?;
        let key = ScoreKey {
            instrument: instrument.clone(),
            interval: forecast.interval,
            target: forecast.target,
            horizon: forecast.horizon,
            model: forecast.model.clone(),
        };
        let nanos = forecast.interval.time().map_or(1, |interval| interval.nanos());
        let counts = forecast.made_at.0.div_euclid(nanos).rem_euclid(i64::from(forecast.horizon)) == 0;
        let of = (key.instrument.clone(), key.interval, key.target, key.horizon, forecast.made_at);
        let score = self
            .scores
            .entry(key)
            .or_insert_with(|| Score::new(forecast.target, forecast.horizon, forecast.level));
        let loss = score.learn(&forecast, outcome.actual, counts);
        if let Some(loss) = loss
            && REFERENCES.iter().any(|(target, _)| *target == forecast.target)
        {
            if self.moment.of.as_ref() != Some(&of) {
                self.compare();
                self.moment.of = Some(of);
            }
            self.moment.losses.push((forecast.model.clone(), loss));
        }
        Some(Scored { forecast, actual: outcome.actual })
    }

    /// Holds the losses of a moment against those of the target's reference.
    fn compare(&mut self) {
        let Some((instrument, interval, target, horizon, _)) = self.moment.of.take() else { return };
        let losses = std::mem::take(&mut self.moment.losses);
        let is_reference =
            |model: &str| REFERENCES.iter().any(|(of, name)| *of == target && model.starts_with(name));
        let Some((reference, at_reference)) = losses.iter().find(|(model, _)| is_reference(model)) else {
            return;
        };
        for (model, loss) in losses.iter().filter(|(model, _)| model != reference) {
            let key =
                ScoreKey { instrument: instrument.clone(), interval, target, horizon, model: model.clone() };
            let Some(score) = self.scores.get_mut(&key) else { continue };
            score.against_reference.learn(*loss, *at_reference);
            score.reference_loss[0] += loss;
            score.reference_loss[1] += at_reference;
        }
    }

    /// The input has ended.
    pub fn finish(&mut self) {
        self.compare();
        self.unscored += self.waiting.values().map(|waiting| waiting.len() as u64).sum::<u64>();
        self.waiting.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::data_state::DataState;
    use crate::domain::insight::Role;
    use crate::domain::venue::Venue;

    const MINUTE: i64 = 60_000_000_000;

    fn instrument() -> Instrument {
        Instrument::new(Venue::new("binance").unwrap(), "BTC-USDT").unwrap()
    }

    /// Made at a minute; the id tells model and minute apart.
    fn forecast(target: Target, model: &str, minute: i64, horizon: u32, said: f64, naive: f64) -> Forecast {
        Forecast {
            id: InsightId((minute as u64) << 8 | u64::from(model.as_bytes()[0])),
            interval: "1m".parse().unwrap(),
            target,
            model: model.into(),
            role: Role::Online,
            horizon,
            made_at: UnixNanos(minute * MINUTE),
            target_at: UnixNanos((minute + i64::from(horizon)) * MINUTE),
            forecast: said,
            lower: said * 0.5,
            upper: said * 2.0,
            level: 0.9,
            naive,
            skill: None,
            revision: 0,
            data_state: DataState::Complete,
        }
    }

    fn outcome(of: &Forecast, actual: f64) -> Outcome {
        Outcome {
            id: of.id,
            interval: of.interval,
            target: of.target,
            model: of.model.clone(),
            role: of.role,
            horizon: of.horizon,
            made_at: of.made_at,
            target_at: of.target_at,
            actual,
        }
    }

    /// Forecasts of a variance that is 1, 2 or 4: `har@1` says what comes, naive what was.
    fn variances(horizon: u32) -> ScoreBoard {
        let mut board = ScoreBoard::default();
        let actual = |minute: i64| [1.0, 2.0, 4.0][(minute % 3) as usize];
        for minute in 0..300 {
            let naive = actual(minute);
            let comes = actual(minute + 1);
            let told = [
                forecast(Target::RealizedVariance, "har@1", minute, horizon, comes * 1.01, naive),
                forecast(Target::RealizedVariance, "risk_metrics@1", minute, horizon, 2.0, naive),
            ];
            told.iter().for_each(|forecast| board.forecast(&instrument(), forecast));
            for forecast in &told {
                assert!(board.outcome(&instrument(), &outcome(forecast, comes)).is_some());
            }
        }
        board.finish();
        board
    }

    #[test]
    fn a_model_is_held_against_naive_and_against_the_reference_on_targets_that_do_not_overlap() {
        for (horizon, scored) in [(1, 300), (15, 20)] {
            let board = variances(horizon);
            assert_eq!((board.told, board.unscored, board.scores.len()), (600, 0, 2));
            let mut scores = board.scores.values();
            let (har, reference) = (scores.next().unwrap(), scores.next().unwrap());
            assert_eq!((har.outcomes, har.scored), (300, scored));
            assert!(har.ratio().unwrap() < 0.01 && har.figure("dm_p").is_none_or(|p| p < 1e-3));
            assert_eq!(har.figure("coverage"), Some(1.0));
            assert!(har.figure("mae").unwrap() < 0.05 && har.figure("log_loss").is_none());
            if horizon == 1 {
                assert!(har.figure("reference_skill").unwrap() < 0.01);
                assert!(har.figure("reference_dm_statistic").unwrap() < 0.0);
            }
            assert_eq!(reference.figure("reference_skill"), None, "not against itself");
        }
    }

    #[test]
    fn what_lies_behind_a_hole_is_not_scored_and_not_kept() {
        let mut board = ScoreBoard::default();
        let lost = forecast(Target::Volume, "ewma@1", 0, 1, 5.0, 5.0);
        board.forecast(&instrument(), &lost);
        let later = forecast(Target::Volume, "ewma@1", 200, 1, 5.0, 4.0);
        board.forecast(&instrument(), &later);
        assert_eq!(board.unscored, 1);
        assert!(board.outcome(&instrument(), &outcome(&lost, 5.0)).is_none());
        assert!(board.outcome(&instrument(), &outcome(&later, 5.0)).is_some());
        board.finish();
        assert_eq!((board.told, board.unscored, board.scores.len()), (2, 1, 1));
        assert_eq!(board.scores.values().next().unwrap().ratio(), Some(0.0));
    }

    #[test]
    fn a_direction_that_was_none_has_no_score_and_chances_fall_into_tenths() {
        let mut board = ScoreBoard::default();
        for (minute, chance, actual) in [(0, 0.62, 1.0), (1, 0.62, 0.0), (2, 0.62, 0.5), (3, 0.3, 0.0)] {
            let told = forecast(Target::Direction, "ftrl@1", minute, 1, chance, 0.5);
            board.forecast(&instrument(), &told);
            board.outcome(&instrument(), &outcome(&told, actual));
        }
        let score = board.scores.values().next().unwrap();
        assert_eq!((score.outcomes, score.scored), (4, 3));
        assert_eq!((score.bins[6].count, score.bins[6].ups, score.bins[3].count), (2, 1, 1));
        assert_eq!((score.figure("coverage"), score.figure("directional_accuracy")), (None, Some(2.0 / 3.0)));
    }
}
