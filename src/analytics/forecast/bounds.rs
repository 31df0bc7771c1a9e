//! How far from a forecast its outcome may lie: the interval that nine in ten outcomes should lie in.
//!
//! In units of the scale, which takes the volatility out; learnt from how far off earlier forecasts were. Two
//! ways: the quantile tracker follows the quantile of either side on its own, in two numbers; adaptive
//! conformal inference keeps the last absolute errors and moves the level that is read off them.
//! Sources: Angelopoulos, Candes and Tibshirani, Conformal PID control for time series prediction (2023);
//! Gibbs and Candes, Adaptive conformal inference under distribution shift (2021).

use crate::analytics::estimators::aci::Aci;
use crate::analytics::estimators::quantile_tracker::QuantileTracker;
use crate::analytics::rolling::state::State;

/// Share of outcomes that should lie in an interval.
pub const LEVEL: f64 = 0.9;
/// What is aimed at: a hair more. When a market gets wilder, the outcomes of the forecasts that are under way lie
/// outside before anything can be learnt of it.
const AIM: f64 = 0.9015;

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
const STEP: f64 = 0.033;
/// Errors that are gathered before the tracker begins at their quantiles, and more for each candle of the horizon: over
/// that errors overlap.
const GATHERED: usize = 100;
const GATHERED_MORE: usize = 4;
const GATHERED_MAX: usize = 600;
/// Of the level that ACI reads, by the horizon.
const ACI_STEP: f64 = 0.005;
/// Absolute errors that ACI keeps.
const ACI_WINDOW: usize = 500;
/// What "everything" is, where ACI asks for it: so many times the first reach.
const ACI_REACH_MAX: f64 = 4.0;

/// The interval of one model at one horizon.
#[derive(Clone, Debug)]
pub enum Bounds {
    Tracker(Trackers),
    Aci { errors: Box<Aci>, reach_max: f64 },
}

/// A tracker for either side; until it knows where to begin, errors are gathered.
#[derive(Clone, Debug)]
pub struct Trackers {
    step: f64,
    reach: f64,
    gathered_min: usize,
    gathered: Vec<f64>,
    sides: Option<[QuantileTracker; 2]>,
}

impl Bounds {
    /// `horizon`: how many errors overlap; `reach`: where to start.
    pub fn new(method: BoundsMethod, horizon: usize, reach: f64) -> Self {
        match method {
            BoundsMethod::QuantileTracker => Self::Tracker(Trackers {
                step: STEP * reach / (1.0 + (horizon as f64).sqrt()),
                reach,
                gathered_min: (GATHERED + GATHERED_MORE * horizon).min(GATHERED_MAX),
                gathered: Vec::new(),
                sides: None,
            }),
            BoundsMethod::Aci => Self::Aci {
                errors: Box::new(Aci::new(1.0 - AIM, ACI_STEP / horizon as f64, ACI_WINDOW)),
                reach_max: ACI_REACH_MAX * reach,
            },
        }
    }

    /// Lower and upper bound of the error, outcome less forecast, in units of the scale.
    #[inline]
    pub fn interval(&self) -> [f64; 2] {
        match self {
            Self::Tracker(Trackers { sides: Some([lower, upper]), .. }) => {
                let (lower, upper) = (lower.quantile(), upper.quantile());
                // What is forecast lies in its own interval, whatever was learnt.
                [lower.min(upper).min(0.0), lower.max(upper).max(0.0)]
            }
            Self::Tracker(trackers) => [-trackers.reach, trackers.reach],
            Self::Aci { errors, reach_max } => {
                let reach = errors.quantile().min(*reach_max);
                [-reach, reach]
            }
        }
    }

    /// Takes how far off a forecast was, in units of its scale.
    #[inline]
    pub fn learn(&mut self, error: f64) {
        match self {
            Self::Tracker(trackers) => trackers.learn(error),
            Self::Aci { errors, .. } => _ = errors.learn(error.abs()),
        }
    }

    /// Visits every word of mutable state.
    pub fn state(&mut self, state: &mut State<'_>) {
        match self {
            Self::Tracker(trackers) => trackers.state(state),
            Self::Aci { errors, .. } => errors.state(state),
        }
    }
}

impl Trackers {
    #[inline]
    fn learn(&mut self, error: f64) {
        match &mut self.sides {
            Some(sides) => sides.iter_mut().for_each(|side| _ = side.learn(error)),
            None => self.gather(error),
        }
    }

    fn gather(&mut self, error: f64) {
        if !error.is_finite() {
            return;
        }
        self.gathered.push(error);
        if self.gathered.len() == self.gathered_min {
            self.gathered.sort_unstable_by(f64::total_cmp);
            let tail = ((1.0 - AIM) / 2.0 * self.gathered.len() as f64) as usize;
            let at = [self.gathered[tail], self.gathered[self.gathered.len() - 1 - tail]];
            self.sides = Some(sides(at, self.step));
            self.gathered = Vec::new();
        }
    }

    fn state(&mut self, state: &mut State<'_>) {
        let mut len = self.gathered.len();
        state.index(&mut len, self.gathered_min);
        self.gathered.resize(len, 0.0);
        self.gathered.iter_mut().for_each(|error| state.f64(error));
        let mut some = self.sides.is_some();
        state.bool(&mut some);
        let mut sides = self.sides.take().unwrap_or_else(|| sides([0.0; 2], self.step));
        sides.iter_mut().for_each(|side| side.state(state));
        self.sides = some.then_some(sides);
    }
}

fn sides([lower, upper]: [f64; 2], step: f64) -> [QuantileTracker; 2] {
    let tail = (1.0 - AIM) / 2.0;
    [QuantileTracker::new(lower, 1.0 - tail, step), QuantileTracker::new(upper, tail, step)]
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
                bounds.learn(error);
            }
            assert!((17_700..18_300).contains(&inside), "{method:?}: {inside}");
        }
    }

    #[test]
    fn saving_in_the_middle_changes_nothing() {
        for method in BoundsMethod::ALL {
            for count in [50, 100 + GATHERED] {
                let mut random = Random(13);
                let mut one = Bounds::new(method, 5, 2.0);
                (0..count).for_each(|_| one.learn(error(&mut random)));
                let mut words = Vec::new();
                one.state(&mut State::Save(&mut words));
                let mut other = Bounds::new(method, 5, 2.0);
                let mut state = State::load(&words);
                other.state(&mut state);
                assert_eq!(state.finish(), Ok(()));
                for _ in 0..500 {
                    let error = error(&mut random);
                    one.learn(error);
                    other.learn(error);
                    assert_eq!(one.interval(), other.interval(), "{method:?}");
                }
            }
        }
    }
}
