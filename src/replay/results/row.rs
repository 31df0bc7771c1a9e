//! Rows as they wait to be written: an ordered key, and bytes that only this run reads back.
//!
//! The key of a row is its identity, and its place in the files: instrument, table,
//! interval (by its text), open time, position. Only the order of the instruments is
//! decided later, by name; until then they have numbers.
//!
//! A candle is some 90 bytes, an indicator with three values 26.

use ethnum::U256;

use crate::domain::candle::{Candle, CandleState, Ohlc, Origin};
use crate::domain::data_state::DataState;
use crate::domain::decimal::{Amount, Decimal, Price};
use crate::domain::event::Unfillable;
use crate::domain::interval::Interval;
use crate::domain::output::{Gap, GapId, GapKind, GapState};
use crate::domain::time::UnixNanos;
use crate::replay::roster::InstrumentIndex;

/// Which file a row belongs to; their order is that of an instrument's digest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Table {
    Candles,
    Indicators,
    Gaps,
    Anomalies,
    Forecasts,
    Signals,
}

/// The identity of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    pub instrument: InstrumentIndex,
    pub table: Table,
    /// The interval's place among those of the run, in byte order of their texts.
    pub interval: u8,
    /// `open_at`; of gaps the id; of insights `exchange_at` or `made_at`.
    pub moment: i64,
    /// Of the indicator in the configured list; of candles the origin; of insights how many of the
    /// instrument were told before, modulo [`INSIGHTS_MAX`]: it keeps those of one moment in order.
    pub position: u32,
}

/// Insights of one instrument and table that are numbered before numbers begin anew: more than a disk holds.
pub const INSIGHTS_MAX: u32 = 1 << INSIGHT_BITS;

const POSITION_BITS: u32 = 21;
const INTERVAL_BITS: u32 = 8;
/// Insights have no interval, and speak of no moment before 1970: they have room for longer numbers.
const INSIGHT_BITS: u32 = POSITION_BITS + INTERVAL_BITS + 1;
const TABLE_SHIFT: u32 = 96 - 3;

impl Table {
    fn is_of_insights(self) -> bool {
        matches!(self, Self::Anomalies | Self::Forecasts | Self::Signals)
    }
}

impl Key {
    /// Ordered as the fields are; the sorter's group is the instrument.
    #[inline]
    pub fn pack(self) -> u128 {
        let table = match self.table {
            Table::Candles => 0u128,
            Table::Indicators => 1,
            Table::Gaps => 2,
            Table::Anomalies => 3,
            Table::Forecasts => 4,
            Table::Signals => 5,
        };
        let above = (u128::from(self.instrument.0) << 96) | (table << TABLE_SHIFT);
        let position = u128::from(self.position);
        if self.table.is_of_insights() {
            return above | (u128::from(self.moment.max(0).cast_unsigned()) << INSIGHT_BITS) | position;
        }
        // The flipped sign bit puts negative moments before positive ones.
        let moment = self.moment.cast_unsigned() ^ (1 << 63);
        let interval = u128::from(self.interval) << (POSITION_BITS + 64);
        above | interval | (u128::from(moment) << POSITION_BITS) | position
    }

    #[inline]
    pub fn unpack(key: u128) -> Self {
        let table = match (key >> TABLE_SHIFT) as u8 & 7 {
            0 => Table::Candles,
            1 => Table::Indicators,
            2 => Table::Gaps,
            3 => Table::Anomalies,
            4 => Table::Forecasts,
            _ => Table::Signals,
        };
        let instrument = InstrumentIndex((key >> 96) as u32);
        if table.is_of_insights() {
            let moment = ((key >> INSIGHT_BITS) as u64 & (u64::MAX >> 1)).cast_signed();
            return Self {
                instrument,
                table,
                interval: 0,
                moment,
                position: key as u32 & (INSIGHTS_MAX - 1),
            };
        }
        Self {
            instrument,
            table,
            interval: (key >> (POSITION_BITS + 64)) as u8,
            moment: ((key >> POSITION_BITS) as u64 ^ (1 << 63)).cast_signed(),
            position: key as u32 & ((1 << POSITION_BITS) - 1),
        }
    }
}

pub fn origin_position(origin: Origin) -> u32 {
    match origin {
        Origin::Trades => 0,
        Origin::Venue => 1,
        Origin::File => 2,
    }
}

const HAS_PRICES: u8 = 1 << 2;
const HAS_QUOTE_VOLUME: u8 = 1 << 3;
const HAS_TRADE_COUNT: u8 = 1 << 4;
const HAS_TAKER_BUY_VOLUME: u8 = 1 << 5;
const HAS_TAKER_BUY_QUOTE_VOLUME: u8 = 1 << 6;

/// A candle, and how many trade-less ones had been told before it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CandleRow {
    pub candle: Candle,
    pub told: u64,
}

/// Appends what of the candle is not in its key.
#[inline]
pub fn encode_candle(candle: &Candle, told: u64, out: &mut Vec<u8>) {
    let state = match candle.state {
        CandleState::Traded => 0,
        CandleState::Empty => 1,
        CandleState::Partial => 2,
        CandleState::Unknown => 3,
    };
    let flag = |present: bool, bit: u8| if present { bit } else { 0 };
    out.push(
        state
            | flag(candle.prices.is_some(), HAS_PRICES)
            | flag(candle.quote_volume.is_some(), HAS_QUOTE_VOLUME)
            | flag(candle.trade_count.is_some(), HAS_TRADE_COUNT)
            | flag(candle.taker_buy_volume.is_some(), HAS_TAKER_BUY_VOLUME)
            | flag(candle.taker_buy_quote_volume.is_some(), HAS_TAKER_BUY_QUOTE_VOLUME),
    );
    write_varint(u64::from(candle.revision), out);
    out.extend_from_slice(&candle.close_at.0.to_le_bytes());
    match &candle.prices {
        Some(prices) => {
            for price in [prices.open, prices.high, prices.low, prices.close] {
                out.extend_from_slice(&price.decimal().to_bits().to_le_bytes());
            }
        }
        None => write_varint(told, out),
    }
    write_amount(candle.volume, out);
    if let Some(volume) = candle.quote_volume {
        write_amount(volume, out);
    }
    if let Some(count) = candle.trade_count {
        write_varint(count, out);
    }
    if let Some(volume) = candle.taker_buy_volume {
        write_amount(volume, out);
    }
    if let Some(volume) = candle.taker_buy_quote_volume {
        write_amount(volume, out);
    }
}

/// The inverse; `None` where the bytes are not those of a candle.
pub fn decode_candle(key: Key, interval: Interval, bytes: &[u8]) -> Option<CandleRow> {
    let mut rest = bytes;
    let flags = take::<1>(&mut rest)?[0];
    let revision = u32::try_from(read_varint(&mut rest)?).ok()?;
    let close_at = UnixNanos(i64::from_le_bytes(take(&mut rest)?));
    let (mut prices, mut told) = (None, 0);
    if flags & HAS_PRICES != 0 {
        let mut price = || Price::new(Decimal::from_bits(u64::from_le_bytes(take(&mut rest)?))?).ok();
        prices = Some(Ohlc { open: price()?, high: price()?, low: price()?, close: price()? });
    } else {
        told = read_varint(&mut rest)?;
    }
    let volume = read_amount(&mut rest)?;
    let has = |bit: u8| flags & bit != 0;
    let quote_volume = if has(HAS_QUOTE_VOLUME) { Some(read_amount(&mut rest)?) } else { None };
    let trade_count = if has(HAS_TRADE_COUNT) { Some(read_varint(&mut rest)?) } else { None };
    let taker_buy_volume = if has(HAS_TAKER_BUY_VOLUME) { Some(read_amount(&mut rest)?) } else { None };
    let taker_buy_quote_volume =
        if has(HAS_TAKER_BUY_QUOTE_VOLUME) { Some(read_amount(&mut rest)?) } else { None };
    let state = [CandleState::Traded, CandleState::Empty, CandleState::Partial, CandleState::Unknown]
        [flags as usize & 3];
    let origin = *[Origin::Trades, Origin::Venue, Origin::File].get(key.position as usize)?;
    let candle = Candle {
        interval,
        open_at: UnixNanos(key.moment),
        close_at,
        prices,
        volume,
        quote_volume,
        trade_count,
        taker_buy_volume,
        taker_buy_quote_volume,
        state,
        revision,
        origin,
    };
    rest.is_empty().then_some(CandleRow { candle, told })
}

/// Appends what of an indicator's row is not in its key.
#[inline]
pub fn encode_indicator(revision: u32, data_state: DataState, values: &[f64], out: &mut Vec<u8>) {
    let partial = u64::from(data_state == DataState::Partial);
    write_varint((u64::from(revision) << 1) | partial, out);
    for value in values {
        out.extend_from_slice(&value.to_le_bytes());
    }
}

/// Revision, state and the bytes of the values.
#[inline]
pub fn decode_indicator(bytes: &[u8]) -> Option<(u32, DataState, impl Iterator<Item = f64>)> {
    let mut rest = bytes;
    let head = read_varint(&mut rest)?;
    let revision = u32::try_from(head >> 1).ok()?;
    let data_state = if head & 1 == 1 { DataState::Partial } else { DataState::Complete };
    let (values, _) = rest.as_chunks::<8>();
    Some((revision, data_state, values.iter().map(|&value| f64::from_le_bytes(value))))
}

/// Appends what of a gap is not in its key.
pub fn encode_gap(gap: &Gap, out: &mut Vec<u8>) {
    let kind = match gap.kind {
        GapKind::Ids => 0,
        GapKind::Time => 1,
        GapKind::Reset => 2,
    };
    let state = match gap.state {
        GapState::Open => 0,
        GapState::Filled => 1,
        GapState::Unfillable => 2,
    };
    let ids = gap.first_missing_id.zip(gap.last_missing_id);
    let reason = Unfillable::ALL.iter().position(|&reason| Some(reason) == gap.reason).map_or(0, |at| at + 1);
    out.extend_from_slice(&[kind, state, u8::from(ids.is_some()), reason as u8]);
    out.extend_from_slice(&gap.from.0.to_le_bytes());
    out.extend_from_slice(&gap.to.0.to_le_bytes());
    if let Some((first, last)) = ids {
        out.extend_from_slice(&first.to_le_bytes());
        out.extend_from_slice(&last.to_le_bytes());
    }
}

pub fn decode_gap(key: Key, bytes: &[u8]) -> Option<Gap> {
    let mut rest = bytes;
    let [kind, state, has_ids, reason] = take(&mut rest)?;
    let from = UnixNanos(i64::from_le_bytes(take(&mut rest)?));
    let to = UnixNanos(i64::from_le_bytes(take(&mut rest)?));
    let mut id = || Some(u64::from_le_bytes(take(&mut rest)?));
    let (mut first_missing_id, mut last_missing_id) = (None, None);
    if has_ids == 1 {
        (first_missing_id, last_missing_id) = (Some(id()?), Some(id()?));
    }
    Some(Gap {
        id: GapId(key.moment as u64),
        kind: *[GapKind::Ids, GapKind::Time, GapKind::Reset].get(usize::from(kind))?,
        first_missing_id,
        last_missing_id,
        from,
        to,
        state: *[GapState::Open, GapState::Filled, GapState::Unfillable].get(usize::from(state))?,
        reason: match usize::from(reason).checked_sub(1) {
            Some(at) => Some(*Unfillable::ALL.get(at)?),
            None => None,
        },
    })
}

#[inline]
fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (head, after) = rest.split_first_chunk::<N>()?;
    *rest = after;
    Some(*head)
}

/// Seven bits a byte, lowest first.
#[inline]
fn write_varint(value: u64, out: &mut Vec<u8>) {
    let mut rest = value;
    while rest >= 0x80 {
        out.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    out.push(rest as u8);
}

#[inline]
fn read_varint(rest: &mut &[u8]) -> Option<u64> {
    let mut value = 0u64;
    for shift in (0..64).step_by(7) {
        let [byte] = take(rest)?;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

/// A count of bytes, then as many of the sum's units, lowest first.
#[inline]
fn write_amount<const SCALE: u32>(amount: Amount<SCALE>, out: &mut Vec<u8>) {
    let units = amount.units();
    let bytes = 32 - units.leading_zeros() as usize / 8;
    out.push(bytes as u8);
    out.extend_from_slice(&units.to_le_bytes()[..bytes]);
}

#[inline]
fn read_amount<const SCALE: u32>(rest: &mut &[u8]) -> Option<Amount<SCALE>> {
    let bytes = usize::from(take::<1>(rest)?[0]);
    let (head, after) = rest.split_at_checked(bytes)?;
    let mut units = [0u8; 32];
    units.get_mut(..bytes)?.copy_from_slice(head);
    *rest = after;
    Some(Amount::from_units(U256::from_le_bytes(units)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::decimal::{QuoteVolume, Volume};

    fn candle() -> Candle {
        let price = |text: &str| Price::parse(text.as_bytes()).unwrap();
        Candle {
            interval: "1m".parse().unwrap(),
            open_at: UnixNanos(1_714_521_600_000_000_000),
            close_at: UnixNanos(1_714_521_660_000_000_000),
            prices: Some(Ohlc {
                open: price("60000.5"),
                high: price("60001"),
                low: price("0.000000000000001"),
                close: price("999999999999999999"),
            }),
            volume: Volume::parse(b"12.5").unwrap(),
            quote_volume: Some(QuoteVolume::parse(b"750006.25").unwrap()),
            trade_count: Some(300),
            taker_buy_volume: Some(Volume::parse(b"7").unwrap()),
            taker_buy_quote_volume: None,
            state: CandleState::Partial,
            revision: 200,
            origin: Origin::Trades,
        }
    }

    fn check_candle(candle: Candle, told: u64) {
        let key = Key {
            instrument: InstrumentIndex(7),
            table: Table::Candles,
            interval: 3,
            moment: candle.open_at.0,
            position: origin_position(candle.origin),
        };
        assert_eq!(Key::unpack(key.pack()), key);
        let mut bytes = Vec::new();
        encode_candle(&candle, told, &mut bytes);
        let told = if candle.prices.is_some() { 0 } else { told };
        let interval = candle.interval;
        for end in 0..bytes.len() {
            assert_eq!(decode_candle(key, interval, &bytes[..end]), None);
        }
        assert_eq!(decode_candle(key, interval, &bytes), Some(CandleRow { candle, told }));
    }

    #[test]
    fn candles_come_back_as_they_went() {
        check_candle(candle(), 0);
        let empty = Candle {
            prices: None,
            volume: Volume::ZERO,
            quote_volume: None,
            trade_count: None,
            taker_buy_volume: None,
            state: CandleState::Unknown,
            origin: Origin::File,
            open_at: UnixNanos(-5),
            ..candle()
        };
        check_candle(empty, u64::MAX);
        let vast = Candle {
            volume: Volume::from_units(U256::MAX),
            taker_buy_quote_volume: Some(QuoteVolume::from_units(U256::MAX >> 9)),
            ..candle()
        };
        check_candle(vast, 0);
    }

    #[test]
    fn gaps_come_back_as_they_went() {
        for ids in [Some((5, u64::MAX)), None] {
            let gap = Gap {
                id: GapId(0xfedc_ba98_7654_3210),
                kind: GapKind::Reset,
                first_missing_id: ids.map(|(first, _)| first),
                last_missing_id: ids.map(|(_, last)| last),
                from: UnixNanos(1),
                to: UnixNanos(2),
                state: GapState::Unfillable,
                reason: ids.map(|_| Unfillable::OutOfReach),
            };
            let key = Key {
                instrument: InstrumentIndex(0),
                table: Table::Gaps,
                interval: 0,
                moment: gap.id.0 as i64,
                position: 0,
            };
            let mut bytes = Vec::new();
            encode_gap(&gap, &mut bytes);
            assert_eq!(decode_gap(Key::unpack(key.pack()), &bytes), Some(gap));
        }
    }

    fn table() -> impl Strategy<Value = Table> {
        prop::sample::select(vec![Table::Candles, Table::Indicators, Table::Gaps])
    }

    fn key() -> impl Strategy<Value = Key> {
        let position = prop_oneof![0u32..3, 65_534u32..65_538];
        (0u32..3, table(), 0u8..3, prop_oneof![-2i64..3, any::<i64>()], position).prop_map(
            |(instrument, table, interval, moment, position)| Key {
                instrument: InstrumentIndex(instrument),
                table,
                interval,
                moment,
                position,
            },
        )
    }

    fn insight_key() -> impl Strategy<Value = Key> {
        let table = prop::sample::select(vec![Table::Anomalies, Table::Forecasts, Table::Signals]);
        let moment = prop_oneof![0i64..3, 0..=i64::MAX, Just(i64::MAX)];
        let position = prop_oneof![0u32..3, 65_534u32..65_538, INSIGHTS_MAX - 2..INSIGHTS_MAX];
        (0u32..3, table, moment, position).prop_map(|(instrument, table, moment, position)| Key {
            instrument: InstrumentIndex(instrument),
            table,
            interval: 0,
            moment,
            position,
        })
    }

    proptest! {
        #[test]
        fn keys_order_as_their_fields(
            a in prop_oneof![key(), insight_key()],
            b in prop_oneof![key(), insight_key()],
        ) {
            prop_assert_eq!(a.cmp(&b), a.pack().cmp(&b.pack()));
            prop_assert_eq!(Key::unpack(a.pack()), a);
        }

        #[test]
        fn indicators_come_back_as_they_went(
            revision: u32, partial: bool, values in prop::collection::vec(-1e300..1e300, 0..8)
        ) {
            let state = if partial { DataState::Partial } else { DataState::Complete };
            let mut bytes = Vec::new();
            encode_indicator(revision, state, &values, &mut bytes);
            let (read_revision, read_state, read_values) = decode_indicator(&bytes).unwrap();
            prop_assert_eq!((read_revision, read_state), (revision, state));
            prop_assert_eq!(read_values.collect::<Vec<f64>>(), values);
        }
    }
}
