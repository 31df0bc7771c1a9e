//! Which rows were told anew while older ones are told again: these must not come behind them, for QuestDB keeps what
//! came last.

use std::collections::HashSet;
use std::sync::Arc;

use crate::domain::told::Told;
use crate::runtime::sink::{Batch, Telling};

/// Rows that are remembered; beyond them nothing older is taken any more.
const ROWS_MAX: usize = 1 << 22;

/// Rows, by a hash of what names them: one in 2^64 older rows is left out by mistake.
#[derive(Debug, Default)]
pub struct Newer {
    rows: HashSet<u64>,
}

impl Newer {
    /// Something is offered: what it tells anew is remembered.
    pub fn note(&mut self, batch: &Batch) {
        let revised = batch.tellings.iter().filter(|telling| is_revised(&telling.told));
        for row in revised.filter_map(row_of) {
            if self.rows.len() < ROWS_MAX {
                self.rows.insert(row);
            }
        }
    }

    /// Too much was told anew to tell it apart.
    pub fn is_full(&self) -> bool {
        self.rows.len() >= ROWS_MAX
    }

    /// An older batch without the rows that are newer already.
    pub fn without(&self, batch: &Arc<Batch>) -> Arc<Batch> {
        let is_newer = |telling: &Telling| row_of(telling).is_some_and(|row| self.rows.contains(&row));
        if self.rows.is_empty() || !batch.tellings.iter().any(is_newer) {
            return batch.clone();
        }
        let tellings = batch.tellings.iter().filter(|telling| !is_newer(telling)).cloned().collect();
        Arc::new(Batch { tellings, published: batch.published, recovered: batch.recovered })
    }
}

/// Whether the row may have been told before.
fn is_revised(told: &Told) -> bool {
    match told {
        Told::Candle(candle) => candle.revision > 0,
        Told::Indicator(values) => values.revision > 0,
        Told::Gap(_) => true,
        _ => false,
    }
}

/// `None`: such a row is told once.
fn row_of(telling: &Telling) -> Option<u64> {
    let watch = telling.watch.0;
    let name = match &telling.told {
        Told::Candle(candle) => {
            format!("candle|{watch}|{}|{}|{}", candle.interval, candle.open_at.0, candle.origin)
        }
        Told::Indicator(values) => {
            format!("indicator|{watch}|{}|{}|{}", values.interval, values.open_at.0, values.indicator)
        }
        Told::Gap(gap) => format!("gap|{watch}|{}", gap.id),
        _ => return None,
    };
    let hash = blake3::hash(name.as_bytes());
    Some(u64::from_le_bytes(hash.as_bytes()[..8].try_into().expect("a hash has 32 bytes")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::output::GapState;
    use crate::storage::history::trial::{batch, gap, telling, told_candle, told_indicator};

    #[test]
    fn what_was_told_anew_is_left_out() {
        let mut newer = Newer::default();
        newer.note(&batch(vec![
            telling(0, 9, told_candle(1, 1)),
            telling(0, 9, told_candle(2, 0)),
            telling(0, 9, told_indicator(3, 2, &[1.0, 2.0, 3.0])),
            telling(1, 9, Told::Gap(Box::new(gap(5, 0, GapState::Filled)))),
        ]));
        let older = batch(vec![
            telling(0, 1, told_candle(1, 0)),
            telling(1, 2, told_candle(1, 0)),
            telling(0, 3, told_candle(2, 0)),
            telling(0, 4, told_indicator(3, 0, &[1.0, 2.0, 3.0])),
            telling(0, 5, told_indicator(4, 0, &[1.0, 2.0, 3.0])),
            telling(1, 6, Told::Gap(Box::new(gap(5, 0, GapState::Open)))),
            telling(0, 7, Told::Gap(Box::new(gap(5, 0, GapState::Open)))),
        ]);
        let left: Vec<_> = newer.without(&older).tellings.iter().map(|telling| telling.at.0).collect();
        assert_eq!(left, [2, 3, 5, 7]);
        assert!(Arc::ptr_eq(&Newer::default().without(&older), &older));
    }
}
