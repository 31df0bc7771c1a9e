//! A tally of all that one instrument has told: how much, and a hash of it in its order.
//!
//! Two runs that told the same have equal tallies, wherever they were interrupted: that is how a
//! live session is held against the replay of its own journal. The hash is fast and has 128 bits: it finds
//! accidents, and defends against nobody.

use std::borrow::Cow;
use std::sync::Arc;

use ethnum::U256;

use crate::domain::candle::{Candle, CandleState, Origin};
use crate::domain::data_state::DataState;
use crate::domain::decimal::Amount;
use crate::domain::event::{Side, Trade, TradeId};
use crate::domain::insight::{Anomaly, Evidence, Fact, Forecast, Signal};
use crate::domain::interval::Interval;
use crate::domain::output::{Gap, HeldBack, IndicatorSnapshot, Output, OutputSink};

/// How many outputs were told, and their hash.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    pub count: u64,
    pub hash: [u64; 2],
}

/// A sink that counts what passes through it.
pub struct Tallied<'a, S> {
    pub tally: &'a mut Tally,
    pub out: &'a mut S,
}

impl<S: OutputSink> OutputSink for Tallied<'_, S> {
    #[inline]
    fn accept(&mut self, cause_seq: u64, output: Output<'_>) {
        self.tally.take(cause_seq, output);
        self.out.accept(cause_seq, output);
    }

    fn forecasting<T>(&mut self, step: impl FnOnce() -> T) -> T {
        self.out.forecasting(step)
    }

    fn held_back(&mut self, detector: &Arc<str>, why: HeldBack) {
        self.out.held_back(detector, why);
    }
}

impl Tally {
    /// Counts one output. What follows from others alone, outcomes and scores, does not count.
    #[inline]
    pub fn take(&mut self, cause_seq: u64, output: Output<'_>) {
        if matches!(output, Output::Outcome(_) | Output::Score(_)) {
            return;
        }
        self.count += 1;
        match output {
            Output::Trade(trade) => self.trade(cause_seq, trade),
            Output::Candle(candle) => self.candle(cause_seq, candle),
            Output::Indicator(snapshot) => self.indicator(cause_seq, snapshot),
            Output::Gap(gap) => self.gap(cause_seq, gap),
            Output::Anomaly(anomaly) => self.anomaly(cause_seq, anomaly),
            Output::Forecast(forecast) => self.forecast(cause_seq, forecast),
            Output::Signal(signal) => self.signal(cause_seq, signal),
            Output::Refused { at, reason } => {
                self.pair(cause_seq, 8);
                self.pair(at.0, 0);
                self.text(&reason.to_string());
            }
            Output::Outcome(_) | Output::Score(_) => {}
        }
    }

    /// Two words at a time: the products do not wait for each other.
    #[inline]
    fn pair(&mut self, x: u64, y: u64) {
        let [a, b] = self.hash;
        let first = fold(a ^ x ^ SPREAD[0], y ^ SPREAD[1]);
        let second = fold(b ^ y ^ SPREAD[2], x ^ SPREAD[3]);
        self.hash = [first ^ b.rotate_left(29), second ^ a.rotate_left(41)];
    }

    fn text(&mut self, text: &str) {
        self.pair(text.len() as u64, 0);
        for bytes in text.as_bytes().chunks(16) {
            let mut words = [0; 16];
            words[..bytes.len()].copy_from_slice(bytes);
            let word = |half: usize| u64::from_le_bytes(std::array::from_fn(|i| words[half * 8 + i]));
            self.pair(word(0), word(1));
        }
    }

    fn amount<const SCALE: u32>(&mut self, amount: Amount<SCALE>) {
        self.units(Some(amount.units()));
    }

    fn units(&mut self, units: Option<U256>) {
        let Some((high, low)) = units.map(U256::into_words) else { return self.pair(1, u64::MAX) };
        self.pair(low as u64, (low >> 64) as u64);
        if high > 0 {
            self.pair(high as u64, (high >> 64) as u64);
        }
    }

    fn interval(&mut self, interval: Interval) {
        let (kind, parameter) = match interval {
            Interval::Time(time) => (0, time.nanos().cast_unsigned()),
            Interval::Ticks(n) => (1, n),
            Interval::Volume(x) => (2, x.to_bits()),
            Interval::Value(x) => (3, x.to_bits()),
            Interval::TickImbalance(n) => (4, n),
            Interval::VolumeImbalance(x) => (5, x.to_bits()),
            Interval::TickRun(n) => (6, n),
        };
        self.pair(kind, parameter);
    }

    #[inline]
    fn trade(&mut self, cause_seq: u64, trade: &Trade) {
        let side = match trade.taker_side {
            None => 0,
            Some(Side::Buy) => 1,
            Some(Side::Sell) => 2,
        };
        self.pair(cause_seq, 1 | side << 8 | u64::from(trade.trade_count) << 16);
        self.pair(trade.price.decimal().to_bits(), trade.quantity.decimal().to_bits());
        let received_at = trade.received_at.map_or(u64::MAX, |stamp| stamp.at().0.cast_unsigned());
        self.pair(trade.exchange_at.0.cast_unsigned(), received_at);
        match &trade.id {
            TradeId::Absent => self.pair(0, 0),
            TradeId::Number(number) => self.pair(1, *number),
            TradeId::Text(text) => self.text(text),
        }
    }

    fn candle(&mut self, cause_seq: u64, candle: &Candle) {
        let state = match candle.state {
            CandleState::Traded => 0,
            CandleState::Empty => 1,
            CandleState::Partial => 2,
            CandleState::Unknown => 3,
        };
        let origin = match candle.origin {
            Origin::Trades => 0,
            Origin::Venue => 1,
            Origin::File => 2,
        };
        self.pair(cause_seq, 2 | state << 8 | origin << 16 | u64::from(candle.revision) << 32);
        self.interval(candle.interval);
        self.pair(candle.open_at.0.cast_unsigned(), candle.close_at.0.cast_unsigned());
        let Some(prices) = candle.prices else { return };
        self.pair(prices.open.decimal().to_bits(), prices.high.decimal().to_bits());
        self.pair(prices.low.decimal().to_bits(), prices.close.decimal().to_bits());
        self.amount(candle.volume);
        self.units(candle.quote_volume.map(Amount::units));
        self.units(candle.taker_buy_volume.map(Amount::units));
        self.units(candle.taker_buy_quote_volume.map(Amount::units));
        self.pair(u64::from(candle.trade_count.is_some()), candle.trade_count.unwrap_or(0));
    }

    #[inline]
    fn indicator(&mut self, cause_seq: u64, snapshot: &IndicatorSnapshot<'_>) {
        let shape = (snapshot.values.len() as u64) << 8 | data_state(snapshot.data_state) << 16;
        self.pair(cause_seq, 3 | shape | u64::from(snapshot.revision) << 32);
        self.interval(snapshot.interval);
        self.pair(snapshot.open_at.0.cast_unsigned(), snapshot.position as u64);
        for values in snapshot.values.chunks(2) {
            self.pair(values[0].to_bits(), values.get(1).map_or(0, |value| value.to_bits()));
        }
    }

    fn gap(&mut self, cause_seq: u64, gap: &Gap) {
        self.pair(cause_seq, 4);
        self.pair(gap.id.0, 0);
        self.pair(gap.first_missing_id.unwrap_or(0), gap.last_missing_id.unwrap_or(0));
        self.pair(gap.from.0.cast_unsigned(), gap.to.0.cast_unsigned());
        self.text(gap.kind.name());
        self.text(gap.state.name());
        self.text(gap.reason.map_or("", |reason| reason.name()));
    }

    fn anomaly(&mut self, cause_seq: u64, anomaly: &Anomaly) {
        self.pair(cause_seq, 5 | data_state(anomaly.data_state) << 16 | u64::from(anomaly.revision) << 32);
        self.pair(anomaly.id.0, anomaly.exchange_at.0.cast_unsigned());
        self.text(&anomaly.detector);
        self.text(anomaly.channel);
        self.interval(anomaly.interval);
        self.pair(anomaly.score.to_bits(), anomaly.threshold.to_bits());
        self.evidence(&anomaly.evidence);
    }

    fn forecast(&mut self, cause_seq: u64, forecast: &Forecast) {
        self.pair(cause_seq, 6 | data_state(forecast.data_state) << 16 | u64::from(forecast.revision) << 32);
        self.pair(forecast.id.0, u64::from(forecast.horizon));
        self.pair(forecast.made_at.0.cast_unsigned(), forecast.target_at.0.cast_unsigned());
        self.text(&forecast.model);
        self.text(forecast.target.name());
        self.text(forecast.role.name());
        self.interval(forecast.interval);
        self.pair(forecast.forecast.to_bits(), forecast.naive.to_bits());
        self.pair(forecast.lower.to_bits(), forecast.upper.to_bits());
        self.pair(forecast.level.to_bits(), forecast.skill.map_or(u64::MAX, f64::to_bits));
    }

    fn signal(&mut self, cause_seq: u64, signal: &Signal) {
        self.pair(cause_seq, 7 | data_state(signal.data_state) << 16);
        self.pair(signal.id.0, signal.exchange_at.0.cast_unsigned());
        self.pair(signal.score.to_bits(), signal.models.len() as u64);
        for text in [signal.kind.name(), signal.name, signal.severity.name(), &signal.message] {
            self.text(text);
        }
        self.text(signal.action.map_or("", |action| action.name()));
        signal.models.iter().for_each(|model| self.text(model));
        self.evidence(&signal.evidence);
    }

    fn evidence(&mut self, evidence: &Evidence) {
        self.pair(evidence.0.len() as u64, 0);
        for (name, fact) in &evidence.0 {
            self.text(name);
            let text = match fact {
                Fact::Number(number) => {
                    self.pair(0, number.to_bits());
                    continue;
                }
                Fact::Count(count) => {
                    self.pair(1, count.cast_unsigned());
                    continue;
                }
                Fact::At(at) => {
                    self.pair(2, at.0.cast_unsigned());
                    continue;
                }
                Fact::Text(text) => Cow::Borrowed(&**text),
                Fact::Decimal(text) => Cow::Borrowed(text.as_str()),
            };
            self.pair(3, 0);
            self.text(&text);
        }
    }
}

fn data_state(state: DataState) -> u64 {
    match state {
        DataState::Complete => 0,
        DataState::Partial => 1,
    }
}

/// Halves of one bits, in no order: fractions of the golden ratio and of the roots of 2, 3 and 5.
const SPREAD: [u64; 4] =
    [0x9E37_79B9_7F4A_7C15, 0x6A09_E667_F3BC_C909, 0xBB67_AE85_84CA_A73B, 0x3C6E_F372_FE94_F82B];

/// Both halves of a product, folded together.
#[inline]
fn fold(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    (product >> 64) as u64 ^ product as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::fields::{price, quantity};
    use crate::domain::output::{GapId, GapKind, GapState, Position, Refusal};
    use crate::domain::time::UnixNanos;

    fn trade(id: u64) -> Trade {
        Trade {
            price: price(b"61000.5").unwrap(),
            quantity: quantity(b"0.1").unwrap(),
            exchange_at: UnixNanos(1_700_000_000_000_000_000),
            received_at: None,
            id: TradeId::Number(id),
            taker_side: Some(Side::Buy),
            trade_count: 1,
        }
    }

    fn tally_of(tell: impl Fn(&mut Tally)) -> Tally {
        let mut tally = Tally::default();
        tell(&mut tally);
        tally
    }

    #[test]
    fn order_and_every_field_count() {
        let base = trade(7);
        let gap = Gap {
            id: GapId(1),
            kind: GapKind::Ids,
            first_missing_id: Some(1),
            last_missing_id: Some(2),
            from: UnixNanos(3),
            to: UnixNanos(4),
            state: GapState::Open,
            reason: None,
        };
        let filled = Gap { state: GapState::Filled, ..gap.clone() };
        let told = |seq: u64, trade: Trade| tally_of(|tally| tally.take(seq, Output::Trade(&trade)));
        let refused =
            |at, reason| tally_of(|tally| tally.take(1, Output::Refused { at: Position(at), reason }));
        let all = [
            Tally::default(),
            told(1, base.clone()),
            told(2, base.clone()),
            told(1, trade(8)),
            told(1, Trade { price: price(b"61000.6").unwrap(), ..base.clone() }),
            told(1, Trade { quantity: quantity(b"0.2").unwrap(), ..base.clone() }),
            told(1, Trade { exchange_at: UnixNanos(1), ..base.clone() }),
            told(1, Trade { received_at: UnixNanos(1).stamp(), ..base.clone() }),
            told(1, Trade { taker_side: None, ..base.clone() }),
            told(1, Trade { trade_count: 2, ..base.clone() }),
            told(1, Trade { id: TradeId::Text("7".into()), ..base.clone() }),
            tally_of(|tally| tally.take(1, Output::Gap(&gap))),
            tally_of(|tally| tally.take(1, Output::Gap(&filled))),
            refused(1, Refusal::IdMissing),
            refused(2, Refusal::IdMissing),
            refused(1, Refusal::Misaligned),
        ];
        for (i, tally) in all.iter().enumerate() {
            for other in &all[..i] {
                assert_ne!(tally.hash, other.hash, "{i}");
            }
        }
        let both = |first: u64, second: u64| {
            tally_of(|tally| {
                tally.take(1, Output::Trade(&trade(first)));
                tally.take(2, Output::Trade(&trade(second)));
            })
        };
        assert_eq!((both(1, 2), both(1, 2).count), (both(1, 2), 2));
        assert_ne!(both(1, 2), both(2, 1));
    }
}
