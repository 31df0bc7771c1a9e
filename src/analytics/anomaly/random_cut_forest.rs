//! A random cut forest over the joint vector: candles that a cut soon parts from the others.
//!
//! Thirty-two seeded trees of 128 of the last 512 candles, one grown anew every 16 candles. How seldom that
//! is comes from the tail of such scores. Source: Guha, Mishra, Roy and Schrijvers (2016).

use crate::analytics::anomaly::alarm::{Alarm, WARM_UP as TAIL_WARM_UP};
use crate::analytics::anomaly::detector::{Assessment, Detector, DetectorEntry, Finding, Tuning};
use crate::analytics::anomaly::joint::{DIMENSIONS, JointVector};
use crate::analytics::estimators::random_cut_forest::{RandomCutForest, RandomCutParameters};
use crate::analytics::features::Features;
use crate::analytics::rolling::state::State;
use crate::domain::insight::Fact;

pub const ENTRY: DetectorEntry = DetectorEntry {
    name: "random_cut_forest",
    version: 1,
    summary: "candles whose features together a random cut soon parts from those of the last 512",
    channels: &["joint"],
    warm_up: WARM_UP,
    build: |tuning| Box::new(Isolation::new(tuning)),
};

const PARAMETERS: RandomCutParameters =
    RandomCutParameters { dimensions: DIMENSIONS, trees: 32, sample: 128, window: 512, seed: 0x7263_6631 };
/// The vector's, the forest's and that of the tail.
const WARM_UP: usize = 60 + 128 + TAIL_WARM_UP;

struct Isolation {
    vector: JointVector,
    forest: RandomCutForest,
    alarm: Alarm<1>,
}

impl Isolation {
    fn new(tuning: &Tuning) -> Self {
        Self {
            vector: JointVector::default(),
            forest: RandomCutForest::new(PARAMETERS),
            alarm: Alarm::new(tuning),
        }
    }
}

impl Detector for Isolation {
    fn observe(&mut self, features: &Features, found: &mut Vec<Finding>) {
        let Some(point) = self.vector.next(features) else { return };
        let Some(isolation) = self.forest.observe(&point.distances) else { return };
        let Some(alert) = self.alarm.judge([Some(isolation)]) else { return };
        let evidence = point
            .evidence(alert.tail)
            .with("isolation", Fact::Number(isolation))
            .with("window", Fact::Count(PARAMETERS.window as i64));
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

    fn candles() -> Vec<Features> {
        let mut market = Market::new(6);
        let mut candles: Vec<_> = (0..3_000).map(|_| market.next()).collect();
        candles[2_500] = market.around(1.0, 9.0);
        candles
    }

    #[test]
    fn a_lonely_candle_is_found_and_named() {
        let found = found(&ENTRY, &candles());
        let (_, odd) = found.iter().find(|(i, _)| *i == 2_500).expect("the odd candle");
        assert_eq!(odd.evidence.0[0], ("farthest".into(), Fact::Text("volume".into())));
        assert!(found.len() < 15, "{} alarms in a calm market", found.len());
    }

    #[test]
    fn saved_in_the_middle_it_goes_on_the_same() {
        check_state(&ENTRY, &candles(), &[0, 100, 187, 188, 1_500, 2_501]);
    }
}
