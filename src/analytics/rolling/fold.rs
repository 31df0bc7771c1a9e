//! The merge of the last `capacity` items, without ever taking one back out.
//!
//! Sums of floats that add the newcomer and subtract the leaver drift, and second moments
//! kept that way cancel. Here the window is cut into blocks: of the older block each slot
//! holds the merge from it to the block's end, of the newer one there is a running merge,
//! and the window is one of the former with the latter. Amortised O(1) merges a push (one
//! pass over the slots every `capacity` pushes); the order of merging depends on nothing but
//! the number of items pushed. The scheme is M. van Herk's ("A fast algorithm for local
//! minimum and maximum filters on rectangular and octagonal kernels", Pattern Recognition
//! Letters 13, 1992), for any merge.

use crate::analytics::rolling::state::State;

/// What can be merged, associatively up to rounding.
pub trait Merge: Copy {
    /// Merges with anything to that.
    const NOTHING: Self;

    fn merge(older: Self, newer: Self) -> Self;

    fn state(&mut self, state: &mut State<'_>);
}

/// The merge of the newest items.
#[derive(Clone, Debug)]
pub struct Fold<T> {
    /// Before `next`: items of the newer block; from it on: merges to the end of the older.
    slots: Box<[T]>,
    newer: T,
    next: usize,
    is_full: bool,
}

impl<T: Merge> Fold<T> {
    /// `capacity` at least 1.
    pub fn new(capacity: usize) -> Self {
        assert!(capacity > 0, "a window holds something");
        Self { slots: vec![T::NOTHING; capacity].into(), newer: T::NOTHING, next: 0, is_full: false }
    }

    pub fn push(&mut self, item: T) {
        self.slots[self.next] = item;
        self.newer = T::merge(self.newer, item);
        self.next += 1;
        if self.next == self.slots.len() {
            let mut to_end = T::NOTHING;
            for slot in self.slots.iter_mut().rev() {
                to_end = T::merge(*slot, to_end);
                *slot = to_end;
            }
            self.newer = T::NOTHING;
            self.next = 0;
            self.is_full = true;
        }
    }

    /// Whether `capacity` items were pushed.
    pub fn is_full(&self) -> bool {
        self.is_full
    }

    /// The merge of the newest `capacity` items, or of all while they are fewer.
    pub fn total(&self) -> T {
        if self.is_full { T::merge(self.slots[self.next], self.newer) } else { self.newer }
    }

    pub fn state(&mut self, state: &mut State<'_>) {
        for slot in &mut self.slots {
            slot.state(state);
        }
        self.newer.state(state);
        state.index(&mut self.next, self.slots.len() - 1);
        state.bool(&mut self.is_full);
    }
}

/// Sums of as many values.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sums<const N: usize>(pub [f64; N]);

impl<const N: usize> Merge for Sums<N> {
    const NOTHING: Self = Self([0.0; N]);

    fn merge(older: Self, newer: Self) -> Self {
        Self(std::array::from_fn(|i| older.0[i] + newer.0[i]))
    }

    fn state(&mut self, state: &mut State<'_>) {
        for sum in &mut self.0 {
            state.f64(sum);
        }
    }
}

/// Means and central second moments of pairs, merged as T. Chan, G. Golub and R. LeVeque
/// do ("Updating formulae and a pairwise algorithm for computing sample variances", 1979):
/// equal values have a spread of exactly zero.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PairMoments {
    /// How many pairs, a whole number.
    pub count: f64,
    pub mean_x: f64,
    pub mean_y: f64,
    /// Sum of squared distances of x from its mean.
    pub xx: f64,
    /// Sum of products of the distances of x and y from their means.
    pub xy: f64,
}

impl PairMoments {
    /// One pair.
    pub fn of(x: f64, y: f64) -> Self {
        Self { count: 1.0, mean_x: x, mean_y: y, xx: 0.0, xy: 0.0 }
    }

    /// Whether x varies by more than what rounding makes of equal numbers.
    pub fn varies(&self) -> bool {
        const ROUNDING: f64 = 1e-24;
        self.xx > ROUNDING * self.count * self.mean_x * self.mean_x
    }
}

impl Merge for PairMoments {
    const NOTHING: Self = Self { count: 0.0, mean_x: 0.0, mean_y: 0.0, xx: 0.0, xy: 0.0 };

    fn merge(older: Self, newer: Self) -> Self {
        if older.count == 0.0 {
            return newer;
        }
        if newer.count == 0.0 {
            return older;
        }
        let count = older.count + newer.count;
        let (dx, dy) = (newer.mean_x - older.mean_x, newer.mean_y - older.mean_y);
        let share = newer.count / count;
        let weight = older.count * share;
        Self {
            count,
            mean_x: older.mean_x + dx * share,
            mean_y: older.mean_y + dy * share,
            xx: older.xx + newer.xx + dx * dx * weight,
            xy: older.xy + newer.xy + dx * dy * weight,
        }
    }

    fn state(&mut self, state: &mut State<'_>) {
        for part in [&mut self.count, &mut self.mean_x, &mut self.mean_y, &mut self.xx, &mut self.xy] {
            state.f64(part);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_oldest_leave_without_a_trace() {
        let mut fold = Fold::new(3);
        let totals = [1e18, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6].map(|x| {
            fold.push(Sums([x]));
            (fold.is_full(), fold.total().0[0])
        });
        assert_eq!(totals.map(|(full, _)| full), [false, false, true, true, true, true, true]);
        for (total, expected) in totals[3..].iter().zip([0.6, 0.9, 1.2, 1.5]) {
            assert!((total.1 - expected).abs() < 1e-15, "{totals:?}");
        }
    }

    #[test]
    fn equal_values_do_not_vary() {
        let mut fold = Fold::new(7);
        for i in 0..40 {
            fold.push(PairMoments::of(0.1, f64::from(i)));
            assert_eq!((fold.total().xx, fold.total().xy, fold.total().varies()), (0.0, 0.0, false));
        }
    }

    proptest! {
        #[test]
        fn a_fold_equals_its_window(
            pairs in prop::collection::vec((-1e6..1e6f64, -1e3..1e3f64), 1..80),
            capacity in 1usize..20,
            offset in prop::sample::select(vec![0.0, 1e9]),
        ) {
            let mut fold = Fold::new(capacity);
            for (i, &(x, y)) in pairs.iter().enumerate() {
                fold.push(PairMoments::of(x + offset, y));
                let window = &pairs[(i + 1).saturating_sub(capacity)..=i];
                let n = window.len() as f64;
                let mean = |of: fn(&(f64, f64)) -> f64| window.iter().map(of).sum::<f64>() / n;
                let (mx, my) = (mean(|p| p.0), mean(|p| p.1));
                let xx: f64 = window.iter().map(|p| (p.0 - mx) * (p.0 - mx)).sum();
                let xy: f64 = window.iter().map(|p| (p.0 - mx) * (p.1 - my)).sum();
                let total = fold.total();
                prop_assert_eq!(total.count, n);
                prop_assert!((total.mean_x - offset - mx).abs() <= 1e-6);
                prop_assert!((total.xx - xx).abs() <= 1e-6 * (xx + 1.0), "{} {}", total.xx, xx);
                prop_assert!((total.xy - xy).abs() <= 1e-6 * (xx + 1e6), "{} {}", total.xy, xy);
            }
            let mut words = Vec::new();
            fold.state(&mut State::Save(&mut words));
            let mut restored = Fold::<PairMoments>::new(capacity);
            restored.state(&mut State::load(&words));
            prop_assert_eq!(restored.total(), fold.total());
        }
    }
}
