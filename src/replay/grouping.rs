//! The order in which a batch is worked off: instrument by instrument.
//!
//! Instruments do not see each other, so only each one's own order matters. Working off all of
//! an instrument's events in a batch at once fetches its state from memory once, not once an
//! event; with a thousand interleaved instruments that is most of the cost.

/// Events for each instrument that make a good batch: what fetching its state costs is shared by them.
const EVENTS_PER_INSTRUMENT: usize = 32;

/// How many events make a good batch: some for each instrument, as far as memory goes.
pub fn batch_len(instruments: usize) -> usize {
    instruments.saturating_mul(EVENTS_PER_INSTRUMENT).clamp(4_096, 327_680)
}

/// An instrument and the positions of its events.
pub type Group<'a> = (u32, &'a [u32]);

/// Groups batches; reuses its memory.
#[derive(Debug, Default)]
pub struct Grouping {
    /// For each instrument where its next event goes; zero between batches.
    starts: Vec<u32>,
    /// The instruments of the batch as they are met, each with the end of its group.
    met: Vec<(u32, u32)>,
    /// The instrument of each position: read once from events that lie far apart, then here, where they lie together.
    instruments: Vec<u32>,
    order: Vec<u32>,
}

impl Grouping {
    /// Groups the positions of a batch by instrument (in the order in which they are first met), each
    /// group in the order of the batch. `instruments` gives the instrument of each position.
    pub fn group(&mut self, instruments: impl Iterator<Item = u32>) {
        self.met.clear();
        self.instruments.clear();
        self.instruments.extend(instruments);
        // Each place is written below.
        self.order.resize(self.instruments.len(), 0);
        for &instrument in &self.instruments {
            let at = instrument as usize;
            if at >= self.starts.len() {
                self.starts.resize(at + 1, 0);
            }
            let count = &mut self.starts[at];
            if *count == 0 {
                self.met.push((instrument, 0));
            }
            *count += 1;
        }
        if let [(instrument, end)] = &mut self.met[..] {
            *end = self.order.len() as u32;
            self.order.iter_mut().zip(0..).for_each(|(slot, position)| *slot = position);
            self.starts[*instrument as usize] = 0;
            return;
        }
        let mut start = 0;
        for (instrument, end) in &mut self.met {
            let count = std::mem::replace(&mut self.starts[*instrument as usize], start);
            start += count;
            *end = start;
        }
        for (position, &instrument) in self.instruments.iter().enumerate() {
            let slot = &mut self.starts[instrument as usize];
            self.order[*slot as usize] = position as u32;
            *slot += 1;
        }
        for (instrument, _) in &self.met {
            self.starts[*instrument as usize] = 0;
        }
    }

    /// As [`Self::groups`], each with the groups that come `N`, ..., 1 turns later: so that what they
    /// need can be asked for ahead.
    pub fn groups_ahead<const N: usize>(&self) -> impl Iterator<Item = (Group<'_>, [Option<Group<'_>>; N])> {
        let mut ahead: [_; N] = std::array::from_fn(|i| self.groups().skip(N - i));
        self.groups().map(move |group| (group, ahead.each_mut().map(Iterator::next)))
    }

    /// The groups of the last batch: an instrument and the positions of its events.
    pub fn groups(&self) -> impl Iterator<Item = Group<'_>> {
        let mut start = 0;
        self.met.iter().map(move |&(instrument, end)| {
            let group = &self.order[start..end as usize];
            start = end as usize;
            (instrument, group)
        })
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
                grouping.group(batch.iter().copied());
                let (mut order, mut instruments) = (Vec::new(), Vec::new());
                for (instrument, group) in grouping.groups() {
                    prop_assert!(!group.is_empty() && group.iter().all(|&at| batch[at as usize] == instrument));
                    order.extend_from_slice(group);
                    instruments.push(instrument);
                }
                prop_assert_eq!(order, expected);
                let next: Vec<_> = grouping.groups_ahead::<1>().map(|(_, [next])| next).collect();
                prop_assert!(next.into_iter().flatten().eq(grouping.groups().skip(1)));
                prop_assert_eq!(instruments, met);
            }
        }
    }
}
