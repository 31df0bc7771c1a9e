//! Where a simulated venue's trades come from: a recording or a generated market, handed in by the
//! composition root.

use crate::domain::decimal::{Decimal, Price, Quantity};
use crate::domain::event::Side;
use crate::domain::time::UnixNanos;

/// One market of the simulated venue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listing {
    /// `BASE-QUOTE`.
    pub symbol: String,
    /// Smallest steps of price and quantity, where the source knows them.
    pub price_step: Option<Decimal>,
    pub quantity_step: Option<Decimal>,
}

/// A trade to be made. The venue gives it its id, and its own time of now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Draw {
    /// Place in [`Tape::listings`].
    pub symbol: usize,
    pub price: Price,
    pub quantity: Quantity,
    pub taker_side: Side,
    /// When it happened at its source: what the pace follows. Never falls from one draw to the next.
    pub at: UnixNanos,
}

/// A row of trades, ended or endless. Read on the thread of the simulator: it may block, but briefly.
pub trait Tape: Send {
    fn listings(&self) -> &[Listing];

    /// Trades from before the venue was started, at their own times, in order; asked for once, before the first draw.
    fn past(&mut self) -> Vec<Draw> {
        Vec::new()
    }

    /// The next trade; `None`: there are no more, and the market falls silent.
    fn draw(&mut self) -> Option<Draw>;
}
