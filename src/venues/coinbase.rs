//! Coinbase: `market_trades` of Advanced Trade, `match` and `last_match` of the Exchange feed.
//!
//! Both tell the maker's side: the taker is on the other. Advanced lists the newest trade of a
//! batch first; they are told oldest first. Its snapshot and `last_match` repeat what was before
//! the subscription, under ids that belong to the same contiguous row.
//! Sources: Coinbase documentation, "Advanced Trade WebSocket channels", "Exchange WebSocket channels".

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::domain::event::{Side, Trade};
use crate::domain::fields::{FieldError, id, iso_time, price, quantity, taker_side};
use crate::domain::frame::{FrameParser, FrameParserEntry, FrameSink, Spelled, SymbolError, TradeKind};
use crate::domain::json::text;
use crate::domain::time::Stamp;
use crate::domain::venue::IdRule;
use crate::venues::elements::{each, envelope as read, tell};

pub const ENTRY: FrameParserEntry = FrameParserEntry {
    name: "coinbase",
    venues: &["coinbase"],
    hosts: &[
        "advanced-trade-ws.coinbase.com",
        "ws-feed.exchange.coinbase.com",
        "ws-feed.pro.coinbase.com",
        "ws-direct.exchange.coinbase.com",
    ],
    recognises: |frame| frame.contains("\"market_trades\"") || frame.contains("\"type\":\"match\""),
    make: |_| Box::new(Coinbase),
};

struct Coinbase;

#[derive(Deserialize)]
struct Frame<'a> {
    #[serde(borrow)]
    channel: Option<&'a RawValue>,
    #[serde(borrow)]
    events: Option<&'a RawValue>,
    #[serde(borrow, rename = "type")]
    kind: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Event<'a> {
    #[serde(borrow)]
    trades: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Match<'a> {
    #[serde(borrow)]
    product_id: Option<&'a RawValue>,
    #[serde(borrow)]
    trade_id: Option<&'a RawValue>,
    #[serde(borrow)]
    price: Option<&'a RawValue>,
    #[serde(borrow)]
    size: Option<&'a RawValue>,
    #[serde(borrow)]
    side: Option<&'a RawValue>,
    #[serde(borrow)]
    time: Option<&'a RawValue>,
}

impl Match<'_> {
    fn tell(&self, received_at: Option<Stamp>, sink: &mut dyn FrameSink) {
        let symbol = text(self.product_id);
        let spelled =
            Spelled { venue: "coinbase", symbol: &symbol, kind: TradeKind::Raw, id_rule: IdRule::Contiguous };
        tell(spelled, self.trade(received_at), sink);
    }

    fn trade(&self, received_at: Option<Stamp>) -> Result<Trade, FieldError> {
        let maker_side = taker_side(text(self.side).as_bytes())?;
        Ok(Trade {
            id: id(text(self.trade_id).as_bytes())?,
            price: price(text(self.price).as_bytes())?,
            quantity: quantity(text(self.size).as_bytes())?,
            exchange_at: iso_time(text(self.time).as_bytes())?,
            received_at,
            taker_side: maker_side.map(|side| match side {
                Side::Buy => Side::Sell,
                Side::Sell => Side::Buy,
            }),
            trade_count: 1,
        })
    }
}

impl FrameParser for Coinbase {
    fn frame(&mut self, frame: &str, received_at: Option<Stamp>, sink: &mut dyn FrameSink) {
        let Some(envelope) = read::<Frame<'_>>(frame, sink) else { return };
        if text(envelope.channel) == "market_trades" {
            each("events", envelope.events, false, sink, |event: Event<'_>, sink| {
                each("trade", event.trades, true, sink, |trade: Match<'_>, sink| {
                    trade.tell(received_at, sink)
                });
            });
        } else if matches!(&*text(envelope.kind), "match" | "last_match")
            && let Some(matched) = read::<Match<'_>>(frame, sink)
        {
            matched.tell(received_at, sink);
        }
    }

    fn symbol(&self, _venue: &'static str, spelling: &str) -> Result<String, SymbolError> {
        match spelling.split('-').count() {
            2 => Ok(spelling.to_owned()),
            // `BIP-20DEC30-CDE`: a future.
            3 => Err(SymbolError::Contract(spelling.to_owned())),
            _ => Err(SymbolError::Unknown(spelling.to_owned())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::ENTRY;
    use crate::venues::testing::{check_frames, check_symbols};

    #[test]
    fn the_taker_is_on_the_other_side() {
        let batch = r#"{"channel":"market_trades","events":[{"type":"update","trades":[
            {"product_id":"BTC-USD","trade_id":"12","price":"65083.67","size":"0.002186","time":"2026-08-09T21:05:42.514318Z","side":"SELL"},
            {"product_id":"BTC-USD","trade_id":"11","price":"-1","size":"0.002186","time":"2026-08-09T21:05:42.514318Z","side":"SELL"},
            {"product_id":"BTC-USD","trade_id":"10","price":"65083.67","size":"0.002186","time":"2026-08-09T21:05:42.4Z","side":"BUY"}]}]}"#;
        let last = r#"{"type":"last_match","trade_id":881613,"side":"sell","size":"0.04","price":"14.7775","product_id":"BAND-GBP","sequence":1,"time":"2021-04-17T16:43:30.244075Z"}"#;
        check_frames(
            &ENTRY,
            &[
                (
                    batch,
                    "coinbase BTC-USD raw 10 65083.67 0.002186 2026-08-09T21:05:42.400Z sell 1\n\
                     refused: price \"-1\" is negative\n\
                     coinbase BTC-USD raw 12 65083.67 0.002186 2026-08-09T21:05:42.514318Z buy 1",
                ),
                (last, "coinbase BAND-GBP raw 881613 14.7775 0.04 2021-04-17T16:43:30.244075Z buy 1"),
                (r#"{"type":"ticker","trade_id":7,"price":"1","side":"buy"}"#, ""),
                (r#"{"channel":"heartbeats","events":[{}]}"#, ""),
            ],
        );
        check_symbols(
            &ENTRY,
            "coinbase",
            &[("BTC-USD", Some("BTC-USD")), ("BIP-20DEC30-CDE", None), ("X", None)],
        );
    }
}
