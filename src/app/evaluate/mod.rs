//! `tapewatch evaluate`: how good detectors, forecasters and signals are, on recordings or labelled series.
//!
//! Recordings go through the ordinary pipeline; what is told is scored by what came after. The table goes to
//! standard output, the same figures as one JSON object with `--json`; `--out` keeps what was scored.

pub mod anomalies;
pub mod chart;
pub mod corpus;
pub mod destinations;
pub mod findings;
pub mod forecasts;
pub mod injected;
pub mod labelled;
pub mod nab;
pub mod offsets;
pub mod page;
pub mod recordings;
pub mod scoreboard;
pub mod signals;
pub mod staging;
pub mod strip;
pub mod track;

use clap::Subcommand;

use crate::app::evaluate::anomalies::AnomaliesArguments;
use crate::app::evaluate::forecasts::ForecastsArguments;
use crate::app::evaluate::signals::SignalsArguments;
use crate::app::outcome::Failure;

#[derive(Debug, clap::Args)]
pub struct EvaluateArguments {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Detectors on labelled series, or on recordings into which something odd is put
    Anomalies(Box<AnomaliesArguments>),
    /// Forecasts against what came, model by model and horizon by horizon, and against naive
    Forecasts(Box<ForecastsArguments>),
    /// Signals against the price that followed, after a fee, and how many there are a day
    Signals(Box<SignalsArguments>),
}

pub fn evaluate(arguments: &EvaluateArguments) -> Result<(), Failure> {
    match &arguments.what {
        What::Anomalies(arguments) => anomalies::anomalies(arguments),
        What::Forecasts(arguments) => forecasts::forecasts(arguments),
        What::Signals(arguments) => signals::signals(arguments),
    }
}
