//! `tapewatch alerts`: does an alert arrive.

use std::path::PathBuf;

use clap::Subcommand;

use crate::alerts::channel::Answer;
use crate::alerts::service;
use crate::app::config::Config;
use crate::app::logging;
use crate::app::outcome::{self, Failure};

#[derive(Debug, clap::Args)]
pub struct AlertsArguments {
    #[command(subcommand)]
    command: AlertsCommand,
}

#[derive(Debug, Subcommand)]
enum AlertsCommand {
    /// Send one test alert to a channel of the configuration, once
    Test {
        /// Name of the channel
        channel: String,
        /// The configuration
        #[arg(long, value_name = "FILE")]
        config: Option<PathBuf>,
    },
}

pub fn alerts(arguments: &AlertsArguments) -> Result<(), Failure> {
    let AlertsCommand::Test { channel, config } = &arguments.command;
    let config = Config::load(config.as_deref(), &[]).map_err(Failure::refused)?;
    let Some(target) = config.alerts.channels.get(channel) else {
        let known: Vec<_> = config.alerts.channels.keys().map(String::as_str).collect();
        let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
        return Err(Failure::refused(format!("channel {channel:?} is not configured; there are: {known}")));
    };
    // A channel of kind `log` speaks through it.
    logging::start(config.log);
    match service::test(channel, target).map_err(Failure::failed)? {
        Answer::Taken => outcome::print(&format!("{channel} ({}) has taken the test alert\n", target.kind())),
        Answer::Again { why, .. } | Answer::Refused(why) => {
            Err(Failure::failed(format!("{channel} ({}) has not taken the test alert: {why}", target.kind())))
        }
    }
}
