//! How large the trades of a candle were: counts and volume in logarithmic buckets.
//!
//! A quantity is put in its bucket by its leading bits, with integers alone: each doubling
//! is cut into 128 equal buckets, so two sizes of one bucket differ by less than 1/128
//! (0.8 %), which bounds the error of a quantile; where all trades of a bucket are of one
//! size, as lots often are, there is none. Counts and volumes are integers: adding is
//! order-free, merging is adding, and what was merged can be taken out again without a
//! trace. At most [`BUCKETS_MAX`] buckets exist, and only those that hold trades cost memory
//! (24 bytes each). The bucketing is that of Gil Tene's HdrHistogram.

use std::collections::VecDeque;

use ethnum::U256;

use crate::analytics::rolling::state::State;
use crate::domain::decimal::{Quantity, Volume};

/// Buckets a doubling, as a power of two.
const FINENESS: u32 = 7;
/// Volumes are kept to as many leading bits a trade: exact below 10^9 of base currency.
const VOLUME_BITS: u32 = 80;
/// A cell's key: the bucket above, the count below.
const COUNT_BITS: u32 = 48;
const COUNT_MASK: u64 = (1 << COUNT_BITS) - 1;
/// In packed cells: whether the upper word of the volume follows. No bucket reaches this bit.
const WIDE: u64 = 1 << 63;

/// More buckets than any quantity reaches: the largest is below 10^18, that is 2^110 units.
pub const BUCKETS_MAX: usize = (110 - FINENESS as usize + 1) << FINENESS;

/// Sizes of trades, ascending.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SizeHistogram {
    /// In order of bucket, none empty.
    cells: Vec<Cell>,
}

/// A size that parts large trades from small ones.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Threshold {
    bucket: u64,
    /// Base currency.
    pub size: f64,
}

/// The trades of one bucket. 2^48 of them, more than a window ever sees, overflow nothing.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Cell {
    key: u64,
    /// Sum of quantities, each shifted down by [`volume_shift`]; low word, high word.
    volume: [u64; 2],
}

impl Cell {
    fn bucket(self) -> u64 {
        self.key >> COUNT_BITS
    }

    fn count(self) -> u64 {
        self.key & COUNT_MASK
    }

    fn sum(self) -> u128 {
        u128::from(self.volume[1]) << 64 | u128::from(self.volume[0])
    }

    #[inline]
    fn set_sum(&mut self, sum: u128) {
        self.volume = [sum as u64, (sum >> 64) as u64];
    }

    /// `other` is of the same bucket.
    fn add(&mut self, other: Self) {
        self.key += other.count();
        self.set_sum(self.sum() + other.sum());
    }

    fn subtract(&mut self, other: Self) {
        assert!(self.count() >= other.count(), "what is taken out was merged in before");
        self.key -= other.count();
        self.set_sum(self.sum() - other.sum());
    }

    fn volume(self) -> Volume {
        Volume::from_units(U256::new(self.sum()) << volume_shift(self.bucket()))
    }

    /// Mean size of the trades in it; exact where all are equal.
    fn mean(self) -> f64 {
        let (sum, count) = (self.sum(), u128::from(self.count()));
        if sum.is_multiple_of(count) {
            Volume::from_units(U256::new(sum / count) << volume_shift(self.bucket())).to_f64()
        } else {
            self.volume().to_f64() / count as f64
        }
    }
}

impl SizeHistogram {
    /// Counts one trade.
    #[inline]
    pub fn add(&mut self, quantity: Quantity) {
        let units = quantity.decimal().units();
        let bucket = bucket_of(units);
        let quantity = units >> volume_shift(bucket);
        let at = self.cells.partition_point(|cell| cell.bucket() < bucket);
        match self.cells.get_mut(at) {
            Some(cell) if cell.bucket() == bucket => {
                cell.key += 1;
                cell.set_sum(cell.sum() + quantity);
            }
            _ => {
                let mut cell = Cell { key: bucket << COUNT_BITS | 1, volume: [0; 2] };
                cell.set_sum(quantity);
                self.cells.insert(at, cell);
            }
        }
    }

    pub fn merge(&mut self, other: &Self) {
        self.merge_cells(other.cells.iter().copied());
    }

    /// Forgets all trades and keeps the memory.
    pub fn clear(&mut self) {
        self.cells.clear();
    }

    pub fn is_empty(&self) -> bool {
        self.cells.is_empty()
    }

    /// How many trades were added.
    pub fn count(&self) -> u64 {
        self.cells.iter().map(|cell| cell.count()).sum()
    }

    /// What they sum to.
    pub fn volume(&self) -> Volume {
        sum(&self.cells)
    }

    /// The size that so many millionths of the trades do not exceed (nearest rank), within 1/128.
    /// `None` where there are no trades.
    pub fn quantile(&self, millionths: u32) -> Option<f64> {
        self.quantile_cell(self.count(), millionths).map(Cell::mean)
    }

    /// Several at once; `millionths` in any order.
    pub fn quantiles<const N: usize>(&self, millionths: [u32; N]) -> Option<[f64; N]> {
        let count = self.count();
        let mut sizes = [0.0; N];
        for (size, millionths) in sizes.iter_mut().zip(millionths) {
            *size = self.quantile_cell(count, millionths)?.mean();
        }
        Some(sizes)
    }

    /// The largest size, within 1/128.
    pub fn max(&self) -> Option<f64> {
        self.cells.last().map(|cell| cell.mean())
    }

    /// A size that cuts off the small trades of this histogram: see [`SizeHistogram::volume_from`].
    pub fn threshold(&self, millionths: u32) -> Option<Threshold> {
        let cell = self.quantile_cell(self.count(), millionths)?;
        Some(Threshold { bucket: cell.bucket(), size: cell.mean() })
    }

    /// Volume of the trades at or above the threshold; those of the threshold's bucket count as equal to it.
    pub fn volume_from(&self, threshold: Threshold) -> Volume {
        sum(&self.cells[self.cells.partition_point(|cell| cell.bucket() < threshold.bucket)..])
    }

    fn quantile_cell(&self, count: u64, millionths: u32) -> Option<Cell> {
        let rank = u128::from(count) * u128::from(millionths.min(1_000_000));
        let rank = rank.div_ceil(1_000_000).max(1) as u64;
        let mut seen = 0;
        self.cells.iter().copied().find(|cell| {
            seen += cell.count();
            seen >= rank
        })
    }

    /// `others` in order of bucket.
    fn merge_cells(&mut self, others: impl DoubleEndedIterator<Item = Cell> + Clone) {
        let mut at = 0;
        let mut missing = 0;
        for other in others.clone() {
            while self.cells.get(at).is_some_and(|cell| cell.bucket() < other.bucket()) {
                at += 1;
            }
            match self.cells.get_mut(at) {
                Some(cell) if cell.bucket() == other.bucket() => cell.add(other),
                _ => missing += 1,
            }
        }
        // From the back, so that each cell moves once, to its final place. What was found above
        // is met again with its new count, and stays.
        let mut from = self.cells.len();
        let mut to = from + missing;
        self.cells.resize(to, Cell { key: 0, volume: [0; 2] });
        for other in others.rev() {
            while from > 0 && from < to && self.cells[from - 1].bucket() > other.bucket() {
                (from, to) = (from - 1, to - 1);
                self.cells[to] = self.cells[from];
            }
            if from == to {
                break;
            }
            if from == 0 || self.cells[from - 1].bucket() != other.bucket() {
                to -= 1;
                self.cells[to] = other;
            }
        }
    }

    /// `others`, in order of bucket, were merged in before.
    fn subtract_cells(&mut self, others: impl Iterator<Item = Cell>) {
        let mut at = 0;
        for other in others {
            while self.cells[at].bucket() < other.bucket() {
                at += 1;
            }
            self.cells[at].subtract(other);
        }
        self.cells.retain(|cell| cell.count() > 0);
    }

    pub fn state(&mut self, state: &mut State<'_>) {
        let mut len = self.cells.len();
        state.len(&mut len);
        self.cells.resize(len, Cell { key: 0, volume: [0; 2] });
        for cell in &mut self.cells {
            state.word(&mut cell.key);
            state.word(&mut cell.volume[0]);
            state.word(&mut cell.volume[1]);
        }
        if state.is_load() {
            let ascending = self.cells.is_sorted_by(|a, b| a.bucket() < b.bucket());
            let filled = self.cells.iter().all(|cell| cell.count() > 0);
            state.check(ascending && filled, "sizes of trades out of order");
        }
    }
}

/// How a [`SizeWindow`](super::size_window::SizeWindow) remembers candles: mostly two words a bucket.
impl SizeHistogram {
    /// Appends its cells behind their number.
    pub(super) fn pack(&self, words: &mut VecDeque<u64>) {
        words.push_back(self.cells.len() as u64);
        for cell in &self.cells {
            let [low, high] = cell.volume;
            if high == 0 {
                words.extend([cell.key, low]);
            } else {
                words.extend([cell.key | WIDE, low, high]);
            }
        }
    }

    /// Takes the first packed histogram off the words, and out of this one.
    pub(super) fn subtract_packed(&mut self, words: &mut VecDeque<u64>) {
        let mut take = || words.pop_front().expect("a packed histogram is whole");
        let len = take();
        self.subtract_cells((0..len).map(|_| {
            let (key, low) = (take(), take());
            let high = if key & WIDE == 0 { 0 } else { take() };
            Cell { key: key & !WIDE, volume: [low, high] }
        }));
    }
}

/// Below 2^7 units a bucket each; above, the bits behind the leading one, counted on from octave to octave.
#[inline]
fn bucket_of(units: u128) -> u64 {
    let magnitude = 127 - (units | 1).leading_zeros();
    if magnitude < FINENESS {
        return units as u64;
    }
    let octave = u64::from(magnitude - FINENESS);
    // The leading bit itself is in the quotient, and adds one octave.
    (octave << FINENESS) + (units >> octave) as u64
}

/// By how much quantities of the bucket are shifted down before they are summed.
#[inline]
fn volume_shift(bucket: u64) -> u32 {
    // An upper bound of the bits of a quantity in the bucket.
    let bits = (bucket >> FINENESS) as u32 + FINENESS;
    bits.saturating_sub(VOLUME_BITS)
}

fn sum(cells: &[Cell]) -> Volume {
    let mut sum = Volume::ZERO;
    for cell in cells {
        sum.add(cell.volume());
    }
    sum
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::decimal::Decimal;

    fn quantity(text: &str) -> Quantity {
        Quantity::parse(text.as_bytes()).unwrap()
    }

    fn histogram(quantities: &[Quantity]) -> SizeHistogram {
        let mut histogram = SizeHistogram::default();
        for &quantity in quantities {
            histogram.add(quantity);
        }
        histogram
    }

    /// Quantities of every magnitude, some of them equal.
    fn quantities() -> impl Strategy<Value = Vec<Quantity>> {
        let any = (1u64..=999_999_999_999_999_999, 0u32..18, 0u32..16).prop_map(|(mantissa, cut, scale)| {
            let mantissa = (mantissa / 10u64.pow(cut)).max(1);
            Quantity::new(Decimal::new(mantissa, scale).unwrap()).unwrap()
        });
        let lot = prop::sample::select(vec!["0.1", "1", "0.00001", "250"]).prop_map(quantity);
        prop::collection::vec(prop_oneof![any, lot], 0..60)
    }

    #[test]
    fn buckets_are_in_order_narrow_and_bounded() {
        let mut last = None;
        for octave in 0..110 {
            for part in 0..1u128 << FINENESS {
                let units = (1u128 << octave) + (part << octave >> FINENESS);
                let bucket = bucket_of(units);
                assert!(last <= Some(bucket) && (bucket as usize) < BUCKETS_MAX, "{units}");
                assert!(bucket_of(units + (units >> FINENESS) + 1) > bucket, "{units}");
                assert!(units >> volume_shift(bucket) < 1 << VOLUME_BITS);
                last = Some(bucket);
            }
        }
        let largest = quantity("999999999999999999").decimal().units();
        assert!((bucket_of(largest) as usize) < BUCKETS_MAX);
        assert!(((BUCKETS_MAX as u64) << COUNT_BITS) < WIDE);
    }

    #[test]
    fn lots_are_exact() {
        let sizes = histogram(&["0.1", "0.3", "0.1", "0.1", "7.77", "1234567.891"].map(quantity));
        assert_eq!(sizes.quantile(500_000), Some(0.1));
        assert_eq!(sizes.quantile(500_001), Some(0.3));
        assert_eq!(sizes.quantile(0), Some(0.1));
        assert_eq!(sizes.quantile(u32::MAX), Some(1_234_567.891));
        assert_eq!((sizes.max(), sizes.count()), (Some(1_234_567.891), 6));
        assert_eq!(sizes.volume().to_string(), "1234576.261");
        let large = sizes.threshold(800_000).unwrap();
        assert_eq!((large.size, sizes.volume_from(large).to_string().as_str()), (7.77, "1234575.661"));
        assert_eq!(SizeHistogram::default().quantile(500_000), None);
        assert_eq!(SizeHistogram::default().max(), None);
    }

    proptest! {
        #[test]
        fn quantiles_are_within_their_bound(quantities in quantities(), millionths in 0u32..=1_000_000) {
            let sizes = histogram(&quantities);
            let mut sorted = quantities.clone();
            sorted.sort();
            let rank = (sorted.len() as f64 * f64::from(millionths) / 1e6).ceil().max(1.0) as usize;
            let exact = sorted.get(rank - 1).map(|q| q.decimal().to_f64());
            match (sizes.quantile(millionths), exact) {
                (Some(size), Some(exact)) => prop_assert!((size / exact - 1.0).abs() < 1.0 / 128.0),
                (size, exact) => prop_assert_eq!(size, exact),
            }
            if quantities.iter().all(|q| q.decimal().to_f64() < 1e9) {
                let mut volume = Volume::ZERO;
                quantities.iter().for_each(|&q| volume.add(Volume::of(q)));
                prop_assert_eq!(sizes.volume(), volume);
            }
        }

        #[test]
        fn adding_in_any_order_and_merging_are_one(mut a in quantities(), b in quantities()) {
            let mut merged = histogram(&a);
            merged.merge(&histogram(&b));
            let only_b = histogram(&b);
            let mut packed = VecDeque::new();
            histogram(&a).pack(&mut packed);
            a.extend(&b);
            a.reverse();
            prop_assert_eq!(&merged, &histogram(&a));
            prop_assert!(merged.cells.is_sorted_by(|a, b| a.bucket() < b.bucket()));

            let mut words = Vec::new();
            merged.state(&mut State::Save(&mut words));
            let mut restored = only_b.clone();
            restored.state(&mut State::load(&words));
            prop_assert_eq!(&restored, &merged);

            merged.subtract_packed(&mut packed);
            prop_assert_eq!(merged, only_b);
            prop_assert!(packed.is_empty());
        }
    }
}
