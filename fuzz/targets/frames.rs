//! Frames of every dialect from any text: what is told is sound, nothing panics.
//!
//! The first byte picks the dialect; the rest are frames of one connection, one a line.

use tapewatch::domain::event::Trade;
use tapewatch::domain::frame::{FrameSink, FrameSource, Spelled};
use tapewatch::domain::instrument::Instrument;
use tapewatch::domain::venue::Venue;
use tapewatch::venues::PARSERS;

#[derive(Default)]
struct Told(Vec<(&'static str, String)>);

impl FrameSink for Told {
    fn trade(&mut self, spelled: Spelled<'_>, trade: Trade) {
        assert!(!trade.price.decimal().is_zero() && !trade.quantity.decimal().is_zero());
        assert!(trade.exchange_at.plausible().is_ok() && trade.trade_count > 0);
        self.0.push((spelled.venue, spelled.symbol.to_owned()));
    }

    fn refuse(&mut self, reason: String) {
        assert!(!reason.is_empty());
    }
}

pub fn run(bytes: &[u8]) {
    let [dialect, frames @ ..] = bytes else { return };
    let Ok(frames) = std::str::from_utf8(frames) else { return };
    let entry = &PARSERS[usize::from(*dialect) % PARSERS.len()];
    let mut parser = (entry.make)(FrameSource::default());
    let mut told = Told::default();
    for frame in frames.lines() {
        let _ = (entry.recognises)(frame);
        parser.frame(frame, None, &mut told);
    }
    for (venue, spelling) in told.0 {
        if let Ok(symbol) = parser.symbol(venue, &spelling) {
            let _ = Instrument::new(Venue::new(venue).unwrap(), &symbol);
        }
    }
}
