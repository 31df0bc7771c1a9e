//! A detector over the four sides of a candle: each has its gauge, and the oddest side speaks.

use crate::analytics::anomaly::alarm::{Alarm, Alert};
use crate::analytics::anomaly::detector::{Assessment, Detector, Finding, Tuning};
use crate::analytics::anomaly::sides::Sides;
use crate::analytics::features::Features;
use crate::analytics::rolling::state::State;
use crate::domain::output::HeldBack;

/// Says how odd a value is against those before it.
pub trait Gauge: Send {
    /// 0 or more and finite, whatever the unit; `None` while warming up.
    fn strength(&self, value: f64) -> Option<f64>;

    /// Takes a finite value.
    fn learn(&mut self, value: f64);

    /// What is told of a value that it has not yet learned.
    fn finding(&self, alert: &Alert, value: f64, strength: f64) -> Finding;

    /// Visits every word of mutable state.
    fn state(&mut self, state: &mut State<'_>);
}

/// The sides, their gauges, and the alarm over them.
pub struct Watch<G> {
    sides: Sides,
    gauges: [G; 4],
    alarm: Alarm<4>,
}

impl<G: Gauge> Watch<G> {
    pub fn new(tuning: &Tuning, sides: Sides, gauge: impl Fn() -> G) -> Self {
        Self { sides, gauges: std::array::from_fn(|_| gauge()), alarm: Alarm::new(tuning) }
    }
}

impl<G: Gauge> Detector for Watch<G> {
    fn observe(&mut self, features: &Features, found: &mut Vec<Finding>) {
        let values = self.sides.of(features);
        let mut strengths = [None; 4];
        for ((strength, gauge), value) in strengths.iter_mut().zip(&self.gauges).zip(values) {
            *strength = value.and_then(|value| gauge.strength(value));
        }
        if let Some(alert) = self.alarm.judge(strengths) {
            let strength = strengths[alert.channel].unwrap_or_default();
            let value = values[alert.channel].unwrap_or_default();
            found.push(self.gauges[alert.channel].finding(&alert, value, strength));
        }
        for (gauge, value) in self.gauges.iter_mut().zip(values) {
            if let Some(value) = value {
                gauge.learn(value);
            }
        }
    }

    fn interrupt(&mut self) {
        self.sides.interrupt();
        self.alarm.interrupt();
    }

    fn held_back(&self) -> Option<HeldBack> {
        self.alarm.held_back()
    }

    fn assessment(&self) -> Option<Assessment> {
        self.alarm.assessment()
    }

    fn state(&mut self, state: &mut State<'_>) {
        self.sides.state(state);
        self.gauges.iter_mut().for_each(|gauge| gauge.state(state));
        self.alarm.state(state);
    }
}
