//! From the lowest low to the highest high of the last `n` bars, and where in it a price lies.
//!
//! Amortised O(1) a bar.

use crate::analytics::rolling::extreme::{Highest, Lowest};
use crate::analytics::rolling::state::State;
use crate::analytics::rolling::tie::is_tie;

#[derive(Clone, Debug)]
pub struct Spans {
    highest: Highest,
    lowest: Lowest,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Span {
    pub highest: f64,
    pub lowest: f64,
}

impl Spans {
    /// `capacity` at least 1.
    pub fn new(capacity: usize) -> Self {
        Self { highest: Highest::new(capacity), lowest: Lowest::new(capacity) }
    }

    /// `None` for the first `capacity - 1` bars.
    #[inline]
    pub fn push(&mut self, high: f64, low: f64) -> Option<Span> {
        let span = Span { highest: self.highest.push(high), lowest: self.lowest.push(low) };
        self.highest.is_full().then_some(span)
    }

    pub fn state(&mut self, state: &mut State<'_>) {
        self.highest.state(state);
        self.lowest.state(state);
    }
}

impl Span {
    /// The part of the span that `distance` is. 0 where the span is none but for rounding, as
    /// TA-Lib has it.
    #[inline]
    pub fn part(self, distance: f64) -> f64 {
        let width = self.highest - self.lowest;
        if is_tie(width, self.highest.abs() + self.lowest.abs()) { 0.0 } else { distance / width }
    }

    /// The stochastic of `value`: 0 at the lowest (or above it by no more than rounding), 100
    /// at the highest.
    #[inline]
    pub fn percent(self, value: f64) -> f64 {
        let above = value - self.lowest;
        if is_tie(above, value.abs() + self.lowest.abs()) { 0.0 } else { 100.0 * self.part(above) }
    }
}

#[cfg(test)]
pub mod naive {
    use super::Span;

    /// Of the last `n` pairs of high and low.
    pub fn span(pairs: &[(f64, f64)], n: usize) -> Option<Span> {
        let window = &pairs[pairs.len().checked_sub(n)?..];
        let highest = window.iter().map(|pair| pair.0).reduce(f64::max)?;
        let lowest = window.iter().map(|pair| pair.1).reduce(f64::min)?;
        Some(Span { highest, lowest })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_price_lies_somewhere_in_it() {
        let mut spans = Spans::new(2);
        assert_eq!(spans.push(9.0, 5.0), None);
        let span = spans.push(7.0, 6.0).unwrap();
        assert_eq!(span, Span { highest: 9.0, lowest: 5.0 });
        assert_eq!([5.0, 6.0, 9.0].map(|x| span.percent(x)), [0.0, 25.0, 100.0]);
        assert_eq!(spans.push(6.0, 6.0), Some(Span { highest: 7.0, lowest: 6.0 }));
        assert_eq!(spans.push(6.0, 6.0).unwrap().percent(6.0), 0.0);
    }
}
