//! The models that forecast, and how they fare against the naive forecast.
//!
//! Made of what was told of them: their last forecasts, and their scores, which are told once in a while.

use std::collections::{BTreeMap, BTreeSet};

use actix_web::{HttpRequest, web};
use serde::Serialize;
use utoipa::ToSchema;

use crate::api::problem::Problem;
use crate::api::query::{Query, instrument_of, segment};
use crate::api::rest::answer::{Answer, Rows, json, json_of};
use crate::api::rest::schemas::{ScoreRow, ScoreRows};
use crate::api::state::Api;
use crate::domain::insight::{Forecast, ModelScore, Target};
use crate::domain::shape;
use crate::domain::told::Watch;

/// Rows of scores in the answer about one model.
const DETAILS_MAX: usize = 1_000;

/// A model that has forecast something, or was scored, since the process started.
#[derive(Debug, Serialize, ToSchema)]
pub struct ModelReport {
    /// Name and version.
    #[schema(example = "mixture@1")]
    id: String,
    name: String,
    version: String,
    /// `champion`, `challenger` or `online`.
    role: &'static str,
    /// `null` for one that learns as it goes.
    #[schema(required = true)]
    trained_at: Option<String>,
    targets: Vec<&'static str>,
    intervals: Vec<String>,
    /// Candles ahead.
    horizons: Vec<u32>,
    /// When it spoke last, or the last candle that its scores count.
    last_made_at: String,
    /// Outcomes that its scores count.
    scored: u64,
    /// Of its targets and horizons: how many are set aside for being no better than naive.
    demoted: usize,
    scores: Scores,
}

/// How a model fared: means over its instruments, intervals and horizons, weighted by what was scored. `null` where
/// nobody has scored it.
#[derive(Debug, Default, Serialize, ToSchema)]
pub struct Scores {
    /// The target that the errors are of.
    #[schema(required = true)]
    target: Option<&'static str>,
    /// Mean absolute error, in the target's unit: ask for one `instrument` to compare.
    #[schema(required = true)]
    mae: Option<f64>,
    /// Root mean squared error, in the target's unit.
    #[schema(required = true)]
    rmse: Option<f64>,
    /// Per cent of the outcome.
    #[schema(required = true)]
    mape: Option<f64>,
    /// Share of directions that came true.
    #[schema(required = true)]
    directional_accuracy: Option<f64>,
    /// Share of outcomes inside of their interval.
    #[schema(required = true)]
    interval_coverage: Option<f64>,
    /// Its loss divided by the naive forecast's: below 1 is better.
    #[schema(required = true)]
    against_naive: Option<f64>,
}

/// One model, with each of its scores.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes what is written by hand")]
pub struct ModelDetail {
    #[schema(inline)]
    #[serde(flatten)]
    report: ModelReport,
    /// By instrument, interval, target and horizon.
    details: Vec<ScoreRow>,
    /// Rows that found no room: ask for one `instrument`.
    details_left_out: usize,
}

/// Every model that forecasts.
#[utoipa::path(get, path = "/api/v1/models", tag = "models",
    params(("instrument" = Option<String>, Query, description = "venue:BASE-QUOTE")),
    responses((status = 200, description = "In order of id", body = Vec<ModelReport>))
)]
pub async fn models(request: HttpRequest, api: web::Data<Api>) -> Answer {
    let query = Query::parse(request.query_string(), &["instrument"])?;
    let known = known(&api, query.instrument(api.board.roster())?);
    let reports: Vec<_> = known.iter().map(|(id, known)| known.report(id)).collect();
    Ok(json_of(&reports))
}

/// One model.
#[utoipa::path(get, path = "/api/v1/models/{id}", tag = "models",
    params(
        ("id" = String, Path, description = "Name and version", example = "mixture@1"),
        ("instrument" = Option<String>, Query, description = "venue:BASE-QUOTE"),
    ),
    responses((status = 200, description = "It, and each of its scores", body = ModelDetail))
)]
pub async fn model(request: HttpRequest, api: web::Data<Api>) -> Answer {
    let query = Query::parse(request.query_string(), &["instrument"])?;
    let id = segment(&request, "id")?;
    let known = known(&api, query.instrument(api.board.roster())?);
    let model = known.get(&id).ok_or_else(|| {
        Problem::not_found(
            "no model of that name and version has forecast anything; /api/v1/models lists all",
        )
    })?;
    let mut out = serde_json::to_vec(&model.report(&id)).expect("texts and numbers are JSON");
    out.pop();
    out.extend_from_slice(b",\"details\":[");
    for (at, (watch, score)) in model.scores.iter().take(DETAILS_MAX).enumerate() {
        out.extend_from_slice(if at == 0 { b"{" } else { b",{" });
        shape::score(api.board.label(*watch), score, &mut out);
        out.push(b'}');
    }
    let left_out = model.scores.len().saturating_sub(DETAILS_MAX);
    out.extend_from_slice(format!("],\"details_left_out\":{left_out}}}").as_bytes());
    Ok(json(out))
}

/// How each model fared on one instrument.
#[utoipa::path(get, path = "/api/v1/scores/{instrument}", tag = "models",
    params(
        ("instrument" = String, Path, description = "venue:BASE-QUOTE", example = "binance:BTC-USDT"),
        ("kind" = Option<String>, Query, description = "The target: price, realized_variance, volume, trade_count or direction"),
        ("interval" = Option<String>, Query, description = "One that is computed here"),
    ),
    responses((status = 200, description = "By interval, target, model and horizon", body = ScoreRows))
)]
pub async fn scores(request: HttpRequest, api: web::Data<Api>) -> Answer {
    let query = Query::parse(request.query_string(), &["kind", "interval"])?;
    let target = query.word("kind", &Target::ALL, Target::name)?;
    let interval = query.text("interval").map(|_| query.interval(api.board.intervals())).transpose()?;
    let watch = instrument_of(&request, api.board.roster())?;
    let mut rows = Rows::new("scores");
    for score in api.board.seen(watch).scores() {
        let is_wanted = target.is_none_or(|target| target == score.target)
            && interval.is_none_or(|interval| interval == score.interval);
        if is_wanted {
            rows.row(|out| shape::score(api.board.label(watch), score, out));
        }
    }
    Ok(json(rows.end()))
}

/// What was told of one model.
#[derive(Default)]
struct Known {
    forecasts: Vec<Forecast>,
    scores: Vec<(Watch, ModelScore)>,
}

fn known(api: &Api, wanted: Option<Watch>) -> BTreeMap<String, Known> {
    let mut known: BTreeMap<String, Known> = BTreeMap::new();
    for (watch, _) in
        api.board.roster().iter().filter(|(watch, _)| wanted.is_none_or(|wanted| wanted == *watch))
    {
        let seen = api.board.seen(watch);
        for (forecast, _) in seen.forecasts() {
            known.entry(forecast.model.to_string()).or_default().forecasts.push(forecast.clone());
        }
        for score in seen.scores() {
            known.entry(score.model.to_string()).or_default().scores.push((watch, score.clone()));
        }
    }
    known
}

impl Known {
    /// Of at least one forecast or score.
    fn report(&self, id: &str) -> ModelReport {
        let (name, version) = id.split_once('@').unwrap_or((id, ""));
        let told = self.forecasts.iter().map(|forecast| {
            (forecast.made_at, forecast.role, forecast.target, forecast.interval, forecast.horizon)
        });
        let scored = self
            .scores
            .iter()
            .map(|(_, score)| (score.at, score.role, score.target, score.interval, score.horizon));
        let all: Vec<_> = told.chain(scored).collect();
        let last = all.iter().max_by_key(|one| one.0).expect("a model is known by what was told of it");
        let targets: BTreeSet<_> = all.iter().map(|one| one.2).collect();
        let intervals: BTreeSet<_> = all.iter().map(|one| one.3).collect();
        let horizons: BTreeSet<_> = all.iter().map(|one| one.4).collect();
        ModelReport {
            id: id.to_owned(),
            name: name.to_owned(),
            version: version.to_owned(),
            role: last.1.name(),
            trained_at: None,
            targets: targets.into_iter().map(Target::name).collect(),
            intervals: intervals.into_iter().map(|interval| interval.to_string()).collect(),
            horizons: horizons.into_iter().collect(),
            last_made_at: last.0.to_string(),
            scored: self.scores.iter().map(|(_, score)| score.scored).sum(),
            demoted: self.scores.iter().filter(|(_, score)| score.demoted).count(),
            scores: self.means(),
        }
    }

    fn means(&self) -> Scores {
        let mean = |target: Option<Target>, figure: &dyn Fn(&ModelScore) -> Option<f64>| {
            let counted = self.scores.iter().map(|(_, score)| score);
            weighted(
                counted
                    .filter(|score| target.is_none_or(|target| target == score.target))
                    .filter_map(|score| Some((figure(score)?, score.scored))),
            )
        };
        let target =
            self.scores.iter().filter(|(_, score)| score.mae.is_some()).map(|(_, score)| score.target).min();
        let of_target = |figure: &dyn Fn(&ModelScore) -> Option<f64>| {
            target.and_then(|target| mean(Some(target), figure))
        };
        let from_forecasts =
            weighted(self.forecasts.iter().filter_map(|forecast| Some((forecast.skill?, 1))));
        Scores {
            target: target.map(Target::name),
            mae: of_target(&|score| score.mae),
            // Squares are what can be averaged.
            rmse: of_target(&|score| score.rmse.map(|rmse| rmse * rmse)).map(f64::sqrt),
            mape: of_target(&|score| score.mape),
            directional_accuracy: mean(None, &|score| score.direction.map(|direction| direction.share)),
            interval_coverage: mean(None, &|score| score.coverage),
            against_naive: mean(None, &|score| score.skill).or(from_forecasts),
        }
    }
}

/// `None` where there is nothing to weigh.
fn weighted(values: impl Iterator<Item = (f64, u64)>) -> Option<f64> {
    let (mut sum, mut weights) = (0.0, 0.0);
    for (value, weight) in values {
        sum += value * weight as f64;
        weights += weight as f64;
    }
    (weights > 0.0).then(|| sum / weights)
}
