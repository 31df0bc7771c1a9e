//! The sides from which a candle is looked at: four channels that detectors share.
//!
//! Return in units of the expected volatility, volume, price impact, and the mean impact of the last candles, which
//! tells what lasts (a frozen feed, a burst, a market that dried up) from one odd candle.

use crate::analytics::estimators::moments::weight_of_newest;
use crate::analytics::features::Features;
use crate::analytics::rolling::moments::Moments;
use crate::analytics::rolling::state::State;

/// What a channel is called in findings; a low volume has a name of its own, for no burst is meant.
pub const CHANNELS: [&str; 5] = ["return", "volume", "impact", "lasting_impact", "drought"];

/// Candles in the mean.
const MEAN: usize = 10;
/// Weight of the newest candle in what was usual lately.
const RECENT_WEIGHT: f64 = 0.02;

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
    recent: Option<Recent>,
}

/// What was usual lately: exponentially weighted means of volume and impact.
#[derive(Clone, Copy, Debug, Default)]
struct Recent {
    seen: u64,
    volume: f64,
    impact: f64,
}

impl Sides {
    /// The channels as they are, for who holds them against a recent mean itself.
    pub fn plain() -> Self {
        Self { impacts: Moments::new(MEAN), recent: None }
    }

    /// Volume and mean impact less what they were on the mean lately: for who remembers days, in which a market is busy
    /// and quiet by turns. A shift of half an hour is small beside those, and large beside the hour before it.
    pub fn against_recent() -> Self {
        Self { recent: Some(Recent::default()), ..Self::plain() }
    }

    /// The channels of the next candle; `None` where it takes more candles.
    #[inline]
    pub fn of(&mut self, features: &Features) -> [Option<f64>; 4] {
        self.impacts.push(features.impact);
        let lasting = self.impacts.is_full().then(|| self.impacts.mean());
        let (volume, impact) = (features.log_volume, features.impact);
        let [volume, lasting] = match &mut self.recent {
            None => [Some(volume), lasting],
            Some(recent) => recent.less(volume, impact, lasting),
        };
        [Some(features.scaled_return), volume, Some(impact), lasting]
    }

    /// A hole: no mean of the last candles reaches over it.
    pub fn interrupt(&mut self) {
        self.impacts = Moments::new(MEAN);
    }

    /// Visits every word of mutable state.
    pub fn state(&mut self, state: &mut State<'_>) {
        self.impacts.state(state);
        if let Some(recent) = &mut self.recent {
            state.word(&mut recent.seen);
            state.f64(&mut recent.volume);
            state.f64(&mut recent.impact);
        }
    }
}

impl Recent {
    /// Volume and mean impact less what was usual before the candle, from which it learns then.
    #[inline]
    fn less(&mut self, volume: f64, impact: f64, lasting: Option<f64>) -> [Option<f64>; 2] {
        let less = [Some(volume - self.volume), lasting.map(|lasting| lasting - self.impact)];
        self.seen = self.seen.saturating_add(1);
        let weight = weight_of_newest(RECENT_WEIGHT, self.seen);
        self.volume += weight * (volume - self.volume);
        self.impact += weight * (impact - self.impact);
        if self.seen > 1 { less } else { [None; 2] }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn against_recent_a_market_that_is_always_busy_is_as_one_that_is_always_quiet() {
        let channels = |volume: f64, impact: f64| {
            let mut sides = Sides::against_recent();
            let row = |i: u32| Features {
                log_volume: volume + f64::from(i % 3),
                impact: impact + f64::from(i % 2),
                ..Features::default()
            };
            assert_eq!(sides.of(&row(0))[1], None, "nothing was usual yet");
            (1..400).map(|i| sides.of(&row(i))).last().unwrap()
        };
        let (quiet, busy) = (channels(-2.0, 1.0), channels(14.0, -3.0));
        for side in [1, 3] {
            let (quiet, busy) = (quiet[side].unwrap(), busy[side].unwrap());
            assert!((quiet - busy).abs() < 1e-9 && quiet.abs() < 1.5, "{side}: {quiet}, {busy}");
        }
    }

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
