//! A stretched price: far from its mean of late, with what became of such stretches before.
//!
//! Whether a stretch means a way back is a question of fact, which the rule keeps count of: how many of them came
//! half the way back in time. It tells the stretch with that record, and no action.

use std::collections::VecDeque;

use crate::analytics::rolling::moments::Moments;
use crate::analytics::rolling::state::State;
use crate::analytics::signals::entry::{RuleEntry, Scope, any};
use crate::analytics::signals::facts::with_candle;
use crate::analytics::signals::pace::Pace;
use crate::analytics::signals::parameter::RuleParameter;
use crate::analytics::signals::record::Record;
use crate::analytics::signals::returns::score_of;
use crate::analytics::signals::rule::{Occasion, Rule, Verdict};
use crate::domain::insight::{Evidence, Fact, Severity, SignalKind};

pub const ENTRY: RuleEntry = RuleEntry {
    name: "mean_reversion",
    kind: SignalKind::Direction,
    summary: "a price stretched far from its mean, with how often such stretches came back",
    scope: Scope::Interval,
    severity: Severity::Info,
    parameters: &[
        RuleParameter::cooldown(15),
        RuleParameter::hysteresis(3),
        RuleParameter::count("window", "candles of the mean", 60, 5),
        RuleParameter::number("entry", "standard deviations from which on it is stretched", 3.0, 0.5, 50.0),
        RuleParameter::count("horizon", "candles in which it may come half the way back", 15, 1),
    ],
    check: any,
    build: |settings| {
        Box::new(MeanReversion {
            severity: settings.severity,
            entry: settings.number("entry"),
            horizon: settings.count("horizon"),
            window: settings.count("window"),
            closes: Moments::new(settings.number("window") as usize),
            stretches: VecDeque::new(),
            record: Record::default(),
            pace: Pace::new(settings),
        })
    },
};

/// Of a price that does not move: a hundredth of a basis point.
const DEVIATION_FLOOR: f64 = 1e-6;

struct MeanReversion {
    severity: Severity,
    entry: f64,
    horizon: u64,
    window: u64,
    /// Logarithms, of the candles before.
    closes: Moments<2>,
    stretches: VecDeque<Stretch>,
    record: Record,
    pace: Pace,
}

/// One whose end is not known yet.
#[derive(Clone, Copy, Debug, Default)]
struct Stretch {
    /// Candles since.
    age: u64,
    /// The logarithm half the way back, and whether that is below.
    goal: f64,
    is_below: bool,
}

impl MeanReversion {
    fn follow(&mut self, log_close: f64) {
        let (record, horizon) = (&mut self.record, self.horizon);
        self.stretches.retain_mut(|stretch| {
            stretch.age += 1;
            let is_back =
                if stretch.is_below { log_close <= stretch.goal } else { log_close >= stretch.goal };
            let is_over = is_back || stretch.age >= horizon;
            if is_over {
                record.count(is_back);
            }
            !is_over
        });
    }
}

impl Rule for MeanReversion {
    fn consider(&mut self, occasion: &Occasion<'_>) -> Option<Verdict> {
        let Occasion::Candle(closed) = occasion else { return None };
        if closed.whole <= 1 {
            // What happened in the hole is not known: neither hit nor miss.
            self.stretches.clear();
        }
        let log_close = libm::log(closed.close()?);
        self.follow(log_close);
        let is_warm = self.closes.is_full();
        let (distance, variance) = self.closes.deviation_and_variance(log_close);
        self.closes.push(log_close);
        if !is_warm {
            return None;
        }
        let deviation = variance.sqrt().max(DEVIATION_FLOOR);
        let z = distance / deviation;
        if !self.pace.step(z.abs() >= self.entry) {
            return None;
        }
        let (record, (lower, upper)) = (self.record, self.record.interval());
        self.stretches.push_back(Stretch {
            age: 0,
            goal: log_close - distance / 2.0,
            is_below: distance > 0.0,
        });
        let side = if distance > 0.0 { "above" } else { "below" };
        let mut message = format!(
            "the price is {:.1} standard deviations {side} its mean of {} {} candles",
            z.abs(),
            self.window,
            closed.candle.interval
        );
        if record.trials > 0 {
            message.push_str(&format!(
                "; {} of {} such stretches came half the way back within {} candles",
                record.hits, record.trials, self.horizon
            ));
        }
        let evidence = Evidence::default()
            .with("z", Fact::Number(z))
            .with("z_min", Fact::Number(self.entry))
            .with("distance_bp", Fact::Number(1e4 * distance))
            .with("deviation_bp", Fact::Number(1e4 * deviation))
            .with("came_back", Fact::Count(record.hits as i64))
            .with("stretches", Fact::Count(record.trials as i64))
            .with("came_back_lower", Fact::Number(lower))
            .with("came_back_upper", Fact::Number(upper))
            .with("window", Fact::Count(self.window as i64))
            .with("horizon", Fact::Count(self.horizon as i64));
        Some(Verdict {
            severity: self.severity,
            action: None,
            exchange_at: closed.candle.close_at,
            score: score_of(z / self.entry),
            message,
            evidence: with_candle(evidence, closed.candle),
            models: Vec::new(),
            data_state: closed.rests_on(self.window),
        })
    }

    fn state(&mut self, state: &mut State<'_>) {
        self.closes.state(state);
        let mut len = self.stretches.len();
        state.len(&mut len);
        self.stretches.resize(len, Stretch::default());
        for stretch in &mut self.stretches {
            state.word(&mut stretch.age);
            state.f64(&mut stretch.goal);
            state.bool(&mut stretch.is_below);
        }
        self.record.state(state);
        self.pace.state(state);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analytics::signals::trial::Trial;

    #[test]
    fn stretches_are_told_with_their_record() {
        let mut trial = Trial::new(&ENTRY, &[("window", 20.0)]);
        let mut messages = Vec::new();
        for round in 0..3 {
            for i in 0..60 {
                let jump = if i == 30 { 1.0 } else { 0.0 };
                // In the last round the price stays where it jumped to.
                let stays = if round == 2 && i > 30 { 1.0 } else { 0.0 };
                let told = trial.candle(100.0 + f64::from(i % 2) * 0.1 + jump + stays, &[], &[]);
                messages.extend(told.map(|verdict| {
                    trial.check_evidence(&verdict);
                    verdict.message
                }));
            }
        }
        assert_eq!(messages.len(), 3, "{messages:#?}");
        assert!(
            messages[0].ends_with(" standard deviations above its mean of 20 1m candles"),
            "{}",
            messages[0]
        );
        assert!(messages[2].ends_with("; 2 of 2 such stretches came half the way back within 15 candles"));
    }

    #[test]
    fn what_does_not_come_back_counts_as_well() {
        let mut trial = Trial::new(&ENTRY, &[("window", 20.0), ("cooldown", 0.0)]);
        for i in 0..40 {
            trial.candle(100.0 + f64::from(i % 2) * 0.1, &[], &[]);
        }
        assert!(trial.candle(90.0, &[], &[]).is_some());
        for i in 0..60 {
            trial.candle(90.0 + f64::from(i % 2) * 0.1, &[], &[]);
        }
        let told = trial.candle(80.0, &[], &[]).unwrap();
        assert!(told.message.contains("; 0 of 1 such stretches"), "{}", told.message);
    }
}
