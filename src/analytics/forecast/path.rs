//! The way of a price over the last candles: how far it came over any of the horizons.

use crate::analytics::rolling::state::State;

/// A place in a ring of so many, that is at most once round too far.
#[inline]
pub fn wrapped(place: usize, room: usize) -> usize {
    if place >= room { place - room } else { place }
}

/// Sums of returns since the last hole, those of the last candles in a ring.
#[derive(Clone, Debug)]
pub struct Path {
    sums: Box<[f64]>,
    at: usize,
    /// Returns since the last hole, counted up to the longest horizon.
    len: usize,
}

impl Path {
    pub fn new(horizons: &[usize]) -> Self {
        let longest = horizons.iter().copied().max().unwrap_or(1);
        Self { sums: vec![0.0; longest + 1].into(), at: 0, len: 0 }
    }

    /// Takes the next return.
    pub fn take(&mut self, log_return: f64) {
        let now = self.sums[self.at] + log_return;
        self.at = wrapped(self.at + 1, self.sums.len());
        self.sums[self.at] = now;
        self.len = (self.len + 1).min(self.sums.len() - 1);
    }

    /// The return over the last `horizon` candles; `None` where there were fewer since the last hole.
    pub fn change(&self, horizon: usize) -> Option<f64> {
        let room = self.sums.len();
        (horizon <= self.len).then(|| self.sums[self.at] - self.sums[wrapped(self.at + room - horizon, room)])
    }

    /// A hole lies before the next return.
    pub fn interrupt(&mut self) {
        self.sums.fill(0.0);
        (self.at, self.len) = (0, 0);
    }

    /// Visits every word of mutable state.
    pub fn state(&mut self, state: &mut State<'_>) {
        let room = self.sums.len();
        state.index(&mut self.at, room - 1);
        state.index(&mut self.len, room - 1);
        for back in 0..=self.len {
            state.f64(&mut self.sums[wrapped(self.at + room - back, room)]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_are_known_once_there_were_enough_returns() {
        let mut path = Path::new(&[1, 3]);
        path.take(1.0);
        assert_eq!((path.change(1), path.change(3)), (Some(1.0), None));
        for _ in 0..10 {
            path.take(0.5);
            path.take(-2.0);
        }
        assert_eq!((path.change(1), path.change(3)), (Some(-2.0), Some(-3.5)));
        path.interrupt();
        path.take(4.0);
        assert_eq!((path.change(1), path.change(3)), (Some(4.0), None));
        let mut words = Vec::new();
        path.state(&mut State::Save(&mut words));
        let mut other = Path::new(&[1, 3]);
        other.state(&mut State::load(&words));
        path.take(0.25);
        other.take(0.25);
        assert_eq!((other.change(1), other.change(3)), (path.change(1), path.change(3)));
    }
}
