//! What is told of one candle, written over what was told of the one before.
//!
//! Nearly all of it is as it was: the same models at the same places. To move each out of its place, and to count who
//! holds a name, up and down, would cost more than most models.

use std::ops::Deref;
use std::sync::Arc;

/// A list that is as long as what was written since it was cleared.
pub struct Slots<T> {
    /// Those behind `len` are of earlier candles.
    items: Vec<T>,
    len: usize,
}

impl<T> Slots<T> {
    /// Nothing is told any more; the places stay.
    pub fn clear(&mut self) {
        self.len = 0;
    }

    /// The next place, to be written over: whatever stands there, or what `first` makes where nothing ever stood.
    #[inline]
    pub fn next(&mut self, first: impl FnOnce() -> T) -> &mut T {
        let place = self.len;
        if place == self.items.len() {
            self.items.push(first());
        }
        self.len += 1;
        &mut self.items[place]
    }
}

/// Puts a name into its place, where it does not stand there yet.
#[inline]
pub fn put(place: &mut Arc<str>, name: &Arc<str>) {
    if !Arc::ptr_eq(place, name) {
        *place = name.clone();
    }
}

impl<T> Default for Slots<T> {
    fn default() -> Self {
        Self { items: Vec::new(), len: 0 }
    }
}

impl<T: Clone> Clone for Slots<T> {
    fn clone(&self) -> Self {
        Self { items: self.to_vec(), len: self.len }
    }
}

impl<T: std::fmt::Debug> std::fmt::Debug for Slots<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(&**self).finish()
    }
}

impl<T> Deref for Slots<T> {
    type Target = [T];

    #[inline]
    fn deref(&self) -> &[T] {
        &self.items[..self.len]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_before_is_not_told_again() {
        let mut slots = Slots::default();
        *slots.next(|| 0) = 1;
        *slots.next(|| 0) = 2;
        slots.clear();
        assert!(slots.is_empty());
        let mut made = false;
        *slots.next(|| {
            made = true;
            0
        }) = 3;
        assert_eq!((&*slots, made), (&[3][..], false));
        assert_eq!((format!("{slots:?}"), slots.clone().len()), ("[3]".to_owned(), 1));
    }
}
