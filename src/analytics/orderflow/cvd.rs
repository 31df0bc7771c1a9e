//! Cumulative volume delta: base currency that takers bought less sold, since midnight.
//!
//! Restarts at 00:00 UTC by open time: the first candle that opens on a day holds the whole of its
//! own delta and nothing of the day before. Trades of unknown side add nothing. The name and
//! the daily session are trading practice (footprint charts); there is no founding paper.

use crate::analytics::indicator::{Bar, Entry, Needs, any, keeping};
use crate::analytics::rolling::state::State;
use crate::domain::time::NANOS_PER_DAY;

pub const ENTRY: Entry = Entry {
    name: "cvd",
    summary: "cumulative volume delta: taker buy less taker sell volume since 00:00 UTC",
    parameters: &[],
    outputs: &["value"],
    warm_up: |_| 1,
    check: any,
    build: |_| keeping(Cvd { day: i64::MIN, sum: 0.0, lost: 0.0 }, Cvd::state, Cvd::advance),
    needs: Needs::Amounts,
};

struct Cvd {
    /// Days since 1970.
    day: i64,
    sum: f64,
    /// What rounding took off the sum, by A. Neumaier's compensated summation: a day of seconds
    /// is long enough for it to show.
    lost: f64,
}

impl Cvd {
    fn advance(&mut self, bar: &Bar<'_>) -> Option<[f64; 1]> {
        let day = bar.open_at.0.div_euclid(NANOS_PER_DAY);
        if day != self.day {
            *self = Self { day, sum: 0.0, lost: 0.0 };
        }
        let (buy, sell) = (bar.taker_buy_volume?, bar.taker_sell_volume?);
        for volume in [buy, -sell] {
            let sum = self.sum + volume;
            self.lost += if self.sum.abs() >= volume.abs() {
                (self.sum - sum) + volume
            } else {
                (volume - sum) + self.sum
            };
            self.sum = sum;
        }
        Some([self.sum + self.lost])
    }

    fn state(&mut self, state: &mut State<'_>) {
        state.i64(&mut self.day);
        state.f64(&mut self.sum);
        state.f64(&mut self.lost);
    }
}

#[cfg(test)]
mod tests {
    use crate::analytics::orderflow::bars::{self, Truth, day_of};

    #[test]
    fn incremental_equals_naive() {
        bars::check("cvd", |bars| {
            let last = bars.last()?;
            last.taker()?;
            let (mut delta, mut scale) = (0.0, 1.0);
            for bar in bars.iter().filter(|bar| day_of(bar) == day_of(last)) {
                if let Some((buy, sell)) = bar.taker() {
                    (delta, scale) = (delta + (buy - sell), scale + (buy + sell));
                }
            }
            Some(vec![Truth { value: delta, scale }])
        });
    }

    #[test]
    fn midnight_forgets_and_small_change_does_not_get_lost() {
        let mut day = bars::flows(&[(1e15, 0.0), (0.1, 0.0), (0.2, 0.0), (0.0, 1e15)]);
        let mut next = bars::flows(&[(1.0, 3.0)]);
        next[0].open_at.0 += super::NANOS_PER_DAY;
        day.append(&mut next);
        let values: Vec<f64> = bars::run("cvd", &day).into_iter().map(|out| out.unwrap()[0]).collect();
        assert!((values[3] - 0.3).abs() < 1e-12, "{values:?}");
        assert_eq!(values[4], -2.0);
    }
}
