//! Catching up: what a journal holds behind the positions of many partitions, in one pass.
//!
//! A restart has a state of each partition, each at a position of its own. Reading begins at the first
//! segment that any of them still needs; what a partition's state knows already is passed over, and so is
//! what was journalled as skipped.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use crate::domain::output::Position;
use crate::journal::entry::{Entry, InstrumentNumber, Listed};
use crate::journal::error::JournalError;
use crate::journal::reader::{Reader, Tail};
use crate::journal::segment::SegmentFile;
use crate::journal::skips::Skips;

/// The entries behind a set of positions.
#[derive(Debug)]
pub struct CatchUp {
    reader: Reader,
    /// By partition.
    after: Vec<Option<Position>>,
    found: Arc<Found>,
}

/// What was found on the way through a journal, before any entry is read.
#[derive(Debug, Default)]
pub struct Found {
    /// From the first on that holds anything of use.
    files: Vec<SegmentFile>,
    skips: Arc<Skips>,
    listed: Vec<Listed>,
}

impl CatchUp {
    /// `after`: the position of each partition's state. A partition that is not named has no state: it
    /// gets all that the journal still holds. `Position(u64::MAX)`: nothing is wanted of it.
    ///
    /// # Errors
    ///
    /// [`JournalError::Gone`] where a state is older than the journal reaches back.
    pub fn open(dir: &Path, after: BTreeMap<u32, Position>) -> Result<Self, JournalError> {
        let files = SegmentFile::list(dir)?;
        let start = first_needed(dir, &files, &after)?;
        let files = files[start..].to_vec();
        let (skips, looked) = Skips::read(Reader::over(files.iter().cloned()))?;
        let listed = looked.instruments().to_vec();
        Ok(Self::of(Found { files, skips: skips.into(), listed }.into(), &after))
    }

    /// The entries that somebody else's reading found, and who wants less of them: up to where the journal reached when
    /// it was looked through.
    pub fn of(found: Arc<Found>, after: &BTreeMap<u32, Position>) -> Self {
        let mut by_partition = vec![None; after.keys().next_back().map_or(0, |last| *last as usize + 1)];
        for (&partition, &at) in after {
            by_partition[partition as usize] = Some(at);
        }
        Self { reader: Reader::over(found.files.iter().cloned()), after: by_partition, found }
    }

    /// What was quarantined. Ticks that one instrument alone passes over are handed on all the same.
    pub fn skips(&self) -> Arc<Skips> {
        self.found.skips.clone()
    }

    /// For others who read the same journal.
    pub fn found(&self) -> Arc<Found> {
        self.found.clone()
    }

    /// Hands on what of the next block is wanted, in order, with the instruments met so far, by number.
    /// `false`: there are no more blocks.
    ///
    /// A tick, a configuration or a version names only partitions that it is news for.
    pub fn next_block(&mut self, mut each: impl FnMut(&[Listed], Entry)) -> Result<bool, JournalError> {
        let (after, skips) = (&self.after, &self.found.skips);
        let Some(block) = self.reader.next_block()? else { return Ok(false) };
        let instruments = block.instruments();
        let is_news = |partition: u32, at: Position| {
            let known = after.get(partition as usize).copied().flatten();
            known.is_none_or(|known| at > known) && !skips.has(partition, at)
        };
        let of = |instrument: InstrumentNumber| instruments[instrument.0 as usize].partition;
        // A shard reads past the trades of all others.
        let is_wanted = |instrument: InstrumentNumber, at: Position| is_news(of(instrument), at);
        block.for_each_wanted(is_wanted, |mut entry| {
            let wanted = match &mut entry {
                Entry::Event { instrument, at, .. }
                | Entry::Outputs { instrument, at, .. }
                | Entry::Closed { instrument, at, .. }
                | Entry::SkippedTick { instrument, at, .. } => is_news(of(*instrument), *at),
                Entry::Tick { partitions, .. }
                | Entry::Config { partitions, .. }
                | Entry::Version { partitions, .. } => {
                    partitions.retain(|(partition, at)| is_news(*partition, *at));
                    !partitions.is_empty()
                }
                Entry::Skipped { partition, at, .. } => is_news(*partition, *at),
            };
            if wanted {
                each(instruments, entry);
            }
        })?;
        Ok(true)
    }

    /// All instruments that the entries are of, and perhaps others, before any was read.
    pub fn listed(&self) -> &[Listed] {
        &self.found.listed
    }

    /// The instruments met so far, in order of number.
    pub fn instruments(&self) -> &[Listed] {
        self.reader.instruments()
    }

    /// How the journal ends: only true once all was read.
    pub fn tail(&self) -> &Tail {
        self.reader.tail()
    }
}

/// The last segment before which every partition knows all.
fn first_needed(
    dir: &Path,
    files: &[SegmentFile],
    after: &BTreeMap<u32, Position>,
) -> Result<usize, JournalError> {
    if files.is_empty() {
        return Err(JournalError::NoSegments(dir.to_owned()));
    }
    for start in (0..files.len()).rev() {
        let Some(began) = Reader::began_all(&files[start])? else { continue };
        // A partition without a state needs all there is.
        let all_have_states = (0..began.partitions).all(|partition| after.contains_key(&partition));
        let news =
            began.reached.iter().find(|(partition, at)| after.get(partition).is_some_and(|known| at > known));
        match news {
            None if all_have_states || start == 0 => return Ok(start),
            Some((partition, _)) if start == 0 => {
                return Err(JournalError::Gone { dir: dir.to_owned(), partition: *partition });
            }
            _ => {}
        }
    }
    Ok(0)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::domain::event::Event;
    use crate::domain::instrument::Instrument;
    use crate::domain::time::UnixNanos;
    use crate::domain::venue::IdRule;
    use crate::journal::options::WriterOptions;
    use crate::journal::writer::Writer;

    const PARTITIONS: u32 = 4;

    /// Positions of what is news, by partition.
    type News = BTreeMap<u32, Vec<u64>>;

    fn journal(dir: &Path) -> (News, HashSet<(u32, u64)>) {
        let options = WriterOptions {
            partitions: PARTITIONS,
            segment_bytes_max: 6_000,
            block_bytes_max: 400,
            sync_segments: false,
            ..WriterOptions::default()
        };
        let mut writer = Writer::create(dir, options).unwrap();
        let instruments: Vec<Instrument> = (0..9).map(|i| format!("x:C{i}-USD").parse().unwrap()).collect();
        let (mut written, mut skipped) = (News::new(), HashSet::new());
        for i in 0..600usize {
            let at = UnixNanos(i as i64);
            if i % 7 == 0 {
                writer.append_tick(at, &[2, 0]).unwrap();
                for partition in [2, 0] {
                    written.entry(partition).or_default().push(writer.position(partition).0);
                }
                continue;
            }
            let instrument = &instruments[i % 9];
            let partition = instrument.partition(PARTITIONS);
            let number = writer.define(instrument, IdRule::Absent);
            let position = writer.append(number, &Event::Unwatched { from: at, to: at }).unwrap();
            written.entry(partition).or_default().push(position.0);
            if i % 50 == 1 {
                skipped.insert((partition, position.0));
                let at = writer.append_skipped(partition, position, "for a reason").unwrap();
                written.entry(partition).or_default().push(at.0);
            }
        }
        writer.close().unwrap();
        assert!(SegmentFile::list(dir).unwrap().len() > 5);
        (written, skipped)
    }

    fn caught_up(dir: &Path, after: &BTreeMap<u32, Position>) -> Result<News, JournalError> {
        let mut catch_up = CatchUp::open(dir, after.clone())?;
        let mut news = News::new();
        while catch_up.next_block(|instruments, entry| match entry {
            Entry::Event { instrument, at, .. } => {
                news.entry(instruments[instrument.0 as usize].partition).or_default().push(at.0);
            }
            Entry::Tick { partitions, .. } => {
                partitions.iter().for_each(|(p, at)| news.entry(*p).or_default().push(at.0));
            }
            Entry::Skipped { partition, at, .. } => news.entry(partition).or_default().push(at.0),
            _ => unreachable!("nothing else was written"),
        })? {}
        Ok(news)
    }

    #[test]
    fn each_partition_gets_what_is_news_for_it() {
        let dir = tempfile::tempdir().unwrap();
        let (written, skipped) = journal(dir.path());
        let check = |after: [Option<u64>; PARTITIONS as usize]| {
            let after: BTreeMap<u32, Position> =
                (0..).zip(after).filter_map(|(p, at)| Some((p, Position(at?)))).collect();
            let mut expected = written.clone();
            for (partition, positions) in &mut expected {
                let known = after.get(partition).copied().unwrap_or_default();
                positions.retain(|at| *at > known.0 && !skipped.contains(&(*partition, *at)));
            }
            expected.retain(|_, positions| !positions.is_empty());
            assert_eq!(caught_up(dir.path(), &after).unwrap(), expected, "{after:?}");
        };
        check([None; 4]);
        check([Some(0); 4]);
        check([Some(100), Some(3), Some(40), Some(77)]);
        check([Some(100), None, Some(150), Some(77)]);
        check([Some(u64::MAX), Some(60), Some(90), Some(u64::MAX)]);
        check([Some(u64::MAX); 4]);
    }

    #[test]
    fn a_state_older_than_the_journal_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let (written, _) = journal(dir.path());
        let files = SegmentFile::list(dir.path()).unwrap();
        files[..3].iter().for_each(|file| std::fs::remove_file(&file.path).unwrap());
        let began = Reader::began_all(&files[3]).unwrap().unwrap();
        let mut after: BTreeMap<u32, Position> = began.reached.into_iter().collect();
        let news = caught_up(dir.path(), &after).unwrap();
        assert!(news.values().flatten().count() < written.values().flatten().count());
        after.insert(0, Position(1));
        assert!(matches!(caught_up(dir.path(), &after), Err(JournalError::Gone { partition: 0, .. })));
        // Without a state it is content with what there is.
        after.remove(&0);
        assert_eq!(caught_up(dir.path(), &after).unwrap(), news);
    }
}
