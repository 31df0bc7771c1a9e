//! What is made of one instrument's candles: features, detectors, forecasters, rules, in that order.
//!
//! Listens to what a pipeline tells. A candle is looked at once, as it was first told, after its
//! indicators; models learn from candles that traded and that no hole touches. What is told is never told
//! again: it says what was known, and names the revision that it rests on.

use std::sync::Arc;

use crate::analytics::across::divergence::{self, ENTRY as DIVERGENCE};
use crate::analytics::across::plan::AcrossPlan;
use crate::analytics::anomaly::detector::{Detector, DetectorEntry, Finding, Tuning};
use crate::analytics::features::FeatureMaker;
use crate::analytics::forecast::FORECASTERS;
use crate::analytics::forecast::bounds::BoundsMethod;
use crate::analytics::forecast::forecaster::ForecasterEntry;
use crate::analytics::forecast::forecasts::{ForecastPlan, Forecasts, Tellings};
use crate::analytics::forecast::lane::Manner;
use crate::analytics::forecast::mixing::Mixing;
use crate::analytics::rolling::state::State;
use crate::analytics::signals::entry::{RuleEntry, RuleSettings, Scope};
use crate::analytics::signals::facts::with_candle;
use crate::analytics::signals::rule::{Closed, Occasion, Rule};
use crate::domain::candle::{Candle, CandleState};
use crate::domain::data_state::DataState;
use crate::domain::divergence::Divergence;
use crate::domain::event::WatchStatus;
use crate::domain::insight::{Anomaly, InsightId, Signal};
use crate::domain::instrument::Instrument;
use crate::domain::interval::Interval;
use crate::domain::output::{HeldBack, Output, OutputSink};
use crate::domain::time::{NANOS_PER_DAY, UnixNanos};

/// Which models run; the same for all symbols of a run.
#[derive(Clone)]
pub struct IntelligencePlan {
    /// Of time, ascending.
    pub intervals: Vec<Interval>,
    pub detectors: Vec<Model<DetectorEntry>>,
    /// What is compared with the same asset's other markets; `None`: nothing.
    pub across: Option<AcrossPlan>,
    pub forecasts: ForecastPlan,
    pub rules: Vec<RuleSettings>,
    /// How many anomalies a detector should tell a day, of each interval of each instrument.
    pub alerts_per_day: u32,
}

impl Default for IntelligencePlan {
    fn default() -> Self {
        Self::new(&[], &[], &[], &[], &[])
    }
}

/// A member of a family, with its name and version as it is told.
pub struct Model<E: 'static> {
    pub entry: &'static E,
    pub name: Arc<str>,
}

impl<E> Clone for Model<E> {
    fn clone(&self) -> Self {
        Self { entry: self.entry, name: self.name.clone() }
    }
}

impl std::fmt::Debug for IntelligencePlan {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.canonical())
    }
}

impl IntelligencePlan {
    pub fn new(
        intervals: &[Interval],
        detectors: &[&'static DetectorEntry],
        forecasters: &[&'static ForecasterEntry],
        rules: &[&'static RuleEntry],
        horizons: &[u32],
    ) -> Self {
        let named = |name: &str, version: u32| -> Arc<str> { format!("{name}@{version}").into() };
        Self {
            intervals: intervals.iter().copied().filter(|interval| interval.time().is_some()).collect(),
            detectors: detectors
                .iter()
                .map(|&entry| Model { entry, name: named(entry.name, entry.version) })
                .collect(),
            across: None,
            forecasts: ForecastPlan::new(forecasters, FORECASTERS, horizons),
            rules: rules.iter().map(|&entry| RuleSettings::of(entry)).collect(),
            alerts_per_day: Tuning::ALERTS_PER_DAY,
        }
    }

    /// The same with rules that are set.
    pub fn with_rules(self, rules: Vec<RuleSettings>) -> Self {
        Self { rules, ..self }
    }

    /// With members told beside their mixture, or without, and how intervals and mixtures are made.
    pub fn telling(mut self, all_models: bool, manner: Manner) -> Self {
        (self.forecasts.all_models, self.forecasts.manner) = (all_models, manner);
        self
    }

    /// Every forecaster that runs, the baselines too.
    pub fn forecasters(&self) -> impl Iterator<Item = &'static ForecasterEntry> {
        self.forecasts.panels.iter().flat_map(|panel| panel.members.iter().map(|seat| seat.entry))
    }

    /// Every detector that runs, that which compares instruments too.
    pub fn detector_names(&self) -> impl Iterator<Item = &'static str> {
        let across = self.across.iter().map(|_| DIVERGENCE.name);
        self.detectors.iter().map(|model| model.entry.name).chain(across)
    }

    /// Whether anything runs at all.
    pub fn is_empty(&self) -> bool {
        let no_models = self.detectors.is_empty() && self.across.is_none();
        no_models && self.rules.is_empty() && self.forecasts.panels.is_empty()
    }

    /// What a detector of that interval is built for.
    fn tuning(&self, interval: Interval) -> Tuning {
        let length = interval.time().map_or(NANOS_PER_DAY, |interval| interval.nanos());
        Tuning {
            candles_per_day: NANOS_PER_DAY as f64 / length as f64,
            alerts_per_day: f64::from(self.alerts_per_day),
        }
    }

    /// One line that differs where results may differ.
    pub fn canonical(&self) -> String {
        let intervals: Vec<_> = self.intervals.iter().map(ToString::to_string).collect();
        let names = |names: Vec<&str>| names.join(" ");
        let horizons: Vec<_> = self.forecasts.horizons.iter().map(ToString::to_string).collect();
        let seats = self.forecasts.panels.iter().flat_map(|panel| &panel.members);
        let all_models = if self.forecasts.all_models { " all_models" } else { "" };
        let method = match self.forecasts.manner.bounds {
            BoundsMethod::QuantileTracker => "",
            BoundsMethod::Aci => " aci",
        };
        let mixing = match self.forecasts.manner.mixing {
            Mixing::FixedShare => "",
            Mixing::AdaNormalHedge => " ada_normal_hedge",
        };
        // Only where somebody asked for another: what was recorded before there was a choice is the usual one.
        let budget = match self.alerts_per_day {
            Tuning::ALERTS_PER_DAY => String::new(),
            alerts => format!(" alerts_per_day={alerts}"),
        };
        // Where nothing is compared the line is as it was before anything could be.
        let across = self
            .across
            .as_ref()
            .map_or(String::new(), |across| format!(" {}: {}", across.model, across.canonical()));
        format!(
            "intervals={} detectors={} forecasters={} rules={} horizons={}{all_models}{method}{mixing}{budget}{across}",
            intervals.join(" "),
            names(self.detectors.iter().map(|model| &*model.name).collect()),
            names(seats.map(|seat| &*seat.name).collect()),
            self.rules.iter().map(RuleSettings::canonical).collect::<Vec<_>>().join(" "),
            horizons.join(" "),
        )
    }
}

/// The models of one instrument.
pub struct Intelligence {
    /// As it is hashed into ids.
    instrument: String,
    minds: Vec<Mind>,
    /// Rules about the instrument's data.
    rules: Vec<(&'static RuleEntry, Box<dyn Rule>)>,
    /// A candle whose indicators are still being told.
    waiting: Option<Candle>,
    /// Close of the last candle that stood apart and was told.
    diverged_at: UnixNanos,
    found: Vec<Finding>,
    tellings: Tellings,
}

/// The models of one interval.
struct Mind {
    interval: Interval,
    /// Its name.
    label: Arc<str>,
    /// Candles that begin before it are told late: models have gone on.
    next_open: UnixNanos,
    features: FeatureMaker,
    detectors: Vec<Box<dyn Detector>>,
    /// `None`: nothing is forecast.
    forecasts: Option<Forecasts>,
    rules: Vec<(&'static RuleEntry, Box<dyn Rule>)>,
    /// Whole candles since the last hole, counted up to any warm-up.
    whole: u64,
}

impl Intelligence {
    pub fn new(instrument: &Instrument, plan: &IntelligencePlan) -> Self {
        let built = |scope: Scope| -> Vec<(&'static RuleEntry, Box<dyn Rule>)> {
            let rules = plan.rules.iter().filter(|settings| settings.entry.scope == scope);
            rules.map(|settings| (settings.entry, (settings.entry.build)(settings))).collect()
        };
        let name = instrument.to_string();
        let minds = plan.intervals.iter().map(|&interval| Mind {
            label: interval.to_string().into(),
            interval,
            next_open: UnixNanos(i64::MIN),
            features: FeatureMaker::default(),
            detectors: {
                let tuning = plan.tuning(interval);
                plan.detectors.iter().map(|model| (model.entry.build)(&tuning)).collect()
            },
            forecasts: Forecasts::new(&plan.forecasts, interval, |target, model, horizon| {
                let words =
                    [&*name, "forecast", &format!("{model} {}", target.name()), &interval.to_string()];
                identity(words, UnixNanos(0), horizon as usize)
            }),
            rules: built(Scope::Interval),
            whole: 0,
        });
        Self {
            minds: minds.collect(),
            rules: built(Scope::Instrument),
            instrument: name,
            waiting: None,
            diverged_at: UnixNanos(i64::MIN),
            found: Vec::new(),
            tellings: Tellings::default(),
        }
    }

    /// Whether models look at candles of that interval.
    fn minds(&self, interval: Interval) -> bool {
        self.minds.iter().any(|mind| mind.interval == interval)
    }

    /// What was told of a candle is complete: its insights follow.
    fn settle(&mut self, plan: &IntelligencePlan, cause_seq: u64, out: &mut impl OutputSink) {
        // It stays where it is while it is looked at.
        let Some(candle) = &self.waiting else { return };
        let mind = self.minds.iter_mut().find(|mind| mind.interval == candle.interval);
        if let Some(mind) = mind
            && candle.open_at >= mind.next_open
        {
            mind.next_open = candle.close_at;
            let tellings = &mut self.tellings;
            tellings.clear();
            mind.look_at(plan, &self.instrument, candle, (&mut self.found, tellings), cause_seq, out);
        }
        self.waiting = None;
    }

    fn ask_about_data(&mut self, cause_seq: u64, occasion: &Occasion<'_>, out: &mut impl OutputSink) {
        for (entry, rule) in &mut self.rules {
            tell_signal(entry, &mut **rule, occasion, &self.instrument, "", cause_seq, out);
        }
    }

    pub fn diverged_at(&self) -> UnixNanos {
        self.diverged_at
    }

    /// A comparison gave something back, perhaps again after a restart: told once, whenever it comes, as of the event
    /// that closed its candle.
    fn tell_divergence(
        &mut self,
        plan: &IntelligencePlan,
        divergence: &Divergence,
        out: &mut impl OutputSink,
    ) {
        let Some(across) = &plan.across else { return };
        if divergence.close_at <= self.diverged_at {
            return;
        }
        self.diverged_at = divergence.close_at;
        let interval = Interval::Time(divergence.interval);
        let words = [&*self.instrument, "anomaly", &across.model, &interval.to_string()];
        let anomaly = Anomaly {
            id: identity(words, divergence.close_at, 0),
            detector: across.model.clone(),
            interval,
            exchange_at: divergence.close_at,
            channel: DIVERGENCE.channel,
            score: divergence.score,
            threshold: divergence.threshold,
            evidence: divergence::evidence(divergence),
            revision: 0,
            data_state: if divergence.complete { DataState::Complete } else { DataState::Partial },
        };
        out.accept(divergence.cause_seq, Output::Anomaly(&anomaly));
        let occasion = Occasion::Divergence { divergence, anomaly: &anomaly };
        self.ask_about_data(divergence.cause_seq, &occasion, out);
    }

    /// Visits every word of mutable state. Between events no candle waits.
    pub fn state(&mut self, state: &mut State<'_>) {
        for mind in &mut self.minds {
            state.i64(&mut mind.next_open.0);
            state.word(&mut mind.whole);
            mind.features.state(state);
            mind.detectors.iter_mut().for_each(|detector| detector.state(state));
            mind.forecasts.iter_mut().for_each(|forecasts| forecasts.state(state));
            mind.rules.iter_mut().for_each(|(_, rule)| rule.state(state));
        }
        self.rules.iter_mut().for_each(|(_, rule)| rule.state(state));
        state.i64(&mut self.diverged_at.0);
    }
}

impl Mind {
    fn look_at(
        &mut self,
        plan: &IntelligencePlan,
        instrument: &str,
        candle: &Candle,
        (found, tellings): (&mut Vec<Finding>, &mut Tellings),
        cause_seq: u64,
        out: &mut impl OutputSink,
    ) {
        if let Some(forecasts) = &mut self.forecasts {
            out.forecasting(|| forecasts.take(&plan.forecasts, candle, tellings));
        }
        let interval = &*self.label;
        if matches!(candle.state, CandleState::Partial | CandleState::Unknown) {
            self.whole = 0;
            self.features.next(candle);
            self.detectors.iter_mut().for_each(|detector| detector.interrupt());
            return;
        }
        let features = self.features.next(candle);
        self.whole = self.whole.saturating_add(1);
        let whole = self.whole;
        let rests_on = |warm_up: usize| {
            if whole < warm_up as u64 { DataState::Partial } else { DataState::Complete }
        };
        let mut anomalies = Vec::new();
        if let Some(features) = features {
            for (model, detector) in plan.detectors.iter().zip(&mut self.detectors) {
                detector.observe(&features, found);
                if let Some(why) = detector.held_back() {
                    out.held_back(&model.name, why);
                }
                for finding in found.drain(..) {
                    let id = identity(
                        [instrument, "anomaly", &model.name, interval],
                        candle.close_at,
                        anomalies.len(),
                    );
                    anomalies.push(Anomaly {
                        id,
                        detector: model.name.clone(),
                        interval: self.interval,
                        exchange_at: candle.close_at,
                        channel: finding.channel,
                        score: finding.score,
                        threshold: finding.threshold,
                        evidence: with_candle(finding.evidence, candle),
                        revision: candle.revision,
                        data_state: rests_on(model.entry.warm_up),
                    });
                }
            }
        }
        anomalies.iter().for_each(|anomaly| out.accept(cause_seq, Output::Anomaly(anomaly)));
        let Tellings { forecasts, outcomes, scores, .. } = &*tellings;
        forecasts.iter().for_each(|forecast| out.accept(cause_seq, Output::Forecast(forecast)));
        outcomes.iter().for_each(|outcome| out.accept(cause_seq, Output::Outcome(outcome)));
        scores.iter().for_each(|score| out.accept(cause_seq, Output::Score(score)));
        let data_state = anomalies.iter().map(|anomaly| anomaly.data_state).max().unwrap_or(rests_on(1));
        let occasion =
            Occasion::Candle(Closed { candle, anomalies: &anomalies, forecasts, data_state, whole });
        for (entry, rule) in &mut self.rules {
            tell_signal(entry, &mut **rule, &occasion, instrument, interval, cause_seq, out);
        }
    }
}

fn tell_signal(
    entry: &'static RuleEntry,
    rule: &mut dyn Rule,
    occasion: &Occasion<'_>,
    instrument: &str,
    interval: &str,
    cause_seq: u64,
    out: &mut impl OutputSink,
) {
    let Some(verdict) = rule.consider(occasion) else { return };
    // Two gaps may end at one moment: what they are tells their signals apart.
    let told_apart = match occasion {
        Occasion::Gap(gap) => gap.id.0 as usize,
        Occasion::Divergence { anomaly, .. } => anomaly.id.0 as usize,
        _ => 0,
    };
    let signal = Signal {
        id: identity([instrument, entry.kind.name(), entry.name, interval], verdict.exchange_at, told_apart),
        kind: entry.kind,
        name: entry.name,
        severity: verdict.severity,
        action: verdict.action,
        exchange_at: verdict.exchange_at,
        score: verdict.score,
        message: verdict.message,
        evidence: verdict.evidence,
        models: verdict.models,
        data_state: verdict.data_state,
    };
    out.accept(cause_seq, Output::Signal(&signal));
}

/// The first eight bytes of the BLAKE3 hash of the words, the moment and the ordinal.
fn identity(words: [&str; 4], at: UnixNanos, ordinal: usize) -> InsightId {
    let mut hasher = blake3::Hasher::new();
    for word in words {
        hasher.update(&(word.len() as u64).to_le_bytes());
        hasher.update(word.as_bytes());
    }
    hasher.update(&at.0.to_le_bytes());
    hasher.update(&(ordinal as u64).to_le_bytes());
    let hash = hasher.finalize();
    InsightId(u64::from_le_bytes(hash.as_bytes()[..8].try_into().expect("a hash has 32 bytes")))
}

/// Passes on what a pipeline tells, and what follows from it.
pub struct Listening<'a, S> {
    pub plan: &'a IntelligencePlan,
    pub intelligence: &'a mut Intelligence,
    pub out: &'a mut S,
}

impl<S: OutputSink> Listening<'_, S> {
    /// The venue's side of the instrument changed.
    pub fn on_status(&mut self, cause_seq: u64, at: UnixNanos, status: WatchStatus) {
        self.intelligence.ask_about_data(cause_seq, &Occasion::Status { at, status }, self.out);
    }

    /// A candle of the instrument stands apart from other venues'.
    pub fn on_divergence(&mut self, divergence: &Divergence) {
        self.intelligence.tell_divergence(self.plan, divergence, self.out);
    }

    /// The event is through: what waits is looked at.
    pub fn settle(&mut self, cause_seq: u64) {
        self.intelligence.settle(self.plan, cause_seq, self.out);
    }
}

impl<S: OutputSink> OutputSink for Listening<'_, S> {
    #[inline]
    fn accept(&mut self, cause_seq: u64, output: Output<'_>) {
        match output {
            Output::Indicator(_) | Output::Trade(_) => return self.out.accept(cause_seq, output),
            _ => self.settle(cause_seq),
        }
        self.out.accept(cause_seq, output);
        match output {
            Output::Candle(candle) if candle.revision == 0 && self.intelligence.minds(candle.interval) => {
                self.intelligence.waiting = Some(candle.clone());
            }
            Output::Gap(gap) => {
                self.intelligence.ask_about_data(cause_seq, &Occasion::Gap(gap), self.out);
            }
            _ => {}
        }
    }

    fn forecasting<T>(&mut self, step: impl FnOnce() -> T) -> T {
        self.out.forecasting(step)
    }

    fn held_back(&mut self, detector: &Arc<str>, why: HeldBack) {
        self.out.held_back(detector, why);
    }
}
