//! How often something may be done: a bucket that fills evenly, and a door that a venue may shut.
//!
//! Pure: time is a parameter. One pacer is shared by all shards; REST requests to a venue go through
//! one, its connection attempts through another. Whoever must wait is told how long.

use std::time::Duration;

use crate::runtime::clock::Mono;
use crate::venues::dialect::Rate;

/// A bucket of weight.
#[derive(Clone, Debug)]
pub struct Pacer {
    rate: Rate,
    /// What may be spent at once.
    burst: f64,
    available: f64,
    filled_at: Mono,
    shut_until: Option<Mono>,
}

impl Pacer {
    /// Full at `now`. A third of the rate's count may be spent at once: a start that spends a minute's worth
    /// in a second looks like an attack, and leaves nothing for a gap.
    pub fn new(rate: Rate, now: Mono) -> Self {
        let burst = (f64::from(rate.count) / 3.0).max(1.0);
        Self { rate, burst, available: burst, filled_at: now, shut_until: None }
    }

    fn fill(&mut self, now: Mono) {
        let seconds = now.since(self.filled_at).as_secs_f64();
        self.filled_at = self.filled_at.max(now);
        self.available = (self.available + seconds * self.per_second()).min(self.burst);
    }

    fn per_second(&self) -> f64 {
        f64::from(self.rate.count) / self.rate.per.as_secs_f64()
    }

    /// How long to wait until so much may be spent; zero: now. More than the burst waits for a full bucket.
    pub fn wait(&mut self, weight: u32, now: Mono) -> Duration {
        self.fill(now);
        let shut = self.shut_until.map_or(Duration::ZERO, |until| until.since(now));
        let short = (f64::from(weight).min(self.burst) - self.available).max(0.0);
        // A hair more, so that who comes back in time is not sent away again.
        let dry = if short > 0.0 {
            Duration::from_secs_f64(short / self.per_second() + 0.000_1)
        } else {
            Duration::ZERO
        };
        shut.max(dry)
    }

    /// Spends the weight, or says how long to wait.
    pub fn take(&mut self, weight: u32, now: Mono) -> Result<(), Duration> {
        let wait = self.wait(weight, now);
        if !wait.is_zero() {
            return Err(wait);
        }
        self.available -= f64::from(weight);
        Ok(())
    }

    /// Nothing for so long: what a `Retry-After` says binds everybody.
    pub fn shut(&mut self, time: Duration, now: Mono) {
        let until = now.after(time);
        self.shut_until = Some(self.shut_until.map_or(until, |known| known.max(until)));
    }

    /// The venue counts more than we do (others share our address): what is left of its window is all.
    pub fn note_used(&mut self, used: u32, now: Mono) {
        self.fill(now);
        // A count beyond all reason is none: one window later everything is forgotten in any case.
        let used = used.min(self.rate.count.saturating_mul(2));
        self.available = self.available.min(f64::from(self.rate.count) - f64::from(used));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: Rate = Rate { count: 60, per: Duration::from_secs(60) };

    fn at(seconds: f64) -> Mono {
        Mono::default().after(Duration::from_secs_f64(seconds))
    }

    #[test]
    fn the_rate_is_kept_over_time() {
        let mut pacer = Pacer::new(RATE, at(0.0));
        let mut taken = 0;
        for tenth in 0..6_000 {
            taken += u32::from(pacer.take(1, at(f64::from(tenth) / 10.0)).is_ok());
        }
        assert!((600..=620).contains(&taken), "{taken} in ten minutes of 60 a minute, and a burst of 20");
    }

    #[test]
    fn who_waits_as_told_is_served() {
        let mut pacer = Pacer::new(RATE, at(0.0));
        assert_eq!(pacer.take(20, at(0.0)), Ok(()));
        let wait = pacer.take(5, at(0.0)).unwrap_err();
        assert!(wait > Duration::from_secs(4) && wait < Duration::from_secs(6), "{wait:?}");
        assert_eq!(pacer.take(5, at(wait.as_secs_f64())), Ok(()));
        assert!(pacer.take(1_000, at(600.0)).is_ok(), "more than fits waits for a full bucket, not for ever");
        assert!(pacer.take(1, at(601.0)).is_err(), "and is paid for afterwards");
    }

    #[test]
    fn a_shut_door_binds_everybody() {
        let mut pacer = Pacer::new(RATE, at(0.0));
        pacer.shut(Duration::from_secs(7), at(1.0));
        pacer.shut(Duration::from_secs(2), at(1.0));
        assert_eq!(pacer.take(1, at(2.0)), Err(Duration::from_secs(6)));
        assert_eq!(pacer.take(1, at(8.0)), Ok(()));
    }

    #[test]
    fn the_venues_own_count_is_believed() {
        let mut pacer = Pacer::new(RATE, at(0.0));
        pacer.note_used(59, at(0.0));
        assert_eq!(pacer.take(1, at(0.0)), Ok(()));
        assert!(pacer.take(1, at(0.0)).is_err());
        pacer.note_used(u32::MAX, at(0.0));
        let wait = pacer.wait(1, at(0.0));
        assert!(
            wait > Duration::from_secs(60) && wait < Duration::from_secs(62),
            "a window, not a year: {wait:?}"
        );
    }
}
