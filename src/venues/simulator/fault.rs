//! What goes wrong at a simulated venue, how often, and the dice that decide it.

use std::fmt;
use std::time::Duration;

use crate::runtime::backoff::splitmix;

/// How often something happens to each connection, and how long it lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Schedule {
    /// On average; each time is drawn between half and one and a half of it.
    pub every: Duration,
    /// `None`: until something else ends it.
    pub length: Option<Duration>,
}

/// All faults; the default is a venue without any. Chances are between 0 and 1.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Faults {
    pub skip: f64,
    pub missing: f64,
    pub duplicate: f64,
    pub reorder: f64,
    pub garbage: f64,
    pub wrong_ack: f64,
    pub http429: f64,
    pub http503: f64,
    pub html: f64,
    pub short_page: f64,
    pub slow_rest: Option<(f64, Duration)>,
    pub rest_lag: Duration,
    pub cut: Option<Schedule>,
    pub stall: Option<Schedule>,
    pub silence: Option<Schedule>,
    /// Nanoseconds that the venue's clock goes ahead of ours.
    pub clock_offset: i64,
    /// Basis points by which everything trades above its true price, or below.
    pub price_offset: i32,
}

/// Name, a value that does something, and what it means.
pub const CATALOGUE: [(&str, &str, &str); 17] = [
    ("cut", "30s", "each connection is cut about so often, every second time without a word"),
    ("stall", "20s/3s", "a connection falls silent about every 20 s for 3 s, then everything comes at once"),
    (
        "silence",
        "30s/10s",
        "a subscription dies in silence about every 30 s for 10 s, or until subscribed anew",
    ),
    ("skip", "0.001", "chance that a trade is not told on the socket, but given over REST"),
    ("missing", "0.0001", "chance that a trade is neither told nor given over REST"),
    ("duplicate", "0.01", "chance that a trade is told twice"),
    ("reorder", "0.01", "chance that a trade is told 50 ms later, after others"),
    ("garbage", "0.001", "chance that a frame of garbage comes before a trade"),
    (
        "wrong-ack",
        "0.1",
        "chance that a subscription is acknowledged and does nothing, or is answered with an error",
    ),
    ("http429", "0.05", "chance that a request is answered 429 with Retry-After: 1"),
    ("http503", "0.02", "chance that a request is answered 503"),
    ("html", "0.02", "chance that a request is answered with a page of HTML"),
    ("slow-rest", "0.1/2s", "chance that an answer takes so long"),
    ("short-page", "0.1", "chance that a page of trades holds half of what was asked, or nothing"),
    ("rest-lag", "500ms", "REST does not know of trades younger than this"),
    ("clock-offset", "-250ms", "the venue's clock goes so much ahead of ours, or behind"),
    ("price-offset", "50", "everything trades so many basis points above its true price, or below"),
];

/// A fault that cannot be set.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FaultError {
    #[error("fault {0:?} is unknown: allowed are all, none, {names}", names = CATALOGUE.map(|(name, ..)| name).join(", "))]
    Unknown(String),
    #[error("fault {name} is {value:?}, allowed is {allowed}")]
    Value { name: &'static str, value: String, allowed: &'static str },
}

/// Basis points that a price may be off.
const OFFSETS: std::ops::RangeInclusive<i32> = -5_000..=5_000;
const CHANCE: &str = "a chance from 0 to 1, like 0.01";
const SCHEDULE: &str = "a time of at least 100ms, or two as EVERY/LENGTH, like 30s/5s, or 0 for never";

impl Faults {
    /// Everything goes wrong, none of it so often that nothing works.
    pub fn all() -> Self {
        let schedule = |every, length| {
            Some(Schedule { every: Duration::from_secs(every), length: Some(Duration::from_secs(length)) })
        };
        Self {
            skip: 0.002,
            missing: 0.000_2,
            duplicate: 0.005,
            reorder: 0.005,
            garbage: 0.001,
            wrong_ack: 0.1,
            http429: 0.05,
            http503: 0.02,
            html: 0.02,
            short_page: 0.1,
            slow_rest: Some((0.05, Duration::from_secs(1))),
            rest_lag: Duration::from_millis(300),
            cut: schedule(20, 0),
            stall: schedule(15, 2),
            silence: schedule(25, 10),
            clock_offset: 120_000_000,
            price_offset: 0,
        }
    }

    /// Reads `skip=0.01,cut=30s`; what is not named stays as it is, `none` takes all away, `all` sets all.
    pub fn apply(&mut self, text: &str) -> Result<(), FaultError> {
        for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
            match part.split_once('=') {
                None if part == "none" => *self = Self::default(),
                None if part == "all" => *self = Self::all(),
                None => return Err(FaultError::Unknown(part.to_owned())),
                Some((name, value)) => self.set(name, value)?,
            }
        }
        Ok(())
    }

    pub fn set(&mut self, name: &str, value: &str) -> Result<(), FaultError> {
        let Some((name, ..)) = CATALOGUE.iter().find(|(known, ..)| *known == name) else {
            return Err(FaultError::Unknown(name.to_owned()));
        };
        let wrong = |allowed| FaultError::Value { name, value: value.to_owned(), allowed };
        let chance = || read_chance(value).ok_or_else(|| wrong(CHANCE));
        let schedule = || read_schedule(value).ok_or_else(|| wrong(SCHEDULE));
        match *name {
            "skip" => self.skip = chance()?,
            "missing" => self.missing = chance()?,
            "duplicate" => self.duplicate = chance()?,
            "reorder" => self.reorder = chance()?,
            "garbage" => self.garbage = chance()?,
            "wrong-ack" => self.wrong_ack = chance()?,
            "http429" => self.http429 = chance()?,
            "http503" => self.http503 = chance()?,
            "html" => self.html = chance()?,
            "short-page" => self.short_page = chance()?,
            "cut" => self.cut = schedule()?,
            "stall" => self.stall = schedule()?,
            "silence" => self.silence = schedule()?,
            "slow-rest" => {
                let allowed = "CHANCE/TIME, like 0.1/2s, or 0 for never";
                self.slow_rest = match value.split_once('/') {
                    None if value == "0" => None,
                    Some((chance, time)) => {
                        Some(read_chance(chance).zip(read_duration(time)).ok_or_else(|| wrong(allowed))?)
                    }
                    None => return Err(wrong(allowed)),
                };
            }
            "price-offset" => {
                let offset = value.parse().ok().filter(|offset| OFFSETS.contains(offset));
                self.price_offset = offset.ok_or_else(|| wrong("basis points from -5000 to 5000"))?;
            }
            "rest-lag" => {
                self.rest_lag = read_duration(value).ok_or_else(|| wrong("a time like 500ms"))?;
            }
            _ => {
                let (sign, time) = match value.strip_prefix('-') {
                    Some(rest) => (-1, rest),
                    None => (1, value.strip_prefix('+').unwrap_or(value)),
                };
                let offset = read_duration(time).and_then(|time| i64::try_from(time.as_nanos()).ok());
                self.clock_offset = sign * offset.ok_or_else(|| wrong("a time like 1500ms or -2s"))?;
            }
        }
        Ok(())
    }
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.length {
            Some(length) => write!(f, "{:?}/{length:?}", self.every),
            None => write!(f, "{:?}", self.every),
        }
    }
}

fn read_chance(text: &str) -> Option<f64> {
    text.parse().ok().filter(|chance| (0.0..=1.0).contains(chance))
}

fn read_schedule(text: &str) -> Option<Option<Schedule>> {
    if text == "0" {
        return Some(None);
    }
    let (every, length) = match text.split_once('/') {
        Some((every, length)) => (every, Some(read_duration(length)?)),
        None => (text, None),
    };
    let every = read_duration(every).filter(|every| *every >= Duration::from_millis(100))?;
    Some(Some(Schedule { every, length }))
}

/// Reads `500ms`, `2s`, `5m`, `24h`; a bare `0` too.
pub fn read_duration(text: &str) -> Option<Duration> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let number: u64 = number.parse().ok()?;
    let millis = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "" if number == 0 => 1,
        _ => return None,
    };
    number.checked_mul(millis).map(Duration::from_millis)
}

/// A row of chances: the same seed decides the same.
#[derive(Clone, Debug)]
pub struct Dice(u64);

impl Dice {
    /// Each name has a row of its own, so that one fault does not change when another happens.
    pub fn new(seed: u64, name: &str) -> Self {
        Self(name.bytes().fold(splitmix(seed), |state, byte| splitmix(state ^ u64::from(byte))))
    }

    /// Between 0 and 1, exclusive.
    pub fn draw(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        (splitmix(self.0) >> 11) as f64 / (1_u64 << 53) as f64
    }

    pub fn happens(&mut self, chance: f64) -> bool {
        chance > 0.0 && self.draw() < chance
    }

    pub fn below(&mut self, count: usize) -> usize {
        ((self.draw() * count as f64) as usize).min(count.saturating_sub(1))
    }

    /// A time about `every`, in nanoseconds.
    pub fn about(&mut self, every: Duration) -> u64 {
        (every.as_nanos() as f64 * (0.5 + self.draw())) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Result<(), &str>) {
        let found = Faults::default().apply(text).map_err(|error| error.to_string());
        match (&found, expected) {
            (Ok(()), Ok(())) => {}
            (Err(error), Err(part)) => assert!(error.contains(part), "{text:?}: {error}"),
            _ => panic!("{text:?}: {found:?}"),
        }
    }

    #[test]
    fn every_fault_takes_its_example() {
        for (name, example, _) in CATALOGUE {
            let mut faults = Faults::default();
            faults.set(name, example).unwrap();
            assert_ne!(faults, Faults::default(), "{name}={example}");
        }
        check("", Ok(()));
        check("all, skip=0", Ok(()));
        check("cut=0,stall=1s,slow-rest=0,rest-lag=0,clock-offset=+2s", Ok(()));
    }

    #[test]
    fn wrong_words_are_told_what_is_allowed() {
        check("skp=1", Err("fault \"skp\" is unknown: allowed are all, none, cut, stall"));
        check("skip", Err("unknown"));
        check("skip=1.1", Err("fault skip is \"1.1\", allowed is a chance from 0 to 1"));
        check("skip=nan", Err("a chance"));
        check("cut=1ms", Err("at least 100ms"));
        check("cut=30", Err("EVERY/LENGTH"));
        check("slow-rest=1s", Err("CHANCE/TIME"));
        check("clock-offset=--1s", Err("a time like"));
        check("rest-lag=99999999999999999999h", Err("a time"));
        check("price-offset=5001", Err("basis points from -5000 to 5000"));
        check("price-offset=-50,price-offset=0", Ok(()));
    }

    #[test]
    fn dice_are_repeatable_and_fair() {
        let count = |seed, name| {
            let mut dice = Dice::new(seed, name);
            (0..10_000).filter(|_| dice.happens(0.1)).count()
        };
        assert_eq!(count(1, "skip"), count(1, "skip"));
        assert_ne!(count(1, "skip"), count(1, "cut"));
        assert!((900..1_100).contains(&count(1, "skip")), "{}", count(1, "skip"));
        let mut dice = Dice::new(3, "x");
        for _ in 0..1_000 {
            assert!(dice.below(3) < 3);
            let about = dice.about(Duration::from_secs(2));
            assert!((1_000_000_000..3_000_000_000).contains(&about));
        }
        assert_eq!(dice.below(0), 0);
    }
}
