//! `tardis-trades`: the trade files of tardis.dev.
//!
//! Header `exchange,symbol,timestamp,local_timestamp,id,side,price,amount`, microseconds, sides
//! are the taker's, an id may be empty where the venue gives none. Symbols are the venue's own.
//! Source: docs.tardis.dev, "Downloadable CSV files", trades.

use crate::domain::event::Trade;
use crate::domain::fields::{optional_id, price, quantity, shown, taker_side};
use crate::domain::instrument::Instrument;
use crate::domain::symbol::{
    BINANCE_QUOTES, DOLLAR_QUOTES, STABLE_QUOTES, bitfinex, kraken, split, split_at_separator,
};
use crate::domain::time::{TimeUnit, UnixNanos};
use crate::domain::venue::{IdRule, Venue};
use crate::replay::columns::{Header, Row, TimeForm};
use crate::replay::decoder::{Batch, Decoder, Facts, FormatEntry, Likeness, Sample, or_unknown};
use crate::replay::instruments::{Instruments, push_ruled, rule_of};

const COLUMNS: [&str; 8] =
    ["exchange", "symbol", "timestamp", "local_timestamp", "id", "side", "price", "amount"];

pub const ENTRY: FormatEntry = FormatEntry { name: "tardis-trades", sniff, open, mixes_kinds: false };

struct TardisTrades {
    /// As the user said.
    venue: Option<Venue>,
    symbol: Option<String>,
    columns: [usize; 8],
    count: usize,
    form: TimeForm,
    received_form: TimeForm,
    has_ids: bool,
    instruments: Instruments,
}

fn sniff(sample: &Sample, _facts: &Facts<'_>) -> Likeness {
    let header = Header::read(sample.first());
    if COLUMNS.iter().all(|name| header.find(&[name]).is_some()) { Likeness::Sure } else { Likeness::No }
}

fn open(sample: &Sample, facts: &Facts<'_>) -> Result<Box<dyn Decoder>, String> {
    let header = Header::read(sample.first());
    let allowed = COLUMNS.join(",");
    let mut columns = [0; 8];
    for (slot, name) in columns.iter_mut().zip(COLUMNS) {
        *slot = header.need(&[name], &allowed)?;
    }
    let rows = || sample.iter().skip(1).map(Row::split);
    let micros = TimeForm::Count(TimeUnit::Micros);
    let mut decoder = TardisTrades {
        venue: facts.venue.cloned(),
        symbol: facts.symbol.map(str::to_owned),
        columns,
        count: header.len(),
        form: TimeForm::detect(rows().map(|row| row.get(columns[2]))).unwrap_or(micros),
        received_form: TimeForm::detect(rows().map(|row| row.get(columns[3]))).unwrap_or(micros),
        has_ids: rows().any(|row| !row.get(columns[4]).is_empty()),
        instruments: Instruments::default(),
    };
    // A whole file of contracts, or of another venue than was said, is refused before it runs.
    if let Some(row) = rows().find(|row| row.len() == header.len()) {
        decoder.resolve(row.get(columns[0]), row.get(columns[1]))?;
    }
    decoder.instruments = Instruments::default();
    Ok(Box::new(decoder))
}

/// How tardis.dev calls what we call otherwise.
const VENUES: [(&str, &str); 12] = [
    ("binance-futures", "binance-usdm"),
    ("bybit-spot", "bybit"),
    ("bybit", "bybit-linear"),
    ("okex", "okx"),
    ("gate-io", "gate"),
    ("huobi", "htx"),
    ("binance", "binance"),
    ("coinbase", "coinbase"),
    ("kraken", "kraken"),
    ("bitstamp", "bitstamp"),
    ("bitfinex", "bitfinex"),
    ("binance-us", "binance-us"),
];

/// Exchanges whose amounts count contracts.
const CONTRACTS: [&str; 16] = [
    "binance-delivery",
    "bitmex",
    "cryptofacilities",
    "okex-swap",
    "okex-futures",
    "okex-options",
    "huobi-dm",
    "huobi-dm-swap",
    "huobi-dm-linear-swap",
    "huobi-dm-options",
    "gate-io-futures",
    "kucoin-futures",
    "bitget-futures",
    "deribit",
    "phemex",
    "delta",
];

impl TardisTrades {
    fn resolve(&self, exchange: &[u8], spelling: &[u8]) -> Result<(Instrument, IdRule), String> {
        let (exchange, spelling) = (shown(exchange, 48), shown(spelling, 48));
        let contract = || {
            format!(
                "symbol {spelling:?} of {exchange} counts contracts, not base currency: it is refused until a contract size is configured"
            )
        };
        if CONTRACTS.contains(&exchange.as_str()) {
            return Err(contract());
        }
        let venue =
            VENUES.iter().find(|(theirs, _)| *theirs == exchange).map_or(exchange.as_str(), |(_, ours)| ours);
        let symbol = match venue {
            "binance" | "binance-usdm" => split_at_delivery(&spelling, |pair| split(pair, BINANCE_QUOTES)),
            "bybit-linear" if spelling.ends_with("USD") => return Err(contract()),
            "bybit" | "bybit-linear" | "htx" => split_at_separator(&spelling, STABLE_QUOTES),
            "kraken" => kraken(&spelling),
            "bitfinex" => bitfinex(&spelling),
            "okx" if spelling.matches('-').count() != 1 => return Err(contract()),
            _ => split_at_separator(&spelling, DOLLAR_QUOTES),
        };
        let facts = Facts { venue: self.venue.as_ref(), symbol: self.symbol.as_deref(), ..Facts::default() };
        let symbol = facts.symbol_of(&spelling, |spelling| or_unknown(spelling, symbol))?;
        let instrument = facts.instrument(Some(venue), Some(&symbol))?;
        // Tardis records OKX's `trades`, which are aggregates of one taker order.
        let rule = match rule_of(&instrument, self.has_ids) {
            IdRule::Contiguous if venue == "okx" => IdRule::Sparse,
            rule => rule,
        };
        Ok((instrument, rule))
    }

    fn read(&mut self, number: u64, line: &[u8], batch: &mut Batch) -> Result<(), String> {
        let row = Row::split(line);
        row.check_len(self.count)?;
        let [exchange, symbol, time, received, id, side, size_price, amount] = self.columns;
        let trade = Trade {
            id: optional_id(row.get(id))?,
            price: price(row.get(size_price))?,
            quantity: quantity(row.get(amount))?,
            exchange_at: self.form.read(row.get(time))?,
            received_at: self.received_form.read(row.get(received)).ok().and_then(UnixNanos::stamp),
            taker_side: taker_side(row.get(side))?,
            trade_count: 1,
        };
        // Both names as one spelling: they stand side by side in every file of tardis.dev.
        let spelling = [row.get(exchange), b",", row.get(symbol)].concat();
        let mut instruments = std::mem::take(&mut self.instruments);
        let index = instruments.index(&spelling, batch, || self.resolve(row.get(exchange), row.get(symbol)));
        self.instruments = instruments;
        push_ruled(index?, number, trade, batch)
    }
}

/// `BTCUSDT_250926` as `BTC-USDT-250926`.
fn split_at_delivery(spelling: &str, split: impl Fn(&str) -> Option<String>) -> Option<String> {
    match spelling.split_once('_') {
        Some((pair, delivery)) => split(pair).map(|symbol| format!("{symbol}-{delivery}")),
        None => split(spelling),
    }
}

impl Decoder for TardisTrades {
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
    use crate::replay::formats::testing::{check_refused, check_text, facts, with};

    const HEADER: &str = "exchange,symbol,timestamp,local_timestamp,id,side,price,amount\n";

    #[test]
    fn exchanges_and_symbols_are_renamed() {
        let text = format!(
            "{HEADER}binance-futures,BTCUSDT,1585699200245000,1585699200328000,239574496,buy,6427.4,0.031\n\
             binance-futures,ETHUSDT,1585699200245000,1585699200328000,7,unknown,127.4,1\n\
             binance-futures,ETHUSDT,1585699200245000,1585699200328000,,sell,127.4,1\n\
             binance-futures,ETHUSDT,1585699200245,1585699200328000,8,sell,127.4,1\n"
        );
        check_text(
            "auto",
            "any.csv",
            &text,
            &[
                "binance-usdm:BTC-USDT 239574496 6427.4 0.031 2020-04-01T00:00:00.245Z buy 1",
                "binance-usdm:ETH-USDT 7 127.4 1 2020-04-01T00:00:00.245Z - 1",
            ],
            &[
                "4: the trade has no id, and the venue promises one",
                r#"5: time "1585699200245" counts milliseconds, where microseconds are expected"#,
            ],
        );
        let text = format!("{HEADER}kraken,XBT/USD,1585699200245000,1585699200328000,,buy,6427.4,0.031\n");
        check_text(
            "auto",
            "any.csv",
            &text,
            &["kraken:BTC-USD  6427.4 0.031 2020-04-01T00:00:00.245Z buy 1"],
            &[],
        );
    }

    #[test]
    fn contracts_and_contradictions_are_refused() {
        let text = format!("{HEADER}bitmex,XBTUSD,1585699200245000,1585699200328000,x,buy,6427.4,100\n");
        check_refused(facts("x.csv"), "tardis-trades", &text, "contract size");
        let text = format!("{HEADER}coinbase,BTC-USD,1585699200245000,1585699200328000,1,buy,6427.4,100\n");
        check_refused(with(facts("x.csv"), "kraken:BTC-USD"), "tardis-trades", &text, "is of venue coinbase");
        check_refused(
            facts("x.csv"),
            "tardis-trades",
            "exchange,symbol\n",
            "allowed is exchange,symbol,timestamp",
        );
    }
}
