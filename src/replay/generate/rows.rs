//! Trades as rows of text, in the layouts that `replay` reads.

use std::io::Write;

use crate::domain::decimal::QuoteVolume;
use crate::domain::event::{Side, Trade};
use crate::domain::instrument::Instrument;
use crate::domain::time::{Stamp, UnixNanos};
use crate::replay::generate::parameters::Layout;

/// Binance's spot files from this moment on (2025-01-01) count microseconds, those before it milliseconds.
const BINANCE_MICROS_FROM: UnixNanos = UnixNanos(1_735_689_600_000_000_000);

/// Writes rows of one layout.
pub struct Rows {
    layout: Layout,
    /// What a row says of its instrument, once for each.
    names: Vec<Vec<u8>>,
    /// Nanoseconds of the unit in which [`Layout::BinanceTrades`] counts; one file has one unit.
    dump_unit: i64,
}

impl Rows {
    /// The market begins at `start_at`.
    pub fn new(layout: Layout, instruments: &[Instrument], start_at: UnixNanos) -> Self {
        let name = |instrument: &Instrument| match layout {
            Layout::Csv | Layout::BinanceTrades => Vec::new(),
            Layout::Jsonl => instrument.to_string().into_bytes(),
            Layout::BinanceRaw => format!("{}{}", instrument.base(), instrument.quote()).into_bytes(),
        };
        let dump_unit = if start_at < BINANCE_MICROS_FROM { 1_000_000 } else { 1_000 };
        Self { layout, names: instruments.iter().map(name).collect(), dump_unit }
    }

    /// The name of the file of one instrument, by which readers know it.
    pub fn file_name(layout: Layout, instrument: &Instrument, start_at: UnixNanos) -> String {
        match layout {
            Layout::BinanceTrades => {
                let (base, quote) = (instrument.base(), instrument.quote());
                let start = start_at.to_string();
                format!("{base}{quote}-trades-{}.csv", &start[..10])
            }
            Layout::Csv => format!("{}_{}.csv", instrument.venue(), instrument.symbol()),
            Layout::Jsonl => format!("{}_{}.jsonl", instrument.venue(), instrument.symbol()),
            Layout::BinanceRaw => format!("{}_{}.txt", instrument.venue(), instrument.symbol()),
        }
    }

    /// What stands before the first row.
    pub fn header(&self) -> &'static [u8] {
        match self.layout {
            Layout::Csv => b"exchange_time,trade_id,price,quantity,taker_side\n",
            Layout::Jsonl | Layout::BinanceTrades | Layout::BinanceRaw => b"",
        }
    }

    /// Appends the row of a trade, its end included.
    pub fn write(&self, index: usize, trade: &Trade, out: &mut Vec<u8>) {
        match self.layout {
            Layout::Csv => csv(trade, out),
            Layout::Jsonl => jsonl(&self.names[index], trade, out),
            Layout::BinanceTrades => binance_trades(trade, self.dump_unit, out),
            Layout::BinanceRaw => binance_raw(&self.names[index], trade, out),
        }
        out.push(b'\n');
    }
}

fn csv(trade: &Trade, out: &mut Vec<u8>) {
    trade.exchange_at.write_to(out);
    out.push(b',');
    id(trade, out);
    out.push(b',');
    trade.price.decimal().write_to(out);
    out.push(b',');
    trade.quantity.decimal().write_to(out);
    out.push(b',');
    out.extend_from_slice(side(trade));
}

fn jsonl(name: &[u8], trade: &Trade, out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"instrument\":\"");
    out.extend_from_slice(name);
    out.extend_from_slice(b"\",\"exchange_at\":\"");
    trade.exchange_at.write_to(out);
    if let Some(received_at) = trade.received_at {
        out.extend_from_slice(b"\",\"received_at\":\"");
        received_at.at().write_to(out);
    }
    out.extend_from_slice(b"\",\"trade_id\":\"");
    id(trade, out);
    out.extend_from_slice(b"\",\"price\":\"");
    trade.price.decimal().write_to(out);
    out.extend_from_slice(b"\",\"quantity\":\"");
    trade.quantity.decimal().write_to(out);
    out.extend_from_slice(b"\",\"taker_side\":\"");
    out.extend_from_slice(side(trade));
    out.extend_from_slice(b"\"}");
}

/// `id,price,quantity,quote quantity,time,buyer is maker,best match`, without a header.
fn binance_trades(trade: &Trade, unit: i64, out: &mut Vec<u8>) {
    id(trade, out);
    out.push(b',');
    trade.price.decimal().write_to(out);
    out.push(b',');
    trade.quantity.decimal().write_to(out);
    out.push(b',');
    QuoteVolume::of(trade.price, trade.quantity).write_to(out);
    out.push(b',');
    integer(trade.exchange_at.0 / unit, out);
    out.extend_from_slice(if buyer_is_maker(trade) { b",True,True" } else { b",False,True" });
}

/// `<receive time> <frame>`, the first in nanoseconds, the times in the frame in milliseconds.
fn binance_raw(name: &[u8], trade: &Trade, out: &mut Vec<u8>) {
    let received_at = trade.received_at.map_or(trade.exchange_at, Stamp::at).0;
    integer(received_at, out);
    out.extend_from_slice(b" {\"stream\":\"");
    out.extend(name.iter().map(u8::to_ascii_lowercase));
    out.extend_from_slice(b"@trade\",\"data\":{\"e\":\"trade\",\"E\":");
    integer(trade.exchange_at.0 / 1_000_000, out);
    out.extend_from_slice(b",\"s\":\"");
    out.extend_from_slice(name);
    out.extend_from_slice(b"\",\"t\":");
    id(trade, out);
    out.extend_from_slice(b",\"p\":\"");
    trade.price.decimal().write_to(out);
    out.extend_from_slice(b"\",\"q\":\"");
    trade.quantity.decimal().write_to(out);
    out.extend_from_slice(b"\",\"T\":");
    integer(trade.exchange_at.0 / 1_000_000, out);
    out.extend_from_slice(b",\"m\":");
    out.extend_from_slice(if buyer_is_maker(trade) { b"true" } else { b"false" });
    out.extend_from_slice(b",\"M\":true}}");
}

fn id(trade: &Trade, out: &mut Vec<u8>) {
    write!(out, "{}", trade.id).expect("memory takes all");
}

fn integer(value: i64, out: &mut Vec<u8>) {
    write!(out, "{value}").expect("memory takes all");
}

fn side(trade: &Trade) -> &'static [u8] {
    trade.taker_side.map_or("", Side::name).as_bytes()
}

fn buyer_is_maker(trade: &Trade) -> bool {
    trade.taker_side == Some(Side::Sell)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::decimal::{Price, Quantity};
    use crate::domain::event::TradeId;

    fn check_row(layout: Layout, start: &str, expected: &str) {
        let instrument = "binance:PEPE-USDT".parse().unwrap();
        let start_at = UnixNanos::parse_iso(start.as_bytes()).unwrap();
        let trade = Trade {
            price: Price::parse(b"0.00000712").unwrap(),
            quantity: Quantity::parse(b"1200.5").unwrap(),
            exchange_at: UnixNanos(1_714_521_600_123_000_000),
            received_at: UnixNanos(1_714_521_600_125_001_000).stamp(),
            id: TradeId::Number(17),
            taker_side: Some(Side::Sell),
            trade_count: 1,
        };
        let mut row = Vec::new();
        Rows::new(layout, &[instrument], start_at).write(0, &trade, &mut row);
        assert_eq!(String::from_utf8(row).unwrap(), format!("{expected}\n"));
    }

    #[test]
    fn rows_are_as_their_formats_say() {
        check_row(Layout::Csv, "2024-05-01", "2024-05-01T00:00:00.123Z,17,0.00000712,1200.5,sell");
        check_row(
            Layout::Jsonl,
            "2024-05-01",
            r#"{"instrument":"binance:PEPE-USDT","exchange_at":"2024-05-01T00:00:00.123Z","received_at":"2024-05-01T00:00:00.125001Z","trade_id":"17","price":"0.00000712","quantity":"1200.5","taker_side":"sell"}"#,
        );
        check_row(
            Layout::BinanceTrades,
            "2024-05-01",
            "17,0.00000712,1200.5,0.00854756,1714521600123,True,True",
        );
        check_row(
            Layout::BinanceTrades,
            "2025-01-01",
            "17,0.00000712,1200.5,0.00854756,1714521600123000,True,True",
        );
        check_row(
            Layout::BinanceRaw,
            "2024-05-01",
            r#"1714521600125001000 {"stream":"pepeusdt@trade","data":{"e":"trade","E":1714521600123,"s":"PEPEUSDT","t":17,"p":"0.00000712","q":"1200.5","T":1714521600123,"m":true,"M":true}}"#,
        );
    }
}
