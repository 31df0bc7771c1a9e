//! How indicators are tried: on bars from a seed, against a naive recomputation.

use crate::analytics::catalogue::Spec;
use crate::analytics::indicator::{Bar, OUTPUTS_MAX};
use crate::domain::time::UnixNanos;

const MINUTE: i64 = 60_000_000_000;

/// The `index`-th one-minute bar, with these prices and this volume.
pub fn bar(index: usize, [open, high, low, close]: [f64; 4], volume: f64) -> Bar<'static> {
    let open_at = 1_700_000_000_000_000_000 + index as i64 * MINUTE;
    Bar {
        open_at: UnixNanos(open_at),
        close_at: UnixNanos(open_at + MINUTE),
        open,
        high,
        low,
        close,
        volume,
        quote_volume: Some(volume * (high + low) / 2.0),
        trade_count: Some(1 + index as u64 % 50),
        taker_buy_volume: Some(volume * 0.375),
        taker_sell_volume: Some(volume * 0.625),
        trade_times: Some((UnixNanos(open_at + 1), UnixNanos(open_at + MINUTE - 1))),
        sizes: None,
    }
}

/// Bars without range at these closes.
pub fn closes(closes: &[f64]) -> Vec<Bar<'static>> {
    closes.iter().enumerate().map(|(i, close)| bar(i, [*close; 4], 1.0)).collect()
}

/// The closes of `bars`.
pub fn closing(bars: &[Bar<'_>]) -> Vec<f64> {
    bars.iter().map(|bar| bar.close).collect()
}

/// A generator of numbers (Steele, Lea & Flood's SplitMix64).
pub struct Random(pub u64);

impl Random {
    pub fn word(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// From 0, below 1.
    pub fn unit(&mut self) -> f64 {
        (self.word() >> 11) as f64 / (1u64 << 53) as f64
    }
}

/// A market as it is: a random walk on a grid of ticks, at a level that the seed chooses,
/// with bars without range, repeated bars and jumps.
pub fn bars(seed: u64, count: usize) -> Vec<Bar<'static>> {
    let mut random = Random(seed);
    let tick = [0.01, 1e-8, 1.0, 0.5][random.word() as usize % 4];
    let mut level = (2_000 + random.word() % 1_000_000) as f64;
    let mut last: Option<Bar<'static>> = None;
    let mut list = Vec::with_capacity(count);
    for i in 0..count {
        let kind = random.word() % 20;
        let reach = 0.01 * random.unit() * level;
        let mut near = |center: f64| (center + reach * (random.unit() - 0.5)).round().max(1.0);
        let open = near(level);
        let close = if kind == 0 { near(level * 1.1) } else { near(level) };
        let (high, low) = (near(level).max(open).max(close), near(level).min(open).min(close));
        let prices = match (kind, &last) {
            (1, _) => [close; 4].map(|ticks| ticks * tick),
            (2..4, Some(last)) => [last.open, last.high, last.low, last.close],
            (4, Some(last)) => [last.close; 4],
            _ => [open, high, low, close].map(|ticks| ticks * tick),
        };
        let volume = 0.001 + 10.0 * random.unit();
        let next = bar(i, prices, volume);
        level = prices[3] / tick;
        last = Some(next);
        list.push(next);
    }
    list
}

/// Bars to stumble over: long plains, the smallest and largest prices and volumes, leaps
/// between them, bars whose high or low lies on the wrong side of open and close.
pub fn odd_bars(seed: u64, count: usize) -> Vec<Bar<'static>> {
    let mut random = Random(seed);
    let mut list = Vec::with_capacity(count);
    let mut prices = [1.0; 4];
    while list.len() < count {
        let scale = [1e-15, 1e-8, 1.0, 1e9, 1e18][random.word() as usize % 5];
        let kind = random.word() % 4;
        let run = 1 + random.word() % 60;
        for _ in 0..run {
            if kind != 0 {
                let [a, b, c, d] = std::array::from_fn(|_| scale * (1 + random.word() % 10) as f64);
                prices = match kind {
                    1 => [a; 4],
                    2 => [a, a.max(b).max(c), a.min(b).min(c), b],
                    _ => [a, b, c, d],
                };
            }
            let volume = [1e-15, 1.0, 1e18][random.word() as usize % 3];
            list.push(bar(list.len(), prices, volume));
        }
    }
    list.truncate(count);
    list
}

/// Tries `text` (`ema(20)`) on many bars: the same values as `naive` makes of all bars so
/// far (`None`: no value), within 1e-9 relative or `floor`, the first of them at the bar
/// that the entry promises (or later, where the definition has no value there); and on odd
/// bars, where every value told must be a number.
pub fn check_within(text: &str, floor: f64, naive: impl Fn(&[Bar<'_>]) -> Option<Vec<f64>>) {
    let spec = Spec::parse(text).unwrap();
    let outputs = spec.entry.outputs.len();
    let mut earliest = usize::MAX;
    for seed in 0..16 {
        let bars = bars(seed, 5 * spec.warm_up().min(60) + 100);
        let mut indicator = spec.build();
        for i in 0..bars.len() {
            let mut out = [f64::NAN; OUTPUTS_MAX];
            let is = indicator.advance(&bars[i], &mut out).then(|| out[..outputs].to_vec());
            let expected = naive(&bars[..=i]);
            let equal = match (&is, &expected) {
                (None, None) => true,
                (Some(is), Some(expected)) => {
                    assert_eq!(expected.len(), outputs, "{text}: outputs of the naive one");
                    is.iter().zip(expected).all(|(a, b)| (a - b).abs() <= 1e-9 * b.abs() + floor)
                }
                _ => false,
            };
            assert!(equal, "{text}, seed {seed}, bar {i}: {is:?}, expected {expected:?}");
            if is.is_some() {
                earliest = earliest.min(i + 1);
            }
        }
    }
    assert_eq!(earliest, spec.warm_up(), "{text}: bars until the first value");
    check_odd(text);
}

/// [`check_within`] without a floor.
pub fn check(text: &str, naive: impl Fn(&[Bar<'_>]) -> Option<Vec<f64>>) {
    check_within(text, 0.0, naive);
}

/// Tries `text` on odd bars alone: every value told must be a number.
pub fn check_odd(text: &str) {
    let spec = Spec::parse(text).unwrap();
    for seed in 0..200 {
        let mut indicator = spec.build();
        for (i, bar) in odd_bars(seed, 300).iter().enumerate() {
            let mut out = [f64::NAN; OUTPUTS_MAX];
            if indicator.advance(bar, &mut out) {
                let out = &out[..spec.entry.outputs.len()];
                assert!(out.iter().all(|x| x.is_finite()), "{text}, seed {seed}, bar {i}: {out:?}");
            }
        }
    }
}

/// The values of `text` over `bars`.
pub fn run(text: &str, bars: &[Bar<'_>]) -> Vec<Option<Vec<f64>>> {
    let spec = Spec::parse(text).unwrap();
    let mut indicator = spec.build();
    let (mut out, outputs) = ([0.0; OUTPUTS_MAX], spec.entry.outputs.len());
    bars.iter().map(|bar| indicator.advance(bar, &mut out).then(|| out[..outputs].to_vec())).collect()
}
