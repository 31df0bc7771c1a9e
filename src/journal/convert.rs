//! From the nouns of the domain to records and back.
//!
//! What is read is turned into domain values again, with the domain's own checks: a record
//! that no writer could have made is an error in words, never a wrong value and never a panic.

use ethnum::U256;

use crate::domain::candle::{Ohlc, Origin};
use crate::domain::closed::{Closed, Said};
use crate::domain::decimal::{Amount, Decimal, Price, Quantity};
use crate::domain::divergence::Divergence;
use crate::domain::event::{Event, ReadyCandle, Side, Trade, TradeId, Unfillable, WatchStatus};
use crate::domain::instrument::Instrument;
use crate::domain::interval::TimeInterval;
use crate::domain::time::UnixNanos;
use crate::domain::venue::IdRule;
use crate::journal::record::{
    ArchivedCandleRecord, ArchivedClosedRecord, ArchivedDivergenceRecord, ArchivedStatusRecord,
    ArchivedTradeRecord, ArchivedUnfillableRecord, CANDLE_ORIGIN_MASK, CANDLE_PRICES, CANDLE_QUOTE_VOLUME,
    CANDLE_TAKER_BUY_VOLUME, CANDLE_TRADE_COUNT, CLOSED_HELD, CLOSED_QUIET, CLOSED_SAID_MASK, CandleRecord,
    ClosedRecord, DivergenceRecord, TRADE_BUY, TRADE_ID_MASK, TRADE_ID_NUMBER, TRADE_ID_TEXT, TRADE_RECEIVED,
    TRADE_SELL, TradeRecord, Wide,
};

const ID_BYTES_BITS: u32 = 8;
const ID_OFFSET_MAX: u64 = u32::MAX as u64;

/// Whether the trade can be written: its id, where it is a text, must be one that
/// [`TradeId::parse`] gives.
#[inline]
pub fn check_trade(trade: &Trade) -> Result<(), &'static str> {
    match &trade.id {
        TradeId::Text(text) if !matches!(TradeId::parse(text), Some(TradeId::Text(_))) => {
            Err("trade id is no text that a venue sends")
        }
        _ => Ok(()),
    }
}

/// Bytes that the trade adds to a run.
#[inline]
pub fn trade_bytes(trade: &Trade) -> usize {
    size_of::<TradeRecord>() + if let TradeId::Text(text) = &trade.id { text.len() } else { 0 }
}

#[inline]
pub fn trade_record(trade: &Trade, instrument: u32, position: u64, text: &mut Vec<u8>) -> TradeRecord {
    let (mut flags, id) = match &trade.id {
        TradeId::Absent => (0, 0),
        TradeId::Number(number) => (TRADE_ID_NUMBER, *number),
        TradeId::Text(id) => {
            let offset = text.len() as u64;
            text.extend_from_slice(id.as_bytes());
            (TRADE_ID_TEXT, offset << ID_BYTES_BITS | id.len() as u64)
        }
    };
    flags |= match trade.taker_side {
        None => 0,
        Some(Side::Buy) => TRADE_BUY,
        Some(Side::Sell) => TRADE_SELL,
    };
    if trade.received_at.is_some() {
        flags |= TRADE_RECEIVED;
    }
    TradeRecord {
        position,
        price: trade.price.decimal().to_bits(),
        quantity: trade.quantity.decimal().to_bits(),
        exchange_at: trade.exchange_at.0,
        received_at: trade.received_at.map_or(0, |stamp| stamp.at().0),
        id,
        instrument,
        trade_count: trade.trade_count,
        flags,
    }
}

#[inline(always)]
pub fn trade(record: &ArchivedTradeRecord, text: &[u8]) -> Result<Trade, &'static str> {
    let flags = record.flags.to_native();
    if flags > (TRADE_RECEIVED << 1) - 1 {
        return Err("trade has flags that no trade has");
    }
    let id = match flags & TRADE_ID_MASK {
        0 => TradeId::Absent,
        TRADE_ID_NUMBER => TradeId::Number(record.id.to_native()),
        TRADE_ID_TEXT => id_text(record.id.to_native(), text)?,
        _ => return Err("trade has flags that no trade has"),
    };
    Ok(Trade {
        price: price(record.price.to_native())?,
        quantity: Decimal::from_bits(record.quantity.to_native())
            .and_then(|value| Quantity::new(value).ok())
            .ok_or("quantity is no decimal above zero")?,
        exchange_at: UnixNanos(record.exchange_at.to_native()),
        received_at: (flags & TRADE_RECEIVED != 0)
            .then_some(UnixNanos(record.received_at.to_native()))
            .and_then(UnixNanos::stamp),
        id,
        taker_side: match flags & (TRADE_BUY | TRADE_SELL) {
            0 => None,
            TRADE_BUY => Some(Side::Buy),
            TRADE_SELL => Some(Side::Sell),
            _ => return Err("trade has two taker sides"),
        },
        trade_count: record.trade_count.to_native(),
    })
}

#[inline]
fn price(bits: u64) -> Result<Price, &'static str> {
    Decimal::from_bits(bits).and_then(|value| Price::new(value).ok()).ok_or("price is no decimal above zero")
}

#[cold]
fn id_text(place: u64, text: &[u8]) -> Result<TradeId, &'static str> {
    let (offset, bytes) = (place >> ID_BYTES_BITS, place & ((1 << ID_BYTES_BITS) - 1));
    if offset > ID_OFFSET_MAX {
        return Err("trade id lies outside of the text");
    }
    let id = slice_text(text, offset as u32, bytes as u32)?;
    match TradeId::parse(id) {
        Some(TradeId::Text(id)) => Ok(TradeId::Text(id)),
        _ => Err("trade id is no text that a venue sends"),
    }
}

/// The text of `bytes` bytes at `offset`.
pub fn slice_text(text: &[u8], offset: u32, bytes: u32) -> Result<&str, &'static str> {
    let end = u64::from(offset) + u64::from(bytes);
    let slice = usize::try_from(end).ok().and_then(|end| text.get(offset as usize..end));
    let slice = slice.ok_or("text lies outside of its block")?;
    std::str::from_utf8(slice).map_err(|_| "text is not UTF-8")
}

/// The `count` items from `first` on.
pub fn slice_items<I>(items: &[I], first: u32, count: u32) -> Result<&[I], &'static str> {
    let end = u64::from(first) + u64::from(count);
    let slice = usize::try_from(end).ok().and_then(|end| items.get(first as usize..end));
    slice.ok_or("items lie outside of their block")
}

pub fn candle_record(
    candle: &ReadyCandle,
    instrument: u32,
    position: u64,
) -> Result<CandleRecord, &'static str> {
    let mut flags = match candle.origin {
        Origin::Trades => 0,
        Origin::Venue => 1,
        Origin::File => 2,
    };
    let mut flag = |known: bool, bit: u32| flags |= if known { bit } else { 0 };
    flag(candle.prices.is_some(), CANDLE_PRICES);
    flag(candle.quote_volume.is_some(), CANDLE_QUOTE_VOLUME);
    flag(candle.trade_count.is_some(), CANDLE_TRADE_COUNT);
    flag(candle.taker_buy_volume.is_some(), CANDLE_TAKER_BUY_VOLUME);
    let bits = |price: fn(&Ohlc) -> Price| candle.prices.as_ref().map_or(0, |p| price(p).decimal().to_bits());
    Ok(CandleRecord {
        position,
        interval_nanos: candle.interval.nanos(),
        open_at: candle.open_at.0,
        open: bits(|p| p.open),
        high: bits(|p| p.high),
        low: bits(|p| p.low),
        close: bits(|p| p.close),
        volume: wide(candle.volume)?,
        quote_volume: candle.quote_volume.map_or(Ok([0; 4]), wide)?,
        taker_buy_volume: candle.taker_buy_volume.map_or(Ok([0; 4]), wide)?,
        trade_count: candle.trade_count.unwrap_or(0),
        instrument,
        flags,
    })
}

pub fn candle(record: &ArchivedCandleRecord) -> Result<ReadyCandle, &'static str> {
    let flags = record.flags.to_native();
    let known = |bit: u32| flags & bit != 0;
    if flags > (CANDLE_TAKER_BUY_VOLUME << 1) - 1 {
        return Err("candle has flags that no candle has");
    }
    let nanos = record.interval_nanos.to_native();
    let prices = if known(CANDLE_PRICES) {
        Some(Ohlc {
            open: price(record.open.to_native())?,
            high: price(record.high.to_native())?,
            low: price(record.low.to_native())?,
            close: price(record.close.to_native())?,
        })
    } else {
        None
    };
    Ok(ReadyCandle {
        interval: interval(nanos).ok_or("candle has an unknown interval")?,
        open_at: UnixNanos(record.open_at.to_native()),
        prices,
        volume: amount(record.volume.map(|word| word.to_native()))?,
        quote_volume: known(CANDLE_QUOTE_VOLUME)
            .then(|| amount(record.quote_volume.map(|word| word.to_native())))
            .transpose()?,
        trade_count: known(CANDLE_TRADE_COUNT).then_some(record.trade_count.to_native()),
        taker_buy_volume: known(CANDLE_TAKER_BUY_VOLUME)
            .then(|| amount(record.taker_buy_volume.map(|word| word.to_native())))
            .transpose()?,
        origin: match flags & CANDLE_ORIGIN_MASK {
            0 => Origin::Trades,
            1 => Origin::Venue,
            2 => Origin::File,
            _ => return Err("candle has an unknown origin"),
        },
    })
}

fn interval(nanos: i64) -> Option<TimeInterval> {
    TimeInterval::all().find(|interval| interval.nanos() == nanos)
}

/// Amounts are held to the limit of their text: sums of them must never overflow.
fn within_limits<const SCALE: u32>(units: U256) -> Result<U256, &'static str> {
    if units < U256::new(10).pow(SCALE + 36) { Ok(units) } else { Err("amount is 10^36 or more") }
}

fn wide<const SCALE: u32>(amount: Amount<SCALE>) -> Result<Wide, &'static str> {
    let (high, low) = within_limits::<SCALE>(amount.units())?.into_words();
    Ok([low as u64, (low >> 64) as u64, high as u64, (high >> 64) as u64])
}

fn amount<const SCALE: u32>(words: Wide) -> Result<Amount<SCALE>, &'static str> {
    let pair = |low: u64, high: u64| u128::from(high) << 64 | u128::from(low);
    let units = U256::from_words(pair(words[2], words[3]), pair(words[0], words[1]));
    within_limits::<SCALE>(units).map(Amount::from_units)
}

pub fn unfillable_number(reason: Unfillable) -> u32 {
    match reason {
        Unfillable::NotAtVenue => 0,
        Unfillable::OutOfReach => 1,
        Unfillable::Refused => 2,
    }
}

pub fn unfillable(record: &ArchivedUnfillableRecord) -> Result<Event, &'static str> {
    let reason = match record.reason.to_native() {
        0 => Unfillable::NotAtVenue,
        1 => Unfillable::OutOfReach,
        2 => Unfillable::Refused,
        _ => return Err("missing ids have an unknown reason"),
    };
    let (first_id, last_id) = (record.first_id.to_native(), record.last_id.to_native());
    if first_id > last_id {
        return Err("missing ids end before they begin");
    }
    Ok(Event::Unfillable { first_id, last_id, reason })
}

pub fn status_number(status: WatchStatus) -> u32 {
    match status {
        WatchStatus::Live => 0,
        WatchStatus::Stale => 1,
        WatchStatus::Down => 2,
        WatchStatus::Unlisted => 3,
    }
}

pub fn status(record: &ArchivedStatusRecord) -> Result<Event, &'static str> {
    let status = match record.status.to_native() {
        0 => WatchStatus::Live,
        1 => WatchStatus::Stale,
        2 => WatchStatus::Down,
        3 => WatchStatus::Unlisted,
        _ => return Err("instrument has an unknown status"),
    };
    Ok(Event::Status { venue_at: UnixNanos(record.venue_at.to_native()), status })
}

/// No name holds a comma.
pub fn names_text(instruments: &[Instrument]) -> String {
    instruments.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
}

fn names(text: &str) -> Result<Vec<Instrument>, &'static str> {
    let names = text.split(',').filter(|name| !name.is_empty());
    names.map(|name| name.parse().map_err(|_| "divergence names no instrument")).collect()
}

/// All but its places.
pub fn divergence_record(divergence: &Divergence) -> DivergenceRecord {
    DivergenceRecord {
        position: 0,
        close_at: divergence.close_at.0,
        since: divergence.since.0,
        interval_nanos: divergence.interval.nanos(),
        cause_seq: divergence.cause_seq,
        price: divergence.price.decimal().to_bits(),
        apart: divergence.apart.to_bits(),
        premium: divergence.premium.to_bits(),
        spread: divergence.spread.to_bits(),
        z: divergence.z.to_bits(),
        z_min: divergence.z_min.to_bits(),
        score: divergence.score.to_bits(),
        threshold: divergence.threshold.to_bits(),
        tail: divergence.tail.to_bits(),
        instrument: 0,
        complete: u32::from(divergence.complete),
        text: 0,
        against_bytes: 0,
        missing_bytes: 0,
        zero: 0,
    }
}

pub fn divergence(record: &ArchivedDivergenceRecord, text: &[u8]) -> Result<Event, &'static str> {
    let (at, against) = (record.text.to_native(), record.against_bytes.to_native());
    let missing_at = at.checked_add(against).ok_or("text lies outside of its block")?;
    let divergence = Divergence {
        interval: interval(record.interval_nanos.to_native()).ok_or("divergence has an unknown interval")?,
        close_at: UnixNanos(record.close_at.to_native()),
        since: UnixNanos(record.since.to_native()),
        cause_seq: record.cause_seq.to_native(),
        price: price(record.price.to_native())?,
        against: names(slice_text(text, at, against)?)?,
        missing: names(slice_text(text, missing_at, record.missing_bytes.to_native())?)?,
        apart: f64::from_bits(record.apart.to_native()),
        premium: f64::from_bits(record.premium.to_native()),
        spread: f64::from_bits(record.spread.to_native()),
        z: f64::from_bits(record.z.to_native()),
        z_min: f64::from_bits(record.z_min.to_native()),
        score: f64::from_bits(record.score.to_native()),
        threshold: f64::from_bits(record.threshold.to_native()),
        tail: f64::from_bits(record.tail.to_native()),
        complete: match record.complete.to_native() {
            0 => false,
            1 => true,
            _ => return Err("divergence has flags that none has"),
        },
    };
    divergence.check()?;
    Ok(Event::Divergence(Box::new(divergence)))
}

/// All but its place.
pub fn closed_record(closed: &Closed) -> ClosedRecord {
    let (said, price) = match closed.said {
        Said::Price(price) => (0, price.decimal().to_bits()),
        Said::Nothing => (1, 0),
        Said::Hole => (2, 0),
    };
    let flag = |is_set: bool, bit: u32| if is_set { bit } else { 0 };
    ClosedRecord {
        position: 0,
        close_at: closed.close_at.0,
        cause_seq: closed.cause_seq,
        price,
        instrument: 0,
        flags: said | flag(closed.is_quiet, CLOSED_QUIET) | flag(closed.is_held, CLOSED_HELD),
    }
}

pub fn closed(record: &ArchivedClosedRecord) -> Result<Closed, &'static str> {
    let flags = record.flags.to_native();
    if flags > (CLOSED_HELD << 1) - 1 {
        return Err("closed candle has flags that none has");
    }
    Ok(Closed {
        close_at: UnixNanos(record.close_at.to_native()),
        said: match flags & CLOSED_SAID_MASK {
            0 => Said::Price(price(record.price.to_native())?),
            1 => Said::Nothing,
            2 => Said::Hole,
            _ => return Err("closed candle has flags that none has"),
        },
        cause_seq: record.cause_seq.to_native(),
        is_quiet: flags & CLOSED_QUIET != 0,
        is_held: flags & CLOSED_HELD != 0,
    })
}

pub fn rule_number(rule: IdRule) -> u32 {
    match rule {
        IdRule::Contiguous => 0,
        IdRule::Sparse => 1,
        IdRule::Absent => 2,
    }
}

pub fn rule(number: u32) -> Result<IdRule, &'static str> {
    match number {
        0 => Ok(IdRule::Contiguous),
        1 => Ok(IdRule::Sparse),
        2 => Ok(IdRule::Absent),
        _ => Err("instrument has an unknown rule of trade ids"),
    }
}
