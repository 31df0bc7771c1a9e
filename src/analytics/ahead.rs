//! Asking for memory ahead of its use.
//!
//! The state of a symbol among thousands has left the processor's caches when its next events come.
//! Read one after the other its lines cost more time than all that is computed of an event; asked for
//! while other symbols' events are worked off they cost next to nothing.
//!
//! A processor has some twenty lines on their way at most, and each that is asked for beyond waits for one
//! of them, with all that comes after it. So [`Wanted`] notes what will be needed, and asks for it bit by
//! bit between other work. Asked for at once, a third of the time at a thousand symbols was such waiting.

use std::mem::size_of;

/// Bytes that come at once.
const LINE: usize = 64;

/// Fewer occasions than that are few.
const FEW: usize = 24;

/// Lines of memory that will be needed, in the order in which they are to be asked for.
#[derive(Debug, Default)]
pub struct Wanted {
    lines: Vec<usize>,
    /// So many of them were asked for.
    asked: usize,
}

impl Wanted {
    /// Notes a value.
    #[inline]
    pub fn value<T>(&mut self, value: &T) {
        self.bytes(std::ptr::from_ref(value).addr(), size_of::<T>());
    }

    /// Notes all items.
    #[inline]
    pub fn items<T>(&mut self, items: &[T]) {
        self.bytes(items.as_ptr().addr(), size_of_val(items));
    }

    /// Notes lines, as [`line_of`] says them, of which nobody need know whether they are still what they were.
    #[inline]
    pub fn lines(&mut self, lines: &[usize]) {
        self.lines.extend_from_slice(lines);
    }

    #[inline]
    fn bytes(&mut self, first: usize, bytes: usize) {
        if bytes > 0 {
            self.lines.extend(first / LINE..(first + bytes - 1) / LINE + 1);
        }
    }

    /// How many are to be asked for at each of so many occasions, so that it is all of them.
    #[inline]
    pub fn share(&self, occasions: usize) -> usize {
        (self.lines.len() - self.asked).div_ceil(occasions.max(1))
    }

    /// Asks for the next `count` lines. Changes nothing and waits for nothing.
    #[inline]
    pub fn ask(&mut self, count: usize) {
        let until = (self.asked + count).min(self.lines.len());
        self.lines[self.asked..until].iter().for_each(|&line| ask(line));
        self.asked = until;
    }

    /// Asks for all at once if there are few occasions for asking: behind so little work it would not be hidden,
    /// and together it comes quickest. At 10,000 symbols, 13 events a turn, a trade cost 15 % more without this.
    #[inline]
    pub fn ask_if_few(&mut self, occasions: usize) {
        if occasions < FEW {
            self.ask_all();
        }
    }

    /// Asks for what is left, and forgets all.
    pub fn ask_all(&mut self) {
        self.ask(self.lines.len());
        self.lines.clear();
        self.asked = 0;
    }
}

/// Where a value lies, for [`Wanted::lines`].
#[inline]
pub fn line_of<T>(value: &T) -> usize {
    std::ptr::from_ref(value).addr() / LINE
}

#[inline]
fn ask(line: usize) {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        #[expect(unsafe_code, reason = "no safe function asks for memory without waiting for it")]
        // SAFETY: a prefetch is a hint: it reads nothing into the program, writes nothing, and does not
        // fault, whatever the address.
        unsafe {
            _mm_prefetch::<_MM_HINT_T0>(std::ptr::without_provenance(line * LINE));
        }
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = line;
}
