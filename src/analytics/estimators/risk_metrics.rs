//! RiskMetrics' variance: an exponentially weighted mean of squared returns.
//!
//! The first return's square is the start. It knows no mean to return to: the same is expected of every step
//! ahead. Source: J.P. Morgan and Reuters, RiskMetrics technical document, 4th edition (1996).

use crate::analytics::rolling::state::State;

/// The document's decay for days.
pub const DAILY_DECAY: f64 = 0.94;

/// The filter.
#[derive(Clone, Debug)]
pub struct RiskMetrics {
    decay: f64,
    variance: Option<f64>,
}

impl RiskMetrics {
    /// `decay`: what remains of a square's weight at the next one, 0 to 1.
    pub fn new(decay: f64) -> Self {
        assert!((0.0..=1.0).contains(&decay), "a decay is a share");
        Self { decay, variance: None }
    }

    /// Of the next return, and of each after it; `None` before the first one.
    pub fn variance(&self) -> Option<f64> {
        self.variance
    }

    /// Takes the next return; one that is not finite is passed over.
    #[inline]
    pub fn learn(&mut self, value: f64) {
        let square = value * value;
        if square.is_finite() {
            let before = self.variance.unwrap_or(square);
            self.variance = Some(self.decay * before + (1.0 - self.decay) * square);
        }
    }

    /// Visits every word of mutable state.
    pub fn state(&mut self, state: &mut State<'_>) {
        state.option_f64(&mut self.variance);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_square_is_the_start_and_each_further_one_a_share() {
        let mut filter = RiskMetrics::new(0.75);
        assert_eq!(filter.variance(), None);
        let after = [2.0, 4.0, f64::NAN].map(|value| {
            filter.learn(value);
            filter.variance()
        });
        assert_eq!(after, [Some(4.0), Some(7.0), Some(7.0)]);
        let mut words = Vec::new();
        filter.state(&mut State::Save(&mut words));
        let mut other = RiskMetrics::new(0.75);
        other.state(&mut State::load(&words));
        assert_eq!(other.variance(), Some(7.0));
    }
}
