//! How seldom a value is, far out in the tail of its stream: peaks over a threshold.
//!
//! What exceeds a high quantile follows a generalised Pareto distribution, whatever the stream follows: its fit
//! to the last peaks says how seldom the next one is, beyond all that was ever seen. The quantile follows the
//! stream, one step a value. The shape is kept in a range: below 0 the tail would end, and something
//! just beyond would be infinitely odd; heavy ones come of a few outliers.
//!
//! Anomalies must not become the measure of anomalies: peaks that follow on one another are one peak (runs
//! declustering; R. Smith, "Extreme value analysis of environmental time series", Statistical Science 4, 1989),
//! and one counts as one in a thousand at most.
//! Source: A. Siffer, P.-A. Fouque, A. Termier and C. Largouet, "Anomaly detection in streams with extreme value
//! theory", KDD 2017 (SPOT; DSPOT where a moving mean is taken off first).

use crate::analytics::estimators::gpd::Gpd;
use crate::analytics::rolling::state::State;
use crate::analytics::rolling::window::Window;

/// Share of the values that are peaks.
pub const PEAKS: f64 = 0.02;
/// Peaks that the fit rests on, and those that it takes at least.
const KEPT: usize = 200;
const KEPT_MIN: usize = 8;
/// What a shape may be.
const SHAPES: [f64; 2] = [0.0, 0.3];
/// A peak weighs no more in the fit than one as seldom as that.
const SELDOM_MIN: f64 = 1e-3;
/// Values after a peak that belong to it: nothing is learned of them.
const CLUSTER: u32 = 30;
/// Step of the quantile, in units of the mean peak.
const STEP: f64 = 0.1;

/// The tail of a stream of values at or above zero.
#[derive(Clone, Debug)]
pub struct Spot {
    /// The values until the first quantile is known.
    first: Window,
    quantile: f64,
    peaks: Window,
    fit: Gpd,
    /// Of the quantile, in units of the values: follows from the fit.
    step: f64,
    /// Values that still belong to the last peak.
    clustered: u32,
}

impl Spot {
    /// Speaks after `warm_up` values: at least 150, for a quantile that one in fifty exceeds.
    pub fn new(warm_up: usize) -> Self {
        Self {
            first: Window::new(warm_up),
            quantile: f64::INFINITY,
            peaks: Window::new(KEPT),
            fit: Gpd { shape: 0.0, scale: 1.0 },
            step: STEP,
            clustered: 0,
        }
    }

    pub fn is_warm(&self) -> bool {
        self.first.is_full()
    }

    /// Above it a value is a peak: none is while warming up.
    #[inline]
    pub fn quantile(&self) -> f64 {
        self.quantile
    }

    pub fn fit(&self) -> Gpd {
        self.fit
    }

    /// Share of values above `value`. Exact where it is a peak; below, it only keeps the order. 1 while warming up.
    #[inline]
    pub fn tail(&self, value: f64) -> f64 {
        if !self.is_warm() {
            return 1.0;
        }
        if value > self.quantile {
            return PEAKS * self.fit.survival(value - self.quantile);
        }
        if self.quantile > 0.0 { 1.0 - (1.0 - PEAKS) * (value / self.quantile).max(0.0) } else { 1.0 }
    }

    /// The value that is exceeded with that probability, at most [`PEAKS`].
    pub fn value_of(&self, tail: f64) -> f64 {
        self.quantile + self.fit.quantile(tail / PEAKS)
    }

    /// Takes a finite value.
    #[inline]
    pub fn learn(&mut self, value: f64) {
        if !self.is_warm() {
            return self.begin(value);
        }
        if self.clustered > 0 {
            self.clustered -= 1;
            return;
        }
        let excess = value - self.quantile;
        if excess > 0.0 {
            self.quantile += self.step * (1.0 - PEAKS);
            self.take_peak(excess);
        } else {
            // No value lies below zero.
            self.quantile = (self.quantile - self.step * PEAKS).max(0.0);
        }
    }

    #[cold]
    fn begin(&mut self, value: f64) {
        self.first.push(value);
        if !self.first.is_full() {
            return;
        }
        let mut ascending: Vec<f64> = self.first.iter().collect();
        ascending.sort_by(f64::total_cmp);
        let peaks = (ascending.len() as f64 * PEAKS) as usize;
        // A few more for the first fit, lest it rest on three.
        let first = ascending.len().saturating_sub(peaks.max(1) + 1);
        self.quantile = ascending[first];
        let wide = ascending.len().saturating_sub(peaks.max(KEPT_MIN) + 1);
        for value in &ascending[wide + 1..] {
            self.peaks.push(value - ascending[wide]);
        }
        self.refit();
    }

    #[cold]
    fn take_peak(&mut self, excess: f64) {
        let most = self.fit.quantile(SELDOM_MIN / PEAKS);
        self.peaks.push(excess.min(most));
        self.clustered = CLUSTER;
        self.refit();
    }

    fn refit(&mut self) {
        let count = self.peaks.len() as f64;
        let (older, newer) = self.peaks.as_slices();
        let (sums, squares) =
            [older, newer].map(sums).into_iter().fold((0.0, 0.0), |a, b| (a.0 + b.0, a.1 + b.1));
        let mean = sums / count;
        let variance = squares / count - mean * mean;
        if mean <= 0.0 {
            return;
        }
        let ratio = if variance > 0.0 { mean * mean / variance } else { 1.0 };
        let fit = Gpd { shape: 0.5 * (1.0 - ratio), scale: 0.5 * mean * (1.0 + ratio) };
        self.fit = fit.clamped(SHAPES[0], SHAPES[1]);
        self.set_step();
    }

    fn set_step(&mut self) {
        self.step = STEP * self.fit.scale / (1.0 - self.fit.shape);
    }

    /// Visits every word of mutable state.
    pub fn state(&mut self, state: &mut State<'_>) {
        self.first.state(state);
        state.f64(&mut self.quantile);
        self.peaks.state(state);
        state.f64(&mut self.fit.shape);
        state.f64(&mut self.fit.scale);
        state.u32(&mut self.clustered);
        self.set_step();
    }
}

/// Of the values and of their squares: in four lanes, so that no addition waits for the one before.
fn sums(values: &[f64]) -> (f64, f64) {
    let mut lanes = [(0.0, 0.0); 4];
    for four in values.chunks(4) {
        for (lane, value) in lanes.iter_mut().zip(four) {
            lane.0 += value;
            lane.1 += value * value;
        }
    }
    lanes.into_iter().fold((0.0, 0.0), |all, lane| (all.0 + lane.0, all.1 + lane.1))
}

/// [`Spot`] on what remains of a value once the mean of those before it is taken off, either way.
#[derive(Clone, Debug)]
pub struct Dspot {
    before: Window,
    spot: Spot,
}

impl Dspot {
    /// `depth`: values in the mean, at least 1.
    pub fn new(depth: usize, warm_up: usize) -> Self {
        Self { before: Window::new(depth), spot: Spot::new(warm_up) }
    }

    /// Takes a finite value; gives back how seldom it is, as [`Spot::tail`] says it before it has learned.
    pub fn update(&mut self, value: f64) -> f64 {
        if self.before.is_empty() {
            self.before.push(value);
            return 1.0;
        }
        let mean = self.before.iter().sum::<f64>() / self.before.len() as f64;
        let distance = (value - mean).abs();
        let tail = self.spot.tail(distance);
        self.spot.learn(distance);
        if tail >= SELDOM_MIN {
            self.before.push(value);
        }
        tail
    }

    /// Visits every word of mutable state.
    pub fn state(&mut self, state: &mut State<'_>) {
        self.before.state(state);
        self.spot.state(state);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analytics::indicators::trial::Random;

    /// Share of values that were called more seldom than `tail`, of a stream with that tail, from one on that it
    /// takes to learn.
    fn share_below(tail: f64, draw: impl Fn(f64) -> f64) -> f64 {
        let mut random = Random(2);
        let mut spot = Spot::new(200);
        let mut below = 0;
        for i in 0..220_000 {
            let value = draw(1.0 - random.unit());
            below += u32::from(i >= 20_000 && spot.tail(value) < tail);
            spot.learn(value);
        }
        f64::from(below) / 200_000.0
    }

    #[test]
    fn a_tail_is_as_seldom_as_it_says() {
        for tail in [0.02, 0.01, 0.003, 0.0005] {
            for (name, share) in [
                ("exponential", share_below(tail, |u| -libm::log(u))),
                ("uniform", share_below(tail, |u| 1.0 - u)),
                ("student, three degrees", share_below(tail, |u| libm::pow(u, -1.0 / 3.0))),
            ] {
                // A tail that ends is taken for one that does not: what is seldom there is called less so. Of a
                // heavy one the furthest peaks are not believed: far out, it is called more seldom than it is.
                let low = if name == "uniform" { 0.0 } else { 0.6 };
                let high = if name == "exponential" { 1.5 } else { 3.0 };
                assert!((low * tail..high * tail).contains(&share), "{name}: {share} for {tail}");
            }
        }
    }

    #[test]
    fn a_value_has_its_tail() {
        let mut random = Random(3);
        let mut spot = Spot::new(150);
        (0..5_000).for_each(|_| spot.learn(-libm::log(1.0 - random.unit())));
        for tail in [0.02, 0.01, 1e-5] {
            assert!((spot.tail(spot.value_of(tail)) / tail - 1.0).abs() < 1e-9);
        }
        assert!(spot.tail(0.1) > spot.tail(0.2));
    }

    #[test]
    fn equal_values_are_no_reason_to_fail() {
        let mut spot = Spot::new(150);
        for _ in 0..1_000 {
            assert!(spot.tail(0.0) > 0.5);
            spot.learn(0.0);
        }
        assert!(spot.tail(5.0) < PEAKS);
    }

    #[test]
    fn saved_in_the_middle_it_goes_on_as_if_nothing_had_happened() {
        for cut in [10, 149, 150, 151, 3_000] {
            let mut random = Random(cut);
            let mut spot = Dspot::new(20, 150);
            (0..cut).for_each(|_| _ = spot.update(random.unit()));
            let mut words = Vec::new();
            spot.state(&mut State::Save(&mut words));
            let mut restored = Dspot::new(20, 150);
            let mut state = State::load(&words);
            restored.state(&mut state);
            assert_eq!(state.finish(), Ok(()));
            for _ in 0..500 {
                let value = random.unit() * random.unit() * 10.0;
                assert_eq!(spot.update(value).to_bits(), restored.update(value).to_bits());
            }
        }
    }
}
