//! Instruments of a text whose rows name their own.

use std::collections::HashMap;

use crate::domain::event::{Event, Trade, TradeId};
use crate::domain::frame::TradeKind;
use crate::domain::instrument::Instrument;
use crate::domain::venue::IdRule;
use crate::replay::decoder::{Batch, Stream};
use crate::replay::roster::InstrumentIndex;

/// Spellings remembered; a text with more is no recording.
const SPELLINGS_MAX: usize = 1_000_000;

/// Spellings met so far, each resolved once.
#[derive(Default)]
pub struct Instruments {
    known: HashMap<Box<[u8]>, (InstrumentIndex, IdRule)>,
    /// The last one: recordings rarely change the instrument from row to row.
    last: Option<(Box<[u8]>, InstrumentIndex, IdRule)>,
}

impl Instruments {
    /// The number of the instrument that is spelled so, and the rule of its ids.
    #[inline]
    pub fn index<E: From<String>>(
        &mut self,
        spelling: &[u8],
        batch: &mut Batch,
        resolve: impl FnOnce() -> Result<(Instrument, IdRule), E>,
    ) -> Result<(InstrumentIndex, IdRule), E> {
        if let Some((last, index, rule)) = &self.last
            && **last == *spelling
        {
            return Ok((*index, *rule));
        }
        let (index, rule) = match self.known.get(spelling) {
            Some(&known) => known,
            None => {
                if self.known.len() >= SPELLINGS_MAX {
                    return Err(E::from(format!("more than {SPELLINGS_MAX} instruments in one file")));
                }
                let (instrument, rule) = resolve()?;
                let index = batch.enlist(instrument, rule, Stream::Trades(TradeKind::Raw));
                self.known.insert(spelling.into(), (index, rule));
                (index, rule)
            }
        };
        self.last = Some((spelling.into(), index, rule));
        Ok((index, rule))
    }
}

/// Pushes a trade whose id fits the rule, or says why not.
pub fn push_ruled(
    (index, rule): (InstrumentIndex, IdRule),
    number: u64,
    trade: Trade,
    batch: &mut Batch,
) -> Result<(), String> {
    if trade.id == TradeId::Absent && rule != IdRule::Absent {
        return Err("the trade has no id, and the venue promises one".to_owned());
    }
    batch.push(index, number, Event::Trade(trade));
    Ok(())
}

/// The rule of a text's ids: the venue's, unless the text shows none where nothing can be missed by that.
/// A venue whose ids are contiguous promises them, and then each row must have one.
pub fn rule_of(instrument: &Instrument, text_has_ids: bool) -> IdRule {
    match instrument.venue().id_rule() {
        Some(IdRule::Contiguous) => IdRule::Contiguous,
        Some(rule) if text_has_ids => rule,
        None if text_has_ids => IdRule::Sparse,
        _ => IdRule::Absent,
    }
}
