//! The JSON shapes of all outputs: one place for the API, the feed, the files and the webhooks.
//!
//! Fields are flat and named as in the files. Moments are RFC 3339 text; prices, quantities and sums
//! exact decimal text; trade ids text; counts and revisions integers; statistics the shortest
//! number that reads back as the same float. What is not known is `null`.
//!
//! Each function appends fields without braces, so that a feed message can put its `type` and `seq` before
//! them: `{"type":"trade","seq":7,` + fields + `}`. Written by hand: it is done for every trade.

use crate::domain::candle::Candle;
use crate::domain::data_state::DataState;
use crate::domain::decimal::{Amount, Price};
use crate::domain::event::{Trade, TradeId};
use crate::domain::insight::{Anomaly, Evidence, Fact, Forecast, ModelScore, Outcome, Signal};
use crate::domain::instrument::Instrument;
use crate::domain::interval::Interval;
use crate::domain::output::Gap;
use crate::domain::time::UnixNanos;
use crate::domain::told::IndicatorValues;

/// The fields that name an instrument, written once for all that is told of it.
#[derive(Clone, Debug)]
pub struct Label {
    /// `"instrument":"binance:BTC-USDT"`.
    short: Box<[u8]>,
    /// As `short`, and `"venue":"binance","symbol":"BTC-USDT"`.
    long: Box<[u8]>,
}

impl Label {
    pub fn new(instrument: &Instrument) -> Self {
        let mut short = b"\"instrument\":".to_vec();
        text(&instrument.to_string(), &mut short);
        let mut long = short.clone();
        long.extend_from_slice(b",\"venue\":");
        text(instrument.venue().name(), &mut long);
        long.extend_from_slice(b",\"symbol\":");
        text(instrument.symbol(), &mut long);
        Self { short: short.into(), long: long.into() }
    }
}

/// `instrument`, `trade_id`, `exchange_at`, `received_at`, `price`, `quantity`, `taker_side`, `trade_count`.
pub fn trade(label: &Label, trade: &Trade, out: &mut Vec<u8>) {
    out.extend_from_slice(&label.short);
    out.extend_from_slice(b",\"trade_id\":");
    match &trade.id {
        TradeId::Absent => out.extend_from_slice(b"null"),
        TradeId::Number(number) => quoted_number(*number, out),
        TradeId::Text(id) => text(id, out),
    }
    moment(b",\"exchange_at\":", trade.exchange_at, out);
    match trade.received_at {
        Some(stamp) => moment(b",\"received_at\":", stamp.at(), out),
        None => out.extend_from_slice(b",\"received_at\":null"),
    }
    price(b",\"price\":", trade.price, out);
    out.extend_from_slice(b",\"quantity\":\"");
    trade.quantity.decimal().write_to(out);
    out.extend_from_slice(b"\",\"taker_side\":");
    word(trade.taker_side.map(|side| side.name()), out);
    number(b",\"trade_count\":", u64::from(trade.trade_count), out);
}

/// The fields of candles.csv, and `instrument`.
pub fn candle(label: &Label, candle: &Candle, out: &mut Vec<u8>) {
    candle_with_state(label, candle, candle.state.name(), out);
}

/// A candle that still takes trades: as [`candle`], its `state` is `open`.
pub fn open_candle(label: &Label, candle: &Candle, out: &mut Vec<u8>) {
    candle_with_state(label, candle, "open", out);
}

fn candle_with_state(label: &Label, candle: &Candle, state: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(&label.long);
    interval(candle.interval, out);
    moment(b",\"open_time\":", candle.open_at, out);
    moment(b",\"close_time\":", candle.close_at, out);
    match &candle.prices {
        Some(prices) => {
            price(b",\"open\":", prices.open, out);
            price(b",\"high\":", prices.high, out);
            price(b",\"low\":", prices.low, out);
            price(b",\"close\":", prices.close, out);
        }
        None => out.extend_from_slice(b",\"open\":null,\"high\":null,\"low\":null,\"close\":null"),
    }
    amount(b",\"volume\":", Some(candle.volume), out);
    amount(b",\"quote_volume\":", candle.quote_volume, out);
    match candle.trade_count {
        Some(count) => number(b",\"trade_count\":", count, out),
        None => out.extend_from_slice(b",\"trade_count\":null"),
    }
    amount(b",\"taker_buy_volume\":", candle.taker_buy_volume, out);
    amount(b",\"taker_buy_quote_volume\":", candle.taker_buy_quote_volume, out);
    amount(b",\"vwap\":", candle.vwap(), out);
    out.extend_from_slice(b",\"state\":");
    word(Some(state), out);
    number(b",\"revision\":", u64::from(candle.revision), out);
    out.extend_from_slice(b",\"origin\":");
    word(Some(candle.origin.name()), out);
}

/// One row of indicators.csv, and `instrument`: the output of that position. `value` is `null` where the row is
/// withdrawn.
pub fn indicator(label: &Label, values: &IndicatorValues, output: usize, out: &mut Vec<u8>) {
    let row = IndicatorRow {
        interval: values.interval,
        open_at: values.open_at,
        indicator: &values.indicator,
        output: values.outputs.get(output).copied().unwrap_or_default(),
        value: values.values.get(output).copied(),
        revision: values.revision,
        data_state: values.data_state,
    };
    indicator_row(label, row, out);
}

/// One output of one indicator at one closed candle.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct IndicatorRow<'a> {
    pub interval: Interval,
    /// The candle's.
    pub open_at: UnixNanos,
    pub indicator: &'a str,
    pub output: &'a str,
    /// `None` where the row is withdrawn.
    pub value: Option<f64>,
    pub revision: u32,
    pub data_state: DataState,
}

/// As [`indicator`], of a row that stands alone.
pub fn indicator_row(label: &Label, row: IndicatorRow<'_>, out: &mut Vec<u8>) {
    out.extend_from_slice(&label.long);
    interval(row.interval, out);
    moment(b",\"open_time\":", row.open_at, out);
    out.extend_from_slice(b",\"indicator\":");
    text(row.indicator, out);
    out.extend_from_slice(b",\"output\":");
    text(row.output, out);
    out.extend_from_slice(b",\"value\":");
    optional_float(row.value, out);
    number(b",\"revision\":", u64::from(row.revision), out);
    out.extend_from_slice(b",\"data_state\":");
    word(Some(row.data_state.name()), out);
}

/// The fields of gaps.jsonl, and `instrument`; `reason` only where it is unfillable.
pub fn gap(label: &Label, gap: &Gap, out: &mut Vec<u8>) {
    hexadecimal(b"\"id\":", gap.id.0, out);
    out.push(b',');
    out.extend_from_slice(&label.long);
    out.extend_from_slice(b",\"kind\":");
    word(Some(gap.kind.name()), out);
    let ids = [
        (&b",\"first_missing_id\":"[..], gap.first_missing_id),
        (b",\"last_missing_id\":", gap.last_missing_id),
    ];
    for (name, id) in ids {
        out.extend_from_slice(name);
        match id {
            Some(id) => quoted_number(id, out),
            None => out.extend_from_slice(b"null"),
        }
    }
    moment(b",\"from\":", gap.from, out);
    moment(b",\"to\":", gap.to, out);
    out.extend_from_slice(b",\"state\":");
    word(Some(gap.state.name()), out);
    if let Some(reason) = gap.reason {
        out.extend_from_slice(b",\"reason\":");
        word(Some(reason.name()), out);
    }
}

/// `id`, `instrument`, `detector`, `interval`, `exchange_at`, `channel`, `score`, `threshold`, `evidence`,
/// `revision`, `data_state`, `cause_seq`.
pub fn anomaly(label: &Label, anomaly: &Anomaly, cause_seq: u64, out: &mut Vec<u8>) {
    hexadecimal(b"\"id\":", anomaly.id.0, out);
    out.push(b',');
    out.extend_from_slice(&label.short);
    out.extend_from_slice(b",\"detector\":");
    text(&anomaly.detector, out);
    interval(anomaly.interval, out);
    moment(b",\"exchange_at\":", anomaly.exchange_at, out);
    out.extend_from_slice(b",\"channel\":");
    text(anomaly.channel, out);
    statistic(b",\"score\":", anomaly.score, out);
    statistic(b",\"threshold\":", anomaly.threshold, out);
    evidence(&anomaly.evidence, out);
    number(b",\"revision\":", u64::from(anomaly.revision), out);
    out.extend_from_slice(b",\"data_state\":");
    word(Some(anomaly.data_state.name()), out);
    number(b",\"cause_seq\":", cause_seq, out);
}

/// `id`, `instrument`, `interval`, `target`, `model`, `role`, `horizon`, `made_at`, `target_at`, `forecast`,
/// `lower`, `upper`, `level`, `naive`, `skill`, `revision`, `data_state`, `cause_seq`.
pub fn forecast(label: &Label, forecast: &Forecast, cause_seq: u64, out: &mut Vec<u8>) {
    hexadecimal(b"\"id\":", forecast.id.0, out);
    out.push(b',');
    out.extend_from_slice(&label.short);
    interval(forecast.interval, out);
    out.extend_from_slice(b",\"target\":");
    word(Some(forecast.target.name()), out);
    out.extend_from_slice(b",\"model\":");
    text(&forecast.model, out);
    out.extend_from_slice(b",\"role\":");
    word(Some(forecast.role.name()), out);
    number(b",\"horizon\":", u64::from(forecast.horizon), out);
    moment(b",\"made_at\":", forecast.made_at, out);
    moment(b",\"target_at\":", forecast.target_at, out);
    statistic(b",\"forecast\":", forecast.forecast, out);
    statistic(b",\"lower\":", forecast.lower, out);
    statistic(b",\"upper\":", forecast.upper, out);
    statistic(b",\"level\":", forecast.level, out);
    statistic(b",\"naive\":", forecast.naive, out);
    out.extend_from_slice(b",\"skill\":");
    optional_float(forecast.skill, out);
    number(b",\"revision\":", u64::from(forecast.revision), out);
    out.extend_from_slice(b",\"data_state\":");
    word(Some(forecast.data_state.name()), out);
    number(b",\"cause_seq\":", cause_seq, out);
}

/// `id`, `instrument`, `kind`, `name`, `severity`, `action`, `exchange_at`, `score`, `message`, `evidence`,
/// `models`, `data_state`, `cause_seq`.
pub fn signal(label: &Label, signal: &Signal, cause_seq: u64, out: &mut Vec<u8>) {
    hexadecimal(b"\"id\":", signal.id.0, out);
    out.push(b',');
    out.extend_from_slice(&label.short);
    out.extend_from_slice(b",\"kind\":");
    word(Some(signal.kind.name()), out);
    out.extend_from_slice(b",\"name\":");
    text(signal.name, out);
    out.extend_from_slice(b",\"severity\":");
    word(Some(signal.severity.name()), out);
    out.extend_from_slice(b",\"action\":");
    word(signal.action.map(|action| action.name()), out);
    moment(b",\"exchange_at\":", signal.exchange_at, out);
    statistic(b",\"score\":", signal.score, out);
    out.extend_from_slice(b",\"message\":");
    text(&signal.message, out);
    evidence(&signal.evidence, out);
    out.extend_from_slice(b",\"models\":[");
    for (at, model) in signal.models.iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        text(model, out);
    }
    out.extend_from_slice(b"],\"data_state\":");
    word(Some(signal.data_state.name()), out);
    number(b",\"cause_seq\":", cause_seq, out);
}

/// `id` (the forecast's), `instrument`, `interval`, `target`, `model`, `role`, `horizon`, `made_at`, `target_at`,
/// `actual`, `cause_seq`.
pub fn outcome(label: &Label, outcome: &Outcome, cause_seq: u64, out: &mut Vec<u8>) {
    hexadecimal(b"\"id\":", outcome.id.0, out);
    out.push(b',');
    out.extend_from_slice(&label.short);
    interval(outcome.interval, out);
    out.extend_from_slice(b",\"target\":");
    word(Some(outcome.target.name()), out);
    out.extend_from_slice(b",\"model\":");
    text(&outcome.model, out);
    out.extend_from_slice(b",\"role\":");
    word(Some(outcome.role.name()), out);
    number(b",\"horizon\":", u64::from(outcome.horizon), out);
    moment(b",\"made_at\":", outcome.made_at, out);
    moment(b",\"target_at\":", outcome.target_at, out);
    statistic(b",\"actual\":", outcome.actual, out);
    number(b",\"cause_seq\":", cause_seq, out);
}

/// `instrument`, `at`, `interval`, `target`, `model`, `role`, `horizon`, `scored`, `baseline`, then the figures, each
/// under its name and `null` where there is none (of the direction `directional_accuracy`, `directional_lower`,
/// `directional_upper`, `directional_majority`), `demoted`.
pub fn score(label: &Label, score: &ModelScore, out: &mut Vec<u8>) {
    out.extend_from_slice(&label.short);
    moment(b",\"at\":", score.at, out);
    interval(score.interval, out);
    out.extend_from_slice(b",\"target\":");
    word(Some(score.target.name()), out);
    out.extend_from_slice(b",\"model\":");
    text(&score.model, out);
    out.extend_from_slice(b",\"role\":");
    word(Some(score.role.name()), out);
    number(b",\"horizon\":", u64::from(score.horizon), out);
    number(b",\"scored\":", score.scored, out);
    out.extend_from_slice(b",\"baseline\":");
    text(&score.baseline, out);
    let direction = score.direction;
    let figures = [
        (&b",\"skill\":"[..], score.skill),
        (b",\"mae\":", score.mae),
        (b",\"rmse\":", score.rmse),
        (b",\"mape\":", score.mape),
        (b",\"smape\":", score.smape),
        (b",\"mase\":", score.mase),
        (b",\"pinball\":", score.pinball),
        (b",\"coverage\":", score.coverage),
        (b",\"coverage_worst_day\":", score.coverage_worst_day),
        (b",\"winkler\":", score.winkler),
        (b",\"qlike\":", score.qlike),
        (b",\"log_loss\":", score.log_loss),
        (b",\"directional_accuracy\":", direction.map(|share| share.share)),
        (b",\"directional_lower\":", direction.map(|share| share.lower)),
        (b",\"directional_upper\":", direction.map(|share| share.upper)),
        (b",\"directional_majority\":", direction.map(|share| share.majority)),
        (b",\"dm_statistic\":", score.dm_statistic),
        (b",\"dm_p\":", score.dm_p),
    ];
    for (name, figure) in figures {
        out.extend_from_slice(name);
        optional_float(figure, out);
    }
    out.extend_from_slice(b",\"demoted\":");
    out.extend_from_slice(if score.demoted { b"true" } else { b"false" });
}

fn evidence(evidence: &Evidence, out: &mut Vec<u8>) {
    out.extend_from_slice(b",\"evidence\":");
    evidence_object(evidence, out);
}

/// The facts as a JSON object.
pub fn evidence_object(evidence: &Evidence, out: &mut Vec<u8>) {
    out.push(b'{');
    for (at, (name, fact)) in evidence.0.iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        text(name, out);
        out.push(b':');
        match fact {
            Fact::Number(value) => optional_float(Some(*value), out),
            Fact::Count(count) => {
                if *count < 0 {
                    out.push(b'-');
                }
                digits(count.unsigned_abs(), out);
            }
            Fact::Text(value) => text(value, out),
            Fact::Decimal(value) => text(value, out),
            Fact::At(at) => moment(b"", *at, out),
        }
    }
    out.push(b'}');
}

/// A JSON string.
pub fn text(value: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    for &byte in value.as_bytes() {
        match byte {
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'\n' => out.extend_from_slice(b"\\n"),
            0..=0x1f => out.extend_from_slice(format!("\\u{byte:04x}").as_bytes()),
            _ => out.push(byte),
        }
    }
    out.push(b'"');
}

/// A whole number as digits.
pub fn digits(mut rest: u64, out: &mut Vec<u8>) {
    let mut text = [0u8; 20];
    let mut at = text.len();
    loop {
        at -= 1;
        text[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    out.extend_from_slice(&text[at..]);
}

/// A statistic in its shortest form; `null` where it is no number that JSON has.
pub fn float(value: f64, out: &mut Vec<u8>) {
    if value.is_finite() {
        // Adding zero turns minus zero into zero, and nothing else into anything else.
        out.extend_from_slice(ryu::Buffer::new().format_finite(value + 0.0).as_bytes());
    } else {
        out.extend_from_slice(b"null");
    }
}

/// A word of our own, which nothing in JSON has to escape.
fn word(value: Option<&str>, out: &mut Vec<u8>) {
    match value {
        Some(value) => {
            out.push(b'"');
            out.extend_from_slice(value.as_bytes());
            out.push(b'"');
        }
        None => out.extend_from_slice(b"null"),
    }
}

fn quoted_number(value: u64, out: &mut Vec<u8>) {
    out.push(b'"');
    digits(value, out);
    out.push(b'"');
}

fn hexadecimal(name: &[u8], value: u64, out: &mut Vec<u8>) {
    out.extend_from_slice(name);
    out.push(b'"');
    for place in (0..16).rev() {
        out.push(b"0123456789abcdef"[(value >> (4 * place)) as usize & 15]);
    }
    out.push(b'"');
}

fn number(name: &[u8], value: u64, out: &mut Vec<u8>) {
    out.extend_from_slice(name);
    digits(value, out);
}

fn statistic(name: &[u8], value: f64, out: &mut Vec<u8>) {
    out.extend_from_slice(name);
    float(value, out);
}

fn optional_float(value: Option<f64>, out: &mut Vec<u8>) {
    float(value.unwrap_or(f64::NAN), out);
}

fn moment(name: &[u8], at: UnixNanos, out: &mut Vec<u8>) {
    out.extend_from_slice(name);
    out.push(b'"');
    at.write_to(out);
    out.push(b'"');
}

fn price(name: &[u8], price: Price, out: &mut Vec<u8>) {
    out.extend_from_slice(name);
    out.push(b'"');
    price.decimal().write_to(out);
    out.push(b'"');
}

fn amount<const SCALE: u32>(name: &[u8], amount: Option<Amount<SCALE>>, out: &mut Vec<u8>) {
    out.extend_from_slice(name);
    match amount {
        Some(amount) => {
            out.push(b'"');
            amount.write_to(out);
            out.push(b'"');
        }
        None => out.extend_from_slice(b"null"),
    }
}

fn interval(interval: Interval, out: &mut Vec<u8>) {
    out.extend_from_slice(b",\"interval\":\"");
    match interval {
        // The names of the lengths that are told most; the others are looked up.
        Interval::Time(time) => match time.nanos() {
            1_000_000_000 => out.extend_from_slice(b"1s"),
            60_000_000_000 => out.extend_from_slice(b"1m"),
            _ => out.extend_from_slice(interval.to_string().as_bytes()),
        },
        other => out.extend_from_slice(other.to_string().as_bytes()),
    }
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use serde_json::{Value, json};

    use super::*;
    use crate::domain::candle::{CandleState, Ohlc, Origin};
    use crate::domain::decimal::{Quantity, QuoteVolume, Volume};
    use crate::domain::event::{Side, Unfillable};
    use crate::domain::insight::{Action, InsightId, Role, Severity, Share, SignalKind, Target};
    use crate::domain::output::{GapId, GapKind, GapState};

    fn label() -> Label {
        Label::new(&"binance:BTC-USDT".parse().unwrap())
    }

    fn check(write: impl FnOnce(&Label, &mut Vec<u8>), expected: Value) {
        let mut out = b"{".to_vec();
        write(&label(), &mut out);
        out.push(b'}');
        let text = String::from_utf8(out).unwrap();
        let read: Value = serde_json::from_str(&text).unwrap_or_else(|e| panic!("{e}: {text}"));
        assert_eq!(read, expected, "{text}");
    }

    fn price(text: &str) -> Price {
        Price::parse(text.as_bytes()).unwrap()
    }

    #[test]
    fn trades() {
        let mut told = Trade {
            price: price("60000.10"),
            quantity: Quantity::parse(b"0.00000001").unwrap(),
            exchange_at: UnixNanos(1_714_521_600_123_000_000),
            received_at: None,
            id: TradeId::Number(u64::MAX),
            taker_side: Some(Side::Sell),
            trade_count: 1,
        };
        let mut expected = json!({
            "instrument": "binance:BTC-USDT", "trade_id": "18446744073709551615",
            "exchange_at": "2024-05-01T00:00:00.123Z", "received_at": null, "price": "60000.1",
            "quantity": "0.00000001", "taker_side": "sell", "trade_count": 1,
        });
        check(|label, out| trade(label, &told, out), expected.clone());
        told.id = TradeId::parse("a\\b").unwrap();
        told.received_at = UnixNanos(1).stamp();
        told.taker_side = None;
        expected["trade_id"] = json!("a\\b");
        expected["received_at"] = json!("1970-01-01T00:00:00.000000001Z");
        expected["taker_side"] = Value::Null;
        check(|label, out| trade(label, &told, out), expected);
    }

    #[test]
    fn candles() {
        let told = Candle {
            interval: "5m".parse().unwrap(),
            open_at: UnixNanos(1_714_521_600_000_000_000),
            close_at: UnixNanos(1_714_521_900_000_000_000),
            prices: Some(Ohlc { open: price("1.5"), high: price("3"), low: price("1"), close: price("2") }),
            volume: Volume::parse(b"3").unwrap(),
            quote_volume: Some(QuoteVolume::parse(b"100").unwrap()),
            trade_count: Some(12),
            taker_buy_volume: None,
            taker_buy_quote_volume: None,
            state: CandleState::Traded,
            revision: 3,
            origin: Origin::Trades,
        };
        let mut expected = json!({
            "instrument": "binance:BTC-USDT", "venue": "binance", "symbol": "BTC-USDT", "interval": "5m",
            "open_time": "2024-05-01T00:00:00Z", "close_time": "2024-05-01T00:05:00Z", "open": "1.5",
            "high": "3", "low": "1", "close": "2", "volume": "3", "quote_volume": "100", "trade_count": 12,
            "taker_buy_volume": null, "taker_buy_quote_volume": null, "vwap": "33.333333333333",
            "state": "traded", "revision": 3, "origin": "trades",
        });
        check(|label, out| candle(label, &told, out), expected.clone());
        expected["state"] = json!("open");
        check(|label, out| open_candle(label, &told, out), expected.clone());
        let bare = Candle { prices: None, quote_volume: None, trade_count: None, ..told };
        for name in ["open", "high", "low", "close", "quote_volume", "trade_count", "vwap"] {
            expected[name] = Value::Null;
        }
        expected["state"] = json!("traded");
        check(|label, out| candle(label, &bare, out), expected);
    }

    #[test]
    fn indicators() {
        let mut told = IndicatorValues {
            interval: "1m".parse().unwrap(),
            open_at: UnixNanos(0),
            indicator: "macd(12,26,9)".into(),
            outputs: ["macd", "signal", "histogram"].into(),
            values: vec![0.1 + 0.2, -0.0, 1e300],
            revision: 1,
            data_state: DataState::Partial,
        };
        let mut expected = json!({
            "instrument": "binance:BTC-USDT", "venue": "binance", "symbol": "BTC-USDT", "interval": "1m",
            "open_time": "1970-01-01T00:00:00Z", "indicator": "macd(12,26,9)", "output": "macd",
            "value": 0.30000000000000004, "revision": 1, "data_state": "partial",
        });
        check(|label, out| indicator(label, &told, 0, out), expected.clone());
        told.values.clear();
        (expected["output"], expected["value"]) = (json!("histogram"), Value::Null);
        check(|label, out| indicator(label, &told, 2, out), expected);
    }

    #[test]
    fn gaps() {
        let told = Gap {
            id: GapId(0xab),
            kind: GapKind::Ids,
            first_missing_id: Some(5),
            last_missing_id: None,
            from: UnixNanos(0),
            to: UnixNanos(1_500_000_000),
            state: GapState::Open,
            reason: None,
        };
        let expected = json!({
            "id": "00000000000000ab", "instrument": "binance:BTC-USDT", "venue": "binance",
            "symbol": "BTC-USDT", "kind": "ids", "first_missing_id": "5", "last_missing_id": null,
            "from": "1970-01-01T00:00:00Z", "to": "1970-01-01T00:00:01.500Z", "state": "open",
        });
        check(|label, out| gap(label, &told, out), expected.clone());
        let mut expected = expected;
        let unfillable = Gap { state: GapState::Unfillable, reason: Some(Unfillable::OutOfReach), ..told };
        (expected["state"], expected["reason"]) = (json!("unfillable"), json!("out_of_reach"));
        check(|label, out| gap(label, &unfillable, out), expected);
    }

    #[test]
    fn insights() {
        let facts = Evidence::default()
            .with("z", Fact::Number(f64::INFINITY))
            .with("trades", Fact::Count(i64::MIN))
            .with("why \"so\"", Fact::Text(Cow::Borrowed("line\nend\u{1}")))
            .with("price", Fact::Decimal("60000.1".to_owned()))
            .with("at", Fact::At(UnixNanos(0)));
        let said = json!({
            "z": null, "trades": i64::MIN, "why \"so\"": "line\nend\u{1}", "price": "60000.1",
            "at": "1970-01-01T00:00:00Z",
        });
        let told = Anomaly {
            id: InsightId(1),
            detector: "robust_z@1".into(),
            interval: "1m".parse().unwrap(),
            exchange_at: UnixNanos(0),
            channel: "volume",
            score: 0.999,
            threshold: 0.99,
            evidence: facts.clone(),
            revision: 0,
            data_state: DataState::Complete,
        };
        let expected = json!({
            "id": "0000000000000001", "instrument": "binance:BTC-USDT", "detector": "robust_z@1",
            "interval": "1m", "exchange_at": "1970-01-01T00:00:00Z", "channel": "volume", "score": 0.999,
            "threshold": 0.99, "evidence": said, "revision": 0, "data_state": "complete", "cause_seq": 9,
        });
        check(|label, out| anomaly(label, &told, 9, out), expected);
        let told = Signal {
            id: InsightId(u64::MAX),
            kind: SignalKind::Anomaly,
            name: "volume_burst",
            severity: Severity::Warning,
            action: Some(Action::Hold),
            exchange_at: UnixNanos(0),
            score: 1.0,
            message: "Ten times the usual volume.".to_owned(),
            evidence: facts,
            models: vec!["robust_z@1".into(), "ewma_variance@1".into()],
            data_state: DataState::Complete,
        };
        let expected = json!({
            "id": "ffffffffffffffff", "instrument": "binance:BTC-USDT", "kind": "anomaly",
            "name": "volume_burst", "severity": "warning", "action": "hold",
            "exchange_at": "1970-01-01T00:00:00Z", "score": 1.0, "message": "Ten times the usual volume.",
            "evidence": said, "models": ["robust_z@1", "ewma_variance@1"], "data_state": "complete",
            "cause_seq": 0,
        });
        check(|label, out| signal(label, &told, 0, out), expected);
        let told = Forecast {
            id: InsightId(2),
            interval: "1h".parse().unwrap(),
            target: Target::RealizedVariance,
            model: "ewma_variance@1".into(),
            role: Role::Online,
            horizon: 3,
            made_at: UnixNanos(0),
            target_at: UnixNanos(0),
            forecast: 1e-9,
            lower: 0.0,
            upper: 2e-9,
            level: 0.9,
            naive: 1e-9,
            skill: None,
            revision: 2,
            data_state: DataState::Partial,
        };
        let expected = json!({
            "id": "0000000000000002", "instrument": "binance:BTC-USDT", "interval": "1h",
            "target": "realized_variance", "model": "ewma_variance@1", "role": "online", "horizon": 3,
            "made_at": "1970-01-01T00:00:00Z", "target_at": "1970-01-01T00:00:00Z", "forecast": 1e-9,
            "lower": 0.0, "upper": 2e-9, "level": 0.9, "naive": 1e-9, "skill": null, "revision": 2,
            "data_state": "partial", "cause_seq": 4,
        });
        check(|label, out| forecast(label, &told, 4, out), expected);
    }

    #[test]
    fn what_became_of_forecasts() {
        let told = Outcome {
            id: InsightId(2),
            interval: "1m".parse().unwrap(),
            target: Target::Volume,
            model: "mixture@1".into(),
            role: Role::Champion,
            horizon: 5,
            made_at: UnixNanos(0),
            target_at: UnixNanos(300_000_000_000),
            actual: 12.5,
        };
        let expected = json!({
            "id": "0000000000000002", "instrument": "binance:BTC-USDT", "interval": "1m", "target": "volume",
            "model": "mixture@1", "role": "champion", "horizon": 5, "made_at": "1970-01-01T00:00:00Z",
            "target_at": "1970-01-01T00:05:00Z", "actual": 12.5, "cause_seq": 3,
        });
        check(|label, out| outcome(label, &told, 3, out), expected);
        let told = ModelScore {
            at: UnixNanos(0),
            interval: "1m".parse().unwrap(),
            target: Target::Direction,
            model: "ftrl@1".into(),
            role: Role::Challenger,
            horizon: 1,
            scored: 1440,
            baseline: "drift@1".into(),
            skill: Some(1.01),
            mae: None,
            rmse: None,
            mape: None,
            smape: None,
            mase: None,
            pinball: None,
            coverage: Some(0.9),
            coverage_worst_day: Some(0.86),
            winkler: None,
            qlike: None,
            log_loss: Some(0.693),
            direction: Some(Share { share: 0.507, lower: 0.501, upper: 0.513, majority: 0.502 }),
            dm_statistic: Some(-0.5),
            dm_p: Some(0.625),
            demoted: true,
        };
        let expected = json!({
            "instrument": "binance:BTC-USDT", "at": "1970-01-01T00:00:00Z", "interval": "1m",
            "target": "direction", "model": "ftrl@1", "role": "challenger", "horizon": 1, "scored": 1440,
            "baseline": "drift@1", "skill": 1.01, "mae": null, "rmse": null, "mape": null, "smape": null,
            "mase": null, "pinball": null, "coverage": 0.9, "coverage_worst_day": 0.86, "winkler": null,
            "qlike": null, "log_loss": 0.693, "directional_accuracy": 0.507, "directional_lower": 0.501,
            "directional_upper": 0.513, "directional_majority": 0.502, "dm_statistic": -0.5, "dm_p": 0.625,
            "demoted": true,
        });
        check(|label, out| score(label, &told, out), expected);
    }
}
