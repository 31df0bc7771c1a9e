//! A cursor for texts of a known shape, which reads numbers while it passes them.
//!
//! Each step takes what it expects or says no; nobody asks it why. Whoever is told no
//! gives the text to a general parser, which knows how to complain.

/// What of a text is still to be read.
#[derive(Clone, Copy)]
pub struct Cursor<'a> {
    rest: &'a [u8],
}

impl<'a> Cursor<'a> {
    #[inline]
    pub fn new(text: &'a [u8]) -> Self {
        Self { rest: text }
    }

    #[inline]
    pub fn rest(self) -> &'a [u8] {
        self.rest
    }

    /// Passes these bytes.
    #[inline(always)]
    pub fn literal<const N: usize>(&mut self, expected: &[u8; N]) -> Option<()> {
        let (head, rest) = self.rest.split_first_chunk::<N>()?;
        if head != expected {
            return None;
        }
        self.rest = rest;
        Some(())
    }

    /// Passes a whole number of at most 18 digits, without leading zeros.
    #[inline(always)]
    pub fn number(&mut self) -> Option<u64> {
        let mut value = 0u64;
        let mut digits = 0;
        for &byte in self.rest {
            let digit = byte.wrapping_sub(b'0');
            if digit > 9 {
                break;
            }
            value = value.wrapping_mul(10).wrapping_add(u64::from(digit));
            digits += 1;
        }
        if digits == 0 || digits > 18 || (self.rest[0] == b'0' && digits > 1) {
            return None;
        }
        self.rest = &self.rest[digits..];
        Some(value)
    }

    /// Passes a text up to `end`, and `end` itself; none of it may be a backslash.
    #[inline(always)]
    pub fn until(&mut self, end: u8) -> Option<&'a [u8]> {
        for (at, &byte) in self.rest.iter().enumerate() {
            if byte == end {
                let text = &self.rest[..at];
                self.rest = &self.rest[at + 1..];
                return Some(text);
            }
            if byte == b'\\' {
                return None;
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_take_what_they_expect() {
        let mut cursor = Cursor::new(b"{\"t\":42,\"p\":\"1.5\"}");
        assert_eq!(cursor.literal(b"{\"t\":"), Some(()));
        assert_eq!(cursor.literal(b"x"), None);
        assert_eq!(cursor.number(), Some(42));
        assert_eq!(cursor.literal(b",\"p\":\""), Some(()));
        assert_eq!(cursor.until(b'"'), Some(&b"1.5"[..]));
        assert_eq!(cursor.number(), None);
        assert_eq!(cursor.literal(b"}"), Some(()));
        assert!(cursor.rest().is_empty());
        assert_eq!((cursor.literal(b"}"), cursor.number(), cursor.until(b'"')), (None, None, None));
    }

    #[test]
    fn odd_numbers_and_escapes_are_left_to_others() {
        for text in ["", "x", "007", "-1", "1234567890123456789"] {
            assert_eq!(Cursor::new(text.as_bytes()).number(), None, "{text}");
        }
        assert_eq!(Cursor::new(b"0,").number(), Some(0));
        assert_eq!(Cursor::new(b"123456789012345678").number(), Some(123_456_789_012_345_678));
        assert_eq!(Cursor::new(b"a\\\"b\"").until(b'"'), None);
    }
}
