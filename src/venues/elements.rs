//! Pieces of JSON frames, read leniently: what is not a trade tells nothing, what should be one is
//! refused by name.

use serde::Deserialize;
use serde_json::error::Category;
use serde_json::value::RawValue;

use crate::domain::event::Trade;
use crate::domain::fields::{FieldError, shown};
use crate::domain::frame::{FrameSink, Spelled};

/// The frame as `T`; `None` where it is of another shape, refused where it is no JSON.
pub fn envelope<'a, T: Deserialize<'a>>(frame: &'a str, sink: &mut dyn FrameSink) -> Option<T> {
    match serde_json::from_str(frame) {
        Ok(envelope) => Some(envelope),
        Err(e) if e.classify() == Category::Data => None,
        Err(e) => {
            sink.refuse(format!("frame {:?} is not JSON: {e}", shown(frame.as_bytes(), 40)));
            None
        }
    }
}

/// The piece as `T`, or refused: a frame that says it holds trades must hold them.
pub fn piece<'a, T: Deserialize<'a>>(
    what: &str,
    raw: Option<&'a RawValue>,
    sink: &mut dyn FrameSink,
) -> Option<T> {
    let Some(raw) = raw else {
        sink.refuse(format!("the frame has no {what}"));
        return None;
    };
    match serde_json::from_str(raw.get()) {
        Ok(piece) => Some(piece),
        Err(e) => {
            sink.refuse(format!("{what} {:?} is not as expected: {e}", shown(raw.get().as_bytes(), 64)));
            None
        }
    }
}

/// Each element of an array, the bad ones refused one by one.
pub fn each<'a, T: Deserialize<'a>>(
    what: &str,
    raw: Option<&'a RawValue>,
    newest_first: bool,
    sink: &mut dyn FrameSink,
    mut take: impl FnMut(T, &mut dyn FrameSink),
) {
    let Some(mut elements) = piece::<Vec<&RawValue>>(what, raw, sink) else { return };
    if newest_first {
        elements.reverse();
    }
    for element in elements {
        if let Some(element) = piece(what, Some(element), sink) {
            take(element, sink);
        }
    }
}

/// Tells a trade, or why it is none.
#[inline]
pub fn tell(spelled: Spelled<'_>, trade: Result<Trade, FieldError>, sink: &mut dyn FrameSink) {
    match trade {
        Ok(trade) => sink.trade(spelled, trade),
        Err(reason) => sink.refuse(reason.into()),
    }
}
