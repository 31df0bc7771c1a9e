//! Deribit `trades`: spot and linear markets, whose names hold both currencies.
//!
//! Amounts of inverse futures count US dollars, and those of options contracts: both are refused.
//! Ids are texts per currency, with holes. The direction is the taker's.
//! Source: Deribit API v2, "trades.{instrument_name}.{interval}".

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
    name: "deribit",
    venues: &["deribit"],
    hosts: &["www.deribit.com", "streams.deribit.com", "test.deribit.com"],
    recognises: |frame| frame.contains("\"channel\":\"trades.") && frame.contains("\"trade_seq\""),
    make: |_| Box::new(Deribit),
};

struct Deribit;

#[derive(Deserialize)]
struct Frame<'a> {
    #[serde(borrow)]
    params: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Params<'a> {
    #[serde(borrow)]
    channel: Option<&'a RawValue>,
    #[serde(borrow)]
    data: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Row<'a> {
    #[serde(borrow)]
    instrument_name: Option<&'a RawValue>,
    #[serde(borrow)]
    trade_id: Option<&'a RawValue>,
    #[serde(borrow)]
    timestamp: Option<&'a RawValue>,
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
            id: id(text(self.trade_id).as_bytes())?,
            price: price_scientific(text(self.price).as_bytes())?,
            quantity: quantity_scientific(text(self.amount).as_bytes())?,
            exchange_at: time(text(self.timestamp).as_bytes(), TimeUnit::Millis)?,
            received_at,
            taker_side: taker_side(text(self.direction).as_bytes())?,
            trade_count: 1,
        })
    }
}

impl FrameParser for Deribit {
    fn frame(&mut self, frame: &str, received_at: Option<Stamp>, sink: &mut dyn FrameSink) {
        let Some(Frame { params: Some(params) }) = envelope::<Frame<'_>>(frame, sink) else { return };
        let Ok(params) = serde_json::from_str::<Params<'_>>(params.get()) else { return };
        if !text(params.channel).starts_with("trades.") {
            return;
        }
        each("trade", params.data, false, sink, |row: Row<'_>, sink| {
            let symbol = text(row.instrument_name);
            let spelled =
                Spelled { venue: "deribit", symbol: &symbol, kind: TradeKind::Raw, id_rule: IdRule::Sparse };
            tell(spelled, row.trade(received_at), sink);
        });
    }

    fn symbol(&self, _venue: &'static str, spelling: &str) -> Result<String, SymbolError> {
        // `BTC_USDC`, `BTC_USDC-PERPETUAL`; an option has a strike and ends in C or P.
        let contract = || Err(SymbolError::Contract(spelling.to_owned()));
        let Some((base, rest)) = spelling.split_once('_') else { return contract() };
        match rest.split('-').count() {
            1 | 2 => Ok(format!("{base}-{rest}")),
            _ => contract(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::ENTRY;
    use crate::venues::testing::{check_frames, check_symbols};

    #[test]
    fn linear_markets_are_read_and_inverse_ones_refused() {
        check_frames(
            &ENTRY,
            &[
                (
                    r#"{"jsonrpc":"2.0","method":"subscription","params":{"channel":"trades.BTC_USDC-PERPETUAL.100ms","data":[{"trade_seq":27,"trade_id":"USDC-403","timestamp":1765531356452,"price":92294.5,"amount":0.01,"direction":"sell","instrument_name":"BTC_USDC-PERPETUAL"}]}}"#,
                    "deribit BTC_USDC-PERPETUAL raw USDC-403 92294.5 0.01 2025-12-12T09:22:36.452Z sell 1",
                ),
                (r#"{"jsonrpc":"2.0","id":0,"result":["trades.BTC-PERPETUAL.raw"]}"#, ""),
                (r#"{"method":"heartbeat","params":{"type":"test_request"}}"#, ""),
            ],
        );
        check_symbols(
            &ENTRY,
            "deribit",
            &[
                ("BTC_USDC", Some("BTC-USDC")),
                ("BTC_USDC-PERPETUAL", Some("BTC-USDC-PERPETUAL")),
                ("BTC-PERPETUAL", None),
                ("BTC-25MAR22-400000-C", None),
                ("XRP_USDC-30JUN23-0d625-C", None),
            ],
        );
    }
}
