//! Records: the fixed-size, little-endian structs that stand in the blocks of a segment.
//!
//! A block holds a [`Run`] of records of one kind as one rkyv archive: the records side by
//! side, then what they refer to (items of a page or a list, text), then the root. A record
//! has no padding, so that writing it is a copy and reading it is a look.
//!
//! rkyv's validation does not notice a changed struct: two fields swapped are valid and
//! wrong. So each struct yields, from the same tokens, the text of its schema, and the hash
//! of that text stands in every segment (`kind.rs`). **A record, once released, never
//! changes**: what needs other fields becomes another kind.

use rkyv::{Archive, Serialize};

/// 256 bits, least significant word first.
pub type Wide = [u64; 4];

/// A struct that says what it looks like.
pub trait Layout {
    /// Name, fields and types, in order.
    const SCHEMA: &'static str;
}

/// What a block holds. Records refer to their items and texts by offset.
#[derive(Debug, Archive, Serialize)]
pub struct Run<R, I> {
    pub records: Vec<R>,
    pub items: Vec<I>,
    pub text: Vec<u8>,
}

macro_rules! record {
    ($(#[$doc:meta])* $name:ident { $($(#[$field_doc:meta])* $field:ident: $type:ident,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Archive, Serialize)]
        #[repr(C)]
        pub struct $name {
            $($(#[$field_doc])* pub $field: $type,)*
        }

        impl Layout for $name {
            const SCHEMA: &'static str =
                concat!(stringify!($name), "{", $(stringify!($field), ":", stringify!($type), ",",)* "}");
        }

        const _: () = assert!(
            0 $(+ size_of::<$type>())* == size_of::<$name>(),
            "a record has no padding"
        );
    };
}

record! {
    /// Gives an instrument its number within the segment: 0, 1, 2, in order of definition.
    InstrumentRecord {
        number: u32,
        partition: u32,
        /// Offset of the venue's name, which the symbol follows.
        text: u32,
        venue_bytes: u32,
        symbol_bytes: u32,
        /// 0 contiguous, 1 sparse, 2 absent.
        rule: u32,
    }
}

record! {
    /// How far a partition's log has come; also the partitions that an event reaches.
    Reach {
        position: u64,
        partition: u32,
        zero: u32,
    }
}

record! {
    /// One trade: of the log, or of a backfilled page (which has no position of its own).
    TradeRecord {
        position: u64,
        /// `Decimal::to_bits`.
        price: u64,
        /// `Decimal::to_bits`.
        quantity: u64,
        exchange_at: i64,
        /// 0 where it is not known.
        received_at: i64,
        /// The number; or offset and length of its text, `offset << 8 | length`.
        id: u64,
        instrument: u32,
        trade_count: u32,
        /// `TRADE_...` bits.
        flags: u64,
    }
}

/// Bits 0 and 1 of a trade's flags: no id, a number, a text.
pub const TRADE_ID_MASK: u64 = 0b11;
pub const TRADE_ID_NUMBER: u64 = 0b01;
pub const TRADE_ID_TEXT: u64 = 0b10;
pub const TRADE_BUY: u64 = 1 << 2;
pub const TRADE_SELL: u64 = 1 << 3;
pub const TRADE_RECEIVED: u64 = 1 << 4;

record! {
    /// One page of history; its trades are items.
    BackfillRecord {
        position: u64,
        instrument: u32,
        first: u32,
        count: u32,
        zero: u32,
    }
}

record! {
    /// One ready candle. What is unknown is zero, and its flag is not set.
    CandleRecord {
        position: u64,
        interval_nanos: i64,
        open_at: i64,
        open: u64,
        high: u64,
        low: u64,
        close: u64,
        volume: Wide,
        quote_volume: Wide,
        taker_buy_volume: Wide,
        trade_count: u64,
        instrument: u32,
        /// `CANDLE_...` bits.
        flags: u32,
    }
}

/// Bits 0 and 1 of a candle's flags: made from trades, by the venue, by a file.
pub const CANDLE_ORIGIN_MASK: u32 = 0b11;
pub const CANDLE_PRICES: u32 = 1 << 2;
pub const CANDLE_QUOTE_VOLUME: u32 = 1 << 3;
pub const CANDLE_TRADE_COUNT: u32 = 1 << 4;
pub const CANDLE_TAKER_BUY_VOLUME: u32 = 1 << 5;

record! {
    /// Time has passed in the partitions that its items name.
    TickRecord {
        venue_at: i64,
        first: u32,
        count: u32,
    }
}

record! {
    /// Nobody listened between two moments.
    UnwatchedRecord {
        position: u64,
        from: i64,
        to: i64,
        instrument: u32,
        zero: u32,
    }
}

record! {
    /// A text for the partitions that its items name: configuration, version.
    TextRecord {
        first: u32,
        count: u32,
        text: u32,
        bytes: u32,
    }
}

record! {
    /// The event at that position of the partition was quarantined.
    SkippedRecord {
        position: u64,
        skipped: u64,
        partition: u32,
        text: u32,
        bytes: u32,
        zero: u32,
    }
}

record! {
    /// The venue cannot give the trades of these ids, both included.
    UnfillableRecord {
        position: u64,
        first_id: u64,
        last_id: u64,
        instrument: u32,
        /// 0 not at the venue, 1 out of reach, 2 refused.
        reason: u32,
    }
}

record! {
    /// The venue's side of an instrument changed.
    StatusRecord {
        position: u64,
        venue_at: i64,
        instrument: u32,
        /// 0 live, 1 stale, 2 down, 3 unlisted.
        status: u32,
    }
}

record! {
    /// A tick that was quarantined for one instrument, and why.
    SkippedTickRecord {
        position: u64,
        /// Position of the tick.
        skipped: u64,
        instrument: u32,
        text: u32,
        bytes: u32,
        zero: u32,
    }
}

record! {
    /// A candle that stands apart from the same asset's elsewhere. Floats as their bits.
    DivergenceRecord {
        position: u64,
        close_at: i64,
        since: i64,
        interval_nanos: i64,
        cause_seq: u64,
        price: u64,
        apart: u64,
        premium: u64,
        spread: u64,
        z: u64,
        z_min: u64,
        score: u64,
        threshold: u64,
        tail: u64,
        instrument: u32,
        /// 1: all that it rests on lies behind the last hole.
        complete: u32,
        /// Offset of the names of those it was held against, which those of the missing follow; separated by commas.
        text: u32,
        against_bytes: u32,
        missing_bytes: u32,
        zero: u32,
    }
}

record! {
    /// A closed candle, as the comparison across instruments heard of it.
    ClosedRecord {
        position: u64,
        close_at: i64,
        cause_seq: u64,
        /// Its close; 0 where it has none.
        price: u64,
        instrument: u32,
        /// `CLOSED_...` bits.
        flags: u32,
    }
}

/// Bits 0 and 1 of its flags: it closed at a price, nothing traded, a hole.
pub const CLOSED_SAID_MASK: u32 = 0b11;
pub const CLOSED_QUIET: u32 = 1 << 2;
pub const CLOSED_HELD: u32 = 1 << 3;

record! {
    /// What an instrument has told because of its events up to one of them, counted and hashed.
    OutputsRecord {
        position: u64,
        /// Position of that event.
        upto: u64,
        count: u64,
        hash_low: u64,
        hash_high: u64,
        instrument: u32,
        zero: u32,
    }
}

/// The items of kinds that have none.
impl Layout for u8 {
    const SCHEMA: &'static str = "u8";
}

impl<R, I> Run<R, I> {
    pub fn new() -> Self {
        Self { records: Vec::new(), items: Vec::new(), text: Vec::new() }
    }

    pub fn clear(&mut self) {
        self.records.clear();
        self.items.clear();
        self.text.clear();
    }

    /// Bytes of its content, without what the archive adds.
    pub fn content_bytes(&self) -> usize {
        size_of_val(self.records.as_slice()) + size_of_val(self.items.as_slice()) + self.text.len()
    }
}

impl<R, I> Default for Run<R, I> {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use rkyv::rancor::Panic;

    use super::*;

    #[test]
    fn the_schema_names_each_field_in_order() {
        assert_eq!(TickRecord::SCHEMA, "TickRecord{venue_at:i64,first:u32,count:u32,}");
    }

    #[test]
    fn records_are_written_as_they_stand() {
        let mut run = Run::<Reach, u8>::new();
        run.records.push(Reach { position: 0x0807_0605_0403_0201, partition: 0x0c0b_0a09, zero: 0 });
        run.text.extend_from_slice(b"text");
        let bytes = rkyv::to_bytes::<Panic>(&run).unwrap();
        assert_eq!(bytes[..16], [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 0, 0, 0, 0]);
        assert_eq!(&bytes[16..20], b"text");
        // Three times (offset relative to itself, length), the root.
        assert_eq!(bytes.len(), 20 + 24);
        assert_eq!(bytes[20..28], [(-20i32).to_le_bytes(), 1u32.to_le_bytes()].concat());
    }

    #[test]
    fn an_archived_record_is_as_large_as_the_record() {
        assert_eq!(size_of::<ArchivedTradeRecord>(), 64);
        assert_eq!(size_of::<ArchivedCandleRecord>(), size_of::<CandleRecord>());
        assert_eq!(size_of::<ArchivedRun<TradeRecord, u8>>(), 24);
    }
}
