//! The sides from which a candle is looked at: four channels that detectors share.
//!
//! Return in units of the expected volatility, volume, price impact, and the mean impact of the last candles, which
//! tells what lasts (a frozen feed, a burst, a market that dried up) from one odd candle.

use crate::analytics::features::Features;
use crate::analytics::rolling::moments::Moments;
use crate::analytics::rolling::state::State;

/// What a channel is called in findings; a low volume has a name of its own, for no burst is meant.
pub const CHANNELS: [&str; 5] = ["return", "volume", "impact", "lasting_impact", "drought"];

/// What the value of a channel is, in words.
pub const WORDS: [&str; 4] = [
    "return in units of the expected volatility",
    "logarithm of the volume",
    "price impact (log of range by root of volume)",
    "mean price impact of ten candles (log of range by root of volume)",
];

/// Candles in the mean.
const MEAN: usize = 10;

/// The name of a channel, by the side on which its value lies.
pub fn name(channel: usize, above: bool) -> &'static str {
    const VOLUME: usize = 1;
    if channel == VOLUME && !above { CHANNELS[4] } else { CHANNELS[channel] }
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
