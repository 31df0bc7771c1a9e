//! OKX `trades` and `trades-all`, spot.
//!
//! `trades` joins what one taker order met at one price and says how many (`count`), under the
//! last id; frames of before that change carry no count and are single trades. Sizes of swaps,
//! futures and options count contracts. Sides are the taker's.
//! Source: OKX documentation, "Trades channel", "All trades channel".

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::domain::event::Trade;
use crate::domain::fields::{FieldError, id, price, quantity, taker_side, time};
use crate::domain::frame::{FrameParser, FrameParserEntry, FrameSink, Spelled, SymbolError, TradeKind};
use crate::domain::json::text;
use crate::domain::time::{Stamp, TimeUnit};
use crate::domain::venue::IdRule;
use crate::venues::elements::{each, envelope, tell};

pub const ENTRY: FrameParserEntry = FrameParserEntry {
    name: "okx",
    venues: &["okx"],
    hosts: &["ws.okx.com", "wsus.okx.com", "wseea.okx.com", "wspap.okx.com", "ws.okex.com"],
    recognises: |frame| frame.contains("\"channel\":\"trades") && frame.contains("\"tradeId\""),
    make: |_| Box::new(Okx),
};

struct Okx;

#[derive(Deserialize)]
struct Frame<'a> {
    #[serde(borrow)]
    arg: Option<&'a RawValue>,
    #[serde(borrow)]
    data: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Channel<'a> {
    #[serde(borrow)]
    channel: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Row<'a> {
    #[serde(borrow, rename = "instId")]
    instrument: Option<&'a RawValue>,
    #[serde(borrow, rename = "tradeId")]
    id: Option<&'a RawValue>,
    #[serde(borrow)]
    px: Option<&'a RawValue>,
    #[serde(borrow)]
    sz: Option<&'a RawValue>,
    #[serde(borrow)]
    side: Option<&'a RawValue>,
    #[serde(borrow)]
    ts: Option<&'a RawValue>,
    #[serde(borrow)]
    count: Option<&'a RawValue>,
}

impl Row<'_> {
    fn trade(&self, received_at: Option<Stamp>) -> Result<Trade, FieldError> {
        let trade_count = match &*text(self.count) {
            "" => 1,
            count => match count.parse() {
                Ok(number) if number > 0 => number,
                _ => {
                    return Err(FieldError::new(
                        "count",
                        count.as_bytes(),
                        "is not a whole number above zero",
                    ));
                }
            },
        };
        Ok(Trade {
            id: id(text(self.id).as_bytes())?,
            price: price(text(self.px).as_bytes())?,
            quantity: quantity(text(self.sz).as_bytes())?,
            exchange_at: time(text(self.ts).as_bytes(), TimeUnit::Millis)?,
            received_at,
            taker_side: taker_side(text(self.side).as_bytes())?,
            trade_count,
        })
    }
}

impl FrameParser for Okx {
    fn frame(&mut self, frame: &str, received_at: Option<Stamp>, sink: &mut dyn FrameSink) {
        if frame == "pong" {
            return;
        }
        let Some(envelope) = envelope::<Frame<'_>>(frame, sink) else { return };
        let (Some(arg), Some(_)) = (envelope.arg, envelope.data) else { return };
        let Ok(arg) = serde_json::from_str::<Channel<'_>>(arg.get()) else { return };
        if !matches!(&*text(arg.channel), "trades" | "trades-all") {
            return;
        }
        each("trade", envelope.data, false, sink, |row: Row<'_>, sink| {
            let symbol = text(row.instrument);
            // Ids of aggregates skip those they hold.
            let (kind, id_rule) = match row.count {
                Some(_) => (TradeKind::Aggregate, IdRule::Sparse),
                None => (TradeKind::Raw, IdRule::Contiguous),
            };
            tell(Spelled { venue: "okx", symbol: &symbol, kind, id_rule }, row.trade(received_at), sink);
        });
    }

    fn symbol(&self, _venue: &'static str, spelling: &str) -> Result<String, SymbolError> {
        match spelling.split('-').count() {
            2 => Ok(spelling.to_owned()),
            1 => Err(SymbolError::Unknown(spelling.to_owned())),
            _ => Err(SymbolError::Contract(spelling.to_owned())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::ENTRY;
    use crate::venues::testing::{check_frames, check_symbols};

    #[test]
    fn aggregates_say_their_count() {
        check_frames(
            &ENTRY,
            &[
                (
                    r#"{"arg":{"channel":"trades","instId":"ZEN-USDT"},"data":[{"instId":"ZEN-USDT","tradeId":"15270483","px":"32.51","sz":"0.37568","side":"buy","ts":"1646003666197"}]}"#,
                    "okx ZEN-USDT raw 15270483 32.51 0.37568 2022-02-27T23:14:26.197Z buy 1",
                ),
                (
                    r#"{"arg":{"channel":"trades","instId":"BTC-USDT"},"data":[{"instId":"BTC-USDT","tradeId":"130639474","px":"42219.9","sz":"0.12060306","side":"sell","ts":"1630048897897","count":"3"}]}"#,
                    "okx BTC-USDT aggregate 130639474 42219.9 0.12060306 2021-08-27T07:21:37.897Z sell 3",
                ),
                (r#"{"event":"subscribe","arg":{"channel":"trades","instId":"BTC-USDT"}}"#, ""),
                (r#"{"arg":{"channel":"tickers"},"data":[{}]}"#, ""),
                ("pong", ""),
            ],
        );
        check_symbols(&ENTRY, "okx", &[("BTC-USDT", Some("BTC-USDT")), ("BTC-USDT-SWAP", None), ("X", None)]);
    }
}
