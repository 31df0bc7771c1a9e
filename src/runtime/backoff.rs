//! How long to wait before the next try: doubling, with jitter, never giving up.

use std::time::Duration;

/// Tries against something that failed.
#[derive(Clone, Debug)]
pub struct Backoff {
    first: Duration,
    longest: Duration,
    failures: u32,
    /// Of the jitter; the same seed waits the same times.
    seed: u64,
}

impl Backoff {
    pub fn new(first: Duration, longest: Duration, seed: u64) -> Self {
        Self { first, longest, failures: 0, seed }
    }

    /// It failed again: how long to wait. Between half and all of the doubled time, so that many who
    /// failed together do not come back together.
    pub fn failed(&mut self) -> Duration {
        let doubled = self.first.saturating_mul(1_u32.checked_shl(self.failures).unwrap_or(u32::MAX));
        let whole = doubled.min(self.longest);
        self.failures = self.failures.saturating_add(1).min(31);
        self.seed = splitmix(self.seed);
        let half = whole / 2;
        half + half.mul_f64((self.seed >> 11) as f64 / (1_u64 << 53) as f64)
    }

    pub fn failures(&self) -> u32 {
        self.failures
    }

    /// It worked.
    pub fn reset(&mut self) {
        self.failures = 0;
    }
}

/// The next number of Steele, Lea and Flood's SplitMix64 (2014).
pub fn splitmix(seed: u64) -> u64 {
    let mut z = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_longest_and_start_anew() {
        let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(5), 7);
        for whole in [100, 200, 400, 800, 1_600, 3_200, 5_000, 5_000] {
            let wait = backoff.failed();
            let whole = Duration::from_millis(whole);
            assert!(wait >= whole / 2 && wait <= whole, "{wait:?} for {whole:?}");
        }
        for _ in 0..100 {
            assert!(backoff.failed() <= Duration::from_secs(5));
        }
        backoff.reset();
        assert!(backoff.failed() <= Duration::from_millis(100));
    }

    #[test]
    fn seeds_differ() {
        let wait = |seed| Backoff::new(Duration::from_secs(1), Duration::from_secs(9), seed).failed();
        assert_ne!(wait(1), wait(2));
        assert_eq!(wait(1), wait(1));
    }
}
