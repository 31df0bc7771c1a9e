//! How detectors are tried: on a calm market from a seed, with what is odd put into it.

use crate::analytics::anomaly::detector::{Detector, DetectorEntry, Finding, Tuning};
use crate::analytics::estimators::split_mix::SplitMix;
use crate::analytics::features::Features;
use crate::analytics::rolling::state::State;

/// A candle with that return and volume, and nothing else to say.
pub fn features(scaled_return: f64, log_volume: f64) -> Features {
    Features {
        log_return: scaled_return * 1e-3,
        scaled_return,
        log_volume,
        range: 1e-3,
        ..Features::default()
    }
}

/// Candle after candle of a market in which nothing happens.
pub struct Market {
    random: SplitMix,
}

impl Market {
    pub fn new(seed: u64) -> Self {
        Self { random: SplitMix::new(seed) }
    }

    /// Nearly a bell curve with a deviation of 1.
    pub fn noise(&mut self) -> f64 {
        (0..12).map(|_| self.random.unit()).sum::<f64>() - 6.0
    }

    pub fn next(&mut self) -> Features {
        self.around(1.0, 3.0)
    }

    /// Returns that wide, volumes around that level.
    pub fn around(&mut self, width: f64, log_volume: f64) -> Features {
        let (noise, volume) = (self.noise(), self.noise());
        Features {
            range: 1e-3 * libm::exp(0.3 * self.noise()),
            ..features(width * noise, log_volume + 0.5 * volume)
        }
    }
}

/// What a detector finds in those candles.
pub fn found(entry: &DetectorEntry, candles: &[Features]) -> Vec<(usize, Finding)> {
    let mut detector = (entry.build)(&Tuning::MINUTES);
    let mut all = Vec::new();
    let mut found = Vec::new();
    for (i, candle) in candles.iter().enumerate() {
        detector.observe(candle, &mut found);
        all.extend(found.drain(..).map(|finding| (i, finding)));
    }
    for (i, finding) in &all {
        assert!(finding.score >= finding.threshold && finding.score < 1.0, "candle {i}: {finding:?}");
        assert!(entry.channels.contains(&finding.channel), "candle {i}: {finding:?}");
        assert!(*i >= entry.warm_up, "candle {i} of a warm-up of {}: {finding:?}", entry.warm_up);
    }
    all
}

/// A detector that was saved and restored after any of those candles finds the same, to the bit.
pub fn check_state(entry: &DetectorEntry, candles: &[Features], cuts: &[usize]) {
    let expected = found(entry, candles);
    assert!(!expected.is_empty(), "there is something to find");
    for &cut in cuts {
        let (mut all, mut found) = (Vec::new(), Vec::new());
        let mut detector = (entry.build)(&Tuning::MINUTES);
        for (i, candle) in candles.iter().enumerate() {
            if i == cut {
                let mut words = saved(&mut *detector);
                detector = (entry.build)(&Tuning::MINUTES);
                let mut state = State::load(&words);
                detector.state(&mut state);
                assert_eq!(state.finish(), Ok(()), "cut at {cut}");
                assert_eq!(saved(&mut *detector), words, "cut at {cut}");
                words.pop();
                let mut state = State::load(&words);
                (entry.build)(&Tuning::MINUTES).state(&mut state);
                assert!(state.finish().is_err(), "a word too few, cut at {cut}");
            }
            detector.observe(candle, &mut found);
            all.extend(found.drain(..).map(|finding| (i, finding)));
        }
        assert_eq!(all, expected, "cut at {cut}");
    }
}

fn saved(detector: &mut dyn Detector) -> Vec<u64> {
    let mut words = Vec::new();
    detector.state(&mut State::Save(&mut words));
    words
}
