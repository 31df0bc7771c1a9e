//! What the comparison of venues finds of price offsets that are put into one of them.
//!
//! Where an asset is recorded at two venues or more, the closes of one are moved by some basis points for a minute or a
//! quarter of an hour, at known places and from a seed. Found is what is told of that market within 15 candles, with
//! the threshold that follows all that is told, as it does live. Of two venues nobody can say which one is off, both are told:
//! there the other's alert is no false one; among three or more it is.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::analytics::across::comparison::Comparison;
use crate::analytics::across::found;
use crate::analytics::across::plan::AcrossPlan;
use crate::analytics::estimators::split_mix::SplitMix;
use crate::app::evaluate::findings::{Alerts, Found};
use crate::app::evaluate::recordings::shown;
use crate::domain::candle::Candle;
use crate::domain::closed::{Closed, Said};
use crate::domain::decimal::{Decimal, Price};
use crate::domain::instrument::Instrument;
use crate::domain::time::{NANOS_PER_DAY, UnixNanos};

/// What the detector is called.
pub const NAME: &str = "divergence";
/// Basis points by which a market is moved, and for how many candles.
pub const SIZES: [u32; 4] = [5, 10, 20, 50];
const LENGTHS: [i64; 2] = [1, 15];
/// Candles at the beginning that are left as they are: the comparison is learning.
const CALM_MAX: usize = 2_000;

/// One market's closes, ascending.
#[derive(Clone, Debug)]
pub struct Market {
    pub instrument: Instrument,
    pub closes: Vec<(UnixNanos, Said)>,
}

impl Market {
    pub fn new(instrument: Instrument) -> Self {
        Self { instrument, closes: Vec::new() }
    }

    /// Takes the next closed candle.
    pub fn take(&mut self, candle: &Candle) {
        self.closes.push((candle.close_at, Said::of(candle)));
    }
}

/// A market is moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Shift {
    /// Its place among the asset's.
    market: usize,
    /// Index into [`SIZES`], and whether the price is raised.
    size: usize,
    up: bool,
    /// Closes of the first and the last candle that are moved.
    from: UnixNanos,
    to: UnixNanos,
}

/// At one spacing.
#[derive(Clone, Debug, Default)]
pub struct Findings {
    sizes: [Found; SIZES.len()],
    alerts: Alerts,
}

impl Findings {
    fn all(&self) -> Found {
        self.sizes.iter().sum()
    }

    fn delay(&self) -> Option<f64> {
        self.alerts.mean_delay(self.all())
    }

    fn take(&mut self, shifts: &[Shift], markets: &[Market], found: &[found::Found], window: (i64, i64)) {
        let (step, grace) = window;
        let is_in = |shift: &Shift, at: UnixNanos, until: UnixNanos| {
            at >= shift.from && at.0 < until.0.saturating_add(grace * step)
        };
        for shift in shifts {
            let count = &mut self.sizes[shift.size];
            count.staged += 1;
            let moved = &markets[shift.market].instrument;
            let alert = found.iter().find(|found| {
                found.instrument == *moved && is_in(shift, found.divergence.close_at, shift.from)
            });
            if let Some(alert) = alert {
                count.found += 1;
                self.alerts.delay += ((alert.divergence.close_at.0 - shift.from.0) / step) as u64;
            }
        }
        self.alerts.all += found.len() as u64;
        let is_of = |found: &found::Found, shift: &Shift| {
            let is_named = found.instrument == markets[shift.market].instrument || markets.len() == 2;
            is_named && is_in(shift, found.divergence.close_at, shift.to)
        };
        let is_outside = |found: &&found::Found| !shifts.iter().any(|shift| is_of(found, shift));
        self.alerts.outside += found.iter().filter(is_outside).count() as u64;
    }
}

/// All assets that were recorded at two venues or more.
#[derive(Debug)]
pub struct Offsets {
    plan: AcrossPlan,
    assets: Vec<Vec<Market>>,
    told: u64,
    /// Of all markets.
    days: f64,
    /// By spacing.
    pub findings: Vec<Findings>,
}

impl Offsets {
    /// `None`: no asset was recorded at two venues. `spacings`: candles between two offsets on the mean, and repeats.
    /// `grace`: candles within which it has to be told.
    pub fn judge(
        plan: AcrossPlan,
        markets: Vec<Market>,
        spacings: &[(usize, u64)],
        grace: usize,
        seed: u64,
    ) -> Option<Self> {
        let mut assets: BTreeMap<_, Vec<Market>> = BTreeMap::new();
        for market in markets {
            assets.entry(plan.asset(&market.instrument)).or_default().push(market);
        }
        let is_compared = |markets: &Vec<Market>| {
            markets.windows(2).any(|pair| pair[0].instrument.venue() != pair[1].instrument.venue())
        };
        let assets: Vec<Vec<Market>> = assets.into_values().filter(is_compared).collect();
        if assets.is_empty() {
            return None;
        }
        let step = plan.interval.nanos();
        let mut offsets =
            Self { plan, assets, told: 0, days: 0.0, findings: vec![Findings::default(); spacings.len()] };
        for markets in &offsets.assets {
            offsets.told += compare(&offsets.plan, markets, &[]).len() as u64;
            let candles: usize = markets.iter().map(|market| market.closes.len()).sum();
            offsets.days += candles as f64 * step as f64 / NANOS_PER_DAY as f64;
            for (&(candles, repeats), findings) in spacings.iter().zip(&mut offsets.findings) {
                for repeat in 0..repeats {
                    let shifts = stage(markets, step, candles, seed.wrapping_add(repeat));
                    let found = compare(&offsets.plan, markets, &shifts);
                    findings.take(&shifts, markets, &found, (step, grace as i64));
                }
            }
        }
        Some(offsets)
    }

    fn a_day(&self) -> Option<f64> {
        (self.days > 0.0).then(|| self.told as f64 / self.days)
    }

    /// Every figure under its name.
    pub fn figures(&self, spacings: &[&str]) -> Vec<(String, Value)> {
        let mut figures = vec![(format!("inject.{NAME}.alerts_per_day"), json!(self.a_day()))];
        for (spacing, findings) in spacings.iter().zip(&self.findings) {
            let mut put = |name: &str, value: Value| {
                figures.push((format!("inject.{spacing}.{NAME}.{name}"), value));
            };
            put("injected", json!(findings.all().staged));
            put("recall_steered", json!(findings.all().recall()));
            put("precision", json!(findings.alerts.precision()));
            put("delay_candles", json!(findings.delay()));
            for (size, count) in SIZES.iter().zip(&findings.sizes) {
                put(&format!("recall_steered.{size}bp"), json!(count.recall()));
            }
        }
        figures
    }

    /// A table: heading, then a row for each spacing.
    pub fn table(&self, spacings: &[String]) -> Vec<Vec<String>> {
        let names = ["detector", "spacing", "moved", "a day", "steered", "precision", "delay"];
        let mut rows = vec![names.map(str::to_owned).to_vec()];
        rows[0].extend(SIZES.map(|size| format!("{size} bp")));
        let share = |share: Option<f64>| share.map_or_else(|| "-".to_owned(), |share| format!("{share:.2}"));
        for (spacing, findings) in spacings.iter().zip(&self.findings) {
            let mut row = vec![
                NAME.to_owned(),
                spacing.clone(),
                findings.all().staged.to_string(),
                shown(self.a_day()),
                share(findings.all().recall()),
                share(findings.alerts.precision()),
                shown(findings.delay()),
            ];
            row.extend(findings.sizes.map(|size| share(size.recall())));
            rows.push(row);
        }
        rows
    }
}

/// What is found with some markets moved: all closes in order of close and market, as live.
fn compare(plan: &AcrossPlan, markets: &[Market], shifts: &[Shift]) -> Vec<found::Found> {
    let mut comparison = Comparison::new(plan.clone());
    let mut found = Vec::new();
    for market in markets {
        comparison.take(&market.instrument, &Closed::MEETING, &mut found);
    }
    let mut closes: Vec<(UnixNanos, usize, Said)> = Vec::new();
    for (at, market) in markets.iter().enumerate() {
        closes.extend(market.closes.iter().map(|&(close_at, said)| (close_at, at, said)));
    }
    closes.sort_by_key(|&(close_at, at, _)| (close_at, at));
    // In order of their beginning; they do not overlap.
    let mut shifts = shifts.iter().peekable();
    for (close_at, at, said) in closes {
        while shifts.next_if(|shift| shift.to < close_at).is_some() {}
        let shift = shifts.peek().filter(|shift| shift.market == at && shift.from <= close_at);
        let said = match (said, shift) {
            (Said::Price(price), Some(shift)) => Said::Price(moved(price, SIZES[shift.size], shift.up)),
            _ => said,
        };
        let closed = Closed { close_at, said, cause_seq: 0, is_quiet: false, is_held: false };
        comparison.take(&markets[at].instrument, &closed, &mut found);
    }
    comparison.finish(&mut found);
    found
}

/// An offset every `spacing` candles, on the mean, where the market has a price: the same for the same seed.
fn stage(markets: &[Market], step: i64, spacing: usize, seed: u64) -> Vec<Shift> {
    let mut random = SplitMix::new(seed);
    let ends = |of: fn(&Market) -> Option<&(UnixNanos, Said)>| {
        markets.iter().filter_map(move |one| Some(of(one)?.0))
    };
    // Where all of them are recorded.
    let (Some(begin), Some(end)) =
        (ends(|one| one.closes.first()).max(), ends(|one| one.closes.last()).min())
    else {
        return Vec::new();
    };
    let candles = usize::try_from((end.0 - begin.0) / step).unwrap_or(0);
    let mut at = CALM_MAX.min(candles / 4);
    let mut shifts = Vec::new();
    loop {
        at += spacing * 3 / 4 + random.below(spacing / 2 + 1);
        let (market, size) = (random.below(markets.len()), random.below(SIZES.len()));
        let (length, up) = (LENGTHS[random.below(LENGTHS.len())], random.below(2) == 0);
        if at + 2 * LENGTHS[1] as usize >= candles {
            return shifts;
        }
        let from = UnixNanos(begin.0 + at as i64 * step);
        let to = UnixNanos(from.0 + (length - 1) * step);
        // A hole or a candle without trades would hide it.
        let closes = &markets[market].closes;
        let first = closes.partition_point(|&(close_at, _)| close_at < from);
        let has_price =
            |&(close_at, said): &(UnixNanos, Said)| close_at <= to && matches!(said, Said::Price(_));
        if closes[first..].iter().take(length as usize).filter(|close| has_price(close)).count()
            == length as usize
        {
            shifts.push(Shift { market, size, up, from, to });
        }
    }
}

/// The price, some basis points up or down: exact but for the last digit it has, or one of a hundredth of a basis point.
fn moved(price: Price, basis_points: u32, up: bool) -> Price {
    let decimal = price.decimal();
    let (mut mantissa, mut scale) = (decimal.mantissa(), decimal.scale());
    // Enough digits for a basis point of it to be some.
    while mantissa < 100_000_000 && scale < 12 {
        (mantissa, scale) = (mantissa * 10, scale + 1);
    }
    let by = u128::from(if up { 10_000 + basis_points } else { 10_000 - basis_points });
    let value = u64::try_from(u128::from(mantissa) * by / 10_000).ok();
    let value = value.and_then(|mantissa| Decimal::new(mantissa, scale).ok());
    // One beyond what a price can say stays where it is.
    value.and_then(|value| Price::new(value).ok()).unwrap_or(price)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: i64 = 60_000_000_000;

    /// Venues round a level that wanders, each with a premium and some noise of its own.
    fn markets(names: &[&str], candles: i64) -> Vec<Market> {
        let mut random = SplitMix::new(3);
        let mut gauss = move || (0..12).map(|_| random.unit()).sum::<f64>() - 6.0;
        let mut all: Vec<Market> = names.iter().map(|name| Market::new(name.parse().unwrap())).collect();
        let mut level = 0.0;
        for minute in 1..=candles {
            level += 5e-4 * gauss();
            for (at, market) in all.iter_mut().enumerate() {
                let price = 60_000.0 * libm::exp(level + 1e-3 * at as f64 + 1e-4 * gauss());
                let price = Decimal::new((price * 100.0).round() as u64, 2).unwrap();
                let said = Said::Price(Price::new(price).unwrap());
                market.closes.push((UnixNanos(minute * MINUTE), said));
            }
        }
        all
    }

    fn plan() -> AcrossPlan {
        AcrossPlan::new("1m".parse::<crate::domain::interval::Interval>().unwrap().time().unwrap())
    }

    #[test]
    fn large_offsets_are_found_of_the_market_that_was_moved_and_small_ones_are_not() {
        for names in [
            &["binance:BTC-USDT", "coinbase:BTC-USD"][..],
            &["binance:BTC-USDT", "coinbase:BTC-USD", "kraken:BTC-USD"],
        ] {
            let offsets = Offsets::judge(plan(), markets(names, 12_000), &[(700, 6)], 15, 1).unwrap();
            let findings = &offsets.findings[0];
            let [small, .., large] = findings.sizes;
            assert!(large.staged > 8 && large.found == large.staged, "{findings:?}");
            assert!(small.found < small.staged, "{findings:?}");
            assert!(findings.delay() < Some(1.0) && findings.alerts.precision() > Some(0.05), "{findings:?}");
            assert!(offsets.a_day() < Some(8.0), "{:?}", offsets.a_day());
        }
    }

    #[test]
    fn one_venue_alone_is_compared_with_nobody() {
        let markets = markets(&["binance:BTC-USDT", "binance:BTC-USDC"], 100);
        assert!(Offsets::judge(plan(), markets, &[(700, 1)], 15, 1).is_none());
    }

    #[test]
    fn a_price_is_moved_by_what_was_said() {
        let price = |text: &[u8]| Price::parse(text).unwrap();
        assert_eq!(moved(price(b"20000"), 50, true), price(b"20100"));
        assert_eq!(moved(price(b"0.00001"), 10, false), price(b"0.00000999"));
    }

    #[test]
    fn a_seed_gives_the_same_again_and_another_does_not() {
        let markets = markets(&["binance:BTC-USDT", "coinbase:BTC-USD"], 6_000);
        let places = |seed| stage(&markets, MINUTE, 500, seed);
        assert_eq!(places(1), places(1));
        assert_ne!(places(1), places(2));
        assert!(places(1).windows(2).all(|pair| pair[0].to < pair[1].from));
        assert_eq!(stage(&[], MINUTE, 500, 1), []);
    }
}
