//! HTX (Huobi) spot `trade.detail`.
//!
//! `id` is a number of 27 digits printed as a float; `tradeId` is the id. Prices and amounts are
//! JSON numbers, read by their text. Frames arrive gzipped; whoever received them unpacks.
//! Source: HTX documentation, "Trade detail".

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::domain::event::Trade;
use crate::domain::fields::{FieldError, id, price_scientific, quantity_scientific, taker_side, time};
use crate::domain::frame::{FrameParser, FrameParserEntry, FrameSink, Spelled, SymbolError, TradeKind};
use crate::domain::json::text;
use crate::domain::symbol;
use crate::domain::time::{Stamp, TimeUnit};
use crate::domain::venue::IdRule;
use crate::venues::elements::{each, envelope, piece, tell};

pub const ENTRY: FrameParserEntry = FrameParserEntry {
    name: "htx",
    venues: &["htx"],
    hosts: &["api.huobi.pro", "api-aws.huobi.pro", "api.htx.com", "api.hbdm.com"],
    recognises: |frame| frame.contains(".trade.detail\"") && frame.contains("\"tick\""),
    make: |_| Box::new(Htx),
};

struct Htx;

#[derive(Deserialize)]
struct Frame<'a> {
    #[serde(borrow)]
    ch: Option<&'a RawValue>,
    #[serde(borrow)]
    tick: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Tick<'a> {
    #[serde(borrow)]
    data: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Row<'a> {
    #[serde(borrow, rename = "tradeId")]
    trade_id: Option<&'a RawValue>,
    #[serde(borrow)]
    id: Option<&'a RawValue>,
    #[serde(borrow)]
    ts: Option<&'a RawValue>,
    #[serde(borrow)]
    price: Option<&'a RawValue>,
    #[serde(borrow)]
    amount: Option<&'a RawValue>,
    #[serde(borrow)]
    direction: Option<&'a RawValue>,
}

impl Row<'_> {
    fn trade(&self, received_at: Option<Stamp>) -> Result<Trade, FieldError> {
        Ok(Trade {
            id: id(text(self.trade_id.or(self.id)).as_bytes())?,
            price: price_scientific(text(self.price).as_bytes())?,
            quantity: quantity_scientific(text(self.amount).as_bytes())?,
            exchange_at: time(text(self.ts).as_bytes(), TimeUnit::Millis)?,
            received_at,
            taker_side: taker_side(text(self.direction).as_bytes())?,
            trade_count: 1,
        })
    }
}

impl FrameParser for Htx {
    fn frame(&mut self, frame: &str, received_at: Option<Stamp>, sink: &mut dyn FrameSink) {
        let Some(envelope) = envelope::<Frame<'_>>(frame, sink) else { return };
        let channel = text(envelope.ch);
        let symbol = channel.strip_prefix("market.").and_then(|rest| rest.strip_suffix(".trade.detail"));
        let Some(symbol) = symbol else { return };
        if let Some(tick) = piece::<Tick<'_>>("tick", envelope.tick, sink) {
            each("trade", tick.data, false, sink, |row: Row<'_>, sink| {
                // Frames of 2019 have no `tradeId`; their `id` is unique and no more.
                let id_rule = if row.trade_id.is_some() { IdRule::Contiguous } else { IdRule::Sparse };
                let spelled = Spelled { venue: "htx", symbol, kind: TradeKind::Raw, id_rule };
                tell(spelled, row.trade(received_at), sink);
            });
        }
    }

    fn symbol(&self, _venue: &'static str, spelling: &str) -> Result<String, SymbolError> {
        // `BTC-USD`, `BTC-USDT`, `ETH_CQ`: swaps and futures.
        if spelling.contains(['-', '_']) {
            return Err(SymbolError::Contract(spelling.to_owned()));
        }
        symbol::split(spelling, symbol::STABLE_QUOTES)
            .ok_or_else(|| SymbolError::Unknown(spelling.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::ENTRY;
    use crate::venues::testing::{check_frames, check_symbols};

    #[test]
    fn the_trade_id_is_the_id() {
        check_frames(
            &ENTRY,
            &[
                (
                    r#"{"ch":"market.btcusdt.trade.detail","ts":1,"tick":{"id":137005445109,"ts":1,"data":[{"id":1.3700544510935929e+26,"ts":1630994963173,"tradeId":102523573486,"amount":0.006754,"price":52648.62,"direction":"buy"}]}}"#,
                    "htx btcusdt raw 102523573486 52648.62 0.006754 2021-09-07T06:09:23.173Z buy 1",
                ),
                (r#"{"ping":1618678070523}"#, ""),
                (r#"{"ch":"market.btcusdt.depth.step0","tick":{"bids":[]}}"#, ""),
            ],
        );
        check_symbols(&ENTRY, "htx", &[("trioeth", Some("TRIO-ETH")), ("BTC-USD", None), ("ETH_CQ", None)]);
    }
}
