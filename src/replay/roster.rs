//! The instruments of a run, numbered as they are met.

use std::collections::BTreeMap;

use crate::domain::instrument::Instrument;
use crate::domain::venue::IdRule;

/// An instrument's number within one run; means nothing outside of it and orders nothing in any output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InstrumentIndex(pub u32);

/// Numbers instruments. An instrument that one recording calls by ids and another does not
/// follows the weaker rule.
#[derive(Debug, Default)]
pub struct Roster {
    indices: BTreeMap<Instrument, InstrumentIndex>,
    listed: Vec<(Instrument, IdRule)>,
}

impl Roster {
    /// The number of the instrument, a new one where it was not met before.
    pub fn enlist(&mut self, instrument: &Instrument, rule: IdRule) -> InstrumentIndex {
        if let Some(&index) = self.indices.get(instrument) {
            let known = &mut self.listed[index.0 as usize].1;
            *known = (*known).max(rule);
            return index;
        }
        let index = InstrumentIndex(u32::try_from(self.listed.len()).expect("fewer than 2^32 instruments"));
        self.indices.insert(instrument.clone(), index);
        self.listed.push((instrument.clone(), rule));
        index
    }

    /// The number of an instrument that was met.
    pub fn find(&self, instrument: &Instrument) -> Option<InstrumentIndex> {
        self.indices.get(instrument).copied()
    }

    pub fn get(&self, index: InstrumentIndex) -> &(Instrument, IdRule) {
        &self.listed[index.0 as usize]
    }

    pub fn len(&self) -> usize {
        self.listed.len()
    }

    pub fn is_empty(&self) -> bool {
        self.listed.is_empty()
    }

    /// In order of number.
    pub fn iter(&self) -> impl Iterator<Item = (InstrumentIndex, &Instrument, IdRule)> {
        self.listed
            .iter()
            .enumerate()
            .map(|(i, (instrument, rule))| (InstrumentIndex(i as u32), instrument, *rule))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_given_once_and_the_weaker_rule_wins() {
        let mut roster = Roster::default();
        let btc: Instrument = "kraken:BTC-USD".parse().unwrap();
        let eth: Instrument = "kraken:ETH-USD".parse().unwrap();
        let index = roster.enlist(&btc, IdRule::Sparse);
        assert_ne!(roster.enlist(&eth, IdRule::Sparse), index);
        assert_eq!(roster.enlist(&btc, IdRule::Absent), index);
        assert_eq!(roster.get(index), &(btc, IdRule::Absent));
        assert_eq!(roster.len(), 2);
    }
}
