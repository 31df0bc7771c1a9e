//! Bayesian change points of return and volume: a market that is not what it was a few candles ago.
//!
//! Looks at the scaled return and the log volume, in units of their own slow mean and deviation, and follows
//! for how long they have been as they are. Told once a change, when it is nearly certain that the last
//! change lies at most five candles back, and again only after that was unlikely for a while. The score is
//! the share of candles without such an alarm. Source: Adams and MacKay (2007).

use crate::analytics::anomaly::detector::{Detector, DetectorEntry, Finding};
use crate::analytics::anomaly::rarity::Rarity;
use crate::analytics::estimators::bocpd::{Bocpd, BocpdParameters};
use crate::analytics::estimators::moments::EwMoments;
use crate::analytics::features::Features;
use crate::analytics::rolling::state::State;
use crate::domain::insight::{Evidence, Fact};

pub const ENTRY: DetectorEntry = DetectorEntry {
    name: "bocpd",
    version: 1,
    summary: "the run of candles with one mean and deviation of return or volume has just ended",
    channels: &["return_regime", "volume_regime"],
    warm_up: WARM_UP,
    build: |_| Box::new(ChangePoints::default()),
};

const PARAMETERS: BocpdParameters = BocpdParameters {
    hazard: 1.0 / 250.0,
    mean: 0.0,
    mean_weight: 1.0,
    shape: 1.0,
    rate: 1.0,
    runs_max: 200,
};
const WARM_UP: usize = 300;
/// Weight of the newest candle in the slow mean and deviation.
const WEIGHT: f64 = 0.001;
/// Candles before a deviation means something.
const SCALE_MIN: u64 = 60;
/// Smallest deviation of the scaled return, and of the logarithm of the volume.
const FLOOR: f64 = 0.1;
/// Beyond that many deviations all is one: an outlier, and no level.
const REACH: f64 = 6.0;
/// A change so few candles back is new.
const RECENT: usize = 5;
const PROBABILITY_MIN: f64 = 0.9;
/// Below it the last change is over, and the next may be told.
const PROBABILITY_CALM: f64 = 0.3;
const SCORE_MIN: f64 = 0.995;

struct ChangePoints {
    seen: u64,
    scaled_return: Regime,
    volume: Regime,
}

struct Regime {
    scale: EwMoments,
    posterior: Bocpd,
    is_calm: bool,
    rarity: Rarity,
}

impl Default for ChangePoints {
    fn default() -> Self {
        let regime = || Regime {
            scale: EwMoments::with_even_start(WEIGHT),
            posterior: Bocpd::new(PARAMETERS),
            is_calm: false,
            rarity: Rarity::default(),
        };
        Self { seen: 0, scaled_return: regime(), volume: regime() }
    }
}

impl Regime {
    fn observe(&mut self, channel: &'static str, is_warm: bool, value: f64) -> Option<Finding> {
        let mean = self.scale.mean().unwrap_or(value);
        let deviation = self.scale.variance().unwrap_or(0.0).sqrt().max(FLOOR);
        let distance = ((value - mean) / deviation).clamp(-REACH, REACH);
        let is_scaled = self.scale.count() >= SCALE_MIN;
        self.scale.push(if is_scaled { mean + distance * deviation } else { value });
        if !is_scaled {
            return None;
        }
        self.rarity.pass();
        let before = self.posterior.level(self.posterior.likeliest());
        self.posterior.push(distance);
        let probability = self.posterior.probability_up_to(RECENT);
        if probability < PROBABILITY_CALM {
            self.is_calm = true;
        }
        if probability < PROBABILITY_MIN || !std::mem::replace(&mut self.is_calm, false) {
            return None;
        }
        let score = self.rarity.alarm();
        let run = self.posterior.likeliest();
        let mut evidence = Evidence::default()
            .with("value", Fact::Number(value))
            .with("distance", Fact::Number(distance))
            .with("probability", Fact::Number(probability))
            .with("probability_min", Fact::Number(PROBABILITY_MIN))
            .with("run_length", Fact::Count(run as i64));
        for (name, level) in [("before", before), ("since", self.posterior.level(run))] {
            if let Some((mean, deviation)) = level {
                evidence = evidence
                    .with(format!("mean_{name}"), Fact::Number(mean))
                    .with(format!("deviation_{name}"), Fact::Number(deviation));
            }
        }
        (is_warm && score >= SCORE_MIN).then_some(Finding { channel, score, threshold: SCORE_MIN, evidence })
    }

    fn state(&mut self, state: &mut State<'_>) {
        self.scale.state(state);
        self.posterior.state(state);
        state.bool(&mut self.is_calm);
        self.rarity.state(state);
    }
}

impl Detector for ChangePoints {
    fn observe(&mut self, features: &Features, found: &mut Vec<Finding>) {
        self.seen = self.seen.saturating_add(1);
        let is_warm = self.seen > WARM_UP as u64;
        found.extend(self.scaled_return.observe("return_regime", is_warm, features.scaled_return));
        found.extend(self.volume.observe("volume_regime", is_warm, features.log_volume));
    }

    fn state(&mut self, state: &mut State<'_>) {
        state.word(&mut self.seen);
        self.scaled_return.state(state);
        self.volume.state(state);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analytics::anomaly::trial::{Market, check_state, found};

    /// Calm, then volumes on another level, then wider returns.
    fn candles() -> Vec<Features> {
        let mut market = Market::new(7);
        let of = |market: &mut Market, count: usize, width: f64, volume: f64| -> Vec<Features> {
            (0..count).map(|_| market.around(width, volume)).collect()
        };
        let parts = [
            of(&mut market, 1_500, 1.0, 3.0),
            of(&mut market, 500, 1.0, 5.0),
            of(&mut market, 500, 5.0, 5.0),
        ];
        parts.concat()
    }

    #[test]
    fn a_new_level_is_told_once_and_soon() {
        let found = found(&ENTRY, &candles());
        let channels: Vec<_> = found.iter().map(|(i, finding)| (*i, finding.channel)).collect();
        let of = |channel: &str| -> Vec<usize> {
            channels.iter().filter(|(_, name)| *name == channel).map(|(i, _)| *i).collect()
        };
        let (volumes, returns) = (of("volume_regime"), of("return_regime"));
        assert!(volumes.first().is_some_and(|i| (1_500..1_508).contains(i)), "{channels:?}");
        assert!(returns.first().is_some_and(|i| (2_000..2_010).contains(i)), "{channels:?}");
        assert!(channels.len() <= 4, "{channels:?}");
    }

    #[test]
    fn saved_in_the_middle_it_goes_on_the_same() {
        check_state(&ENTRY, &candles(), &[0, 30, 60, 700, 1_503, 2_004]);
    }
}
