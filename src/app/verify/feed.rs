//! Holding the log of the feed against what the journal replays to: every message that was kept, to the letter.
//!
//! Each message names its cause and which of the cause's messages it is, so that both run side by side, instrument by
//! instrument. The log may begin later than the replay (old messages go), and end earlier (after a kill), but not
//! before what the last snapshot covers. Where numbers are missing in it (a feed that was overrun, a loss of
//! power, damage) what the replay tells beyond it is no difference.

use std::collections::BTreeMap;
use std::path::Path;

use crate::api::feed::channel::Channel;
use crate::api::feed::message::write_message;
use crate::domain::output::Position;
use crate::domain::shape::Label;
use crate::domain::told::{Roster, Watch};
use crate::runtime::sink::Telling;
use crate::storage::feed_log::contents::{Contents, Logged, hash};
use crate::storage::feed_log::error::FeedLogError;
use crate::storage::feed_log::record::Record;

/// What a parked symbol says is no matter of its log.
const PARKED: &[u8] = b"\"name\":\"symbol_parked\"";

/// A comparison under way.
pub struct FeedAudit {
    from_the_beginning: bool,
    has_holes: bool,
    /// Up to where the log is whole, by partition.
    kept: BTreeMap<u32, Position>,
    /// By watch.
    instruments: Vec<Seat>,
    pub messages: u64,
    /// The first that differs, in words.
    pub difference: Option<String>,
}

struct Seat {
    name: String,
    label: Label,
    logged: Vec<Logged>,
    /// How many of them were met.
    met: usize,
    /// Some message was found in the log.
    any: bool,
    heard: bool,
    /// Of the last cause, how many messages it had.
    cause: (Position, u32),
}

impl FeedAudit {
    /// Looks into the log as it stands, before the journal is read; `None`: there is none.
    pub fn begin(
        dir: &Path,
        roster: &Roster,
        kept: BTreeMap<u32, Position>,
    ) -> Result<Option<Self>, FeedLogError> {
        let is_of_the_log =
            |record: &Record<'_>| !record.body.windows(PARKED.len()).any(|part| part == PARKED);
        let Some(mut contents) = Contents::read(dir, is_of_the_log)? else { return Ok(None) };
        let instruments = roster.iter().map(|(_, instrument)| {
            let name = instrument.to_string();
            Seat {
                logged: contents.messages.remove(&name).unwrap_or_default(),
                label: Label::new(instrument),
                name,
                met: 0,
                any: false,
                heard: false,
                cause: (Position::default(), 0),
            }
        });
        Ok(Some(Self {
            instruments: instruments.collect(),
            from_the_beginning: contents.from_the_beginning,
            has_holes: contents.has_holes,
            kept,
            messages: 0,
            difference: None,
        }))
    }

    /// All that the events of the instrument from `from` on tell is heard from now on.
    pub fn reach(&mut self, watch: Watch, from: Position) {
        let seat = &mut self.instruments[watch.0 as usize];
        seat.heard = true;
        seat.met = seat.logged.partition_point(|logged| logged.at < from);
        seat.any = seat.met > 0;
    }

    /// The replay tells this because of an event of that partition.
    pub fn hear(&mut self, partition: u32, telling: &Telling) {
        let Some(channel) = Channel::of(&telling.told).filter(|channel| channel.is_kept()) else { return };
        let seat = &mut self.instruments[telling.watch.0 as usize];
        seat.cause = match seat.cause {
            (at, told) if at == telling.at => (at, told + 1),
            _ => (telling.at, 0),
        };
        let place = seat.cause;
        let next = seat.logged.get(seat.met).copied();
        let difference = match next {
            Some(logged) if (logged.at, logged.ordinal) < place => Some(format!(
                "seq {} of {}: is in the log of the feed, and the replay does not tell it",
                logged.seq, seat.name
            )),
            Some(logged) if (logged.at, logged.ordinal) == place => {
                let mut text = Vec::new();
                write_message(logged.seq, channel, &seat.label, telling, 0, &mut text);
                seat.met += 1;
                seat.any = true;
                self.messages += 1;
                (hash(&text) != logged.hash).then(|| {
                    let text = String::from_utf8_lossy(&text);
                    format!(
                        "seq {} of {}: the log of the feed has another text than the replay: {text}",
                        logged.seq, seat.name
                    )
                })
            }
            _ => {
                let kept = self.kept.get(&partition).is_some_and(|kept| telling.at <= *kept);
                // Before the first message of the log: the older ones may have been deleted.
                let wanted = if next.is_some() { seat.any || self.from_the_beginning } else { kept };
                let known = wanted && !self.has_holes && (seat.any || self.from_the_beginning);
                known.then(|| {
                    let mut text = Vec::new();
                    write_message(0, channel, &seat.label, telling, 0, &mut text);
                    let text = String::from_utf8_lossy(&text);
                    format!(
                        "{}: the log of the feed lacks a message that the replay tells: {text}",
                        seat.name
                    )
                })
            }
        };
        if self.difference.is_none() {
            self.difference = difference;
        }
    }

    /// All was heard.
    pub fn finish(&mut self) {
        let left = |seat: &Seat| seat.logged.get(seat.met).filter(|_| seat.heard).copied();
        let first = self.instruments.iter().find_map(|seat| Some((left(seat)?.seq, &seat.name)));
        if let Some((seq, name)) = first.filter(|_| self.difference.is_none()) {
            self.difference = Some(format!(
                "seq {seq} of {name}: is in the log of the feed, and the replay does not tell it"
            ));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::data_state::DataState;
    use crate::domain::insight::{Evidence, InsightId, Severity, Signal, SignalKind};
    use crate::domain::time::UnixNanos;
    use crate::domain::told::Told;
    use crate::storage::feed_log::log::{FeedLog, FeedLogOptions};

    fn roster() -> Roster {
        Roster::new(["a:B-C", "d:E-F"].map(|name| name.parse().unwrap()))
    }

    /// Two signals of each cause.
    fn telling(watch: u32, at: u64, ordinal: u64, name: &'static str) -> Telling {
        let signal = Signal {
            id: InsightId(at * 10 + ordinal),
            kind: SignalKind::Anomaly,
            name,
            severity: Severity::Info,
            action: None,
            exchange_at: UnixNanos(at as i64),
            score: 0.5,
            message: String::new(),
            evidence: Evidence::default(),
            models: Vec::new(),
            data_state: DataState::Complete,
        };
        let told = Told::Signal(Box::new(signal));
        Telling { watch: Watch(watch), cause_seq: at, at: Position(at), received: None, told }
    }

    /// `logged` and `told`: causes of the first instrument; `kept`: what the snapshots cover.
    fn compared(logged: &[u64], kept: u64, told: &[u64], name: &'static str) -> (u64, Option<String>) {
        let dir = tempfile::tempdir().unwrap();
        let mut log = FeedLog::open(dir.path(), FeedLogOptions::default()).unwrap();
        let label = Label::new(&"a:B-C".parse().unwrap());
        for &at in logged {
            for ordinal in 0..2 {
                let seq = log.take_numbers(1).unwrap();
                let mut body = Vec::new();
                write_message(seq, Channel::Signals, &label, &telling(0, at, ordinal, name), 0, &mut body);
                let (at, ordinal) = (Position(at), ordinal as u32);
                log.push(&Record { seq, at, ordinal, tag: [0, 0, 0], name: "a:B-C", body: &body });
            }
        }
        log.commit().unwrap();
        drop(log);
        let kept = BTreeMap::from([(7, Position(kept))]);
        let mut audit = FeedAudit::begin(dir.path(), &roster(), kept).unwrap().unwrap();
        audit.reach(Watch(0), Position(2));
        for &at in told {
            (0..2).for_each(|ordinal| audit.hear(7, &telling(0, at, ordinal, "burst")));
        }
        audit.finish();
        (audit.messages, audit.difference)
    }

    #[test]
    fn the_log_is_what_the_replay_tells() {
        assert_eq!(compared(&[1, 2, 5], 5, &[2, 5], "burst"), (4, None));
        assert_eq!(compared(&[2], 3, &[2, 5], "burst"), (2, None), "a kill came before the rest");
        assert_eq!(compared(&[2], 1, &[], "symbol_parked"), (0, None), "no matter of the log");
    }

    #[test]
    fn each_kind_of_difference_is_told() {
        let check = |logged: &[u64], kept: u64, told: &[u64], name: &'static str, words: &str| {
            let difference = compared(logged, kept, told, name).1.expect("a difference");
            assert!(difference.contains(words) && difference.contains("a:B-C"), "{difference}");
        };
        check(&[2], 5, &[2, 5], "burst", "lacks a message that the replay tells");
        check(&[2, 6], 2, &[2, 5, 6], "burst", "lacks a message that the replay tells");
        check(&[2, 4, 6], 6, &[2, 6], "burst", "seq 3 of a:B-C: is in the log of the feed");
        check(&[2, 6], 6, &[2], "burst", "seq 3 of a:B-C: is in the log of the feed");
        check(&[2], 2, &[2], "other", "seq 1 of a:B-C: the log of the feed has another text");
    }
}
