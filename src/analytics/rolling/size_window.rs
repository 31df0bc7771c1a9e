//! Trade sizes of the last `capacity` candles as one histogram.
//!
//! A candle is merged in and later taken out exactly, so the histogram is always that of the
//! candles in the window, whatever went before. A step costs as many operations as the window
//! has buckets in use, however many candles it spans. Candles are remembered as packed words.

use std::collections::VecDeque;

use crate::analytics::rolling::sizes::SizeHistogram;
use crate::analytics::rolling::state::State;

/// A window of histograms and their merge.
#[derive(Clone, Debug)]
pub struct SizeWindow {
    merged: SizeHistogram,
    /// Each candle in [`SizeWindow::merged`], oldest first.
    candles: VecDeque<u64>,
    capacity: usize,
    len: usize,
}

impl SizeWindow {
    /// `capacity` at least 1.
    pub fn new(capacity: usize) -> Self {
        assert!(capacity > 0, "a window holds something");
        Self { merged: SizeHistogram::default(), candles: VecDeque::new(), capacity, len: 0 }
    }

    pub fn push(&mut self, sizes: &SizeHistogram) {
        if self.len == self.capacity {
            self.merged.subtract_packed(&mut self.candles);
            self.len -= 1;
        }
        self.merged.merge(sizes);
        sizes.pack(&mut self.candles);
        self.len += 1;
    }

    pub fn is_full(&self) -> bool {
        self.len == self.capacity
    }

    /// The sizes of all trades of the window.
    pub fn merged(&self) -> &SizeHistogram {
        &self.merged
    }

    pub fn state(&mut self, state: &mut State<'_>) {
        self.merged.state(state);
        state.index(&mut self.len, self.capacity);
        let mut words = self.candles.len();
        state.len(&mut words);
        self.candles.resize(words, 0);
        for word in &mut self.candles {
            state.word(word);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::decimal::{Decimal, Quantity};

    proptest! {
        #[test]
        fn a_window_is_the_merge_of_its_candles(
            candles in prop::collection::vec(
                prop::collection::vec((1u64..1_000_000_000_000_000_000, 0u32..16), 0..12),
                1..30,
            ),
            capacity in 1usize..8,
        ) {
            let histograms: Vec<SizeHistogram> = candles
                .iter()
                .map(|trades| {
                    let mut sizes = SizeHistogram::default();
                    for &(mantissa, scale) in trades {
                        sizes.add(Quantity::new(Decimal::new(mantissa, scale).unwrap()).unwrap());
                    }
                    sizes
                })
                .collect();
            let mut window = SizeWindow::new(capacity);
            for (i, sizes) in histograms.iter().enumerate() {
                window.push(sizes);
                let mut naive = SizeHistogram::default();
                histograms[(i + 1).saturating_sub(capacity)..=i].iter().for_each(|h| naive.merge(h));
                prop_assert_eq!(window.merged(), &naive);
                prop_assert_eq!(window.is_full(), i + 1 >= capacity);

                let mut words = Vec::new();
                window.state(&mut State::Save(&mut words));
                let mut restored = SizeWindow::new(capacity);
                restored.push(&histograms[0]);
                restored.state(&mut State::load(&words));
                prop_assert_eq!(restored.merged(), window.merged());
                prop_assert_eq!(&restored.candles, &window.candles);
                window = restored;
            }
        }
    }
}
