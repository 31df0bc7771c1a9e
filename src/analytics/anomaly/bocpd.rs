//! Bayesian change points of return and volume: a market that is not what it was a few candles ago.
//!
//! Looks at the scaled return and the log volume, in units of their own slow mean and deviation, and follows
//! for how long they have been as they are. Strong is a candle that makes it nearly certain that the last
//! change lies at most five candles back; how seldom that is comes from the tail of such strengths. Told once a
//! change, and again only after a fresh change was unlikely for a while. Source: Adams and MacKay (2007).

use crate::analytics::anomaly::alarm::{Alarm, Alert, WARM_UP as TAIL_WARM_UP};
use crate::analytics::anomaly::detector::{Assessment, Detector, DetectorEntry, Finding, Tuning};
use crate::analytics::estimators::bocpd::{Bocpd, BocpdParameters};
use crate::analytics::estimators::elementary::ln;
use crate::analytics::estimators::moments::EwMoments;
use crate::analytics::features::Features;
use crate::analytics::rolling::state::State;
use crate::domain::insight::{Evidence, Fact};
use crate::domain::output::HeldBack;

pub const ENTRY: DetectorEntry = DetectorEntry {
    name: "bocpd",
    version: 1,
    summary: "the run of candles with one mean and deviation of return or volume has just ended",
    channels: &CHANNELS,
    warm_up: SCALE_MIN as usize + TAIL_WARM_UP,
    build: |tuning| Box::new(ChangePoints::new(tuning)),
};

const CHANNELS: [&str; 2] = ["return_regime", "volume_regime"];
const PARAMETERS: BocpdParameters = BocpdParameters {
    hazard: 1.0 / 250.0,
    mean: 0.0,
    mean_weight: 1.0,
    shape: 1.0,
    rate: 1.0,
    runs_max: 200,
};
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
/// A change that is less likely than not is none.
const PROBABILITY_MIN: f64 = 0.5;
/// Below it the last change is over, and the next may be told.
const PROBABILITY_CALM: f64 = 0.3;
/// So near to certain counts as certain.
const DOUBT_MIN: f64 = 1e-9;

struct ChangePoints {
    regimes: [Regime; 2],
    alarm: Alarm<2>,
}

struct Regime {
    scale: EwMoments,
    posterior: Bocpd,
    /// The last change was told, or nothing was before it.
    is_over: bool,
    /// Of the last candle.
    value: f64,
    probability: f64,
    /// Mean and deviation before it.
    before: Option<(f64, f64)>,
}

impl ChangePoints {
    fn new(tuning: &Tuning) -> Self {
        let regime = || Regime {
            scale: EwMoments::with_even_start(WEIGHT),
            posterior: Bocpd::new(PARAMETERS),
            is_over: false,
            value: 0.0,
            probability: 0.0,
            before: None,
        };
        Self { regimes: [regime(), regime()], alarm: Alarm::new(tuning) }
    }
}

impl Regime {
    /// How nearly certain a change is that was not told yet; `None` while there is no scale.
    fn strength(&mut self, value: f64) -> Option<f64> {
        let mean = self.scale.mean().unwrap_or(value);
        let deviation = self.scale.variance().unwrap_or(0.0).sqrt().max(FLOOR);
        let distance = ((value - mean) / deviation).clamp(-REACH, REACH);
        let is_scaled = self.scale.count() >= SCALE_MIN;
        self.scale.push(if is_scaled { mean + distance * deviation } else { value });
        if !is_scaled {
            return None;
        }
        self.value = value;
        self.before = self.posterior.level(self.posterior.likeliest());
        self.posterior.push(distance);
        self.probability = self.posterior.probability_up_to(RECENT);
        self.is_over |= self.probability < PROBABILITY_CALM;
        let strength = -ln((1.0 - self.probability).max(DOUBT_MIN));
        Some(if self.is_over { strength } else { 0.0 })
    }

    fn evidence(&self, alert: &Alert) -> Evidence {
        let run = self.posterior.likeliest();
        let mut evidence = Evidence::default()
            .with("value", Fact::Number(self.value))
            .with("probability", Fact::Number(self.probability))
            .with("run_length", Fact::Count(run as i64));
        for (name, level) in [("before", self.before), ("since", self.posterior.level(run))] {
            if let Some((mean, deviation)) = level {
                evidence = evidence
                    .with(format!("mean_{name}"), Fact::Number(mean))
                    .with(format!("deviation_{name}"), Fact::Number(deviation));
            }
        }
        let what = if alert.channel == 0 { "return" } else { "volume" };
        let explanation = format!(
            "{what} is not what it was: with a probability of {:.4} mean or spread changed in the last {RECENT} \
             candles; one candle in {:.0} says so as clearly",
            self.probability,
            1.0 / alert.tail.max(1e-9),
        );
        evidence.with("tail", Fact::Number(alert.tail)).with("explanation", Fact::Text(explanation.into()))
    }

    fn state(&mut self, state: &mut State<'_>) {
        self.scale.state(state);
        self.posterior.state(state);
        state.bool(&mut self.is_over);
    }
}

impl Detector for ChangePoints {
    fn observe(&mut self, features: &Features, found: &mut Vec<Finding>) {
        let [returns, volumes] = &mut self.regimes;
        let strengths = [returns.strength(features.scaled_return), volumes.strength(features.log_volume)];
        let Some(alert) = self.alarm.judge(strengths) else { return };
        let regime = &mut self.regimes[alert.channel];
        if regime.probability < PROBABILITY_MIN {
            return;
        }
        regime.is_over = false;
        let evidence = regime.evidence(&alert);
        let channel = CHANNELS[alert.channel];
        found.push(Finding { channel, score: alert.score, threshold: alert.threshold, evidence });
    }

    fn interrupt(&mut self) {
        self.alarm.interrupt();
    }

    fn held_back(&self) -> Option<HeldBack> {
        self.alarm.held_back()
    }

    fn assessment(&self) -> Option<Assessment> {
        self.alarm.assessment()
    }

    fn state(&mut self, state: &mut State<'_>) {
        self.regimes.iter_mut().for_each(|regime| regime.state(state));
        self.alarm.state(state);
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
        let soon = |channel: &str, from: usize| {
            of(channel).iter().filter(|i| (from..from + 100).contains(*i)).count()
        };
        assert_eq!((soon("volume_regime", 1_500), soon("return_regime", 2_000)), (1, 1), "{channels:?}");
        assert!(of("volume_regime").iter().any(|i| (1_500..1_508).contains(i)), "{channels:?}");
        assert!(of("return_regime").iter().any(|i| (2_000..2_010).contains(i)), "{channels:?}");
        assert!(channels.len() <= 10, "{channels:?}");
    }

    #[test]
    fn saved_in_the_middle_it_goes_on_the_same() {
        check_state(&ENTRY, &candles(), &[0, 30, 60, 700, 1_503, 2_004]);
    }
}
