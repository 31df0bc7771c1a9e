//! Nouns of the domain as parts of a state: trades and ready candles that wait, or are compared.

use ethnum::U256;

use crate::analytics::rolling::state::{State, StateFault};
use crate::domain::candle::{Ohlc, Origin};
use crate::domain::decimal::{Amount, Decimal, Price, Quantity};
use crate::domain::event::{ReadyCandle, Side, Trade, TradeId};
use crate::domain::interval::TimeInterval;
use crate::domain::time::UnixNanos;

/// Something to restore into.
pub fn blank_trade() -> Trade {
    let one = Decimal::new(1, 0).expect("one is a decimal");
    Trade {
        price: Price::new(one).expect("one is a price"),
        quantity: Quantity::new(one).expect("one is a quantity"),
        exchange_at: UnixNanos(0),
        received_at: None,
        id: TradeId::Absent,
        taker_side: None,
        trade_count: 1,
    }
}

/// Something to restore into.
pub fn blank_candle() -> ReadyCandle {
    ReadyCandle {
        interval: TimeInterval::all().next().expect("there are intervals"),
        open_at: UnixNanos(0),
        prices: None,
        volume: Amount::from_units(U256::ZERO),
        quote_volume: None,
        trade_count: None,
        taker_buy_volume: None,
        origin: Origin::File,
    }
}

pub fn visit_trade(trade: &mut Trade, state: &mut State<'_>) {
    visit_price(&mut trade.price, state);
    let mut bits = trade.quantity.decimal().to_bits();
    state.word(&mut bits);
    match Decimal::from_bits(bits).and_then(|value| Quantity::new(value).ok()) {
        Some(quantity) => trade.quantity = quantity,
        None => state.fault(StateFault::Impossible("quantity is no decimal above zero")),
    }
    state.i64(&mut trade.exchange_at.0);
    let mut received_at = trade.received_at.map(|stamp| stamp.at().0.cast_unsigned());
    state.option_word(&mut received_at);
    trade.received_at = received_at.and_then(|at| UnixNanos(at.cast_signed()).stamp());
    visit_id(&mut trade.id, state);
    let sides = [None, Some(Side::Buy), Some(Side::Sell)];
    let mut side = sides.iter().position(|side| *side == trade.taker_side).unwrap_or(0);
    state.index(&mut side, sides.len() - 1);
    trade.taker_side = sides[side];
    state.u32(&mut trade.trade_count);
}

pub fn visit_origin(origin: &mut Origin, state: &mut State<'_>) {
    let all = [Origin::Trades, Origin::Venue, Origin::File];
    let mut at = all.iter().position(|one| one == origin).unwrap_or(0);
    state.index(&mut at, all.len() - 1);
    *origin = all[at];
}

pub fn visit_candle(candle: &mut ReadyCandle, state: &mut State<'_>) {
    let mut nanos = candle.interval.nanos();
    state.i64(&mut nanos);
    match TimeInterval::all().find(|interval| interval.nanos() == nanos) {
        Some(interval) => candle.interval = interval,
        None => state.fault(StateFault::Impossible("candle of an unknown interval")),
    }
    state.i64(&mut candle.open_at.0);
    let mut some = candle.prices.is_some();
    state.bool(&mut some);
    let one = blank_trade().price;
    candle.prices =
        some.then(|| candle.prices.unwrap_or(Ohlc { open: one, high: one, low: one, close: one }));
    if let Some(prices) = &mut candle.prices {
        for price in [&mut prices.open, &mut prices.high, &mut prices.low, &mut prices.close] {
            visit_price(price, state);
        }
    }
    visit_amount(&mut candle.volume, state);
    visit_option_amount(&mut candle.quote_volume, state);
    state.option_word(&mut candle.trade_count);
    visit_option_amount(&mut candle.taker_buy_volume, state);
    visit_origin(&mut candle.origin, state);
}

fn visit_price(price: &mut Price, state: &mut State<'_>) {
    let mut bits = price.decimal().to_bits();
    state.word(&mut bits);
    match Decimal::from_bits(bits).and_then(|value| Price::new(value).ok()) {
        Some(restored) => *price = restored,
        None => state.fault(StateFault::Impossible("price is no decimal above zero")),
    }
}

fn visit_amount<const SCALE: u32>(amount: &mut Amount<SCALE>, state: &mut State<'_>) {
    let (high, low) = amount.units().into_words();
    let mut words = [low as u64, (low >> 64) as u64, high as u64, (high >> 64) as u64];
    words.iter_mut().for_each(|word| state.word(word));
    let pair = |low: u64, high: u64| u128::from(high) << 64 | u128::from(low);
    *amount = Amount::from_units(U256::from_words(pair(words[2], words[3]), pair(words[0], words[1])));
}

fn visit_option_amount<const SCALE: u32>(amount: &mut Option<Amount<SCALE>>, state: &mut State<'_>) {
    let mut some = amount.is_some();
    state.bool(&mut some);
    *amount = some.then(|| amount.unwrap_or(Amount::from_units(U256::ZERO)));
    if let Some(amount) = amount {
        visit_amount(amount, state);
    }
}

/// A text is its length in bytes, then its bytes by eights.
fn visit_id(id: &mut TradeId, state: &mut State<'_>) {
    let mut kind = match id {
        TradeId::Absent => 0,
        TradeId::Number(_) => 1,
        TradeId::Text(_) => 2,
    };
    state.index(&mut kind, 2);
    match kind {
        0 => *id = TradeId::Absent,
        1 => {
            let mut number = if let TradeId::Number(number) = id { *number } else { 0 };
            state.word(&mut number);
            *id = TradeId::Number(number);
        }
        _ => {
            let mut bytes = if let TradeId::Text(text) = id { text.as_bytes().to_vec() } else { Vec::new() };
            let mut len = bytes.len();
            state.index(&mut len, TradeId::BYTES_MAX);
            bytes.resize(len, 0);
            for eight in bytes.chunks_mut(8) {
                let mut word = [0; 8];
                word[..eight.len()].copy_from_slice(eight);
                let mut word = u64::from_le_bytes(word);
                state.word(&mut word);
                eight.copy_from_slice(&word.to_le_bytes()[..eight.len()]);
            }
            match String::from_utf8(bytes) {
                Ok(text) => *id = TradeId::Text(text.into()),
                Err(_) => state.fault(StateFault::Impossible("trade id is no text")),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check<T: PartialEq + std::fmt::Debug>(mut saved: T, mut blank: T, visit: fn(&mut T, &mut State<'_>)) {
        let mut words = Vec::new();
        visit(&mut saved, &mut State::Save(&mut words));
        let mut state = State::load(&words);
        visit(&mut blank, &mut state);
        assert_eq!((&blank, state.finish()), (&saved, Ok(())));
        for cut in 0..words.len() {
            let mut state = State::load(&words[..cut]);
            visit(&mut blank, &mut state);
            assert_eq!(state.finish(), Err(StateFault::TooShort));
        }
    }

    #[test]
    fn trades_come_back_whole() {
        let numbered = Trade {
            received_at: UnixNanos(-1).stamp(),
            id: TradeId::Number(u64::MAX),
            taker_side: Some(Side::Sell),
            ..blank_trade()
        };
        check(numbered.clone(), blank_trade(), visit_trade);
        let texts = ["x", "12345678", "f7496ecb-b174-4bd4-9d4e"];
        for text in texts {
            let id = TradeId::Text(text.into());
            check(Trade { id, trade_count: 7, ..blank_trade() }, numbered.clone(), visit_trade);
        }
        check(blank_trade(), numbered, visit_trade);
    }

    #[test]
    fn candles_come_back_whole() {
        let one = blank_trade().price;
        let full = ReadyCandle {
            interval: TimeInterval::all().nth(3).expect("there are sixteen"),
            open_at: UnixNanos(77),
            prices: Some(Ohlc { open: one, high: one, low: one, close: one }),
            volume: Amount::from_units(U256::from_words(3, 4)),
            quote_volume: Some(Amount::from_units(U256::MAX)),
            trade_count: Some(9),
            taker_buy_volume: Some(Amount::from_units(U256::ZERO)),
            origin: Origin::Venue,
        };
        check(full.clone(), blank_candle(), visit_candle);
        check(blank_candle(), full, visit_candle);
    }
}
