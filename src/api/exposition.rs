//! `/metrics`: everything in Prometheus' text format, every promised name from the start.
//!
//! A family that nothing was counted in yet has one sample without labels, at zero, so that a sum over it is zero and
//! not nothing; it goes with the first real one.

use std::collections::BTreeMap;
use std::fmt::Write;

use hdrhistogram::Histogram;
use prometheus::core::Collector;
use prometheus::{Encoder, TextEncoder};

use crate::api::process;
use crate::api::state::Api;
use crate::domain::time::Stamp;
use crate::runtime::clock;
use crate::runtime::latency::Stage;

/// Upper bounds of the stages' buckets, in nanoseconds.
const BOUNDS_NS: [u64; 24] = [
    1_000,
    2_000,
    5_000,
    10_000,
    20_000,
    50_000,
    100_000,
    200_000,
    500_000,
    1_000_000,
    2_000_000,
    5_000_000,
    10_000_000,
    20_000_000,
    50_000_000,
    100_000_000,
    200_000_000,
    500_000_000,
    1_000_000_000,
    2_000_000_000,
    5_000_000_000,
    10_000_000_000,
    30_000_000_000,
    60_000_000_000,
];

/// All metrics, as text.
pub fn exposition(api: &Api) -> String {
    set_from_board(api);
    let mut text = Vec::with_capacity(64 << 10);
    let families = api.metrics.registry.gather();
    if let Err(error) = TextEncoder::new().encode(&families, &mut text) {
        tracing::error!(%error, "metrics cannot be written");
    }
    let mut text = String::from_utf8(text).unwrap_or_default();
    let told: Vec<&str> = families.iter().map(|family| family.name()).collect();
    for (collector, kind) in promised(api) {
        for desc in collector.desc() {
            if !told.contains(&&*desc.fq_name) {
                write_empty(&desc.fq_name, &desc.help, kind, &mut text);
            }
        }
    }
    write_stages(&api.latency.report().stages, &mut text);
    process::write(&mut text);
    text
}

/// What changes without anything happening, and what only forecasts say.
fn set_from_board(api: &Api) {
    let now = clock::now();
    let mut skills: BTreeMap<_, Skill> = BTreeMap::new();
    for (watch, instrument) in api.board.roster().iter() {
        let labels = [instrument.venue().name(), instrument.symbol()];
        let seen = api.board.seen(watch);
        if let Some(trade) = seen.last_trade() {
            let heard_at = trade.received_at.map_or(trade.exchange_at, Stamp::at);
            let age = (now.0.saturating_sub(heard_at.0)).max(0) as f64 / 1e9;
            api.metrics.last_trade_age.with_label_values(&labels).set(age);
        }
        for score in seen.scores() {
            let key = (score.model.clone(), score.horizon, score.target, score.interval);
            skills.entry(key).or_default().add(score.skill, score.scored);
        }
        for (forecast, _) in seen.forecasts() {
            let key = (forecast.model.clone(), forecast.horizon, forecast.target, forecast.interval);
            // One outcome at least stands behind what it says of itself; a score knows how many.
            skills.entry(key).or_default().add(forecast.skill.filter(|_| seen.scores().next().is_none()), 1);
        }
    }
    api.metrics.forecast_skill.reset();
    for ((model, horizon, target, interval), skill) in skills {
        if skill.weights > 0.0 {
            let labels = [&*model, &*horizon.to_string(), target.name(), &*interval.to_string()];
            api.metrics.forecast_skill.with_label_values(&labels).set(skill.sum / skill.weights);
        }
    }
}

/// A mean over instruments, weighted by what was scored.
#[derive(Default)]
struct Skill {
    sum: f64,
    weights: f64,
}

impl Skill {
    fn add(&mut self, skill: Option<f64>, scored: u64) {
        if let Some(skill) = skill {
            self.sum += skill * scored as f64;
            self.weights += scored as f64;
        }
    }
}

/// Every family that has labels, and its kind: without a sample the registry leaves it out.
fn promised(api: &Api) -> [(&dyn Collector, &'static str); 24] {
    let m = &api.metrics;
    [
        (&m.trades, "counter"),
        (&m.queue_depth, "gauge"),
        (&m.queue_dropped, "counter"),
        (&m.gaps_open, "gauge"),
        (&m.duplicates, "counter"),
        (&m.quarantined, "counter"),
        (&m.reconnects, "counter"),
        (&m.last_trade_age, "gauge"),
        (&m.actor_restarts, "counter"),
        (&m.sink_rows, "counter"),
        (&m.sink_backlog_bytes, "gauge"),
        (&m.signals, "counter"),
        (&m.forecast_skill, "gauge"),
        (&m.clock_skew, "gauge"),
        (&m.last_price, "gauge"),
        (&m.anomalies, "counter"),
        (&m.held_back, "counter"),
        (&m.compared, "counter"),
        (&m.predictions, "counter"),
        (&m.prediction_duration, "histogram"),
        (&m.http_requests, "counter"),
        (&m.http_request_duration, "histogram"),
        (&m.venue_requests, "counter"),
        (&m.venue_request_duration, "histogram"),
    ]
}

fn write_empty(name: &str, help: &str, kind: &str, text: &mut String) {
    let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}");
    let _ = if kind == "histogram" {
        writeln!(text, "{name}_bucket{{le=\"+Inf\"}} 0\n{name}_sum 0\n{name}_count 0")
    } else {
        writeln!(text, "{name} 0")
    };
}

fn write_stages(report: &[(Stage, Histogram<u64>)], text: &mut String) {
    let name = "tapewatch_stage_latency_seconds";
    let _ = writeln!(text, "# HELP {name} Time that a stage of a trade took.\n# TYPE {name} histogram");
    for (stage, histogram) in report {
        let mut counts = [0u64; BOUNDS_NS.len()];
        for step in histogram.iter_recorded() {
            let bucket = BOUNDS_NS.partition_point(|&bound| bound < step.value_iterated_to());
            if let Some(count) = counts.get_mut(bucket) {
                *count += step.count_at_value();
            }
        }
        let stage = stage.name();
        let mut below = 0;
        for (bound, count) in BOUNDS_NS.iter().zip(counts) {
            below += count;
            let seconds = *bound as f64 / 1e9;
            let _ = writeln!(text, "{name}_bucket{{stage=\"{stage}\",le=\"{seconds}\"}} {below}");
        }
        let (count, sum) = (histogram.len(), histogram.mean() * histogram.len() as f64 / 1e9);
        let _ = writeln!(text, "{name}_bucket{{stage=\"{stage}\",le=\"+Inf\"}} {count}");
        let _ = writeln!(text, "{name}_sum{{stage=\"{stage}\"}} {sum}");
        let _ = writeln!(text, "{name}_count{{stage=\"{stage}\"}} {count}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_hold_what_was_recorded() {
        let mut histogram = Histogram::new_with_bounds(1, 60_000_000_000, 2).unwrap();
        for nanos in [1, 900, 1_500, 70_000, 59_999_999_999] {
            histogram.record(nanos).unwrap();
        }
        let mut text = String::new();
        write_stages(&[(Stage::Parse, histogram)], &mut text);
        for line in [
            "tapewatch_stage_latency_seconds_bucket{stage=\"parse\",le=\"0.000001\"} 2",
            "tapewatch_stage_latency_seconds_bucket{stage=\"parse\",le=\"0.000002\"} 3",
            "tapewatch_stage_latency_seconds_bucket{stage=\"parse\",le=\"0.0001\"} 4",
            "tapewatch_stage_latency_seconds_bucket{stage=\"parse\",le=\"+Inf\"} 5",
            "tapewatch_stage_latency_seconds_count{stage=\"parse\"} 5",
        ] {
            assert!(text.contains(&format!("{line}\n")), "{line} in\n{text}");
        }
    }
}
