//! Half-space trees: how crowded is the place in space where a point falls?
//!
//! Trees that cut the unit cube at random, from a seed and before any data; each node counts the points that
//! came by. A window of points is counted while the counts of the window before are what a point is scored
//! by, so that the forest forgets, in steps. A point costs O(trees x height), learning and scoring in one
//! walk; the end of a window costs O(nodes). Scores are an order, not probabilities: crowded places score low.
//! Sources: S. Tan, K. Ting and T. Liu, Fast anomaly detection for streaming data, IJCAI 2011; dimensions and
//! cuts are chosen as in river's `HalfSpaceTrees` (0.26), by the widths that are left and off the edges, where
//! the paper halves ranges that reach far out of the cube.

use crate::analytics::estimators::split_mix::SplitMix;
use crate::analytics::rolling::state::State;

/// How much of a range a cut keeps from either end.
const PADDING: f64 = 0.15;
/// A node that fewer than this share of the window's points reached is not looked below.
const SPARSE_SHARE: f64 = 0.1;

/// Trees that a point goes down side by side.
const LANES: usize = 5;

/// The shape of the forest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HalfSpaceParameters {
    /// Numbers in a point, at least 1.
    pub dimensions: usize,
    pub trees: usize,
    /// Cuts from the root to a leaf, 1 to 16.
    pub height: u32,
    /// Points that are counted before they are scored by, at least 1.
    pub window: u32,
    pub seed: u64,
}

/// Where a node parts space; below it goes left.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Cut {
    at: f64,
    dimension: u32,
}

/// The forest.
#[derive(Clone, Debug, PartialEq)]
pub struct HalfSpaceTrees {
    parameters: HalfSpaceParameters,
    /// Inner nodes of a tree after another, each as a heap: the children of `i` are `2 i + 1`, `2 i + 2`.
    /// Not saved: made again from the seed.
    cuts: Box<[Cut]>,
    /// How many points of the open window reached each node, leaves included; trees as above.
    counting: Box<[u32]>,
    /// The same of the window before.
    counted: Box<[u32]>,
    in_window: u32,
    is_ready: bool,
}

impl HalfSpaceTrees {
    pub fn new(parameters: HalfSpaceParameters) -> Self {
        let HalfSpaceParameters { dimensions, trees, height, window, seed } = parameters;
        assert!(dimensions > 0 && trees > 0 && window > 0, "there are points, and trees for them");
        assert!((1..=16).contains(&height), "a tree has cuts, and fits");
        let inner = (1 << height) - 1;
        let mut cuts = vec![Cut { at: 0.0, dimension: 0 }; trees * inner];
        let mut random = SplitMix::new(seed);
        for tree in cuts.chunks_exact_mut(inner) {
            plant(tree, 0, &mut vec![(0.0, 1.0); dimensions], &mut random);
        }
        let nodes = trees * (2 * inner + 1);
        Self {
            parameters,
            cuts: cuts.into(),
            counting: vec![0; nodes].into(),
            counted: vec![0; nodes].into(),
            in_window: 0,
            is_ready: false,
        }
    }

    /// Scores a point, each number from 0 to 1 (what is beyond counts as at the edge), and learns it. From
    /// 0, where all came by, to 1, where none did; `None` before the first window is full.
    pub fn observe(&mut self, point: &[f64]) -> Option<f64> {
        assert_eq!(point.len(), self.parameters.dimensions, "a point has a number for each dimension");
        let HalfSpaceParameters { height, window, .. } = self.parameters;
        let sparse = (SPARSE_SHARE * f64::from(window)).ceil() as u32;
        let (cuts, counting, counted) = (&self.cuts, &mut self.counting, &self.counted);
        let whole = self.parameters.trees / LANES * LANES;
        let mut mass = 0;
        for first in (0..whole).step_by(LANES) {
            mass += walk::<LANES>(first, height, sparse, cuts, counting, counted, point);
        }
        for first in whole..self.parameters.trees {
            mass += walk::<1>(first, height, sparse, cuts, counting, counted, point);
        }
        let score = self.is_ready.then(|| 1.0 - mass as f64 / self.mass_max());
        self.in_window += 1;
        if self.in_window == window {
            std::mem::swap(&mut self.counting, &mut self.counted);
            self.counting.fill(0);
            self.in_window = 0;
            self.is_ready = true;
        }
        score
    }

    /// What a point gathers where all points of the window went its way.
    fn mass_max(&self) -> f64 {
        let HalfSpaceParameters { trees, height, window, .. } = self.parameters;
        trees as f64 * f64::from(window) * ((1_u64 << (height + 1)) - 1) as f64
    }

    /// Whether points are scored yet.
    pub fn is_ready(&self) -> bool {
        self.is_ready
    }

    /// Visits every word of mutable state.
    pub fn state(&mut self, state: &mut State<'_>) {
        let window = self.parameters.window;
        let mut in_window = self.in_window as usize;
        state.index(&mut in_window, window as usize - 1);
        self.in_window = in_window as u32;
        state.bool(&mut self.is_ready);
        // Both counts of a node in one word.
        for (counting, counted) in self.counting.iter_mut().zip(&mut self.counted) {
            let mut word = u64::from(*counting) | u64::from(*counted) << 32;
            state.word(&mut word);
            (*counting, *counted) = (word as u32, (word >> 32) as u32);
            state.check(*counting < window && *counted <= window, "a node counts no more than a window");
        }
    }
}

/// Sends a point down `N` trees from the `first` on, side by side: none waits for another's memory. Counts it on
/// its way, and gives back what it gathered.
#[inline]
fn walk<const N: usize>(
    first: usize,
    height: u32,
    sparse: u32,
    cuts: &[Cut],
    counting: &mut [u32],
    counted: &[u32],
    point: &[f64],
) -> u64 {
    let inner = (1_usize << height) - 1;
    let nodes = 2 * inner + 1;
    let cuts = &cuts[first * inner..(first + N) * inner];
    let counting = &mut counting[first * nodes..(first + N) * nodes];
    let counted = &counted[first * nodes..(first + N) * nodes];
    let (mut node, mut gathers, mut mass) = ([0; N], [u64::MAX; N], 0);
    for depth in 0..=height {
        for tree in 0..N {
            let at = tree * nodes + node[tree];
            counting[at] += 1;
            // As a mask, for it is no better foreseen than the way.
            mass += (u64::from(counted[at]) << depth) & gathers[tree];
            gathers[tree] &= u64::from(counted[at] < sparse).wrapping_sub(1);
            if depth < height {
                let cut = &cuts[tree * inner + node[tree]];
                node[tree] = 2 * node[tree] + 1 + usize::from(point[cut.dimension as usize] >= cut.at);
            }
        }
    }
    mass
}

/// Cuts the ranges that are left at node `i` of a tree, and those below it.
fn plant(tree: &mut [Cut], i: usize, ranges: &mut [(f64, f64)], random: &mut SplitMix) {
    if i >= tree.len() {
        return;
    }
    let mut left = random.unit() * ranges.iter().map(|(from, to)| to - from).sum::<f64>();
    let dimension = ranges.iter().position(|(from, to)| {
        left -= to - from;
        left < 0.0
    });
    // Rounding may leave nothing below zero.
    let dimension = dimension.unwrap_or(ranges.len() - 1);
    let (from, to) = ranges[dimension];
    let at = from + (to - from) * (PADDING + (1.0 - 2.0 * PADDING) * random.unit());
    tree[i] = Cut { at, dimension: dimension as u32 };
    for (child, range) in [(2 * i + 1, (from, at)), (2 * i + 2, (at, to))] {
        ranges[dimension] = range;
        plant(tree, child, ranges, random);
    }
    ranges[dimension] = (from, to);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SMALL: HalfSpaceParameters =
        HalfSpaceParameters { dimensions: 2, trees: 10, height: 6, window: 100, seed: 7 };

    fn saved(forest: &mut HalfSpaceTrees) -> Vec<u64> {
        let mut words = Vec::new();
        forest.state(&mut State::Save(&mut words));
        words
    }

    #[test]
    fn empty_places_score_above_crowded_ones() {
        for seed in 0..8 {
            let mut forest = HalfSpaceTrees::new(HalfSpaceParameters { seed, ..SMALL });
            let mut random = SplitMix::new(seed);
            let mut crowd = |forest: &mut HalfSpaceTrees| {
                forest.observe(&[0.3 + 0.1 * random.unit(), 0.6 + 0.1 * random.unit()])
            };
            (0..100).for_each(|_| assert_eq!(crowd(&mut forest), None));
            let usual: Vec<f64> = (0..300).filter_map(|_| crowd(&mut forest)).collect();
            let highest = usual.iter().fold(0.0, |a: f64, b| a.max(*b));
            let far = forest.observe(&[0.9, 0.1]).unwrap();
            assert!(far > highest, "seed {seed}: {far} against {highest}");
            // Beyond the cube is at its edge.
            assert!(forest.observe(&[7.0, -3.0]).unwrap() > highest, "seed {seed}");
        }
    }

    proptest! {
        #[test]
        fn every_point_of_a_window_is_counted_once_at_each_depth(
            points in prop::collection::vec((0.0f64..1.0, 0.0f64..1.0), 1..250), seed in any::<u64>(),
        ) {
            // Not a whole number of trees side by side.
            let mut forest = HalfSpaceTrees::new(HalfSpaceParameters { seed, trees: 12, ..SMALL });
            for (x, y) in &points {
                let score = forest.observe(&[*x, *y]);
                prop_assert!(score.is_none_or(|score| (0.0..=1.0).contains(&score)));
            }
            for (counts, expected) in
                [(&forest.counting, points.len() % 100), (&forest.counted, if points.len() >= 100 { 100 } else { 0 })]
            {
                for tree in counts.chunks_exact(127) {
                    prop_assert_eq!(tree[0], expected as u32);
                    for i in 0..63 {
                        prop_assert_eq!(tree[i], tree[2 * i + 1] + tree[2 * i + 2]);
                    }
                }
            }
        }

        #[test]
        fn the_same_seed_and_points_give_the_same_scores_also_when_restored(
            points in prop::collection::vec((0.0f64..1.0, 0.0f64..1.0), 1..250), cut in 0usize..250,
        ) {
            let (mut one, mut other) = (HalfSpaceTrees::new(SMALL), HalfSpaceTrees::new(SMALL));
            for (i, (x, y)) in points.iter().enumerate() {
                if i == cut {
                    let words = saved(&mut one);
                    other = HalfSpaceTrees::new(SMALL);
                    let mut state = State::load(&words);
                    other.state(&mut state);
                    prop_assert_eq!(state.finish(), Ok(()));
                }
                let scores = [&mut one, &mut other].map(|forest| forest.observe(&[*x, *y]).map(f64::to_bits));
                prop_assert_eq!(scores[0], scores[1]);
            }
            prop_assert_eq!(one, other);
        }
    }

    #[test]
    fn cuts_part_what_is_left_and_seeds_differ() {
        let forest = HalfSpaceTrees::new(SMALL);
        assert!(forest.cuts.iter().all(|cut| cut.at > 0.0 && cut.at < 1.0));
        let other = HalfSpaceTrees::new(HalfSpaceParameters { seed: 8, ..SMALL });
        assert_ne!(forest.cuts, other.cuts);
        let mut words = saved(&mut HalfSpaceTrees::new(SMALL));
        words[5] = 101 << 32;
        let mut state = State::load(&words);
        HalfSpaceTrees::new(SMALL).state(&mut state);
        assert!(state.finish().is_err(), "more points than a window has");
    }
}
