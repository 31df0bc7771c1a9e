//! Venue spellings of a market (`BTCUSDT`, `XBT/USD`, `tBTCUST`) as `BASE-QUOTE`.
//!
//! A recording does not bring the venue's list of markets, so a spelling without separator is
//! split at a known quote currency. That is a guess, and the user can always say better.

use crate::domain::frame::SymbolError;

/// Quote currencies of Binance spot and USD-M, dumps and streams.
pub const BINANCE_QUOTES: &[&str] = &[
    "USDT", "FDUSD", "USDC", "BUSD", "TUSD", "USDP", "USDS", "USD1", "USDE", "RLUSD", "XUSD", "BFUSD", "DAI",
    "PAX", "UST", "VAI", "BTC", "ETH", "BNB", "TRX", "XRP", "DOGE", "DOT", "SOL", "EUR", "EURI", "AEUR",
    "GBP", "AUD", "BRL", "TRY", "RUB", "UAH", "NGN", "ZAR", "PLN", "RON", "JPY", "MXN", "ARS", "COP", "CZK",
    "IDRT", "IDR", "BIDR", "BKRW", "BVND", "KZT", "USD",
];

/// Quote currencies of venues that trade against the dollar itself.
pub const DOLLAR_QUOTES: &[&str] = &[
    "USD", "USDT", "USDC", "BUSD", "GUSD", "PYUSD", "RLUSD", "EURT", "DAI", "PAX", "EUR", "GBP", "JPY",
    "AUD", "CAD", "CHF", "SGD", "TRY", "BRL", "MXN", "TRY", "BTC", "ETH", "BNB", "SOL", "FIL", "LTC", "BCH",
    "XRP", "DOGE", "CRO", "EURC", "USDG", "USDR", "USDQ",
];

/// Quote currencies of venues without fiat: Bybit, HTX, OKX-like spellings.
pub const STABLE_QUOTES: &[&str] = &[
    "USDT", "USDC", "USDE", "USDD", "USD1", "USDQ", "USDR", "DAI", "BTC", "ETH", "HUSD", "TUSD", "HT", "TRX",
    "EUR", "BRL", "PLN", "TRY", "BRZ", "GBP", "MNT", "SOL", "USD",
];

/// Bases so common that a split which gives one is believed before a longer quote: `BNBUSD` is no
/// `BN-BUSD`, `GRTUSD` no `GR-TUSD`.
const COMMON_BASES: &[&str] = &[
    "BTC", "ETH", "BNB", "XRP", "SOL", "ADA", "DOGE", "LTC", "BCH", "TRX", "DOT", "LINK", "AVAX", "XLM",
    "UNI", "ATOM", "ETC", "XMR", "EOS", "XTZ", "ALGO", "FIL", "AAVE", "MKR", "ZEC", "DASH", "NEO", "QTUM",
    "BAT", "GRT", "ANT", "QNT", "HNT", "MANA", "SAND", "ENJ", "CRV", "SNX", "COMP", "YFI", "SUSHI", "OMG",
    "ZRX", "KNC", "LRC", "STORJ", "VTHO", "VET", "ONT", "ICX", "WAVES", "NEAR", "APT", "ARB", "OP", "SUI",
    "SEI", "INJ", "RUNE", "FTM", "SHIB", "PEPE", "NU", "OXT", "REP", "GUSD", "PAXG", "WBTC", "TUSD", "USDT",
    "USDC", "BUSD", "DAI",
];

/// Splits a spelling without separator, in any letter case, at the longest quote that fits.
pub fn split(spelling: &str, quotes: &[&str]) -> Option<String> {
    let spelling = spelling.to_uppercase();
    let mut fitting: Vec<(&str, &str)> = quotes
        .iter()
        .filter_map(|&quote| Some((spelling.strip_suffix(quote).filter(|base| !base.is_empty())?, quote)))
        .collect();
    fitting.sort_by_key(|(_, quote)| std::cmp::Reverse(quote.len()));
    let (base, quote) = fitting.iter().find(|(base, _)| COMMON_BASES.contains(base)).or(fitting.first())?;
    Some(format!("{base}-{quote}"))
}

/// Splits at one of the separators venues use, or else as [`split`].
pub fn split_at_separator(spelling: &str, quotes: &[&str]) -> Option<String> {
    let at = spelling.find(['/', '_', ':', '-']);
    match at {
        Some(at) if at > 0 && at + 1 < spelling.len() => {
            Some(format!("{}-{}", &spelling[..at], &spelling[at + 1..]).to_uppercase())
        }
        Some(_) => None,
        None => split(spelling, quotes),
    }
}

/// A kraken spelling: `XBT/USD`, `XBTUSD`, `XXBTZUSD`.
pub fn kraken(spelling: &str) -> Option<String> {
    let upper = spelling.to_uppercase();
    // The oldest names put X before coins and Z before currencies, four letters each.
    let classic = upper.len() == 8
        && upper.is_ascii()
        && matches!(upper.as_bytes()[0], b'X' | b'Z')
        && matches!(upper.as_bytes()[4], b'X' | b'Z');
    let pair = if classic {
        format!("{}-{}", &upper[1..4], &upper[5..])
    } else {
        split_at_separator(&upper, KRAKEN_QUOTES)?
    };
    let (base, quote) = pair.split_once('-')?;
    Some(format!("{}-{}", kraken_asset(base), kraken_asset(quote)))
}

const KRAKEN_QUOTES: &[&str] = &[
    "USD", "EUR", "GBP", "CAD", "JPY", "CHF", "AUD", "AED", "USDT", "USDC", "DAI", "XBT", "BTC", "ETH",
    "PYUSD", "EURT", "RLUSD", "USDG", "USDQ", "USDR", "EURC", "EURQ", "EURR", "DOT",
];

fn kraken_asset(asset: &str) -> &str {
    match asset {
        "XBT" => "BTC",
        "XDG" => "DOGE",
        other => other,
    }
}

/// A bitfinex spelling, with or without the leading `t`: `tBTCUSD`, `tDUSK:USD`, `tBTCUST`.
pub fn bitfinex(spelling: &str) -> Option<String> {
    let pair = spelling.strip_prefix('t').unwrap_or(spelling);
    let (base, quote) = match pair.split_once(':') {
        Some(parts) => parts,
        None if pair.len() == 6 && pair.is_ascii() => pair.split_at(3),
        None => return None,
    };
    let name = |asset: &str| match asset.to_uppercase().as_str() {
        "UST" => "USDT".to_owned(),
        "UDC" => "USDC".to_owned(),
        "EUT" => "EURT".to_owned(),
        other => other.to_owned(),
    };
    let fits = !base.is_empty() && !quote.is_empty();
    fits.then(|| format!("{}-{}", name(base), name(quote)))
}

/// A Bybit spelling: `BTCUSDT`, `BTCPERP` (settled in USDC), `BTCUSDT-21FEB25`; inverse ones
/// (`BTCUSD`, `BTCUSDH25`) count contracts.
pub fn bybit(spelling: &str) -> Result<String, SymbolError> {
    let (pair, delivery) = match spelling.split_once('-') {
        Some((pair, delivery)) => (pair, Some(delivery)),
        None => (spelling, None),
    };
    let stem = pair.trim_end_matches(|c: char| c.is_ascii_digit());
    let is_dated_inverse =
        stem.len() < pair.len() && ["USDH", "USDM", "USDU", "USDZ"].iter().any(|s| stem.ends_with(s));
    if pair.ends_with("USD") || is_dated_inverse {
        return Err(SymbolError::Contract(spelling.to_owned()));
    }
    let symbol = match pair.strip_suffix("PERP") {
        Some(base) if !base.is_empty() => Some(format!("{base}-USDC")),
        // Dated USDC contracts name their base alone: `BTC-24MAR23`.
        _ => split(pair, STABLE_QUOTES).or_else(|| delivery.map(|_| format!("{pair}-USDC"))),
    };
    let symbol = symbol.ok_or_else(|| SymbolError::Unknown(spelling.to_owned()))?;
    Ok(delivery.map_or(symbol.clone(), |delivery| format!("{symbol}-{delivery}")))
}

/// A Binance spelling: `BTCUSDT`, `BTCUSDT_250926`; those of COIN-M (`BTCUSD_PERP`, `BTCUSD_250926`) count
/// contracts.
pub fn binance(spelling: &str) -> Result<String, SymbolError> {
    let (pair, delivery) = match spelling.split_once('_') {
        Some((pair, delivery)) => (pair, Some(delivery)),
        None => (spelling, None),
    };
    if delivery.is_some() && pair.ends_with("USD") {
        return Err(SymbolError::Contract(spelling.to_owned()));
    }
    let symbol = split(pair, BINANCE_QUOTES).ok_or_else(|| SymbolError::Unknown(spelling.to_owned()))?;
    Ok(delivery.map_or(symbol.clone(), |delivery| format!("{symbol}-{delivery}")))
}

/// Whether a spelling without separator is `symbol` (`BASE-QUOTE`), letter case and separators apart.
pub fn spells(spelling: &str, symbol: &str) -> bool {
    let letters = |text: &str| -> String {
        text.chars().filter(|c| !matches!(c, '-' | '/' | '_' | ':')).flat_map(char::to_uppercase).collect()
    };
    letters(spelling) == letters(symbol)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn joined_spellings_are_split_at_the_quote() {
        for (spelling, expected) in [
            ("BTCUSDT", "BTC-USDT"),
            ("ethbtc", "ETH-BTC"),
            ("BTCFDUSD", "BTC-FDUSD"),
            ("1000SHIBUSDT", "1000SHIB-USDT"),
            ("USDTTRY", "USDT-TRY"),
            ("BNBUSDT", "BNB-USDT"),
            ("TUSDUSDT", "TUSD-USDT"),
            ("BTCTUSD", "BTC-TUSD"),
            ("EURUSDT", "EUR-USDT"),
            ("BNBUSD", "BNB-USD"),
        ] {
            assert_eq!(split(spelling, BINANCE_QUOTES).as_deref(), Some(expected));
        }
        assert_eq!(split("GRTUSD", DOLLAR_QUOTES).as_deref(), Some("GRT-USD"));
        assert_eq!(split("OMGBUSD", DOLLAR_QUOTES).as_deref(), Some("OMG-BUSD"));
        assert_eq!(split("USDT", BINANCE_QUOTES), None);
        assert_eq!(split("XYZ", BINANCE_QUOTES), None);
    }

    #[test]
    fn venues_keep_their_aliases() {
        assert_eq!(kraken("XBT/USD").as_deref(), Some("BTC-USD"));
        assert_eq!(kraken("XXBTZUSD").as_deref(), Some("BTC-USD"));
        assert_eq!(kraken("BCHEUR").as_deref(), Some("BCH-EUR"));
        assert_eq!(kraken("XDGUSD").as_deref(), Some("DOGE-USD"));
        assert_eq!(kraken("KSM/XBT").as_deref(), Some("KSM-BTC"));
        assert_eq!(bitfinex("tBTCUSD").as_deref(), Some("BTC-USD"));
        assert_eq!(bitfinex("tGTXUST").as_deref(), Some("GTX-USDT"));
        assert_eq!(bitfinex("tETH2X:ETH").as_deref(), Some("ETH2X-ETH"));
        assert_eq!(bitfinex("fUSD"), None);
        assert_eq!(bybit("BTCPERP").as_deref(), Ok("BTC-USDC"));
        assert_eq!(bybit("BTCUSDT-21FEB25").as_deref(), Ok("BTC-USDT-21FEB25"));
        assert_eq!(bybit("BTC-24MAR23").as_deref(), Ok("BTC-USDC-24MAR23"));
        assert_eq!(bybit("BTCUSDH25"), Err(SymbolError::Contract("BTCUSDH25".to_owned())));
        assert_eq!(binance("BTCUSDT_250926").as_deref(), Ok("BTC-USDT-250926"));
        assert_eq!(binance("BTCUSD_PERP"), Err(SymbolError::Contract("BTCUSD_PERP".to_owned())));
        assert!(
            spells("BTCUSDT", "BTC-USDT") && spells("btc_usdt", "BTC-USDT") && !spells("BTCUSD", "BTC-USDT")
        );
    }

    #[test]
    fn any_text_is_split_or_not() {
        for text in ["", "-", "/", "ß", "ßUSDT", "日本語", "tßßß", "XÄÄÄXÄÄÄ", ":::"] {
            let _ = (split(text, BINANCE_QUOTES), kraken(text), bitfinex(text));
            let _ = split_at_separator(text, STABLE_QUOTES);
        }
    }
}
