//! How far from a forecast its outcome may lie: the interval that nine in ten outcomes should lie in.
//!
//! In units of the scale, which takes the volatility out; learnt from what became of earlier forecasts. Two ways: the
//! quantile tracker follows the quantile of either side on its own, in two numbers; adaptive conformal inference
//! keeps the last absolute errors and moves the level that is read off them.
//!
//! The tracker answers to whether an outcome lay outside of the interval that was told of it, as long ago as the
//! horizon, not of the one that would be told now: when a market gets wilder, all forecasts under way miss, and all of
//! these misses count. So coverage comes to nine tenths whatever the horizon.
//! Sources: Angelopoulos, Candes and Tibshirani, Conformal PID control for time series prediction (2023);
//! Gibbs and Candes, Adaptive conformal inference under distribution shift (2021).

use crate::analytics::estimators::aci::Aci;
use crate::analytics::estimators::quantile_tracker::QuantileTracker;
use crate::analytics::rolling::state::State;

/// Share of outcomes that should lie in an interval.
pub const LEVEL: f64 = 0.9;

/// How intervals are made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BoundsMethod {
    #[default]
    QuantileTracker,
    Aci,
}

impl BoundsMethod {
    pub const ALL: [Self; 2] = [Self::QuantileTracker, Self::Aci];

    pub fn name(self) -> &'static str {
        match self {
            Self::QuantileTracker => "quantile_tracker",
            Self::Aci => "aci",
        }
    }
}

/// Of the tracker at a horizon of one; smaller by one and the root of longer ones, halved. In units of the reach.
const STEP: f64 = 0.025;
/// By how many steps more the first outcome moves the tracker, and over how many outcomes that wears off at a horizon
/// of one; over more by one and the root of longer ones, halved.
const HASTE: f64 = 3.0;
const HASTE_LASTS: f64 = 60.0;
/// What ACI aims at: a hair more, for what it learns of an outcome comes as late as the outcome.
const ACI_AIM: f64 = 0.9015;
/// Of the level that ACI reads, by the horizon.
const ACI_STEP: f64 = 0.005;
/// Absolute errors that ACI keeps.
const ACI_WINDOW: usize = 500;
/// What "everything" is, where ACI asks for it: so many times the first reach.
const ACI_REACH_MAX: f64 = 4.0;

/// Where an outcome lay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    Below,
    Inside,
    Above,
}

impl Place {
    /// In the interval that was told.
    #[inline]
    pub fn of(actual: f64, [lower, upper]: [f64; 2]) -> Self {
        if actual < lower {
            Self::Below
        } else if actual > upper {
            Self::Above
        } else {
            Self::Inside
        }
    }
}

/// The interval of one model at one horizon.
#[derive(Clone, Debug)]
pub enum Bounds {
    Tracker(Trackers),
    Aci { errors: Box<Aci>, reach_max: f64 },
}

/// A tracker for either side.
#[derive(Clone, Debug)]
pub struct Trackers {
    lower: QuantileTracker,
    upper: QuantileTracker,
    /// Steps beyond the usual one that the next outcome moves them by, and what remains of them at each.
    haste: f64,
    keep: f64,
}

impl Bounds {
    /// `horizon`: how many outcomes overlap; `reach`: where to start.
    pub fn new(method: BoundsMethod, horizon: usize, reach: f64) -> Self {
        match method {
            BoundsMethod::QuantileTracker => {
                let slower = 0.5 * (1.0 + (horizon as f64).sqrt());
                let (tail, step) = ((1.0 - LEVEL) / 2.0, STEP * reach / slower);
                Self::Tracker(Trackers {
                    lower: QuantileTracker::new(-reach, 1.0 - tail, step),
                    upper: QuantileTracker::new(reach, tail, step),
                    haste: HASTE,
                    keep: 1.0 - 1.0 / (HASTE_LASTS * slower),
                })
            }
            BoundsMethod::Aci => Self::Aci {
                errors: Box::new(Aci::new(1.0 - ACI_AIM, ACI_STEP / horizon as f64, ACI_WINDOW)),
                reach_max: ACI_REACH_MAX * reach,
            },
        }
    }

    /// Lower and upper bound of the error, outcome less forecast, in units of the scale: 0 lies between.
    #[inline]
    pub fn interval(&self) -> [f64; 2] {
        match self {
            Self::Tracker(trackers) => [trackers.lower.quantile(), trackers.upper.quantile()],
            Self::Aci { errors, reach_max } => {
                let reach = errors.quantile().min(*reach_max);
                [-reach, reach]
            }
        }
    }

    /// Takes what became of a forecast: where the outcome lay in the interval that had been told, and how far off the
    /// forecast was, in units of its scale.
    #[inline]
    pub fn learn(&mut self, place: Place, error: f64) {
        match self {
            Self::Tracker(trackers) => trackers.learn(place),
            Self::Aci { errors, .. } => _ = errors.learn(error.abs()),
        }
    }

    /// Visits every word of mutable state.
    pub fn state(&mut self, state: &mut State<'_>) {
        match self {
            Self::Tracker(trackers) => {
                trackers.lower.state(state);
                trackers.upper.state(state);
                state.f64(&mut trackers.haste);
            }
            Self::Aci { errors, .. } => errors.state(state),
        }
    }
}

impl Trackers {
    #[inline]
    fn learn(&mut self, place: Place) {
        let pace = 1.0 + self.haste;
        self.haste *= self.keep;
        self.lower.answer(place != Place::Below, pace);
        self.upper.answer(place == Place::Above, pace);
        // What is forecast lies in its own interval, whatever was learnt.
        self.lower.hold(f64::NEG_INFINITY, 0.0);
        self.upper.hold(0.0, f64::INFINITY);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analytics::indicators::trial::Random;

    /// An error with a longer tail above than below.
    fn error(random: &mut Random) -> f64 {
        -libm::log(1.0 - random.unit()) - 1.0
    }

    #[test]
    fn nine_in_ten_outcomes_lie_inside_by_either_method() {
        for method in BoundsMethod::ALL {
            let mut random = Random(12);
            let mut bounds = Bounds::new(method, 1, 3.0);
            let mut inside = 0;
            for i in 0..20_000 {
                let error = error(&mut random) * if i / 5_000 % 2 == 0 { 1.0 } else { 1.5 };
                let [lower, upper] = bounds.interval();
                inside += u32::from(lower <= error && error <= upper);
                bounds.learn(Place::of(error, [lower, upper]), error);
            }
            assert!((17_800..18_200).contains(&inside), "{method:?}: {inside}");
        }
    }

    /// The scale of errors changes, and each outcome is known sixty candles later.
    #[test]
    fn outcomes_that_come_late_lie_inside_as_often() {
        let mut random = Random(14);
        let mut bounds = Bounds::new(BoundsMethod::QuantileTracker, 60, 2.0);
        let mut told: std::collections::VecDeque<(f64, [f64; 2])> = Default::default();
        let mut inside = 0;
        for i in 0..40_000 {
            if told.len() == 60 {
                let (error, interval) = told.pop_front().unwrap();
                let place = Place::of(error, interval);
                inside += u32::from(place == Place::Inside);
                bounds.learn(place, error);
            }
            let wild = if i / 1_000 % 3 == 0 { 2.0 } else { 1.0 };
            told.push_back((wild * error(&mut random), bounds.interval()));
        }
        let share = f64::from(inside) / 39_940.0;
        assert!((0.893..0.907).contains(&share), "{share}");
    }

    #[test]
    fn saving_in_the_middle_changes_nothing() {
        for method in BoundsMethod::ALL {
            for count in [0, 50, 700] {
                let mut random = Random(13);
                let mut one = Bounds::new(method, 5, 2.0);
                let learn = |bounds: &mut Bounds, error: f64| {
                    bounds.learn(Place::of(error, bounds.interval()), error);
                };
                (0..count).for_each(|_| learn(&mut one, error(&mut random)));
                let mut words = Vec::new();
                one.state(&mut State::Save(&mut words));
                let mut other = Bounds::new(method, 5, 2.0);
                let mut state = State::load(&words);
                other.state(&mut state);
                assert_eq!(state.finish(), Ok(()));
                for _ in 0..500 {
                    let error = error(&mut random);
                    learn(&mut one, error);
                    learn(&mut other, error);
                    assert_eq!(one.interval(), other.interval(), "{method:?}");
                }
            }
        }
    }
}
