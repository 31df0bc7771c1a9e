//! Bitstamp `live_trades`.
//!
//! The `_str` fields are read, small ones with an exponent (`1E-8`); the numbers beside them carry
//! float noise. `type` 0 is a bought
//! trade, 1 a sold one. Ids rise over all pairs together, with holes.
//! Source: Bitstamp documentation, "WebSocket v2: live ticker".

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::domain::event::{Side, Trade};
use crate::domain::fields::{FieldError, id, price_scientific, quantity_scientific, time};
use crate::domain::frame::{FrameParser, FrameParserEntry, FrameSink, Spelled, SymbolError, TradeKind};
use crate::domain::json::text;
use crate::domain::symbol;
use crate::domain::time::{Stamp, TimeUnit};
use crate::domain::venue::IdRule;
use crate::venues::elements::{envelope, piece, tell};

pub const ENTRY: FrameParserEntry = FrameParserEntry {
    name: "bitstamp",
    venues: &["bitstamp"],
    hosts: &["ws.bitstamp.net"],
    recognises: |frame| frame.contains("live_trades_") && frame.contains("\"microtimestamp\""),
    make: |_| Box::new(Bitstamp),
};

struct Bitstamp;

#[derive(Deserialize)]
struct Frame<'a> {
    #[serde(borrow)]
    event: Option<&'a RawValue>,
    #[serde(borrow)]
    channel: Option<&'a RawValue>,
    #[serde(borrow)]
    data: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Row<'a> {
    #[serde(borrow)]
    id: Option<&'a RawValue>,
    #[serde(borrow)]
    microtimestamp: Option<&'a RawValue>,
    #[serde(borrow)]
    price_str: Option<&'a RawValue>,
    #[serde(borrow)]
    amount_str: Option<&'a RawValue>,
    #[serde(borrow, rename = "type")]
    kind: Option<&'a RawValue>,
}

impl Row<'_> {
    fn trade(&self, received_at: Option<Stamp>) -> Result<Trade, FieldError> {
        let taker_side = match &*text(self.kind) {
            "0" => Side::Buy,
            "1" => Side::Sell,
            other => {
                return Err(FieldError::new("type", other.as_bytes(), "is neither 0 (buy) nor 1 (sell)"));
            }
        };
        Ok(Trade {
            id: id(text(self.id).as_bytes())?,
            price: price_scientific(text(self.price_str).as_bytes())?,
            quantity: quantity_scientific(text(self.amount_str).as_bytes())?,
            exchange_at: time(text(self.microtimestamp).as_bytes(), TimeUnit::Micros)?,
            received_at,
            taker_side: Some(taker_side),
            trade_count: 1,
        })
    }
}

impl FrameParser for Bitstamp {
    fn frame(&mut self, frame: &str, received_at: Option<Stamp>, sink: &mut dyn FrameSink) {
        let Some(envelope) = envelope::<Frame<'_>>(frame, sink) else { return };
        let channel = text(envelope.channel);
        let Some(symbol) = channel.strip_prefix("live_trades_") else { return };
        if text(envelope.event) != "trade" {
            return;
        }
        if let Some(row) = piece::<Row<'_>>("trade", envelope.data, sink) {
            let spelled =
                Spelled { venue: "bitstamp", symbol, kind: TradeKind::Raw, id_rule: IdRule::Sparse };
            tell(spelled, row.trade(received_at), sink);
        }
    }

    fn symbol(&self, _venue: &'static str, spelling: &str) -> Result<String, SymbolError> {
        symbol::split(spelling, symbol::DOLLAR_QUOTES)
            .ok_or_else(|| SymbolError::Unknown(spelling.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::ENTRY;
    use crate::venues::testing::{check_frames, check_symbols};

    #[test]
    fn the_text_beside_the_number_is_read() {
        check_frames(
            &ENTRY,
            &[
                (
                    r#"{"channel": "live_trades_linketh", "data": {"amount": 14.600000001, "amount_str": "14.60000000", "id": 161009670, "microtimestamp": "1617654353839000", "price": 0.01495224, "price_str": "0.01495224", "timestamp": "1617654353", "type": 1}, "event": "trade"}"#,
                    "bitstamp linketh raw 161009670 0.01495224 14.6 2021-04-05T20:25:53.839Z sell 1",
                ),
                (
                    r#"{"channel":"live_trades_btcusd","data":{"amount_str":"1E-8","id":7,"microtimestamp":"1617654353839000","price_str":"58000","type":0},"event":"trade"}"#,
                    "bitstamp btcusd raw 7 58000 0.00000001 2021-04-05T20:25:53.839Z buy 1",
                ),
                (r#"{"event":"bts:subscription_succeeded","channel":"live_trades_xlmeur","data":{}}"#, ""),
                (r#"{"event":"data","channel":"diff_order_book_xlmeur","data":{"bids":[]}}"#, ""),
            ],
        );
        check_symbols(&ENTRY, "bitstamp", &[("linketh", Some("LINK-ETH")), ("btcusdc", Some("BTC-USDC"))]);
    }
}
