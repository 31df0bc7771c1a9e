//! A rule on trial: candles and what models say of them, and whether it goes on from its saved state to the bit.

use crate::analytics::rolling::state::State;
use crate::analytics::signals::entry::{RuleEntry, RuleSettings};
use crate::analytics::signals::rule::{Closed, Occasion, Rule, Verdict};
use crate::domain::candle::{Candle, CandleState, Ohlc, Origin};
use crate::domain::data_state::DataState;
use crate::domain::decimal::{Decimal, Price, Volume};
use crate::domain::insight::{Anomaly, Evidence, Fact, Forecast, InsightId, Role, Target};
use crate::domain::time::UnixNanos;

const MINUTE: i64 = 60_000_000_000;

/// One rule, asked candle by candle; a copy is saved and restored before each and must say the same.
pub struct Trial {
    settings: RuleSettings,
    rule: Box<dyn Rule>,
    candles: u64,
    /// Of the last candle.
    pub price: f64,
    /// For tests that go up and down in turn.
    pub turn: f64,
}

impl Trial {
    /// `numbers`: parameters that are set otherwise.
    pub fn new(entry: &'static RuleEntry, numbers: &[(&str, f64)]) -> Self {
        let mut settings = RuleSettings::of(entry);
        numbers.iter().for_each(|(name, value)| settings.set(name, *value));
        Self { rule: (entry.build)(&settings), settings, candles: 0, price: 100.0, turn: 1.0 }
    }

    /// When the candle closes that is so many behind the next one.
    pub fn next_close_at(&self, ahead: i64) -> UnixNanos {
        UnixNanos((self.candles as i64 + 1 + ahead) * MINUTE)
    }

    /// A candle of one unit of volume.
    pub fn candle(&mut self, close: f64, anomalies: &[Anomaly], forecasts: &[Forecast]) -> Option<Verdict> {
        self.ask(close, 1.0, anomalies, forecasts)
    }

    pub fn candle_with(&mut self, close: f64, volume: f64) -> Option<Verdict> {
        self.ask(close, volume, &[], &[])
    }

    fn ask(
        &mut self,
        close: f64,
        volume: f64,
        anomalies: &[Anomaly],
        forecasts: &[Forecast],
    ) -> Option<Verdict> {
        let open_at = UnixNanos(self.candles as i64 * MINUTE);
        self.candles += 1;
        self.price = close;
        let decimal = |value: f64| Decimal::new((value * 1e8).round() as u64, 8).unwrap();
        let price = Price::new(decimal(close)).unwrap();
        let candle = Candle {
            interval: "1m".parse().unwrap(),
            open_at,
            close_at: UnixNanos(open_at.0 + MINUTE),
            prices: Some(Ohlc { open: price, high: price, low: price, close: price }),
            volume: Volume::parse(format!("{volume}").as_bytes()).unwrap(),
            quote_volume: None,
            trade_count: Some(3),
            taker_buy_volume: None,
            taker_buy_quote_volume: None,
            state: CandleState::Traded,
            revision: 0,
            origin: Origin::Trades,
        };
        let closed = Closed {
            candle: &candle,
            anomalies,
            forecasts,
            data_state: DataState::Complete,
            whole: self.candles,
        };
        let mut other = self.restored();
        let verdict = self.rule.consider(&Occasion::Candle(closed));
        assert_eq!(
            other.consider(&Occasion::Candle(closed)),
            verdict,
            "{} restored",
            self.settings.entry.name
        );
        verdict
    }

    fn restored(&mut self) -> Box<dyn Rule> {
        let mut words = Vec::new();
        self.rule.state(&mut State::Save(&mut words));
        let mut other = (self.settings.entry.build)(&self.settings);
        let mut state = State::load(&words);
        other.state(&mut state);
        assert_eq!(state.finish(), Ok(()), "{}", self.settings.entry.name);
        let mut again = Vec::new();
        other.state(&mut State::Save(&mut again));
        assert_eq!(again, words, "{}", self.settings.entry.name);
        other
    }

    /// No name twice, every number finite, the score a share, one sentence.
    pub fn check_evidence(&self, verdict: &Verdict) {
        let facts = &verdict.evidence.0;
        assert!(facts.len() >= 5, "{verdict:#?}");
        for (at, (name, fact)) in facts.iter().enumerate() {
            assert!(!facts[..at].iter().any(|(other, _)| other == name), "{name} twice in {verdict:#?}");
            if let Fact::Number(number) = fact {
                assert!(number.is_finite(), "{name} in {verdict:#?}");
            }
        }
        assert!((0.0..=1.0).contains(&verdict.score), "{verdict:#?}");
        assert!(!verdict.message.contains("  ") && !verdict.message.ends_with('.'), "{}", verdict.message);
    }
}

pub fn anomaly(detector: &str, channel: &'static str, score: f64) -> Anomaly {
    Anomaly {
        id: InsightId(7),
        detector: detector.into(),
        interval: "1m".parse().unwrap(),
        exchange_at: UnixNanos(0),
        channel,
        score,
        threshold: 0.99,
        evidence: Evidence::default().with("value", Fact::Number(3.0)).with("median", Fact::Number(1.0)),
        revision: 0,
        data_state: DataState::Complete,
    }
}

/// `values`: lower, forecast, upper.
pub fn forecast(
    target: Target,
    role: Role,
    horizon: u32,
    target_at: UnixNanos,
    values: [f64; 3],
) -> Forecast {
    Forecast {
        id: InsightId(8),
        interval: "1m".parse().unwrap(),
        target,
        model: "mixture@1".into(),
        role,
        horizon,
        made_at: UnixNanos(0),
        target_at,
        forecast: values[1],
        lower: values[0],
        upper: values[2],
        level: 0.9,
        naive: values[1],
        skill: None,
        revision: 0,
        data_state: DataState::Complete,
    }
}
