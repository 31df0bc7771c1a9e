//! The bundled sample replays to the files in replay/sample/golden.
//!
//! A difference is told line by line. Where it is meant, `TAPEWATCH_BLESS=1 cargo test --test golden`
//! writes the new files; the commit says why.

#[path = "common/program.rs"]
mod program;

use std::fs;
use std::path::{Path, PathBuf};

use crate::program::{digest, replay};

/// The whole of what a user gets by default, by its digest and by what was found; and a few intervals, line by line.
const LINE_BY_LINE: [&str; 4] =
    ["--intervals", "15m,4h,ticks:500", "--indicators", "ema(20),macd(12,26,9),cvd"];
const FILES: [&str; 4] = ["candles.csv", "indicators.csv", "gaps.jsonl", "digests.csv"];
const FOUND: [&str; 2] = ["anomalies.jsonl", "signals.jsonl"];
const DIFFERENCES_MAX: usize = 12;

fn sample() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("replay/sample/market.jsonl.gz")
}

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("replay/sample/golden").join(name)
}

fn blessing() -> bool {
    std::env::var_os("TAPEWATCH_BLESS").is_some()
}

/// The first lines that differ, as a person wants to read them.
fn differences(name: &str, expected: &str, got: &str) -> Vec<String> {
    let (expected, got): (Vec<&str>, Vec<&str>) = (expected.lines().collect(), got.lines().collect());
    let mut told = Vec::new();
    for at in 0..expected.len().max(got.len()) {
        let (was, is) = (expected.get(at), got.get(at));
        if was == is {
            continue;
        }
        if told.len() == DIFFERENCES_MAX {
            told.push(format!("{name}: and more"));
            break;
        }
        told.push(format!(
            "{name}:{}\n  expected {}\n  got      {}",
            at + 1,
            was.unwrap_or(&"(nothing)"),
            is.unwrap_or(&"(nothing)")
        ));
    }
    told
}

fn check_file(name: &str, got: &str) {
    let path = golden(name);
    if blessing() {
        fs::create_dir_all(path.parent().expect("a file has a folder")).unwrap();
        fs::write(&path, got).unwrap();
        return;
    }
    let expected = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let differences = differences(name, &expected, got);
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

#[test]
fn the_sample_gives_the_golden_rows() {
    let out = tempfile::tempdir().unwrap();
    replay(&[&sample()], out.path(), &LINE_BY_LINE);
    for name in FILES {
        check_file(name, &fs::read_to_string(out.path().join(name)).unwrap());
    }
}

#[test]
fn the_sample_gives_the_golden_summary() {
    let out = tempfile::tempdir().unwrap();
    let mut summary = replay(&[&sample()], out.path(), &[]);
    let fields = summary.as_object_mut().expect("the summary is an object");
    for machine in ["elapsed_seconds", "trades_per_second", "version"] {
        fields.remove(machine).expect("the field is there");
    }
    check_file("summary.json", &(serde_json::to_string_pretty(&summary).unwrap() + "\n"));
    assert_eq!(digest(&summary).len(), 64);
    for name in FOUND {
        check_file(name, &fs::read_to_string(out.path().join(name)).unwrap());
    }
}

#[test]
fn differences_are_told_by_line() {
    assert_eq!(differences("x.csv", "a\nb\n", "a\nb\n"), [""; 0]);
    let told = differences("x.csv", "a\nb\nc", "a\nB");
    assert_eq!(told, ["x.csv:2\n  expected b\n  got      B", "x.csv:3\n  expected c\n  got      (nothing)"]);
}
