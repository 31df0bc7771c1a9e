//! `tapewatch evaluate anomalies`: how well detectors find what is odd, in labelled series or in recordings
//! into which something odd was put.

use std::path::PathBuf;

use crate::app::evaluate::destinations::Destinations;
use crate::app::evaluate::injected::{self, InjectArguments};
use crate::app::evaluate::labelled;
use crate::app::outcome::Failure;

#[derive(Debug, clap::Args)]
#[command(group(clap::ArgGroup::new("what").required(true).args(["labelled", "inject"])))]
pub struct AnomaliesArguments {
    /// A directory of labelled series: data/**/*.csv, labels/combined_windows.json
    #[arg(long, value_name = "DIR")]
    labelled: Option<PathBuf>,
    #[command(flatten)]
    inject: InjectArguments,
    /// A directory for one CSV a series: timestamp,value,label and a score for each detector
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// A page with the figures drawn, that opens offline
    #[arg(long, value_name = "FILE.html")]
    report: Option<PathBuf>,
    /// The figures as one JSON object
    #[arg(long)]
    json: bool,
}

pub fn anomalies(arguments: &AnomaliesArguments) -> Result<(), Failure> {
    let to =
        Destinations { out: arguments.out.as_ref(), report: arguments.report.as_ref(), json: arguments.json };
    match &arguments.labelled {
        Some(dir) => labelled::labelled(dir, &to),
        None => injected::injected(&arguments.inject, &to),
    }
}
