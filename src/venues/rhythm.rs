//! How often a market trades, and how long a silence of it means nothing.
//!
//! The mean distance of trades is learnt as they come; patience is a multiple of it, within bounds. A silence
//! that turned out to be one (the venue says nothing traded) makes us more patient for a while, except
//! with a market that trades more than once a second: its silence has to be noticed each time.

use std::time::Duration;

use crate::runtime::clock::Mono;

/// Where trades come at random, a pause of so many means happens once in tens of thousands of trades.
const MEANS: f64 = 12.0;
const PATIENCE_MIN: Duration = Duration::from_secs(4);
const PATIENCE_MAX: Duration = Duration::from_secs(900);
/// Before anything is known of the market.
const PATIENCE_FIRST: Duration = Duration::from_secs(20);
/// A market whose trades are no further apart than this is fast.
const FAST: Duration = Duration::from_secs(1);
const EXCUSES_MAX: u32 = 5;
/// Weight of the newest distance.
const SMOOTHING: f64 = 1.0 / 32.0;

#[derive(Clone, Debug, Default)]
pub struct Rhythm {
    mean_seconds: Option<f64>,
    heard: Option<Mono>,
    /// Silences in a row that were true.
    excuses: u32,
}

impl Rhythm {
    /// A trade was heard.
    #[inline]
    pub fn beat(&mut self, now: Mono) {
        if let Some(heard) = self.heard {
            let distance = now.nanos_since(heard) as f64 / 1e9;
            self.mean_seconds = Some(match self.mean_seconds {
                None => distance,
                Some(mean) => mean + SMOOTHING * (distance - mean),
            });
        }
        self.heard = Some(now);
        self.excuses = 0;
    }

    /// The silence until now was true: nothing traded.
    pub fn excuse(&mut self, now: Mono) {
        self.excuses = (self.excuses + 1).min(EXCUSES_MAX);
        self.heard = Some(now);
    }

    /// Listening began (anew).
    pub fn start(&mut self, now: Mono) {
        self.heard = Some(now);
    }

    pub fn is_fast(&self) -> bool {
        self.mean_seconds.is_some_and(|mean| mean <= FAST.as_secs_f64())
    }

    pub fn patience(&self) -> Duration {
        let plain = match self.mean_seconds {
            None => PATIENCE_FIRST,
            Some(mean) => Duration::from_secs_f64((mean * MEANS).min(PATIENCE_MAX.as_secs_f64())),
        };
        let plain = plain.max(PATIENCE_MIN);
        if self.is_fast() {
            plain.min(2 * PATIENCE_MIN)
        } else {
            (plain * (1 << self.excuses)).min(PATIENCE_MAX)
        }
    }

    /// Whether it has been silent for longer than its rhythm explains.
    pub fn is_suspicious(&self, now: Mono) -> bool {
        self.heard.is_some_and(|heard| now.since(heard) > self.patience())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn beating(every: Duration, times: u32) -> (Rhythm, Mono) {
        let (mut rhythm, mut now) = (Rhythm::default(), Mono::default());
        for _ in 0..times {
            now = now.after(every);
            rhythm.beat(now);
        }
        (rhythm, now)
    }

    #[test]
    fn a_fast_market_is_missed_soon_and_each_time() {
        let (mut rhythm, now) = beating(Duration::from_millis(900), 200);
        assert!(rhythm.is_fast());
        for _ in 0..10 {
            rhythm.excuse(now);
        }
        assert!(!rhythm.is_suspicious(now.after(Duration::from_secs(4))));
        assert!(rhythm.is_suspicious(now.after(Duration::from_secs(11))));
    }

    #[test]
    fn a_quiet_market_is_given_time() {
        let (mut rhythm, now) = beating(Duration::from_secs(20), 50);
        let first = rhythm.patience();
        assert!(first > Duration::from_secs(200) && first < Duration::from_secs(300), "{first:?}");
        rhythm.excuse(now);
        assert!(rhythm.patience() > first);
        for _ in 0..40 {
            rhythm.excuse(now);
        }
        assert_eq!(rhythm.patience(), PATIENCE_MAX);
    }

    #[test]
    fn nothing_is_suspected_before_listening() {
        let mut rhythm = Rhythm::default();
        assert!(!rhythm.is_suspicious(Mono::default().after(Duration::from_secs(9_999))));
        rhythm.start(Mono::default());
        assert!(rhythm.is_suspicious(Mono::default().after(Duration::from_secs(21))));
    }

    #[test]
    fn a_burst_after_a_pause_does_not_make_a_market_fast_for_ever() {
        let (mut rhythm, mut now) = beating(Duration::from_micros(10), 1_000);
        assert!(rhythm.is_fast());
        for _ in 0..20 {
            now = now.after(Duration::from_secs(60));
            rhythm.beat(now);
        }
        assert!(!rhythm.is_fast());
    }
}
