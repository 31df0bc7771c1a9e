//! A breakout: the price closes beyond everything of the last candles, by more than a usual range, with volume.
//!
//! Source of the channel: Donchian; of the range: Wilder, New Concepts in Technical Trading Systems (1978).

use crate::analytics::rolling::average::Rma;
use crate::analytics::rolling::extreme::Extreme;
use crate::analytics::rolling::state::State;
use crate::analytics::signals::entry::{RuleEntry, Scope, any};
use crate::analytics::signals::facts::with_candle;
use crate::analytics::signals::pace::Pace;
use crate::analytics::signals::parameter::RuleParameter;
use crate::analytics::signals::returns::score_of;
use crate::analytics::signals::rule::{Occasion, Rule, Verdict};
use crate::domain::insight::{Evidence, Fact, Severity, SignalKind};

pub const ENTRY: RuleEntry = RuleEntry {
    name: "breakout",
    kind: SignalKind::Direction,
    summary: "a close beyond the highest or lowest of the last candles, on more volume than usual",
    scope: Scope::Interval,
    severity: Severity::Info,
    parameters: &[
        RuleParameter::cooldown(20),
        RuleParameter::hysteresis(5),
        RuleParameter::count("window", "candles whose highest and lowest count", 60, 2),
        RuleParameter::number(
            "margin",
            "mean ranges of a candle by which it has to be beyond",
            0.5,
            0.0,
            100.0,
        ),
        RuleParameter::number("volume", "times the mean volume that it takes; 0: any", 1.5, 0.0, 1_000.0),
    ],
    check: any,
    build: |settings| {
        let window = settings.number("window") as usize;
        Box::new(Breakout {
            severity: settings.severity,
            margin: settings.number("margin"),
            volume_min: settings.number("volume"),
            highest: Extreme::new(window),
            lowest: Extreme::new(window),
            range: Rma::new(window),
            volume: Rma::new(window),
            means: None,
            last_close: None,
            pace: Pace::new(settings),
        })
    },
};

struct Breakout {
    severity: Severity,
    margin: f64,
    volume_min: f64,
    highest: Extreme<true>,
    lowest: Extreme<false>,
    range: Rma,
    volume: Rma,
    /// Of range and volume, up to the candle before; `None` until the window was full.
    means: Option<(f64, f64)>,
    last_close: Option<f64>,
    pace: Pace,
}

impl Rule for Breakout {
    fn consider(&mut self, occasion: &Occasion<'_>) -> Option<Verdict> {
        let Occasion::Candle(closed) = occasion else { return None };
        if closed.whole <= 1 {
            self.last_close = None;
        }
        let prices = closed.candle.prices?;
        let [high, low, close] =
            [prices.high, prices.low, prices.close].map(|price| price.decimal().to_f64());
        let volume = closed.candle.volume.to_f64();
        let before = (self.highest.value(), self.lowest.value(), self.means);
        // The true range: what a jump between two candles skipped is part of it.
        let last = self.last_close.replace(close).unwrap_or(close);
        self.highest.push(high);
        self.lowest.push(low);
        let range = self.range.push(high.max(last) - low.min(last));
        self.means = range.zip(self.volume.push(volume));

        let (Some(highest), Some(lowest), Some((mean_range, mean_volume))) = before else { return None };
        let (above, below) = (close - highest, lowest - close);
        let is_up = above > below;
        let beyond = above.max(below);
        let times_volume = if mean_volume > 0.0 { volume / mean_volume } else { 0.0 };
        let holds = beyond > self.margin * mean_range && mean_range > 0.0 && times_volume >= self.volume_min;
        if !self.pace.step(holds) {
            return None;
        }
        let ranges = beyond / mean_range;
        let window = self.highest.capacity();
        let (verb, edge) = if is_up { ("above the highest", highest) } else { ("below the lowest", lowest) };
        let message = format!(
            "the price broke {verb} of the last {window} {} candles by {ranges:.1} mean ranges, on {times_volume:.1} times the mean volume",
            closed.candle.interval
        );
        let evidence = Evidence::default()
            .with("side", Fact::Text(if is_up { "up" } else { "down" }.into()))
            .with("edge", Fact::Number(edge))
            .with("beyond_ranges", Fact::Number(ranges))
            .with("margin", Fact::Number(self.margin))
            .with("mean_range", Fact::Number(mean_range))
            .with("times_volume", Fact::Number(times_volume))
            .with("window", Fact::Count(window as i64));
        Some(Verdict {
            severity: self.severity,
            action: None,
            exchange_at: closed.candle.close_at,
            score: score_of(ranges / self.margin.max(0.1)),
            message,
            evidence: with_candle(evidence, closed.candle),
            models: Vec::new(),
            data_state: closed.rests_on(window as u64),
        })
    }

    fn state(&mut self, state: &mut State<'_>) {
        self.highest.state(state);
        self.lowest.state(state);
        self.range.state(state);
        self.volume.state(state);
        let (mut range, mut volume) = self.means.unzip();
        state.option_f64(&mut range);
        state.option_f64(&mut volume);
        self.means = range.zip(volume);
        state.option_f64(&mut self.last_close);
        self.pace.state(state);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analytics::signals::trial::Trial;

    fn trial() -> Trial {
        let mut trial = Trial::new(&ENTRY, &[("window", 20.0)]);
        for i in 0..100 {
            let told = trial.candle(100.0 + f64::from(i % 5) * 0.1, &[], &[]);
            assert_eq!(told, None);
        }
        trial
    }

    #[test]
    fn it_takes_distance_and_volume() {
        let mut trial = trial();
        assert_eq!(trial.candle_with(102.0, 1.0), None, "usual volume");
        assert_eq!(trial.candle_with(100.5, 3.0), None, "within the channel");
        let told = trial.candle_with(105.0, 3.0).unwrap();
        assert!(told.message.starts_with("the price broke above the highest of the last 20 1m candles by "));
        trial.check_evidence(&told);
        assert_eq!(trial.candle_with(107.0, 9.0), None, "it goes on");
    }

    #[test]
    fn the_way_down_counts_as_well() {
        let told = trial().candle_with(98.0, 3.0).unwrap();
        assert!(told.message.contains("below the lowest"), "{}", told.message);
    }
}
