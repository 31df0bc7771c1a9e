//! Random numbers that are the same on every machine.
//!
//! The generator is xoshiro256++ (D. Blackman, S. Vigna, "Scrambled Linear Pseudorandom
//! Number Generators", ACM Transactions on Mathematical Software 47(4), 2021). Its state is
//! the BLAKE3 hash of a seed and the name of what the numbers are for, so that each part of
//! a market draws from a stream of its own: a part that is switched off changes no other.
//! Floats are made by exact operations and `libm` alone.

/// One stream of random numbers.
pub struct Random {
    words: [u64; 4],
    /// The second number of the pair that the polar method makes.
    spare_normal: Option<f64>,
}

impl Random {
    /// The stream called `name` of the seed.
    pub fn new(seed: u64, name: &str) -> Self {
        let mut hasher = blake3::Hasher::new();
        hasher.update(b"tapewatch generate 1\0");
        hasher.update(&seed.to_le_bytes());
        hasher.update(name.as_bytes());
        let hash = *hasher.finalize().as_bytes();
        let mut words = [0; 4];
        for (word, bytes) in words.iter_mut().zip(hash.chunks_exact(8)) {
            *word = u64::from_le_bytes(bytes.try_into().expect("chunks of eight bytes"));
        }
        Self::from_words(words)
    }

    fn from_words(words: [u64; 4]) -> Self {
        Self { words, spare_normal: None }
    }

    #[inline]
    pub fn word(&mut self) -> u64 {
        let w = &mut self.words;
        let result = w[0].wrapping_add(w[3]).rotate_left(23).wrapping_add(w[0]);
        let shifted = w[1] << 17;
        w[2] ^= w[0];
        w[3] ^= w[1];
        w[1] ^= w[2];
        w[0] ^= w[3];
        w[2] ^= shifted;
        w[3] = w[3].rotate_left(45);
        result
    }

    /// Uniform, above 0 and below 1: odd multiples of 2^-53.
    #[inline]
    pub fn unit(&mut self) -> f64 {
        const HALF_STEP: f64 = 1.0 / 9_007_199_254_740_992.0;
        ((self.word() >> 12) * 2 + 1) as f64 * HALF_STEP
    }

    #[inline]
    pub fn chance(&mut self, probability: f64) -> bool {
        // A probability of nothing draws nothing: most markets leave most faults switched off.
        probability > 0.0 && self.unit() < probability
    }

    /// A whole number below `count`, which is above 0, without bias
    /// (D. Lemire, "Fast Random Integer Generation in an Interval", 2019).
    pub fn below(&mut self, count: u64) -> u64 {
        let threshold = count.wrapping_neg() % count;
        loop {
            let product = u128::from(self.word()) * u128::from(count);
            if product as u64 >= threshold {
                return (product >> 64) as u64;
            }
        }
    }

    /// Exponential with mean 1.
    #[inline]
    pub fn exponential(&mut self) -> f64 {
        -libm::log(self.unit())
    }

    /// Normal with mean 0 and deviation 1 (the polar method: G. Marsaglia, T. A. Bray, SIAM Review 6(3), 1964).
    pub fn normal(&mut self) -> f64 {
        if let Some(spare) = self.spare_normal.take() {
            return spare;
        }
        loop {
            let (x, y) = (2.0 * self.unit() - 1.0, 2.0 * self.unit() - 1.0);
            let square = x * x + y * y;
            if square > 0.0 && square < 1.0 {
                let scale = (-2.0 * libm::log(square) / square).sqrt();
                self.spare_normal = Some(y * scale);
                return x * scale;
            }
        }
    }

    /// Geometric, at least 1, of the given mean (also at least 1).
    pub fn geometric(&mut self, mean: f64) -> u64 {
        if mean <= 1.0 {
            return 1;
        }
        let steps = libm::log(self.unit()) / libm::log1p(-1.0 / mean);
        1 + steps.min(1e15) as u64
    }

    /// Pareto of the second kind (Lomax): above 0, `P(X > x) = (1 + x)^-exponent`.
    #[inline]
    pub fn lomax(&mut self, exponent: f64) -> f64 {
        libm::expm1(-libm::log(self.unit()) / exponent)
    }

    /// Between the bounds, both above 0, with a uniform logarithm.
    pub fn log_uniform(&mut self, low: f64, high: f64) -> f64 {
        low * libm::exp(self.unit() * libm::log(high / low))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_are_those_of_the_reference() {
        // The first outputs of the authors' C code for the state 1, 2, 3, 4.
        let mut random = Random::from_words([1, 2, 3, 4]);
        let first: Vec<u64> = (0..5).map(|_| random.word()).collect();
        assert_eq!(
            first,
            [41_943_041, 58_720_359, 3_588_806_011_781_223, 3_591_011_842_654_386, 9_228_616_714_210_784_205]
        );
    }

    #[test]
    fn streams_differ_by_seed_and_name() {
        let first = |seed, name| Random::new(seed, name).word();
        assert_eq!(first(1, "a"), first(1, "a"));
        assert_ne!(first(1, "a"), first(1, "b"));
        assert_ne!(first(1, "a"), first(2, "a"));
    }

    /// Mean and variance of a million draws, within what chance allows at four deviations.
    fn check_moments(name: &str, mean: f64, variance: f64, mut draw: impl FnMut(&mut Random) -> f64) {
        const DRAWS: u32 = 1_000_000;
        let mut random = Random::new(7, name);
        let (mut sum, mut squares) = (0.0, 0.0);
        for _ in 0..DRAWS {
            let x = draw(&mut random);
            sum += x;
            squares += (x - mean) * (x - mean);
        }
        let count = f64::from(DRAWS);
        let tolerance = 4.0 * (variance / count).sqrt();
        assert!((sum / count - mean).abs() < tolerance, "{name}: mean {} is not {mean}", sum / count);
        assert!((squares / count / variance - 1.0).abs() < 0.02, "{name}: variance {}", squares / count);
    }

    #[test]
    fn distributions_have_their_moments() {
        check_moments("unit", 0.5, 1.0 / 12.0, Random::unit);
        check_moments("below", 4.5, 8.25, |r| r.below(10) as f64);
        check_moments("exponential", 1.0, 1.0, Random::exponential);
        check_moments("normal", 0.0, 1.0, Random::normal);
        check_moments("geometric", 4.0, 12.0, |r| r.geometric(4.0) as f64);
        check_moments("lomax", 0.2, 6.0 / 25.0 / 4.0, |r| r.lomax(6.0));
        check_moments("chance", 0.3, 0.21, |r| f64::from(u8::from(r.chance(0.3))));
        let third = 1.0 / libm::log(10.0);
        check_moments("log uniform", 9.0 * third, 49.5 * third - 81.0 * third * third, |r| {
            r.log_uniform(1.0, 10.0)
        });
    }

    #[test]
    fn the_edges_hold() {
        let mut random = Random::new(1, "edges");
        assert!(!random.chance(0.0) && random.chance(1.0));
        assert_eq!((random.below(1), random.geometric(1.0), random.geometric(0.0)), (0, 1, 1));
        for _ in 0..10_000 {
            let unit = random.unit();
            assert!(unit > 0.0 && unit < 1.0);
        }
    }
}
