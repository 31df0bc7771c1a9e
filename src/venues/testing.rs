//! What the tests of the dialects share: a frame in, what was told as text out.

use crate::domain::event::Trade;
use crate::domain::frame::{FrameParserEntry, FrameSink, FrameSource, Spelled, TradeKind};

#[derive(Default)]
struct Telling(Vec<String>);

impl FrameSink for Telling {
    fn trade(&mut self, spelled: Spelled<'_>, trade: Trade) {
        let kind = match spelled.kind {
            TradeKind::Raw => "raw",
            TradeKind::Aggregate => "aggregate",
        };
        self.0.push(format!(
            "{} {} {kind} {} {} {} {} {} {}",
            spelled.venue,
            spelled.symbol,
            trade.id,
            trade.price.decimal(),
            trade.quantity.decimal(),
            trade.exchange_at,
            trade.taker_side.map_or("-", |side| side.name()),
            trade.trade_count
        ));
    }

    fn refuse(&mut self, reason: String) {
        self.0.push(format!("refused: {reason}"));
    }
}

/// Frames of one connection to `url`, what each told as lines.
pub fn told_by(entry: &FrameParserEntry, url: &str, frames: &[&str]) -> Vec<String> {
    let mut parser = (entry.make)(FrameSource { url, venue: None });
    let mut telling = Telling::default();
    let mut all = Vec::new();
    for frame in frames {
        parser.frame(frame, None, &mut telling);
        all.push(std::mem::take(&mut telling.0).join("\n"));
    }
    all
}

pub fn told(entry: &FrameParserEntry, frame: &str) -> String {
    told_by(entry, "", &[frame]).remove(0)
}

/// Frames of one connection, and what each tells: trades as `venue symbol kind id price quantity time side count`,
/// one a line.
pub fn check_frames(entry: &FrameParserEntry, cases: &[(&str, &str)]) {
    let frames: Vec<_> = cases.iter().map(|(frame, _)| *frame).collect();
    for (found, (frame, expected)) in told_by(entry, "", &frames).iter().zip(cases) {
        assert_eq!(found, expected, "{frame}");
    }
}

/// Spellings and their `BASE-QUOTE`; `None`: refused.
pub fn check_symbols(entry: &FrameParserEntry, venue: &'static str, cases: &[(&str, Option<&str>)]) {
    let parser = (entry.make)(FrameSource::default());
    for (spelling, expected) in cases {
        assert_eq!(parser.symbol(venue, spelling).ok().as_deref(), *expected, "{spelling}");
    }
}
