//! Bitfinex v2 trades.
//!
//! A subscription is answered with the number of its channel, under which its trades come: each
//! twice, `te` when it happened and `tu` when it was booked, of which the first is taken. The
//! snapshot after a subscription tells of before and is left out. A positive amount was bought.
//! Source: Bitfinex documentation, "Trades" (WebSocket, public channels).

use std::collections::HashMap;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::domain::event::{Side, Trade};
use crate::domain::fields::{FieldError, id, price_scientific, quantity_scientific, time};
use crate::domain::frame::{FrameParser, FrameParserEntry, FrameSink, Spelled, SymbolError, TradeKind};
use crate::domain::json::text;
use crate::domain::symbol;
use crate::domain::time::{Stamp, TimeUnit};
use crate::domain::venue::IdRule;
use crate::venues::elements::{envelope, piece, tell};

pub const ENTRY: FrameParserEntry = FrameParserEntry {
    name: "bitfinex",
    venues: &["bitfinex"],
    hosts: &["api-pub.bitfinex.com", "api.bitfinex.com"],
    recognises: |frame| frame.starts_with('[') && frame.contains(",\"te\",["),
    make: |_| Box::new(Bitfinex::default()),
};

/// Channels of one connection; the venue allows 30.
const CHANNELS_MAX: usize = 1_000;

#[derive(Default)]
struct Bitfinex {
    /// Symbols of trade channels, by number.
    channels: HashMap<String, String>,
}

#[derive(Deserialize)]
struct Answer<'a> {
    #[serde(borrow)]
    event: Option<&'a RawValue>,
    #[serde(borrow)]
    channel: Option<&'a RawValue>,
    #[serde(borrow, rename = "chanId")]
    number: Option<&'a RawValue>,
    #[serde(borrow)]
    symbol: Option<&'a RawValue>,
}

/// `[ID, MTS, AMOUNT, PRICE]`
fn trade(row: &[&RawValue], received_at: Option<Stamp>) -> Result<Trade, FieldError> {
    let field = |at: usize| text(row.get(at).copied());
    let amount = field(2);
    let (side, amount) = match amount.strip_prefix('-') {
        Some(sold) => (Side::Sell, sold),
        None => (Side::Buy, &*amount),
    };
    Ok(Trade {
        id: id(field(0).as_bytes())?,
        price: price_scientific(field(3).as_bytes())?,
        quantity: quantity_scientific(amount.as_bytes())?,
        exchange_at: time(field(1).as_bytes(), TimeUnit::Millis)?,
        received_at,
        taker_side: Some(side),
        trade_count: 1,
    })
}

impl FrameParser for Bitfinex {
    fn frame(&mut self, frame: &str, received_at: Option<Stamp>, sink: &mut dyn FrameSink) {
        if !frame.trim_start().starts_with('[') {
            let Some(answer) = envelope::<Answer<'_>>(frame, sink) else { return };
            if text(answer.event) == "subscribed"
                && text(answer.channel) == "trades"
                && self.channels.len() < CHANNELS_MAX
            {
                self.channels.insert(text(answer.number).into_owned(), text(answer.symbol).into_owned());
            }
            return;
        }
        let Some(parts) = envelope::<Vec<&RawValue>>(frame, sink) else { return };
        // A sequence number and a time may follow.
        let [number, kind, row, ..] = parts[..] else { return };
        if text(Some(kind)) != "te" {
            return;
        }
        let number = text(Some(number));
        let Some(symbol) = self.channels.get(&*number) else {
            sink.refuse(format!(
                "channel {number:?} was not subscribed in this recording, its symbol is not known"
            ));
            return;
        };
        if let Some(row) = piece::<Vec<&RawValue>>("trade", Some(row), sink) {
            let spelled =
                Spelled { venue: "bitfinex", symbol, kind: TradeKind::Raw, id_rule: IdRule::Sparse };
            tell(spelled, trade(&row, received_at), sink);
        }
    }

    fn symbol(&self, _venue: &'static str, spelling: &str) -> Result<String, SymbolError> {
        symbol::bitfinex(spelling).ok_or_else(|| SymbolError::Unknown(spelling.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::ENTRY;
    use crate::venues::testing::{check_frames, check_symbols};

    #[test]
    fn a_trade_is_taken_once() {
        check_frames(
            &ENTRY,
            &[
                (
                    r#"{"event":"subscribed","channel":"trades","chanId":146481,"symbol":"tETHJPY","pair":"ETHJPY"}"#,
                    "",
                ),
                (r#"[146481,[[658733910,1617643611128,0.75,230890]],1]"#, ""),
                (
                    r#"[146481,"te",[658733916,1617643611128,-0.7574881,230890],394]"#,
                    "bitfinex tETHJPY raw 658733916 230890 0.7574881 2021-04-05T17:26:51.128Z sell 1",
                ),
                (r#"[146481,"tu",[658733916,1617643611128,-0.7574881,230890],395]"#, ""),
                (
                    r#"[7,"te",[1,1617643611128,1,2],396]"#,
                    "refused: channel \"7\" was not subscribed in this recording, its symbol is not known",
                ),
                (r#"[146481,"hb"]"#, ""),
                (r#"{"event":"info","version":2}"#, ""),
            ],
        );
        check_symbols(&ENTRY, "bitfinex", &[("tGTXUST", Some("GTX-USDT")), ("fUSD", None)]);
    }
}
