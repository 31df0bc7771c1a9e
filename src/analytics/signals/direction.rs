//! Which way the price will go: the ensemble's word, and whether it is worth its fee.
//!
//! BUY or SELL is said only where it was earned: of the calls that the ensemble made before, on targets that do not
//! overlap, the lower bound of the share that came true lies above what betting on the more frequent way gives,
//! and what that bound earns on a usual move is more than the fee. Otherwise HOLD, with the numbers that say why.
//! The edge is (2 p - 1) times the mean move less the fee, in basis points, p being the share that came true.

use crate::analytics::rolling::state::State;
use crate::analytics::signals::entry::{RuleEntry, Scope, any};
use crate::analytics::signals::facts::with_candle;
use crate::analytics::signals::parameter::RuleParameter;
use crate::analytics::signals::record::Record;
use crate::analytics::signals::rule::{Closed, Occasion, Rule, Verdict};
use crate::domain::insight::{Action, Evidence, Fact, Forecast, Severity, SignalKind, Target};

pub const ENTRY: RuleEntry = RuleEntry {
    name: "direction",
    kind: SignalKind::Direction,
    summary: "buy, sell or hold by the ensemble of direction forecasts, with its edge after a fee",
    scope: Scope::Interval,
    severity: Severity::Info,
    parameters: &[
        RuleParameter::cooldown(5),
        RuleParameter::hysteresis(1),
        RuleParameter {
            max: 1_440.0,
            ..RuleParameter::count("horizon", "candles ahead of the forecasts that are heard", 15, 1)
        },
        RuleParameter::number(
            "fee_bp",
            "basis points that entering and leaving cost together",
            10.0,
            0.0,
            1_000.0,
        ),
        RuleParameter::number("confidence", "probability from which on a forecast is a call", 0.52, 0.5, 1.0),
        RuleParameter::count(
            "calls",
            "calls whose end is known before it may say buy or sell, targets before it says anything",
            100,
            1,
        ),
        RuleParameter::count("remind", "candles until it is said again, changed or not; 0: never", 1_440, 0),
    ],
    check: any,
    build: |settings| {
        Box::new(Direction {
            severity: settings.severity,
            cooldown: settings.count("cooldown"),
            hysteresis: settings.count("hysteresis"),
            horizon: settings.count("horizon"),
            fee_bp: settings.number("fee_bp"),
            confidence: settings.number("confidence"),
            calls_min: settings.count("calls"),
            remind: settings.count("remind"),
            open: None,
            calls: Record::default(),
            rises: Record::default(),
            moves: 0.0,
            said: None,
            next: None,
            lasts: 0,
            since: 0,
        })
    },
};

struct Direction {
    severity: Severity,
    cooldown: u64,
    hysteresis: u64,
    horizon: u64,
    fee_bp: f64,
    confidence: f64,
    calls_min: u64,
    remind: u64,
    /// The one target whose end is not known yet: they do not overlap.
    open: Option<Open>,
    /// Calls that came true.
    calls: Record,
    /// Targets, called or not, at which the price had risen.
    rises: Record,
    /// Of called targets, summed: how far the price went, in basis points.
    moves: f64,
    said: Option<Action>,
    /// What would be said by the last candle, and for how many in a row.
    next: Option<Action>,
    lasts: u64,
    /// Candles since something was said.
    since: u64,
}

#[derive(Clone, Copy, Debug, Default)]
struct Open {
    /// Candles until its end.
    left: u64,
    close: f64,
    probability_up: f64,
}

/// What the record is worth.
struct Worth {
    share: f64,
    lower: f64,
    upper: f64,
    /// Of the more frequent way.
    majority: f64,
    move_bp: f64,
    edge_bp: f64,
    /// With the lower bound for the share.
    edge_lower_bp: f64,
}

impl Direction {
    /// The end of the open target, and the beginning of the next.
    fn follow(&mut self, closed: &Closed<'_>, close: f64, probability_up: Option<f64>) {
        if closed.whole <= 1 {
            self.open = None;
        }
        if let Some(open) = &mut self.open {
            open.left = open.left.saturating_sub(1);
        }
        if let Some(ended) = self.open.filter(|open| open.left == 0) {
            self.open = None;
            let change = libm::log(close / ended.close);
            // A price that is where it was proves neither.
            if change != 0.0 {
                let rose = change > 0.0;
                self.rises.count(rose);
                if let Some(up) = self.call_of(ended.probability_up) {
                    self.calls.count(up == rose);
                    self.moves += 1e4 * change.abs();
                }
            }
        }
        if self.open.is_none() {
            self.open =
                probability_up.map(|probability_up| Open { left: self.horizon, close, probability_up });
        }
    }

    /// Whether it calls a rise; `None`: it calls nothing.
    fn call_of(&self, probability_up: f64) -> Option<bool> {
        let sure = probability_up.max(1.0 - probability_up);
        (sure >= self.confidence && probability_up != 0.5).then_some(probability_up > 0.5)
    }

    fn worth(&self) -> Worth {
        let share = self.calls.share().unwrap_or(0.5);
        let (lower, upper) = self.calls.interval();
        let up = self.rises.share().unwrap_or(0.5);
        let move_bp = self.moves / self.calls.trials.max(1) as f64;
        let edge = |share: f64| (2.0 * share - 1.0) * move_bp - self.fee_bp;
        Worth {
            share,
            lower,
            upper,
            majority: up.max(1.0 - up),
            move_bp,
            edge_bp: edge(share),
            edge_lower_bp: edge(lower),
        }
    }

    fn action(&self, probability_up: f64, worth: &Worth) -> Action {
        let is_earned =
            self.calls.trials >= self.calls_min && worth.lower > worth.majority && worth.edge_lower_bp > 0.0;
        match self.call_of(probability_up) {
            Some(true) if is_earned => Action::Buy,
            Some(false) if is_earned => Action::Sell,
            _ => Action::Hold,
        }
    }

    /// Whether to say it now.
    fn is_said(&mut self, action: Action) -> bool {
        self.since = self.since.saturating_add(1);
        self.lasts = if self.next == Some(action) { self.lasts.saturating_add(1) } else { 1 };
        self.next = Some(action);
        let tell = match self.said {
            None => self.rises.trials >= self.calls_min,
            Some(said) if said != action => self.lasts >= self.hysteresis && self.since >= self.cooldown,
            Some(_) => self.remind > 0 && self.since >= self.remind,
        };
        if tell {
            self.said = Some(action);
            self.since = 0;
        }
        tell
    }

    fn verdict(
        &self,
        closed: &Closed<'_>,
        heard: &[&Forecast],
        probability_up: f64,
        worth: &Worth,
        action: Action,
    ) -> Verdict {
        let Worth { share, lower, upper, majority, move_bp, edge_bp, edge_lower_bp } = *worth;
        let calls = self.calls.trials;
        let ahead = format!("{} {} candles ahead", self.horizon, closed.candle.interval);
        let record = format!(
            "{:.1} % of {calls} calls {ahead} came true (at least {:.1} %)",
            100.0 * share,
            100.0 * lower
        );
        let message = match action {
            Action::Buy | Action::Sell => format!(
                "{}: a rise within {ahead} has a probability of {:.0} %, and {record}, which earns {edge_bp:.1} basis points after a fee of {:.1}",
                action.name(),
                100.0 * probability_up,
                self.fee_bp
            )
            .replace("within", "over"),
            Action::Hold if calls < self.calls_min => format!(
                "hold: {calls} of {} forecasts {ahead} were sure enough to be calls, too few to judge by",
                self.rises.trials
            ),
            Action::Hold if lower <= majority => format!(
                "hold: {record}, which is not surely more than always betting on the more frequent way gives ({:.1} %)",
                100.0 * majority
            ),
            Action::Hold if edge_lower_bp <= 0.0 => format!(
                "hold: {record}, which on a mean move of {move_bp:.1} basis points is not surely worth the fee of {:.1}",
                self.fee_bp
            ),
            Action::Hold => format!("hold: {record}, but the forecast of now is no call"),
        };
        let evidence = Evidence::default()
            .with("probability_up", Fact::Number(probability_up))
            .with("confidence", Fact::Number(self.confidence))
            .with("share_right", Fact::Number(share))
            .with("share_lower", Fact::Number(lower))
            .with("share_upper", Fact::Number(upper))
            .with("majority", Fact::Number(majority))
            .with("calls", Fact::Count(calls as i64))
            .with("targets", Fact::Count(self.rises.trials as i64))
            .with("move_bp", Fact::Number(move_bp))
            .with("fee_bp", Fact::Number(self.fee_bp))
            .with("edge_bp", Fact::Number(edge_bp))
            .with("edge_lower_bp", Fact::Number(edge_lower_bp))
            .with("horizon", Fact::Count(self.horizon as i64));
        Verdict {
            severity: if action == Action::Hold { self.severity } else { self.severity.raised() },
            action: Some(action),
            exchange_at: closed.candle.close_at,
            score: probability_up.max(1.0 - probability_up),
            message,
            evidence: with_candle(evidence, closed.candle),
            models: heard.iter().map(|forecast| forecast.model.clone()).collect(),
            data_state: closed.data_state,
        }
    }
}

/// The mean of their log odds: nobody's certainty drowns the others.
fn ensemble(heard: &[&Forecast]) -> Option<f64> {
    if heard.is_empty() {
        return None;
    }
    let odds = heard.iter().map(|forecast| {
        let up = forecast.forecast.clamp(1e-6, 1.0 - 1e-6);
        libm::log(up / (1.0 - up))
    });
    let mean = odds.sum::<f64>() / heard.len() as f64;
    Some(1.0 / (1.0 + libm::exp(-mean)))
}

impl Rule for Direction {
    fn consider(&mut self, occasion: &Occasion<'_>) -> Option<Verdict> {
        let Occasion::Candle(closed) = occasion else { return None };
        let heard = closed.leaned_on(Target::Direction, self.horizon);
        let probability_up = ensemble(&heard);
        // A candle without trades counts as time that passed.
        let Some(close) = closed.close() else {
            if let Some(open) = &mut self.open {
                open.left = open.left.saturating_sub(1).max(1);
            }
            return None;
        };
        self.follow(closed, close, probability_up);
        let probability_up = probability_up?;
        let worth = self.worth();
        let action = self.action(probability_up, &worth);
        self.is_said(action).then(|| self.verdict(closed, &heard, probability_up, &worth, action))
    }

    fn state(&mut self, state: &mut State<'_>) {
        let mut some = self.open.is_some();
        state.bool(&mut some);
        let mut open = self.open.unwrap_or_default();
        state.word(&mut open.left);
        state.f64(&mut open.close);
        state.f64(&mut open.probability_up);
        self.open = some.then_some(open);
        self.calls.state(state);
        self.rises.state(state);
        state.f64(&mut self.moves);
        for action in [&mut self.said, &mut self.next] {
            const ACTIONS: [Option<Action>; 4] =
                [None, Some(Action::Buy), Some(Action::Sell), Some(Action::Hold)];
            let mut at = ACTIONS.iter().position(|known| known == action).unwrap_or(0);
            state.index(&mut at, ACTIONS.len() - 1);
            *action = ACTIONS[at];
        }
        state.word(&mut self.lasts);
        state.word(&mut self.since);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analytics::indicators::trial::Random;
    use crate::analytics::signals::trial::{Trial, forecast};
    use crate::domain::insight::Role;

    /// A market of moves of so many basis points a candle, forecast with the probability that a call is right.
    fn run(candles: usize, right: f64, move_bp: f64, fee_bp: f64) -> Vec<Verdict> {
        let mut trial = Trial::new(&ENTRY, &[("horizon", 1.0), ("fee_bp", fee_bp), ("remind", 0.0)]);
        let mut random = Random(5);
        let mut share = || (random.word() >> 11) as f64 / (1_u64 << 53) as f64;
        let mut told = Vec::new();
        let mut rises = share() < 0.5;
        for _ in 0..candles {
            let next_rises = share() < 0.5;
            let is_right = share() < right;
            let up = if is_right == next_rises { 0.6 } else { 0.4 };
            let step = if rises { move_bp } else { -move_bp } * 1e-4;
            let said = forecast(Target::Direction, Role::Champion, 1, trial.next_close_at(1), [0.0, up, 1.0]);
            let verdict = trial.candle(trial.price * libm::exp(step), &[], &[said]);
            told.extend(verdict.inspect(|verdict| trial.check_evidence(verdict)));
            rises = next_rises;
        }
        told
    }

    fn actions(told: &[Verdict]) -> Vec<Action> {
        told.iter().filter_map(|verdict| verdict.action).collect()
    }

    #[test]
    fn chance_is_held_whatever_it_costs() {
        let told = run(3_000, 0.5, 50.0, 0.0);
        assert_eq!(actions(&told), [Action::Hold], "{told:#?}");
        assert!(told[0].message.contains("not surely more than always betting"), "{}", told[0].message);
    }

    #[test]
    fn skill_that_does_not_pay_its_fee_is_held() {
        let told = run(3_000, 0.6, 5.0, 10.0);
        assert!(actions(&told).iter().all(|&action| action == Action::Hold), "{told:#?}");
        assert!(told[0].message.starts_with("hold: "), "{}", told[0].message);
    }

    #[test]
    fn skill_that_pays_is_said() {
        let told = run(3_000, 0.8, 50.0, 10.0);
        let said = actions(&told);
        assert!(said.contains(&Action::Buy) && said.contains(&Action::Sell), "{said:?}");
        let buy = told.iter().find(|verdict| verdict.action == Some(Action::Buy)).unwrap();
        assert_eq!(buy.severity, Severity::Warning);
        assert!(
            buy.message.starts_with("buy: a rise over 1 1m candles ahead has a probability of 60 %, and ")
        );
    }

    #[test]
    fn who_hardly_calls_is_not_judged() {
        let mut trial = Trial::new(&ENTRY, &[("horizon", 1.0), ("remind", 0.0)]);
        let mut told = Vec::new();
        for i in 0..300 {
            // A mixture that is not in charge tells the naive forecast.
            let said =
                forecast(Target::Direction, Role::Challenger, 1, trial.next_close_at(1), [0.4, 0.5, 0.6]);
            told.extend(trial.candle(100.0 + f64::from(i % 2), &[], &[said]));
        }
        assert_eq!(told.len(), 1, "{told:#?}");
        let expected =
            "hold: 0 of 100 forecasts 1 1m candles ahead were sure enough to be calls, too few to judge by";
        assert_eq!(told[0].message, expected);
    }

    #[test]
    fn nothing_is_said_before_there_is_a_record() {
        assert_eq!(run(90, 1.0, 50.0, 0.0), []);
    }
}
