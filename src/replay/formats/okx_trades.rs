//! `okx-trades`: OKX's public dumps of spot trades, raw and aggregated.
//!
//! Header `instrument_name,trade_id,side,price,size,created_time[,source]`; older ones name no
//! instrument, order the columns otherwise, and repeat each name in Chinese (GBK) behind a
//! slash. Milliseconds; sides are the taker's. Aggregated files (`aggtrades` in their name)
//! skip ids. Sizes of swaps, futures and options count contracts.
//! Source: okx.com, "Historical data".

use crate::domain::event::Trade;
use crate::domain::fields::{FieldError, id, price, quantity, taker_side};
use crate::domain::frame::TradeKind;
use crate::domain::time::TimeUnit;
use crate::domain::venue::IdRule;
use crate::replay::columns::{Header, Row, TimeForm};
use crate::replay::decoder::{Batch, Decoder, Facts, FormatEntry, Likeness, Sample, Stream, Target};

const ALLOWED: &str = "[instrument_name,]trade_id,side,price,size,created_time[,source]";

pub const ENTRY: FormatEntry = FormatEntry { name: "okx-trades", sniff, open, mixes_kinds: false };

struct OkxTrades {
    target: Target,
    symbol: String,
    form: TimeForm,
    count: usize,
    instrument: Option<usize>,
    id: usize,
    side: usize,
    price: usize,
    size: usize,
    time: usize,
}

fn sniff(sample: &Sample, _facts: &Facts<'_>) -> Likeness {
    let header = Header::read(sample.first());
    let all = ["trade_id", "side", "price", "size", "created_time"];
    if all.iter().all(|name| header.find(&[name]).is_some()) { Likeness::Sure } else { Likeness::No }
}

fn open(sample: &Sample, facts: &Facts<'_>) -> Result<Box<dyn Decoder>, String> {
    let header = Header::read(sample.first());
    let instrument = header.find(&["instrument_name", "instrument", "instid"]);
    let time = header.need(&["created_time"], ALLOWED)?;
    let rows = || sample.iter().skip(1).map(Row::split);
    let symbol = match instrument {
        Some(column) => rows().map(|row| String::from_utf8_lossy(row.get(column)).into_owned()).next(),
        None => named_symbol(facts.file_name),
    };
    if let Some(symbol) = &symbol
        && symbol.split('-').count() != 2
    {
        return Err(format!(
            "instrument {symbol:?} counts contracts, not base currency: it is refused until a contract size is configured"
        ));
    }
    let listed = facts.instrument(Some("okx"), symbol.as_deref())?;
    let (kind, rule) = match facts.file_name.to_ascii_lowercase() {
        name if name.contains("aggtrades") => (TradeKind::Aggregate, IdRule::Sparse),
        name if name.contains("trades") => (TradeKind::Raw, IdRule::Contiguous),
        // A renamed file may be either: claim no more than both keep.
        _ => (TradeKind::Raw, IdRule::Sparse),
    };
    Ok(Box::new(OkxTrades {
        symbol: symbol.unwrap_or_else(|| listed.symbol().to_owned()),
        target: Target::new(listed, rule, Stream::Trades(kind)),
        form: TimeForm::detect(rows().map(|row| row.get(time))).unwrap_or(TimeForm::Count(TimeUnit::Millis)),
        count: header.len(),
        instrument,
        id: header.need(&["trade_id"], ALLOWED)?,
        side: header.need(&["side"], ALLOWED)?,
        price: header.need(&["price"], ALLOWED)?,
        size: header.need(&["size"], ALLOWED)?,
        time,
    }))
}

/// `BTC-USDT` of `BTC-USDT-aggtrades-2023-11-18.csv`, also where words stand before it.
fn named_symbol(file_name: &str) -> Option<String> {
    let lower = file_name.to_ascii_lowercase();
    let at = lower.find("-aggtrades").or_else(|| lower.find("-trades"))?;
    let named = file_name[..at].rsplit('_').next()?;
    named.contains('-').then(|| named.to_uppercase())
}

impl OkxTrades {
    fn read(&self, line: &[u8]) -> Result<Trade, FieldError> {
        let row = Row::split(line);
        row.check_len(self.count)?;
        if let Some(column) = self.instrument
            && row.get(column) != self.symbol.as_bytes()
        {
            let why = format_args!("is not the file's, {}", self.symbol);
            return Err(FieldError::new("instrument_name", row.get(column), why));
        }
        Ok(Trade {
            id: id(row.get(self.id))?,
            price: price(row.get(self.price))?,
            quantity: quantity(row.get(self.size))?,
            exchange_at: self.form.read(row.get(self.time))?,
            received_at: None,
            taker_side: taker_side(row.get(self.side))?,
            trade_count: 1,
        })
    }
}

impl Decoder for OkxTrades {
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
    fn old_and_new_headers_are_read() {
        let old = "trade_id/撮合id,side/交易方向,size/数量,price/价格,created_time/成交时间\n450372093,buy,0.00418025,35910.6,1700239042832\n";
        let expected = ["okx:BTC-USDT 450372093 35910.6 0.00418025 2023-11-17T16:37:22.832Z buy 1"];
        check_text("auto", "bbgo_okex_BTC-USDT-aggtrades-2023-11-18.csv", old, &expected, &[]);
        let new = "instrument_name,trade_id,side,price,size,created_time\n\
                   BTC-USDT,450372093,buy,35910.6,0.00418025,1700239042832\n\
                   BTC-USDC,450372094,buy,35910.6,0.00418025,1700239042832\n";
        let skipped = [r#"3: instrument_name "BTC-USDC" is not the file's, BTC-USDT"#];
        check_text("auto", "any.csv", new, &expected, &skipped);
    }

    #[test]
    fn contracts_are_refused() {
        let text =
            "instrument_name,trade_id,side,price,size,created_time\nBTC-USDT-SWAP,1,buy,1,1,1700239042832\n";
        check_refused(facts("BTC-USDT-SWAP-trades-2024-01-01.csv"), "okx-trades", text, "contract size");
    }
}
