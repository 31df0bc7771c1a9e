//! Mixing experts by what they lost: weights that follow whoever has been right, with a bound on the regret.
//!
//! [`Hedge`] follows the best over all time; [`FixedShare`] keeps a share for everybody, so that another may
//! take over when the world changes; [`AdaNormalHedge`] needs no learning rate. Losses lie in 0 to 1; weights
//! are at or above 0 and sum to 1. Each learns with no allocation, in O(experts).
//! Sources: Freund and Schapire, A decision-theoretic generalization of on-line learning (1997); Herbster and
//! Warmuth, Tracking the best expert (1998); Luo and Schapire, Achieving all with no parameters (2015).

use crate::analytics::estimators::elementary::{exp, exp_both};
use crate::analytics::rolling::state::State;

/// Weights by exponentials of the losses so far.
#[derive(Clone, Debug)]
pub struct Hedge {
    rate: f64,
    losses: Box<[f64]>,
    weights: Box<[f64]>,
}

impl Hedge {
    /// `experts`: at least 1. `rate`: above 0, larger follows sooner.
    pub fn new(experts: usize, rate: f64) -> Self {
        Self { rate, losses: vec![0.0; experts].into(), weights: uniform(experts) }
    }

    pub fn weights(&self) -> &[f64] {
        &self.weights
    }

    /// Takes each expert's loss.
    pub fn learn(&mut self, losses: &[f64]) {
        let mut least = f64::INFINITY;
        for (sum, loss) in self.losses.iter_mut().zip(losses) {
            *sum += loss;
            least = least.min(*sum);
        }
        // Against the best one, and kept so: exponentials of all losses ever would vanish.
        for (weight, sum) in self.weights.iter_mut().zip(&mut self.losses) {
            *sum -= least;
            *weight = exp(-self.rate * *sum);
        }
        normalise(&mut self.weights);
    }

    /// Visits every word of mutable state.
    pub fn state(&mut self, state: &mut State<'_>) {
        self.losses.iter_mut().for_each(|loss| state.f64(loss));
        self.weights.iter_mut().for_each(|weight| state.f64(weight));
    }
}

/// Weights by exponentials of the losses, a share of all mixed evenly at each step.
#[derive(Clone, Debug)]
pub struct FixedShare {
    rate: f64,
    share: f64,
    weights: Box<[f64]>,
}

impl FixedShare {
    /// `experts`: at least 1. `rate`: above 0. `share`: of all weight, given out evenly at each step, 0 to 1.
    pub fn new(experts: usize, rate: f64, share: f64) -> Self {
        Self { rate, share, weights: uniform(experts) }
    }

    pub fn weights(&self) -> &[f64] {
        &self.weights
    }

    /// Takes each expert's loss.
    pub fn learn(&mut self, losses: &[f64]) {
        let mut sum = 0.0;
        let (weights, last_weight) = self.weights.as_chunks_mut::<2>();
        let (losses, last_loss) = losses.as_chunks::<2>();
        for ([one, other], [first, second]) in weights.iter_mut().zip(losses) {
            let (first, second) = exp_both(-self.rate * first, -self.rate * second);
            *one *= first;
            *other *= second;
            sum += *one;
            sum += *other;
        }
        if let ([weight], [loss]) = (last_weight, last_loss) {
            *weight *= exp(-self.rate * loss);
            sum += *weight;
        }
        if !(sum > 0.0 && sum.is_finite()) {
            normalise(&mut self.weights);
            sum = 1.0;
        }
        let (even, whole) = (self.share / self.weights.len() as f64, 1.0 / sum);
        for weight in &mut self.weights {
            *weight = (1.0 - self.share) * (*weight * whole) + even;
        }
    }

    /// Visits every word of mutable state.
    pub fn state(&mut self, state: &mut State<'_>) {
        self.weights.iter_mut().for_each(|weight| state.f64(weight));
    }
}

/// Weights by potential of each expert's regret: what the mixture lost more than it.
#[derive(Clone, Debug)]
pub struct AdaNormalHedge {
    keep: f64,
    regrets: Box<[f64]>,
    /// Sums of the regrets' sizes.
    sizes: Box<[f64]>,
    weights: Box<[f64]>,
}

impl AdaNormalHedge {
    /// `experts`: at least 1.
    pub fn new(experts: usize) -> Self {
        Self::forgetting(experts, 1.0)
    }

    /// Of each sum, `keep` remains at the next step: a plain way to follow change, without the paper's bound.
    pub fn forgetting(experts: usize, keep: f64) -> Self {
        let zeros: Box<[f64]> = vec![0.0; experts].into();
        Self { keep, regrets: zeros.clone(), sizes: zeros, weights: uniform(experts) }
    }

    pub fn weights(&self) -> &[f64] {
        &self.weights
    }

    /// Takes each expert's loss.
    pub fn learn(&mut self, losses: &[f64]) {
        let mixed: f64 = self.weights.iter().zip(losses).map(|(weight, loss)| weight * loss).sum();
        let mut highest = 0.0_f64;
        for ((regret, size), loss) in self.regrets.iter_mut().zip(&mut self.sizes).zip(losses) {
            let now = mixed - loss;
            *regret = self.keep * *regret + now;
            *size = self.keep * *size + now.abs();
            highest = highest.max(exponent(*regret + 1.0, *size + 1.0));
        }
        for ((weight, regret), size) in self.weights.iter_mut().zip(&self.regrets).zip(&self.sizes) {
            // All by the same factor: the potential of years of regret is no number.
            let potential = |regret: f64| exp(exponent(regret, size + 1.0) - highest);
            *weight = potential(regret + 1.0) - potential(regret - 1.0);
        }
        normalise(&mut self.weights);
    }

    /// Visits every word of mutable state.
    pub fn state(&mut self, state: &mut State<'_>) {
        for values in [&mut self.regrets, &mut self.sizes, &mut self.weights] {
            values.iter_mut().for_each(|value| state.f64(value));
        }
    }
}

/// Of the potential `exp(max(regret, 0)^2 / (3 size))`.
fn exponent(regret: f64, size: f64) -> f64 {
    let regret = regret.max(0.0);
    regret * regret / (3.0 * size)
}

/// Gives experts that said nothing the loss of the mixture of those that spoke, so that they neither gain nor
/// lose by it (Freund, Schapire, Singer and Warmuth, Using and combining predictors that specialize, 1997).
/// Whether anybody spoke.
pub fn fill_silent(losses: &mut [f64], spoke: &[bool], weights: &[f64]) -> bool {
    if spoke.iter().all(|&spoke| spoke) {
        return !spoke.is_empty();
    }
    let (mut sum, mut weight) = (0.0, 0.0);
    for ((loss, &spoke), one) in losses.iter().zip(spoke).zip(weights) {
        if spoke {
            sum += one * loss;
            weight += one;
        }
    }
    let anybody = spoke.iter().any(|&spoke| spoke);
    let count = spoke.iter().filter(|&&spoke| spoke).count().max(1) as f64;
    let even =
        losses.iter().zip(spoke).filter(|(_, spoke)| **spoke).map(|(loss, _)| loss).sum::<f64>() / count;
    let mixed = if weight > 0.0 { sum / weight } else { even };
    for (loss, _) in losses.iter_mut().zip(spoke).filter(|(_, spoke)| !**spoke) {
        *loss = mixed;
    }
    anybody
}

fn uniform(experts: usize) -> Box<[f64]> {
    assert!(experts > 0, "somebody has to know something");
    vec![1.0 / experts as f64; experts].into()
}

/// Sums to 1; even weights where there is nothing to sum.
fn normalise(weights: &mut [f64]) {
    let sum: f64 = weights.iter().sum();
    if sum > 0.0 && sum.is_finite() {
        let share = 1.0 / sum;
        weights.iter_mut().for_each(|weight| *weight *= share);
    } else {
        weights.fill(1.0 / weights.len() as f64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analytics::indicators::trial::Random;

    /// The first expert is best for the first half, the last for the second.
    fn losses(random: &mut Random, is_later: bool) -> [f64; 3] {
        let noise = [(); 3].map(|()| 0.2 * random.unit());
        let middles = if is_later { [0.6, 0.4, 0.1] } else { [0.1, 0.4, 0.6] };
        [0, 1, 2].map(|i| middles[i] + noise[i])
    }

    #[test]
    fn whoever_is_right_is_followed_and_one_who_comes_later_where_something_is_kept_for_him() {
        let mut random = Random(71);
        let (mut hedge, mut share) = (Hedge::new(3, 0.5), FixedShare::new(3, 0.5, 0.02));
        let (mut ada, mut forgetting) = (AdaNormalHedge::new(3), AdaNormalHedge::forgetting(3, 0.98));
        for i in 0..1_000 {
            let losses = losses(&mut random, i >= 500);
            hedge.learn(&losses);
            share.learn(&losses);
            ada.learn(&losses);
            forgetting.learn(&losses);
            if i == 499 {
                for weights in [hedge.weights(), share.weights(), ada.weights(), forgetting.weights()] {
                    assert!(weights[0] > 0.9, "{weights:?}");
                }
            }
            if i == 599 {
                assert!(share.weights()[2] > 0.9 && forgetting.weights()[2] > 0.9);
                assert!(hedge.weights()[2] < 0.1, "Hedge holds to the past: {:?}", hedge.weights());
            }
        }
    }

    #[test]
    fn years_of_losses_leave_weights_that_are_numbers() {
        let (mut hedge, mut share, mut ada) =
            (Hedge::new(2, 1.0), FixedShare::new(2, 1.0, 0.01), AdaNormalHedge::new(2));
        for _ in 0..200_000 {
            let losses = [0.0, 1.0];
            hedge.learn(&losses);
            share.learn(&losses);
            ada.learn(&losses);
        }
        for weights in [hedge.weights(), share.weights(), ada.weights()] {
            assert!((weights.iter().sum::<f64>() - 1.0).abs() < 1e-12 && weights[0] > 0.98, "{weights:?}");
        }
    }

    #[test]
    fn silence_neither_gains_nor_loses() {
        let mut losses = [0.2, 9.0, 0.6];
        assert!(fill_silent(&mut losses, &[true, false, true], &[0.25, 0.5, 0.25]));
        assert!((losses[1] - 0.4).abs() < 1e-15, "{losses:?}");
        let mut share = FixedShare::new(3, 2.0, 0.0);
        let before = share.weights()[1];
        share.learn(&[0.4, 0.4, 0.4]);
        assert!((share.weights()[1] - before).abs() < 1e-15);
        assert!(!fill_silent(&mut losses, &[false; 3], &[0.25, 0.5, 0.25]));
    }

    #[test]
    fn saving_in_the_middle_changes_nothing() {
        let mut random = Random(72);
        let (mut one, mut hedge) = (AdaNormalHedge::forgetting(3, 0.99), Hedge::new(3, 0.3));
        for _ in 0..100 {
            let losses = losses(&mut random, false);
            one.learn(&losses);
            hedge.learn(&losses);
        }
        let mut words = Vec::new();
        one.state(&mut State::Save(&mut words));
        hedge.state(&mut State::Save(&mut words));
        let (mut other, mut other_hedge) = (AdaNormalHedge::forgetting(3, 0.99), Hedge::new(3, 0.3));
        let mut loading = State::load(&words);
        other.state(&mut loading);
        other_hedge.state(&mut loading);
        assert_eq!(loading.finish(), Ok(()));
        for _ in 0..100 {
            let losses = losses(&mut random, true);
            one.learn(&losses);
            other.learn(&losses);
            hedge.learn(&losses);
            other_hedge.learn(&losses);
            assert_eq!((one.weights(), hedge.weights()), (other.weights(), other_hedge.weights()));
        }
    }
}
