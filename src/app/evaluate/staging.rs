//! Something odd, put into a recording: at known places, of known kinds, from a seed.
//!
//! Spikes of 4, 6 or 10 deviations in the return or in the logarithm of the volume (one candle); bursts (volume four
//! deviations up for 30 candles); variance shifts (moves twice as far for 30); freezes (40 copies of one candle);
//! droughts (a hundredth of the volume for 30). Prices go on from where a spike has brought them.

use crate::analytics::estimators::split_mix::SplitMix;
use crate::analytics::features::Reading;

/// One interval of a recording.
#[derive(Clone, Copy, Debug)]
pub enum Step {
    Traded(Reading),
    /// Nothing traded, or it cannot be said what did.
    Quiet,
    Hole,
}

/// What was put in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    Spike,
    Burst,
    VarianceShift,
    Freeze,
    Drought,
}

impl Kind {
    pub const ALL: [Self; 5] = [Self::Spike, Self::Burst, Self::VarianceShift, Self::Freeze, Self::Drought];

    pub fn name(self) -> &'static str {
        match self {
            Self::Spike => "spike",
            Self::Burst => "burst",
            Self::VarianceShift => "variance_shift",
            Self::Freeze => "freeze",
            Self::Drought => "drought",
        }
    }

    /// In candles.
    fn length(self) -> usize {
        match self {
            Self::Spike => 1,
            Self::Burst | Self::VarianceShift | Self::Drought => 30,
            Self::Freeze => 40,
        }
    }
}

/// Something odd, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Staged {
    pub kind: Kind,
    /// The first step that is odd, and how many are.
    pub first: usize,
    pub length: usize,
}

const SPIKES: [f64; 3] = [4.0, 6.0, 10.0];
const BURST: f64 = 4.0;
/// Moves, where the variance is four times as high.
const SHIFT: f64 = 2.0;
const DROUGHT: f64 = 0.01;
/// Steps at the beginning that are left as they are: models are learning.
const CALM_MAX: usize = 2_000;
/// Weight of the newest squared return in the volatility that spikes are measured in.
const VOLATILITY_WEIGHT: f64 = 0.06;
const VOLATILITY_FLOOR: f64 = 1e-5;

/// A candle against the close before it, in logarithms.
#[derive(Clone, Copy, Default)]
struct Move {
    high: f64,
    low: f64,
    close: f64,
}

impl Move {
    fn scaled(self, by: f64) -> Self {
        Self { high: self.high * by, low: self.low * by, close: self.close * by }
    }
}

/// The recording with something odd every `spacing` steps, on the mean: the same for the same seed.
pub fn stage(steps: &[Step], spacing: usize, seed: u64) -> (Vec<Step>, Vec<Staged>) {
    let mut random = SplitMix::new(seed);
    let (moves, volatilities) = moves(steps);
    let (mut moves, mut out) = (moves, steps.to_vec());
    let deviations = Deviations::of(steps, &moves, &volatilities);
    let mut staged = Vec::new();
    let mut at = CALM_MAX.min(steps.len() / 4);
    loop {
        at += spacing * 3 / 4 + random.below(spacing / 2 + 1);
        let kind = Kind::ALL[random.below(Kind::ALL.len())];
        let (size, of_price) = (SPIKES[random.below(SPIKES.len())], random.below(2) == 0);
        let up = random.below(2) == 0;
        let length = kind.length();
        if at + 2 * length >= steps.len() {
            break;
        }
        // A hole or a candle without trades would hide it.
        if at == 0 || !(at - 1..at + length).all(|step| matches!(steps[step], Step::Traded(_))) {
            continue;
        }
        for step in at..at + length {
            let Step::Traded(before) = out[step - 1] else { continue };
            let Step::Traded(reading) = &mut out[step] else { continue };
            let volume = |deviations_up: f64| libm::exp(deviations_up * deviations.volume);
            match kind {
                Kind::Spike if of_price => {
                    let jump = size * deviations.scaled_return * volatilities[step];
                    let spiked = &mut moves[step];
                    spiked.close += if up { jump } else { -jump };
                    spiked.high = spiked.high.max(spiked.close);
                    spiked.low = spiked.low.min(spiked.close);
                }
                Kind::Spike => scale_volume(reading, volume(size)),
                Kind::Burst => scale_volume(reading, volume(BURST)),
                Kind::VarianceShift => moves[step] = moves[step].scaled(SHIFT),
                Kind::Drought => scale_volume(reading, DROUGHT),
                Kind::Freeze => {
                    moves[step] = Move::default();
                    reading.volume = before.volume;
                    reading.trade_count = before.trade_count;
                    reading.taker_buy_volume = before.taker_buy_volume;
                }
            }
        }
        staged.push(Staged { kind, first: at, length });
    }
    rebuild(&mut out, &moves);
    (out, staged)
}

/// Deviations of the whole recording.
struct Deviations {
    scaled_return: f64,
    volume: f64,
}

impl Deviations {
    fn of(steps: &[Step], moves: &[Move], volatilities: &[f64]) -> Self {
        let traded = |step: &usize| matches!(steps[*step], Step::Traded(_));
        let scaled = (1..steps.len()).filter(traded).map(|step| moves[step].close / volatilities[step]);
        let volumes = steps.iter().filter_map(|step| match step {
            Step::Traded(reading) => Some(libm::log(reading.volume)),
            _ => None,
        });
        Self { scaled_return: deviation(scaled), volume: deviation(volumes) }
    }
}

fn deviation(values: impl Iterator<Item = f64> + Clone) -> f64 {
    let count = values.clone().count().max(1) as f64;
    let mean = values.clone().sum::<f64>() / count;
    (values.map(|value| (value - mean) * (value - mean)).sum::<f64>() / count).sqrt()
}

fn scale_volume(reading: &mut Reading, by: f64) {
    reading.volume *= by;
    reading.trade_count = reading.trade_count.map(|count| (count * by).max(1.0));
    reading.taker_buy_volume = reading.taker_buy_volume.map(|bought| bought * by);
}

/// Each candle against the close before it, and the volatility expected before it.
fn moves(steps: &[Step]) -> (Vec<Move>, Vec<f64>) {
    let (mut close, mut variance) = (None::<f64>, None::<f64>);
    let (mut moves, mut volatilities) = (Vec::new(), Vec::new());
    for step in steps {
        volatilities
            .push(variance.map_or(VOLATILITY_FLOOR, |variance| variance.sqrt().max(VOLATILITY_FLOOR)));
        let mut moved = Move::default();
        if let Step::Traded(reading) = step {
            let before = close.replace(reading.close).unwrap_or(reading.close);
            moved = Move {
                high: libm::log(reading.high / before),
                low: libm::log(reading.low / before),
                close: libm::log(reading.close / before),
            };
            let square = moved.close * moved.close;
            let variance = variance.get_or_insert(square);
            *variance += VOLATILITY_WEIGHT * (square - *variance);
        }
        moves.push(moved);
    }
    (moves, volatilities)
}

fn rebuild(steps: &mut [Step], moves: &[Move]) {
    let mut close = None::<f64>;
    for (step, moved) in steps.iter_mut().zip(moves) {
        let Step::Traded(reading) = step else { continue };
        // The first stays where it is.
        let before = close.unwrap_or(reading.close);
        reading.high = before * libm::exp(moved.high);
        reading.low = before * libm::exp(moved.low);
        reading.close = before * libm::exp(moved.close);
        close = Some(reading.close);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::time::UnixNanos;

    fn calm(len: usize) -> Vec<Step> {
        let mut random = SplitMix::new(4);
        let mut close = 100.0;
        let mut step = |i: usize| {
            close *= 1.0 + 2e-3 * (random.unit() - 0.5);
            Step::Traded(Reading {
                open_at: UnixNanos(i as i64),
                close_at: UnixNanos(i as i64 + 1),
                high: close * 1.001,
                low: close * 0.999,
                close,
                volume: 1.0 + random.unit(),
                trade_count: Some(10.0),
                taker_buy_volume: None,
            })
        };
        (0..len).map(&mut step).collect()
    }

    fn reading(step: &Step) -> Reading {
        match step {
            Step::Traded(reading) => *reading,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_is_staged_is_told_and_nothing_else_is_touched() {
        let before = calm(20_000);
        let (after, staged) = stage(&before, 350, 7);
        assert!((45..60).contains(&staged.len()), "{}", staged.len());
        let kinds: std::collections::BTreeSet<_> = staged.iter().map(|staged| staged.kind).collect();
        assert_eq!(kinds.len(), Kind::ALL.len());
        assert!(staged.windows(2).all(|pair| pair[0].first + pair[0].length < pair[1].first));
        for (i, (before, after)) in before.windows(2).zip(after.windows(2)).enumerate() {
            let i = i + 1;
            let inside =
                staged.iter().any(|staged| (staged.first..staged.first + staged.length).contains(&i));
            let ratio = |pair: &[Step]| reading(&pair[1]).close / reading(&pair[0]).close;
            let same = (ratio(before) - ratio(after)).abs() < 1e-9
                && (reading(&before[1]).volume - reading(&after[1]).volume).abs() < 1e-12;
            assert!(inside || same, "step {i}");
            let made = reading(&after[1]);
            assert!(made.low <= made.close && made.close <= made.high && made.volume > 0.0, "step {i}");
        }
        for staged in &staged {
            let [first, second] = [0, 1].map(|i| reading(&after[staged.first + i]));
            match staged.kind {
                Kind::Freeze => assert_eq!((first.high, first.volume), (second.low, second.volume)),
                Kind::Drought => assert!(first.volume < 0.1),
                Kind::Burst => assert!(first.volume > 2.0),
                Kind::Spike | Kind::VarianceShift => {}
            }
        }
    }

    #[test]
    fn a_seed_gives_the_same_again_and_another_does_not() {
        let steps = calm(8_000);
        let places = |seed| stage(&steps, 500, seed).1;
        assert_eq!(places(1), places(1));
        assert_ne!(places(1), places(2));
        assert_eq!(stage(&calm(50), 350, 1).1, []);
        assert_eq!(stage(&[Step::Hole, Step::Quiet], 350, 1).1, []);
    }
}
