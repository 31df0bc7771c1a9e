//! The order in which a batch is worked off: instrument by instrument.
//!
//! Instruments do not see each other, so only each one's own order matters. Working off all of
//! an instrument's events in a batch at once fetches its state from memory once, not once an
//! event; with a thousand interleaved instruments that is most of the cost.

/// Groups batches; reuses its memory.
#[derive(Debug, Default)]
pub struct Grouping {
    /// For each instrument where its next event goes; zero between batches.
    starts: Vec<u32>,
    /// The instruments of the batch, as they are met.
    met: Vec<u32>,
    order: Vec<u32>,
}

impl Grouping {
    /// The positions of a batch, grouped by instrument (in the order in which they are first met), each
    /// group in the order of the batch. `instruments` gives the instrument of each position.
    pub fn order(&mut self, instruments: impl ExactSizeIterator<Item = u32> + Clone) -> &[u32] {
        self.met.clear();
        self.order.clear();
        self.order.resize(instruments.len(), 0);
        for instrument in instruments.clone() {
            let at = instrument as usize;
            if at >= self.starts.len() {
                self.starts.resize(at + 1, 0);
            }
            if self.starts[at] == 0 {
                self.met.push(instrument);
            }
            self.starts[at] += 1;
        }
        let mut start = 0;
        for &instrument in &self.met {
            let count = std::mem::replace(&mut self.starts[instrument as usize], start);
            start += count;
        }
        for (position, instrument) in instruments.enumerate() {
            let slot = &mut self.starts[instrument as usize];
            self.order[*slot as usize] = position as u32;
            *slot += 1;
        }
        for &instrument in &self.met {
            self.starts[instrument as usize] = 0;
        }
        &self.order
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn groups_are_whole_and_in_order(batches in prop::collection::vec(prop::collection::vec(0u32..20, 0..60), 1..4)) {
            let mut grouping = Grouping::default();
            for batch in batches {
                let mut met: Vec<u32> = Vec::new();
                batch.iter().for_each(|i| if !met.contains(i) { met.push(*i) });
                let expected: Vec<u32> = met
                    .iter()
                    .flat_map(|m| (0..batch.len() as u32).filter(|&p| batch[p as usize] == *m))
                    .collect();
                prop_assert_eq!(grouping.order(batch.iter().copied()), &expected[..]);
            }
        }
    }
}
