//! How detectors are tried: on features of a market from a seed, calm but for what is put into it.

use crate::analytics::features::{FeatureMaker, Features, Reading};
use crate::analytics::indicators::trial::Random;
use crate::domain::time::{NANOS_PER_SECOND, UnixNanos};

const MINUTE: i64 = 60 * NANOS_PER_SECOND;

/// Sums of twelve even numbers are nearly a bell curve.
fn gauss(random: &mut Random) -> f64 {
    (0..12).map(|_| random.unit()).sum::<f64>() - 6.0
}

/// Minute candles of a market whose range goes with the root of its volume.
pub fn readings(seed: u64, len: usize) -> Vec<Reading> {
    let mut random = Random(seed);
    let mut close = 100.0;
    let make = |index: usize| {
        let volume = libm::exp(1.0 + 0.8 * gauss(&mut random));
        let spread = 3e-4 * volume.sqrt();
        let before: f64 = close;
        close *= 1.0 + spread * gauss(&mut random);
        let reach = 1.0 + 0.3 * spread * (1.0 + random.unit());
        let open_at = 1_700_000_040_000_000_000 + index as i64 * MINUTE;
        Reading {
            open_at: UnixNanos(open_at),
            close_at: UnixNanos(open_at + MINUTE),
            high: before.max(close) * reach,
            low: before.min(close) / reach,
            close,
            volume,
            trade_count: Some(1.0 + (random.word() % 50) as f64),
            taker_buy_volume: Some(volume * random.unit()),
        }
    };
    (0..len).map(make).collect()
}

/// Their features.
pub fn rows(readings: &[Reading]) -> Vec<Features> {
    let mut maker = FeatureMaker::default();
    readings.iter().filter_map(|reading| maker.take(reading)).collect()
}

/// So many times the volume, and as much movement as such a volume brings.
pub fn busier(candle: &mut Reading, times: f64) {
    candle.volume *= times;
    candle.high = candle.low * libm::pow(candle.high / candle.low, times.sqrt());
}
