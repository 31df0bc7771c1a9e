//! What a client has asked for.
//!
//! Each subscription becomes one selection a channel; a message is sent once, however many selections
//! want it.

use crate::api::feed::channel::{Channel, Topic};
use crate::domain::insight::Severity;
use crate::domain::told::Watch;

/// A set of instruments of the roster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WatchSet {
    bits: Box<[u64]>,
}

impl WatchSet {
    /// Of a roster of `size` instruments.
    pub fn empty(size: usize) -> Self {
        Self { bits: vec![0; size.div_ceil(64)].into() }
    }

    pub fn all(size: usize) -> Self {
        let mut set = Self::empty(size);
        (0..size as u32).for_each(|at| set.insert(Watch(at)));
        set
    }

    pub fn insert(&mut self, watch: Watch) {
        self.bits[watch.0 as usize / 64] |= 1 << (watch.0 % 64);
    }

    fn contains(&self, watch: Watch) -> bool {
        self.bits.get(watch.0 as usize / 64).is_some_and(|word| word >> (watch.0 % 64) & 1 == 1)
    }

    fn covers(&self, other: &Self) -> bool {
        self.bits.iter().zip(&other.bits).all(|(own, other)| other & !own == 0)
    }

    /// Whether anything is left.
    fn remove(&mut self, other: &Self) -> bool {
        self.bits.iter_mut().zip(&other.bits).for_each(|(own, other)| *own &= !other);
        self.bits.iter().any(|&word| word != 0)
    }
}

/// What is wanted of one channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selection {
    pub watches: WatchSet,
    /// Bits of the kinds of signals that are wanted.
    pub kinds: u8,
    /// Of signals.
    pub min_severity: Severity,
    /// Only messages above it.
    pub after: u64,
}

impl Selection {
    fn takes(&self, topic: &Topic) -> bool {
        topic.watch.is_none_or(|watch| self.watches.contains(watch))
            && topic.kind.is_none_or(|kind| self.kinds >> kind as u8 & 1 == 1)
            && topic.severity.is_none_or(|severity| severity >= self.min_severity)
    }

    fn covers(&self, other: &Self) -> bool {
        self.watches.covers(&other.watches)
            && other.kinds & !self.kinds == 0
            && self.min_severity <= other.min_severity
            && self.after <= other.after
    }
}

/// All selections of a client.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Channels that have one.
    channels: u8,
    selections: [Vec<Selection>; Channel::ALL.len()],
}

impl Filter {
    pub fn is_empty(&self) -> bool {
        self.channels == 0
    }

    pub fn len(&self) -> usize {
        self.selections.iter().map(Vec::len).sum()
    }

    /// What another selection asks for already is not added.
    pub fn add(&mut self, channel: Channel, selection: Selection) {
        let list = &mut self.selections[channel as usize];
        if list.iter().any(|known| known.covers(&selection)) {
            return;
        }
        list.retain(|known| !selection.covers(known));
        list.push(selection);
        self.channels |= channel.bit();
    }

    /// Takes instruments out of a channel; whether it had asked for any of the channel.
    pub fn remove(&mut self, channel: Channel, watches: &WatchSet) {
        let list = &mut self.selections[channel as usize];
        list.retain_mut(|selection| selection.watches.remove(watches));
        if list.is_empty() {
            self.channels &= !channel.bit();
        }
    }

    /// Whether a message of the tail is wanted.
    pub fn wants(&self, topic: &Topic) -> bool {
        self.channels & topic.channel.bit() != 0
            && self.selections[topic.channel as usize].iter().any(|selection| selection.takes(topic))
    }

    /// Whether a message of that number has been sent, or will be.
    pub fn wants_at(&self, topic: &Topic, seq: u64) -> bool {
        self.channels & topic.channel.bit() != 0
            && self.selections[topic.channel as usize]
                .iter()
                .any(|selection| seq > selection.after && selection.takes(topic))
    }

    /// Whether it asks for what lives in the ring alone, at or below that number.
    pub fn wants_unkept(&self, seq: u64) -> bool {
        let unkept = Channel::ALL.into_iter().filter(|channel| !channel.is_kept());
        unkept.flat_map(|channel| &self.selections[channel as usize]).any(|selection| selection.after < seq)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::insight::SignalKind;

    fn selection(watches: &[u32], kinds: u8, min_severity: Severity, after: u64) -> Selection {
        let mut set = WatchSet::empty(100);
        watches.iter().for_each(|&watch| set.insert(Watch(watch)));
        Selection { watches: set, kinds, min_severity, after }
    }

    fn signal(watch: u32, kind: SignalKind, severity: Severity) -> Topic {
        Topic {
            watch: Some(Watch(watch)),
            channel: Channel::Signals,
            kind: Some(kind),
            severity: Some(severity),
        }
    }

    #[test]
    fn selections_look_at_instrument_kind_and_severity() {
        let mut filter = Filter::default();
        assert!(filter.is_empty());
        filter.add(Channel::Signals, selection(&[1, 99], 0b00001, Severity::Warning, 0));
        let check = |watch, kind, severity, expected| {
            assert_eq!(
                filter.wants(&signal(watch, kind, severity)),
                expected,
                "{watch} {kind:?} {severity:?}"
            );
        };
        check(1, SignalKind::Anomaly, Severity::Warning, true);
        check(99, SignalKind::Anomaly, Severity::Critical, true);
        check(2, SignalKind::Anomaly, Severity::Critical, false);
        check(1, SignalKind::Quality, Severity::Critical, false);
        check(1, SignalKind::Anomaly, Severity::Info, false);
        let candle = Topic { channel: Channel::Candles, ..signal(1, SignalKind::Anomaly, Severity::Warning) };
        assert!(!filter.wants(&candle));
        assert!(!filter.wants_unkept(u64::MAX));
    }

    #[test]
    fn what_belongs_to_no_instrument_is_for_all() {
        let mut filter = Filter::default();
        filter.add(Channel::Status, selection(&[7], 0xff, Severity::Info, 0));
        assert!(filter.wants(&Topic { watch: None, channel: Channel::Status, kind: None, severity: None }));
    }

    #[test]
    fn subscriptions_add_up_and_are_taken_back() {
        let mut filter = Filter::default();
        filter.add(Channel::Trades, selection(&[1, 2, 3], 0xff, Severity::Info, 0));
        filter.add(Channel::Trades, selection(&[2], 0xff, Severity::Info, 5));
        assert_eq!(filter.len(), 1, "covered by the first");
        filter.add(Channel::Trades, selection(&[4], 0xff, Severity::Info, 0));
        filter.add(Channel::Trades, selection(&[4, 5], 0xff, Severity::Info, 0));
        assert_eq!(filter.len(), 2, "covers the one before");
        assert!(filter.wants_unkept(1) && !filter.wants_unkept(0));
        let trade =
            |watch| Topic { watch: Some(Watch(watch)), channel: Channel::Trades, kind: None, severity: None };
        filter.remove(Channel::Trades, &selection(&[1, 5, 9], 0, Severity::Info, 0).watches);
        let wanted: Vec<_> = (0..8).filter(|&watch| filter.wants(&trade(watch))).collect();
        assert_eq!(wanted, [2, 3, 4]);
        filter.remove(Channel::Trades, &WatchSet::all(100));
        assert!(filter.is_empty() && !filter.wants(&trade(2)));
    }

    #[test]
    fn numbers_count_from_where_a_selection_began() {
        let mut filter = Filter::default();
        filter.add(Channel::Signals, selection(&[1], 0xff, Severity::Info, 10));
        let topic = signal(1, SignalKind::Quality, Severity::Info);
        assert!(!filter.wants_at(&topic, 10));
        assert!(filter.wants_at(&topic, 11));
    }
}
