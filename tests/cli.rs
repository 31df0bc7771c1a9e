//! The program as its users start it: exit codes, what goes where, whole results or none.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

const SAMPLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/replay/sample/market.jsonl.gz");

/// Runs the program in a folder of its own, with no settings from outside.
fn run(folder: &Path, words: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tapewatch"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("TAPEWATCH__") {
            command.env_remove(name);
        }
    }
    command.args(words).current_dir(folder).output().expect("the program starts")
}

fn check_done(folder: &Path, words: &[&str]) -> String {
    let output = run(folder, words);
    let messages = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(0), "{words:?}: {messages}");
    String::from_utf8(output.stdout).expect("results are text")
}

/// Each part is in the message; nothing but a message was written.
fn check_refused(folder: &Path, words: &[&str], parts: &[&str]) {
    let output = run(folder, words);
    let messages = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{words:?}: {messages}");
    assert!(output.stdout.is_empty(), "{words:?}");
    for part in parts {
        assert!(messages.contains(part), "{words:?}: {messages:?} lacks {part:?}");
    }
}

#[test]
fn wrong_words_end_with_2_and_what_is_allowed() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    check_refused(folder, &["demolish"], &["unrecognized subcommand", "allowed are: alerts backfill check"]);
    check_refused(folder, &["check", "--yaml"], &["--yaml", "allowed are: --config --json"]);
    check_refused(folder, &["generate", "--to", "x", "--layout", "xml"], &["possible values: csv, jsonl"]);
    check_refused(folder, &["generate", "--to", "x", "--rate", "-1"], &["--rate"]);
    check_refused(folder, &["import", "absent.csv", "--to", "j"], &["absent.csv"]);
    check_refused(folder, &["export", "absent"], &["absent"]);
    check_refused(folder, &[], &["Usage: tapewatch"]);
    assert_eq!(fs::read_dir(folder).unwrap().count(), 0, "a refused command leaves nothing");
}

#[test]
fn help_and_version_are_results() {
    let folder = tempfile::tempdir().unwrap();
    assert!(check_done(folder.path(), &["--help"]).contains("Exit codes: 0 done"));
    assert_eq!(
        check_done(folder.path(), &["--version"]),
        format!("tapewatch {}\n", env!("CARGO_PKG_VERSION"))
    );
}

#[test]
fn the_printed_default_is_a_sound_configuration() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let default = check_done(folder, &["config"]);
    fs::write(folder.join("my.toml"), &default).unwrap();
    let digest = |words: &[&str]| {
        let object: Value = serde_json::from_str(&check_done(folder, words)).unwrap();
        assert_eq!(object["sound"], true);
        object["config_digest"].as_str().unwrap().to_owned()
    };
    let plain = digest(&["check", "--json"]);
    assert_eq!(digest(&["check", "--json", "--config", "my.toml"]), plain);

    // The layers, from the lowest to the highest.
    fs::write(folder.join(".env"), "TAPEWATCH__ENGINE__GRACE=7s\n").unwrap();
    let dotenv = digest(&["check", "--json", "--config", "my.toml"]);
    assert_ne!(dotenv, plain);
    let output = Command::new(env!("CARGO_BIN_EXE_tapewatch"))
        .args(["check", "--json"])
        .env("TAPEWATCH__ENGINE__GRACE", "2s")
        .current_dir(folder)
        .output()
        .unwrap();
    let object: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(object["config_digest"], plain);
}

#[test]
fn wrong_configurations_name_every_line() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    fs::write(folder.join("my.toml"), "[engine]\ngrace = 2\nshard = 1\n").unwrap();
    check_refused(
        folder,
        &["check", "--config", "my.toml"],
        &[
            "my.toml:2: engine.grace = 2",
            "my.toml:3: engine.shard = 1: unknown key; allowed in [engine]: drain_deadline, grace",
        ],
    );
    let output = run(folder, &["check", "--config", "my.toml", "--json"]);
    assert_eq!(output.status.code(), Some(2));
    let object: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((object["sound"].as_bool(), object["problems"].as_array().unwrap().len()), (Some(false), 2));
}

#[test]
fn the_sample_goes_through_a_journal_and_back() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let imported = check_done(folder, &["import", SAMPLE, "--to", "journal", "--json"]);
    let imported: Value = serde_json::from_str(&imported).unwrap();
    assert_eq!((imported["instruments"].as_u64(), imported["quarantined"].as_u64()), (Some(4), Some(0)));
    let rows = imported["trades"].as_u64().unwrap();
    assert!(rows > 10_000, "{imported}");
    check_refused(folder, &["import", SAMPLE, "--to", "journal"], &["is not a new or an empty directory"]);

    check_done(folder, &["export", "journal", "--to", "trades.csv"]);
    let trades = fs::read_to_string(folder.join("trades.csv")).unwrap();
    assert_eq!(trades.lines().count() as u64, rows + 1);
    // What was exported is a recording again, of the same trades in the same order.
    check_done(folder, &["import", "trades.csv", "--to", "again"]);
    assert!(check_done(folder, &["export", "again"]) == trades, "the second export differs from the first");

    let one = check_done(
        folder,
        &["export", "journal", "--format", "jsonl", "--instrument", "binance:BTC-IDR,binance:ETH-USDT"],
    );
    for line in one.lines() {
        let row: Value = serde_json::from_str(line).unwrap();
        assert!(["BTC-IDR", "ETH-USDT"].contains(&row["symbol"].as_str().unwrap()), "{line}");
    }
    check_done(folder, &["export", "journal", "--to", "trades.parquet"]);
    assert!(fs::read(folder.join("trades.parquet")).unwrap().ends_with(b"PAR1"));
    check_refused(folder, &["export", "journal", "--table", "indicators"], &["no indicators"]);
    check_refused(folder, &["export", "trades.csv"], &["trades.csv", "is not a journal segment"]);
}

#[test]
fn a_generated_market_is_a_recording() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let words = ["generate", "--to", "market.jsonl.gz", "--duration-seconds", "60", "--json"];
    let generated: Value = serde_json::from_str(&check_done(folder, &words)).unwrap();
    let imported = check_done(folder, &["import", "market.jsonl.gz", "--to", "journal", "--json"]);
    let imported: Value = serde_json::from_str(&imported).unwrap();
    assert_eq!(imported["trades"], generated["rows"]);
    let labels = fs::read_to_string(folder.join("market.jsonl.gz.labels.jsonl")).unwrap();
    assert!(labels.lines().all(|line| serde_json::from_str::<Value>(line).is_ok()));
}
