//! Until when venues are not to be asked, for the next start: a ban binds the address, not the process.
//!
//! A file with a line for each venue that asked for patience: its name, and the moment, in nanoseconds since 1970. What
//! cannot be written is forgotten by a restart, and said.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tracing::warn;

use crate::domain::time::UnixNanos;

/// Their longest ban is three days; what says more, or a clock that was set back, is not believed.
pub const PATIENCE_MAX: Duration = Duration::from_secs(3 * 86_400);

/// What venues asked for.
#[derive(Debug, Default)]
pub struct Patience {
    /// `None`: for this process alone.
    path: Option<PathBuf>,
    until: Mutex<BTreeMap<String, UnixNanos>>,
}

impl Patience {
    /// What the file says; nothing where there is none.
    pub fn open(path: &Path) -> Self {
        let text = fs::read_to_string(path).unwrap_or_default();
        let line = |line: &str| {
            let (venue, until) = line.split_once(' ')?;
            Some((venue.to_owned(), UnixNanos(until.parse().ok()?)))
        };
        Self { path: Some(path.to_owned()), until: Mutex::new(text.lines().filter_map(line).collect()) }
    }

    /// How long the venue is still to be left alone.
    pub fn left(&self, venue: &str, now: UnixNanos) -> Duration {
        let until = self.lock().get(venue).copied().unwrap_or(now);
        let nanos = u64::try_from(until.0.saturating_sub(now.0)).unwrap_or_default();
        Duration::from_nanos(nanos).min(PATIENCE_MAX)
    }

    /// The venue asks for so much patience; a longer one that was asked for before stays.
    pub fn ask(&self, venue: &str, time: Duration, now: UnixNanos) {
        let mut all = self.lock();
        let nanos = i64::try_from(time.min(PATIENCE_MAX).as_nanos()).unwrap_or(i64::MAX);
        let until = UnixNanos(now.0.saturating_add(nanos));
        if all.get(venue).is_some_and(|known| *known >= until) {
            return;
        }
        all.insert(venue.to_owned(), until);
        all.retain(|_, until| *until > now);
        let Some(path) = &self.path else { return };
        let text: String = all.iter().map(|(venue, until)| format!("{venue} {}\n", until.0)).collect();
        let aside = path.with_extension("new");
        if let Err(error) = fs::write(&aside, text).and_then(|()| fs::rename(&aside, path)) {
            warn!(path = %path.display(), %error, "a venue's request for patience cannot be noted: a restart forgets it");
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, UnixNanos>> {
        self.until.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: i64 = 1_000_000_000;

    #[test]
    fn a_ban_outlives_the_process() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("patience");
        let at = |seconds: i64| UnixNanos(1_800_000_000 * SECOND + seconds * SECOND);
        let left = |patience: &Patience, venue, seconds| patience.left(venue, at(seconds)).as_secs();
        let patience = Patience::open(&path);
        assert_eq!(left(&patience, "binance", 0), 0);
        patience.ask("binance", Duration::from_secs(120), at(0));
        patience.ask("binance", Duration::from_secs(10), at(1));
        patience.ask("kraken", Duration::from_secs(5), at(1));
        let next = Patience::open(&path);
        assert_eq!((left(&next, "binance", 20), left(&next, "kraken", 20)), (100, 0));
        assert_eq!(left(&next, "binance", 200), 0);
        // A clock that was set back by a year.
        assert_eq!(left(&next, "binance", -31_536_000), PATIENCE_MAX.as_secs());
        next.ask("kraken", Duration::from_secs(7), at(500));
        assert_eq!(fs::read_to_string(&path).unwrap(), format!("kraken {}\n", at(507).0));
        fs::write(&path, "binance\nkraken x\ngate 1 2\n").unwrap();
        assert_eq!(left(&Patience::open(&path), "kraken", 0), 0);
    }
}
