//! `kraken-trades`: Kraken's downloadable trade history, `XBTUSD.csv`: `time,price,volume`.
//!
//! No header, seconds (some files with a fraction), no ids and no sides: two rows that look
//! alike are two trades, and the taker is not known. Source: Kraken support,
//! "Downloadable historical market data (time and sales)".

use crate::domain::event::{Trade, TradeId};
use crate::domain::fields::{FieldError, price, quantity};
use crate::domain::frame::TradeKind;
use crate::domain::symbol::kraken;
use crate::domain::time::TimeUnit;
use crate::domain::venue::IdRule;
use crate::replay::columns::{Row, TimeForm, is_header};
use crate::replay::decoder::{
    Batch, Decoder, Facts, FormatEntry, Likeness, Sample, Stream, Target, or_unknown,
};

const FIELDS: usize = 3;

pub const ENTRY: FormatEntry = FormatEntry { name: "kraken-trades", sniff, open, mixes_kinds: false };

struct KrakenTrades {
    target: Target,
    form: TimeForm,
}

fn sniff(sample: &Sample, facts: &Facts<'_>) -> Likeness {
    let form = |row: &Row<'_>| TimeForm::of(row.get(0));
    let fits = |row: &Row<'_>| row.len() == FIELDS && matches!(form(row), Some(TimeForm::Count(_)));
    if is_header(sample.first()) {
        return Likeness::No;
    }
    let (mut fitting, mut all) = (0, 0);
    for line in sample.iter() {
        all += 1;
        fitting += usize::from(fits(&Row::split(line)));
    }
    match fitting {
        0 => Likeness::No,
        n if n * 2 < all => Likeness::No,
        _ if spelled_symbol(facts.file_name).is_some() => Likeness::RowsAndName,
        _ => Likeness::Rows,
    }
}

/// `BCHEUR` of `BCHEUR.csv`, also where words stand before it.
fn spelled_symbol(file_name: &str) -> Option<&str> {
    let stem = file_name.split('.').next()?;
    let word =
        stem.rsplit(['_', '-']).find(|word| word.len() >= 5 && word.chars().any(char::is_alphabetic))?;
    let upper = word.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit());
    (upper && kraken(word).is_some()).then_some(word)
}

fn open(sample: &Sample, facts: &Facts<'_>) -> Result<Box<dyn Decoder>, String> {
    if is_header(sample.first()) {
        return Err("line 1: a header, but Kraken's dumps have none: allowed are rows of time,price,volume"
            .to_owned());
    }
    let rows = || sample.iter().map(Row::split);
    if rows().all(|row| row.len() != FIELDS) {
        return Err(
            "line 1: no row has the 3 fields of a Kraken dump: allowed are rows of time,price,volume"
                .to_owned(),
        );
    }
    let symbol = match spelled_symbol(facts.file_name) {
        Some(spelled) => Some(facts.symbol_of(spelled, |spelled| or_unknown(spelled, kraken(spelled)))?),
        None => None,
    };
    // Others print the same three columns (bitcoincharts.com), so the venue can be said.
    let venue = if facts.venue.is_none() { Some("kraken") } else { None };
    let instrument = facts.instrument(venue, symbol.as_deref())?;
    let form = TimeForm::detect(rows().map(|row| row.get(0))).unwrap_or(TimeForm::Count(TimeUnit::Seconds));
    let target = Target::new(instrument, IdRule::Absent, Stream::Trades(TradeKind::Raw));
    Ok(Box::new(KrakenTrades { target, form }))
}

impl KrakenTrades {
    fn read(&self, line: &[u8]) -> Result<Trade, FieldError> {
        let row = Row::split(line);
        row.check_len(FIELDS)?;
        Ok(Trade {
            id: TradeId::Absent,
            price: price(row.get(1))?,
            quantity: quantity(row.get(2))?,
            exchange_at: self.form.read(row.get(0))?,
            received_at: None,
            taker_side: None,
            trade_count: 1,
        })
    }
}

impl Decoder for KrakenTrades {
    fn line(&mut self, number: u64, line: &[u8], batch: &mut Batch) -> Result<(), String> {
        if line.is_empty() {
            return Ok(());
        }
        let read = self.read(line);
        self.target.take(number, line, read, batch);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use crate::replay::formats::testing::{check_refused, check_text, facts, with};

    const TEXT: &str = "1672531436,90.540000,1.10448420\n1672531471.5,90.45,1\n";

    #[test]
    fn the_name_tells_the_symbol() {
        let row = |symbol: &str| {
            [
                format!("kraken:{symbol}  90.54 1.1044842 2023-01-01T00:03:56Z - 1"),
                format!("kraken:{symbol}  90.45 1 2023-01-01T00:04:31.500Z - 1"),
            ]
        };
        for (name, symbol) in [
            ("BCHEUR.csv", "BCH-EUR"),
            ("XBTUSD.csv", "BTC-USD"),
            ("XXBTZEUR.csv", "BTC-EUR"),
            ("kraken_trades_csv_BCHEUR.csv", "BCH-EUR"),
        ] {
            let rows = row(symbol);
            check_text("auto", name, TEXT, &[&rows[0], &rows[1]], &[]);
        }
    }

    #[test]
    fn what_the_name_does_not_tell_is_asked_for() {
        check_refused(facts("bitstampUSD.csv"), "kraken-trades", TEXT, "--symbol");
        check_refused(
            with(facts("BCHEUR.csv"), "kraken:BTC-USD"),
            "kraken-trades",
            TEXT,
            "is of symbol BCH-EUR",
        );
        check_refused(facts("BCHEUR.csv"), "kraken-trades", "time,price,volume\n1,2,3\n", "a header");
        check_refused(facts("BCHEUR.csv"), "kraken-trades", "1672531436;90.5;1\n", "time,price,volume");
    }
}
