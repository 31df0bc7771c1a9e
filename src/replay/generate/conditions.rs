//! The conditions under which a symbol trades: what changes from time to time.
//!
//! Volatility regimes switch as a Markov chain (as in J. D. Hamilton, "A new approach to the
//! economic analysis of nonstationary time series and the business cycle", Econometrica 57(2),
//! 1989): each lasts an exponential time, then one of the others follows. Jumps are a Poisson
//! process. Silences are the venue's: every symbol computes the same ones. Anomalies (pump,
//! crash, volume burst, wide spread) come one at a time, each in two phases.

use crate::domain::event::Side;
use crate::domain::time::{NANOS_PER_SECOND, UnixNanos};
use crate::replay::generate::label::{Label, LabelKind, Magnitude};
use crate::replay::generate::parameters::Parameters;
use crate::replay::generate::random::Random;

const NANOS_PER_HOUR: f64 = 3.6e12;
const NEVER: i64 = i64::MAX;

/// Name, volatility and activity of a regime. The activities average to one, as the regimes
/// last equally long on average.
const REGIMES: [(&str, i64, f64); 3] =
    [("calm", 500_000, 0.5), ("normal", 1_000_000, 1.0), ("wild", 3_000_000, 1.5)];

const ANOMALIES: [LabelKind; 4] =
    [LabelKind::Pump, LabelKind::Crash, LabelKind::VolumeBurst, LabelKind::WideSpread];

/// How a symbol trades until the next change.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Climate {
    /// Factor of the rate of orders that nothing caused; 0 in a silence.
    pub activity: f64,
    /// Factor of the volatility.
    pub volatility: f64,
    /// Fraction of the price a second.
    pub drift: f64,
    /// Factor of the trade size.
    pub size: f64,
    /// Fraction of the price on either side.
    pub half_spread: f64,
    /// The side that most orders take, if any.
    pub favoured: Option<Side>,
}

/// An anomaly under way.
struct Anomaly {
    kind: LabelKind,
    /// Millionths: of the price, or factor of the activity.
    size: i64,
    half_nanos: i64,
    second_half: bool,
}

/// All that changes from time to time, and when it changes next.
pub struct Conditions {
    symbol: usize,
    /// Changes happen at whole units of the venue's clock.
    unit: i64,
    end_at: i64,

    regime_nanos: f64,
    regime_random: Random,
    regime: usize,
    regime_ends_at: i64,

    silence_wait_nanos: f64,
    silence_nanos: f64,
    silence_random: Random,
    silent: bool,
    silence_turns_at: i64,

    jump_wait_nanos: f64,
    jump_size: f64,
    jump_random: Random,
    jumps_at: i64,

    anomaly_wait_nanos: f64,
    anomaly_random: Random,
    anomaly: Option<Anomaly>,
    anomaly_turns_at: i64,

    next_at: i64,
    climate: Climate,
}

/// Mean nanoseconds between things that happen so often an hour; `None` where they never do.
fn mean_wait(per_hour: f64) -> f64 {
    if per_hour > 0.0 { NANOS_PER_HOUR / per_hour } else { f64::INFINITY }
}

impl Conditions {
    /// `streams` makes the random streams of the symbol; the silences' is the venue's.
    pub fn new(
        parameters: &Parameters,
        symbol: usize,
        start_at: i64,
        end_at: i64,
        streams: impl Fn(&str) -> Random,
        venue_stream: Random,
    ) -> Self {
        let mut conditions = Self {
            symbol,
            unit: parameters.clock_unit.nanos(),
            end_at,
            regime_nanos: parameters.regime_seconds * 1e9,
            regime_random: streams("regimes"),
            regime: 1,
            regime_ends_at: NEVER,
            silence_wait_nanos: mean_wait(parameters.silences_per_hour),
            silence_nanos: parameters.silence_seconds * 1e9,
            silence_random: venue_stream,
            silent: false,
            silence_turns_at: NEVER,
            jump_wait_nanos: mean_wait(parameters.jumps_per_hour),
            jump_size: parameters.jump_size,
            jump_random: streams("jumps"),
            jumps_at: NEVER,
            anomaly_wait_nanos: mean_wait(parameters.anomalies_per_hour),
            anomaly_random: streams("anomalies"),
            anomaly: None,
            anomaly_turns_at: NEVER,
            next_at: start_at,
            climate: Climate {
                activity: 1.0,
                volatility: 1.0,
                drift: 0.0,
                size: 1.0,
                half_spread: 0.0,
                favoured: None,
            },
        };
        if conditions.regime_nanos > 0.0 {
            conditions.regime = conditions.regime_random.below(REGIMES.len() as u64) as usize;
            conditions.regime_ends_at = start_at;
        }
        conditions.silence_turns_at = conditions.after(start_at, Wait::Silence);
        conditions.jumps_at = conditions.after(start_at, Wait::Jump);
        conditions.anomaly_turns_at = conditions.after(start_at, Wait::Anomaly);
        conditions
    }

    /// When [`Conditions::turn`] is due; never after the end.
    #[inline]
    pub fn next_at(&self) -> i64 {
        self.next_at
    }

    #[inline]
    pub fn climate(&self) -> &Climate {
        &self.climate
    }

    /// The next change happens. Tells the jump of the price, in millionths, if there is one.
    pub fn turn(&mut self, label: &mut impl FnMut(Label)) -> Option<i64> {
        let now = self.next_at;
        if self.regime_ends_at == now {
            self.turn_regime(now, label);
        }
        if self.silence_turns_at == now {
            self.turn_silence(now, label);
        }
        if self.anomaly_turns_at == now {
            self.turn_anomaly(now, label);
        }
        let jump = (self.jumps_at == now).then(|| self.take_jump(now, label));
        self.next_at = self
            .regime_ends_at
            .min(self.silence_turns_at)
            .min(self.anomaly_turns_at)
            .min(self.jumps_at)
            .min(self.end_at);
        self.climate = self.compute_climate();
        jump
    }

    fn turn_regime(&mut self, now: i64, label: &mut impl FnMut(Label)) {
        let others = REGIMES.len() as u64 - 1;
        let step = 1 + self.regime_random.below(others) as usize;
        self.regime = (self.regime + step) % REGIMES.len();
        let length = self.regime_random.exponential() * self.regime_nanos;
        self.regime_ends_at = self.later(now, length);
        let (name, volatility, _) = REGIMES[self.regime];
        label(Label {
            detail: Some(name),
            ..self.label(LabelKind::Regime, now, self.regime_ends_at, Magnitude::millionths(volatility))
        });
    }

    fn turn_silence(&mut self, now: i64, label: &mut impl FnMut(Label)) {
        self.silent = !self.silent;
        if !self.silent {
            self.silence_turns_at = self.after(now, Wait::Silence);
            return;
        }
        let length = self.silence_random.exponential() * self.silence_nanos;
        self.silence_turns_at = self.later(now, length);
        let to = self.silence_turns_at.min(self.end_at);
        label(self.label(LabelKind::Silence, now, to, Magnitude::seconds(to - now)));
    }

    fn turn_anomaly(&mut self, now: i64, label: &mut impl FnMut(Label)) {
        match &mut self.anomaly {
            Some(anomaly) if anomaly.second_half => {
                self.anomaly = None;
                self.anomaly_turns_at = self.after(now, Wait::Anomaly);
            }
            Some(anomaly) => {
                anomaly.second_half = true;
                self.anomaly_turns_at = now + anomaly.half_nanos;
            }
            None => {
                let random = &mut self.anomaly_random;
                let kind = ANOMALIES[random.below(ANOMALIES.len() as u64) as usize];
                let seconds = 20 + random.below(101) as i64;
                let size = match kind {
                    LabelKind::Pump | LabelKind::Crash => 20_000 + random.below(60_001) as i64,
                    LabelKind::VolumeBurst => 4_000_000 + random.below(6_000_001) as i64,
                    _ => 1_000 + random.below(4_001) as i64,
                };
                let anomaly =
                    Anomaly { kind, size, half_nanos: seconds * NANOS_PER_SECOND, second_half: false };
                self.anomaly_turns_at = now + anomaly.half_nanos;
                let signed = if kind == LabelKind::Crash { -size } else { size };
                let to = now + 2 * anomaly.half_nanos;
                label(self.label(kind, now, to, Magnitude::millionths(signed)));
                self.anomaly = Some(anomaly);
            }
        }
    }

    fn take_jump(&mut self, now: i64, label: &mut impl FnMut(Label)) -> i64 {
        let millionths =
            (self.jump_random.normal() * self.jump_size * 1e6).clamp(-300_000.0, 300_000.0) as i64;
        self.jumps_at = self.after(now, Wait::Jump);
        label(self.label(LabelKind::Jump, now, now, Magnitude::millionths(millionths)));
        millionths
    }

    fn compute_climate(&self) -> Climate {
        let (_, volatility, activity) = REGIMES[self.regime];
        let mut climate = Climate {
            activity,
            volatility: volatility as f64 / 1e6,
            drift: 0.0,
            size: 1.0,
            half_spread: 0.0,
            favoured: None,
        };
        if let Some(anomaly) = &self.anomaly {
            let size = anomaly.size as f64 / 1e6;
            let half_seconds = (anomaly.half_nanos / NANOS_PER_SECOND) as f64;
            match anomaly.kind {
                LabelKind::Pump | LabelKind::Crash => {
                    // The way out, then more than half of the way back.
                    let outwards = if anomaly.second_half { -0.6 } else { 1.0 };
                    let up = if anomaly.kind == LabelKind::Pump { outwards } else { -outwards };
                    climate.activity *= 4.0;
                    climate.drift = up * size / half_seconds;
                    climate.favoured = Some(if up > 0.0 { Side::Buy } else { Side::Sell });
                }
                LabelKind::VolumeBurst => {
                    climate.activity *= size;
                    climate.size = 3.0;
                }
                _ => {
                    climate.activity *= 0.5;
                    climate.half_spread = size;
                }
            }
        }
        if self.silent {
            climate.activity = 0.0;
        }
        climate
    }

    fn label(&self, kind: LabelKind, from: i64, to: i64, magnitude: Magnitude) -> Label {
        Label {
            kind,
            symbol: self.symbol,
            from: UnixNanos(from),
            to: UnixNanos(to.min(self.end_at)),
            ids: None,
            magnitude,
            detail: None,
        }
    }

    /// The beginning of the next one of a kind that comes by chance.
    fn after(&mut self, now: i64, wait: Wait) -> i64 {
        let (random, mean) = match wait {
            Wait::Silence => (&mut self.silence_random, self.silence_wait_nanos),
            Wait::Jump => (&mut self.jump_random, self.jump_wait_nanos),
            Wait::Anomaly => (&mut self.anomaly_random, self.anomaly_wait_nanos),
        };
        if mean.is_infinite() {
            return NEVER;
        }
        let nanos = random.exponential() * mean;
        self.later(now, nanos)
    }

    /// A whole unit of the venue's clock, at least one after `now`.
    fn later(&self, now: i64, nanos: f64) -> i64 {
        /// Thirty years: past any end.
        const FAR: f64 = 1e18;
        let units = (nanos.min(FAR) as i64 / self.unit).max(1);
        now.saturating_add(units * self.unit)
    }
}

/// What is waited for.
enum Wait {
    Silence,
    Jump,
    Anomaly,
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 3_600 * NANOS_PER_SECOND;

    /// The labels of so many hours, and the climates with their lengths.
    fn run(parameters: &Parameters, hours: i64) -> (Vec<Label>, Vec<(i64, Climate)>) {
        let streams = |name: &str| Random::new(parameters.seed, name);
        let mut conditions =
            Conditions::new(parameters, 0, 0, hours * HOUR, streams, Random::new(1, "venue"));
        let (mut labels, mut climates) = (Vec::new(), Vec::new());
        let mut before = None;
        while conditions.next_at() < hours * HOUR {
            let at = conditions.next_at();
            conditions.turn(&mut |label| labels.push(label));
            if let Some((since, climate)) = before.replace((at, *conditions.climate())) {
                climates.push((at - since, climate));
            }
            assert!(conditions.next_at() > at);
        }
        (labels, climates)
    }

    #[test]
    fn rare_things_are_as_frequent_as_asked() {
        let parameters = Parameters { anomalies_per_hour: 4.0, ..Parameters::default() };
        let (labels, climates) = run(&parameters, 2_000);
        let count = |kind| labels.iter().filter(|l| l.kind == kind).count() as f64 / 2_000.0;
        assert!((count(LabelKind::Jump) / 2.0 - 1.0).abs() < 0.1);
        assert!((count(LabelKind::Silence) - 1.0).abs() < 0.1);
        assert!((count(LabelKind::Regime) / 6.0 - 1.0).abs() < 0.1);
        // Each takes 140 s on average, in which no other begins: 4 in 3,600 + 4 * 140 seconds.
        let anomalies: f64 = ANOMALIES.map(count).iter().sum();
        assert!((anomalies / 3.46 - 1.0).abs() < 0.1, "{anomalies}");
        let silent: i64 = climates.iter().filter(|(_, c)| c.activity == 0.0).map(|(nanos, _)| nanos).sum();
        assert!((silent as f64 / (2_000.0 * 45e9 * 0.99) - 1.0).abs() < 0.1);
        let other = climates.iter().filter(|(_, c)| c.drift != 0.0).count();
        assert!(other > 100);
    }

    #[test]
    fn regimes_keep_the_mean_activity() {
        let parameters = Parameters { regime_seconds: 60.0, ..Parameters::clean() };
        let (labels, climates) = run(&parameters, 1_000);
        let (total, weighted) = climates
            .iter()
            .fold((0.0, 0.0), |(t, w), (nanos, c)| (t + *nanos as f64, w + *nanos as f64 * c.activity));
        assert!((weighted / total - 1.0).abs() < 0.02, "{}", weighted / total);
        for pair in labels.windows(2) {
            assert_eq!(pair[0].to, pair[1].from);
            assert_ne!(pair[0].detail, pair[1].detail);
        }
    }

    #[test]
    fn nothing_changes_where_all_is_switched_off() {
        let (labels, climates) = run(&Parameters::clean(), 100);
        assert_eq!((labels, climates), (vec![], vec![]));
    }
}
