//! The price: a random walk of its middle, and what a taker gets on either side of it.
//!
//! The middle moves in proportion to itself: a normal step whose variance grows with time, a
//! drift, jumps (R. C. Merton, "Option pricing when underlying stock returns are
//! discontinuous", Journal of Financial Economics 3, 1976), and a push by each order in its
//! own direction. It stays within a thousandth and the thousandfold of the first price. What
//! is paid is a whole number of price steps.

use crate::domain::event::Side;
use crate::replay::generate::random::Random;

const SECONDS_PER_YEAR: f64 = 31_536_000.0;

/// The middle price of one symbol, in steps of its grid.
pub struct Walk {
    random: Random,
    middle: f64,
    low: f64,
    high: f64,
    /// Fraction a square root of a second.
    volatility: f64,
    /// Fraction by which an order moves the middle.
    push: f64,
}

impl Walk {
    /// `volatility` a year; `order_rate` orders a second; `steps_max` bounds the price.
    pub fn new(random: Random, first: u64, volatility: f64, order_rate: f64, steps_max: u64) -> Self {
        /// Part of the movement between two orders that the order itself brings about.
        const PUSH_SHARE: f64 = 0.2;

        let first = first as f64;
        let volatility = volatility / SECONDS_PER_YEAR.sqrt();
        Self {
            random,
            middle: first,
            // Below a few steps the walk could not move any more.
            low: (first / 1_000.0).max(5.0).min(first),
            high: (first * 1_000.0).min(steps_max as f64 / 4.0),
            volatility,
            push: (PUSH_SHARE * volatility / order_rate.sqrt()).min(0.001),
        }
    }

    /// Time passes: `seconds`, with the volatility times `factor` and a drift (fraction a second).
    pub fn pass(&mut self, seconds: f64, factor: f64, drift: f64) {
        if seconds > 0.0 {
            let spread = self.volatility * factor * seconds.sqrt();
            let step = spread * self.random.normal() + drift * seconds;
            self.shift(step);
        }
    }

    /// The price jumps by so many millionths of itself.
    pub fn jump(&mut self, millionths: i64) {
        self.shift(millionths as f64 / 1e6);
    }

    /// An order pushes the price in its direction.
    pub fn push(&mut self, side: Side) {
        self.shift(if side == Side::Buy { self.push } else { -self.push });
    }

    /// What the taker gets, in steps: the first whole number at least `half_spread` (a fraction)
    /// off the middle on its side, and `depth` further; so two sides are a step apart or more.
    pub fn taken(&self, side: Side, half_spread: f64, depth: u64) -> u64 {
        let away = self.middle * half_spread;
        match side {
            Side::Buy => (self.middle + away).ceil() as u64 + depth,
            Side::Sell => ((self.middle - away).floor() as u64).saturating_sub(depth).max(1),
        }
    }

    fn shift(&mut self, fraction: f64) {
        // One step never takes more than half of the price, whatever the volatility.
        self.middle = (self.middle * (1.0 + fraction.clamp(-0.5, 0.5))).clamp(self.low, self.high);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn walk(first: u64, volatility: f64) -> Walk {
        Walk::new(Random::new(3, "price"), first, volatility, 1.0, 1_000_000_000_000_000)
    }

    #[test]
    fn the_walk_has_its_volatility() {
        let mut walk = walk(1_000_000_000, 1.0);
        let mut squares = 0.0;
        for _ in 0..100_000 {
            let before = walk.middle;
            walk.pass(0.25, 2.0, 0.0);
            let step = walk.middle / before - 1.0;
            squares += step * step;
        }
        let variance_a_second = squares / 25_000.0;
        let expected = 4.0 / SECONDS_PER_YEAR;
        assert!((variance_a_second / expected - 1.0).abs() < 0.02, "{variance_a_second} is not {expected}");
    }

    #[test]
    fn takers_pay_the_spread() {
        let mut walk = walk(10_000, 1.0);
        assert_eq!((walk.taken(Side::Sell, 0.0, 0), walk.taken(Side::Buy, 0.0, 0)), (10_000, 10_000));
        assert_eq!((walk.taken(Side::Sell, 0.001, 0), walk.taken(Side::Buy, 0.001, 0)), (9_990, 10_010));
        assert_eq!((walk.taken(Side::Sell, 0.001, 3), walk.taken(Side::Buy, 0.001, 3)), (9_987, 10_013));
        assert_eq!(walk.taken(Side::Sell, 0.0, 20_000), 1);
        walk.jump(20);
        assert_eq!((walk.taken(Side::Sell, 0.0, 0), walk.taken(Side::Buy, 0.0, 0)), (10_000, 10_001));
    }

    #[test]
    fn the_price_stays_within_its_bounds() {
        for (first, fraction) in
            [(1, 0.4), (1, -0.4), (712, -0.4), (712, 0.4), (1 << 40, 0.4), (1 << 40, -0.4)]
        {
            let mut walk = walk(first, 100.0);
            for _ in 0..1_000 {
                walk.pass(1e9, 3.0, fraction);
                walk.jump((fraction * 1e6) as i64);
                for side in [Side::Buy, Side::Sell] {
                    let taken = walk.taken(side, 0.01, 1_000);
                    assert!((1..=1_000_000_000_000_000).contains(&taken), "{taken}");
                }
            }
        }
    }
}
