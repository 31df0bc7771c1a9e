//! The generalised Pareto distribution: what lies beyond a high threshold, of nearly any stream.
//!
//! Three fits: by likelihood (S. Grimshaw, "Computing maximum likelihood estimates for the generalized Pareto
//! distribution", Technometrics 35, 1993: two parameters become one), by moments and by probability-weighted
//! moments (J. Hosking and J. Wallis, "Parameter and quantile estimation for the generalized Pareto
//! distribution", Technometrics 29, 1987; their k is minus our shape).

/// Below it a shape is taken for none: an exponential distribution.
const SHAPE_MIN: f64 = 1e-9;

/// A fitted distribution of excesses.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Gpd {
    /// Above 0: a heavy tail; 0: exponential; below 0: the tail ends at `-scale / shape`.
    pub shape: f64,
    /// Above zero, in units of the excesses.
    pub scale: f64,
}

impl Gpd {
    /// By mean and variance of excesses above zero. `None` for fewer than two, or equal ones.
    pub fn by_moments(excesses: &[f64]) -> Option<Self> {
        let mean = mean_of(excesses)?;
        let deviation = |sum: f64, x: &f64| sum + (x - mean) * (x - mean);
        let variance = excesses.iter().fold(0.0, deviation) / excesses.len() as f64;
        let ratio = mean * mean / variance;
        let fit = Self { shape: 0.5 * (1.0 - ratio), scale: 0.5 * mean * (1.0 + ratio) };
        (excesses.len() > 1).then_some(fit)?.sound()
    }

    /// By probability-weighted moments of excesses above zero, in ascending order.
    pub fn by_weighted_moments(ascending: &[f64]) -> Option<Self> {
        let first = mean_of(ascending)?;
        let last = ascending.len() as f64 - 1.0;
        let weighted = |sum: f64, (i, x): (usize, &f64)| sum + (last - i as f64) / last * x;
        let second = ascending.iter().enumerate().fold(0.0, weighted) / ascending.len() as f64;
        let gap = first - 2.0 * second;
        Self { shape: 2.0 - first / gap, scale: 2.0 * first * second / gap }.sound()
    }

    /// By likelihood. With `b` = shape / scale, the best shape for it is the mean of ln(1 + b x): one number is
    /// searched for, over a grid that bends towards the end of the tail, then by golden sections.
    pub fn by_likelihood(excesses: &[f64]) -> Option<Self> {
        const STEPS: i32 = 200;
        let mean = mean_of(excesses)?;
        let largest = excesses.iter().copied().fold(0.0, f64::max);
        if excesses.len() < 2 || largest <= 0.0 {
            return None;
        }
        let of = |u: f64| -> (Self, f64) {
            let b = libm::expm1(u) / largest;
            let shape = excesses.iter().map(|x| libm::log1p(b * x)).sum::<f64>() / excesses.len() as f64;
            let fit = if shape.abs() < SHAPE_MIN {
                Self { shape: 0.0, scale: mean }
            } else {
                Self { shape, scale: shape / b }
            };
            (fit, fit.log_likelihood(excesses))
        };
        // Beyond a shape of -1/2 the likelihood has no regular maximum.
        let (low, high) = (libm::log(1e-4), libm::log1p(100.0 * largest / mean));
        let at = |step: i32| low + (high - low) * f64::from(step) / f64::from(STEPS);
        let regular = |&step: &i32| of(at(step)).0.shape > -0.5;
        let best = (0..=STEPS).filter(regular).max_by(|&a, &b| of(at(a)).1.total_cmp(&of(at(b)).1))?;
        let golden = (5.0_f64.sqrt() - 1.0) / 2.0;
        let (mut left, mut right) = (at(best - 1), at(best + 1));
        for _ in 0..80 {
            let (a, b) = (right - golden * (right - left), left + golden * (right - left));
            if of(a).1 < of(b).1 { left = a } else { right = b }
        }
        of((left + right) / 2.0).0.sound()
    }

    /// Whether both are numbers that a distribution can have.
    fn sound(self) -> Option<Self> {
        (self.shape.is_finite() && self.scale.is_finite() && self.scale > 0.0).then_some(self)
    }

    /// With a shape no heavier and no lighter than that, and the mean that it had: a finite end of the tail
    /// would make what lies beyond impossible, and a mean that does not exist cannot be learned.
    pub fn clamped(self, lightest: f64, heaviest: f64) -> Self {
        let shape = self.shape.clamp(lightest, heaviest);
        if shape == self.shape || self.shape >= 1.0 {
            return Self { shape, ..self };
        }
        Self { shape, scale: self.scale / (1.0 - self.shape) * (1.0 - shape) }
    }

    /// Probability of more than `excess`, which is at or above zero.
    #[inline]
    pub fn survival(&self, excess: f64) -> f64 {
        if self.shape.abs() < SHAPE_MIN {
            return libm::exp(-excess / self.scale);
        }
        let base = 1.0 + self.shape * excess / self.scale;
        if base <= 0.0 { 0.0 } else { libm::pow(base, -1.0 / self.shape) }
    }

    /// The excess that is exceeded with that probability, above 0 to 1.
    pub fn quantile(&self, probability: f64) -> f64 {
        if self.shape.abs() < SHAPE_MIN {
            return -self.scale * libm::log(probability);
        }
        self.scale / self.shape * (libm::pow(probability, -self.shape) - 1.0)
    }

    pub fn log_likelihood(&self, excesses: &[f64]) -> f64 {
        let n = excesses.len() as f64;
        if self.scale <= 0.0 {
            return f64::NEG_INFINITY;
        }
        if self.shape.abs() < SHAPE_MIN {
            return -n * libm::log(self.scale) - excesses.iter().sum::<f64>() / self.scale;
        }
        let logs = |x: &f64| libm::log1p(self.shape * x / self.scale);
        let sum: f64 = excesses.iter().map(logs).sum();
        let value = -n * libm::log(self.scale) - (1.0 + 1.0 / self.shape) * sum;
        if value.is_nan() { f64::NEG_INFINITY } else { value }
    }
}

fn mean_of(values: &[f64]) -> Option<f64> {
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analytics::indicators::trial::Random;

    #[test]
    fn all_fits_find_what_the_excesses_were_drawn_from() {
        for (seed, shape, scale) in [(1, 0.0, 1.0), (2, 0.2, 3.0), (3, -0.2, 0.5), (4, 0.25, 10.0)] {
            let mut random = Random(seed);
            let truth = Gpd { shape, scale };
            let mut drawn: Vec<f64> = (0..20_000).map(|_| truth.quantile(random.unit().max(1e-12))).collect();
            drawn.sort_by(f64::total_cmp);
            let fits =
                [Gpd::by_moments(&drawn), Gpd::by_weighted_moments(&drawn), Gpd::by_likelihood(&drawn)];
            for fit in fits {
                let fit = fit.unwrap();
                assert!((fit.shape - shape).abs() < 0.05, "{fit:?} for {truth:?}");
                assert!((fit.scale / scale - 1.0).abs() < 0.05, "{fit:?} for {truth:?}");
            }
        }
    }

    #[test]
    fn a_quantile_survives_with_its_probability() {
        for shape in [-0.3, 0.0, 1e-12, 0.2, 0.9] {
            let gpd = Gpd { shape, scale: 2.0 };
            for probability in [1.0, 0.5, 1e-3, 1e-9] {
                let survival = gpd.survival(gpd.quantile(probability));
                assert!((survival / probability - 1.0).abs() < 1e-9, "{shape} {probability} {survival}");
            }
        }
    }

    #[test]
    fn a_clamped_shape_keeps_the_mean() {
        let mean = |gpd: Gpd| gpd.scale / (1.0 - gpd.shape);
        for shape in [-0.4, 0.1, 0.6] {
            let gpd = Gpd { shape, scale: 2.0 };
            let clamped = gpd.clamped(0.0, 0.3);
            assert!((0.0..=0.3).contains(&clamped.shape));
            assert!((mean(clamped) - mean(gpd)).abs() < 1e-12);
        }
    }

    #[test]
    fn too_little_is_no_distribution() {
        for excesses in [&[][..], &[1.0], &[2.0, 2.0, 2.0]] {
            assert_eq!(Gpd::by_moments(excesses), None, "{excesses:?}");
        }
        for excesses in [&[][..], &[1.0]] {
            assert_eq!(Gpd::by_weighted_moments(excesses), None, "{excesses:?}");
            assert_eq!(Gpd::by_likelihood(excesses), None, "{excesses:?}");
        }
    }
}
