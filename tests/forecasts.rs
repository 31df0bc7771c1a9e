//! Forecasts on real minutes: do they do what docs/intelligence.md says of them?
//!
//! Scored here anew, from what was told and what came, on targets that do not overlap and with the first day
//! left out; statistical bounds, not exact values. The data are called by `TAPEWATCH_SHARED`.

use std::collections::BTreeMap;
use std::io::Read;

use tapewatch::analytics::estimators::scores::diebold_mariano::{self, Comparison, Lags};
use tapewatch::analytics::forecast::FORECASTERS;
use tapewatch::analytics::forecast::bounds::BoundsMethod;
use tapewatch::analytics::forecast::forecasts::{ForecastPlan, Forecasts, Tellings};
use tapewatch::analytics::forecast::lane::Manner;
use tapewatch::domain::candle::{Candle, CandleState, Ohlc, Origin};
use tapewatch::domain::decimal::{Price, Volume};
use tapewatch::domain::insight::{InsightId, ModelScore, Role, Target};
use tapewatch::domain::interval::Interval;
use tapewatch::domain::time::UnixNanos;

mod common;

const MINUTE: i64 = 60_000_000_000;
const DAY: i64 = 1_440 * MINUTE;
const HORIZONS: [u32; 4] = [1, 5, 15, 60];
/// Every file of one-minute candles of BTC against dollars that the folder holds; it has none of ETH.
const FILES: [&str; 3] = [
    "binanceus_BTCUSDT_1m_2023-03-01_21.csv.gz",
    "binanceus_BTCUSD_1m_2023-03-01_21.csv.gz",
    "perp_BTC_1m_2021-12-31_2022-02-01.csv.gz",
];

/// `open_time,open,high,low,close,volume`, a row a minute.
fn candles(name: &str) -> Option<Vec<Candle>> {
    let path = common::shared(&format!("data/ohlcv/{name}"))?;
    let mut text = String::new();
    flate2::read::GzDecoder::new(std::fs::File::open(path).unwrap()).read_to_string(&mut text).unwrap();
    let interval: Interval = "1m".parse().unwrap();
    let read = |line: &str| {
        let fields: Vec<&str> = line.split(',').collect();
        let open_at = fields[0].replace(' ', "T").replace("+00:00", "");
        let open_at = UnixNanos::parse_iso(open_at.as_bytes()).unwrap();
        let price = |text: &str| Price::parse(text.as_bytes()).unwrap();
        let volume = Volume::parse(fields[5].as_bytes()).unwrap();
        let is_empty = volume.to_f64() == 0.0;
        let [open, high, low, close] = [1, 2, 3, 4].map(|i| price(fields[i]));
        Candle {
            interval,
            open_at,
            close_at: UnixNanos(open_at.0 + MINUTE),
            prices: (!is_empty).then_some(Ohlc { open, high, low, close }),
            volume,
            quote_volume: None,
            trade_count: None,
            taker_buy_volume: None,
            taker_buy_quote_volume: None,
            state: if is_empty { CandleState::Empty } else { CandleState::Traded },
            revision: 0,
            origin: Origin::File,
        }
    };
    Some(text.lines().skip(1).map(read).collect())
}

fn plan(all_models: bool, manner: Manner) -> ForecastPlan {
    let mut plan = ForecastPlan::new(&FORECASTERS.iter().collect::<Vec<_>>(), FORECASTERS, &HORIZONS);
    (plan.all_models, plan.manner) = (all_models, manner);
    plan
}

fn forecasts(plan: &ForecastPlan) -> Forecasts {
    let seed = |target: Target, model: &str, horizon: u32| {
        let mut seed = u64::from(horizon);
        for byte in target.name().bytes().chain(model.bytes()) {
            seed = seed.wrapping_mul(0x100_0000_01b3) ^ u64::from(byte);
        }
        InsightId(seed)
    };
    Forecasts::new(plan, "1m".parse().unwrap(), seed).unwrap()
}

/// What was told, and what came of it.
#[derive(Clone, Copy)]
struct Pair {
    made_at: UnixNanos,
    forecast: f64,
    lower: f64,
    upper: f64,
    naive: f64,
    actual: f64,
}

type Series = BTreeMap<(Target, String, u32), Vec<Pair>>;

/// Runs all of a file; pairs, and the last scores.
fn run(candles: &[Candle], plan: &ForecastPlan) -> (Series, Vec<ModelScore>) {
    let mut forecasts = forecasts(plan);
    let (mut waiting, mut series, mut out) = (BTreeMap::new(), Series::new(), Tellings::default());
    for candle in candles {
        out.clear();
        forecasts.take(plan, candle, &mut out);
        for outcome in out.outcomes.iter() {
            let told: tapewatch::domain::insight::Forecast =
                waiting.remove(&outcome.id).expect("an outcome is that of a forecast that was told");
            assert_eq!((told.made_at, told.target_at), (outcome.made_at, outcome.target_at));
            assert_eq!(outcome.target_at, candle.close_at);
            assert_eq!((told.role, told.target), (outcome.role, outcome.target));
            let pair = Pair {
                made_at: told.made_at,
                forecast: told.forecast,
                lower: told.lower,
                upper: told.upper,
                naive: told.naive,
                actual: outcome.actual,
            };
            series.entry((told.target, told.model.to_string(), told.horizon)).or_default().push(pair);
        }
        for told in out.forecasts.iter() {
            assert!(told.lower <= told.forecast && told.forecast <= told.upper, "{told:?}");
            assert!(told.lower.is_finite() && told.upper.is_finite(), "{told:?}");
            assert!(waiting.insert(told.id, told.clone()).is_none(), "ids are unique");
        }
    }
    out.clear();
    forecasts.tell_scores(plan, candles.last().unwrap().close_at, &mut out);
    (series, out.scores)
}

/// Targets that do not overlap, without the first day.
fn apart(pairs: &[Pair], horizon: u32) -> Vec<Pair> {
    let first = pairs[0].made_at.0 + DAY;
    let length = i64::from(horizon) * MINUTE;
    pairs.iter().filter(|pair| pair.made_at.0 >= first && pair.made_at.0 % length == 0).copied().collect()
}

fn losses(pairs: &[Pair], of: impl Fn(&Pair) -> f64) -> Vec<f64> {
    pairs.iter().map(of).collect()
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

fn square(error: f64) -> f64 {
    error * error
}

fn qlike(actual: f64, forecast: f64) -> f64 {
    actual / forecast - libm::log(actual / forecast) - 1.0
}

/// Coverage overall and on the worst day.
fn coverage(pairs: &[Pair]) -> (f64, f64) {
    let first = pairs[0].made_at.0 + DAY;
    let mut days: BTreeMap<i64, (f64, f64)> = BTreeMap::new();
    for pair in pairs.iter().filter(|pair| pair.made_at.0 >= first) {
        let (inside, all) = days.entry(pair.made_at.0.div_euclid(DAY)).or_default();
        *inside += f64::from(u8::from(pair.lower <= pair.actual && pair.actual <= pair.upper));
        *all += 1.0;
    }
    let whole: Vec<_> = days.values().filter(|(_, all)| *all > 1_000.0).collect();
    let (inside, all) = days.values().fold((0.0, 0.0), |sum, day| (sum.0 + day.0, sum.1 + day.1));
    (inside / all, whole.iter().map(|(inside, all)| inside / all).fold(1.0, f64::min))
}

/// Of one file, told and scored.
struct Scored {
    file: &'static str,
    series: Series,
    scores: Vec<ModelScore>,
}

impl Scored {
    fn new(file: &'static str) -> Option<Self> {
        let (series, scores) = run(&candles(file)?, &plan(true, Manner::default()));
        Some(Self { file, series, scores })
    }

    fn pairs(&self, target: Target, model: &str, horizon: u32) -> &[Pair] {
        &self.series[&(target, model.to_owned(), horizon)]
    }

    fn mixture(&self, target: Target, horizon: u32) -> &[Pair] {
        self.pairs(target, "mixture@1", horizon)
    }

    fn score(&self, target: Target, model: &str, horizon: u32) -> &ModelScore {
        let of = |score: &&ModelScore| {
            score.target == target && &*score.model == model && score.horizon == horizon
        };
        self.scores.iter().find(of).expect("every model has a score")
    }

    /// The price: never more than a thousandth worse than to stay where it is.
    fn check_price(&self) {
        for horizon in HORIZONS {
            let apart = apart(self.mixture(Target::Price, horizon), horizon);
            let loss = |of: fn(&Pair) -> f64| mean(&losses(&apart, |pair| square(pair.actual - of(pair))));
            let ratio = (loss(|pair| pair.forecast) / loss(|pair| pair.naive)).sqrt();
            println!("{}: price {horizon}: {ratio:.5} of persistence", self.file);
            assert!(ratio <= 1.001, "{}: horizon {horizon}: {ratio} of persistence", self.file);
        }
    }

    /// The variance of the next quarter of an hour: far better than naive, and than RiskMetrics.
    fn check_variance(&self) {
        let target = Target::RealizedVariance;
        let mixture = apart(self.mixture(target, 15), 15);
        let other: BTreeMap<_, _> = apart(self.pairs(target, "risk_metrics@1", 15), 15)
            .into_iter()
            .map(|pair| (pair.made_at, qlike(pair.actual, pair.forecast)))
            .collect();
        let loss = losses(&mixture, |pair| qlike(pair.actual, pair.forecast));
        let naive = losses(&mixture, |pair| qlike(pair.actual, pair.naive));
        let risk_metrics = losses(&mixture, |pair| other[&pair.made_at]);
        let against_naive = mean(&loss) / mean(&naive);
        let against_other = mean(&loss) / mean(&risk_metrics);
        let test = |lags| diebold_mariano::test(&loss, &risk_metrics, lags, Lags::Bartlett).unwrap();
        // Plain, and with as many lags as a quarter of a day has.
        let (plain, careful): (Comparison, Comparison) = (test(1), test(24));
        println!(
            "{}: variance 15: {against_naive:.3} of naive, {against_other:.3} of RiskMetrics, p {:.1e}, {:.1e}",
            self.file, plain.p, careful.p
        );
        assert!(against_naive <= 0.75, "{}: {against_naive} of naive", self.file);
        assert!(against_other <= 0.92, "{}: {against_other} of RiskMetrics", self.file);
        assert!(plain.statistic < 0.0 && plain.p < 0.01, "{}: {plain:?}", self.file);
    }

    /// The next minute's volume.
    fn check_volume(&self) {
        let traded = apart(self.mixture(Target::Volume, 1), 1).into_iter().filter(|pair| pair.actual > 0.0);
        let traded: Vec<Pair> = traded.collect();
        let error =
            |of: fn(&Pair) -> f64| mean(&losses(&traded, |pair| libm::log(pair.actual / of(pair)).abs()));
        let ratio = error(|pair| pair.forecast) / error(|pair| pair.naive);
        println!("{}: volume 1: {ratio:.3} of naive", self.file);
        assert!(ratio <= 0.88, "{}: {ratio} of naive", self.file);
    }

    /// Nine in ten outcomes lie inside, on every day about as many.
    fn check_intervals(&self, cases: &[(Target, u32, [f64; 2], f64)]) {
        for &(target, horizon, [least, most], least_day) in cases {
            let (overall, worst) = coverage(self.mixture(target, horizon));
            let name = target.name();
            println!("{}: {name} {horizon}: covers {overall:.4}, {worst:.3} on the worst day", self.file);
            assert!((least..=most).contains(&overall), "{}: {name} {horizon}: {overall}", self.file);
            assert!(worst >= least_day, "{}: {name} {horizon}: {worst} on one day", self.file);
        }
    }

    /// What is told of the models is what came: the same figures, and no skill that is none.
    fn check_scores(&self) {
        for score in &self.scores {
            let all = self.pairs(score.target, &score.model, score.horizon);
            let what = format!("{}: {} {} {}", self.file, score.target.name(), score.model, score.horizon);
            let begins = |pair: &&Pair| pair.made_at.0 % (i64::from(score.horizon) * MINUTE) == 0;
            let apart: Vec<Pair> = all.iter().filter(begins).copied().collect();
            if score.target == Target::Direction {
                let went = apart.iter().filter(|pair| pair.actual != 0.5);
                let hits = went.clone().filter(|pair| (pair.forecast > 0.5) == (pair.actual > 0.5)).count();
                let share = hits as f64 / went.count() as f64;
                let told = score.direction.expect("a direction has a share");
                assert!((told.share - share).abs() < 0.02, "{what}: {told:?}, {share}");
                assert!(told.lower < told.share && told.share < told.upper && told.majority >= 0.5, "{what}");
            } else {
                let mae = mean(&losses(&apart, |pair| (pair.actual - pair.forecast).abs()));
                let told = score.mae.expect("numbers have errors");
                // Candles that nothing traded in say nothing, and are scored all the same.
                assert!((told / mae - 1.0).abs() < 0.05, "{what}: {told}, {mae}");
            }
            assert_eq!(score.qlike.is_some(), score.target == Target::RealizedVariance, "{what}");
            assert_eq!(score.log_loss.is_some(), score.target == Target::Direction, "{what}");
            let is_better = score.skill.is_some_and(|skill| skill < 1.0);
            let is_baseline = score.model == score.baseline;
            assert!(score.demoted || is_better || is_baseline || score.skill.is_none(), "{what}: {score:?}");
        }
        for (model, horizon) in [("seasonal_naive@1", 15), ("holt_winters@1", 60)] {
            let score = self.score(Target::Price, model, horizon);
            assert!(score.demoted && score.role == Role::Challenger, "{score:?}");
        }
    }
}

fn check_file(file: &'static str) {
    let Some(scored) = Scored::new(file) else { return };
    scored.check_price();
    scored.check_variance();
    scored.check_volume();
    let near = [0.895, 0.905];
    scored.check_intervals(&[
        (Target::Price, 1, near, 0.85),
        (Target::Price, 5, near, 0.85),
        (Target::Price, 15, near, 0.85),
        (Target::RealizedVariance, 5, near, 0.85),
        (Target::RealizedVariance, 15, near, 0.85),
        (Target::Volume, 1, near, 0.85),
        (Target::Volume, 5, near, 0.85),
        (Target::Volume, 15, near, 0.85),
        // A day has two dozen hours that do not overlap: by luck alone the worst of twenty days would be .81.
        (Target::Price, 60, near, 0.85),
        (Target::RealizedVariance, 60, near, 0.85),
        (Target::Volume, 60, near, 0.85),
    ]);
    scored.check_scores();
}

#[test]
fn forecasts_hold_on_bitcoin_at_binance_us_in_tether() {
    check_file(FILES[0]);
}

#[test]
fn forecasts_hold_on_bitcoin_at_binance_us_in_dollars() {
    check_file(FILES[1]);
}

#[test]
fn forecasts_hold_on_a_perpetual_of_bitcoin() {
    check_file(FILES[2]);
}

#[test]
fn adaptive_conformal_inference_covers_as_much() {
    let Some(candles) = candles(FILES[1]) else { return };
    let chosen: Vec<_> = FORECASTERS.iter().filter(|entry| entry.name == "persistence").collect();
    let mut plan = ForecastPlan::new(&chosen, FORECASTERS, &HORIZONS);
    plan.manner.bounds = BoundsMethod::Aci;
    let (series, scores) = run(&candles, &plan);
    Scored { file: FILES[1], series, scores }.check_intervals(&[
        (Target::Price, 1, [0.895, 0.905], 0.85),
        (Target::Price, 15, [0.89, 0.91], 0.82),
    ]);
}
