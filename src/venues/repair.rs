//! Who hears of gaps, and has them filled.

use std::sync::Arc;

use crate::domain::output::Gap;
use crate::domain::standing::Standing;
use crate::domain::told::{Told, Watch};
use crate::runtime::clock::Mono;
use crate::runtime::sink::{Batch, Heard, Sink};
use crate::venues::desk::Desk;

/// Hears of gaps among what is told, and notes them in their venue's book. Keeps nothing but what is open.
pub struct Repairer {
    /// By watch.
    desks: Vec<Option<Arc<Desk>>>,
}

impl Repairer {
    /// `desks`: by watch, `None` for instruments that nobody watches any more.
    pub fn new(desks: Vec<Option<Arc<Desk>>>) -> Self {
        Self { desks }
    }

    fn heed(&self, watch: Watch, gap: &Gap) {
        if let Some(Some(desk)) = self.desks.get(watch.0 as usize) {
            desk.gaps.heed(watch, gap, Mono::now());
            desk.bell.notify_one();
        }
    }
}

impl Sink for Repairer {
    fn name(&self) -> &'static str {
        "gap_repair"
    }

    fn heard(&self, _watch: Watch) -> Heard {
        Heard::ALL
    }

    fn offer(&self, batch: &Arc<Batch>) {
        for telling in &batch.tellings {
            if let Told::Gap(gap) = &telling.told {
                self.heed(telling.watch, gap);
            }
        }
    }

    /// What a snapshot holds is not told again, and would be asked for by nobody.
    fn stand(&self, watch: Watch, standing: &Standing) {
        standing.gaps.iter().for_each(|gap| self.heed(watch, gap));
    }
}
