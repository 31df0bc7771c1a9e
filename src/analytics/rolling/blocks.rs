//! Sums over the last `n` items that never subtract what leaves.
//!
//! Subtracting the outgoing value leaves its rounding error behind for ever: one huge value
//! would spoil every later variance. Here the window is the tail of the previous block of
//! `n` items and the head of the running one. When a block is complete, the sums of all its
//! tails are laid down in one backward pass; from then on each window is one such tail plus
//! the running head (van Herk's scheme, as in [`super::fold`]). Amortised O(1) an item, and
//! no error outlives its window.
//!
//! Terms are taken from differences to a `shift`, which is always an item of the window (the
//! last one of the previous block): so the distance between shift and mean is at most
//! `sqrt(n - 1)` standard deviations, and central moments made from these sums cancel little.
//! That is what a fold of merged moments cannot give: there the rounding of a mean at the
//! level of the values enters their variance.

use std::marker::PhantomData;

use crate::analytics::ahead::line_of;
use crate::analytics::rolling::state::State;

/// What is summed: `K` terms of an item of `V` values.
pub trait Terms<const V: usize, const K: usize> {
    /// `position` is the item's place in its block; `shift` is taken from the first value.
    fn of(position: usize, item: &[f64; V], shift: f64) -> [f64; K];
}

/// The last `n` items and their sums.
#[derive(Clone, Debug)]
pub struct Blocks<T, const V: usize, const K: usize> {
    /// The running block in `..at`, what is left of the previous one in `at..`.
    items: Box<[[f64; V]]>,
    /// Sums over `i..` of the previous block. Not saved: made again from `items`.
    tails: Box<[[f64; K]]>,
    head: [f64; K],
    shift: f64,
    at: usize,
    len: usize,
    terms: PhantomData<T>,
}

impl<T: Terms<V, K>, const V: usize, const K: usize> Blocks<T, V, K> {
    /// `capacity` at least 1.
    pub fn new(capacity: usize) -> Self {
        assert!(capacity > 0, "a window holds something");
        Self {
            items: vec![[0.0; V]; capacity].into(),
            tails: vec![[0.0; K]; capacity].into(),
            head: [0.0; K],
            shift: 0.0,
            at: 0,
            len: 0,
            terms: PhantomData,
        }
    }

    #[inline]
    pub fn push(&mut self, item: [f64; V]) {
        if self.len < self.items.len() {
            if self.len == 0 {
                self.shift = item[0];
            }
            self.len += 1;
        }
        self.items[self.at] = item;
        add(&mut self.head, &T::of(self.at, &item, self.shift));
        self.at += 1;
        if self.at == self.items.len() {
            self.turn();
        }
    }

    /// The running block is complete and becomes the previous one.
    fn turn(&mut self) {
        self.at = 0;
        self.head = [0.0; K];
        self.shift = self.items[self.items.len() - 1][0];
        self.lay_tails();
    }

    fn lay_tails(&mut self) {
        let mut sums = [0.0; K];
        for i in (self.at..self.items.len()).rev() {
            add(&mut sums, &T::of(i, &self.items[i], self.shift));
            self.tails[i] = sums;
        }
    }

    /// Sums over the window.
    #[inline]
    pub fn sums(&self) -> [f64; K] {
        let mut sums = self.tails[self.at];
        add(&mut sums, &self.head);
        sums
    }

    /// Sums over the items of the previous block that the window still holds (their
    /// positions start at [`Self::position`]), then over those of the running block.
    #[inline]
    pub fn parts(&self) -> ([f64; K], [f64; K]) {
        (self.tails[self.at], self.head)
    }

    /// How many items the running block has.
    #[inline]
    pub fn position(&self) -> usize {
        self.at
    }

    #[inline]
    pub fn shift(&self) -> f64 {
        self.shift
    }

    #[inline]
    pub fn len(&self) -> usize {
        self.len
    }

    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    #[inline]
    pub fn is_full(&self) -> bool {
        self.len == self.items.len()
    }

    pub fn capacity(&self) -> usize {
        self.items.len()
    }

    pub fn state(&mut self, state: &mut State<'_>) {
        state.index(&mut self.at, self.items.len() - 1);
        state.index(&mut self.len, self.items.len());
        state.f64(&mut self.shift);
        for sum in &mut self.head {
            state.f64(sum);
        }
        for value in self.items.as_flattened_mut() {
            state.f64(value);
        }
        if let State::Place(lines) = state {
            lines.extend(self.tails.iter().map(line_of));
        }
        if state.is_load() {
            if self.is_full() {
                self.lay_tails();
            } else {
                self.tails.fill([0.0; K]);
            }
        }
    }
}

#[inline]
fn add<const K: usize>(sums: &mut [f64; K], terms: &[f64; K]) {
    for (sum, term) in sums.iter_mut().zip(terms) {
        *sum += term;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Clone, Debug)]
    struct Plain;

    impl Terms<1, 1> for Plain {
        fn of(_: usize, item: &[f64; 1], shift: f64) -> [f64; 1] {
            [item[0] - shift]
        }
    }

    #[test]
    fn the_window_is_a_tail_and_a_head() {
        for n in 1..8usize {
            let mut blocks = Blocks::<Plain, 1, 1>::new(n);
            for i in 0..40usize {
                blocks.push([(i * i) as f64]);
                let window = (i + 1).saturating_sub(n)..=i;
                assert_eq!(blocks.len(), window.clone().count());
                let expected: usize = window.clone().map(|j| j * j).sum();
                let sum = blocks.sums()[0] + blocks.shift() * blocks.len() as f64;
                assert_eq!(sum, expected as f64, "n {n}, item {i}");
                assert!(window.map(|j| (j * j) as f64).any(|x| x == blocks.shift()));
            }
        }
    }

    #[test]
    fn a_huge_value_leaves_nothing_behind() {
        let mut blocks = Blocks::<Plain, 1, 1>::new(3);
        for x in [1e17, 0.1, 0.2, 0.3] {
            blocks.push([x]);
        }
        let sum = blocks.shift() * 3.0 + blocks.sums()[0];
        assert!((sum - 0.6).abs() < 1e-15, "{sum}");
    }

    #[test]
    fn restored_in_any_phase_it_goes_on_to_the_same_bits() {
        for seen in 0..12 {
            let mut original = Blocks::<Plain, 1, 1>::new(4);
            (0..seen).for_each(|i| original.push([f64::from(i) * 0.1]));
            let mut words = Vec::new();
            original.state(&mut State::Save(&mut words));
            let mut restored = Blocks::<Plain, 1, 1>::new(4);
            (0..7).for_each(|i| restored.push([f64::from(i) * 1e9]));
            restored.state(&mut State::load(&words));
            for i in 0..9 {
                assert_eq!(
                    original.sums()[0].to_bits(),
                    restored.sums()[0].to_bits(),
                    "seen {seen}, then {i}"
                );
                original.push([f64::from(i) * 0.7]);
                restored.push([f64::from(i) * 0.7]);
            }
        }
    }
}
