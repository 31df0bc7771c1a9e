//! Forecasts whose outcome is not told yet: QuestDB replaces whole rows, so that a row that gets its outcome has to be
//! written anew as a whole.
//!
//! Each is appended to a file, so that a restart, which tells again only what came after its snapshots, knows them all.
//! A forecast whose outcome never came (a hole touched its candles) is forgotten when there are [`FORECASTS_MAX`].
//! What became of a forecast is remembered too: one that is told again keeps it.

use std::collections::{BTreeMap, VecDeque};
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use tracing::warn;

use crate::domain::data_state::DataState;
use crate::domain::insight::{Forecast, InsightId, Role, Target};
use crate::domain::time::UnixNanos;
use crate::storage::error::StorageError;

/// Forecasts that are remembered; half of them, those of the earliest targets, are forgotten when there are more.
const FORECASTS_MAX: usize = 1 << 19;
/// Outcomes that are remembered, the last ones.
const OUTCOMES_MAX: usize = 1 << 18;
/// A file that is larger is written anew with what is still open.
const FILE_BYTES_MAX: u64 = 64 << 20;

#[derive(Debug)]
pub struct OpenForecasts {
    path: PathBuf,
    file: File,
    bytes: u64,
    open: BTreeMap<u64, (Forecast, i64)>,
    outcomes: BTreeMap<u64, f64>,
    outcome_order: VecDeque<u64>,
    failed: bool,
}

impl OpenForecasts {
    pub fn open(path: &Path) -> Result<Self, StorageError> {
        let mut open = BTreeMap::new();
        if path.exists() {
            let bytes = fs::read(path).map_err(StorageError::io(path, "read"))?;
            // A line that was torn by the end of a process reads as nothing.
            for line in String::from_utf8_lossy(&bytes).lines() {
                if let Some((forecast, seq)) = read(line) {
                    open.insert(forecast.id.0, (forecast, seq));
                }
            }
        }
        // Outcomes are told in the order of time: what was due before the last of them was made has had its own.
        let newest = open.values().map(|(forecast, _)| forecast.made_at).max();
        open.retain(|_, (forecast, _)| Some(forecast.target_at) >= newest);
        let (file, bytes) = write_anew(path, &open)?;
        let (outcomes, outcome_order) = (BTreeMap::new(), VecDeque::new());
        Ok(Self { path: path.to_owned(), file, bytes, open, outcomes, outcome_order, failed: false })
    }

    /// Remembers a forecast; gives back its outcome, where that is known.
    pub fn told(&mut self, forecast: &Forecast, seq: i64) -> Option<f64> {
        let known = self.outcomes.get(&forecast.id.0).copied();
        if known.is_some() {
            return known;
        }
        if self.open.len() >= FORECASTS_MAX {
            let mut targets: Vec<_> = self.open.values().map(|(forecast, _)| forecast.target_at).collect();
            targets.sort_unstable();
            let middle = targets[targets.len() / 2];
            self.open.retain(|_, (forecast, _)| forecast.target_at > middle);
        }
        if self.open.insert(forecast.id.0, (forecast.clone(), seq)).is_none() {
            self.append(&line(forecast, seq));
        }
        None
    }

    /// The forecast that has come to its end, and its cause; `None`: it is not remembered.
    pub fn ended(&mut self, id: InsightId, actual: f64) -> Option<(Forecast, i64)> {
        if self.outcomes.insert(id.0, actual).is_none() {
            self.outcome_order.push_back(id.0);
            if self.outcome_order.len() > OUTCOMES_MAX
                && let Some(oldest) = self.outcome_order.pop_front()
            {
                self.outcomes.remove(&oldest);
            }
        }
        self.open.remove(&id.0)
    }

    fn append(&mut self, line: &str) {
        let written = self.file.write_all(line.as_bytes());
        self.bytes += line.len() as u64;
        let written = written.map_err(StorageError::io(&self.path, "write")).and_then(|()| {
            if self.bytes > FILE_BYTES_MAX {
                (self.file, self.bytes) = write_anew(&self.path, &self.open)?;
            }
            Ok(())
        });
        if let Err(error) = written
            && !std::mem::replace(&mut self.failed, true)
        {
            warn!(%error, "open forecasts cannot be kept: after a restart some outcomes are missing in QuestDB");
        }
    }
}

fn write_anew(path: &Path, open: &BTreeMap<u64, (Forecast, i64)>) -> Result<(File, u64), StorageError> {
    let aside = path.with_extension("new");
    let lines: String = open.values().map(|(forecast, seq)| line(forecast, *seq)).collect();
    fs::write(&aside, &lines).map_err(StorageError::io(&aside, "write"))?;
    fs::rename(&aside, path).map_err(StorageError::io(path, "write"))?;
    let file = OpenOptions::new().append(true).open(path).map_err(StorageError::io(path, "open"))?;
    Ok((file, lines.len() as u64))
}

/// Fields with blanks between them, numbers bit for bit; the last word says that the line is whole.
fn line(forecast: &Forecast, seq: i64) -> String {
    let Forecast { id, interval, target, model, role, horizon, made_at, target_at, revision, .. } = forecast;
    let target = target.name();
    let (role, data_state) = (role.name(), forecast.data_state.name());
    let mut line = format!(
        "{id} {interval} {target} {model} {role} {horizon} {} {} {revision} {data_state} {seq}",
        made_at.0, target_at.0
    );
    for number in [forecast.forecast, forecast.lower, forecast.upper, forecast.level, forecast.naive] {
        line.push_str(&format!(" {:016x}", number.to_bits()));
    }
    match forecast.skill {
        Some(skill) => line.push_str(&format!(" {:016x}", skill.to_bits())),
        None => line.push_str(" -"),
    }
    line.push_str(" .\n");
    line
}

fn read(line: &str) -> Option<(Forecast, i64)> {
    let mut words = line.split(' ');
    let mut word = || words.next();
    let bits = |text: &str| u64::from_str_radix(text, 16).ok().map(f64::from_bits);
    let id = InsightId(u64::from_str_radix(word()?, 16).ok()?);
    let interval = word()?.parse().ok()?;
    let target = word()?;
    let target = Target::ALL.into_iter().find(|known| known.name() == target)?;
    let model = word()?.into();
    let role = word()?;
    let roles = [Role::Champion, Role::Challenger, Role::Online];
    let role = roles.into_iter().find(|known| known.name() == role)?;
    let horizon = word()?.parse().ok()?;
    let (made_at, target_at) = (UnixNanos(word()?.parse().ok()?), UnixNanos(word()?.parse().ok()?));
    let revision = word()?.parse().ok()?;
    let data_state = word()?;
    let states = [DataState::Complete, DataState::Partial];
    let data_state = states.into_iter().find(|known| known.name() == data_state)?;
    let seq = word()?.parse().ok()?;
    let mut number = || bits(words.next()?);
    let (forecast, lower, upper, level, naive) = (number()?, number()?, number()?, number()?, number()?);
    let skill = match words.next()? {
        "-" => None,
        text => Some(bits(text)?),
    };
    let forecast = Forecast {
        id,
        interval,
        target,
        model,
        role,
        horizon,
        made_at,
        target_at,
        forecast,
        lower,
        upper,
        level,
        naive,
        skill,
        revision,
        data_state,
    };
    (words.next() == Some(".")).then_some((forecast, seq))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn forecast(id: u64, made_at: i64, target_at: i64) -> Forecast {
        Forecast {
            id: InsightId(id),
            interval: "1m".parse().unwrap(),
            target: Target::RealizedVariance,
            model: "ewma_variance@1".into(),
            role: Role::Champion,
            horizon: 3,
            made_at: UnixNanos(made_at),
            target_at: UnixNanos(target_at),
            forecast: 1e-300,
            lower: 0.1 + 0.2,
            upper: f64::MAX,
            level: 0.9,
            naive: -0.0,
            skill: id.is_multiple_of(2).then_some(0.5),
            revision: 7,
            data_state: DataState::Partial,
        }
    }

    #[test]
    fn lines_read_as_written_and_torn_ones_as_nothing() {
        for id in [2, u64::MAX] {
            let line = line(&forecast(id, -5, 10), -1);
            assert_eq!(read(line.trim_end()), Some((forecast(id, -5, 10), -1)));
            for end in 0..line.len() - 1 {
                assert_eq!(read(&line[..end]), None, "{end}");
            }
        }
    }

    #[test]
    fn open_ones_outlive_a_restart_and_outcomes_stay_with_what_is_told_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("forecasts");
        let mut known = OpenForecasts::open(&path).unwrap();
        assert_eq!(known.told(&forecast(1, 10, 20), 100), None);
        assert_eq!(known.told(&forecast(2, 10, 90), 101), None);
        assert_eq!(known.ended(InsightId(1), 4.5), Some((forecast(1, 10, 20), 100)));
        assert_eq!(known.told(&forecast(1, 10, 20), 100), Some(4.5));
        assert_eq!(known.ended(InsightId(9), 1.5), None);
        assert_eq!(known.told(&forecast(9, 10, 20), 102), Some(1.5), "its outcome came first");
        assert_eq!(known.told(&forecast(3, 30, 40), 103), None);
        drop(known);
        let mut known = OpenForecasts::open(&path).unwrap();
        assert_eq!(known.open.keys().copied().collect::<Vec<_>>(), [2, 3]);
        assert_eq!(known.ended(InsightId(2), 2.5), Some((forecast(2, 10, 90), 101)));
    }
}
