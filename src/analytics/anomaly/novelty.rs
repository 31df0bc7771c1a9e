//! Novelty: a candle outside of everything that was seen for days, whatever its distribution.
//!
//! An envelope round each channel ([`Envelope`]), bounds that are forgotten by half in 8,000 candles: return in units of
//! the expected volatility, volume, price impact (how far the price went for what was traded), and the mean impact of
//! the last ten candles. A bound is where the channel went before, so that no distribution is assumed; how seldom
//! a candle goes that far is learned ([`Watch`]).

use crate::analytics::anomaly::alarm::{Alert, WARM_UP};
use crate::analytics::anomaly::detector::{DetectorEntry, Finding};
use crate::analytics::anomaly::series::{Rest, SeriesDetector, SeriesEntry, Views};
use crate::analytics::anomaly::sides::{self, CHANNELS, Sides};
use crate::analytics::anomaly::watch::{Gauge, Watch};
use crate::analytics::estimators::envelope::Envelope;
use crate::analytics::rolling::state::State;
use crate::domain::insight::{Evidence, Fact};
use crate::domain::time::UnixNanos;

pub const ENTRY: DetectorEntry = DetectorEntry {
    name: "novelty",
    version: 1,
    summary: "a candle outside of all that return, volume and price impact did for days, old extremes forgotten",
    channels: &CHANNELS,
    warm_up: ENVELOPE_WARM_UP as usize + WARM_UP,
    build: |tuning| {
        let envelope = || Envelope::new(ENVELOPE_WARM_UP, Some(HALF_LIFE), CAP);
        Box::new(Watch::new(tuning, Sides::against_recent(), envelope))
    },
};

/// For the public benchmark: nothing is forgotten.
pub const SERIES: SeriesEntry = SeriesEntry {
    name: "novelty",
    summary: "outside of everything seen so far, in widths of the band; nothing is forgotten",
    build: || Box::new(SeriesNovelty::new(None)),
};

/// As candles are looked at.
pub const FORGETTING: SeriesEntry = SeriesEntry {
    name: "novelty_forgetting",
    summary: "outside of everything seen lately, in widths of the band; half is forgotten in 8,000 values",
    build: || Box::new(SeriesNovelty::new(Some(HALF_LIFE))),
};

/// Candles after which a bound has come half as close to the mean.
const HALF_LIFE: f64 = 8_000.0;
/// Widths by which one candle may widen a bound.
const CAP: f64 = 1.0;
const ENVELOPE_WARM_UP: u64 = 150;

impl Gauge for Envelope {
    /// From the middle of the band on: half a width is its bound.
    #[inline]
    fn strength(&self, value: f64) -> Option<f64> {
        self.outside(value).map(|outside| (outside + 0.5).max(0.0))
    }

    #[inline]
    fn learn(&mut self, value: f64) {
        Self::learn(self, value);
    }

    #[cold]
    fn finding(&self, alert: &Alert, value: f64, strength: f64) -> Finding {
        let (low, high) = self.bounds();
        let outside = strength - 0.5;
        let what = sides::words(alert.channel, value, self.mean());
        let place = if outside > 0.0 { "outside of" } else { "at the edge of" };
        let seldom = sides::seldom(alert.tail);
        let explanation = format!(
            "{what}, {place} all that it did lately ({low:.2} to {high:.2}, now {value:.2}): {seldom}"
        );
        Finding {
            channel: sides::name(alert.channel, value >= (low + high) / 2.0),
            score: alert.score,
            threshold: alert.threshold,
            evidence: Evidence::default()
                .with("value", Fact::Number(value))
                .with("low", Fact::Number(low))
                .with("high", Fact::Number(high))
                .with("mean", Fact::Number(self.mean()))
                .with("widths_outside", Fact::Number(outside))
                .with("widths_outside_min", Fact::Number(alert.strength_min - 0.5))
                .with("tail", Fact::Number(alert.tail))
                .with("half_life", Fact::Number(HALF_LIFE))
                .with("explanation", Fact::Text(explanation.into())),
        }
    }

    fn state(&mut self, state: &mut State<'_>) {
        Self::state(self, state);
    }
}

/// The four views of a plain series, each in its envelope; the strongest is emitted.
struct SeriesNovelty {
    views: Views,
    envelopes: [Envelope; 4],
    rest: Rest,
}

impl SeriesNovelty {
    /// Values until the last view, which begins a day later, may speak.
    const PROFILE_WARM_UP: u64 = 288;
    const REST: u64 = 75;
    const REST_FACTOR: f64 = 2.0;

    fn new(half_life: Option<f64>) -> Self {
        let warm_up = |view| if view == 3 { Self::PROFILE_WARM_UP } else { ENVELOPE_WARM_UP };
        Self {
            views: Views::default(),
            envelopes: std::array::from_fn(|view| Envelope::new(warm_up(view), half_life, CAP)),
            rest: Rest::new(Self::REST, Self::REST_FACTOR),
        }
    }

    /// How far the furthest view lies outside of its band, in widths: before the rest rule.
    fn novelty(&mut self, at: UnixNanos, value: f64) -> f64 {
        let views = self.views.of(at, value);
        let novelties =
            self.envelopes.iter_mut().zip(views).map(|(envelope, view)| {
                view.and_then(|view| envelope.update(view)).unwrap_or_default().max(0.0)
            });
        novelties.fold(0.0, f64::max)
    }
}

impl SeriesDetector for SeriesNovelty {
    fn update(&mut self, at: UnixNanos, value: f64) -> f64 {
        let novelty = self.novelty(at, value);
        let emitted = self.rest.emitted(novelty);
        emitted / (1.0 + emitted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analytics::anomaly::detector::Tuning;
    use crate::analytics::anomaly::staged;
    use crate::analytics::features::Features;

    #[test]
    fn what_was_never_seen_is_found_and_what_was_seen_before_is_not() {
        let mut market = staged::readings(5, 4_000);
        staged::busier(&mut market[2_000], 1e3);
        staged::busier(&mut market[3_000], 1e3);
        let mut detector = (ENTRY.build)(&Tuning::MINUTES);
        let mut at = Vec::new();
        for row in staged::rows(&market) {
            let mut found = Vec::new();
            detector.observe(&row, &mut found);
            at.extend(found.into_iter().map(|finding| (row.open_at, finding)));
        }
        let told = |index: usize| at.iter().find(|(open_at, _)| *open_at == market[index].open_at);
        let (_, first) = told(2_000).expect("a thousand times the volume is new");
        let outside = first.evidence.0.iter().find(|(name, _)| name == "widths_outside");
        assert_eq!(first.channel, "volume");
        assert!(matches!(outside, Some((_, Fact::Number(outside))) if *outside > 0.5), "{outside:?}");
        // Another channel may speak of it, but as far as the volume goes it was there before.
        assert!(told(3_000).is_none_or(|(_, second)| second.score <= first.score));
    }

    #[test]
    fn after_a_hole_nothing_is_told_until_the_means_are_whole() {
        let rows = staged::rows(&staged::readings(5, 3_000));
        let mut detector = (ENTRY.build)(&Tuning::MINUTES);
        let mut found = Vec::new();
        rows.iter().for_each(|row| detector.observe(row, &mut found));
        found.clear();
        detector.interrupt();
        for _ in 0..10 {
            detector.observe(&Features { log_volume: 50.0, ..rows[0] }, &mut found);
        }
        assert_eq!(found, []);
    }
}
