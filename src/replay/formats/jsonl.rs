//! `jsonl`: one JSON object a line, fields named as in our `csv` or in the API.
//!
//! `exchange_time` or `exchange_at`, `trade_id`, `price`, `quantity`, `taker_side`, optionally
//! `instrument` (or `venue` and `symbol`), `received_at`, `trade_count`. Numbers may be JSON
//! strings or numbers and are taken by their text, never through a binary float; other fields
//! are passed over.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::domain::event::Trade;
use crate::domain::fields::{optional_id, price, quantity, taker_side};
use crate::domain::instrument::{Instrument, InstrumentError};
use crate::domain::json::text;
use crate::domain::time::TimeUnit;
use crate::domain::venue::{IdRule, Venue};
use crate::replay::columns::TimeForm;
use crate::replay::decoder::{Batch, Decoder, Facts, FormatEntry, Likeness, Sample};
use crate::replay::formats::csv::{count, named};
use crate::replay::instruments::{Instruments, push_ruled, rule_of};

pub const ENTRY: FormatEntry = FormatEntry { name: "jsonl", sniff, open, mixes_kinds: false };

#[derive(Deserialize)]
struct Line<'a> {
    #[serde(borrow, alias = "exchange_at")]
    exchange_time: Option<&'a RawValue>,
    #[serde(borrow, alias = "id")]
    trade_id: Option<&'a RawValue>,
    #[serde(borrow)]
    price: Option<&'a RawValue>,
    #[serde(borrow)]
    quantity: Option<&'a RawValue>,
    #[serde(borrow)]
    taker_side: Option<&'a RawValue>,
    #[serde(borrow, alias = "received_time")]
    received_at: Option<&'a RawValue>,
    #[serde(borrow)]
    trade_count: Option<&'a RawValue>,
    #[serde(borrow)]
    instrument: Option<&'a RawValue>,
    #[serde(borrow)]
    venue: Option<&'a RawValue>,
    #[serde(borrow)]
    symbol: Option<&'a RawValue>,
}

struct Jsonl {
    venue: Option<Venue>,
    symbol: Option<String>,
    /// What the file's name says; a hint.
    named: (Option<String>, Option<String>),
    form: TimeForm,
    received_form: TimeForm,
    has_ids: bool,
    instruments: Instruments,
}

fn parse(line: &[u8]) -> Result<Line<'_>, String> {
    serde_json::from_slice(line).map_err(|e| format!("the line is not a JSON object of a trade: {e}"))
}

fn sniff(sample: &Sample, _facts: &Facts<'_>) -> Likeness {
    let fits = |line: &[u8]| {
        parse(line).is_ok_and(|l| l.exchange_time.is_some() && l.price.is_some() && l.quantity.is_some())
    };
    let (fitting, all) = (sample.iter().filter(|line| fits(line)).count(), sample.iter().count());
    if fitting > 0 && fitting * 2 >= all { Likeness::Sure } else { Likeness::No }
}

fn open(sample: &Sample, facts: &Facts<'_>) -> Result<Box<dyn Decoder>, String> {
    if !sample.first().trim_ascii_start().starts_with(b"{") {
        return Err("line 1: not a JSON object: allowed is one object a line with exchange_time (or exchange_at), trade_id, price, quantity, taker_side".to_owned());
    }
    let lines: Vec<Line<'_>> = sample.iter().filter_map(|line| parse(line).ok()).collect();
    let detect = |raws: Vec<Option<&RawValue>>, default: TimeForm| {
        let texts: Vec<_> = raws.into_iter().map(text).collect();
        TimeForm::detect(texts.iter().map(|text| text.as_bytes())).unwrap_or(default)
    };
    let millis = TimeForm::Count(TimeUnit::Millis);
    let form = detect(lines.iter().map(|l| l.exchange_time).collect(), millis);
    let decoder = Jsonl {
        venue: facts.venue.cloned(),
        symbol: facts.symbol.map(str::to_owned),
        named: named(facts.file_name),
        form,
        received_form: detect(lines.iter().map(|l| l.received_at).collect(), form),
        has_ids: lines.iter().any(|l| !text(l.trade_id).is_empty()),
        instruments: Instruments::default(),
    };
    // A file that does not tell its market is refused before it runs.
    if let Some(line) = lines.first() {
        decoder.resolve(line)?;
    }
    Ok(Box::new(decoder))
}

impl Jsonl {
    fn resolve(&self, line: &Line<'_>) -> Result<(Instrument, IdRule), String> {
        let facts = Facts { venue: self.venue.as_ref(), symbol: self.symbol.as_deref(), ..Facts::default() };
        let instrument = match (&*text(line.instrument), &*text(line.venue), &*text(line.symbol)) {
            ("", "", "") => {
                let (venue, symbol) = &self.named;
                let venue = venue.as_deref().filter(|_| self.venue.is_none());
                let symbol = symbol.as_deref().filter(|_| self.symbol.is_none());
                facts.instrument(venue, symbol)?
            }
            ("", venue, symbol) => {
                fn told(text: &str) -> Option<&str> {
                    Some(text).filter(|text| !text.is_empty())
                }
                facts.instrument(told(venue), told(symbol))?
            }
            (told, _, _) => {
                let told: Instrument = told.parse().map_err(|e: InstrumentError| e.to_string())?;
                facts.instrument(Some(told.venue().name()), Some(told.symbol()))?
            }
        };
        let rule = rule_of(&instrument, self.has_ids);
        Ok((instrument, rule))
    }

    fn read(&mut self, number: u64, line: &[u8], batch: &mut Batch) -> Result<(), String> {
        let line = parse(line)?;
        let received = text(line.received_at);
        let trade = Trade {
            id: optional_id(text(line.trade_id).as_bytes())?,
            price: price(text(line.price).as_bytes())?,
            quantity: quantity(text(line.quantity).as_bytes())?,
            exchange_at: self.form.read(text(line.exchange_time).as_bytes())?,
            received_at: if received.is_empty() {
                None
            } else {
                self.received_form.read(received.as_bytes())?.stamp()
            },
            taker_side: taker_side(text(line.taker_side).as_bytes())?,
            trade_count: count(text(line.trade_count).as_bytes())?,
        };
        let raw = |raw: Option<&RawValue>| raw.map_or(String::new(), |raw| raw.get().to_owned());
        let spelling = match line.instrument {
            Some(instrument) => instrument.get().to_owned(),
            None => format!("{},{}", raw(line.venue), raw(line.symbol)),
        };
        let mut instruments = std::mem::take(&mut self.instruments);
        let index = instruments.index(spelling.as_bytes(), batch, || self.resolve(&line));
        self.instruments = instruments;
        push_ruled(index?, number, trade, batch)
    }
}

impl Decoder for Jsonl {
    fn line(&mut self, number: u64, line: &[u8], batch: &mut Batch) -> Result<(), String> {
        if line.trim_ascii().is_empty() {
            return Ok(());
        }
        if let Err(reason) = self.read(number, line, batch) {
            batch.skip(number, reason, line);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use crate::replay::formats::testing::{check_refused, check_text, check_text_with, facts, with};

    #[test]
    fn strings_and_numbers_are_taken_by_their_text() {
        let text = r#"{"exchange_at":"2024-05-01T00:00:00Z","trade_id":"7","price":"61000.10","quantity":0.10,"taker_side":"buy","instrument":"binance:BTC-USDT"}
{"exchange_at":"2024-05-01T00:00:00.1Z","trade_id":8,"price":0.1234567890123456,"quantity":1,"taker_side":null,"instrument":"binance:BTC-USDT"}
{"exchange_at":"2024-05-01T00:00:00.1Z","trade_id":9,"price":1e5,"quantity":1,"taker_side":"sell","instrument":"binance:BTC-USDT"}
{"exchange_at":
"#;
        check_text(
            "auto",
            "x.jsonl",
            text,
            &["binance:BTC-USDT 7 61000.1 0.1 2024-05-01T00:00:00Z buy 1"],
            &[
                r#"2: price "0.1234567890123456" has more than 15 digits after the point"#,
                r#"3: price "1e5" has an exponent"#,
                "4: the line is not a JSON object of a trade",
            ],
        );
    }

    #[test]
    fn fields_of_our_csv_are_known_too() {
        let text =
            r#"{"exchange_time":1714521600123,"trade_id":1,"price":"2","quantity":"3","taker_side":"sell"}"#;
        check_text_with(
            with(facts("x.jsonl"), "okx:BTC-USDT"),
            "jsonl",
            text,
            &["okx:BTC-USDT 1 2 3 2024-05-01T00:00:00.123Z sell 1"],
            &[],
        );
        check_refused(facts("x.jsonl"), "jsonl", text, "--venue");
        check_refused(facts("x.jsonl"), "jsonl", "a,b\n", "allowed is one object a line");
    }
}
