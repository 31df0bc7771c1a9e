//! How seldom an alarm is: the score of detectors that tell events instead of distances.

use crate::analytics::rolling::state::State;

/// Counts candles, and those with an alarm.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rarity {
    seen: u64,
    alarms: u64,
}

impl Rarity {
    /// A candle came by.
    pub fn pass(&mut self) {
        self.seen += 1;
    }

    /// An alarm at the last candle: the share of candles without one, 0 to just below 1.
    pub fn alarm(&mut self) -> f64 {
        self.alarms += 1;
        1.0 - self.alarms as f64 / (self.seen.max(self.alarms) + 1) as f64
    }

    /// Visits every word of mutable state.
    pub fn state(&mut self, state: &mut State<'_>) {
        state.word(&mut self.seen);
        state.word(&mut self.alarms);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_score_is_the_share_without_alarm() {
        let mut rarity = Rarity::default();
        (0..999).for_each(|_| rarity.pass());
        assert_eq!([rarity.alarm(), rarity.alarm()], [0.999, 0.998]);
        assert!(Rarity::default().alarm() < 1.0);
    }
}
