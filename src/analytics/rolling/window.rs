//! The last `capacity` values, oldest first.

use crate::analytics::rolling::state::State;

/// A ring of floats.
#[derive(Clone, Debug)]
pub struct Window {
    values: Box<[f64]>,
    /// Where the next value goes.
    next: usize,
    len: usize,
}

impl Window {
    /// `capacity` at least 1.
    pub fn new(capacity: usize) -> Self {
        assert!(capacity > 0, "a window holds something");
        Self { values: vec![0.0; capacity].into(), next: 0, len: 0 }
    }

    /// Adds a value; gives back the one that it pushes out.
    #[inline]
    pub fn push(&mut self, value: f64) -> Option<f64> {
        let old = std::mem::replace(&mut self.values[self.next], value);
        self.next += 1;
        if self.next == self.values.len() {
            self.next = 0;
        }
        if self.len == self.values.len() {
            return Some(old);
        }
        self.len += 1;
        None
    }

    pub fn len(&self) -> usize {
        self.len
    }

    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    #[inline]
    pub fn is_full(&self) -> bool {
        self.len == self.values.len()
    }

    pub fn capacity(&self) -> usize {
        self.values.len()
    }

    /// The two runs of the ring, oldest first.
    #[inline]
    pub fn as_slices(&self) -> (&[f64], &[f64]) {
        if self.is_full() {
            let (newer, older) = self.values.split_at(self.next);
            (older, newer)
        } else {
            (&self.values[..self.len], &[])
        }
    }

    /// Oldest first.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = f64> + '_ {
        let (older, newer) = self.as_slices();
        older.iter().chain(newer).copied()
    }

    /// `age` 0 is the newest.
    pub fn back(&self, age: usize) -> Option<f64> {
        if age >= self.len {
            return None;
        }
        let at = (self.next + self.values.len() - 1 - age) % self.values.len();
        Some(self.values[at])
    }

    pub fn oldest(&self) -> Option<f64> {
        self.len.checked_sub(1).and_then(|age| self.back(age))
    }

    pub fn state(&mut self, state: &mut State<'_>) {
        state.index(&mut self.next, self.values.len() - 1);
        state.index(&mut self.len, self.values.len());
        for value in &mut self.values {
            state.f64(value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_the_newest_in_order() {
        let mut window = Window::new(3);
        assert_eq!(window.oldest(), None);
        assert_eq!([1.0, 2.0, 3.0].map(|x| window.push(x)), [None; 3]);
        assert_eq!(window.push(4.0), Some(1.0));
        assert_eq!(window.iter().collect::<Vec<_>>(), [2.0, 3.0, 4.0]);
        assert_eq!((window.back(0), window.back(2), window.back(3)), (Some(4.0), Some(2.0), None));
        assert_eq!(window.oldest(), Some(2.0));
        let mut words = Vec::new();
        window.state(&mut State::Save(&mut words));
        let mut restored = Window::new(3);
        restored.state(&mut State::load(&words));
        assert_eq!(restored.iter().collect::<Vec<_>>(), [2.0, 3.0, 4.0]);
    }
}
