//! `tapewatch verify DIR`: does the journal of a live data directory give what the live run told, and what lies
//! in the embedded store and in the log of the feed?

pub mod feed;
pub mod stores;

use std::path::PathBuf;

use crate::app::config::Config;
use crate::app::outcome::{self, Failure};
use crate::app::verify::stores::{Held, Stores};
use crate::domain::told::Roster;
use crate::engine::data_dir::DataDir;
use crate::engine::verify::{self, Recorded, Verified};
use crate::journal::reader::Tail;
use crate::journal::snapshots::Snapshots;
use crate::journal::survey::Survey;

#[derive(Debug, clap::Args)]
pub struct VerifyArguments {
    /// The data directory of a live run
    #[arg(value_name = "DIR")]
    dir: PathBuf,
    /// The result as one JSON object
    #[arg(long)]
    json: bool,
}

pub fn verify(arguments: &VerifyArguments) -> Result<(), Failure> {
    let journal = DataDir::journal_of(&arguments.dir);
    if !journal.is_dir() {
        let dir = arguments.dir.display();
        return Err(Failure::refused(format!("{dir} is no data directory: it has no folder journal")));
    }
    let recorded = Recorded::of(&journal)?;
    let text = recorded.config.as_deref().unwrap_or_default();
    let name = journal.display().to_string();
    let config = Config::recorded(&name, text, None, &[]).map_err(Failure::refused)?;
    let settings = config.engine.settings();
    // Candles that the replay puts aside go elsewhere: the data directory is not written to.
    let own = tempfile::tempdir()
        .map_err(|error| Failure::failed(format!("failed to make a directory: {error}")))?;
    let snapshots = Snapshots::at(&DataDir::snapshots_of(&arguments.dir), own.path())?;
    // Before the journal is read: of what they hold now it then holds the cause, although a service may run.
    let roster = Roster::new(Survey::of(&journal)?.instruments.into_iter().map(|listed| listed.instrument));
    let kept = snapshots.reached()?;
    let mut stores = Stores::begin(&arguments.dir, roster, &settings, kept, own.path())?;
    let verified = verify::verify(&journal, &snapshots, &settings, &recorded, &mut stores)?;
    // Where the replay differs there is nothing to hold a store against.
    let held = match &verified.difference {
        Some(_) => Held::default(),
        None => stores.finish(!verified.from_snapshots)?,
    };
    tell(arguments, &verified, &held)?;
    let difference = verified.difference.as_ref().map(ToString::to_string).or(held.difference);
    match difference {
        Some(difference) => Err(Failure::failed(difference)),
        None => Ok(()),
    }
}

fn tell(arguments: &VerifyArguments, verified: &Verified, held: &Held) -> Result<(), Failure> {
    let difference =
        verified.difference.as_ref().map(ToString::to_string).or_else(|| held.difference.clone());
    if arguments.json {
        let object = serde_json::json!({
            "instruments": verified.instruments,
            "events": verified.events,
            "outputs": verified.outputs,
            "compared": verified.compared,
            "from_snapshots": verified.from_snapshots,
            "store_rows": held.rows,
            "feed_messages": held.messages,
            "equal": difference.is_none(),
            "difference": difference,
        });
        return outcome::print(&format!("{object}\n"));
    }
    let mut text = format!(
        "{} instruments, {} events, {} outputs; {} statements of the live run compared\n",
        verified.instruments, verified.events, verified.outputs, verified.compared
    );
    let counted = |count: Option<u64>, what: &str| count.map(|count| format!("{count} {what}"));
    let compared = [counted(held.rows, "rows of the store"), counted(held.messages, "messages of the feed")];
    let compared: Vec<_> = compared.into_iter().flatten().collect();
    if !compared.is_empty() {
        text.push_str(&format!("{} compared\n", compared.join(", ")));
    }
    if verified.from_snapshots {
        text.push_str("older segments are gone: compared from the oldest snapshots on\n");
    }
    if let Some(Tail::Torn { file, offset, bytes }) = &verified.tail {
        let file = file.display();
        text.push_str(&format!(
            "{file}: offset {offset}: the last block is torn ({bytes} bytes of it are there), as a kill leaves it\n"
        ));
    }
    if difference.is_none() {
        text.push_str("equal\n");
    }
    outcome::print(&text)
}
