//! A forecast's interval is broken: the price ended far outside of what it was expected to lie in.
//!
//! An interval that should hold nine of ten outcomes is left by one in ten, and that is no news. Told is an outcome
//! that lies beyond its border by twice as much as the border was away, or whatever `excess` says.

use std::collections::VecDeque;

use crate::analytics::rolling::state::State;
use crate::analytics::signals::entry::{RuleEntry, Scope, any};
use crate::analytics::signals::facts::with_candle;
use crate::analytics::signals::pace::Pace;
use crate::analytics::signals::parameter::RuleParameter;
use crate::analytics::signals::returns::score_of;
use crate::analytics::signals::rule::{Closed, Occasion, Rule, Verdict};
use crate::domain::insight::{Evidence, Fact, Forecast, Severity, SignalKind, Target};
use crate::domain::time::UnixNanos;

pub const ENTRY: RuleEntry = RuleEntry {
    name: "interval_breach",
    kind: SignalKind::Volatility,
    summary: "a price far outside of the interval that was forecast for it",
    scope: Scope::Interval,
    severity: Severity::Warning,
    parameters: &[
        RuleParameter::cooldown(10),
        RuleParameter::hysteresis(3),
        RuleParameter {
            max: 1_440.0,
            ..RuleParameter::count("horizon", "candles ahead of the forecasts that are looked at", 1, 1)
        },
        RuleParameter::number(
            "excess",
            "distances from forecast to border by which it lies beyond",
            2.0,
            0.0,
            1_000.0,
        ),
    ],
    check: any,
    build: |settings| {
        Box::new(IntervalBreach {
            severity: settings.severity,
            horizon: settings.count("horizon"),
            excess: settings.number("excess"),
            expected: VecDeque::new(),
            outside: 0,
            seen: 0,
            pace: Pace::new(settings),
        })
    },
};

struct IntervalBreach {
    severity: Severity,
    horizon: u64,
    excess: f64,
    /// By target, ascending.
    expected: VecDeque<Expected>,
    /// Outcomes outside of their interval, and all.
    outside: u64,
    seen: u64,
    pace: Pace,
}

/// What was forecast of a candle that is still to come.
#[derive(Clone, Copy, Debug, Default)]
struct Expected {
    target_at: i64,
    forecast: f64,
    lower: f64,
    upper: f64,
    level: f64,
}

impl IntervalBreach {
    fn chosen<'a>(&self, closed: &Closed<'a>) -> Option<&'a Forecast> {
        closed.leaned_on(Target::Price, self.horizon).first().copied()
    }

    /// What was expected of the candle; forecasts of candles that never came are dropped.
    fn due(&mut self, at: UnixNanos) -> Option<Expected> {
        while self.expected.front().is_some_and(|expected| expected.target_at < at.0) {
            self.expected.pop_front();
        }
        let is_due = self.expected.front().is_some_and(|expected| expected.target_at == at.0);
        if is_due { self.expected.pop_front() } else { None }
    }

    fn verdict(&self, closed: &Closed<'_>, expected: &Expected, close: f64, beyond: f64) -> Verdict {
        let percent = 100.0 * expected.level;
        let side = if close > expected.upper { "above" } else { "below" };
        let message = format!(
            "the price ended {side} the interval forecast {} {} candles before, by {beyond:.1} times its width on that side; {} of {} outcomes lay outside, {:.0} % were expected",
            self.horizon, closed.candle.interval, self.outside, self.seen, 100.0 - percent
        )
        .replace("forecast 1 ", "forecast one ")
        .replace("candles before, by", if self.horizon == 1 { "candle before, by" } else { "candles before, by" });
        let evidence = Evidence::default()
            .with("forecast", Fact::Number(expected.forecast))
            .with("lower", Fact::Number(expected.lower))
            .with("upper", Fact::Number(expected.upper))
            .with("level", Fact::Number(expected.level))
            .with("beyond", Fact::Number(beyond))
            .with("beyond_min", Fact::Number(self.excess))
            .with("horizon", Fact::Count(self.horizon as i64))
            .with("outside", Fact::Count(self.outside as i64))
            .with("outcomes", Fact::Count(self.seen as i64));
        Verdict {
            severity: self.severity,
            action: None,
            exchange_at: closed.candle.close_at,
            score: score_of(beyond / self.excess.max(0.1)),
            message,
            evidence: with_candle(evidence, closed.candle),
            models: self.chosen(closed).map(|forecast| forecast.model.clone()).into_iter().collect(),
            data_state: closed.data_state,
        }
    }
}

impl Rule for IntervalBreach {
    fn consider(&mut self, occasion: &Occasion<'_>) -> Option<Verdict> {
        let Occasion::Candle(closed) = occasion else { return None };
        let due = self.due(closed.candle.close_at);
        if let Some(forecast) = self.chosen(closed) {
            self.expected.push_back(Expected {
                target_at: forecast.target_at.0,
                forecast: forecast.forecast,
                lower: forecast.lower,
                upper: forecast.upper,
                level: forecast.level,
            });
        }
        let (expected, close) = due.zip(closed.close())?;
        let above = (close - expected.upper) / (expected.upper - expected.forecast).max(f64::MIN_POSITIVE);
        let below = (expected.lower - close) / (expected.forecast - expected.lower).max(f64::MIN_POSITIVE);
        let beyond = above.max(below);
        self.seen += 1;
        self.outside += u64::from(beyond > 0.0);
        // An interval without width says nothing.
        let holds =
            beyond > self.excess && expected.lower < expected.forecast && expected.forecast < expected.upper;
        self.pace.step(holds).then(|| self.verdict(closed, &expected, close, beyond))
    }

    fn state(&mut self, state: &mut State<'_>) {
        let mut len = self.expected.len();
        state.len(&mut len);
        self.expected.resize(len, Expected::default());
        for expected in &mut self.expected {
            state.i64(&mut expected.target_at);
            for number in
                [&mut expected.forecast, &mut expected.lower, &mut expected.upper, &mut expected.level]
            {
                state.f64(number);
            }
        }
        state.word(&mut self.outside);
        state.word(&mut self.seen);
        self.pace.state(state);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analytics::signals::trial::{Trial, forecast};
    use crate::domain::insight::Role;

    /// Closes, each with a forecast of the next: 100, between 99 and 101.
    fn check(closes: &[f64], told_at: &[usize]) -> Vec<Verdict> {
        let mut trial = Trial::new(&ENTRY, &[("excess", 1.0)]);
        let mut told = Vec::new();
        let mut places = Vec::new();
        for (at, &close) in closes.iter().enumerate() {
            let next =
                forecast(Target::Price, Role::Champion, 1, trial.next_close_at(1), [99.0, 100.0, 101.0]);
            if let Some(verdict) = trial.candle(close, &[], &[next]) {
                trial.check_evidence(&verdict);
                places.push(at);
                told.push(verdict);
            }
        }
        assert_eq!(places, told_at, "{closes:?}");
        told
    }

    #[test]
    fn what_lies_just_outside_is_no_news() {
        check(&[150.0, 100.5, 101.5, 98.5, 100.0], &[]);
    }

    #[test]
    fn what_lies_far_outside_is_told_as_it_begins() {
        let told = check(&[100.0, 100.0, 103.0, 97.0, 100.0], &[2]);
        assert_eq!(
            told[0].message,
            "the price ended above the interval forecast one 1m candle before, by 2.0 times its width on that side; 1 of 2 outcomes lay outside, 10 % were expected"
        );
        assert_eq!(told[0].models, ["mixture@1".into()]);
    }
}
