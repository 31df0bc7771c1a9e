//! Candle intervals: stretches of time, and the information-driven kinds.
//!
//! The information-driven kinds follow M. López de Prado, *Advances in Financial Machine
//! Learning* (Wiley, 2018), chapter 2: a bar ends when as much has happened as its
//! parameter says. His imbalance and run bars adapt their threshold to past bars; ours is
//! the parameter itself, so that a bar depends on nothing but its own trades.

use std::fmt;
use std::str::FromStr;

use crate::domain::decimal::Decimal;
use crate::domain::time::{NANOS_PER_DAY, NANOS_PER_SECOND, UnixNanos};

/// When a candle ends. Orders time intervals by length, then the other kinds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Interval {
    /// `1m`: aligned to UTC, weeks to Monday.
    Time(TimeInterval),
    /// `ticks:1000`: as many trades.
    Ticks(u64),
    /// `volume:50`: as much base currency.
    Volume(Decimal),
    /// `value:1000000`: as much quote currency.
    Value(Decimal),
    /// `tick-imbalance:100`: buys less sells, counted, have reached it either way.
    TickImbalance(u64),
    /// `volume-imbalance:10`: bought less sold volume has reached it either way.
    VolumeImbalance(Decimal),
    /// `tick-run:100`: buys or sells, whichever are more, have reached it.
    TickRun(u64),
}

/// One of the sixteen lengths.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TimeInterval {
    nanos: i64,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "interval {text:?} is unknown: allowed are {} and ticks:N, volume:X, value:X, tick-imbalance:N, volume-imbalance:X, tick-run:N with N or X above zero",
    TimeInterval::names()
)]
pub struct IntervalError {
    pub text: String,
}

const TIME_INTERVALS: [(&str, i64); 16] = [
    ("1s", 1),
    ("5s", 5),
    ("15s", 15),
    ("1m", 60),
    ("3m", 180),
    ("5m", 300),
    ("15m", 900),
    ("30m", 1_800),
    ("1h", 3_600),
    ("2h", 7_200),
    ("4h", 14_400),
    ("6h", 21_600),
    ("8h", 28_800),
    ("12h", 43_200),
    ("1d", 86_400),
    ("1w", 604_800),
];

/// 1970-01-01 was a Thursday, three days after a Monday.
const WEEK_OFFSET: i64 = 3 * NANOS_PER_DAY;
const WEEK: i64 = 7 * NANOS_PER_DAY;

impl TimeInterval {
    /// All lengths, shortest first.
    pub fn all() -> impl Iterator<Item = Self> {
        TIME_INTERVALS.iter().map(|&(_, seconds)| Self { nanos: seconds * NANOS_PER_SECOND })
    }

    fn names() -> String {
        TIME_INTERVALS.map(|(name, _)| name).join(" ")
    }

    #[inline]
    pub fn nanos(self) -> i64 {
        self.nanos
    }

    /// The open time of the interval that holds the moment.
    #[inline]
    pub fn open_of(self, at: UnixNanos) -> UnixNanos {
        let offset = if self.nanos == WEEK { WEEK_OFFSET } else { 0 };
        UnixNanos(at.0 - (at.0 + offset).rem_euclid(self.nanos))
    }

    #[inline]
    pub fn close_of(self, open_at: UnixNanos) -> UnixNanos {
        UnixNanos(open_at.0 + self.nanos)
    }

    /// Whether each interval of `self` is a whole number of intervals of `shorter`.
    pub fn is_multiple_of(self, shorter: Self) -> bool {
        self.nanos % shorter.nanos == 0
    }
}

impl Interval {
    pub fn time(self) -> Option<TimeInterval> {
        match self {
            Self::Time(interval) => Some(interval),
            _ => None,
        }
    }

    fn read(text: &str) -> Option<Self> {
        if let Some(&(_, seconds)) = TIME_INTERVALS.iter().find(|(name, _)| *name == text) {
            return Some(Self::Time(TimeInterval { nanos: seconds * NANOS_PER_SECOND }));
        }
        let (kind, parameter) = text.split_once(':')?;
        let count = || parameter.parse::<u64>().ok().filter(|&n| n > 0 && parameter.as_bytes()[0] != b'+');
        let amount = || Decimal::parse(parameter.as_bytes()).ok().filter(|x| !x.is_zero());
        Some(match kind {
            "ticks" => Self::Ticks(count()?),
            "volume" => Self::Volume(amount()?),
            "value" => Self::Value(amount()?),
            "tick-imbalance" => Self::TickImbalance(count()?),
            "volume-imbalance" => Self::VolumeImbalance(amount()?),
            "tick-run" => Self::TickRun(count()?),
            _ => return None,
        })
    }
}

impl FromStr for Interval {
    type Err = IntervalError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::read(text).ok_or_else(|| IntervalError { text: text.to_owned() })
    }
}

impl fmt::Display for Interval {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Time(interval) => {
                let seconds = interval.nanos / NANOS_PER_SECOND;
                let (name, _) = TIME_INTERVALS
                    .iter()
                    .find(|&&(_, known)| known == seconds)
                    .expect("a time interval is made from the table");
                f.write_str(name)
            }
            Self::Ticks(n) => write!(f, "ticks:{n}"),
            Self::Volume(x) => write!(f, "volume:{x}"),
            Self::Value(x) => write!(f, "value:{x}"),
            Self::TickImbalance(n) => write!(f, "tick-imbalance:{n}"),
            Self::VolumeImbalance(x) => write!(f, "volume-imbalance:{x}"),
            Self::TickRun(n) => write!(f, "tick-run:{n}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_read_as_they_print() {
        let others = [
            "ticks:1000",
            "volume:50",
            "value:1000000",
            "tick-imbalance:7",
            "volume-imbalance:0.5",
            "tick-run:3",
        ];
        for text in TIME_INTERVALS.map(|(name, _)| name).into_iter().chain(others) {
            assert_eq!(text.parse::<Interval>().unwrap().to_string(), text);
        }
        for text in
            ["", "1M", "2m", "ticks:0", "ticks:-1", "ticks:+1", "ticks", "volume:0", "volume:1e5", "range:5"]
        {
            let message = text.parse::<Interval>().unwrap_err().to_string();
            assert!(message.contains("1s 5s") && message.contains(&format!("{text:?}")), "{message}");
        }
    }

    fn check_open(interval: &str, at: &str, expected: &str) {
        let interval = interval.parse::<Interval>().unwrap().time().unwrap();
        let at = UnixNanos::parse_iso(at.as_bytes()).unwrap();
        assert_eq!(interval.open_of(at).to_string(), expected, "{interval:?} of {at}");
    }

    #[test]
    fn intervals_are_aligned_to_utc_and_weeks_to_monday() {
        check_open("1m", "2024-05-01T12:34:56.789Z", "2024-05-01T12:34:00Z");
        check_open("8h", "2024-05-01T16:00:00Z", "2024-05-01T16:00:00Z");
        check_open("1d", "2024-05-01T23:59:59.999999999Z", "2024-05-01T00:00:00Z");
        check_open("1w", "2024-05-01T00:00:00Z", "2024-04-29T00:00:00Z");
        check_open("1w", "2024-05-05T23:59:59Z", "2024-04-29T00:00:00Z");
        check_open("1w", "2024-05-06T00:00:00Z", "2024-05-06T00:00:00Z");
        check_open("1s", "1969-12-31T23:59:59.5Z", "1969-12-31T23:59:59Z");
    }
}
