//! Adaptive conformal inference: the quantile of the last scores, at a level that is moved until the promised
//! share of them is missed.
//!
//! The level is `1 - miss_now`, and `miss_now` falls after a miss and rises after a hit. It may leave 0 to 1:
//! then everything is covered, an infinite quantile, or nothing, a quantile of 0. O(log window) comparisons and
//! one move of up to `window` words a score. Source: Gibbs and Candes, Adaptive conformal inference under
//! distribution shift (2021).

use crate::analytics::rolling::sorted::SortedWindow;
use crate::analytics::rolling::state::State;

/// Scores are absolute errors, at or above 0.
#[derive(Clone, Debug)]
pub struct Aci {
    miss: f64,
    step: f64,
    miss_now: f64,
    scores: SortedWindow,
}

impl Aci {
    /// `miss`: share of scores that may lie above, 0 to 1; `step`: how far each moves the level, about .005 by
    /// the horizon; `window`: scores kept, at least 1.
    pub fn new(miss: f64, step: f64, window: usize) -> Self {
        Self { miss, step, miss_now: miss, scores: SortedWindow::new(window) }
    }

    /// What a share of `1 - miss` of scores should not exceed, as it stands before the next one.
    pub fn quantile(&self) -> f64 {
        if self.scores.is_empty() || self.miss_now >= 1.0 {
            return 0.0;
        }
        let count = self.scores.len();
        // One more than there are, for the one to come.
        let rank = ((1.0 - self.miss_now) * (count as f64 + 1.0)).ceil();
        if self.miss_now <= 0.0 || rank > count as f64 {
            return f64::INFINITY;
        }
        self.scores.smallest(rank.max(1.0) as usize - 1)
    }

    /// The share that the level now aims at.
    pub fn miss_now(&self) -> f64 {
        self.miss_now
    }

    /// Takes a score; gives back whether it lay above. One that is not finite is passed over.
    pub fn learn(&mut self, score: f64) -> bool {
        if !score.is_finite() {
            return false;
        }
        let is_above = score > self.quantile();
        self.miss_now += self.step * (self.miss - f64::from(u8::from(is_above)));
        self.scores.push(score);
        is_above
    }

    /// Visits every word of mutable state.
    pub fn state(&mut self, state: &mut State<'_>) {
        state.f64(&mut self.miss_now);
        self.scores.state(state);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analytics::indicators::trial::Random;

    #[test]
    fn the_promised_share_is_missed_even_when_the_scores_change() {
        let mut random = Random(91);
        let mut aci = Aci::new(0.1, 0.005, 300);
        let mut missed = 0;
        for i in 0..20_000 {
            let spread = if i / 2_000 % 2 == 0 { 1.0 } else { 3.0 };
            missed += u32::from(aci.learn(spread * random.unit()));
        }
        let share = f64::from(missed) / 20_000.0;
        assert!((0.095..0.105).contains(&share), "{share}");
    }

    #[test]
    fn beyond_its_bounds_it_covers_everything_or_nothing() {
        let mut aci = Aci::new(0.5, 0.4, 10);
        assert_eq!(aci.quantile(), 0.0);
        // Ever larger scores are missed until nothing is.
        let quantiles: Vec<f64> = (1..6)
            .map(|i| {
                let before = aci.quantile();
                aci.learn(f64::from(i));
                before
            })
            .collect();
        assert!(quantiles.contains(&f64::INFINITY), "{quantiles:?}");
        (0..10).for_each(|_| _ = aci.learn(0.0));
        assert!(aci.miss_now() > 1.0 || aci.quantile() == 0.0, "{aci:?}");
    }

    #[test]
    fn saving_in_the_middle_changes_nothing() {
        let mut random = Random(92);
        let mut one = Aci::new(0.1, 0.01, 50);
        (0..120).for_each(|_| _ = one.learn(random.unit()));
        let mut words = Vec::new();
        one.state(&mut State::Save(&mut words));
        let mut other = Aci::new(0.1, 0.01, 50);
        let mut loading = State::load(&words);
        other.state(&mut loading);
        assert_eq!(loading.finish(), Ok(()));
        for _ in 0..120 {
            let score = random.unit();
            assert_eq!(one.learn(score), other.learn(score));
            assert_eq!(one.quantile(), other.quantile());
        }
    }
}
