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
    /// How many of the smaller half of distances lay below the center last time: the next search begins there, and finds
    /// the same wherever it begins.
    lows: usize,
}

impl SortedWindow {
    /// `capacity`: at least 1.
    pub fn new(capacity: usize) -> Self {
        assert!(capacity > 0, "a window holds at least one value");
        Self { capacity, arrived: VecDeque::new(), sorted: Vec::new(), lows: 0 }
    }

    /// Takes a finite value; the oldest goes once the window is full.
    pub fn push(&mut self, value: f64) {
        // No zero with a sign, which a plain comparison would not tell from the other.
        let value = value + 0.0;
        let at = self.sorted.partition_point(|&other| other < value);
        if self.arrived.len() == self.capacity
            && let Some(oldest) = self.arrived.pop_front()
        {
            self.replace(oldest, at, value);
        } else {
            self.sorted.insert(at, value);
        }
        self.arrived.push_back(value);
    }

    /// Moves what lies between the two by one place, and nothing else. `at`: how many are below `value`.
    fn replace(&mut self, oldest: f64, at: usize, value: f64) {
        let from = self.sorted.partition_point(|&other| other < oldest);
        if at > from {
            self.sorted.copy_within(from + 1..at, from);
            self.sorted[at - 1] = value;
        } else {
            self.sorted.copy_within(at..from, at + 1);
            self.sorted[at] = value;
        }
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
    /// The values below the center and those above it are two ascending lists of distances: how many of either are
    /// among the smaller half is found by steps that double, from where it was last time, and by halving what lies between.
    pub fn median_distance(&mut self, center: f64) -> Option<f64> {
        let n = self.sorted.len();
        if n == 0 {
            return None;
        }
        let middle = self.below(center);
        let low = |i: usize| center - self.sorted[middle - 1 - i];
        let high = |j: usize| self.sorted[middle + j] - center;
        // The smallest `count` distances are `lows` from below and all others from above.
        let count = n / 2 + 1;
        let (mut lows, mut most) = (count.saturating_sub(n - middle), middle.min(count));
        let goes_further = |at: usize| low(at) <= high(count - at - 1);
        let (begin, mut step) = (self.lows.clamp(lows, most), 1);
        if begin < most && goes_further(begin) {
            lows = begin + 1;
            while lows + step < most && goes_further(lows + step) {
                lows += step + 1;
                step *= 2;
            }
            most = most.min(lows + step);
        } else {
            most = begin;
            while most >= lows + step && !goes_further(most - step) {
                most -= step;
                step *= 2;
            }
            lows = lows.max((most + 1).saturating_sub(step));
        }
        while lows < most {
            let half = lows.midpoint(most);
            if goes_further(half) {
                lows = half + 1;
            } else {
                most = half;
            }
        }
        self.lows = lows;
        let highs = count - lows;
        let [last_low, last_high] = [from_end(low, lows, 1), from_end(high, highs, 1)];
        let last = last_low.max(last_high);
        if n % 2 == 1 {
            return Some(last);
        }
        let before_last = if last_low > last_high {
            from_end(low, lows, 2).max(last_high)
        } else {
            from_end(high, highs, 2).max(last_low)
        };
        Some((before_last + last) / 2.0)
    }

    /// How many values lie below: looked for in the middle first, where the median has its place.
    #[inline]
    fn below(&self, center: f64) -> usize {
        let half = self.sorted.len() / 2;
        let is_here =
            self.sorted[half] >= center && half.checked_sub(1).is_none_or(|at| self.sorted[at] < center);
        if is_here { half } else { self.sorted.partition_point(|&value| value < center) }
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

/// Of the first `taken` distances of a list the one so far from their end; 0 where there are fewer.
#[inline]
fn from_end(list: impl Fn(usize) -> f64, taken: usize, back: usize) -> f64 {
    taken.checked_sub(back).map_or(0.0, list)
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
            values in prop::collection::vec(-30i32..30, 0..120), capacity in 1usize..60, center in -31i32..31,
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
