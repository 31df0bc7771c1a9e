//! When something that goes on is told: as it begins, and not again until it was over and some time has passed.

use crate::analytics::rolling::state::State;
use crate::analytics::signals::entry::RuleSettings;

/// Cool-down and hysteresis of one condition, counted in candles.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    cooldown: u64,
    /// Candles without it after which it is over.
    hysteresis: u64,
    /// Candles since it was told last; `None`: never.
    since: Option<u64>,
    /// Candles in a row without it.
    calm: u64,
    goes_on: bool,
}

impl Pace {
    /// As the rule's `cooldown` and `hysteresis` say.
    pub fn new(settings: &RuleSettings) -> Self {
        let (cooldown, hysteresis) = (settings.count("cooldown"), settings.count("hysteresis"));
        Self { cooldown, hysteresis, since: None, calm: 0, goes_on: false }
    }

    /// A candle with it or without it: whether to tell.
    ///
    /// What begins within the cool-down is part of what was told: it is not told later either.
    pub fn step(&mut self, holds: bool) -> bool {
        self.since = self.since.map(|since| since.saturating_add(1));
        if !holds {
            self.calm = self.calm.saturating_add(1);
            self.goes_on &= self.calm < self.hysteresis;
            return false;
        }
        self.calm = 0;
        let is_cool = self.since.is_none_or(|since| since >= self.cooldown);
        let tell = !std::mem::replace(&mut self.goes_on, true) && is_cool;
        if tell {
            self.since = Some(0);
        }
        tell
    }

    pub fn state(&mut self, state: &mut State<'_>) {
        state.option_word(&mut self.since);
        state.word(&mut self.calm);
        state.bool(&mut self.goes_on);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `x` is a candle with it; the candles at which it is told are marked `!`.
    fn check(cooldown: u64, hysteresis: u64, candles: &str) {
        let mut pace = Pace { cooldown, hysteresis, since: None, calm: 0, goes_on: false };
        let told: String = candles
            .chars()
            .map(|candle| match (candle != '.', pace.step(candle != '.')) {
                (_, true) => '!',
                (true, false) => 'x',
                (false, false) => '.',
            })
            .collect();
        assert_eq!(told, candles, "cooldown {cooldown}, hysteresis {hysteresis}");
    }

    #[test]
    fn it_is_told_as_it_begins() {
        check(0, 1, "..!xxx.!.!");
        check(0, 2, "..!xxx.x..!");
        check(5, 1, "!x.x.!x.x.!.x");
        // What began within the cool-down goes on untold.
        check(5, 1, "!.xxxxxxx.!");
        check(1, 3, "!..x..x...!");
    }
}
