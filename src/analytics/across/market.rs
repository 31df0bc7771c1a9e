//! What a comparison remembers of one market: where it usually stands, and how odd its distance from there is.
//!
//! A market stands at a premium: another quote currency, other fees, other clients. The median of its last places
//! is that premium, so that one that stays is no divergence and a few odd minutes do not move it; what lasts longer than
//! half of the window is the new usual. Distances from it are measured in median distances, which have a floor: two
//! markets that always agree would make every cent infinite.

use crate::analytics::anomaly::alarm::{Alarm, Alert};
use crate::analytics::anomaly::detector::Tuning;
use crate::analytics::rolling::sorted::SortedWindow;
use crate::analytics::rolling::state::State;
use crate::domain::time::UnixNanos;

/// Places that the premium is the median of: eight hours of minutes.
const WINDOW: usize = 480;
/// Places until the premium counts.
pub const PREMIUM_MIN: usize = 30;
/// Candles after a hole until it has a say again.
pub const SETTLING: u64 = 20;
/// Candles until it may be told of: the premium, then the tail of its distances.
pub const WARM_UP: usize = PREMIUM_MIN + crate::analytics::anomaly::alarm::WARM_UP;
/// Median distance to standard deviation where the middle of the distribution is a bell curve.
const CONSISTENCY: f64 = 1.482_602_218_505_602;
/// Smallest usual distance: half a basis point.
const SPREAD_MIN: f64 = 5e-5;
/// Spreads from which on it stands apart, told or not.
const APART_MIN: f64 = 4.0;
/// So many times as far as when it was told, and it is told again.
const FARTHER: f64 = 2.0;

/// One market of an asset.
#[derive(Clone, Debug)]
pub struct Market {
    /// Close of the last candle that was told.
    pub closed_until: UnixNanos,
    /// Nobody waits for it until it is heard of again.
    pub is_absent: bool,
    places: SortedWindow,
    alarm: Alarm<1>,
    /// Candles with a price since its last hole.
    whole: u64,
    /// Since when it stands apart without a break, and how far it did when that was told.
    since: Option<UnixNanos>,
    told_z: f64,
}

/// What a place is, beside those before it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Look {
    pub premium: f64,
    pub spread: f64,
    pub z: f64,
    pub since: UnixNanos,
    pub alert: Alert,
}

impl Market {
    pub fn new(tuning: &Tuning) -> Self {
        Self {
            closed_until: UnixNanos(i64::MIN),
            is_absent: false,
            places: SortedWindow::new(WINDOW),
            alarm: Alarm::new(tuning),
            whole: 0,
            since: None,
            told_z: 0.0,
        }
    }

    /// Where it usually stands; `None` before its first place.
    pub fn premium(&self) -> Option<f64> {
        self.places.median()
    }

    /// Whether others are held against it: its premium is known, and no hole lies close behind it.
    pub fn has_a_say(&self) -> bool {
        self.places.len() >= PREMIUM_MIN && self.whole >= SETTLING
    }

    /// Whether all that is known of it came after its last hole.
    pub fn is_complete(&self) -> bool {
        self.whole >= WARM_UP as u64
    }

    /// Takes where it stands beside the middle of all.
    pub fn learn(&mut self, place: f64) {
        self.places.push(place);
        self.whole = self.whole.saturating_add(1);
    }

    /// Takes where it stands, and says what is odd about it; `None`: nothing that is told.
    pub fn look(&mut self, close_at: UnixNanos, place: f64) -> Option<Look> {
        let premium = self.places.median()?;
        let distance = self.places.median_distance(premium)?;
        let spread = (CONSISTENCY * distance).max(SPREAD_MIN);
        let z = (place - premium).abs() / spread;
        self.learn(place);
        let since = self.since.unwrap_or(close_at);
        self.since = (z >= APART_MIN).then_some(since);
        if self.since.is_none() {
            self.told_z = 0.0;
        }
        // While it stays away it is what was told, unless it has gone much farther: it is not to become usual.
        if self.told_z > 0.0 && z < FARTHER * self.told_z {
            return None;
        }
        let alert = self.alarm.judge([Some(z)])?;
        self.told_z = z;
        Some(Look { premium, spread, z, since, alert })
    }

    /// A hole, or nothing heard: what comes next may not follow on what came before.
    pub fn interrupt(&mut self) {
        self.whole = 0;
        self.since = None;
        self.told_z = 0.0;
    }

    /// Visits every word of mutable state.
    pub fn state(&mut self, state: &mut State<'_>) {
        state.i64(&mut self.closed_until.0);
        state.bool(&mut self.is_absent);
        self.places.state(state);
        self.alarm.state(state);
        state.word(&mut self.whole);
        let mut since = self.since.map(|at| at.0.cast_unsigned());
        state.option_word(&mut since);
        self.since = since.map(|at| UnixNanos(at.cast_signed()));
        state.f64(&mut self.told_z);
    }
}
