//! `bybit-trades`: Bybit's public dumps, derivatives and spot.
//!
//! Derivatives: `timestamp,symbol,side,size,price,tickDirection,trdMatchID,...`, seconds with a
//! fraction, ids that are UUIDs. Spot: `id,timestamp,price,volume,side`, milliseconds; its id
//! counts from 1 in each file and names no trade. Sides are the taker's.
//! Source: public.bybit.com, `trading/` and `spot/`.

use crate::domain::event::{Trade, TradeId};
use crate::domain::fields::{FieldError, id, price, quantity, taker_side};
use crate::domain::frame::TradeKind;
use crate::domain::symbol::bybit;
use crate::domain::time::TimeUnit;
use crate::domain::venue::IdRule;
use crate::replay::columns::{Header, Row, TimeForm};
use crate::replay::decoder::{Batch, Decoder, Facts, FormatEntry, Likeness, Sample, Stream, Target};

const ALLOWED: &str = "timestamp,symbol,side,size,price,...,trdMatchID,... (derivatives) or id,timestamp,price,volume,side (spot)";

pub const ENTRY: FormatEntry = FormatEntry { name: "bybit-trades", sniff, open, mixes_kinds: false };

struct BybitTrades {
    target: Target,
    /// As the file spells it, where rows do.
    symbol: Option<String>,
    columns: Columns,
    form: TimeForm,
}

struct Columns {
    count: usize,
    time: usize,
    symbol: Option<usize>,
    side: usize,
    quantity: usize,
    price: usize,
    /// `None` where ids name nothing.
    id: Option<usize>,
}

fn sniff(sample: &Sample, _facts: &Facts<'_>) -> Likeness {
    let header = Header::read(sample.first());
    let derivative = header.find(&["trdmatchid"]).is_some() && header.find(&["tickdirection"]).is_some();
    let spot = ["id", "timestamp", "price", "volume", "side"];
    let spot = header.len() >= spot.len() && header.len() <= 6 && header.names()[..5] == spot;
    if derivative || spot { Likeness::Sure } else { Likeness::No }
}

fn open(sample: &Sample, facts: &Facts<'_>) -> Result<Box<dyn Decoder>, String> {
    let header = Header::read(sample.first());
    let is_spot = header.find(&["trdmatchid"]).is_none();
    let columns = Columns {
        count: header.len(),
        time: header.need(&["timestamp"], ALLOWED)?,
        side: header.need(&["side"], ALLOWED)?,
        price: header.need(&["price"], ALLOWED)?,
        quantity: header.need(if is_spot { &["volume"] } else { &["size"] }, ALLOWED)?,
        symbol: if is_spot { None } else { Some(header.need(&["symbol"], ALLOWED)?) },
        id: header.find(&["trdmatchid"]),
    };
    let rows = || sample.iter().skip(1).map(Row::split);
    let spelled = match columns.symbol {
        Some(column) => rows().map(|row| String::from_utf8_lossy(row.get(column)).into_owned()).next(),
        // `BTCUSDT_2022-11-10.csv`, `BTCUSDT-2022-11.csv`
        None => facts.file_name.split(['_', '-', '.']).next().map(str::to_owned),
    };
    let symbol = match &spelled {
        // A name like `trades.csv` spells nothing that --symbol could contradict.
        Some(spelled) if columns.symbol.is_some() || facts.symbol.is_none() => {
            Some(facts.symbol_of(spelled, bybit)?)
        }
        _ => None,
    };
    let instrument =
        facts.instrument(Some(if is_spot { "bybit" } else { "bybit-linear" }), symbol.as_deref())?;
    let rule = if is_spot { IdRule::Absent } else { IdRule::Sparse };
    let form = TimeForm::detect(rows().map(|row| row.get(columns.time)));
    let default = TimeForm::Count(if is_spot { TimeUnit::Millis } else { TimeUnit::Seconds });
    Ok(Box::new(BybitTrades {
        target: Target::new(instrument, rule, Stream::Trades(TradeKind::Raw)),
        symbol: spelled.filter(|_| columns.symbol.is_some()),
        columns,
        form: form.unwrap_or(default),
    }))
}

impl BybitTrades {
    fn read(&self, line: &[u8]) -> Result<Trade, FieldError> {
        let (row, columns) = (Row::split(line), &self.columns);
        row.check_len(columns.count)?;
        if let (Some(column), Some(symbol)) = (columns.symbol, &self.symbol)
            && row.get(column) != symbol.as_bytes()
        {
            return Err(FieldError::new(
                "symbol",
                row.get(column),
                format_args!("is not the file's, {symbol}"),
            ));
        }
        Ok(Trade {
            id: columns.id.map_or(Ok(TradeId::Absent), |column| id(row.get(column)))?,
            price: price(row.get(columns.price))?,
            quantity: quantity(row.get(columns.quantity))?,
            exchange_at: self.form.read(row.get(columns.time))?,
            received_at: None,
            taker_side: taker_side(row.get(columns.side))?,
            trade_count: 1,
        })
    }
}

impl Decoder for BybitTrades {
    fn line(&mut self, number: u64, line: &[u8], batch: &mut Batch) -> Result<(), String> {
        if line.is_empty() || number == 1 {
            return Ok(());
        }
        let read = self.read(line);
        self.target.take(number, line, read, batch);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use crate::replay::formats::testing::{check_refused, check_text, facts};

    #[test]
    fn derivatives_and_spot_are_told_by_their_header() {
        let linear = "timestamp,symbol,side,size,price,tickDirection,trdMatchID,grossValue,homeNotional,foreignNotional\n\
            1696982287.4922,FXSUSDT,Sell,0.86,5.2390,ZeroMinusTick,f7496ecb-b174-51b9-ba56-150186ba6c27,4.50554e+08,0.86,4.50554\n\
            1696982288.1,XXXUSDT,Sell,0.86,5.2390,ZeroMinusTick,f7496ecb,4.5,0.86,4.50554\n";
        check_text(
            "auto",
            "any.csv",
            linear,
            &[
                "bybit-linear:FXS-USDT f7496ecb-b174-51b9-ba56-150186ba6c27 5.239 0.86 2023-10-10T23:58:07.492200Z sell 1",
            ],
            &[r#"3: symbol "XXXUSDT" is not the file's, FXSUSDT"#],
        );
        let spot = "id,timestamp,price,volume,side\n1,1668038400123,17000.5,0.01,buy\n2,1668038400123,17000.5,0.01,sell\n";
        check_text(
            "auto",
            "BTCUSDT_2022-11-10.csv",
            spot,
            &[
                "bybit:BTC-USDT  17000.5 0.01 2022-11-10T00:00:00.123Z buy 1",
                "bybit:BTC-USDT  17000.5 0.01 2022-11-10T00:00:00.123Z sell 1",
            ],
            &[],
        );
    }

    #[test]
    fn inverse_contracts_are_refused() {
        let text = "timestamp,symbol,side,size,price,tickDirection,trdMatchID\n1696982287.4922,BTCUSD,Sell,100,27000,x,y\n";
        check_refused(facts("BTCUSD2023-10-10.csv"), "bybit-trades", text, "contract size");
        check_refused(facts("x.csv"), "bybit-trades", "time,price\n", "allowed is timestamp,symbol");
    }
}
