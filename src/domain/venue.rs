//! Venues, and what they promise of their trade ids.
//!
//! Any lower-case name is a venue, so that recordings of any market can be replayed; those
//! in [`KNOWN`] have names that users and their tools rely on.

use std::fmt;
use std::sync::Arc;

/// What a venue promises of the trade ids of one instrument; decides what a hole is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum IdRule {
    /// Whole numbers that rise by one: a missing one is a missing trade.
    Contiguous,
    /// Unique, but with holes of their own: a missing one says nothing.
    Sparse,
    /// No ids: two trades that look alike are two trades.
    Absent,
}

impl IdRule {
    pub fn name(self) -> &'static str {
        match self {
            Self::Contiguous => "contiguous",
            Self::Sparse => "sparse",
            Self::Absent => "absent",
        }
    }
}

/// The name of a venue: `binance`, `binance-usdm`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Venue(Arc<str>);

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("venue {text:?} is not a name of lower-case letters, digits and hyphens (at most 32)")]
pub struct VenueError {
    pub text: String,
}

/// The venues whose names are fixed, and the rule their trade ids follow on the feeds that
/// carry ids (measured on captures; HTX, Deribit and the rest as their documents say).
pub const KNOWN: [(&str, IdRule); 16] = [
    ("binance", IdRule::Contiguous),
    ("binance-usdm", IdRule::Contiguous),
    ("coinbase", IdRule::Contiguous),
    ("kraken", IdRule::Sparse),
    ("bybit", IdRule::Sparse),
    ("bybit-linear", IdRule::Sparse),
    ("okx", IdRule::Contiguous),
    ("bitstamp", IdRule::Sparse),
    ("bitfinex", IdRule::Sparse),
    ("gemini", IdRule::Sparse),
    ("kucoin", IdRule::Sparse),
    ("gate", IdRule::Sparse),
    ("crypto-com", IdRule::Sparse),
    ("htx", IdRule::Contiguous),
    ("deribit", IdRule::Sparse),
    ("hyperliquid", IdRule::Sparse),
];

impl Venue {
    pub fn new(name: &str) -> Result<Self, VenueError> {
        let fits = (1..=32).contains(&name.len())
            && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
        if fits { Ok(Self(name.into())) } else { Err(VenueError { text: name.to_owned() }) }
    }

    pub fn name(&self) -> &str {
        &self.0
    }

    /// The rule of the venue's trade ids, where it is known.
    pub fn id_rule(&self) -> Option<IdRule> {
        KNOWN.iter().find(|(name, _)| *name == self.name()).map(|(_, rule)| *rule)
    }
}

impl fmt::Display for Venue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Venue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_lower_case_words() {
        for name in KNOWN.map(|(name, _)| name) {
            assert_eq!(Venue::new(name).unwrap().name(), name);
        }
        for name in ["", "Binance", "a b", "a:b", "a/b", &"x".repeat(33)] {
            assert!(Venue::new(name).is_err(), "{name:?}");
        }
    }
}
