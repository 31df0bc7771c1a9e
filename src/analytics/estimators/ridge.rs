//! Ridge regression that learns from one example at a time and says how sure it is.
//!
//! The weights are those of the batch solution `(X'X + ridge I)^-1 X'y` of all examples seen, none forgotten;
//! read as Bayes does, they are the middle of a bell curve, so that a prediction has a variance and a sign
//! a chance. O(N^2) an example. Sources: Hoerl and Kennard, Ridge regression (1970); Bishop, Pattern
//! Recognition and Machine Learning (2006), 3.3.

use std::f64::consts::FRAC_1_SQRT_2;

use crate::analytics::estimators::rls::{Rls, RlsSettings};
use crate::analytics::rolling::state::State;

/// What is expected, and how far off it usually is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RidgePrediction {
    pub mean: f64,
    /// Of the target: noise and doubt about the weights together.
    pub variance: f64,
}

impl RidgePrediction {
    /// The chance that the target is above zero; one half where nothing is known.
    pub fn chance_above_zero(&self) -> f64 {
        if self.variance > 0.0 {
            0.5 * libm::erfc(-self.mean / self.variance.sqrt() * FRAC_1_SQRT_2)
        } else {
            0.5
        }
    }
}

/// The model of `N` inputs; a constant, where one is wanted, is one of them.
#[derive(Clone, Debug)]
pub struct Ridge<const N: usize> {
    squares: Rls<N>,
}

impl<const N: usize> Ridge<N> {
    /// `ridge`: above 0, in units of squared inputs; as much as that many examples say zero.
    pub fn new(ridge: f64) -> Self {
        Self { squares: Rls::new(RlsSettings::plain(1.0, 1.0 / ridge)) }
    }

    /// With errors clipped at so many usual sizes, which no batch solution does.
    pub fn clipped(ridge: f64, clip: f64) -> Self {
        let settings = RlsSettings { clip: Some(clip), ..RlsSettings::plain(1.0, 1.0 / ridge) };
        Self { squares: Rls::new(settings) }
    }

    pub fn predict(&self, inputs: &[f64; N]) -> RidgePrediction {
        let variance = self.squares.error_square() * (1.0 + self.squares.leverage(inputs));
        RidgePrediction { mean: self.squares.predict(inputs), variance }
    }

    /// Learns that these inputs came with that target; gives back the error before.
    pub fn learn(&mut self, inputs: &[f64; N], target: f64) -> f64 {
        self.squares.learn(inputs, target)
    }

    pub fn weights(&self) -> &[f64; N] {
        self.squares.weights()
    }

    /// Visits every word of mutable state.
    pub fn state(&mut self, state: &mut State<'_>) {
        self.squares.state(state);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analytics::indicators::trial::Random;

    #[test]
    fn the_weights_are_those_of_the_batch() {
        let mut random = Random(41);
        let mut model = Ridge::<2>::new(3.0);
        // X'X + ridge I, and X'y.
        let (mut gram, mut moments) = ([[3.0, 0.0], [0.0, 3.0]], [0.0; 2]);
        for _ in 0..200 {
            let inputs = [1.0, random.unit() - 0.3];
            let target = 0.4 - 0.7 * inputs[1] + random.unit();
            model.learn(&inputs, target);
            for i in 0..2 {
                moments[i] += inputs[i] * target;
                (0..2).for_each(|j| gram[i][j] += inputs[i] * inputs[j]);
            }
            let [[a, b], [_, d]] = gram;
            let determinant = a * d - b * b;
            let batch = [
                (d * moments[0] - b * moments[1]) / determinant,
                (a * moments[1] - b * moments[0]) / determinant,
            ];
            for (is, batch) in model.weights().iter().zip(batch) {
                assert!((is - batch).abs() < 1e-10, "{is} {batch}");
            }
        }
    }

    #[test]
    fn chances_of_a_sign_hold() {
        let mut random = Random(42);
        let mut model = Ridge::<2>::new(1.0);
        let (mut said, mut was, mut count) = (0.0, 0.0, 0.0);
        for i in 0..20_000 {
            let inputs = [1.0, random.unit() - 0.5];
            let gauss = (0..12).map(|_| random.unit()).sum::<f64>() - 6.0;
            let target = 2.0 * inputs[1] + gauss;
            let chance = model.predict(&inputs).chance_above_zero();
            if i > 1_000 && chance > 0.7 {
                said += chance;
                was += f64::from(u8::from(target > 0.0));
                count += 1.0;
            }
            model.learn(&inputs, target);
        }
        assert!(count > 1_000.0 && (said - was).abs() / count < 0.02, "{said} {was} {count}");
        assert_eq!(Ridge::<2>::new(1.0).predict(&[1.0, 1.0]).chance_above_zero(), 0.5);
    }
}
