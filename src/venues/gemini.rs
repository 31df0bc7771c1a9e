//! Gemini: `trade` of the older market data feed v2, and of the newer one.
//!
//! The newer counts nanoseconds and says `m`, the buyer is the maker. Ids come from a counter of
//! all events, with holes. Sources: Gemini documentation, "Market data v2";
//! gemini/developer-platform, samples of websocket trades.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::domain::event::{Side, Trade};
use crate::domain::fields::{FieldError, id, price, quantity, taker_side, time};
use crate::domain::frame::{FrameParser, FrameParserEntry, FrameSink, Spelled, SymbolError, TradeKind};
use crate::domain::json::text;
use crate::domain::symbol;
use crate::domain::time::{Stamp, TimeUnit};
use crate::domain::venue::IdRule;
use crate::venues::elements::{envelope, tell};

pub const ENTRY: FrameParserEntry = FrameParserEntry {
    name: "gemini",
    venues: &["gemini"],
    hosts: &["api.gemini.com", "ws.gemini.com"],
    recognises: |frame| frame.contains("\"type\":\"trade\"") && frame.contains("\"event_id\""),
    make: |_| Box::new(Gemini),
};

struct Gemini;

#[derive(Deserialize)]
struct Frame<'a> {
    #[serde(borrow, rename = "type")]
    kind: Option<&'a RawValue>,
    #[serde(borrow)]
    symbol: Option<&'a RawValue>,
    #[serde(borrow)]
    event_id: Option<&'a RawValue>,
    #[serde(borrow)]
    timestamp: Option<&'a RawValue>,
    #[serde(borrow)]
    price: Option<&'a RawValue>,
    #[serde(borrow)]
    quantity: Option<&'a RawValue>,
    #[serde(borrow)]
    side: Option<&'a RawValue>,
    #[serde(borrow, rename = "E")]
    event_time: Option<&'a RawValue>,
    #[serde(borrow)]
    s: Option<&'a RawValue>,
    #[serde(borrow)]
    t: Option<&'a RawValue>,
    #[serde(borrow)]
    p: Option<&'a RawValue>,
    #[serde(borrow)]
    q: Option<&'a RawValue>,
    #[serde(borrow)]
    m: Option<&'a RawValue>,
}

impl Frame<'_> {
    fn trade_v2(&self, received_at: Option<Stamp>) -> Result<Trade, FieldError> {
        Ok(Trade {
            id: id(text(self.event_id).as_bytes())?,
            price: price(text(self.price).as_bytes())?,
            quantity: quantity(text(self.quantity).as_bytes())?,
            exchange_at: time(text(self.timestamp).as_bytes(), TimeUnit::Millis)?,
            received_at,
            taker_side: taker_side(text(self.side).as_bytes())?,
            trade_count: 1,
        })
    }

    fn trade_newer(&self, received_at: Option<Stamp>) -> Result<Trade, FieldError> {
        let taker_side = match self.m.map(RawValue::get) {
            Some("true") => Side::Sell,
            Some("false") => Side::Buy,
            _ => return Err(FieldError::plain("the frame does not say m, the maker")),
        };
        Ok(Trade {
            id: id(text(self.t).as_bytes())?,
            price: price(text(self.p).as_bytes())?,
            quantity: quantity(text(self.q).as_bytes())?,
            exchange_at: time(text(self.event_time).as_bytes(), TimeUnit::Nanos)?,
            received_at,
            taker_side: Some(taker_side),
            trade_count: 1,
        })
    }
}

impl FrameParser for Gemini {
    fn frame(&mut self, frame: &str, received_at: Option<Stamp>, sink: &mut dyn FrameSink) {
        let Some(frame) = envelope::<Frame<'_>>(frame, sink) else { return };
        let (symbol, trade) = if text(frame.kind) == "trade" {
            (text(frame.symbol), frame.trade_v2(received_at))
        } else if frame.kind.is_none() && frame.t.is_some() && frame.event_time.is_some() && frame.p.is_some()
        {
            (text(frame.s), frame.trade_newer(received_at))
        } else {
            return;
        };
        let spelled =
            Spelled { venue: "gemini", symbol: &symbol, kind: TradeKind::Raw, id_rule: IdRule::Sparse };
        tell(spelled, trade, sink);
    }

    fn symbol(&self, _venue: &'static str, spelling: &str) -> Result<String, SymbolError> {
        if spelling.to_ascii_uppercase().ends_with("PERP") {
            return Err(SymbolError::Contract(spelling.to_owned()));
        }
        symbol::split(spelling, symbol::DOLLAR_QUOTES)
            .ok_or_else(|| SymbolError::Unknown(spelling.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::ENTRY;
    use crate::venues::testing::{check_frames, check_symbols};

    #[test]
    fn both_feeds_are_read() {
        check_frames(
            &ENTRY,
            &[
                (
                    r#"{"type":"trade","symbol":"ANKRUSD","event_id":124,"timestamp":1624493667000,"price":"0.0795","quantity":"10","side":"buy"}"#,
                    "gemini ANKRUSD raw 124 0.0795 10 2021-06-24T00:14:27Z buy 1",
                ),
                (
                    r#"{"E":1624493667000000001,"s":"btcusd","t":125,"p":"33000.1","q":"0.1","m":true}"#,
                    "gemini btcusd raw 125 33000.1 0.1 2021-06-24T00:14:27.000000001Z sell 1",
                ),
                (r#"{"type":"heartbeat","timestamp":1}"#, ""),
                (r#"{"type":"l2_updates","symbol":"GRTUSD","changes":[]}"#, ""),
            ],
        );
        check_symbols(&ENTRY, "gemini", &[("GRTUSD", Some("GRT-USD")), ("btcgusdperp", None)]);
    }
}
