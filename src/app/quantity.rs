//! Quantities with a unit, as people write them in a configuration: `2s`, `500ms`, `50GB`.
//!
//! Whole numbers only, and never without a unit: a bare number would be read as seconds by
//! one and as milliseconds by another.

use std::time::Duration;

/// Longest first within a family, so that what is printed is as short as can be.
const DURATION_UNITS: [(&str, u64); 8] = [
    ("w", 604_800_000_000_000),
    ("d", 86_400_000_000_000),
    ("h", 3_600_000_000_000),
    ("m", 60_000_000_000),
    ("s", 1_000_000_000),
    ("ms", 1_000_000),
    ("us", 1_000),
    ("ns", 1),
];

const BYTE_UNITS: [(&str, u64); 9] = [
    ("TiB", 1 << 40),
    ("TB", 1_000_000_000_000),
    ("GiB", 1 << 30),
    ("GB", 1_000_000_000),
    ("MiB", 1 << 20),
    ("MB", 1_000_000),
    ("KiB", 1 << 10),
    ("KB", 1_000),
    ("B", 1),
];

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QuantityError {
    #[error("a duration is a whole number and a unit (ns us ms s m h d w), like \"2s\" or \"500ms\"")]
    Duration,
    #[error("a size is a whole number and a unit (B KB MB GB TB, KiB MiB GiB TiB), like \"50GB\"")]
    Bytes,
}

/// Reads `500ms`. At most 2^64 nanoseconds (584 years).
pub fn parse_duration(text: &str) -> Result<Duration, QuantityError> {
    parse(text, &DURATION_UNITS).map(Duration::from_nanos).ok_or(QuantityError::Duration)
}

/// The shortest exact text: 2,000 ms are `2s`.
pub fn print_duration(duration: Duration) -> String {
    print(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX), &DURATION_UNITS, "0s")
}

/// Reads `50GB`. At most 2^64 bytes.
pub fn parse_bytes(text: &str) -> Result<u64, QuantityError> {
    parse(text, &BYTE_UNITS).ok_or(QuantityError::Bytes)
}

/// The shortest exact text: 1,000 MB are `1GB`.
pub fn print_bytes(bytes: u64) -> String {
    print(bytes, &BYTE_UNITS, "0B")
}

fn parse(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let (_, size) = units.iter().find(|(name, _)| *name == unit)?;
    number.parse::<u64>().ok()?.checked_mul(*size)
}

fn print(amount: u64, units: &[(&str, u64)], zero: &str) -> String {
    units
        .iter()
        .find(|(_, size)| amount != 0 && amount.is_multiple_of(*size))
        .map_or_else(|| zero.to_owned(), |(name, size)| format!("{}{name}", amount / size))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_as_they_print() {
        for text in ["0s", "1ns", "500ms", "2s", "90s", "5m", "7d", "2w", "1500us"] {
            let duration = parse_duration(text).unwrap();
            assert_eq!(parse_duration(&print_duration(duration)), Ok(duration), "{text}");
        }
        assert_eq!(parse_duration("2s"), Ok(Duration::from_secs(2)));
        assert_eq!(parse_duration("7d"), Ok(Duration::from_secs(604_800)));
        assert_eq!(print_duration(Duration::from_millis(2_000)), "2s");
        assert_eq!(print_duration(Duration::ZERO), "0s");
        for text in ["", "2", "s", "-2s", "+2s", "1.5s", "2 s", "2S", "2sec", "99999999999999999999s", "585y"]
        {
            assert_eq!(parse_duration(text), Err(QuantityError::Duration), "{text:?}");
        }
    }

    #[test]
    fn sizes_read_as_they_print() {
        for text in ["0B", "1B", "50GB", "16MiB", "1TiB", "1536KiB"] {
            let bytes = parse_bytes(text).unwrap();
            assert_eq!(parse_bytes(&print_bytes(bytes)), Ok(bytes), "{text}");
        }
        assert_eq!(parse_bytes("50GB"), Ok(50_000_000_000));
        assert_eq!(parse_bytes("16MiB"), Ok(16 << 20));
        assert_eq!(print_bytes(1_000_000_000), "1GB");
        for text in ["", "50", "GB", "50gb", "5.5GB", "20000000TiB"] {
            assert_eq!(parse_bytes(text), Err(QuantityError::Bytes), "{text:?}");
        }
    }
}
