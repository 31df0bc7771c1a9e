//! What every detector needs that measures how odd a candle is: a calibrated score, and a decision to tell.
//!
//! Each channel's strength, whatever its unit, becomes the share of its values that are larger ([`Spot`]), so that a
//! channel with a heavy tail does not drown the others; the oddest channel speaks. What is told is steered to a
//! budget ([`Budget`]). The score is set against the candles themselves: 0.99 is exceeded by one in a hundred.
//! After a hole nothing is told until the short memories that strengths rest on are full again.

use crate::analytics::anomaly::budget::Budget;
use crate::analytics::anomaly::detector::{Assessment, Tuning};
use crate::analytics::estimators::spot::Spot;
use crate::analytics::rolling::state::State;
use crate::domain::output::HeldBack;

/// Strengths of a channel until it has a say.
pub const WARM_UP: usize = 300;
/// Candles after a hole for which nothing is told: as many as the longest of the short memories.
pub const SETTLING: u32 = 20;
/// The share of candles whose oddness the scores are set against, its step, and what it is at least.
const COMMON: f64 = 0.99;
const COMMON_STEP: f64 = 0.2;
/// -ln of the share of [`PEAKS`](crate::analytics::estimators::spot::PEAKS): what is less odd is none.
const NATS_MIN: f64 = 3.912_023_005_428_146;
/// A score says how seldom something is: never that it cannot be.
const SCORE_MAX: f64 = 1.0 - f64::EPSILON;

/// Turns the strengths of `N` channels into scores and decisions.
#[derive(Clone, Debug)]
pub struct Alarm<const N: usize> {
    spots: [Spot; N],
    budget: Budget,
    /// -ln of the oddest channel's tail that one candle in a hundred exceeds: above what is no peak.
    common: f64,
    /// Candles for which nothing is told yet.
    settling: u32,
    /// -ln of the tail of the last candle's oddest channel; `None` while silent.
    nats: Option<f64>,
    /// From how many on it would have been told.
    threshold: f64,
    /// Why it was not told all the same; follows from the candle.
    held_back: Option<HeldBack>,
}

/// A candle that is told.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Alert {
    /// The oddest channel.
    pub channel: usize,
    /// Share of candles that are less odd.
    pub score: f64,
    /// The score from which on it is told.
    pub threshold: f64,
    /// Share of the channel's values that are larger.
    pub tail: f64,
    /// The strength of that channel from which on it is told.
    pub strength_min: f64,
}

impl<const N: usize> Alarm<N> {
    pub fn new(tuning: &Tuning) -> Self {
        Self {
            spots: std::array::from_fn(|_| Spot::new(WARM_UP)),
            budget: Budget::new(tuning),
            common: -libm::log(1.0 - COMMON),
            settling: 0,
            nats: None,
            threshold: 0.0,
            held_back: None,
        }
    }

    /// Takes how odd a candle is in each channel: 0 or more and finite, `None` where the channel has nothing to
    /// say. `None`: it is not told.
    #[inline]
    pub fn judge(&mut self, strengths: [Option<f64>; N]) -> Option<Alert> {
        self.threshold = self.budget.threshold_nats();
        self.held_back = None;
        // The largest by its quantile, compared without dividing: above 1 it is a peak.
        let (mut strongest, mut quantile) = (0.0_f64, 0.0_f64);
        let mut peaks = false;
        for (spot, strength) in self.spots.iter().zip(strengths) {
            let own = spot.quantile();
            let strength = strength.unwrap_or(0.0);
            peaks |= strength > own;
            let larger = strength * quantile >= strongest * own;
            strongest = if larger { strength } else { strongest };
            quantile = if larger { own } else { quantile };
        }
        if peaks {
            let alert = self.consider(strengths);
            self.learn(strengths);
            return alert;
        }
        // Here a strength only keeps the order.
        let share = if quantile > 0.0 { strongest / quantile } else { 0.0 };
        self.nats = self.is_warm().then_some(NATS_MIN * share);
        self.common = (self.common - COMMON_STEP * (1.0 - COMMON)).max(NATS_MIN);
        self.pass();
        self.learn(strengths);
        None
    }

    #[inline]
    fn learn(&mut self, strengths: [Option<f64>; N]) {
        for (spot, strength) in self.spots.iter_mut().zip(strengths) {
            if let Some(strength) = strength {
                spot.learn(strength);
            }
        }
    }

    /// A candle that is not told.
    #[inline]
    fn pass(&mut self) {
        if self.settling > 0 {
            self.settling -= 1;
        } else {
            self.budget.admit(0.0);
        }
    }

    #[cold]
    fn consider(&mut self, strengths: [Option<f64>; N]) -> Option<Alert> {
        let (mut tail, mut channel) = (1.0, 0);
        for (place, (spot, strength)) in self.spots.iter().zip(strengths).enumerate() {
            let of_channel = strength.map_or(1.0, |strength| spot.tail(strength));
            if of_channel < tail {
                (tail, channel) = (of_channel, place);
            }
        }
        // Far out the tail is zero to a float: then it is as seldom as a float can say.
        let nats = -libm::log(tail.max(f64::MIN_POSITIVE));
        self.nats = Some(nats);
        let common = self.common;
        let off = if nats > common { COMMON } else { COMMON - 1.0 };
        self.common = (common + COMMON_STEP * off).max(NATS_MIN);
        let from = self.threshold;
        if self.settling > 0 {
            self.held_back = (nats >= from).then_some(HeldBack::Gap);
            self.pass();
            return None;
        }
        let told = self.budget.admit(nats);
        self.held_back = self.budget.held_back();
        told.then(|| Alert {
            channel,
            score: score_of(nats, common),
            threshold: score_of(from, common),
            tail,
            strength_min: self.spots[channel].value_of(libm::exp(-from)),
        })
    }

    /// What came before has no bearing on what comes.
    pub fn interrupt(&mut self) {
        self.settling = SETTLING;
        self.nats = None;
        self.held_back = None;
    }

    /// Of the last candle; `None` while warming up, and before the first.
    pub fn assessment(&self) -> Option<Assessment> {
        let assess =
            |nats| Assessment { score: score_of(nats, self.common), nats, threshold: self.threshold };
        self.nats.map(assess)
    }

    /// Why the last candle was not told although it was odd enough.
    pub fn held_back(&self) -> Option<HeldBack> {
        self.held_back
    }

    /// Whether a channel has a say.
    pub fn is_warm(&self) -> bool {
        self.spots.iter().any(Spot::is_warm)
    }

    /// Visits every word of mutable state.
    pub fn state(&mut self, state: &mut State<'_>) {
        self.spots.iter_mut().for_each(|spot| spot.state(state));
        self.budget.state(state);
        state.f64(&mut self.common);
        state.u32(&mut self.settling);
        state.option_f64(&mut self.nats);
        state.f64(&mut self.threshold);
    }
}

/// One candle in a hundred is odder than `common`, and from there on each further e-fold is as seldom again.
fn score_of(nats: f64, common: f64) -> f64 {
    (1.0 - (1.0 - COMMON) * libm::exp(common - nats)).clamp(0.0, SCORE_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analytics::indicators::trial::Random;

    /// A channel with a light tail, and one with a heavy one.
    fn strengths(random: &mut Random) -> [Option<f64>; 2] {
        let light = -libm::log(1.0 - random.unit());
        let heavy = libm::pow(1.0 - random.unit(), -0.25);
        [Some(light), Some(heavy)]
    }

    #[test]
    fn scores_are_calibrated_and_the_budget_is_kept() {
        let mut random = Random(5);
        let mut alarm = Alarm::new(&Tuning::MINUTES);
        let (mut told, mut above) = ([0; 2], [0; 2]);
        let days = 60;
        for _ in 0..days * 1_440 {
            if let Some(alert) = alarm.judge(strengths(&mut random)) {
                told[alert.channel] += 1;
            }
            for (above, level) in above.iter_mut().zip([0.99, 0.999]) {
                *above += u32::from(alarm.assessment().is_some_and(|is| is.score > level));
            }
        }
        let rate = f64::from(told[0] + told[1]) / f64::from(days);
        assert!((3.0..5.0).contains(&rate), "{rate}");
        assert!(told[0].min(told[1]) * 4 > told[0].max(told[1]), "both channels have a say: {told:?}");
        let share = above.map(|above| f64::from(above) / f64::from(days * 1_440));
        assert!((0.008..0.012).contains(&share[0]), "{share:?}");
        assert!((0.0005..0.002).contains(&share[1]), "{share:?}");
    }

    #[test]
    fn an_alert_lies_beyond_its_threshold() {
        let mut random = Random(6);
        let mut alarm = Alarm::new(&Tuning::MINUTES);
        for _ in 0..20_000 {
            let strengths = strengths(&mut random);
            if let Some(alert) = alarm.judge(strengths) {
                assert!(alert.score >= alert.threshold && alert.score < 1.0, "{alert:?}");
                let strength = strengths[alert.channel].unwrap();
                // The tail has learned from it since.
                assert!(strength >= alert.strength_min * 0.8, "{strength}: {alert:?}");
            }
        }
        let alert = alarm.judge([Some(1e300), None]).unwrap();
        assert!(alert.score < 1.0 && alert.channel == 0, "{alert:?}");
    }

    #[test]
    fn after_a_hole_nothing_is_told_until_it_has_settled() {
        let mut random = Random(7);
        let mut alarm = Alarm::new(&Tuning::MINUTES);
        (0..5_000).for_each(|_| _ = alarm.judge(strengths(&mut random)));
        alarm.interrupt();
        assert_eq!(alarm.assessment(), None);
        for _ in 0..SETTLING {
            assert_eq!(alarm.judge([Some(1e3), None]), None);
            assert_eq!(alarm.held_back(), Some(HeldBack::Gap));
        }
        assert!(alarm.judge([Some(1e3), None]).is_some());
        assert_eq!(alarm.held_back(), None);
        assert_eq!(alarm.judge([Some(1e3), None]), None);
        assert_eq!(alarm.held_back(), Some(HeldBack::Burst));
        alarm.judge([Some(0.5), None]);
        assert_eq!(alarm.held_back(), None);
    }

    #[test]
    fn saved_in_the_middle_it_goes_on_as_if_nothing_had_happened() {
        for cut in [10, 299, 300, 5_000] {
            let mut random = Random(cut);
            let mut alarm = Alarm::new(&Tuning::MINUTES);
            (0..cut).for_each(|_| _ = alarm.judge(strengths(&mut random)));
            let mut words = Vec::new();
            alarm.state(&mut State::Save(&mut words));
            let mut restored = Alarm::<2>::new(&Tuning::MINUTES);
            let mut state = State::load(&words);
            restored.state(&mut state);
            assert_eq!(state.finish(), Ok(()));
            for _ in 0..3_000 {
                let strengths = strengths(&mut random);
                assert_eq!(alarm.judge(strengths), restored.judge(strengths));
                assert_eq!(alarm.assessment(), restored.assessment());
            }
        }
    }
}
