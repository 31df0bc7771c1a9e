//! The joint vector: several features of a candle as one point, for detectors that look at all of them at once.
//!
//! Each feature is put in units of its own spread: exponentially weighted mean and deviation of the candles
//! before, with a floor under the deviation, so that a point never depends on what came after it. What a ready
//! candle does not say counts as usual. An outlier teaches no more than [`LEARN_MAX`] deviations.
//! Beside the candle's own numbers stand means of the last ten, for what is odd only because it lasts; how many
//! trades there were goes with the volume, and says little more.

use crate::analytics::anomaly::alarm::Alarm;
use crate::analytics::anomaly::detector::{Assessment, Detector, Finding, Tuning};
use crate::analytics::estimators::elementary::ln;
use crate::analytics::estimators::moments::EwMoments;
use crate::analytics::features::Features;
use crate::analytics::rolling::moments::Moments;
use crate::analytics::rolling::state::State;
use crate::domain::insight::{Evidence, Fact};
use crate::domain::output::HeldBack;

pub const DIMENSIONS: usize = 6;

/// What the numbers of a point are about.
pub const NAMES: [&str; DIMENSIONS] =
    ["return", "volume", "range", "activity", "recent_range", "taker_imbalance"];

/// Weight of the newest candle: half of the weight lies on the last 700.
const WEIGHT: f64 = 0.001;
/// Candles before a deviation means something.
const WARM_UP: u64 = 60;
/// Smallest deviation, in each feature's own unit.
const FLOORS: [f64; DIMENSIONS] = [0.1, 0.1, 0.1, 0.05, 0.05, 0.05];
/// A candle that did not move has a range all the same: a hundredth of a basis point.
const RANGE_FLOOR: f64 = 1e-6;
const LEARN_MAX: f64 = 6.0;
/// Candles whose mean is looked at.
const RECENT: usize = 10;
/// How far the middle of the unit cube reaches to either side, in deviations.
const MIDDLE: f64 = 4.0;

/// Makes points of features.
#[derive(Clone, Debug)]
pub struct JointVector {
    moments: [EwMoments; DIMENSIONS],
    volumes: Moments<1>,
    ranges: Moments<1>,
}

impl Default for JointVector {
    fn default() -> Self {
        Self {
            moments: std::array::from_fn(|_| EwMoments::with_even_start(WEIGHT)),
            volumes: Moments::new(RECENT),
            ranges: Moments::new(RECENT),
        }
    }
}

/// How far each feature is from its mean, in deviations.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    /// 0 where the candle does not say.
    pub distances: [f64; DIMENSIONS],
    is_known: [bool; DIMENSIONS],
}

impl JointVector {
    /// The point of the next candle; `None` while there is nothing to compare it with.
    pub fn next(&mut self, features: &Features) -> Option<Point> {
        let log_range = ln(features.range.max(RANGE_FLOOR));
        self.volumes.push(features.log_volume);
        self.ranges.push(log_range);
        let values = [
            Some(features.scaled_return),
            Some(features.log_volume),
            Some(log_range),
            self.volumes.is_full().then(|| self.volumes.mean()),
            self.ranges.is_full().then(|| self.ranges.mean()),
            features.taker_imbalance,
        ];
        let mut distances = [0.0; DIMENSIONS];
        let is_known = values.map(|value| value.is_some());
        let is_warm = self.moments[0].count() >= WARM_UP;
        for (i, (moments, value)) in self.moments.iter_mut().zip(values).enumerate() {
            let Some(value) = value else { continue };
            let (mean, variance) = (moments.mean().unwrap_or(value), moments.variance().unwrap_or(0.0));
            let deviation = variance.sqrt().max(FLOORS[i]);
            distances[i] = (value - mean) / deviation;
            let reach = LEARN_MAX * deviation;
            let learned = if is_warm { value.clamp(mean - reach, mean + reach) } else { value };
            moments.push(learned);
        }
        is_warm.then_some(Point { distances, is_known })
    }

    /// A hole: the last candles are no longer the last.
    pub fn interrupt(&mut self) {
        self.volumes = Moments::new(RECENT);
        self.ranges = Moments::new(RECENT);
    }

    /// Visits every word of mutable state.
    pub fn state(&mut self, state: &mut State<'_>) {
        self.moments.iter_mut().for_each(|moments| moments.state(state));
        self.volumes.state(state);
        self.ranges.state(state);
    }
}

impl Point {
    /// The same between 0 and 1, the mean at one half: half of the room for the inner [`MIDDLE`] deviations on
    /// either side, the rest for whatever lies beyond. Of exact operations alone.
    pub fn in_unit_cube(&self) -> [f64; DIMENSIONS] {
        self.distances.map(|distance| 0.5 + distance / (2.0 * (MIDDLE + distance.abs())))
    }

    /// All distances, and which feature is farthest from its mean: what a person can check. `tail`: share of
    /// candles that are odder.
    pub fn evidence(&self, tail: f64) -> Evidence {
        let mut farthest = 0;
        for i in 1..DIMENSIONS {
            if self.distances[i].abs() > self.distances[farthest].abs() {
                farthest = i;
            }
        }
        let distance = self.distances[farthest];
        let side = if distance < 0.0 { "below" } else { "above" };
        let known = || (0..DIMENSIONS).filter(|&i| self.is_known[i]);
        let names: Vec<_> = known().map(|i| NAMES[i].replace('_', " ")).collect();
        let explanation = format!(
            "{} fall together where one candle in {:.0} does; farthest is {}, {:.1} deviations {side} its mean",
            names.join(", "),
            1.0 / tail.max(1e-9),
            NAMES[farthest].replace('_', " "),
            distance.abs(),
        );
        let mut evidence = Evidence::default().with("farthest", Fact::Text(NAMES[farthest].into()));
        for i in known() {
            evidence = evidence.with(format!("{}_z", NAMES[i]), Fact::Number(self.distances[i]));
        }
        evidence.with("tail", Fact::Number(tail)).with("explanation", Fact::Text(explanation.into()))
    }
}

/// Says how far a point is from where others are.
pub trait Crowd: Send {
    /// What its number is called in evidence.
    const NAME: &'static str;
    /// Candles that it looks back on.
    const WINDOW: usize;

    /// Its number for the next point, which it then takes; `None` while warming up.
    fn observe(&mut self, point: &Point) -> Option<f64>;

    /// The number as it sets candles apart: 0 or more.
    fn strength(number: f64) -> f64 {
        number
    }

    /// Visits every word of mutable state.
    fn state(&mut self, state: &mut State<'_>);
}

/// A detector over the joint vector.
pub struct JointWatch<C> {
    vector: JointVector,
    crowd: C,
    alarm: Alarm<1>,
}

impl<C> JointWatch<C> {
    pub fn new(tuning: &Tuning, crowd: C) -> Self {
        Self { vector: JointVector::default(), crowd, alarm: Alarm::new(tuning) }
    }
}

impl<C: Crowd> Detector for JointWatch<C> {
    fn observe(&mut self, features: &Features, found: &mut Vec<Finding>) {
        let Some(point) = self.vector.next(features) else { return };
        let Some(number) = self.crowd.observe(&point) else { return };
        let Some(alert) = self.alarm.judge([Some(C::strength(number))]) else { return };
        let evidence = point
            .evidence(alert.tail)
            .with(C::NAME, Fact::Number(number))
            .with("window", Fact::Count(C::WINDOW as i64));
        found.push(Finding { channel: "joint", score: alert.score, threshold: alert.threshold, evidence });
    }

    fn interrupt(&mut self) {
        self.vector.interrupt();
        self.alarm.interrupt();
    }

    fn held_back(&self) -> Option<HeldBack> {
        self.alarm.held_back()
    }

    fn assessment(&self) -> Option<Assessment> {
        self.alarm.assessment()
    }

    fn state(&mut self, state: &mut State<'_>) {
        self.vector.state(state);
        self.crowd.state(state);
        self.alarm.state(state);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analytics::anomaly::trial::{Market, features};

    #[test]
    fn a_point_is_silent_at_first_and_says_what_is_far() {
        let (mut vector, mut market) = (JointVector::default(), Market::new(1));
        let warm: Vec<_> = (0..500).map(|_| vector.next(&market.next()).is_some()).collect();
        assert_eq!(warm.iter().position(|is_warm| *is_warm), Some(60));
        let before = vector.clone();
        let point = vector.next(&features(0.0, 30.0)).unwrap();
        assert!(point.distances[1] > 10.0 && point.distances[0].abs() < 2.0, "{point:?}");
        let evidence = point.evidence(0.01);
        assert_eq!(evidence.0[0].1, Fact::Text("volume".into()));
        let names: Vec<_> = evidence.0.iter().map(|(name, _)| &**name).collect();
        // Of what the candle does not say nothing is said.
        assert_eq!(
            names,
            [
                "farthest",
                "return_z",
                "volume_z",
                "range_z",
                "activity_z",
                "recent_range_z",
                "tail",
                "explanation"
            ]
        );
        assert!(point.in_unit_cube().iter().all(|place| (0.0..=1.0).contains(place)), "{point:?}");
        // An outlier hardly moves what the next one is measured by.
        let again = vector.next(&features(0.0, 30.0)).unwrap();
        assert!(again.distances[1] > 0.9 * point.distances[1], "{again:?}");
        // What is not known is as usual; after a hole the last ten are not known.
        let mut vector = before;
        vector.interrupt();
        let distances = vector.next(&features(0.0, 4.0)).unwrap().distances;
        assert!(distances[1] != 0.0 && distances[3..] == [0.0; 3], "{distances:?}");
    }
}
