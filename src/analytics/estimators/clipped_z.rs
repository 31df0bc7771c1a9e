//! How many standard deviations a value lies from an exponentially weighted mean, learning from what is usual.
//!
//! `d = x - m; m += a d; v = (1 - a)(v + a d^2)` (T. Finch, "Incremental calculation of weighted mean and
//! variance", 2009), with `d` cut at a few deviations for learning: an outlier neither moves the mean far nor
//! inflates the deviation that the next one is measured by.

use crate::analytics::rolling::state::State;

/// Mean and variance of a stream, and the distance of the next value.
#[derive(Clone, Debug)]
pub struct ClippedZ {
    /// Smallest weight of the newest value.
    weight: f64,
    /// Deviations at which a distance is cut for learning.
    clip: f64,
    warm_up: u64,
    /// Values up to which each weighs the same.
    even: u64,
    /// The deviation is taken for no less.
    floor: f64,
    seen: u64,
    mean: f64,
    variance: f64,
}

impl ClippedZ {
    /// Speaks after `warm_up` values, at least 2, from which on it cuts as well. `floor` above zero.
    pub fn new(weight: f64, clip: f64, warm_up: u64, floor: f64) -> Self {
        Self { weight, clip, warm_up, even: (1.0 / weight) as u64, floor, seen: 0, mean: 0.0, variance: 0.0 }
    }

    /// How far a finite value lies from what came before, in deviations. `None` while warming up.
    #[inline]
    pub fn distance(&self, value: f64) -> Option<f64> {
        self.is_warm().then(|| (value - self.mean) / self.deviation())
    }

    /// Takes a finite value.
    #[inline]
    pub fn learn(&mut self, value: f64) {
        let distance = value - self.mean;
        let bound = if self.is_warm() { self.clip * self.deviation() } else { f64::INFINITY };
        let learned = distance.clamp(-bound, bound);
        self.seen += 1;
        // At first each value weighs the same.
        let weight = if self.seen >= self.even { self.weight } else { 1.0 / self.seen as f64 };
        self.mean += weight * learned;
        self.variance = (1.0 - weight) * (self.variance + weight * learned * learned);
    }

    /// [`Self::distance`] of a value that is then learned.
    #[inline]
    pub fn update(&mut self, value: f64) -> Option<f64> {
        let distance = self.distance(value);
        self.learn(value);
        distance
    }

    pub fn mean(&self) -> f64 {
        self.mean
    }

    pub fn deviation(&self) -> f64 {
        self.variance.sqrt().max(self.floor)
    }

    pub fn is_warm(&self) -> bool {
        self.seen >= self.warm_up
    }

    /// Visits every word of mutable state.
    pub fn state(&mut self, state: &mut State<'_>) {
        state.word(&mut self.seen);
        state.f64(&mut self.mean);
        state.f64(&mut self.variance);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analytics::indicators::trial::Random;

    #[test]
    fn distances_are_in_deviations() {
        let mut random = Random(1);
        let mut z = ClippedZ::new(0.002, 4.0, 100, 1e-9);
        let mut squares = 0.0;
        for i in 0..20_000 {
            // Uniform, of deviation 1 around 50.
            let distance = z.update(50.0 + (random.unit() - 0.5) * 12.0_f64.sqrt());
            assert_eq!(distance.is_some(), i >= 100);
            squares += if i < 2_000 { 0.0 } else { distance.map_or(0.0, |distance| distance * distance) };
        }
        assert!((squares / 18_000.0 - 1.0).abs() < 0.02, "{squares}");
        assert!(z.update(60.0).is_some_and(|distance| (distance - 10.0).abs() < 0.5));
    }

    #[test]
    fn an_outlier_is_learned_from_as_if_it_were_near() {
        let mut random = Random(1);
        let mut z = ClippedZ::new(0.002, 4.0, 100, 1e-9);
        (0..5_000).for_each(|_| _ = z.update(random.unit()));
        let (mean, deviation) = (z.mean(), z.deviation());
        assert!(z.update(1e9) > Some(1e8));
        assert!(z.mean() - mean < 0.01 * deviation && z.deviation() < 1.02 * deviation);
    }

    #[test]
    fn a_flat_stream_makes_nothing_infinite() {
        let mut z = ClippedZ::new(0.002, 4.0, 10, 0.5);
        (0..100).for_each(|_| assert_eq!(z.update(0.0).unwrap_or(0.0), 0.0));
        assert_eq!(z.update(1.0), Some(2.0));
    }

    #[test]
    fn saved_in_the_middle_it_goes_on_as_if_nothing_had_happened() {
        let mut random = Random(8);
        let mut z = ClippedZ::new(0.01, 3.0, 50, 1e-9);
        (0..77).for_each(|_| _ = z.update(random.unit()));
        let mut words = Vec::new();
        z.state(&mut State::Save(&mut words));
        let mut restored = ClippedZ::new(0.01, 3.0, 50, 1e-9);
        let mut state = State::load(&words);
        restored.state(&mut state);
        assert_eq!(state.finish(), Ok(()));
        for _ in 0..100 {
            let value = random.unit();
            assert_eq!(z.update(value), restored.update(value));
        }
    }
}
