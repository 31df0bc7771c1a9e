//! Rows as text: the lines of candles.csv, indicators.csv and gaps.jsonl.
//!
//! Numbers: prices and sums as exact decimal text; statistics in the shortest form that reads
//! back as the same float, always with a point or an exponent (`1.0`, `0.1`, `1e300`), minus
//! zero as `0.0`. Missing values are empty fields in CSV, `null` in JSON.
//!
//! Only names of indicators with several parameters hold a comma; those are quoted, as
//! RFC 4180 says. Venues, symbols, intervals and states hold nothing that CSV or JSON would
//! have to escape.

use crate::analytics::catalogue::Spec;
use crate::domain::candle::Candle;
use crate::domain::data_state::DataState;
use crate::domain::decimal::Amount;
use crate::domain::instrument::Instrument;
use crate::domain::interval::Interval;
use crate::domain::output::Gap;
use crate::domain::time::UnixNanos;

pub const CANDLES_HEADER: &str = "venue,symbol,interval,open_time,close_time,open,high,low,close,volume,\
    quote_volume,trade_count,taker_buy_volume,taker_buy_quote_volume,vwap,state,revision,origin\n";

pub const INDICATORS_HEADER: &str =
    "venue,symbol,interval,open_time,indicator,output,value,revision,data_state\n";

pub const DIGESTS_HEADER: &str = "instrument,candles,indicators,digest\n";

/// The first fields of an instrument's rows, with the comma that follows.
pub fn prefix(instrument: &Instrument, interval: Interval) -> Vec<u8> {
    format!("{},{},{interval},", instrument.venue(), instrument.symbol()).into_bytes()
}

/// `indicator,output,` of each output of an indicator.
pub fn labels(spec: &Spec) -> Vec<Vec<u8>> {
    let name = csv_field(&spec.to_string());
    spec.entry.outputs.iter().map(|output| format!("{name},{output},").into_bytes()).collect()
}

fn csv_field(text: &str) -> String {
    if text.contains([',', '"']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text.to_owned() }
}

/// Moments as text; rows follow each other in time, so most of a text is that of the one before.
#[derive(Default)]
pub struct TimeText {
    /// The day of the text, in days since 1970.
    day: Option<i64>,
    /// `2024-05-01T`
    date: Vec<u8>,
}

const NANOS_PER_DAY: i64 = 86_400_000_000_000;

impl TimeText {
    /// As [`UnixNanos::write_to`].
    #[inline]
    pub fn write(&mut self, at: UnixNanos, out: &mut Vec<u8>) {
        let (day, nanos) = (at.0.div_euclid(NANOS_PER_DAY), at.0.rem_euclid(NANOS_PER_DAY));
        if nanos % 1_000_000_000 != 0 {
            at.write_to(out);
            return;
        }
        if self.day != Some(day) {
            self.day = Some(day);
            self.date.clear();
            UnixNanos(day * NANOS_PER_DAY).write_to(&mut self.date);
            self.date.truncate("2024-05-01T".len());
        }
        let second = (nanos / 1_000_000_000) as u32;
        out.extend_from_slice(&self.date);
        let mut clock = *b"00:00:00Z";
        for (at, value) in [(0, second / 3_600), (3, second / 60 % 60), (6, second % 60)] {
            clock[at] += (value / 10) as u8;
            clock[at + 1] += (value % 10) as u8;
        }
        out.extend_from_slice(&clock);
    }
}

/// Appends a line of candles.csv, after its prefix.
pub fn write_candle(candle: &Candle, times: &mut TimeText, out: &mut Vec<u8>) {
    times.write(candle.open_at, out);
    out.push(b',');
    times.write(candle.close_at, out);
    match &candle.prices {
        Some(prices) => {
            for price in [prices.open, prices.high, prices.low, prices.close] {
                out.push(b',');
                price.decimal().write_to(out);
            }
            out.push(b',');
        }
        None => out.extend_from_slice(b",,,,,"),
    }
    candle.volume.write_to(out);
    write_sum(candle.quote_volume, out);
    out.push(b',');
    if let Some(count) = candle.trade_count {
        write_count(count, out);
    }
    write_sum(candle.taker_buy_volume, out);
    write_sum(candle.taker_buy_quote_volume, out);
    write_sum(candle.vwap(), out);
    out.push(b',');
    out.extend_from_slice(candle.state.name().as_bytes());
    out.push(b',');
    write_count(u64::from(candle.revision), out);
    out.push(b',');
    out.extend_from_slice(candle.origin.name().as_bytes());
    out.push(b'\n');
}

/// Appends the end of a line of indicators.csv, from the value on.
#[inline]
pub fn write_value(value: f64, revision: u32, data_state: DataState, out: &mut Vec<u8>) {
    write_float(value, out);
    out.push(b',');
    write_count(u64::from(revision), out);
    out.push(b',');
    out.extend_from_slice(data_state.name().as_bytes());
    out.push(b'\n');
}

/// Appends a line of gaps.jsonl. Trade ids are text in JSON.
pub fn write_gap(instrument: &Instrument, gap: &Gap, out: &mut Vec<u8>) {
    let id = |id: Option<u64>| id.map_or_else(|| "null".to_owned(), |id| format!("\"{id}\""));
    let line = format!(
        concat!(
            r#"{{"id":"{}","venue":"{}","symbol":"{}","kind":"{}","first_missing_id":{},"#,
            r#""last_missing_id":{},"from":"{}","to":"{}","state":"{}"{}}}"#,
            "\n"
        ),
        gap.id,
        instrument.venue(),
        instrument.symbol(),
        gap.kind.name(),
        id(gap.first_missing_id),
        id(gap.last_missing_id),
        gap.from,
        gap.to,
        gap.state.name(),
        gap.reason.map_or(String::new(), |reason| format!(r#","reason":"{}""#, reason.name())),
    );
    out.extend_from_slice(line.as_bytes());
}

#[inline]
fn write_sum<const SCALE: u32>(sum: Option<Amount<SCALE>>, out: &mut Vec<u8>) {
    out.push(b',');
    if let Some(sum) = sum {
        sum.write_to(out);
    }
}

#[inline]
fn write_float(value: f64, out: &mut Vec<u8>) {
    // Adding zero turns minus zero into zero, and nothing else into anything else.
    let mut buffer = ryu::Buffer::new();
    out.extend_from_slice(buffer.format_finite(value + 0.0).as_bytes());
}

#[inline]
pub fn write_count(count: u64, out: &mut Vec<u8>) {
    let mut digits = [0u8; 20];
    let mut at = digits.len();
    let mut rest = count;
    loop {
        at -= 1;
        digits[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[at..]);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::candle::{CandleState, Ohlc, Origin};
    use crate::domain::decimal::{Price, QuoteVolume, Volume};
    use crate::domain::event::Unfillable;
    use crate::domain::output::{GapId, GapKind, GapState};

    fn check_candle(candle: &Candle, expected: &str) {
        let mut out = Vec::new();
        write_candle(candle, &mut TimeText::default(), &mut out);
        assert_eq!(String::from_utf8(out).unwrap(), format!("{expected}\n"));
        let fields = CANDLES_HEADER.split(',').count();
        assert_eq!(format!("v,s,i,{expected}").split(',').count(), fields, "{expected}");
    }

    #[test]
    fn candles_have_every_field_of_the_header() {
        let price = |text: &str| Price::parse(text.as_bytes()).unwrap();
        let traded = Candle {
            interval: "1m".parse().unwrap(),
            open_at: UnixNanos(1_714_521_600_000_000_000),
            close_at: UnixNanos(1_714_521_660_000_000_000),
            prices: Some(Ohlc {
                open: price("60000.10"),
                high: price("60001"),
                low: price("0.00001"),
                close: price("60000.5"),
            }),
            volume: Volume::parse(b"3").unwrap(),
            quote_volume: Some(QuoteVolume::parse(b"100").unwrap()),
            trade_count: Some(12),
            taker_buy_volume: Some(Volume::parse(b"0").unwrap()),
            taker_buy_quote_volume: Some(QuoteVolume::ZERO),
            state: CandleState::Traded,
            revision: 3,
            origin: Origin::Trades,
        };
        check_candle(
            &traded,
            "2024-05-01T00:00:00Z,2024-05-01T00:01:00Z,60000.1,60001,0.00001,60000.5,3,100,12,0,0,\
             33.333333333333,traded,3,trades",
        );
        let bare = Candle {
            open_at: UnixNanos(1_714_521_600_000_000_001),
            prices: None,
            volume: Volume::ZERO,
            quote_volume: None,
            trade_count: None,
            taker_buy_volume: None,
            taker_buy_quote_volume: None,
            state: CandleState::Empty,
            revision: 0,
            origin: Origin::File,
            ..traded
        };
        check_candle(&bare, "2024-05-01T00:00:00.000000001Z,2024-05-01T00:01:00Z,,,,,0,,,,,,empty,0,file");
    }

    fn check_float(value: f64, expected: &str) {
        let mut out = Vec::new();
        write_float(value, &mut out);
        let text = String::from_utf8(out).unwrap();
        assert_eq!(text, expected);
        assert_eq!(serde_json::from_str::<f64>(&text).unwrap(), value);
    }

    #[test]
    fn statistics_are_shortest_json_numbers() {
        check_float(1.0, "1.0");
        check_float(0.1 + 0.2, "0.30000000000000004");
        check_float(-0.0, "0.0");
        check_float(-2.5e-9, "-2.5e-9");
        check_float(1e300, "1e300");
        check_float(123_456_789_012_345_680.0, "1.2345678901234568e17");
    }

    #[test]
    fn names_with_commas_are_quoted() {
        let spec = Spec::parse("sma(20)").unwrap();
        assert_eq!(labels(&spec), [b"sma(20),value,".to_vec()]);
        assert_eq!(csv_field("macd(12,26,9)"), "\"macd(12,26,9)\"");
        assert_eq!(csv_field("a\"b"), "\"a\"\"b\"");
    }

    #[test]
    fn gaps_are_json() {
        let instrument: Instrument = "binance:币安人生-USDT".parse().unwrap();
        let mut gap = Gap {
            id: GapId(0xab),
            kind: GapKind::Ids,
            first_missing_id: Some(5),
            last_missing_id: Some(u64::MAX),
            from: UnixNanos(0),
            to: UnixNanos(1_500_000_000),
            state: GapState::Open,
            reason: None,
        };
        let mut out = Vec::new();
        write_gap(&instrument, &gap, &mut out);
        let read: serde_json::Value = serde_json::from_slice(&out).unwrap();
        let expected = serde_json::json!({
            "id": "00000000000000ab", "venue": "binance", "symbol": "币安人生-USDT", "kind": "ids",
            "first_missing_id": "5", "last_missing_id": "18446744073709551615",
            "from": "1970-01-01T00:00:00Z", "to": "1970-01-01T00:00:01.500Z", "state": "open",
        });
        assert_eq!(read, expected);
        (gap.state, gap.reason) = (GapState::Unfillable, Some(Unfillable::Refused));
        out.clear();
        write_gap(&instrument, &gap, &mut out);
        let read: serde_json::Value = serde_json::from_slice(&out).unwrap();
        assert_eq!((&read["state"], &read["reason"]), (&"unfillable".into(), &"refused".into()));
        (gap.first_missing_id, gap.last_missing_id) = (None, None);
        out.clear();
        write_gap(&instrument, &gap, &mut out);
        let read: serde_json::Value = serde_json::from_slice(&out).unwrap();
        assert!(read["first_missing_id"].is_null() && read["last_missing_id"].is_null());
    }

    proptest! {
        #[test]
        fn moments_are_written_as_everywhere(
            moments in prop::collection::vec((-3i64..30_000, 0i64..86_400, 0i64..3), 1..20)
        ) {
            let mut times = TimeText::default();
            for (day, second, nanos) in moments {
                let at = UnixNanos((day * 86_400 + second) * 1_000_000_000 + nanos / 2);
                let mut out = Vec::new();
                times.write(at, &mut out);
                prop_assert_eq!(String::from_utf8(out).unwrap(), at.to_string());
            }
        }

        #[test]
        fn counts_print_as_they_are(count: u64) {
            let mut out = Vec::new();
            write_count(count, &mut out);
            prop_assert_eq!(String::from_utf8(out).unwrap(), count.to_string());
        }
    }
}
