//! Average directional index, and the two directional indicators that it is made of.
//!
//! `adx`, `plus_di`, `minus_di`, 0 to 100. Source: J. W. Wilder, "New Concepts in Technical
//! Trading Systems" (1978). Equal TA-Lib's `ADX`, `PLUS_DI` and `MINUS_DI`, with its way of
//! starting (sums of the first `period - 1` movements, then the fading sum). Where nothing
//! moved at all, the indicators are 0 and `adx` stays as it was, as in TA-Lib 0.8; older
//! versions say so already of sums below 1e-14, which leaves nothing of small prices. All
//! three are told together once `adx` is warm, at bar `2 period`. O(1) a bar.

use crate::analytics::indicator::{Arguments, Bar, Entry, Needs, Parameter, any, keeping};
use crate::analytics::rolling::state::State;
use crate::analytics::rolling::true_range::true_range;

pub const ENTRY: Entry = Entry {
    name: "adx",
    summary: "average directional index with +DI and -DI",
    parameters: &[Parameter::period("period", 14, 2)],
    outputs: &["adx", "plus_di", "minus_di"],
    warm_up: |arguments| 2 * arguments.period(0),
    check: any,
    build: |arguments| keeping(Adx::new(arguments), Adx::state, Adx::advance),
    needs: Needs::Prices,
};

struct Adx {
    period: usize,
    keep: f64,
    /// Bars seen, no longer counted once warm.
    seen: usize,
    high: f64,
    low: f64,
    close: f64,
    /// Wilder's fading sums: upward and downward movement, true range.
    plus: f64,
    minus: f64,
    range: f64,
    /// The sum of the first `period` directional indices, then their Wilder average.
    adx: f64,
}

impl Adx {
    fn new(arguments: &Arguments) -> Self {
        let n = arguments.real(0);
        Self {
            period: arguments.period(0),
            keep: (n - 1.0) / n,
            seen: 0,
            high: 0.0,
            low: 0.0,
            close: 0.0,
            plus: 0.0,
            minus: 0.0,
            range: 0.0,
            adx: 0.0,
        }
    }

    /// Both directional indicators.
    fn indicators(&self) -> (f64, f64) {
        if self.range <= 0.0 {
            return (0.0, 0.0);
        }
        (100.0 * (self.plus / self.range), 100.0 * (self.minus / self.range))
    }
}

/// How far the bar reaches beyond the one before, up and down; the lesser counts nothing.
fn movement(up: f64, down: f64) -> (f64, f64) {
    if down > 0.0 && up < down {
        (0.0, down)
    } else if up > 0.0 && up > down {
        (up, 0.0)
    } else {
        (0.0, 0.0)
    }
}

impl Adx {
    fn advance(&mut self, bar: &Bar<'_>) -> Option<[f64; 3]> {
        let (plus, minus) = movement(bar.high - self.high, self.low - bar.low);
        let range = true_range(bar, self.close);
        (self.high, self.low, self.close) = (bar.high, bar.low, bar.close);
        let warm = 2 * self.period;
        self.seen += usize::from(self.seen <= warm);
        if self.seen == 1 {
            return None;
        }
        let keep = if self.seen <= self.period { 1.0 } else { self.keep };
        self.plus = self.plus * keep + plus;
        self.minus = self.minus * keep + minus;
        self.range = self.range * keep + range;
        if self.seen <= self.period {
            return None;
        }
        let (plus_di, minus_di) = self.indicators();
        let both = plus_di + minus_di;
        let index = (both > 0.0).then(|| 100.0 * ((plus_di - minus_di).abs() / both));
        let n = self.period as f64;
        if self.seen <= warm {
            self.adx += index.unwrap_or(0.0);
            if self.seen < warm {
                return None;
            }
            self.adx /= n;
        } else if let Some(index) = index {
            self.adx = (self.adx * (n - 1.0) + index) / n;
        }
        Some([self.adx, plus_di, minus_di])
    }

    fn state(&mut self, state: &mut State<'_>) {
        state.usize(&mut self.seen);
        for value in [
            &mut self.high,
            &mut self.low,
            &mut self.close,
            &mut self.plus,
            &mut self.minus,
            &mut self.range,
            &mut self.adx,
        ] {
            state.f64(value);
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::analytics::indicator::Bar;
    use crate::analytics::indicators::trial::{check, closes, run};

    /// As Wilder's book has it, over lists of all movements.
    fn naive(bars: &[Bar<'_>], period: usize) -> Option<Vec<f64>> {
        let moves: Vec<[f64; 3]> = bars
            .windows(2)
            .map(|pair| {
                let (up, down) = (pair[1].high - pair[0].high, pair[0].low - pair[1].low);
                let tops = pair[1].high.max(pair[0].close) - pair[1].low.min(pair[0].close);
                [if up > down { up.max(0.0) } else { 0.0 }, if down > up { down.max(0.0) } else { 0.0 }, tops]
            })
            .collect();
        let n = period as f64;
        let (start, rest) = moves.split_at_checked(period - 1)?;
        let mut sums = [0, 1, 2].map(|i| start.iter().map(|m| m[i]).sum::<f64>());
        let mut indices: Vec<Option<f64>> = Vec::new();
        let mut lines = [0.0; 2];
        for m in rest {
            sums = std::array::from_fn(|i| sums[i] - sums[i] / n + m[i]);
            lines = [0, 1].map(|i| if sums[2] == 0.0 { 0.0 } else { 100.0 * sums[i] / sums[2] });
            let both = lines[0] + lines[1];
            indices.push((both > 0.0).then(|| 100.0 * (lines[0] - lines[1]).abs() / both));
        }
        let (first, later) = indices.split_at_checked(period)?;
        let mean = first.iter().map(|index| index.unwrap_or(0.0)).sum::<f64>() / n;
        let adx = later.iter().flatten().fold(mean, |adx, index| (adx * (n - 1.0) + index) / n);
        Some(vec![adx, lines[0], lines[1]])
    }

    #[test]
    fn equals_the_recomputation() {
        for period in [2, 5, 14] {
            check(&format!("adx({period})"), |bars| naive(bars, period));
        }
    }

    #[test]
    fn a_climb_has_one_direction_and_a_plain_none() {
        let climb: Vec<f64> = (1..30).map(f64::from).collect();
        assert_eq!(run("adx(3)", &closes(&climb))[5], Some(vec![100.0, 100.0, 0.0]));
        assert_eq!(run("adx(3)", &closes(&[5.0; 8]))[7], Some(vec![0.0; 3]));
    }
}
