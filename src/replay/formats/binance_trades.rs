//! `binance-trades`: Binance's public dumps of raw trades, spot and USD-M.
//!
//! Rows: `id,price,qty,quoteQty,time,isBuyerMaker[,isBestMatch]`. Spot files dated from
//! 2025-01-01 on count microseconds, all others milliseconds; the file tells, and a row in
//! another unit is skipped. Source: binance/binance-public-data, README.

use crate::domain::decimal::{Price, Quantity};
use crate::domain::event::{Side, Trade, TradeId};
use crate::domain::fields::{FieldError, id, price, quantity, time};
use crate::domain::frame::TradeKind;
use crate::domain::scan::Cursor;
use crate::domain::time::{TimeUnit, UnixNanos};
use crate::replay::columns::{Row, flag, is_header};
use crate::replay::decoder::{Batch, Decoder, Facts, FormatEntry, Sample, Stream};
use crate::replay::formats::binance_dump::{Dump, Shape};

const SHAPE: Shape = Shape {
    word: "trades",
    spot_fields: 7,
    time_column: 4,
    maker_column: 5,
    header: "id,price,qty,quote_qty,time,is_buyer_maker[,is_best_match]",
};

pub const ENTRY: FormatEntry =
    FormatEntry { name: "binance-trades", sniff: |s, f| SHAPE.sniff(s, f), open, mixes_kinds: false };

struct BinanceTrades {
    dump: Dump,
}

fn open(sample: &Sample, facts: &Facts<'_>) -> Result<Box<dyn Decoder>, String> {
    let dump = SHAPE.open(sample, facts, Stream::Trades(TradeKind::Raw))?;
    Ok(Box::new(BinanceTrades { dump }))
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
    // Quote currency; nobody reads it.
    cursor.until(b',')?;
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
        trade_count: 1,
    })
}

fn general(line: &[u8], fields: usize, unit: TimeUnit) -> Result<Trade, FieldError> {
    let row = Row::split(line);
    row.check_len(fields)?;
    Ok(Trade {
        id: id(row.get(0))?,
        price: price(row.get(1))?,
        quantity: quantity(row.get(2))?,
        exchange_at: time(row.get(4), unit)?,
        received_at: None,
        taker_side: Some(if flag("is_buyer_maker", row.get(5))? { Side::Sell } else { Side::Buy }),
        trade_count: 1,
    })
}

impl Decoder for BinanceTrades {
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
    use crate::replay::formats::testing::{check_refused, check_text, facts, with};

    const SPOT: &str = "3735693016,61685.99000000,0.00017000,10.48661830,1723161601437,True,True\n\
                        3735693017,61686.00000000,0.00016000,9.86976000,1723161601498,False,True\n";
    const USDM: &str = "id,price,qty,quote_qty,time,is_buyer_maker\n\
                        4308068523,2681.62,1.000,2681.62,1723161256560,true\n";

    #[test]
    fn spot_and_usdm_are_told_by_their_fields() {
        let expected = [
            "binance:BTC-USDT 3735693016 61685.99 0.00017 2024-08-09T00:00:01.437Z sell 1",
            "binance:BTC-USDT 3735693017 61686 0.00016 2024-08-09T00:00:01.498Z buy 1",
        ];
        check_text("auto", "BTCUSDT-trades-2024-08-09.csv", SPOT, &expected, &[]);
        check_text("binance-trades", "BTCUSDT-trades-2024-08-09.csv", SPOT, &expected, &[]);
        let expected = ["binance-usdm:ETH-USDT 4308068523 2681.62 1 2024-08-08T23:54:16.560Z sell 1"];
        check_text("auto", "ETHUSDT-trades-2024-08.csv", USDM, &expected, &[]);
    }

    #[test]
    fn a_row_in_another_unit_is_skipped() {
        let text = "1,1.5,2,3,1735689600000001,True,True\n2,1.5,2,3,1735689600000,True,True\n3,1.5,2,3,1735689600000003,False,True\n";
        check_text(
            "binance-trades",
            "BTCUSDT-trades-2025-01-01.csv",
            text,
            &[
                "binance:BTC-USDT 1 1.5 2 2025-01-01T00:00:00.000001Z sell 1",
                "binance:BTC-USDT 3 1.5 2 2025-01-01T00:00:00.000003Z buy 1",
            ],
            &[r#"2: time "1735689600000" counts milliseconds, where microseconds are expected"#],
        );
    }

    #[test]
    fn each_bad_row_is_skipped_by_name() {
        let text = "1,1,1,1,1723161601437,True,True\n\
                    2,0,1,1,1723161601437,True,True\n\
                    3,1,-1,1,1723161601437,True,True\n\
                    ,1,1,1,1723161601437,True,True\n\
                    5,1,1,1,1723161601437,maybe,True\n\
                    6,1,1\n\
                    7,1,1,1,1.70027E+12,True,True\n";
        check_text(
            "binance-trades",
            "BTCUSDT-trades-2024-08-09.csv",
            text,
            &["binance:BTC-USDT 1 1 1 2024-08-09T00:00:01.437Z sell 1"],
            &[
                r#"2: price "0" is zero"#,
                r#"3: quantity "-1" is negative"#,
                "4: the trade has no id, and the venue promises one",
                r#"5: is_buyer_maker "maybe" is neither true nor false"#,
                "6: the row has 3 fields, 7 are expected",
                r#"7: time "1.70027E+12" is not a time"#,
            ],
        );
    }

    #[test]
    fn contradictions_and_contracts_are_refused() {
        let name = "BTCUSDT-trades-2024-08-09.csv";
        check_refused(facts(name), "binance-trades", "a,b,c\n", "allowed is id,price,qty");
        check_refused(facts("x.csv"), "binance-trades", SPOT, "--symbol");
        check_refused(with(facts(name), "kraken:ETH-USDT"), "binance-trades", SPOT, "is of symbol BTC-USDT");
        check_refused(with(facts(name), "binance-usdm:BTC-USDT"), "binance-trades", SPOT, "spot dumps");
        check_refused(with(facts(name), "binance:BTC-USDT"), "binance-trades", USDM, "USD-M dumps");
        let coin = "id,price,qty,base_qty,time,is_buyer_maker\n1,1,1,1,1723161601437,true\n";
        check_refused(facts("BTCUSD_PERP-trades-2024-08-09.csv"), "binance-trades", coin, "contract size");
        check_refused(facts("BTCUSD_PERP-trades-2024-08-09.csv"), "binance-trades", USDM, "contract size");
        check_refused(
            facts(name),
            "binance-trades",
            "price,id,qty,quote_qty,time,is_buyer_maker\n",
            "allowed is",
        );
    }

    #[test]
    fn the_usual_spelling_is_read_as_the_general_one() {
        let row = "1,61685.99000000,0.00017000,10.4,1723161601437,True,True";
        let read = usual(row.as_bytes(), 7, TimeUnit::Millis);
        assert_eq!(read, general(row.as_bytes(), 7, TimeUnit::Millis).ok());
        assert!(read.is_some());
        for row in
            [row.replace(',', ", "), row.replace("1,6", "01,6"), row.replace("True", "1"), format!("{row},")]
        {
            assert_eq!(usual(row.as_bytes(), 7, TimeUnit::Millis), None, "{row}");
        }
    }
}
