//! Bayesian online change point detection: for how long has the stream been as it is?
//!
//! The posterior of the run length, the number of values since mean and variance last changed, under
//! normal values with unknown mean and variance (a Normal-Gamma prior) and a constant chance of a change
//! at each value. A value costs O(`runs_max`). Runs longer than that are one: their parameters stay as heavy
//! as those of `runs_max` values and forget what is older, so that no probability is lost. The prior is in the
//! unit of the values: give it standardised ones.
//! Sources: R. Adams and D. MacKay, Bayesian online changepoint detection (2007), arXiv:0710.3742;
//! K. Murphy, Conjugate Bayesian analysis of the Gaussian distribution (2007).

use std::f64::consts::PI;

use crate::analytics::rolling::state::State;

/// Smallest rate of the longest run, as a share of the prior's.
const RATE_FLOOR: f64 = 1e-9;

/// What is believed before the first value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BocpdParameters {
    /// Probability of a change at any one value, above 0, below 1.
    pub hazard: f64,
    /// The mean, and how many values that belief is worth, above 0.
    pub mean: f64,
    pub mean_weight: f64,
    /// Shape and rate of the Gamma distribution of one by the variance, above 0.
    pub shape: f64,
    pub rate: f64,
    /// Runs that are told apart, at least 1.
    pub runs_max: usize,
}

/// One run length: how probable it is, and what its values say.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Run {
    probability: f64,
    mean: f64,
    rate: f64,
}

/// What a run of so many values weighs: the same whatever the values were.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Weight {
    mean: f64,
    shape: f64,
    /// Gamma(shape + 1/2) / Gamma(shape) / sqrt(pi).
    factor: f64,
}

/// The posterior of the run length.
#[derive(Clone, Debug, PartialEq)]
pub struct Bocpd {
    parameters: BocpdParameters,
    /// By run length, up to `runs_max`.
    weights: Box<[Weight]>,
    /// By run length, from 0 on.
    runs: Vec<Run>,
}

impl Bocpd {
    pub fn new(parameters: BocpdParameters) -> Self {
        let BocpdParameters { hazard, mean_weight, shape, rate, runs_max, .. } = parameters;
        assert!(hazard > 0.0 && hazard < 1.0 && runs_max > 0, "a chance, and runs to tell apart");
        assert!(mean_weight > 0.0 && shape > 0.0 && rate > 0.0, "the prior is one");
        let mut factor = libm::tgamma(shape + 0.5) / libm::tgamma(shape);
        let weights = (0..=runs_max)
            .map(|length| {
                let shape = shape + length as f64 / 2.0;
                let weight = Weight { mean: mean_weight + length as f64, shape, factor: factor / PI.sqrt() };
                // Gamma(x + 1) = x Gamma(x), so that the next factor needs no Gamma function.
                factor = shape / factor;
                weight
            })
            .collect();
        let runs = vec![Run { probability: 1.0, mean: parameters.mean, rate }];
        Self { parameters, weights, runs }
    }

    /// Takes a finite value; gives back the logarithm of the density that it had before it was seen.
    pub fn push(&mut self, value: f64) -> f64 {
        let BocpdParameters { hazard, mean, rate, runs_max, .. } = self.parameters;
        let mut density = 0.0;
        for (run, weight) in self.runs.iter_mut().zip(&self.weights) {
            run.probability *= student(run, weight, value);
            density += run.probability;
            let off = value - run.mean;
            run.rate += weight.mean * (off * off) / (2.0 * (weight.mean + 1.0));
            run.mean += off / (weight.mean + 1.0);
        }
        // However far a value is: that of the prior falls as a power of the distance, not as a bell curve.
        let density = density.max(f64::MIN_POSITIVE);
        for run in &mut self.runs {
            run.probability *= (1.0 - hazard) / density;
        }
        if self.runs.len() > runs_max {
            self.join_the_longest();
        }
        self.runs.insert(0, Run { probability: hazard, mean, rate });
        libm::log(density)
    }

    /// The longest run and the one before it become one that weighs what the shorter does.
    fn join_the_longest(&mut self) {
        let weight = self.weights[self.parameters.runs_max];
        let Some(longest) = self.runs.pop() else { return };
        // It has taken one value more than its weight says: what it knows is scaled back to that, but of
        // values that never differ a trace of the prior's variance is left.
        let rate = longest.rate * (weight.shape / (weight.shape + 0.5));
        let scaled = Run { rate: rate.max(RATE_FLOOR * self.parameters.rate), ..longest };
        match self.runs.last_mut() {
            Some(shorter) => {
                let probability = shorter.probability + scaled.probability;
                let likelier = if shorter.probability > scaled.probability { *shorter } else { scaled };
                *shorter = Run { probability, ..likelier };
            }
            None => self.runs.push(scaled),
        }
    }

    /// How many run lengths are told apart now.
    pub fn runs(&self) -> usize {
        self.runs.len()
    }

    /// Probability that no more than `length` values came since the last change.
    pub fn probability_up_to(&self, length: usize) -> f64 {
        self.runs.iter().take(length.saturating_add(1)).map(|run| run.probability).sum()
    }

    /// The likeliest run length, the shortest of equal ones.
    pub fn likeliest(&self) -> usize {
        let mut best = 0;
        for (length, run) in self.runs.iter().enumerate() {
            if run.probability > self.runs[best].probability {
                best = length;
            }
        }
        best
    }

    /// Mean and standard deviation of the values of a run that long; `None` where there is no such run, or
    /// where no variance is expected of so little.
    pub fn level(&self, length: usize) -> Option<(f64, f64)> {
        let (run, weight) = (self.runs.get(length)?, self.weights.get(length)?);
        (weight.shape > 1.0).then(|| (run.mean, (run.rate / (weight.shape - 1.0)).sqrt()))
    }

    pub fn mean_run_length(&self) -> f64 {
        self.runs.iter().enumerate().map(|(length, run)| length as f64 * run.probability).sum()
    }

    /// Visits every word of mutable state.
    pub fn state(&mut self, state: &mut State<'_>) {
        let mut len = self.runs.len();
        state.index(&mut len, self.parameters.runs_max + 1);
        state.check(len > 0, "there is always a run");
        let BocpdParameters { mean, rate, .. } = self.parameters;
        self.runs.resize(len.max(1), Run { probability: 1.0, mean, rate });
        for run in &mut self.runs {
            state.f64(&mut run.probability);
            state.f64(&mut run.mean);
            state.f64(&mut run.rate);
        }
    }
}

/// The density of the next value of a run: Student's t with twice the shape's degrees of freedom.
fn student(run: &Run, weight: &Weight, value: f64) -> f64 {
    let spread = 2.0 * run.rate * (weight.mean + 1.0) / weight.mean;
    let off = value - run.mean;
    let power = libm::exp(-(weight.shape + 0.5) * libm::log1p(off * off / spread));
    weight.factor / spread.sqrt() * power
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analytics::estimators::split_mix::SplitMix;

    fn parameters(runs_max: usize) -> BocpdParameters {
        BocpdParameters { hazard: 0.01, mean: 0.0, mean_weight: 1.0, shape: 1.0, rate: 1.0, runs_max }
    }

    /// Nearly a bell curve.
    fn noise(random: &mut SplitMix) -> f64 {
        (0..12).map(|_| random.unit()).sum::<f64>() - 6.0
    }

    #[test]
    fn a_change_is_seen_within_a_few_values() {
        for runs_max in [60, 1_000] {
            let (mut posterior, mut random) = (Bocpd::new(parameters(runs_max)), SplitMix::new(6));
            (0..200).for_each(|_| _ = posterior.push(noise(&mut random)));
            assert!(posterior.probability_up_to(5) < 0.1, "{}", posterior.probability_up_to(5));
            assert_eq!(posterior.likeliest(), runs_max.min(200), "the longest run");
            (0..6).for_each(|_| _ = posterior.push(6.0 + noise(&mut random)));
            assert!(posterior.probability_up_to(6) > 0.9, "{}", posterior.probability_up_to(6));
            let (mean, _) = posterior.level(posterior.likeliest()).unwrap();
            assert!((3.0..7.0).contains(&mean), "{mean}");
        }
    }

    #[test]
    fn no_probability_is_lost_and_the_longest_run_forgets() {
        let (mut posterior, mut random) = (Bocpd::new(parameters(40)), SplitMix::new(3));
        for i in 0..5_000 {
            posterior.push(if i % 700 == 0 { 1e9 } else { 1e-3 * f64::from(i) + noise(&mut random) });
            assert!((posterior.probability_up_to(usize::MAX) - 1.0).abs() < 1e-9, "value {i}");
            assert!(posterior.runs() <= 41);
        }
    }

    #[test]
    fn values_that_never_differ_are_no_division_by_zero() {
        let mut posterior = Bocpd::new(parameters(40));
        for _ in 0..3_000 {
            assert!(posterior.push(0.0).is_finite());
        }
        assert!(posterior.push(1.0).is_finite());
        assert!((posterior.probability_up_to(usize::MAX) - 1.0).abs() < 1e-9);
    }
}
