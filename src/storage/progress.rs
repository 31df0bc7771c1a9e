//! Up to where a store has what each symbol told: noted as rows go in, for the next start.
//!
//! A symbol tells in the order of its log, and all of one event together: so what it told last says it of all before.
//! That holds no longer once something was left out; then nothing may be said until it was told again.

use crate::domain::output::Position;
use crate::domain::told::Watch;
use crate::runtime::sink::Batch;

/// By symbol, the event that caused what went in last.
#[derive(Debug)]
pub struct Progress {
    /// By watch; zero: nothing of it went in.
    at: Vec<Position>,
    /// Those that changed since they were last handed on.
    changed: Vec<Watch>,
    is_changed: Vec<bool>,
}

impl Progress {
    pub fn new(symbols: usize) -> Self {
        Self { at: vec![Position(0); symbols], changed: Vec::new(), is_changed: vec![false; symbols] }
    }

    /// The batch goes in behind those before.
    pub fn note(&mut self, batch: &Batch) {
        for telling in &batch.tellings {
            let place = telling.watch.0 as usize;
            self.at[place] = telling.at;
            if !std::mem::replace(&mut self.is_changed[place], true) {
                self.changed.push(telling.watch);
            }
        }
    }

    /// Those that changed.
    pub fn changed(&self) -> impl Iterator<Item = (Watch, Position)> + '_ {
        self.changed.iter().map(|watch| (*watch, self.at[watch.0 as usize]))
    }

    /// They are written down.
    pub fn written(&mut self) {
        self.changed.drain(..).for_each(|watch| self.is_changed[watch.0 as usize] = false);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::history::trial::{batch, telling, told_candle};

    #[test]
    fn the_last_of_each_symbol_counts() {
        let mut progress = Progress::new(3);
        assert_eq!(progress.changed().count(), 0);
        progress.note(&batch(vec![
            telling(2, 4, told_candle(1, 0)),
            telling(0, 7, told_candle(1, 0)),
            telling(2, 9, told_candle(2, 0)),
        ]));
        let changed: Vec<_> = progress.changed().collect();
        assert_eq!(changed, [(Watch(2), Position(9)), (Watch(0), Position(7))]);
        progress.written();
        assert_eq!(progress.changed().count(), 0);
        progress.note(&batch(vec![telling(0, 8, told_candle(3, 0))]));
        assert_eq!(progress.changed().collect::<Vec<_>>(), [(Watch(0), Position(8))]);
    }
}
