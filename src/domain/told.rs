//! What was told, owned: what travels from the shards to the sinks.
//!
//! A pipeline lends its outputs ([`Output`]); whoever keeps one, or sends it to another thread, makes
//! a [`Told`] of it.

use std::sync::Arc;

use crate::domain::candle::Candle;
use crate::domain::data_state::DataState;
use crate::domain::event::Trade;
use crate::domain::insight::{Anomaly, Forecast, ModelScore, Outcome, Signal};
use crate::domain::instrument::Instrument;
use crate::domain::interval::Interval;
use crate::domain::output::{Gap, Output, Position, Refusal};
use crate::domain::time::UnixNanos;

/// An instrument of the running engine: an index into its [`Roster`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Watch(pub u32);

/// Every instrument that a running engine knows: those of its configuration, and those of its journal.
/// Fixed for the life of the process.
#[derive(Clone, Debug)]
pub struct Roster {
    /// In order of name, no repeats.
    instruments: Arc<[Instrument]>,
}

impl Roster {
    pub fn new(instruments: impl IntoIterator<Item = Instrument>) -> Self {
        let mut instruments: Vec<_> = instruments.into_iter().collect();
        instruments.sort_unstable();
        instruments.dedup();
        Self { instruments: instruments.into() }
    }

    /// # Panics
    ///
    /// On a watch of another roster.
    pub fn instrument(&self, watch: Watch) -> &Instrument {
        &self.instruments[watch.0 as usize]
    }

    pub fn find(&self, instrument: &Instrument) -> Option<Watch> {
        self.instruments.binary_search(instrument).ok().map(|at| Watch(at as u32))
    }

    pub fn iter(&self) -> impl ExactSizeIterator<Item = (Watch, &Instrument)> {
        self.instruments.iter().enumerate().map(|(at, instrument)| (Watch(at as u32), instrument))
    }

    pub fn len(&self) -> usize {
        self.instruments.len()
    }

    pub fn is_empty(&self) -> bool {
        self.instruments.is_empty()
    }
}

/// The values of one indicator at one closed candle.
#[derive(Clone, Debug, PartialEq)]
pub struct IndicatorValues {
    pub interval: Interval,
    /// The candle's.
    pub open_at: UnixNanos,
    /// With its parameters: `ema(20)`.
    pub indicator: Arc<str>,
    /// One name for each value: a slice that lives as long as the program, or a shared copy.
    pub outputs: Arc<[&'static str]>,
    /// Finite, one for each output; none at all withdraws what was told before.
    pub values: Vec<f64>,
    pub revision: u32,
    pub data_state: DataState,
}

/// One thing that was told.
#[derive(Clone, Debug, PartialEq)]
pub enum Told {
    Trade(Trade),
    Candle(Box<Candle>),
    Indicator(Box<IndicatorValues>),
    Gap(Box<Gap>),
    Anomaly(Box<Anomaly>),
    Forecast(Box<Forecast>),
    Signal(Box<Signal>),
    Outcome(Box<Outcome>),
    Score(Box<ModelScore>),
    /// The event at that position was not taken.
    Refused {
        at: Position,
        reason: Refusal,
    },
}

impl Told {
    /// A copy of what is lent. Names of indicators are looked up in `names`, so that they are not
    /// copied again and again.
    pub fn of(output: Output<'_>, names: &IndicatorNames) -> Self {
        match output {
            Output::Trade(trade) => Self::Trade(trade.clone()),
            Output::Candle(candle) => Self::Candle(Box::new(candle.clone())),
            Output::Indicator(snapshot) => {
                let (indicator, outputs) = names.of(snapshot.position, snapshot.indicator, snapshot.outputs);
                Self::Indicator(Box::new(IndicatorValues {
                    interval: snapshot.interval,
                    open_at: snapshot.open_at,
                    indicator,
                    outputs,
                    values: snapshot.values.to_vec(),
                    revision: snapshot.revision,
                    data_state: snapshot.data_state,
                }))
            }
            Output::Gap(gap) => Self::Gap(Box::new(gap.clone())),
            Output::Anomaly(anomaly) => Self::Anomaly(Box::new(anomaly.clone())),
            Output::Forecast(forecast) => Self::Forecast(Box::new(forecast.clone())),
            Output::Signal(signal) => Self::Signal(Box::new(signal.clone())),
            Output::Outcome(outcome) => Self::Outcome(Box::new(outcome.clone())),
            Output::Score(score) => Self::Score(Box::new(score.clone())),
            Output::Refused { at, reason } => Self::Refused { at, reason },
        }
    }
}

/// Shared names of the indicators of a run, by their position in the pipelines' list.
#[derive(Clone, Debug, Default)]
pub struct IndicatorNames {
    names: Vec<(Arc<str>, Arc<[&'static str]>)>,
}

impl IndicatorNames {
    /// `names`: in the order of the pipelines' list.
    pub fn new<'a>(names: impl IntoIterator<Item = (&'a str, &'a [&'static str])>) -> Self {
        Self { names: names.into_iter().map(|(name, outputs)| (name.into(), outputs.into())).collect() }
    }

    fn of(
        &self,
        position: usize,
        indicator: &str,
        outputs: &[&'static str],
    ) -> (Arc<str>, Arc<[&'static str]>) {
        match self.names.get(position) {
            Some((name, outputs)) if **name == *indicator => (name.clone(), outputs.clone()),
            _ => (indicator.into(), outputs.into()),
        }
    }
}
