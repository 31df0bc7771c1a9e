//! Crypto.com Exchange `trade`.
//!
//! Lists have the newest trade first and are told oldest first. Numbers come as strings or as
//! JSON numbers, read by their text. Ids derive from time. The side is the taker's.
//! Source: Crypto.com Exchange API v1, "trade.{instrument_name}".

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::domain::event::Trade;
use crate::domain::fields::{FieldError, id, price_scientific, quantity_scientific, taker_side, time};
use crate::domain::frame::{FrameParser, FrameParserEntry, FrameSink, Spelled, SymbolError, TradeKind};
use crate::domain::json::text;
use crate::domain::time::{Stamp, TimeUnit};
use crate::domain::venue::IdRule;
use crate::venues::elements::{each, envelope, tell};

pub const ENTRY: FrameParserEntry = FrameParserEntry {
    name: "crypto-com",
    venues: &["crypto-com"],
    hosts: &["stream.crypto.com"],
    recognises: |frame| frame.contains("\"channel\":\"trade\"") && frame.contains("\"instrument_name\""),
    make: |_| Box::new(CryptoCom),
};

struct CryptoCom;

#[derive(Deserialize)]
struct Frame<'a> {
    #[serde(borrow)]
    result: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Answer<'a> {
    #[serde(borrow)]
    channel: Option<&'a RawValue>,
    #[serde(borrow)]
    instrument_name: Option<&'a RawValue>,
    #[serde(borrow)]
    data: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Row<'a> {
    #[serde(borrow, rename = "d")]
    id: Option<&'a RawValue>,
    #[serde(borrow, rename = "t")]
    time: Option<&'a RawValue>,
    #[serde(borrow, rename = "p")]
    price: Option<&'a RawValue>,
    #[serde(borrow, rename = "q")]
    quantity: Option<&'a RawValue>,
    #[serde(borrow, rename = "s")]
    side: Option<&'a RawValue>,
    #[serde(borrow, rename = "i")]
    instrument: Option<&'a RawValue>,
}

impl Row<'_> {
    fn trade(&self, received_at: Option<Stamp>) -> Result<Trade, FieldError> {
        Ok(Trade {
            id: id(text(self.id).as_bytes())?,
            price: price_scientific(text(self.price).as_bytes())?,
            quantity: quantity_scientific(text(self.quantity).as_bytes())?,
            exchange_at: time(text(self.time).as_bytes(), TimeUnit::Millis)?,
            received_at,
            taker_side: taker_side(text(self.side).as_bytes())?,
            trade_count: 1,
        })
    }
}

impl FrameParser for CryptoCom {
    fn frame(&mut self, frame: &str, received_at: Option<Stamp>, sink: &mut dyn FrameSink) {
        let Some(Frame { result: Some(result) }) = envelope::<Frame<'_>>(frame, sink) else { return };
        let Ok(result) = serde_json::from_str::<Answer<'_>>(result.get()) else { return };
        if text(result.channel) != "trade" {
            return;
        }
        let named = text(result.instrument_name);
        each("trade", result.data, true, sink, |row: Row<'_>, sink| {
            let own = text(row.instrument);
            let symbol = if own.is_empty() { &*named } else { &*own };
            let spelled =
                Spelled { venue: "crypto-com", symbol, kind: TradeKind::Raw, id_rule: IdRule::Sparse };
            tell(spelled, row.trade(received_at), sink);
        });
    }

    fn symbol(&self, _venue: &'static str, spelling: &str) -> Result<String, SymbolError> {
        match spelling.split_once('_') {
            Some((base, quote)) => Ok(format!("{base}-{quote}")),
            None => Err(SymbolError::Contract(spelling.to_owned())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::ENTRY;
    use crate::venues::testing::{check_frames, check_symbols};

    #[test]
    fn lists_are_told_oldest_first() {
        check_frames(
            &ENTRY,
            &[
                (
                    r#"{"code":0,"method":"subscribe","result":{"instrument_name":"MATIC_USDT","subscription":"trade.MATIC_USDT","channel":"trade","data":[{"d":2008994948736251682,"s":"SELL","p":1.75445,"q":39.82,"t":1637709515137,"i":"MATIC_USDT"},{"d":"2008994817854822754","s":"BUY","p":"1.75445","q":7e-2,"t":1637709511236}]}}"#,
                    "crypto-com MATIC_USDT raw 2008994817854822754 1.75445 0.07 2021-11-23T23:18:31.236Z buy 1\n\
                     crypto-com MATIC_USDT raw 2008994948736251682 1.75445 39.82 2021-11-23T23:18:35.137Z sell 1",
                ),
                (r#"{"id":1,"method":"public/heartbeat","code":0}"#, ""),
                (r#"{"result":{"channel":"book","data":[{}]}}"#, ""),
            ],
        );
        check_symbols(&ENTRY, "crypto-com", &[("MATIC_USDT", Some("MATIC-USDT")), ("BTCUSD-PERP", None)]);
    }
}
