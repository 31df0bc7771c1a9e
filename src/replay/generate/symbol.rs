//! One symbol of a generated market: its grids of prices and quantities, and where it begins.
//!
//! Known symbols have grids like those of real venues; any other has one made from its first
//! price. Prices and quantities are whole numbers of steps, so nothing is ever rounded to text.

use crate::domain::decimal::{Decimal, DecimalError};
use crate::domain::instrument::Instrument;
use crate::domain::venue::Venue;

/// Whole multiples of `step * 10^-scale`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grid {
    step: u64,
    scale: u32,
}

impl Grid {
    /// The value of so many steps.
    pub fn value(self, steps: u64) -> Decimal {
        Decimal::new(steps * self.step, self.scale).expect("steps stay below Grid::steps_max")
    }

    /// Most steps that a decimal holds.
    pub fn steps_max(self) -> u64 {
        const MANTISSA_MAX: u64 = 999_999_999_999_999_999;
        MANTISSA_MAX / self.step
    }
}

/// A symbol with what its market needs to begin.
#[derive(Clone, Debug)]
pub struct Symbol {
    pub instrument: Instrument,
    pub price_grid: Grid,
    pub quantity_grid: Grid,
    /// Steps of the price grid, above 0.
    pub first_price: u64,
    /// Steps of the quantity grid: half of all trades are smaller than about half of it.
    pub typical_quantity: u64,
}

struct Known {
    name: &'static str,
    price: (u64, u64, u32),
    quantity: (u64, u64, u32),
}

/// Name, (first price in steps, step, scale), (typical quantity in steps, step, scale).
const KNOWN: [Known; 9] = [
    Known { name: "BTC-USDT", price: (6_012_345, 1, 2), quantity: (1_000, 1, 5) },
    Known { name: "ETH-USDT", price: (301_234, 1, 2), quantity: (1_500, 1, 4) },
    Known { name: "SOL-USDT", price: (13_456, 1, 2), quantity: (3_000, 1, 3) },
    Known { name: "XRP-USDT", price: (5_123, 1, 4), quantity: (900, 1, 0) },
    Known { name: "DOGE-USDT", price: (13_321, 1, 5), quantity: (3_000, 1, 0) },
    Known { name: "SHIB-USDT", price: (2_345, 1, 8), quantity: (12_345_678, 1, 0) },
    Known { name: "PEPE-USDT", price: (712, 1, 8), quantity: (45_678_901, 1, 0) },
    Known { name: "BTC-USD", price: (6_012_345, 1, 2), quantity: (1_000_000, 1, 8) },
    Known { name: "BTC-IDR", price: (975_432, 1_000, 0), quantity: (400_000, 1, 8) },
];

impl Symbol {
    /// Reads `BASE-QUOTE` or `BASE-QUOTE@PRICE`; `Err` is a sentence fragment.
    pub fn parse(text: &str, venue: &Venue) -> Result<Self, String> {
        let (name, price) = match text.split_once('@') {
            Some((name, price)) => (name, Some(price)),
            None => (text, None),
        };
        let instrument = Instrument::new(venue.clone(), name).map_err(|error| error.to_string())?;
        match (price, KNOWN.iter().find(|known| known.name == name)) {
            (None, Some(known)) => Ok(Self {
                instrument,
                price_grid: Grid { step: known.price.1, scale: known.price.2 },
                quantity_grid: Grid { step: known.quantity.1, scale: known.quantity.2 },
                first_price: known.price.0,
                typical_quantity: known.quantity.0,
            }),
            (price, _) => {
                let price = price.unwrap_or("100");
                Self::made(instrument, price).map_err(|error| {
                    format!("its first price {price:?} {error} (allowed is 10^-11 to 10^12)")
                })
            }
        }
    }

    /// A symbol without a known grid: one that shows the price with at least five digits.
    fn made(instrument: Instrument, price: &str) -> Result<Self, DecimalError> {
        /// So that a price step is a small fraction of the price.
        const STEPS_MIN: u128 = 10_000;
        const UNITS_PER_ONE: u128 = 1_000_000_000_000_000;
        /// Quote currency of a typical trade.
        const TYPICAL_VALUE: u128 = 500;

        let units = Decimal::parse(price.as_bytes())?.units();
        if units > UNITS_PER_ONE * 1_000_000_000_000 {
            return Err(DecimalError::TooLarge);
        }
        if units < STEPS_MIN {
            return Err(if units == 0 { DecimalError::Zero } else { DecimalError::TooFine });
        }
        let mut unit = UNITS_PER_ONE;
        let mut scale = 0;
        while units / unit < STEPS_MIN {
            unit /= 10;
            scale += 1;
        }
        let first_price = u64::try_from(units / unit).expect("at most 10^12 whole ones");
        // Quantities become finer as the price grows, so that a typical trade has 1,000 steps or more.
        let mut quantity_scale = 0;
        while TYPICAL_VALUE * UNITS_PER_ONE * 10u128.pow(quantity_scale) / units < 1_000 {
            quantity_scale += 1;
        }
        let typical = TYPICAL_VALUE * UNITS_PER_ONE * 10u128.pow(quantity_scale) / units;
        Ok(Self {
            instrument,
            price_grid: Grid { step: 1, scale },
            quantity_grid: Grid { step: 1, scale: quantity_scale },
            first_price,
            typical_quantity: u64::try_from(typical).expect("at most 500 over 10^-11"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_symbol(text: &str, price: &str, price_step: &str, quantity_step: &str) {
        let symbol = Symbol::parse(text, &Venue::new("binance").unwrap()).unwrap();
        let shown = (
            symbol.price_grid.value(symbol.first_price).to_string(),
            symbol.price_grid.value(1).to_string(),
            symbol.quantity_grid.value(1).to_string(),
        );
        assert_eq!(shown, (price.to_owned(), price_step.to_owned(), quantity_step.to_owned()), "{text}");
        assert!(symbol.typical_quantity >= 100, "{text}");
    }

    #[test]
    fn symbols_have_the_grids_of_their_price() {
        check_symbol("BTC-USDT", "60123.45", "0.01", "0.00001");
        check_symbol("PEPE-USDT", "0.00000712", "0.00000001", "1");
        check_symbol("BTC-IDR", "975432000", "1000", "0.00000001");
        check_symbol("WIF-USDT@2.85", "2.85", "0.0001", "0.1");
        check_symbol("NEW-USDT", "100", "0.01", "0.001");
        check_symbol("BTC-USDT@70000", "70000", "1", "0.000001");
        check_symbol("DUST-BTC@0.00000000001", "0.00000000001", "0.000000000000001", "1");
        check_symbol("BTC-IRR@1000000000000", "1000000000000", "1", "0.0000000000001");
    }

    #[test]
    fn what_is_no_symbol_is_refused() {
        let venue = Venue::new("binance").unwrap();
        for text in [
            "BTCUSDT",
            "btc-usdt",
            "BTC-USDT@",
            "BTC-USDT@0",
            "BTC-USDT@-1",
            "BTC-USDT@1e5",
            "BTC-USDT@1000000000001",
            "BTC-USDT@0.000000000001",
        ] {
            assert!(Symbol::parse(text, &venue).is_err(), "{text}");
        }
    }
}
