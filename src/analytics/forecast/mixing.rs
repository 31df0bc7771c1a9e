//! How members of a panel are weighed against each other: by what they lost, one way or the other.

use crate::analytics::estimators::experts::{AdaNormalHedge, FixedShare};
use crate::analytics::rolling::state::State;

/// Of the exponentials of losses, which lie in 0 to 1; and the share of all weight that is given out evenly.
const RATE: f64 = 1.0;
const SHARE: f64 = 0.005;
/// What remains of a regret at the next outcome: of the first day's, when the better models still learn, nothing.
const KEEP: f64 = 0.998;

/// The way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mixing {
    #[default]
    FixedShare,
    AdaNormalHedge,
}

impl Mixing {
    pub const ALL: [Self; 2] = [Self::FixedShare, Self::AdaNormalHedge];

    pub fn name(self) -> &'static str {
        match self {
            Self::FixedShare => "fixed_share",
            Self::AdaNormalHedge => "ada_normal_hedge",
        }
    }

    pub fn among(self, members: usize) -> Weights {
        match self {
            Self::FixedShare => Weights::FixedShare(FixedShare::new(members, RATE, SHARE)),
            Self::AdaNormalHedge => Weights::AdaNormalHedge(AdaNormalHedge::forgetting(members, KEEP)),
        }
    }
}

/// The weights of members: at or above 0, 1 together.
#[derive(Clone, Debug)]
pub enum Weights {
    FixedShare(FixedShare),
    AdaNormalHedge(AdaNormalHedge),
}

impl Weights {
    #[inline]
    pub fn of_members(&self) -> &[f64] {
        match self {
            Self::FixedShare(experts) => experts.weights(),
            Self::AdaNormalHedge(experts) => experts.weights(),
        }
    }

    /// Takes each member's loss, 0 to 1.
    #[inline]
    pub fn learn(&mut self, losses: &[f64]) {
        match self {
            Self::FixedShare(experts) => experts.learn(losses),
            Self::AdaNormalHedge(experts) => experts.learn(losses),
        }
    }

    /// Visits every word of mutable state.
    pub fn state(&mut self, state: &mut State<'_>) {
        match self {
            Self::FixedShare(experts) => experts.state(state),
            Self::AdaNormalHedge(experts) => experts.state(state),
        }
    }
}
