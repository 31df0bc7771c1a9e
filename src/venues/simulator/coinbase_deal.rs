//! How Coinbase tells a trade, over websocket and REST alike: the side is the maker's, times have microseconds.

use crate::domain::event::Side;
use crate::domain::time::UnixNanos;
use crate::venues::simulator::history::Deal;
use crate::venues::simulator::json::pad;

/// Who waited in the book: the other side of who crossed the spread.
pub fn maker_side(deal: &Deal) -> Side {
    match deal.taker_side {
        Side::Buy => Side::Sell,
        Side::Sell => Side::Buy,
    }
}

/// Always with microseconds.
pub fn write_time(at: UnixNanos, out: &mut Vec<u8>) {
    let start = out.len();
    at.write_to(out);
    // `Z` stands last; what is before it gets all its digits.
    out.pop();
    pad(start, 6, out);
    out.push(b'Z');
}
