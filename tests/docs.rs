//! The reference page of the indicators says what the catalogue says.
//!
//! All columns but the last are the catalogue's. Where they differ, the test prints the rows as they
//! should stand, with the sources that the page has, to be put in place of the old ones.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use tapewatch::analytics::catalogue::Spec;
use tapewatch::analytics::indicator::{Entry, Parameter};
use tapewatch::analytics::{indicators, orderflow};

const PAGE: &str = "docs/indicators.md";

/// The rows of a section's table as a list of cells, without the two lines of its head.
fn rows(page: &str, heading: &str) -> Vec<Vec<String>> {
    page.lines()
        .skip_while(|line| *line != heading)
        .skip(1)
        .take_while(|line| !line.starts_with("## "))
        .filter(|line| line.starts_with('|'))
        .skip(2)
        .map(cells)
        .collect()
}

/// What stands between the bars; `\|` is no bar.
fn cells(row: &str) -> Vec<String> {
    let row = row.trim().trim_start_matches('|').strip_suffix('|').unwrap_or(row);
    let hidden = row.replace("\\|", "\0");
    hidden.split('|').map(|cell| cell.trim().replace('\0', "\\|")).collect()
}

/// What the page should say of an entry, its source left out.
fn described(entry: &Entry) -> Vec<String> {
    let spec = Spec::parse(entry.name).expect("every default is allowed");
    let outputs: Vec<_> = entry.outputs.iter().map(|output| format!("`{output}`")).collect();
    let parameters: Vec<_> = entry.parameters.iter().map(parameter).collect();
    vec![
        format!("`{}`", entry.name),
        if parameters.is_empty() { "none".to_owned() } else { parameters.join(", ") },
        outputs.join(", "),
        spec.warm_up().to_string(),
        entry.summary.replace('|', "\\|"),
    ]
}

fn parameter(parameter: &Parameter) -> String {
    let Parameter { name, default, min, max, whole } = parameter;
    let kind = if *whole { "" } else { ", any number" };
    format!("`{name}` {} ({} to {}{kind})", short(*default), short(*min), short(*max))
}

/// Without long runs of zeros.
fn short(number: f64) -> String {
    if number == 0.0 || (1e-4..1e6).contains(&number.abs()) {
        number.to_string()
    } else {
        format!("{number:e}")
    }
}

fn check_table(page: &str, heading: &str, entries: &[Entry]) {
    let stands = rows(page, heading);
    let sources: BTreeMap<&str, &str> = stands
        .iter()
        .filter_map(|row| Some((row.first()?.as_str(), row.get(5)?.as_str())))
        .filter(|(_, source)| !source.is_empty())
        .collect();
    let mut expected = Vec::new();
    let mut without_source = Vec::new();
    for entry in entries {
        let mut row = described(entry);
        let source = sources.get(row[0].as_str()).copied().unwrap_or_default();
        if source.is_empty() {
            without_source.push(entry.name);
        }
        row.push(source.to_owned());
        expected.push(row);
    }
    let printed: Vec<String> = expected.iter().map(|row| format!("| {} |", row.join(" | "))).collect();
    assert!(
        stands == expected && without_source.is_empty(),
        "the table under {heading:?} in {PAGE} is not that of the catalogue; without a source: \
         {without_source:?}. It should be:\n\n{}\n",
        printed.join("\n")
    );
}

#[test]
fn the_page_of_indicators_is_the_catalogue() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(PAGE);
    let page = fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    check_table(&page, "## Indicators", indicators::ENTRIES);
    check_table(&page, "## Order flow", orderflow::ENTRIES);
}

#[test]
fn a_row_is_cut_at_its_bars() {
    assert_eq!(cells("| `a` | none | mean \\|x\\| | |"), ["`a`", "none", "mean \\|x\\|", ""]);
    let page = "## A\n\ntext\n\n| n | s |\n| --- | --- |\n| 1 | x |\n| 2 | y |\n\n## B\n| 3 | z |\n";
    assert_eq!(rows(page, "## A"), [["1", "x"], ["2", "y"]]);
    assert_eq!(rows(page, "## C"), Vec::<Vec<String>>::new());
}

#[test]
fn every_feature_and_detector_is_described() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/intelligence.md");
    let page = fs::read_to_string(&path).unwrap();
    let version = tapewatch::analytics::features::FEATURES_VERSION;
    assert!(
        page.contains(&format!("## Features, version {version}\n")),
        "the page describes another version"
    );
    for feature in tapewatch::analytics::features::FEATURES {
        // Of numbered ones the first is named in full, the others by their endings.
        let named = match feature.name.rsplit_once('_') {
            Some((stem, number)) if number.parse::<u32>().is_ok() => format!("`{stem}_1`"),
            _ => format!("`{}`", feature.name),
        };
        assert!(page.contains(&named), "{named} is not described");
    }
    let across = tapewatch::analytics::across::divergence::ENTRY;
    let detectors = tapewatch::analytics::anomaly::DETECTORS.iter().map(|entry| (entry.name, entry.version));
    for (name, version) in detectors.chain([(across.name, across.version)]) {
        let named = format!("**{name}@{version}**");
        assert!(page.contains(&named), "{named} is not described");
    }
}
