//! Frames of a recording through a venue's parser: trades into a batch, under the instruments' numbers.
//!
//! Where one connection carried raw and aggregate trades of an instrument, the aggregates tell
//! nothing new and are left out.

use std::collections::HashMap;

use crate::domain::event::{Event, Trade};
use crate::domain::frame::{
    FrameParser, FrameParserEntry, FrameSink, FrameSource, Spelled, SymbolError, TradeKind,
};
use crate::domain::instrument::Instrument;
use crate::domain::symbol::spells;
use crate::domain::time::Stamp;
use crate::domain::venue::{IdRule, Venue};
use crate::replay::decoder::{Batch, Facts, Stream};
use crate::replay::roster::InstrumentIndex;

/// Markets remembered; a recording with more is none.
const MARKETS_MAX: usize = 1_000_000;

/// What of a recording's markets is known; shared by all of its connections.
pub struct Markets {
    venue: Option<Venue>,
    symbol: Option<String>,
    known: HashMap<(&'static str, Box<str>, TradeKind), Known>,
    /// The market of the last trade: frames come in runs of one.
    last: Option<Last>,
    raw: Vec<Instrument>,
}

struct Last {
    venue: &'static str,
    symbol: Box<str>,
    kind: TradeKind,
    index: InstrumentIndex,
}

impl Last {
    #[inline]
    fn is(&self, spelled: Spelled<'_>) -> bool {
        *self.symbol == *spelled.symbol && self.kind == spelled.kind && self.venue == spelled.venue
    }
}

#[derive(Clone)]
enum Known {
    Index(InstrumentIndex),
    /// Aggregates beside raw trades.
    LeftOut,
    /// Not read, and why.
    Foreign(String),
}

impl Markets {
    pub fn new(facts: &Facts<'_>) -> Self {
        Self {
            venue: facts.venue.cloned(),
            symbol: facts.symbol.map(str::to_owned),
            known: HashMap::new(),
            last: None,
            raw: facts.raw_instruments.to_vec(),
        }
    }

    fn resolve(&mut self, parser: &dyn FrameParser, spelled: Spelled<'_>, batch: &mut Batch) -> Known {
        let Spelled { venue, symbol, kind, id_rule } = spelled;
        let facts = Facts { venue: self.venue.as_ref(), symbol: self.symbol.as_deref(), ..Facts::default() };
        let read = match (parser.symbol(venue, symbol), self.symbol.as_deref()) {
            (Err(SymbolError::Unknown(_)) | Ok(_), Some(said)) if spells(symbol, said) => Ok(said.to_owned()),
            (read, _) => read.map_err(|e| e.to_string()),
        };
        let instrument = match read.and_then(|symbol| facts.instrument(Some(venue), Some(&symbol))) {
            Ok(instrument) => instrument,
            Err(why) => return Known::Foreign(why),
        };
        match kind {
            TradeKind::Aggregate if self.raw.contains(&instrument) => return Known::LeftOut,
            TradeKind::Raw if !self.raw.contains(&instrument) => self.raw.push(instrument.clone()),
            _ => {}
        }
        Known::Index(batch.enlist(instrument, id_rule, Stream::Trades(kind)))
    }
}

/// Reads one frame that stands on that line.
pub fn read_frame(
    parser: &mut dyn FrameParser,
    markets: &mut Markets,
    frame: &str,
    received_at: Option<Stamp>,
    number: u64,
    line: &[u8],
    batch: &mut Batch,
) {
    let mut sink =
        Gathering { last: markets.last.as_ref(), number, batch, waiting: Vec::new(), refused: Vec::new() };
    parser.frame(frame, received_at, &mut sink);
    let Gathering { waiting, refused, .. } = sink;
    for (venue, symbol, kind, id_rule, trade) in waiting {
        let spelled = Spelled { venue, symbol: &symbol, kind, id_rule };
        push(parser, markets, spelled, trade, number, line, batch);
    }
    for reason in refused {
        batch.skip(number, reason, line);
    }
}

type Owned = (&'static str, String, TradeKind, IdRule, Trade);

/// The trades of a frame: those of the market that traded last go straight into the batch, from the first
/// of another market on they wait until the parser is free to be asked for its symbol.
struct Gathering<'a> {
    last: Option<&'a Last>,
    number: u64,
    batch: &'a mut Batch,
    waiting: Vec<Owned>,
    refused: Vec<String>,
}

impl FrameSink for Gathering<'_> {
    #[inline]
    fn trade(&mut self, spelled: Spelled<'_>, trade: Trade) {
        if self.waiting.is_empty()
            && let Some(last) = self.last
            && last.is(spelled)
        {
            self.batch.push(last.index, self.number, Event::Trade(trade));
            return;
        }
        self.waiting.push((spelled.venue, spelled.symbol.to_owned(), spelled.kind, spelled.id_rule, trade));
    }

    fn refuse(&mut self, reason: String) {
        self.refused.push(reason);
    }
}

#[inline]
fn push(
    parser: &dyn FrameParser,
    markets: &mut Markets,
    spelled: Spelled<'_>,
    trade: Trade,
    number: u64,
    line: &[u8],
    batch: &mut Batch,
) {
    if let Some(last) = &markets.last
        && last.is(spelled)
    {
        batch.push(last.index, number, Event::Trade(trade));
        return;
    }
    let key = (spelled.venue, Box::from(spelled.symbol), spelled.kind);
    let known = match markets.known.get(&key) {
        Some(known) => known.clone(),
        None if markets.known.len() >= MARKETS_MAX => {
            Known::Foreign(format!("more than {MARKETS_MAX} markets in one recording"))
        }
        None => {
            let known = markets.resolve(parser, spelled, batch);
            markets.known.insert(key, known.clone());
            // From the first raw trade on, aggregates of the same market are left out.
            if let (Known::Index(_), TradeKind::Raw) = (&known, spelled.kind) {
                let aggregate = (spelled.venue, Box::from(spelled.symbol), TradeKind::Aggregate);
                markets.known.entry(aggregate).or_insert(Known::LeftOut);
            }
            known
        }
    };
    match known {
        Known::Index(index) => {
            let Spelled { venue, symbol, kind, .. } = spelled;
            markets.last = Some(Last { venue, symbol: symbol.into(), kind, index });
            batch.push(index, number, Event::Trade(trade));
        }
        Known::LeftOut => {}
        Known::Foreign(why) => batch.skip_foreign(number, why, line),
    }
}

/// The dialect of an address, by its host.
pub fn entry_of_url(entries: &'static [FrameParserEntry], url: &str) -> Option<&'static FrameParserEntry> {
    let after = url.split_once("://").map_or(url, |(_, after)| after);
    let host = after.split(['/', ':', '?']).next().unwrap_or_default().to_ascii_lowercase();
    entries.iter().find(|entry| entry.hosts.iter().any(|own| *own == host))
}

/// The dialect of a venue, by its name.
pub fn entry_of_venue(
    entries: &'static [FrameParserEntry],
    venue: &str,
) -> Option<&'static FrameParserEntry> {
    entries.iter().find(|entry| entry.venues.contains(&venue))
}

/// A parser for what is known of a connection; the error lists the dialects there are.
pub fn parser_for(facts: &Facts<'_>, url: &str) -> Result<Box<dyn FrameParser>, String> {
    let venue = facts.venue.map(Venue::name);
    let entry = if url.is_empty() {
        venue.and_then(|venue| entry_of_venue(facts.frame_parsers, venue))
    } else {
        entry_of_url(facts.frame_parsers, url)
    };
    let entry = entry.ok_or_else(|| {
        let known: Vec<_> = facts.frame_parsers.iter().flat_map(|entry| entry.venues).copied().collect();
        match (url, venue) {
            ("", None) => format!("does not tell its venue: say --venue, one of {}", known.join(", ")),
            ("", Some(venue)) => format!("frames of {venue} are not read: known are {}", known.join(", ")),
            (url, _) => format!("frames from {url:?} are not read: known venues are {}", known.join(", ")),
        }
    })?;
    Ok((entry.make)(FrameSource { url, venue }))
}
