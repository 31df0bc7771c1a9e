//! `tapewatch generate`: a seeded market with labels, written as a recording.

use std::path::PathBuf;

use crate::app::outcome::{self, Failure};
use crate::replay::generate::error::GenerateError;
use crate::replay::generate::generate_to;
use crate::replay::generate::parameters::Parameters;

#[derive(Debug, clap::Args)]
pub struct GenerateArguments {
    /// The recording; its labels go to FILE.labels.jsonl. Packed where it ends in .gz
    #[arg(long, value_name = "FILE")]
    to: PathBuf,
    #[command(flatten)]
    parameters: Parameters,
    /// One JSON object instead of text
    #[arg(long)]
    json: bool,
}

pub fn generate(arguments: &GenerateArguments) -> Result<(), Failure> {
    let summary = generate_to(&arguments.parameters, &arguments.to).map_err(|error| match error {
        GenerateError::Parameters(_) | GenerateError::OneSymbolOnly { .. } => Failure::refused(error),
        GenerateError::File { .. } | GenerateError::Write(_) => Failure::failed(error),
    })?;
    if arguments.json {
        let object = serde_json::to_string(&summary).map_err(Failure::failed)?;
        return outcome::print(&format!("{object}\n"));
    }
    let labels: Vec<_> =
        summary.labels.iter().map(|(kind, count)| format!("{count} {}", kind.name())).collect();
    outcome::print(&format!(
        "{}: {} rows of {} trades, {} more swallowed by gaps; labels: {}\n",
        arguments.to.display(),
        summary.rows,
        summary.trades,
        summary.lost,
        if labels.is_empty() { "none".to_owned() } else { labels.join(", ") },
    ))
}
