//! One symbol's pipeline: events in, outputs out, in a written order.
//!
//! A trade passes the ledger (is it new, what is missing), then enters the bars; then closed
//! candles that it changed are told again, suspected gaps that lasted are claimed, and what
//! is due is closed. Time is the newest exchange time seen: nothing here reads a clock.

use crate::analytics::ahead::{want, want_items};
use crate::analytics::archive::Archive;
use crate::analytics::candles::Candles;
use crate::analytics::catalogue::Spec;
use crate::analytics::desk::Desk;
use crate::analytics::features::FEATURES_VERSION;
use crate::analytics::gaps::{Dirty, Gaps};
use crate::analytics::indicator_set::IndicatorPlan;
use crate::analytics::information::InformationBars;
use crate::analytics::intelligence::{Intelligence, IntelligencePlan, Listening};
use crate::analytics::ledger::{Admission, Ledger};
use crate::analytics::rolling::nouns::{blank_candle, visit_candle, visit_origin};
use crate::analytics::rolling::state::{State, StateFault};
use crate::analytics::sums::{Print, Rank, Steps};
use crate::domain::candle::Origin;
use crate::domain::event::{Event, ReadyCandle, Trade};
use crate::domain::instrument::Instrument;
use crate::domain::interval::Interval;
use crate::domain::output::{Output, OutputSink, Position, Refusal};
use crate::domain::standing::Standing;
use crate::domain::time::UnixNanos;
use crate::domain::venue::IdRule;

/// Closed candles an interval that are kept for quick revisions, unless set otherwise.
pub const WINDOW_DEFAULT: usize = 128;

/// Rises with every change of what [`SymbolPipeline::save`] writes, or of what follows from it.
const STATE_VERSION: u32 = 12;

/// In how many steps [`SymbolPipeline::want`] notes all.
pub const WANT_STEPS: usize = 4;

/// So many rows to come are asked for ahead.
const WANTED_ROWS_MAX: usize = 20;

/// What a pipeline computes; the same for all symbols of a run.
#[derive(Debug)]
pub struct Settings {
    /// Ascending, no repeats.
    pub intervals: Vec<Interval>,
    pub indicators: IndicatorPlan,
    /// How long a closed interval waits for late trades.
    pub grace_nanos: i64,
    /// Closed candles an interval that are kept for quick revisions.
    pub window: usize,
    /// Models and rules; none unless set.
    pub intelligence: IntelligencePlan,
}

impl Settings {
    /// `intervals` in any order.
    pub fn new(intervals: &[Interval], indicators: &[Spec], grace_nanos: i64) -> Self {
        let mut intervals = intervals.to_vec();
        intervals.sort_unstable();
        intervals.dedup();
        Self {
            intervals,
            indicators: IndicatorPlan::new(indicators),
            grace_nanos,
            window: WINDOW_DEFAULT,
            intelligence: IntelligencePlan::default(),
        }
    }

    /// What a saved state was made under: states move between pipelines of one fingerprint alone.
    pub fn fingerprint(&self) -> u64 {
        let mut hasher = blake3::Hasher::new();
        let mut part = |text: &str| {
            hasher.update(text.as_bytes());
            hasher.update(b"|");
        };
        part(&STATE_VERSION.to_string());
        self.intervals.iter().for_each(|interval| part(&interval.to_string()));
        self.indicators.names.iter().for_each(|name| part(name));
        for number in [self.grace_nanos, self.window as i64, self.indicators.state_words as i64] {
            part(&number.to_string());
        }
        // Models know what they learned from by name, version and the definitions of the features.
        part(&self.intelligence.canonical());
        part(&FEATURES_VERSION.to_string());
        // A changed layout seldom has the same length: this finds what nobody wrote down above.
        let mut words = Vec::new();
        let nobody = "x:A-B".parse().expect("the name is well-formed");
        SymbolPipeline::new(nobody, IdRule::Contiguous, self).save(&mut words);
        part(&words.len().to_string());
        let hash = hasher.finalize();
        u64::from_le_bytes(hash.as_bytes()[..8].try_into().expect("a hash has 32 bytes"))
    }
}

/// What a pipeline has seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Accepted distinct trades.
    pub trades: u64,
    /// Copies of trades that were known.
    pub duplicates: u64,
    /// Copies that differ from the first of their id.
    pub conflicting: u64,
    /// Accepted trades that came more than the grace period behind the newest one.
    pub late: u64,
    pub refused: u64,
    /// Rows of candles told for the first time.
    pub candles: u64,
    /// Accepted trades older than all candles that were kept: their candles were not revised.
    pub unrevised: u64,
}

impl Counts {
    fn state(&mut self, state: &mut State<'_>) {
        for count in [
            &mut self.trades,
            &mut self.duplicates,
            &mut self.conflicting,
            &mut self.late,
            &mut self.refused,
            &mut self.candles,
            &mut self.unrevised,
        ] {
            state.word(count);
        }
    }

    pub fn add(&mut self, other: Self) {
        self.trades += other.trades;
        self.duplicates += other.duplicates;
        self.conflicting += other.conflicting;
        self.late += other.late;
        self.refused += other.refused;
        self.candles += other.candles;
        self.unrevised += other.unrevised;
    }

    /// What came on top of an earlier count of the same.
    pub fn since(self, before: Self) -> Self {
        Self {
            trades: self.trades - before.trades,
            duplicates: self.duplicates - before.duplicates,
            conflicting: self.conflicting - before.conflicting,
            late: self.late - before.late,
            refused: self.refused - before.refused,
            candles: self.candles - before.candles,
            unrevised: self.unrevised - before.unrevised,
        }
    }
}

/// The state of one symbol.
pub struct SymbolPipeline<'s> {
    settings: &'s Settings,
    ledger: Ledger,
    gaps: Gaps,
    candles: Candles,
    information: Vec<InformationBars>,
    /// The newest exchange time seen, ticks included.
    watermark: UnixNanos,
    first_trade_at: Option<UnixNanos>,
    last_trade_at: UnixNanos,
    origin: Origin,
    /// In which its amounts are counted.
    steps: Steps,
    /// Accepted events.
    seq: u64,
    counts: Counts,
    /// Until then a trade that follows on the last one, in id and time, means nothing but itself.
    plain_until: UnixNanos,
    /// From then on a plain trade lets a candle close.
    due_at: UnixNanos,
    last_ready: Option<Box<ReadyCandle>>,
    /// `None` where no model runs; and while it listens to the pipeline itself.
    intelligence: Option<Box<Intelligence>>,
}

impl<'s> SymbolPipeline<'s> {
    pub fn new(instrument: Instrument, id_rule: IdRule, settings: &'s Settings) -> Self {
        let plan = &settings.indicators;
        let times: Vec<_> = settings.intervals.iter().filter_map(|interval| interval.time()).collect();
        let models = &settings.intelligence;
        let intelligence = (!models.is_empty()).then(|| Box::new(Intelligence::new(&instrument, models)));
        // Room for these first: so they lie beside the candles, with as little as can be between.
        let bars = settings.intervals.iter().filter(|interval| interval.time().is_none()).count();
        let mut information = Vec::with_capacity(bars);
        let candles = Candles::new(&times, plan);
        information.extend(settings.intervals.iter().filter_map(|&i| InformationBars::new(i, plan)));
        Self {
            settings,
            intelligence,
            ledger: Ledger::new(id_rule),
            gaps: Gaps::new(instrument),
            candles,
            information,
            watermark: UnixNanos(i64::MIN),
            first_trade_at: None,
            last_trade_at: UnixNanos(i64::MIN),
            origin: Origin::Trades,
            steps: Steps::default(),
            seq: 0,
            counts: Counts::default(),
            plain_until: UnixNanos(i64::MIN),
            due_at: UnixNanos(i64::MIN),
            last_ready: None,
        }
    }

    /// Appends all that the next events rest on: for a [`Self::restore`] elsewhere, between any two events.
    pub fn save(&mut self, words: &mut Vec<u64>) {
        self.state(&mut State::Save(words));
    }

    /// A pipeline that goes on where one of the same instrument, rule and settings was saved (their
    /// [`Settings::fingerprint`]s are equal).
    ///
    /// # Errors
    ///
    /// On words that no such pipeline has saved; never a panic, whatever they are.
    pub fn restore(
        instrument: Instrument,
        id_rule: IdRule,
        settings: &'s Settings,
        words: &[u64],
    ) -> Result<Self, StateFault> {
        let mut pipeline = Self::new(instrument, id_rule, settings);
        pipeline.load(words)?;
        Ok(pipeline)
    }

    /// As [`Self::restore`], into a pipeline that has taken nothing yet: making one takes longer than this. After an
    /// error it is good for nothing.
    pub fn load(&mut self, words: &[u64]) -> Result<(), StateFault> {
        let mut state = State::load(words);
        self.state(&mut state);
        state.finish()
    }

    /// Visits all that is kept from one event to the next, for saving and for restoring alike.
    fn state(&mut self, state: &mut State<'_>) {
        self.ledger.state(state);
        self.gaps.state(state);
        self.candles.state(self.settings.window, state);
        self.information.iter_mut().for_each(|bars| bars.state(state));
        state.i64(&mut self.watermark.0);
        let mut first_trade_at = self.first_trade_at.map(|at| at.0.cast_unsigned());
        state.option_word(&mut first_trade_at);
        self.first_trade_at = first_trade_at.map(|at| UnixNanos(at.cast_signed()));
        state.i64(&mut self.last_trade_at.0);
        visit_origin(&mut self.origin, state);
        self.steps.state(state);
        state.word(&mut self.seq);
        self.counts.state(state);
        let mut some = self.last_ready.is_some();
        state.bool(&mut some);
        if some {
            visit_candle(self.last_ready.get_or_insert_with(|| Box::new(blank_candle())), state);
        } else {
            self.last_ready = None;
        }
        if let Some(intelligence) = &mut self.intelligence {
            intelligence.state(state);
        }
    }

    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// Accepted events.
    pub fn seq(&self) -> u64 {
        self.seq
    }

    /// What it knows of candles that still take trades, of the last price, and of gaps; nothing of ready candles.
    pub fn standing(&self) -> Standing {
        if self.origin != Origin::Trades {
            return Standing { seq: self.seq, ..Standing::default() };
        }
        let mut series = self.candles.forming();
        series.extend(self.information.iter().map(InformationBars::forming));
        let of_bars = || {
            let bars = series.iter().flat_map(|series| &series.forming).max_by_key(|forming| forming.last);
            bars.and_then(|bar| Some((bar.candle.prices?.close, bar.last.0)))
        };
        let gaps = self.gaps.unfilled().collect();
        Standing {
            seq: self.seq,
            last: self.candles.last_price().or_else(of_bars),
            series,
            gaps,
            trades: Vec::new(),
        }
    }

    /// The newest exchange time seen, ticks included; the beginning of time where there was none.
    pub fn newest_at(&self) -> UnixNanos {
        self.watermark
    }

    /// Close of the last candle that stood apart from other venues' and was told: of no earlier one it is told again.
    pub fn diverged_at(&self) -> UnixNanos {
        self.intelligence.as_ref().map_or(UnixNanos(i64::MIN), |intelligence| intelligence.diverged_at())
    }

    /// Gaps that are told and not filled; those that nobody can fill for a day.
    pub fn gaps_open(&self) -> usize {
        self.gaps.waited_for(self.watermark)
    }

    /// The highest id of the run that trades go on with; `None` where ids do not count.
    pub fn last_id(&self) -> Option<u64> {
        self.ledger.last_id()
    }

    /// Before then the passing of time changes nothing but how late it is: no candle closes, no gap is claimed. Of the
    /// ticks before it that follow on one another, the last stands for all.
    pub fn still_until(&self) -> UnixNanos {
        self.gaps.calm_until().min(self.next_due())
    }

    /// Asks for what the next `events` will use.
    ///
    /// A symbol's state lies in some hundred lines of memory, and what one of them holds tells where
    /// others are: so it is asked for in steps, from [`WANT_STEPS`] before its turn down to 1, between
    /// which other symbols have theirs.
    pub fn want(&self, step: usize, events: usize) {
        match step {
            4.. => want(self),
            3 => {
                self.candles.want_series();
                want_items(&self.information);
                self.ledger.want(events);
            }
            2 => self.candles.want_rows(events, WANTED_ROWS_MAX, self.settings.window),
            _ => self.candles.want_sets(events),
        }
    }

    /// Asks for all steps of [`Self::want`] at once, for a symbol that has its turn now.
    pub fn touch(&self) {
        for step in (1..=WANT_STEPS).rev() {
            self.want(step, WANTED_ROWS_MAX);
        }
    }

    /// Takes the next event of the instrument's log.
    #[inline]
    pub fn on_event(
        &mut self,
        at: Position,
        event: &Event,
        archive: &mut dyn Archive,
        out: &mut impl OutputSink,
    ) {
        if self.intelligence.is_none() {
            return self.take_event(at, event, archive, out);
        }
        self.listened_to(out, |pipeline, listening| {
            pipeline.take_event(at, event, archive, listening);
            match event {
                Event::Status { venue_at, status } => {
                    listening.on_status(pipeline.seq, *venue_at, *status);
                }
                Event::Divergence(divergence) => listening.on_divergence(divergence),
                _ => {}
            }
        });
    }

    /// Lets the models listen to what `take` tells. Out of the way of runs without models: their path
    /// to the sink stays as short as it was.
    #[inline(never)]
    fn listened_to<S: OutputSink>(
        &mut self,
        out: &mut S,
        take: impl FnOnce(&mut Self, &mut Listening<'_, S>),
    ) {
        let mut intelligence = self.intelligence.take().expect("asked for only where models run");
        let plan = &self.settings.intelligence;
        let mut listening = Listening { plan, intelligence: &mut intelligence, out };
        take(self, &mut listening);
        listening.settle(self.seq);
        self.intelligence = Some(intelligence);
    }

    fn take_event(
        &mut self,
        at: Position,
        event: &Event,
        archive: &mut dyn Archive,
        out: &mut impl OutputSink,
    ) {
        match event {
            Event::Trade(trade) => return self.take_trade(at, trade, archive, out),
            Event::Backfill(page) => {
                let mut dirty = None;
                for trade in page {
                    self.take(at, trade, &mut dirty, archive, out);
                }
                self.settle(dirty, archive, out);
            }
            Event::Candle(candle) => self.on_ready_candle(at, candle, archive, out),
            Event::Tick { venue_at } => {
                self.watermark = self.watermark.max(*venue_at);
                self.settle(None, archive, out);
            }
            Event::Unfillable { first_id, last_id, reason } => {
                self.gaps.give_up(*first_id, *last_id, *reason, self.watermark);
                self.settle(None, archive, out);
            }
            Event::Status { venue_at, .. } => {
                self.watermark = self.watermark.max(*venue_at);
                self.settle(None, archive, out);
            }
            Event::Unwatched { to, .. } => {
                let mut dirty = None;
                if !self.ledger.counts_ids() && self.first_trade_at.is_some() {
                    self.gaps.unwatched(self.last_trade_at, *to, &mut dirty);
                }
                self.settle(dirty, archive, out);
            }
            // Changes no candle: the models tell it.
            Event::Divergence(_) => return,
        }
        self.look_ahead();
    }

    /// Takes the next trade of the instrument's log.
    #[inline]
    pub fn on_trade(
        &mut self,
        at: Position,
        trade: &Trade,
        archive: &mut dyn Archive,
        out: &mut impl OutputSink,
    ) {
        if self.intelligence.is_none() {
            return self.take_trade(at, trade, archive, out);
        }
        self.listened_to(out, |pipeline, listening| pipeline.take_trade(at, trade, archive, listening));
    }

    #[inline]
    fn take_trade(
        &mut self,
        at: Position,
        trade: &Trade,
        archive: &mut dyn Archive,
        out: &mut impl OutputSink,
    ) {
        let time = trade.exchange_at;
        if time >= self.watermark && time < self.plain_until && self.ledger.follow(trade) {
            self.take_plain(trade, archive, out);
        } else {
            self.take_any_trade(at, trade, archive, out);
        }
    }

    /// What [`Self::take_any_trade`] does to a trade of which nothing is to be found out, as nearly all are.
    #[inline]
    fn take_plain(&mut self, trade: &Trade, archive: &mut dyn Archive, out: &mut impl OutputSink) {
        let at = trade.exchange_at;
        self.seq += 1;
        self.counts.trades += 1;
        out.accept(self.seq, Output::Trade(trade));
        self.watermark = at;
        self.last_trade_at = at;
        let print = Print::new(trade, self.seq, &mut self.steps);
        let with_sizes = self.settings.indicators.needs_sizes;
        self.candles.add_last(&print, with_sizes);
        // Seldom more than one: then the print need not wait in memory for its turn in each.
        if let [bars] = &mut self.information[..] {
            if bars.add::<true>(&print, false, with_sizes) {
                self.close_bars(0, archive, out);
            }
        } else {
            self.add_to_bars(print, false, archive, out);
        }
        if at >= self.due_at {
            self.close_due(archive, out);
            self.due_at = self.next_due();
        }
    }

    #[inline(never)]
    fn add_to_bars(
        &mut self,
        print: Print,
        disturbing: bool,
        archive: &mut dyn Archive,
        out: &mut impl OutputSink,
    ) {
        let with_sizes = self.settings.indicators.needs_sizes;
        for i in 0..self.information.len() {
            if self.information[i].add::<false>(&print, disturbing, with_sizes) {
                self.close_bars(i, archive, out);
            }
        }
    }

    #[cold]
    #[inline(never)]
    fn close_bars(&mut self, i: usize, archive: &mut dyn Archive, out: &mut impl OutputSink) {
        let (_, bars, mut desk) = self.desk(archive, out);
        bars[i].close(&mut desk);
    }

    fn take_any_trade(
        &mut self,
        at: Position,
        trade: &Trade,
        archive: &mut dyn Archive,
        out: &mut impl OutputSink,
    ) {
        let mut dirty = None;
        self.take(at, trade, &mut dirty, archive, out);
        self.settle(dirty, archive, out);
        self.look_ahead();
    }

    /// Finds out how long trades will be plain ones if nothing else comes.
    fn look_ahead(&mut self) {
        let plain = self.origin == Origin::Trades
            && self.first_trade_at.is_some()
            && !self.ledger.holds()
            && self.candles.takes_plain()
            && self.nothing_later();
        self.plain_until = if plain { self.gaps.calm_until() } else { UnixNanos(i64::MIN) };
        self.due_at = self.next_due();
    }

    /// Whether the next id, at the newest time, comes after all that is open. It does not where an older id of a higher
    /// number bears the newest time: after a numbering that started anew.
    fn nothing_later(&self) -> bool {
        self.ledger.last_id().is_some_and(|id| {
            let next = Rank { at: self.watermark, tie: id.saturating_add(1) };
            self.candles.is_last(next) && self.information.iter().all(|bars| bars.is_last(next))
        })
    }

    /// When the next candle is to be closed, its time for late trades included.
    #[inline]
    fn next_due(&self) -> UnixNanos {
        UnixNanos(self.candles.next_close().0.saturating_add(self.settings.grace_nanos))
    }

    /// Passes a trade through the ledger and into the bars.
    fn take(
        &mut self,
        at: Position,
        trade: &Trade,
        dirty: &mut Option<Dirty>,
        archive: &mut dyn Archive,
        out: &mut impl OutputSink,
    ) {
        if self.origin != Origin::Trades {
            self.refuse(at, Refusal::MixedOrigin, out);
            return;
        }
        if self.ledger.holds() {
            self.release_held(trade, dirty, archive, out);
        }
        let now = self.watermark.max(trade.exchange_at);
        match self.ledger.admit(trade, at, now, &mut self.gaps, dirty) {
            Admission::Accepted { repaired } => self.accept(trade, repaired, dirty, archive, out),
            Admission::Duplicate => self.counts.duplicates += 1,
            Admission::Conflicting => self.counts.conflicting += 1,
            Admission::Held => {}
            Admission::Refused(reason) => self.refuse(at, reason, out),
        }
    }

    /// A trade with an id out of reach waited for this one: it is confirmed by it or refused.
    #[cold]
    fn release_held(
        &mut self,
        next: &Trade,
        dirty: &mut Option<Dirty>,
        archive: &mut dyn Archive,
        out: &mut impl OutputSink,
    ) {
        let Some(held) = self.ledger.release(next) else { return };
        if !held.confirmed {
            self.refuse(held.at, Refusal::IdOutOfReach, out);
            return;
        }
        self.ledger.restart(&held.trade, &mut self.gaps, dirty);
        self.accept(&held.trade, false, dirty, archive, out);
    }

    #[cold]
    fn refuse(&mut self, at: Position, reason: Refusal, out: &mut impl OutputSink) {
        self.counts.refused += 1;
        out.accept(self.seq, Output::Refused { at, reason });
    }

    fn accept(
        &mut self,
        trade: &Trade,
        repaired: bool,
        dirty: &mut Option<Dirty>,
        archive: &mut dyn Archive,
        out: &mut impl OutputSink,
    ) {
        let at = trade.exchange_at;
        self.seq += 1;
        self.counts.trades += 1;
        out.accept(self.seq, Output::Trade(trade));
        let late = at.0.saturating_add(self.settings.grace_nanos) < self.watermark.0;
        self.counts.late += u64::from(late);
        match self.first_trade_at {
            Some(first) if at >= first => {}
            first => {
                self.first_trade_at = Some(at);
                if let Some(first) = first {
                    Dirty::join(dirty, at, first);
                }
            }
        }
        self.watermark = self.watermark.max(at);
        self.gaps.heard(at, dirty);
        self.last_trade_at = self.last_trade_at.max(at);
        let print = Print::new(trade, self.seq, &mut self.steps);
        let with_sizes = self.settings.indicators.needs_sizes;
        if self.candles.add(&print, with_sizes, archive, &mut self.counts.unrevised) {
            Dirty::join(dirty, at, at);
        }
        self.add_to_bars(print, late || repaired, archive, out);
    }

    /// What follows from an event once it is taken in: revisions, claims, closings.
    fn settle(&mut self, dirty: Option<Dirty>, archive: &mut dyn Archive, out: &mut impl OutputSink) {
        self.gaps.claim_due(self.watermark);
        if dirty.is_some() {
            self.revise(dirty, archive, out);
        }
        self.tell_gaps(out);
        if self.origin == Origin::Trades {
            self.close_due(archive, out);
        }
    }

    fn close_due(&mut self, archive: &mut dyn Archive, out: &mut impl OutputSink) {
        let limit = UnixNanos(self.watermark.0.saturating_sub(self.settings.grace_nanos));
        if limit >= self.candles.next_close() {
            let (candles, _, mut desk) = self.desk(archive, out);
            candles.close_due(limit, &mut desk);
        }
    }

    #[cold]
    fn revise(&mut self, dirty: Option<Dirty>, archive: &mut dyn Archive, out: &mut impl OutputSink) {
        if let Some(dirty) = dirty {
            let (candles, _, mut desk) = self.desk(archive, out);
            candles.revise(dirty, &mut desk);
        }
    }

    #[inline]
    fn tell_gaps(&mut self, out: &mut impl OutputSink) {
        if let Some(gaps) = self.gaps.take_told() {
            for gap in &gaps {
                out.accept(self.seq, Output::Gap(gap));
            }
        }
    }

    fn on_ready_candle(
        &mut self,
        at: Position,
        candle: &ReadyCandle,
        archive: &mut dyn Archive,
        out: &mut impl OutputSink,
    ) {
        if self.seq > 0 && self.origin == Origin::Trades {
            return self.refuse(at, Refusal::MixedOrigin, out);
        }
        if let Some(last) = &self.last_ready
            && candle.open_at <= last.open_at
        {
            if candle == &**last {
                self.counts.duplicates += 1;
                return;
            }
            return self.refuse(at, Refusal::UnequalRepeat, out);
        }
        let fits = self.candles.shortest() == Some(candle.interval)
            && self.candles.has_one_root()
            && candle.interval.open_of(candle.open_at) == candle.open_at;
        if !fits {
            return self.refuse(at, Refusal::Misaligned, out);
        }
        self.origin = candle.origin;
        self.seq += 1;
        self.first_trade_at.get_or_insert(candle.open_at);
        let closed = self.candles.closed_until();
        if closed.0 != i64::MIN && candle.open_at > closed {
            // A missing row: nobody says what traded there.
            self.gaps.shade(closed, UnixNanos(candle.open_at.0 - 1));
        }
        self.watermark = self.watermark.max(candle.open_at);
        self.last_trade_at = self.last_trade_at.max(candle.open_at);
        let (candles, _, mut desk) = self.desk(archive, out);
        candles.take_ready(candle, &mut desk);
        self.last_ready = Some(Box::new(candle.clone()));
    }

    /// The recording has ended: closes what is open, as partial.
    pub fn finish(&mut self, archive: &mut dyn Archive, out: &mut impl OutputSink) {
        if self.intelligence.is_none() {
            return self.end(archive, out);
        }
        self.listened_to(out, |pipeline, listening| pipeline.end(archive, listening));
    }

    fn end(&mut self, archive: &mut dyn Archive, out: &mut impl OutputSink) {
        if let Some(held) = self.ledger.give_up() {
            self.refuse(held.at, Refusal::IdOutOfReach, out);
        }
        self.gaps.end();
        self.tell_gaps(out);
        let last = self.last_trade_at;
        if last.0 == i64::MIN {
            return;
        }
        let (candles, bars, mut desk) = self.desk(archive, out);
        desk.ending = true;
        candles.finish(last, &mut desk);
        bars.iter_mut().for_each(|bars| bars.close(&mut desk));
        self.plain_until = UnixNanos(i64::MIN);
    }

    /// The bars, and what they need for telling.
    #[inline]
    fn desk<'a, S>(
        &'a mut self,
        archive: &'a mut dyn Archive,
        out: &'a mut S,
    ) -> (&'a mut Candles, &'a mut [InformationBars], Desk<'a, S>) {
        let desk = Desk {
            plan: &self.settings.indicators,
            gaps: &self.gaps,
            began_at: self.first_trade_at.unwrap_or(UnixNanos(i64::MIN)),
            ending: false,
            origin: self.origin,
            cause_seq: self.seq,
            window: self.settings.window,
            candles_told: &mut self.counts.candles,
            archive,
            out,
        };
        (&mut self.candles, &mut self.information, desk)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::analytics::archive::MemoryArchive;
    use crate::domain::candle::Candle;
    use crate::domain::decimal::{Price, Quantity};
    use crate::domain::event::{Side, TradeId};
    use crate::domain::output::Gap;

    /// Keeps the last revision of everything told.
    #[derive(Default)]
    struct Kept {
        candles: BTreeMap<(Interval, UnixNanos), Candle>,
        revisions: BTreeMap<(Interval, UnixNanos), u32>,
        indicators: BTreeMap<(Interval, UnixNanos, usize), (Vec<u64>, crate::domain::data_state::DataState)>,
        gaps: BTreeMap<crate::domain::output::GapId, Gap>,
        refused: Vec<(Position, Refusal)>,
    }

    impl OutputSink for Kept {
        fn accept(&mut self, _cause_seq: u64, output: Output<'_>) {
            match output {
                Output::Trade(_) | Output::Anomaly(_) | Output::Forecast(_) | Output::Signal(_) => {}
                Output::Outcome(_) | Output::Score(_) => {}
                Output::Candle(candle) => {
                    let known = self.candles.insert((candle.interval, candle.open_at), candle.clone());
                    let before = self.revisions.insert((candle.interval, candle.open_at), candle.revision);
                    match before {
                        None => assert_eq!(candle.revision, 0, "{candle:?}"),
                        Some(before) => assert!(candle.revision > before, "{candle:?} after {known:?}"),
                    }
                    if let Some(mut known) = known {
                        known.revision = candle.revision;
                        assert_ne!(&known, candle, "told again without a difference");
                    }
                    // A stretch takes the place of what was told singly inside of it.
                    if candle.prices.is_none() {
                        let inside = (candle.interval, UnixNanos(candle.open_at.0 + 1))
                            ..(candle.interval, candle.close_at);
                        let covered: Vec<_> = self.candles.range(inside).map(|(key, _)| *key).collect();
                        for key in covered {
                            self.candles.remove(&key);
                        }
                    }
                }
                Output::Indicator(snapshot) => {
                    let bits = snapshot.values.iter().map(|value| value.to_bits()).collect();
                    let key = (snapshot.interval, snapshot.open_at, snapshot.position);
                    if snapshot.values.is_empty() {
                        self.indicators.remove(&key).expect("only what was told is withdrawn");
                    } else {
                        self.indicators.insert(key, (bits, snapshot.data_state));
                    }
                }
                Output::Gap(gap) => {
                    self.gaps.insert(gap.id, gap.clone());
                }
                Output::Refused { at, reason } => self.refused.push((at, reason)),
            }
        }
    }

    /// `id@seconds price`, in order of arrival; quantity 1, a buy.
    fn trade(text: &str) -> Trade {
        let (id, rest) = text.split_once('@').unwrap();
        let (seconds, price) = rest.split_once(' ').unwrap();
        Trade {
            price: Price::parse(price.as_bytes()).unwrap(),
            quantity: Quantity::parse(b"1").unwrap(),
            exchange_at: UnixNanos::parse_unit(seconds.as_bytes(), crate::domain::time::TimeUnit::Seconds)
                .unwrap(),
            received_at: None,
            id: TradeId::parse(id).unwrap(),
            taker_side: Some(Side::Buy),
            trade_count: 1,
        }
    }

    fn settings(intervals: &str, window: usize) -> Settings {
        let intervals: Vec<Interval> = intervals.split(' ').map(|text| text.parse().unwrap()).collect();
        let indicators = Spec::parse_list("sma(2),sma(5)").unwrap();
        Settings { window, ..Settings::new(&intervals, &indicators, 2_000_000_000) }
    }

    fn run(rule: IdRule, settings: &Settings, trades: &[Trade]) -> (Kept, Counts) {
        let mut pipeline = SymbolPipeline::new("x:A-B".parse().unwrap(), rule, settings);
        let (mut kept, mut archive) = (Kept::default(), MemoryArchive::default());
        for (i, trade) in trades.iter().enumerate() {
            pipeline.on_trade(Position(i as u64), trade, &mut archive, &mut kept);
        }
        pipeline.finish(&mut archive, &mut kept);
        (kept, pipeline.counts())
    }

    /// One line a candle: `interval seconds[+seconds] state ohlc count`.
    fn lines(kept: &Kept) -> Vec<String> {
        let line = |candle: &Candle| {
            let seconds = candle.open_at.0 as f64 / 1e9;
            let long = (candle.close_at.0 - candle.open_at.0) as f64 / 1e9;
            let prices = candle.prices.map_or(String::new(), |p| {
                format!(" {:?} {:?} {:?} {:?}", p.open, p.high, p.low, p.close)
                    .replace("Price(", "")
                    .replace(')', "")
            });
            let count = candle.trade_count.unwrap_or(0);
            format!("{} {seconds}+{long} {}{prices} {count}", candle.interval, candle.state)
        };
        kept.candles.values().map(line).collect()
    }

    fn check(intervals: &str, rule: IdRule, trades: &[&str], expected: &[&str]) {
        let trades: Vec<_> = trades.iter().map(|text| trade(text)).collect();
        let (kept, _) = run(rule, &settings(intervals, 128), &trades);
        assert_eq!(lines(&kept), expected);
    }

    #[test]
    fn the_last_trade_of_a_moment_has_the_highest_id_even_after_a_new_numbering() {
        check(
            "1s ticks:100",
            IdRule::Contiguous,
            &["2000000@10 5", "2000001@10 6", "5@10 7", "6@10 8", "7@10 9"],
            &["1s 10+1 partial 7 9 5 6 5", "ticks:100 10+0.000000001 partial 5 9 5 9 5"],
        );
    }

    #[test]
    fn an_interval_is_traded_empty_partial_or_unknown() {
        check(
            "1s",
            IdRule::Contiguous,
            &[
                "1@100.5 10",
                "2@101.2 11",
                "3@101.9 9",
                "4@103.0 12",
                "7@106.5 13",
                "8@107.1 14",
                "9@110.0 15",
            ],
            &[
                "1s 100+1 partial 10 10 10 10 1",
                "1s 101+1 traded 11 11 9 9 2",
                "1s 102+1 empty 0",
                "1s 103+1 partial 12 12 12 12 1",
                "1s 104+1 unknown 0",
                "1s 105+1 unknown 0",
                "1s 106+1 partial 13 13 13 13 1",
                "1s 107+1 traded 14 14 14 14 1",
                "1s 108+1 unknown 0",
                "1s 109+1 unknown 0",
                "1s 110+1 partial 15 15 15 15 1",
            ],
        );
    }

    #[test]
    fn a_late_trade_takes_its_place_and_fills_its_hole() {
        check(
            "1s",
            IdRule::Contiguous,
            &["1@100.5 10", "2@101.2 11", "4@103.5 12", "5@110.5 13", "3@102.5 20", "6@120 1"],
            &[
                "1s 100+1 partial 10 10 10 10 1",
                "1s 101+1 traded 11 11 11 11 1",
                "1s 102+1 traded 20 20 20 20 1",
                "1s 103+1 traded 12 12 12 12 1",
                "1s 104+1 empty 0",
                "1s 105+1 empty 0",
                "1s 106+1 empty 0",
                "1s 107+1 empty 0",
                "1s 108+1 empty 0",
                "1s 109+1 empty 0",
                "1s 110+1 traded 13 13 13 13 1",
                "1s 111+1 empty 0",
                "1s 112+1 empty 0",
                "1s 113+1 empty 0",
                "1s 114+1 empty 0",
                "1s 115+1 empty 0",
                "1s 116+1 empty 0",
                "1s 117+1 empty 0",
                "1s 118+1 unknown 0",
                "1s 119+1 unknown 0",
                "1s 120+1 partial 1 1 1 1 1",
            ],
        );
    }

    #[test]
    fn a_long_silence_is_one_row_and_a_late_trade_parts_it() {
        let quiet = ["1@0.5 10", "2@1.5 11", "3@5000.5 12", "4@5010 13"];
        let mut late = quiet.to_vec();
        late.insert(3, "@4500.5 7");
        let count = |trades: &[&str]| {
            let trades: Vec<_> = trades.iter().map(|text| trade(text)).collect();
            let (kept, _) = run(IdRule::Absent, &settings("1s", 128), &trades);
            lines(&kept)
                .into_iter()
                .filter(|line| line.contains("+") && !line.contains("+1 "))
                .collect::<Vec<_>>()
        };
        assert_eq!(count(&quiet), ["1s 2+4998 empty 0"]);
        assert_eq!(count(&late), ["1s 2+4498 empty 0"]);
    }

    #[test]
    fn a_silence_that_grew_and_was_cut_again_is_not_told_anew() {
        // The stretch is told when 2 parts it from what comes; it grows while 6 is silent, and 5 cuts it
        // back to what it was. `run` refuses a row that differs from the one before in its revision alone.
        let trades = ["1@10 1", "6@3811 1", "2@13.4 1", "7@3812 1", "5@3809 1", "8@3812 1"];
        let trades: Vec<_> = trades.iter().map(|text| trade(text)).collect();
        let (kept, _) = run(IdRule::Contiguous, &settings("1s", 1), &trades);
        let stretches: Vec<_> = kept.candles.values().filter(|candle| candle.prices.is_none()).collect();
        assert_eq!(stretches[0].revision, 0, "{stretches:?}");
    }

    #[test]
    fn longer_intervals_are_made_of_shorter_ones() {
        check(
            "1m 5s 15s",
            IdRule::Contiguous,
            &["1@30 10", "2@44 11", "3@46 12", "4@59 9", "5@61 8", "6@130 7"],
            &[
                "5s 30+5 partial 10 10 10 10 1",
                "5s 35+5 empty 0",
                "5s 40+5 traded 11 11 11 11 1",
                "5s 45+5 traded 12 12 12 12 1",
                "5s 50+5 empty 0",
                "5s 55+5 traded 9 9 9 9 1",
                "5s 60+5 traded 8 8 8 8 1",
                "5s 65+5 empty 0",
                "5s 70+5 empty 0",
                "5s 75+5 empty 0",
                "5s 80+5 empty 0",
                "5s 85+5 empty 0",
                "5s 90+5 empty 0",
                "5s 95+5 empty 0",
                "5s 100+5 empty 0",
                "5s 105+5 empty 0",
                "5s 110+5 empty 0",
                "5s 115+5 empty 0",
                "5s 120+5 empty 0",
                "5s 125+5 unknown 0",
                "5s 130+5 partial 7 7 7 7 1",
                "15s 30+15 partial 10 11 10 11 2",
                "15s 45+15 traded 12 12 9 9 2",
                "15s 60+15 traded 8 8 8 8 1",
                "15s 75+15 empty 0",
                "15s 90+15 empty 0",
                "15s 105+15 empty 0",
                "15s 120+15 partial 7 7 7 7 1",
                "1m 0+60 partial 10 12 9 9 4",
                "1m 60+60 traded 8 8 8 8 1",
                "1m 120+60 partial 7 7 7 7 1",
            ],
        );
    }

    #[test]
    fn far_ids_wait_for_a_second_opinion() {
        let far = |trades: &[&str]| {
            let trades: Vec<_> = trades.iter().map(|text| trade(text)).collect();
            let (kept, counts) = run(IdRule::Contiguous, &settings("1s", 128), &trades);
            let kinds: Vec<_> = kept.gaps.values().map(|gap| gap.kind.name()).collect();
            (counts.trades, kept.refused, kinds)
        };
        let out_of_reach = |at| (Position(at), Refusal::IdOutOfReach);
        assert_eq!(far(&["1@1 5", "9000000@2 5", "2@3 5"]), (2, vec![out_of_reach(1)], vec![]));
        assert_eq!(far(&["1@1 5", "9000000@2 5", "9000001@3 5"]), (3, vec![], vec!["reset"]));
        assert_eq!(far(&["1@1 5", "9000000@2 5"]), (1, vec![out_of_reach(1)], vec![]));
        assert_eq!(far(&["1@1 5", "9000000@2 5", "9000000@2 5", "9000001@3 5"]).0, 3);
    }

    mod convergence {
        use proptest::prelude::*;

        use super::*;

        fn stream() -> impl Strategy<Value = Vec<(i64, u64, bool, usize)>> {
            // (gap to the next trade in tenths of a second, price, missing, how much later it arrives)
            let gap = prop_oneof![8 => 0i64..30, 1 => 30i64..400, 1 => 36_000i64..40_000];
            let delay = prop_oneof![4 => Just(0usize), 1 => 1usize..60];
            prop::collection::vec((gap, 1u64..50, prop::bool::weighted(0.1), delay), 2..120)
        }

        fn in_order(stream: &[(i64, u64, bool, usize)]) -> Vec<(Trade, usize)> {
            let mut at = 1_000;
            let mut trades = Vec::new();
            for (id, &(gap, price, missing, delay)) in stream.iter().enumerate() {
                at += gap;
                let edge = id == 0 || id + 1 == stream.len();
                if !missing || edge {
                    let text = format!("{id}@{}.{} {price}", at / 10, at % 10);
                    trades.push((trade(&text), if edge { 0 } else { delay }));
                }
            }
            trades
        }

        /// The first line in which two lists differ, on both sides.
        fn first_difference(a: &[String], b: &[String]) -> Option<String> {
            let at = (0..a.len().max(b.len())).find(|&i| a.get(i) != b.get(i))?;
            Some(format!("{:?} / {:?}", a.get(at), b.get(at)))
        }

        proptest! {
            #![proptest_config(ProptestConfig::with_cases(200))]
            #[test]
            fn whatever_the_order_of_arrival_the_end_is_the_same(stream in stream(), window in 1usize..40) {
                let sorted = in_order(&stream);
                let mut arriving: Vec<(usize, Trade)> =
                    sorted.iter().enumerate().map(|(i, (trade, delay))| (i + delay, trade.clone())).collect();
                let last = arriving.pop().unwrap();
                arriving.sort_by_key(|(arrival, _)| *arrival);
                arriving.push(last);
                let sorted: Vec<_> = sorted.into_iter().map(|(trade, _)| trade).collect();
                let arriving: Vec<_> = arriving.into_iter().map(|(_, trade)| trade).collect();
                let settings = settings("1s 5s 1m 3m 1h", window);
                let (expected, _) = run(IdRule::Contiguous, &settings, &sorted);
                let (got, counts) = run(IdRule::Contiguous, &settings, &arriving);
                prop_assert_eq!(counts.unrevised, 0);
                prop_assert_eq!(first_difference(&lines(&got), &lines(&expected)), None);
                prop_assert_eq!(got.candles.len(), expected.candles.len());
                let told = |kept: &Kept| kept.indicators.iter().map(|row| format!("{row:?}")).collect::<Vec<_>>();
                prop_assert_eq!(first_difference(&told(&got), &told(&expected)), None);
            }
        }
    }
}
