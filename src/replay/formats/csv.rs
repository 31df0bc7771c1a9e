//! `csv`: our own rows, `exchange_time,trade_id,price,quantity,taker_side`.
//!
//! Columns are found by name, in any order and letter case. A recording of many markets adds
//! `instrument`, or `venue` and `symbol`; `received_time` and `trade_count` are read where they
//! are. Times are ISO 8601 or a count since 1970, one unit a file. `taker_side` may be empty
//! where it is not known, `trade_id` where the venue has none.

use crate::domain::event::Trade;
use crate::domain::fields::{FieldError, optional_id, price, quantity, shown, taker_side};
use crate::domain::instrument::Instrument;
use crate::domain::symbol::{DOLLAR_QUOTES, split};
use crate::domain::time::TimeUnit;
use crate::domain::venue::{IdRule, Venue};
use crate::replay::columns::{Header, Row, TimeForm};
use crate::replay::decoder::{Batch, Decoder, Facts, FormatEntry, Likeness, Sample};
use crate::replay::instruments::{Instruments, push_ruled, rule_of};

const ALLOWED: &str = "exchange_time,trade_id,price,quantity,taker_side in any order, with instrument or venue,symbol where rows name their market, and optionally received_time,trade_count";

const TIME: [&str; 2] = ["exchange_time", "exchange_at"];
const RECEIVED: [&str; 2] = ["received_time", "received_at"];

pub const ENTRY: FormatEntry = FormatEntry { name: "csv", sniff, open, mixes_kinds: false };

struct Csv {
    /// What the user or the file name said, where rows do not name their own.
    single: Option<Instrument>,
    venue: Option<Venue>,
    symbol: Option<String>,
    columns: Columns,
    form: TimeForm,
    received_form: TimeForm,
    has_ids: bool,
    instruments: Instruments,
}

#[derive(Clone, Copy)]
struct Columns {
    count: usize,
    time: usize,
    id: usize,
    price: usize,
    quantity: usize,
    side: usize,
    received: Option<usize>,
    trade_count: Option<usize>,
    instrument: Option<usize>,
    venue: Option<usize>,
    symbol: Option<usize>,
}

fn sniff(sample: &Sample, _facts: &Facts<'_>) -> Likeness {
    // The quoted names of a JSON object would pass for a header.
    if sample.first().trim_ascii_start().starts_with(b"{") {
        return Likeness::No;
    }
    let header = Header::read(sample.first());
    let sure = header.find(&TIME).is_some()
        && ["price", "quantity"].iter().all(|name| header.find(&[name]).is_some());
    if sure { Likeness::Sure } else { Likeness::No }
}

fn open(sample: &Sample, facts: &Facts<'_>) -> Result<Box<dyn Decoder>, String> {
    let header = Header::read(sample.first());
    let columns = columns(&header)?;
    let rows = || sample.iter().skip(1).map(Row::split);
    let rows_name_it = columns.instrument.is_some() || (columns.venue.is_some() && columns.symbol.is_some());
    let single = if rows_name_it {
        None
    } else {
        let (venue, symbol) = named(facts.file_name);
        // A name is a hint: what the user or the rows say is believed before it.
        let of_row = |column: Option<usize>| {
            column.and_then(|column| rows().map(|row| shown(row.get(column), 48)).next())
        };
        let venue = of_row(columns.venue).or(venue.filter(|_| facts.venue.is_none()));
        let symbol = of_row(columns.symbol).or(symbol.filter(|_| facts.symbol.is_none()));
        Some(facts.instrument(venue.as_deref(), symbol.as_deref())?)
    };
    let detect = |column: usize| {
        let form = TimeForm::detect(rows().map(|row| row.get(column)));
        form.unwrap_or(TimeForm::Count(TimeUnit::Millis))
    };
    Ok(Box::new(Csv {
        single,
        venue: facts.venue.cloned(),
        symbol: facts.symbol.map(str::to_owned),
        columns,
        form: detect(columns.time),
        received_form: columns.received.map_or(TimeForm::Iso, detect),
        has_ids: rows().any(|row| !row.get(columns.id).is_empty()),
        instruments: Instruments::default(),
    }))
}

fn columns(header: &Header) -> Result<Columns, String> {
    let known =
        ["trade_id", "price", "quantity", "taker_side", "trade_count", "instrument", "venue", "symbol"];
    let strange = |name: &&String| {
        !known.contains(&name.as_str())
            && !TIME.contains(&name.as_str())
            && !RECEIVED.contains(&name.as_str())
    };
    let columns = Columns {
        count: header.len(),
        time: header.need(&TIME, ALLOWED)?,
        id: header.need(&["trade_id"], ALLOWED)?,
        price: header.need(&["price"], ALLOWED)?,
        quantity: header.need(&["quantity"], ALLOWED)?,
        side: header.need(&["taker_side"], ALLOWED)?,
        received: header.find(&RECEIVED),
        trade_count: header.find(&["trade_count"]),
        instrument: header.find(&["instrument"]),
        venue: header.find(&["venue"]),
        symbol: header.find(&["symbol"]),
    };
    if let Some(name) = header.names().iter().find(strange) {
        return Err(format!("line 1: the column {name:?} is not known: allowed is {ALLOWED}"));
    }
    if let Some(name) = header.repeated() {
        return Err(format!("line 1: the column {name:?} stands twice: allowed is {ALLOWED}"));
    }
    Ok(columns)
}

/// Venue and symbol of a name such as `binance_BTC-USDT_2024-05-01.csv`, as far as they stand in it.
pub fn named(file_name: &str) -> (Option<String>, Option<String>) {
    let stem = file_name.split('.').next().unwrap_or(file_name);
    let words = || stem.split(['_', ' ', '@']);
    let venue = words().find(|word| Venue::new(word).is_ok_and(|venue| venue.id_rule().is_some()));
    let symbol = words().find_map(|word| {
        let mut parts = word.splitn(3, '-');
        let (base, quote) = (parts.next()?, parts.next()?);
        let part = |text: &str| {
            (2..=12).contains(&text.len())
                && text.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit())
                && text.bytes().any(|b| b.is_ascii_uppercase())
        };
        (part(base) && part(quote)).then(|| format!("{base}-{quote}"))
    });
    // Joined spellings are a guess, taken only where the name speaks of a venue at all.
    let joined = || {
        let upper = |word: &&str| {
            word.len() >= 6 && word.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit())
        };
        words().filter(upper).find_map(|word| split(word, DOLLAR_QUOTES))
    };
    let symbol = symbol.or_else(|| if venue.is_some() { joined() } else { None });
    (venue.map(str::to_owned), symbol)
}

impl Csv {
    fn resolve(&self, row: &Row<'_>) -> Result<(Instrument, IdRule), String> {
        let instrument = match &self.single {
            Some(single) => single.clone(),
            None => {
                let told = match self.columns.instrument {
                    Some(column) => shown(row.get(column), 96),
                    None => format!(
                        "{}:{}",
                        shown(row.get_optional(self.columns.venue), 48),
                        shown(row.get_optional(self.columns.symbol), 48)
                    ),
                };
                let told: Instrument =
                    told.parse().map_err(|e: crate::domain::instrument::InstrumentError| e.to_string())?;
                let facts =
                    Facts { venue: self.venue.as_ref(), symbol: self.symbol.as_deref(), ..Facts::default() };
                facts.instrument(Some(told.venue().name()), Some(told.symbol()))?
            }
        };
        let rule = rule_of(&instrument, self.has_ids);
        Ok((instrument, rule))
    }

    fn read(&mut self, number: u64, line: &[u8], batch: &mut Batch) -> Result<(), String> {
        let row = Row::split(line);
        let columns = self.columns;
        row.check_len(columns.count)?;
        let received = row.get_optional(columns.received);
        let trade = Trade {
            id: optional_id(row.get(columns.id))?,
            price: price(row.get(columns.price))?,
            quantity: quantity(row.get(columns.quantity))?,
            exchange_at: self.form.read(row.get(columns.time))?,
            received_at: if received.is_empty() { None } else { self.received_form.read(received)?.stamp() },
            taker_side: taker_side(row.get(columns.side))?,
            trade_count: count(row.get_optional(columns.trade_count))?,
        };
        let spelling: &[u8] = match (columns.instrument, columns.symbol) {
            (Some(column), _) => row.get(column),
            // Rows of one venue are the rule; two that share a symbol are told apart here.
            (None, Some(column)) if columns.venue.is_some() => {
                &[row.get_optional(columns.venue), b":", row.get(column)].concat()
            }
            (None, Some(column)) => row.get(column),
            (None, None) => row.get_optional(columns.venue),
        };
        if let Some(single) = &self.single {
            let named = |column: Option<usize>, own: &str, what: &str| match column {
                Some(column) if row.get(column) != own.as_bytes() => {
                    Err(FieldError::new(what, row.get(column), format_args!("is not the file's, {own}")))
                }
                _ => Ok(()),
            };
            named(columns.venue, single.venue().name(), "venue")?;
            named(columns.symbol, single.symbol(), "symbol")?;
        }
        let mut instruments = std::mem::take(&mut self.instruments);
        let index = instruments.index(spelling, batch, || self.resolve(&row));
        self.instruments = instruments;
        push_ruled(index?, number, trade, batch)
    }
}

/// 1 where the text is empty.
pub fn count(text: &[u8]) -> Result<u32, FieldError> {
    if text.is_empty() {
        return Ok(1);
    }
    std::str::from_utf8(text)
        .ok()
        .and_then(|text| text.parse().ok())
        .filter(|&count| count > 0)
        .ok_or_else(|| FieldError::new("trade_count", text, "is not a whole number above zero"))
}

impl Decoder for Csv {
    fn line(&mut self, number: u64, line: &[u8], batch: &mut Batch) -> Result<(), String> {
        if line.is_empty() || number == 1 {
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
    use super::named;
    use crate::replay::formats::testing::{check_refused, check_text, check_text_with, facts, with};

    const HEADER: &str = "exchange_time,trade_id,price,quantity,taker_side\n";

    #[test]
    fn our_own_header_in_any_order() {
        let facts = || with(facts("x.csv"), "binance:BTC-USDT");
        let text = format!(
            "{HEADER}2024-05-01T00:00:00.000001Z,7,61000.10,0.5,buy\n2024-05-01 00:00:01,8,61000.1,1,\n"
        );
        check_text_with(
            facts(),
            "auto",
            &text,
            &[
                "binance:BTC-USDT 7 61000.1 0.5 2024-05-01T00:00:00.000001Z buy 1",
                "binance:BTC-USDT 8 61000.1 1 2024-05-01T00:00:01Z - 1",
            ],
            &[],
        );
        let text =
            "Taker_Side,Price,Quantity,Trade_ID,Exchange_Time,trade_count\nSELL,1,2,3,1714521600123,4\n";
        let expected = ["binance:BTC-USDT 3 1 2 2024-05-01T00:00:00.123Z sell 4"];
        check_text_with(facts(), "csv", text, &expected, &[]);
    }

    #[test]
    fn rows_may_name_their_market() {
        let text = "instrument,exchange_time,trade_id,price,quantity,taker_side\n\
                    kraken:BTC-USD,2024-05-01T00:00:00Z,1,2,3,buy\n\
                    okx:BTC-USDT,2024-05-01T00:00:00Z,1,2,3,sell\n\
                    nonsense,2024-05-01T00:00:00Z,1,2,3,sell\n";
        check_text(
            "auto",
            "x.csv",
            text,
            &[
                "kraken:BTC-USD 1 2 3 2024-05-01T00:00:00Z buy 1",
                "okx:BTC-USDT 1 2 3 2024-05-01T00:00:00Z sell 1",
            ],
            &[r#"4: instrument "nonsense" is not of the form venue:BASE-QUOTE"#],
        );
    }

    #[test]
    fn each_bad_row_is_skipped_by_name() {
        let row = |fields: &str| format!("{fields}\n");
        let good = "2024-05-01T00:00:00Z,1,2,3,buy";
        let text = [
            HEADER.to_owned(),
            row(good),
            row("2024-05-01T00:00:00Z,1,2,3"),
            row("2024-05-01T00:00:00Z,,2,3,buy"),
            row("2024-05-01T00:00:00Z,1,NaN,3,buy"),
            row("2024-05-01T00:00:00Z,1,2,1e5,buy"),
            row("2024-05-01T00:00:00Z,1,1234567890123456789012345,3,buy"),
            row("2024-05-01T00:00:00Z,1,2,3,maybe"),
            row("2008-05-01T00:00:00Z,1,2,3,buy"),
            row("2101-05-01T00:00:00Z,1,2,3,buy"),
            row("1714521600,1,2,3,buy"),
        ]
        .concat();
        check_text_with(
            with(facts("x.csv"), "binance:BTC-USDT"),
            "csv",
            &text,
            &["binance:BTC-USDT 1 2 3 2024-05-01T00:00:00Z buy 1"],
            &[
                "3: the row has 4 fields, 5 are expected",
                "4: the trade has no id, and the venue promises one",
                r#"5: price "NaN" is not a decimal number"#,
                r#"6: quantity "1e5" has an exponent"#,
                r#"7: price "1234567890123456789012345" has more than 18 significant digits"#,
                r#"8: taker side "maybe" is neither buy nor sell"#,
                r#"9: time "2008-05-01T00:00:00Z" is before 2009-01-03"#,
                r#"10: time "2101-05-01T00:00:00Z" is after 2100"#,
                r#"11: time "1714521600" is not a time"#,
            ],
        );
    }

    #[test]
    fn a_wrong_header_is_refused_with_what_is_allowed() {
        for header in
            ["time,id,price,size,side\n1,2,3,4,5\n", "exchange_time,trade_id,price,quantity\n", "a\n"]
        {
            check_refused(
                with(facts("x.csv"), "binance:BTC-USDT"),
                "csv",
                header,
                "allowed is exchange_time",
            );
        }
        let extra = HEADER.replace('\n', ",colour\n");
        check_refused(with(facts("x.csv"), "binance:BTC-USDT"), "csv", &extra, "\"colour\" is not known");
        check_refused(facts("x.csv"), "csv", HEADER, "--venue");
    }

    #[test]
    fn names_tell_what_they_can() {
        let check = |name: &str, venue: Option<&str>, symbol: Option<&str>| {
            assert_eq!(named(name), (venue.map(str::to_owned), symbol.map(str::to_owned)), "{name}");
        };
        check("binance_BTC-USDT_2024-05-01.csv", Some("binance"), Some("BTC-USDT"));
        check("BTC-USDT-2024.csv", None, Some("BTC-USDT"));
        check("trades-2024-05-01.csv", None, None);
    }
}
