//! Asking for memory ahead of its use.
//!
//! The state of a symbol among thousands has left the processor's caches when its next events come.
//! Read one after the other its lines cost more time than all that is computed of an event; asked for
//! while other symbols' events are worked off they cost next to nothing.

use std::mem::size_of;

/// Bytes that come at once.
const LINE: usize = 64;

/// Asks for a value. Changes nothing and waits for nothing.
#[inline]
pub fn fetch<T>(value: &T) {
    fetch_bytes(std::ptr::from_ref(value).cast(), size_of::<T>());
}

/// Asks for all items.
#[inline]
pub fn fetch_all<T>(items: &[T]) {
    fetch_bytes(items.as_ptr().cast(), size_of_val(items));
}

/// Where a value lies, for [`fetch_line`].
#[inline]
pub fn line_of<T>(value: &T) -> usize {
    std::ptr::from_ref(value).addr() / LINE
}

/// Asks for a line, of which nobody need know whether it is still what it was.
#[inline]
pub fn fetch_line(line: usize) {
    ask(std::ptr::without_provenance(line * LINE));
}

#[inline]
fn fetch_bytes(first: *const u8, bytes: usize) {
    let mut at = 0;
    while at < bytes {
        ask(first.wrapping_add(at));
        at += LINE;
    }
    if bytes > 0 {
        ask(first.wrapping_add(bytes - 1));
    }
}

#[inline]
fn ask(place: *const u8) {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        #[expect(unsafe_code, reason = "no safe function asks for memory without waiting for it")]
        // SAFETY: a prefetch is a hint: it reads nothing into the program, writes nothing, and does not
        // fault, whatever the address.
        unsafe {
            _mm_prefetch::<_MM_HINT_T0>(place.cast());
        }
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = place;
}
