//! `tapewatch backfill`: history of one instrument over REST, into the journal of a data directory.
//!
//! The engine must not run meanwhile: the directory is locked. What is fetched enters as pages of
//! history, and the next start of the engine computes it and hands it to the stores.

use std::io::{self, Write};

use serde::Serialize;

use crate::app::config::Config;
use crate::app::outcome::{self, Failure};
use crate::app::venue_arguments::{VenueArguments, block_on, desk};
use crate::domain::event::Event;
use crate::domain::instrument::Instrument;
use crate::domain::time::UnixNanos;
use crate::engine::assembly::PARTITIONS;
use crate::engine::data_dir::DataDir;
use crate::journal::entry::InstrumentNumber;
use crate::journal::options::WriterOptions;
use crate::journal::segment::SegmentFile;
use crate::journal::tail;
use crate::journal::writer::Writer;
use crate::venues::history::{History, HistoryError};

#[derive(Debug, clap::Args)]
pub struct BackfillArguments {
    #[command(flatten)]
    venue: VenueArguments,
    /// BASE-QUOTE
    #[arg(long, value_name = "SYMBOL")]
    symbol: String,
    /// First moment, RFC 3339 or a date
    #[arg(long, value_name = "TIME", value_parser = moment)]
    from: UnixNanos,
    /// First moment that is not asked for any more
    #[arg(long, value_name = "TIME", value_parser = moment)]
    to: UnixNanos,
    /// One JSON object instead of text
    #[arg(long)]
    json: bool,
}

fn moment(text: &str) -> Result<UnixNanos, String> {
    UnixNanos::parse_iso(text.as_bytes())
        .and_then(UnixNanos::plausible)
        .map_err(|e| format!("{e}; allowed is a moment such as 2024-05-01T00:00:00Z"))
}

/// What was fetched.
#[derive(Debug, Default, Serialize)]
struct Backfilled {
    trades: u64,
    pages: u64,
    refused: u64,
    first_trade_id: Option<String>,
    last_trade_id: Option<String>,
}

impl From<HistoryError> for Failure {
    fn from(error: HistoryError) -> Self {
        match error {
            HistoryError::Unlisted(_) => Self::refused(error),
            HistoryError::Rest(_) | HistoryError::Stuck(_) => Self::failed(error),
        }
    }
}

pub fn backfill(arguments: &BackfillArguments) -> Result<(), Failure> {
    if arguments.from >= arguments.to {
        return Err(Failure::refused(format!(
            "--from {}: must be before --to {}",
            arguments.from, arguments.to
        )));
    }
    let config = arguments.venue.load()?;
    let venue_config = arguments.venue.venue_config(&config, std::slice::from_ref(&arguments.symbol))?;
    let instrument = venue_config.instruments[0].clone();
    let desk = desk(venue_config)?;
    let dir = DataDir::lock(&config.data_dir)?;
    let (mut writer, number) = open_journal(&dir, &config, &instrument, desk.dialect.id_rule())?;
    let backfilled = block_on(async {
        let mut backfilled = Backfilled::default();
        let mut history = History::find(desk, &arguments.symbol, arguments.from).await?;
        while let Some(page) = history.next(arguments.to).await? {
            for reason in &page.refused {
                let _ = writeln!(io::stderr().lock(), "tapewatch: refused: {reason}");
            }
            backfilled.refused += page.refused.len() as u64;
            if page.trades.is_empty() {
                continue;
            }
            backfilled.pages += 1;
            backfilled.trades += page.trades.len() as u64;
            backfilled.first_trade_id.get_or_insert_with(|| page.trades[0].id.to_string());
            backfilled.last_trade_id = page.trades.last().map(|trade| trade.id.to_string());
            let until = page.trades.last().map_or(arguments.from, |trade| trade.exchange_at);
            writer.append(number, &Event::Backfill(page.trades))?;
            writer.flush()?;
            if backfilled.pages.is_multiple_of(10) {
                let _ =
                    writeln!(io::stderr().lock(), "backfill: {} trades, until {until}", backfilled.trades);
            }
        }
        Ok(backfilled)
    });
    // What came before a failure is kept: a second run goes over it again, and the ledger knows it.
    writer.close()?;
    let backfilled = backfilled?;
    if arguments.json {
        let text = serde_json::to_string(&backfilled).map_err(Failure::failed)?;
        return outcome::print(&format!("{text}\n"));
    }
    outcome::print(&format!(
        "{} trades of {instrument} in {} pages, ids {} to {}, into {}\n",
        backfilled.trades,
        backfilled.pages,
        backfilled.first_trade_id.as_deref().unwrap_or("-"),
        backfilled.last_trade_id.as_deref().unwrap_or("-"),
        dir.journal().display(),
    ))
}

fn open_journal(
    dir: &DataDir,
    config: &Config,
    instrument: &Instrument,
    rule: crate::domain::venue::IdRule,
) -> Result<(Writer, InstrumentNumber), Failure> {
    let journal = dir.journal();
    std::fs::create_dir_all(&journal)
        .map_err(|error| Failure::failed(format!("failed to make {}: {error}", journal.display())))?;
    tail::cut_tail(&journal)?;
    let options = WriterOptions { partitions: PARTITIONS, ..WriterOptions::default() };
    let is_new = SegmentFile::list(&journal)?.is_empty();
    let mut writer =
        if is_new { Writer::create(&journal, options)? } else { Writer::open(&journal, options)? };
    if is_new {
        let all: Vec<u32> = (0..PARTITIONS).collect();
        writer.append_version(env!("CARGO_PKG_VERSION"), &all)?;
        writer.append_config(&config.engine.recorded(), &all)?;
    }
    let number = writer.define(instrument, rule);
    Ok((writer, number))
}
