//! The metrics that are promised: all there from the start, at zero.
//!
//! One registry a process, handed down from the composition root. Labels are bounded: venues and
//! symbols are those of the configuration, everything else is a word of the program's own.

use prometheus::{
    GaugeVec, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry,
};

/// Handles of all metrics; clones share them.
#[derive(Clone, Debug)]
pub struct Metrics {
    pub registry: Registry,
    /// Accepted distinct trades, repaired ones included.
    pub trades: IntCounterVec,
    pub queue_depth: IntGaugeVec,
    pub queue_dropped: IntCounterVec,
    /// Open and unfillable.
    pub gaps_open: IntGaugeVec,
    pub duplicates: IntCounterVec,
    pub quarantined: IntCounterVec,
    pub reconnects: IntCounterVec,
    pub last_trade_age: GaugeVec,
    pub actor_restarts: IntCounterVec,
    pub sink_rows: IntCounterVec,
    pub sink_backlog_bytes: IntGaugeVec,
    pub feed_clients: IntGauge,
    pub feed_messages: IntCounter,
    pub signals: IntCounterVec,
    pub forecast_skill: GaugeVec,
    pub clock_skew: GaugeVec,
    pub last_price: GaugeVec,
    pub anomalies: IntCounterVec,
    /// Anomalies that were odd enough and are not told, by detector and reason.
    pub held_back: IntCounterVec,
    /// Minutes of assets that several venues trade, by how they were compared.
    pub compared: IntCounterVec,
    pub predictions: IntCounterVec,
    pub prediction_duration: HistogramVec,
    pub http_requests: IntCounterVec,
    pub http_request_duration: HistogramVec,
    pub venue_requests: IntCounterVec,
    pub venue_request_duration: HistogramVec,
}

/// How full a queue is, and what it dropped.
#[derive(Clone, Debug)]
pub struct QueueMeter {
    pub depth: IntGauge,
    pub dropped: IntCounter,
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    pub fn new() -> Self {
        let registry = Registry::new();
        let r = &registry;
        Self {
            trades: counters(r, "trades_total", "Accepted distinct trades.", &["venue", "symbol"]),
            queue_depth: gauges(r, "queue_depth", "Items that wait in a queue.", &["queue"]),
            queue_dropped: counters(r, "queue_dropped_total", "Items that a full queue refused.", &["queue"]),
            gaps_open: gauges(r, "gaps_open", "Gaps that are open or unfillable.", &["venue", "symbol"]),
            duplicates: counters(r, "duplicates_total", "Copies of trades that were known.", &["venue"]),
            quarantined: counters(
                r,
                "quarantined_total",
                "Messages, trades and events that were set aside.",
                &["venue", "reason"],
            ),
            reconnects: counters(r, "reconnects_total", "Connections made anew.", &["venue"]),
            last_trade_age: floats(
                r,
                "last_trade_age_seconds",
                "Time since the last trade.",
                &["venue", "symbol"],
            ),
            actor_restarts: counters(r, "actor_restarts_total", "Actors that were restarted.", &["actor"]),
            sink_rows: counters(r, "sink_rows_total", "Rows that a sink has taken.", &["sink", "table"]),
            sink_backlog_bytes: gauges(
                r,
                "sink_backlog_bytes",
                "Bytes that wait to be taken by a sink.",
                &["sink"],
            ),
            feed_clients: register(
                r,
                IntGauge::new("tapewatch_feed_clients", "Clients of the feed.").expect("a sound name"),
            ),
            feed_messages: register(
                r,
                IntCounter::new("tapewatch_feed_messages_total", "Messages sent to clients of the feed.")
                    .expect("a sound name"),
            ),
            signals: counters(r, "signals_total", "Signals told.", &["kind", "severity"]),
            forecast_skill: floats(
                r,
                "forecast_skill_ratio",
                "Past loss of a model divided by the baseline's; below 1 is better.",
                &["model", "horizon", "target", "interval"],
            ),
            clock_skew: floats(
                r,
                "clock_skew_seconds",
                "Our clock less the venue's, as estimated.",
                &["venue"],
            ),
            last_price: floats(r, "last_price", "Price of the last trade.", &["venue", "symbol"]),
            anomalies: counters(r, "anomalies_total", "Anomalies told.", &["detector"]),
            held_back: counters(
                r,
                "anomalies_suppressed_total",
                "Anomalies not told: close behind a gap, part of a burst, over the budget.",
                &["detector", "reason"],
            ),
            compared: counters(
                r,
                "comparisons_total",
                "Minutes of assets compared across venues, and candles that came too late for it.",
                &["outcome"],
            ),
            predictions: counters(r, "predictions_total", "Forecasts told.", &["model"]),
            prediction_duration: register(
                r,
                HistogramVec::new(
                    HistogramOpts::from(opts("prediction_duration_seconds", "Time a forecast took."))
                        .buckets(prediction_buckets()),
                    &["model"],
                )
                .expect("sound names"),
            ),
            http_requests: counters(r, "http_requests_total", "HTTP requests answered.", &["path", "status"]),
            http_request_duration: seconds(
                r,
                "http_request_duration_seconds",
                "Time to answer an HTTP request.",
                &["path"],
            ),
            venue_requests: counters(
                r,
                "venue_requests_total",
                "REST requests to venues.",
                &["venue", "status"],
            ),
            venue_request_duration: seconds(
                r,
                "venue_request_duration_seconds",
                "Time a venue took to answer.",
                &["venue"],
            ),
            registry,
        }
    }

    /// The meter of a queue with that constant name.
    pub fn queue(&self, name: &'static str) -> QueueMeter {
        QueueMeter {
            depth: self.queue_depth.with_label_values(&[name]),
            dropped: self.queue_dropped.with_label_values(&[name]),
        }
    }
}

/// From 100 nanoseconds, each twice the one before: a forecast takes some microseconds.
fn prediction_buckets() -> Vec<f64> {
    (0..20).map(|step| 1e-7 * f64::from(1 << step)).collect()
}

fn opts(name: &str, help: &str) -> Opts {
    Opts::new(format!("tapewatch_{name}"), help)
}

fn register<M: prometheus::core::Collector + Clone + 'static>(registry: &Registry, metric: M) -> M {
    registry.register(Box::new(metric.clone())).expect("no name twice");
    metric
}

fn counters(registry: &Registry, name: &str, help: &str, labels: &[&str]) -> IntCounterVec {
    register(registry, IntCounterVec::new(opts(name, help), labels).expect("sound names"))
}

fn gauges(registry: &Registry, name: &str, help: &str, labels: &[&str]) -> IntGaugeVec {
    register(registry, IntGaugeVec::new(opts(name, help), labels).expect("sound names"))
}

fn floats(registry: &Registry, name: &str, help: &str, labels: &[&str]) -> GaugeVec {
    register(registry, GaugeVec::new(opts(name, help), labels).expect("sound names"))
}

fn seconds(registry: &Registry, name: &str, help: &str, labels: &[&str]) -> HistogramVec {
    let opts = HistogramOpts::from(opts(name, help));
    register(registry, HistogramVec::new(opts, labels).expect("sound names"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_sound_and_queues_are_counted() {
        let metrics = Metrics::new();
        let queue = metrics.queue("feed");
        queue.dropped.inc();
        let told = metrics.registry.gather();
        let dropped = told.iter().find(|family| family.name() == "tapewatch_queue_dropped_total").unwrap();
        assert_eq!(dropped.get_metric()[0].get_counter().get_value(), 1.0);
    }
}
