//! What the dumps of Binance's trades and aggregate trades have in common.
//!
//! A dump is one CSV file, named `BTCUSDT-trades-2024-05-01.csv`. Spot rows end in a second flag
//! (best match) that USD-M rows lack, so the number of fields tells the market. USD-M files
//! have a header since 2022, spot files have none. Source: binance/binance-public-data, README.

use std::marker::PhantomData;

use crate::domain::decimal::{Price, Quantity};
use crate::domain::event::{Side, Trade, TradeId};
use crate::domain::fields::{FieldError, id, price, quantity, time};
use crate::domain::frame::TradeKind;
use crate::domain::scan::Cursor;
use crate::domain::symbol::binance;
use crate::domain::time::{TimeUnit, UnixNanos};
use crate::domain::venue::IdRule;
use crate::replay::columns::{Header, Row, TimeForm, flag, is_header};
use crate::replay::decoder::{Batch, Decoder, Facts, Likeness, Sample, Stream, Target};

/// What either of the dumps has of its own.
pub trait Columns: Send + 'static {
    const SHAPE: Shape;
    const KIND: TradeKind;

    /// Takes what stands between quantity and time, with the comma behind it: how many trades the row counts. `None`
    /// where it is spelled in no usual way.
    fn take_count(cursor: &mut Cursor<'_>) -> Option<u32>;

    /// As [`Self::take_count`], of a row in its fields.
    fn trade_count(row: &Row<'_>) -> Result<u32, FieldError>;
}

/// Where a dump keeps its time and its flag; one for trades, one for aggregates.
pub struct Shape {
    /// The word in the file name.
    pub word: &'static str,
    pub spot_fields: usize,
    pub time_column: usize,
    pub maker_column: usize,
    pub header: &'static str,
}

/// Reads a dump as its sample and its name tell.
struct Dump<C> {
    fields: usize,
    unit: TimeUnit,
    target: Target,
    columns: PhantomData<C>,
}

pub fn sniff<C: Columns>(sample: &Sample, facts: &Facts<'_>) -> Likeness {
    C::SHAPE.sniff(sample, facts)
}

pub fn open<C: Columns>(sample: &Sample, facts: &Facts<'_>) -> Result<Box<dyn Decoder>, String> {
    let (fields, unit, target) = C::SHAPE.open(sample, facts, Stream::Trades(C::KIND))?;
    Ok(Box::new(Dump::<C> { fields, unit, target, columns: PhantomData }))
}

impl<C: Columns> Decoder for Dump<C> {
    fn line(&mut self, number: u64, line: &[u8], batch: &mut Batch) -> Result<(), String> {
        if line.is_empty() || (number == 1 && is_header(line)) {
            return Ok(());
        }
        let read = match usual::<C>(line, self.fields, self.unit) {
            Some(trade) => Ok(trade),
            None => general::<C>(line, self.fields, self.unit),
        };
        self.target.take(number, line, read, batch);
        Ok(())
    }
}

/// Reads a sound row of so many fields in the usual spelling, and leaves everything else to [`general`].
#[inline]
fn usual<C: Columns>(line: &[u8], fields: usize, unit: TimeUnit) -> Option<Trade> {
    let mut cursor = Cursor::new(line);
    let id = cursor.number()?;
    cursor.literal(b",")?;
    let price = Price::parse(cursor.until(b',')?).ok()?;
    let quantity = Quantity::parse(cursor.until(b',')?).ok()?;
    let trade_count = C::take_count(&mut cursor)?;
    let count = cursor.number()?;
    cursor.literal(b",")?;
    let exchange_at = UnixNanos::from_unit(count as i64, unit).and_then(UnixNanos::plausible).ok()?;
    let taker_side = if cursor.literal(b"True").or_else(|| cursor.literal(b"true")).is_some() {
        Side::Sell
    } else {
        cursor.literal(b"False").or_else(|| cursor.literal(b"false"))?;
        Side::Buy
    };
    let end = cursor.rest();
    let is_whole =
        if fields == C::SHAPE.spot_fields { matches!(end, b",True" | b",False") } else { end.is_empty() };
    is_whole.then_some(Trade {
        price,
        quantity,
        exchange_at,
        received_at: None,
        id: TradeId::Number(id),
        taker_side: Some(taker_side),
        trade_count,
    })
}

/// Reads any row, and says what is wrong with it.
fn general<C: Columns>(line: &[u8], fields: usize, unit: TimeUnit) -> Result<Trade, FieldError> {
    let row = Row::split(line);
    row.check_len(fields)?;
    Ok(Trade {
        id: id(row.get(0))?,
        price: price(row.get(1))?,
        quantity: quantity(row.get(2))?,
        exchange_at: time(row.get(C::SHAPE.time_column), unit)?,
        received_at: None,
        taker_side: Some(if flag("is_buyer_maker", row.get(C::SHAPE.maker_column))? {
            Side::Sell
        } else {
            Side::Buy
        }),
        trade_count: C::trade_count(&row)?,
    })
}

impl Shape {
    fn fits(&self, line: &[u8]) -> bool {
        let row = Row::split(line);
        let flag = |text: &[u8]| matches!(text, b"true" | b"True" | b"TRUE" | b"false" | b"False" | b"FALSE");
        (row.len() == self.spot_fields || row.len() == self.spot_fields - 1)
            && flag(row.get(self.maker_column))
            && matches!(TimeForm::of(row.get(self.time_column)), Some(TimeForm::Count(_)))
    }

    fn sniff(&self, sample: &Sample, facts: &Facts<'_>) -> Likeness {
        let rows = sample.iter().skip(usize::from(is_header(sample.first())));
        let (mut fitting, mut all) = (0, 0);
        for line in rows {
            all += 1;
            fitting += usize::from(self.fits(line));
        }
        if fitting == 0 || fitting * 2 < all {
            return Likeness::No;
        }
        if self.spelled_symbol(facts.file_name).is_some() { Likeness::RowsAndName } else { Likeness::Rows }
    }

    /// `BTCUSDT` of `BTCUSDT-trades-2024-05-01.csv`.
    fn spelled_symbol<'a>(&self, file_name: &'a str) -> Option<&'a str> {
        let at = file_name.find(self.word)?;
        let symbol = file_name[..at].strip_suffix(['-', '_'])?;
        (!symbol.is_empty()).then_some(symbol)
    }

    /// Fields a row, unit of time, and where its trades go.
    fn open(
        &self,
        sample: &Sample,
        facts: &Facts<'_>,
        stream: Stream,
    ) -> Result<(usize, TimeUnit, Target), String> {
        let has_header = is_header(sample.first());
        if has_header {
            self.check_header(sample.first())?;
        }
        let rows = || sample.iter().skip(usize::from(has_header));
        // The count that most rows have: one row cut short must not speak for its file.
        let count_of = |fields: usize| rows().filter(|line| Row::split(line).len() == fields).count();
        let fields = if has_header {
            Row::split(sample.first()).len()
        } else if count_of(self.spot_fields) >= count_of(self.spot_fields - 1) {
            self.spot_fields
        } else {
            self.spot_fields - 1
        };
        if count_of(fields) == 0 && rows().next().is_some() {
            return Err(format!(
                "line 1: no row has {} (spot) or {} (USD-M) fields: allowed is {}",
                self.spot_fields,
                self.spot_fields - 1,
                self.header
            ));
        }
        let is_spot = fields == self.spot_fields;
        let spelled = self.spelled_symbol(facts.file_name);
        let symbol = match spelled {
            Some(spelled) => Some(facts.symbol_of(spelled, binance)?),
            None => None,
        };
        let venue = match (is_spot, facts.venue.map(|venue| venue.name())) {
            (true, Some("binance-usdm")) => {
                return Err(format!(
                    "has {fields} fields a row as spot dumps do, but --venue says binance-usdm"
                ));
            }
            (false, Some("binance")) => {
                return Err(format!("has {fields} fields a row as USD-M dumps do, but --venue says binance"));
            }
            // Binance US and others of the family print the same rows.
            (_, Some(_)) => None,
            (true, None) => Some("binance"),
            (false, None) => Some("binance-usdm"),
        };
        let instrument = facts.instrument(venue, symbol.as_deref())?;
        let times = rows().map(|line| Row::split(line).get(self.time_column));
        let unit = match TimeForm::detect(times.filter(|text| !text.contains(&b'-'))) {
            Some(TimeForm::Count(unit)) => unit,
            _ => TimeUnit::Millis,
        };
        Ok((fields, unit, Target::new(instrument, IdRule::Contiguous, stream)))
    }

    fn check_header(&self, line: &[u8]) -> Result<(), String> {
        let header = Header::read(line);
        let refused = || {
            Err(format!(
                "line 1: the header {:?} is not that of a Binance dump: allowed is {}",
                header.names().join(","),
                self.header
            ))
        };
        if header.find(&["base_qty", "basqty"]).is_some() {
            return Err("line 1: a COIN-M dump counts contracts, not base currency: it is refused until a contract size is configured".to_owned());
        }
        if header.len() != self.spot_fields && header.len() != self.spot_fields - 1 {
            return refused();
        }
        let names = header.names();
        // The order is fixed; swapped columns must not pass.
        let bears = |column: usize, words: &[&str]| words.iter().any(|word| names[column].contains(word));
        let sound = bears(0, &["id"])
            && bears(1, &["price"])
            && bears(2, &["qty", "quantity"])
            && bears(self.time_column, &["time"])
            && bears(self.maker_column, &["maker"]);
        if sound { Ok(()) } else { refused() }
    }
}

#[cfg(test)]
pub mod trial {
    use super::*;

    /// Both readers agree on a row that begins with id 1 and price 6 and says `True`; spelled otherwise it is for one.
    pub fn check_usual<C: Columns>(row: &str) {
        let fields = C::SHAPE.spot_fields;
        let read = usual::<C>(row.as_bytes(), fields, TimeUnit::Millis);
        assert!(read.is_some(), "{row}");
        assert_eq!(read, general::<C>(row.as_bytes(), fields, TimeUnit::Millis).ok());
        let spaced = row.replace(',', ", ");
        for row in [spaced, row.replace("1,6", "01,6"), row.replace("True", "1"), format!("{row},")] {
            assert_eq!(usual::<C>(row.as_bytes(), fields, TimeUnit::Millis), None, "{row}");
        }
    }
}
