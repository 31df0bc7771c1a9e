//! The tape of one symbol: every trade that is made, in order, before anything goes wrong.
//!
//! Orders arrive by a Hawkes process; each takes a side (that of the order before it, more
//! often than not), and becomes one trade, or several at one moment and ever worse prices.
//! Ids rise by one. Exchange times are whole units of the venue's clock and never fall.

use crate::domain::event::Side;
use crate::domain::time::{LATEST_TRADE, NANOS_PER_SECOND};
use crate::replay::generate::conditions::Conditions;
use crate::replay::generate::hawkes::{Hawkes, Step};
use crate::replay::generate::label::LabelLog;
use crate::replay::generate::parameters::Parameters;
use crate::replay::generate::price::Walk;
use crate::replay::generate::random::Random;
use crate::replay::generate::symbol::Symbol;

/// A trade as it was made, in steps of its symbol's grids.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Print {
    pub id: u64,
    pub exchange_at: i64,
    pub price: u64,
    pub quantity: u64,
    pub side: Side,
}

/// The maker of one symbol's trades.
pub struct Tape {
    conditions: Conditions,
    hawkes: Hawkes,
    walk: Walk,
    arrivals: Random,
    orders: Random,
    sizes: Random,

    burst_chance: f64,
    burst_trades: f64,
    side_persistence: f64,
    size_tail: f64,
    typical_quantity: f64,
    quantity_max: f64,
    unit: i64,
    end_at: i64,

    now: i64,
    /// Until when the price has moved.
    walked_at: i64,
    side: Side,
    fills_left: u64,
    depth: u64,
    next_id: u64,
    last_id: u64,
}

impl Tape {
    /// The parameters have no problems.
    pub fn new(parameters: &Parameters, index: usize, symbol: &Symbol) -> Self {
        let stream = |name: &str| Random::new(parameters.seed, &format!("{}/{name}", symbol.instrument));
        let venue_stream = Random::new(parameters.seed, &format!("{}/silences", symbol.instrument.venue()));
        let unit = parameters.clock_unit.nanos();
        let start_at = parameters.start_at().expect("parameters were checked").0;
        let start_at = start_at - start_at.rem_euclid(unit);
        let end_at = match parameters.duration_seconds {
            0 => LATEST_TRADE.0,
            seconds => i64::try_from(seconds)
                .ok()
                .and_then(|s| s.checked_mul(NANOS_PER_SECOND))
                .and_then(|length| start_at.checked_add(length))
                .map_or(LATEST_TRADE.0, |end| end.min(LATEST_TRADE.0)),
        };
        // Of the trades, `share` shall come in bursts; of the orders, this many are bursts.
        let (share, length) = (parameters.burst_share, parameters.burst_trades);
        let burst_chance = share / (share + length * (1.0 - share));
        let order_rate = parameters.rate / (burst_chance * length + 1.0 - burst_chance);
        let last_id = match parameters.trades_per_symbol {
            0 => u64::MAX,
            count => parameters.first_id.saturating_add(count - 1),
        };
        Self {
            conditions: Conditions::new(parameters, index, start_at, end_at, stream, venue_stream),
            hawkes: Hawkes::new(order_rate, parameters.branching, parameters.decay),
            walk: Walk::new(
                stream("price"),
                symbol.first_price,
                parameters.volatility,
                order_rate,
                symbol.price_grid.steps_max(),
            ),
            arrivals: stream("arrivals"),
            orders: stream("orders"),
            sizes: stream("sizes"),
            burst_chance,
            burst_trades: length,
            side_persistence: parameters.side_persistence,
            size_tail: parameters.size_tail,
            typical_quantity: symbol.typical_quantity as f64,
            quantity_max: (symbol.typical_quantity as f64 * 1e5)
                .min(symbol.quantity_grid.steps_max() as f64 / 4.0),
            unit,
            end_at,
            now: start_at,
            walked_at: start_at,
            side: Side::Buy,
            fills_left: 0,
            depth: 0,
            next_id: parameters.first_id,
            last_id,
        }
    }

    /// The next trade; `None` at the end of the market.
    pub fn next(&mut self, log: &mut LabelLog) -> Option<Print> {
        if self.next_id > self.last_id {
            return None;
        }
        if self.fills_left == 0 {
            self.wait_for_order(log)?;
            self.walk_until_now();
            self.take_order();
        } else {
            /// Steps beyond which no order eats into the book.
            const DEPTH_MAX: u64 = 64;
            let deeper = self.depth < DEPTH_MAX && self.orders.chance(0.5);
            self.depth += u64::from(deeper);
        }
        self.fills_left -= 1;
        let climate = self.conditions.climate();
        let quantity = self.typical_quantity * climate.size * self.sizes.lomax(self.size_tail);
        let print = Print {
            id: self.next_id,
            exchange_at: self.now - self.now.rem_euclid(self.unit),
            price: self.walk.taken(self.side, climate.half_spread, self.depth),
            quantity: 1 + quantity.min(self.quantity_max) as u64,
            side: self.side,
        };
        if self.fills_left == 0 {
            self.walk.push(self.side);
        }
        self.next_id += 1;
        Some(print)
    }

    /// Time goes on to the next order, through all changes on the way.
    fn wait_for_order(&mut self, log: &mut LabelLog) -> Option<()> {
        loop {
            let change_at = self.conditions.next_at();
            let activity = self.conditions.climate().activity;
            match self.hawkes.step(&mut self.arrivals, activity, change_at - self.now) {
                Step::Arrival(wait) => {
                    self.now += wait;
                    return Some(());
                }
                Step::Nothing if change_at >= self.end_at => return None,
                Step::Nothing => {
                    self.now = change_at;
                    self.walk_until_now();
                    if let Some(jump) = self.conditions.turn(&mut |label| log.tell(label)) {
                        self.walk.jump(jump);
                    }
                    if self.conditions.climate().activity == 0.0 {
                        self.hawkes.calm();
                    }
                }
            }
        }
    }

    fn walk_until_now(&mut self) {
        let seconds = (self.now - self.walked_at) as f64 / 1e9;
        let climate = self.conditions.climate();
        self.walk.pass(seconds, climate.volatility, climate.drift);
        self.walked_at = self.now;
    }

    fn take_order(&mut self) {
        /// How often an anomaly's orders take the side it favours.
        const FAVOUR: f64 = 0.85;
        self.side = match self.conditions.climate().favoured {
            Some(side) if self.orders.chance(FAVOUR) => side,
            _ if self.orders.chance(self.side_persistence) => self.side,
            _ => other(self.side),
        };
        self.depth = 0;
        self.fills_left = match self.orders.chance(self.burst_chance) {
            true => 1 + self.orders.geometric(self.burst_trades - 1.0),
            false => 1,
        };
    }
}

fn other(side: Side) -> Side {
    match side {
        Side::Buy => Side::Sell,
        Side::Sell => Side::Buy,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::venue::Venue;
    use crate::replay::generate::label::LabelKind;

    fn prints(parameters: &Parameters, symbol: &str) -> (Vec<Print>, LabelLog) {
        let symbol = Symbol::parse(symbol, &Venue::new("binance").unwrap()).unwrap();
        let mut tape = Tape::new(parameters, 0, &symbol);
        let mut log = LabelLog::keeping();
        let prints = std::iter::from_fn(|| tape.next(&mut log)).collect();
        (prints, log)
    }

    #[test]
    fn a_tape_is_in_order_and_within_its_time() {
        let parameters =
            Parameters { anomalies_per_hour: 6.0, duration_seconds: 36_000, ..Parameters::default() };
        let (prints, _) = prints(&parameters, "PEPE-USDT");
        let start = parameters.start_at().unwrap().0;
        for pair in prints.windows(2) {
            assert_eq!(pair[0].id + 1, pair[1].id);
            assert!(pair[0].exchange_at <= pair[1].exchange_at);
        }
        for print in &prints {
            assert!((start..start + 36_000 * NANOS_PER_SECOND).contains(&print.exchange_at));
            assert!(print.price > 0 && print.quantity > 0 && print.exchange_at % 1_000_000 == 0);
        }
        assert_eq!(prints[0].id, parameters.first_id);
    }

    #[test]
    fn the_market_is_as_the_parameters_say() {
        let parameters = Parameters { duration_seconds: 100_000, rate: 4.0, ..Parameters::clean() };
        let (prints, _) = prints(&parameters, "BTC-USDT");
        let rate = prints.len() as f64 / 100_000.0;
        assert!((rate / 4.0 - 1.0).abs() < 0.03, "rate {rate}");
        // Trades that share their time with a neighbour; few orders meet in a millisecond.
        let alike = |a: &Print, b: &Print| a.exchange_at == b.exchange_at;
        let burst = prints.windows(3).filter(|w| alike(&w[0], &w[1]) || alike(&w[1], &w[2])).count();
        let share = burst as f64 / prints.len() as f64;
        assert!((share - 0.25).abs() < 0.02, "share in bursts {share}");
        let orders: Vec<&Print> = prints.windows(2).filter(|w| !alike(&w[0], &w[1])).map(|w| &w[1]).collect();
        let same = orders.windows(2).filter(|w| w[0].side == w[1].side).count() as f64 / orders.len() as f64;
        assert!((same - 0.7).abs() < 0.01, "same side {same}");
        // Of a Lomax distribution with exponent 1.8, so many are above ten times the scale.
        let large = prints.iter().filter(|p| p.quantity > 10_001).count() as f64 / prints.len() as f64;
        let expected = libm::exp(-1.8 * libm::log(11.0));
        assert!((large / expected - 1.0).abs() < 0.1, "share of large trades {large}, not {expected}");
    }

    #[test]
    fn silences_are_silent_and_the_same_for_all() {
        let parameters =
            Parameters { silences_per_hour: 10.0, duration_seconds: 36_000, ..Parameters::default() };
        let silences = |symbol: &str| {
            let (prints, mut log) = prints(&parameters, symbol);
            let mut silences = log.take();
            silences.retain(|l| l.kind == LabelKind::Silence);
            for label in &silences {
                let inside = |p: &&Print| (label.from.0..label.to.0).contains(&p.exchange_at);
                assert_eq!(prints.iter().find(inside), None, "{label:?}");
            }
            silences
        };
        let silences_of_btc = silences("BTC-USDT");
        assert!(silences_of_btc.len() > 50);
        assert_eq!(silences_of_btc, silences("PEPE-USDT"));
    }

    /// Mean rate, mean quantity and price move (as fractions of the calm ones) in anomalies of a kind.
    fn check_anomaly(kind: LabelKind, check: impl Fn(f64, f64, f64) -> bool) {
        let parameters = Parameters {
            anomalies_per_hour: 4.0,
            duration_seconds: 400_000,
            volatility: 0.1,
            burst_share: 0.0,
            ..Parameters::clean()
        };
        let (prints, mut log) = prints(&parameters, "BTC-USDT");
        let (mut seconds, mut count, mut quantity, mut moved, mut episodes) = (0.0, 0.0, 0.0, 0.0, 0.0);
        for label in log.take().iter().filter(|l| l.kind == kind) {
            let middle = (label.from.0 + label.to.0) / 2;
            let first = prints.partition_point(|p| p.exchange_at < label.from.0);
            let half = prints.partition_point(|p| p.exchange_at < middle);
            let end = prints.partition_point(|p| p.exchange_at < label.to.0);
            if half <= first + 1 || label.to.0 == label.from.0 {
                continue;
            }
            seconds += (label.to.0 - label.from.0) as f64 / 1e9;
            count += (end - first) as f64;
            quantity += prints[first..end].iter().map(|p| p.quantity as f64).sum::<f64>();
            let rise = prints[half - 1].price as f64 / prints[first].price as f64 - 1.0;
            moved += rise / label.magnitude.to_f64();
            episodes += 1.0;
        }
        assert!(episodes > 20.0);
        let (rate, size, move_share) =
            (count / seconds / 2.0, quantity / count / (1_000.0 / 0.8), moved / episodes);
        assert!(check(rate, size, move_share), "{kind:?}: {rate} {size} {move_share}");
    }

    #[test]
    fn anomalies_do_what_their_labels_say() {
        check_anomaly(LabelKind::Pump, |rate, _, moved| rate > 3.0 && (moved - 1.0).abs() < 0.15);
        check_anomaly(LabelKind::Crash, |rate, _, moved| rate > 3.0 && (moved - 1.0).abs() < 0.15);
        check_anomaly(LabelKind::VolumeBurst, |rate, size, _| rate > 4.0 && size > 2.0);
        check_anomaly(LabelKind::WideSpread, |rate, size, _| rate < 0.7 && size < 1.5);
    }

    #[test]
    fn a_limit_of_trades_ends_the_tape() {
        let parameters = Parameters { trades_per_symbol: 10, duration_seconds: 0, ..Parameters::default() };
        assert_eq!(prints(&parameters, "BTC-USDT").0.len(), 10);
    }
}
