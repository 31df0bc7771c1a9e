//! Wilder's averages of gains and losses from one value to the next.
//!
//! Source: J. W. Wilder, "New Concepts in Technical Trading Systems" (1978): plain means of
//! the first `period` changes, then `1 / period` of the newest and the rest of what was.
//! What RSI and CMO are made of. O(1) a value.

use crate::analytics::rolling::state::State;

#[derive(Clone, Debug)]
pub struct Gains {
    share: f64,
    period: u64,
    /// Values still missing until the averages are there.
    missing: u64,
    last: f64,
    gain: f64,
    loss: f64,
}

impl Gains {
    /// `period` at least 1.
    pub fn new(period: usize) -> Self {
        assert!(period > 0, "an average is of something");
        let share = 1.0 / period as f64;
        Self { share, period: period as u64, missing: period as u64 + 1, last: 0.0, gain: 0.0, loss: 0.0 }
    }

    /// Average gain and average loss, both at least 0; `None` for the first `period` values.
    #[inline]
    pub fn push(&mut self, value: f64) -> Option<(f64, f64)> {
        let change = value - self.last;
        self.last = value;
        if self.missing > 0 {
            return self.seed(change);
        }
        // Without a change both shrink alike and their ratio stays. On a long plain it is
        // kept before they grow so small that rounding would bend it.
        const SMALL: f64 = 1e-250;
        // In this order, for nobody foresees whether a price changes.
        if self.gain + self.loss > SMALL || change != 0.0 {
            self.gain += (change.max(0.0) - self.gain) * self.share;
            self.loss += ((-change).max(0.0) - self.loss) * self.share;
        }
        Some((self.gain, self.loss))
    }

    #[cold]
    fn seed(&mut self, change: f64) -> Option<(f64, f64)> {
        self.missing -= 1;
        // The first value has none before it.
        if self.missing < self.period {
            let seen = (self.period - self.missing) as f64;
            self.gain += (change.max(0.0) - self.gain) / seen;
            self.loss += ((-change).max(0.0) - self.loss) / seen;
        }
        (self.missing == 0).then_some((self.gain, self.loss))
    }

    pub fn state(&mut self, state: &mut State<'_>) {
        state.word(&mut self.missing);
        state.f64(&mut self.last);
        state.f64(&mut self.gain);
        state.f64(&mut self.loss);
    }
}

#[cfg(test)]
pub mod naive {
    use crate::analytics::rolling::average::naive::rma;

    /// Average gain and loss after each of `values` from the `period + 1`th on.
    pub fn gains(values: &[f64], period: usize) -> Vec<(f64, f64)> {
        let of = |side: f64| -> Vec<f64> {
            values.windows(2).map(|pair| (side * (pair[1] - pair[0])).max(0.0)).collect()
        };
        rma(&of(1.0), period).into_iter().zip(rma(&of(-1.0), period)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_averages_are_plain_means() {
        let mut gains = Gains::new(2);
        assert_eq!([10.0, 12.0, 11.0].map(|x| gains.push(x)), [None, None, Some((1.0, 0.5))]);
        assert_eq!(gains.push(15.0), Some((2.5, 0.25)));
    }

    #[test]
    fn a_plain_leaves_the_ratio_as_it_was() {
        let mut gains = Gains::new(2);
        for x in [10.0, 12.0, 11.0] {
            gains.push(x);
        }
        for _ in 0..100_000 {
            let (gain, loss) = gains.push(11.0).unwrap();
            assert_eq!(gain / loss, 2.0);
        }
    }
}
