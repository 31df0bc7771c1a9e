//! A queue in a ring of slots, whose front is given up without being looked at.
//!
//! What leaves at the front stays in its slot until something else takes the slot: thousands of
//! series give up their oldest rows all the time, which have long left the processor's caches, and
//! clearing them away one by one would fetch them all again.

use std::ops::{Index, IndexMut};

use crate::analytics::ahead::{want_items, want_near};

#[derive(Debug)]
pub struct Ring<T> {
    /// What was given up stays in here, too.
    slots: Vec<T>,
    head: usize,
    len: usize,
}

impl<T> Default for Ring<T> {
    fn default() -> Self {
        Self { slots: Vec::new(), head: 0, len: 0 }
    }
}

impl<T> Ring<T> {
    #[inline]
    pub fn len(&self) -> usize {
        self.len
    }

    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    #[inline]
    fn slot(&self, at: usize) -> usize {
        let slot = self.head + at;
        if slot >= self.slots.len() { slot - self.slots.len() } else { slot }
    }

    #[inline]
    pub fn get(&self, at: usize) -> Option<&T> {
        if at < self.len { self.slots.get(self.slot(at)) } else { None }
    }

    #[inline]
    pub fn get_mut(&mut self, at: usize) -> Option<&mut T> {
        if at < self.len {
            let slot = self.slot(at);
            self.slots.get_mut(slot)
        } else {
            None
        }
    }

    pub fn front(&self) -> Option<&T> {
        self.get(0)
    }

    #[inline]
    pub fn back(&self) -> Option<&T> {
        self.get(self.len.wrapping_sub(1))
    }

    #[inline]
    pub fn back_mut(&mut self) -> Option<&mut T> {
        self.get_mut(self.len.wrapping_sub(1))
    }

    /// Asks for the last `used` items and the slots of the next `new`.
    #[inline]
    pub fn want_back(&self, used: usize, new: usize) {
        let first = self.slot(self.len.saturating_sub(used)).min(self.slots.len());
        let (start, end) = self.slots.split_at(first);
        let count = used.min(self.len) + new;
        want_items(&end[..count.min(end.len())]);
        let wrapped = count.saturating_sub(end.len());
        want_items(&start[..wrapped.min(start.len())]);
    }

    /// Makes room for so many without growing again, and not for more.
    pub fn reserve_exact(&mut self, len: usize) {
        self.slots.reserve_exact(len.saturating_sub(self.slots.len()));
    }

    #[inline]
    pub fn push_back(&mut self, item: T) {
        if self.len < self.slots.len() {
            let slot = self.slot(self.len);
            self.slots[slot] = item;
            self.len += 1;
        } else {
            self.grow(item);
        }
    }

    /// Adds an item that the caller overwrites: what it gets is `blank` or something that was given up.
    #[inline]
    pub fn push_back_slot(&mut self, blank: impl FnOnce() -> T) -> &mut T {
        if self.len == self.slots.len() {
            self.grow(blank());
        } else {
            self.len += 1;
        }
        let slot = self.slot(self.len - 1);
        // The next one is taken soon, and was used long ago.
        if let Some(next) = self.slots.get(slot + 1) {
            want_near(next);
        }
        &mut self.slots[slot]
    }

    #[cold]
    #[inline(never)]
    fn grow(&mut self, item: T) {
        self.slots.rotate_left(self.head);
        self.head = 0;
        self.slots.push(item);
        self.len += 1;
    }

    /// Seldom needed: moves all that comes after.
    pub fn insert(&mut self, at: usize, item: T) {
        assert!(at <= self.len, "what is inserted has a place");
        self.push_back(item);
        for at in (at + 1..self.len).rev() {
            let (a, b) = (self.slot(at - 1), self.slot(at));
            self.slots.swap(a, b);
        }
    }

    /// Seldom needed: moves all.
    pub fn extend_front(&mut self, items: Vec<T>) {
        self.slots.rotate_left(self.head);
        self.slots.truncate(self.len);
        (self.head, self.len) = (0, self.len + items.len());
        self.slots.splice(..0, items);
    }

    /// Gives up all from `at` on.
    pub fn truncate(&mut self, at: usize) {
        self.len = self.len.min(at);
    }

    /// Seldom needed: as that of a vector.
    pub fn split_off(&mut self, at: usize) -> Vec<T>
    where
        T: Clone,
    {
        let tail = self.range(at).cloned().collect();
        self.truncate(at);
        tail
    }

    /// Gives up the first `count`.
    pub fn give_up_front(&mut self, count: usize) {
        assert!(count <= self.len, "what is given up is there");
        self.head = self.slot(count);
        self.len -= count;
    }

    /// From `at` on.
    pub fn range(&self, at: usize) -> impl Iterator<Item = &T> {
        (at..self.len).map(|at| &self[at])
    }

    /// The first item for which `before` is no longer true; all for which it is come first.
    pub fn partition_point(&self, mut before: impl FnMut(&T) -> bool) -> usize {
        let (mut low, mut high) = (0, self.len);
        while low < high {
            let middle = low + (high - low) / 2;
            if before(&self[middle]) { low = middle + 1 } else { high = middle }
        }
        low
    }

    /// As that of a slice.
    pub fn binary_search_by_key<K: Ord>(
        &self,
        key: &K,
        mut key_of: impl FnMut(&T) -> K,
    ) -> Result<usize, usize> {
        let at = self.partition_point(|item| key_of(item) < *key);
        match self.get(at) {
            Some(item) if key_of(item) == *key => Ok(at),
            _ => Err(at),
        }
    }
}

impl<T> Index<usize> for Ring<T> {
    type Output = T;

    fn index(&self, at: usize) -> &T {
        self.get(at).expect("an index is below the length")
    }
}

impl<T> IndexMut<usize> for Ring<T> {
    fn index_mut(&mut self, at: usize) -> &mut T {
        self.get_mut(at).expect("an index is below the length")
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn does_what_a_queue_does(steps in prop::collection::vec((0u8..8, 0usize..40), 0..400)) {
            let (mut ring, mut queue) = (Ring::default(), VecDeque::new());
            for (i, (kind, number)) in steps.into_iter().enumerate() {
                match kind {
                    0..4 => {
                        ring.push_back(i);
                        queue.push_back(i);
                    }
                    4 => {
                        let at = number.min(queue.len());
                        prop_assert!(ring.split_off(at).iter().eq(&queue.split_off(at)));
                    }
                    5 => {
                        let at = number.min(queue.len());
                        ring.insert(at, i);
                        queue.insert(at, i);
                    }
                    6 => {
                        let count = number.min(queue.len());
                        ring.give_up_front(count);
                        queue.drain(..count);
                    }
                    _ => {
                        let items: Vec<usize> = (0..number % 5).map(|n| i + n).collect();
                        items.iter().rev().for_each(|&item| queue.push_front(item));
                        ring.extend_front(items);
                    }
                }
                prop_assert!(ring.range(0).eq(queue.iter()));
                prop_assert_eq!((ring.front(), ring.back()), (queue.front(), queue.back()));
                prop_assert_eq!((ring.len(), ring.get(number)), (queue.len(), queue.get(number)));
            }
        }

        #[test]
        fn searches_as_a_slice_does(mut items in prop::collection::vec(0u32..60, 0..60), key in 0u32..60) {
            items.sort_unstable();
            items.dedup();
            let mut ring = Ring::default();
            for at in 0..items.len() {
                ring.push_back(0);
                ring.give_up_front(1);
                prop_assert!(at < items.len() && ring.is_empty());
            }
            items.iter().for_each(|&item| ring.push_back(item));
            prop_assert_eq!(ring.binary_search_by_key(&key, |&item| item), items.binary_search(&key));
        }
    }
}
