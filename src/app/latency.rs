//! `tapewatch latency`: the stages of a running engine, live.

use std::fmt::Write as _;
use std::io::{self, IsTerminal};
use std::time::Duration;

use serde::Deserialize;

use crate::app::outcome::{self, Failure};

#[derive(Debug, clap::Args)]
pub struct LatencyArguments {
    /// Where the engine listens
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:8080")]
    url: String,
    /// A file that holds an API key of scope read, where keys are needed
    #[arg(long, value_name = "FILE")]
    key_file: Option<std::path::PathBuf>,
    /// Print once and end; otherwise every second, until interrupted
    #[arg(long)]
    once: bool,
    /// What the engine answered, one line of JSON each time
    #[arg(long)]
    json: bool,
}

#[derive(Deserialize)]
struct Report {
    stages: Vec<Stage>,
}

/// Nanoseconds; nothing where no trade was measured.
#[derive(Deserialize)]
struct Stage {
    stage: String,
    count: u64,
    p50: Option<u64>,
    p90: Option<u64>,
    p99: Option<u64>,
    p99_9: Option<u64>,
    max: Option<u64>,
}

const PERIOD: Duration = Duration::from_secs(1);
const PATIENCE: Duration = Duration::from_secs(5);
/// Longer is no answer of ours.
const ANSWER_BYTES_MAX: usize = 1 << 20;

pub fn latency(arguments: &LatencyArguments) -> Result<(), Failure> {
    let key = match &arguments.key_file {
        Some(path) => Some(std::fs::read_to_string(path).map_err(|error| {
            Failure::refused(format!("--key-file {} cannot be read: {error}", path.display()))
        })?),
        None => None,
    };
    let url = format!("{}/api/v1/latency", arguments.url.trim_end_matches('/'));
    // What speaks of TLS asks for its provider, also where the address is plain.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::builder().timeout(PATIENCE).no_proxy().build().map_err(Failure::failed)?;
    let clear = io::stdout().is_terminal() && !arguments.once && !arguments.json;
    actix_rt::System::new().block_on(async {
        loop {
            let text = ask(&client, &url, key.as_deref().map(str::trim)).await?;
            if arguments.json {
                outcome::print(&format!("{}\n", text.trim_end()))?;
            } else {
                let report: Report = serde_json::from_str(&text)
                    .map_err(|error| Failure::failed(format!("{url} answered something else: {error}")))?;
                let home = if clear { "\x1b[2J\x1b[H" } else { "" };
                outcome::print(&format!("{home}{}", table(&report)))?;
            }
            if arguments.once {
                return Ok(());
            }
            tokio::time::sleep(PERIOD).await;
        }
    })
}

async fn ask(client: &reqwest::Client, url: &str, key: Option<&str>) -> Result<String, Failure> {
    let mut request = client.get(url);
    if let Some(key) = key {
        request = request.header("X-API-Key", key);
    }
    let fail = |error: reqwest::Error| Failure::failed(format!("{url} does not answer: {error}"));
    let answer = request.send().await.map_err(fail)?;
    let status = answer.status();
    if !status.is_success() {
        return Err(Failure::failed(format!("{url} answered {status}")));
    }
    let bytes = answer.bytes().await.map_err(fail)?;
    if bytes.len() > ANSWER_BYTES_MAX {
        return Err(Failure::failed(format!("{url} answered more than {ANSWER_BYTES_MAX} bytes")));
    }
    String::from_utf8(bytes.into()).map_err(|_| Failure::failed(format!("{url} answered no text")))
}

fn table(report: &Report) -> String {
    let mut out = format!(
        "{:<8} {:>12} {:>9} {:>9} {:>9} {:>9} {:>9}\n",
        "stage", "trades", "p50", "p90", "p99", "p99.9", "max"
    );
    for stage in &report.stages {
        let values = [stage.p50, stage.p90, stage.p99, stage.p99_9, stage.max];
        let values = values.map(|value| value.map_or("-".to_owned(), duration));
        let _ = write!(out, "{:<8} {:>12}", stage.stage, stage.count);
        for value in values {
            let _ = write!(out, " {value:>9}");
        }
        out.push('\n');
    }
    out
}

/// Three digits and a unit.
fn duration(nanos: u64) -> String {
    let nanos = nanos as f64;
    let (value, unit) = match nanos {
        n if n < 1e3 => (n, "ns"),
        n if n < 1e6 => (n / 1e3, "us"),
        n if n < 1e9 => (n / 1e6, "ms"),
        n => (n / 1e9, "s"),
    };
    let digits = if unit == "ns" || value >= 100.0 {
        0
    } else if value >= 10.0 {
        1
    } else {
        2
    };
    format!("{value:.digits$} {unit}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_three_digits() {
        let check = |nanos: u64, expected: &str| assert_eq!(duration(nanos), expected);
        check(7, "7 ns");
        check(999, "999 ns");
        check(1_000, "1.00 us");
        check(15_300, "15.3 us");
        check(250_000_000, "250 ms");
        check(61_000_000_000, "61.0 s");
    }

    #[test]
    fn a_stage_that_was_not_measured_has_no_numbers() {
        let answer = r#"{"stages":[{"stage":"parse","count":2,"p50":90,"p90":120,"p99":120,"p99_9":120,"max":125},
            {"stage":"feed","count":0,"p50":null,"p90":null,"p99":null,"p99_9":null,"max":null}],"window":{}}"#;
        let table = table(&serde_json::from_str(answer).unwrap());
        let rows: Vec<_> = table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>()).collect();
        assert_eq!(rows[1][..4], ["parse", "2", "90", "ns"]);
        assert_eq!(rows[2], ["feed", "0", "-", "-", "-", "-", "-"]);
    }
}
