//! `tapewatch evaluate anomalies --labelled DIR`: detectors of plain series on labelled ones.
//!
//! Every detector that needs nothing but values in time runs over every series from its beginning, and is scored
//! by the rules of the Numenta Anomaly Benchmark ([`nab`]). Nothing is known of a series before it is read:
//! no length, no extremes, and one set of parameters for all.

use std::path::Path;

use serde_json::{Map, Value, json};

use crate::analytics::anomaly::SERIES_DETECTORS;
use crate::analytics::anomaly::series::{SeriesDetector, SeriesEntry};
use crate::app::evaluate::chart::{self, Better, Mark as Dot};
use crate::app::evaluate::corpus::{Corpus, LabelledSeries};
use crate::app::evaluate::destinations::Destinations;
use crate::app::evaluate::nab::{self, Mark, PROFILES, Scored};
use crate::app::evaluate::page::Page;
use crate::app::evaluate::recordings::{WholeFile, aligned, make_directory, number};
use crate::app::evaluate::strip;
use crate::app::outcome::{self, Failure};

const FITTED: &str = "One threshold for all series is chosen with the labels in sight, as the benchmark does it. \
    Held out: chosen on every other series and applied to the rest, both ways.";

/// What one detector made of the corpus.
struct Judged {
    name: &'static str,
    /// By series, by row.
    scores: Vec<Vec<f64>>,
    /// In the order of [`PROFILES`]; `None` where nothing is labelled.
    marks: [Option<Mark>; 3],
    held_out: Option<f64>,
}

pub fn labelled(dir: &Path, to: &Destinations<'_>) -> Result<(), Failure> {
    let corpus = Corpus::read(dir)?;
    if let Some(out) = to.out {
        make_directory(out)?;
    }
    let judged = judge(&corpus);
    if let Some(out) = to.out {
        for (place, series) in corpus.series.iter().enumerate() {
            write_series(out, series, &judged, place)?;
        }
    }
    if let Some(report) = to.report {
        page(&corpus, &judged).write(report.clone())?;
    }
    outcome::print(&if to.json { format!("{}\n", object(&corpus, &judged)) } else { text(&corpus, &judged) })
}

fn judge(corpus: &Corpus) -> Vec<Judged> {
    let of_series = |series: &LabelledSeries, build: fn() -> Box<dyn SeriesDetector>| {
        let mut detector = build();
        series.rows.iter().map(|row| detector.update(row.at, row.value)).collect::<Vec<f64>>()
    };
    let of_detector = |entry: &SeriesEntry| {
        let scores: Vec<_> = corpus.series.iter().map(|series| of_series(series, entry.build)).collect();
        let scored: Vec<Scored<'_>> = corpus
            .series
            .iter()
            .zip(&scores)
            .map(|(series, scores)| Scored { windows: &series.windows, scores })
            .collect();
        let marks = corpus.profiles.map(|profile| nab::best(&scored, profile));
        let held_out = nab::held_out(&scored, corpus.profiles[0]);
        Judged { name: entry.name, scores, marks, held_out }
    };
    SERIES_DETECTORS.iter().map(of_detector).collect()
}

/// `timestamp,value,label` and a score for each detector.
fn write_series(out: &Path, series: &LabelledSeries, judged: &[Judged], place: usize) -> Result<(), Failure> {
    let path = out.join(&series.name);
    if let Some(folder) = path.parent() {
        make_directory(folder)?;
    }
    let mut file = WholeFile::create(path)?;
    let names: Vec<_> = judged.iter().map(|judged| judged.name).collect();
    file.write(format!("timestamp,value,label,{}\n", names.join(",")).as_bytes())?;
    let mut line = Vec::new();
    for (i, row) in series.rows.iter().enumerate() {
        line.clear();
        line.extend_from_slice(row.text.as_bytes());
        let label = series.windows.iter().any(|&(first, last)| (first..=last).contains(&i));
        line.extend_from_slice(if label { b",1" } else { b",0" });
        for judged in judged {
            line.push(b',');
            number(judged.scores[place][i], &mut line);
        }
        line.push(b'\n');
        file.write(&line)?;
    }
    file.finish()
}

fn counts(corpus: &Corpus) -> [usize; 3] {
    [
        corpus.series.len(),
        corpus.series.iter().map(|series| series.rows.len()).sum(),
        corpus.series.iter().map(|series| series.windows.len()).sum(),
    ]
}

/// The first detector speaks for the family: `nab.standard`; each has its own names: `nab.surprise.standard`.
fn object(corpus: &Corpus, judged: &[Judged]) -> Value {
    let [series, rows, windows] = counts(corpus);
    let mut all = Map::new();
    let mut put = |name: String, value: Value| {
        all.insert(name, value);
    };
    put("nab.series".to_owned(), json!(series));
    put("nab.rows".to_owned(), json!(rows));
    put("nab.windows".to_owned(), json!(windows));
    put("nab.detector".to_owned(), json!(judged.first().map(|judged| judged.name)));
    for (place, judged) in judged.iter().enumerate() {
        let own = format!("nab.{}.", judged.name);
        let prefixes = if place == 0 { vec!["nab.".to_owned(), own] } else { vec![own] };
        for prefix in prefixes {
            for ((name, _, _), mark) in PROFILES.iter().zip(&judged.marks) {
                put(format!("{prefix}{name}"), json!(mark.map(|mark| mark.score)));
                put(format!("{prefix}{name}_threshold"), json!(mark.map(|mark| mark.threshold)));
            }
            let standard = judged.marks[0];
            put(format!("{prefix}windows_found"), json!(standard.map(|mark| mark.windows_found)));
            put(format!("{prefix}false_rows"), json!(standard.map(|mark| mark.false_rows)));
            put(format!("{prefix}standard_held_out"), json!(judged.held_out));
        }
    }
    // The three that everybody asks for, also as an object of their own.
    let three = PROFILES.map(|(name, _, _)| (name.to_owned(), all[&format!("nab.{name}")].clone()));
    all.insert("nab".to_owned(), Value::Object(three.into_iter().collect()));
    Value::Object(all)
}

fn table(judged: &[Judged]) -> Vec<Vec<String>> {
    let names =
        ["detector", "standard", "low FP", "low FN", "held out", "threshold", "windows found", "false rows"];
    let mut rows = vec![names.map(str::to_owned).to_vec()];
    for judged in judged {
        let score = |score: Option<f64>| score.map_or_else(|| "-".to_owned(), |score| format!("{score:.2}"));
        let [standard, low_fp, low_fn] = judged.marks;
        let of = |mark: Option<Mark>| score(mark.map(|mark| mark.score));
        let count = |count: Option<usize>| count.map_or_else(|| "-".to_owned(), |count| count.to_string());
        rows.push(vec![
            judged.name.to_owned(),
            of(standard),
            of(low_fp),
            of(low_fn),
            score(judged.held_out),
            standard.map_or_else(|| "-".to_owned(), |mark| format!("{:.4}", mark.threshold)),
            count(standard.map(|mark| mark.windows_found)),
            count(standard.map(|mark| mark.false_rows)),
        ]);
    }
    rows
}

fn text(corpus: &Corpus, judged: &[Judged]) -> String {
    let [series, rows, windows] = counts(corpus);
    let labels =
        if windows == 0 { "no labels, so no scores".to_owned() } else { format!("{windows} windows") };
    format!("{series} series, {rows} rows, {labels}\n\n{}\n{FITTED}\n", aligned(&table(judged), 1))
}

fn page(corpus: &Corpus, judged: &[Judged]) -> Page {
    let [series, rows, windows] = counts(corpus);
    let mut page = Page::new(
        "Detectors on labelled series",
        &format!("{series} series, {rows} rows, {windows} labelled windows. {FITTED}"),
    );
    page.table(&table(judged), 1);
    let dots: Vec<Dot> = judged
        .iter()
        .filter_map(|judged| {
            let [standard, low_fp, low_fn] = judged.marks.map(|mark| mark.map(|mark| mark.score));
            let (low, high) = (low_fp?.min(low_fn?), low_fp?.max(low_fn?));
            Some(Dot { label: judged.name.to_owned(), value: standard?, range: Some([low, high]) })
        })
        .collect();
    if !dots.is_empty() {
        let says =
            "Standard score of each detector, from its score where false alarms cost more to where misses do";
        page.figure(&chart::marks(says, &dots, 0.0, Better::Above), says);
    }
    let Some(first) = judged.first() else { return page };
    page.heading(&format!("What {} said", first.name));
    page.paragraph(
        "The values, the labelled windows behind them, and below where the score reaches the threshold.",
    );
    let threshold = first.marks[0].map(|mark| mark.threshold);
    for (series, scores) in corpus.series.iter().zip(&first.scores) {
        let values: Vec<f64> = series.rows.iter().map(|row| row.value).collect();
        let alerts: Vec<usize> = (0..scores.len())
            .filter(|&i| threshold.is_some_and(|threshold| scores[i] >= threshold))
            .collect();
        page.figure(&strip::strip(&series.name, &values, &series.windows, &alerts), &series.name);
    }
    page
}
