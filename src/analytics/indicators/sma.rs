//! Simple moving average of candle closes.
//!
//! Silent until `period` closes were seen. Equals TA-Lib's `SMA`.

use crate::analytics::indicator::{Arguments, Bar, Entry, Indicator, Parameter, any};
use crate::analytics::rolling::state::State;
use crate::analytics::rolling::window::Window;

pub const ENTRY: Entry = Entry {
    name: "sma",
    summary: "simple moving average of closes",
    parameters: &[Parameter::period("period", 20, 1)],
    outputs: &["value"],
    warm_up: |arguments| arguments.period(0),
    check: any,
    build: |arguments| Box::new(Sma::new(arguments)),
    needs_sizes: false,
};

struct Sma {
    closes: Window,
}

impl Sma {
    fn new(arguments: &Arguments) -> Self {
        Self { closes: Window::new(arguments.period(0)) }
    }
}

impl Indicator for Sma {
    fn advance(&mut self, bar: &Bar<'_>, out: &mut [f64]) -> bool {
        self.closes.push(bar.close);
        out[0] = self.closes.iter().sum::<f64>() / self.closes.capacity() as f64;
        self.closes.is_full()
    }

    fn state(&mut self, state: &mut State<'_>) {
        self.closes.state(state);
    }
}
