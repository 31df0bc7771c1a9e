//! What is usual at a time of day: an exponentially weighted mean for each stretch of the day.
//!
//! A day's visit to a stretch counts once, by its mean, when the stretch is visited on a later day; so
//! today is compared with other days alone. O(1) a value, five numbers a stretch.

use crate::analytics::rolling::state::State;
use crate::domain::time::{NANOS_PER_DAY, UnixNanos};

/// Days since 1970 begin here: no day was seen.
const NEVER: i64 = i64::MIN;

/// The usual course of a day, UTC.
#[derive(Clone, Debug)]
pub struct DayProfile {
    /// Smallest weight of the newest day.
    weight: f64,
    stretches: Box<[Stretch]>,
}

#[derive(Clone, Copy, Debug)]
struct Stretch {
    mean: f64,
    days: u64,
    /// The day that is being summed.
    day: i64,
    sum: f64,
    count: u64,
}

impl DayProfile {
    /// So many stretches of equal length, at least 1; `weight` of the newest day, above 0 to 1.
    pub fn new(stretches: usize, weight: f64) -> Self {
        assert!(stretches > 0, "a day has a stretch");
        let blank = Stretch { mean: 0.0, days: 0, day: NEVER, sum: 0.0, count: 0 };
        Self { weight, stretches: vec![blank; stretches].into() }
    }

    /// Takes a value; gives back how far it lies above what is usual at that time. `None` until an earlier
    /// day was there then.
    #[inline]
    pub fn residual(&mut self, at: UnixNanos, value: f64) -> Option<f64> {
        let day = at.0.div_euclid(NANOS_PER_DAY);
        let of_day = at.0.rem_euclid(NANOS_PER_DAY) as u64;
        let count = self.stretches.len() as u64;
        // Below 2^64 up to a thousand stretches and beyond: a day has less than 2^47 nanoseconds.
        let place = (of_day * count / NANOS_PER_DAY as u64) as usize;
        let stretch = &mut self.stretches[place];
        if stretch.day != day {
            if stretch.count > 0 {
                stretch.days += 1;
                let weight = self.weight.max(1.0 / stretch.days as f64);
                stretch.mean += weight * (stretch.sum / stretch.count as f64 - stretch.mean);
                (stretch.sum, stretch.count) = (0.0, 0);
            }
            stretch.day = day;
        }
        let residual = (stretch.days > 0).then_some(value - stretch.mean);
        stretch.sum += value;
        stretch.count += 1;
        residual
    }

    /// Visits every word of mutable state.
    pub fn state(&mut self, state: &mut State<'_>) {
        for stretch in &mut self.stretches {
            state.f64(&mut stretch.mean);
            state.word(&mut stretch.days);
            state.i64(&mut stretch.day);
            state.f64(&mut stretch.sum);
            state.word(&mut stretch.count);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = NANOS_PER_DAY / 24;

    #[test]
    fn today_is_compared_with_other_days() {
        let mut profile = DayProfile::new(2, 0.5);
        let mut at = |day: i64, hour: i64, value: f64| {
            profile.residual(UnixNanos(day * NANOS_PER_DAY + hour * HOUR), value)
        };
        assert_eq!([at(0, 1, 4.0), at(0, 11, 6.0), at(0, 12, 1.0)], [None; 3]);
        // The morning was 5 on the mean; the second day weighs half, as does the third.
        assert_eq!([at(1, 0, 7.0), at(1, 13, 1.5)], [Some(2.0), Some(0.5)]);
        assert_eq!(at(2, 0, 7.0), Some(1.0));
        assert_eq!(at(3, 0, 6.5), Some(0.0));
    }

    #[test]
    fn saved_in_the_middle_it_goes_on_as_if_nothing_had_happened() {
        let value = |hour: i64| (hour * 7919 % 101) as f64;
        let mut profile = DayProfile::new(48, 0.2);
        (0..100).for_each(|hour| _ = profile.residual(UnixNanos(hour * HOUR), value(hour)));
        let mut words = Vec::new();
        profile.state(&mut State::Save(&mut words));
        let mut restored = DayProfile::new(48, 0.2);
        let mut state = State::load(&words);
        restored.state(&mut state);
        assert_eq!(state.finish(), Ok(()));
        for hour in 100..200 {
            let at = UnixNanos(hour * HOUR);
            assert_eq!(profile.residual(at, value(hour)), restored.residual(at, value(hour)));
        }
    }
}
