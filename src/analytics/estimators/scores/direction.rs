//! How often a direction was right, what that is worth as evidence, and how good its chances were.
//!
//! A share of hits means nothing alone: it is told with its interval and beside the share of the more
//! frequent direction, which anybody gets who always says the same. Sources: Wilson, Probable inference, the
//! law of succession, and statistical inference (1927); Clopper and Pearson (1934); Brier (1950).

use crate::analytics::estimators::scores::distribution::{beta_quantile, coin_at_least};
use crate::analytics::estimators::scores::point::mean;
use crate::analytics::rolling::state::State;

/// The bell curve's quantile for an interval of 95 %.
pub const Z_95: f64 = 1.959_963_984_540_054;

/// Wilson's interval of a share, `z` standard errors to each side; `None` of no trials.
pub fn wilson(hits: u64, count: u64, z: f64) -> Option<[f64; 2]> {
    if count == 0 {
        return None;
    }
    // Of one trial: divided by once, for it is asked with every forecast.
    let weight = 1.0 / count as f64;
    let (share, extra) = (hits as f64 * weight, z * z * weight);
    let shrunk = 1.0 / (1.0 + extra);
    let middle = (share + 0.5 * extra) * shrunk;
    let half = z * shrunk * ((share * (1.0 - share) + 0.25 * extra) * weight).sqrt();
    Some([(middle - half).max(0.0), (middle + half).min(1.0)])
}

/// Clopper and Pearson's interval, which covers at least a share `level` whatever the truth; `None` of no
/// trials.
pub fn clopper_pearson(hits: u64, count: u64, level: f64) -> Option<[f64; 2]> {
    if count == 0 {
        return None;
    }
    let (hit, miss) = (hits as f64, (count - hits) as f64);
    let tail = (1.0 - level) / 2.0;
    let lower = if hits == 0 { 0.0 } else { beta_quantile(tail, hit, miss + 1.0) };
    let upper = if hits == count { 1.0 } else { beta_quantile(1.0 - tail, hit + 1.0, miss) };
    Some([lower, upper])
}

/// The chance that a coin is at least as far from the middle as so many hits, either way.
pub fn binomial_two_sided(hits: u64, count: u64) -> f64 {
    (2.0 * coin_at_least(hits.max(count - hits), count)).min(1.0)
}

/// Counts and losses over outcomes that went one way or the other.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DirectionScore {
    count: u64,
    hits: u64,
    ups: u64,
    /// Of chances.
    chances: u64,
    log_loss: f64,
    brier: f64,
}

impl DirectionScore {
    /// Takes whether it went up, and whether that had been said.
    pub fn learn(&mut self, went_up: bool, said_up: bool) {
        self.count += 1;
        self.hits += u64::from(went_up == said_up);
        self.ups += u64::from(went_up);
    }

    /// Takes whether it went up, and the chance that it had been given, above 0 and below 1.
    pub fn learn_chance(&mut self, went_up: bool, chance: f64) {
        self.learn(went_up, chance > 0.5);
        if !(chance > 0.0 && chance < 1.0) {
            return;
        }
        self.chances += 1;
        self.log_loss -= if went_up { libm::log(chance) } else { libm::log1p(-chance) };
        let error = chance - f64::from(u8::from(went_up));
        self.brier += error * error;
    }

    pub fn count(&self) -> u64 {
        self.count
    }

    pub fn hits(&self) -> u64 {
        self.hits
    }

    /// Of hits; `None` without outcomes.
    pub fn share(&self) -> Option<f64> {
        mean(self.hits as f64, self.count)
    }

    /// Of the more frequent direction: what always saying the same would have hit.
    pub fn majority(&self) -> Option<f64> {
        mean(self.ups.max(self.count - self.ups) as f64, self.count)
    }

    /// Of 95 %, by Wilson.
    pub fn interval(&self) -> Option<[f64; 2]> {
        wilson(self.hits, self.count, Z_95)
    }

    /// Mean of minus the logarithm of the chance given to what came: .6931 for a coin.
    pub fn log_loss(&self) -> Option<f64> {
        mean(self.log_loss, self.chances)
    }

    /// Mean squared error of chances: .25 for a coin.
    pub fn brier(&self) -> Option<f64> {
        mean(self.brier, self.chances)
    }

    /// Visits every word of mutable state.
    pub fn state(&mut self, state: &mut State<'_>) {
        for count in [&mut self.count, &mut self.hits, &mut self.ups, &mut self.chances] {
            state.word(count);
        }
        state.f64(&mut self.log_loss);
        state.f64(&mut self.brier);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_at_the_ends_stay_in_bounds() {
        assert_eq!((wilson(0, 0, Z_95), clopper_pearson(0, 0, 0.95)), (None, None));
        for (hits, count) in [(0, 10), (10, 10), (5, 10), (1, 1)] {
            for [lower, upper] in
                [wilson(hits, count, Z_95), clopper_pearson(hits, count, 0.95)].map(Option::unwrap)
            {
                let share = hits as f64 / count as f64;
                assert!(0.0 <= lower && lower <= share + 1e-12 && share <= upper + 1e-12 && upper <= 1.0);
            }
        }
        // (1 - 0.025)^(1/10): the upper end after no hit of ten.
        let [_, upper] = clopper_pearson(0, 10, 0.95).unwrap();
        assert!((upper - (1.0 - libm::pow(0.025, 0.1))).abs() < 1e-12);
        assert_eq!(binomial_two_sided(5, 10), 1.0);
        assert!((binomial_two_sided(4, 4) - 0.125).abs() < 1e-15);
    }

    #[test]
    fn a_coin_scores_as_a_coin_and_the_majority_is_told() {
        let mut score = DirectionScore::default();
        for i in 0..100 {
            score.learn_chance(i % 4 != 0, 0.5);
        }
        assert!((score.log_loss().unwrap() - std::f64::consts::LN_2).abs() < 1e-12);
        assert_eq!((score.brier(), score.majority()), (Some(0.25), Some(0.75)));
        // A chance of one half says "not up".
        assert_eq!((score.hits(), score.share()), (25, Some(0.25)));
        let mut words = Vec::new();
        score.state(&mut State::Save(&mut words));
        let mut other = DirectionScore::default();
        other.state(&mut State::load(&words));
        assert_eq!(other, score);
    }
}
