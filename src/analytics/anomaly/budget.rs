//! How much is told: a threshold that is steered to a number of anomalies a day.
//!
//! The threshold rises with each anomaly told and sinks a little with each candle, so that over time as many
//! are told as the budget says, whatever the market does (the quantile tracker of A. Angelopoulos, E. Candes
//! and R. Tibshirani, "Conformal PID control for time series prediction", NeurIPS 2023, on the count of what is
//! told). After an anomaly a much odder one alone is told for a while: a burst is one thing.

use crate::analytics::anomaly::detector::Tuning;
use crate::analytics::rolling::state::State;
use crate::domain::output::HeldBack;

/// What one anomaly adds to the threshold, in natural logarithms of how seldom.
const STEP: f64 = 0.5;
/// Nothing less seldom is told, however little happens.
const TAIL_MAX: f64 = 0.01;
/// Candles for which an anomaly stands for those that follow it.
const REST: u64 = 30;
/// One that is told all the same is so many times as far out, in logarithms.
const REST_FACTOR: f64 = 2.0;

/// The threshold of one detector, one interval, one instrument.
#[derive(Clone, Debug)]
pub struct Budget {
    /// Share of the candles that are told.
    target: f64,
    floor: f64,
    /// The threshold that it began with: that of a market in which as many are seldom enough as may be told.
    usual: f64,
    /// -ln of how seldom something is that is told.
    threshold: f64,
    /// Candles since the last that was told, and how far out it was.
    since: u64,
    last: f64,
    /// What became of the last candle; follows from it.
    held_back: Option<HeldBack>,
}

impl Budget {
    pub fn new(tuning: &Tuning) -> Self {
        Self::with_floor(tuning, TAIL_MAX)
    }

    /// Nothing is told that happens more often than `tail_max`, above 0 to 1.
    pub fn with_floor(tuning: &Tuning, tail_max: f64) -> Self {
        // One candle in a hundred at most: of hours or days there are too few for a budget of a few a day.
        let target = (tuning.alerts_per_day / tuning.candles_per_day).min(TAIL_MAX);
        let floor = -libm::log(tail_max);
        let usual = floor.max(-libm::log(target));
        Self { target, floor, usual, threshold: usual, since: u64::MAX, last: 0.0, held_back: None }
    }

    /// -ln of how seldom something is that is told.
    pub fn threshold_nats(&self) -> f64 {
        self.threshold
    }

    /// Whether a candle is told that is as seldom as e^-`nats`.
    #[inline]
    pub fn admit(&mut self, nats: f64) -> bool {
        self.admit_from(self.threshold, nats)
    }

    /// Whether a candle would be told under another threshold.
    #[inline]
    pub fn admit_from(&mut self, threshold: f64, nats: f64) -> bool {
        self.since = self.since.saturating_add(1);
        let stands_for_it = self.since <= REST && nats <= REST_FACTOR * self.last;
        let told = nats >= threshold && !stands_for_it;
        if told {
            (self.since, self.last) = (0, nats);
        }
        self.held_back = match () {
            () if told || nats < self.usual.min(threshold) => None,
            () if nats < threshold => Some(HeldBack::Budget),
            () => Some(HeldBack::Burst),
        };
        let off = if told { 1.0 - self.target } else { -self.target };
        self.threshold = (self.threshold + STEP * off).max(self.floor);
        told
    }

    /// Why the last candle was not told although it was seldom enough.
    #[inline]
    pub fn held_back(&self) -> Option<HeldBack> {
        self.held_back
    }

    /// Visits every word of mutable state.
    pub fn state(&mut self, state: &mut State<'_>) {
        state.f64(&mut self.threshold);
        state.word(&mut self.since);
        state.f64(&mut self.last);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analytics::indicators::trial::Random;

    /// Anomalies a day over sixty days of minutes.
    fn rate(alerts_per_day: f64, mut nats: impl FnMut(usize) -> f64) -> f64 {
        let mut budget = Budget::new(&Tuning { alerts_per_day, ..Tuning::MINUTES });
        let told = (0..60 * 1_440).filter(|&i| budget.admit(nats(i))).count();
        told as f64 / 60.0
    }

    #[test]
    fn the_budget_is_kept_whatever_the_scores_are_worth() {
        for budget in [1.0, 4.0] {
            for (name, scale) in [("honest", 1.0), ("too eager", 2.0), ("too shy", 0.9)] {
                let mut random = Random(7);
                let rate = rate(budget, |_| -scale * libm::log(1.0 - random.unit()));
                assert!((0.75 * budget..1.25 * budget).contains(&rate), "{name}: {rate} for {budget}");
            }
        }
    }

    #[test]
    fn what_is_common_is_not_told_to_fill_a_budget() {
        assert_eq!(rate(4.0, |i| (i % 4) as f64), 0.0);
    }

    #[test]
    fn a_burst_is_one_thing_unless_it_grows() {
        let mut budget = Budget::new(&Tuning::MINUTES);
        let told = [8.0, 9.0, 15.0, 16.5, 20.0].map(|nats| budget.admit(nats));
        assert_eq!(told, [true, false, false, true, false]);
        (0..REST).for_each(|_| assert!(!budget.admit(0.0)));
        assert!(budget.admit(12.0));
    }

    #[test]
    fn what_is_not_told_although_it_is_seldom_says_why() {
        let mut budget = Budget::new(&Tuning::MINUTES);
        let usual = budget.threshold_nats();
        let why = [usual - 0.1, usual, usual, usual + 0.4].map(|nats| {
            let told = budget.admit(nats);
            (told, budget.held_back())
        });
        // The threshold has risen by nearly half.
        let expected = [None, None, Some(HeldBack::Budget), Some(HeldBack::Budget)];
        assert_eq!(why.map(|(_, why)| why), expected);
        assert_eq!(why.map(|(told, _)| told), [false, true, false, false]);
        budget.admit(usual + 1.0);
        assert_eq!(budget.held_back(), Some(HeldBack::Burst));
        budget.admit(0.0);
        assert_eq!(budget.held_back(), None);
    }

    #[test]
    fn of_long_candles_one_in_a_hundred_is_told_at_most() {
        let hours = Tuning { candles_per_day: 24.0, alerts_per_day: 4.0 };
        let mut budget = Budget::new(&hours);
        let mut random = Random(1);
        let told = (0..50_000).filter(|_| budget.admit(-libm::log(1.0 - random.unit()))).count();
        assert!((250..=525).contains(&told), "{told}");
    }
}
