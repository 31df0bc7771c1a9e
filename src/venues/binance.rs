//! Binance's `trade` and `aggTrade` frames: spot, Binance US, USD-M.
//!
//! Raw or inside `{"stream":...,"data":...}`. Spot frames carry `M`, USD-M frames do not. `m`: the
//! buyer is the maker, so the taker sold. Keys differ by letter case alone, and must not be
//! folded. Times are milliseconds, or microseconds on connections that ask for it.
//! Sources: binance/binance-spot-api-docs, web-socket-streams.md; Binance USD-M documentation,
//! "Aggregate Trade Streams".
//!
//! Frames of the usual shape go through a scanner written for it; whatever looks unusual goes
//! through a general JSON parser, and both read the same trades.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::domain::decimal::{Price, Quantity};
use crate::domain::event::{Side, Trade, TradeId};
use crate::domain::fields::{FieldError, id, price, quantity, time, trade_count};
use crate::domain::frame::{
    FrameParser, FrameParserEntry, FrameSink, FrameSource, Spelled, SymbolError, TradeKind,
};
use crate::domain::json::text;
use crate::domain::scan::Cursor;
use crate::domain::symbol;
use crate::domain::time::{Stamp, TimeUnit, UnixNanos};
use crate::domain::venue::IdRule;
use crate::venues::elements::{envelope, piece, tell};

pub const ENTRY: FrameParserEntry = FrameParserEntry {
    name: "binance",
    venues: &["binance", "binance-usdm", "binance-us"],
    hosts: &[
        "stream.binance.com",
        "data-stream.binance.vision",
        "fstream.binance.com",
        "dstream.binance.com",
        "stream.binance.us",
    ],
    recognises: |frame| frame.contains("\"e\":\"trade\"") || frame.contains("\"e\":\"aggTrade\""),
    make: |source| Box::new(Binance::new(source)),
};

pub struct Binance {
    /// Name of the venue whose frames carry `M`.
    spot: &'static str,
}

impl Binance {
    pub fn new(source: FrameSource<'_>) -> Self {
        let is_us = source.url.contains("binance.us") || source.venue == Some("binance-us");
        Self { spot: if is_us { "binance-us" } else { "binance" } }
    }

    /// Reads a sound trade of the usual shape and order of keys, and leaves everything else to others.
    #[inline]
    fn usual<'a>(
        &self,
        frame: &'a [u8],
        received_at: Option<Stamp>,
    ) -> Option<(&'static str, &'a str, TradeKind, Trade)> {
        let mut cursor = Cursor::new(frame);
        let is_combined = cursor.literal(b"{\"stream\":\"").is_some();
        if is_combined {
            cursor.until(b'@')?;
            cursor.literal(b"trade\",\"data\":").or_else(|| cursor.literal(b"aggTrade\",\"data\":"))?;
        }
        let end = if is_combined { &b"}}"[..] } else { b"}" };
        if cursor.literal(b"{\"e\":\"aggTrade\",\"E\":").is_some() {
            return self.usual_aggregate(cursor, end, received_at);
        }
        cursor.literal(b"{\"e\":\"trade\",\"E\":")?;
        cursor.number()?;
        // USD-M tells the time before the symbol, spot behind the quantity.
        let early = match cursor.literal(b",\"T\":") {
            Some(()) => Some(cursor.number()?),
            None => None,
        };
        cursor.literal(b",\"s\":\"")?;
        let symbol = std::str::from_utf8(cursor.until(b'"')?).ok()?;
        cursor.literal(b",\"t\":")?;
        let id = cursor.number()?;
        cursor.literal(b",\"p\":\"")?;
        let price = Price::parse(cursor.until(b'"')?).ok()?;
        cursor.literal(b",\"q\":\"")?;
        let quantity = Quantity::parse(cursor.until(b'"')?).ok()?;
        if cursor.literal(b",\"b\":").is_some() {
            cursor.number()?;
            cursor.literal(b",\"a\":")?;
            cursor.number()?;
        }
        let at = match early {
            Some(at) => {
                cursor.literal(b",\"X\":\"MARKET\"")?;
                at
            }
            None => {
                cursor.literal(b",\"T\":")?;
                cursor.number()?
            }
        };
        let (side, is_spot) = usual_end(cursor, end)?;
        let trade = Trade {
            price,
            quantity,
            exchange_at: usual_time(at)?,
            received_at,
            id: TradeId::Number(id),
            taker_side: Some(side),
            trade_count: 1,
        };
        Some((if is_spot { self.spot } else { "binance-usdm" }, symbol, TradeKind::Raw, trade))
    }

    #[inline]
    fn usual_aggregate<'a>(
        &self,
        mut cursor: Cursor<'a>,
        end: &[u8],
        received_at: Option<Stamp>,
    ) -> Option<(&'static str, &'a str, TradeKind, Trade)> {
        cursor.number()?;
        // USD-M may tell the id before the symbol.
        let early = match cursor.literal(b",\"a\":") {
            Some(()) => Some(cursor.number()?),
            None => None,
        };
        cursor.literal(b",\"s\":\"")?;
        let symbol = std::str::from_utf8(cursor.until(b'"')?).ok()?;
        let id = match early {
            Some(id) => id,
            None => {
                cursor.literal(b",\"a\":")?;
                cursor.number()?
            }
        };
        cursor.literal(b",\"p\":\"")?;
        let price = Price::parse(cursor.until(b'"')?).ok()?;
        cursor.literal(b",\"q\":\"")?;
        let quantity = Quantity::parse(cursor.until(b'"')?).ok()?;
        if cursor.literal(b",\"nq\":\"").is_some() {
            cursor.until(b'"')?;
        }
        cursor.literal(b",\"f\":")?;
        let first = cursor.number()?;
        cursor.literal(b",\"l\":")?;
        let last = cursor.number()?;
        cursor.literal(b",\"T\":")?;
        let exchange_at = usual_time(cursor.number()?)?;
        let (side, is_spot) = usual_end(cursor, end)?;
        let trade = Trade {
            price,
            quantity,
            exchange_at,
            received_at,
            id: TradeId::Number(id),
            taker_side: Some(side),
            trade_count: u32::try_from(last.checked_sub(first)?.checked_add(1)?).ok()?,
        };
        Some((if is_spot { self.spot } else { "binance-usdm" }, symbol, TradeKind::Aggregate, trade))
    }

    fn tell(&self, fields: &Fields<'_>, received_at: Option<Stamp>, sink: &mut dyn FrameSink) {
        let kind = if fields.is_aggregate { TradeKind::Aggregate } else { TradeKind::Raw };
        let venue = if fields.has_best_match { self.spot } else { "binance-usdm" };
        let spelled = Spelled { venue, symbol: fields.symbol, kind, id_rule: IdRule::Contiguous };
        tell(spelled, fields.trade(received_at), sink);
    }
}

impl FrameParser for Binance {
    #[inline]
    fn frame(&mut self, frame: &str, received_at: Option<Stamp>, sink: &mut dyn FrameSink) {
        if let Some((venue, symbol, kind, trade)) = self.usual(frame.as_bytes(), received_at) {
            sink.trade(Spelled { venue, symbol, kind, id_rule: IdRule::Contiguous }, trade);
            return;
        }
        match scan(frame.as_bytes()) {
            Scanned::Trade(fields) => self.tell(&fields, received_at, sink),
            Scanned::Other => {}
            Scanned::Unusual => {
                if let Some(general) = read(frame, sink) {
                    self.tell(&general.fields(), received_at, sink);
                }
            }
        }
    }

    fn symbol(&self, venue: &'static str, spelling: &str) -> Result<String, SymbolError> {
        if venue != "binance-us" {
            return symbol::binance(spelling);
        }
        symbol::split(spelling, symbol::DOLLAR_QUOTES)
            .ok_or_else(|| SymbolError::Unknown(spelling.to_owned()))
    }
}

#[inline]
fn usual_time(count: u64) -> Option<UnixNanos> {
    let unit = if count < MICROS_FROM { TimeUnit::Millis } else { TimeUnit::Micros };
    UnixNanos::from_unit(count as i64, unit).and_then(UnixNanos::plausible).ok()
}

/// `m`, whether `M` stands behind it, and nothing more than the `end`.
#[inline]
fn usual_end(mut cursor: Cursor<'_>, end: &[u8]) -> Option<(Side, bool)> {
    cursor.literal(b",\"m\":")?;
    let side = match cursor.literal(b"true") {
        Some(()) => Side::Sell,
        None => {
            cursor.literal(b"false")?;
            Side::Buy
        }
    };
    let is_spot = cursor.literal(b",\"M\":").is_some();
    if is_spot {
        cursor.literal(b"true").or_else(|| cursor.literal(b"false"))?;
    } else if cursor.literal(b",\"st\":").is_some() {
        cursor.number()?;
    }
    (cursor.rest() == end).then_some((side, is_spot))
}

/// Counts from here on are microseconds: sixteen digits, as [`Fields::trade`] has it.
const MICROS_FROM: u64 = 1_000_000_000_000_000;

/// The texts of one trade.
#[derive(Default)]
struct Fields<'a> {
    is_aggregate: bool,
    symbol: &'a str,
    id: &'a [u8],
    price: &'a [u8],
    quantity: &'a [u8],
    first: &'a [u8],
    last: &'a [u8],
    time: &'a [u8],
    buyer_is_maker: Option<bool>,
    /// `M`, which only spot has.
    has_best_match: bool,
}

impl Fields<'_> {
    #[inline]
    fn trade(&self, received_at: Option<Stamp>) -> Result<Trade, FieldError> {
        // A connection counts milliseconds, or microseconds where it asked for that: told by the length.
        let unit = if self.time.len() < 16 { TimeUnit::Millis } else { TimeUnit::Micros };
        let maker =
            self.buyer_is_maker.ok_or_else(|| FieldError::plain("the frame does not say m, the maker"))?;
        Ok(Trade {
            id: id(self.id)?,
            price: price(self.price)?,
            quantity: quantity(self.quantity)?,
            exchange_at: time(self.time, unit)?,
            received_at,
            taker_side: Some(if maker { Side::Sell } else { Side::Buy }),
            trade_count: if self.is_aggregate { trade_count(self.first, self.last)? } else { 1 },
        })
    }
}

enum Scanned<'a> {
    Trade(Fields<'a>),
    /// Plainly something else.
    Other,
    /// Ask the general parser.
    Unusual,
}

/// Reads frames of the usual shape: no blanks, no escapes, plain values.
#[inline]
fn scan(frame: &[u8]) -> Scanned<'_> {
    let mut rest = frame;
    if let Some(after) = rest.strip_prefix(b"{\"stream\":\"") {
        let Some(at) = after.iter().position(|&b| b == b'@' || b == b'"') else { return Scanned::Unusual };
        let Some(end) = after[at..].iter().position(|&b| b == b'"') else { return Scanned::Unusual };
        match &after[at..at + end] {
            b"@trade" | b"@aggTrade" => {}
            // A stream of books, quotes or candles: most frames of a recording end here.
            stream if stream.starts_with(b"@") => return Scanned::Other,
            _ => return Scanned::Unusual,
        }
        match after[at + end..].strip_prefix(b"\",\"data\":") {
            Some(data) => rest = data,
            None => return Scanned::Unusual,
        }
        match rest.split_last() {
            Some((b'}', inner)) => rest = inner,
            _ => return Scanned::Unusual,
        }
    }
    match scan_trade(rest) {
        Some(fields) => Scanned::Trade(fields),
        None => Scanned::Unusual,
    }
}

#[inline]
fn scan_trade(object: &[u8]) -> Option<Fields<'_>> {
    let mut rest = object.strip_prefix(b"{\"e\":\"")?;
    let mut fields = Fields::default();
    if let Some(after) = rest.strip_prefix(b"trade\"") {
        rest = after;
    } else {
        rest = rest.strip_prefix(b"aggTrade\"")?;
        fields.is_aggregate = true;
    }
    let mut has_symbol = false;
    loop {
        match rest {
            b"}" => break,
            [b',', b'"', key, b'"', b':', after @ ..] => {
                let (value, next) = scan_value(after)?;
                match (key, fields.is_aggregate) {
                    (b's', _) => {
                        fields.symbol = std::str::from_utf8(value).ok()?;
                        has_symbol = true;
                    }
                    (b't', false) | (b'a', true) => fields.id = value,
                    (b'p', _) => fields.price = value,
                    (b'q', _) => fields.quantity = value,
                    (b'f', true) => fields.first = value,
                    (b'l', true) => fields.last = value,
                    (b'T', _) => fields.time = value,
                    (b'm', _) => {
                        fields.buyer_is_maker = match value {
                            b"true" => Some(true),
                            b"false" => Some(false),
                            _ => return None,
                        }
                    }
                    (b'M', _) => fields.has_best_match = true,
                    _ => {}
                }
                rest = next;
            }
            // Two-letter keys (`nq`, `st`) of USD-M.
            [b',', b'"', _, _, b'"', b':', after @ ..] => rest = scan_value(after)?.1,
            _ => return None,
        }
    }
    has_symbol.then_some(fields)
}

/// A plain value, without quotes, and what follows it.
#[inline]
fn scan_value(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let (first, after) = text.split_first()?;
    if *first == b'"' {
        for (at, &byte) in after.iter().enumerate() {
            match byte {
                b'"' => return Some((&after[..at], &after[at + 1..])),
                b'\\' => return None,
                _ => {}
            }
        }
        return None;
    }
    let end = text.iter().position(|&byte| byte == b',' || byte == b'}')?;
    let value = &text[..end];
    let is_plain = value.first().is_some_and(|&b| b.is_ascii_digit() || b == b't' || b == b'f' || b == b'-')
        && value.iter().all(|&b| b.is_ascii_alphanumeric() || b == b'-');
    is_plain.then_some((value, &text[end..]))
}

#[derive(Deserialize)]
struct Wrapper<'a> {
    #[serde(borrow)]
    data: Option<&'a RawValue>,
    #[serde(borrow)]
    e: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Payload<'a> {
    #[serde(borrow)]
    s: Option<&'a RawValue>,
    #[serde(borrow)]
    t: Option<&'a RawValue>,
    #[serde(borrow)]
    a: Option<&'a RawValue>,
    #[serde(borrow)]
    p: Option<&'a RawValue>,
    #[serde(borrow)]
    q: Option<&'a RawValue>,
    #[serde(borrow)]
    f: Option<&'a RawValue>,
    #[serde(borrow)]
    l: Option<&'a RawValue>,
    #[serde(borrow, rename = "T")]
    time: Option<&'a RawValue>,
    m: Option<bool>,
    #[serde(borrow, rename = "M")]
    best_match: Option<&'a RawValue>,
}

/// The texts of one trade, some of them unescaped.
struct General<'a> {
    is_aggregate: bool,
    texts: [Cow<'a, str>; 7],
    buyer_is_maker: Option<bool>,
    has_best_match: bool,
}

impl General<'_> {
    fn fields(&self) -> Fields<'_> {
        let [symbol, id, price, quantity, first, last, time] = &self.texts;
        Fields {
            is_aggregate: self.is_aggregate,
            symbol,
            id: id.as_bytes(),
            price: price.as_bytes(),
            quantity: quantity.as_bytes(),
            first: first.as_bytes(),
            last: last.as_bytes(),
            time: time.as_bytes(),
            buyer_is_maker: self.buyer_is_maker,
            has_best_match: self.has_best_match,
        }
    }
}

#[cold]
fn read<'a>(frame: &'a str, sink: &mut dyn FrameSink) -> Option<General<'a>> {
    let wrapper: Wrapper<'_> = envelope(frame, sink)?;
    let (object, event) = match (wrapper.data, text(wrapper.e)) {
        (None, event) => (frame, event.into_owned()),
        (Some(data), _) => {
            // Arrays (`!ticker@arr`) and whatever else is wrapped are no trades.
            let inner: Wrapper<'_> = serde_json::from_str(data.get()).ok()?;
            (data.get(), text(inner.e).into_owned())
        }
    };
    let is_aggregate = match event.as_str() {
        "trade" => false,
        "aggTrade" => true,
        _ => return None,
    };
    let raw: &RawValue = serde_json::from_str(object).ok()?;
    let payload: Payload<'a> = piece("trade", Some(raw), sink)?;
    let id = if is_aggregate { payload.a } else { payload.t };
    let texts = [payload.s, id, payload.p, payload.q, payload.f, payload.l, payload.time].map(text);
    Some(General {
        is_aggregate,
        texts,
        buyer_is_maker: payload.m,
        has_best_match: payload.best_match.is_some(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::venues::testing::{check_frames, check_symbols, told};

    const SPOT: &str = r#"{"stream":"btcusdt@trade","data":{"e":"trade","E":1723161601438,"s":"BTCUSDT","t":3735693016,"p":"61685.99000000","q":"0.00017000","b":20720542158,"a":20720542592,"T":1723161601437,"m":true,"M":true}}"#;
    const USDM: &str = r#"{"e":"aggTrade","E":1700000000123,"s":"BTCUSDT","a":5933014,"p":"43000.1","q":"0.100","nq":"0.100","f":100,"l":105,"T":1700000000085,"m":false,"st":1}"#;

    #[test]
    fn trades_and_aggregates_are_read() {
        check_frames(
            &ENTRY,
            &[
                (SPOT, "binance BTCUSDT raw 3735693016 61685.99 0.00017 2024-08-09T00:00:01.437Z sell 1"),
                (USDM, "binance-usdm BTCUSDT aggregate 5933014 43000.1 0.1 2023-11-14T22:13:20.085Z buy 6"),
                (
                    r#"{"e":"trade","s":"A","t":1,"p":"1","q":"1","T":1723161601437123,"m":true,"M":true}"#,
                    "binance A raw 1 1 1 2024-08-09T00:00:01.437123Z sell 1",
                ),
            ],
        );
    }

    #[test]
    fn what_is_no_trade_tells_nothing() {
        for frame in [
            r#"{"result":null,"id":1}"#,
            r#"{"stream":"btcusdt@bookTicker","data":{"u":1}}"#,
            r#"{"e":"kline","k":{"t":1}}"#,
            r#"{"e":"blockTrade","t":1}"#,
            r#"[{"e":"24hrTicker"}]"#,
            r#"{"stream":"!ticker@arr","data":[]}"#,
        ] {
            check_frames(&ENTRY, &[(frame, "")]);
        }
    }

    #[test]
    fn what_is_wrong_is_named() {
        let swap = |from: &str, to: &str| SPOT.replace(from, to);
        for (frame, expected) in [
            (swap("61685.99000000", "0.0"), r#"refused: price "0.0" is zero"#),
            (swap("3735693016", "null"), "refused: the trade has no id, and the venue promises one"),
            (swap("\"m\":true,", ""), "refused: the frame does not say m, the maker"),
            (swap("1723161601437", "12"), r#"refused: time "12" is before 2009-01-03"#),
            (SPOT[..SPOT.len() - 9].to_owned(), "refused: frame"),
        ] {
            let found = told(&ENTRY, &frame);
            assert!(found.starts_with(expected), "{frame}: {found}");
        }
    }

    /// The scanner and the general parser read the same.
    #[test]
    fn unusual_spellings_of_a_frame_are_the_same_trade() {
        for frame in [SPOT, USDM] {
            let expected = told(&ENTRY, frame);
            let spaced = frame.replace(',', ", ").replace(':', ": ");
            assert!(matches!(scan(spaced.as_bytes()), Scanned::Unusual));
            assert_eq!(told(&ENTRY, &spaced), expected);
            let escaped = frame.replace("BTCUSDT\"", "BTCUSD\\u0054\"");
            assert!(matches!(scan(escaped.as_bytes()), Scanned::Unusual));
            assert_eq!(told(&ENTRY, &escaped), expected);
            assert!(matches!(scan(frame.as_bytes()), Scanned::Trade(_)));
        }
    }

    #[test]
    fn symbols_are_split_and_contracts_refused() {
        check_symbols(
            &ENTRY,
            "binance",
            &[("BTCUSDT", Some("BTC-USDT")), ("BTCUSD_PERP", None), ("X", None)],
        );
        check_symbols(&ENTRY, "binance-us", &[("BTCUSD", Some("BTC-USD")), ("QTUMUSDT", Some("QTUM-USDT"))]);
    }
}
