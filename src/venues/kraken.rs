//! Kraken spot, `trade` of websocket v1 (arrays, no ids) and v2 (objects, ids).
//!
//! Prices of v2 are JSON numbers and are read by their text; small ones print an exponent.
//! Ids of v2 skip numbers, so a missing one proves nothing. Sides are the taker's.
//! Sources: Kraken documentation, "WebSocket API v2: Trades", "v1: trade".

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::domain::event::{Trade, TradeId};
use crate::domain::fields::{
    FieldError, id, iso_time, price_scientific, quantity_scientific, taker_side, time,
};
use crate::domain::frame::{FrameParser, FrameParserEntry, FrameSink, Spelled, SymbolError, TradeKind};
use crate::domain::json::text;
use crate::domain::symbol;
use crate::domain::time::{Stamp, TimeUnit};
use crate::domain::venue::IdRule;
use crate::venues::elements::{each, envelope, tell};

pub const ENTRY: FrameParserEntry = FrameParserEntry {
    name: "kraken",
    venues: &["kraken"],
    hosts: &["ws.kraken.com"],
    recognises: |frame| {
        (frame.contains("\"channel\":\"trade\"") && frame.contains("\"ord_type\""))
            || frame.contains(",\"trade\",\"")
    },
    make: |_| Box::new(Kraken),
};

struct Kraken;

#[derive(Deserialize)]
struct Frame<'a> {
    #[serde(borrow)]
    channel: Option<&'a RawValue>,
    #[serde(borrow)]
    data: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Row<'a> {
    #[serde(borrow)]
    symbol: Option<&'a RawValue>,
    #[serde(borrow)]
    side: Option<&'a RawValue>,
    #[serde(borrow)]
    price: Option<&'a RawValue>,
    #[serde(borrow)]
    qty: Option<&'a RawValue>,
    #[serde(borrow)]
    trade_id: Option<&'a RawValue>,
    #[serde(borrow)]
    timestamp: Option<&'a RawValue>,
}

impl Row<'_> {
    fn trade(&self, received_at: Option<Stamp>) -> Result<Trade, FieldError> {
        Ok(Trade {
            id: id(text(self.trade_id).as_bytes())?,
            price: price_scientific(text(self.price).as_bytes())?,
            quantity: quantity_scientific(text(self.qty).as_bytes())?,
            exchange_at: iso_time(text(self.timestamp).as_bytes())?,
            received_at,
            taker_side: taker_side(text(self.side).as_bytes())?,
            trade_count: 1,
        })
    }
}

/// `[price, volume, time, side, order type, misc]`
fn row_of_v1(row: &[&RawValue], received_at: Option<Stamp>) -> Result<Trade, FieldError> {
    let field = |at: usize| text(row.get(at).copied());
    Ok(Trade {
        id: TradeId::Absent,
        price: price_scientific(field(0).as_bytes())?,
        quantity: quantity_scientific(field(1).as_bytes())?,
        exchange_at: time(field(2).as_bytes(), TimeUnit::Seconds)?,
        received_at,
        taker_side: taker_side(field(3).as_bytes())?,
        trade_count: 1,
    })
}

fn spelled(symbol: &str, id_rule: IdRule) -> Spelled<'_> {
    Spelled { venue: "kraken", symbol, kind: TradeKind::Raw, id_rule }
}

impl FrameParser for Kraken {
    fn frame(&mut self, frame: &str, received_at: Option<Stamp>, sink: &mut dyn FrameSink) {
        if frame.trim_start().starts_with('[') {
            // `[channel, [[...], ...], "trade", "XBT/USD"]`; book frames may hold one element more.
            let Some(parts) = envelope::<Vec<&RawValue>>(frame, sink) else { return };
            let [_, rows, channel, pair] = parts[..] else { return };
            if text(Some(channel)) == "trade" {
                let symbol = text(Some(pair));
                each("trade", Some(rows), false, sink, |row: Vec<&RawValue>, sink| {
                    tell(spelled(&symbol, IdRule::Absent), row_of_v1(&row, received_at), sink);
                });
            }
            return;
        }
        let Some(envelope) = envelope::<Frame<'_>>(frame, sink) else { return };
        if text(envelope.channel) == "trade" {
            each("trade", envelope.data, false, sink, |row: Row<'_>, sink| {
                let symbol = text(row.symbol);
                tell(spelled(&symbol, IdRule::Sparse), row.trade(received_at), sink);
            });
        }
    }

    fn symbol(&self, _venue: &'static str, spelling: &str) -> Result<String, SymbolError> {
        symbol::kraken(spelling).ok_or_else(|| SymbolError::Unknown(spelling.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::ENTRY;
    use crate::venues::testing::{check_frames, check_symbols};

    #[test]
    fn both_versions_are_read() {
        let v2 = r#"{"channel":"trade","type":"update","data":[{"symbol":"BTC/USD","side":"buy","price":105944.2,"qty":1e-08,"ord_type":"limit","trade_id":10218208,"timestamp":"2026-01-02T03:04:05.440295Z"}]}"#;
        check_frames(
            &ENTRY,
            &[
                (
                    r#"[993,[["354.11000000","0.89594024","1618678142.557535","s","l",""],["0","1","1618678142.5","b","l",""]],"trade","XMR/USD"]"#,
                    "kraken XMR/USD raw  354.11 0.89594024 2021-04-17T16:49:02.557535Z sell 1\nrefused: price \"0\" is zero",
                ),
                (v2, "kraken BTC/USD raw 10218208 105944.2 0.00000001 2026-01-02T03:04:05.440295Z buy 1"),
                (r#"{"event":"heartbeat"}"#, ""),
                (r#"[1,{"as":[]},"book-10","XMR/USD"]"#, ""),
                (r#"{"channel":"heartbeat"}"#, ""),
            ],
        );
        check_symbols(&ENTRY, "kraken", &[("XBT/USD", Some("BTC-USD")), ("KSM/XBT", Some("KSM-BTC"))]);
    }
}
