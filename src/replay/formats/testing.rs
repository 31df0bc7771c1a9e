//! What the tests of the formats share: a text in, what came of it as lines out.

use std::cell::RefCell;

use crate::domain::event::Event;
use crate::domain::frame::FrameParserEntry;
use crate::domain::instrument::Instrument;
use crate::domain::interval::{Interval, TimeInterval};
use crate::replay::decoder::{Batch, Facts, Listed, Sample, Skipped};
use crate::replay::formats::choose;
use crate::replay::recording::Entry;

/// Facts that own what they say.
#[derive(Clone, Default)]
pub struct OwnedFacts {
    pub file_name: String,
    pub said: Option<Instrument>,
    pub interval: Option<TimeInterval>,
    pub frame_parsers: &'static [FrameParserEntry],
    pub raw_instruments: Vec<Instrument>,
}

impl OwnedFacts {
    pub fn lend(&self) -> Facts<'_> {
        Facts {
            file_name: &self.file_name,
            venue: self.said.as_ref().map(Instrument::venue),
            symbol: self.said.as_ref().map(Instrument::symbol),
            interval: self.interval,
            frame_parsers: self.frame_parsers,
            raw_instruments: &self.raw_instruments,
        }
    }
}

pub fn facts(file_name: &str) -> OwnedFacts {
    OwnedFacts { file_name: file_name.to_owned(), ..OwnedFacts::default() }
}

/// As if the user said venue and symbol.
pub fn with(facts: OwnedFacts, instrument: &str) -> OwnedFacts {
    OwnedFacts { said: Some(instrument.parse().unwrap()), ..facts }
}

pub fn hourly(facts: OwnedFacts) -> OwnedFacts {
    OwnedFacts { interval: "1h".parse::<Interval>().unwrap().time(), ..facts }
}

/// All that came of a text.
#[derive(Default)]
pub struct Harvest {
    pub entries: Vec<Entry>,
    pub listed: Vec<Listed>,
    pub skipped: Vec<Skipped>,
}

pub fn read(facts: &OwnedFacts, format: &str, text: &[u8]) -> Result<Harvest, String> {
    let lines: Vec<&[u8]> = text.split(|&b| b == b'\n').collect();
    let lines = if text.ends_with(b"\n") { &lines[..lines.len() - 1] } else { &lines[..] };
    let sample = Sample { lines: lines.iter().take(Sample::LINES_MAX).map(|line| line.to_vec()).collect() };
    let entry = choose(format, &sample, &facts.lend())?;
    let mut decoder = (entry.open)(&sample, &facts.lend())?;
    let (mut batch, harvest) = (Batch::default(), RefCell::new(Harvest::default()));
    let take = |batch: &mut Batch| {
        let mut harvest = harvest.borrow_mut();
        harvest.entries.append(&mut batch.entries);
        harvest.listed.append(&mut batch.listed);
        harvest.skipped.append(&mut batch.skipped);
        let enlisted = batch.enlisted();
        batch.begin(enlisted);
    };
    for (at, line) in lines.iter().enumerate() {
        decoder.line(at as u64 + 1, line, &mut batch)?;
        take(&mut batch);
    }
    loop {
        let more = decoder.drain(&mut batch)?;
        take(&mut batch);
        if !more {
            return Ok(harvest.into_inner());
        }
    }
}

/// An entry as a line: `venue:BASE-QUOTE id price quantity time side count`.
pub fn shown_entry(entry: &Entry, listed: &[Listed]) -> String {
    let instrument = &listed[entry.instrument.0 as usize].instrument;
    match &entry.event {
        Event::Trade(trade) => format!(
            "{instrument} {} {} {} {} {} {}",
            trade.id,
            trade.price.decimal(),
            trade.quantity.decimal(),
            trade.exchange_at,
            trade.taker_side.map_or("-", |side| side.name()),
            trade.trade_count
        ),
        Event::Candle(candle) => {
            let optional = |text: Option<String>| text.unwrap_or("-".to_owned());
            let prices = candle.prices.map(|p| {
                let [o, h, l, c] = [p.open, p.high, p.low, p.close].map(|p| p.decimal());
                format!("o{o} h{h} l{l} c{c}")
            });
            format!(
                "{instrument} {} {} {} v{} q{} n{} b{}",
                Interval::Time(candle.interval),
                candle.open_at,
                optional(prices),
                candle.volume,
                optional(candle.quote_volume.map(|v| v.to_string())),
                optional(candle.trade_count.map(|n| n.to_string())),
                optional(candle.taker_buy_volume.map(|v| v.to_string())),
            )
        }
        other => format!("{instrument} {other:?}"),
    }
}

/// `skipped` lines are `line: reason`, of which the beginning is enough.
pub fn check_text_with(facts: OwnedFacts, format: &str, text: &str, entries: &[&str], skipped: &[&str]) {
    let harvest = read(&facts, format, text.as_bytes()).unwrap();
    let found: Vec<_> = harvest.entries.iter().map(|e| shown_entry(e, &harvest.listed)).collect();
    assert_eq!(found, entries, "{format} {}", facts.file_name);
    let found: Vec<_> = harvest.skipped.iter().map(|s| format!("{}: {}", s.line, s.reason)).collect();
    assert_eq!(found.len(), skipped.len(), "{found:#?}");
    for (found, expected) in found.iter().zip(skipped) {
        assert!(found.starts_with(expected), "{found:?} is not {expected:?}");
    }
}

pub fn check_text(format: &str, file_name: &str, text: &str, entries: &[&str], skipped: &[&str]) {
    check_text_with(facts(file_name), format, text, entries, skipped);
}

pub fn check_refused(facts: OwnedFacts, format: &str, text: &str, words: &str) {
    let Err(message) = read(&facts, format, text.as_bytes()) else { panic!("{format} took {text:?}") };
    assert!(message.contains(words), "{message:?} lacks {words:?}");
}
