//! Progress of a long command, on standard error: a bar on a terminal, plain lines elsewhere.
//!
//! Shared by the threads that do the work; telling it something costs an atomic addition.

use std::io::{self, IsTerminal, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::runtime::clock::Stopwatch;

/// Between two plain lines, and before the first: short runs print none.
const LINE_EVERY: Duration = Duration::from_secs(5);

/// So many bytes between two looks at the clock.
const LOOK_EVERY_BYTES: u64 = 1 << 20;

/// How far a command is, in bytes of its input.
#[derive(Debug)]
pub struct Progress {
    command: &'static str,
    /// `None` where nobody knows.
    bytes_total: Option<u64>,
    bytes_done: AtomicU64,
    stopwatch: Stopwatch,
    face: Face,
}

#[derive(Debug)]
enum Face {
    Bar(ProgressBar),
    /// When the last line was printed.
    Lines(Mutex<Duration>),
    Silent,
}

impl Progress {
    /// A bar where standard error is a terminal, lines otherwise.
    pub fn new(command: &'static str, bytes_total: Option<u64>) -> Self {
        let face = if io::stderr().is_terminal() {
            Face::Bar(bar(command, bytes_total))
        } else {
            Face::Lines(Mutex::new(Duration::ZERO))
        };
        Self { command, bytes_total, bytes_done: AtomicU64::new(0), stopwatch: Stopwatch::start(), face }
    }

    /// Says nothing: for tests, and for callers that have their own way of telling.
    pub fn silent() -> Self {
        Self {
            command: "",
            bytes_total: None,
            bytes_done: AtomicU64::new(0),
            stopwatch: Stopwatch::start(),
            face: Face::Silent,
        }
    }

    /// So many bytes of input more are done.
    pub fn advance(&self, bytes: u64) {
        let before = self.bytes_done.fetch_add(bytes, Ordering::Relaxed);
        let done = before.saturating_add(bytes);
        // Most calls end here: looking at a clock, or drawing, costs more than a line of input.
        if before / LOOK_EVERY_BYTES == done / LOOK_EVERY_BYTES {
            return;
        }
        match &self.face {
            Face::Bar(bar) => bar.set_position(done),
            Face::Lines(printed) => {
                let elapsed = self.stopwatch.elapsed();
                // Whoever finds it locked leaves the line to the other.
                if let Ok(mut printed) = printed.try_lock()
                    && elapsed.saturating_sub(*printed) >= LINE_EVERY
                {
                    *printed = elapsed;
                    say(&line(self.command, done, self.bytes_total, elapsed));
                }
            }
            Face::Silent => {}
        }
    }

    /// A line for people that stays: a file skipped, a warning.
    pub fn note(&self, text: &str) {
        match &self.face {
            Face::Bar(bar) => bar.suspend(|| say(text)),
            Face::Lines(printed) => {
                let _one_line_at_a_time = printed.lock().unwrap_or_else(PoisonError::into_inner);
                say(text);
            }
            Face::Silent => {}
        }
    }

    /// How long it has been going on.
    pub fn elapsed(&self) -> Duration {
        self.stopwatch.elapsed()
    }

    /// Takes the bar away.
    pub fn finish(&self) {
        if let Face::Bar(bar) = &self.face {
            bar.finish_and_clear();
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.finish();
    }
}

fn bar(command: &'static str, bytes_total: Option<u64>) -> ProgressBar {
    let template = if bytes_total.is_some() {
        "{prefix} {bar:40} {bytes} of {total_bytes}, {bytes_per_sec}, {eta} left"
    } else {
        "{prefix} {spinner} {bytes}, {bytes_per_sec}"
    };
    let style = ProgressStyle::with_template(template).expect("the templates above are well-formed");
    let bar = match bytes_total {
        Some(total) => ProgressBar::new(total),
        None => ProgressBar::no_length(),
    };
    bar.set_draw_target(ProgressDrawTarget::stderr());
    bar.with_style(style).with_prefix(command)
}

/// A standard error that is closed is no reason to fail.
fn say(text: &str) {
    let _ = writeln!(io::stderr().lock(), "{text}");
}

fn line(command: &str, done: u64, total: Option<u64>, elapsed: Duration) -> String {
    let megabytes = |bytes: u64| bytes as f64 / 1e6;
    let seconds = elapsed.as_secs();
    match total.filter(|&total| total > 0) {
        Some(total) => {
            let percent = u128::from(done.min(total)) * 100 / u128::from(total);
            let (done, total) = (megabytes(done), megabytes(total));
            format!("{command}: {percent} % ({done:.1} of {total:.1} MB) after {seconds} s")
        }
        None => format!("{command}: {:.1} MB after {seconds} s", megabytes(done)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_say_how_far() {
        let check = |done: u64, total: Option<u64>, expected: &str| {
            assert_eq!(line("replay", done, total, Duration::from_secs(7)), expected);
        };
        check(1_500_000, Some(6_000_000), "replay: 25 % (1.5 of 6.0 MB) after 7 s");
        check(7_000_000, Some(6_000_000), "replay: 100 % (7.0 of 6.0 MB) after 7 s");
        check(1_500_000, None, "replay: 1.5 MB after 7 s");
        check(0, Some(0), "replay: 0.0 MB after 7 s");
    }

    #[test]
    fn bars_are_drawn_from_well_formed_templates() {
        for total in [None, Some(10)] {
            let bar = bar("replay", total);
            bar.set_draw_target(ProgressDrawTarget::hidden());
            bar.set_position(5);
            assert_eq!(bar.length(), total);
        }
    }

    #[test]
    fn threads_may_share_it() {
        let progress = Progress::silent();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| (0..1_000).for_each(|_| progress.advance(3_000)));
            }
        });
        assert_eq!(progress.bytes_done.load(Ordering::Relaxed), 12_000_000);
        progress.note("nothing is printed");
    }
}
