//! Where a page ended, as text that a client hands back.
//!
//! It names the last row by what never changes of it, so that rows that come or change meanwhile
//! neither shift nor repeat what follows.

use crate::storage::error::StorageError;

/// The place of a row in its order: time, then identity, then a word.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    pub at: i64,
    pub id: i64,
    pub word: String,
}

const LENGTH_MAX: usize = 256;

impl Place {
    pub fn new(at: i64, id: i64) -> Self {
        Self { at, id, word: String::new() }
    }

    /// Opaque: `kind` says which listing gave it, so that no other takes it.
    pub fn print(&self, kind: char) -> String {
        let mut text = format!("{kind}{:016x}{:016x}", self.at as u64, self.id as u64);
        for byte in self.word.bytes() {
            text.push_str(&format!("{byte:02x}"));
        }
        text
    }

    pub fn parse(kind: char, text: &str) -> Result<Self, StorageError> {
        Self::read(kind, text).ok_or(StorageError::Cursor)
    }

    fn read(kind: char, text: &str) -> Option<Self> {
        let digits = text.strip_prefix(kind)?;
        let is_ours = digits.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        if !is_ours || digits.len() > LENGTH_MAX || digits.len() < 32 || !digits.len().is_multiple_of(2) {
            return None;
        }
        let number = |from: usize| u64::from_str_radix(&digits[from..from + 16], 16).ok();
        let (at, id) = (number(0)? as i64, number(16)? as i64);
        let bytes: Option<Vec<u8>> = (32..digits.len())
            .step_by(2)
            .map(|at| u8::from_str_radix(&digits[at..at + 2], 16).ok())
            .collect();
        Some(Self { at, id, word: String::from_utf8(bytes?).ok()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cursors_read_as_they_print() {
        for place in [
            Place::new(0, 0),
            Place::new(i64::MAX, -1),
            Place { at: 1_714_521_600_000_000_000, id: 2, word: "macd(12,26,9)".to_owned() },
        ] {
            assert_eq!(Place::parse('c', &place.print('c')).unwrap(), place);
            assert!(Place::parse('i', &place.print('c')).is_err());
        }
        let sound = Place::new(1, 2).print('c');
        for text in ["", "c", "c00", &sound[..32], &format!("{sound}0"), &format!("{sound}zz"), "c+0\u{e9}"] {
            assert!(Place::parse('c', text).is_err(), "{text}");
        }
        assert!(Place::parse('c', &"c0".repeat(500)).is_err());
    }
}
