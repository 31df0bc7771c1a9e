//! Trade counts of the last `capacity` candles, each with a moment, and their exact sum.

use std::collections::VecDeque;

use crate::analytics::rolling::state::State;
use crate::domain::time::UnixNanos;

/// A ring of counts and moments.
#[derive(Clone, Debug)]
pub struct CountWindow {
    candles: VecDeque<(u64, UnixNanos)>,
    capacity: usize,
    total: u128,
}

impl CountWindow {
    /// `capacity` at least 1.
    pub fn new(capacity: usize) -> Self {
        assert!(capacity > 0, "a window holds something");
        Self { candles: VecDeque::new(), capacity, total: 0 }
    }

    pub fn push(&mut self, count: u64, at: UnixNanos) {
        if self.is_full()
            && let Some((oldest, _)) = self.candles.pop_front()
        {
            self.total -= u128::from(oldest);
        }
        self.candles.push_back((count, at));
        self.total += u128::from(count);
    }

    pub fn is_full(&self) -> bool {
        self.candles.len() == self.capacity
    }

    /// Sum of the counts.
    pub fn total(&self) -> u128 {
        self.total
    }

    /// Nanoseconds from the oldest candle's moment to `until`, negative where that is earlier.
    pub fn nanos_until(&self, until: UnixNanos) -> Option<i64> {
        self.candles.front().map(|(_, at)| until.0.saturating_sub(at.0))
    }

    pub fn state(&mut self, state: &mut State<'_>) {
        let mut len = self.candles.len();
        state.index(&mut len, self.capacity);
        self.candles.resize(len, (0, UnixNanos(0)));
        self.total = 0;
        for (count, at) in &mut self.candles {
            state.word(count);
            state.i64(&mut at.0);
            self.total += u128::from(*count);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sum_is_that_of_the_newest() {
        let mut window = CountWindow::new(2);
        assert_eq!((window.total(), window.nanos_until(UnixNanos(5))), (0, None));
        let totals = [u64::MAX, u64::MAX, 3, 4].map(|count| {
            window.push(count, UnixNanos(count as i64));
            window.total()
        });
        let most = u128::from(u64::MAX);
        assert_eq!(totals, [most, 2 * most, most + 3, 7]);
        assert_eq!((window.is_full(), window.nanos_until(UnixNanos(5))), (true, Some(2)));
        let mut words = Vec::new();
        window.state(&mut State::Save(&mut words));
        let mut restored = CountWindow::new(2);
        restored.push(9, UnixNanos(9));
        restored.state(&mut State::load(&words));
        restored.push(1, UnixNanos(6));
        assert_eq!((restored.total(), restored.nanos_until(UnixNanos(5))), (5, Some(1)));
    }
}
