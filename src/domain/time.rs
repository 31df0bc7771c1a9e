//! Moments, as nanoseconds of UTC since 1970, exact from every unit that venues use.
//!
//! Nothing here reads a clock. Leap seconds do not exist: a venue's 23:59:60 is refused.

use std::fmt;
use std::num::NonZeroI64;

/// 2009-01-03T00:00:00Z, the day of the first Bitcoin block: no crypto trade is older.
pub const EARLIEST_TRADE: UnixNanos = UnixNanos(1_230_940_800_000_000_000);
/// 2101-01-01T00:00:00Z: a time from here on is a unit mistaken for another.
pub const LATEST_TRADE: UnixNanos = UnixNanos(4_133_980_800_000_000_000);

pub const NANOS_PER_SECOND: i64 = 1_000_000_000;
pub const NANOS_PER_DAY: i64 = 86_400 * NANOS_PER_SECOND;

/// A moment: nanoseconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct UnixNanos(pub i64);

/// A moment that leaves room for "none" in its eight bytes: all but the very first that 64 bits hold.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Stamp(NonZeroI64);

impl Stamp {
    #[inline]
    pub fn at(self) -> UnixNanos {
        UnixNanos(self.0.get() ^ i64::MIN)
    }
}

impl fmt::Debug for Stamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.at(), f)
    }
}

/// The unit in which a venue counts the time since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum TimeUnit {
    Seconds,
    Millis,
    Micros,
    Nanos,
}

/// Why a text or number is no time. Carries no text: the caller knows it and names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TimeError {
    #[error("is not a time")]
    NotATime,
    #[error("has more than nine digits after the second")]
    TooFine,
    #[error("is outside of what 64-bit nanoseconds hold")]
    OutOfRange,
    #[error("is before 2009-01-03")]
    TooEarly,
    #[error("is after 2100")]
    TooLate,
}

impl TimeUnit {
    pub const ALL: [Self; 4] = [Self::Seconds, Self::Millis, Self::Micros, Self::Nanos];

    #[inline]
    pub fn nanos(self) -> i64 {
        match self {
            Self::Seconds => NANOS_PER_SECOND,
            Self::Millis => 1_000_000,
            Self::Micros => 1_000,
            Self::Nanos => 1,
        }
    }

    /// The one unit in which `count` lies between 2009-01-03 and 2100; none, and the number is no time.
    /// The four ranges do not overlap.
    pub fn detect(count: i64) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|unit| UnixNanos::from_unit(count, *unit).and_then(UnixNanos::plausible).is_ok())
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::Seconds => "seconds",
            Self::Millis => "milliseconds",
            Self::Micros => "microseconds",
            Self::Nanos => "nanoseconds",
        }
    }
}

impl UnixNanos {
    /// In the shorter form; the first moment of all, which is no clock's, has none.
    #[inline]
    pub fn stamp(self) -> Option<Stamp> {
        NonZeroI64::new(self.0 ^ i64::MIN).map(Stamp)
    }

    #[inline]
    pub fn from_unit(count: i64, unit: TimeUnit) -> Result<Self, TimeError> {
        count.checked_mul(unit.nanos()).map(Self).ok_or(TimeError::OutOfRange)
    }

    /// Itself, if a crypto trade can have that time.
    #[inline]
    pub fn plausible(self) -> Result<Self, TimeError> {
        if self < EARLIEST_TRADE {
            Err(TimeError::TooEarly)
        } else if self >= LATEST_TRADE {
            Err(TimeError::TooLate)
        } else {
            Ok(self)
        }
    }

    /// Reads a count of `unit` with an optional fraction (`1696982287.4922`), exactly.
    pub fn parse_unit(text: &[u8], unit: TimeUnit) -> Result<Self, TimeError> {
        let (whole, fraction) = match text.iter().position(|&b| b == b'.') {
            None => (text, &[][..]),
            Some(at) => (&text[..at], &text[at + 1..]),
        };
        let count = parse_integer(whole)?;
        let mut nanos = i128::from(count) * i128::from(unit.nanos());
        let mut place = i128::from(unit.nanos());
        for &byte in fraction {
            if !byte.is_ascii_digit() {
                return Err(TimeError::NotATime);
            }
            let digit = i128::from(byte - b'0');
            if place % 10 == 0 {
                place /= 10;
                nanos += digit * place;
            } else if digit != 0 {
                return Err(TimeError::TooFine);
            }
        }
        i64::try_from(nanos).map(Self).map_err(|_| TimeError::OutOfRange)
    }

    /// As [`UnixNanos::parse_unit`] in seconds, but what lies below a nanosecond is cut:
    /// local receive times printed from a binary float carry such digits.
    pub fn parse_float_seconds(text: &[u8]) -> Result<Self, TimeError> {
        let end = match text.iter().position(|&b| b == b'.') {
            Some(at) if text.len() > at + 10 => {
                if !text[at + 10..].iter().all(u8::is_ascii_digit) {
                    return Err(TimeError::NotATime);
                }
                at + 10
            }
            _ => text.len(),
        };
        Self::parse_unit(&text[..end], TimeUnit::Seconds)
    }

    /// Reads ISO 8601: `2024-05-01`, `2024-05-01T00:00:00.123456789Z`, a blank for the `T`,
    /// `+00:00`-style offsets; without an offset UTC is meant.
    pub fn parse_iso(text: &[u8]) -> Result<Self, TimeError> {
        let mut rest = text;
        let year = take_number(&mut rest, 4)?;
        take_byte(&mut rest, b"-")?;
        let month = take_number(&mut rest, 2)?;
        take_byte(&mut rest, b"-")?;
        let day = take_number(&mut rest, 2)?;
        if !(1..=12).contains(&month) || day < 1 || day > days_in_month(year, month) {
            return Err(TimeError::NotATime);
        }
        let mut seconds = days_from_civil(year, month, day) * 86_400;
        let mut nanos = 0;
        if !rest.is_empty() {
            take_byte(&mut rest, b"T t")?;
            let hour = take_number(&mut rest, 2)?;
            take_byte(&mut rest, b":")?;
            let minute = take_number(&mut rest, 2)?;
            let mut second = 0;
            if rest.first() == Some(&b':') {
                rest = &rest[1..];
                second = take_number(&mut rest, 2)?;
            }
            if hour > 23 || minute > 59 || second > 59 {
                return Err(TimeError::NotATime);
            }
            seconds += hour * 3_600 + minute * 60 + second;
            if matches!(rest.first(), Some(b'.' | b',')) {
                let digits = rest[1..].iter().take_while(|b| b.is_ascii_digit()).count();
                if digits == 0 {
                    return Err(TimeError::NotATime);
                }
                let mut place = NANOS_PER_SECOND;
                for &byte in &rest[1..=digits] {
                    place /= 10;
                    if place == 0 && byte != b'0' {
                        return Err(TimeError::TooFine);
                    }
                    nanos += i64::from(byte - b'0') * place;
                }
                rest = &rest[1 + digits..];
            }
            seconds -= take_offset_seconds(&mut rest)?;
        }
        if !rest.is_empty() {
            return Err(TimeError::NotATime);
        }
        seconds
            .checked_mul(NANOS_PER_SECOND)
            .and_then(|s| s.checked_add(nanos))
            .map(Self)
            .ok_or(TimeError::OutOfRange)
    }

    /// Appends RFC 3339 UTC with no, three, six or nine fraction digits: as many as are known.
    pub fn write_to(self, out: &mut Vec<u8>) {
        let seconds = self.0.div_euclid(NANOS_PER_SECOND);
        let nanos = self.0.rem_euclid(NANOS_PER_SECOND);
        let (days, second) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
        let (year, month, day) = civil_from_days(days);
        let mut text = *b"0000-00-00T00:00:00";
        write_digits(&mut text[0..4], year);
        write_digits(&mut text[5..7], month);
        write_digits(&mut text[8..10], day);
        write_digits(&mut text[11..13], second / 3_600);
        write_digits(&mut text[14..16], second / 60 % 60);
        write_digits(&mut text[17..19], second % 60);
        out.extend_from_slice(&text);
        let (value, width) = match nanos {
            0 => (0, 0),
            n if n % 1_000_000 == 0 => (n / 1_000_000, 3),
            n if n % 1_000 == 0 => (n / 1_000, 6),
            n => (n, 9),
        };
        if width > 0 {
            let mut fraction = *b".000000000";
            write_digits(&mut fraction[1..=width], value);
            out.extend_from_slice(&fraction[..=width]);
        }
        out.push(b'Z');
    }
}

impl fmt::Display for UnixNanos {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = Vec::with_capacity(32);
        self.write_to(&mut text);
        f.write_str(std::str::from_utf8(&text).expect("digits are ASCII"))
    }
}

impl fmt::Debug for UnixNanos {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A plain integer, `-` allowed, nothing else.
pub fn parse_integer(text: &[u8]) -> Result<i64, TimeError> {
    let (negative, digits) = match text {
        [b'-', digits @ ..] => (true, digits),
        digits => (false, digits),
    };
    if digits.is_empty() {
        return Err(TimeError::NotATime);
    }
    let mut value = 0i64;
    for &byte in digits {
        if !byte.is_ascii_digit() {
            return Err(TimeError::NotATime);
        }
        value = value
            .checked_mul(10)
            .and_then(|v| v.checked_add(i64::from(byte - b'0')))
            .ok_or(TimeError::OutOfRange)?;
    }
    Ok(if negative { -value } else { value })
}

fn write_digits(slot: &mut [u8], value: i64) {
    let mut rest = value.max(0);
    for digit in slot.iter_mut().rev() {
        *digit = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
}

fn take_number(rest: &mut &[u8], width: usize) -> Result<i64, TimeError> {
    if rest.len() < width || !rest[..width].iter().all(u8::is_ascii_digit) {
        return Err(TimeError::NotATime);
    }
    let value = parse_integer(&rest[..width])?;
    *rest = &rest[width..];
    Ok(value)
}

fn take_byte(rest: &mut &[u8], allowed: &[u8]) -> Result<(), TimeError> {
    match rest.split_first() {
        Some((byte, after)) if allowed.contains(byte) => {
            *rest = after;
            Ok(())
        }
        _ => Err(TimeError::NotATime),
    }
}

fn take_offset_seconds(rest: &mut &[u8]) -> Result<i64, TimeError> {
    let sign = match rest.first() {
        None => return Ok(0),
        Some(b'Z' | b'z') => {
            *rest = &rest[1..];
            return Ok(0);
        }
        Some(b'+') => 1,
        Some(b'-') => -1,
        Some(_) => return Err(TimeError::NotATime),
    };
    *rest = &rest[1..];
    let hours = take_number(rest, 2)?;
    if rest.first() == Some(&b':') {
        *rest = &rest[1..];
    }
    let minutes = if rest.is_empty() { 0 } else { take_number(rest, 2)? };
    if hours > 23 || minutes > 59 {
        return Err(TimeError::NotATime);
    }
    Ok(sign * (hours * 3_600 + minutes * 60))
}

fn days_in_month(year: i64, month: i64) -> i64 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        _ => 31,
    }
}

/// Days since 1970-01-01 of a proleptic Gregorian date: eras of 400 years, years that begin in March
/// (the arithmetic is described in Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms").
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn stamps_are_moments_in_eight_bytes() {
        assert_eq!(size_of::<Option<Stamp>>(), 8);
        for at in [0, -1, 1, i64::MAX, i64::MIN + 1, EARLIEST_TRADE.0].map(UnixNanos) {
            assert_eq!(at.stamp().map(Stamp::at), Some(at));
        }
        assert_eq!(UnixNanos(i64::MIN).stamp(), None);
    }

    fn check_iso(text: &str, expected: &str) {
        let parsed = UnixNanos::parse_iso(text.as_bytes());
        assert_eq!(parsed.map(|t| t.to_string()), Ok(expected.to_owned()), "{text}");
    }

    #[test]
    fn iso_8601_is_read_in_its_common_spellings() {
        check_iso("2024-05-01", "2024-05-01T00:00:00Z");
        check_iso("2024-05-01T00:00:00Z", "2024-05-01T00:00:00Z");
        check_iso("2024-02-29 23:59:59.5+00:00", "2024-02-29T23:59:59.500Z");
        check_iso("2026-01-02T03:04:05.605867Z", "2026-01-02T03:04:05.605867Z");
        check_iso("2025-03-25T23:07:00.773674205Z", "2025-03-25T23:07:00.773674205Z");
        check_iso("2024-05-01T02:00:00+02:00", "2024-05-01T00:00:00Z");
        check_iso("2024-05-01T02:00:00-0530", "2024-05-01T07:30:00Z");
        check_iso("2024-05-01T02:00", "2024-05-01T02:00:00Z");
        check_iso("1969-12-31T23:59:59Z", "1969-12-31T23:59:59Z");
        check_iso("2024-05-01T00:00:00.1234567890000Z", "2024-05-01T00:00:00.123456789Z");
    }

    #[test]
    fn what_is_no_moment_is_refused() {
        for text in [
            "",
            "2024",
            "2024-13-01",
            "2023-02-29",
            "2024-05-01T24:00:00Z",
            "2024-05-01T00:00:60Z",
            "2024-05-01T00:00:00.Z",
            "2024-05-01T00:00:00Zx",
            "20240501",
            "2024-05-01T00:00:00+1",
        ] {
            assert_eq!(UnixNanos::parse_iso(text.as_bytes()), Err(TimeError::NotATime), "{text}");
        }
        let too_fine = UnixNanos::parse_iso(b"2024-05-01T00:00:00.1234567891Z");
        assert_eq!(too_fine, Err(TimeError::TooFine));
        assert_eq!(UnixNanos::parse_iso(b"9999-01-01"), Err(TimeError::OutOfRange));
    }

    fn check_unit(text: &str, unit: TimeUnit, expected: Result<i64, TimeError>) {
        assert_eq!(UnixNanos::parse_unit(text.as_bytes(), unit).map(|t| t.0), expected, "{text}");
    }

    #[test]
    fn every_venue_unit_is_exact() {
        check_unit("1714521600123", TimeUnit::Millis, Ok(1_714_521_600_123_000_000));
        check_unit("1714521600123456", TimeUnit::Micros, Ok(1_714_521_600_123_456_000));
        check_unit("1714521600123456789", TimeUnit::Nanos, Ok(1_714_521_600_123_456_789));
        check_unit("1696982287.4922", TimeUnit::Seconds, Ok(1_696_982_287_492_200_000));
        check_unit("1696982287.4922000000", TimeUnit::Seconds, Ok(1_696_982_287_492_200_000));
        check_unit("1696982287.1234567891", TimeUnit::Seconds, Err(TimeError::TooFine));
        check_unit("1696982287123.5", TimeUnit::Millis, Ok(1_696_982_287_123_500_000));
        check_unit("1.70027E+12", TimeUnit::Millis, Err(TimeError::NotATime));
        check_unit("", TimeUnit::Millis, Err(TimeError::NotATime));
        check_unit("99999999999999999999", TimeUnit::Seconds, Err(TimeError::OutOfRange));
        check_unit("9223372036854775807", TimeUnit::Seconds, Err(TimeError::OutOfRange));
        assert_eq!(
            UnixNanos::parse_float_seconds(b"1617647603.42494491234"),
            Ok(UnixNanos(1_617_647_603_424_944_912))
        );
    }

    #[test]
    fn the_unit_of_a_plausible_time_is_unambiguous() {
        for nanos in [EARLIEST_TRADE.0, 1_735_689_600_000_000_000, LATEST_TRADE.0 - NANOS_PER_SECOND] {
            for unit in TimeUnit::ALL {
                assert_eq!(TimeUnit::detect(nanos / unit.nanos()), Some(unit));
            }
        }
        for count in [0, -1, 1_000, 1_230_940_799, 5_000_000_000, i64::MAX] {
            assert_eq!(TimeUnit::detect(count), None, "{count}");
        }
    }

    proptest! {
        #[test]
        fn every_moment_survives_its_text(nanos in 0i64..LATEST_TRADE.0) {
            let at = UnixNanos(nanos);
            prop_assert_eq!(UnixNanos::parse_iso(at.to_string().as_bytes()), Ok(at));
        }

        #[test]
        fn any_bytes_are_parsed_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
            let _ = UnixNanos::parse_iso(&bytes);
            let _ = UnixNanos::parse_float_seconds(&bytes);
            let _ = UnixNanos::parse_unit(&bytes, TimeUnit::Millis);
        }
    }
}
