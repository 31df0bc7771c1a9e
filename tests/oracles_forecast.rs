//! The estimators that forecast, mix and score, held value by value against reference implementations:
//! statsmodels, arch, scipy, scikit-learn, river, and the papers' own recursions.
//!
//! The tables lie in `oracles/` of the shared folder; its README says how each was made. Values must agree
//! within 1e-9 of 1 and their size, flags exactly.

use std::fs;

use tapewatch::analytics::estimators::aci::Aci;
use tapewatch::analytics::estimators::experts::{AdaNormalHedge, FixedShare, Hedge};
use tapewatch::analytics::estimators::ftrl::{Ftrl, FtrlSettings};
use tapewatch::analytics::estimators::garch::{Garch, GarchParameters};
use tapewatch::analytics::estimators::holt_winters::{FirstSeason, HoltWinters, SeasonForm, Smoothing};
use tapewatch::analytics::estimators::kalman_trend::{KalmanTrend, TrendState, TrendVariances};
use tapewatch::analytics::estimators::quantile_tracker::QuantileTracker;
use tapewatch::analytics::estimators::range_variance;
use tapewatch::analytics::estimators::risk_metrics::{DAILY_DECAY, RiskMetrics};
use tapewatch::analytics::estimators::rls::{Rls, RlsSettings};
use tapewatch::analytics::estimators::scores::diebold_mariano::{self, DieboldMariano, Lags};
use tapewatch::analytics::estimators::scores::direction::{self, DirectionScore};
use tapewatch::analytics::estimators::scores::interval::{self, IntervalScore};
use tapewatch::analytics::estimators::scores::point;
use tapewatch::analytics::estimators::scores::variance::QlikeScore;

mod common;

/// A table by columns; an empty cell is `None`.
struct Table {
    name: &'static str,
    columns: Vec<(String, Vec<Option<f64>>)>,
}

/// `None`, said on standard output, where there is none.
fn table(name: &'static str) -> Option<Table> {
    let text = fs::read_to_string(common::shared(&format!("oracles/{name}"))?).unwrap();
    let mut lines = text.lines();
    let mut columns: Vec<(String, Vec<Option<f64>>)> =
        lines.next().unwrap().split(',').map(|name| (name.to_owned(), Vec::new())).collect();
    for line in lines {
        let cells: Vec<&str> = line.split(',').collect();
        assert_eq!(cells.len(), columns.len(), "{name}: {line}");
        for ((_, column), cell) in columns.iter_mut().zip(cells) {
            column.push((!cell.is_empty()).then(|| cell.parse().unwrap()));
        }
    }
    Some(Table { name, columns })
}

impl Table {
    fn rows(&self) -> usize {
        self.columns[0].1.len()
    }

    fn maybe(&self, row: usize, column: &str) -> Option<f64> {
        let found = self.columns.iter().find(|(name, _)| name == column);
        found.unwrap_or_else(|| panic!("{} has no {column}", self.name)).1[row]
    }

    fn at(&self, row: usize, column: &str) -> f64 {
        self.maybe(row, column).unwrap_or_else(|| panic!("{} row {row}: no {column}", self.name))
    }

    fn all<const N: usize>(&self, row: usize, stem: &str) -> [f64; N] {
        std::array::from_fn(|i| self.at(row, &format!("{stem}{i}")))
    }

    fn column(&self, column: &str) -> Vec<f64> {
        (0..self.rows()).map(|row| self.at(row, column)).collect()
    }

    #[track_caller]
    fn check(&self, row: usize, column: &str, is: f64) {
        close(is, self.at(row, column), || format!("{} row {row}, {column}", self.name));
    }
}

#[track_caller]
fn close(is: f64, is_to_be: f64, what: impl Fn() -> String) {
    let is_close = is == is_to_be || (is - is_to_be).abs() <= 1e-9 * (1.0 + is_to_be.abs());
    assert!(is_close, "{}: {is:?}, reference {is_to_be:?}", what());
}

const HOLT_WINTERS: Smoothing = Smoothing { level: 0.3, trend: 0.05, season: 0.1, damping: 1.0 };

#[test]
fn holt_winters_in_its_four_forms() {
    let (Some(rows), Some(ahead)) = (table("holt_winters.csv"), table("holt_winters_forecast.csv")) else {
        return;
    };
    let waves: Vec<f64> =
        (0..12).map(|k| 8.0 * libm::sin(2.0 * std::f64::consts::PI * f64::from(k) / 12.0)).collect();
    let factors: Vec<f64> = waves.iter().map(|wave| 1.0 + wave / 100.0).collect();
    let known =
        |smoothing, form, trend, season: &[f64]| HoltWinters::known(smoothing, form, 100.0, trend, season);
    let mut additive = known(HOLT_WINTERS, SeasonForm::Additive, 0.2, &waves);
    let mut multiplicative = known(HOLT_WINTERS, SeasonForm::Multiplicative, 0.2, &factors);
    let damped = Smoothing { level: 0.4, trend: 0.1, season: 0.0, damping: 0.95 };
    let mut damped = known(damped, SeasonForm::Additive, 0.2, &[]);
    let mut simple = known(Smoothing::level(0.25), SeasonForm::Additive, 0.0, &[]);
    // What the season of the last value was before it, as a summand and as a factor.
    let (mut summand, mut factor) = (0.0, 0.0);
    for row in 0..rows.rows() {
        let y = rows.at(row, "y");
        summand = additive.forecast(1).unwrap() - (additive.level().unwrap() + additive.trend().unwrap());
        factor = multiplicative.forecast(1).unwrap()
            / (multiplicative.level().unwrap() + multiplicative.trend().unwrap());
        let fitted = additive.learn(y).unwrap();
        rows.check(row, "hw_add_fitted", fitted);
        rows.check(row, "hw_add_textbook", fitted);
        rows.check(row, "hw_add_level", additive.level().unwrap());
        rows.check(row, "hw_add_trend", additive.trend().unwrap());
        rows.check(row, "hw_add_season", additive.last_season().unwrap());
        rows.check(row, "holt_damped_fitted", damped.learn(y).unwrap());
        rows.check(row, "ses_fitted", simple.learn(y).unwrap());
        rows.check(row, "hw_mul_fitted", multiplicative.learn(y.max(1.0)).unwrap());
    }
    for row in 0..ahead.rows() {
        let horizon = ahead.at(row, "h") as usize;
        for (column, model) in
            [("hw_add", &additive), ("holt_damped", &damped), ("ses", &simple), ("hw_mul", &multiplicative)]
        {
            let mut is = model.forecast(horizon).unwrap();
            // A whole number of seasons ahead statsmodels repeats the season as it was before the last value,
            // which everywhere else has its say, in statsmodels as in the textbook.
            match column {
                "hw_add" if horizon.is_multiple_of(12) => is += summand - model.last_season().unwrap(),
                "hw_mul" if horizon.is_multiple_of(12) => is *= factor / model.last_season().unwrap(),
                _ => {}
            }
            ahead.check(row, column, is);
        }
    }
}

#[test]
fn holt_winters_as_river_begins_it() {
    let Some(rows) = table("river_scorers.csv") else { return };
    let smoothing = Smoothing { level: 0.3, trend: 0.1, season: 0.2, damping: 1.0 };
    let mut model = HoltWinters::gathering(smoothing, SeasonForm::Additive, 6, true, FirstSeason::River);
    for row in 0..rows.rows() {
        let expected = rows.maybe(row, "river_holtwinters_1step");
        assert_eq!(model.forecast(1).is_some(), expected.is_some(), "row {row}");
        if let Some(is) = model.forecast(1) {
            rows.check(row, "river_holtwinters_1step", is);
        }
        model.learn(rows.at(row, "x"));
    }
}

#[test]
fn recursive_least_squares_are_the_weighted_ridge() {
    let Some(rows) = table("rls.csv") else { return };
    let mut model = Rls::<4>::new(RlsSettings::plain(0.99, 100.0));
    for row in 0..rows.rows() {
        let inputs = rows.all::<4>(row, "x");
        rows.check(row, "pred_before_update", model.predict(&inputs));
        model.learn(&inputs, rows.at(row, "y"));
        for (j, weight) in model.weights().iter().enumerate() {
            rows.check(row, &format!("w{j}_closed_form"), *weight);
        }
        rows.check(row, "P00", model.covariance()[0][0]);
        rows.check(row, "traceP", (0..4).map(|j| model.covariance()[j][j]).sum());
    }
}

#[test]
fn ftrl_is_algorithm_1_of_the_paper() {
    let Some(rows) = table("ftrl.csv") else { return };
    let mut model = Ftrl::<5>::new(FtrlSettings { alpha: 0.1, beta: 1.0, l1: 0.5, l2: 1.0 });
    for row in 0..rows.rows() {
        let inputs = rows.all::<5>(row, "x");
        let chance = model.learn(&inputs, rows.at(row, "y") == 1.0);
        rows.check(row, "p_before_update", chance);
        let (z, n) = model.sums();
        for j in 0..5 {
            rows.check(row, &format!("z{j}"), z[j]);
            rows.check(row, &format!("n{j}"), n[j]);
        }
    }
}

#[test]
fn adaptive_conformal_inference_and_the_quantile_tracker() {
    let Some(rows) = table("aci.csv") else { return };
    let (mut aci, mut tracker) = (Aci::new(0.1, 0.01, 200), QuantileTracker::new(1.0, 0.1, 0.05));
    for row in 0..rows.rows() {
        let score = rows.at(row, "score");
        rows.check(row, "alpha_t", aci.miss_now());
        rows.check(row, "quantile_used", aci.quantile());
        rows.check(row, "tracker_q_used", tracker.quantile());
        let missed = [aci.learn(score), tracker.learn(score)];
        let expected = ["err", "tracker_err"].map(|column| rows.at(row, column) == 1.0);
        assert_eq!(missed, expected, "row {row}");
    }
}

#[test]
fn the_local_linear_trend_with_values_missing() {
    let Some(rows) = table("kalman_llt.csv") else { return };
    let variances = TrendVariances { observation: 0.25, level: 0.01, slope: 0.0004 };
    let first =
        TrendState { level: 10.0, slope: 0.0, level_variance: 1.0, covariance: 0.0, slope_variance: 0.01 };
    // The reference holds the covariances once they have settled, which its log-densities show.
    let mut filter = KalmanTrend::new(variances, first).settling(1e-19);
    let mut missing = 0;
    for row in 0..rows.rows() {
        assert_eq!(filter.forecast(1).0.to_bits(), filter.predicted().level.to_bits());
        let step = filter.step(rows.maybe(row, "y"));
        rows.check(row, "forecast", step.forecast);
        rows.check(row, "forecast_var", step.variance);
        match step.innovation {
            Some(innovation) => rows.check(row, "innovation", innovation),
            None => {
                assert_eq!(rows.maybe(row, "innovation"), None, "row {row}");
                missing += 1;
            }
        }
        rows.check(row, "level_filtered", step.filtered.level);
        rows.check(row, "trend_filtered", step.filtered.slope);
        rows.check(row, "P00_filtered", step.filtered.level_variance);
        rows.check(row, "P01_filtered", step.filtered.covariance);
        rows.check(row, "P11_filtered", step.filtered.slope_variance);
        rows.check(row, "loglik_obs", step.log_density());
    }
    assert_eq!(missing, 5);
}

#[test]
fn variances_of_returns_and_of_ranges() {
    let Some(rows) = table("volatility.csv") else { return };
    let parameters = GarchParameters { omega: 0.05, alpha: 0.1, beta: 0.85 };
    let mut garch = Garch::new(parameters, rows.at(0, "garch_var_fixed"));
    let mut risk_metrics = RiskMetrics::new(DAILY_DECAY);
    for row in 0..rows.rows() {
        let value = rows.at(row, "r");
        rows.check(row, "garch_var_fixed", garch.variance());
        match risk_metrics.variance() {
            Some(variance) => rows.check(row, "ewma94_forecast", variance),
            // The table's first forecast is the square that ours begins with, told a row early.
            None => close(value * value, rows.at(row, "ewma94_forecast"), || format!("row {row}")),
        }
        garch.learn(value);
        risk_metrics.learn(value);
        let [open, high, low, close] = ["open", "high", "low", "close"].map(|column| rows.at(row, column));
        // Of the order of 1e-5: held to 1e-9 of themselves.
        let estimates = [
            ("parkinson", range_variance::parkinson(high, low)),
            ("garman_klass", range_variance::garman_klass(open, high, low, close)),
            ("rogers_satchell", range_variance::rogers_satchell(open, high, low, close)),
        ];
        for (column, is) in estimates {
            let expected = rows.at(row, column);
            assert!(
                (is - expected).abs() <= 1e-9 * expected.abs() + 1e-18,
                "row {row} {column}: {is} {expected}"
            );
        }
    }
}

#[test]
fn weights_of_experts() {
    let Some(rows) = table("experts.csv") else { return };
    let (mut hedge, mut share, mut ada) =
        (Hedge::new(4, 0.5), FixedShare::new(4, 0.5, 0.02), AdaNormalHedge::new(4));
    for row in 0..rows.rows() {
        for k in 0..4 {
            rows.check(row, &format!("hedge_w{k}"), hedge.weights()[k]);
            rows.check(row, &format!("fixedshare_w{k}"), share.weights()[k]);
            rows.check(row, &format!("adanormalhedge_w{k}"), ada.weights()[k]);
        }
        let losses = rows.all::<4>(row, "loss");
        hedge.learn(&losses);
        share.learn(&losses);
        ada.learn(&losses);
    }
}

/// Names may hold commas only within their brackets: the value is what follows the last one.
fn expected(text: &str, name: &str) -> f64 {
    let line = text.lines().find(|line| line.starts_with(name));
    line.and_then(|line| line.rsplit(',').next()?.parse().ok()).unwrap_or_else(|| panic!("no {name}"))
}

#[test]
fn scores_and_tests() {
    let (Some(input), Some(variances), Some(values)) = (
        table("metrics_input.csv"),
        table("metrics_qlike.csv"),
        common::shared("oracles/metrics_expected.csv"),
    ) else {
        return;
    };
    let values = fs::read_to_string(values).unwrap();
    let mut checked = 0;
    let mut check = |name: &str, is: Option<f64>| {
        close(is.unwrap(), expected(&values, name), || name.to_owned());
        checked += 1;
    };
    let [y, f1, naive] = ["y", "f1", "f2_naive"].map(|column| input.column(column));
    let [low, high] = ["q10", "q90"].map(|column| input.column(column));

    let points = point::score(&y, &f1);
    check("mae_f1", points.mae());
    check("rmse_f1", points.rmse());
    check("mape_f1_percent", points.mape());
    check("smape_f1_percent", points.smape());
    check("mase_f1", points.mase());

    let mean = |losses: Vec<f64>| Some(losses.iter().sum::<f64>() / losses.len() as f64);
    let pinballs = |bound: &[f64], level| {
        mean(y.iter().zip(bound).map(|(&y, &bound)| interval::pinball(y, bound, level)).collect())
    };
    check("pinball_q90", pinballs(&high, 0.9));
    check("pinball_q10", pinballs(&low, 0.1));
    let mut intervals = IntervalScore::new(0.8);
    (0..y.len()).for_each(|i| intervals.learn(y[i], low[i], high[i]));
    check("coverage_q10_q90", intervals.coverage());
    check("winkler_80", intervals.winkler());
    let both = (pinballs(&low, 0.1).unwrap() + pinballs(&high, 0.9).unwrap()) / 2.0;
    assert!((intervals.pinball().unwrap() - both).abs() < 1e-12);

    let mut directions = DirectionScore::default();
    for i in 1..y.len() {
        directions.learn(y[i] > y[i - 1], f1[i] > y[i - 1]);
    }
    let (hits, count) = (directions.hits(), directions.count());
    check("direction_hits_of_399", Some(hits as f64));
    assert_eq!(count, 399);
    let [lower, upper] = directions.interval().unwrap();
    check("direction_wilson_low", Some(lower));
    check("direction_wilson_high", Some(upper));
    let [lower, upper] = direction::clopper_pearson(hits, count, 0.95).unwrap();
    check("direction_clopper_low", Some(lower));
    check("direction_clopper_high", Some(upper));
    let p = direction::binomial_two_sided(hits, count);
    check("direction_binom_p_two_sided", Some(p));
    let reference = expected(&values, "direction_binom_p_two_sided");
    assert!((p / reference - 1.0).abs() < 1e-9, "{p} {reference}: to its own size, small as it is");

    let squares = |forecasts: &[f64]| -> Vec<f64> {
        y.iter().zip(forecasts).map(|(y, forecast)| (y - forecast) * (y - forecast)).collect()
    };
    let (first, second) = (squares(&f1), squares(&naive));
    for horizon in [1, 3] {
        let mut running = DieboldMariano::new(horizon, Lags::Rectangular);
        first.iter().zip(&second).for_each(|(&first, &second)| running.learn(first, second));
        let whole = diebold_mariano::test(&first, &second, horizon, Lags::Rectangular);
        for comparison in [running.test().unwrap(), whole.unwrap()] {
            check(&format!("dm_hln_h{horizon}_stat"), Some(comparison.statistic));
            check(&format!("dm_hln_h{horizon}_p"), Some(comparison.p));
        }
    }

    let mut qlike = QlikeScore::default();
    for row in 0..variances.rows() {
        qlike.learn(variances.at(row, "rv"), variances.at(row, "forecast"));
    }
    check("qlike_mean", qlike.mean());
    // The four of Diebold and Mariano twice each.
    assert_eq!(checked, values.lines().count() - 1 + 4);
}
