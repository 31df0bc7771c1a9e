//! P-square: one quantile of a stream in five markers.
//!
//! Five heights, those of the extremes, the quantile and the two half-way to it, are moved by parabolas
//! toward where they belong as values pass. O(1) a value, no value is kept; how exact it is depends on the
//! stream (a jump of level takes as many values to follow as came before it). Of up to five values one
//! of them is told: the first of which at least that share is smaller.
//! Source: R. Jain and I. Chlamtac, The P2 algorithm for dynamic calculation of quantiles and histograms
//! without storing observations, Communications of the ACM 28 (1985).

use crate::analytics::rolling::state::State;

const MARKERS: usize = 5;

/// One quantile.
#[derive(Clone, Debug, PartialEq)]
pub struct P2 {
    share: f64,
    count: u64,
    /// Ascending, once there were as many values as markers; until then in order of arrival.
    heights: [f64; MARKERS],
    /// How many values are at or below each marker: whole numbers.
    positions: [f64; MARKERS],
    desired: [f64; MARKERS],
}

impl P2 {
    /// `share` of the values that the quantile is above, between 0 and 1.
    pub fn new(share: f64) -> Self {
        assert!(share > 0.0 && share < 1.0, "a quantile lies between the extremes");
        Self {
            share,
            count: 0,
            heights: [0.0; MARKERS],
            positions: [1.0, 2.0, 3.0, 4.0, 5.0],
            desired: [1.0, 1.0 + 2.0 * share, 1.0 + 4.0 * share, 3.0 + 2.0 * share, 5.0],
        }
    }

    /// Takes a finite value.
    pub fn push(&mut self, value: f64) {
        self.count += 1;
        if self.count <= MARKERS as u64 {
            self.heights[self.count as usize - 1] = value;
            if self.count == MARKERS as u64 {
                self.heights.sort_by(f64::total_cmp);
            }
            return;
        }
        let cell = self.cell(value);
        self.positions[cell + 1..].iter_mut().for_each(|position| *position += 1.0);
        // Summed step by step and not multiplied out: where a marker is off by exactly one, the
        // rounding of these sums decides whether it moves, and others do it so.
        let steps = [0.0, self.share / 2.0, self.share, (1.0 + self.share) / 2.0, 1.0];
        self.desired.iter_mut().zip(steps).for_each(|(desired, step)| *desired += step);
        (1..MARKERS - 1).for_each(|marker| self.adjust(marker));
    }

    /// Between which two markers the value lies; widens the outer ones.
    fn cell(&mut self, value: f64) -> usize {
        if value < self.heights[0] {
            self.heights[0] = value;
            return 0;
        }
        if value >= self.heights[MARKERS - 1] {
            self.heights[MARKERS - 1] = value;
            return MARKERS - 2;
        }
        self.heights[1..MARKERS - 1].partition_point(|height| *height <= value)
    }

    fn adjust(&mut self, i: usize) {
        let (n, h) = (&self.positions, &self.heights);
        let off = self.desired[i] - n[i];
        let step = if off >= 1.0 && n[i + 1] - n[i] > 1.0 {
            1.0
        } else if off <= -1.0 && n[i - 1] - n[i] < -1.0 {
            -1.0
        } else {
            return;
        };
        let (below, above, both) = (n[i] - n[i - 1], n[i + 1] - n[i], n[i + 1] - n[i - 1]);
        let parabola = h[i]
            + step / both
                * ((below + step) * (h[i + 1] - h[i]) / above + (above - step) * (h[i] - h[i - 1]) / below);
        self.heights[i] = if h[i - 1] < parabola && parabola < h[i + 1] {
            parabola
        } else {
            let beside = if step > 0.0 { i + 1 } else { i - 1 };
            h[i] + step * (h[beside] - h[i]) / (n[beside] - n[i])
        };
        self.positions[i] += step;
    }

    pub fn count(&self) -> u64 {
        self.count
    }

    /// The quantile; `None` before the first value.
    pub fn value(&self) -> Option<f64> {
        if self.count > MARKERS as u64 {
            return Some(self.heights[2]);
        }
        let mut seen = self.heights;
        let seen = &mut seen[..self.count as usize];
        seen.sort_by(f64::total_cmp);
        let smaller = (self.share * self.count as f64) as usize;
        seen.get(smaller.min(seen.len().saturating_sub(1))).copied()
    }

    /// Visits every word of mutable state.
    pub fn state(&mut self, state: &mut State<'_>) {
        state.word(&mut self.count);
        let numbers = self.heights.iter_mut().chain(&mut self.positions).chain(&mut self.desired);
        numbers.for_each(|number| state.f64(number));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analytics::estimators::split_mix::SplitMix;

    #[test]
    fn of_few_values_one_is_told() {
        let mut median = P2::new(0.5);
        let mut told = vec![median.value()];
        for value in [4.0, 1.0, 3.0, 2.0, 9.0] {
            median.push(value);
            told.push(median.value());
        }
        assert_eq!(told, [None, Some(4.0), Some(4.0), Some(3.0), Some(3.0), Some(3.0)]);
    }

    #[test]
    fn quantiles_of_even_numbers_are_their_shares() {
        for share in [0.05, 0.5, 0.9, 0.99] {
            let (mut quantile, mut random) = (P2::new(share), SplitMix::new(9));
            (0..20_000).for_each(|_| quantile.push(random.unit()));
            let off = (quantile.value().unwrap() - share).abs();
            assert!(off < 0.01, "{share}: off by {off}");
        }
    }
}
