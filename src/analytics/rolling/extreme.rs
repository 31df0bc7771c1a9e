//! The highest or lowest of the last `n` values, and how long ago it was.
//!
//! The window is the tail of the previous block of `n` values and the head of the running
//! one; of the former the extremes of all tails are laid down once, of the latter one is
//! kept (M. van Herk, "A fast algorithm for local minimum and maximum filters", Pattern
//! Recognition Letters 13, 1992). Amortised O(1) a value, never more than `n` are kept, and
//! hardly a branch depends on them: on prices a queue of candidates took more than twice as long.

use crate::analytics::rolling::state::State;

/// The highest of a window.
pub type Highest = Extreme<true>;
/// The lowest of a window.
pub type Lowest = Extreme<false>;

/// A value and its place in its block.
type Placed = (f64, usize);

#[derive(Clone, Debug)]
pub struct Extreme<const HIGHEST: bool> {
    /// The running block in `..at`, what is left of the previous one in `at..`.
    values: Box<[f64]>,
    /// Extremes over `i..` of the previous block. Not saved: found again in `values`.
    tails: Box<[Placed]>,
    /// That of the running block. Not saved either.
    head: Placed,
    at: usize,
    is_full: bool,
}

impl<const HIGHEST: bool> Extreme<HIGHEST> {
    /// Gives way to every value.
    const NONE: Placed = (if HIGHEST { f64::NEG_INFINITY } else { f64::INFINITY }, 0);

    /// `capacity` at least 1.
    pub fn new(capacity: usize) -> Self {
        assert!(capacity > 0, "a window holds something");
        Self {
            values: vec![0.0; capacity].into(),
            tails: vec![Self::NONE; capacity].into(),
            head: Self::NONE,
            at: 0,
            is_full: false,
        }
    }

    /// Adds a value; gives back the extreme of the window with it. While the window fills,
    /// that of all values so far.
    #[inline]
    pub fn push(&mut self, value: f64) -> f64 {
        self.values[self.at] = value;
        self.head = Self::later(self.head, (value, self.at));
        self.at += 1;
        if self.at == self.values.len() {
            self.at = 0;
            self.is_full = true;
            self.head = Self::NONE;
            self.lay_tails();
        }
        Self::later(self.tails[self.at], self.head).0
    }

    /// The more extreme of two; the second of equal ones.
    #[inline]
    fn later(first: Placed, second: Placed) -> Placed {
        let outdone = if HIGHEST { first.0 <= second.0 } else { first.0 >= second.0 };
        if outdone { second } else { first }
    }

    fn lay_tails(&mut self) {
        let mut extreme = Self::NONE;
        for i in (self.at..self.values.len()).rev() {
            extreme = Self::later((self.values[i], i), extreme);
            self.tails[i] = extreme;
        }
    }

    /// The extreme of the window; `None` before the first value.
    pub fn value(&self) -> Option<f64> {
        let seen = self.is_full || self.at > 0;
        seen.then(|| Self::later(self.tails[self.at], self.head).0)
    }

    /// How many values ago it was pushed: 0 is the newest. The newest of equal ones, as in
    /// TA-Lib's `MAXINDEX`. 0 before the first value.
    pub fn age(&self) -> usize {
        let tail = self.tails[self.at];
        if Self::later(tail, self.head) == self.head && self.at > 0 {
            return self.at - 1 - self.head.1;
        }
        if self.is_full { self.at + (self.values.len() - 1 - tail.1) } else { 0 }
    }

    /// Whether `capacity` values were seen.
    #[inline]
    pub fn is_full(&self) -> bool {
        self.is_full
    }

    pub fn capacity(&self) -> usize {
        self.values.len()
    }

    pub fn state(&mut self, state: &mut State<'_>) {
        state.index(&mut self.at, self.values.len() - 1);
        state.bool(&mut self.is_full);
        for value in &mut self.values {
            state.f64(value);
        }
        if state.is_load() {
            let head = self.values[..self.at].iter().enumerate();
            self.head = head.fold(Self::NONE, |head, (i, &value)| Self::later(head, (value, i)));
            self.tails.fill(Self::NONE);
            if self.is_full {
                self.lay_tails();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check<const HIGHEST: bool>(n: usize, values: &[f64]) {
        let mut extreme = Extreme::<HIGHEST>::new(n);
        assert_eq!((extreme.value(), extreme.age()), (None, 0));
        for (i, &value) in values.iter().enumerate() {
            let window = &values[(i + 1).saturating_sub(n)..=i];
            let fold = if HIGHEST { f64::max } else { f64::min };
            let expected = window.iter().copied().reduce(fold).unwrap();
            let age = window.iter().rev().position(|x| *x == expected).unwrap();
            assert_eq!(extreme.push(value), expected, "n {n}, value {i}");
            assert_eq!((extreme.value(), extreme.age()), (Some(expected), age), "n {n}, value {i}");
            assert_eq!(extreme.is_full(), i + 1 >= n);

            let mut words = Vec::new();
            extreme.state(&mut State::Save(&mut words));
            let mut restored = Extreme::<HIGHEST>::new(n);
            (0..i % 7).for_each(|j| _ = restored.push(100.0 - 50.0 * j as f64));
            restored.state(&mut State::load(&words));
            assert_eq!((restored.value(), restored.age()), (extreme.value(), extreme.age()));
            let mut original = extreme.clone();
            for &value in values.iter().rev().take(n + 1) {
                assert_eq!(original.push(value), restored.push(value));
                assert_eq!(original.age(), restored.age());
            }
        }
    }

    proptest! {
        #[test]
        fn equals_a_search_of_the_window(
            n in 1usize..20,
            values in prop::collection::vec((0u8..12).prop_map(f64::from), 0..120),
        ) {
            check::<true>(n, &values);
            check::<false>(n, &values);
        }
    }

    #[test]
    fn slopes_and_plains() {
        let rising: Vec<f64> = (0..30).map(f64::from).collect();
        let falling: Vec<f64> = rising.iter().rev().copied().collect();
        for values in [&rising, &falling, &vec![1.0; 30]] {
            for n in [1, 2, 7, 30, 31] {
                check::<true>(n, values);
                check::<false>(n, values);
            }
        }
    }
}
