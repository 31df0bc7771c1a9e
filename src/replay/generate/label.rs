//! Labels: what the generator put into a market, and when.
//!
//! One JSON object a line: `kind`, `instrument`, `from`, `to`, `first_id` and `last_id` (where
//! trades are meant), `magnitude` with its `unit`, and `detail` (where a kind has variants).
//! What each kind means by them stands in `docs/generator.md`.

use serde::Serialize;

use crate::domain::decimal::Decimal;
use crate::domain::time::UnixNanos;

/// What a label tells of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum LabelKind {
    /// Trades that were made and never delivered.
    Gap,
    /// An equal copy of a trade that was delivered before.
    Duplicate,
    /// An unequal copy of a trade that was delivered before.
    Conflicting,
    /// A trade that was delivered behind newer ones.
    Late,
    /// Nothing traded at the venue.
    Silence,
    /// The price moved at once.
    Jump,
    /// A stretch of one volatility.
    Regime,
    /// The price was bought up and fell back.
    Pump,
    /// The price was sold down and recovered.
    Crash,
    /// Many trades, and large ones, without a direction.
    VolumeBurst,
    /// Buyers paid and sellers got far off the middle.
    WideSpread,
}

impl LabelKind {
    pub fn name(self) -> &'static str {
        match self {
            Self::Gap => "gap",
            Self::Duplicate => "duplicate",
            Self::Conflicting => "conflicting",
            Self::Late => "late",
            Self::Silence => "silence",
            Self::Jump => "jump",
            Self::Regime => "regime",
            Self::Pump => "pump",
            Self::Crash => "crash",
            Self::VolumeBurst => "volume_burst",
            Self::WideSpread => "wide_spread",
        }
    }

    /// What the magnitude counts.
    pub fn unit(self) -> &'static str {
        match self {
            Self::Gap => "trades",
            Self::Duplicate | Self::Conflicting => "copies",
            Self::Late | Self::Silence => "seconds",
            Self::Jump | Self::Pump | Self::Crash | Self::WideSpread => "fraction",
            Self::Regime | Self::VolumeBurst => "times",
        }
    }
}

/// `mantissa * 10^-scale`, with a sign.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Magnitude {
    pub mantissa: i64,
    pub scale: u32,
}

impl Magnitude {
    pub fn count(count: u64) -> Self {
        Self { mantissa: count as i64, scale: 0 }
    }

    pub fn millionths(mantissa: i64) -> Self {
        Self { mantissa, scale: 6 }
    }

    pub fn seconds(nanos: i64) -> Self {
        Self { mantissa: nanos, scale: 9 }
    }

    /// The nearest binary float.
    pub fn to_f64(self) -> f64 {
        let value = self.decimal().to_f64();
        if self.mantissa < 0 { -value } else { value }
    }

    fn decimal(self) -> Decimal {
        Decimal::new(self.mantissa.unsigned_abs(), self.scale).expect("magnitudes are short numbers")
    }
}

/// One thing that was put into a market.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Label {
    pub kind: LabelKind,
    /// Position in the market's list of instruments.
    pub symbol: usize,
    pub from: UnixNanos,
    pub to: UnixNanos,
    /// First and last trade id, both included, where trades are meant.
    pub ids: Option<(u64, u64)>,
    pub magnitude: Magnitude,
    /// The variant: name of a regime, field that differs.
    pub detail: Option<&'static str>,
}

/// Keeps labels until they are fetched, or drops them all.
pub struct LabelLog {
    kept: Option<Vec<Label>>,
}

impl LabelLog {
    pub fn keeping() -> Self {
        Self { kept: Some(Vec::new()) }
    }

    /// For those who read trades alone: nothing may pile up.
    pub fn dropping() -> Self {
        Self { kept: None }
    }

    pub fn tell(&mut self, label: Label) {
        if let Some(kept) = &mut self.kept {
            kept.push(label);
        }
    }

    /// What was told since the last time.
    pub fn take(&mut self) -> Vec<Label> {
        self.kept.as_mut().map(std::mem::take).unwrap_or_default()
    }
}

impl Label {
    /// Appends the line, its end included. `instrument` is the text of the instrument.
    pub fn write_to(&self, instrument: &str, out: &mut Vec<u8>) {
        out.extend_from_slice(b"{\"kind\":\"");
        out.extend_from_slice(self.kind.name().as_bytes());
        out.extend_from_slice(b"\",\"instrument\":\"");
        out.extend_from_slice(instrument.as_bytes());
        out.extend_from_slice(b"\",\"from\":\"");
        self.from.write_to(out);
        out.extend_from_slice(b"\",\"to\":\"");
        self.to.write_to(out);
        out.push(b'"');
        if let Some((first, last)) = self.ids {
            out.extend_from_slice(format!(",\"first_id\":\"{first}\",\"last_id\":\"{last}\"").as_bytes());
        }
        out.extend_from_slice(b",\"magnitude\":");
        if self.magnitude.mantissa < 0 {
            out.push(b'-');
        }
        self.magnitude.decimal().write_to(out);
        out.extend_from_slice(b",\"unit\":\"");
        out.extend_from_slice(self.kind.unit().as_bytes());
        out.push(b'"');
        if let Some(detail) = self.detail {
            out.extend_from_slice(b",\"detail\":\"");
            out.extend_from_slice(detail.as_bytes());
            out.push(b'"');
        }
        out.extend_from_slice(b"}\n");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_line(label: &Label, expected: &str) {
        let mut line = Vec::new();
        label.write_to("binance:BTC-USDT", &mut line);
        assert_eq!(String::from_utf8(line).unwrap(), format!("{expected}\n"));
    }

    #[test]
    fn a_label_is_one_line_of_json() {
        let mut label = Label {
            kind: LabelKind::Gap,
            symbol: 0,
            from: UnixNanos(1_714_521_600_000_000_000),
            to: UnixNanos(1_714_521_601_500_000_000),
            ids: Some((7, 9)),
            magnitude: Magnitude::count(3),
            detail: None,
        };
        check_line(
            &label,
            r#"{"kind":"gap","instrument":"binance:BTC-USDT","from":"2024-05-01T00:00:00Z","to":"2024-05-01T00:00:01.500Z","first_id":"7","last_id":"9","magnitude":3,"unit":"trades"}"#,
        );
        label.kind = LabelKind::Jump;
        label.ids = None;
        label.magnitude = Magnitude::millionths(-12_300);
        label.detail = Some("x");
        check_line(
            &label,
            r#"{"kind":"jump","instrument":"binance:BTC-USDT","from":"2024-05-01T00:00:00Z","to":"2024-05-01T00:00:01.500Z","magnitude":-0.0123,"unit":"fraction","detail":"x"}"#,
        );
    }
}
