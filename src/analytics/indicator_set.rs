//! All indicators of one interval of one symbol, advanced together.

use crate::analytics::ahead::{want_items, want_lines};
use crate::analytics::catalogue::Spec;
use crate::analytics::indicator::{Bar, Indicator, Needs, OUTPUTS_MAX};
use crate::analytics::rolling::state::State;
use crate::domain::data_state::DataState;

/// What is the same for every symbol: the indicators by name.
#[derive(Debug)]
pub struct IndicatorPlan {
    pub specs: Vec<Spec>,
    /// As they are told: `ema(20)`.
    pub names: Vec<String>,
    /// The names of the values of each.
    pub outputs: Vec<&'static [&'static str]>,
    shapes: Vec<Shape>,
    /// How much state a set of them has.
    pub state_words: usize,
    /// Whether any of them looks at volumes.
    pub needs_amounts: bool,
    /// Whether any of them looks at sizes of trades.
    pub needs_sizes: bool,
}

/// What advancing looks up for each indicator, side by side.
#[derive(Clone, Debug)]
pub struct Shape {
    /// Its place among the indicators.
    pub position: usize,
    /// As it is told: `ema(20)`.
    pub name: String,
    /// The names of its values.
    pub outputs: &'static [&'static str],
    warm_up: u64,
}

impl Shape {
    fn of((position, spec): (usize, &Spec)) -> Self {
        let (name, outputs) = (spec.to_string(), spec.entry.outputs);
        assert!(outputs.len() <= OUTPUTS_MAX, "{name} has too many values");
        Self { position, name, outputs, warm_up: spec.warm_up() as u64 }
    }
}

impl IndicatorPlan {
    pub fn new(specs: &[Spec]) -> Self {
        let mut plan = Self {
            state_words: 0,
            names: specs.iter().map(ToString::to_string).collect(),
            outputs: specs.iter().map(|spec| spec.entry.outputs).collect(),
            shapes: specs.iter().enumerate().map(Shape::of).collect(),
            needs_amounts: specs.iter().any(|spec| spec.entry.needs >= Needs::Amounts),
            needs_sizes: specs.iter().any(|spec| spec.entry.needs >= Needs::Sizes),
            specs: specs.to_vec(),
        };
        let mut words = Vec::new();
        IndicatorSet::new(&plan).save(&mut words);
        plan.state_words = words.len();
        plan
    }
}

/// What one indicator says at one candle.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Reading {
    /// `None` while warming up or undefined.
    pub data_state: Option<DataState>,
    pub values: [f64; OUTPUTS_MAX],
}

impl Reading {
    pub const SILENT: Self = Self { data_state: None, values: [0.0; OUTPUTS_MAX] };

    /// Whether both would be told alike.
    pub fn same_as(&self, other: &Self, outputs: usize) -> bool {
        let bits = |reading: &Self| reading.values.map(f64::to_bits);
        self.data_state == other.data_state
            && (self.data_state.is_none() || bits(self)[..outputs] == bits(other)[..outputs])
    }
}

/// A candle partial longer ago than this is out of every warm-up.
const FORGET_PARTIAL_AFTER: u64 = 1 << 20;

/// The running state.
pub struct IndicatorSet {
    members: Vec<Box<dyn Indicator>>,
    /// 0: the newest bar is partial.
    bars_since_partial: u64,
    /// Where the members keep their state, if that is little enough to be asked for ahead.
    lines: Box<[usize]>,
}

/// Indicators with more state than that are not fetched ahead: reading it all would cost more than it spares.
const FETCHED_WORDS_MAX: usize = 160;

impl IndicatorSet {
    pub fn new(plan: &IndicatorPlan) -> Self {
        let members = plan.specs.iter().map(Spec::build).collect();
        let mut set = Self { members, bars_since_partial: FORGET_PARTIAL_AFTER, lines: Box::default() };
        if plan.state_words <= FETCHED_WORDS_MAX {
            let mut lines = Vec::new();
            set.members.iter_mut().for_each(|member| member.state(&mut State::Place(&mut lines)));
            lines.sort_unstable();
            lines.dedup();
            set.lines = lines.into();
        }
        set
    }

    /// Asks for what tells where the state is.
    pub fn want_places(&self) {
        want_items(&self.lines);
        want_items(&self.members);
    }

    /// Asks for the state itself.
    pub fn want_state(&self) {
        want_lines(&self.lines);
    }

    /// Takes the next candle; one reading for each indicator of the plan.
    pub fn advance(&mut self, plan: &IndicatorPlan, bar: &Bar<'_>, partial: bool, readings: &mut [Reading]) {
        readings.iter_mut().for_each(|reading| reading.data_state = None);
        self.advance_and(plan, bar, partial, |shape, values, data_state| {
            let reading = &mut readings[shape.position];
            reading.data_state = Some(data_state);
            reading.values[..values.len()].copy_from_slice(values);
        });
    }

    /// Takes the next candle, and hands on what each indicator that is warm says of it.
    #[inline]
    pub fn advance_and(
        &mut self,
        plan: &IndicatorPlan,
        bar: &Bar<'_>,
        partial: bool,
        mut hand_on: impl FnMut(&Shape, &[f64], DataState),
    ) {
        let since_partial = if partial { 0 } else { (self.bars_since_partial + 1).min(FORGET_PARTIAL_AFTER) };
        self.bars_since_partial = since_partial;
        let mut values = [0.0; OUTPUTS_MAX];
        for (member, shape) in self.members.iter_mut().zip(&plan.shapes) {
            if member.advance(bar, &mut values) {
                let whole = since_partial >= shape.warm_up;
                let values = &values[..shape.outputs.len().min(OUTPUTS_MAX)];
                hand_on(shape, values, if whole { DataState::Complete } else { DataState::Partial });
            }
        }
    }

    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    pub fn state(&mut self, state: &mut State<'_>) {
        state.word(&mut self.bars_since_partial);
        for member in &mut self.members {
            member.state(state);
        }
    }

    pub fn save(&mut self, words: &mut Vec<u64>) {
        words.clear();
        self.state(&mut State::Save(words));
    }

    pub fn load(&mut self, words: &[u64]) {
        let mut state = State::load(words);
        self.state(&mut state);
        assert!(state.finish() == Ok(()), "a checkpoint is of the set that goes back to it");
    }
}
