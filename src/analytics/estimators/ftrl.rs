//! Logistic regression by "follow the regularised leader": the chance that something is so, learnt from one
//! example at a time.
//!
//! Each weight has a step size of its own, which shrinks with the squares of its gradients; the absolute
//! penalty holds weights that explain nothing at exactly 0. Source: McMahan et al., Ad click prediction: a
//! view from the trenches (2013), algorithm 1.

use crate::analytics::estimators::elementary::exp;
use crate::analytics::estimators::rls::dot;
use crate::analytics::rolling::state::State;

/// The paper's names.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FtrlSettings {
    /// Step size, above 0.
    pub alpha: f64,
    /// What holds the first steps back, above 0.
    pub beta: f64,
    /// Absolute penalty, at or above 0.
    pub l1: f64,
    /// Square penalty, at or above 0.
    pub l2: f64,
}

/// Scores beyond it are taken as it: the chance would be 0 or 1 to the last bit.
const SCORE_MAX: f64 = 35.0;

/// The model of `N` inputs; a constant, where one is wanted, is one of them.
#[derive(Clone, Debug)]
pub struct Ftrl<const N: usize> {
    settings: FtrlSettings,
    /// Sums of gradients, less what the weights already answered.
    z: [f64; N],
    /// Sums of squared gradients.
    n: [f64; N],
    /// What follows from the two: weights, and the roots of `n`.
    weights: [f64; N],
    roots: [f64; N],
}

impl<const N: usize> Ftrl<N> {
    pub fn new(settings: FtrlSettings) -> Self {
        assert!(settings.alpha > 0.0 && settings.beta > 0.0, "steps have a size");
        Self { settings, z: [0.0; N], n: [0.0; N], weights: [0.0; N], roots: [0.0; N] }
    }

    /// The chance that it is so, above 0 and below 1.
    #[inline]
    pub fn predict(&self, inputs: &[f64; N]) -> f64 {
        logistic(dot(&self.weights, inputs))
    }

    /// Learns whether it was so; gives back the chance that it had been given. Inputs with a number that is
    /// not finite are passed over.
    #[inline]
    pub fn learn(&mut self, inputs: &[f64; N], was_so: bool) -> f64 {
        let chance = self.predict(inputs);
        let error = chance - f64::from(u8::from(was_so));
        if !inputs.iter().sum::<f64>().is_finite() {
            return chance;
        }
        let steepness = 1.0 / self.settings.alpha;
        for (i, input) in inputs.iter().enumerate() {
            let gradient = error * input;
            let square = self.n[i] + gradient * gradient;
            let root = square.sqrt();
            let step = (root - self.roots[i]) * steepness;
            self.z[i] += gradient - step * self.weights[i];
            self.n[i] = square;
            self.roots[i] = root;
        }
        self.weigh();
        chance
    }

    /// Makes the weights from the sums: with no branch, for whether one is held at 0 changes all the time.
    #[inline]
    fn weigh(&mut self) {
        let FtrlSettings { alpha, beta, l1, l2 } = self.settings;
        let steepness = 1.0 / alpha;
        let sums = self.z.iter().zip(&self.roots);
        for (weight, (z, root)) in self.weights.iter_mut().zip(sums) {
            let beyond = (z.abs() - l1).max(0.0);
            // From 0, for what is held there is not to be 0 with a sign.
            *weight = 0.0 - beyond.copysign(*z) / ((beta + root) * steepness + l2);
        }
    }

    pub fn weights(&self) -> &[f64; N] {
        &self.weights
    }

    /// The paper's `z` and `n`.
    pub fn sums(&self) -> (&[f64; N], &[f64; N]) {
        (&self.z, &self.n)
    }

    /// Visits every word of mutable state.
    pub fn state(&mut self, state: &mut State<'_>) {
        self.z.iter_mut().for_each(|z| state.f64(z));
        self.n.iter_mut().for_each(|n| state.f64(n));
        if state.is_load() {
            self.roots = self.n.map(f64::sqrt);
            self.weigh();
        }
    }
}

/// `1 / (1 + e^-score)`, the score held where the result is neither 0 nor 1.
pub fn logistic(score: f64) -> f64 {
    1.0 / (1.0 + exp(-score.clamp(-SCORE_MAX, SCORE_MAX)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analytics::indicators::trial::Random;

    const SETTINGS: FtrlSettings = FtrlSettings { alpha: 0.1, beta: 1.0, l1: 0.5, l2: 1.0 };

    fn example(random: &mut Random) -> ([f64; 4], bool) {
        let mut centred = || 4.0 * (random.unit() - 0.5);
        let inputs = [1.0, centred(), centred(), centred()];
        let chance = logistic(0.5 + 2.0 * inputs[1] - inputs[2]);
        (inputs, random.unit() < chance)
    }

    #[test]
    fn chances_are_calibrated_and_what_explains_nothing_weighs_nothing() {
        let mut random = Random(31);
        let mut model = Ftrl::<4>::new(FtrlSettings { l1: 20.0, ..SETTINGS });
        let (mut said, mut was, mut count) = (0.0, 0.0, 0.0);
        for i in 0..30_000 {
            let (inputs, was_so) = example(&mut random);
            let chance = model.learn(&inputs, was_so);
            if i > 10_000 && chance > 0.7 && chance < 0.9 {
                said += chance;
                was += f64::from(u8::from(was_so));
                count += 1.0;
            }
        }
        assert!(count > 1_000.0 && (said - was).abs() / count < 0.03, "{said} {was} {count}");
        assert_eq!(model.weights()[3], 0.0);
        assert!(model.weights()[1] > 1.0 && model.weights()[2] < -0.5, "{:?}", model.weights());
    }

    #[test]
    fn numbers_that_are_none_are_passed_over() {
        let mut model = Ftrl::<2>::new(SETTINGS);
        model.learn(&[1.0, 1.0], true);
        let before = format!("{model:?}");
        model.learn(&[1.0, f64::NAN], true);
        model.learn(&[f64::INFINITY, f64::NEG_INFINITY], true);
        assert_eq!(format!("{model:?}"), before);
        assert!(logistic(1e300) < 1.0 && logistic(-1e300) > 0.0);
    }

    #[test]
    fn saving_in_the_middle_changes_nothing() {
        let mut random = Random(32);
        let mut one = Ftrl::<4>::new(SETTINGS);
        for _ in 0..200 {
            let (inputs, was_so) = example(&mut random);
            one.learn(&inputs, was_so);
        }
        let mut words = Vec::new();
        one.state(&mut State::Save(&mut words));
        let mut other = Ftrl::<4>::new(SETTINGS);
        other.state(&mut State::load(&words));
        for _ in 0..200 {
            let (inputs, was_so) = example(&mut random);
            assert_eq!(one.learn(&inputs, was_so).to_bits(), other.learn(&inputs, was_so).to_bits());
        }
    }
}
