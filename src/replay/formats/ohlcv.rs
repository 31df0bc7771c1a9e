//! `ohlcv`: ready candles, `open_time,open,high,low,close,volume` and what else a file knows.
//!
//! Columns are found by name, in any order, letter case and usual synonym; comment lines before
//! the header are passed over (CryptoDataDownload). Optional: `quote_volume`, `trade_count`,
//! `taker_buy_volume`, and the names Binance gives them. Headerless rows of twelve columns are
//! Binance klines; an array of arrays `[[ms,o,h,l,c,v],...]` is read too. Exponents are
//! accepted, exactly. Rows come in any order and are sorted, on disk where they are many;
//! equal repeats are dropped and unequal ones skipped where recordings are merged. Where
//! nothing traded (volume 0) prices say nothing and are dropped.

use serde_json::value::RawValue;

use crate::domain::candle::{Ohlc, Origin};
use crate::domain::decimal::{Amount, Decimal, DecimalError, Price, Volume};
use crate::domain::event::{Event, ReadyCandle};
use crate::domain::fields::{FieldError, shown};
use crate::domain::interval::{Interval, TimeInterval};
use crate::domain::json;
use crate::domain::symbol::{DOLLAR_QUOTES, spells, split_at_separator};
use crate::domain::time::UnixNanos;
use crate::domain::venue::IdRule;
use crate::replay::columns::{Header, Row, TimeForm, is_header};
use crate::replay::decoder::{
    Batch, Decoder, Facts, FormatEntry, Likeness, Sample, Stream, Target, or_unknown,
};
use crate::replay::formats::csv::named;
use crate::replay::sorter::{Sorted, Sorter};

const ALLOWED: &str = "open_time,open,high,low,close,volume (time, timestamp, date, unix, ... for the first), optionally quote_volume,trade_count,taker_buy_volume";

const TIME: [&str; 16] = [
    "open_time",
    "opentime",
    "open_timestamp",
    "timestamp",
    "unix",
    "unix_timestamp",
    "time",
    "datetime",
    "date_time",
    "date",
    "start",
    "start_time",
    "time_open",
    "ts",
    "t",
    "",
];
const VOLUME: [&str; 6] = ["volume", "vol", "v", "base_volume", "volume_base", "volumefrom"];
const QUOTE_VOLUME: [&str; 8] = [
    "quote_volume",
    "quote_asset_volume",
    "quoteassetvolume",
    "quotevolume",
    "volume_quote",
    "volumeto",
    "turnover",
    "qav",
];
const TRADE_COUNT: [&str; 7] =
    ["trade_count", "number_of_trades", "trades", "tradecount", "num_trades", "count", "n"];
const TAKER_BUY: [&str; 5] =
    ["taker_buy_volume", "taker_buy_base_asset_volume", "taker_buy_base_volume", "taker_buy_base", "tbbav"];

/// A candle that is larger spills into a temporary file beside others.
const SORT_BYTES: usize = 16 << 20;
/// Candles handed on at once.
const DRAINED_MAX: usize = 4096;

pub const ENTRY: FormatEntry = FormatEntry { name: "ohlcv", sniff, open, mixes_kinds: false };

#[derive(Clone, Copy, Debug)]
struct Columns {
    /// `None`: rows may be longer than what is looked at.
    count: Option<usize>,
    time: usize,
    ohlc: [usize; 4],
    volume: usize,
    quote_volume: Option<usize>,
    trade_count: Option<usize>,
    taker_buy_volume: Option<usize>,
    close_time: Option<usize>,
    symbol: Option<usize>,
}

const KLINE: Columns = Columns {
    count: Some(12),
    time: 0,
    ohlc: [1, 2, 3, 4],
    volume: 5,
    quote_volume: Some(7),
    trade_count: Some(8),
    taker_buy_volume: Some(9),
    close_time: Some(6),
    symbol: None,
};

const ARRAY: Columns = Columns {
    count: None,
    quote_volume: None,
    trade_count: None,
    taker_buy_volume: None,
    close_time: None,
    ..KLINE
};

struct Ohlcv {
    target: Target,
    symbol: String,
    interval: TimeInterval,
    columns: Columns,
    /// Line of the header; 0: there is none.
    header_line: u64,
    form: TimeForm,
    sorter: Option<Sorter>,
    sorted: Option<Sorted>,
}

/// Number (from 1) and names of the header, which comment lines may precede.
fn header_of(sample: &Sample) -> Option<(u64, Header)> {
    const COMMENTS_MAX: usize = 5;
    sample.lines.iter().take(COMMENTS_MAX).enumerate().find_map(|(at, line)| {
        let header = Header::read(line);
        let all = ["open", "high", "low", "close"];
        let found = is_header(line) && all.iter().all(|name| price_column(&header, name).is_some());
        found.then_some((at as u64 + 1, header))
    })
}

fn price_column(header: &Header, name: &str) -> Option<usize> {
    header.find(&[name, &format!("{name}_price"), &name[..1]])
}

fn is_kline(line: &[u8]) -> bool {
    let row = Row::split(line);
    let time = |column: usize| match TimeForm::of(row.get(column)) {
        Some(TimeForm::Count(unit)) => TimeForm::Count(unit).read(row.get(column)).ok(),
        _ => None,
    };
    row.len() == 12 && matches!((time(0), time(6)), (Some(open), Some(close)) if close > open)
}

fn is_array(line: &[u8]) -> bool {
    let line = line.trim_ascii_start();
    line.strip_prefix(b"[").is_some_and(|rest| rest.trim_ascii_start().starts_with(b"["))
}

fn sniff(sample: &Sample, _facts: &Facts<'_>) -> Likeness {
    if header_of(sample).is_some() || is_kline(sample.first()) || is_array(sample.first()) {
        Likeness::Sure
    } else {
        Likeness::No
    }
}

fn open(sample: &Sample, facts: &Facts<'_>) -> Result<Box<dyn Decoder>, String> {
    let Some(interval) = facts.interval else {
        return Err(
            "holds ready candles, and their length is not said: say it first in --intervals, such as --intervals 1m"
                .to_owned(),
        );
    };
    let (header_line, header) = match header_of(sample) {
        Some((line, header)) => (line, Some(header)),
        None if is_kline(sample.first()) || is_array(sample.first()) => (0, None),
        None => {
            let first = shown(sample.first(), 80);
            return Err(format!(
                "line 1: {first:?} is no header of ready candles: allowed is {ALLOWED}; \
                 where a file has none, write one that names its columns before its first row"
            ));
        }
    };
    let (named_venue, named_symbol) = named(facts.file_name);
    let mut columns = match &header {
        Some(header) => columns(header)?,
        None if is_array(sample.first()) => ARRAY,
        None => KLINE,
    };
    let rows = || sample.lines.iter().skip(header_line as usize).map(|line| Row::split(line));
    let told_symbol = match columns.symbol {
        Some(column) => rows().map(|row| shown(row.get(column), 48)).find(|text| !text.is_empty()),
        None => None,
    };
    let symbol = match told_symbol {
        Some(told) => {
            Some(facts.symbol_of(&told, |told| or_unknown(told, split_at_separator(told, DOLLAR_QUOTES)))?)
        }
        None => named_symbol.filter(|_| facts.symbol.is_none()),
    };
    let venue = named_venue.filter(|_| facts.venue.is_none());
    let instrument = facts.instrument(venue.as_deref(), symbol.as_deref())?;
    if let Some(header) = &header {
        name_volumes(header, instrument.base(), instrument.quote(), &mut columns)?;
    }
    let form = if header.is_none() && is_array(sample.first()) {
        let first: Vec<Vec<&RawValue>> = serde_json::from_slice(sample.first()).unwrap_or_default();
        let texts: Vec<_> = first
            .iter()
            .take(100)
            .filter_map(|row| row.first())
            .filter_map(|raw| json::scalar(raw))
            .collect();
        TimeForm::detect(texts.iter().map(|text| text.as_bytes()))
    } else {
        TimeForm::detect(rows().map(|row| row.get(columns.time)))
    };
    Ok(Box::new(Ohlcv {
        symbol: instrument.symbol().to_owned(),
        target: Target::new(instrument, IdRule::Absent, Stream::Candles),
        interval,
        columns,
        header_line,
        form: form.unwrap_or(TimeForm::Iso),
        sorter: Some(Sorter::new(&std::env::temp_dir(), SORT_BYTES)),
        sorted: None,
    }))
}

fn columns(header: &Header) -> Result<Columns, String> {
    if let Some(name) = header.repeated() {
        return Err(format!("the column {name:?} stands twice in the header: allowed is {ALLOWED}"));
    }
    let price = |name: &str| {
        price_column(header, name)
            .ok_or_else(|| format!("the header has no column {name:?}: allowed is {ALLOWED}"))
    };
    let time = header.need(&TIME, ALLOWED)?;
    if header.names()[time].is_empty() && time != 0 {
        return Err(format!("the header has no column of times: allowed is {ALLOWED}"));
    }
    Ok(Columns {
        count: Some(header.len()),
        time,
        ohlc: [price("open")?, price("high")?, price("low")?, price("close")?],
        // Checked, with the currencies known, by `name_volumes`.
        volume: header.find(&VOLUME).unwrap_or(usize::MAX),
        quote_volume: header.find(&QUOTE_VOLUME),
        trade_count: header.find(&TRADE_COUNT),
        taker_buy_volume: header.find(&TAKER_BUY),
        close_time: header.find(&["close_time", "closetime"]),
        symbol: header.find(&["symbol", "pair"]),
    })
}

/// Volumes that bear a currency: `Volume BTC`, `volume_usd`. Beside `volume_btc`, a plain `volume`
/// is the quote's (CryptoDataDownload).
fn name_volumes(header: &Header, base: &str, quote: &str, columns: &mut Columns) -> Result<(), String> {
    let of = |currency: &str| {
        let currency = currency.to_lowercase();
        header.find(&[
            &format!("volume_{currency}"),
            &format!("volume({currency})"),
            &format!("volume_({currency})"),
        ])
    };
    if let Some(own) = of(base) {
        columns.quote_volume = columns.quote_volume.or(of(quote)).or(header.find(&["volume"]));
        columns.volume = own;
    } else if columns.volume != usize::MAX {
        columns.quote_volume = columns.quote_volume.or(of(quote));
    }
    if columns.volume == usize::MAX {
        return Err(format!(
            "the header {:?} has no column \"volume\": allowed is {ALLOWED}",
            header.names().join(",")
        ));
    }
    Ok(())
}

impl Ohlcv {
    /// Reads one row of texts.
    fn read<'a>(&self, field: impl Fn(usize) -> &'a [u8]) -> Result<ReadyCandle, FieldError> {
        let columns = &self.columns;
        let optional = |column: Option<usize>| column.map(&field).filter(|text| !text.is_empty());
        if let Some(text) = optional(columns.symbol)
            && !spells(&shown(text, 48), &self.symbol)
        {
            return Err(FieldError::new("symbol", text, format_args!("is not the file's, {}", self.symbol)));
        }
        let time_text = field(columns.time);
        let open_at = self.time(time_text)?;
        if self.interval.open_of(open_at) != open_at {
            let interval = Interval::Time(self.interval);
            return Err(FieldError::new(
                "open time",
                time_text,
                format_args!("does not begin a {interval} candle"),
            ));
        }
        if let Some(text) = optional(columns.close_time)
            && let Ok(close_at) = self.form.read(text)
            && (close_at.0 - open_at.0 - self.interval.nanos()).abs() > 1_000_000_000
        {
            let interval = Interval::Time(self.interval);
            return Err(FieldError::new(
                "close time",
                text,
                format_args!("does not end a {interval} candle"),
            ));
        }
        let volume = amount("volume", field(columns.volume))?;
        let quote_volume =
            optional(columns.quote_volume).map(|text| amount("quote volume", text)).transpose()?;
        let trade_count = optional(columns.trade_count).map(whole).transpose()?;
        let taker_buy_volume: Option<Volume> =
            optional(columns.taker_buy_volume).map(|text| amount("taker buy volume", text)).transpose()?;
        if let Some(bought) = taker_buy_volume
            && bought > volume
        {
            let text = optional(columns.taker_buy_volume).unwrap_or_default();
            return Err(FieldError::new("taker buy volume", text, "is more than the volume"));
        }
        let prices = if volume.is_zero() { None } else { Some(self.prices(&field)?) };
        Ok(ReadyCandle {
            interval: self.interval,
            open_at,
            prices,
            volume,
            quote_volume,
            trade_count,
            taker_buy_volume,
            origin: Origin::File,
        })
    }

    fn prices<'a>(&self, field: &impl Fn(usize) -> &'a [u8]) -> Result<Ohlc, FieldError> {
        let price = |at: usize, name: &str| {
            let text = field(self.columns.ohlc[at]);
            let read = || match text {
                [b'-', _, ..] => Err(DecimalError::Negative),
                _ => Price::new(Decimal::parse_scientific(text)?),
            };
            read().map_err(|e| FieldError::new(name, text, e))
        };
        let prices = Ohlc {
            open: price(0, "open")?,
            high: price(1, "high")?,
            low: price(2, "low")?,
            close: price(3, "close")?,
        };
        let (most, least) = (prices.open.max(prices.close), prices.open.min(prices.close));
        if prices.high < most || prices.low > least {
            return Err(FieldError::plain(format!(
                "open {}, high {}, low {}, close {} are no candle: high must be the highest, low the lowest",
                prices.open.decimal(),
                prices.high.decimal(),
                prices.low.decimal(),
                prices.close.decimal()
            )));
        }
        Ok(prices)
    }

    fn time(&self, text: &[u8]) -> Result<UnixNanos, FieldError> {
        match self.form {
            TimeForm::Iso => match half_day_time(text) {
                Some(iso) => TimeForm::Iso
                    .read(iso.as_bytes())
                    .map_err(|_| FieldError::new("time", text, "is not a time")),
                None => self.form.read(text),
            },
            form => form.read(text),
        }
    }

    fn keep(
        &mut self,
        number: u64,
        line: &[u8],
        row: Result<ReadyCandle, FieldError>,
        batch: &mut Batch,
    ) -> Result<(), String> {
        match row {
            Err(reason) => batch.skip(number, reason, line),
            Ok(candle) => {
                let key = u128::from(candle.open_at.0 as u64) << 64 | u128::from(number);
                let sorter = self.sorter.as_mut().ok_or("a line after the end")?;
                let payload = encode(&candle);
                sorter.push(key, payload.as_bytes()).map_err(|e| format!("cannot be sorted: {e}"))?;
            }
        }
        Ok(())
    }
}

fn amount<const SCALE: u32>(name: &str, text: &[u8]) -> Result<Amount<SCALE>, FieldError> {
    Amount::parse(text).map_err(|e| FieldError::new(name, text, e))
}

fn whole(text: &[u8]) -> Result<u64, FieldError> {
    Decimal::parse(text)
        .ok()
        .filter(|count| count.scale() == 0)
        .map(Decimal::mantissa)
        .ok_or_else(|| FieldError::new("trade count", text, "is not a whole number"))
}

/// `2019-10-17 09-AM` as ISO 8601 (CryptoDataDownload's hours).
fn half_day_time(text: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(text).ok()?;
    let (date, hour) = text.split_once(' ')?;
    let (hour, half) = hour.split_once('-')?;
    let hour: u32 = hour.parse().ok().filter(|hour| (1..=12).contains(hour))?;
    let hour = match half {
        "AM" => hour % 12,
        "PM" => hour % 12 + 12,
        _ => return None,
    };
    Some(format!("{date}T{hour:02}:00"))
}

/// A candle as text that [`decode`] reads: what a sorter keeps.
fn encode(candle: &ReadyCandle) -> String {
    let ohlc = candle.prices.map(|p| [p.open, p.high, p.low, p.close].map(|price| price.decimal().to_bits()));
    let texts: Vec<String> = [
        candle.volume.to_string(),
        candle.quote_volume.map(|v| v.to_string()).unwrap_or_default(),
        candle.trade_count.map(|n| n.to_string()).unwrap_or_default(),
        candle.taker_buy_volume.map(|v| v.to_string()).unwrap_or_default(),
    ]
    .into_iter()
    .chain(ohlc.into_iter().flatten().map(|bits| bits.to_string()))
    .collect();
    texts.join(",")
}

fn decode(interval: TimeInterval, open_at: UnixNanos, payload: &[u8]) -> Option<ReadyCandle> {
    let row = Row::split(payload);
    let optional = |column: usize| Some(row.get(column)).filter(|text| !text.is_empty());
    let price = |column: usize| {
        let bits = std::str::from_utf8(row.get(column)).ok()?.parse().ok()?;
        Price::new(Decimal::from_bits(bits)?).ok()
    };
    let prices = match row.len() {
        8 => Some(Ohlc { open: price(4)?, high: price(5)?, low: price(6)?, close: price(7)? }),
        _ => None,
    };
    Some(ReadyCandle {
        interval,
        open_at,
        prices,
        volume: Volume::parse(row.get(0)).ok()?,
        quote_volume: optional(1).and_then(|text| Amount::parse(text).ok()),
        trade_count: optional(2).and_then(|text| std::str::from_utf8(text).ok()?.parse().ok()),
        taker_buy_volume: optional(3).and_then(|text| Amount::parse(text).ok()),
        origin: Origin::File,
    })
}

impl Decoder for Ohlcv {
    fn line(&mut self, number: u64, line: &[u8], batch: &mut Batch) -> Result<(), String> {
        if number <= self.header_line || line.trim_ascii().is_empty() {
            return Ok(());
        }
        if self.header_line == 0 && is_array(line) {
            let rows: Vec<Vec<&RawValue>> = serde_json::from_slice(line)
                .map_err(|e| format!("line {number}: no array of candles: {e}"))?;
            for (at, row) in rows.iter().enumerate() {
                let texts: Vec<_> = row.iter().map(|raw| json::text(Some(raw))).collect();
                let candle = self.read(|column| texts.get(column).map_or(b"", |text| text.as_bytes()));
                self.keep(at as u64 + 1, texts.join(",").as_bytes(), candle, batch)?;
            }
            return Ok(());
        }
        let row = Row::split(line);
        let candle = match self.columns.count.map(|count| row.check_len(count)) {
            Some(Err(reason)) => Err(reason),
            _ => self.read(|column| row.get(column)),
        };
        self.keep(number, line, candle, batch)
    }

    fn drain(&mut self, batch: &mut Batch) -> Result<bool, String> {
        if let Some(sorter) = self.sorter.take() {
            self.sorted = Some(sorter.finish().map_err(|e| format!("cannot be sorted: {e}"))?);
        }
        let Some(sorted) = &mut self.sorted else { return Ok(false) };
        for _ in 0..DRAINED_MAX {
            let Some((key, payload)) = sorted.next().map_err(|e| format!("cannot be sorted: {e}"))? else {
                self.sorted = None;
                return Ok(false);
            };
            let open_at = UnixNanos((key >> 64) as u64 as i64);
            let candle =
                decode(self.interval, open_at, payload).ok_or("a sorted candle cannot be read back")?;
            let index = self.target.index(batch);
            batch.push(index, key as u64, Event::Candle(Box::new(candle)));
        }
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use crate::replay::formats::testing::{check_refused, check_text_with, facts, hourly, with};

    #[test]
    fn synonyms_cases_and_orders_are_one() {
        let expected = [
            "binance:BTC-USDT 1h 2021-01-01T00:00:00Z o1 h3 l0.5 c2 v10 q- n- b-",
            "binance:BTC-USDT 1h 2021-01-01T01:00:00Z o2 h2 l2 c2 v0.00000000533 q- n- b-",
        ];
        for header in [
            "open_time,open,high,low,close,volume",
            "Date Time,Open,High,Low,Close,Volume",
            ",Open,High,Low,Close,Volume",
        ] {
            let text = format!(
                "{header}\n2021-01-01 01:00:00,2,2,2,2,5.33e-09\n2021-01-01 00:00:00+00:00,1,3,.5,2,10\n"
            );
            check_text_with(hourly(with(facts("x.csv"), "binance:BTC-USDT")), "auto", &text, &expected, &[]);
        }
    }

    #[test]
    fn what_binance_knows_more_is_read() {
        let row = "1609459200000,1,3,0.5,2,10,1609462799999,20,7,4,8,0";
        let header = "open_time,open,high,low,close,volume,close_time,quote_asset_volume,number_of_trades,taker_buy_base_asset_volume,taker_buy_quote_asset_volume,ignore";
        let expected = ["binance:BTC-USDT 1h 2021-01-01T00:00:00Z o1 h3 l0.5 c2 v10 q20 n7 b4"];
        let facts = || hourly(with(facts("x.csv"), "binance:BTC-USDT"));
        check_text_with(facts(), "auto", &format!("{header}\n{row}\n"), &expected, &[]);
        check_text_with(facts(), "auto", &format!("{row}\n"), &expected, &[]);
        let minute = "1609459200000,1,3,0.5,2,10,1609459259999,20,7,4,8,0\n";
        check_text_with(
            facts(),
            "ohlcv",
            minute,
            &[],
            &[r#"1: close time "1609459259999" does not end a 1h candle"#],
        );
    }

    #[test]
    fn crypto_data_download_and_arrays_are_read() {
        let text = "Timestamps are UTC timezone,https://www.CryptoDataDownload.com\n\
                    date,symbol,open,high,low,close,volume_btc,volume\n\
                    2019-10-17 12-PM,BTCUSD,1,3,0.5,2,61.25,492394.56\n\
                    2019-10-17 12-AM,BTCUSD,1,3,0.5,2,61.25,492394.56\n\
                    2019-10-17 01-AM,ETHUSD,1,3,0.5,2,61.25,492394.56\n";
        check_text_with(
            hourly(with(facts("x.csv"), "coinbase:BTC-USD")),
            "auto",
            text,
            &[
                "coinbase:BTC-USD 1h 2019-10-17T00:00:00Z o1 h3 l0.5 c2 v61.25 q492394.56 n- b-",
                "coinbase:BTC-USD 1h 2019-10-17T12:00:00Z o1 h3 l0.5 c2 v61.25 q492394.56 n- b-",
            ],
            &[r#"5: symbol "ETHUSD" is not the file's, BTC-USD"#],
        );
        let text =
            "[[1609462800000, 0.00162, 0.00163, 0.00161, 0.00162, 0.0], [1609459200000, 1, 3, 0.5, 2, 10.5]]";
        check_text_with(
            hourly(with(facts("x.json"), "bittrex:ETH-BTC")),
            "auto",
            text,
            &[
                "bittrex:ETH-BTC 1h 2021-01-01T00:00:00Z o1 h3 l0.5 c2 v10.5 q- n- b-",
                "bittrex:ETH-BTC 1h 2021-01-01T01:00:00Z - v0 q- n- b-",
            ],
            &[],
        );
    }

    #[test]
    fn bad_candles_are_skipped_by_name() {
        let row = |text: &str| format!("2021-01-01 00:{text}\n");
        let text = [
            "time,open,high,low,close,volume\n".to_owned(),
            row("00:00,1,0.9,0.5,0.7,1"),
            row("30:00,1,1,1,1,1"),
            row("00:00,1,1,1,1,-1"),
            row("00:00,1,1,1,NaN,1"),
            row("00:00,5.330000000000001e-05,1,1,1,1"),
            row("00:00,1,1,1,1"),
            row("00:00,NaN,,0,0,0"),
        ]
        .concat();
        check_text_with(
            hourly(with(facts("x.csv"), "binance:BTC-USDT")),
            "ohlcv",
            &text,
            &["binance:BTC-USDT 1h 2021-01-01T00:00:00Z - v0 q- n- b-"],
            &[
                "2: open 1, high 0.9, low 0.5, close 0.7 are no candle: high must be the highest, low the lowest",
                r#"3: open time "2021-01-01 00:30:00" does not begin a 1h candle"#,
                r#"4: volume "-1" is negative"#,
                r#"5: close "NaN" is not a decimal number"#,
                r#"6: open "5.330000000000001e-05" has more than 15 digits after the point"#,
                "7: the row has 5 fields, 6 are expected",
            ],
        );
    }

    #[test]
    fn what_is_not_told_is_asked_for() {
        let text = "time,open,high,low,close,volume\n1609459200,1,1,1,1,1\n";
        check_refused(with(facts("x.csv"), "binance:BTC-USDT"), "ohlcv", text, "--intervals");
        check_refused(hourly(facts("x.csv")), "ohlcv", text, "--venue");
        let headerless = "1605571200,16713.08,16806.09,16683.63,16830.0,2861.4,51506\n";
        check_refused(
            hourly(with(facts("x.csv"), "binance:BTC-USDT")),
            "ohlcv",
            headerless,
            "names its columns before its first row",
        );
        let no_volume = "time,open,high,low,close\n1609459200,1,1,1,1\n";
        check_refused(hourly(with(facts("x.csv"), "binance:BTC-USDT")), "ohlcv", no_volume, "\"volume\"");
    }
}
