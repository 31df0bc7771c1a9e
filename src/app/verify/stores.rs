//! What is kept beside the journal, held against what that replays to: the embedded store and the log of the feed.

use std::collections::BTreeMap;
use std::path::Path;

use crate::analytics::pipeline::Settings;
use crate::app::outcome::Failure;
use crate::app::verify::feed::FeedAudit;
use crate::domain::instrument::Instrument;
use crate::domain::output::{Output, Position};
use crate::domain::time::UnixNanos;
use crate::domain::told::{IndicatorNames, Roster, Told};
use crate::engine::verify::{Cause, Witness};
use crate::runtime::sink::Telling;
use crate::storage::embedded::audit::Audit;
use crate::storage::error::StorageError;

/// Hears the replay, and compares what lies in a data directory.
pub struct Stores {
    roster: Roster,
    names: IndicatorNames,
    store: Option<Audit>,
    feed: Option<FeedAudit>,
    fault: Option<StorageError>,
}

/// What was compared.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Held {
    /// Rows of the embedded store; `None`: there is none.
    pub rows: Option<u64>,
    /// Messages of the log of the feed; `None`: there is none.
    pub messages: Option<u64>,
    /// The first that differs, in words.
    pub difference: Option<String>,
}

impl Stores {
    /// Looks at what is there, before the journal is read. `kept`: what the snapshots cover. `own`: an empty directory.
    pub fn begin(
        data_dir: &Path,
        roster: Roster,
        settings: &Settings,
        kept: BTreeMap<u32, Position>,
        own: &Path,
    ) -> Result<Self, Failure> {
        let names = settings.indicators.names.iter().zip(&settings.indicators.outputs);
        Ok(Self {
            names: IndicatorNames::new(names.map(|(name, outputs)| (&**name, *outputs))),
            store: Audit::begin(data_dir, &roster, own).map_err(Failure::failed)?,
            feed: FeedAudit::begin(&data_dir.join("feed"), &roster, kept).map_err(Failure::failed)?,
            roster,
            fault: None,
        })
    }

    /// Compares. `whole`: the replay began at the beginning.
    pub fn finish(self, whole: bool) -> Result<Held, Failure> {
        if let Some(fault) = self.fault {
            return Err(Failure::failed(fault));
        }
        let mut held = Held::default();
        if let Some(store) = self.store {
            let compared = store.finish(whole).map_err(Failure::failed)?;
            held.rows = Some(compared.rows);
            held.difference = compared.difference;
        }
        if let Some(mut feed) = self.feed {
            feed.finish();
            held.messages = Some(feed.messages);
            held.difference = held.difference.or(feed.difference);
        }
        Ok(held)
    }
}

impl Witness for Stores {
    fn begin(&mut self, instrument: &Instrument, from: Position, known_until: UnixNanos) {
        let Some(watch) = self.roster.find(instrument) else { return };
        if let Some(store) = &mut self.store {
            store.reach(watch, known_until);
        }
        if let Some(feed) = &mut self.feed {
            feed.reach(watch, from);
        }
    }

    fn hear(&mut self, cause: &Cause<'_>, output: &Output<'_>) {
        // Kept nowhere, and nearly all there is.
        if matches!(output, Output::Trade(_) | Output::Refused { .. }) || self.fault.is_some() {
            return;
        }
        let Some(watch) = self.roster.find(cause.instrument) else { return };
        let (at, cause_seq) = (cause.at, cause.seq);
        let told = Told::of(*output, &self.names);
        let telling = Telling { watch, cause_seq, at, received: None, told };
        if let Some(feed) = &mut self.feed {
            feed.hear(cause.partition, &telling);
        }
        if let Some(store) = &mut self.store
            && let Err(fault) = store.hear(cause.partition, &telling)
        {
            self.fault = Some(fault);
        }
    }
}
