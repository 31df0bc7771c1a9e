//! Kinds of records: number, name, and the hash of what their blocks look like.
//!
//! Each segment carries a table of the kinds its writer knew. A reader matches them by name
//! and compares the hashes, block by block: so a new kind never makes an old segment
//! unreadable, an unknown one is refused by its name, and a changed struct is noticed.

use crate::journal::record::{
    BackfillRecord, CandleRecord, ClosedRecord, DivergenceRecord, InstrumentRecord, Layout, OutputsRecord,
    Reach, SkippedRecord, SkippedTickRecord, StatusRecord, TextRecord, TickRecord, TradeRecord,
    UnfillableRecord, UnwatchedRecord,
};

/// What a block holds. Numbers and names are never used again for something else.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// How far each partition had come when the segment was begun: the first block of each.
    Positions,
    /// Numbers for instruments, within the segment.
    Instrument,
    Trade,
    Backfill,
    Candle,
    Tick,
    Unwatched,
    /// The configuration that the journal is made under, as TOML.
    Config,
    /// The version of the engine.
    Version,
    /// A quarantined event.
    Skipped,
    Unfillable,
    Status,
    /// How much an instrument has told, and a hash of it.
    Outputs,
    /// A tick that was quarantined for one instrument.
    SkippedTick,
    /// A candle that stands apart from other venues'.
    Divergence,
    /// A closed candle that is compared: of the comparison's own log.
    Closed,
}

impl Kind {
    pub const ALL: [Self; 16] = [
        Self::Positions,
        Self::Instrument,
        Self::Trade,
        Self::Backfill,
        Self::Candle,
        Self::Tick,
        Self::Unwatched,
        Self::Config,
        Self::Version,
        Self::Skipped,
        Self::Unfillable,
        Self::Status,
        Self::Outputs,
        Self::SkippedTick,
        Self::Divergence,
        Self::Closed,
    ];

    pub fn id(self) -> u16 {
        match self {
            Self::Positions => 1,
            Self::Instrument => 2,
            Self::Trade => 3,
            Self::Backfill => 4,
            Self::Candle => 5,
            Self::Tick => 6,
            Self::Unwatched => 7,
            Self::Config => 8,
            Self::Version => 9,
            Self::Skipped => 10,
            Self::Unfillable => 11,
            Self::Status => 12,
            Self::Outputs => 13,
            Self::SkippedTick => 14,
            Self::Divergence => 15,
            Self::Closed => 16,
        }
    }

    /// At most 16 bytes.
    pub fn name(self) -> &'static str {
        match self {
            Self::Positions => "positions",
            Self::Instrument => "instrument",
            Self::Trade => "trade",
            Self::Backfill => "backfill",
            Self::Candle => "candle",
            Self::Tick => "tick",
            Self::Unwatched => "unwatched",
            Self::Config => "config",
            Self::Version => "version",
            Self::Skipped => "skipped",
            Self::Unfillable => "unfillable",
            Self::Status => "status",
            Self::Outputs => "outputs",
            Self::SkippedTick => "skipped_tick",
            Self::Divergence => "divergence",
            Self::Closed => "closed",
        }
    }

    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// Hash of its record and its items.
    pub fn schema(self) -> u64 {
        let (record, item) = match self {
            Self::Positions => (Reach::SCHEMA, u8::SCHEMA),
            Self::Instrument => (InstrumentRecord::SCHEMA, u8::SCHEMA),
            Self::Trade => (TradeRecord::SCHEMA, u8::SCHEMA),
            Self::Backfill => (BackfillRecord::SCHEMA, TradeRecord::SCHEMA),
            Self::Candle => (CandleRecord::SCHEMA, u8::SCHEMA),
            Self::Tick => (TickRecord::SCHEMA, Reach::SCHEMA),
            Self::Unwatched => (UnwatchedRecord::SCHEMA, u8::SCHEMA),
            Self::Config | Self::Version => (TextRecord::SCHEMA, Reach::SCHEMA),
            Self::Skipped => (SkippedRecord::SCHEMA, u8::SCHEMA),
            Self::Unfillable => (UnfillableRecord::SCHEMA, u8::SCHEMA),
            Self::Status => (StatusRecord::SCHEMA, u8::SCHEMA),
            Self::Outputs => (OutputsRecord::SCHEMA, u8::SCHEMA),
            Self::SkippedTick => (SkippedTickRecord::SCHEMA, u8::SCHEMA),
            Self::Divergence => (DivergenceRecord::SCHEMA, u8::SCHEMA),
            Self::Closed => (ClosedRecord::SCHEMA, u8::SCHEMA),
        };
        hash(self.name(), record, item)
    }
}

fn hash(name: &str, record: &str, item: &str) -> u64 {
    let hash = blake3::hash(format!("{name}|{record}|{item}").as_bytes());
    u64::from_le_bytes(hash.as_bytes()[..8].try_into().expect("a hash has 32 bytes"))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// A line that fails here is a struct that changed: make it a new kind instead.
    #[test]
    fn released_kinds_never_change() {
        let check = |kind: Kind, id: u16, name: &str, schema: u64| {
            assert_eq!((kind.id(), kind.name()), (id, name));
            assert_eq!(format!("{:016x}", kind.schema()), format!("{schema:016x}"), "{name}");
        };
        check(Kind::Positions, 1, "positions", 0x97f4_a485_5f2d_a979);
        check(Kind::Instrument, 2, "instrument", 0x1211_4277_6635_11a6);
        check(Kind::Trade, 3, "trade", 0xa3e0_7c29_f0bd_8d55);
        check(Kind::Backfill, 4, "backfill", 0xe740_dad6_30a5_6fb4);
        check(Kind::Candle, 5, "candle", 0x083a_fb28_7a71_f73a);
        check(Kind::Tick, 6, "tick", 0xd28f_c78b_01df_c5cc);
        check(Kind::Unwatched, 7, "unwatched", 0x3ce2_7473_73ee_e1ca);
        check(Kind::Config, 8, "config", 0x4d67_a2e3_6edf_5968);
        check(Kind::Version, 9, "version", 0xfffe_e2e0_fa55_b4af);
        check(Kind::Skipped, 10, "skipped", 0xc0e7_5318_9433_c9ce);
        check(Kind::Unfillable, 11, "unfillable", 0x98db_6a42_5519_7803);
        check(Kind::Status, 12, "status", 0xdcf0_2c14_e2d6_6a2c);
        check(Kind::Outputs, 13, "outputs", 0x6f00_520e_883a_edb5);
        check(Kind::SkippedTick, 14, "skipped_tick", 0x4110_8821_74b1_9dbc);
        check(Kind::Divergence, 15, "divergence", 0x9825_67ba_0042_c98f);
        check(Kind::Closed, 16, "closed", 0xd826_ee78_4a41_cce9);
    }

    #[test]
    fn numbers_names_and_hashes_are_distinct() {
        let count = Kind::ALL.len();
        assert_eq!(Kind::ALL.map(Kind::id).into_iter().collect::<BTreeSet<_>>().len(), count);
        assert_eq!(Kind::ALL.map(Kind::name).into_iter().collect::<BTreeSet<_>>().len(), count);
        assert_eq!(Kind::ALL.map(Kind::schema).into_iter().collect::<BTreeSet<_>>().len(), count);
        for kind in Kind::ALL {
            assert_eq!(Kind::from_name(kind.name()), Some(kind));
            assert!(kind.name().len() <= 16);
        }
    }

    #[test]
    fn a_swapped_field_is_another_schema() {
        assert_ne!(hash("x", "A{a:u64,b:u64,}", "u8"), hash("x", "A{b:u64,a:u64,}", "u8"));
    }
}
