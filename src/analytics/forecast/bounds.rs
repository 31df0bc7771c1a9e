//! How far from a forecast its outcome may lie: the interval that nine in ten outcomes should lie in.
//!
//! In units of the scale, which takes the volatility out; learnt from what became of earlier forecasts. Two ways: the
//! quantile tracker follows the quantile of either side on its own, in two numbers; adaptive conformal inference
//! keeps the last absolute errors and moves the level that is read off them.
//!
//! The tracker answers to whether an outcome lay outside of the interval that was told of it, as long ago as the
//! horizon, not of the one that would be told now: when a market gets wilder, all forecasts under way miss, and all of
//! these misses count. So coverage comes to nine tenths whatever the horizon.
//!
//! Far ahead that is slow: of an hour's forecasts sixty miss together, and a day has two dozen hours. So both sides are
//! stretched by what was missed too often lately, and drawn in where too little was: a day that began badly gets wider
//! intervals. Forecasts whose misses come by luck alone need none of it; it costs some width, and makes days alike.
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
const STEP: f64 = 0.01;
/// By how many steps more the first outcome moves the tracker, and over how many outcomes that wears off at a horizon
/// of one; over more by one and the root of longer ones, halved.
const HASTE: f64 = 8.0;
const HASTE_LASTS: f64 = 60.0;
/// Outcomes that "lately" is: of what was missed a share of 1/e remains after so many.
const LATELY: f64 = 1_440.0;
/// Sides are never drawn in to less.
const STRETCH_MIN: f64 = 0.3;
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
    /// Outcomes missed lately beyond the share that should be, and by how much each stretches the sides.
    missed: f64,
    stretch: [f64; 2],
}

impl Bounds {
    /// `horizon`: how many outcomes overlap; `reach`: where to start; `stretch`: by what share of itself one miss too
    /// many moves the lower side out, and the upper one.
    pub fn new(method: BoundsMethod, horizon: usize, reach: f64, stretch: [f64; 2]) -> Self {
        match method {
            BoundsMethod::QuantileTracker => {
                let slower = 0.5 * (1.0 + (horizon as f64).sqrt());
                let (tail, step) = ((1.0 - LEVEL) / 2.0, STEP * reach / slower);
                Self::Tracker(Trackers {
                    lower: QuantileTracker::new(-reach, 1.0 - tail, step),
                    upper: QuantileTracker::new(reach, tail, step),
                    haste: HASTE,
                    keep: 1.0 - 1.0 / (HASTE_LASTS * slower),
                    missed: 0.0,
                    stretch,
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
            Self::Tracker(trackers) => {
                let [lower, upper] =
                    trackers.stretch.map(|stretch| (1.0 + stretch * trackers.missed).max(STRETCH_MIN));
                [lower * trackers.lower.quantile(), upper * trackers.upper.quantile()]
            }
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
                state.f64(&mut trackers.missed);
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
        let is_missed = f64::from(u8::from(place != Place::Inside));
        self.missed += is_missed - (1.0 - LEVEL) - self.missed / LATELY;
        self.lower.answer(place != Place::Below, pace);
        self.upper.answer(place == Place::Above, pace);
        // What is forecast lies in its own interval, whatever was learnt.
        self.lower.hold_below(0.0);
        self.upper.hold_above(0.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analytics::indicators::trial::Random;

    const STRETCH: [f64; 2] = [0.01; 2];

    /// An error with a longer tail above than below.
    fn error(random: &mut Random) -> f64 {
        -libm::log(1.0 - random.unit()) - 1.0
    }

    #[test]
    fn nine_in_ten_outcomes_lie_inside_by_either_method() {
        for method in BoundsMethod::ALL {
            let mut random = Random(12);
            let mut bounds = Bounds::new(method, 1, 3.0, STRETCH);
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
        let mut bounds = Bounds::new(BoundsMethod::QuantileTracker, 60, 2.0, STRETCH);
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

    /// Errors come in stretches of a day that are wide or narrow by luck: days are to be covered alike.
    #[test]
    fn days_are_covered_more_alike_than_luck_makes_them() {
        let spread = |stretch: [f64; 2]| {
            let mut random = Random(15);
            let mut bounds = Bounds::new(BoundsMethod::QuantileTracker, 60, 2.0, stretch);
            // Sixty candles' errors overlap: each is a sum of the last sixty draws.
            let mut draws: std::collections::VecDeque<f64> = (0..60).map(|_| random.unit() - 0.5).collect();
            let mut told: std::collections::VecDeque<[f64; 2]> = Default::default();
            let (mut days, mut inside, mut width) = (Vec::new(), 0, 0.0);
            for i in 1..=60 * 1_440 {
                draws.pop_front();
                draws.push_back(random.unit() - 0.5);
                let error = draws.iter().sum::<f64>() / (60.0_f64 / 12.0).sqrt();
                if told.len() == 60 {
                    let place = Place::of(error, told.pop_front().unwrap());
                    inside += u32::from(place == Place::Inside);
                    bounds.learn(place, error);
                }
                let interval = bounds.interval();
                told.push_back(interval);
                width += interval[1] - interval[0];
                if i % 1_440 == 0 {
                    days.push(f64::from(inside) / 1_440.0);
                    inside = 0;
                }
            }
            // Until the first day is over everything is learnt.
            let days = &days[1..];
            let mean = days.iter().sum::<f64>() / days.len() as f64;
            assert!((0.895..0.905).contains(&mean), "{stretch:?}: {mean}");
            (days.iter().copied().fold(1.0, f64::min), width)
        };
        let ((worst, width), (worst_by_luck, width_by_luck)) = (spread(STRETCH), spread([0.0; 2]));
        assert!(worst > worst_by_luck + 0.03, "{worst}, by luck {worst_by_luck}");
        assert!(width < 1.1 * width_by_luck, "{width}, by luck {width_by_luck}");
    }

    #[test]
    fn saving_in_the_middle_changes_nothing() {
        for method in BoundsMethod::ALL {
            for count in [0, 50, 700] {
                let mut random = Random(13);
                let mut one = Bounds::new(method, 5, 2.0, STRETCH);
                let learn = |bounds: &mut Bounds, error: f64| {
                    bounds.learn(Place::of(error, bounds.interval()), error);
                };
                (0..count).for_each(|_| learn(&mut one, error(&mut random)));
                let mut words = Vec::new();
                one.state(&mut State::Save(&mut words));
                let mut other = Bounds::new(method, 5, 2.0, STRETCH);
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
