//! The log: to standard error, pretty or one JSON object a line, as the configuration says.

use std::io::{self, IsTerminal};

use tracing::level_filters::LevelFilter;
use tracing_subscriber::fmt;

use crate::app::config::{Level, LogConfig};

/// Sets up the log of the process; once is enough, later calls change nothing.
pub fn start(config: LogConfig) {
    let level = match config.level {
        Level::Error => LevelFilter::ERROR,
        Level::Warn => LevelFilter::WARN,
        Level::Info => LevelFilter::INFO,
        Level::Debug => LevelFilter::DEBUG,
        Level::Trace => LevelFilter::TRACE,
    };
    let builder = fmt().with_max_level(level).with_writer(io::stderr);
    // What other libraries log below `warn` is theirs to debug; `trace` shows it all the same.
    let _ = if config.is_json {
        builder.json().flatten_event(true).try_init()
    } else {
        builder.with_ansi(io::stderr().is_terminal()).try_init()
    };
}
