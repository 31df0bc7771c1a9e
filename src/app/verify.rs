//! `tapewatch verify DIR`: does the journal of a live data directory give what the live run told?

use std::path::PathBuf;

use crate::app::config::Config;
use crate::app::outcome::{self, Failure};
use crate::engine::data_dir::DataDir;
use crate::engine::verify::{self, NoWitness, Recorded, Verified};
use crate::journal::reader::Tail;
use crate::journal::snapshots::Snapshots;

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
    let verified = verify::verify(&journal, &snapshots, &settings, &recorded, &mut NoWitness)?;
    tell(arguments, &verified)?;
    match &verified.difference {
        Some(difference) => Err(Failure::failed(difference)),
        None => Ok(()),
    }
}

fn tell(arguments: &VerifyArguments, verified: &Verified) -> Result<(), Failure> {
    if arguments.json {
        let object = serde_json::json!({
            "instruments": verified.instruments,
            "events": verified.events,
            "outputs": verified.outputs,
            "compared": verified.compared,
            "from_snapshots": verified.from_snapshots,
            "equal": verified.difference.is_none(),
            "difference": verified.difference.as_ref().map(ToString::to_string),
        });
        return outcome::print(&format!("{object}\n"));
    }
    let mut text = format!(
        "{} instruments, {} events, {} outputs; {} statements of the live run compared\n",
        verified.instruments, verified.events, verified.outputs, verified.compared
    );
    if verified.from_snapshots {
        text.push_str("older segments are gone: compared from the oldest snapshots on\n");
    }
    if let Some(Tail::Torn { file, offset, bytes }) = &verified.tail {
        let file = file.display();
        text.push_str(&format!(
            "{file}: offset {offset}: the last block is torn ({bytes} bytes of it are there), as a kill leaves it\n"
        ));
    }
    if verified.difference.is_none() {
        text.push_str("equal\n");
    }
    outcome::print(&text)
}
