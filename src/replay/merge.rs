//! Many recordings as one stream in order of event time.
//!
//! Each recording keeps its own order; of their heads the earliest exchange time goes first.
//! Equal times go by rank: time of the first trade, then file name, then size, so that the
//! order in which inputs were named never matters.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap, HashMap, HashSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::domain::event::{Event, ReadyCandle};
use crate::domain::fields::shown;
use crate::domain::frame::{FrameParserEntry, TradeKind};
use crate::domain::instrument::Instrument;
use crate::domain::interval::TimeInterval;
use crate::domain::output::Position;
use crate::domain::time::UnixNanos;
use crate::domain::venue::Venue;
use crate::replay::beginning::Beginning;
use crate::replay::decoder::{Batch, Facts, FormatEntry, Listed, SHOWN_LINE_CHARS, Stream, happened_at};
use crate::replay::formats::{AUTO, choose, journal, names};
use crate::replay::grouping::batch_len;
use crate::replay::lines::{Line, Part};
use crate::replay::quarantine::{Place, Quarantine};
use crate::replay::recording::{Entry, FILES_MAX, InputError, file_and_line, position};
use crate::replay::roster::{InstrumentIndex, Roster};
use crate::replay::source::{Feed, Source, sample};

/// What the files do not say of themselves, and what of them is wanted.
#[derive(Clone, Default)]
pub struct Options {
    /// A name of the catalogue in [`crate::replay::formats`]; `None` or `auto`: found out per file.
    pub format: Option<String>,
    pub venue: Option<Venue>,
    /// `BASE-QUOTE`.
    pub symbol: Option<String>,
    /// Inclusive.
    pub from: Option<UnixNanos>,
    /// Exclusive.
    pub to: Option<UnixNanos>,
    /// The length of ready candles (`ohlcv`): the first of `--intervals`.
    pub interval: Option<TimeInterval>,
    /// The dialects in which raw frames are read.
    pub frame_parsers: &'static [FrameParserEntry],
    /// Lines that may be skipped; `None`: 1,000 or a tenth of the lines read, whichever is more.
    pub max_quarantined: Option<u64>,
    /// Where skipped lines are written (`quarantine.jsonl`); `None`: they are only counted.
    pub quarantine: Option<PathBuf>,
    /// Of the journal, where that is the only recording and its oldest segments are gone.
    pub beginning: Option<Arc<Beginning>>,
}

/// Texts read ahead on threads of their own at a time; more are read where they are merged.
const THREADS_MAX: usize = 3;

/// Beyond this many unpacked lines a look for raw trades beside aggregates ends, if there were none of either.
const LOOK_LINES: u64 = 20_000;

/// The recordings of a run, merged.
pub struct Inputs {
    options: Options,
    roster: Roster,
    /// In order of rank.
    recordings: Vec<Recording>,
    /// Time of the head, and rank, of every recording that is not read to its end.
    heads: BinaryHeap<Reverse<(UnixNanos, usize)>>,
    /// What each instrument is made of, and the recording that said so first.
    streams: HashMap<InstrumentIndex, (Stream, usize)>,
    /// The last ready candle of each instrument.
    candles: HashMap<InstrumentIndex, ReadyCandle>,
    quarantine: Quarantine,
    lines_read: u64,
    bytes_read: Arc<AtomicU64>,
    bytes_total: u64,
    threads: usize,
    notes: Vec<String>,
}

/// One text of the run.
struct Recording {
    part: Part,
    format: &'static FormatEntry,
    /// Instruments of which it holds raw trades, where it may hold aggregates too.
    raw_instruments: Vec<Instrument>,
    first_at: Option<UnixNanos>,
    /// Instruments met while looking into it.
    seen: Vec<Listed>,
    /// A running engine's journal; `None`: nobody has asked yet.
    is_live: Option<bool>,
    state: State,
}

enum State {
    Waiting,
    Reading(Box<Reading>),
    Done,
}

/// A recording whose turn has come.
struct Reading {
    feed: Feed,
    on_thread: bool,
    batch: Batch,
    /// Entries of the batch that were handed on.
    taken: usize,
    has_more: bool,
    /// By the text's own number.
    indices: Vec<InstrumentIndex>,
}

impl Inputs {
    /// Looks into every file: what cannot be read at all is refused before anything runs.
    pub fn open(paths: &[PathBuf], options: Options) -> Result<Self, InputError> {
        if paths.is_empty() {
            return Err(InputError::Refused("no recording is named".to_owned()));
        }
        let format = options.format.as_deref().unwrap_or(AUTO);
        if !names().any(|name| name == format) {
            let names: Vec<_> = names().collect();
            return Err(InputError::Refused(format!(
                "format {format:?} is unknown: allowed are {}",
                names.join(", ")
            )));
        }
        let mut parts = Vec::new();
        let mut named = HashSet::new();
        for path in paths {
            let parts_of = Part::all_of(path)?;
            if !named.insert(std::fs::canonicalize(path).unwrap_or_else(|_| path.clone())) {
                return Err(InputError::Refused(format!("{} is named twice", path.display())));
            }
            parts.extend(parts_of);
        }
        if parts.len() > FILES_MAX {
            return Err(InputError::Refused(format!(
                "{} recordings are more than the {FILES_MAX} that one run can number",
                parts.len()
            )));
        }
        let bytes_total = parts.iter().map(Part::bytes).sum();
        let mut recordings =
            parts.into_iter().map(|part| look_into(part, format, &options)).collect::<Result<Vec<_>, _>>()?;
        // A recording without a trade comes last: `None` would come first.
        recordings.sort_by(|a, b| {
            let key = |r: &Recording| (r.first_at.is_none(), r.first_at);
            let name =
                |r: &Recording| (r.part.file_name().to_owned(), r.part.bytes(), r.part.name().to_owned());
            key(a).cmp(&key(b)).then_with(|| name(a).cmp(&name(b)))
        });
        let heads = recordings
            .iter()
            .enumerate()
            .map(|(rank, recording)| Reverse((recording.first_at.unwrap_or(UnixNanos(i64::MAX)), rank)))
            .collect();
        let quarantine = Quarantine::new(options.quarantine.as_deref(), options.max_quarantined)?;
        let mut inputs = Self {
            options,
            roster: Roster::default(),
            recordings,
            heads,
            streams: HashMap::new(),
            candles: HashMap::new(),
            quarantine,
            lines_read: 0,
            bytes_read: Arc::default(),
            bytes_total,
            threads: 0,
            notes: Vec::new(),
        };
        // The weakest rule of all recordings holds from the first trade on, and what must not be mixed is
        // refused before anything runs.
        for rank in 0..inputs.recordings.len() {
            for listed in std::mem::take(&mut inputs.recordings[rank].seen) {
                inputs.enlist(listed, rank)?;
            }
        }
        Ok(inputs)
    }

    /// Replaces what `batch` holds with the next events; `false`: there are none left.
    pub fn next_batch(&mut self, batch: &mut Vec<Entry>) -> Result<bool, InputError> {
        batch.clear();
        // Working off a batch is cheaper the more events each instrument has in it.
        let wanted = batch_len(self.roster.len());
        while batch.len() < wanted {
            let Some(Reverse((head, rank))) = self.heads.pop() else { break };
            if !self.is_ready(rank)? {
                continue;
            }
            let limit = self.heads.peek().map(|Reverse(next)| *next);
            let next = self.take_until(limit, rank, head, batch);
            if let Some(next) = next {
                self.heads.push(Reverse((next, rank)));
            }
        }
        self.drop_repeated_candles(batch)?;
        Ok(!batch.is_empty() || !self.heads.is_empty())
    }

    /// The instruments met so far; grows with each batch.
    pub fn roster(&self) -> &Roster {
        &self.roster
    }

    /// Whether what comparing its venue with others found of the instrument stands in its recording: that of a running
    /// engine says so by the configuration that it was made under.
    pub fn is_compared_already(&mut self, index: InstrumentIndex) -> Result<bool, InputError> {
        let Some(&(Stream::Journal, rank)) = self.streams.get(&index) else { return Ok(false) };
        let recording = &mut self.recordings[rank];
        if recording.is_live.is_none() {
            let path = recording.part.journal();
            recording.is_live = Some(path.is_some_and(journal::is_live));
        }
        Ok(recording.is_live == Some(true))
    }

    /// Counts an event that a pipeline refused as a skipped line, and writes it down.
    pub fn quarantine(&mut self, at: Position, reason: &str) -> Result<(), InputError> {
        let place = file_and_line(at);
        let name = self.recordings.get(usize::from(place.0)).map_or("", |recording| recording.part.name());
        self.quarantine.take_textless(name, place, reason, self.lines_read)
    }

    /// File and line of an event.
    pub fn place(&self, at: Position) -> (&str, u64) {
        let (file, line) = file_and_line(at);
        (self.recordings.get(usize::from(file)).map_or("", |recording| recording.part.name()), line)
    }

    /// Name and format of each recording, in order of rank.
    pub fn recordings(&self) -> impl Iterator<Item = (&str, &'static str)> {
        self.recordings.iter().map(|recording| (recording.part.name(), recording.format.name))
    }

    /// Lines skipped so far, those that pipelines refused included.
    pub fn quarantined(&self) -> u64 {
        self.quarantine.count()
    }

    /// File, line and reason of the first of them.
    pub fn first_quarantined(&self) -> Option<&str> {
        self.quarantine.first()
    }

    /// Lines (or records) read so far.
    pub fn lines_read(&self) -> u64 {
        self.lines_read
    }

    /// Bytes of the files, as they lie on disk, that were read so far.
    pub fn bytes_read(&self) -> u64 {
        self.bytes_read.load(Ordering::Relaxed).min(self.bytes_total)
    }

    /// Bytes of all files, as they lie on disk.
    pub fn bytes_total(&self) -> u64 {
        self.bytes_total
    }

    /// What somebody should know of the recordings: a torn tail.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// Completes what was quarantined. To be called once, at the end.
    pub fn finish(&mut self) -> Result<(), InputError> {
        let wanted: BTreeSet<Place> = self.quarantine.textless().collect();
        let mut texts = BTreeMap::new();
        for (rank, recording) in self.recordings.iter().enumerate() {
            let of_recording = |line| (rank as u16, line);
            let lines = wanted.range(of_recording(0)..=of_recording(u64::MAX)).map(|(_, line)| *line);
            let lines: Vec<u64> = lines.collect();
            if !lines.is_empty() && recording.part.journal().is_none() {
                texts_of(&recording.part, &lines, |line, text| _ = texts.insert(of_recording(line), text))?;
            }
        }
        if texts.is_empty() {
            return self.quarantine.finish();
        }
        self.quarantine.fill_in(&texts)
    }

    /// Opens a recording whose turn has come, and loads a batch where the last was used up; `false`: it has ended.
    fn is_ready(&mut self, rank: usize) -> Result<bool, InputError> {
        if matches!(self.recordings[rank].state, State::Waiting) {
            self.start(rank)?;
        }
        loop {
            let State::Reading(reading) = &mut self.recordings[rank].state else { return Ok(false) };
            if reading.taken < reading.batch.entries.len() {
                return Ok(true);
            }
            if !reading.has_more {
                self.threads -= usize::from(reading.on_thread);
                self.recordings[rank].state = State::Done;
                return Ok(false);
            }
            self.load(rank)?;
        }
    }

    fn start(&mut self, rank: usize) -> Result<(), InputError> {
        let recording = &self.recordings[rank];
        let facts = facts(&recording.part, &self.options, &recording.raw_instruments);
        let sample = sample(&recording.part)?;
        let (part, format) = (&recording.part, recording.format);
        let (beginning, bytes_read) = (self.options.beginning.as_ref(), Arc::clone(&self.bytes_read));
        let source = Source::open(part, format, &sample, &facts, beginning, bytes_read)?;
        let on_thread = self.threads < THREADS_MAX;
        self.threads += usize::from(on_thread);
        self.recordings[rank].state = State::Reading(Box::new(Reading {
            feed: if on_thread { Feed::ahead(source) } else { Feed::here(source) },
            on_thread,
            batch: Batch::default(),
            taken: 0,
            has_more: true,
            indices: Vec::new(),
        }));
        Ok(())
    }

    /// Reads the next batch of a recording: its instruments get the run's numbers, its lines their file's, and
    /// what was skipped is written down.
    fn load(&mut self, rank: usize) -> Result<(), InputError> {
        let State::Reading(mut reading) = std::mem::replace(&mut self.recordings[rank].state, State::Done)
        else {
            return Ok(());
        };
        reading.has_more = reading.feed.next_batch(&mut reading.batch)?;
        reading.taken = 0;
        self.lines_read += reading.batch.lines;
        self.notes.append(&mut reading.batch.notes);
        for listed in std::mem::take(&mut reading.batch.listed) {
            let index = self.enlist(listed, rank)?;
            reading.indices.push(index);
        }
        for skipped in &reading.batch.skipped {
            let name = self.recordings[rank].part.name();
            self.quarantine.take(name, skipped.line, &skipped.reason, &skipped.text, self.lines_read)?;
        }
        if self.options.from.is_some() || self.options.to.is_some() {
            let (from, to) = (self.options.from, self.options.to);
            reading.batch.entries.retain(|entry| {
                happened_at(&entry.event)
                    .is_none_or(|at| from.is_none_or(|from| at >= from) && to.is_none_or(|to| at < to))
            });
        }
        for entry in &mut reading.batch.entries {
            entry.instrument = reading.indices[entry.instrument.0 as usize];
            entry.position = position(rank as u16, entry.position.0);
        }
        self.recordings[rank].state = State::Reading(reading);
        Ok(())
    }

    /// The run's number of an instrument; refuses a mixture of what must not be mixed.
    fn enlist(&mut self, listed: Listed, rank: usize) -> Result<InstrumentIndex, InputError> {
        let index = self.roster.enlist(&listed.instrument, listed.id_rule);
        let (stream, first) = *self.streams.entry(index).or_insert((listed.stream, rank));
        if stream != listed.stream {
            let name = |rank: usize| self.recordings[rank].part.name();
            return Err(InputError::Refused(format!(
                "{} holds {} of {}, {} holds {} of it: they are never mixed, replay them apart",
                name(first),
                stream.name(),
                listed.instrument,
                name(rank),
                listed.stream.name()
            )));
        }
        Ok(index)
    }

    /// Moves entries of a loaded recording to `out` as long as no other recording's head comes before; tells the
    /// time of its next head.
    fn take_until(
        &mut self,
        limit: Option<(UnixNanos, usize)>,
        rank: usize,
        head: UnixNanos,
        out: &mut Vec<Entry>,
    ) -> Option<UnixNanos> {
        let State::Reading(reading) = &mut self.recordings[rank].state else { return None };
        let entries = &mut reading.batch.entries[reading.taken..];
        // An event without a time of its own goes with the one before it.
        let mut at = head;
        let mut count = 0;
        for entry in entries.iter() {
            at = happened_at(&entry.event).unwrap_or(at);
            if limit.is_some_and(|limit| (at, rank) > limit) {
                break;
            }
            count += 1;
        }
        let all = count == entries.len();
        if reading.taken == 0 && all {
            out.append(&mut reading.batch.entries);
        } else {
            let nothing = || Entry {
                instrument: InstrumentIndex(0),
                event: Event::Tick { venue_at: UnixNanos(0) },
                position: Position(0),
            };
            out.extend(entries[..count].iter_mut().map(|entry| std::mem::replace(entry, nothing())));
            reading.taken += count;
        }
        // Where the batch is used up, the next one's head is not known yet: asked for at the same time, it is
        // loaded, and found to be later or not.
        Some(at)
    }

    /// Of ready candles of one time the first counts: equal ones are dropped, others skipped.
    fn drop_repeated_candles(&mut self, batch: &mut Vec<Entry>) -> Result<(), InputError> {
        let mut differing = Vec::new();
        batch.retain(|entry| {
            let Event::Candle(candle) = &entry.event else { return true };
            // A journal's candles are as they were told.
            if self.streams.get(&entry.instrument).is_some_and(|(stream, _)| *stream != Stream::Candles) {
                return true;
            }
            match self.candles.get_mut(&entry.instrument) {
                Some(last) if last.open_at == candle.open_at => {
                    if *last != **candle {
                        differing.push((entry.position, candle.open_at));
                    }
                    false
                }
                Some(last) => {
                    (*last).clone_from(candle);
                    true
                }
                None => {
                    self.candles.insert(entry.instrument, (**candle).clone());
                    true
                }
            }
        });
        for (at, open_at) in differing {
            self.quarantine(at, &format!("another candle of {open_at} came before, and differs"))?;
        }
        Ok(())
    }
}

/// Reads a text again for the sake of these lines, ascending.
fn texts_of(part: &Part, lines: &[u64], mut each: impl FnMut(u64, String)) -> Result<(), InputError> {
    let mut text = part.open(Arc::default())?;
    let mut wanted = lines.iter().copied().peekable();
    while wanted.peek().is_some() {
        let number = text.number() + 1;
        let Some(line) = text.next_line()? else { break };
        if wanted.next_if_eq(&number).is_some() {
            let (Line::Text(line) | Line::TooLong(line)) = line;
            each(number, shown(line, SHOWN_LINE_CHARS));
        }
    }
    Ok(())
}

fn facts<'a>(part: &'a Part, options: &'a Options, raw_instruments: &'a [Instrument]) -> Facts<'a> {
    Facts {
        file_name: part.file_name(),
        venue: options.venue.as_ref(),
        symbol: options.symbol.as_deref(),
        interval: options.interval,
        frame_parsers: options.frame_parsers,
        raw_instruments,
    }
}

/// Finds out a text's format, its first event, and what must be known before it is read.
fn look_into(part: Part, format: &str, options: &Options) -> Result<Recording, InputError> {
    let name = part.name().to_owned();
    let refused = |why: String| InputError::Refused(format!("{name}: {why}"));
    let sample = sample(&part)?;
    let facts = facts(&part, options, &[]);
    let format = match part.journal() {
        None => choose(format, &sample, &facts).map_err(refused)?,
        Some(_) if format == AUTO || format == journal::ENTRY.name => &journal::ENTRY,
        Some(_) => return Err(refused(format!("is a journal, but --format says {format}"))),
    };
    let mut source = Source::open(&part, format, &sample, &facts, None, Arc::default())?;
    let mut batch = Batch::default();
    let mut foreign = None;
    let (mut first_at, mut seen, mut lines) = (None, Vec::new(), 0);
    loop {
        let more = source.next_batch(&mut batch)?;
        lines += batch.lines;
        if let Some(entry) = batch.entries.first()
            && first_at.is_none()
        {
            first_at = happened_at(&entry.event);
        }
        seen.append(&mut batch.listed);
        if foreign.is_none() {
            foreign =
                batch.skipped.iter().find(|skipped| skipped.is_foreign).map(|s| (s.line, s.reason.clone()));
        }
        let holds = |kind| seen.iter().any(|listed: &Listed| listed.stream == Stream::Trades(kind));
        let must_look_on = format.mixes_kinds && (holds(TradeKind::Aggregate) || lines < LOOK_LINES);
        if !more || (first_at.is_some() && !must_look_on) {
            break;
        }
    }
    if let (None, Some((line, reason))) = (first_at, foreign) {
        return Err(refused(format!("line {line}: {reason}; nothing else is traded in it")));
    }
    let is_raw = |listed: &&Listed| listed.stream == Stream::Trades(TradeKind::Raw);
    let raw_instruments: Vec<_> =
        seen.iter().filter(is_raw).map(|listed| listed.instrument.clone()).collect();
    let left_out = |listed: &Listed| {
        listed.stream == Stream::Trades(TradeKind::Aggregate) && raw_instruments.contains(&listed.instrument)
    };
    seen.retain(|listed| !left_out(listed));
    Ok(Recording { part, format, raw_instruments, first_at, seen, is_live: None, state: State::Waiting })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    const HEADER: &str = "exchange_time,trade_id,price,quantity,taker_side\n";

    fn write(dir: &Path, name: &str, text: &str) -> PathBuf {
        let path = dir.join(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    fn options() -> Options {
        Options {
            venue: Some(Venue::new("binance").unwrap()),
            symbol: Some("BTC-USDT".to_owned()),
            ..Options::default()
        }
    }

    /// What comes out, as `symbol id seconds`, or the error's text.
    fn merged(paths: &[PathBuf], options: Options) -> Result<Vec<String>, InputError> {
        let mut inputs = Inputs::open(paths, options)?;
        let (mut batch, mut lines) = (Vec::new(), Vec::new());
        while inputs.next_batch(&mut batch)? {
            for entry in &batch {
                let symbol = inputs.roster().get(entry.instrument).0.symbol().to_owned();
                let (file, line) = inputs.place(entry.position);
                assert!(file.ends_with(".csv") && line > 0);
                lines.push(match &entry.event {
                    Event::Trade(trade) => {
                        format!("{symbol} {} {}", trade.id, trade.exchange_at.0 / 1_000_000_000)
                    }
                    Event::Candle(candle) => format!("{symbol} {}", candle.open_at),
                    other => format!("{other:?}"),
                });
            }
        }
        inputs.finish()?;
        assert_eq!(inputs.bytes_read(), inputs.bytes_total());
        Ok(lines)
    }

    fn rows(rows: &[(u64, u64)]) -> String {
        let row = |(id, seconds): &(u64, u64)| format!("{},{id},1,1,buy\n", 1_700_000_000 + seconds);
        HEADER.to_owned() + &rows.iter().map(row).collect::<String>()
    }

    fn ids(lines: &[String]) -> Vec<u64> {
        lines.iter().map(|line| line.split(' ').nth(1).unwrap().parse().unwrap()).collect()
    }

    #[test]
    fn the_earliest_head_goes_first_whatever_the_order_of_arguments() {
        let dir = tempfile::tempdir().unwrap();
        // The third keeps its own order; at equal times the recording that began first goes first.
        let a = write(dir.path(), "a.csv", &rows(&[(1, 0), (4, 3), (7, 9)]));
        let b = write(dir.path(), "b.csv", &rows(&[(2, 1), (5, 3)]));
        let c = write(dir.path(), "c.csv", &rows(&[(3, 2), (6, 8), (60, 1)]));
        let expected = [1, 2, 3, 4, 5, 6, 60, 7];
        for paths in [[&a, &b, &c], [&c, &b, &a], [&b, &c, &a]] {
            let paths: Vec<_> = paths.into_iter().cloned().collect();
            assert_eq!(ids(&merged(&paths, options()).unwrap()), expected);
        }
    }

    #[test]
    fn many_recordings_merge_as_a_sort_would() {
        let dir = tempfile::tempdir().unwrap();
        let mut paths = Vec::new();
        let mut expected = Vec::new();
        for file in 0..20u64 {
            let own: Vec<_> = (0..3_000).map(|i| (file * 10_000 + i, i * 20 + file)).collect();
            expected.extend(own.iter().map(|&(id, at)| (at, id)));
            paths.push(write(dir.path(), &format!("{file:02}.csv"), &rows(&own)));
        }
        expected.sort_unstable();
        let expected: Vec<_> = expected.into_iter().map(|(_, id)| id).collect();
        assert_eq!(ids(&merged(&paths, options()).unwrap()), expected);
    }

    #[test]
    fn from_is_inclusive_and_to_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let a = write(dir.path(), "a.csv", &rows(&[(1, 0), (2, 1), (3, 2), (4, 3)]));
        let at = |seconds: i64| Some(UnixNanos((1_700_000_000 + seconds) * 1_000_000_000));
        let wanted = Options { from: at(1), to: at(3), ..options() };
        assert_eq!(ids(&merged(&[a], wanted).unwrap()), [2, 3]);
    }

    fn check_refused(paths: &[PathBuf], options: Options, words: &[&str]) {
        let Err(InputError::Refused(message)) = merged(paths, options) else { panic!("was not refused") };
        for word in words {
            assert!(message.contains(word), "{message:?} lacks {word:?}");
        }
    }

    #[test]
    fn raw_and_aggregate_trades_are_never_mixed() {
        let dir = tempfile::tempdir().unwrap();
        let raw = write(dir.path(), "BTCUSDT-trades-2024-08-09.csv", "1,1,1,1,1723161601437,True,True\n");
        let aggregate =
            write(dir.path(), "BTCUSDT-aggTrades-2024-08-09.csv", "1,1,1,1,1,1723161601437,True,True\n");
        let paths = [raw, aggregate];
        check_refused(&paths, Options::default(), &["BTCUSDT-trades", "BTCUSDT-aggTrades", "never mixed"]);
    }

    #[test]
    fn what_cannot_be_read_is_refused_before_anything_runs() {
        let dir = tempfile::tempdir().unwrap();
        let good = write(dir.path(), "a.csv", &rows(&[(1, 0)]));
        let blank = write(dir.path(), "blank.csv", "\n\n");
        let wrong = write(dir.path(), "wrong.csv", "a,b,c\n1,2,3\n");
        check_refused(&[], options(), &["no recording"]);
        check_refused(&[good.clone(), good.clone()], options(), &["a.csv is named twice"]);
        check_refused(&[good.clone(), blank], options(), &["blank.csv is empty"]);
        check_refused(&[good.clone(), wrong.clone()], options(), &["wrong.csv", "--format", "csv, jsonl"]);
        let as_csv = Options { format: Some("csv".to_owned()), ..options() };
        check_refused(&[wrong], as_csv, &["wrong.csv: line 1", "allowed is exchange_time"]);
        let strange = Options { format: Some("xml".to_owned()), ..options() };
        check_refused(std::slice::from_ref(&good), strange, &["\"xml\" is unknown", "auto, journal"]);
        check_refused(&[dir.path().join("none.csv")], options(), &["none.csv does not exist"]);
        check_refused(&[good], Options::default(), &["a.csv", "--venue"]);
    }

    #[test]
    fn too_many_skipped_lines_stop_the_run() {
        let dir = tempfile::tempdir().unwrap();
        let text = rows(&[(1, 0)]) + &"1700000000,2,NaN,1,buy\n".repeat(1_001);
        let path = write(dir.path(), "a.csv", &text);
        let quarantine = dir.path().join("quarantine.jsonl");
        let kept = Options { quarantine: Some(quarantine.clone()), ..options() };
        let error = merged(std::slice::from_ref(&path), kept).unwrap_err();
        assert!(matches!(&error, InputError::Failed(m) if m.contains("1001 lines")), "{error}");
        assert_eq!(std::fs::read_to_string(&quarantine).unwrap().lines().count(), 1_001);
        let more = Options { max_quarantined: Some(1_001), ..options() };
        assert_eq!(merged(&[path], more).unwrap().len(), 1);
    }

    #[test]
    fn equal_candles_are_dropped_and_others_skipped() {
        let dir = tempfile::tempdir().unwrap();
        let header = "open_time,open,high,low,close,volume\n";
        let a =
            format!("{header}2021-01-01T01:00:00Z,1,1,1,1,1\n2021-01-01,1,1,1,1,1\n2021-01-01,1,1,1,1,1\n");
        let b = format!("{header}2021-01-01T01:00:00Z,1,1,1,1,2\n2021-01-01T02:00:00Z,1,1,1,1,2\n");
        let paths = [write(dir.path(), "a.csv", &a), write(dir.path(), "b.csv", &b)];
        let quarantine = dir.path().join("quarantine.jsonl");
        let hourly = Options {
            interval: TimeInterval::all().find(|i| i.nanos() == 3_600_000_000_000),
            quarantine: Some(quarantine.clone()),
            ..options()
        };
        let expected = [
            "BTC-USDT 2021-01-01T00:00:00Z",
            "BTC-USDT 2021-01-01T01:00:00Z",
            "BTC-USDT 2021-01-01T02:00:00Z",
        ];
        assert_eq!(merged(&paths, hourly).unwrap(), expected);
        let skipped = std::fs::read_to_string(&quarantine).unwrap();
        assert!(skipped.lines().count() == 1 && skipped.contains("b.csv\",\"line\":2"), "{skipped}");
    }
}
