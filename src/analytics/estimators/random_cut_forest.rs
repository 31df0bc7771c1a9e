//! A forest of random cut trees: how soon would a random cut part a point from all others?
//!
//! Each tree cuts a sample of the last `window` points until every point is alone, along a dimension drawn
//! by how far the points spread in it. A point is scored by the depth at which it would come to lie if it
//! were put in: the farther outside of a node's points it is, the likelier the next cut parts it. (In a tree
//! that is merely walked down, whatever lies beyond the outermost point looks as ordinary as that.) One
//! tree after another is grown anew, every `window / trees` points, so that no tree is older than a
//! window and no point costs more than the growth of one. Changing every tree at every point, as the
//! original does, costs some twenty times as much. Seeded; the unit of the dimensions matters.
//!
//! Trees are not saved: they are grown again from the points, of which two windows are kept, and from
//! where the generator stood.
//! Sources: S. Guha, N. Mishra, G. Roy and O. Schrijvers, Robust random cut forest based anomaly detection on
//! streams, ICML 2016; F. Liu, K. Ting and Z. Zhou, Isolation-based anomaly detection, ACM TKDD 6 (2012), for
//! the score of a depth.

use crate::analytics::estimators::split_mix::SplitMix;
use crate::analytics::rolling::state::State;

/// Euler's constant, to the last bit.
const EULER: f64 = 0.577_215_664_901_532_9;

/// The shape of the forest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RandomCutParameters {
    /// Numbers in a point, at least 1.
    pub dimensions: usize,
    /// At least 1, at most as many as points in the window.
    pub trees: usize,
    /// Points that a tree is grown from, at least 2, at most the window.
    pub sample: usize,
    /// The points that a sample is drawn from.
    pub window: usize,
    pub seed: u64,
}

/// A place in a tree.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Node {
    /// Below `at` goes to the next node, the rest to `right`.
    Cut { dimension: usize, right: usize, at: f64 },
    /// So many points of the sample are one and the same.
    Leaf { points: usize },
}

/// One tree, and what it was grown from.
#[derive(Clone, Debug, PartialEq)]
struct Tree {
    /// How many points had come.
    grown_at: u64,
    /// The generator before its first draw.
    random: SplitMix,
    /// A node before those on its left, those before the ones on its right.
    nodes: Vec<Node>,
    /// Of each node: the lowest numbers of its points, then the highest.
    boxes: Vec<f64>,
}

/// The forest.
#[derive(Clone, Debug, PartialEq)]
pub struct RandomCutForest {
    parameters: RandomCutParameters,
    random: SplitMix,
    /// How many points have come.
    count: u64,
    /// The last two windows of them, one point after the other: point `i` stands at `i` modulo their number.
    points: Vec<f64>,
    /// None before the first sample is full.
    trees: Vec<Tree>,
    /// Whose turn it is, and how many points came since the last one had its.
    turn: usize,
    since: usize,
}

impl RandomCutForest {
    pub fn new(parameters: RandomCutParameters) -> Self {
        let RandomCutParameters { dimensions, trees, sample, window, seed } = parameters;
        assert!(dimensions > 0 && trees > 0 && trees <= window, "there are points, and trees for them");
        assert!(sample >= 2 && sample <= window, "a sample has something to part, and is in the window");
        Self {
            parameters,
            random: SplitMix::new(seed),
            count: 0,
            points: Vec::new(),
            trees: Vec::new(),
            turn: 0,
            since: 0,
        }
    }

    /// Scores a point of finite numbers and learns it. Above 0, at most 1: about one half where it is like
    /// the others, 1 where the first cut would part it; `None` before the first sample is full.
    pub fn observe(&mut self, point: &[f64]) -> Option<f64> {
        let RandomCutParameters { dimensions, trees, sample, window, .. } = self.parameters;
        assert_eq!(point.len(), dimensions, "a point has a number for each dimension");
        let score = self.score(point);
        let place = (self.count % (2 * window as u64)) as usize * dimensions;
        if place == self.points.len() {
            self.points.extend_from_slice(point);
        } else {
            self.points[place..place + dimensions].copy_from_slice(point);
        }
        self.count += 1;
        self.since += 1;
        if self.trees.is_empty() {
            if self.count == sample as u64 {
                self.trees = (0..trees).map(|_| self.grow_next()).collect();
                self.since = 0;
            }
        } else if self.since >= window / trees {
            self.trees[self.turn] = self.grow_next();
            self.turn = (self.turn + 1) % trees;
            self.since = 0;
        }
        score
    }

    fn score(&self, point: &[f64]) -> Option<f64> {
        if self.trees.is_empty() {
            return None;
        }
        let depths: f64 = self.trees.iter().map(|tree| tree.depth(point)).sum();
        let mean = depths / self.trees.len() as f64;
        Some(libm::exp2(-mean / depth_expected(self.parameters.sample as f64)))
    }

    /// A tree of the newest points; the generator goes on behind its draws.
    fn grow_next(&mut self) -> Tree {
        let mut random = self.random.clone();
        let tree = self.grow(self.count, &mut random);
        self.random = random;
        tree
    }

    /// The tree of a sample of the window that ended after so many points.
    fn grow(&self, grown_at: u64, random: &mut SplitMix) -> Tree {
        let RandomCutParameters { sample, window, .. } = self.parameters;
        let known = (window as u64).min(grown_at);
        let mut chosen: Vec<u64> = (grown_at - known..grown_at).collect();
        let mut tree = Tree { grown_at, random: random.clone(), nodes: Vec::new(), boxes: Vec::new() };
        for i in 0..sample {
            let other = i + random.below(chosen.len() - i);
            chosen.swap(i, other);
        }
        tree.nodes.reserve_exact(2 * sample - 1);
        self.part(&mut chosen[..sample], random, &mut tree);
        tree
    }

    fn number(&self, point: u64, dimension: usize) -> f64 {
        let RandomCutParameters { dimensions, window, .. } = self.parameters;
        self.points[(point % (2 * window as u64)) as usize * dimensions + dimension]
    }

    /// Adds the node of the chosen points, and all below it.
    fn part(&self, chosen: &mut [u64], random: &mut SplitMix, tree: &mut Tree) {
        let dimensions = self.parameters.dimensions;
        let first = tree.boxes.len();
        for (start, pick) in [(f64::INFINITY, f64::min as fn(f64, f64) -> f64), (f64::NEG_INFINITY, f64::max)]
        {
            let edge =
                |dimension| chosen.iter().fold(start, |edge, &p| pick(edge, self.number(p, dimension)));
            tree.boxes.extend((0..dimensions).map(edge));
        }
        let place = tree.nodes.len();
        tree.nodes.push(Node::Leaf { points: chosen.len() });
        let (low, high) = tree.boxes[first..].split_at(dimensions);
        let spread: f64 = low.iter().zip(high).map(|(low, high)| high - low).sum();
        if spread.is_nan() || spread <= 0.0 {
            return;
        }
        let mut left = random.unit() * spread;
        let mut cut = None;
        for (dimension, (low, high)) in low.iter().zip(high).enumerate() {
            // Where rounding leads past the last dimension, the highest point of one that spreads will do.
            if high > low {
                cut = Some((dimension, if left < high - low { low + left } else { *high }));
            }
            if left < high - low {
                break;
            }
            left -= high - low;
        }
        let Some((dimension, at)) = cut else { return };
        // Both sides get something: never on the lowest point itself.
        let at = if at > low[dimension] { at } else { high[dimension] };
        let mut below = 0;
        for i in 0..chosen.len() {
            if self.number(chosen[i], dimension) < at {
                chosen.swap(i, below);
                below += 1;
            }
        }
        let (left, right) = chosen.split_at_mut(below);
        self.part(left, random, tree);
        let right_place = tree.nodes.len();
        self.part(right, random, tree);
        tree.nodes[place] = Node::Cut { dimension, right: right_place, at };
    }

    /// Whether points are scored yet.
    pub fn is_ready(&self) -> bool {
        !self.trees.is_empty()
    }

    /// Visits every word of mutable state.
    pub fn state(&mut self, state: &mut State<'_>) {
        let RandomCutParameters { dimensions, trees, sample, window, .. } = self.parameters;
        self.random.state(state);
        state.word(&mut self.count);
        let known = self.count.min(2 * window as u64) as usize;
        if state.is_load() {
            self.points.clear();
            self.points.resize(known * dimensions, 0.0);
        }
        self.points.iter_mut().for_each(|number| state.f64(number));
        state.index(&mut self.turn, trees - 1);
        state.index(&mut self.since, window);
        let is_ready = self.count >= sample as u64;
        if state.is_load() {
            self.trees.clear();
            if is_ready {
                self.trees.resize(
                    trees,
                    Tree { grown_at: 0, random: SplitMix::new(0), nodes: Vec::new(), boxes: Vec::new() },
                );
            }
        }
        let mut all = std::mem::take(&mut self.trees);
        for tree in &mut all {
            state.word(&mut tree.grown_at);
            tree.random.state(state);
            let is_kept = tree.grown_at <= self.count
                && tree.grown_at >= sample as u64
                && self.count - tree.grown_at <= window as u64;
            state.check(is_kept, "the points of a tree are kept");
            if state.is_load() {
                let grown_at = if is_kept { tree.grown_at } else { self.count };
                *tree = self.grow(grown_at, &mut tree.random.clone());
            }
        }
        self.trees = all;
    }
}

impl Tree {
    /// The depth at which the point is expected to be alone, were it put in.
    fn depth(&self, point: &[f64]) -> f64 {
        let dimensions = point.len();
        let (mut i, mut depth, mut expected, mut unparted) = (0, 0.0, 0.0, 1.0);
        loop {
            let (low, high) = self.boxes[2 * dimensions * i..2 * dimensions * (i + 1)].split_at(dimensions);
            let (mut spread, mut outside) = (0.0, 0.0);
            for ((x, low), high) in point.iter().zip(low).zip(high) {
                spread += high - low;
                outside += (low - x).max(x - high).max(0.0);
            }
            // A cut of the box that holds the point as well falls between them that often.
            let parted = if outside > 0.0 { outside / (spread + outside) } else { 0.0 };
            expected += unparted * parted * depth;
            unparted *= 1.0 - parted;
            match self.nodes[i] {
                Node::Cut { dimension, right, at } => {
                    i = if point[dimension] < at { i + 1 } else { right };
                    depth += 1.0;
                }
                Node::Leaf { points } => {
                    return expected + unparted * (depth + depth_expected(points as f64 + 1.0));
                }
            }
        }
    }
}

/// Mean depth of a point in a random tree of `n`: that of an unsuccessful search in a binary search tree.
fn depth_expected(n: f64) -> f64 {
    if n <= 1.0 {
        0.0
    } else if n <= 2.0 {
        1.0
    } else {
        2.0 * (libm::log(n - 1.0) + EULER) - 2.0 * (n - 1.0) / n
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SMALL: RandomCutParameters =
        RandomCutParameters { dimensions: 2, trees: 12, sample: 32, window: 96, seed: 7 };

    fn saved(forest: &mut RandomCutForest) -> Vec<u64> {
        let mut words = Vec::new();
        forest.state(&mut State::Save(&mut words));
        words
    }

    fn restored(words: &[u64]) -> (RandomCutForest, bool) {
        let mut forest = RandomCutForest::new(SMALL);
        let mut state = State::load(words);
        forest.state(&mut state);
        (forest, state.finish().is_ok())
    }

    #[test]
    fn lonely_points_score_above_the_crowd_and_farther_ones_higher() {
        for seed in 0..8 {
            let mut forest = RandomCutForest::new(RandomCutParameters { seed, ..SMALL });
            let mut random = SplitMix::new(seed);
            let mut crowd = |forest: &mut RandomCutForest| forest.observe(&[random.unit(), random.unit()]);
            (0..32).for_each(|_| assert_eq!(crowd(&mut forest), None));
            let usual: Vec<f64> = (0..400).filter_map(|_| crowd(&mut forest)).collect();
            let highest = usual.iter().fold(0.0, |a: f64, b| a.max(*b));
            let mean = usual.iter().sum::<f64>() / usual.len() as f64;
            assert!((0.35..0.6).contains(&mean), "seed {seed}: {mean}");
            let far = [[2.0, 0.5], [5.0, 0.5], [5.0, -90.0]].map(|point| forest.score(&point).unwrap());
            assert!(far[0] > highest && far.is_sorted() && far[2] <= 1.0, "seed {seed}: {far:?}, {highest}");
        }
    }

    #[test]
    fn the_forest_forgets_within_a_window() {
        let mut forest = RandomCutForest::new(SMALL);
        let mut random = SplitMix::new(3);
        (0..200).for_each(|_| _ = forest.observe(&[random.unit(), random.unit()]));
        let mut beyond = |forest: &mut RandomCutForest| forest.observe(&[5.0 + random.unit(), random.unit()]);
        let first = beyond(&mut forest).unwrap();
        (0..200).for_each(|_| _ = beyond(&mut forest));
        let last = beyond(&mut forest).unwrap();
        assert!(first > 0.8 && last < 0.6, "{first}, then {last}");
    }

    #[test]
    fn points_that_never_differ_are_no_panic() {
        let mut forest = RandomCutForest::new(SMALL);
        for _ in 0..300 {
            assert!(forest.observe(&[1.0, 1.0]).is_none_or(|score| score > 0.0 && score < 1.0));
        }
        assert_eq!(forest.trees[0].nodes, [Node::Leaf { points: 32 }]);
        assert_eq!(forest.score(&[1.0, 2.0]), Some(1.0), "the first cut parts it");
    }

    proptest! {
        #[test]
        fn every_point_of_a_sample_is_in_one_leaf_and_every_box_in_its_parent(
            points in prop::collection::vec((-5i32..5, -1.0f64..1.0), 32..300), seed in any::<u64>(),
        ) {
            let mut forest = RandomCutForest::new(RandomCutParameters { seed, ..SMALL });
            for (x, y) in &points {
                let score = forest.observe(&[f64::from(*x), *y]);
                prop_assert!(score.is_none_or(|score| score > 0.0 && score <= 1.0));
            }
            for tree in &forest.trees {
                let leaves = tree.nodes.iter().map(|node| if let Node::Leaf { points } = node { *points } else { 0 });
                prop_assert_eq!(leaves.sum::<usize>(), 32);
                for (i, node) in tree.nodes.iter().enumerate() {
                    let Node::Cut { dimension, right, at } = *node else { continue };
                    let edge = |i: usize, k: usize| tree.boxes[4 * i + k];
                    prop_assert!(edge(i + 1, 2 + dimension) < at && at <= edge(right, dimension));
                    for child in [i + 1, right] {
                        prop_assert!((0..2).all(|k| edge(child, k) >= edge(i, k) && edge(child, 2 + k) <= edge(i, 2 + k)));
                    }
                }
            }
        }

        #[test]
        fn the_same_seed_and_points_give_the_same_scores_also_when_restored(
            points in prop::collection::vec((0.0f64..1.0, 0.0f64..1.0), 1..500), cut in 0usize..500,
        ) {
            let (mut one, mut other) = (RandomCutForest::new(SMALL), RandomCutForest::new(SMALL));
            for (i, (x, y)) in points.iter().enumerate() {
                if i == cut {
                    let (forest, is_whole) = restored(&saved(&mut one));
                    prop_assert!(is_whole);
                    other = forest;
                }
                let scores = [&mut one, &mut other].map(|forest| forest.observe(&[*x, *y]).map(f64::to_bits));
                prop_assert_eq!(scores[0], scores[1]);
            }
            prop_assert_eq!(one, other);
        }

        #[test]
        fn other_words_are_refused_or_go_on_without_a_panic(
            at in any::<prop::sample::Index>(), word in any::<u64>(), bits in 1u32..64,
        ) {
            let mut forest = RandomCutForest::new(SMALL);
            let mut random = SplitMix::new(1);
            (0..150).for_each(|_| _ = forest.observe(&[random.unit(), random.unit()]));
            let mut words = saved(&mut forest);
            let at = at.index(words.len());
            words[at] = word >> bits;
            let (mut forest, is_whole) = restored(&words);
            if is_whole {
                (0..50).for_each(|_| _ = forest.observe(&[random.unit(), random.unit()]));
            }
        }
    }
}
