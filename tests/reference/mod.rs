//! What a recording's candles are, computed the slow way.
//!
//! Plain and independent: it reads the whole recording, sorts it, and looks at every interval by
//! itself, with text and 256-bit integers of its own. It shares no code with the pipeline but the
//! types of its input. What the pipeline tells last must be exactly this, whatever the order of
//! arrival. Not covered: ids that restart, ready candles, moments without a listener.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use ethnum::U256;
use tapewatch::domain::event::{Side, Trade, TradeId};
use tapewatch::domain::venue::IdRule;

const SECOND: i64 = 1_000_000_000;
/// Trade-less intervals beyond which a stretch is one row.
const STRETCH: usize = 3_600;
/// How many ids of a venue without contiguous ones are remembered.
const REMEMBERED: usize = 2_048;

/// The last revision of a candle, as text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    pub interval: String,
    pub open_at: i64,
    pub close_at: i64,
    pub state: String,
    /// Open, high, low, close.
    pub prices: Option<[String; 4]>,
    pub volume: String,
    pub quote_volume: String,
    pub trade_count: u64,
    pub taker_buy_volume: String,
    pub taker_buy_quote_volume: String,
    pub vwap: Option<String>,
}

/// A run of ids that never came.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Hole {
    pub first_missing: u64,
    pub last_missing: u64,
    pub from: i64,
    pub to: i64,
}

/// What was taken and what was not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    pub trades: u64,
    pub duplicates: u64,
    pub conflicting: u64,
    pub late: u64,
    pub refused: u64,
}

/// A recording, read once.
pub struct Recording {
    /// Accepted, in order of arrival.
    accepted: Vec<Trade>,
    rule: IdRule,
    grace: i64,
    pub tally: Tally,
}

impl Recording {
    /// `trades` in order of arrival; `grace` in nanoseconds.
    pub fn read(trades: &[Trade], rule: IdRule, grace: i64) -> Self {
        let mut accepted: Vec<Trade> = Vec::new();
        let mut tally = Tally::default();
        let mut firsts: BTreeMap<String, Trade> = BTreeMap::new();
        let mut remembered: VecDeque<String> = VecDeque::new();
        let mut newest = i64::MIN;
        for trade in trades {
            if rule == IdRule::Contiguous && !matches!(trade.id, TradeId::Number(_)) {
                tally.refused += 1;
                continue;
            }
            let id = trade.id.to_string();
            if rule != IdRule::Absent && !id.is_empty() {
                if let Some(first) = firsts.get(&id) {
                    let equal = first.price == trade.price
                        && first.quantity == trade.quantity
                        && first.exchange_at == trade.exchange_at
                        && first.taker_side == trade.taker_side;
                    let copies = if equal { &mut tally.duplicates } else { &mut tally.conflicting };
                    *copies += 1;
                    continue;
                }
                firsts.insert(id.clone(), trade.clone());
                remembered.push_back(id);
                if rule == IdRule::Sparse && remembered.len() > REMEMBERED {
                    let oldest = remembered.pop_front().expect("it is longer than nothing");
                    firsts.remove(&oldest);
                }
            }
            if newest != i64::MIN && newest - trade.exchange_at.0 > grace {
                tally.late += 1;
            }
            newest = newest.max(trade.exchange_at.0);
            tally.trades += 1;
            accepted.push(trade.clone());
        }
        Self { accepted, rule, grace, tally }
    }

    /// Runs of missing ids between the lowest and the highest that came, and the times of the
    /// trades on either side.
    pub fn holes(&self) -> Vec<Hole> {
        if self.rule != IdRule::Contiguous {
            return Vec::new();
        }
        let times: BTreeMap<u64, i64> = self.accepted.iter().map(|t| (number(t), t.exchange_at.0)).collect();
        let known: Vec<(u64, i64)> = times.into_iter().collect();
        known
            .windows(2)
            .filter(|pair| pair[1].0 > pair[0].0 + 1)
            .map(|pair| Hole {
                first_missing: pair[0].0 + 1,
                last_missing: pair[1].0 - 1,
                from: pair[0].1,
                to: pair[1].1,
            })
            .collect()
    }

    /// Every row of one time interval, in order.
    pub fn rows(&self, interval: &str) -> Vec<Row> {
        let (Some(first), Some(newest)) = (
            self.accepted.iter().map(|t| t.exchange_at.0).min(),
            self.accepted.iter().map(|t| t.exchange_at.0).max(),
        ) else {
            return Vec::new();
        };
        let length = length_of(interval);
        let holes = self.holes();
        let mut inside: BTreeMap<i64, Vec<&Trade>> = BTreeMap::new();
        for trade in self.in_order() {
            inside.entry(open_of(interval, trade.exchange_at.0)).or_default().push(trade);
        }

        let mut rows: Vec<Row> = Vec::new();
        let mut open_at = open_of(interval, first);
        while open_at <= newest {
            let close_at = open_at + length;
            let trades = inside.get(&open_at).map_or(&[][..], Vec::as_slice);
            let watching_began_here = first >= open_at && first < close_at;
            let in_a_hole = holes.iter().any(|hole| hole.from < close_at && hole.to >= open_at);
            let not_over = close_at + self.grace > newest;
            let unsure = watching_began_here || in_a_hole || not_over;
            let state = match (trades.is_empty(), unsure) {
                (false, false) => "traded",
                (false, true) => "partial",
                (true, false) => "empty",
                (true, true) => "unknown",
            };
            rows.push(row(interval, open_at, close_at, state, trades));
            open_at = close_at;
        }
        join_stretches(rows)
    }

    /// By exchange time, then by id where it is a number, then by arrival.
    fn in_order(&self) -> Vec<&Trade> {
        let mut trades: Vec<&Trade> = self.accepted.iter().collect();
        // The sort is stable, so that arrival decides what is left open.
        trades.sort_by_key(|trade| {
            let id = match trade.id {
                TradeId::Number(number) => number,
                _ => 0,
            };
            (trade.exchange_at.0, id)
        });
        trades
    }
}

/// Rows of more than [`STRETCH`] neighbours without a trade and of one state become one.
fn join_stretches(rows: Vec<Row>) -> Vec<Row> {
    let mut joined: Vec<Row> = Vec::new();
    let mut i = 0;
    while i < rows.len() {
        let mut end = i + 1;
        if rows[i].prices.is_none() {
            while end < rows.len() && rows[end].prices.is_none() && rows[end].state == rows[i].state {
                end += 1;
            }
        }
        if end - i > STRETCH {
            joined.push(Row { close_at: rows[end - 1].close_at, ..rows[i].clone() });
        } else {
            joined.extend_from_slice(&rows[i..end]);
        }
        i = end;
    }
    joined
}

fn row(interval: &str, open_at: i64, close_at: i64, state: &str, trades: &[&Trade]) -> Row {
    let price = |trade: &Trade| units(&trade.price.decimal().to_string());
    let quantity = |trade: &Trade| units(&trade.quantity.decimal().to_string());
    let (mut volume, mut quote, mut buys, mut quote_buys) = (U256::ZERO, U256::ZERO, U256::ZERO, U256::ZERO);
    let mut count = 0;
    let mut prices: Option<[U256; 4]> = None;
    for trade in trades {
        let (p, q) = (price(trade), quantity(trade));
        volume += q;
        quote += p * q;
        if trade.taker_side == Some(Side::Buy) {
            buys += q;
            quote_buys += p * q;
        }
        count += u64::from(trade.trade_count);
        prices = match prices {
            None => Some([p, p, p, p]),
            Some([open, high, low, _]) => Some([open, high.max(p), low.min(p), p]),
        };
    }
    Row {
        interval: interval.to_owned(),
        open_at,
        close_at,
        state: state.to_owned(),
        prices: prices.map(|prices| prices.map(|p| text(p, 15))),
        volume: text(volume, 15),
        quote_volume: text(quote, 30),
        trade_count: count,
        taker_buy_volume: text(buys, 15),
        taker_buy_quote_volume: text(quote_buys, 30),
        vwap: (volume > U256::ZERO).then(|| text(half_even(quote, volume * U256::new(1_000)), 12)),
    }
}

fn number(trade: &Trade) -> u64 {
    match trade.id {
        TradeId::Number(number) => number,
        _ => panic!("only numbers are accepted where ids are contiguous"),
    }
}

/// Nanoseconds.
fn length_of(interval: &str) -> i64 {
    let (count, unit) = interval.split_at(interval.len() - 1);
    let count: i64 = count.parse().expect("a time interval");
    let unit = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 60 * 60,
        "d" => 24 * 60 * 60,
        "w" => 7 * 24 * 60 * 60,
        _ => panic!("a time interval"),
    };
    count * unit * SECOND
}

fn open_of(interval: &str, at: i64) -> i64 {
    // 1970-01-05 was a Monday.
    let origin = if interval.ends_with('w') { 4 * 24 * 60 * 60 * SECOND } else { 0 };
    let length = length_of(interval);
    origin + (at - origin).div_euclid(length) * length
}

/// Decimal text in units of 10^-15.
fn units(decimal: &str) -> U256 {
    let (whole, fraction) = decimal.split_once('.').unwrap_or((decimal, ""));
    let digits = format!("{whole}{fraction:0<15}");
    digits.bytes().fold(U256::ZERO, |sum, digit| sum * U256::new(10) + U256::new(u128::from(digit - b'0')))
}

/// Units of 10^-`scale` as decimal text without trailing zeros.
fn text(units: U256, scale: usize) -> String {
    // Most rows hold no trade at all.
    if units == U256::ZERO {
        return "0".to_owned();
    }
    let digits = units.to_string();
    let digits = format!("{}{digits}", "0".repeat((scale + 1).saturating_sub(digits.len())));
    let point = digits.len() - scale;
    let fraction = digits[point..].trim_end_matches('0');
    if fraction.is_empty() { digits[..point].to_owned() } else { format!("{}.{fraction}", &digits[..point]) }
}

fn half_even(numerator: U256, denominator: U256) -> U256 {
    let (quotient, remainder) = (numerator / denominator, numerator % denominator);
    let odd = quotient % U256::new(2) == U256::ONE;
    match (remainder * U256::new(2)).cmp(&denominator) {
        std::cmp::Ordering::Greater => quotient + U256::ONE,
        std::cmp::Ordering::Equal if odd => quotient + U256::ONE,
        _ => quotient,
    }
}

/// Holes as a set, for comparing.
pub fn as_set(holes: Vec<Hole>) -> BTreeSet<Hole> {
    holes.into_iter().collect()
}
