//! Whether one forecast lost less than another, or was only lucky.
//!
//! The mean difference of losses by its standard error, which allows for differences that hang together
//! over `horizon - 1` steps; corrected for few observations and read off Student's t. A negative statistic says
//! that the first forecast lost less. No statistic where the differences' variance, so estimated, is not above
//! 0: the sum of plain autocovariances can be negative, Bartlett's weights never make it so.
//! Sources: Diebold and Mariano, Comparing predictive accuracy (1995); Harvey, Leybourne and Newbold, Testing
//! the equality of prediction mean squared errors (1997); Newey and West (1987) for the weights.

use crate::analytics::estimators::scores::distribution::student_two_sided;
use crate::analytics::rolling::state::State;
use crate::analytics::rolling::window::Window;

/// How much an autocovariance counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lags {
    /// All alike, as the papers have it.
    Rectangular,
    /// The further away, the less.
    Bartlett,
}

impl Lags {
    fn weight(self, lag: usize, horizon: usize) -> f64 {
        match self {
            Self::Rectangular => 1.0,
            Self::Bartlett => 1.0 - lag as f64 / horizon as f64,
        }
    }
}

/// What the test says.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Comparison {
    /// Negative: the first forecast lost less.
    pub statistic: f64,
    /// The chance of one as large either way, were both forecasts equally good.
    pub p: f64,
}

/// Compares two series of losses of equal length; `None` for fewer than `horizon + 2` of them.
pub fn test(first: &[f64], second: &[f64], horizon: usize, lags: Lags) -> Option<Comparison> {
    let differences: Vec<f64> = first.iter().zip(second).map(|(first, second)| first - second).collect();
    let count = differences.len();
    if count < horizon + 2 {
        return None;
    }
    let mean = differences.iter().sum::<f64>() / count as f64;
    let covariance = |lag: usize| {
        let pairs = differences[lag..].iter().zip(&differences);
        pairs.map(|(now, before)| (now - mean) * (before - mean)).sum::<f64>() / (count - lag) as f64
    };
    compare(count as u64, mean, horizon, lags, covariance)
        .map(|statistic| Comparison::new(statistic, count as u64))
}

fn compare(
    count: u64,
    mean: f64,
    horizon: usize,
    lags: Lags,
    covariance: impl Fn(usize) -> f64,
) -> Option<f64> {
    let (n, h) = (count as f64, horizon as f64);
    let further: f64 = (1..horizon).map(|lag| lags.weight(lag, horizon) * covariance(lag)).sum();
    let variance = (covariance(0) + 2.0 * further) / n;
    if variance.is_nan() || variance <= 0.0 {
        return None;
    }
    let correction = ((n + 1.0 - 2.0 * h + h * (h - 1.0) / n) / n).sqrt();
    Some(mean / variance.sqrt() * correction)
}

impl Comparison {
    fn new(statistic: f64, count: u64) -> Self {
        Self { statistic, p: student_two_sided(statistic, count as f64 - 1.0) }
    }
}

/// The same, one pair of losses at a time: O(horizon) a pair and of memory.
#[derive(Clone, Debug)]
pub struct DieboldMariano {
    horizon: usize,
    lags: Lags,
    count: u64,
    sum: f64,
    squares: f64,
    /// `None` where differences do not hang together.
    further: Option<Box<Further>>,
}

/// What it takes to see how differences hang together.
#[derive(Clone, Debug)]
struct Further {
    /// Of each difference times the one `lag` before it, from a lag of one on.
    products: Box<[f64]>,
    /// The first `horizon - 1` differences, and the last ones.
    first: Box<[f64]>,
    last: Window,
}

impl Further {
    /// `count`: of the differences before it.
    #[cold]
    fn learn(&mut self, difference: f64, count: u64) {
        for (product, before) in self.products.iter_mut().zip(self.last.iter().rev()) {
            *product += difference * before;
        }
        self.last.push(difference);
        if let Some(place) = self.first.get_mut(count as usize) {
            *place = difference;
        }
    }
}

impl DieboldMariano {
    /// `horizon`: steps over which differences hang together, at least 1; 1 where targets do not overlap.
    pub fn new(horizon: usize, lags: Lags) -> Self {
        let horizon = horizon.max(1);
        let further = (horizon > 1).then(|| {
            let zeros: Box<[f64]> = vec![0.0; horizon - 1].into();
            Box::new(Further { products: zeros.clone(), first: zeros, last: Window::new(horizon - 1) })
        });
        Self { horizon, lags, count: 0, sum: 0.0, squares: 0.0, further }
    }

    /// Takes the two losses of one outcome; passed over where their difference is not finite.
    #[inline]
    pub fn learn(&mut self, first: f64, second: f64) {
        let difference = first - second;
        if !difference.is_finite() {
            return;
        }
        self.squares += difference * difference;
        if let Some(further) = &mut self.further {
            further.learn(difference, self.count);
        }
        self.count += 1;
        self.sum += difference;
    }

    pub fn count(&self) -> u64 {
        self.count
    }

    /// Mean of the first forecast's loss less the second's; `None` of none.
    pub fn mean(&self) -> Option<f64> {
        (self.count > 0).then(|| self.sum / self.count as f64)
    }

    /// `None` for fewer than `horizon + 2` pairs.
    pub fn test(&self) -> Option<Comparison> {
        self.statistic().map(|statistic| Comparison::new(statistic, self.count))
    }

    /// Of the test, whose p costs a hundred times as much.
    pub fn statistic(&self) -> Option<f64> {
        if self.count < self.horizon as u64 + 2 {
            return None;
        }
        let mean = self.sum / self.count as f64;
        let covariance = |lag: usize| {
            // The pairs' later members are all but the first `lag`, the earlier ones all but the last.
            let (product, head, tail) = match (lag, &self.further) {
                (0, _) | (_, None) => (self.squares, 0.0, 0.0),
                (_, Some(further)) => {
                    let tail: f64 = further.last.iter().rev().take(lag).sum();
                    (further.products[lag - 1], further.first[..lag].iter().sum(), tail)
                }
            };
            let pairs = self.count as f64 - lag as f64;
            let both = (self.sum - head) + (self.sum - tail);
            (product - mean * both) / pairs + mean * mean
        };
        compare(self.count, mean, self.horizon, self.lags, covariance)
    }

    /// Visits every word of mutable state.
    pub fn state(&mut self, state: &mut State<'_>) {
        state.word(&mut self.count);
        state.f64(&mut self.sum);
        state.f64(&mut self.squares);
        if let Some(further) = &mut self.further {
            further.products.iter_mut().chain(&mut further.first).for_each(|value| state.f64(value));
            further.last.state(state);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analytics::indicators::trial::Random;

    fn losses(count: usize, edge: f64) -> (Vec<f64>, Vec<f64>) {
        let mut random = Random(111);
        let mut shared = 0.0;
        (0..count)
            .map(|_| {
                // Losses hang together over time.
                shared = 0.7 * shared + random.unit();
                (shared + random.unit(), shared + random.unit() + edge)
            })
            .unzip()
    }

    #[test]
    fn one_at_a_time_is_the_same_as_all_at_once() {
        for horizon in [1, 2, 3, 15] {
            for lags in [Lags::Rectangular, Lags::Bartlett] {
                let (first, second) = losses(500, 0.1);
                let mut running = DieboldMariano::new(horizon, lags);
                for (i, (&one, &other)) in first.iter().zip(&second).enumerate() {
                    running.learn(one, other);
                    if i == 250 {
                        let mut words = Vec::new();
                        running.state(&mut State::Save(&mut words));
                        running = DieboldMariano::new(horizon, lags);
                        running.state(&mut State::load(&words));
                    }
                    let all = test(&first[..=i], &second[..=i], horizon, lags);
                    match (running.test(), all) {
                        (Some(one), Some(all)) => {
                            let off = (one.statistic - all.statistic).abs();
                            assert!(
                                off < 1e-8 * (1.0 + all.statistic.abs()),
                                "{horizon} {i}: {one:?} {all:?}"
                            );
                        }
                        (one, all) => assert_eq!(one, all, "{horizon} {i}"),
                    }
                }
            }
        }
    }

    #[test]
    fn a_difference_is_found_and_none_is_not() {
        let (first, second) = losses(2_000, 0.1);
        let found = test(&first, &second, 1, Lags::Rectangular).unwrap();
        assert!(found.statistic < -5.0 && found.p < 1e-6, "{found:?}");
        let (first, second) = losses(2_000, 0.0);
        let none = test(&first, &second, 1, Lags::Rectangular).unwrap();
        assert!(none.p > 0.01, "{none:?}");
        assert_eq!(test(&[1.0; 50], &[1.0; 50], 1, Lags::Rectangular), None, "equal losses say nothing");
        assert_eq!(test(&[1.0, 2.0], &[1.0, 3.0], 1, Lags::Rectangular), None, "two are too few");
    }
}
