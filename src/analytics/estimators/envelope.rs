//! How far a value lies outside of everything seen so far, in widths of the band that all of it fills.
//!
//! Two bounds and a slow mean: O(1) and six numbers. With a half-life the bounds decay towards the mean, so
//! that old extremes are forgotten; one outlier widens a bound by a few widths at most, so that it does not
//! blind the band. "Sensor range deviation", a baseline that holds its own against deep detectors: S. Sarfraz
//! et al., "Position: Quo Vadis, Unsupervised Time Series Anomaly Detection?", ICML 2024 (arXiv:2405.02678).

use crate::analytics::rolling::state::State;

/// Smallest weight of the newest value in the mean that bounds decay to.
const MEAN_WEIGHT_MIN: f64 = 0.001;

/// The band that the values of a stream have filled.
#[derive(Clone, Debug)]
pub struct Envelope {
    warm_up: u64,
    /// Widths by which one value may widen a bound.
    cap: f64,
    /// What remains of a bound's distance to the mean at the next value.
    keep: f64,
    seen: u64,
    low: f64,
    high: f64,
    mean: f64,
}

impl Envelope {
    /// Speaks after `warm_up` values. `half_life`: values after which a bound has come half as close to the
    /// mean, above zero; `None`: nothing is forgotten. `cap`: widths by which one value may widen a bound.
    pub fn new(warm_up: u64, half_life: Option<f64>, cap: f64) -> Self {
        let keep = half_life.map_or(1.0, |half_life| libm::exp2(-1.0 / half_life));
        Self { warm_up, cap, keep, seen: 0, low: 0.0, high: 0.0, mean: 0.0 }
    }

    /// How many widths of the band a finite value lies outside, below 0 and down to a half inside; 1 where a flat
    /// stream moves. `None` while warming up.
    #[inline]
    pub fn outside(&self, value: f64) -> Option<f64> {
        if self.seen < self.warm_up {
            return None;
        }
        let width = self.high - self.low;
        let outside = (value - self.high).max(self.low - value);
        Some(if width > 0.0 {
            outside / width
        } else if outside > 0.0 {
            1.0
        } else {
            -0.5
        })
    }

    /// Takes a finite value.
    #[inline]
    pub fn learn(&mut self, value: f64) {
        if self.seen == 0 {
            (self.low, self.high, self.mean) = (value, value, value);
        }
        let width = self.high - self.low;
        let weight = if self.seen >= 999 { MEAN_WEIGHT_MIN } else { 1.0 / (self.seen + 1) as f64 };
        self.mean += weight * (value - self.mean);
        if self.keep < 1.0 {
            self.high = self.mean + (self.high - self.mean) * self.keep;
            self.low = self.mean + (self.low - self.mean) * self.keep;
        }
        let capped = self.seen >= self.warm_up && width > 0.0;
        let reach = if capped { self.cap * width } else { f64::INFINITY };
        self.high = self.high.max(value.min(self.high + reach));
        self.low = self.low.min(value.max(self.low - reach));
        self.seen += 1;
    }

    /// [`Self::outside`] of a value that is then learned.
    #[inline]
    pub fn update(&mut self, value: f64) -> Option<f64> {
        let outside = self.outside(value);
        self.learn(value);
        outside
    }

    /// The bounds as they are now.
    pub fn bounds(&self) -> (f64, f64) {
        (self.low, self.high)
    }

    /// The slow mean that bounds decay to.
    pub fn mean(&self) -> f64 {
        self.mean
    }

    pub fn is_warm(&self) -> bool {
        self.seen >= self.warm_up
    }

    /// Visits every word of mutable state.
    pub fn state(&mut self, state: &mut State<'_>) {
        state.word(&mut self.seen);
        state.f64(&mut self.low);
        state.f64(&mut self.high);
        state.f64(&mut self.mean);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analytics::indicators::trial::Random;

    #[test]
    fn what_lies_outside_is_measured_in_widths() {
        let mut envelope = Envelope::new(2, None, 1.0);
        let novelties = [0.0, 10.0, 5.0, 10.0, 15.0, -5.0, 200.0, 35.0].map(|value| envelope.update(value));
        let expected = [-0.5, 0.0, 0.5, 5.0 / 15.0, 185.0 / 20.0, 0.0].map(Some);
        // 200 widens the band of 20 to 40: 35 lies at its bound.
        assert_eq!((&novelties[..2], &novelties[2..]), (&[None, None][..], &expected[..]));
        assert_eq!(envelope.bounds(), (-5.0, 35.0));
    }

    #[test]
    fn a_flat_stream_that_moves_is_wholly_new() {
        let mut envelope = Envelope::new(3, None, 1.0);
        let novelties = [7.0, 7.0, 7.0, 7.0, 7.5].map(|value| envelope.update(value));
        assert_eq!(novelties, [None, None, None, Some(-0.5), Some(1.0)]);
    }

    #[test]
    fn with_a_half_life_old_extremes_are_forgotten() {
        let (mut forgetting, mut keeping) =
            (Envelope::new(10, Some(500.0), 1.0), Envelope::new(10, None, 1.0));
        let mut random = Random(1);
        for envelope in [&mut forgetting, &mut keeping] {
            (0..100).for_each(|_| _ = envelope.update(10.0 * random.unit()));
            (0..5_000).for_each(|_| _ = envelope.update(4.0 + random.unit()));
        }
        assert!(forgetting.update(8.0) > Some(1.0));
        assert!(keeping.update(8.0) < Some(0.0));
    }

    #[test]
    fn saved_in_the_middle_it_goes_on_as_if_nothing_had_happened() {
        let mut random = Random(4);
        let mut envelope = Envelope::new(20, Some(100.0), 0.5);
        (0..57).for_each(|_| _ = envelope.update(random.unit()));
        let mut words = Vec::new();
        envelope.state(&mut State::Save(&mut words));
        let mut restored = Envelope::new(20, Some(100.0), 0.5);
        let mut state = State::load(&words);
        restored.state(&mut state);
        assert_eq!(state.finish(), Ok(()));
        for _ in 0..200 {
            let value = random.unit() * 1.2;
            assert_eq!(envelope.update(value), restored.update(value));
        }
    }
}
