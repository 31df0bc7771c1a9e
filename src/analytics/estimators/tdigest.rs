//! A t-digest: any quantile of a stream, most exact in the tails.
//!
//! Values are kept as centroids in order of size, each the mean of so many values; one near the quantile `q`
//! stands for at most `4 n q (1 - q) / 100` of them, so the outermost are single values and a quantile's
//! rank is off by less than that. New values wait in a buffer and are merged in by one pass when it is full:
//! amortised O(log buffer) a value, and the same bytes for the same order of values. Centroids grow with
//! the logarithm of the number of values: some 600 for a million.
//! Source: T. Dunning and O. Ertl, Computing extremely accurate quantiles using t-digests (2019).

use crate::analytics::rolling::state::State;

/// How many times finer than `4 q (1 - q)` centroids are.
const FINENESS: f64 = 100.0;
/// New values that wait; then they are merged.
const BUFFER_MAX: usize = 512;
/// More than there can be for any count of values: a bound for what is restored.
const CENTROIDS_MAX: usize = 8_192;

#[derive(Clone, Copy, Debug, PartialEq)]
struct Centroid {
    mean: f64,
    /// How many values it stands for: a whole number.
    weight: f64,
}

/// The digest of a stream.
#[derive(Clone, Debug, PartialEq)]
pub struct TDigest {
    /// Ascending.
    centroids: Vec<Centroid>,
    waiting: Vec<f64>,
    merged: f64,
    min: f64,
    max: f64,
}

impl Default for TDigest {
    fn default() -> Self {
        Self {
            centroids: Vec::new(),
            waiting: Vec::new(),
            merged: 0.0,
            min: f64::INFINITY,
            max: f64::NEG_INFINITY,
        }
    }
}

impl TDigest {
    /// Takes a finite value.
    pub fn push(&mut self, value: f64) {
        self.min = self.min.min(value);
        self.max = self.max.max(value);
        self.waiting.push(value);
        if self.waiting.len() == BUFFER_MAX {
            self.merge();
        }
    }

    /// How many values were taken.
    pub fn count(&self) -> u64 {
        self.merged as u64 + self.waiting.len() as u64
    }

    /// The value that the share `q`, 0 to 1, of all lies below; `None` before the first value.
    pub fn quantile(&mut self, q: f64) -> Option<f64> {
        self.merge();
        let (first, last) = (self.centroids.first()?, self.centroids.last()?);
        // Half of a centroid's values lie on either side of its mean.
        let rank = q.clamp(0.0, 1.0) * self.merged;
        if rank < first.weight / 2.0 {
            return Some(between(rank, (0.0, self.min), (first.weight / 2.0, first.mean)));
        }
        let mut below = 0.0;
        for pair in self.centroids.windows(2) {
            let (low, high) = (below + pair[0].weight / 2.0, below + pair[0].weight + pair[1].weight / 2.0);
            if rank < high {
                return Some(between(rank, (low, pair[0].mean), (high, pair[1].mean)));
            }
            below += pair[0].weight;
        }
        Some(between(rank, (self.merged - last.weight / 2.0, last.mean), (self.merged, self.max)))
    }

    /// Works what waits into the centroids.
    fn merge(&mut self) {
        if self.waiting.is_empty() {
            return;
        }
        let old = std::mem::take(&mut self.centroids);
        self.merged += self.waiting.len() as f64;
        self.waiting.sort_by(f64::total_cmp);
        let mut new = self.waiting.drain(..).map(|mean| Centroid { mean, weight: 1.0 }).peekable();
        let mut old = old.into_iter().peekable();
        let mut below = 0.0;
        let mut open: Option<Centroid> = None;
        loop {
            let from_old = match (old.peek(), new.peek()) {
                (Some(old), Some(new)) => old.mean <= new.mean,
                (Some(_), None) => true,
                (None, Some(_)) => false,
                (None, None) => break,
            };
            let next = if from_old { old.next() } else { new.next() };
            let Some(next) = next else { break };
            match &mut open {
                Some(one)
                    if one.weight + next.weight <= room(below, one.weight + next.weight, self.merged) =>
                {
                    one.weight += next.weight;
                    one.mean += (next.mean - one.mean) * next.weight / one.weight;
                }
                _ => {
                    if let Some(full) = open.replace(next) {
                        below += full.weight;
                        self.centroids.push(full);
                    }
                }
            }
        }
        self.centroids.extend(open);
    }

    /// Visits every word of mutable state.
    pub fn state(&mut self, state: &mut State<'_>) {
        let mut len = self.centroids.len();
        state.index(&mut len, CENTROIDS_MAX);
        self.centroids.resize(len, Centroid { mean: 0.0, weight: 0.0 });
        for centroid in &mut self.centroids {
            state.f64(&mut centroid.mean);
            state.f64(&mut centroid.weight);
        }
        let mut len = self.waiting.len();
        state.index(&mut len, BUFFER_MAX - 1);
        self.waiting.resize(len, 0.0);
        self.waiting.iter_mut().for_each(|value| state.f64(value));
        state.f64(&mut self.merged);
        state.f64(&mut self.min);
        state.f64(&mut self.max);
    }
}

/// How many of `n` values a centroid may stand for that begins above `below` of them and has `weight`.
fn room(below: f64, weight: f64, n: f64) -> f64 {
    let spread = |rank: f64| 4.0 * n * (rank / n) * (1.0 - rank / n) / FINENESS;
    spread(below).min(spread(below + weight))
}

/// On the straight line from one point to the other.
fn between(x: f64, from: (f64, f64), to: (f64, f64)) -> f64 {
    if to.0 <= from.0 { to.1 } else { from.1 + (x - from.0) / (to.0 - from.0) * (to.1 - from.1) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::analytics::estimators::split_mix::SplitMix;

    #[test]
    fn nothing_has_no_quantile_and_one_value_is_all_of_them() {
        let mut digest = TDigest::default();
        assert_eq!(digest.quantile(0.5), None);
        digest.push(3.0);
        assert_eq!([0.0, 0.5, 1.0].map(|q| digest.quantile(q)), [Some(3.0); 3]);
    }

    #[test]
    fn a_million_values_stay_a_few_hundred() {
        let (mut digest, mut random) = (TDigest::default(), SplitMix::new(8));
        (0..1_000_000).for_each(|_| digest.push(random.unit()));
        for q in [0.0001, 0.01, 0.3, 0.5, 0.99, 0.9999] {
            let off = (digest.quantile(q).unwrap() - q).abs();
            // Beside the digest's own error the sample's.
            assert!(
                off < 4.0 * q * (1.0 - q) / 100.0 + 4.0 * (q * (1.0 - q) / 1e6).sqrt(),
                "{q}: off by {off}"
            );
        }
        assert!(digest.centroids.len() < 1_000, "{} centroids", digest.centroids.len());
        assert_eq!(digest.count(), 1_000_000);
    }

    proptest! {
        #[test]
        fn ranks_are_within_their_bound_and_weights_add_up(
            values in prop::collection::vec(-1000i32..1000, 1..2_000), q in 0.0f64..1.0,
        ) {
            let mut digest = TDigest::default();
            values.iter().for_each(|value| digest.push(f64::from(*value)));
            let n = values.len() as f64;
            let found = digest.quantile(q).unwrap();
            let smaller = values.iter().filter(|value| f64::from(**value) < found).count() as f64 / n;
            let up_to = values.iter().filter(|value| f64::from(**value) <= found).count() as f64 / n;
            let bound = 4.0 * q * (1.0 - q) / FINENESS + 1.0 / n;
            prop_assert!(smaller - bound <= q && q <= up_to + bound, "{q}: {smaller} to {up_to}");
            let weights: f64 = digest.centroids.iter().map(|centroid| centroid.weight).sum();
            prop_assert_eq!(weights, n);
        }
    }
}
