//! The sides from which a candle is looked at: four channels that detectors share.
//!
//! Return in units of the expected volatility, volume, price impact, and the mean impact of the last candles, which
//! tells what lasts (a frozen feed, a burst, a market that dried up) from one odd candle.

use crate::analytics::features::Features;
use crate::analytics::rolling::moments::Moments;
use crate::analytics::rolling::state::State;

/// What a channel is called in findings; a low volume has a name of its own, for no burst is meant.
pub const CHANNELS: [&str; 5] = ["return", "volume", "impact", "lasting_impact", "drought"];

/// Candles in the mean.
const MEAN: usize = 10;

/// The name of a channel, by the side on which its value lies.
pub fn name(channel: usize, above: bool) -> &'static str {
    const VOLUME: usize = 1;
    if channel == VOLUME && !above { CHANNELS[4] } else { CHANNELS[channel] }
}

/// What the value of a channel is, in words, against the channel's mean.
pub fn words(channel: usize, value: f64, mean: f64) -> String {
    // Volume and impact are logarithms.
    let times = libm::exp(value - mean);
    let times = if times >= 10.0 { format!("{times:.0}") } else { format!("{times:.2}") };
    match channel {
        0 => format!("the return is {value:.1} times the volatility that was expected"),
        1 => format!("the volume is {times} times its recent mean"),
        2 => format!("the price moved {times} times as far as usual for what was traded"),
        _ => format!("for ten candles the price moved {times} times as far as usual for what was traded"),
    }
}

/// How seldom that is.
pub fn seldom(tail: f64) -> String {
    if tail < 1e-6 {
        return "less than once in a million candles".to_owned();
    }
    format!("about once in {:.0} candles", 1.0 / tail)
}

/// Makes the channels of one candle after another.
#[derive(Clone, Debug)]
pub struct Sides {
    impacts: Moments<1>,
}

impl Default for Sides {
    fn default() -> Self {
        Self { impacts: Moments::new(MEAN) }
    }
}

impl Sides {
    /// The channels of the next candle; `None` where it takes more candles.
    #[inline]
    pub fn of(&mut self, features: &Features) -> [Option<f64>; 4] {
        self.impacts.push(features.impact);
        [
            Some(features.scaled_return),
            Some(features.log_volume),
            Some(features.impact),
            self.impacts.is_full().then(|| self.impacts.mean()),
        ]
    }

    /// A hole: no mean reaches over it.
    pub fn interrupt(&mut self) {
        *self = Self::default();
    }

    /// Visits every word of mutable state.
    pub fn state(&mut self, state: &mut State<'_>) {
        self.impacts.state(state);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logarithms_are_told_as_times() {
        assert_eq!(words(0, -6.18, 0.0), "the return is -6.2 times the volatility that was expected");
        assert_eq!(words(1, 3.0 + libm::log(12.0), 3.0), "the volume is 12 times its recent mean");
        assert!(words(3, -1.0, 0.0).contains("0.37 times as far"));
        assert_eq!(
            [seldom(1e-3), seldom(1e-12)],
            ["about once in 1000 candles", "less than once in a million candles"]
        );
        assert_eq!([name(1, true), name(1, false), name(2, false)], ["volume", "drought", "impact"]);
    }
}
