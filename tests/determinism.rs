//! The same recording gives the same bytes: whatever the shards, the order of files, the pace, the format.

#[path = "common/program.rs"]
mod program;

use std::fs;
use std::path::{Path, PathBuf};

use tapewatch::analytics::anomaly::DETECTORS;
use tapewatch::domain::venue::IdRule;
use tapewatch::journal::options::WriterOptions;
use tapewatch::journal::writer::Writer;
use tapewatch::replay::generate::market::Market;

use crate::program::{digest, replay, tapewatch};

const INTERVALS: &str = "1s,1m,5m,ticks:100,volume-imbalance:5";

/// Six symbols with gaps, copies and late trades, a file each.
fn market(dir: &Path, layout: &str) -> Vec<PathBuf> {
    market_of(dir, layout, "900")
}

fn market_of(dir: &Path, layout: &str, seconds: &str) -> Vec<PathBuf> {
    let to = dir.join(layout);
    let symbols = "BTC-USDT,ETH-USDT,PEPE-USDT,BTC-IDR,SOL-USDT,DOGE-USDT";
    let output = tapewatch(&[
        "generate",
        "--to",
        to.to_str().unwrap(),
        "--symbols",
        symbols,
        "--duration-seconds",
        seconds,
        "--layout",
        layout,
        "--seed",
        "11",
    ]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let entries = fs::read_dir(&to).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> =
        entries.filter(|path| !path.to_string_lossy().ends_with(".labels.jsonl")).collect();
    files.sort();
    assert_eq!(files.len(), 6, "{files:?}");
    files
}

fn run(dir: &Path, inputs: &[&Path], flags: &[&str]) -> String {
    let out = dir.join("out");
    let flags: Vec<&str> = ["--intervals", INTERVALS].into_iter().chain(flags.iter().copied()).collect();
    digest(&replay(inputs, &out, &flags))
}

#[test]
fn one_recording_has_one_digest() {
    let dir = tempfile::tempdir().unwrap();
    let files = market(dir.path(), "binance-trades");
    let inputs: Vec<&Path> = files.iter().map(PathBuf::as_path).collect();
    let expected = run(dir.path(), &inputs, &["--shards", "1"]);
    for shards in ["2", "3", "8"] {
        assert_eq!(run(dir.path(), &inputs, &["--shards", shards]), expected, "{shards} shards");
    }
    let turned: Vec<&Path> = inputs.iter().rev().copied().collect();
    assert_eq!(run(dir.path(), &turned, &[]), expected, "files in reverse");
    let mixed: Vec<&Path> = [3, 0, 5, 1, 4, 2].map(|i| inputs[i]).to_vec();
    assert_eq!(run(dir.path(), &mixed, &["--shards", "2"]), expected, "files in disorder");
    assert_eq!(run(dir.path(), &inputs, &["--speed", "2000"]), expected, "paced");
    assert_eq!(
        run(dir.path(), &inputs, &["--speed", "2000", "--shards", "1"]),
        expected,
        "paced on one thread"
    );
    assert_eq!(run(dir.path(), &inputs, &["--expect", &expected]), expected, "as expected");
}

/// Trees that draw and posteriors that forget too: whatever runs beside them, and in whatever order.
#[test]
fn every_detector_gives_one_digest() {
    let dir = tempfile::tempdir().unwrap();
    // The slowest speaks after nearly 900 candles of a second.
    let files = market_of(dir.path(), "binance-trades", "2400");
    let inputs: Vec<&Path> = files.iter().map(PathBuf::as_path).collect();
    let names: Vec<_> = DETECTORS.iter().map(|entry| entry.name).collect();
    let config = dir.path().join("all.toml");
    fs::write(&config, format!("[intelligence]\nalerts_per_day = 1440\ndetectors = {names:?}\n")).unwrap();
    let flags = ["--config", config.to_str().unwrap()];
    let expected = run(dir.path(), &inputs, &[&flags[..], &["--shards", "1"]].concat());
    let found = fs::read_to_string(dir.path().join("out/anomalies.jsonl")).unwrap();
    for name in ["bocpd@", "half_space_trees@", "random_cut_forest@"] {
        assert!(found.contains(name), "{name} finds something");
    }
    assert_ne!(run(dir.path(), &inputs, &[]), expected, "other detectors");
    let turned: Vec<&Path> = inputs.iter().rev().copied().collect();
    assert_eq!(run(dir.path(), &turned, &[&flags[..], &["--shards", "3"]].concat()), expected);
}

/// Every forecaster on, and every model told.
const EVERY_FORECASTER: &str = "[intelligence]
forecasters = ['ar_trade_count', 'ar_volume', 'drift', 'ewma', 'ewma_trade_count', 'ewma_variance', 'ewma_volume',
    'ftrl', 'garch', 'har', 'holt_winters', 'kalman_trend', 'online_arima', 'ridge', 'risk_metrics', 'rls_ar',
    'seasonal_naive']
horizons = [1, 3, 10]
";

#[test]
fn with_every_forecaster_told_there_is_one_digest_too() {
    let dir = tempfile::tempdir().unwrap();
    let config = dir.path().join("every.toml");
    fs::write(&config, EVERY_FORECASTER).unwrap();
    let files = market(dir.path(), "binance-trades");
    let inputs: Vec<&Path> = files.iter().map(PathBuf::as_path).collect();
    let config = config.to_str().unwrap();
    let run = |inputs: &[&Path], flags: &[&str]| {
        let flags: Vec<&str> = ["--config", config].into_iter().chain(flags.iter().copied()).collect();
        run(dir.path(), inputs, &flags)
    };
    let expected = run(&inputs, &["--all-models", "--shards", "1"]);
    let told = fs::read_to_string(dir.path().join("out/forecasts.jsonl")).unwrap();
    for model in ["mixture@1", "persistence@1", "har@1", "ar_trade_count@1", "base_rate@1", "kalman_trend@1"]
    {
        assert!(told.contains(model), "{model} says something");
    }
    let turned: Vec<&Path> = inputs.iter().rev().copied().collect();
    assert_eq!(run(&turned, &["--all-models", "--shards", "3"]), expected);
    assert_ne!(run(&inputs, &["--shards", "3"]), expected, "the mixtures alone are fewer");
    let told = fs::read_to_string(dir.path().join("out/forecasts.jsonl")).unwrap();
    assert!(told.lines().all(|line| line.contains("mixture@1")), "the mixtures alone are told by default");
}

#[test]
fn a_journal_replays_to_the_digest_of_what_was_imported() {
    let dir = tempfile::tempdir().unwrap();
    let files = market(dir.path(), "binance-trades");
    let inputs: Vec<&Path> = files.iter().map(PathBuf::as_path).collect();
    let expected = run(dir.path(), &inputs, &[]);
    let journal = dir.path().join("journal");
    let mut arguments = vec!["import"];
    arguments.extend(inputs.iter().map(|path| path.to_str().unwrap()));
    arguments.extend(["--to", journal.to_str().unwrap()]);
    let output = tapewatch(&arguments);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let sealed = dir.path().join("sealed");
    *arguments.last_mut().unwrap() = sealed.to_str().unwrap();
    arguments.push("--sealed");
    let output = tapewatch(&arguments);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(run(dir.path(), &[&sealed], &[]), expected, "sealed");
    for flags in [&["--shards", "1"][..], &["--shards", "4"], &["--format", "journal"]] {
        assert_eq!(run(dir.path(), &[&journal], flags), expected, "{flags:?}");
    }
}

#[test]
fn a_recording_in_pieces_is_the_recording() {
    let dir = tempfile::tempdir().unwrap();
    let files = market(dir.path(), "binance-trades");
    // Two overlapping halves: what stands in both is a duplicate.
    let text = fs::read_to_string(&files[0]).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    let name = files[0].file_name().unwrap();
    let (first, second) = (dir.path().join("a"), dir.path().join("b"));
    for (half, lines) in [(&first, &lines[..lines.len() * 2 / 3]), (&second, &lines[lines.len() / 3..])] {
        fs::create_dir(half).unwrap();
        fs::write(half.join(name), lines.join("\n") + "\n").unwrap();
    }
    let (first, second) = (first.join(name), second.join(name));
    let out = dir.path().join("out");
    let rows = |inputs: &[&Path]| {
        let summary = replay(inputs, &out, &["--intervals", "1s,1m"]);
        let text = fs::read_to_string(out.join("candles.csv")).unwrap();
        // All but the revision, which tells how a row came to be.
        let plain = |line: &str| {
            let fields: Vec<&str> = line.split(',').collect();
            [&fields[..16], &fields[17..]].concat().join(",")
        };
        (summary["trades"].as_u64(), text.lines().map(plain).collect::<Vec<_>>())
    };
    let whole = rows(&[&files[0]]);
    assert_eq!(rows(&[&first, &second]), whole);
    assert_eq!(rows(&[&second, &first]), whole);
}

#[test]
fn another_digest_than_expected_fails_and_says_both() {
    let dir = tempfile::tempdir().unwrap();
    let files = market(dir.path(), "binance-trades");
    let out = dir.path().join("out");
    let wrong = "0".repeat(64);
    let output = tapewatch(&[
        "replay",
        files[0].to_str().unwrap(),
        "--out",
        out.to_str().unwrap(),
        "--expect",
        &wrong,
    ]);
    assert_eq!(output.status.code(), Some(1));
    let message = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(message.contains(&wrong) && message.contains("digest"), "{message}");
}

#[test]
fn a_journal_replays_under_the_configuration_recorded_in_it() {
    let dir = tempfile::tempdir().unwrap();
    let journal = dir.path().join("journal");
    let recorded = "[engine]\nintervals = [\"5s\"]\nindicators = [\"sma(3)\"]\ngrace = \"1s\"\n";
    let mut writer = Writer::create(&journal, WriterOptions::default()).unwrap();
    writer.append_config(recorded, &[0]).unwrap();
    let mut market = Market::bench_one(3);
    let instrument = market.instruments()[0].clone();
    let number = writer.define(&instrument, IdRule::Contiguous);
    for (_, trade) in market.by_ref().take(3_000) {
        writer.append_trade(number, &trade).unwrap();
    }
    writer.close().unwrap();
    let file = dir.path().join("recorded.toml");
    fs::write(&file, recorded).unwrap();
    let out = dir.path().join("out");
    let under = |flags: &[&str]| {
        let summary = replay(&[&journal], &out, flags);
        (digest(&summary), summary["config_digest"].clone())
    };
    let expected = under(&["--config", file.to_str().unwrap()]);
    assert_eq!(under(&[]), expected);
    let rows = fs::read_to_string(out.join("candles.csv")).unwrap();
    assert!(rows.lines().skip(1).all(|line| line.contains(",5s,")), "only the recorded interval");
    let flagged = under(&["--intervals", "1m"]);
    assert_ne!(flagged, expected, "flags win");
    let rows = fs::read_to_string(out.join("candles.csv")).unwrap();
    assert!(rows.lines().skip(1).all(|line| line.contains(",1m,")));
}
