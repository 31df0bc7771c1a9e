//! The same again and again: a feed that has frozen, or that repeats itself.
//!
//! Counts candles without any movement, and candles with exactly the volume of the one before. How odd such a run
//! is depends on the market: what share of candles begins one, and how often one goes on, are learned; a run of `k`
//! is as seldom as beginning once and going on `k - 1` times. Told once a run. A run that is told teaches nothing.

use crate::analytics::anomaly::budget::Budget;
use crate::analytics::anomaly::detector::{Assessment, Detector, DetectorEntry, Finding, Tuning};
use crate::analytics::anomaly::series::{SeriesDetector, SeriesEntry};
use crate::analytics::features::Features;
use crate::analytics::rolling::state::State;
use crate::domain::insight::{Evidence, Fact};
use crate::domain::output::HeldBack;
use crate::domain::time::UnixNanos;

pub const ENTRY: DetectorEntry = DetectorEntry {
    name: "stall",
    version: 1,
    summary: "candles that repeat the price or the volume of the one before for longer than this market does",
    channels: &["flat_price", "repeated_volume"],
    warm_up: WARM_UP as usize,
    build: |tuning| Box::new(Stall::new(tuning)),
};

pub const SERIES: SeriesEntry = SeriesEntry {
    name: "stall",
    summary: "the same value repeated for longer than this series does",
    build: || Box::new(SeriesStall { runs: Runs::default(), last: None }),
};

/// Candles until it may speak.
const WARM_UP: u64 = 300;
/// A run that happens more often is not told: one in ten thousand.
const TAIL_MAX: f64 = 1e-4;
/// Weight of the newest candle in the shares, once there are enough.
const WEIGHT: f64 = 1.0 / 5_000.0;
/// A run is never sure to go on, however many did.
const GOES_ON_MAX: f64 = 0.98;
/// Longer runs count as that long in what is usual.
const RUN_MAX: u64 = 100;

/// Runs of repeats in one channel.
#[derive(Clone, Debug, Default)]
struct Runs {
    seen: u64,
    /// Share of candles that begin a run, and share of runs that go on, with the candles they rest on.
    begins: Share,
    goes_on: Share,
    run: u64,
    told: bool,
}

/// A share of candles, in which old ones count less.
#[derive(Clone, Copy, Debug, Default)]
struct Share {
    yes: f64,
    all: f64,
}

impl Share {
    fn learn(&mut self, yes: bool) {
        self.yes += f64::from(u8::from(yes)) - WEIGHT * self.yes;
        self.all += 1.0 - WEIGHT * self.all;
    }

    /// As if one more had been seen, and had been.
    fn value(self) -> f64 {
        (self.yes + 1.0) / (self.all + 2.0)
    }

    fn state(&mut self, state: &mut State<'_>) {
        state.f64(&mut self.yes);
        state.f64(&mut self.all);
    }
}

impl Runs {
    /// Takes whether a candle repeats the one before; gives back -ln of how seldom the run is, 0 outside of one.
    fn observe(&mut self, repeats: bool) -> f64 {
        self.seen = self.seen.saturating_add(1);
        if self.run == 0 {
            self.begins.learn(repeats);
        }
        if !repeats {
            // A run is learned from when it is over: one that goes on is no proof that runs do.
            if self.run > 0 && !self.told {
                (1..self.run.min(RUN_MAX)).for_each(|_| self.goes_on.learn(true));
                self.goes_on.learn(false);
            }
            (self.run, self.told) = (0, false);
            return 0.0;
        }
        self.run += 1;
        let goes_on = self.goes_on.value().min(GOES_ON_MAX);
        -libm::log(self.begins.value()) - libm::log(goes_on) * (self.run - 1) as f64
    }

    fn state(&mut self, state: &mut State<'_>) {
        state.word(&mut self.seen);
        self.begins.state(state);
        self.goes_on.state(state);
        state.word(&mut self.run);
        state.bool(&mut self.told);
    }
}

struct Stall {
    price: Runs,
    volume: Runs,
    last_volume: Option<f64>,
    budget: Budget,
    /// -ln of how seldom the last candle's run is, and from how many on it is told.
    nats: Option<f64>,
    threshold: f64,
}

impl Stall {
    fn new(tuning: &Tuning) -> Self {
        Self {
            price: Runs::default(),
            volume: Runs::default(),
            last_volume: None,
            budget: Budget::with_floor(tuning, TAIL_MAX),
            nats: None,
            threshold: 0.0,
        }
    }
}

impl Detector for Stall {
    fn observe(&mut self, features: &Features, found: &mut Vec<Finding>) {
        let flat = features.log_return == 0.0 && features.range == 0.0;
        let repeated = self.last_volume == Some(features.log_volume);
        self.last_volume = Some(features.log_volume);
        let nats = [self.price.observe(flat), self.volume.observe(repeated)];
        if self.price.seen <= WARM_UP {
            return;
        }
        let (channel, runs, nats) = if nats[0] >= nats[1] {
            ("flat_price", &mut self.price, nats[0])
        } else {
            ("repeated_volume", &mut self.volume, nats[1])
        };
        self.nats = Some(nats);
        self.threshold = self.budget.threshold_nats();
        if !self.budget.admit(if runs.told { 0.0 } else { nats }) {
            return;
        }
        runs.told = true;
        found.push(Finding {
            channel,
            score: score_of(nats),
            threshold: score_of(self.threshold),
            evidence: Evidence::default()
                .with("repeats", Fact::Count(i64::try_from(runs.run).unwrap_or(i64::MAX)))
                .with("share_that_begins", Fact::Number(runs.begins.value()))
                .with("share_that_goes_on", Fact::Number(runs.goes_on.value()))
                .with(
                    "explanation",
                    Fact::Text(
                        format!(
                            "{} repeated in {} candles; in this market {:.2} % of candles begin such a run, and {:.0} % of runs go on",
                            if channel == "flat_price" { "one price" } else { "one volume" },
                            runs.run + 1,
                            100.0 * runs.begins.value(),
                            100.0 * runs.goes_on.value(),
                        )
                        .into(),
                    ),
                ),
        });
    }

    fn interrupt(&mut self) {
        for runs in [&mut self.price, &mut self.volume] {
            (runs.run, runs.told) = (0, false);
        }
        self.last_volume = None;
        self.nats = None;
    }

    fn held_back(&self) -> Option<HeldBack> {
        self.nats.and_then(|_| self.budget.held_back())
    }

    fn assessment(&self) -> Option<Assessment> {
        let assess = |nats| Assessment { score: score_of(nats), nats, threshold: self.threshold };
        self.nats.map(assess)
    }

    fn state(&mut self, state: &mut State<'_>) {
        self.price.state(state);
        self.volume.state(state);
        state.option_f64(&mut self.last_volume);
        self.budget.state(state);
        state.option_f64(&mut self.nats);
        state.f64(&mut self.threshold);
    }
}

/// Never that a run cannot be.
fn score_of(nats: f64) -> f64 {
    (1.0 - libm::exp(-nats)).min(1.0 - f64::EPSILON)
}

/// [`Runs`] of one value.
struct SeriesStall {
    runs: Runs,
    last: Option<f64>,
}

impl SeriesDetector for SeriesStall {
    fn update(&mut self, _: UnixNanos, value: f64) -> f64 {
        let repeats = self.last == Some(value);
        self.last = Some(value);
        let nats = self.runs.observe(repeats);
        // A run as odd as that teaches nothing.
        self.runs.told |= nats > -libm::log(TAIL_MAX);
        if self.runs.seen <= WARM_UP / 2 { 0.0 } else { 1.0 - libm::exp(-nats) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analytics::indicators::trial::Random;

    fn features(log_return: f64, log_volume: f64) -> Features {
        Features { log_return, log_volume, range: log_return.abs(), ..Features::default() }
    }

    /// Repeats until a frozen feed is told, in a market where so many candles in a hundred do not move.
    fn check_told(flat_percent: u64, from: usize, to: usize) {
        let mut random = Random(3);
        let mut stall = (ENTRY.build)(&Tuning::MINUTES);
        let mut found = Vec::new();
        for _ in 0..5_000 {
            let moved = if random.word() % 100 < flat_percent { 0.0 } else { random.unit() + 0.1 };
            stall.observe(&features(moved, random.unit()), &mut found);
        }
        let told_before = found.len();
        assert!(told_before <= 14, "{told_before} of a market that is alive");
        let mut at = None;
        for i in 1..=200 {
            stall.observe(&features(0.0, random.unit()), &mut found);
            at = at.or((found.len() > told_before).then_some(i));
        }
        assert_eq!(found.len(), told_before + 1, "a run is told once");
        assert!(at.is_some_and(|at| (from..=to).contains(&at)), "told after {at:?}");
        assert_eq!(found.last().map(|finding| finding.channel), Some("flat_price"));
    }

    #[test]
    fn a_frozen_price_is_told_after_as_many_candles_as_the_market_asks_for() {
        check_told(0, 2, 6);
        check_told(10, 3, 8);
        check_told(60, 12, 45);
    }

    #[test]
    fn a_volume_that_repeats_itself_is_told() {
        let mut random = Random(4);
        let mut stall = (ENTRY.build)(&Tuning::MINUTES);
        let mut found = Vec::new();
        for _ in 0..1_000 {
            stall.observe(&features(random.unit() + 0.1, random.unit()), &mut found);
        }
        for _ in 0..10 {
            stall.observe(&features(random.unit() + 0.1, 0.25), &mut found);
        }
        let channels: Vec<_> = found.iter().map(|finding| finding.channel).collect();
        assert_eq!(channels, ["repeated_volume"]);
    }
}
