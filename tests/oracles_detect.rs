//! The estimators that detectors are made of, held against other implementations, value by value.
//!
//! The expected values are those of river 0.26, pandas 3.1, numpy 2.4, scipy 1.17 and exact arithmetic, in
//! the shared folder's `oracles`; its README says how they were made. Numbers are equal within
//! `1e-9 (1 + |expected|)`, flags and counts exactly, where nothing else is said.

use std::collections::BTreeMap;
use std::fs;

use tapewatch::analytics::estimators::adwin::{Adwin, AdwinParameters, AfterDrift};
use tapewatch::analytics::estimators::bocpd::{Bocpd, BocpdParameters};
use tapewatch::analytics::estimators::error_rate_drift::{Alarm, Ddm, Eddm, HddmA, HddmW};
use tapewatch::analytics::estimators::gaussian_scorer::GaussianScorer;
use tapewatch::analytics::estimators::moments::{EwMoments, Welford};
use tapewatch::analytics::estimators::p2::P2;
use tapewatch::analytics::estimators::page_hinkley::{PageHinkley, PageHinkleyParameters};
use tapewatch::analytics::estimators::tdigest::TDigest;
use tapewatch::analytics::rolling::moments::Moments;
use tapewatch::analytics::rolling::sorted::SortedWindow;
use tapewatch::analytics::rolling::state::State;

mod common;

/// A table of numbers by the names of its columns; an empty cell is `None`.
struct Table {
    file: &'static str,
    columns: BTreeMap<String, usize>,
    rows: Vec<Vec<Option<f64>>>,
}

impl Table {
    fn read(file: &'static str) -> Option<Self> {
        let text = fs::read_to_string(common::shared(&format!("oracles/{file}"))?).unwrap();
        let mut lines = text.lines();
        let names = lines.next().unwrap().split(',');
        let columns = names.enumerate().map(|(i, name)| (name.to_owned(), i)).collect();
        let cell = |text: &str| {
            (!text.is_empty()).then(|| text.parse().unwrap_or_else(|e| panic!("{file}: {text:?}: {e}")))
        };
        let rows: Vec<_> = lines.map(|line| line.split(',').map(cell).collect()).collect();
        assert!(!rows.is_empty(), "{file} has rows");
        Some(Self { file, columns, rows })
    }

    fn get(&self, row: usize, column: &str) -> Option<f64> {
        self.rows[row][self.columns[column]]
    }

    fn number(&self, row: usize, column: &str) -> f64 {
        self.get(row, column).unwrap_or_else(|| panic!("{}: row {row} has no {column}", self.file))
    }

    fn flag(&self, row: usize, column: &str) -> bool {
        self.number(row, column) != 0.0
    }

    #[track_caller]
    fn check(&self, row: usize, column: &str, is: Option<f64>) {
        self.check_within(row, column, is, 1e-9);
    }

    #[track_caller]
    fn check_within(&self, row: usize, column: &str, is: Option<f64>, tolerance: f64) {
        let expected = self.get(row, column);
        let holds = match (is, expected) {
            (Some(is), Some(expected)) => (is - expected).abs() <= tolerance * (1.0 + expected.abs()),
            (None, None) => true,
            _ => false,
        };
        assert!(holds, "{}, row {row}: {column} is {is:?}, expected {expected:?}", self.file);
    }
}

/// Half-way through, everything moves to a new place by way of its state.
fn moved<T>(from: &mut T, mut to: T, visit: fn(&mut T, &mut State<'_>)) -> T {
    let mut words = Vec::new();
    visit(from, &mut State::Save(&mut words));
    let mut state = State::load(&words);
    visit(&mut to, &mut state);
    assert_eq!(state.finish(), Ok(()));
    to
}

#[test]
fn moments_of_all_of_the_newest_and_of_the_last_values() {
    let Some(table) = Table::read("moments.csv") else { return };
    let (mut all, mut recent) = (Welford::default(), EwMoments::new(0.06));
    let (mut last, mut sorted) = (Moments::<2>::new(50), SortedWindow::new(51));
    let mut seen = Vec::new();
    for row in 0..table.rows.len() {
        if row == table.rows.len() / 2 {
            all = moved(&mut all, Welford::default(), Welford::state);
            recent = moved(&mut recent, EwMoments::new(0.06), EwMoments::state);
        }
        let value = table.number(row, "x");
        seen.push(value);
        all.push(value);
        recent.push(value);
        last.push(value);
        sorted.push(value);
        table.check(row, "mean", all.mean());
        table.check(row, "var_ddof1", all.variance_sample());
        table.check(row, "finch_mean", recent.mean());
        table.check(row, "finch_var", recent.variance());
        table.check(row, "roll50_mean", last.is_full().then(|| last.mean()));
        let deviation = last.variance_sample().filter(|_| last.is_full()).map(f64::sqrt);
        // Pandas takes out of its sums what leaves the window: the values at a million leave their rounding
        // behind for good, 2e-5 of the deviations after them. Two passes over the window leave nothing.
        table.check_within(row, "roll50_std_ddof1", deviation, if row < 349 { 1e-9 } else { 3e-5 });
        if let Some(deviation) = deviation {
            let window = &seen[seen.len() - 50..];
            let offset = window.iter().map(|x| x - window[0]).sum::<f64>() / 50.0;
            let squares = window.iter().map(|x| (x - window[0] - offset) * (x - window[0] - offset));
            let exact = (squares.sum::<f64>() / 49.0).sqrt();
            assert!(
                (deviation - exact).abs() <= 1e-9 * (1.0 + exact),
                "row {row}: {deviation}, exactly {exact}"
            );
        }
        let median = sorted.median().filter(|_| sorted.len() == 51);
        table.check(row, "roll51_median", median);
        table.check(row, "roll51_mad_raw", median.and_then(|median| sorted.median_distance(median)));
    }
}

fn check_adwin(file: &'static str, columns: [&str; 4], clock: u64, after_drift: AfterDrift) {
    let Some(table) = Table::read(file) else { return };
    let parameters = AdwinParameters { delta: 0.002, clock, after_drift };
    let mut window = Adwin::new(parameters);
    let [drift, width, total, squares] = columns;
    let mut drifts = 0;
    for row in 0..table.rows.len() {
        if row == table.rows.len() / 2 {
            window = moved(&mut window, Adwin::new(parameters), Adwin::state);
        }
        let cut = window.push(table.number(row, "x"));
        assert_eq!(cut.is_some(), table.flag(row, drift), "{file}, row {row}: {drift}");
        assert_eq!(window.width() as f64, table.number(row, width), "{file}, row {row}: {width}");
        table.check(row, total, Some(window.total()));
        table.check(row, squares, Some(window.squares()));
        drifts += u32::from(cut.is_some());
    }
    assert!(drifts > 0, "{file} has drifts");
}

#[test]
fn adwin_of_the_paper() {
    let columns = ["noreset_drift", "noreset_width", "noreset_total", "noreset_variance"];
    check_adwin("adwin.csv", columns, 32, AfterDrift::Keep);
}

#[test]
fn adwin_of_river() {
    let columns = ["river_drift", "river_width", "river_total", "river_variance"];
    check_adwin("adwin.csv", columns, 32, AfterDrift::Reset);
}

#[test]
fn adwin_of_river_at_every_value() {
    let columns = ["drift", "width", "total", "variance"];
    check_adwin("adwin_bernoulli_clock1.csv", columns, 1, AfterDrift::Reset);
}

#[test]
fn page_hinkley_both_ways() {
    let Some(table) = Table::read("page_hinkley.csv") else { return };
    let parameters = PageHinkleyParameters { count_min: 30, delta: 0.005, threshold: 30.0, keep: 0.9999 };
    let mut test = PageHinkley::new(parameters);
    for row in 0..table.rows.len() {
        if row == table.rows.len() / 2 {
            test = moved(&mut test, PageHinkley::new(parameters), PageHinkley::state);
        }
        let direction = test.push(table.number(row, "x"));
        assert_eq!(direction.is_some(), table.flag(row, "drift"), "row {row}");
        table.check(row, "mean", Some(test.mean()));
        let [rise, rise_min, fall, fall_max] = test.sums();
        table.check(row, "sum_increase", Some(rise));
        table.check(row, "min_increase", Some(rise_min));
        table.check(row, "sum_decrease", Some(fall));
        table.check(row, "max_decrease", Some(fall_max));
    }
}

fn check_error_rate<T: Default>(
    name: &str,
    push: impl Fn(&mut T, bool) -> Alarm,
    visit: fn(&mut T, &mut State<'_>),
) {
    let Some(table) = Table::read("ddm_family.csv") else { return };
    let mut test = T::default();
    let (warning, drift) = (format!("{name}_warning"), format!("{name}_drift"));
    let mut found = [0; 2];
    for row in 0..table.rows.len() {
        if row == table.rows.len() / 2 {
            test = moved(&mut test, T::default(), visit);
        }
        let alarm = push(&mut test, table.flag(row, "error"));
        let expected = match (table.flag(row, &drift), table.flag(row, &warning)) {
            // Where river lets a warning stand beside the drift (EDDM), one alarm is told: the drift.
            (true, _) => Alarm::Drift,
            (false, true) => Alarm::Warning,
            (false, false) => Alarm::None,
        };
        assert_eq!(alarm, expected, "{name}, row {row}");
        found[0] += u32::from(alarm == Alarm::Warning);
        found[1] += u32::from(alarm == Alarm::Drift);
    }
    assert!(found.iter().all(|count| *count > 0), "{name}: {found:?}");
}

#[test]
fn error_rates_that_rise() {
    check_error_rate("ddm", Ddm::push, Ddm::state);
    check_error_rate("eddm", Eddm::push, Eddm::state);
    check_error_rate("hddm_a", HddmA::push, HddmA::state);
    check_error_rate("hddm_w", HddmW::push, HddmW::state);
}

#[test]
fn p2_quantiles() {
    let Some(table) = Table::read("p2_quantile.csv") else { return };
    for share in [0.05, 0.5, 0.9, 0.99] {
        let column = format!("river_p2_{share}");
        let mut quantile = P2::new(share);
        for row in 0..table.rows.len() {
            if row == table.rows.len() / 2 {
                quantile = moved(&mut quantile, P2::new(share), P2::state);
            }
            quantile.push(table.number(row, "x"));
            table.check(row, &column, quantile.value());
        }
    }
}

#[test]
fn ranks_of_a_t_digest() {
    let (Some(input), Some(expected)) =
        (Table::read("tdigest_input.csv"), Table::read("tdigest_expected.csv"))
    else {
        return;
    };
    let mut digest = TDigest::default();
    let mut sorted = Vec::new();
    for row in 0..input.rows.len() {
        if row == input.rows.len() / 2 {
            digest = moved(&mut digest, TDigest::default(), TDigest::state);
        }
        digest.push(input.number(row, "x"));
        sorted.push(input.number(row, "x"));
    }
    sorted.sort_by(f64::total_cmp);
    for row in 0..expected.rows.len() {
        let (q, allowed) = (expected.number(row, "q"), expected.number(row, "max_rank_error_allowed"));
        let found = digest.quantile(q).unwrap();
        let rank = sorted.partition_point(|value| *value <= found) as f64 / sorted.len() as f64;
        assert!((rank - q).abs() <= allowed, "{q}: {found} has rank {rank}, allowed are {allowed}");
    }
}

#[test]
fn run_lengths_of_bayesian_change_points() {
    let Some(table) = Table::read("bocpd.csv") else { return };
    let parameters = BocpdParameters {
        hazard: 0.01,
        mean: 0.0,
        mean_weight: 1.0,
        shape: 1.0,
        rate: 1.0,
        runs_max: table.rows.len() + 1,
    };
    let mut posterior = Bocpd::new(parameters);
    for row in 0..table.rows.len() {
        if row == table.rows.len() / 2 {
            posterior = moved(&mut posterior, Bocpd::new(parameters), Bocpd::state);
        }
        let density = posterior.push(table.number(row, "x"));
        table.check(row, "log_predictive", Some(density));
        assert_eq!(posterior.likeliest() as f64, table.number(row, "map_run_length"), "row {row}");
        table.check(row, "p_run0", Some(posterior.probability_up_to(0)));
        table.check(row, "p_run_le5", Some(posterior.probability_up_to(5)));
        table.check(row, "mean_run_length", Some(posterior.mean_run_length()));
    }
}

#[test]
fn run_lengths_that_are_cut_off_stay_close() {
    let Some(table) = Table::read("bocpd.csv") else { return };
    let parameters =
        BocpdParameters { hazard: 0.01, mean: 0.0, mean_weight: 1.0, shape: 1.0, rate: 1.0, runs_max: 60 };
    let mut posterior = Bocpd::new(parameters);
    let mut off_max: f64 = 0.0;
    for row in 0..table.rows.len() {
        posterior.push(table.number(row, "x"));
        off_max = off_max.max((posterior.probability_up_to(5) - table.number(row, "p_run_le5")).abs());
    }
    assert!(off_max < 0.2, "{off_max}");
}

#[test]
fn gaussian_scores() {
    let Some(table) = Table::read("river_scorers.csv") else { return };
    for (column, window) in [("gaussian_scorer", None), ("gaussian_scorer_window100", Some(100))] {
        let mut scorer = GaussianScorer::new(50, window);
        for row in 0..table.rows.len() {
            if row == table.rows.len() / 2 {
                scorer = moved(&mut scorer, GaussianScorer::new(50, window), GaussianScorer::state);
            }
            let value = table.number(row, "x");
            table.check(row, column, Some(scorer.score(value)));
            scorer.learn(value);
        }
    }
}
