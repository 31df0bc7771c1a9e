//! The last values in order of size: quantiles of a window, exactly.
//!
//! A new value costs O(log n) comparisons and one move of up to n words.

use std::collections::VecDeque;

use crate::analytics::rolling::state::State;

/// The newest `capacity` values.
#[derive(Clone, Debug)]
pub struct SortedWindow {
    capacity: usize,
    /// In order of arrival.
    arrived: VecDeque<f64>,
    /// The same, ascending.
    sorted: Vec<f64>,
}

impl SortedWindow {
    /// `capacity`: at least 1.
    pub fn new(capacity: usize) -> Self {
        assert!(capacity > 0, "a window holds at least one value");
        Self { capacity, arrived: VecDeque::new(), sorted: Vec::new() }
    }

    /// Takes a finite value; the oldest goes once the window is full.
    pub fn push(&mut self, value: f64) {
        if self.arrived.len() == self.capacity
            && let Some(oldest) = self.arrived.pop_front()
        {
            let at = self.sorted.partition_point(|other| other.total_cmp(&oldest).is_lt());
            self.sorted.remove(at);
        }
        self.arrived.push_back(value);
        let at = self.sorted.partition_point(|other| other.total_cmp(&value).is_lt());
        self.sorted.insert(at, value);
    }

    pub fn len(&self) -> usize {
        self.sorted.len()
    }

    pub fn is_empty(&self) -> bool {
        self.sorted.is_empty()
    }

    /// The value that `at` others stand before in order of size; `at` below [`len`](Self::len).
    pub fn smallest(&self, at: usize) -> f64 {
        self.sorted[at]
    }

    /// The middle value, or the mean of the middle two; `None` without values.
    pub fn median(&self) -> Option<f64> {
        let n = self.sorted.len();
        let upper = *self.sorted.get(n / 2)?;
        Some(if n % 2 == 1 { upper } else { (self.sorted[n / 2 - 1] + upper) / 2.0 })
    }

    /// Median of the distances to `center`; `None` without values.
    ///
    /// The values below the center and those above it are two ascending lists of distances: their middle is
    /// found by merging both up to there.
    pub fn median_distance(&self, center: f64) -> Option<f64> {
        let n = self.sorted.len();
        let mut above = self.sorted.partition_point(|&value| value < center);
        let mut below = above;
        let (mut last, mut before_last) = (0.0, 0.0);
        for _ in 0..=n / 2 {
            let low = below.checked_sub(1).map(|at| center - self.sorted[at]);
            let high = self.sorted.get(above).map(|value| value - center);
            before_last = last;
            last = match (low, high) {
                (Some(low), Some(high)) if low <= high => {
                    below -= 1;
                    low
                }
                (Some(low), None) => {
                    below -= 1;
                    low
                }
                (_, Some(high)) => {
                    above += 1;
                    high
                }
                (None, None) => return None,
            };
        }
        Some(if n % 2 == 1 { last } else { (before_last + last) / 2.0 })
    }

    /// Visits every word of mutable state.
    pub fn state(&mut self, state: &mut State<'_>) {
        let mut len = self.arrived.len();
        state.index(&mut len, self.capacity);
        self.arrived.resize(len, 0.0);
        for value in &mut self.arrived {
            state.f64(value);
        }
        self.sorted.clear();
        self.sorted.extend(&self.arrived);
        self.sorted.sort_by(f64::total_cmp);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Of the values in any order.
    fn naive_median(values: &[f64]) -> Option<f64> {
        let mut sorted = values.to_vec();
        sorted.sort_by(f64::total_cmp);
        let n = sorted.len();
        (n > 0).then(|| if n % 2 == 1 { sorted[n / 2] } else { (sorted[n / 2 - 1] + sorted[n / 2]) / 2.0 })
    }

    proptest! {
        #[test]
        fn medians_are_those_of_the_last_values(
            values in prop::collection::vec(-8i32..8, 0..60), capacity in 1usize..12, center in -9i32..9,
        ) {
            let mut window = SortedWindow::new(capacity);
            let values: Vec<f64> = values.into_iter().map(f64::from).collect();
            for end in 0..values.len() {
                window.push(values[end]);
                let last = &values[(end + 1).saturating_sub(capacity)..=end];
                prop_assert_eq!(window.median(), naive_median(last));
                let center = f64::from(center) / 2.0;
                let distances: Vec<_> = last.iter().map(|value| (value - center).abs()).collect();
                prop_assert_eq!(window.median_distance(center), naive_median(&distances));
                let mut words = Vec::new();
                window.state(&mut State::Save(&mut words));
                let mut restored = SortedWindow::new(capacity);
                restored.state(&mut State::load(&words));
                prop_assert_eq!(&restored.sorted, &window.sorted);
            }
        }
    }
}
