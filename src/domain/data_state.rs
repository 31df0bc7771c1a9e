//! Whether a statistic rests on whole data.

/// Of an indicator, a forecast, an anomaly, a signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DataState {
    Complete,
    /// A partial or unknown interval lies within its warm-up length.
    Partial,
}

impl DataState {
    pub fn name(self) -> &'static str {
        match self {
            Self::Complete => "complete",
            Self::Partial => "partial",
        }
    }
}
