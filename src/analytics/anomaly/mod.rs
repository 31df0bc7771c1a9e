//! Anomaly detectors: one file each, one line each in [`DETECTORS`].

pub mod alarm;
pub mod bocpd;
pub mod budget;
pub mod detector;
pub mod drift;
pub mod half_space_trees;
pub mod joint;
pub mod novelty;
pub mod random_cut_forest;
pub mod rarity;
pub mod robust_z;
pub mod series;
pub mod sides;
#[cfg(test)]
mod staged;
pub mod stall;
pub mod surprise;
#[cfg(test)]
mod trial;
pub mod watch;

use crate::analytics::anomaly::detector::DetectorEntry;
use crate::analytics::anomaly::series::SeriesEntry;

/// Every detector, in order of name.
pub static DETECTORS: &[DetectorEntry] = &[
    bocpd::ENTRY,
    drift::ENTRY,
    half_space_trees::ENTRY,
    novelty::ENTRY,
    random_cut_forest::ENTRY,
    robust_z::ENTRY,
    stall::ENTRY,
    surprise::ENTRY,
];

/// Those that also run on a plain series of values, in order of name; the first speaks for the family.
pub static SERIES_DETECTORS: &[SeriesEntry] = &[
    novelty::SERIES,
    novelty::FORGETTING,
    robust_z::SERIES,
    stall::SERIES,
    surprise::SERIES,
    surprise::SPOT,
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::analytics::anomaly::detector::{Finding, Tuning};
    use crate::analytics::rolling::state::State;
    use crate::domain::insight::Fact;

    /// A calm market, with something odd now and then.
    fn market() -> Vec<crate::analytics::features::Reading> {
        let mut market = staged::readings(17, 6_000);
        for (i, reading) in market.iter_mut().enumerate() {
            match i % 700 {
                600 => reading.volume *= 200.0,
                650 => {
                    reading.high *= 1.05;
                    reading.low *= 0.95;
                }
                _ => {}
            }
        }
        for i in 4_500..4_560 {
            market[i] = crate::analytics::features::Reading {
                open_at: market[i].open_at,
                close_at: market[i].close_at,
                high: market[4_499].close,
                low: market[4_499].close,
                ..market[4_499]
            };
        }
        market
    }

    /// Those that are tried on it; the others have markets of their own.
    fn tried() -> impl Iterator<Item = &'static DetectorEntry> {
        let names = ["novelty", "robust_z", "stall", "surprise"];
        DETECTORS.iter().filter(move |entry| names.contains(&entry.name))
    }

    #[test]
    fn names_are_told_apart() {
        let names: BTreeSet<_> = DETECTORS.iter().map(|entry| entry.name).collect();
        assert_eq!(names.len(), DETECTORS.len());
        assert!(DETECTORS.is_sorted_by_key(|entry| entry.name));
        let names: BTreeSet<_> = SERIES_DETECTORS.iter().map(|entry| entry.name).collect();
        assert_eq!(names.len(), SERIES_DETECTORS.len());
    }

    #[test]
    fn every_finding_explains_itself() {
        let rows = staged::rows(&market());
        for entry in tried() {
            let mut detector = (entry.build)(&Tuning::MINUTES);
            let mut found = Vec::new();
            for (i, row) in rows.iter().enumerate() {
                detector.observe(row, &mut found);
                assert!(found.is_empty() || i + 1 >= entry.warm_up, "{} spoke at {i}", entry.name);
            }
            assert!(!found.is_empty(), "{} found nothing", entry.name);
            for Finding { channel, score, threshold, evidence } in &found {
                assert!(entry.channels.contains(channel), "{}: {channel}", entry.name);
                assert!(
                    threshold <= score && (0.0..1.0).contains(score),
                    "{} {score} {threshold}",
                    entry.name
                );
                let names: BTreeSet<_> = evidence.0.iter().map(|(name, _)| name).collect();
                assert_eq!(names.len(), evidence.0.len(), "{}: a name stands twice", entry.name);
                for (name, fact) in &evidence.0 {
                    assert!(
                        !matches!(fact, Fact::Number(number) if !number.is_finite()),
                        "{} {name}",
                        entry.name
                    );
                }
            }
        }
    }

    #[test]
    fn saved_in_the_middle_every_detector_goes_on_as_if_nothing_had_happened() {
        let rows = staged::rows(&market());
        for entry in tried() {
            for cut in [0, 5, 149, 150, 310, 450, 1_000, 4_520] {
                let (mut whole, mut restored) =
                    ((entry.build)(&Tuning::MINUTES), (entry.build)(&Tuning::MINUTES));
                let (mut found, mut words) = (Vec::new(), Vec::new());
                rows[..cut].iter().for_each(|row| whole.observe(row, &mut found));
                // What it has seen before must not matter.
                rows[4_000..4_300].iter().for_each(|row| restored.observe(row, &mut found));
                found.clear();
                whole.state(&mut State::Save(&mut words));
                let mut state = State::load(&words);
                restored.state(&mut state);
                assert_eq!(state.finish(), Ok(()), "{} at {cut}", entry.name);
                let (mut of_whole, mut of_restored) = (Vec::new(), Vec::new());
                for (i, row) in rows[cut..].iter().enumerate() {
                    if i == 700 {
                        whole.interrupt();
                        restored.interrupt();
                    }
                    whole.observe(row, &mut of_whole);
                    restored.observe(row, &mut of_restored);
                    assert_eq!(
                        whole.assessment(),
                        restored.assessment(),
                        "{} at {cut}, {i} later",
                        entry.name
                    );
                }
                assert_eq!(of_whole, of_restored, "{} at {cut}", entry.name);
                let mut both = [Vec::new(), Vec::new()];
                whole.state(&mut State::Save(&mut both[0]));
                restored.state(&mut State::Save(&mut both[1]));
                assert_eq!(both[0], both[1], "{} at {cut}", entry.name);
            }
        }
    }

    #[test]
    fn words_that_no_detector_saved_are_refused() {
        let rows = staged::rows(&market());
        for entry in tried() {
            let mut detector = (entry.build)(&Tuning::MINUTES);
            rows[..600].iter().for_each(|row| detector.observe(row, &mut Vec::new()));
            let mut words = Vec::new();
            detector.state(&mut State::Save(&mut words));
            for cut in [0, 1, words.len() / 2, words.len() - 1] {
                let mut state = State::load(&words[..cut]);
                (entry.build)(&Tuning::MINUTES).state(&mut state);
                assert!(state.finish().is_err(), "{} cut at {cut}", entry.name);
            }
        }
    }
}
