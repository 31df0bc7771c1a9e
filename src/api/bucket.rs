//! A token bucket: so many requests a second, and so many at once.

const NANOS_PER_SECOND: u64 = 1_000_000_000;

/// How much a key may ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// Above zero.
    pub per_second: u32,
    /// Above zero.
    pub burst: u32,
}

/// What one key may still ask.
#[derive(Clone, Copy, Debug)]
pub struct Bucket {
    /// In nanoseconds of refilling, so that nothing is lost to rounding.
    filled_ns: u64,
    /// Monotonic.
    looked_ns: u64,
}

impl Bucket {
    /// A full one.
    pub fn new(rate: Rate, now_ns: u64) -> Self {
        Self { filled_ns: full(rate), looked_ns: now_ns }
    }

    /// Takes one token, or says after how many seconds there will be one, at least 1.
    pub fn take(&mut self, rate: Rate, now_ns: u64) -> Result<(), u64> {
        self.filled_ns = self.filled_ns.saturating_add(now_ns.saturating_sub(self.looked_ns)).min(full(rate));
        self.looked_ns = self.looked_ns.max(now_ns);
        let token = token(rate);
        match self.filled_ns.checked_sub(token) {
            Some(rest) => {
                self.filled_ns = rest;
                Ok(())
            }
            None => Err((token - self.filled_ns).div_ceil(NANOS_PER_SECOND).max(1)),
        }
    }
}

fn token(rate: Rate) -> u64 {
    NANOS_PER_SECOND / u64::from(rate.per_second.max(1))
}

fn full(rate: Rate) -> u64 {
    token(rate).saturating_mul(u64::from(rate.burst.max(1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_and_then_one_at_a_time() {
        let rate = Rate { per_second: 2, burst: 3 };
        let mut bucket = Bucket::new(rate, 0);
        let mut check = |millis: u64, expected: Result<(), u64>| {
            assert_eq!(bucket.take(rate, millis * 1_000_000), expected, "at {millis} ms");
        };
        for _ in 0..3 {
            check(0, Ok(()));
        }
        check(0, Err(1));
        check(499, Err(1));
        check(500, Ok(()));
        check(500, Err(1));
        // A long rest fills it once, not more.
        for _ in 0..3 {
            check(60_000, Ok(()));
        }
        check(60_000, Err(1));
        // A clock that goes back gives nothing.
        check(1_000, Err(1));
    }

    #[test]
    fn slow_rates_say_how_long() {
        let rate = Rate { per_second: 1, burst: 1 };
        let mut bucket = Bucket::new(rate, 0);
        assert_eq!(bucket.take(rate, 0), Ok(()));
        assert_eq!(bucket.take(rate, 1), Err(1));
        assert_eq!(bucket.take(rate, 1_000_000_000), Ok(()));
    }
}
