//! One text being read: lines through a decoder, batch by batch, here or on a thread ahead.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::thread;

use crossbeam::channel::{Receiver, Sender, bounded};

use crate::replay::beginning::Beginning;
use crate::replay::decoder::{Batch, Decoder, Facts, FormatEntry, SHOWN_LINE_CHARS, Sample};
use crate::replay::formats::journal::JournalSource;
use crate::replay::lines::{LINE_BYTES_MAX, Line, Lines, Part};
use crate::replay::recording::InputError;

const ENTRIES_PER_BATCH: usize = 2_048;
const LINES_PER_BATCH: u64 = 16_384;
const SKIPPED_PER_BATCH: usize = 256;

/// Batches decoded ahead of their use; when they are that many the thread waits.
const BATCHES_AHEAD: usize = 4;

/// The first lines of a part; none of a journal.
pub fn sample(part: &Part) -> Result<Sample, InputError> {
    let mut sample = Sample::default();
    if part.journal().is_some() {
        return Ok(sample);
    }
    let mut lines = part.open(Arc::default())?;
    let mut bytes = 0;
    while sample.lines.len() < Sample::LINES_MAX && bytes < Sample::BYTES_MAX {
        match lines.next_line() {
            Ok(Some(Line::Text(text) | Line::TooLong(text))) => {
                bytes += text.len();
                sample.lines.push(text.to_vec());
            }
            Ok(None) => break,
            // What could be read shows the format; the error comes again where it stands.
            Err(error) if sample.lines.is_empty() => return Err(error),
            Err(_) => break,
        }
    }
    if sample.iter().next().is_none() {
        return Err(InputError::Refused(format!("{} is empty: nothing but blank lines", part.name())));
    }
    Ok(sample)
}

/// What batches come from.
pub enum Source {
    Text(Box<TextSource>),
    Journal(Box<JournalSource>),
}

impl Source {
    /// Opens a recording at its beginning, or at another one that was found for a journal.
    pub fn open(
        part: &Part,
        format: &FormatEntry,
        sample: &Sample,
        facts: &Facts<'_>,
        beginning: Option<&Arc<Beginning>>,
        bytes_read: Arc<AtomicU64>,
    ) -> Result<Self, InputError> {
        match part.journal() {
            Some(path) => {
                Ok(Self::Journal(Box::new(JournalSource::open(path, beginning.cloned(), bytes_read)?)))
            }
            None => Ok(Self::Text(Box::new(TextSource::open(part, format, sample, facts, bytes_read)?))),
        }
    }

    /// Replaces what the batch holds; `false`: the recording has ended, and this batch is the last.
    pub fn next_batch(&mut self, batch: &mut Batch) -> Result<bool, InputError> {
        match self {
            Self::Text(source) => source.next_batch(batch),
            Self::Journal(source) => source.next_batch(batch),
        }
    }
}

/// A text and its decoder.
pub struct TextSource {
    name: String,
    lines: Lines,
    decoder: Box<dyn Decoder>,
    enlisted: u32,
    lines_ended: bool,
    ended: bool,
}

impl TextSource {
    fn open(
        part: &Part,
        format: &FormatEntry,
        sample: &Sample,
        facts: &Facts<'_>,
        bytes_read: Arc<AtomicU64>,
    ) -> Result<Self, InputError> {
        let decoder = (format.open)(sample, facts).map_err(|why| refused(part.name(), &why))?;
        let lines = part.open(bytes_read)?;
        let name = part.name().to_owned();
        Ok(Self { name, lines, decoder, enlisted: 0, lines_ended: false, ended: false })
    }

    fn next_batch(&mut self, batch: &mut Batch) -> Result<bool, InputError> {
        batch.begin(self.enlisted);
        let more = self.fill(batch);
        self.enlisted = batch.enlisted();
        more
    }

    fn fill(&mut self, batch: &mut Batch) -> Result<bool, InputError> {
        while !self.lines_ended {
            let full = batch.entries.len() >= ENTRIES_PER_BATCH
                || batch.lines >= LINES_PER_BATCH
                || batch.skipped.len() >= SKIPPED_PER_BATCH;
            if full {
                return Ok(true);
            }
            let number = self.lines.number() + 1;
            match self.lines.next_line()? {
                None => self.lines_ended = true,
                Some(Line::Text(line)) => {
                    batch.lines += 1;
                    self.decoder.line(number, line, batch).map_err(|why| refused(&self.name, &why))?;
                }
                Some(Line::TooLong(head)) => {
                    batch.lines += 1;
                    let head = &head[..head.len().min(4 * SHOWN_LINE_CHARS)];
                    batch.skip(number, format!("the line is longer than {LINE_BYTES_MAX} bytes"), head);
                }
            }
        }
        while !self.ended {
            if batch.entries.len() >= ENTRIES_PER_BATCH {
                return Ok(true);
            }
            self.ended = !self.decoder.drain(batch).map_err(|why| refused(&self.name, &why))?;
        }
        Ok(false)
    }
}

fn refused(name: &str, why: &str) -> InputError {
    InputError::Refused(format!("{name}: {why}"))
}

/// A source, read here when asked or ahead on a thread of its own. The batches are the same.
pub enum Feed {
    Here(Source),
    Ahead { full: Receiver<Result<(Batch, bool), InputError>>, empty: Sender<Batch> },
}

impl Feed {
    pub fn here(source: Source) -> Self {
        Self::Here(source)
    }

    pub fn ahead(mut source: Source) -> Self {
        let (full_in, full) = bounded(BATCHES_AHEAD);
        // Every batch that exists fits: giving one back never waits.
        let (empty, empty_out) = bounded::<Batch>(BATCHES_AHEAD + 4);
        thread::spawn(move || {
            loop {
                let mut batch = empty_out.try_recv().unwrap_or_default();
                let result = source.next_batch(&mut batch).map(|more| (batch, more));
                let last = !matches!(result, Ok((_, true)));
                // Nobody listens any more: the run has ended early.
                if full_in.send(result).is_err() || last {
                    return;
                }
            }
        });
        Self::Ahead { full, empty }
    }

    /// As [`Source::next_batch`].
    pub fn next_batch(&mut self, batch: &mut Batch) -> Result<bool, InputError> {
        match self {
            Self::Here(source) => source.next_batch(batch),
            Self::Ahead { full, empty } => match full.recv() {
                Ok(result) => {
                    let (next, more) = result?;
                    let used = std::mem::replace(batch, next);
                    let _ = empty.try_send(used);
                    Ok(more)
                }
                Err(_) => Err(InputError::Failed("a reading thread broke down".to_owned())),
            },
        }
    }
}
