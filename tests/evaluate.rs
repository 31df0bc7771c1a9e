//! `tapewatch evaluate` on a made-up market of ready candles: what it says of forecasts and signals is computed
//! again here from the candles and from the files that it keeps.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;
use tempfile::TempDir;

#[path = "common/program.rs"]
mod program;

use program::tapewatch;

const MINUTE: i64 = 60;
const START: i64 = 1_714_521_600;
const ROWS: usize = 2_600;
/// Candles whose volume is forty times the usual.
const BURSTS: [usize; 3] = [900, 1_500, 2_100];

/// One of the candles that go in.
struct Row {
    close: f64,
}

fn moment(seconds: i64) -> String {
    let (day, rest) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    // All of it lies in May 2024.
    format!("2024-05-{:02}T{:02}:{:02}:00Z", 1 + day - START / 86_400, rest / 3_600, rest / 60 % 60)
}

/// A walk whose volatility and volume come in regimes, written as candles; a candle is missing at the middle.
fn market(dir: &Path) -> (PathBuf, Vec<Row>) {
    let mut state = 20_240_501_u64;
    let mut unit = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 11) as f64 / (1_u64 << 53) as f64
    };
    let mut text = "open_time,open,high,low,close,volume\n".to_owned();
    let (mut level, mut rows) = (60_000.0_f64, Vec::new());
    for i in 0..ROWS {
        let wild = if i / 240 % 2 == 0 { 1.0 } else { 3.0 };
        let open = level;
        level *= 1.0 + 4e-4 * wild * ((0..12).map(|_| unit()).sum::<f64>() - 6.0);
        level = (level * 100.0).round() / 100.0;
        let (high, low) = (open.max(level) + 3.0 * unit(), open.min(level) - 3.0 * unit());
        let burst = if BURSTS.contains(&i) { 40.0 } else { 1.0 };
        let volume = burst * wild * (2.0 + unit());
        if i != ROWS / 2 {
            let at = moment(START + i as i64 * MINUTE);
            text.push_str(&format!("{at},{open:.2},{high:.2},{low:.2},{level:.2},{volume:.4}\n"));
        }
        rows.push(Row { close: level });
    }
    let path = dir.join("market.csv");
    fs::write(&path, text).unwrap();
    (path, rows)
}

fn run(what: &str, path: &Path, more: &[&str]) -> Value {
    let mut arguments =
        vec!["evaluate", what, path.to_str().unwrap(), "--format", "ohlcv", "--intervals", "1m"];
    arguments.extend(["--venue", "binance", "--symbol", "BTC-USDT", "--json"]);
    arguments.extend(more);
    let output = tapewatch(&arguments);
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("the figures are one JSON object")
}

/// Rows of a CSV file by the names of its header.
fn table(path: &Path) -> Vec<BTreeMap<String, String>> {
    let text = fs::read_to_string(path).unwrap();
    let mut lines = text.lines().map(|line| line.split(',').map(str::to_owned).collect::<Vec<_>>());
    let header = lines.next().unwrap();
    lines.map(|cells| header.iter().cloned().zip(cells).collect()).collect()
}

fn number(row: &BTreeMap<String, String>, column: &str) -> f64 {
    row[column].parse().unwrap_or_else(|_| panic!("{column} of {row:?}"))
}

/// Which candle ends at a moment.
fn place(rows: usize) -> BTreeMap<String, usize> {
    (0..rows).map(|i| (moment(START + (i as i64 + 1) * MINUTE), i)).collect()
}

#[track_caller]
fn close(is: f64, is_to_be: f64, what: &str) {
    assert!((is - is_to_be).abs() <= 1e-9 * is_to_be.abs().max(1e-12), "{what}: {is} instead of {is_to_be}");
}

#[test]
fn scores_of_forecasts_are_those_of_the_rows_that_are_kept() {
    let dir = TempDir::new().unwrap();
    let (path, rows) = market(dir.path());
    let config = dir.path().join("models.toml");
    fs::write(
        &config,
        "[intelligence]\nforecasters = [\"ewma_variance\", \"risk_metrics\", \"ewma_volume\", \"rls_ar\", \"ftrl\"]\n\
         horizons = [1, 5]\n",
    )
    .unwrap();
    let (out, page) = (dir.path().join("out"), dir.path().join("page.html"));
    let [config, out_text, page_text] = [&config, &out, &page].map(|path| path.to_str().unwrap());
    let told = run("forecasts", &path, &["--config", config, "--out", out_text, "--report", page_text]);
    let table = table(&out.join("forecasts.csv"));
    let places = place(rows.len());
    let mut groups: BTreeMap<[String; 3], Vec<&BTreeMap<String, String>>> = BTreeMap::new();
    for row in &table {
        let key = ["target", "horizon", "model"].map(|column| row[column].clone());
        groups.entry(key).or_default().push(row);
        // Actual values are those of the candles.
        let (made, due) = (places[&row["made_at"]], places[&row["target_at"]]);
        assert_eq!(due - made, number(row, "horizon") as usize, "{row:?}");
        assert!(!(made < rows.len() / 2 && rows.len() / 2 <= due), "over the missing candle: {row:?}");
        let returns = (made + 1..=due).map(|i| libm::log(rows[i].close / rows[i - 1].close));
        match row["target"].as_str() {
            "price" => assert_eq!(number(row, "actual"), rows[due].close),
            "realized_variance" => {
                let expected: f64 = returns.map(|change| change * change).sum();
                close(number(row, "actual"), expected.max(number(row, "horizon") * 1e-12), "variance");
            }
            "direction" => {
                let moved = rows[due].close - rows[made].close;
                let expected = if moved == 0.0 { 0.5 } else { f64::from(u8::from(moved > 0.0)) };
                assert_eq!(number(row, "actual"), expected, "{row:?}");
            }
            _ => {}
        }
    }
    let scores = told["forecasts"]["scores"].as_array().unwrap();
    assert_eq!(scores.len(), groups.len());
    assert!(
        groups.keys().any(|key| key[2].starts_with("mixture@")) && groups.len() >= 16,
        "{:?}",
        groups.keys()
    );
    assert_eq!(told["forecasts"]["outcomes"].as_u64(), Some(table.len() as u64));
    for score in scores {
        let text = |name: &str| score[name].as_str().unwrap().to_owned();
        let key = [text("target"), score["horizon"].to_string(), text("model")];
        check(&key, score, &groups[&key], &places);
    }
    let page = fs::read_to_string(page).unwrap();
    assert!(page.contains("mixture@") && page.contains("<svg") && !page.contains("NaN"));
}

/// Holds one object of figures against its rows.
fn check(
    key: &[String; 3],
    score: &Value,
    rows: &[&BTreeMap<String, String>],
    places: &BTreeMap<String, usize>,
) {
    let what = key.join(" ");
    let figure = |name: &str| score[name].as_f64().unwrap_or_else(|| panic!("{what}: no {name}"));
    assert_eq!(score["outcomes"].as_u64(), Some(rows.len() as u64), "{what}");
    let horizon = number(rows[0], "horizon") as i64;
    if key[0] != "direction" {
        let inside = |row: &&&BTreeMap<String, String>| {
            (number(row, "lower")..=number(row, "upper")).contains(&number(row, "actual"))
        };
        close(figure("coverage"), rows.iter().filter(inside).count() as f64 / rows.len() as f64, &what);
    } else {
        assert!(score["coverage"].is_null(), "{what}");
    }
    // Targets that do not overlap: made at whole multiples of the horizon after 1970.
    let counts = |row: &&&BTreeMap<String, String>| {
        let made = START / MINUTE + places[&row["made_at"]] as i64 + 1;
        made % horizon == 0
    };
    let loss = |row: &BTreeMap<String, String>, said: &str| {
        let (said, actual) = (number(row, said), number(row, "actual"));
        match key[0].as_str() {
            "price" => libm::pow((said - actual) / actual, 2.0),
            "realized_variance" => actual / said - libm::log(actual / said) - 1.0,
            "direction" => -libm::log(if actual > 0.5 { said } else { 1.0 - said }),
            _ => (libm::log(actual) - libm::log(said)).abs(),
        }
    };
    let counted: Vec<_> = rows
        .iter()
        .filter(counts)
        .filter(|row| key[0] != "direction" || number(row, "actual") != 0.5)
        .collect();
    assert_eq!(score["scored"].as_u64(), Some(counted.len() as u64), "{what}");
    let mean = |value: &dyn Fn(&BTreeMap<String, String>) -> f64| {
        counted.iter().map(|row| value(row)).sum::<f64>() / counted.len() as f64
    };
    let (own, naive) = (mean(&|row| loss(row, "forecast")), mean(&|row| loss(row, "naive")));
    let ratio = if key[0] == "price" { (own / naive).sqrt() } else { own / naive };
    close(figure("skill"), ratio, &what);
    match key[0].as_str() {
        "direction" => {
            close(figure("log_loss"), own, &what);
            let hits =
                counted.iter().filter(|row| (number(row, "forecast") > 0.5) == (number(row, "actual") > 0.5));
            close(figure("directional_accuracy"), hits.count() as f64 / counted.len() as f64, &what);
        }
        _ => {
            close(figure("mae"), mean(&|row| (number(row, "forecast") - number(row, "actual")).abs()), &what);
            let winkler = mean(&|row| {
                let [lower, upper, actual] = ["lower", "upper", "actual"].map(|column| number(row, column));
                let outside = (lower - actual).max(0.0) + (actual - upper).max(0.0);
                upper - lower + 2.0 / (1.0 - number(row, "level")) * outside
            });
            close(figure("winkler"), winkler, &what);
        }
    }
    if key[0] == "realized_variance" && key[2].starts_with("ewma_variance@") {
        assert!(figure("reference_skill") > 0.5 && score["reference_dm_p"].is_number(), "{what}");
    }
}

#[test]
fn moves_after_signals_are_those_of_the_candles() {
    let dir = TempDir::new().unwrap();
    let (path, rows) = market(dir.path());
    let config = dir.path().join("models.toml");
    fs::write(&config, "[intelligence]\ndetectors = [\"robust_z\"]\nrules = [\"volume_burst\"]\n").unwrap();
    let (out, page) = (dir.path().join("out"), dir.path().join("page.html"));
    let [config, out_text, page_text] = [&config, &out, &page].map(|path| path.to_str().unwrap());
    let kept = ["--config", config, "--out", out_text, "--report", page_text];
    let flags = [&["--after", "5m,1h", "--fee-bp", "7"][..], &kept].concat();
    let told = run("signals", &path, &flags);
    assert_eq!(told["signals"]["fee_bp"], 7.0);
    let days = told["signals"]["days"]["binance:BTC-USDT"].as_f64().unwrap();
    close(days, rows.len() as f64 / 1_440.0, "days");
    let places = place(rows.len());
    let table = table(&out.join("signals.csv"));
    let bursts: Vec<_> = table.iter().filter(|row| row["name"] == "volume_burst").collect();
    let found: Vec<usize> =
        bursts.iter().filter(|row| row["after"] == "1h").map(|row| places[&row["exchange_at"]]).collect();
    for burst in BURSTS {
        assert!(found.contains(&burst), "the burst at {burst} is no signal: {found:?}");
    }
    for row in &bursts {
        let at = places[&row["exchange_at"]];
        let ahead = if row["after"] == "1h" { 60 } else { 5 };
        if at < rows.len() / 2 && rows.len() / 2 <= at + ahead {
            assert_eq!(row["move_bp"], "", "over the missing candle: {row:?}");
        } else {
            let expected = 1e4 * libm::log(rows[at + ahead].close / rows[at].close);
            assert!((number(row, "move_bp") - expected).abs() < 1e-6, "{row:?}, expected {expected}");
        }
    }
    let scores = told["signals"]["scores"].as_array().unwrap();
    let score = scores.iter().find(|score| score["name"] == "volume_burst").expect("the rule is told");
    let count = score["signals"].as_u64().unwrap();
    assert_eq!(count as usize, found.len());
    close(score["a_day"].as_f64().unwrap(), count as f64 / days, "a day");
    let moves: Vec<f64> = bursts
        .iter()
        .filter(|row| row["after"] == "5m" && !row["move_bp"].is_empty())
        .map(|row| number(row, "move_bp").abs())
        .collect();
    close(
        score["after"]["5m"]["move_bp"].as_f64().unwrap(),
        moves.iter().sum::<f64>() / moves.len() as f64,
        "mean move",
    );
    assert!(score["after"]["5m"]["usual_move_bp"].as_f64().unwrap() > 1.0);
    assert!(fs::read_to_string(page).unwrap().contains("volume_burst"));
}

#[test]
fn nothing_to_score_is_no_failure_and_wrong_words_are_refused() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("short.csv");
    fs::write(&path, "open_time,open,high,low,close,volume\n2024-05-01T00:00:00Z,1,1,1,1,1\n").unwrap();
    let told = run("forecasts", &path, &[]);
    assert_eq!(told["forecasts"]["scores"], serde_json::json!([]));
    assert_eq!(run("signals", &path, &[])["signals"]["told"], 0);
    let path = path.to_str().unwrap();
    for words in [
        &["evaluate"][..],
        &["evaluate", "forecasts"],
        &["evaluate", "forecasts", "no such file"],
        &["evaluate", "signals", path, "--after", "7m"],
        &["evaluate", "signals", path, "--fee-bp", "-1"],
        &["evaluate", "forecasts", path, "--out", path],
    ] {
        let output = tapewatch(words);
        assert_eq!(output.status.code(), Some(2), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
        assert!(!output.stderr.is_empty(), "{words:?}");
    }
}
