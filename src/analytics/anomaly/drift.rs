//! Drift: forecasts of the next candle err by more, or by less, than they did.
//!
//! What is looked at are the sizes of the one-step errors of two plain forecasts, which cost next to nothing and
//! need no forecaster to run: the log volume against its exponentially weighted mean, and the return by the
//! volatility that was forecast for it. Sizes are taken in units of their slow deviation and cut off, for the tests
//! assume bounded values. ADWIN tells that their mean has moved, with what it was and is; Page-Hinkley is quicker
//! on steady moves. Markets' errors are not independent, as both tests assume: so the confidence is ten times that
//! of the papers, and how much is told is steered to the budget. The score is the share of candles without
//! an alarm of that test. Sources: Bifet and Gavalda (2007); Page (1954).

use crate::analytics::anomaly::budget::Budget;
use crate::analytics::anomaly::detector::{Assessment, Detector, DetectorEntry, Finding, Tuning};
use crate::analytics::anomaly::rarity::Rarity;
use crate::analytics::estimators::adwin::{Adwin, AdwinParameters, AfterDrift};
use crate::analytics::estimators::elementary::ln;
use crate::analytics::estimators::moments::EwMoments;
use crate::analytics::estimators::page_hinkley::{Direction, PageHinkley, PageHinkleyParameters};
use crate::analytics::features::Features;
use crate::analytics::rolling::state::State;
use crate::domain::insight::{Evidence, Fact};
use crate::domain::output::HeldBack;

pub const ENTRY: DetectorEntry = DetectorEntry {
    name: "drift",
    version: 1,
    summary: "one-step errors in volume or volatility are larger or smaller than they were, by ADWIN and Page-Hinkley",
    channels: &CHANNELS,
    warm_up: SCALE_MIN as usize,
    build: |tuning| Box::new(Drift::new(tuning)),
};

const CHANNELS: [&str; 2] = ["volatility_error", "volume_error"];
/// Weight of the newest candle in the forecast of the next one's log volume.
const VOLUME_WEIGHT: f64 = 0.3;
/// Weight of the newest error in how large errors usually are.
const SCALE_WEIGHT: f64 = 0.001;
/// Errors before their deviation means something.
const SCALE_MIN: u64 = 200;
/// Smallest deviation of an error.
const FLOOR: f64 = 0.05;
/// Deviations at which an error is cut off.
const ERROR_MAX: f64 = 4.0;
const ADWIN: AdwinParameters = AdwinParameters { delta: 0.0002, clock: 8, after_drift: AfterDrift::Keep };
const PAGE_HINKLEY: PageHinkleyParameters =
    PageHinkleyParameters { count_min: 60, delta: 0.5, threshold: 30.0, keep: 0.9999 };

struct Drift {
    /// The forecast of the next candle's log volume.
    volume: EwMoments,
    errors: [Errors; 2],
    budget: Budget,
    /// Of the last candle; `None` while warming up.
    score: Option<f64>,
}

/// The errors of one forecast, and the tests of whether they have changed.
struct Errors {
    usual: EwMoments,
    window: Adwin,
    sums: PageHinkley,
    /// Of each test.
    rarities: [Rarity; 2],
}

/// A test that has answered: how seldom it does, and why.
type Alarm = (f64, Evidence);

impl Drift {
    fn new(tuning: &Tuning) -> Self {
        let errors = || Errors {
            usual: EwMoments::with_even_start(SCALE_WEIGHT),
            window: Adwin::new(ADWIN),
            sums: PageHinkley::new(PAGE_HINKLEY),
            rarities: Default::default(),
        };
        let volume = EwMoments::new(VOLUME_WEIGHT);
        Self { volume, errors: [errors(), errors()], budget: Budget::new(tuning), score: None }
    }
}

impl Errors {
    fn is_scaled(&self) -> bool {
        self.usual.count() >= SCALE_MIN
    }

    /// What the tests say of an error's size, the more seldom one.
    fn alarm(&mut self, size: f64) -> Option<Alarm> {
        let mean = self.usual.mean().unwrap_or(size);
        let deviation = self.usual.variance().unwrap_or(0.0).sqrt().max(FLOOR);
        let is_scaled = self.is_scaled();
        self.usual.push(if is_scaled { size.min(mean + ERROR_MAX * deviation) } else { size });
        if !is_scaled {
            return None;
        }
        let standardised = (size / deviation).min(ERROR_MAX);
        self.rarities.iter_mut().for_each(Rarity::pass);
        let cut = self.window.push(standardised).map(|cut| {
            let word = if cut.mean_since > cut.mean_before { "larger" } else { "smaller" };
            let explanation = format!(
                "errors are {word} than they were: {:.2} deviations in the last {} candles, {:.2} in the {} before",
                cut.mean_since, cut.count_since, cut.mean_before, cut.count_before
            );
            let evidence = Evidence::default()
                .with("test", Fact::Text("adwin".into()))
                .with("mean_before", Fact::Number(cut.mean_before))
                .with("candles_before", Fact::Count(cut.count_before.cast_signed()))
                .with("mean_since", Fact::Number(cut.mean_since))
                .with("candles_since", Fact::Count(cut.count_since.cast_signed()))
                .with("excess", Fact::Number(cut.excess))
                .with("excess_min", Fact::Number(1.0))
                .with("error", Fact::Number(standardised))
                .with("explanation", Fact::Text(explanation.into()));
            (self.rarities[0].alarm(), evidence)
        });
        let sum = self.sums.push(standardised).map(|direction| {
            let (up, down) = self.sums.distances();
            let (word, distance) = match direction {
                Direction::Up => ("larger", up),
                Direction::Down => ("smaller", down),
            };
            let explanation = format!(
                "errors are {word} than the mean of the last {} candles, {:.2} deviations: together by {distance:.1}",
                self.sums.count(),
                self.sums.mean()
            );
            let evidence = Evidence::default()
                .with("test", Fact::Text("page_hinkley".into()))
                .with("mean", Fact::Number(self.sums.mean()))
                .with("candles", Fact::Count(self.sums.count().cast_signed()))
                .with("distance", Fact::Number(distance))
                .with("distance_min", Fact::Number(PAGE_HINKLEY.threshold))
                .with("error", Fact::Number(standardised))
                .with("explanation", Fact::Text(explanation.into()));
            (self.rarities[1].alarm(), evidence)
        });
        match (cut, sum) {
            (Some(cut), Some(sum)) => Some(if sum.0 > cut.0 { sum } else { cut }),
            (cut, sum) => cut.or(sum),
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
        // The forecast for a market that was not seen yet is what is seen.
        let forecast = self.volume.mean().unwrap_or(features.log_volume);
        self.volume.push(features.log_volume);
        let sizes = [features.scaled_return.abs(), (features.log_volume - forecast).abs()];
        let mut seldom: Option<(usize, Alarm)> = None;
        for (channel, (errors, size)) in self.errors.iter_mut().zip(sizes).enumerate() {
            let alarm = errors.alarm(size);
            if let Some(alarm) = alarm
                && seldom.as_ref().is_none_or(|(_, other)| alarm.0 > other.0)
            {
                seldom = Some((channel, alarm));
            }
        }
        if !self.errors[0].is_scaled() {
            return;
        }
        let score = seldom.as_ref().map_or(0.0, |(_, (score, _))| *score);
        self.score = Some(score);
        let from = self.budget.threshold_nats();
        if self.budget.admit(-ln(1.0 - score))
            && let Some((channel, (_, evidence))) = seldom
        {
            found.push(Finding {
                channel: CHANNELS[channel],
                score,
                threshold: (1.0 - libm::exp(-from)).min(score),
                evidence,
            });
        }
    }

    fn interrupt(&mut self) {
        self.score = None;
    }

    fn held_back(&self) -> Option<HeldBack> {
        self.budget.held_back()
    }

    fn assessment(&self) -> Option<Assessment> {
        let threshold = self.budget.threshold_nats();
        self.score.map(|score| Assessment { score, nats: -ln(1.0 - score), threshold })
    }

    fn state(&mut self, state: &mut State<'_>) {
        self.volume.state(state);
        self.errors.iter_mut().for_each(|errors| errors.state(state));
        self.budget.state(state);
        state.option_f64(&mut self.score);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analytics::anomaly::trial::{Market, check_state, found};

    /// From the middle on returns are wider than what was forecast, and volumes jump about.
    fn candles() -> Vec<Features> {
        let mut market = Market::new(8);
        let mut candles: Vec<_> = (0..1_500).map(|_| market.around(1.0, 3.0)).collect();
        candles.extend((0..500).map(|i| market.around(2.5, 3.0 + f64::from(i % 2) * 2.0)));
        candles
    }

    #[test]
    fn errors_that_grow_are_told_and_explained() {
        let found = found(&ENTRY, &candles());
        let of = |channel: &str| found.iter().find(|(_, finding)| finding.channel == channel);
        let first = found.first().expect("both errors grow");
        assert!((1_500..1_600).contains(&first.0), "{found:?}");
        let Some((_, Fact::Text(explanation))) = first.1.evidence.0.last() else { panic!("{first:?}") };
        assert!(explanation.starts_with("errors are larger"), "{explanation}");
        assert!(of("volatility_error").or(of("volume_error")).is_some(), "{found:?}");
        assert!(found.len() < 10, "{found:?}");
    }

    #[test]
    fn both_tests_answer() {
        let mut drift = Drift::new(&Tuning::MINUTES);
        let mut tests = std::collections::BTreeSet::new();
        for candle in candles() {
            if let Some((_, evidence)) = drift.errors[0].alarm(candle.scaled_return.abs()) {
                tests.insert(format!("{:?}", evidence.0[0].1));
            }
        }
        assert_eq!(tests.len(), 2, "{tests:?}");
    }

    #[test]
    fn saved_in_the_middle_it_goes_on_the_same() {
        check_state(&ENTRY, &candles(), &[0, 1, 199, 201, 700, 1_510, 1_600]);
    }
}
