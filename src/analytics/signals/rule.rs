//! What a rule is: the ground on which its family stands.
//!
//! A rule decides what somebody should know. It sees what the models said of a candle, or what happened to
//! the data, and tells it in one sentence with the numbers that it rests on. What was told stays told.

use std::sync::Arc;

use crate::analytics::rolling::state::State;
use crate::domain::candle::Candle;
use crate::domain::data_state::DataState;
use crate::domain::divergence::Divergence;
use crate::domain::event::WatchStatus;
use crate::domain::insight::{Action, Anomaly, Evidence, Forecast, Role, Severity, Target};
use crate::domain::output::Gap;
use crate::domain::time::UnixNanos;

/// What a rule may look at.
#[derive(Clone, Copy, Debug)]
pub enum Occasion<'a> {
    /// A candle closed that no hole touches.
    Candle(Closed<'a>),
    /// A gap opened or changed.
    Gap(&'a Gap),
    /// The venue's side of the instrument changed.
    Status { at: UnixNanos, status: WatchStatus },
    /// Its price stands apart from the same asset's elsewhere, as the anomaly tells.
    Divergence { divergence: &'a Divergence, anomaly: &'a Anomaly },
}

/// A candle, with what was made of it.
#[derive(Clone, Copy, Debug)]
pub struct Closed<'a> {
    pub candle: &'a Candle,
    pub anomalies: &'a [Anomaly],
    pub forecasts: &'a [Forecast],
    pub data_state: DataState,
    /// Whole candles since the last hole, this one included.
    pub whole: u64,
}

impl<'a> Closed<'a> {
    /// What something rests on that looks at so many candles.
    pub fn rests_on(&self, candles: u64) -> DataState {
        if self.whole < candles { DataState::Partial } else { self.data_state }
    }

    /// The forecasts of a target so many candles ahead that somebody leans on: that of whoever is in charge, else the
    /// mixture's, else all of members in good standing.
    pub fn leaned_on(&self, target: Target, horizon: u64) -> Vec<&'a Forecast> {
        let of = |is_meant: &dyn Fn(&Forecast) -> bool| -> Vec<&'a Forecast> {
            let forecasts = self.forecasts.iter().filter(|forecast| {
                forecast.target == target && u64::from(forecast.horizon) == horizon && is_meant(forecast)
            });
            forecasts.collect()
        };
        let champion = of(&|forecast| forecast.role == Role::Champion);
        if !champion.is_empty() {
            return champion;
        }
        let mixture = of(&|forecast| forecast.model.starts_with("mixture@"));
        if mixture.is_empty() { of(&|forecast| forecast.role == Role::Online) } else { mixture }
    }

    /// The close; `None` where nothing traded.
    pub fn close(&self) -> Option<f64> {
        self.candle.prices.map(|prices| prices.close.decimal().to_f64())
    }
}

/// What a rule tells; name, id and instrument are added by whoever asked it.
#[derive(Clone, Debug, PartialEq)]
pub struct Verdict {
    pub severity: Severity,
    pub action: Option<Action>,
    pub exchange_at: UnixNanos,
    /// 0 to 1.
    pub score: f64,
    /// One plain sentence.
    pub message: String,
    pub evidence: Evidence,
    pub models: Vec<Arc<str>>,
    pub data_state: DataState,
}

/// One rule, for one interval of one instrument, or for the instrument's data.
pub trait Rule: Send {
    fn consider(&mut self, occasion: &Occasion<'_>) -> Option<Verdict>;

    /// Visits every word of mutable state, always in the same order: saves or restores it.
    fn state(&mut self, state: &mut State<'_>);
}
