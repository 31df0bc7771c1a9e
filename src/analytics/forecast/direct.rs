//! A linear model for several horizons at once, each learning directly what came of it.
//!
//! Recursive least squares moves its weights by a gain that follows from the inputs alone: whatever horizon,
//! the gain of a candle is the same. So there is one covariance for all, the gains of the last candles are
//! kept with their inputs, and a horizon costs two passes over its weights: once for what it learns of the
//! candle so long ago, once for what it says of this one. The outcome is that of a model of its own for each
//! horizon that learns each example when its outcome is known.
//! Sources: Plackett (1950); Marcellino, Stock and Watson, A comparison of direct and iterated multistep AR
//! methods (2006).

use crate::analytics::estimators::moments::weight_of_newest;
use crate::analytics::estimators::rls::{Rls, RlsSettings, dot};
use crate::analytics::forecast::path::wrapped;
use crate::analytics::rolling::state::State;

/// Errors beyond so many usual sizes are taken as that large.
const CLIP: f64 = 4.0;
/// Weight of the newest error in the usual size.
const SIZE_WEIGHT: f64 = 0.01;
/// Errors seen before any is clipped.
const CLIP_AFTER: u64 = 50;

/// What was known at a candle, and how much an error there moves the weights.
#[derive(Clone, Copy, Debug)]
struct Example<const N: usize> {
    inputs: [f64; N],
    gain: [f64; N],
    /// What the caller wants to know again when the outcome is there.
    note: f64,
}

/// The model of one horizon.
#[derive(Clone, Debug)]
struct Lane<const N: usize> {
    horizon: usize,
    weights: [f64; N],
    learnt: u64,
    error_square: f64,
}

/// The models, with `N` inputs.
#[derive(Clone, Debug)]
pub struct Direct<const N: usize> {
    /// Its weights are scratch: begun at none, an error of one moves them by the gain.
    covariance: Rls<N>,
    lanes: Box<[Lane<N>]>,
    /// The last candles', as many as the longest horizon, in a ring.
    examples: Box<[Example<N>]>,
    next: usize,
    len: usize,
    learnt_min: u64,
}

impl<const N: usize> Direct<N> {
    /// `forgetting` and `prior` as [`RlsSettings`] says; a horizon is silent until it learnt from `learnt_min`.
    pub fn new(horizons: &[usize], forgetting: f64, prior: f64, learnt_min: u64) -> Self {
        let longest = horizons.iter().copied().max().unwrap_or(1);
        let lane = |&horizon: &usize| Lane { horizon, weights: [0.0; N], learnt: 0, error_square: 0.0 };
        let blank = Example { inputs: [0.0; N], gain: [0.0; N], note: 0.0 };
        let trace_max = prior * N as f64;
        Self {
            covariance: Rls::new(RlsSettings { trace_max, ..RlsSettings::plain(forgetting, prior) }),
            lanes: horizons.iter().map(lane).collect(),
            examples: vec![blank; longest].into(),
            next: 0,
            len: 0,
            learnt_min,
        }
    }

    /// Begins with these weights for all horizons, in place of none.
    pub fn with_weights(mut self, weights: [f64; N]) -> Self {
        self.lanes.iter_mut().for_each(|lane| lane.weights = weights);
        self
    }

    /// Learns what came over horizon `k`, told the note of the candle so long ago; gives back what the model says of
    /// that candle before it learns. `None`: that candle is not known, or the outcome is no number. Before
    /// [`Direct::take`].
    #[inline]
    pub fn learn(&mut self, k: usize, outcome: impl FnOnce(f64) -> f64) -> Option<f64> {
        let lane = &mut self.lanes[k];
        if self.len < lane.horizon {
            return None;
        }
        let at = wrapped(self.next + self.examples.len() - lane.horizon, self.examples.len());
        let example = &self.examples[at];
        let said = dot(&lane.weights, &example.inputs);
        let error = outcome(example.note) - said;
        if !error.is_finite() {
            return None;
        }
        lane.learnt += 1;
        let usual = CLIP * lane.error_square.sqrt();
        let error = if lane.learnt > CLIP_AFTER { error.clamp(-usual, usual) } else { error };
        lane.error_square += weight_of_newest(SIZE_WEIGHT, lane.learnt) * (error * error - lane.error_square);
        for (weight, gain) in lane.weights.iter_mut().zip(&example.gain) {
            *weight += gain * error;
        }
        Some(said)
    }

    /// Takes the next candle's inputs, a constant among them where one is wanted.
    pub fn take(&mut self, inputs: &[f64; N], note: f64) {
        *self.covariance.weights_mut() = [0.0; N];
        self.covariance.correct(inputs, 1.0);
        self.examples[self.next] = Example { inputs: *inputs, gain: *self.covariance.weights(), note };
        self.next = wrapped(self.next + 1, self.examples.len());
        self.len = (self.len + 1).min(self.examples.len());
    }

    /// What is expected over horizon `k` after the candle taken last; `None` until enough was learnt.
    #[inline]
    pub fn say(&self, k: usize) -> Option<f64> {
        let lane = &self.lanes[k];
        let last = wrapped(self.next + self.examples.len() - 1, self.examples.len());
        (lane.learnt >= self.learnt_min && self.len > 0)
            .then(|| dot(&lane.weights, &self.examples[last].inputs))
    }

    /// A hole: outcomes over it are not known.
    pub fn interrupt(&mut self) {
        self.len = 0;
    }

    /// Visits every word of mutable state.
    pub fn state(&mut self, state: &mut State<'_>) {
        self.covariance.state(state);
        for lane in &mut self.lanes {
            lane.weights.iter_mut().for_each(|weight| state.f64(weight));
            state.word(&mut lane.learnt);
            state.f64(&mut lane.error_square);
        }
        state.index(&mut self.next, self.examples.len() - 1);
        state.index(&mut self.len, self.examples.len());
        for back in (1..=self.len).rev() {
            let at = wrapped(self.next + self.examples.len() - back, self.examples.len());
            let example = &mut self.examples[at];
            example.inputs.iter_mut().chain(&mut example.gain).for_each(|number| state.f64(number));
            state.f64(&mut example.note);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analytics::indicators::trial::Random;

    fn inputs(random: &mut Random) -> [f64; 3] {
        [1.0, random.unit() - 0.5, random.unit() - 0.5]
    }

    #[test]
    fn each_horizon_learns_as_a_model_of_its_own_would() {
        let mut random = Random(7);
        let horizons = [1, 4];
        let mut direct = Direct::<3>::new(&horizons, 0.99, 10.0, 1);
        let plain = RlsSettings { trace_max: 30.0, ..RlsSettings::plain(0.99, 10.0) };
        let mut own = horizons.map(|_| Rls::<3>::new(RlsSettings { clip: Some(CLIP), ..plain }));
        let mut rows: Vec<[f64; 3]> = Vec::new();
        for _ in 0..400 {
            let row = inputs(&mut random);
            for (k, &horizon) in horizons.iter().enumerate() {
                let Some(then) = rows.len().checked_sub(horizon).map(|at| rows[at]) else { continue };
                let outcome = 2.0 * then[1] - then[2] + horizon as f64 + random.unit();
                let said = direct.learn(k, |note| outcome + 0.0 * note).unwrap();
                assert!((said - own[k].predict(&then)).abs() < 1e-9, "row {}, horizon {horizon}", rows.len());
                own[k].learn(&then, outcome);
            }
            direct.take(&row, 0.5);
            rows.push(row);
            if let Some(said) = direct.say(1) {
                assert!((said - own[1].predict(&row)).abs() < 1e-9);
            }
        }
    }

    #[test]
    fn a_hole_is_not_learnt_over_and_saving_in_the_middle_changes_nothing() {
        let mut random = Random(8);
        let mut one = Direct::<3>::new(&[1, 5], 0.99, 10.0, 3);
        let mut step = |models: &mut [&mut Direct<3>]| {
            let (row, outcome) = (inputs(&mut random), random.unit());
            let told: Vec<_> = models
                .iter_mut()
                .map(|model| {
                    let learnt = [model.learn(0, |_| outcome), model.learn(1, |note| outcome - note)];
                    model.take(&row, outcome);
                    (learnt, model.say(0), model.say(1))
                })
                .collect();
            assert!(told.windows(2).all(|pair| format!("{:?}", pair[0]) == format!("{:?}", pair[1])));
            told[0].0
        };
        (0..40).for_each(|_| _ = step(&mut [&mut one]));
        one.interrupt();
        assert_eq!(step(&mut [&mut one]), [None, None], "what came lies in the hole");
        assert!(matches!(step(&mut [&mut one]), [Some(_), None]));
        let mut words = Vec::new();
        one.state(&mut State::Save(&mut words));
        let mut other = Direct::<3>::new(&[1, 5], 0.99, 10.0, 3);
        let mut state = State::load(&words);
        other.state(&mut state);
        assert_eq!(state.finish(), Ok(()));
        (0..40).for_each(|_| _ = step(&mut [&mut one, &mut other]));
    }
}
