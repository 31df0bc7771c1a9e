//! The command line: what is offered, and what a wrong word is answered.

use std::ffi::OsString;
use std::io::{self, Write};
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{CommandFactory, Parser, Subcommand};

use crate::app::alerts::{self, AlertsArguments};
use crate::app::backfill::{self, BackfillArguments};
use crate::app::check::{self, CheckArguments};
use crate::app::config;
use crate::app::demo::{self, DemoArguments};
use crate::app::evaluate::{self, EvaluateArguments};
use crate::app::export::{self, ExportArguments};
use crate::app::generate::{self, GenerateArguments};
use crate::app::import::{self, ImportArguments};
use crate::app::keys::{self, KeysArguments};
use crate::app::latency::{self, LatencyArguments};
use crate::app::live::{self, RunArguments};
use crate::app::outcome::{self, Failure};
use crate::app::probe::{self, ProbeArguments};
use crate::app::record::{self, RecordArguments};
use crate::app::replay::{self, ReplayArguments};
use crate::app::simulate::{self, SimulateArguments};
use crate::app::verify::{self, VerifyArguments};

/// Exact candles, incremental indicators and order flow from the tape.
#[derive(Debug, Parser)]
#[command(
    name = "tapewatch",
    version,
    after_help = "Exit codes: 0 done; 1 failed while running; 2 refused input or configuration.\n\
                  Results go to standard output, progress and messages to standard error."
)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Send a test alert to a channel of the configuration
    Alerts(AlertsArguments),
    /// Fetch an instrument's history over REST into the journal of a data directory
    Backfill(BackfillArguments),
    /// Validate a configuration; print what would run, and every catalogue
    Check(CheckArguments),
    /// Print the default configuration, commented
    Config,
    /// The whole engine on simulated venues: no network, server or configuration needed
    Demo(DemoArguments),
    /// Score detectors, forecasters and signals on recordings or labelled series
    Evaluate(Box<EvaluateArguments>),
    /// Write trades of a journal, stored results, or those of a replay, as CSV, JSON lines or Parquet
    Export(ExportArguments),
    /// Write a seeded market, with labels of what was put into it, as a recording
    Generate(Box<GenerateArguments>),
    /// Read recordings into a new journal
    Import(ImportArguments),
    /// Make, list and revoke API keys
    Keys(KeysArguments),
    /// Show how long each stage of a running engine takes, live
    Latency(LatencyArguments),
    /// Connect to a venue and check what is assumed about it
    Probe(ProbeArguments),
    /// Write a venue's raw frames as they are received
    Record(RecordArguments),
    /// Turn recordings into candles, indicators and gaps, at full speed
    Replay(Box<ReplayArguments>),
    /// Run the service until a signal ends it
    Run(RunArguments),
    /// An exchange on loopback that speaks a venue's real protocol, with faults on request
    SimulateVenue(Box<SimulateArguments>),
    /// Hold a live data directory's journal against what the live run told
    Verify(VerifyArguments),
}

/// Runs the command that the process was started with.
pub fn main() -> ExitCode {
    run(std::env::args_os())
}

/// Runs one command; the first argument is the name of the program.
pub fn run(arguments: impl IntoIterator<Item = impl Into<OsString> + Clone>) -> ExitCode {
    let arguments: Vec<OsString> = arguments.into_iter().map(Into::into).collect();
    let result = match Arguments::try_parse_from(&arguments) {
        Ok(arguments) => perform(arguments.command),
        Err(error) => match error.kind() {
            ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => outcome::print(&error.to_string()),
            _ => Err(Failure::refused(wrong_words(&error, &arguments))),
        },
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            let _ = writeln!(io::stderr().lock(), "tapewatch: {failure}");
            ExitCode::from(failure.code())
        }
    }
}

fn perform(command: Command) -> Result<(), Failure> {
    match command {
        Command::Backfill(arguments) => backfill::backfill(&arguments),
        Command::Check(arguments) => check::check(&arguments),
        Command::Demo(arguments) => demo::demo(&arguments),
        Command::Evaluate(arguments) => evaluate::evaluate(&arguments),
        Command::Export(arguments) => export::export(&arguments),
        Command::Generate(arguments) => generate::generate(&arguments),
        Command::Import(arguments) => import::import(&arguments),
        Command::Alerts(arguments) => alerts::alerts(&arguments),
        Command::Keys(arguments) => keys::keys(&arguments),
        Command::Latency(arguments) => latency::latency(&arguments),
        Command::Probe(arguments) => probe::probe(&arguments),
        Command::Record(arguments) => record::record(&arguments),
        Command::Replay(arguments) => replay::replay(&arguments),
        Command::Run(arguments) => live::run(&arguments),
        Command::Verify(arguments) => verify::verify(&arguments),
        Command::SimulateVenue(arguments) => simulate::simulate(&arguments),
        Command::Config => outcome::print(config::DEFAULT),
    }
}

/// What clap says, and what would have been allowed.
fn wrong_words(error: &clap::Error, arguments: &[OsString]) -> String {
    let text = error.to_string();
    let text = text.strip_prefix("error: ").unwrap_or(&text).trim_end();
    let all = Arguments::command();
    let allowed: Vec<String> = match error.kind() {
        ErrorKind::InvalidSubcommand => {
            all.get_subcommands().map(|command| command.get_name().to_owned()).collect()
        }
        ErrorKind::UnknownArgument => {
            let named = arguments.get(1).and_then(|name| name.to_str());
            let command = named.and_then(|name| all.find_subcommand(name)).unwrap_or(&all);
            command
                .get_arguments()
                .filter_map(|argument| argument.get_long())
                .map(|flag| format!("--{flag}"))
                .collect()
        }
        // clap lists these itself.
        _ => return text.to_owned(),
    };
    if allowed.is_empty() { text.to_owned() } else { format!("{text}\n\nallowed are: {}", allowed.join(" ")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_declaration_is_sound() {
        Arguments::command().debug_assert();
    }

    fn check_refused(words: &[&str], part: &str) {
        let arguments: Vec<OsString> = ["tapewatch"].iter().chain(words).map(OsString::from).collect();
        let error = Arguments::try_parse_from(&arguments).expect_err("refused");
        let text = wrong_words(&error, &arguments);
        assert!(text.contains(part), "{words:?}: {text}");
    }

    #[test]
    fn wrong_words_are_told_what_is_allowed() {
        check_refused(
            &["chekc"],
            "allowed are: alerts backfill check config demo evaluate export generate import keys latency probe record replay run",
        );
        check_refused(&["check", "--jsn"], "allowed are: --config --json");
        check_refused(&["check", "--config"], "a value is required for '--config <FILE>'");
        check_refused(&["config", "--json"], "unexpected argument '--json'");
        check_refused(&[], "Usage: tapewatch <COMMAND>");
    }
}
