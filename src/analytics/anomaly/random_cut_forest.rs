//! A random cut forest over the joint vector: candles that a cut soon parts from the others.
//!
//! Thirty-two seeded trees of 128 of the last 512 candles, one grown anew every 16 candles. How seldom that
//! is comes from the tail of such scores. Source: Guha, Mishra, Roy and Schrijvers (2016).

use crate::analytics::anomaly::alarm::WARM_UP as TAIL_WARM_UP;
use crate::analytics::anomaly::detector::DetectorEntry;
use crate::analytics::anomaly::joint::{Crowd, DIMENSIONS, JointWatch, Point};
use crate::analytics::estimators::random_cut_forest::{RandomCutForest, RandomCutParameters};
use crate::analytics::rolling::state::State;

pub const ENTRY: DetectorEntry = DetectorEntry {
    name: "random_cut_forest",
    version: 1,
    summary: "candles whose features together a random cut soon parts from those of the last 512",
    channels: &["joint"],
    warm_up: WARM_UP,
    build: |tuning| Box::new(JointWatch::new(tuning, RandomCutForest::new(PARAMETERS))),
};

const PARAMETERS: RandomCutParameters =
    RandomCutParameters { dimensions: DIMENSIONS, trees: 32, sample: 128, window: 512, seed: 0x7263_6631 };
/// The vector's, the forest's and that of the tail.
const WARM_UP: usize = 60 + 128 + TAIL_WARM_UP;

impl Crowd for RandomCutForest {
    const NAME: &'static str = "isolation";
    const WINDOW: usize = PARAMETERS.window;

    fn observe(&mut self, point: &Point) -> Option<f64> {
        Self::observe(self, &point.distances)
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
