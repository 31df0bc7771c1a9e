//! Parabolic stop and reverse: a stop that follows the price ever faster, and turns when hit.
//!
//! Source: J. W. Wilder, "New Concepts in Technical Trading Systems" (1978). Equals TA-Lib's
//! `SAR`: the second bar brings the first value; the direction begins downward if its low
//! falls more than its high rises, otherwise upward. O(1) a bar.

use crate::analytics::indicator::{Arguments, Bar, Entry, Needs, Parameter, any, keeping};
use crate::analytics::rolling::state::State;

pub const ENTRY: Entry = Entry {
    name: "psar",
    summary: "parabolic stop and reverse",
    parameters: &[Parameter::real("acceleration", 0.02, 0.0, 1.0), Parameter::real("maximum", 0.2, 0.0, 1.0)],
    outputs: &["value"],
    warm_up: |_| 2,
    check: any,
    build: |arguments| keeping(Psar::new(arguments), Psar::state, Psar::advance),
    needs: Needs::Prices,
};

struct Psar {
    step: f64,
    maximum: f64,
    /// 0, 1, then 2 for ever.
    seen: usize,
    rising: bool,
    acceleration: f64,
    /// The highest high of a rise, the lowest low of a fall.
    extreme: f64,
    /// The stop for the coming bar.
    stop: f64,
    high: f64,
    low: f64,
}

impl Psar {
    fn new(arguments: &Arguments) -> Self {
        let maximum = arguments.real(1);
        let step = arguments.real(0).min(maximum);
        Self {
            step,
            maximum,
            seen: 0,
            rising: true,
            acceleration: step,
            extreme: 0.0,
            stop: 0.0,
            high: 0.0,
            low: 0.0,
        }
    }

    /// The second bar decides the direction.
    fn begin(&mut self, bar: &Bar<'_>) {
        let (up, down) = (bar.high - self.high, self.low - bar.low);
        self.rising = !(down > 0.0 && up < down);
        (self.extreme, self.stop) = if self.rising { (bar.high, self.low) } else { (bar.low, self.high) };
        // TA-Lib counts the second bar as its own predecessor.
        (self.high, self.low) = (bar.high, bar.low);
    }

    /// Keeps a stop out of this bar and the one before.
    fn clear_of(&self, stop: f64, bar: &Bar<'_>) -> f64 {
        if self.rising { stop.min(self.low).min(bar.low) } else { stop.max(self.high).max(bar.high) }
    }

    fn advance(&mut self, bar: &Bar<'_>) -> Option<[f64; 1]> {
        if self.seen == 0 {
            self.seen = 1;
            (self.high, self.low) = (bar.high, bar.low);
            return None;
        }
        if self.seen == 1 {
            self.seen = 2;
            self.begin(bar);
        }
        let hit = if self.rising { bar.low <= self.stop } else { bar.high >= self.stop };
        if hit {
            self.rising = !self.rising;
            self.stop = self.clear_of(self.extreme, bar);
            self.acceleration = self.step;
            self.extreme = if self.rising { bar.high } else { bar.low };
        }
        let told = self.stop;
        let further = if self.rising { bar.high > self.extreme } else { bar.low < self.extreme };
        if further {
            self.extreme = if self.rising { bar.high } else { bar.low };
            self.acceleration = (self.acceleration + self.step).min(self.maximum);
        }
        let next = self.stop + self.acceleration * (self.extreme - self.stop);
        self.stop = self.clear_of(next, bar);
        (self.high, self.low) = (bar.high, bar.low);
        Some([told])
    }

    fn state(&mut self, state: &mut State<'_>) {
        state.usize(&mut self.seen);
        state.bool(&mut self.rising);
        for value in
            [&mut self.acceleration, &mut self.extreme, &mut self.stop, &mut self.high, &mut self.low]
        {
            state.f64(value);
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::analytics::indicator::Bar;
    use crate::analytics::indicators::trial::{bar, check, run};

    /// The rules case by case, over the whole list, as the book tells them.
    fn naive(bars: &[Bar<'_>], step: f64, maximum: f64) -> Option<Vec<f64>> {
        let (first, second) = (bars.first()?, bars.get(1)?);
        let falls = first.low > second.low && first.low - second.low > second.high - first.high;
        let mut long = !falls;
        let (mut stop, mut extreme) = if long { (first.low, second.high) } else { (first.high, second.low) };
        let mut factor = step;
        let mut told = 0.0;
        for i in 1..bars.len() {
            let (today, before) = (&bars[i], &bars[if i == 1 { 1 } else { i - 1 }]);
            if long && today.low <= stop {
                long = false;
                told = extreme.max(before.high).max(today.high);
                (factor, extreme) = (step, today.low);
                stop = (told + factor * (extreme - told)).max(before.high).max(today.high);
            } else if long {
                told = stop;
                if today.high > extreme {
                    (extreme, factor) = (today.high, (factor + step).min(maximum));
                }
                stop = (told + factor * (extreme - told)).min(before.low).min(today.low);
            } else if today.high >= stop {
                long = true;
                told = extreme.min(before.low).min(today.low);
                (factor, extreme) = (step, today.high);
                stop = (told + factor * (extreme - told)).min(before.low).min(today.low);
            } else {
                told = stop;
                if today.low < extreme {
                    (extreme, factor) = (today.low, (factor + step).min(maximum));
                }
                stop = (told + factor * (extreme - told)).max(before.high).max(today.high);
            }
        }
        Some(vec![told])
    }

    #[test]
    fn equals_the_rules_case_by_case() {
        for (step, maximum) in [(0.02, 0.2), (0.1, 0.3), (0.0, 0.0)] {
            check(&format!("psar({step},{maximum})"), |bars| naive(bars, step, maximum));
        }
    }

    #[test]
    fn a_climb_is_followed_from_below() {
        let bars: Vec<_> = (0..10)
            .map(|i| {
                let low = f64::from(i);
                bar(i as usize, [low + 10.0, low + 11.0, low + 10.0, low + 11.0], 1.0)
            })
            .collect();
        let values: Vec<f64> = run("psar(0.02,0.2)", &bars).into_iter().flatten().map(|v| v[0]).collect();
        assert!(values.is_sorted() && values.iter().zip(&bars[1..]).all(|(stop, bar)| *stop < bar.low));
    }
}
