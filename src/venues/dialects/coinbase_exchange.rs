//! Coinbase's Exchange feed: `matches` and `heartbeat`, and trades by id over REST.
//!
//! `last_match` opens each market: the trade before the subscription. The heartbeat tells each second
//! the id of a market's newest trade. REST pages go back from an id, newest first.
//! Source: Coinbase documentation, "Exchange WebSocket channels", "Exchange REST API".

use std::time::Duration;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::domain::candle::{Ohlc, Origin};
use crate::domain::decimal::Volume;
use crate::domain::event::{ReadyCandle, Side, Trade};
use crate::domain::fields::{FieldError, id, iso_time, price, quantity, shown, taker_side, time};
use crate::domain::frame::FrameParserEntry;
use crate::domain::interval::TimeInterval;
use crate::domain::json::text;
use crate::domain::time::{NANOS_PER_SECOND, TimeUnit, UnixNanos};
use crate::domain::venue::IdRule;
use crate::venues::coinbase;
use crate::venues::dialect::{
    Answer, AnswerError, Ask, Dialect, DialectEntry, Heard, Limits, Listing, Rate, Request,
};
use crate::venues::dialects::body::{escaped, garbled, page, texts, whole};

pub const ENTRY: DialectEntry =
    DialectEntry { venue: "coinbase", feed: "exchange", make: || Box::new(CoinbaseExchange) };

const SOCKET: &str = "wss://ws-feed.exchange.coinbase.com";
const REST: &str = "https://api.exchange.coinbase.com";
/// Products whose dollar twin is another market (Coinbase documentation, "Market data").
const WITHOUT_TWIN: [&str; 2] = ["USDT-USDC", "EURC-USDC"];

struct CoinbaseExchange;

#[derive(Deserialize)]
struct Control<'a> {
    #[serde(borrow, rename = "type")]
    kind: Option<&'a RawValue>,
    #[serde(borrow)]
    channels: Option<&'a RawValue>,
    #[serde(borrow)]
    message: Option<&'a RawValue>,
    #[serde(borrow)]
    reason: Option<&'a RawValue>,
    #[serde(borrow)]
    product_id: Option<&'a RawValue>,
    #[serde(borrow)]
    last_trade_id: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Channel {
    name: String,
    #[serde(default)]
    product_ids: Vec<String>,
}

#[derive(Deserialize)]
struct Message<'a> {
    #[serde(borrow)]
    message: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Product {
    id: String,
    base_currency: String,
    quote_currency: String,
    #[serde(default)]
    status: String,
    #[serde(default)]
    trading_disabled: bool,
}

#[derive(Deserialize)]
struct Time<'a> {
    #[serde(borrow)]
    iso: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Row<'a> {
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

/// The trade of a row; the side is the maker's here too.
pub fn trade(raw: &RawValue) -> Result<Trade, String> {
    let row: Row<'_> = serde_json::from_str(raw.get()).map_err(|e| e.to_string())?;
    let read = || -> Result<Trade, FieldError> {
        Ok(Trade {
            id: id(text(row.trade_id).as_bytes())?,
            price: price(text(row.price).as_bytes())?,
            quantity: quantity(text(row.size).as_bytes())?,
            exchange_at: iso_time(text(row.time).as_bytes())?,
            received_at: None,
            taker_side: taker_side(text(row.side).as_bytes())?.map(|side| match side {
                Side::Buy => Side::Sell,
                Side::Sell => Side::Buy,
            }),
            trade_count: 1,
        })
    };
    read().map_err(String::from)
}

/// The dollar twin of a product in USDC, under whose name its trades come.
pub fn twin(spelling: &str) -> Option<String> {
    if WITHOUT_TWIN.contains(&spelling) {
        return None;
    }
    spelling.strip_suffix("-USDC").map(|base| format!("{base}-USD"))
}

/// Trades by id: pages go back from `after`, so the wanted ones lie below `first_id + limit`.
pub fn trades_request(spelling: &str, first_id: u64, limit: u32) -> Request {
    let limit = limit.clamp(1, 1_000);
    let after = first_id.saturating_add(u64::from(limit));
    request(format!("/products/{}/trades?limit={limit}&after={after}", escaped(spelling)))
}

pub fn latest_request(spelling: &str, limit: u32) -> Request {
    request(format!("/products/{}/trades?limit={}", escaped(spelling), limit.clamp(1, 1_000)))
}

pub fn listings_request() -> Request {
    request("/products".to_owned())
}

pub fn time_request() -> Request {
    request("/time".to_owned())
}

/// `None` where the venue has no candles of that length.
pub fn klines_request(
    spelling: &str,
    interval: TimeInterval,
    from: UnixNanos,
    to: UnixNanos,
) -> Option<Request> {
    let seconds = interval.nanos() / NANOS_PER_SECOND;
    // A candle that opens at `end` belongs to the answer.
    let end = UnixNanos(to.0.saturating_sub(1));
    [60, 300, 900, 3_600, 21_600, 86_400].contains(&seconds).then(|| {
        request(format!(
            "/products/{}/candles?granularity={seconds}&start={from}&end={end}",
            escaped(spelling)
        ))
    })
}

fn request(path: String) -> Request {
    Request { host: REST, path, headers: &[("cache-control", "no-cache")], weight: 1 }
}

pub fn trades(body: &str) -> Result<Answer, AnswerError> {
    Ok(Answer::Trades(page(whole::<Vec<&RawValue>>(body)?, trade)))
}

pub fn listings(body: &str) -> Result<Answer, AnswerError> {
    let products: Vec<&RawValue> = whole(body)?;
    let listing = |raw: &RawValue| {
        let product: Product = serde_json::from_str(raw.get()).ok()?;
        Some(Listing {
            symbol: format!("{}-{}", product.base_currency, product.quote_currency),
            spelling: product.id,
            is_trading: !product.trading_disabled && matches!(product.status.as_str(), "" | "online"),
        })
    };
    Ok(Answer::Listings(products.into_iter().filter_map(listing).collect()))
}

pub fn server_time(body: &str) -> Result<Answer, AnswerError> {
    let time: Time<'_> = whole(body)?;
    iso_time(text(time.iso).as_bytes()).map(Answer::Time).map_err(|e| garbled(body, e))
}

pub fn klines(body: &str, interval: TimeInterval) -> Result<Answer, AnswerError> {
    let rows: Vec<&RawValue> = whole(body)?;
    let candles: Result<Vec<_>, String> = rows.into_iter().map(|row| kline(&texts(row)?, interval)).collect();
    let mut candles = candles.map_err(|e| garbled(body, e))?;
    candles.sort_by_key(|candle| candle.open_at);
    Ok(Answer::Klines(candles))
}

/// time in seconds, low, high, open, close, volume.
fn kline(row: &[String], interval: TimeInterval) -> Result<ReadyCandle, String> {
    let field = |at: usize| row.get(at).map(String::as_bytes).ok_or("the row is too short");
    let volume = Volume::parse(field(5)?).map_err(|e| format!("volume {e}"))?;
    let prices = if volume.is_zero() {
        None
    } else {
        Some(Ohlc {
            open: price(field(3)?)?,
            high: price(field(2)?)?,
            low: price(field(1)?)?,
            close: price(field(4)?)?,
        })
    };
    Ok(ReadyCandle {
        interval,
        open_at: time(field(0)?, TimeUnit::Seconds)?,
        prices,
        volume,
        quote_volume: None,
        trade_count: None,
        taker_buy_volume: None,
        origin: Origin::Venue,
    })
}

/// `{"message":"..."}` of both APIs.
pub fn error(status: u16, body: &str) -> Option<AnswerError> {
    let error: Message<'_> = serde_json::from_str(body).ok()?;
    let said = shown(text(error.message).as_bytes(), 200);
    match status {
        404 => Some(AnswerError::Unknown(said)),
        400 | 401 | 403 => Some(AnswerError::Refused(said)),
        _ => None,
    }
}

impl Dialect for CoinbaseExchange {
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
            // A hundred a second are allowed.
            messages: Rate { count: 30, per: Duration::from_secs(1) },
            messages_by_address: true,
            connects: Rate { count: 6, per: Duration::from_secs(1) },
            // Ten a second are allowed, bursts of fifteen.
            weight: Rate { count: 8, per: Duration::from_secs(1) },
            page_trades_max: 1_000,
            lifetime: None,
        }
    }

    fn socket(&self, host: Option<&str>) -> String {
        host.unwrap_or(SOCKET).trim_end_matches('/').to_owned()
    }

    fn subscribe(&self, spellings: &[&str], _request: u64) -> Vec<String> {
        messages("subscribe", self.limits().markets_per_message, spellings)
    }

    fn unsubscribe(&self, spellings: &[&str], _request: u64) -> Vec<String> {
        messages("unsubscribe", self.limits().markets_per_message, spellings)
    }

    fn control(&self, frame: &str) -> Vec<Heard> {
        let Ok(control) = serde_json::from_str::<Control<'_>>(frame) else { return Vec::new() };
        match &*text(control.kind) {
            "heartbeat" => match text(control.last_trade_id).parse() {
                Ok(id) => vec![Heard::LastId { spelling: text(control.product_id).into_owned(), id }],
                Err(_) => vec![Heard::Heartbeat],
            },
            "subscriptions" => {
                let channels = control.channels.map_or("[]", RawValue::get);
                let channels: Vec<Channel> = serde_json::from_str(channels).unwrap_or_default();
                let matches = channels.into_iter().filter(|channel| channel.name == "matches");
                let spellings = matches.flat_map(|channel| channel.product_ids).collect();
                vec![Heard::Acknowledged { request: None, spellings }]
            }
            "error" => {
                let message = format!("{} {}", text(control.message), text(control.reason));
                let message = shown(message.trim().as_bytes(), 200);
                vec![Heard::Refused { request: None, spelling: named(&message), message }]
            }
            _ => Vec::new(),
        }
    }

    fn is_snapshot(&self, frame: &str) -> bool {
        frame.contains("\"last_match\"")
    }

    fn has_heartbeat(&self) -> bool {
        true
    }

    fn requests(&self, ask: &Ask) -> Vec<Request> {
        match ask {
            Ask::Time => vec![time_request()],
            Ask::Listings => vec![listings_request()],
            Ask::Trades { spelling, first_id, limit } => vec![trades_request(spelling, *first_id, *limit)],
            Ask::Latest { spelling, limit } => vec![latest_request(spelling, *limit)],
            Ask::Klines { spelling, interval, from, to } => {
                klines_request(spelling, *interval, *from, *to).into_iter().collect()
            }
        }
    }

    fn answer(&self, ask: &Ask, _way: usize, body: &str) -> Result<Answer, AnswerError> {
        match ask {
            Ask::Time => server_time(body),
            Ask::Listings => listings(body),
            Ask::Trades { .. } | Ask::Latest { .. } => trades(body),
            Ask::Klines { interval, .. } => klines(body, *interval),
        }
    }

    fn error(&self, status: u16, body: &str) -> Option<AnswerError> {
        error(status, body)
    }

    fn twin(&self, spelling: &str) -> Option<String> {
        twin(spelling)
    }
}

fn messages(kind: &str, most: usize, spellings: &[&str]) -> Vec<String> {
    let message = |chunk: &[&str]| {
        serde_json::json!({ "type": kind, "product_ids": chunk, "channels": ["matches", "heartbeat"] })
            .to_string()
    };
    spellings.chunks(most).map(message).collect()
}

/// The product that an error names: `BTC-USX is not a valid product`.
pub fn named(message: &str) -> Option<String> {
    let is_product = |word: &&str| {
        word.split_once('-').is_some_and(|(base, quote)| {
            let part = |text: &str| {
                !text.is_empty() && text.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit())
            };
            part(base) && part(quote)
        })
    };
    message.split(|c: char| !(c.is_ascii_alphanumeric() || c == '-')).find(is_product).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_frames_are_understood() {
        let check = |frame: &str, expected: &[Heard]| {
            assert_eq!(CoinbaseExchange.control(frame), expected, "{frame}");
        };
        check(
            r#"{"type":"heartbeat","sequence":90,"last_trade_id":20,"product_id":"BTC-USD","time":"2014-11-07T08:19:28.464459Z"}"#,
            &[Heard::LastId { spelling: "BTC-USD".to_owned(), id: 20 }],
        );
        check(
            r#"{"type":"subscriptions","channels":[{"name":"matches","product_ids":["BTC-USD"]},{"name":"heartbeat","product_ids":["ETH-USD"]}]}"#,
            &[Heard::Acknowledged { request: None, spellings: vec!["BTC-USD".to_owned()] }],
        );
        check(
            r#"{"type":"error","message":"Failed to subscribe","reason":"XXX-YYY is not a valid product"}"#,
            &[Heard::Refused {
                request: None,
                spelling: Some("XXX-YYY".to_owned()),
                message: "Failed to subscribe XXX-YYY is not a valid product".to_owned(),
            }],
        );
        for frame in ["", "[]", "{}", r#"{"type":"status"}"#, r#"{"type":{}}"#] {
            check(frame, &[]);
        }
    }

    #[test]
    fn pages_are_asked_so_that_they_begin_at_the_id() {
        assert_eq!(trades_request("BTC-USD", 101, 100).path, "/products/BTC-USD/trades?limit=100&after=201");
    }

    #[test]
    fn rest_tells_the_maker_too() {
        let body = r#"[{"trade_id":12,"side":"sell","size":"0.1","price":"10.5","time":"2026-01-02T03:04:05.605867Z"},
            {"trade_id":11,"side":"buy","size":"0.2","price":"10.4","time":"2026-01-02T03:04:05.6Z"}]"#;
        let Ok(Answer::Trades(page)) = trades(body) else { panic!("a page") };
        let told: Vec<_> = page.trades.iter().map(|trade| (trade.id.to_string(), trade.taker_side)).collect();
        assert_eq!(told, [("11".to_owned(), Some(Side::Sell)), ("12".to_owned(), Some(Side::Buy))]);
    }

    #[test]
    fn candles_are_read_by_their_odd_order() {
        let minute = crate::domain::interval::Interval::time("1m".parse().unwrap()).unwrap();
        let body = "[[1704067260,9.5,11,10,10.5,3.25],[1704067200,9,11,10,10.5,0]]";
        let Ok(Answer::Klines(candles)) = klines(body, minute) else { panic!("candles") };
        assert_eq!(candles[0].prices, None);
        let prices = candles[1].prices.unwrap();
        assert_eq!(prices.open.decimal().to_string(), "10");
        assert_eq!(prices.low.decimal().to_string(), "9.5");
    }

    #[test]
    fn twins_are_of_the_dollar() {
        assert_eq!(twin("BTC-USDC").as_deref(), Some("BTC-USD"));
        assert_eq!((twin("USDT-USDC"), twin("BTC-USD")), (None, None));
    }
}
