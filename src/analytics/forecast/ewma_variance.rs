//! Realised variance of the next candles: an exponentially weighted mean of squared returns.
//!
//! The naive forecast is the variance of as many candles before. Both are scored by QLIKE, which forgives
//! noise in the outcome. The interval comes from what share of the forecast the outcomes were: two quantiles
//! of that ratio, in logarithms, followed one step at a time.
//! Sources: J.P. Morgan, RiskMetrics (1996); Patton, Volatility forecast comparison using imperfect
//! volatility proxies (2011); Angelopoulos, Candes and Tibshirani, Conformal PID control (2023).

use std::collections::VecDeque;
use std::f64::consts::LN_10;

use crate::analytics::features::Features;
use crate::analytics::forecast::forecaster::{Expectation, Forecaster, ForecasterEntry};
use crate::analytics::rolling::state::State;
use crate::domain::insight::Target;

pub const ENTRY: ForecasterEntry = ForecasterEntry {
    name: "ewma_variance",
    version: 1,
    summary: "variance of the next candles' returns, by an exponentially weighted mean of squared returns",
    target: Target::RealizedVariance,
    warm_up: WARM_UP,
    build: |horizon| Box::new(EwmaVariance::new(horizon)),
};

const WARM_UP: usize = 30;
/// Weight of the newest squared return.
const WEIGHT: f64 = 0.06;
const LEVEL: f64 = 0.9;
/// Steps of the quantiles, in units of the logarithm of outcome by forecast; smaller where outcomes overlap.
const QUANTILE_STEP: f64 = 0.05;
/// Where the quantiles begin: a tenth and ten times the forecast.
const QUANTILES_START: [f64; 2] = [-LN_10, LN_10];
/// Weight of the newest loss in the mean of losses.
const LOSS_WEIGHT: f64 = 0.002;
const SCORED_MIN: u64 = 30;
/// A candle that did not move has a variance all the same: that of a hundredth of a basis point.
const VARIANCE_FLOOR: f64 = 1e-12;

struct EwmaVariance {
    horizon: usize,
    seen: u64,
    variance: f64,
    /// Squared returns of the last `horizon` candles, and their sum's two parts: kept as they are, summed anew.
    squares: VecDeque<f64>,
    /// Forecast and naive forecast of the last `horizon` candles; none where there was none.
    pending: VecDeque<Option<(f64, f64)>>,
    /// Of ln(outcome / forecast): lower and upper.
    quantiles: [f64; 2],
    scored: u64,
    loss: f64,
    naive_loss: f64,
}

impl EwmaVariance {
    fn new(horizon: usize) -> Self {
        Self {
            horizon,
            seen: 0,
            variance: 0.0,
            squares: VecDeque::new(),
            pending: VecDeque::new(),
            quantiles: QUANTILES_START,
            scored: 0,
            loss: 0.0,
            naive_loss: 0.0,
        }
    }

    /// The variance of the last `horizon` candles; `None` until there were as many.
    fn realized(&self) -> Option<f64> {
        let whole = self.squares.len() == self.horizon;
        whole.then(|| self.squares.iter().sum::<f64>().max(self.horizon as f64 * VARIANCE_FLOOR))
    }

    fn score(&mut self, forecast: f64, naive: f64, outcome: f64) {
        let qlike = |forecast: f64| outcome / forecast - libm::log(outcome / forecast) - 1.0;
        let (loss, naive_loss) = (qlike(forecast), qlike(naive));
        self.scored += 1;
        // As a plain mean at first, so that the first loss does not lead for long.
        let weight = LOSS_WEIGHT.max(1.0 / self.scored as f64);
        self.loss += weight * (loss - self.loss);
        self.naive_loss += weight * (naive_loss - self.naive_loss);
        let ratio = libm::log(outcome / forecast);
        let step = QUANTILE_STEP / self.horizon as f64;
        for (quantile, share) in self.quantiles.iter_mut().zip([(1.0 - LEVEL) / 2.0, (1.0 + LEVEL) / 2.0]) {
            *quantile += step * if ratio > *quantile { share } else { share - 1.0 };
        }
        if self.quantiles[0] > self.quantiles[1] {
            self.quantiles.swap(0, 1);
        }
    }
}

impl Forecaster for EwmaVariance {
    fn observe(&mut self, features: &Features) -> Option<Expectation> {
        let square = features.log_return * features.log_return;
        self.seen += 1;
        let weight = WEIGHT.max(1.0 / self.seen as f64);
        self.variance += weight * (square - self.variance);
        if self.squares.len() == self.horizon {
            self.squares.pop_front();
        }
        self.squares.push_back(square);
        if self.pending.len() == self.horizon
            && let Some(Some((forecast, naive))) = self.pending.pop_front()
            && let Some(outcome) = self.realized()
        {
            self.score(forecast, naive, outcome);
        }
        let said = self.realized().filter(|_| self.seen >= WARM_UP as u64).map(|naive| {
            let forecast = (self.variance * self.horizon as f64).max(self.horizon as f64 * VARIANCE_FLOOR);
            (forecast, naive)
        });
        self.pending.push_back(said);
        let (forecast, naive) = said?;
        let scored = self.scored >= SCORED_MIN && self.naive_loss > 0.0;
        Some(Expectation {
            forecast,
            lower: forecast * libm::exp(self.quantiles[0].min(0.0)),
            upper: forecast * libm::exp(self.quantiles[1].max(0.0)),
            level: LEVEL,
            naive,
            skill: scored.then(|| self.loss / self.naive_loss),
        })
    }

    fn interrupt(&mut self) {
        self.squares.clear();
        self.pending.clear();
    }

    fn state(&mut self, state: &mut State<'_>) {
        state.word(&mut self.seen);
        state.f64(&mut self.variance);
        let mut len = self.squares.len();
        state.index(&mut len, self.horizon);
        self.squares.resize(len, 0.0);
        self.squares.iter_mut().for_each(|square| state.f64(square));
        let mut len = self.pending.len();
        state.index(&mut len, self.horizon);
        self.pending.resize(len, None);
        for said in &mut self.pending {
            let mut some = said.is_some();
            state.bool(&mut some);
            let (mut forecast, mut naive) = said.unwrap_or((0.0, 0.0));
            state.f64(&mut forecast);
            state.f64(&mut naive);
            *said = some.then_some((forecast, naive));
        }
        self.quantiles.iter_mut().for_each(|quantile| state.f64(quantile));
        state.word(&mut self.scored);
        state.f64(&mut self.loss);
        state.f64(&mut self.naive_loss);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analytics::indicators::trial::Random;

    fn features(log_return: f64) -> Features {
        Features { log_return, ..Features::default() }
    }

    /// Sums of twelve even numbers are nearly a bell curve.
    fn gauss(random: &mut Random) -> f64 {
        (0..12).map(|_| (random.word() >> 11) as f64 / (1_u64 << 53) as f64).sum::<f64>() - 6.0
    }

    fn check_on_noise(horizon: usize) {
        let mut random = Random(11);
        let mut forecaster = (ENTRY.build)(horizon);
        let mut said: Vec<Option<Expectation>> = Vec::new();
        let mut returns: Vec<f64> = Vec::new();
        for i in 0..20_000 {
            // Volatility comes in regimes, as in markets.
            let volatility = if i / 500 % 2 == 0 { 1e-3 } else { 3e-3 };
            returns.push(volatility * gauss(&mut random));
            said.push(forecaster.observe(&features(returns[i])));
        }
        let (mut inside, mut all, mut off) = (0, 0, 0.0);
        for i in 5_000..returns.len() - horizon {
            let outcome: f64 = returns[i + 1..=i + horizon].iter().map(|r| r * r).sum();
            let said = said[i].expect("warm by now");
            inside += u32::from(said.lower <= outcome && outcome <= said.upper);
            off += libm::log(outcome / said.forecast).abs();
            all += 1;
        }
        let coverage = f64::from(inside) / f64::from(all);
        assert!((0.87..0.93).contains(&coverage), "horizon {horizon}: {coverage}");
        assert!(off / f64::from(all) < 2.5, "horizon {horizon}: {}", off / f64::from(all));
        let skill = said.last().unwrap().unwrap().skill.unwrap();
        assert!(skill < 1.0, "horizon {horizon}: {skill} of the naive loss");
    }

    #[test]
    fn intervals_cover_what_they_say_and_the_mean_beats_the_last() {
        for horizon in [1, 5, 15] {
            check_on_noise(horizon);
        }
    }

    #[test]
    fn a_hole_leaves_nothing_pending_and_state_goes_on() {
        let mut random = Random(5);
        let mut one = (ENTRY.build)(5);
        for i in 0..200 {
            one.observe(&features(1e-3 * gauss(&mut random)));
            if i == 120 {
                one.interrupt();
            }
        }
        let mut words = Vec::new();
        one.state(&mut State::Save(&mut words));
        let mut other = (ENTRY.build)(5);
        other.state(&mut State::load(&words));
        for _ in 0..50 {
            let next = features(1e-3 * gauss(&mut random));
            assert_eq!(one.observe(&next), other.observe(&next));
        }
        one.interrupt();
        assert_eq!(one.observe(&features(1e-3)), None, "a hole takes the candles before it away");
    }

    #[test]
    fn a_market_that_stands_still_is_no_division_by_zero() {
        let mut forecaster = (ENTRY.build)(1);
        for _ in 0..200 {
            if let Some(said) = forecaster.observe(&features(0.0)) {
                assert!([said.forecast, said.lower, said.upper, said.naive].iter().all(|x| x.is_finite()));
                assert!(said.skill.is_none_or(f64::is_finite), "{said:?}");
            }
        }
    }
}
