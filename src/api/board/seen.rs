//! What is known of one instrument.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use crate::api::board::forming::Forming;
use crate::domain::candle::{Candle, CandleState};
use crate::domain::decimal::Price;
use crate::domain::event::{Trade, TradeId, WatchStatus};
use crate::domain::insight::{Fact, Forecast, ModelScore, Signal, SignalKind, Target};
use crate::domain::interval::Interval;
use crate::domain::output::{Gap, GapId, GapState, Position, Refusal};
use crate::domain::standing::Standing;
use crate::domain::time::UnixNanos;
use crate::domain::told::Told;
use crate::runtime::sink::Telling;

/// Closed candles that are kept, of each interval: what the store may not have yet.
const CLOSED_MAX: usize = 16;
/// Gaps that are kept; beyond it the oldest filled one goes, else the oldest.
const GAPS_MAX: usize = 1_000;
/// Forecasts that are kept, the last of each interval, target, model and horizon; scores likewise.
const FORECASTS_MAX: usize = 512;
const SCORES_MAX: usize = 2_048;

/// How often something was told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    pub trades: u64,
    /// First tellings.
    pub candles: u64,
    /// Candles told again.
    pub revisions: u64,
    /// Candles that a hole overlapped when they were told first.
    pub partial: u64,
    /// Candles of which nothing was known when they were told first.
    pub unknown: u64,
    pub anomalies: u64,
    pub forecasts: u64,
    pub signals: u64,
}

/// Why an instrument is silent: what the rule `data_quality` said of its subscription.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// `stale` or `unlisted`.
    pub status: WatchStatus,
    /// One plain sentence.
    pub reason: String,
    pub since: UnixNanos,
}

/// Which forecast, and which score: interval, target, model, candles ahead.
pub type ForecastKey = (Interval, Target, Arc<str>, u32);

/// What is known of one instrument.
#[derive(Debug)]
pub struct Seen {
    counts: Counts,
    cause_seq: u64,
    at: Option<Position>,
    /// A start said what forms: accepted events until then, and how many trades were entered before.
    stood: Option<(u64, u64)>,
    /// What the start knew of the last trade.
    last_price: Option<(Price, UnixNanos)>,
    trades: VecDeque<Trade>,
    trades_max: usize,
    forming: Vec<Forming>,
    closed: Vec<VecDeque<Candle>>,
    gaps: BTreeMap<GapId, Gap>,
    /// Of the gaps, in the order in which they opened.
    gap_order: VecDeque<GapId>,
    refused: BTreeMap<String, u64>,
    trouble: Option<Trouble>,
    forecasts: BTreeMap<ForecastKey, (Forecast, u64)>,
    scores: BTreeMap<ForecastKey, ModelScore>,
}

impl Seen {
    pub fn new(intervals: &[Interval], trades_max: usize) -> Self {
        Self {
            counts: Counts::default(),
            cause_seq: 0,
            at: None,
            stood: None,
            last_price: None,
            trades: VecDeque::new(),
            trades_max,
            forming: intervals.iter().map(|&interval| Forming::new(interval)).collect(),
            closed: vec![VecDeque::new(); intervals.len()],
            gaps: BTreeMap::new(),
            gap_order: VecDeque::new(),
            refused: BTreeMap::new(),
            trouble: None,
            forecasts: BTreeMap::new(),
            scores: BTreeMap::new(),
        }
    }

    /// `false`: it is known already (a symbol that was rebuilt tells again what it had told).
    pub fn enter(&mut self, telling: &Telling, recovered: bool) -> bool {
        if recovered && self.at.is_some_and(|at| telling.at < at) {
            return false;
        }
        if self.at.is_none() && telling.cause_seq > 1 && self.stood.is_none() {
            self.begin_midway(telling);
        }
        self.at = Some(telling.at);
        self.cause_seq = self.cause_seq.max(telling.cause_seq);
        match &telling.told {
            Told::Trade(trade) => self.enter_trade(trade),
            Told::Candle(candle) => self.enter_candle(candle),
            Told::Gap(gap) => self.enter_gap(gap),
            Told::Forecast(forecast) => self.enter_forecast(forecast, telling.cause_seq),
            Told::Anomaly(_) => self.counts.anomalies += 1,
            Told::Signal(signal) => self.enter_signal(signal),
            Told::Refused { reason, .. } => self.enter_refused(*reason),
            Told::Score(score) => self.enter_score(score),
            Told::Indicator(_) | Told::Outcome(_) => {}
        }
        true
    }

    /// What a start goes on from; it told everything but trades.
    pub fn stand(&mut self, standing: &Standing) {
        self.stood = Some((standing.seq, self.counts.trades));
        self.last_price = standing.last;
        let last_at = standing.last.map(|(_, at)| at);
        for forming in &mut self.forming {
            match standing.series.iter().find(|series| series.interval == forming.interval()) {
                Some(series) => forming.stand(series),
                None => forming.forget(last_at),
            }
        }
        standing.gaps.iter().for_each(|gap| self.enter_gap(gap));
        // Some of them may have been told to others, and entered.
        self.trades.clear();
        standing.trades.iter().for_each(|trade| self.keep_trade(trade));
        if self.trouble.as_ref().is_some_and(|trouble| last_at > Some(trouble.since)) {
            self.trouble = None;
        }
    }

    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// Accepted events of the instrument.
    pub fn cause_seq(&self) -> u64 {
        self.cause_seq
    }

    /// The latest by exchange time.
    pub fn last_trade(&self) -> Option<&Trade> {
        self.trades.back()
    }

    /// Price and time of the latest by exchange time, whether it is still among the trades or not.
    pub fn last_price(&self) -> Option<(Price, UnixNanos)> {
        let known = self.last_trade().map(|trade| (trade.price, trade.exchange_at));
        known
            .into_iter()
            .chain(self.last_price)
            .reduce(|one, other| if other.1 > one.1 { other } else { one })
    }

    /// The last `limit` trades, newest last.
    pub fn trades(&self, limit: usize) -> impl Iterator<Item = &Trade> {
        self.trades.iter().skip(self.trades.len().saturating_sub(limit))
    }

    /// Candles that still take trades, ascending by open time.
    pub fn forming(&self, interval: Interval) -> Vec<Candle> {
        let forming = self.forming.iter().find(|forming| forming.interval() == interval);
        forming.map(|forming| forming.candles().collect()).unwrap_or_default()
    }

    /// The last closed candles, ascending by open time, last revisions.
    pub fn closed(&self, interval: Interval) -> impl Iterator<Item = &Candle> {
        let at = self.forming.iter().position(|forming| forming.interval() == interval);
        at.into_iter().flat_map(|at| self.closed[at].iter())
    }

    /// In the order in which they opened.
    pub fn gaps(&self) -> impl Iterator<Item = &Gap> {
        self.gap_order.iter().filter_map(|id| self.gaps.get(id))
    }

    /// Why events were not taken, and how many.
    pub fn refused(&self) -> &BTreeMap<String, u64> {
        &self.refused
    }

    /// Why nothing is heard of it, as far as that was told.
    pub fn trouble(&self) -> Option<&Trouble> {
        self.trouble.as_ref()
    }

    /// The last of each kind, and what caused them.
    pub fn forecasts(&self) -> impl Iterator<Item = (&Forecast, u64)> {
        self.forecasts.values().map(|(forecast, cause_seq)| (forecast, *cause_seq))
    }

    /// How each model fared, as it was told last.
    pub fn scores(&self) -> impl Iterator<Item = &ModelScore> {
        self.scores.values()
    }

    /// Trades were missed: what is forming would not be exact.
    pub fn forget_forming(&mut self) {
        let last_at = self.last_trade().map(|trade| trade.exchange_at);
        self.forming.iter_mut().for_each(|forming| forming.forget(last_at));
    }

    /// The engine went on from a snapshot: what was open then is not known whole here.
    fn begin_midway(&mut self, telling: &Telling) {
        let from = match &telling.told {
            Told::Trade(trade) => trade.exchange_at,
            Told::Candle(candle) => candle.close_at,
            _ => return,
        };
        for forming in &mut self.forming {
            match forming.interval().time() {
                Some(_) => forming.begin_at(UnixNanos(from.0.saturating_add(1))),
                None => forming.forget(None),
            }
        }
    }

    fn enter_signal(&mut self, signal: &Signal) {
        self.counts.signals += 1;
        let said = signal.evidence.0.iter().find_map(|(name, fact)| match fact {
            Fact::Text(text) if name == "status" => Some(&**text),
            _ => None,
        });
        let known = WatchStatus::ALL.into_iter().find(|status| Some(status.name()) == said);
        if let Some(status) = known.filter(|_| signal.kind == SignalKind::Quality) {
            self.trouble =
                Some(Trouble { status, reason: signal.message.clone(), since: signal.exchange_at });
        }
    }

    fn enter_trade(&mut self, trade: &Trade) {
        self.counts.trades += 1;
        // Whatever was wrong with its subscription: it speaks.
        self.trouble = None;
        // As the symbol counts.
        let (seq, before) = self.stood.unwrap_or((0, 0));
        let arrival = seq + self.counts.trades - before;
        self.forming.iter_mut().for_each(|forming| forming.add(trade, arrival));
        self.keep_trade(trade);
    }

    fn keep_trade(&mut self, trade: &Trade) {
        let place = |trade: &Trade| {
            let id = if let TradeId::Number(id) = trade.id { id } else { 0 };
            (trade.exchange_at, id)
        };
        // A repaired trade belongs among those of its time.
        let behind = self.trades.iter().rev().take_while(|other| place(other) > place(trade)).count();
        let at = self.trades.len() - behind;
        if self.trades.len() == self.trades_max {
            if at == 0 {
                return;
            }
            self.trades.pop_front();
            self.trades.insert(at - 1, trade.clone());
        } else {
            self.trades.insert(at, trade.clone());
        }
    }

    fn enter_candle(&mut self, candle: &Candle) {
        if candle.revision == 0 {
            self.counts.candles += 1;
            self.counts.partial += u64::from(candle.state == CandleState::Partial);
            self.counts.unknown += u64::from(candle.state == CandleState::Unknown);
        } else {
            self.counts.revisions += 1;
        }
        let Some(at) = self.forming.iter().position(|forming| forming.interval() == candle.interval) else {
            return;
        };
        self.forming[at].close(candle);
        let closed = &mut self.closed[at];
        match closed.binary_search_by_key(&candle.open_at, |candle| candle.open_at) {
            Ok(at) => closed[at] = candle.clone(),
            Err(0) if closed.len() == CLOSED_MAX => {}
            Err(at) => {
                closed.insert(at, candle.clone());
                if closed.len() > CLOSED_MAX {
                    closed.pop_front();
                }
            }
        }
    }

    fn enter_gap(&mut self, gap: &Gap) {
        if self.gaps.insert(gap.id, gap.clone()).is_none() {
            self.gap_order.push_back(gap.id);
        }
        if self.gap_order.len() > GAPS_MAX {
            let is_filled = |id: &GapId| self.gaps.get(id).is_some_and(|gap| gap.state == GapState::Filled);
            let at = self.gap_order.iter().position(is_filled).unwrap_or(0);
            if let Some(id) = self.gap_order.remove(at) {
                self.gaps.remove(&id);
            }
        }
    }

    fn enter_forecast(&mut self, forecast: &Forecast, cause_seq: u64) {
        self.counts.forecasts += 1;
        let key = (forecast.interval, forecast.target, forecast.model.clone(), forecast.horizon);
        if self.forecasts.len() < FORECASTS_MAX || self.forecasts.contains_key(&key) {
            self.forecasts.insert(key, (forecast.clone(), cause_seq));
        }
    }

    fn enter_score(&mut self, score: &ModelScore) {
        let key = (score.interval, score.target, score.model.clone(), score.horizon);
        if self.scores.len() < SCORES_MAX || self.scores.contains_key(&key) {
            self.scores.insert(key, score.clone());
        }
    }

    fn enter_refused(&mut self, reason: Refusal) {
        // Reasons are words of our own: there are as many as the program has.
        *self.refused.entry(reason.to_string()).or_default() += 1;
    }
}
