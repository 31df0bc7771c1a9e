//! The envelope detector and the fits of tails, held against values made independently of it, where the shared
//! folder `oracles` is there.

use std::fs;

use tapewatch::analytics::anomaly::SERIES_DETECTORS;
use tapewatch::analytics::estimators::gpd::Gpd;
use tapewatch::domain::time::{NANOS_PER_SECOND, UnixNanos};

mod common;

/// The rows of a shared oracle, each a list of numbers, and its columns' names.
fn read(name: &str) -> Option<(Vec<String>, Vec<Vec<f64>>)> {
    let text = fs::read_to_string(common::shared(&format!("oracles/{name}"))?).unwrap();
    let mut lines = text.lines();
    let names = lines.next().unwrap().split(',').map(str::to_owned).collect();
    let number = |cell: &str| cell.parse().unwrap_or_else(|_| panic!("{name}: {cell:?}"));
    Some((names, lines.map(|line| line.split(',').map(number).collect()).collect()))
}

fn assert_near(is: f64, expected: f64, tolerance: f64, what: impl FnOnce() -> String) {
    assert!((is - expected).abs() <= tolerance * (1.0 + expected.abs()), "{}: {is}, not {expected}", what());
}

/// Scores of a detector of plain series against a column.
fn check_series(file: &str, detector: &str, column: &str) {
    let Some((names, rows)) = read(file) else { return };
    let place = names.iter().position(|name| name == column).unwrap();
    let entry = SERIES_DETECTORS.iter().find(|entry| entry.name == detector).unwrap();
    let mut built = (entry.build)();
    let mut emitted = 0;
    for (i, row) in rows.iter().enumerate() {
        let at = UnixNanos(row[0] as i64 * NANOS_PER_SECOND);
        let score = built.update(at, row[1]);
        assert_near(score, row[place], 1e-9, || format!("{file} {detector}, row {i}"));
        assert_eq!(score > 0.0, row[place] > 0.0, "{file} {detector}, row {i}");
        emitted += usize::from(score > 0.0);
    }
    assert!(rows.len() > 1_000 && emitted > 0, "{file} has {} rows, {emitted} of them emitted", rows.len());
}

const FILES: [&str; 3] = [
    "nab_envelope_exchange-2_cpm_results.csv",
    "nab_envelope_rogue_agent_key_hold.csv",
    "nab_envelope_ec2_cpu_utilization_5f5533.csv",
];

#[test]
fn the_novelty_of_plain_series_is_that_of_the_reference() {
    for file in FILES {
        check_series(file, "novelty", "score_inf");
        check_series(file, "novelty_forgetting", "score_hl8000");
    }
}

#[test]
fn what_is_to_come_changes_no_score() {
    for file in FILES {
        let Some((_, rows)) = read(file) else { return };
        for entry in SERIES_DETECTORS {
            let scores = |rows: &[Vec<f64>]| -> Vec<u64> {
                let mut built = (entry.build)();
                let at = |row: &Vec<f64>| UnixNanos(row[0] as i64 * NANOS_PER_SECOND);
                rows.iter().map(|row| built.update(at(row), row[1]).to_bits()).collect()
            };
            let half = rows.len() / 2;
            assert_eq!(scores(&rows[..half]), scores(&rows)[..half], "{file}, {}", entry.name);
        }
    }
}

#[test]
fn the_fits_of_a_tail_are_those_of_the_reference() {
    let (Some((_, excesses)), Some((_, fits))) = (read("gpd_excesses.csv"), read("gpd_fits.csv")) else {
        return;
    };
    assert_eq!(fits.len(), 6);
    for fit in fits {
        let [set, count, shape, scale, likelihood, mom_shape, mom_scale, pwm_shape, pwm_scale] =
            fit[..9].try_into().unwrap();
        let [total, probability, threshold, by_likelihood, by_moments] = fit[9..14].try_into().unwrap();
        let mut drawn: Vec<f64> = excesses.iter().filter(|row| row[0] == set).map(|row| row[1]).collect();
        assert_eq!(drawn.len() as f64, count);

        let moments = Gpd::by_moments(&drawn).unwrap();
        assert_near(moments.shape, mom_shape, 1e-9, || format!("set {set}, shape by moments"));
        assert_near(moments.scale, mom_scale, 1e-9, || format!("set {set}, scale by moments"));

        let best = Gpd::by_likelihood(&drawn).unwrap();
        let is = best.log_likelihood(&drawn);
        assert!(is >= likelihood - 1e-6, "set {set}: log-likelihood {is}, not {likelihood}");
        assert!((is - likelihood).abs() <= 1e-6, "set {set}: log-likelihood {is}, not {likelihood}");
        assert_near(best.shape, shape, 1e-4, || format!("set {set}, shape by likelihood"));
        assert_near(best.scale, scale, 1e-4, || format!("set {set}, scale by likelihood"));

        // With the reference's own parameters, so that only the formula is judged.
        let beyond = |fit: Gpd| threshold + fit.quantile(probability * total / count);
        assert_near(beyond(Gpd { shape, scale }), by_likelihood, 1e-9, || {
            format!("set {set}, z by likelihood")
        });
        assert_near(beyond(moments), by_moments, 1e-9, || format!("set {set}, z by moments"));

        drawn.sort_by(f64::total_cmp);
        let weighted = Gpd::by_weighted_moments(&drawn).unwrap();
        assert_near(weighted.shape, pwm_shape, 1e-9, || format!("set {set}, shape by weighted moments"));
        assert_near(weighted.scale, pwm_scale, 1e-9, || format!("set {set}, scale by weighted moments"));
    }
}
