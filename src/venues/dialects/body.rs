//! Pieces of REST bodies that every venue has: arrays of rows, the bad ones refused one by one.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::domain::event::{Trade, TradeId};
use crate::domain::fields::shown;
use crate::domain::json;
use crate::venues::dialect::{AnswerError, Page};

/// The body as `T`.
pub fn whole<'a, T: Deserialize<'a>>(body: &'a str) -> Result<T, AnswerError> {
    serde_json::from_str(body).map_err(|e| garbled(body, e))
}

pub fn garbled(body: &str, why: impl std::fmt::Display) -> AnswerError {
    AnswerError::Garbled { text: shown(body.as_bytes(), 80), why: why.to_string() }
}

/// The rows of an array as trades, in order of id. One bad row costs nothing but itself.
pub fn page<'a>(rows: Vec<&'a RawValue>, read: impl Fn(&'a RawValue) -> Result<Trade, String>) -> Page {
    let mut page = Page::default();
    for row in rows {
        match read(row) {
            Ok(trade) => page.trades.push(trade),
            Err(why) => page.refused.push(format!("{why} in {}", shown(row.get().as_bytes(), 200))),
        }
    }
    // Stable: equal ids stay in the venue's order, whatever that is.
    page.trades.sort_by_key(|trade| number(&trade.id));
    page
}

/// The id as a number, 0 where it is none.
fn number(id: &TradeId) -> u64 {
    match id {
        TradeId::Number(number) => *number,
        _ => 0,
    }
}

/// The texts of a row that is an array; empty for what is neither text nor number.
pub fn texts(row: &RawValue) -> Result<Vec<String>, String> {
    let fields: Vec<&RawValue> = serde_json::from_str(row.get()).map_err(|e| e.to_string())?;
    Ok(fields.into_iter().map(|field| json::scalar(field).unwrap_or_default().into_owned()).collect())
}

/// As a part of an address.
pub fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => escaped.push(byte as char),
            _ => escaped.push_str(&format!("%{byte:02X}")),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_hold_nothing_that_bends_them() {
        assert_eq!(escaped("BTC-USD"), "BTC-USD");
        assert_eq!(escaped("A&b=/../é"), "A%26b%3D%2F..%2F%C3%A9");
    }
}
