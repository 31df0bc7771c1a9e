//! Gate.io spot v4 `spot.trades`.
//!
//! `id` counts the trades of all markets; milliseconds carry a fraction; the side is the taker's.
//! Their documentation repeats a key inside one object, which is passed over.
//! Source: Gate documentation, "Spot WebSocket v4: public trades channel".

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::domain::event::Trade;
use crate::domain::fields::{FieldError, id, price, quantity, taker_side, time};
use crate::domain::frame::{FrameParser, FrameParserEntry, FrameSink, Spelled, SymbolError, TradeKind};
use crate::domain::json::text;
use crate::domain::time::{Stamp, TimeUnit};
use crate::domain::venue::IdRule;
use crate::venues::elements::{envelope, piece, tell};

pub const ENTRY: FrameParserEntry = FrameParserEntry {
    name: "gate",
    venues: &["gate"],
    hosts: &["api.gateio.ws", "ws.gate.io"],
    recognises: |frame| frame.contains("\"spot.trades\"") && frame.contains("\"currency_pair\""),
    make: |_| Box::new(Gate),
};

struct Gate;

#[derive(Deserialize)]
struct Frame<'a> {
    #[serde(borrow)]
    channel: Option<&'a RawValue>,
    #[serde(borrow)]
    event: Option<&'a RawValue>,
    #[serde(borrow)]
    result: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Row<'a> {
    #[serde(borrow)]
    id: Option<&'a RawValue>,
    #[serde(borrow)]
    create_time_ms: Option<&'a RawValue>,
    #[serde(borrow)]
    side: Option<&'a RawValue>,
    #[serde(borrow)]
    currency_pair: Option<&'a RawValue>,
    #[serde(borrow)]
    amount: Option<&'a RawValue>,
    #[serde(borrow)]
    price: Option<&'a RawValue>,
}

impl Row<'_> {
    fn trade(&self, received_at: Option<Stamp>) -> Result<Trade, FieldError> {
        Ok(Trade {
            id: id(text(self.id).as_bytes())?,
            price: price(text(self.price).as_bytes())?,
            quantity: quantity(text(self.amount).as_bytes())?,
            exchange_at: time(text(self.create_time_ms).as_bytes(), TimeUnit::Millis)?,
            received_at,
            taker_side: taker_side(text(self.side).as_bytes())?,
            trade_count: 1,
        })
    }
}

impl FrameParser for Gate {
    fn frame(&mut self, frame: &str, received_at: Option<Stamp>, sink: &mut dyn FrameSink) {
        let Some(envelope) = envelope::<Frame<'_>>(frame, sink) else { return };
        if text(envelope.channel) != "spot.trades" || text(envelope.event) != "update" {
            return;
        }
        if let Some(row) = piece::<Row<'_>>("trade", envelope.result, sink) {
            let symbol = text(row.currency_pair);
            let spelled =
                Spelled { venue: "gate", symbol: &symbol, kind: TradeKind::Raw, id_rule: IdRule::Sparse };
            tell(spelled, row.trade(received_at), sink);
        }
    }

    fn symbol(&self, _venue: &'static str, spelling: &str) -> Result<String, SymbolError> {
        match spelling.split_once('_') {
            Some((base, quote)) => Ok(format!("{base}-{quote}")),
            None => Err(SymbolError::Unknown(spelling.to_owned())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::ENTRY;
    use crate::venues::testing::{check_frames, check_symbols};

    #[test]
    fn updates_are_read_and_acks_are_not() {
        check_frames(
            &ENTRY,
            &[
                (
                    r#"{"time":1619093546,"channel":"spot.trades","event":"update","result":{"id":816995970,"id_market":1,"id_market":1,"create_time":1619093546,"create_time_ms":"1619093546958.116","side":"buy","currency_pair":"NEO_BTC","amount":"0.5000000000","price":"0.0018735000"}}"#,
                    "gate NEO_BTC raw 816995970 0.0018735 0.5 2021-04-22T12:12:26.958116Z buy 1",
                ),
                (r#"{"channel":"spot.trades","event":"subscribe","result":{"status":"success"}}"#, ""),
            ],
        );
        check_symbols(&ENTRY, "gate", &[("NEO_BTC", Some("NEO-BTC")), ("X", None)]);
    }
}
