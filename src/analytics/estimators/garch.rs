//! GARCH(1,1): tomorrow's variance from today's and from today's squared return.
//!
//! `variance' = omega + alpha return^2 + beta variance`. [`Garch`] filters with given parameters.
//! [`AdaptiveGarch`] finds them as it goes, in a few nanoseconds and without ever looking back: omega by variance
//! targeting, `omega = (1 - alpha - beta) mean of return^2`, alpha and beta by a recursive Gauss-Newton step
//! on the quasi-likelihood. With `psi` the gradient of the variance in (alpha, beta), known by a recursion
//! of its own, this is recursive least squares of `return^2 / variance - 1` on `psi / variance`. Parameters
//! are held where the variance stays finite and mean-reverting.
//! Sources: Bollerslev, Generalized autoregressive conditional heteroskedasticity (1986); Engle and Mezrich,
//! GARCH for groups (1996) on targeting; Hendrych and Cipra, Self-weighted recursive estimation of GARCH
//! models (2018).

use crate::analytics::estimators::moments::weight_of_newest;
use crate::analytics::estimators::rls::{Rls, RlsSettings};
use crate::analytics::rolling::state::State;

/// `omega` in squared returns, above 0; `alpha` and `beta` at or above 0, below 1 together for a variance
/// that has a mean.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GarchParameters {
    pub omega: f64,
    pub alpha: f64,
    pub beta: f64,
}

impl GarchParameters {
    /// The next step's variance, after this variance and return.
    #[inline]
    pub fn next(&self, variance: f64, value: f64) -> f64 {
        self.omega + self.alpha * value * value + self.beta * variance
    }

    /// The sum of the variances of `horizon` steps, when the first one's is `next`.
    pub fn sum_ahead(&self, next: f64, horizon: usize) -> f64 {
        let persistence = self.alpha + self.beta;
        let steps = horizon as f64;
        let gap = 1.0 - persistence;
        if gap < 1e-9 {
            // No mean to return to: omega is added at each step.
            return steps * next + self.omega * steps * (steps - 1.0) / 2.0;
        }
        let mean = self.omega / gap;
        mean * steps + (next - mean) * (1.0 - power(persistence, horizon)) / gap
    }
}

/// By squaring: a whole power needs no logarithm.
fn power(mut base: f64, mut exponent: usize) -> f64 {
    let mut product = 1.0;
    while exponent > 0 {
        if exponent & 1 == 1 {
            product *= base;
        }
        base *= base;
        exponent >>= 1;
    }
    product
}

/// The filter with given parameters.
#[derive(Clone, Debug)]
pub struct Garch {
    parameters: GarchParameters,
    variance: f64,
}

impl Garch {
    /// `first`: the variance of the first return.
    pub fn new(parameters: GarchParameters, first: f64) -> Self {
        Self { parameters, variance: first }
    }

    /// Of the next return.
    pub fn variance(&self) -> f64 {
        self.variance
    }

    /// The sum of the variances of the next `horizon` returns.
    pub fn sum_ahead(&self, horizon: usize) -> f64 {
        self.parameters.sum_ahead(self.variance, horizon)
    }

    /// Takes the next return; one that is not finite is passed over.
    #[inline]
    pub fn learn(&mut self, value: f64) {
        if value.is_finite() {
            self.variance = self.parameters.next(self.variance, value);
        }
    }

    /// Visits every word of mutable state.
    pub fn state(&mut self, state: &mut State<'_>) {
        state.f64(&mut self.variance);
    }
}

/// Where parameters may lie.
const ALPHA: (f64, f64) = (0.005, 0.4);
const BETA: (f64, f64) = (0.3, 0.99);
const PERSISTENCE_MAX: f64 = 0.998;
const START: [f64; 2] = [0.08, 0.88];
/// Variances that one surprise may count as, in the step on the parameters: returns have heavy tails.
const SURPRISE_MAX: f64 = 9.0;
/// Returns whose mean square alone is the variance, before parameters are learnt.
const WARM_UP: u64 = 30;

/// A filter that finds its parameters.
#[derive(Clone, Debug)]
pub struct AdaptiveGarch {
    /// Weights are alpha and beta.
    step: Rls<2>,
    /// Weight of the newest squared return in the long mean.
    mean_weight: f64,
    mean: f64,
    variance: f64,
    /// The gradient of the variance in alpha and beta.
    gradient: [f64; 2],
    seen: u64,
    floor: f64,
}

impl AdaptiveGarch {
    /// `memory`: returns over which parameters and mean are taken, thousands; `floor`: the least variance,
    /// above 0, for a market that stands still.
    pub fn new(memory: f64, floor: f64) -> Self {
        let mut step =
            Rls::new(RlsSettings { trace_max: 0.1, ..RlsSettings::plain(1.0 - 1.0 / memory, 0.01) });
        *step.weights_mut() = START;
        Self {
            step,
            mean_weight: 1.0 / memory,
            mean: 0.0,
            variance: floor,
            gradient: [0.0; 2],
            seen: 0,
            floor,
        }
    }

    /// Takes the next return; one that is not finite is passed over.
    pub fn learn(&mut self, value: f64) {
        let square = value * value;
        if !square.is_finite() {
            return;
        }
        self.seen += 1;
        if self.seen > WARM_UP {
            let surprise = (square / self.variance).min(SURPRISE_MAX);
            let inputs = self.gradient.map(|part| part / self.variance);
            self.step.correct(&inputs, surprise - 1.0);
            self.hold();
        }
        self.mean += weight_of_newest(self.mean_weight, self.seen) * (square - self.mean);
        let variance = self.variance;
        if self.seen <= WARM_UP {
            self.variance = self.mean.max(self.floor);
            return;
        }
        let parameters = self.parameters();
        self.variance = parameters.next(variance, value).max(self.floor);
        let [by_alpha, by_beta] = self.gradient;
        self.gradient = [
            square - self.mean + parameters.beta * by_alpha,
            variance - self.mean + parameters.beta * by_beta,
        ];
    }

    /// Puts alpha and beta back where they may lie.
    fn hold(&mut self) {
        let [alpha, beta] = self.step.weights_mut();
        *alpha = alpha.clamp(ALPHA.0, ALPHA.1);
        *beta = beta.clamp(BETA.0, BETA.1).min(PERSISTENCE_MAX - *alpha);
    }

    /// As they are now.
    pub fn parameters(&self) -> GarchParameters {
        let [alpha, beta] = *self.step.weights();
        GarchParameters { omega: (1.0 - alpha - beta) * self.mean.max(self.floor), alpha, beta }
    }

    /// Of the next return; `None` before the first one.
    pub fn variance(&self) -> Option<f64> {
        (self.seen > 0).then_some(self.variance)
    }

    /// The sum of the variances of the next `horizon` returns; `None` before the first return.
    pub fn sum_ahead(&self, horizon: usize) -> Option<f64> {
        self.variance().map(|variance| self.parameters().sum_ahead(variance, horizon))
    }

    /// Visits every word of mutable state.
    pub fn state(&mut self, state: &mut State<'_>) {
        self.step.state(state);
        state.f64(&mut self.mean);
        state.f64(&mut self.variance);
        self.gradient.iter_mut().for_each(|part| state.f64(part));
        state.word(&mut self.seen);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analytics::indicators::trial::Random;

    fn gauss(random: &mut Random) -> f64 {
        (0..12).map(|_| random.unit()).sum::<f64>() - 6.0
    }

    fn market(parameters: GarchParameters, count: usize, seed: u64) -> Vec<f64> {
        let mut random = Random(seed);
        let mut filter = Garch::new(parameters, 1e-6);
        (0..count)
            .map(|_| {
                let value = filter.variance().sqrt() * gauss(&mut random);
                filter.learn(value);
                value
            })
            .collect()
    }

    #[test]
    fn the_sum_ahead_is_the_sum_of_the_steps() {
        for (alpha, beta) in [(0.1, 0.85), (0.11, 0.89), (0.0, 0.5)] {
            let parameters = GarchParameters { omega: 0.05, alpha, beta };
            let (mut step, mut sum) = (3.0, 0.0);
            for horizon in 1..=60 {
                sum += step;
                let is = parameters.sum_ahead(3.0, horizon);
                assert!((is - sum).abs() < 1e-6 * sum, "{alpha} {beta} {horizon}: {is} {sum}");
                // The expected square of a return is its variance.
                step = parameters.omega + (alpha + beta) * step;
            }
        }
    }

    #[test]
    fn parameters_are_found_without_looking_back() {
        for (alpha, beta) in [(0.05, 0.92), (0.2, 0.7)] {
            let truth = GarchParameters { omega: (1.0 - alpha - beta) * 1e-6, alpha, beta };
            let mut filter = AdaptiveGarch::new(20_000.0, 1e-12);
            let (mut off, mut off_fixed, mut count) = (0.0, 0.0, 0.0);
            let mut known = Garch::new(truth, 1e-6);
            for (i, value) in market(truth, 60_000, 51).into_iter().enumerate() {
                if i > 30_000 {
                    let ratio = filter.variance().unwrap() / known.variance();
                    off += (ratio - 1.0).abs();
                    off_fixed += (1e-6 / known.variance() - 1.0).abs();
                    count += 1.0;
                }
                filter.learn(value);
                known.learn(value);
            }
            let is = filter.parameters();
            assert!((is.alpha - alpha).abs() < 0.05 && (is.beta - beta).abs() < 0.1, "{is:?} {truth:?}");
            assert!(
                off < 0.3 * off_fixed,
                "{} of the variance off, fixed {}",
                off / count,
                off_fixed / count
            );
        }
    }

    #[test]
    fn nothing_that_comes_makes_it_lose_its_way() {
        let mut random = Random(52);
        let mut filter = AdaptiveGarch::new(5_000.0, 1e-12);
        for i in 0..20_000 {
            let value = match i % 1_000 {
                500 => 0.3,
                600..800 => 0.0,
                900 => f64::NAN,
                _ => 1e-3 * gauss(&mut random),
            };
            filter.learn(value);
            let is = filter.parameters();
            let variance = filter.variance().unwrap();
            assert!(variance.is_finite() && variance >= 1e-12, "{i}: {variance}");
            assert!(is.omega > 0.0 && is.alpha > 0.0 && is.alpha + is.beta < 1.0, "{i}: {is:?}");
            assert!(filter.sum_ahead(60).unwrap().is_finite());
        }
    }

    #[test]
    fn saving_in_the_middle_changes_nothing() {
        let truth = GarchParameters { omega: 5e-8, alpha: 0.1, beta: 0.85 };
        let values = market(truth, 400, 53);
        let mut one = AdaptiveGarch::new(5_000.0, 1e-12);
        values[..200].iter().for_each(|&value| one.learn(value));
        let mut words = Vec::new();
        one.state(&mut State::Save(&mut words));
        let mut other = AdaptiveGarch::new(5_000.0, 1e-12);
        other.state(&mut State::load(&words));
        for &value in &values[200..] {
            one.learn(value);
            other.learn(value);
            assert_eq!(one.sum_ahead(5).map(f64::to_bits), other.sum_ahead(5).map(f64::to_bits));
        }
    }
}
