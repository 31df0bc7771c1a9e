//! `tapewatch evaluate forecasts`: what was forecast against what came.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde_json::{Map, Value, json};

use crate::app::evaluate::chart::{self, Better, Mark};
use crate::app::evaluate::page::Page;
use crate::app::evaluate::recordings::{
    RecordingArguments, WholeFile, aligned, make_directory, number, percent, shown,
};
use crate::app::evaluate::scoreboard::{Score, ScoreBoard, ScoreKey, Scored};
use crate::app::outcome::{self, Failure};
use crate::domain::insight::Target;
use crate::domain::instrument::Instrument;
use crate::domain::interval::Interval;
use crate::domain::output::Output;
use crate::domain::time::UnixNanos;

const FORECASTS: &str = "forecasts.csv";
const HEADER: &str =
    "instrument,interval,target,model,horizon,made_at,target_at,forecast,lower,upper,level,actual,naive\n";
const DAY_NANOS: i64 = 86_400_000_000_000;

#[derive(Debug, clap::Args)]
pub struct ForecastsArguments {
    #[command(flatten)]
    recordings: RecordingArguments,
    /// A directory for forecasts.csv: every forecast whose outcome is known, with it
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// A page with the scores drawn, that opens offline
    #[arg(long, value_name = "FILE.html")]
    report: Option<PathBuf>,
    /// The scores as one JSON object
    #[arg(long)]
    json: bool,
}

pub fn forecasts(arguments: &ForecastsArguments) -> Result<(), Failure> {
    let mut rows = match &arguments.out {
        None => None,
        Some(dir) => {
            make_directory(dir)?;
            let mut rows = WholeFile::create(dir.join(FORECASTS))?;
            rows.write(HEADER.as_bytes())?;
            Some(rows)
        }
    };
    let mut board = ScoreBoard::default();
    let mut failure = None;
    let mut line = Vec::new();
    let all_models = ("intelligence.all_models", "--all-models", "true".to_owned());
    arguments.recordings.listen(&[all_models], &mut |instrument, output| match output {
        Output::Forecast(forecast) => board.forecast(instrument, forecast),
        Output::Outcome(outcome) => {
            let Some(scored) = board.outcome(instrument, outcome) else { return };
            if let Some(rows) = &mut rows
                && failure.is_none()
            {
                line.clear();
                write_row(instrument, &scored, &mut line);
                failure = rows.write(&line).err();
            }
        }
        _ => {}
    })?;
    if let Some(failure) = failure {
        return Err(failure);
    }
    board.finish();
    if let Some(rows) = rows {
        rows.finish()?;
    }
    if let Some(to) = &arguments.report {
        page(&board).write(to.clone())?;
    }
    outcome::print(&if arguments.json { format!("{}\n", object(&board)) } else { text(&board) })
}

fn write_row(instrument: &Instrument, scored: &Scored, out: &mut Vec<u8>) {
    let forecast = &scored.forecast;
    let words = [
        instrument.to_string(),
        forecast.interval.to_string(),
        forecast.target.name().to_owned(),
        forecast.model.to_string(),
        forecast.horizon.to_string(),
        forecast.made_at.to_string(),
        forecast.target_at.to_string(),
    ];
    out.extend_from_slice(words.join(",").as_bytes());
    let numbers =
        [forecast.forecast, forecast.lower, forecast.upper, forecast.level, scored.actual, forecast.naive];
    for value in numbers {
        out.push(b',');
        number(value, out);
    }
    out.push(b'\n');
}

/// The scores as JSON: `forecasts.scores`, one object for each model and horizon.
fn object(board: &ScoreBoard) -> Value {
    let scores: Vec<Value> = board
        .scores
        .iter()
        .map(|(key, score)| {
            let mut object = Map::new();
            let mut put = |name: &str, value: Value| _ = object.insert(name.to_owned(), value);
            put("instrument", json!(key.instrument.to_string()));
            put("interval", json!(key.interval.to_string()));
            put("target", json!(key.target.name()));
            put("model", json!(&*key.model));
            put("horizon", json!(key.horizon));
            put("level", json!(score.level));
            put("outcomes", json!(score.outcomes));
            put("scored", json!(score.scored));
            score.figures().into_iter().for_each(|(name, figure)| put(name, json!(figure)));
            Value::Object(object)
        })
        .collect();
    let outcomes: u64 = board.scores.values().map(|score| score.outcomes).sum();
    json!({ "forecasts": {
        "told": board.told, "outcomes": outcomes, "unscored": board.unscored, "scores": scores,
    } })
}

/// Around 1, where what counts stands behind the point.
fn ratio(value: Option<f64>) -> String {
    value
        .filter(|value| (0.01..100.0).contains(value))
        .map_or_else(|| shown(value), |value| format!("{value:.4}"))
}

/// A column: its heading and what stands in it.
type Column = (&'static str, fn(&Score) -> String);

fn columns(target: Target) -> Vec<Column> {
    let coverage: [Column; 3] = [
        ("inside", |score| percent(score.figure("coverage"))),
        ("worst day", |score| percent(score.figure("coverage_worst_day"))),
        ("Winkler", |score| shown(score.figure("winkler"))),
    ];
    let way: Column = ("right way [95 %]", |score| {
        match ["directional_accuracy", "directional_lower", "directional_upper"]
            .map(|name| score.figure(name))
        {
            [Some(share), Some(lower), Some(upper)] => format!("{share:.4} [{lower:.4}, {upper:.4}]"),
            _ => "-".to_owned(),
        }
    });
    let majority: Column = ("majority", |score| shown(score.figure("directional_majority")));
    let dm: Column = ("DM p", |score| shown(score.figure("dm_p")));
    let own: Vec<Column> = match target {
        Target::Price => vec![
            ("RMSE/naive", |score| ratio(score.ratio())),
            dm,
            ("MAE", |score| shown(score.figure("mae"))),
            ("RMSE", |score| shown(score.figure("rmse"))),
            ("MAPE %", |score| shown(score.figure("mape"))),
            ("MASE", |score| shown(score.figure("mase"))),
            way,
            majority,
        ],
        Target::RealizedVariance => vec![
            ("QLIKE/naive", |score| ratio(score.ratio())),
            dm,
            ("QLIKE", |score| shown(score.figure("qlike"))),
            ("by RiskMetrics", |score| ratio(score.figure("reference_skill"))),
            ("DM p", |score| shown(score.figure("reference_dm_p"))),
        ],
        Target::Volume | Target::TradeCount => vec![
            ("log MAE/naive", |score| ratio(score.ratio())),
            dm,
            ("MAE", |score| shown(score.figure("mae"))),
            ("RMSE", |score| shown(score.figure("rmse"))),
            ("sMAPE %", |score| shown(score.figure("smape"))),
            ("MASE", |score| shown(score.figure("mase"))),
        ],
        Target::Direction => {
            return vec![
                way,
                majority,
                ("log loss", |score| shown(score.figure("log_loss"))),
                ("by naive", |score| ratio(score.ratio())),
                dm,
                ("Brier", |score| shown(score.figure("brier"))),
            ];
        }
    };
    own.into_iter().chain(coverage).collect()
}

type Group<'a> = Vec<(&'a ScoreKey, &'a Score)>;

/// By instrument, interval and target, in that order.
fn groups(board: &ScoreBoard) -> BTreeMap<(Instrument, Interval, Target), Group<'_>> {
    let mut groups: BTreeMap<_, Group<'_>> = BTreeMap::new();
    for (key, score) in &board.scores {
        groups.entry((key.instrument.clone(), key.interval, key.target)).or_default().push((key, score));
    }
    groups
}

fn table(target: Target, group: &Group<'_>) -> Vec<Vec<String>> {
    let columns = columns(target);
    let heading = ["horizon", "model", "scored"].into_iter().chain(columns.iter().map(|(name, _)| *name));
    let mut rows = vec![heading.map(str::to_owned).collect::<Vec<_>>()];
    for (key, score) in group {
        let mut row = vec![key.horizon.to_string(), key.model.to_string(), score.scored.to_string()];
        row.extend(columns.iter().map(|(_, shown)| shown(score)));
        rows.push(row);
    }
    rows
}

const NOTE: &str = "Scores are those of targets that do not overlap, coverage of all. By naive: below 1 is better. \
                    DM p: the chance of such a difference from naive, were both equally good.";

fn text(board: &ScoreBoard) -> String {
    if board.scores.is_empty() {
        return format!("forecasts told {}, none of them with an outcome: nothing to score\n", board.told);
    }
    let mut text = String::new();
    for ((instrument, interval, target), group) in groups(board) {
        text.push_str(&format!("{instrument} {interval} {}\n", target.name()));
        text.push_str(&aligned(&table(target, &group), 2));
        text.push('\n');
    }
    text.push_str(&format!("{NOTE}\n"));
    text
}

fn day_name(day: i64) -> String {
    UnixNanos(day * DAY_NANOS).to_string().chars().take(10).collect()
}

fn page(board: &ScoreBoard) -> Page {
    let mut page = Page::new("Forecasts", NOTE);
    if board.scores.is_empty() {
        page.paragraph("No forecast had an outcome: there is nothing to score.");
    }
    for ((instrument, interval, target), group) in groups(board) {
        let name = target.name().replace('_', " ");
        page.heading(&format!("{instrument}, {interval}: {name}"));
        page.table(&table(target, &group), 2);
        let marks: Vec<Mark> = group
            .iter()
            .filter_map(|(key, score)| {
                let label = format!("{} +{}", key.model, key.horizon);
                Some(Mark { label, value: score.ratio()?, range: score.ratio_range() })
            })
            .collect();
        if !marks.is_empty() {
            let says = format!("Loss of each model by that of naive, {name}");
            let caption =
                "Loss by naive's, with its 95 % interval; +1 is the next candle. Left of the line is better.";
            page.figure(&chart::marks(&says, &marks, 1.0, Better::Below), caption);
        }
        let mut horizons: Vec<u32> = group.iter().map(|(key, _)| key.horizon).collect();
        horizons.dedup();
        for horizon in horizons {
            let of = |(key, _): &&(&ScoreKey, &Score)| key.horizon == horizon;
            let trusted = group.iter().filter(of).find(|(key, _)| key.model.starts_with("mixture@"));
            let Some((key, score)) = trusted.or_else(|| group.iter().find(of)) else { continue };
            let ahead = format!("{} {horizon} candles ahead", key.model);
            if target == Target::Direction {
                let dots: Vec<(f64, f64, u64)> = score
                    .bins
                    .iter()
                    .filter(|bin| bin.count > 0)
                    .map(|bin| {
                        let count = bin.count as f64;
                        (bin.chances / count, bin.ups as f64 / count, bin.count)
                    })
                    .collect();
                let says = format!("Chances said and how often it rose, {ahead}");
                page.figure(
                    &chart::reliability(&says, &dots),
                    &format!("{says}: on the diagonal they are right."),
                );
            } else {
                let days: Vec<(String, f64)> = score
                    .days
                    .iter()
                    .map(|day| (day_name(day.day), day.inside as f64 / day.count as f64))
                    .collect();
                let says = format!("Outcomes inside of the interval, day by day, {ahead}");
                let caption =
                    format!("{says}. The line is what was promised, {}.", percent(Some(score.level)));
                page.small_figure(&chart::days(&says, &days, score.level), &caption);
            }
        }
    }
    page
}
