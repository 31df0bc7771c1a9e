//! The fields of a trade, read from a venue's text; what is refused is told by name and text.
//!
//! All that enters from outside comes through here, whatever the format, so that a price of
//! zero is refused in the same words everywhere.

use crate::domain::decimal::{Decimal, DecimalError, Price, Quantity};
use crate::domain::event::{Side, TradeId};
use crate::domain::time::{TimeError, TimeUnit, UnixNanos, parse_integer};

/// Which field holds what text, and why that is refused: `price "0.00" is zero`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct FieldError(Box<str>);

/// Longest piece of a foreign text that a message repeats.
const SHOWN_CHARS_MAX: usize = 64;

impl FieldError {
    #[cold]
    pub fn new(field: &str, text: &[u8], why: impl std::fmt::Display) -> Self {
        Self(format!("{field} {:?} {why}", shown(text, SHOWN_CHARS_MAX)).into())
    }

    #[cold]
    pub fn plain(message: impl Into<Box<str>>) -> Self {
        Self(message.into())
    }
}

impl From<FieldError> for String {
    fn from(error: FieldError) -> Self {
        error.0.into()
    }
}

/// Foreign bytes as text, cut to `chars_max`.
pub fn shown(text: &[u8], chars_max: usize) -> String {
    // A char takes at most four bytes: no need to decode more.
    let head = &text[..text.len().min(chars_max.saturating_mul(4) + 4)];
    let decoded = String::from_utf8_lossy(head);
    let mut cut: String = decoded.chars().take(chars_max).collect();
    if cut.len() < decoded.len() || head.len() < text.len() {
        cut.push('…');
    }
    cut
}

#[inline]
pub fn price(text: &[u8]) -> Result<Price, FieldError> {
    Price::parse(text).map_err(|e| FieldError::new("price", text, e))
}

#[inline]
pub fn quantity(text: &[u8]) -> Result<Quantity, FieldError> {
    Quantity::parse(text).map_err(|e| FieldError::new("quantity", text, e))
}

/// As [`price`], for venues whose numbers are JSON numbers and print small ones with an exponent.
pub fn price_scientific(text: &[u8]) -> Result<Price, FieldError> {
    let read = |text| Price::new(scientific(text)?);
    read(text).map_err(|e| FieldError::new("price", text, e))
}

/// As [`quantity`], for venues whose numbers are JSON numbers and print small ones with an exponent.
pub fn quantity_scientific(text: &[u8]) -> Result<Quantity, FieldError> {
    let read = |text| Quantity::new(scientific(text)?);
    read(text).map_err(|e| FieldError::new("quantity", text, e))
}

fn scientific(text: &[u8]) -> Result<Decimal, DecimalError> {
    match text {
        [b'-', _, ..] => Err(DecimalError::Negative),
        _ => Decimal::parse_scientific(text),
    }
}

/// An id that the venue promises: an empty one is refused.
#[inline]
pub fn id(text: &[u8]) -> Result<TradeId, FieldError> {
    match optional_id(text)? {
        TradeId::Absent => Err(FieldError::plain("the trade has no id, and the venue promises one")),
        id => Ok(id),
    }
}

/// An id, [`TradeId::Absent`] where the text is empty.
#[inline]
pub fn optional_id(text: &[u8]) -> Result<TradeId, FieldError> {
    if let Some(number) = short_number(text) {
        return Ok(TradeId::Number(number));
    }
    std::str::from_utf8(text)
        .ok()
        .and_then(TradeId::parse)
        .ok_or_else(|| FieldError::new("trade id", text, "is no id of at most 64 printable characters"))
}

/// A whole number of at most 19 digits, which 64 bits hold whatever they are, without leading zeros.
#[inline]
fn short_number(text: &[u8]) -> Option<u64> {
    if text.is_empty() || text.len() > 19 || (text[0] == b'0' && text.len() > 1) {
        return None;
    }
    let mut number = 0u64;
    for &byte in text {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        number = number * 10 + u64::from(digit);
    }
    Some(number)
}

/// Who crossed the spread, in any spelling that venues use; empty and `unknown` are kept as unknown.
pub fn taker_side(text: &[u8]) -> Result<Option<Side>, FieldError> {
    const BUY: [&[u8]; 4] = [b"buy", b"b", b"bid", b"buyer"];
    const SELL: [&[u8]; 5] = [b"sell", b"s", b"ask", b"a", b"seller"];
    if text.is_empty() || text.eq_ignore_ascii_case(b"unknown") {
        return Ok(None);
    }
    if BUY.iter().any(|word| text.eq_ignore_ascii_case(word)) {
        return Ok(Some(Side::Buy));
    }
    if SELL.iter().any(|word| text.eq_ignore_ascii_case(word)) {
        return Ok(Some(Side::Sell));
    }
    Err(FieldError::new("taker side", text, "is neither buy nor sell"))
}

/// A count of `unit` since 1970, at which a crypto trade can have happened.
#[inline]
pub fn time(text: &[u8], unit: TimeUnit) -> Result<UnixNanos, FieldError> {
    let at = match short_number(text).and_then(|count| i64::try_from(count).ok()) {
        Some(count) => UnixNanos::from_unit(count, unit),
        None => UnixNanos::parse_unit(text, unit),
    };
    at.and_then(UnixNanos::plausible).map_err(|e| time_error(text, unit, e))
}

#[cold]
fn time_error(text: &[u8], unit: TimeUnit, error: TimeError) -> FieldError {
    // The likeliest cause, said plainly: the row counts in another unit than its file.
    let whole = text.split(|&b| b == b'.').next().unwrap_or(text);
    match parse_integer(whole).ok().and_then(TimeUnit::detect) {
        Some(other) if other != unit => FieldError::new(
            "time",
            text,
            format_args!("counts {}, where {} are expected", other.name(), unit.name()),
        ),
        _ => FieldError::new("time", text, error),
    }
}

/// An ISO 8601 time at which a crypto trade can have happened.
pub fn iso_time(text: &[u8]) -> Result<UnixNanos, FieldError> {
    UnixNanos::parse_iso(text).and_then(UnixNanos::plausible).map_err(|e| FieldError::new("time", text, e))
}

/// How many trades an aggregate holds: `last - first + 1`.
pub fn trade_count(first: &[u8], last: &[u8]) -> Result<u32, FieldError> {
    let number = |text: &[u8]| {
        short_number(text).ok_or_else(|| FieldError::new("trade id", text, "is not a whole number"))
    };
    let (first_id, last_id) = (number(first)?, number(last)?);
    last_id
        .checked_sub(first_id)
        .and_then(|more| u32::try_from(more + 1).ok())
        .ok_or_else(|| FieldError::new("last trade id", last, "is before the first, or billions after it"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_refused<T: std::fmt::Debug>(read: Result<T, FieldError>, message: &str) {
        assert_eq!(read.unwrap_err().to_string(), message);
    }

    #[test]
    fn what_is_refused_is_named() {
        check_refused(price(b"0.00"), r#"price "0.00" is zero"#);
        check_refused(price(b"-1"), r#"price "-1" is negative"#);
        check_refused(price(b"NaN"), r#"price "NaN" is not a decimal number"#);
        check_refused(quantity(b"1e-5"), r#"quantity "1e-5" has an exponent"#);
        check_refused(quantity(b""), r#"quantity "" is empty"#);
        check_refused(quantity_scientific(b"-1e-5"), r#"quantity "-1e-5" is negative"#);
        check_refused(id(b""), "the trade has no id, and the venue promises one");
        check_refused(taker_side(b"hold"), r#"taker side "hold" is neither buy nor sell"#);
        check_refused(
            time(b"1735689600000", TimeUnit::Micros),
            r#"time "1735689600000" counts milliseconds, where microseconds are expected"#,
        );
        check_refused(time(b"12", TimeUnit::Millis), r#"time "12" is before 2009-01-03"#);
        check_refused(time(b"", TimeUnit::Millis), r#"time "" is not a time"#);
        check_refused(iso_time(b"2008-01-01"), r#"time "2008-01-01" is before 2009-01-03"#);
        check_refused(iso_time(b"2101-01-01"), r#"time "2101-01-01" is after 2100"#);
    }

    #[test]
    fn what_is_read_is_exact() {
        assert_eq!(price(b"0.00000166").unwrap().decimal().to_string(), "0.00000166");
        assert_eq!(quantity_scientific(b"1e-08").unwrap().decimal().to_string(), "0.00000001");
        assert_eq!(id(b"42"), Ok(TradeId::Number(42)));
        assert_eq!(optional_id(b""), Ok(TradeId::Absent));
        assert!(matches!(id(b"042"), Ok(TradeId::Text(_))));
        assert_eq!(taker_side(b"SELL"), Ok(Some(Side::Sell)));
        assert_eq!(taker_side(b""), Ok(None));
        assert_eq!(trade_count(b"100", b"105"), Ok(6));
        assert!(trade_count(b"105", b"100").is_err());
        let at = time(b"1696982287.4922", TimeUnit::Seconds).unwrap();
        assert_eq!(at.to_string(), "2023-10-10T23:58:07.492200Z");
    }

    #[test]
    fn foreign_text_is_cut() {
        assert_eq!(shown(b"abc", 3), "abc");
        assert_eq!(shown(b"abcd", 3), "abc…");
        assert_eq!(shown(&[0xff; 1000], 2), "\u{fffd}\u{fffd}…");
        assert!(price(&[b'9'; 100_000]).unwrap_err().to_string().len() < 200);
    }
}
