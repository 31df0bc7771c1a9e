//! Binance spot: raw `trade` streams, and `historicalTrades` for what they missed.
//!
//! Frames come wrapped (`/stream`), times in milliseconds on both sides, so that a trade reads the
//! same from the socket and from REST. Markets are named by `exchangeInfo`; where a spelling is
//! needed before that answers, nobody guesses it.
//! Source: binance/binance-spot-api-docs, web-socket-streams.md and rest-api.md (2026-07).

use std::time::Duration;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::domain::candle::{Ohlc, Origin};
use crate::domain::decimal::{QuoteVolume, Volume};
use crate::domain::event::{ReadyCandle, Side, Trade};
use crate::domain::fields::{FieldError, id, price, quantity, shown, time};
use crate::domain::frame::FrameParserEntry;
use crate::domain::interval::{Interval, TimeInterval};
use crate::domain::json::text;
use crate::domain::time::{TimeUnit, UnixNanos};
use crate::domain::venue::IdRule;
use crate::venues::binance;
use crate::venues::dialect::{
    Answer, AnswerError, Ask, Dialect, DialectEntry, Heard, Limits, Listing, Rate, Request,
};
use crate::venues::dialects::body::{escaped, garbled, page, texts, whole};

pub const ENTRY: DialectEntry = DialectEntry { venue: "binance", feed: "", make: || Box::new(BinanceSpot) };

const SOCKET: &str = "wss://stream.binance.com:9443";
const REST: &str = "https://api.binance.com";

/// `exchangeInfo` and pages count this much; see the venue's documents.
const TRADES_WEIGHT: u32 = 25;
const LISTINGS_WEIGHT: u32 = 20;

struct BinanceSpot;

#[derive(Deserialize)]
struct Control<'a> {
    #[serde(borrow)]
    id: Option<&'a RawValue>,
    #[serde(borrow)]
    result: Option<&'a RawValue>,
    #[serde(borrow)]
    code: Option<&'a RawValue>,
    #[serde(borrow)]
    msg: Option<&'a RawValue>,
    #[serde(borrow)]
    error: Option<&'a RawValue>,
    #[serde(borrow)]
    e: Option<&'a RawValue>,
    #[serde(borrow)]
    stream: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct ErrorBody<'a> {
    #[serde(borrow)]
    code: Option<&'a RawValue>,
    #[serde(borrow)]
    msg: Option<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ServerTime<'a> {
    #[serde(borrow)]
    server_time: &'a RawValue,
}

#[derive(Deserialize)]
struct ExchangeInfo<'a> {
    #[serde(borrow)]
    symbols: Vec<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Symbol {
    symbol: String,
    base_asset: String,
    quote_asset: String,
    #[serde(default)]
    status: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Row<'a> {
    #[serde(borrow)]
    id: Option<&'a RawValue>,
    #[serde(borrow)]
    price: Option<&'a RawValue>,
    #[serde(borrow)]
    qty: Option<&'a RawValue>,
    #[serde(borrow)]
    time: Option<&'a RawValue>,
    is_buyer_maker: Option<bool>,
}

impl Row<'_> {
    fn trade(&self) -> Result<Trade, FieldError> {
        let maker = self
            .is_buyer_maker
            .ok_or_else(|| FieldError::plain("the row does not say isBuyerMaker, the maker"))?;
        Ok(Trade {
            id: id(text(self.id).as_bytes())?,
            price: price(text(self.price).as_bytes())?,
            quantity: quantity(text(self.qty).as_bytes())?,
            exchange_at: millis(&text(self.time))?,
            received_at: None,
            taker_side: Some(if maker { Side::Sell } else { Side::Buy }),
            trade_count: 1,
        })
    }
}

/// Milliseconds, or microseconds where a proxy asks for those.
fn millis(text: &str) -> Result<UnixNanos, FieldError> {
    time(text.as_bytes(), if text.len() < 16 { TimeUnit::Millis } else { TimeUnit::Micros })
}

impl Dialect for BinanceSpot {
    fn id_rule(&self) -> IdRule {
        IdRule::Contiguous
    }

    fn parser(&self) -> &'static FrameParserEntry {
        const { &binance::ENTRY }
    }

    fn limits(&self) -> Limits {
        Limits {
            // 1,024 are allowed; a connection that is lost should not cost everything.
            markets_per_connection: 512,
            markets_per_message: 100,
            // Five a second are allowed, pings and pongs among them.
            messages: Rate { count: 3, per: Duration::from_secs(1) },
            messages_by_address: false,
            connects: Rate { count: 200, per: Duration::from_secs(300) },
            weight: Rate { count: 4_800, per: Duration::from_secs(60) },
            page_trades_max: 1_000,
            lifetime: Some(Duration::from_secs(23 * 3_600 + 1_800)),
        }
    }

    fn socket(&self, host: Option<&str>) -> String {
        format!("{}/stream", host.unwrap_or(SOCKET).trim_end_matches('/'))
    }

    fn subscribe(&self, spellings: &[&str], request: u64) -> Vec<String> {
        streams("SUBSCRIBE", self.limits().markets_per_message, spellings, request)
    }

    fn unsubscribe(&self, spellings: &[&str], request: u64) -> Vec<String> {
        streams("UNSUBSCRIBE", self.limits().markets_per_message, spellings, request)
    }

    fn control(&self, frame: &str) -> Vec<Heard> {
        let Ok(control) = serde_json::from_str::<Control<'_>>(frame) else { return Vec::new() };
        if text(control.e) == "serverShutdown" || text(control.stream) == "!serverShutdown" {
            return vec![Heard::ShuttingDown];
        }
        let request = text(control.id).parse().ok();
        // Some errors come wrapped, some do not.
        let wrapped = control.error.and_then(|error| serde_json::from_str::<ErrorBody<'_>>(error.get()).ok());
        let (code, msg) = match &wrapped {
            Some(error) => (error.code, error.msg),
            None => (control.code, control.msg),
        };
        if code.is_some() || control.error.is_some() {
            let message = shown(format!("{} {}", text(code), text(msg)).trim().as_bytes(), 200);
            return vec![Heard::Refused { request, spelling: None, message }];
        }
        // `"result":null` reads as absent: an id alone is an acknowledgement.
        if request.is_some() || control.result.is_some() {
            return vec![Heard::Acknowledged { request, spellings: Vec::new() }];
        }
        Vec::new()
    }

    fn is_snapshot(&self, _frame: &str) -> bool {
        false
    }

    fn has_heartbeat(&self) -> bool {
        false
    }

    fn requests(&self, ask: &Ask) -> Vec<Request> {
        let limit = |limit: u32| limit.clamp(1, self.limits().page_trades_max);
        let (path, weight) = match ask {
            Ask::Time => ("/api/v3/time".to_owned(), 1),
            Ask::Listings => ("/api/v3/exchangeInfo?showPermissionSets=false".to_owned(), LISTINGS_WEIGHT),
            Ask::Trades { spelling, first_id, limit: count } => (
                format!(
                    "/api/v3/historicalTrades?symbol={}&fromId={first_id}&limit={}",
                    escaped(spelling),
                    limit(*count)
                ),
                TRADES_WEIGHT,
            ),
            Ask::Latest { spelling, limit: count } => (
                format!("/api/v3/trades?symbol={}&limit={}", escaped(spelling), limit(*count)),
                TRADES_WEIGHT,
            ),
            Ask::Klines { spelling, interval, from, to } => {
                let name = Interval::Time(*interval).to_string();
                if matches!(name.as_str(), "5s" | "15s") {
                    return Vec::new();
                }
                // Both ends are included here, ours is not.
                let (from, to) = (from.0.div_euclid(1_000_000), to.0.saturating_sub(1).div_euclid(1_000_000));
                (
                    format!(
                        "/api/v3/klines?symbol={}&interval={name}&startTime={from}&endTime={to}&limit=1000",
                        escaped(spelling)
                    ),
                    2,
                )
            }
        };
        vec![Request { host: REST, path, headers: &[], weight }]
    }

    fn answer(&self, ask: &Ask, _way: usize, body: &str) -> Result<Answer, AnswerError> {
        match ask {
            Ask::Time => {
                let time: ServerTime<'_> = whole(body)?;
                millis(&text(Some(time.server_time))).map(Answer::Time).map_err(|e| garbled(body, e))
            }
            Ask::Listings => {
                let info: ExchangeInfo<'_> = whole(body)?;
                Ok(Answer::Listings(info.symbols.into_iter().filter_map(listing).collect()))
            }
            Ask::Trades { .. } | Ask::Latest { .. } => {
                let rows: Vec<&RawValue> = whole(body)?;
                Ok(Answer::Trades(page(rows, |row| {
                    let row: Row<'_> = serde_json::from_str(row.get()).map_err(|e| e.to_string())?;
                    row.trade().map_err(String::from)
                })))
            }
            Ask::Klines { interval, .. } => {
                let rows: Vec<&RawValue> = whole(body)?;
                let candles: Result<Vec<_>, String> =
                    rows.into_iter().map(|row| kline(&texts(row)?, *interval)).collect();
                candles.map(Answer::Klines).map_err(|e| garbled(body, e))
            }
        }
    }

    fn error(&self, _status: u16, body: &str) -> Option<AnswerError> {
        let error: ErrorBody<'_> = serde_json::from_str(body).ok()?;
        let said = shown(format!("{} {}", text(error.code), text(error.msg)).trim().as_bytes(), 200);
        Some(match &*text(error.code) {
            "-1121" | "-1100" => AnswerError::Unknown(said),
            "-1003" | "-1015" => AnswerError::TooMuch(said),
            "" => return None,
            _ => AnswerError::Refused(said),
        })
    }

    fn used_weight_header(&self) -> Option<&'static str> {
        Some("x-mbx-used-weight-1m")
    }
}

fn streams(method: &str, most: usize, spellings: &[&str], request: u64) -> Vec<String> {
    let message = |(at, chunk): (usize, &[&str])| {
        let params: Vec<String> = chunk.iter().map(|name| format!("{}@trade", name.to_lowercase())).collect();
        serde_json::json!({ "method": method, "params": params, "id": request + at as u64 }).to_string()
    };
    spellings.chunks(most).enumerate().map(message).collect()
}

/// Of one symbol of `exchangeInfo`; what cannot be read is no market of ours.
fn listing(raw: &RawValue) -> Option<Listing> {
    let symbol: Symbol = serde_json::from_str(raw.get()).ok()?;
    Some(Listing {
        symbol: format!("{}-{}", symbol.base_asset, symbol.quote_asset),
        spelling: symbol.symbol,
        // States that are added later (CANCEL_ONLY was) are states in which nothing trades.
        is_trading: symbol.status == "TRADING" || symbol.status.is_empty(),
    })
}

/// open time, open, high, low, close, volume, close time, quote volume, trades, taker's base, taker's quote.
fn kline(row: &[String], interval: TimeInterval) -> Result<ReadyCandle, String> {
    let field = |at: usize| row.get(at).map(String::as_bytes).ok_or("the row is too short");
    let volume = Volume::parse(field(5)?).map_err(|e| format!("volume {e}"))?;
    let prices = if volume.is_zero() {
        None
    } else {
        Some(Ohlc {
            open: price(field(1)?)?,
            high: price(field(2)?)?,
            low: price(field(3)?)?,
            close: price(field(4)?)?,
        })
    };
    Ok(ReadyCandle {
        interval,
        open_at: millis(row.first().map_or("", String::as_str))?,
        prices,
        volume,
        quote_volume: QuoteVolume::parse(field(7)?).ok(),
        trade_count: row.get(8).and_then(|count| count.parse().ok()),
        taker_buy_volume: Volume::parse(field(9)?).ok(),
        origin: Origin::Venue,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subscriptions_are_split() {
        let names: Vec<String> = (0..201).map(|i| format!("C{i}USDT")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let texts = BinanceSpot.subscribe(&names, 7);
        assert_eq!(texts.len(), 3);
        assert!(texts[2].contains("\"c200usdt@trade\"") && texts[2].contains("\"id\":9"), "{}", texts[2]);
        assert!(BinanceSpot.unsubscribe(&["BTCUSDT"], 1)[0].contains("UNSUBSCRIBE"));
    }

    #[test]
    fn control_frames_are_understood() {
        let check =
            |frame: &str, expected: &[Heard]| assert_eq!(BinanceSpot.control(frame), expected, "{frame}");
        check(
            r#"{"result":null,"id":3}"#,
            &[Heard::Acknowledged { request: Some(3), spellings: Vec::new() }],
        );
        check(
            r#"{"code":2,"msg":"Invalid request","id":4}"#,
            &[Heard::Refused { request: Some(4), spelling: None, message: "2 Invalid request".to_owned() }],
        );
        check(
            r#"{"error":{"code":1,"msg":"bad"},"id":"5"}"#,
            &[Heard::Refused { request: Some(5), spelling: None, message: "1 bad".to_owned() }],
        );
        check(r#"{"e":"serverShutdown","E":1}"#, &[Heard::ShuttingDown]);
        check(r#"{"stream":"!serverShutdown","data":{"e":"serverShutdown"}}"#, &[Heard::ShuttingDown]);
        for frame in ["", "[]", "{}", "nonsense", r#"{"e":"kline"}"#] {
            check(frame, &[]);
        }
    }

    #[test]
    fn requests_follow_the_documents() {
        let path = |ask: Ask| BinanceSpot.requests(&ask).remove(0).path;
        let spelling = "BTCUSDT".to_owned();
        assert_eq!(
            path(Ask::Trades { spelling: spelling.clone(), first_id: 9, limit: 5_000 }),
            "/api/v3/historicalTrades?symbol=BTCUSDT&fromId=9&limit=1000"
        );
        assert_eq!(path(Ask::Latest { spelling, limit: 1 }), "/api/v3/trades?symbol=BTCUSDT&limit=1");
        assert_eq!(BinanceSpot.socket(None), "wss://stream.binance.com:9443/stream");
        assert_eq!(BinanceSpot.socket(Some("ws://127.0.0.1:9/")), "ws://127.0.0.1:9/stream");
    }

    #[test]
    fn answers_are_read_row_by_row() {
        let ask = Ask::Trades { spelling: "BTCUSDT".to_owned(), first_id: 1, limit: 3 };
        let body = r#"[{"id":8,"price":"38172.11000000","qty":"0.15000000","quoteQty":"1","time":1621933655947,"isBuyerMaker":true,"isBestMatch":true,"new":{}},
            {"id":7,"price":"0","qty":"1","time":1621933655947,"isBuyerMaker":true},
            {"id":6,"price":"1","qty":"1","time":1621933655947,"isBuyerMaker":false}]"#;
        let Ok(Answer::Trades(page)) = BinanceSpot.answer(&ask, 0, body) else { panic!("a page") };
        let ids: Vec<_> = page.trades.iter().map(|trade| trade.id.to_string()).collect();
        assert_eq!(ids, ["6", "8"]);
        assert_eq!(page.trades[1].taker_side, Some(Side::Sell));
        assert!(page.refused[0].starts_with(r#"price "0" is zero"#), "{:?}", page.refused);
        for body in ["<html>", "", "[{\"id\":8,", "{}"] {
            assert!(matches!(BinanceSpot.answer(&ask, 0, body), Err(AnswerError::Garbled { .. })), "{body}");
        }
    }

    #[test]
    fn errors_are_told_apart() {
        let error = |body: &str| BinanceSpot.error(400, body);
        assert!(matches!(error(r#"{"code":-1121,"msg":"Invalid symbol."}"#), Some(AnswerError::Unknown(_))));
        assert!(matches!(error(r#"{"code":-1003,"msg":"Too much"}"#), Some(AnswerError::TooMuch(_))));
        assert!(matches!(error(r#"{"code":-9,"msg":"?"}"#), Some(AnswerError::Refused(_))));
        assert_eq!(error("<html>"), None);
    }

    #[test]
    fn states_yet_unknown_cost_no_listing() {
        let body = r#"{"symbols":[{"symbol":"BTCUSDT","status":"TRADING","baseAsset":"BTC","quoteAsset":"USDT"},
            {"symbol":"XY","status":"CANCEL_ONLY","baseAsset":"X","quoteAsset":"Y"},{"nonsense":1}]}"#;
        let Ok(Answer::Listings(found)) = BinanceSpot.answer(&Ask::Listings, 0, body) else {
            panic!("listings")
        };
        assert_eq!(found.len(), 2);
        assert_eq!((found[0].symbol.as_str(), found[0].is_trading), ("BTC-USDT", true));
        assert!(!found[1].is_trading);
    }
}
