//! `binance-agg-trades`: Binance's public dumps of aggregate trades, spot and USD-M.
//!
//! Rows: `id,price,qty,firstId,lastId,time,isBuyerMaker[,isBestMatch]`; an aggregate counts
//! `last - first + 1` trades, and ids are those of the aggregates, contiguous too. Units as
//! in `binance-trades`. Source: binance/binance-public-data, README.

use crate::domain::decimal::{Price, Quantity};
use crate::domain::event::{Side, Trade, TradeId};
use crate::domain::fields::{FieldError, id, price, quantity, time, trade_count};
use crate::domain::frame::TradeKind;
use crate::domain::scan::Cursor;
use crate::domain::time::{TimeUnit, UnixNanos};
use crate::replay::columns::{Row, flag, is_header};
use crate::replay::decoder::{Batch, Decoder, Facts, FormatEntry, Sample, Stream};
use crate::replay::formats::binance_dump::{Dump, Shape};

const SHAPE: Shape = Shape {
    word: "aggTrades",
    spot_fields: 8,
    time_column: 5,
    maker_column: 6,
    header: "agg_trade_id,price,quantity,first_trade_id,last_trade_id,transact_time,is_buyer_maker[,is_best_match]",
};

pub const ENTRY: FormatEntry =
    FormatEntry { name: "binance-agg-trades", sniff: |s, f| SHAPE.sniff(s, f), open, mixes_kinds: false };

struct BinanceAggTrades {
    dump: Dump,
}

fn open(sample: &Sample, facts: &Facts<'_>) -> Result<Box<dyn Decoder>, String> {
    let dump = SHAPE.open(sample, facts, Stream::Trades(TradeKind::Aggregate))?;
    Ok(Box::new(BinanceAggTrades { dump }))
}

/// Reads a row of so many fields.
#[inline]
pub fn read_row(line: &[u8], fields: usize, unit: TimeUnit) -> Result<Trade, FieldError> {
    match usual(line, fields, unit) {
        Some(trade) => Ok(trade),
        None => general(line, fields, unit),
    }
}

/// Reads a sound row of the usual spelling, and leaves everything else to [`general`].
#[inline]
fn usual(line: &[u8], fields: usize, unit: TimeUnit) -> Option<Trade> {
    let mut cursor = Cursor::new(line);
    let id = cursor.number()?;
    cursor.literal(b",")?;
    let price = Price::parse(cursor.until(b',')?).ok()?;
    let quantity = Quantity::parse(cursor.until(b',')?).ok()?;
    let first = cursor.number()?;
    cursor.literal(b",")?;
    let last = cursor.number()?;
    cursor.literal(b",")?;
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
        if fields == SHAPE.spot_fields { matches!(end, b",True" | b",False") } else { end.is_empty() };
    is_whole.then_some(Trade {
        price,
        quantity,
        exchange_at,
        received_at: None,
        id: TradeId::Number(id),
        taker_side: Some(taker_side),
        trade_count: u32::try_from(last.checked_sub(first)?.checked_add(1)?).ok()?,
    })
}

fn general(line: &[u8], fields: usize, unit: TimeUnit) -> Result<Trade, FieldError> {
    let row = Row::split(line);
    row.check_len(fields)?;
    Ok(Trade {
        id: id(row.get(0))?,
        price: price(row.get(1))?,
        quantity: quantity(row.get(2))?,
        exchange_at: time(row.get(5), unit)?,
        received_at: None,
        taker_side: Some(if flag("is_buyer_maker", row.get(6))? { Side::Sell } else { Side::Buy }),
        trade_count: trade_count(row.get(3), row.get(4))?,
    })
}

impl Decoder for BinanceAggTrades {
    fn line(&mut self, number: u64, line: &[u8], batch: &mut Batch) -> Result<(), String> {
        if line.is_empty() || (number == 1 && is_header(line)) {
            return Ok(());
        }
        let read = read_row(line, self.dump.fields, self.dump.unit);
        self.dump.target.take(number, line, read, batch);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{general, usual};
    use crate::domain::time::TimeUnit;
    use crate::replay::formats::testing::check_text;

    #[test]
    fn an_aggregate_counts_its_trades() {
        let spot = "26129,0.01633102,4.70443515,27781,27785,1498793709153,True,True\n\
                    26130,0.01633102,4.70443515,27786,27785,1498793709153,True,True\n";
        check_text(
            "auto",
            "BNBBTC-aggTrades-2017-06.csv",
            spot,
            &["binance:BNB-BTC 26129 0.01633102 4.70443515 2017-06-30T03:35:09.153Z sell 5"],
            &[r#"2: last trade id "27785" is before the first, or billions after it"#],
        );
        let usdm = "agg_trade_id,price,quantity,first_trade_id,last_trade_id,transact_time,is_buyer_maker\n\
                    5933014,43000.1,0.100,100,105,1700000000085,false\n";
        check_text(
            "auto",
            "BTCUSDT-aggTrades-2023-11-14.csv",
            usdm,
            &["binance-usdm:BTC-USDT 5933014 43000.1 0.1 2023-11-14T22:13:20.085Z buy 6"],
            &[],
        );
    }

    #[test]
    fn the_usual_spelling_is_read_as_the_general_one() {
        let row = "1,61685.99000000,0.00017000,7,9,1723161601437,False,True";
        let read = usual(row.as_bytes(), 8, TimeUnit::Millis);
        assert_eq!(read, general(row.as_bytes(), 8, TimeUnit::Millis).ok());
        assert!(read.is_some());
        for row in
            [row.replace(',', ", "), row.replace("1,6", "01,6"), row.replace("True", "1"), format!("{row},")]
        {
            assert_eq!(usual(row.as_bytes(), 8, TimeUnit::Millis), None, "{row}");
        }
    }
}
