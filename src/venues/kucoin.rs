//! KuCoin spot `trade.l3match`.
//!
//! Ids are hexadecimal texts; `sequence` counts events of the book too. Nanoseconds, the taker's
//! side. Source: KuCoin documentation, "Match execution data".

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
    name: "kucoin",
    venues: &["kucoin"],
    hosts: &["push-private.kucoin.com", "ws-api.kucoin.com", "ws-api-spot.kucoin.com"],
    recognises: |frame| frame.contains("\"trade.l3match\""),
    make: |_| Box::new(Kucoin),
};

struct Kucoin;

#[derive(Deserialize)]
struct Frame<'a> {
    #[serde(borrow)]
    subject: Option<&'a RawValue>,
    #[serde(borrow)]
    data: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Row<'a> {
    #[serde(borrow)]
    symbol: Option<&'a RawValue>,
    #[serde(borrow, rename = "tradeId")]
    id: Option<&'a RawValue>,
    #[serde(borrow)]
    price: Option<&'a RawValue>,
    #[serde(borrow)]
    size: Option<&'a RawValue>,
    #[serde(borrow)]
    side: Option<&'a RawValue>,
    #[serde(borrow)]
    time: Option<&'a RawValue>,
}

impl Row<'_> {
    fn trade(&self, received_at: Option<Stamp>) -> Result<Trade, FieldError> {
        Ok(Trade {
            id: id(text(self.id).as_bytes())?,
            price: price(text(self.price).as_bytes())?,
            quantity: quantity(text(self.size).as_bytes())?,
            exchange_at: time(text(self.time).as_bytes(), TimeUnit::Nanos)?,
            received_at,
            taker_side: taker_side(text(self.side).as_bytes())?,
            trade_count: 1,
        })
    }
}

impl FrameParser for Kucoin {
    fn frame(&mut self, frame: &str, received_at: Option<Stamp>, sink: &mut dyn FrameSink) {
        let Some(envelope) = envelope::<Frame<'_>>(frame, sink) else { return };
        if text(envelope.subject) != "trade.l3match" {
            return;
        }
        if let Some(row) = piece::<Row<'_>>("trade", envelope.data, sink) {
            let symbol = text(row.symbol);
            let spelled =
                Spelled { venue: "kucoin", symbol: &symbol, kind: TradeKind::Raw, id_rule: IdRule::Sparse };
            tell(spelled, row.trade(received_at), sink);
        }
    }

    fn symbol(&self, _venue: &'static str, spelling: &str) -> Result<String, SymbolError> {
        let is_pair = spelling.split('-').count() == 2;
        if is_pair { Ok(spelling.to_owned()) } else { Err(SymbolError::Unknown(spelling.to_owned())) }
    }
}

#[cfg(test)]
mod tests {
    use super::ENTRY;
    use crate::venues::testing::{check_frames, check_symbols};

    #[test]
    fn matches_are_read() {
        check_frames(
            &ENTRY,
            &[
                (
                    r#"{"data":{"symbol":"WEST-USDT","sequence":"1612698595301","side":"sell","size":"50","price":"0.35209","time":"1619136128154095928","type":"match","tradeId":"60820e807857784acade95a7"},"subject":"trade.l3match","topic":"/market/match:WEST-USDT","type":"message"}"#,
                    "kucoin WEST-USDT raw 60820e807857784acade95a7 0.35209 50 2021-04-23T00:02:08.154095928Z sell 1",
                ),
                (r#"{"subject":"trade.ticker","data":{"price":"1"}}"#, ""),
                (r#"{"id":"1","type":"welcome"}"#, ""),
            ],
        );
        check_symbols(&ENTRY, "kucoin", &[("WEST-USDT", Some("WEST-USDT")), ("XBTUSDTM", None)]);
    }
}
