//! Takes what the pipelines of one thread tell, until the run is over.
//!
//! One instrument's rows go to one collector: the order in which they were told decides which
//! is the last. Accepted trades and refusals are not kept: they have counters and a quarantine.

use std::path::Path;

use crate::analytics::pipeline::Settings;
use crate::domain::candle::Candle;
use crate::domain::instrument::Instrument;
use crate::domain::interval::Interval;
use crate::domain::output::{Gap, IndicatorSnapshot, Output, OutputSink};
use crate::domain::shape::{self, Label};
use crate::domain::time::UnixNanos;
use crate::replay::results::row::{
    INSIGHTS_MAX, Key, Table, encode_candle, encode_gap, encode_indicator, origin_position,
};
use crate::replay::roster::InstrumentIndex;
use crate::replay::sorter::{Sorter, SorterError};

/// One thread's rows.
pub struct Collector {
    sorter: Sorter,
    /// The intervals of the run, in byte order of their texts.
    intervals: Vec<Interval>,
    /// Place of the interval that was looked up last.
    last_interval: u8,
    /// Trade-less rows told so far.
    told: u64,
    /// By instrument, where models run.
    insights: Vec<Option<Insights>>,
    /// Why nothing is taken any more.
    failed: Option<SorterError>,
}

/// What the insights of one instrument need: its name, and how many of each table there were.
struct Insights {
    label: Label,
    told: [u32; 3],
}

/// The intervals of a run in the order of the files: byte order of their texts.
pub fn in_text_order(intervals: &[Interval]) -> Vec<Interval> {
    let mut ordered = intervals.to_vec();
    ordered.sort_by_cached_key(ToString::to_string);
    ordered.dedup();
    assert!(ordered.len() <= 256, "a run has at most 256 intervals");
    ordered
}

impl Collector {
    /// Holds about `budget_bytes` and spills the rest into `spool_dir`.
    pub fn new(settings: &Settings, spool_dir: &Path, budget_bytes: usize) -> Self {
        assert!(settings.indicators.specs.len() <= 1 << 16, "a run has at most 65536 indicators");
        Self {
            sorter: Sorter::new(spool_dir, budget_bytes),
            intervals: in_text_order(&settings.intervals),
            last_interval: 0,
            told: 0,
            insights: Vec::new(),
            failed: None,
        }
    }

    /// Names an instrument; needed once before its first insight.
    pub fn name(&mut self, instrument: InstrumentIndex, name: &Instrument) {
        let at = instrument.0 as usize;
        if at >= self.insights.len() {
            self.insights.resize_with(at + 1, || None);
        }
        self.insights[at] = Some(Insights { label: Label::new(name), told: [0; 3] });
    }

    /// Takes the outputs of one instrument's pipeline.
    pub fn sink(&mut self, instrument: InstrumentIndex) -> CollectorSink<'_> {
        CollectorSink { collector: self, instrument }
    }

    /// What went wrong, once: a sink cannot say it. A run asks now and then, to stop early on a full disk;
    /// what is told after the failure is dropped.
    pub fn check(&mut self) -> Result<(), SorterError> {
        match self.failed.take() {
            None => Ok(()),
            Some(error) => {
                self.failed =
                    Some(SorterError { dir: error.dir.clone(), source: error.source.kind().into() });
                Err(error)
            }
        }
    }

    pub(crate) fn into_sorter(mut self) -> Result<Sorter, SorterError> {
        self.check()?;
        Ok(self.sorter)
    }

    #[inline]
    fn interval(&mut self, interval: Interval) -> u8 {
        if self.intervals.get(usize::from(self.last_interval)) != Some(&interval) {
            let found = self.intervals.iter().position(|&known| known == interval);
            self.last_interval = found.expect("a pipeline tells the intervals of its settings alone") as u8;
        }
        self.last_interval
    }

    #[inline]
    fn push(&mut self, key: Key, write: impl FnOnce(&mut Vec<u8>)) {
        if self.failed.is_none()
            && let Err(error) = self.sorter.push_with(key.pack(), write)
        {
            self.failed = Some(error);
        }
    }

    #[inline]
    fn candle(&mut self, instrument: InstrumentIndex, candle: &Candle) {
        let interval = self.interval(candle.interval);
        let key = Key {
            instrument,
            table: Table::Candles,
            interval,
            moment: candle.open_at.0,
            position: origin_position(candle.origin),
        };
        self.told += u64::from(candle.prices.is_none());
        let told = self.told;
        self.push(key, |out| encode_candle(candle, told, out));
    }

    #[inline]
    fn indicator(&mut self, instrument: InstrumentIndex, snapshot: &IndicatorSnapshot<'_>) {
        let interval = self.interval(snapshot.interval);
        let key = Key {
            instrument,
            table: Table::Indicators,
            interval,
            moment: snapshot.open_at.0,
            position: snapshot.position as u32,
        };
        self.push(key, |out| encode_indicator(snapshot.revision, snapshot.data_state, snapshot.values, out));
    }

    /// Insights wait as the lines that will be written.
    fn insight(
        &mut self,
        instrument: InstrumentIndex,
        table: Table,
        at: UnixNanos,
        write: impl FnOnce(&Label, &mut Vec<u8>),
    ) {
        let insights = self.insights.get_mut(instrument.0 as usize).and_then(Option::as_mut);
        let Insights { label, told } = insights.expect("instruments are named before models run");
        let told = &mut told[table as usize - Table::Anomalies as usize];
        let key = Key { instrument, table, interval: 0, moment: at.0, position: *told };
        *told = (*told + 1) % INSIGHTS_MAX;
        if self.failed.is_none()
            && let Err(error) = self.sorter.push_with(key.pack(), |out| {
                out.push(b'{');
                write(label, out);
                out.extend_from_slice(b"}\n");
            })
        {
            self.failed = Some(error);
        }
    }

    fn gap(&mut self, instrument: InstrumentIndex, gap: &Gap) {
        let key = Key { instrument, table: Table::Gaps, interval: 0, moment: gap.id.0 as i64, position: 0 };
        self.push(key, |out| encode_gap(gap, out));
    }
}

/// The sink of one instrument.
pub struct CollectorSink<'a> {
    collector: &'a mut Collector,
    instrument: InstrumentIndex,
}

impl OutputSink for CollectorSink<'_> {
    #[inline]
    fn accept(&mut self, cause_seq: u64, output: Output<'_>) {
        let (collector, instrument) = (&mut *self.collector, self.instrument);
        match output {
            Output::Trade(_) | Output::Outcome(_) | Output::Score(_) | Output::Refused { .. } => {}
            Output::Anomaly(anomaly) => {
                collector.insight(instrument, Table::Anomalies, anomaly.exchange_at, |label, out| {
                    shape::anomaly(label, anomaly, cause_seq, out)
                });
            }
            Output::Forecast(forecast) => {
                collector.insight(instrument, Table::Forecasts, forecast.made_at, |label, out| {
                    shape::forecast(label, forecast, cause_seq, out)
                });
            }
            Output::Signal(signal) => {
                collector.insight(instrument, Table::Signals, signal.exchange_at, |label, out| {
                    shape::signal(label, signal, cause_seq, out)
                });
            }
            Output::Candle(candle) => collector.candle(instrument, candle),
            Output::Indicator(snapshot) => collector.indicator(instrument, snapshot),
            Output::Gap(gap) => collector.gap(instrument, gap),
        }
    }
}
