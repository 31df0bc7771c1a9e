//! Half-space trees over the joint vector: candles in an empty part of the space of features.
//!
//! Ten seeded trees of height six count the last 512 candles; a candle where few of them were is odd, even if
//! each of its features alone is not. How odd is told as the share of candles before that were less so.
//! Windows begin anew every 512 candles, so that scores move in steps. Source: Tan, Ting and Liu (2011).

use crate::analytics::anomaly::detector::{Detector, DetectorEntry, Finding};
use crate::analytics::anomaly::joint::{DIMENSIONS, JointVector};
use crate::analytics::estimators::half_space_trees::{HalfSpaceParameters, HalfSpaceTrees};
use crate::analytics::features::Features;
use crate::analytics::rolling::state::State;
use crate::analytics::rolling::tail::TailShare;
use crate::domain::insight::Fact;

pub const ENTRY: DetectorEntry = DetectorEntry {
    name: "half_space_trees",
    version: 1,
    summary: "candles whose features together fall where few others did, by ten random trees",
    channels: &["joint"],
    warm_up: WARM_UP,
    build: |_| Box::new(Crowding::default()),
};

const PARAMETERS: HalfSpaceParameters =
    HalfSpaceParameters { dimensions: DIMENSIONS, trees: 10, height: 6, window: 512, seed: 0x6873_7431 };
/// The vector's own, a window, and some scores to compare with.
const WARM_UP: usize = 60 + 512 + 200;
/// Candles after which a score weighs half in the count of how seldom the next is.
const HALF_LIFE: f64 = 2_000.0;
const SCORE_MIN: f64 = 0.998;
/// How fine scores near 1 are told apart: down to a mass of a thousandth.
const FINENESS: f64 = 16.0;
const MASS_FLOOR: f64 = 1.0 / 1_024.0;

struct Crowding {
    seen: u64,
    vector: JointVector,
    forest: HalfSpaceTrees,
    tail: TailShare,
}

impl Default for Crowding {
    fn default() -> Self {
        Self {
            seen: 0,
            vector: JointVector::default(),
            forest: HalfSpaceTrees::new(PARAMETERS),
            tail: TailShare::new(HALF_LIFE),
        }
    }
}

impl Detector for Crowding {
    fn observe(&mut self, features: &Features, found: &mut Vec<Finding>) {
        self.seen = self.seen.saturating_add(1);
        let Some(point) = self.vector.next(features) else { return };
        let Some(emptiness) = self.forest.observe(&point.in_unit_cube()) else { return };
        // What sets candles apart is how many times fewer came there: sizes are logarithms of that.
        let score = self.tail.rank(-FINENESS * libm::log2((1.0 - emptiness).max(MASS_FLOOR)));
        if self.seen > WARM_UP as u64 && score >= SCORE_MIN {
            let evidence = point
                .evidence()
                .with("emptiness", Fact::Number(emptiness))
                .with("window", Fact::Count(i64::from(PARAMETERS.window)));
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
        check_state(&ENTRY, &candles(), &[0, 59, 300, 572, 1_111, 2_499, 2_501]);
    }
}
