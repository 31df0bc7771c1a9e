//! `[intelligence.divergence]`: which markets are compared with each other, on which candles, and for how long one is
//! waited for. It runs where `detectors` names it.

use std::time::Duration;

use crate::analytics::across::plan::AcrossPlan;
use crate::app::config::read_duration;
use crate::app::layers::Layers;
use crate::app::quantity;
use crate::domain::instrument::Instrument;
use crate::domain::interval::{Interval, TimeInterval};

const INTERVAL: &str = "intelligence.divergence.interval";
const PATIENCE: &str = "intelligence.divergence.patience";
const QUOTES: &str = "intelligence.divergence.quotes";
/// Shorter candles of two venues differ by what one heard a moment later.
const SHORTEST_NANOS: i64 = 60_000_000_000;
const PATIENCE_MAX: Duration = Duration::from_secs(86_400);

/// `engine`: the engine's intervals; `models`: those that models look at, ascending. `Some(None)`: there are no candles
/// to compare.
pub fn read(
    layers: &mut Layers,
    engine: &[Interval],
    models: &[Interval],
    alerts_per_day: u32,
) -> Option<Option<AcrossPlan>> {
    let interval = read_interval(layers, engine, models);
    let patience = read_duration(layers, PATIENCE, Duration::ZERO, PATIENCE_MAX);
    let quotes = read_quotes(layers);
    let (interval, patience, quotes) = (interval?, patience?, quotes?);
    let patience_nanos = i64::try_from(patience.as_nanos()).expect("patience is at most a day");
    let plan = |interval| AcrossPlan { quotes, patience_nanos, alerts_per_day, ..AcrossPlan::new(interval) };
    Some(interval.map(plan))
}

/// As a journal records it.
pub fn recorded(plan: &AcrossPlan, models: &[Interval]) -> String {
    let quotes: Vec<_> = plan.quotes.iter().map(|alike| format!("\"{}\"", alike.join(" "))).collect();
    let patience = Duration::from_nanos(plan.patience_nanos.unsigned_abs());
    let mut text = format!(
        "[intelligence.divergence]\npatience = \"{}\"\nquotes = [{}]\n",
        quantity::print_duration(patience),
        quotes.join(", ")
    );
    // Only where somebody chose it: whoever replays with other intervals compares what there is.
    if usual(models) != Some(plan.interval) {
        text.push_str(&format!("interval = \"{}\"\n", Interval::Time(plan.interval)));
    }
    text
}

fn usual(models: &[Interval]) -> Option<TimeInterval> {
    models.iter().filter_map(|interval| interval.time()).find(|interval| interval.nanos() >= SHORTEST_NANOS)
}

fn read_interval(
    layers: &mut Layers,
    engine: &[Interval],
    models: &[Interval],
) -> Option<Option<TimeInterval>> {
    if layers.get(INTERVAL).is_none() {
        return Some(usual(models));
    }
    let text = layers.text(INTERVAL)?;
    let known = |interval: &Interval| interval.time().is_some() && engine.contains(interval);
    match text.parse::<Interval>().ok().filter(known).and_then(|interval| interval.time()) {
        Some(interval) => Some(Some(interval)),
        None => {
            let allowed = engine.iter().filter(|interval| interval.time().is_some());
            let allowed: Vec<_> = allowed.map(ToString::to_string).collect();
            let message =
                format!("{text:?} is none of the engine's intervals of time: {}", allowed.join(", "));
            layers.complain(INTERVAL, message);
            None
        }
    }
}

/// Each item names currencies that are alike, with blanks between; no currency twice.
fn read_quotes(layers: &mut Layers) -> Option<Vec<Vec<String>>> {
    let venue = crate::domain::venue::Venue::new("x").expect("a name");
    let mut seen = std::collections::BTreeSet::new();
    let mut quotes = Vec::new();
    for item in layers.list(QUOTES)? {
        let alike: Vec<String> = item.split_whitespace().map(str::to_owned).collect();
        for quote in &alike {
            let problem = if Instrument::new(venue.clone(), &format!("X-{quote}")).is_err() {
                Some("is no quote currency, such as USDT")
            } else if !seen.insert(quote.clone()) {
                Some("stands twice")
            } else {
                None
            };
            if let Some(problem) = problem {
                layers.complain(QUOTES, format!("{quote:?} {problem}"));
                return None;
            }
        }
        quotes.extend((!alike.is_empty()).then_some(alike));
    }
    Some(quotes)
}
