//! A cross of averages: the fast moving average of closes goes through the slow one and stays on the other side.
//!
//! A band in units of the usual move of a candle keeps it silent where the two only touch.

use crate::analytics::rolling::average::{Ema, Rma};
use crate::analytics::rolling::state::State;
use crate::analytics::signals::entry::{RuleEntry, Scope};
use crate::analytics::signals::facts::with_candle;
use crate::analytics::signals::parameter::RuleParameter;
use crate::analytics::signals::returns::{Returns, score_of};
use crate::analytics::signals::rule::{Occasion, Rule, Verdict};
use crate::domain::insight::{Evidence, Fact, Severity, SignalKind};

pub const ENTRY: RuleEntry = RuleEntry {
    name: "average_cross",
    kind: SignalKind::Direction,
    summary: "the fast moving average of closes crossed the slow one and stayed there",
    scope: Scope::Interval,
    severity: Severity::Info,
    parameters: &[
        RuleParameter::cooldown(10),
        RuleParameter::hysteresis(2),
        RuleParameter::count("fast", "candles of the fast average", 20, 1),
        RuleParameter::count("slow", "candles of the slow average", 60, 2),
        RuleParameter::number(
            "band",
            "usual moves of a candle by which they have to be apart",
            0.5,
            0.0,
            100.0,
        ),
    ],
    check: |settings| match settings.number("fast") < settings.number("slow") {
        true => Ok(()),
        false => Err("`fast` must be below `slow`"),
    },
    build: |settings| {
        let [fast, slow] = ["fast", "slow"].map(|name| settings.number(name) as usize);
        Box::new(AverageCross {
            severity: settings.severity,
            cooldown: settings.count("cooldown"),
            hysteresis: settings.count("hysteresis"),
            periods: [fast, slow],
            band: settings.number("band"),
            fast: Ema::new(fast),
            slow: Ema::new(slow),
            returns: Returns::default(),
            square: Rma::new(slow),
            side: 0,
            lasts: 0,
            since: None,
        })
    },
};

struct AverageCross {
    severity: Severity,
    cooldown: u64,
    hysteresis: u64,
    periods: [usize; 2],
    band: f64,
    /// Of logarithms: a share of the price is what counts.
    fast: Ema,
    slow: Ema,
    returns: Returns,
    /// Of returns.
    square: Rma,
    /// Where the fast one is since it was told, or since there was a first side: -1, 1; 0: nobody knows.
    side: i64,
    /// Candles in a row on the other side.
    lasts: u64,
    /// Candles since it was told last.
    since: Option<u64>,
}

impl Rule for AverageCross {
    fn consider(&mut self, occasion: &Occasion<'_>) -> Option<Verdict> {
        let Occasion::Candle(closed) = occasion else { return None };
        self.since = self.since.map(|since| since.saturating_add(1));
        let change = self.returns.next(closed);
        let log_close = libm::log(closed.close()?);
        let averages = self.fast.push(log_close).zip(self.slow.push(log_close));
        let square = self.square.push(change? * change?);
        let ((fast, slow), square) = averages.zip(square)?;
        let (apart, usual) = (fast - slow, square.sqrt());
        let side = match apart {
            apart if apart > self.band * usual => 1,
            apart if apart < -self.band * usual => -1,
            _ => 0,
        };
        if side == 0 || side == self.side {
            self.lasts = 0;
            return None;
        }
        self.lasts += 1;
        let is_cool = self.since.is_none_or(|since| since >= self.cooldown);
        if self.lasts < self.hysteresis || !is_cool {
            return None;
        }
        self.lasts = 0;
        if std::mem::replace(&mut self.side, side) == 0 {
            return None; // the first side there is: nothing was crossed
        }
        self.since = Some(0);
        let apart_bp = 1e4 * apart;
        let [fast_period, slow_period] = self.periods;
        let message = format!(
            "the average of {fast_period} {} candles crossed {} that of {slow_period}: they are {:.1} basis points apart",
            closed.candle.interval,
            if side > 0 { "above" } else { "below" },
            apart_bp.abs(),
        );
        let evidence = Evidence::default()
            .with("side", Fact::Text(if side > 0 { "up" } else { "down" }.into()))
            .with("fast_average", Fact::Number(libm::exp(fast)))
            .with("slow_average", Fact::Number(libm::exp(slow)))
            .with("apart_bp", Fact::Number(apart_bp))
            .with("band_bp", Fact::Number(1e4 * self.band * usual))
            .with("fast", Fact::Count(fast_period as i64))
            .with("slow", Fact::Count(slow_period as i64));
        let times = if usual > 0.0 { apart / (self.band.max(0.1) * usual) } else { 1.0 };
        Some(Verdict {
            severity: self.severity,
            action: None,
            exchange_at: closed.candle.close_at,
            score: score_of(times),
            message,
            evidence: with_candle(evidence, closed.candle),
            models: Vec::new(),
            data_state: closed.rests_on(slow_period as u64),
        })
    }

    fn state(&mut self, state: &mut State<'_>) {
        self.fast.state(state);
        self.slow.state(state);
        self.returns.state(state);
        self.square.state(state);
        state.i64(&mut self.side);
        state.check((-1..=1).contains(&self.side), "a side that is none");
        state.word(&mut self.lasts);
        state.option_word(&mut self.since);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analytics::signals::trial::Trial;

    fn walk(trial: &mut Trial, candles: usize, step: f64) -> Vec<Verdict> {
        let mut told = Vec::new();
        for _ in 0..candles {
            told.extend(trial.candle(trial.price + step, &[], &[]));
        }
        told
    }

    #[test]
    fn crosses_are_told_once_and_the_first_side_is_none() {
        let mut trial = Trial::new(&ENTRY, &[("fast", 5.0), ("slow", 20.0)]);
        assert_eq!(walk(&mut trial, 60, 0.1), []);
        let told = walk(&mut trial, 60, -0.1);
        assert_eq!(told.len(), 1);
        assert!(
            told[0].message.starts_with("the average of 5 1m candles crossed below that of 20: they are ")
        );
        trial.check_evidence(&told[0]);
        let told = walk(&mut trial, 60, 0.1);
        assert!(told.len() == 1 && told[0].message.contains("crossed above"), "{told:#?}");
    }

    #[test]
    fn a_price_that_stays_crosses_nothing() {
        let mut trial = Trial::new(&ENTRY, &[("fast", 5.0), ("slow", 20.0)]);
        for i in 0..300 {
            assert_eq!(trial.candle(100.0 + f64::from(i % 2) * 0.1, &[], &[]), None, "candle {i}");
        }
    }
}
