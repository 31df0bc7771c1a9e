//! The channels of the feed, and what of a message a filter looks at.

use crate::domain::insight::{Severity, SignalKind};
use crate::domain::told::{Told, Watch};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Channel {
    Signals,
    Anomalies,
    Forecasts,
    Candles,
    Indicators,
    Trades,
    Gaps,
    Status,
}

impl Channel {
    pub const ALL: [Self; 8] = [
        Self::Signals,
        Self::Anomalies,
        Self::Forecasts,
        Self::Candles,
        Self::Indicators,
        Self::Trades,
        Self::Gaps,
        Self::Status,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::Signals => "signals",
            Self::Anomalies => "anomalies",
            Self::Forecasts => "forecasts",
            Self::Candles => "candles",
            Self::Indicators => "indicators",
            Self::Trades => "trades",
            Self::Gaps => "gaps",
            Self::Status => "status",
        }
    }

    /// The `type` of its messages.
    pub fn message_type(self) -> &'static str {
        match self {
            Self::Signals => "signal",
            Self::Anomalies => "anomaly",
            Self::Forecasts => "forecast",
            Self::Candles => "candle",
            Self::Indicators => "indicator",
            Self::Trades => "trade",
            // `gap` is a hole in the feed itself.
            Self::Gaps => "data_gap",
            Self::Status => "status",
        }
    }

    /// Whether its messages are written before they are sent. Trades and indicators are too many: they
    /// live in the ring alone.
    pub fn is_kept(self) -> bool {
        !matches!(self, Self::Indicators | Self::Trades)
    }

    /// The channel of what was told; `None` where nobody is told of it.
    pub fn of(told: &Told) -> Option<Self> {
        Some(match told {
            Told::Trade(_) => Self::Trades,
            Told::Candle(_) => Self::Candles,
            Told::Indicator(_) => Self::Indicators,
            Told::Gap(_) => Self::Gaps,
            Told::Anomaly(_) => Self::Anomalies,
            Told::Forecast(_) => Self::Forecasts,
            Told::Signal(_) => Self::Signals,
            Told::Outcome(_) | Told::Score(_) | Told::Refused { .. } => return None,
        })
    }

    pub fn bit(self) -> u8 {
        1 << self as u8
    }
}

/// What of a message a filter looks at; also its tag in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Topic {
    /// `None`: it concerns the engine, whatever instruments are asked for.
    pub watch: Option<Watch>,
    pub channel: Channel,
    /// Of signals.
    pub kind: Option<SignalKind>,
    /// Of signals.
    pub severity: Option<Severity>,
}

impl Topic {
    pub fn of(watch: Watch, channel: Channel, told: &Told) -> Self {
        let (kind, severity) = match told {
            Told::Signal(signal) => (Some(signal.kind), Some(signal.severity)),
            _ => (None, None),
        };
        Self { watch: Some(watch), channel, kind, severity }
    }

    pub fn tag(self) -> [u8; 3] {
        let place = |place: Option<u8>| place.map_or(0, |place| place + 1);
        [
            self.channel as u8,
            place(self.kind.map(|kind| kind as u8)),
            place(self.severity.map(|severity| severity as u8)),
        ]
    }

    /// `None` for tags of another version.
    pub fn of_tag(watch: Option<Watch>, tag: [u8; 3]) -> Option<Self> {
        let channel = *Channel::ALL.get(usize::from(tag[0]))?;
        let kind = match tag[1] {
            0 => None,
            place => Some(*SignalKind::ALL.get(usize::from(place) - 1)?),
        };
        let severity = match tag[2] {
            0 => None,
            place => Some(*Severity::ALL.get(usize::from(place) - 1)?),
        };
        Some(Self { watch, channel, kind, severity })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_read_as_written() {
        let mut seen = 0;
        for channel in Channel::ALL {
            assert_eq!(Channel::ALL[channel as usize], channel);
            for kind in [None].into_iter().chain(SignalKind::ALL.map(Some)) {
                for severity in [None].into_iter().chain(Severity::ALL.map(Some)) {
                    let topic = Topic { watch: Some(Watch(3)), channel, kind, severity };
                    assert_eq!(Topic::of_tag(Some(Watch(3)), topic.tag()), Some(topic));
                    seen += 1;
                }
            }
        }
        assert_eq!(seen, 8 * 6 * 4);
        for tag in [[8, 0, 0], [0, 6, 0], [0, 0, 4], [255, 255, 255]] {
            assert_eq!(Topic::of_tag(None, tag), None);
        }
    }
}
