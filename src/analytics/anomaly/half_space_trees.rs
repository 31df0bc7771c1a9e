//! Half-space trees over the joint vector: candles in an empty part of the space of features.
//!
//! Ten seeded trees of height six count the last 1,024 candles; a candle where few of them were is odd, even if
//! each of its features alone is not. How seldom that is comes from the tail of such scores.
//! Windows begin anew every 1,024 candles, so that scores move in steps. Source: Tan, Ting and Liu (2011).

use crate::analytics::anomaly::alarm::{Alarm, WARM_UP as TAIL_WARM_UP};
use crate::analytics::anomaly::detector::{Assessment, Detector, DetectorEntry, Finding, Tuning};
use crate::analytics::anomaly::joint::{DIMENSIONS, JointVector};
use crate::analytics::estimators::half_space_trees::{HalfSpaceParameters, HalfSpaceTrees};
use crate::analytics::features::Features;
use crate::analytics::rolling::state::State;
use crate::domain::insight::Fact;

pub const ENTRY: DetectorEntry = DetectorEntry {
    name: "half_space_trees",
    version: 1,
    summary: "candles whose features together fall where few others did, by ten random trees",
    channels: &["joint"],
    warm_up: WARM_UP,
    build: |tuning| Box::new(Crowding::new(tuning)),
};

const PARAMETERS: HalfSpaceParameters =
    HalfSpaceParameters { dimensions: DIMENSIONS, trees: 10, height: 6, window: 1_024, seed: 0x6873_7431 };
/// The vector's, the forest's and that of the tail.
const WARM_UP: usize = 60 + 1_024 + TAIL_WARM_UP;
/// A mass so small is none.
const MASS_FLOOR: f64 = 1.0 / 1_024.0;

struct Crowding {
    vector: JointVector,
    forest: HalfSpaceTrees,
    alarm: Alarm<1>,
}

impl Crowding {
    fn new(tuning: &Tuning) -> Self {
        Self {
            vector: JointVector::default(),
            forest: HalfSpaceTrees::new(PARAMETERS),
            alarm: Alarm::new(tuning),
        }
    }
}

impl Detector for Crowding {
    fn observe(&mut self, features: &Features, found: &mut Vec<Finding>) {
        let Some(point) = self.vector.next(features) else { return };
        let Some(emptiness) = self.forest.observe(&point.in_unit_cube()) else { return };
        // What sets candles apart is how many times fewer came there: a logarithm.
        let Some(alert) = self.alarm.judge([Some(-libm::log2((1.0 - emptiness).max(MASS_FLOOR)))]) else {
            return;
        };
        let evidence = point
            .evidence(alert.tail)
            .with("emptiness", Fact::Number(emptiness))
            .with("window", Fact::Count(i64::from(PARAMETERS.window)));
        found.push(Finding { channel: "joint", score: alert.score, threshold: alert.threshold, evidence });
    }

    fn interrupt(&mut self) {
        self.vector.interrupt();
        self.alarm.interrupt();
    }

    fn assessment(&self) -> Option<Assessment> {
        self.alarm.assessment()
    }

    fn state(&mut self, state: &mut State<'_>) {
        self.vector.state(state);
        self.forest.state(state);
        self.alarm.state(state);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analytics::anomaly::trial::{Market, check_state, found};

    /// A calm market in which one candle has much volume and no range at all: odd together.
    fn candles() -> Vec<Features> {
        let mut market = Market::new(5);
        let mut candles: Vec<_> = (0..3_000).map(|_| market.next()).collect();
        candles[2_500] = Features { range: 1e-5, ..market.around(4.0, 6.0) };
        candles
    }

    #[test]
    fn an_odd_combination_is_found_and_named() {
        let found = found(&ENTRY, &candles());
        let (_, odd) = found.iter().find(|(i, _)| *i == 2_500).expect("the odd candle");
        assert_eq!(odd.evidence.0[0], ("farthest".into(), Fact::Text("range".into())));
        assert!(found.len() < 12, "{} alarms in a calm market", found.len());
    }

    #[test]
    fn saved_in_the_middle_it_goes_on_the_same() {
        check_state(&ENTRY, &candles(), &[0, 59, 300, 1_084, 1_385, 2_499, 2_501]);
    }
}
