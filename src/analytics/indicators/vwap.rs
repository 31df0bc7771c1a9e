//! Volume-weighted average price since 00:00 UTC, by the candles' open times.
//!
//! What was paid by what was traded: quote volume over volume where the candles say the
//! former, which is exact; ready candles that do not are taken at their typical price,
//! `(high + low + close) / 3`. Over those, a day equals TA-Lib's `VWAP` (which never
//! restarts). O(1) a bar.

use crate::analytics::indicator::{Arguments, Bar, Entry, Needs, any, keeping};
use crate::analytics::rolling::state::State;
use crate::domain::time::NANOS_PER_DAY;

pub const ENTRY: Entry = Entry {
    name: "vwap",
    summary: "volume-weighted average price since 00:00 UTC",
    parameters: &[],
    outputs: &["value"],
    warm_up: |_| 1,
    check: any,
    build: |arguments| keeping(Vwap::new(arguments), Vwap::state, Vwap::advance),
    needs: Needs::Amounts,
};

struct Vwap {
    /// Days since 1970-01-01; of the last candle.
    day: i64,
    value: f64,
    volume: f64,
}

impl Vwap {
    fn new(_: &Arguments) -> Self {
        Self { day: i64::MIN, value: 0.0, volume: 0.0 }
    }

    fn advance(&mut self, bar: &Bar<'_>) -> Option<[f64; 1]> {
        let day = bar.open_at.0.div_euclid(NANOS_PER_DAY);
        if day != self.day {
            (self.day, self.value, self.volume) = (day, 0.0, 0.0);
        }
        self.value += bar.value_traded();
        self.volume += bar.volume;
        (self.volume > 0.0).then(|| [self.value / self.volume])
    }

    fn state(&mut self, state: &mut State<'_>) {
        state.i64(&mut self.day);
        state.f64(&mut self.value);
        state.f64(&mut self.volume);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analytics::indicators::trial::{bars, check, run};

    fn naive(bars: &[Bar<'_>]) -> Option<Vec<f64>> {
        let day = |bar: &Bar<'_>| bar.open_at.0 / NANOS_PER_DAY;
        let session: Vec<_> = bars.iter().filter(|bar| day(bar) == day(&bars[bars.len() - 1])).collect();
        let value: f64 = session.iter().map(|bar| bar.value_traded()).sum();
        Some(vec![value / session.iter().map(|bar| bar.volume).sum::<f64>()])
    }

    #[test]
    fn equals_the_recomputation() {
        check("vwap", naive);
    }

    #[test]
    fn restarts_with_the_day() {
        // Minutes enough for two midnights.
        let bars = bars(7, 2_900);
        let values = run("vwap", &bars);
        let mut restarts = 0;
        for i in (0..bars.len()).step_by(7).chain(1..bars.len().min(200)) {
            let (is, expected) = (values[i].as_ref().unwrap()[0], naive(&bars[..=i]).unwrap()[0]);
            assert!((is - expected).abs() <= 1e-12 * expected, "bar {i}: {is} {expected}");
        }
        for (i, bar) in
            bars.iter().enumerate().filter(|(_, bar)| bar.open_at.0 % NANOS_PER_DAY < 60_000_000_000)
        {
            assert_eq!(values[i], Some(vec![bar.value_traded() / bar.volume]));
            restarts += 1;
        }
        assert_eq!(restarts, 2);
    }

    #[test]
    fn without_quote_volume_the_typical_price_counts() {
        let mut bars = bars(1, 1);
        bars[0].quote_volume = None;
        let typical = (bars[0].high + bars[0].low + bars[0].close) / 3.0;
        let value = run("vwap", &bars)[0].as_ref().unwrap()[0];
        assert!((value - typical).abs() <= 1e-12 * typical);
    }
}
