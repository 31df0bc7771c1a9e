//! `binance-trades`: Binance's public dumps of raw trades, spot and USD-M.
//!
//! Rows: `id,price,qty,quoteQty,time,isBuyerMaker[,isBestMatch]`. Spot files dated from
//! 2025-01-01 on count microseconds, all others milliseconds; the file tells, and a row in
//! another unit is skipped. Source: binance/binance-public-data, README.

use crate::domain::fields::FieldError;
use crate::domain::frame::TradeKind;
use crate::domain::scan::Cursor;
use crate::replay::columns::Row;
use crate::replay::decoder::FormatEntry;
use crate::replay::formats::binance_dump::{Columns, Shape, open, sniff};

pub const ENTRY: FormatEntry = FormatEntry {
    name: "binance-trades",
    sniff: sniff::<RawTrades>,
    open: open::<RawTrades>,
    mixes_kinds: false,
};

struct RawTrades;

impl Columns for RawTrades {
    const SHAPE: Shape = Shape {
        word: "trades",
        spot_fields: 7,
        time_column: 4,
        maker_column: 5,
        header: "id,price,qty,quote_qty,time,is_buyer_maker[,is_best_match]",
    };
    const KIND: TradeKind = TradeKind::Raw;

    #[inline]
    fn take_count(cursor: &mut Cursor<'_>) -> Option<u32> {
        // Quote currency; nobody reads it.
        cursor.until(b',')?;
        Some(1)
    }

    fn trade_count(_: &Row<'_>) -> Result<u32, FieldError> {
        Ok(1)
    }
}

#[cfg(test)]
mod tests {
    use super::RawTrades;
    use crate::replay::formats::binance_dump::trial::check_usual;
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
        check_usual::<RawTrades>("1,61685.99000000,0.00017000,10.4,1723161601437,True,True");
    }
}
