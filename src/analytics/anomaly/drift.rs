//! Drift: forecasts of the next candle err otherwise than they did.
//!
//! What is looked at are standardised one-step errors of two plain forecasts, which cost next to nothing and
//! need no forecaster to run: the log volume against its exponentially weighted mean, and the size of the
//! scaled return (a return by the volatility that was forecast for it) against what such sizes were. Errors
//! are cut off at four deviations, for the tests assume bounded values. ADWIN tells that the mean of
//! the errors has moved, with what it was and is; Page-Hinkley is quicker on steady moves. The score is the
//! share of candles without an alarm of that test. Sources: Bifet and Gavalda (2007); Page (1954).

use crate::analytics::anomaly::detector::{Detector, DetectorEntry, Finding};
use crate::analytics::anomaly::rarity::Rarity;
use crate::analytics::estimators::adwin::{Adwin, AdwinParameters, AfterDrift};
use crate::analytics::estimators::moments::EwMoments;
use crate::analytics::estimators::page_hinkley::{Direction, PageHinkley, PageHinkleyParameters};
use crate::analytics::features::Features;
use crate::analytics::rolling::state::State;
use crate::domain::insight::{Evidence, Fact};

pub const ENTRY: DetectorEntry = DetectorEntry {
    name: "drift",
    version: 1,
    summary: "one-step errors in volume or volatility have another mean than they had, by ADWIN and Page-Hinkley",
    channels: &["volatility_error", "volume_error"],
    warm_up: WARM_UP,
    build: |_| Box::new(Drift::default()),
};

const WARM_UP: usize = 200;
/// Weight of the newest candle in the forecast of the next one's log volume.
const VOLUME_WEIGHT: f64 = 0.3;
/// Weight of the newest error in what errors usually are.
const SCALE_WEIGHT: f64 = 0.002;
/// Errors before they are standardised by what they usually are.
const SCALE_MIN: u64 = 60;
/// Smallest deviation of an error.
const FLOOR: f64 = 0.05;
const ERROR_MAX: f64 = 4.0;
const ADWIN: AdwinParameters = AdwinParameters { delta: 0.002, clock: 8, after_drift: AfterDrift::Keep };
const PAGE_HINKLEY: PageHinkleyParameters =
    PageHinkleyParameters { count_min: 60, delta: 0.25, threshold: 30.0, keep: 0.9999 };
const SCORE_MIN: f64 = 0.995;

struct Drift {
    seen: u64,
    /// The forecast of the next candle's log volume.
    volume: EwMoments,
    volume_errors: Errors,
    volatility_errors: Errors,
}

/// The errors of one forecast, and the tests of whether they have changed.
struct Errors {
    usual: EwMoments,
    window: Adwin,
    sums: PageHinkley,
    /// Of each test.
    rarities: [Rarity; 2],
}

impl Default for Drift {
    fn default() -> Self {
        let errors = || Errors {
            usual: EwMoments::with_even_start(SCALE_WEIGHT),
            window: Adwin::new(ADWIN),
            sums: PageHinkley::new(PAGE_HINKLEY),
            rarities: Default::default(),
        };
        let volume = EwMoments::new(VOLUME_WEIGHT);
        Self { seen: 0, volume, volume_errors: errors(), volatility_errors: errors() }
    }
}

impl Errors {
    fn observe(&mut self, channel: &'static str, is_warm: bool, error: f64, found: &mut Vec<Finding>) {
        let mean = self.usual.mean().unwrap_or(error);
        let deviation = self.usual.variance().unwrap_or(0.0).sqrt().max(FLOOR);
        let standardised = ((error - mean) / deviation).clamp(-ERROR_MAX, ERROR_MAX);
        let is_scaled = self.usual.count() >= SCALE_MIN;
        self.usual.push(if is_scaled { mean + standardised * deviation } else { error });
        if !is_scaled {
            return;
        }
        self.rarities.iter_mut().for_each(Rarity::pass);
        let mut tell = |score: f64, evidence: Evidence| {
            if is_warm && score >= SCORE_MIN {
                let evidence = evidence
                    .with("error", Fact::Number(error))
                    .with("standardised_error", Fact::Number(standardised));
                found.push(Finding { channel, score, threshold: SCORE_MIN, evidence });
            }
        };
        if let Some(cut) = self.window.push(standardised) {
            let evidence = Evidence::default()
                .with("test", Fact::Text("adwin".into()))
                .with("mean_before", Fact::Number(cut.mean_before))
                .with("candles_before", Fact::Count(cut.count_before.cast_signed()))
                .with("mean_since", Fact::Number(cut.mean_since))
                .with("candles_since", Fact::Count(cut.count_since.cast_signed()))
                .with("excess", Fact::Number(cut.excess))
                .with("excess_min", Fact::Number(1.0));
            tell(self.rarities[0].alarm(), evidence);
        }
        if let Some(direction) = self.sums.push(standardised) {
            let (up, down) = self.sums.distances();
            let (word, distance) = match direction {
                Direction::Up => ("up", up),
                Direction::Down => ("down", down),
            };
            let evidence = Evidence::default()
                .with("test", Fact::Text("page_hinkley".into()))
                .with("direction", Fact::Text(word.into()))
                .with("distance", Fact::Number(distance))
                .with("distance_min", Fact::Number(PAGE_HINKLEY.threshold))
                .with("candles_since", Fact::Count(self.sums.count().cast_signed()));
            tell(self.rarities[1].alarm(), evidence);
        }
    }

    fn state(&mut self, state: &mut State<'_>) {
        self.usual.state(state);
        self.window.state(state);
        self.sums.state(state);
        self.rarities.iter_mut().for_each(|rarity| rarity.state(state));
    }
}

impl Detector for Drift {
    fn observe(&mut self, features: &Features, found: &mut Vec<Finding>) {
        self.seen = self.seen.saturating_add(1);
        let is_warm = self.seen > WARM_UP as u64;
        self.volatility_errors.observe("volatility_error", is_warm, features.scaled_return.abs(), found);
        if let Some(forecast) = self.volume.mean() {
            self.volume_errors.observe("volume_error", is_warm, features.log_volume - forecast, found);
        }
        self.volume.push(features.log_volume);
    }

    fn state(&mut self, state: &mut State<'_>) {
        state.word(&mut self.seen);
        self.volume.state(state);
        self.volume_errors.state(state);
        self.volatility_errors.state(state);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analytics::anomaly::trial::{Market, check_state, found};

    /// From the middle on returns are wider than what was forecast, and volumes keep climbing.
    fn candles() -> Vec<Features> {
        let mut market = Market::new(8);
        let calm = (0..1_500).map(|_| market.around(1.0, 3.0));
        let calm: Vec<_> = calm.collect();
        let wild = (0..500).map(|i| market.around(2.5, 3.0 + 0.2 * f64::from(i)));
        calm.into_iter().chain(wild).collect()
    }

    #[test]
    fn errors_that_move_are_told_by_both_tests() {
        let found = found(&ENTRY, &candles());
        let tests = |channel: &str| -> Vec<(usize, &Fact)> {
            let of = found.iter().filter(|(_, finding)| finding.channel == channel);
            of.map(|(i, finding)| (*i, &finding.evidence.0[0].1)).collect()
        };
        for channel in ["volatility_error", "volume_error"] {
            let told = tests(channel);
            for test in ["adwin", "page_hinkley"] {
                let first = told.iter().find(|(_, fact)| **fact == Fact::Text(test.into()));
                assert!(
                    first.is_some_and(|(i, _)| (1_500..1_700).contains(i)),
                    "{channel}, {test}: {told:?}"
                );
            }
        }
    }

    #[test]
    fn saved_in_the_middle_it_goes_on_the_same() {
        check_state(&ENTRY, &candles(), &[0, 1, 59, 61, 700, 1_510, 1_600]);
    }
}
