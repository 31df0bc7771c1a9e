//! Asking for memory ahead of its use.
//!
//! The state of a symbol among thousands has left the processor's caches when its next events come.
//! Read one after the other its lines cost more time than all that is computed of an event; asked for
//! while other symbols' events are worked off they cost next to nothing.
//!
//! What is asked for comes as near as the second cache. The first has room for one symbol and little more, and some
//! twenty lines on their way to it at most: asked for up to there, a turn's hundred lines made all that came after
//! wait, and threw out what the turn before still used. Nothing has to be noted and spread over a turn then, which
//! took more instructions than asking.

/// Bytes that come at once.
const LINE: usize = 64;

/// Asks for a value. Changes nothing and waits for nothing, as all that follow.
#[inline]
pub fn want<T>(value: &T) {
    want_bytes(std::ptr::from_ref(value).addr(), size_of::<T>());
}

/// Asks for all items.
#[inline]
pub fn want_items<T>(items: &[T]) {
    want_bytes(items.as_ptr().addr(), size_of_val(items));
}

/// Asks for lines, as [`line_of`] says them, of which nobody need know whether they are still what they were.
#[inline]
pub fn want_lines(lines: &[usize]) {
    lines.iter().for_each(|&line| ask(line));
}

#[inline]
fn want_bytes(first: usize, bytes: usize) {
    let mut line = first / LINE * LINE;
    while line < first + bytes {
        ask(line);
        line += LINE;
    }
}

/// The line in which a value lies, for [`want_lines`].
#[inline]
pub fn line_of<T>(value: &T) -> usize {
    std::ptr::from_ref(value).addr() / LINE * LINE
}

#[inline]
fn ask(line: usize) {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{_MM_HINT_T1, _mm_prefetch};
        #[expect(unsafe_code, reason = "no safe function asks for memory without waiting for it")]
        // SAFETY: a prefetch is a hint: it reads nothing into the program, writes nothing, and does not
        // fault, whatever the address.
        unsafe {
            _mm_prefetch::<_MM_HINT_T1>(std::ptr::without_provenance(line));
        }
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = line;
}
