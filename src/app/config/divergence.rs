//! `[intelligence.divergence]`: which markets are compared with each other, on which candles, and for how long one is
//! waited for. It runs where `detectors` names it.

use std::time::Duration;

use crate::analytics::across::plan::AcrossPlan;
use crate::app::config::reading;
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
    let patience = reading::duration(layers, PATIENCE, Duration::ZERO, PATIENCE_MAX);
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

#[cfg(test)]
mod tests {
    use crate::app::config::{Config, DEFAULT};
    use crate::app::layers::Layers;

    fn read(file: &str) -> Result<Config, String> {
        let mut layers = Layers::default();
        layers.put_default(DEFAULT);
        layers.put_file("my.toml", file);
        Config::read(layers).map_err(|error| error.to_string())
    }

    #[test]
    fn it_runs_where_there_are_candles_of_a_minute_or_somebody_says_which() {
        let check = |file: &str, nanos: Option<i64>| {
            let across = read(file).unwrap().engine.intelligence.across;
            assert_eq!(across.map(|across| across.interval.nanos()), nanos, "{file}");
        };
        check("", Some(60_000_000_000));
        check("[engine]\nintervals = ['1s', '15m', '5m']\n", Some(300_000_000_000));
        check("[engine]\nintervals = ['1s']\n", None);
        check("[intelligence]\ndetectors = ['stall']\n", None);
        check("[intelligence]\nintervals = ['1h']\n", Some(3_600_000_000_000));
        check("[intelligence.divergence]\ninterval = '1s'\n", Some(1_000_000_000));
    }

    #[test]
    fn what_a_journal_records_reads_back_as_it_was() {
        for file in [
            "",
            "[intelligence]\ndetectors = ['stall']\n",
            "[intelligence.divergence]\ninterval = '1s'\npatience = '90s'\nquotes = ['EUR', 'USD USDT']\n",
        ] {
            let config = read(file).unwrap();
            let recorded = Config::recorded("journal", &config.engine.recorded(), None, &[]).unwrap();
            assert_eq!(recorded.engine.intelligence.across, config.engine.intelligence.across, "{file}");
            assert_eq!(recorded.digest(), config.digest(), "{file}");
        }
    }

    #[test]
    fn mistakes_name_what_is_allowed() {
        let check = |line: &str, part: &str| {
            let error = read(&format!("[intelligence.divergence]\n{line}\n")).expect_err(line);
            assert!(error.contains(part), "{line}: {error}");
        };
        check("interval = '3m'", "none of the engine's intervals of time: 1s, 1m, 5m, 1h");
        check("interval = 'ticks:5'", "none of the engine's intervals");
        check("patience = '2d'", "at most 1d");
        check("quotes = ['usd']", "is no quote currency");
        check("quotes = ['USD USDT', 'USDT']", "\"USDT\" stands twice");
        check("quote = ['USD']", "unknown key");
    }
}
