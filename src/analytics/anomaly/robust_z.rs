//! Robust z-score of return and volume: distance to the median in units of the median distance.
//!
//! Median and MAD of the last 240 candles do not move for a few outliers, so that a burst does not hide
//! the next one. The MAD has a floor: a market that repeats itself would make every change infinite. How
//! seldom a distance is comes from the distances before it, not from a bell curve that markets do not follow.
//! Source: Iglewicz and Hoaglin, How to Detect and Handle Outliers (1993).

use crate::analytics::anomaly::detector::{Detector, DetectorEntry, Finding};
use crate::analytics::anomaly::series::{SeriesDetector, SeriesEntry};
use crate::analytics::features::Features;
use crate::analytics::rolling::sorted::SortedWindow;
use crate::analytics::rolling::state::State;
use crate::analytics::rolling::tail::TailShare;
use crate::domain::insight::{Evidence, Fact};
use crate::domain::time::UnixNanos;

pub const ENTRY: DetectorEntry = DetectorEntry {
    name: "robust_z",
    version: 1,
    summary: "distance of return and volume from their median, in units of the median distance",
    channels: &["return", "volume"],
    warm_up: WARM_UP,
    build: |_| Box::new(RobustZ::default()),
};

pub const SERIES: SeriesEntry = SeriesEntry {
    name: "robust_z",
    summary: "distance from the median of the last values, in units of the median distance",
    build: || Box::new(SeriesRobustZ { channel: Channel::new() }),
};

const WINDOW: usize = 240;
const WARM_UP: usize = 60;
/// Candles after which a distance weighs half in the count of how seldom the next is.
const HALF_LIFE: f64 = 2_000.0;
/// MAD to standard deviation where the middle of the distribution is a bell curve.
const CONSISTENCY: f64 = 1.482_602_218_505_602;
/// Smallest spread of the scaled return, and of the logarithm of the volume.
const FLOORS: [f64; 2] = [0.1, 0.1];
/// Told from this distance on, if it is seldom enough too.
const DISTANCE_MIN: f64 = 4.0;
const SCORE_MIN: f64 = 0.995;

#[derive(Default)]
struct RobustZ {
    scaled_return: Option<Channel>,
    volume: Option<Channel>,
}

struct Channel {
    window: SortedWindow,
    tail: TailShare,
}

impl Channel {
    fn new() -> Self {
        Self { window: SortedWindow::new(WINDOW), tail: TailShare::new(HALF_LIFE) }
    }

    /// How far the value is from those before it; a finding where that is seldom.
    fn observe(&mut self, channel: &'static str, floor: f64, both_ways: bool, value: f64) -> Option<Finding> {
        let known = self.window.len();
        let median = self.window.median();
        let before = median.zip(median.and_then(|median| self.window.median_distance(median)));
        self.window.push(value);
        let (median, mad) = before?;
        let z = (value - median) / (CONSISTENCY * mad).max(floor);
        // A quiet candle is no burst: of the volume only what is above the median counts.
        let distance = if both_ways { z.abs() } else { z.max(0.0) };
        let score = self.tail.rank(distance);
        let seldom = known >= WARM_UP && distance >= DISTANCE_MIN && score >= SCORE_MIN;
        seldom.then(|| Finding {
            channel,
            score,
            threshold: SCORE_MIN,
            evidence: Evidence::default()
                .with("value", Fact::Number(value))
                .with("median", Fact::Number(median))
                .with("mad", Fact::Number(mad))
                .with("z", Fact::Number(z))
                .with("z_min", Fact::Number(DISTANCE_MIN))
                .with("window", Fact::Count(known as i64)),
        })
    }

    fn state(&mut self, state: &mut State<'_>) {
        self.window.state(state);
        self.tail.state(state);
    }
}

impl Detector for RobustZ {
    fn observe(&mut self, features: &Features, found: &mut Vec<Finding>) {
        let returns = self.scaled_return.get_or_insert_with(Channel::new);
        found.extend(returns.observe("return", FLOORS[0], true, features.scaled_return));
        let volumes = self.volume.get_or_insert_with(Channel::new);
        found.extend(volumes.observe("volume", FLOORS[1], false, features.log_volume));
    }

    fn state(&mut self, state: &mut State<'_>) {
        for channel in [&mut self.scaled_return, &mut self.volume] {
            channel.get_or_insert_with(Channel::new).state(state);
        }
    }
}

/// One channel, of a plain value; its spread has no floor but that of a float.
struct SeriesRobustZ {
    channel: Channel,
}

impl SeriesDetector for SeriesRobustZ {
    fn update(&mut self, _: UnixNanos, value: f64) -> f64 {
        let known = self.channel.window.len();
        let median = self.channel.window.median();
        let mad = median.and_then(|median| self.channel.window.median_distance(median));
        self.channel.window.push(value);
        let (Some(median), Some(mad), true) = (median, mad, known >= WARM_UP) else { return 0.0 };
        let z = (value - median).abs() / (CONSISTENCY * mad).max(f64::MIN_POSITIVE.sqrt());
        let rank = self.channel.tail.rank(z.min(Z_MAX));
        // The rank stops at the number of values: beyond it, the distance goes on.
        rank * (0.5 + 0.5 * z / (10.0 + z))
    }
}

/// Where the median distance is none at all, every change is infinitely many: as many as that.
const Z_MAX: f64 = 1e12;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analytics::anomaly::detector::Tuning;
    use crate::analytics::indicators::trial::Random;

    fn features(scaled_return: f64, log_volume: f64) -> Features {
        Features {
            log_return: scaled_return * 1e-3,
            scaled_return,
            log_volume,
            range: 1e-3,
            ..Features::default()
        }
    }

    /// Channels found at each step of a noisy market with one odd candle.
    fn check_found(odd: Features, expected: &[&str]) {
        let mut random = Random(3);
        let mut noise = || (random.word() >> 11) as f64 / (1_u64 << 53) as f64 - 0.5;
        let mut detector = (ENTRY.build)(&Tuning::MINUTES);
        let mut found = Vec::new();
        for _ in 0..1_000 {
            detector.observe(&features(noise(), 3.0 + noise()), &mut found);
        }
        assert_eq!(found, [], "a calm market");
        detector.observe(&odd, &mut found);
        let channels: Vec<_> = found.iter().map(|finding| finding.channel).collect();
        assert_eq!(channels, expected);
        for finding in found {
            assert!(finding.score >= finding.threshold && finding.score < 1.0, "{finding:?}");
        }
    }

    #[test]
    fn what_is_far_and_seldom_is_found() {
        check_found(features(0.2, 3.1), &[]);
        check_found(features(9.0, 3.1), &["return"]);
        check_found(features(-9.0, 3.1), &["return"]);
        check_found(features(0.1, 9.0), &["volume"]);
        // Next to nothing traded: that is no burst.
        check_found(features(0.1, -9.0), &[]);
        check_found(features(9.0, 9.0), &["return", "volume"]);
    }

    #[test]
    fn a_market_that_repeats_itself_makes_nothing_infinite() {
        let mut detector = (ENTRY.build)(&Tuning::MINUTES);
        let mut found = Vec::new();
        for i in 0..500 {
            detector.observe(&features(0.0, 3.0 + f64::from(i % 2) * 1e-9), &mut found);
        }
        assert_eq!(found, []);
    }
}
