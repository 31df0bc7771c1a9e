//! Recursive least squares: a linear model of `N` inputs that learns from one example at a time.
//!
//! Its weights minimise the sum of squared errors, an error `k` examples ago weighing `forgetting^k`, plus
//! a ridge that pulls them to zero and is itself forgotten. O(N^2) an example. Three things keep it healthy
//! over years: the covariance is kept exactly symmetric; forgetting pauses while its trace is at its
//! cap, since quiet inputs would otherwise blow it up (wind-up); and where rounding has made it indefinite
//! all the same, it begins anew with the weights kept, and counts that. Errors may be clipped at a multiple of
//! their usual size, so that one wild value does not rewrite the model.
//! Sources: Plackett, Some theorems in least squares (1950); Ljung, System Identification (1987).

use crate::analytics::estimators::moments::weight_of_newest;
use crate::analytics::rolling::state::State;

/// How a model learns.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RlsSettings {
    /// What remains of an example's weight at the next one: above 0, at most 1 (never forgets).
    pub forgetting: f64,
    /// The covariance begins as this times the identity: one by the ridge. Above 0.
    pub prior: f64,
    /// The covariance's trace does not grow beyond it by forgetting; infinite: no cap.
    pub trace_max: f64,
    /// Errors beyond this many usual sizes (root mean squares) are taken as that large; `None`: as they are.
    pub clip: Option<f64>,
}

impl RlsSettings {
    /// The textbook's: no cap, no clipping.
    pub fn plain(forgetting: f64, prior: f64) -> Self {
        Self { forgetting, prior, trace_max: f64::INFINITY, clip: None }
    }
}

/// Weight of the newest error in the usual size of errors.
const SCALE_WEIGHT: f64 = 0.01;
/// Errors that are seen before any is clipped: the first ones are those of a model that knows nothing.
const CLIP_AFTER: u64 = 50;

/// A linear model of `N` inputs; a constant, where one is wanted, is one of them.
#[derive(Clone, Debug)]
pub struct Rls<const N: usize> {
    settings: RlsSettings,
    weights: [f64; N],
    /// Inverse of the weighted sum of inputs' outer products: symmetric.
    covariance: [[f64; N]; N],
    seen: u64,
    /// Mean square of the errors, clipped as they were learnt from.
    error_square: f64,
    resets: u64,
}

impl<const N: usize> Rls<N> {
    pub fn new(settings: RlsSettings) -> Self {
        assert!(settings.forgetting > 0.0 && settings.forgetting <= 1.0, "forgetting is a share above 0");
        assert!(settings.prior > 0.0, "a prior without width never learns");
        Self {
            settings,
            weights: [0.0; N],
            covariance: diagonal(settings.prior),
            seen: 0,
            error_square: 0.0,
            resets: 0,
        }
    }

    /// What the model says of these inputs.
    #[inline]
    pub fn predict(&self, inputs: &[f64; N]) -> f64 {
        dot(&self.weights, inputs)
    }

    /// Learns that these inputs came with that target; gives back the error before, target less prediction.
    ///
    /// An example with a number that is not finite is passed over.
    #[inline]
    pub fn learn(&mut self, inputs: &[f64; N], target: f64) -> f64 {
        let error = target - self.predict(inputs);
        self.correct(inputs, error);
        error
    }

    /// Learns that the model's answer to these inputs was off by `error` (target less prediction): for models
    /// whose weights enter the prediction otherwise than as a plain sum, with its gradient as the inputs.
    pub fn correct(&mut self, inputs: &[f64; N], error: f64) {
        let mut reach = spread(&self.covariance, inputs);
        let energy = dot(&reach, inputs);
        if !energy.is_finite() || !error.is_finite() {
            return;
        }
        let norm = self.settings.forgetting + energy;
        if norm < 0.5 * self.settings.forgetting {
            // Below zero but for rounding: no sum of outer products has such an inverse.
            self.covariance = diagonal(self.settings.prior);
            self.resets += 1;
            return;
        }
        let error = self.clipped(error);
        let step = error / norm;
        for (weight, reach) in self.weights.iter_mut().zip(&reach) {
            *weight += reach * step;
        }
        // The root on both sides, so that entry (i, j) and entry (j, i) round alike.
        let share = 1.0 / norm.sqrt();
        reach.iter_mut().for_each(|reach| *reach *= share);
        let diagonal: [f64; N] = std::array::from_fn(|i| self.covariance[i][i]);
        let trace = diagonal.iter().sum::<f64>() - dot(&reach, &reach);
        let forgotten = if trace <= self.settings.trace_max * self.settings.forgetting {
            1.0 / self.settings.forgetting
        } else {
            1.0
        };
        for (row, left) in self.covariance.iter_mut().zip(reach) {
            for (entry, right) in row.iter_mut().zip(&reach) {
                *entry = (*entry - left * right) * forgotten;
            }
        }
    }

    /// The error as it is learnt from.
    fn clipped(&mut self, error: f64) -> f64 {
        self.seen += 1;
        let error = match self.settings.clip {
            Some(times) if self.seen > CLIP_AFTER => {
                let most = times * self.error_square.sqrt();
                error.clamp(-most, most)
            }
            _ => error,
        };
        let weight = weight_of_newest(SCALE_WEIGHT, self.seen);
        self.error_square += weight * (error * error - self.error_square);
        error
    }

    /// How unusual these inputs are: the model's variance for them, in units of the noise's.
    pub fn leverage(&self, inputs: &[f64; N]) -> f64 {
        self.covariance.iter().zip(inputs).map(|(row, input)| input * dot(row, inputs)).sum()
    }

    pub fn weights(&self) -> &[f64; N] {
        &self.weights
    }

    /// For models whose weights have bounds.
    pub fn weights_mut(&mut self) -> &mut [f64; N] {
        &mut self.weights
    }

    pub fn covariance(&self) -> &[[f64; N]; N] {
        &self.covariance
    }

    /// Examples learnt from.
    pub fn seen(&self) -> u64 {
        self.seen
    }

    /// Mean square of the last hundred or so errors, each before its example was learnt from.
    pub fn error_square(&self) -> f64 {
        self.error_square
    }

    /// How often the covariance had to begin anew.
    pub fn resets(&self) -> u64 {
        self.resets
    }

    /// Visits every word of mutable state.
    pub fn state(&mut self, state: &mut State<'_>) {
        self.weights.iter_mut().for_each(|weight| state.f64(weight));
        self.covariance.iter_mut().flatten().for_each(|entry| state.f64(entry));
        state.word(&mut self.seen);
        state.f64(&mut self.error_square);
        state.word(&mut self.resets);
    }
}

fn diagonal<const N: usize>(value: f64) -> [[f64; N]; N] {
    let mut matrix = [[0.0; N]; N];
    (0..N).for_each(|i| matrix[i][i] = value);
    matrix
}

/// In four lanes, so that no addition waits for the one before.
#[inline]
pub fn dot<const N: usize>(left: &[f64; N], right: &[f64; N]) -> f64 {
    let mut lanes = [0.0; 4];
    for i in 0..N {
        lanes[i % 4] += left[i] * right[i];
    }
    (lanes[0] + lanes[2]) + (lanes[1] + lanes[3])
}

/// A symmetric matrix times a vector: column by column, so that no addition waits for its neighbour's.
#[inline]
pub(super) fn spread<const N: usize>(matrix: &[[f64; N]; N], inputs: &[f64; N]) -> [f64; N] {
    let mut reach = [0.0; N];
    for (column, input) in matrix.iter().zip(inputs) {
        for (reach, entry) in reach.iter_mut().zip(column) {
            *reach += entry * input;
        }
    }
    reach
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analytics::indicators::trial::Random;

    fn centred(random: &mut Random) -> f64 {
        random.unit() - 0.5
    }

    #[test]
    fn it_finds_the_weights_and_follows_when_they_change() {
        let mut random = Random(3);
        let mut model = Rls::<3>::new(RlsSettings::plain(0.98, 100.0));
        for (truth, count) in [([0.5, -2.0, 3.0], 500), ([1.0, 4.0, 0.0], 1_000)] {
            for _ in 0..count {
                let inputs = [1.0, centred(&mut random), centred(&mut random)];
                model.learn(&inputs, dot(&truth, &inputs) + 0.01 * centred(&mut random));
            }
            for (weight, truth) in model.weights().iter().zip(truth) {
                assert!((weight - truth).abs() < 0.02, "{:?}", model.weights());
            }
        }
    }

    #[test]
    fn the_covariance_stays_symmetric_and_under_its_cap_when_the_inputs_fall_silent() {
        let mut random = Random(4);
        let settings = RlsSettings { trace_max: 400.0, ..RlsSettings::plain(0.95, 100.0) };
        let mut model = Rls::<4>::new(settings);
        for i in 0..20_000 {
            // Two inputs say nothing for most of the time: theirs is the wind-up.
            let loud = if i % 5_000 < 200 { 1.0 } else { 0.0 };
            let inputs =
                [1.0, centred(&mut random), loud * centred(&mut random), loud * centred(&mut random)];
            model.learn(&inputs, 2.0 * inputs[1] + inputs[2] + centred(&mut random));
            let covariance = model.covariance();
            let trace: f64 = (0..4).map(|i| covariance[i][i]).sum();
            assert!(trace <= 400.0 * (1.0 + 1e-12) && trace > 0.0, "row {i}: trace {trace}");
            for (row, column) in [(0, 1), (1, 2), (2, 3), (0, 3)] {
                assert_eq!(covariance[row][column].to_bits(), covariance[column][row].to_bits());
            }
        }
        assert_eq!(model.resets(), 0);
        let mut free = Rls::<2>::new(RlsSettings::plain(0.9, 100.0));
        (0..2_000).for_each(|_| _ = free.learn(&[1.0, 0.0], 1.0));
        assert!(free.covariance()[1][1] > 1e50, "without a cap it winds up: the cap is what holds it");
    }

    #[test]
    fn a_wild_value_moves_a_clipped_model_little() {
        let run = |clip| {
            let mut random = Random(5);
            let mut model = Rls::<2>::new(RlsSettings { clip, ..RlsSettings::plain(0.99, 100.0) });
            for i in 0..400 {
                let inputs = [1.0, centred(&mut random)];
                let wild = if i == 399 { 1e6 } else { 0.0 };
                model.learn(&inputs, inputs[1] + 0.1 * centred(&mut random) + wild);
            }
            model.weights()[0].abs()
        };
        assert!(run(Some(4.0)) < 0.1, "{}", run(Some(4.0)));
        assert!(run(None) > 1_000.0, "{}", run(None));
    }

    #[test]
    fn numbers_that_are_none_are_passed_over() {
        let mut model = Rls::<2>::new(RlsSettings::plain(0.99, 100.0));
        model.learn(&[1.0, 2.0], 3.0);
        let before = format!("{model:?}");
        model.learn(&[1.0, f64::NAN], 3.0);
        model.learn(&[1.0, f64::INFINITY], 3.0);
        model.learn(&[1.0, 2.0], f64::NAN);
        assert_eq!(format!("{model:?}"), before);
    }

    #[test]
    fn saving_in_the_middle_changes_nothing() {
        let mut random = Random(6);
        let settings = RlsSettings { forgetting: 0.99, prior: 10.0, trace_max: 30.0, clip: Some(3.0) };
        let mut one = Rls::<3>::new(settings);
        let mut example = || ([1.0, centred(&mut random), centred(&mut random)], centred(&mut random));
        for _ in 0..100 {
            let (inputs, target) = example();
            one.learn(&inputs, target);
        }
        let mut words = Vec::new();
        one.state(&mut State::Save(&mut words));
        let mut other = Rls::<3>::new(settings);
        let mut loading = State::load(&words);
        other.state(&mut loading);
        assert_eq!(loading.finish(), Ok(()));
        for _ in 0..100 {
            let (inputs, target) = example();
            assert_eq!(one.learn(&inputs, target).to_bits(), other.learn(&inputs, target).to_bits());
        }
    }
}
