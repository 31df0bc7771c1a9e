//! Hurst exponent of log returns by rescaled range: 0.5 for a random walk, above for trends
//! that go on, below for moves that turn.
//!
//! The last `period` returns are cut, from the newest backwards, into blocks of `period`,
//! `period / 2`, `period / 4`, ... returns, down to 8 (what is left over at the old end is
//! left out). Each block gives R/S: the range of the running sum of deviations from the
//! block's mean, over their standard deviation (of the population). The value is the slope
//! of the least-squares line through the points (ln size, ln of the mean R/S of that size).
//! Blocks in which nothing moved have no R/S; with less than two sizes left there is no value.
//!
//! Sources: H. E. Hurst, "Long-Term Storage Capacity of Reservoirs", Transactions of the
//! American Society of Civil Engineers 116 (1951); B. Mandelbrot and J. Wallis, "Robustness of
//! the Rescaled Range R/S in the Measurement of Noncyclic Long Run Statistical Dependence",
//! Water Resources Research 5 (1969), whose range this is. Small blocks are known to lean
//! upward (A. Anis and E. Lloyd, Biometrika 63, 1976): a random walk measures 0.57 on average
//! with 128 returns, 0.55 with 1,000. This is not corrected. O(period log period) a
//! bar: each block is looked through.

use crate::analytics::indicator::{Arguments, Bar, Entry, Needs, Parameter, any, keeping};
use crate::analytics::indicators::autocorrelation::NOISE;
use crate::analytics::rolling::state::State;
use crate::analytics::rolling::window::Window;

const BLOCK_MIN: usize = 8;

pub const ENTRY: Entry = Entry {
    name: "hurst",
    summary: "Hurst exponent of log returns by rescaled range",
    parameters: &[Parameter::period("period", 128, 2 * BLOCK_MIN as u32)],
    outputs: &["value"],
    warm_up: |arguments| arguments.period(0) + 1,
    check: any,
    build: |arguments| keeping(Hurst::new(arguments), Hurst::state, Hurst::advance),
    needs: Needs::Prices,
};

struct Hurst {
    previous_close: Option<f64>,
    returns: Window,
    /// Block lengths and their logarithms, ascending.
    sizes: Vec<(usize, f64)>,
    /// The window in a row, newest first; no state.
    row: Vec<f64>,
}

impl Hurst {
    fn new(arguments: &Arguments) -> Self {
        let period = arguments.period(0);
        let halves = std::iter::successors(Some(period), |size| Some(size / 2));
        let sizes = halves.take_while(|size| *size >= BLOCK_MIN).map(|size| (size, libm::log(size as f64)));
        Self {
            previous_close: None,
            returns: Window::new(period),
            sizes: sizes.collect(),
            row: Vec::with_capacity(period),
        }
    }
}

/// Range of the running sum of deviations over their standard deviation; `None` where they
/// are nothing but rounding. The same read forwards and backwards.
fn rescaled_range(block: &[f64]) -> Option<f64> {
    let n = block.len() as f64;
    let mean = block.iter().sum::<f64>() / n;
    let (mut sum, mut highest, mut lowest, mut squares) = (0.0f64, 0.0f64, 0.0f64, 0.0f64);
    for value in block {
        let deviation = value - mean;
        sum += deviation;
        highest = highest.max(sum);
        lowest = lowest.min(sum);
        squares += deviation * deviation;
    }
    let variance = squares / n;
    (variance > NOISE).then(|| (highest - lowest) / variance.sqrt())
}

/// Slope of the least-squares line; `None` for less than two points.
fn slope(points: impl Iterator<Item = (f64, f64)> + Clone) -> Option<f64> {
    let (count, x_sum, y_sum) =
        points.clone().fold((0.0, 0.0, 0.0), |(n, x, y), point| (n + 1.0, x + point.0, y + point.1));
    let (x_mean, y_mean) = (x_sum / count, y_sum / count);
    let (sxx, sxy) = points.fold((0.0, 0.0), |(sxx, sxy), (x, y)| {
        (sxx + (x - x_mean) * (x - x_mean), sxy + (x - x_mean) * (y - y_mean))
    });
    (count >= 2.0).then(|| sxy / sxx)
}

impl Hurst {
    fn advance(&mut self, bar: &Bar<'_>) -> Option<[f64; 1]> {
        let previous_close = self.previous_close.replace(bar.close)?;
        self.returns.push(libm::log(bar.close / previous_close));
        if !self.returns.is_full() {
            return None;
        }
        self.row.clear();
        self.row.extend(self.returns.iter().rev());
        // At most one point a size, and sizes double: a period is far below 2^16 blocks.
        let mut points = [(0.0, 0.0); 16];
        let mut len = 0;
        for &(size, log_size) in &self.sizes {
            let (mut sum, mut count) = (0.0, 0.0);
            for ratio in self.row.chunks_exact(size).filter_map(rescaled_range) {
                sum += ratio;
                count += 1.0;
            }
            if count > 0.0 {
                points[len] = (log_size, libm::log(sum / count));
                len += 1;
            }
        }
        let slope = slope(points[..len].iter().copied())?;
        Some([slope])
    }

    fn state(&mut self, state: &mut State<'_>) {
        state.option_f64(&mut self.previous_close);
        self.returns.state(state);
    }
}

#[cfg(test)]
mod tests {
    use crate::analytics::indicator::Bar;
    use crate::analytics::indicators::trial::{Random, check_within, closes, run};

    /// R/S as the papers write it, oldest first, from the profile of running sums.
    fn naive(bars: &[Bar<'_>], period: usize) -> Option<Vec<f64>> {
        let window = &bars[bars.len().checked_sub(period + 1)?..];
        let returns: Vec<f64> = window.windows(2).map(|w| libm::log(w[1].close / w[0].close)).collect();
        let (mut xs, mut ys) = (Vec::new(), Vec::new());
        let mut size = period;
        while size >= 8 {
            let ratios: Vec<f64> = returns
                .rchunks_exact(size)
                .filter_map(|block| {
                    let mean = block.iter().sum::<f64>() / size as f64;
                    let profile: Vec<f64> =
                        (0..=size).map(|k| block[..k].iter().sum::<f64>() - k as f64 * mean).collect();
                    let range = profile.iter().copied().reduce(f64::max)?
                        - profile.iter().copied().reduce(f64::min)?;
                    let variance = block.iter().map(|r| (r - mean) * (r - mean)).sum::<f64>() / size as f64;
                    (variance > 1e-30).then(|| range / variance.sqrt())
                })
                .collect();
            if !ratios.is_empty() {
                xs.push(libm::log(size as f64));
                ys.push(libm::log(ratios.iter().sum::<f64>() / ratios.len() as f64));
            }
            size /= 2;
        }
        if xs.len() < 2 {
            return None;
        }
        let n = xs.len() as f64;
        let (x, y) = (xs.iter().sum::<f64>(), ys.iter().sum::<f64>());
        let xy: f64 = xs.iter().zip(&ys).map(|(x, y)| x * y).sum();
        let xx: f64 = xs.iter().map(|x| x * x).sum();
        Some(vec![(n * xy - x * y) / (n * xx - x * x)])
    }

    #[test]
    fn equals_the_recomputation() {
        for period in [16, 50, 128] {
            check_within(&format!("hurst({period})"), 1e-9, |bars| naive(bars, period));
        }
    }

    fn check_walk(persistence: f64, expected: std::ops::Range<f64>) {
        let (mut random, mut step, mut level) = (Random(7), 0.0, 0.0);
        let path: Vec<f64> = (0..2001)
            .map(|_| {
                step = persistence * step + 0.01 * (random.unit() - 0.5);
                level += step;
                libm::exp(level)
            })
            .collect();
        let value = run("hurst(2000)", &closes(&path))[2000].as_ref().unwrap()[0];
        assert!(expected.contains(&value), "{persistence}: {value}");
    }

    #[test]
    fn trends_lie_above_walks_and_walks_above_turns() {
        check_walk(0.9, 0.7..1.0);
        check_walk(0.0, 0.45..0.65);
        check_walk(-0.9, 0.0..0.45);
    }
}
