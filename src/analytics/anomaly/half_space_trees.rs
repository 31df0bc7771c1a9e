//! Half-space trees over the joint vector: candles in an empty part of the space of features.
//!
//! Ten seeded trees of height six count the last 1,024 candles; a candle where few of them were is odd, even if
//! each of its features alone is not. How seldom that is comes from the tail of such scores.
//! Windows begin anew every 1,024 candles, so that scores move in steps. Source: Tan, Ting and Liu (2011).

use crate::analytics::anomaly::alarm::WARM_UP as TAIL_WARM_UP;
use crate::analytics::anomaly::detector::DetectorEntry;
use crate::analytics::anomaly::joint::{Crowd, DIMENSIONS, JointWatch, Point};
use crate::analytics::estimators::half_space_trees::{HalfSpaceParameters, HalfSpaceTrees};
use crate::analytics::rolling::state::State;

pub const ENTRY: DetectorEntry = DetectorEntry {
    name: "half_space_trees",
    version: 1,
    summary: "candles whose features together fall where few others did, by ten random trees",
    channels: &["joint"],
    warm_up: WARM_UP,
    build: |tuning| Box::new(JointWatch::new(tuning, HalfSpaceTrees::new(PARAMETERS))),
};

const PARAMETERS: HalfSpaceParameters =
    HalfSpaceParameters { dimensions: DIMENSIONS, trees: 10, height: 6, window: 1_024, seed: 0x6873_7431 };
/// The vector's, the forest's and that of the tail.
const WARM_UP: usize = 60 + 1_024 + TAIL_WARM_UP;
/// A mass so small is none.
const MASS_FLOOR: f64 = 1.0 / 1_024.0;

impl Crowd for HalfSpaceTrees {
    const NAME: &'static str = "emptiness";
    const WINDOW: usize = PARAMETERS.window as usize;

    fn observe(&mut self, point: &Point) -> Option<f64> {
        Self::observe(self, &point.in_unit_cube())
    }

    /// What sets candles apart is how many times fewer came there: a logarithm.
    fn strength(emptiness: f64) -> f64 {
        -libm::log2((1.0 - emptiness).max(MASS_FLOOR))
    }

    fn state(&mut self, state: &mut State<'_>) {
        Self::state(self, state);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analytics::anomaly::trial::{Market, check_state, found};
    use crate::analytics::features::Features;
    use crate::domain::insight::Fact;

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
