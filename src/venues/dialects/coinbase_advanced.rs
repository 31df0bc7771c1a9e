//! Coinbase's Advanced Trade feed: `market_trades`, kept open by `heartbeats`.
//!
//! A snapshot of the last hundred trades opens each market. Its own REST pages by the second, not by
//! id, so missing trades are asked of the Exchange's REST, whose ids are the same in all captures seen
//! (the probe looks again); time and markets are asked here first.
//! Source: Coinbase documentation, "Advanced Trade WebSocket channels", "Advanced Trade REST API".

use std::time::Duration;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::domain::fields::{shown, time};
use crate::domain::frame::FrameParserEntry;
use crate::domain::json::text;
use crate::domain::time::TimeUnit;
use crate::domain::venue::IdRule;
use crate::venues::coinbase;
use crate::venues::dialect::{
    Answer, AnswerError, Ask, Dialect, DialectEntry, Heard, Limits, Listing, Rate, Request,
};
use crate::venues::dialects::body::{escaped, garbled, page, whole};
use crate::venues::dialects::coinbase_exchange as exchange;

pub const ENTRY: DialectEntry =
    DialectEntry { venue: "coinbase", feed: "advanced", make: || Box::new(CoinbaseAdvanced) };

const SOCKET: &str = "wss://advanced-trade-ws.coinbase.com";
const REST: &str = "https://api.coinbase.com";
const BASE: &str = "/api/v3/brokerage";

struct CoinbaseAdvanced;

#[derive(Deserialize)]
struct Control<'a> {
    #[serde(borrow)]
    channel: Option<&'a RawValue>,
    #[serde(borrow)]
    events: Option<&'a RawValue>,
    #[serde(borrow, rename = "type")]
    kind: Option<&'a RawValue>,
    #[serde(borrow)]
    message: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Event {
    #[serde(default, rename = "type")]
    kind: String,
    #[serde(default)]
    subscriptions: Subscriptions,
}

#[derive(Default, Deserialize)]
struct Subscriptions {
    #[serde(default)]
    market_trades: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Time<'a> {
    #[serde(borrow)]
    epoch_millis: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Products<'a> {
    #[serde(borrow)]
    products: Vec<&'a RawValue>,
}

#[derive(Deserialize)]
struct Product {
    product_id: String,
    base_currency_id: String,
    quote_currency_id: String,
    #[serde(default)]
    alias: String,
    #[serde(default)]
    status: String,
    #[serde(default)]
    is_disabled: bool,
    #[serde(default)]
    trading_disabled: bool,
    #[serde(default)]
    product_type: String,
}

#[derive(Deserialize)]
struct Ticker<'a> {
    #[serde(borrow)]
    trades: Vec<&'a RawValue>,
}

#[derive(Deserialize)]
struct Errors<'a> {
    #[serde(borrow)]
    message: Option<&'a RawValue>,
    #[serde(borrow)]
    error: Option<&'a RawValue>,
}

impl Dialect for CoinbaseAdvanced {
    fn id_rule(&self) -> IdRule {
        IdRule::Contiguous
    }

    fn parser(&self) -> &'static FrameParserEntry {
        const { &coinbase::ENTRY }
    }

    fn limits(&self) -> Limits {
        Limits {
            markets_per_connection: 256,
            markets_per_message: 100,
            // Eight a second are allowed; and a third of these may be spent at once.
            messages: Rate { count: 6, per: Duration::from_secs(1) },
            messages_by_address: true,
            // Eight are allowed. Each has to subscribe within five seconds, with two messages or more: no more are
            // opened than can.
            connects: Rate { count: 2, per: Duration::from_secs(1) },
            weight: Rate { count: 8, per: Duration::from_secs(1) },
            page_trades_max: 1_000,
            lifetime: None,
        }
    }

    fn socket(&self, host: Option<&str>) -> String {
        host.unwrap_or(SOCKET).trim_end_matches('/').to_owned()
    }

    fn subscribe(&self, spellings: &[&str], _request: u64) -> Vec<String> {
        let mut texts = messages("subscribe", self.limits().markets_per_message, spellings);
        // Without it a quiet connection is closed after a minute or so.
        texts.push(r#"{"type":"subscribe","channel":"heartbeats"}"#.to_owned());
        texts
    }

    fn unsubscribe(&self, spellings: &[&str], _request: u64) -> Vec<String> {
        messages("unsubscribe", self.limits().markets_per_message, spellings)
    }

    fn control(&self, frame: &str) -> Vec<Heard> {
        let Ok(control) = serde_json::from_str::<Control<'_>>(frame) else { return Vec::new() };
        if text(control.kind) == "error" {
            let message = shown(text(control.message).as_bytes(), 200);
            return vec![Heard::Refused { request: None, spelling: exchange::named(&message), message }];
        }
        match &*text(control.channel) {
            "heartbeats" => vec![Heard::Heartbeat],
            "subscriptions" => {
                let events = control.events.map_or("[]", RawValue::get);
                let events: Vec<Event> = serde_json::from_str(events).unwrap_or_default();
                let spellings =
                    events.into_iter().flat_map(|event| event.subscriptions.market_trades).collect();
                vec![Heard::Acknowledged { request: None, spellings }]
            }
            _ => Vec::new(),
        }
    }

    fn is_snapshot(&self, frame: &str) -> bool {
        // The word may stand elsewhere; the second look costs something, and happens once a market.
        frame.contains("snapshot")
            && serde_json::from_str::<Control<'_>>(frame)
                .ok()
                .and_then(|control| serde_json::from_str::<Vec<Event>>(control.events?.get()).ok())
                .is_some_and(|events| events.iter().any(|event| event.kind == "snapshot"))
    }

    fn has_heartbeat(&self) -> bool {
        false
    }

    fn requests(&self, ask: &Ask) -> Vec<Request> {
        match ask {
            Ask::Time => vec![request("/time".to_owned()), exchange::time_request()],
            Ask::Listings => {
                vec![request("/market/products".to_owned()), exchange::listings_request()]
            }
            Ask::Trades { spelling, first_id, limit } => {
                vec![exchange::trades_request(spelling, *first_id, *limit)]
            }
            Ask::Latest { spelling, limit } => {
                let ticker = format!("/market/products/{}/ticker?limit={limit}", escaped(spelling));
                vec![exchange::latest_request(spelling, *limit), request(ticker)]
            }
            Ask::Klines { spelling, interval, from, to } => {
                exchange::klines_request(spelling, *interval, *from, *to).into_iter().collect()
            }
        }
    }

    fn answer(&self, ask: &Ask, way: usize, body: &str) -> Result<Answer, AnswerError> {
        match (ask, way) {
            (Ask::Time, 0) => {
                let told: Time<'_> = whole(body)?;
                time(text(told.epoch_millis).as_bytes(), TimeUnit::Millis)
                    .map(Answer::Time)
                    .map_err(|e| garbled(body, e))
            }
            (Ask::Time, _) => exchange::server_time(body),
            (Ask::Listings, 0) => {
                let told: Products<'_> = whole(body)?;
                Ok(Answer::Listings(told.products.into_iter().filter_map(listing).collect()))
            }
            (Ask::Listings, _) => exchange::listings(body),
            (Ask::Latest { .. }, 1) => {
                let ticker: Ticker<'_> = whole(body)?;
                Ok(Answer::Trades(page(ticker.trades, exchange::trade)))
            }
            (Ask::Trades { .. } | Ask::Latest { .. }, _) => exchange::trades(body),
            (Ask::Klines { interval, .. }, _) => exchange::klines(body, *interval),
        }
    }

    fn error(&self, status: u16, body: &str) -> Option<AnswerError> {
        if body.contains("rate_limit_exceeded") {
            return Some(AnswerError::TooMuch(shown(body.as_bytes(), 200)));
        }
        let errors: Errors<'_> = serde_json::from_str(body).ok()?;
        let said = format!("{} {}", text(errors.error), text(errors.message));
        let said = shown(said.trim().as_bytes(), 200);
        match status {
            404 => Some(AnswerError::Unknown(said)),
            400 | 401 | 403 => Some(AnswerError::Refused(said)),
            _ => None,
        }
    }

    fn twin(&self, spelling: &str) -> Option<String> {
        exchange::twin(spelling)
    }
}

fn request(path: String) -> Request {
    // Answers are cached for a second unless one asks otherwise.
    Request {
        host: REST,
        path: format!("{BASE}{path}"),
        headers: &[("cache-control", "no-cache")],
        weight: 1,
    }
}

fn messages(kind: &str, most: usize, spellings: &[&str]) -> Vec<String> {
    let message = |chunk: &[&str]| {
        serde_json::json!({ "type": kind, "product_ids": chunk, "channel": "market_trades" }).to_string()
    };
    spellings.chunks(most).map(message).collect()
}

fn listing(raw: &RawValue) -> Option<Listing> {
    let product: Product = serde_json::from_str(raw.get()).ok()?;
    let is_spot = matches!(product.product_type.as_str(), "" | "SPOT");
    is_spot.then(|| Listing {
        symbol: format!("{}-{}", product.base_currency_id, product.quote_currency_id),
        is_trading: !product.is_disabled
            && !product.trading_disabled
            && matches!(product.status.as_str(), "" | "online"),
        spelling: if product.alias.is_empty() { product.product_id } else { product.alias },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_frames_are_understood() {
        let check = |frame: &str, expected: &[Heard]| {
            assert_eq!(CoinbaseAdvanced.control(frame), expected, "{frame}");
        };
        check(
            r#"{"channel":"subscriptions","events":[{"subscriptions":{"market_trades":["BTC-USD","ETH-USD"],"heartbeats":["x"]}}]}"#,
            &[Heard::Acknowledged {
                request: None,
                spellings: vec!["BTC-USD".to_owned(), "ETH-USD".to_owned()],
            }],
        );
        for counter in ["3049", "\"3049\""] {
            let frame = format!(r#"{{"channel":"heartbeats","events":[{{"heartbeat_counter":{counter}}}]}}"#);
            check(&frame, &[Heard::Heartbeat]);
        }
        check(
            r#"{"type":"error","message":"failure to subscribe, XXX-YYY"}"#,
            &[Heard::Refused {
                request: None,
                spelling: Some("XXX-YYY".to_owned()),
                message: "failure to subscribe, XXX-YYY".to_owned(),
            }],
        );
        check(r#"{"channel":"market_trades","events":[]}"#, &[]);
    }

    #[test]
    fn snapshots_are_told_from_updates() {
        let frame = |kind: &str| {
            format!(r#"{{"channel":"market_trades","events":[{{"type": "{kind}","trades":[]}}]}}"#)
        };
        assert!(CoinbaseAdvanced.is_snapshot(&frame("snapshot")));
        assert!(!CoinbaseAdvanced.is_snapshot(&frame("update")));
        assert!(!CoinbaseAdvanced.is_snapshot("snapshot"));
    }

    #[test]
    fn each_message_names_one_channel() {
        let texts = CoinbaseAdvanced.subscribe(&["BTC-USD", "ETH-USD"], 1);
        assert_eq!(texts.len(), 2);
        assert!(texts[0].contains(r#""channel":"market_trades""#) && texts[0].contains("ETH-USD"));
        assert!(texts[1].contains("heartbeats"));
    }

    #[test]
    fn usdc_products_are_watched_as_their_twin() {
        let body = r#"{"products":[
            {"product_id":"BTC-USDC","base_currency_id":"BTC","quote_currency_id":"USDC","alias":"BTC-USD","status":"online"},
            {"product_id":"BIP-20DEC30-CDE","base_currency_id":"","quote_currency_id":"USD","product_type":"FUTURE"}]}"#;
        let Ok(Answer::Listings(found)) = CoinbaseAdvanced.answer(&Ask::Listings, 0, body) else {
            panic!("listings")
        };
        let expected =
            Listing { symbol: "BTC-USDC".to_owned(), spelling: "BTC-USD".to_owned(), is_trading: true };
        assert_eq!(found, [expected]);
    }

    #[test]
    fn time_comes_as_text() {
        let body =
            r#"{"iso":"2026-01-02T03:04:05Z","epochSeconds":"1767323045","epochMillis":"1767323045123"}"#;
        let Ok(Answer::Time(at)) = CoinbaseAdvanced.answer(&Ask::Time, 0, body) else { panic!("a time") };
        assert_eq!(at.0, 1_767_323_045_123_000_000);
    }
}
