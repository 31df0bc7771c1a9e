//! Hyperliquid `trades`.
//!
//! `tid` is a hash: unique, in no order. `B` is a buying taker, `A` a selling one. A bare coin is a
//! perpetual, quoted in USDC. The first message of a coin tells of before; its ids are as good.
//! Source: Hyperliquid documentation, "WebSocket subscriptions", WsTrade.

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
    name: "hyperliquid",
    venues: &["hyperliquid"],
    hosts: &["api.hyperliquid.xyz", "api.hyperliquid-testnet.xyz"],
    recognises: |frame| frame.contains("\"channel\":\"trades\"") && frame.contains("\"coin\""),
    make: |_| Box::new(Hyperliquid),
};

struct Hyperliquid;

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
    coin: Option<&'a RawValue>,
    #[serde(borrow)]
    side: Option<&'a RawValue>,
    #[serde(borrow)]
    px: Option<&'a RawValue>,
    #[serde(borrow)]
    sz: Option<&'a RawValue>,
    #[serde(borrow)]
    time: Option<&'a RawValue>,
    #[serde(borrow)]
    tid: Option<&'a RawValue>,
}

impl Row<'_> {
    fn trade(&self, received_at: Option<Stamp>) -> Result<Trade, FieldError> {
        Ok(Trade {
            id: id(text(self.tid).as_bytes())?,
            price: price(text(self.px).as_bytes())?,
            quantity: quantity(text(self.sz).as_bytes())?,
            exchange_at: time(text(self.time).as_bytes(), TimeUnit::Millis)?,
            received_at,
            taker_side: taker_side(text(self.side).as_bytes())?,
            trade_count: 1,
        })
    }
}

impl FrameParser for Hyperliquid {
    fn frame(&mut self, frame: &str, received_at: Option<Stamp>, sink: &mut dyn FrameSink) {
        // A greeting in plain text may come first.
        if !frame.starts_with('{') && frame.starts_with("Websocket") {
            return;
        }
        let Some(envelope) = envelope::<Frame<'_>>(frame, sink) else { return };
        if text(envelope.channel) != "trades" {
            return;
        }
        each("trade", envelope.data, false, sink, |row: Row<'_>, sink| {
            let symbol = text(row.coin);
            let spelled = Spelled {
                venue: "hyperliquid",
                symbol: &symbol,
                kind: TradeKind::Raw,
                id_rule: IdRule::Sparse,
            };
            tell(spelled, row.trade(received_at), sink);
        });
    }

    fn symbol(&self, _venue: &'static str, spelling: &str) -> Result<String, SymbolError> {
        match spelling.split_once('/') {
            Some((base, quote)) => Ok(format!("{base}-{quote}")),
            // `@107` is a spot market that only the venue's list names; `kPEPE` counts thousands.
            None if spelling.starts_with('@') || spelling.is_empty() => {
                Err(SymbolError::Unknown(spelling.to_owned()))
            }
            None => Ok(format!("{}-USDC", spelling.to_uppercase())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::ENTRY;
    use crate::venues::testing::{check_frames, check_symbols};

    #[test]
    fn trades_are_read() {
        check_frames(
            &ENTRY,
            &[
                (
                    r#"{"channel":"trades","data":[{"coin":"BTC","hash":"0x00","px":"105056.0","side":"B","sz":"0.00219","tid":121451470284048,"time":1737918794873},{"coin":"BTC","px":"105056.0","side":"A","sz":"0","tid":1,"time":1737918794873}]}"#,
                    "hyperliquid BTC raw 121451470284048 105056 0.00219 2025-01-26T19:13:14.873Z buy 1\nrefused: quantity \"0\" is zero",
                ),
                (r#"{"channel":"l2Book","data":{"coin":"BTC","levels":[]}}"#, ""),
                ("Websocket connection established.", ""),
            ],
        );
        check_symbols(
            &ENTRY,
            "hyperliquid",
            &[("BTC", Some("BTC-USDC")), ("PURR/USDC", Some("PURR-USDC")), ("@107", None)],
        );
    }
}
