//! A change of the volatility's regime: the market is calm, usual or turbulent against its own long run.
//!
//! Two exponentially weighted means of squared returns, a fast and a slow one; the root of their ratio says which
//! regime it is. It takes some candles in a row to change it, and a band keeps it from flickering at a border.
//! Source of the means: J.P. Morgan, RiskMetrics (1996).

use crate::analytics::rolling::state::State;
use crate::analytics::signals::entry::{RuleEntry, Scope};
use crate::analytics::signals::facts::with_candle;
use crate::analytics::signals::parameter::RuleParameter;
use crate::analytics::signals::returns::{Returns, score_of};
use crate::analytics::signals::rule::{Closed, Occasion, Rule, Verdict};
use crate::domain::insight::{Evidence, Fact, Severity, SignalKind};

pub const ENTRY: RuleEntry = RuleEntry {
    name: "volatility_regime",
    kind: SignalKind::Regime,
    summary: "the volatility became calm, usual or turbulent against its own long run",
    scope: Scope::Interval,
    severity: Severity::Warning,
    parameters: &[
        RuleParameter::cooldown(30),
        RuleParameter::hysteresis(3),
        RuleParameter::count("fast", "candles that the volatility of now looks back, about", 30, 2),
        RuleParameter::count("slow", "candles that the usual volatility looks back, about", 720, 10),
        RuleParameter::number("high", "times the usual from which on it is turbulent", 2.0, 1.1, 100.0),
        RuleParameter::number("low", "times the usual up to which it is calm", 0.5, 0.0, 0.9),
        RuleParameter::number("band", "share of a border by which it has to be left again", 0.2, 0.0, 0.9),
    ],
    check: |settings| match settings.number("fast") < settings.number("slow") {
        true => Ok(()),
        false => Err("`fast` must be below `slow`"),
    },
    build: |settings| {
        Box::new(VolatilityRegime {
            severity: settings.severity,
            cooldown: settings.count("cooldown"),
            hysteresis: settings.count("hysteresis"),
            periods: [settings.number("fast"), settings.number("slow")],
            high: settings.number("high"),
            low: settings.number("low"),
            band: settings.number("band"),
            returns: Returns::default(),
            seen: 0,
            variances: [0.0; 2],
            regime: USUAL,
            next: USUAL,
            lasts: 0,
            since: None,
        })
    },
};

const REGIMES: [&str; 3] = ["calm", "usual", "turbulent"];
const CALM: usize = 0;
const USUAL: usize = 1;
const TURBULENT: usize = 2;
/// Of a market that does not move at all: a hundredth of a basis point, squared.
const VARIANCE_FLOOR: f64 = 1e-12;

struct VolatilityRegime {
    severity: Severity,
    cooldown: u64,
    hysteresis: u64,
    /// Fast, slow.
    periods: [f64; 2],
    high: f64,
    low: f64,
    band: f64,
    returns: Returns,
    /// Returns, ever.
    seen: u64,
    /// Of a candle's return: fast, slow.
    variances: [f64; 2],
    regime: usize,
    /// What it would be by the last candle, and for how many in a row.
    next: usize,
    lasts: u64,
    /// Candles since it was told last.
    since: Option<u64>,
}

impl VolatilityRegime {
    /// What times the usual volatility means, in the regime that is.
    fn judge(&self, times: f64) -> usize {
        let (high, low) = (self.high, self.low);
        let high = if self.regime == TURBULENT { high * (1.0 - self.band) } else { high };
        let low = if self.regime == CALM { low * (1.0 + self.band) } else { low };
        match times {
            times if times >= high => TURBULENT,
            times if times <= low => CALM,
            _ => USUAL,
        }
    }

    fn verdict(&self, closed: &Closed<'_>, before: usize, times: f64) -> Verdict {
        let [fast, slow] = self.variances.map(|variance| 1e4 * variance.max(VARIANCE_FLOOR).sqrt());
        let (was, is) = (REGIMES[before], REGIMES[self.regime]);
        let interval = closed.candle.interval;
        let message = format!(
            "volatility turned from {was} to {is}: {times:.2} times the usual, {fast:.1} basis points a {interval} candle against {slow:.1}"
        );
        let evidence = Evidence::default()
            .with("regime", Fact::Text(is.into()))
            .with("regime_before", Fact::Text(was.into()))
            .with("times_usual", Fact::Number(times))
            .with("volatility_bp", Fact::Number(fast))
            .with("usual_volatility_bp", Fact::Number(slow))
            .with("high", Fact::Number(self.high))
            .with("low", Fact::Number(self.low))
            .with("candles", Fact::Count(self.seen as i64));
        let far = if times >= 1.0 { times / self.high } else { self.low / times.max(1e-9) };
        Verdict {
            // Turbulence is what people are woken for.
            severity: if self.regime == TURBULENT { self.severity } else { Severity::Info },
            action: None,
            exchange_at: closed.candle.close_at,
            score: score_of(far),
            message,
            evidence: with_candle(evidence, closed.candle),
            models: Vec::new(),
            data_state: closed.rests_on(self.periods[0] as u64),
        }
    }
}

impl Rule for VolatilityRegime {
    fn consider(&mut self, occasion: &Occasion<'_>) -> Option<Verdict> {
        let Occasion::Candle(closed) = occasion else { return None };
        self.since = self.since.map(|since| since.saturating_add(1));
        let change = self.returns.next(closed)?;
        self.seen += 1;
        for (variance, period) in self.variances.iter_mut().zip(self.periods) {
            // A plain mean at first: the first return does not lead for long.
            let weight = (2.0 / (period + 1.0)).max(1.0 / self.seen as f64);
            *variance += weight * (change * change - *variance);
        }
        // Before, the two means are too alike to say anything.
        if (self.seen as f64) < self.periods[1] {
            return None;
        }
        let [fast, slow] = self.variances.map(|variance| variance.max(VARIANCE_FLOOR).sqrt());
        let times = fast / slow;
        let judged = self.judge(times);
        self.lasts = if judged == self.next { self.lasts.saturating_add(1) } else { 1 };
        self.next = judged;
        let is_cool = self.since.is_none_or(|since| since >= self.cooldown);
        if judged == self.regime || self.lasts < self.hysteresis || !is_cool {
            return None;
        }
        let before = std::mem::replace(&mut self.regime, judged);
        self.since = Some(0);
        Some(self.verdict(closed, before, times))
    }

    fn state(&mut self, state: &mut State<'_>) {
        self.returns.state(state);
        state.word(&mut self.seen);
        self.variances.iter_mut().for_each(|variance| state.f64(variance));
        state.index(&mut self.regime, TURBULENT);
        state.index(&mut self.next, TURBULENT);
        state.word(&mut self.lasts);
        state.option_word(&mut self.since);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analytics::signals::trial::Trial;

    /// Candles of returns of so many basis points, up and down in turn.
    fn walk(trial: &mut Trial, candles: usize, basis_points: f64) -> Vec<Verdict> {
        let mut told = Vec::new();
        for _ in 0..candles {
            trial.turn = -trial.turn;
            let price = trial.price * (1.0 + trial.turn * basis_points * 1e-4);
            told.extend(trial.candle(price, &[], &[]));
        }
        told
    }

    #[test]
    fn each_regime_is_told_as_it_begins() {
        let mut trial = Trial::new(&ENTRY, &[("slow", 200.0), ("fast", 10.0), ("cooldown", 5.0)]);
        assert_eq!(walk(&mut trial, 400, 2.0), []);
        let told = walk(&mut trial, 30, 20.0);
        assert_eq!(told.len(), 1, "{told:#?}");
        assert_eq!(told[0].severity, Severity::Warning);
        assert!(
            told[0].message.starts_with("volatility turned from usual to turbulent: "),
            "{}",
            told[0].message
        );
        trial.check_evidence(&told[0]);
        let told = walk(&mut trial, 400, 0.5);
        let last = told.last().unwrap();
        assert!(last.message.contains(" to calm: "), "{told:#?}");
        assert_eq!(last.severity, Severity::Info);
    }

    #[test]
    fn one_candle_makes_no_regime() {
        let mut trial = Trial::new(&ENTRY, &[("slow", 200.0), ("fast", 2.0)]);
        walk(&mut trial, 400, 2.0);
        assert_eq!(walk(&mut trial, 1, 10.0), []);
        assert_eq!(walk(&mut trial, 50, 2.0), []);
    }

    #[test]
    fn a_market_that_does_not_move_stays_usual() {
        let mut trial = Trial::new(&ENTRY, &[("slow", 20.0), ("fast", 5.0)]);
        assert_eq!(walk(&mut trial, 200, 0.0), []);
    }
}
