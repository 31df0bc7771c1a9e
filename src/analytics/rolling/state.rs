//! One pass over mutable state that either saves or restores it.
//!
//! Written once per type and used both ways, so that what is saved and what is restored
//! can never drift apart. The words are plain `u64`: floats as their bits.
//!
//! Restoring never panics, whatever the words are: it notes the first [`StateFault`], goes on with
//! what is harmless, and [`State::finish`] tells. What was restored with a fault is thrown away.

use crate::analytics::ahead::line_of;

/// A cursor over saved words.
pub enum State<'a> {
    /// Appends each visited value.
    Save(&'a mut Vec<u64>),
    /// Overwrites each visited value with the next word.
    Load(Loading<'a>),
    /// Notes where each visited value lies, as [`line_of`] says it.
    Place(&'a mut Vec<usize>),
}

/// The words that are still to be restored.
pub struct Loading<'a> {
    words: std::slice::Iter<'a, u64>,
    fault: Option<StateFault>,
}

/// Why words are not the state of what was to be restored from them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StateFault {
    #[error("state ends too early")]
    TooShort,
    #[error("state goes on behind its end")]
    TooLong,
    /// No state says that.
    #[error("state says what no state says: {0}")]
    Impossible(&'static str),
}

impl<'a> State<'a> {
    pub fn load(words: &'a [u64]) -> Self {
        Self::Load(Loading { words: words.iter(), fault: None })
    }

    /// Whether all that was restored made sense, and nothing is left over.
    pub fn finish(self) -> Result<(), StateFault> {
        match self {
            Self::Load(Loading { fault: Some(fault), .. }) => Err(fault),
            Self::Load(loading) if loading.words.len() > 0 => Err(StateFault::TooLong),
            _ => Ok(()),
        }
    }

    pub fn is_load(&self) -> bool {
        matches!(self, Self::Load(_))
    }

    /// Notes what is wrong with the words.
    #[cold]
    pub fn fault(&mut self, fault: StateFault) {
        if let Self::Load(loading) = self {
            loading.fault.get_or_insert(fault);
        }
    }

    /// What must hold once it is restored.
    #[inline]
    pub fn check(&mut self, holds: bool, what: &'static str) {
        if !holds {
            self.fault(StateFault::Impossible(what));
        }
    }

    #[inline]
    pub fn word(&mut self, value: &mut u64) {
        match self {
            Self::Save(words) => words.push(*value),
            Self::Place(lines) => lines.push(line_of(value)),
            Self::Load(loading) => match loading.words.next() {
                Some(word) => *value = *word,
                None => {
                    loading.fault.get_or_insert(StateFault::TooShort);
                }
            },
        }
    }

    #[inline]
    pub fn f64(&mut self, value: &mut f64) {
        if let Self::Place(lines) = self {
            return lines.push(line_of(value));
        }
        let mut word = value.to_bits();
        self.word(&mut word);
        *value = f64::from_bits(word);
    }

    #[inline]
    pub fn i64(&mut self, value: &mut i64) {
        if let Self::Place(lines) = self {
            return lines.push(line_of(value));
        }
        let mut word = value.cast_unsigned();
        self.word(&mut word);
        *value = word.cast_signed();
    }

    #[inline]
    pub fn u32(&mut self, value: &mut u32) {
        if let Self::Place(lines) = self {
            return lines.push(line_of(value));
        }
        let mut word = u64::from(*value);
        self.word(&mut word);
        match u32::try_from(word) {
            Ok(word) => *value = word,
            Err(_) => self.fault(StateFault::Impossible("number beyond its width")),
        }
    }

    /// A plain number: nothing is looked up by it.
    #[inline]
    pub fn usize(&mut self, value: &mut usize) {
        if let Self::Place(lines) = self {
            return lines.push(line_of(value));
        }
        let mut word = *value as u64;
        self.word(&mut word);
        *value = word as usize;
    }

    /// A number by which something is looked up: at most `max`.
    #[inline]
    pub fn index(&mut self, value: &mut usize, max: usize) {
        self.usize(value);
        if *value > max {
            *value = 0;
            self.fault(StateFault::Impossible("place out of bounds"));
        }
    }

    /// How many items follow, each of at least one word: never more than there are words left.
    #[inline]
    pub fn len(&mut self, value: &mut usize) {
        self.usize(value);
        if let Self::Load(loading) = self
            && *value > loading.words.len()
        {
            *value = 0;
            self.fault(StateFault::TooShort);
        }
    }

    #[inline]
    pub fn bool(&mut self, value: &mut bool) {
        if let Self::Place(lines) = self {
            return lines.push(line_of(value));
        }
        let mut word = u64::from(*value);
        self.word(&mut word);
        *value = word != 0;
    }

    pub fn option_f64(&mut self, value: &mut Option<f64>) {
        if let Self::Place(lines) = self {
            return lines.push(line_of(value));
        }
        let (mut some, mut number) = (value.is_some(), value.unwrap_or(0.0));
        self.bool(&mut some);
        self.f64(&mut number);
        *value = some.then_some(number);
    }

    pub fn option_word(&mut self, value: &mut Option<u64>) {
        if let Self::Place(lines) = self {
            return lines.push(line_of(value));
        }
        let (mut some, mut number) = (value.is_some(), value.unwrap_or(0));
        self.bool(&mut some);
        self.word(&mut number);
        *value = some.then_some(number);
    }

    /// A slice whose length is part of the state; none at all where it is empty.
    pub fn option_slice<T: Clone>(
        &mut self,
        slice: &mut Option<Box<[T]>>,
        blank: T,
        each: impl Fn(&mut Self, &mut T),
    ) {
        let mut len = slice.as_ref().map_or(0, |slice| slice.len());
        self.len(&mut len);
        if self.is_load() {
            *slice = (len > 0).then(|| vec![blank; len].into_boxed_slice());
        }
        for item in slice.iter_mut().flat_map(|slice| slice.iter_mut()) {
            each(self, item);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Everything = (u64, f64, i64, usize, bool, Option<f64>, u32, Option<u64>, Option<Box<[u64]>>);

    fn visit(state: &mut State<'_>, v: &mut Everything) {
        state.word(&mut v.0);
        state.f64(&mut v.1);
        state.i64(&mut v.2);
        state.index(&mut v.3, 9);
        state.bool(&mut v.4);
        state.option_f64(&mut v.5);
        state.u32(&mut v.6);
        state.option_word(&mut v.7);
        state.option_slice(&mut v.8, 0, State::word);
    }

    fn saved() -> (Everything, Vec<u64>) {
        let slice = Some(Box::from([1, 2, 3]));
        let mut saved = (7, -0.0, -3, 9, true, Some(2.5), u32::MAX, Some(8), slice);
        let mut words = Vec::new();
        visit(&mut State::Save(&mut words), &mut saved);
        (saved, words)
    }

    fn restored(words: &[u64]) -> (Everything, Result<(), StateFault>) {
        let mut restored = Everything::default();
        let mut state = State::load(words);
        visit(&mut state, &mut restored);
        (restored, state.finish())
    }

    #[test]
    fn what_is_saved_is_restored() {
        let (saved, words) = saved();
        let (restored, end) = restored(&words);
        assert_eq!((format!("{saved:?}"), end), (format!("{restored:?}"), Ok(())));
    }

    #[test]
    fn other_words_are_faults_and_no_panic() {
        let (_, words) = saved();
        for cut in 0..words.len() {
            assert_eq!(restored(&words[..cut]).1, Err(StateFault::TooShort), "{cut}");
        }
        let more = [words.as_slice(), &[0]].concat();
        assert_eq!(restored(&more).1, Err(StateFault::TooLong));
        for (at, what) in [(3, "place out of bounds"), (7, "number beyond its width")] {
            let mut other = words.clone();
            other[at] = 1 << 40;
            assert_eq!(restored(&other).1, Err(StateFault::Impossible(what)));
        }
        let mut absurd = words.clone();
        absurd[10] = u64::MAX;
        assert_eq!(restored(&absurd).1, Err(StateFault::TooShort));
    }
}
