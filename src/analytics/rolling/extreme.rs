//! The highest or lowest of the last `n` values, and how long ago it was.
//!
//! A queue of candidates: a value is forgotten when it leaves the window, or when a later
//! one is at least as extreme. Amortised O(1) a value (a single one may forget up to `n`);
//! never more than `n` candidates.

use crate::analytics::rolling::state::State;

/// The highest of a window.
pub type Highest = Extreme<true>;
/// The lowest of a window.
pub type Lowest = Extreme<false>;

#[derive(Clone, Debug)]
pub struct Extreme<const HIGHEST: bool> {
    /// Ring of candidates from `head`, the most extreme first: value and number.
    candidates: Box<[(f64, u64)]>,
    head: usize,
    len: usize,
    /// Values ever pushed.
    seen: u64,
}

impl<const HIGHEST: bool> Extreme<HIGHEST> {
    /// `capacity` at least 1.
    pub fn new(capacity: usize) -> Self {
        assert!(capacity > 0, "a window holds something");
        Self { candidates: vec![(0.0, 0); capacity].into(), head: 0, len: 0, seen: 0 }
    }

    /// Adds a value; gives back the extreme of the window with it. While the window fills,
    /// that of all values so far.
    #[inline]
    pub fn push(&mut self, value: f64) -> f64 {
        let capacity = self.candidates.len();
        if self.len > 0 && self.seen - self.candidates[self.head].1 >= capacity as u64 {
            self.head = if self.head + 1 == capacity { 0 } else { self.head + 1 };
            self.len -= 1;
        }
        while self.len > 0 {
            let (last, _) = self.candidates[self.place(self.len - 1)];
            let outdone = if HIGHEST { last <= value } else { last >= value };
            if !outdone {
                break;
            }
            self.len -= 1;
        }
        let place = self.place(self.len);
        self.candidates[place] = (value, self.seen);
        self.len += 1;
        self.seen += 1;
        self.candidates[self.head].0
    }

    #[inline]
    fn place(&self, index: usize) -> usize {
        let place = self.head + index;
        if place >= self.candidates.len() { place - self.candidates.len() } else { place }
    }

    /// The extreme of the window; `None` before the first value.
    pub fn value(&self) -> Option<f64> {
        (self.len > 0).then(|| self.candidates[self.head].0)
    }

    /// How many values ago it was pushed: 0 is the newest. The newest of equal ones, as in
    /// TA-Lib's `MAXINDEX`. 0 before the first value.
    pub fn age(&self) -> usize {
        if self.len == 0 { 0 } else { (self.seen - 1 - self.candidates[self.head].1) as usize }
    }

    /// Whether `capacity` values were seen.
    #[inline]
    pub fn is_full(&self) -> bool {
        self.seen >= self.candidates.len() as u64
    }

    pub fn capacity(&self) -> usize {
        self.candidates.len()
    }

    pub fn state(&mut self, state: &mut State<'_>) {
        state.usize(&mut self.head);
        state.usize(&mut self.len);
        state.word(&mut self.seen);
        for (value, number) in &mut self.candidates {
            state.f64(value);
            state.word(number);
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
            restored.state(&mut State::load(&words));
            assert_eq!(format!("{restored:?}"), format!("{extreme:?}"));
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
