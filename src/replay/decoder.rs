//! What a recording format is: lines in, events out or why not.
//!
//! A decoder sees one text line by line and fills batches. What is wrong with one line skips
//! that line; what is wrong with the whole (a foreign header, another venue than was said)
//! refuses the file. Each format is one file in `formats/` and one entry in its list.

use crate::domain::event::{Event, Trade};
use crate::domain::fields::shown;
use crate::domain::frame::{FrameParserEntry, SymbolError, TradeKind};
use crate::domain::instrument::Instrument;
use crate::domain::interval::TimeInterval;
use crate::domain::output::Position;
use crate::domain::symbol::spells;
use crate::domain::time::UnixNanos;
use crate::domain::venue::{IdRule, Venue};
use crate::replay::recording::Entry;
use crate::replay::roster::InstrumentIndex;

/// How much of a skipped line is written down.
pub const SHOWN_LINE_CHARS: usize = 200;

/// A format in the catalogue.
pub struct FormatEntry {
    /// As `--format` says it.
    pub name: &'static str,
    pub sniff: fn(&Sample, &Facts<'_>) -> Likeness,
    /// Reads what the sample and the facts tell; the error says why the file is refused, and what is allowed.
    pub open: fn(&Sample, &Facts<'_>) -> Opened,
    /// Whether one text may hold raw and aggregate trades of one instrument, and must be looked through for that.
    pub mixes_kinds: bool,
}

/// A decoder, or why the file is refused.
pub type Opened = Result<Box<dyn Decoder>, String>;

/// How much a text looks like a format; the greatest wins, a tie is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Likeness {
    No,
    /// The rows could be of this format.
    Rows,
    /// The rows could, and the file is named as such files are.
    RowsAndName,
    /// A header or frame that is nobody else's.
    Sure,
}

/// Reads one text.
pub trait Decoder: Send {
    /// Takes the line of that number, without its end. An error refuses the file.
    fn line(&mut self, number: u64, line: &[u8], batch: &mut Batch) -> Result<(), String>;

    /// After the last line, until it is `false`: gives what had to wait for the end, some at a time.
    fn drain(&mut self, _batch: &mut Batch) -> Result<bool, String> {
        Ok(false)
    }
}

/// What is known of a text before it is read.
#[derive(Clone, Copy, Default)]
pub struct Facts<'a> {
    /// Name of the file, without folder and packing: `BTCUSDT-trades-2024-05-01.csv`.
    pub file_name: &'a str,
    /// As the user said.
    pub venue: Option<&'a Venue>,
    /// As the user said, `BASE-QUOTE`.
    pub symbol: Option<&'a str>,
    /// Length of ready candles.
    pub interval: Option<TimeInterval>,
    pub frame_parsers: &'static [FrameParserEntry],
    /// Instruments of which the text holds raw trades somewhere: aggregates of these are left out.
    pub raw_instruments: &'a [Instrument],
}

impl Facts<'_> {
    /// The instrument of a text that holds one: what the text tells and what the user said must agree.
    pub fn instrument(
        &self,
        told_venue: Option<&str>,
        told_symbol: Option<&str>,
    ) -> Result<Instrument, String> {
        let venue = match (self.venue, told_venue) {
            (Some(said), Some(told)) if said.name() != told => {
                return Err(format!("is of venue {told}, but --venue says {said}"));
            }
            (Some(said), _) => said.clone(),
            (None, Some(told)) => Venue::new(told).map_err(|e| e.to_string())?,
            (None, None) => {
                return Err("does not tell its venue: say --venue, such as --venue binance".to_owned());
            }
        };
        let symbol = match (self.symbol, told_symbol) {
            (Some(said), Some(told)) if said != told => {
                return Err(format!("is of symbol {told}, but --symbol says {said}"));
            }
            (Some(said), _) => said,
            (None, Some(told)) => told,
            (None, None) => {
                return Err(
                    "does not tell its symbol: say --symbol BASE-QUOTE, such as --symbol BTC-USDT".to_owned()
                );
            }
        };
        Instrument::new(venue, symbol).map_err(|e| e.to_string())
    }

    /// The symbol that a venue's spelling means: as the user said, if it is spelled so, or as `read` says.
    pub fn symbol_of(
        &self,
        spelling: &str,
        read: impl FnOnce(&str) -> Result<String, SymbolError>,
    ) -> Result<String, String> {
        let symbol = read(spelling);
        match (self.symbol, symbol) {
            (_, Err(contract @ SymbolError::Contract(_))) => Err(contract.to_string()),
            (Some(said), _) if spells(spelling, said) => Ok(said.to_owned()),
            (_, Ok(symbol)) => Ok(symbol),
            (_, Err(unknown)) => Err(format!("{unknown}: say --symbol BASE-QUOTE")),
        }
    }
}

/// For spellings that are split or not.
pub fn or_unknown(spelling: &str, symbol: Option<String>) -> Result<String, SymbolError> {
    symbol.ok_or_else(|| SymbolError::Unknown(spelling.to_owned()))
}

/// The first lines of a text.
#[derive(Debug, Default)]
pub struct Sample {
    pub lines: Vec<Vec<u8>>,
}

impl Sample {
    pub const LINES_MAX: usize = 200;
    pub const BYTES_MAX: usize = 4 << 20;

    pub fn from_text(text: &str) -> Self {
        Self { lines: text.lines().map(|line| line.as_bytes().to_vec()).collect() }
    }

    /// The first line that is not blank.
    pub fn first(&self) -> &[u8] {
        self.lines.iter().find(|line| !line.trim_ascii().is_empty()).map_or(b"", Vec::as_slice)
    }

    /// The number of that line.
    pub fn first_number(&self) -> usize {
        1 + self.lines.iter().take_while(|line| line.trim_ascii().is_empty()).count()
    }

    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        self.lines.iter().map(Vec::as_slice).filter(|line| !line.trim_ascii().is_empty())
    }
}

/// What an instrument's entries of one recording are made of; never mixed within a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stream {
    Trades(TradeKind),
    Candles,
    /// A log of all that happened.
    Journal,
}

impl Stream {
    pub fn name(self) -> &'static str {
        match self {
            Self::Trades(kind) => kind.name(),
            Self::Candles => "ready candles",
            Self::Journal => "a journal",
        }
    }
}

/// An instrument that a text was found to hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    pub instrument: Instrument,
    pub id_rule: IdRule,
    pub stream: Stream,
}

/// A line that was skipped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Skipped {
    pub line: u64,
    pub reason: String,
    /// Cut to [`SHOWN_LINE_CHARS`].
    pub text: String,
    /// The line is sound, but of a market that is not read: contracts of unknown size, or another than was said.
    pub is_foreign: bool,
}

/// What came of some lines.
#[derive(Debug, Default)]
pub struct Batch {
    /// `instrument` counts the text's own instruments, `position` is the line alone.
    pub entries: Vec<Entry>,
    /// Instruments first met here.
    pub listed: Vec<Listed>,
    pub skipped: Vec<Skipped>,
    /// What somebody should know of the recording as a whole.
    pub notes: Vec<String>,
    /// Lines, or records, read.
    pub lines: u64,
    enlisted: u32,
}

impl Batch {
    /// Makes room for the next lines of a text that named so many instruments before.
    pub fn begin(&mut self, enlisted: u32) {
        self.entries.clear();
        self.listed.clear();
        self.skipped.clear();
        self.notes.clear();
        self.lines = 0;
        self.enlisted = enlisted;
    }

    /// Instruments that the text has named so far.
    pub fn enlisted(&self) -> u32 {
        self.enlisted
    }

    /// The text's own number for an instrument not met before.
    pub fn enlist(&mut self, instrument: Instrument, id_rule: IdRule, stream: Stream) -> InstrumentIndex {
        let index = InstrumentIndex(self.enlisted);
        self.enlisted += 1;
        self.listed.push(Listed { instrument, id_rule, stream });
        index
    }

    #[inline]
    pub fn push(&mut self, instrument: InstrumentIndex, line: u64, event: Event) {
        self.entries.push(Entry { instrument, event, position: Position(line) });
    }

    #[cold]
    pub fn skip(&mut self, line: u64, reason: impl Into<String>, text: &[u8]) {
        let text = shown(text, SHOWN_LINE_CHARS);
        self.skipped.push(Skipped { line, reason: reason.into(), text, is_foreign: false });
    }

    #[cold]
    pub fn skip_foreign(&mut self, line: u64, reason: impl Into<String>, text: &[u8]) {
        let text = shown(text, SHOWN_LINE_CHARS);
        self.skipped.push(Skipped { line, reason: reason.into(), text, is_foreign: true });
    }
}

/// The one instrument of a text, numbered when its first trade comes.
pub struct Target {
    listed: Listed,
    index: Option<InstrumentIndex>,
}

impl Target {
    pub fn new(instrument: Instrument, id_rule: IdRule, stream: Stream) -> Self {
        Self { listed: Listed { instrument, id_rule, stream }, index: None }
    }

    #[inline]
    pub fn index(&mut self, batch: &mut Batch) -> InstrumentIndex {
        match self.index {
            Some(index) => index,
            None => {
                let Listed { instrument, id_rule, stream } = self.listed.clone();
                *self.index.insert(batch.enlist(instrument, id_rule, stream))
            }
        }
    }

    /// Takes what was read of a line.
    #[inline]
    pub fn take<E: Into<String>>(
        &mut self,
        number: u64,
        line: &[u8],
        read: Result<Trade, E>,
        batch: &mut Batch,
    ) {
        match read {
            Ok(trade) => {
                let index = self.index(batch);
                batch.push(index, number, Event::Trade(trade));
            }
            Err(reason) => batch.skip(number, reason, line),
        }
    }
}

/// When an event happened, where it says.
#[inline]
pub fn happened_at(event: &Event) -> Option<UnixNanos> {
    match event {
        Event::Trade(trade) => Some(trade.exchange_at),
        Event::Candle(candle) => Some(candle.open_at),
        Event::Backfill(trades) => trades.first().map(|trade| trade.exchange_at),
        Event::Tick { venue_at } => Some(*venue_at),
        Event::Unwatched { to, .. } => Some(*to),
        Event::Status { venue_at, .. } => Some(*venue_at),
        Event::Unfillable { .. } => None,
        // Found when its candle was long closed: it goes where it stands.
        Event::Divergence(_) => None,
    }
}
