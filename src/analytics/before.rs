//! What an event changes, as it was: whether a candle has to be told again is seen when the event is done.

use crate::analytics::rolling::state::State;
use crate::analytics::sums::Sums;
use crate::domain::time::UnixNanos;

/// A candle that the current event changed, as it was before.
#[derive(Debug)]
pub struct Before {
    pub open_at: UnixNanos,
    /// `None`: there was no candle.
    pub sums: Option<Sums>,
    pub partial: bool,
}

impl Before {
    pub fn state(&mut self, state: &mut State<'_>) {
        state.i64(&mut self.open_at.0);
        state.bool(&mut self.partial);
        let mut some = self.sums.is_some();
        state.bool(&mut some);
        self.sums = some.then(|| self.sums.take().unwrap_or_else(Sums::blank));
        if let Some(sums) = &mut self.sums {
            sums.state(state);
        }
    }
}
