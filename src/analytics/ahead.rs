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
//!
//! What is little and used by each event comes as near as the first cache: its trade, and the row that comes next.

/// Bytes that come at once.
const LINE: usize = 64;

/// Asks for a value. Changes nothing and waits for nothing, as all that follow.
#[inline]
pub fn want<T>(value: &T) {
    want_bytes(std::ptr::from_ref(value).addr(), size_of::<T>());
}

/// Asks for a value that is used soon to come as near as the first cache.
#[inline]
pub fn want_near<T>(value: &T) {
    let first = std::ptr::from_ref(value).addr();
    (0..size_of::<T>()).step_by(LINE).for_each(|offset| ask::<NEAR>(first + offset));
    // Where it does not begin with a line it may reach into one more.
    ask::<NEAR>(first + size_of::<T>().saturating_sub(1));
}

/// Asks for all items.
#[inline]
pub fn want_items<T>(items: &[T]) {
    want_bytes(items.as_ptr().addr(), size_of_val(items));
}

/// Asks for lines, as [`line_of`] says them, of which nobody need know whether they are still what they were.
#[inline]
pub fn want_lines(lines: &[usize]) {
    lines.iter().for_each(|&line| ask::<FAR>(line));
}

#[inline]
fn want_bytes(first: usize, bytes: usize) {
    let mut line = first / LINE * LINE;
    while line < first + bytes {
        ask::<FAR>(line);
        line += LINE;
    }
}

/// The line in which a value lies, for [`want_lines`].
#[inline]
pub fn line_of<T>(value: &T) -> usize {
    std::ptr::from_ref(value).addr() / LINE * LINE
}

/// Into the second cache.
const FAR: i32 = 2;
/// Into the first.
const NEAR: i32 = 3;

#[inline]
fn ask<const HINT: i32>(address: usize) {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{_MM_HINT_T0, _MM_HINT_T1, _mm_prefetch};
        const { assert!(NEAR == _MM_HINT_T0 && FAR == _MM_HINT_T1) };
        #[expect(unsafe_code, reason = "no safe function asks for memory without waiting for it")]
        // SAFETY: a prefetch is a hint: it reads nothing into the program, writes nothing, and does not
        // fault, whatever the address.
        unsafe {
            _mm_prefetch::<HINT>(std::ptr::without_provenance(address));
        }
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = address;
}
