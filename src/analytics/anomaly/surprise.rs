//! Surprise: a candle that lies far from the recent mean, in deviations, in one of four channels.
//!
//! Return in units of the expected volatility, volume, price impact (how far the price went for what was traded), and
//! the mean impact of the last ten candles, each against its exponentially weighted mean ([`ClippedZ`]: what is odd is learned from as if it were nearer). How
//! seldom a distance is comes from the channel's own tail, not from a bell curve ([`Watch`]): four deviations of a
//! return are no news.

use crate::analytics::anomaly::alarm::{Alert, WARM_UP};
use crate::analytics::anomaly::detector::{DetectorEntry, Finding};
use crate::analytics::anomaly::series::{Rest, SeriesDetector, SeriesEntry, Views};
use crate::analytics::anomaly::sides::{self, CHANNELS, Sides};
use crate::analytics::anomaly::watch::{Gauge, Watch};
use crate::analytics::estimators::clipped_z::ClippedZ;
use crate::analytics::estimators::spot::{Dspot, Spot};
use crate::analytics::rolling::state::State;
use crate::domain::insight::{Evidence, Fact};
use crate::domain::time::UnixNanos;

pub const ENTRY: DetectorEntry = DetectorEntry {
    name: "surprise",
    version: 1,
    summary: "return, volume or price impact far from their recent mean, by what their tails say is seldom",
    channels: &CHANNELS,
    warm_up: Z_WARM_UP as usize + WARM_UP,
    build: |tuning| {
        let distance = || ClippedZ::new(WEIGHT, CLIP, Z_WARM_UP, DEVIATION_FLOOR);
        Box::new(Watch::new(tuning, Sides::plain(), distance))
    },
};

pub const SERIES: SeriesEntry = SeriesEntry {
    name: "surprise",
    summary: "far from the recent mean, in deviations, by what the tail of such distances says is seldom",
    build: || Box::new(SeriesSurprise::new()),
};

pub const SPOT: SeriesEntry = SeriesEntry {
    name: "dspot",
    summary: "far from the mean of the last twenty, by what the tail of such distances says is seldom",
    build: || Box::new(SeriesDspot { dspot: Dspot::new(DSPOT_DEPTH, SERIES_WARM_UP), rest: rest() }),
};

/// Weight of the newest candle: half is forgotten in about 350.
const WEIGHT: f64 = 0.002;
/// Deviations at which a distance is cut for learning.
const CLIP: f64 = 3.0;
const Z_WARM_UP: u64 = 150;
/// No channel's deviation is taken for less.
const DEVIATION_FLOOR: f64 = 1e-3;

impl Gauge for ClippedZ {
    #[inline]
    fn strength(&self, value: f64) -> Option<f64> {
        self.distance(value).map(f64::abs)
    }

    #[inline]
    fn learn(&mut self, value: f64) {
        Self::learn(self, value);
    }

    #[cold]
    fn finding(&self, alert: &Alert, value: f64, distance: f64) -> Finding {
        let (mean, deviation) = (self.mean(), self.deviation());
        let name = sides::name(alert.channel, value >= mean);
        let what = sides::words(alert.channel, value, mean);
        let seldom = sides::seldom(alert.tail);
        let side = if value < mean { "below" } else { "above" };
        Finding {
            channel: name,
            score: alert.score,
            threshold: alert.threshold,
            evidence: Evidence::default()
                .with("value", Fact::Number(value))
                .with("mean", Fact::Number(mean))
                .with("deviation", Fact::Number(deviation))
                .with("deviations", Fact::Number(distance))
                .with("deviations_min", Fact::Number(alert.strength_min))
                .with("tail", Fact::Number(alert.tail))
                .with(
                    "explanation",
                    Fact::Text(
                        format!("{what}, {distance:.1} deviations {side} its recent mean: {seldom}").into(),
                    ),
                ),
        }
    }

    fn state(&mut self, state: &mut State<'_>) {
        Self::state(self, state);
    }
}

/// Values until a plain series has a tail.
const SERIES_WARM_UP: usize = 150;
const DSPOT_DEPTH: usize = 20;

fn rest() -> Rest {
    const VALUES: u64 = 75;
    const FACTOR: f64 = 2.0;
    Rest::new(VALUES, FACTOR)
}

/// The four views of a plain series, each against its mean; the furthest, by its tail.
struct SeriesSurprise {
    views: Views,
    channels: [ClippedZ; 4],
    spot: Spot,
    rest: Rest,
}

impl SeriesSurprise {
    fn new() -> Self {
        Self {
            views: Views::default(),
            channels: std::array::from_fn(|_| {
                ClippedZ::new(WEIGHT, CLIP, Z_WARM_UP, f64::MIN_POSITIVE.sqrt())
            }),
            spot: Spot::new(SERIES_WARM_UP),
            rest: rest(),
        }
    }
}

impl SeriesDetector for SeriesSurprise {
    fn update(&mut self, at: UnixNanos, value: f64) -> f64 {
        let views = self.views.of(at, value);
        let distances = self.channels.iter_mut().zip(views);
        let distances = distances.filter_map(|(channel, view)| channel.update(view?)).map(f64::abs);
        let furthest = distances.fold(0.0, f64::max).min(FURTHEST);
        let tail = self.spot.tail(furthest);
        self.spot.learn(furthest);
        seldom(tail, &mut self.rest)
    }
}

/// A flat series that moves is infinitely many deviations off: as many as that.
const FURTHEST: f64 = 1e12;

struct SeriesDspot {
    dspot: Dspot,
    rest: Rest,
}

impl SeriesDetector for SeriesDspot {
    fn update(&mut self, _: UnixNanos, value: f64) -> f64 {
        seldom(self.dspot.update(value), &mut self.rest)
    }
}

/// A score for how seldom something is that still tells one in a million from one in a billion.
fn seldom(tail: f64, rest: &mut Rest) -> f64 {
    let nats = rest.emitted(-libm::log(tail.max(f64::MIN_POSITIVE)));
    nats / (10.0 + nats)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analytics::anomaly::detector::Tuning;
    use crate::analytics::anomaly::staged;
    use crate::analytics::features::Reading;

    /// Channels found in the candles from `at` on to which something was done.
    fn check_found(mut change: impl FnMut(&mut Reading), expected: &str) {
        const AT: usize = 3_000;
        let mut market = staged::readings(5, AT + 10);
        change(&mut market[AT]);
        let rows = staged::rows(&market);
        let mut detector = (ENTRY.build)(&Tuning::MINUTES);
        let mut found = Vec::new();
        // Two candles go by before there are features.
        let odd = AT - 2;
        rows[..odd].iter().for_each(|row| detector.observe(row, &mut found));
        assert!(found.len() <= 14, "{} in two calm days", found.len());
        found.clear();
        detector.observe(&rows[odd], &mut found);
        let channels: Vec<_> = found.iter().map(|finding| finding.channel).collect();
        assert_eq!(channels, [expected]);
        let assessment = detector.assessment();
        assert!(assessment.is_some_and(|is| is.score > 0.995), "{assessment:?}");
    }

    #[test]
    fn what_is_far_is_found_where_it_is_far() {
        check_found(|candle| staged::busier(candle, 1e3), "volume");
        check_found(|candle| staged::busier(candle, 1e-4), "drought");
        check_found(|candle| candle.high *= 1.2, "impact");
        check_found(|candle| candle.close *= 1.05, "return");
    }

    #[test]
    fn a_plain_series_has_scores_between_nothing_and_one() {
        let mut series = (SERIES.build)();
        for (i, reading) in staged::readings(5, 3_000).iter().enumerate() {
            let value = if i == 2_500 { 1e6 } else { reading.volume };
            let score = series.update(reading.open_at, value);
            assert!((0.0..1.0).contains(&score));
            assert!(i != 2_500 || score > 0.5, "{score}");
        }
    }
}
