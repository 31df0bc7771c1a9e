//! What an indicator is: the ground on which its families stand.
//!
//! An indicator advances on closed candles that hold trades, one by one, in order of open
//! time, and keeps just the state it needs. It never looks at a clock or inside a candle.
//! Its whole state passes through [`Indicator::state`], so that a pipeline can be put back
//! to an earlier candle (a late trade) or continued elsewhere (a snapshot).

use crate::analytics::rolling::sizes::SizeHistogram;
use crate::analytics::rolling::state::State;
use crate::domain::time::UnixNanos;

/// A closed candle with trades, as statistics see it.
#[derive(Clone, Copy, Debug)]
pub struct Bar<'a> {
    pub open_at: UnixNanos,
    /// Exclusive.
    pub close_at: UnixNanos,
    pub open: f64,
    pub high: f64,
    pub low: f64,
    pub close: f64,
    /// Base currency. Above zero. This and the other amounts are NaN where no indicator in use looks at them.
    pub volume: f64,
    /// Quote currency; `None` where a ready candle does not say.
    pub quote_volume: Option<f64>,
    /// `None` where a ready candle does not say.
    pub trade_count: Option<u64>,
    /// Base currency bought and sold by takers; trades of unknown side count to neither.
    /// `None` where a ready candle does not say.
    pub taker_buy_volume: Option<f64>,
    pub taker_sell_volume: Option<f64>,
    /// Times of the first and last trade; `None` for ready candles.
    pub trade_times: Option<(UnixNanos, UnixNanos)>,
    /// Sizes of its trades; kept only where an indicator in use asks for them.
    pub sizes: Option<&'a SizeHistogram>,
}

impl Bar<'_> {
    /// `(high + low + close) / 3`.
    #[inline]
    pub fn typical_price(&self) -> f64 {
        (self.high + self.low + self.close) / 3.0
    }

    /// Quote currency traded; where a ready candle does not say, its volume at the typical price.
    #[inline]
    pub fn value_traded(&self) -> f64 {
        self.quote_volume.unwrap_or_else(|| self.typical_price() * self.volume)
    }
}

/// Most outputs that one indicator has.
pub const OUTPUTS_MAX: usize = 8;

/// One incremental indicator, as [`keeping`] makes it.
pub trait Indicator: Send {
    /// Takes the next closed candle. `true`: `out` begins with its values, one for each output of its
    /// [`Entry`], all finite; `false`: it has none here, and `out` means nothing.
    fn advance(&mut self, bar: &Bar<'_>, out: &mut [f64; OUTPUTS_MAX]) -> bool;

    /// Visits every word of mutable state, always in the same order: saves or restores it.
    fn state(&mut self, state: &mut State<'_>);
}

/// The indicator that keeps `kept` from one candle to the next.
///
/// `visit` visits every word of it that changes, always in the same order. `advance` takes the next closed candle and
/// gives one value for each output of the [`Entry`]; `None` while it is warming up, or where it has no value (the
/// definition divides by zero). Values that are not all finite are none either.
pub fn keeping<K: Send + 'static, const N: usize>(
    kept: K,
    visit: impl Fn(&mut K, &mut State<'_>) + Send + 'static,
    advance: impl Fn(&mut K, &Bar<'_>) -> Option<[f64; N]> + Send + 'static,
) -> Box<dyn Indicator> {
    Box::new(Keeping { kept, visit, advance })
}

struct Keeping<K, V, A, const N: usize> {
    kept: K,
    visit: V,
    advance: A,
}

impl<K, V, A, const N: usize> Indicator for Keeping<K, V, A, N>
where
    K: Send,
    V: Fn(&mut K, &mut State<'_>) + Send,
    A: Fn(&mut K, &Bar<'_>) -> Option<[f64; N]> + Send,
{
    fn advance(&mut self, bar: &Bar<'_>, out: &mut [f64; OUTPUTS_MAX]) -> bool {
        const { assert!(N <= OUTPUTS_MAX) };
        let Some(values) = (self.advance)(&mut self.kept, bar) else { return false };
        out[..N].copy_from_slice(&values);
        // Zero times what is finite is zero, times anything else no number: quicker than to ask each.
        values.iter().map(|value| 0.0 * value).sum::<f64>() == 0.0
    }

    fn state(&mut self, state: &mut State<'_>) {
        (self.visit)(&mut self.kept, state);
    }
}

/// A parameter of an indicator: `period` of `ema(20)`.
#[derive(Clone, Copy, Debug)]
pub struct Parameter {
    pub name: &'static str,
    pub default: f64,
    pub min: f64,
    pub max: f64,
    /// Whether only whole numbers are allowed.
    pub whole: bool,
}

impl Parameter {
    /// A whole number of candles, at most 10,000.
    pub const fn period(name: &'static str, default: u32, min: u32) -> Self {
        Self { name, default: default as f64, min: min as f64, max: 10_000.0, whole: true }
    }

    pub const fn real(name: &'static str, default: f64, min: f64, max: f64) -> Self {
        Self { name, default, min, max, whole: false }
    }
}

/// The values given to an indicator's parameters, in their order, each within its bounds.
#[derive(Clone, Debug, PartialEq)]
pub struct Arguments(pub Vec<f64>);

impl Arguments {
    /// The value of a whole parameter.
    pub fn period(&self, index: usize) -> usize {
        self.0[index] as usize
    }

    pub fn real(&self, index: usize) -> f64 {
        self.0[index]
    }
}

/// A member of a family: the one line by which the catalogue knows it.
pub struct Entry {
    /// Lower-case, as in `ema(20)`.
    pub name: &'static str,
    /// One sentence for people.
    pub summary: &'static str,
    pub parameters: &'static [Parameter],
    /// Names of its values, at most [`OUTPUTS_MAX`]: `["value"]`, `["macd", "signal", "histogram"]`.
    pub outputs: &'static [&'static str],
    /// Candles until the first value, the one that brings it included.
    pub warm_up: fn(&Arguments) -> usize,
    /// What the bounds of single parameters cannot say (`fast` below `slow`); `Err` is a sentence fragment.
    pub check: fn(&Arguments) -> Result<(), &'static str>,
    pub build: fn(&Arguments) -> Box<dyn Indicator>,
    pub needs: Needs,
}

/// What of a [`Bar`] an indicator looks at, each with all before it: what none looks at is not worked out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Needs {
    /// Times, prices and the number of trades.
    Prices,
    /// Volumes, too.
    Amounts,
    /// And [`Bar::sizes`].
    Sizes,
}

/// For [`Entry::check`] where single bounds say all.
pub fn any(_: &Arguments) -> Result<(), &'static str> {
    Ok(())
}
