//! Bybit v5 `publicTrade`, spot and linear.
//!
//! The address tells the category; without one, ids do (digits on spot, UUIDs on derivatives).
//! `type` is always "snapshot" and means nothing. Ids are neither ordered nor contiguous.
//! Source: bybit-exchange/docs, v5/websocket/public/trade.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::domain::event::{Trade, TradeId};
use crate::domain::fields::{FieldError, id, price, quantity, taker_side, time};
use crate::domain::frame::{
    FrameParser, FrameParserEntry, FrameSink, FrameSource, Spelled, SymbolError, TradeKind,
};
use crate::domain::json::text;
use crate::domain::symbol;
use crate::domain::time::{Stamp, TimeUnit};
use crate::domain::venue::IdRule;
use crate::venues::elements::{each, envelope, tell};

pub const ENTRY: FrameParserEntry = FrameParserEntry {
    name: "bybit",
    venues: &["bybit", "bybit-linear"],
    hosts: &[
        "stream.bybit.com",
        "stream.bybit.tr",
        "stream.bybit.kz",
        "stream.bybit.eu",
        "stream.bytick.com",
    ],
    recognises: |frame| frame.contains("\"topic\":\"publicTrade."),
    make: |source| Box::new(Bybit::new(source)),
};

struct Bybit {
    category: Category,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Category {
    Spot,
    Linear,
    /// Inverse contracts, options.
    Contracts,
    Unknown,
}

impl Bybit {
    fn new(source: FrameSource<'_>) -> Self {
        let category = match (source.url, source.venue) {
            (url, _) if url.contains("/public/spot") => Category::Spot,
            (url, _) if url.contains("/public/linear") => Category::Linear,
            (url, _) if url.contains("/public/") => Category::Contracts,
            (_, Some("bybit")) => Category::Spot,
            (_, Some("bybit-linear")) => Category::Linear,
            _ => Category::Unknown,
        };
        Self { category }
    }
}

#[derive(Deserialize)]
struct Frame<'a> {
    #[serde(borrow)]
    topic: Option<&'a RawValue>,
    #[serde(borrow)]
    data: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Row<'a> {
    #[serde(borrow, rename = "T")]
    time: Option<&'a RawValue>,
    #[serde(borrow, rename = "s")]
    symbol: Option<&'a RawValue>,
    #[serde(borrow, rename = "S")]
    side: Option<&'a RawValue>,
    #[serde(borrow, rename = "v")]
    size: Option<&'a RawValue>,
    #[serde(borrow, rename = "p")]
    price: Option<&'a RawValue>,
    #[serde(borrow, rename = "i")]
    id: Option<&'a RawValue>,
}

impl Row<'_> {
    fn trade(&self, received_at: Option<Stamp>) -> Result<Trade, FieldError> {
        Ok(Trade {
            id: id(text(self.id).as_bytes())?,
            price: price(text(self.price).as_bytes())?,
            quantity: quantity(text(self.size).as_bytes())?,
            exchange_at: time(text(self.time).as_bytes(), TimeUnit::Millis)?,
            received_at,
            taker_side: taker_side(text(self.side).as_bytes())?,
            trade_count: 1,
        })
    }
}

impl FrameParser for Bybit {
    fn frame(&mut self, frame: &str, received_at: Option<Stamp>, sink: &mut dyn FrameSink) {
        let Some(envelope) = envelope::<Frame<'_>>(frame, sink) else { return };
        if !text(envelope.topic).starts_with("publicTrade.") {
            return;
        }
        let category = self.category;
        each("trade", envelope.data, false, sink, |row: Row<'_>, sink| {
            let trade = row.trade(received_at);
            let has_number = matches!(&trade, Ok(Trade { id: TradeId::Number(_), .. }));
            let venue = match category {
                Category::Spot => "bybit",
                Category::Unknown if has_number => "bybit",
                _ => "bybit-linear",
            };
            let symbol = text(row.symbol);
            let spelled = Spelled { venue, symbol: &symbol, kind: TradeKind::Raw, id_rule: IdRule::Sparse };
            tell(spelled, trade, sink);
        });
    }

    fn symbol(&self, _venue: &'static str, spelling: &str) -> Result<String, SymbolError> {
        if self.category == Category::Contracts {
            return Err(SymbolError::Contract(spelling.to_owned()));
        }
        symbol::bybit(spelling)
    }
}

#[cfg(test)]
mod tests {
    use super::ENTRY;
    use crate::venues::testing::{check_frames, check_symbols, told_by};

    const LINEAR: &str = r#"{"topic":"publicTrade.BTCUSDT","type":"snapshot","ts":1786310819681,"data":[{"T":1786310819680,"s":"BTCUSDT","S":"Sell","v":"0.004","p":"65114.20","L":"MinusTick","i":"a9188a0a-82bc","BT":false,"seq":7}]}"#;

    #[test]
    fn the_address_or_the_id_tells_the_category() {
        let spot = LINEAR.replace("a9188a0a-82bc", "2290000000012345678");
        check_frames(
            &ENTRY,
            &[
                (
                    LINEAR,
                    "bybit-linear BTCUSDT raw a9188a0a-82bc 65114.2 0.004 2026-08-09T21:26:59.680Z sell 1",
                ),
                (
                    &spot,
                    "bybit BTCUSDT raw 2290000000012345678 65114.2 0.004 2026-08-09T21:26:59.680Z sell 1",
                ),
                (r#"{"topic":"orderbook.1.BTCUSDT","data":{"b":[]}}"#, ""),
                (r#"{"success":true,"op":"subscribe"}"#, ""),
            ],
        );
        let by_address = told_by(&ENTRY, "wss://stream.bybit.com/v5/public/spot", &[LINEAR]);
        assert!(by_address[0].starts_with("bybit BTCUSDT"), "{by_address:?}");
        check_symbols(&ENTRY, "bybit", &[("BTCUSDT", Some("BTC-USDT")), ("BTCUSD", None)]);
    }
}
