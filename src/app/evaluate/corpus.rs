//! Labelled series on disk, in the layout of the Numenta Anomaly Benchmark.
//!
//! `data/**/*.csv` (`timestamp,value`), `labels/combined_windows.json` (for each file a list of first and last
//! timestamps) and `config/profiles.json`. Without labels, or where they name other files, nothing is labelled.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::app::evaluate::nab::{PROFILES, Profile};
use crate::app::outcome::Failure;
use crate::domain::time::UnixNanos;

const DATA: &str = "data";
const WINDOWS: &str = "labels/combined_windows.json";
const CONFIGURATION: &str = "config/profiles.json";

/// One series.
#[derive(Debug)]
pub struct LabelledSeries {
    /// Below `data`, with `/` between folders: `realTweets/Twitter_volume_CVS.csv`.
    pub name: String,
    pub rows: Vec<Row>,
    /// First and last row of each, ascending.
    pub windows: Vec<(usize, usize)>,
}

#[derive(Debug)]
pub struct Row {
    pub at: UnixNanos,
    pub value: f64,
    /// Both as they stand in the file.
    pub text: String,
}

/// All series of a directory, in order of name, and what the three kinds of mistakes cost.
#[derive(Debug)]
pub struct Corpus {
    pub series: Vec<LabelledSeries>,
    /// In the order of [`PROFILES`].
    pub profiles: [Profile; 3],
}

impl Corpus {
    /// # Errors
    ///
    /// Names the file, and the line where there is one.
    pub fn read(dir: &Path) -> Result<Self, Failure> {
        let data = dir.join(DATA);
        let mut files = Vec::new();
        find(&data, &mut files)?;
        if files.is_empty() {
            return Err(Failure::refused(format!("{} holds no .csv files", data.display())));
        }
        files.sort();
        let mut windows = read_windows(&dir.join(WINDOWS))?;
        let mut series = Vec::new();
        for path in files {
            let below = path.strip_prefix(&data).unwrap_or(&path);
            let parts: Vec<_> = below.iter().map(|part| part.to_string_lossy()).collect();
            let name = parts.join("/");
            let rows = read_rows(&path)?;
            let windows = windows.remove(&name).unwrap_or_default();
            let windows = windows.into_iter().filter_map(|window| placed(window, &rows)).collect();
            series.push(LabelledSeries { name, rows, windows });
        }
        Ok(Self { series, profiles: read_profiles(&dir.join(CONFIGURATION))? })
    }
}

fn find(dir: &Path, files: &mut Vec<PathBuf>) -> Result<(), Failure> {
    let fail = |error| Failure::refused(format!("{} cannot be read: {error}", dir.display()));
    for entry in fs::read_dir(dir).map_err(fail)? {
        let path = entry.map_err(fail)?.path();
        if path.is_dir() {
            find(&path, files)?;
        } else if path.extension().is_some_and(|extension| extension == "csv") {
            files.push(path);
        }
    }
    Ok(())
}

fn read_text(path: &Path) -> Result<String, Failure> {
    fs::read_to_string(path)
        .map_err(|error| Failure::refused(format!("{} cannot be read: {error}", path.display())))
}

fn read_rows(path: &Path) -> Result<Vec<Row>, Failure> {
    let text = read_text(path)?;
    let mut rows = Vec::new();
    for (number, line) in text.lines().enumerate().skip(1).filter(|(_, line)| !line.trim().is_empty()) {
        let row = read_row(line).ok_or_else(|| {
            let place = format!("{}:{}", path.display(), number + 1);
            Failure::refused(format!("{place}: {line:?} is not a timestamp and a number"))
        })?;
        rows.push(row);
    }
    Ok(rows)
}

/// What follows on the second column is left alone.
fn read_row(line: &str) -> Option<Row> {
    let mut cells = line.split(',').map(str::trim);
    let (at, value) = (cells.next()?, cells.next()?);
    let number = value.parse::<f64>().ok().filter(|number| number.is_finite())?;
    let at_read = UnixNanos::parse_iso(at.as_bytes()).ok()?;
    Some(Row { at: at_read, value: number, text: format!("{at},{value}") })
}

type Windows = BTreeMap<String, Vec<(UnixNanos, UnixNanos)>>;

fn read_windows(path: &Path) -> Result<Windows, Failure> {
    if !path.exists() {
        return Ok(Windows::new());
    }
    let wrong = |what: &str| Failure::refused(format!("{}: {what}", path.display()));
    let value: Value = serde_json::from_str(&read_text(path)?).map_err(|error| wrong(&error.to_string()))?;
    let of_files = value.as_object().ok_or_else(|| wrong("is no object of files"))?;
    let moment = |value: &Value| UnixNanos::parse_iso(value.as_str()?.as_bytes()).ok();
    let window = |value: &Value| Some((moment(value.get(0)?)?, moment(value.get(1)?)?));
    let mut windows = Windows::new();
    for (name, list) in of_files {
        let list = list.as_array().ok_or_else(|| wrong(&format!("{name} has no list of windows")))?;
        let mut of_file = Vec::new();
        for value in list {
            let window = window(value).ok_or_else(|| wrong(&format!("{name}: {value} is no window")))?;
            of_file.push(window);
        }
        of_file.sort();
        windows.insert(name.clone(), of_file);
    }
    Ok(windows)
}

/// The rows at which a window begins and ends; `None` where it holds none.
fn placed((from, to): (UnixNanos, UnixNanos), rows: &[Row]) -> Option<(usize, usize)> {
    let first = rows.iter().position(|row| row.at >= from)?;
    // Where a time stands twice, the first of both: as the benchmark looks it up.
    let exact = rows.iter().position(|row| row.at == to);
    let last = exact.or_else(|| rows.iter().rposition(|row| row.at <= to))?;
    (first <= last).then_some((first, last))
}

fn read_profiles(path: &Path) -> Result<[Profile; 3], Failure> {
    let mut profiles = PROFILES.map(|(_, _, profile)| profile);
    if !path.exists() {
        return Ok(profiles);
    }
    let wrong = |what: String| Failure::refused(format!("{}: {what}", path.display()));
    let value: Value = serde_json::from_str(&read_text(path)?).map_err(|error| wrong(error.to_string()))?;
    for (profile, (_, name, _)) in profiles.iter_mut().zip(PROFILES) {
        let Some(matrix) = value.get(name).map(|profile| &profile["CostMatrix"]) else { continue };
        let weight = |key: &str| {
            let weight = matrix[key].as_f64().filter(|weight| *weight >= 0.0);
            weight.ok_or_else(|| wrong(format!("{name} has no {key} at or above 0")))
        };
        *profile = Profile {
            found: weight("tpWeight")?,
            false_row: weight("fpWeight")?,
            missed: weight("fnWeight")?,
        };
    }
    Ok(profiles)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(dir: &Path, name: &str, text: &str) {
        let path = dir.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    const ROWS: &str =
        "timestamp,value\n2014-02-14 14:27:00,1.5\n2014-02-14 14:32:00,2\n2014-02-14 14:37:00,-1e3\n";

    #[test]
    fn series_come_with_their_windows() {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), "data/b/two.csv", ROWS);
        write(dir.path(), "data/a.csv", ROWS);
        write(dir.path(), "data/b/read.me", "no series");
        let windows =
            r#"{"b/two.csv": [["2014-02-14 14:32:00.000000", "2014-02-14 14:37:00.000000"]], "c.csv": []}"#;
        write(dir.path(), WINDOWS, windows);
        let corpus = Corpus::read(dir.path()).unwrap();
        let names: Vec<_> = corpus.series.iter().map(|series| (&*series.name, &series.windows[..])).collect();
        assert_eq!(names, [("a.csv", &[][..]), ("b/two.csv", &[(1, 2)])]);
        assert_eq!(corpus.series[0].rows[2].value, -1_000.0);
        assert_eq!(corpus.series[0].rows[2].text, "2014-02-14 14:37:00,-1e3");
        assert_eq!(corpus.profiles, PROFILES.map(|(_, _, profile)| profile));
    }

    fn check_refused(files: &[(&str, &str)], part: &str) {
        let dir = tempfile::tempdir().unwrap();
        files.iter().for_each(|(name, text)| write(dir.path(), name, text));
        let failure = Corpus::read(dir.path()).unwrap_err();
        assert_eq!(failure.code(), 2);
        assert!(failure.to_string().contains(part), "{failure}");
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        check_refused(&[], "data cannot be read");
        check_refused(&[("data/x.txt", "")], "holds no .csv files");
        check_refused(&[("data/x.csv", "timestamp,value\n2014-02-14 14:27:00,NaN\n")], "x.csv:2");
        check_refused(&[("data/x.csv", "timestamp,value\nyesterday,1\n")], "x.csv:2");
        check_refused(&[("data/x.csv", ROWS), (WINDOWS, "[]")], "is no object");
        check_refused(&[("data/x.csv", ROWS), (WINDOWS, r#"{"x.csv": [["a", "b"]]}"#)], "is no window");
        check_refused(&[("data/x.csv", ROWS), (CONFIGURATION, r#"{"standard": {}}"#)], "has no tpWeight");
    }
}
