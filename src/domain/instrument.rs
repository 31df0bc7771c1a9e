//! What is traded, and where: `binance:BTC-USDT`.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use crate::domain::venue::Venue;

/// One market of one venue. Cheap to clone; ordered by its text.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Instrument {
    venue: Venue,
    /// `BASE-QUOTE`.
    symbol: Arc<str>,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InstrumentError {
    #[error("instrument {0:?} is not of the form venue:BASE-QUOTE")]
    Form(String),
    #[error(
        "symbol {0:?} is not of the form BASE-QUOTE (upper-case letters, digits, and . _ / + inside a part; at most 48)"
    )]
    Symbol(String),
    #[error(transparent)]
    Venue(#[from] crate::domain::venue::VenueError),
}

impl Instrument {
    /// `symbol` is `BASE-QUOTE`; further hyphens belong to the quote (`BTC-USD-PERP`).
    pub fn new(venue: Venue, symbol: &str) -> Result<Self, InstrumentError> {
        let part = |text: &str| {
            !text.is_empty()
                && text.chars().all(|c| {
                    c.is_uppercase()
                        || c.is_ascii_digit()
                        || matches!(c, '.' | '_' | '+' | '-')
                        || (c.is_alphabetic() && !c.is_lowercase())
                })
        };
        let fits = symbol.len() <= 48
            && symbol.split_once('-').is_some_and(|(base, quote)| part(base) && part(quote));
        if !fits {
            return Err(InstrumentError::Symbol(symbol.to_owned()));
        }
        Ok(Self { venue, symbol: symbol.into() })
    }

    pub fn venue(&self) -> &Venue {
        &self.venue
    }

    /// `BASE-QUOTE`.
    pub fn symbol(&self) -> &str {
        &self.symbol
    }

    pub fn base(&self) -> &str {
        self.symbol.split_once('-').map_or(&self.symbol, |(base, _)| base)
    }

    pub fn quote(&self) -> &str {
        self.symbol.split_once('-').map_or("", |(_, quote)| quote)
    }

    /// The partition, one of `count`, that the instrument belongs to: the same in every run and build.
    pub fn partition(&self, count: u32) -> u32 {
        let hash = blake3::hash(self.to_string().as_bytes());
        let word = u64::from_le_bytes(hash.as_bytes()[..8].try_into().expect("a hash has 32 bytes"));
        (word % u64::from(count.max(1))) as u32
    }
}

impl Ord for Instrument {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (&self.venue, &self.symbol).cmp(&(&other.venue, &other.symbol))
    }
}

impl PartialOrd for Instrument {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl FromStr for Instrument {
    type Err = InstrumentError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (venue, symbol) = text.split_once(':').ok_or_else(|| InstrumentError::Form(text.to_owned()))?;
        Self::new(Venue::new(venue)?, symbol)
    }
}

impl fmt::Display for Instrument {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.venue, self.symbol)
    }
}

impl fmt::Debug for Instrument {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instruments_read_as_they_print() {
        for text in ["binance:BTC-USDT", "coinbase:BTC-USD", "binance:1000SHIB-USDT", "okx:BTC-USD-SWAP"] {
            assert_eq!(text.parse::<Instrument>().unwrap().to_string(), text);
        }
        let btc: Instrument = "binance:BTC-USDT".parse().unwrap();
        assert_eq!((btc.base(), btc.quote()), ("BTC", "USDT"));
    }

    #[test]
    fn what_is_no_instrument_is_refused() {
        for text in [
            "BTC-USDT",
            "binance:BTCUSDT",
            "binance:btc-usdt",
            "binance:-USDT",
            "binance:BTC-",
            "x y:A-B",
            "binance:A,B-C",
        ] {
            assert!(text.parse::<Instrument>().is_err(), "{text}");
        }
    }

    #[test]
    fn partitions_are_stable() {
        let btc: Instrument = "binance:BTC-USDT".parse().unwrap();
        assert!(btc.partition(64) < 64);
        assert_eq!(btc.partition(64), btc.clone().partition(64));
        assert_eq!(btc.partition(1), 0);
    }
}
