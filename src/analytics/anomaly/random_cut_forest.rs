//! A random cut forest over the joint vector: candles that a cut soon parts from the others.
//!
//! Thirty-two seeded trees of 128 of the last 512 candles, one grown anew every 16 candles. How odd a candle is
//! is told as the share of candles before that were less so. Source: Guha, Mishra, Roy and Schrijvers (2016).

use crate::analytics::anomaly::detector::{Detector, DetectorEntry, Finding};
use crate::analytics::anomaly::joint::{DIMENSIONS, JointVector};
use crate::analytics::estimators::random_cut_forest::{RandomCutForest, RandomCutParameters};
use crate::analytics::features::Features;
use crate::analytics::rolling::state::State;
use crate::analytics::rolling::tail::TailShare;
use crate::domain::insight::Fact;

pub const ENTRY: DetectorEntry = DetectorEntry {
    name: "random_cut_forest",
    version: 1,
    summary: "candles whose features together a random cut soon parts from those of the last 512",
    channels: &["joint"],
    warm_up: WARM_UP,
    build: |_| Box::new(Isolation::default()),
};

const PARAMETERS: RandomCutParameters =
    RandomCutParameters { dimensions: DIMENSIONS, trees: 32, sample: 128, window: 512, seed: 0x7263_6631 };
/// The vector's own, the first sample, and some scores to compare with.
const WARM_UP: usize = 60 + 128 + 200;
/// Candles after which a score weighs half in the count of how seldom the next is.
const HALF_LIFE: f64 = 2_000.0;
const SCORE_MIN: f64 = 0.998;
/// How fine scores are told apart.
const FINENESS: f64 = 250.0;

struct Isolation {
    seen: u64,
    vector: JointVector,
    forest: RandomCutForest,
    tail: TailShare,
}

impl Default for Isolation {
    fn default() -> Self {
        Self {
            seen: 0,
            vector: JointVector::default(),
            forest: RandomCutForest::new(PARAMETERS),
            tail: TailShare::new(HALF_LIFE),
        }
    }
}

impl Detector for Isolation {
    fn observe(&mut self, features: &Features, found: &mut Vec<Finding>) {
        self.seen = self.seen.saturating_add(1);
        let Some(point) = self.vector.next(features) else { return };
        let Some(isolation) = self.forest.observe(&point.distances) else { return };
        let score = self.tail.rank(FINENESS * isolation);
        if self.seen > WARM_UP as u64 && score >= SCORE_MIN {
            let evidence = point
                .evidence()
                .with("isolation", Fact::Number(isolation))
                .with("window", Fact::Count(PARAMETERS.window as i64));
            found.push(Finding { channel: "joint", score, threshold: SCORE_MIN, evidence });
        }
    }

    fn state(&mut self, state: &mut State<'_>) {
        state.word(&mut self.seen);
        self.vector.state(state);
        self.forest.state(state);
        self.tail.state(state);
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
