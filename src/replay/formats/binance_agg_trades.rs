//! `binance-agg-trades`: Binance's public dumps of aggregate trades, spot and USD-M.
//!
//! Rows: `id,price,qty,firstId,lastId,time,isBuyerMaker[,isBestMatch]`; an aggregate counts
//! `last - first + 1` trades, and ids are those of the aggregates, contiguous too. Units as
//! in `binance-trades`. Source: binance/binance-public-data, README.

use crate::domain::fields::{FieldError, trade_count};
use crate::domain::frame::TradeKind;
use crate::domain::scan::Cursor;
use crate::replay::columns::Row;
use crate::replay::decoder::FormatEntry;
use crate::replay::formats::binance_dump::{Columns, Shape, open, sniff};

pub const ENTRY: FormatEntry = FormatEntry {
    name: "binance-agg-trades",
    sniff: sniff::<Aggregates>,
    open: open::<Aggregates>,
    mixes_kinds: false,
};

struct Aggregates;

impl Columns for Aggregates {
    const SHAPE: Shape = Shape {
        word: "aggTrades",
        spot_fields: 8,
        time_column: 5,
        maker_column: 6,
        header: "agg_trade_id,price,quantity,first_trade_id,last_trade_id,transact_time,is_buyer_maker[,is_best_match]",
    };
    const KIND: TradeKind = TradeKind::Aggregate;

    #[inline]
    fn take_count(cursor: &mut Cursor<'_>) -> Option<u32> {
        let first = cursor.number()?;
        cursor.literal(b",")?;
        let last = cursor.number()?;
        cursor.literal(b",")?;
        u32::try_from(last.checked_sub(first)?.checked_add(1)?).ok()
    }

    fn trade_count(row: &Row<'_>) -> Result<u32, FieldError> {
        trade_count(row.get(3), row.get(4))
    }
}

#[cfg(test)]
mod tests {
    use super::Aggregates;
    use crate::replay::formats::binance_dump::trial::check_usual;
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
        check_usual::<Aggregates>("1,61685.99000000,0.00017000,7,9,1723161601437,False,True");
    }
}
