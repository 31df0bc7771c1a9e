//! README.md says what is so: its example compiles and computes, its commands are those of the
//! program, its links lead somewhere, and it names every page of docs.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use tapewatch::analytics::indicator::{Arguments, Bar, OUTPUTS_MAX};
use tapewatch::domain::time::UnixNanos;

/// The example, as it stands in README.md but for the name of the crate.
mod example {
    use tapewatch::analytics::indicator::{Entry, Needs, any, keeping};

    pub const ENTRY: Entry = Entry {
        name: "midpoint",
        summary: "mean of high and low",
        parameters: &[],
        outputs: &["value"],
        warm_up: |_| 1,
        check: any,
        build: |_| keeping((), |_, _| {}, |_, bar| Some([(bar.high + bar.low) / 2.0])),
        needs: Needs::Prices,
    };
}

fn readme() -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).unwrap()
}

#[test]
fn the_example_is_the_one_that_compiles() {
    let readme = readme();
    let shown = readme.split("```rust\n").nth(1).unwrap().split("```").next().unwrap();
    let here = include_str!("readme.rs");
    let compiled = here.split("mod example {\n").nth(1).unwrap().split("\n}\n").next().unwrap();
    let compiled: Vec<_> = compiled.lines().map(|line| line.strip_prefix("    ").unwrap_or(line)).collect();
    assert_eq!(shown.trim_end(), compiled.join("\n").replace("tapewatch::", "crate::"));
}

#[test]
fn the_example_computes() {
    let bar = Bar {
        open_at: UnixNanos(0),
        close_at: UnixNanos(1),
        open: 1.0,
        high: 4.0,
        low: 1.0,
        close: 2.0,
        volume: 1.0,
        quote_volume: None,
        trade_count: None,
        taker_buy_volume: None,
        taker_sell_volume: None,
        trade_times: None,
        sizes: None,
    };
    let mut out = [0.0; OUTPUTS_MAX];
    let mut midpoint = (example::ENTRY.build)(&Arguments(vec![]));
    assert!(midpoint.advance(&bar, &mut out));
    assert_eq!(out[0], 2.5);
}

#[test]
fn the_commands_are_those_of_the_program() {
    let readme = readme();
    let table = readme.split("## Commands").nth(1).unwrap().split("\n## ").next().unwrap();
    let told: BTreeSet<&str> = table
        .lines()
        .filter_map(|line| line.strip_prefix("| `tapewatch "))
        .filter_map(|rest| rest.split([' ', '`']).next())
        .collect();

    let output = Command::new(env!("CARGO_BIN_EXE_tapewatch")).arg("--help").output().unwrap();
    let help = String::from_utf8(output.stdout).unwrap();
    let offered: BTreeSet<&str> = help
        .lines()
        .skip_while(|line| !line.starts_with("Commands:"))
        .skip(1)
        .take_while(|line| line.starts_with("  "))
        .filter_map(|line| line.split_whitespace().next())
        .filter(|name| *name != "help")
        .collect();
    assert!(!offered.is_empty(), "{help}");
    assert_eq!(told, offered);
}

#[test]
fn links_lead_to_files_and_every_page_is_named() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut pages = vec![root.join("README.md")];
    pages.extend(fs::read_dir(root.join("docs")).unwrap().map(|entry| entry.unwrap().path()));
    let readme = readme();
    for page in &pages[1..] {
        let name = page.file_name().unwrap().to_str().unwrap();
        assert!(
            readme.contains(&format!("| [docs/{name}](docs/{name}) |")),
            "README.md does not name {name}"
        );
    }
    for page in pages.iter().filter(|page| page.extension().is_some_and(|ending| ending == "md")) {
        let text = fs::read_to_string(page).unwrap();
        for target in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let is_file = !target.contains("://") && !target.starts_with('#');
            let path = target.split('#').next().unwrap_or(target);
            assert!(
                !is_file || page.parent().unwrap().join(path).exists(),
                "{}: no file {target}",
                page.display()
            );
        }
    }
}
