//! One pass over mutable state that either saves or restores it.
//!
//! Written once per type and used both ways, so that what is saved and what is restored
//! can never drift apart. The words are plain `u64`: floats as their bits.

/// A cursor over saved words.
pub enum State<'a> {
    /// Appends each visited value.
    Save(&'a mut Vec<u64>),
    /// Overwrites each visited value with the next word.
    Load(std::slice::Iter<'a, u64>),
    /// Mixes each visited value into one word: what is about to be used comes closer.
    Touch(u64),
}

impl<'a> State<'a> {
    pub fn load(words: &'a [u64]) -> Self {
        Self::Load(words.iter())
    }

    #[inline]
    pub fn word(&mut self, value: &mut u64) {
        match self {
            Self::Save(words) => words.push(*value),
            Self::Touch(mix) => *mix ^= *value,
            Self::Load(words) => {
                *value = *words.next().expect("what is restored was saved by the same code");
            }
        }
    }

    #[inline]
    pub fn f64(&mut self, value: &mut f64) {
        let mut word = value.to_bits();
        self.word(&mut word);
        *value = f64::from_bits(word);
    }

    #[inline]
    pub fn i64(&mut self, value: &mut i64) {
        let mut word = value.cast_unsigned();
        self.word(&mut word);
        *value = word.cast_signed();
    }

    #[inline]
    pub fn usize(&mut self, value: &mut usize) {
        let mut word = *value as u64;
        self.word(&mut word);
        *value = word as usize;
    }

    #[inline]
    pub fn bool(&mut self, value: &mut bool) {
        let mut word = u64::from(*value);
        self.word(&mut word);
        *value = word != 0;
    }

    pub fn option_f64(&mut self, value: &mut Option<f64>) {
        let (mut some, mut number) = (value.is_some(), value.unwrap_or(0.0));
        self.bool(&mut some);
        self.f64(&mut number);
        *value = some.then_some(number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_saved_is_restored() {
        let visit = |state: &mut State<'_>, v: &mut (u64, f64, i64, usize, bool, Option<f64>)| {
            state.word(&mut v.0);
            state.f64(&mut v.1);
            state.i64(&mut v.2);
            state.usize(&mut v.3);
            state.bool(&mut v.4);
            state.option_f64(&mut v.5);
        };
        let mut saved = (7, -0.0, -3, 9, true, Some(2.5));
        let mut words = Vec::new();
        visit(&mut State::Save(&mut words), &mut saved);
        let mut restored = (0, 0.0, 0, 0, false, None);
        visit(&mut State::load(&words), &mut restored);
        assert_eq!(format!("{saved:?}"), format!("{restored:?}"));
    }
}
