//! When orders arrive: a Hawkes process with an exponential kernel.
//!
//! Each arrival raises the intensity by `branching * decay`, and what was raised falls with
//! `exp(-decay * t)`; so an arrival has `branching` direct followers on average, and the mean
//! rate is `base / (1 - branching)`. Without branching it is a Poisson process. Source:
//! A. G. Hawkes, "Spectra of some self-exciting and mutually exciting point processes",
//! Biometrika 58(1), 1971. Arrivals are drawn by thinning (Y. Ogata, "On Lewis' simulation
//! method for point processes", IEEE Transactions on Information Theory 27(1), 1981): between
//! arrivals the intensity only falls, so its value now bounds it.

use crate::replay::generate::random::Random;

const SECONDS_PER_NANO: f64 = 1e-9;
const NANOS_PER_SECOND: f64 = 1e9;

/// The state between two arrivals.
pub struct Hawkes {
    /// Arrivals per second that nothing caused, before any factor.
    base: f64,
    /// Added by an arrival, per second.
    kick: f64,
    /// Per second.
    decay: f64,
    /// What past arrivals still add, per second.
    excitation: f64,
}

/// What came first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// An arrival after so many nanoseconds.
    Arrival(i64),
    /// The patience was over.
    Nothing,
}

impl Hawkes {
    /// `mean_rate` per second, above 0; `branching` in `[0, 1)`; `decay` per second, above 0.
    pub fn new(mean_rate: f64, branching: f64, decay: f64) -> Self {
        let base = mean_rate * (1.0 - branching);
        Self { base, kick: branching * decay, decay, excitation: 0.0 }
    }

    /// Goes on to the next arrival, but not further than `patience` nanoseconds, while the
    /// base rate is multiplied by `activity`. Where the activity changes, the process is
    /// asked in steps: what was not yet drawn does not remember how long nothing came.
    pub fn step(&mut self, random: &mut Random, activity: f64, patience: i64) -> Step {
        let base = self.base * activity;
        let mut waited = 0;
        loop {
            let bound = base + self.excitation;
            let left = patience - waited;
            if bound <= 0.0 {
                return Step::Nothing;
            }
            let wait = random.exponential() / bound * NANOS_PER_SECOND;
            if wait >= left as f64 {
                self.fade(left);
                return Step::Nothing;
            }
            let wait = wait as i64;
            waited += wait;
            self.fade(wait);
            if self.excitation == 0.0 || random.unit() * bound < base + self.excitation {
                self.excitation += self.kick;
                return Step::Arrival(waited);
            }
        }
    }

    /// Forgets what was excited.
    pub fn calm(&mut self) {
        self.excitation = 0.0;
    }

    fn fade(&mut self, nanos: i64) {
        /// Arrivals per second that would take longer than a century.
        const NEGLIGIBLE: f64 = 1e-10;
        if self.excitation > 0.0 {
            self.excitation *= libm::exp(-self.decay * (nanos as f64 * SECONDS_PER_NANO));
            if self.excitation < NEGLIGIBLE {
                self.excitation = 0.0;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Mean and index of dispersion (variance by mean) of the counts in windows of 20 s.
    fn counts(branching: f64, patience: i64) -> (f64, f64) {
        const WINDOW: i64 = 20_000_000_000;
        const WINDOWS: usize = 20_000;
        let mut random = Random::new(11, "hawkes");
        let mut hawkes = Hawkes::new(5.0, branching, 4.0);
        let mut counts = vec![0.0; WINDOWS];
        let mut now = 0;
        loop {
            match hawkes.step(&mut random, 1.0, patience) {
                Step::Arrival(wait) => {
                    now += wait;
                    match counts.get_mut((now / WINDOW) as usize) {
                        Some(count) => *count += 1.0,
                        None => break,
                    }
                }
                Step::Nothing => now += patience,
            }
        }
        let mean = counts.iter().sum::<f64>() / WINDOWS as f64;
        let variance = counts.iter().map(|c| (c - mean) * (c - mean)).sum::<f64>() / WINDOWS as f64;
        (mean, variance / mean)
    }

    /// In long windows the dispersion of a Hawkes process tends to `1 / (1 - branching)^2`
    /// (Hawkes 1971); ours are eighty times the memory of the kernel.
    fn check_clustering(branching: f64, expected: f64) {
        for patience in [i64::MAX, 50_000_000] {
            let (mean, dispersion) = counts(branching, patience);
            assert!((mean / 100.0 - 1.0).abs() < 0.02, "branching {branching}: mean {mean}");
            assert!((dispersion / expected - 1.0).abs() < 0.06, "branching {branching}: {dispersion}");
        }
    }

    #[test]
    fn arrivals_cluster_as_the_branching_ratio_says() {
        check_clustering(0.0, 1.0);
        check_clustering(0.3, 1.0 / 0.49);
        check_clustering(0.6, 1.0 / 0.16);
    }

    #[test]
    fn without_activity_nothing_comes() {
        let mut random = Random::new(1, "quiet");
        let mut hawkes = Hawkes::new(5.0, 0.0, 4.0);
        assert_eq!(hawkes.step(&mut random, 0.0, i64::MAX), Step::Nothing);
    }
}
