//! How a series closes intervals without a trade.

use crate::analytics::desk::Desk;
use crate::analytics::quiet::{Growth, Quiet, STRETCH_MIN, Told, quiet_candle, together};
use crate::analytics::series::Series;
use crate::domain::output::OutputSink;
use crate::domain::time::UnixNanos;

impl Series {
    /// Closes the quiet intervals up to `until`, which is aligned.
    pub fn close_quiet<S: OutputSink>(&mut self, until: UnixNanos, desk: &mut Desk<'_, S>) {
        if until <= self.closed_until {
            return;
        }
        self.told_any = true;
        let from = self.closed_until;
        self.closed_until = until;
        if desk.ending || !desk.gaps.touches(from, until) {
            self.close_run(from, until, desk.ending, desk);
        } else {
            self.close_shaded(from, until, desk);
        }
    }

    #[cold]
    #[inline(never)]
    fn close_shaded<S: OutputSink>(&mut self, from: UnixNanos, until: UnixNanos, desk: &mut Desk<'_, S>) {
        for (from, until, unknown) in self.shaded(from, until, desk) {
            self.close_run(from, until, unknown, desk);
        }
    }

    /// `[from, until)` as runs of intervals that holes touch or do not.
    pub fn shaded<S: OutputSink>(
        &self,
        from: UnixNanos,
        until: UnixNanos,
        desk: &Desk<'_, S>,
    ) -> Vec<(UnixNanos, UnixNanos, bool)> {
        let mut runs: Vec<(UnixNanos, UnixNanos, bool)> = Vec::new();
        let mut at = from;
        for (dark_from, dark_to) in desk.gaps.shadows(from, until) {
            let dark_open = self.interval.open_of(dark_from).max(at);
            let dark_close = self.interval.close_of(self.interval.open_of(dark_to)).min(until);
            if dark_close <= at {
                continue;
            }
            if dark_open > at {
                runs.push((at, dark_open, false));
            }
            match runs.last_mut() {
                Some(last) if last.2 && last.1 == dark_open => last.1 = dark_close,
                _ => runs.push((dark_open, dark_close, true)),
            }
            at = dark_close;
        }
        if at < until {
            runs.push((at, until, false));
        }
        runs
    }

    #[inline]
    pub fn close_run<S: OutputSink>(
        &mut self,
        from: UnixNanos,
        until: UnixNanos,
        unknown: bool,
        desk: &mut Desk<'_, S>,
    ) {
        let count = (until.0 - from.0) / self.interval.nanos();
        // With the runs of the same state that it continues it may have become one row.
        let (mut total, mut start, mut joined) = (count, from, 0usize);
        while let Some(run) = self.quiet.len().checked_sub(joined + 1).and_then(|at| self.quiet.get(at)) {
            if run.unknown != unknown || run.end(self.interval) != start {
                break;
            }
            (total, start, joined) = (total + run.count, run.first_open, joined + 1);
        }
        if joined == 0 {
            self.finish_stretch(desk);
        }
        if total > STRETCH_MIN {
            let old = self.quiet.split_off(self.quiet.len() - joined);
            let inside = old.iter().flat_map(|run| run.pieces(self.interval, start, until)).collect();
            let told = old.first().and_then(Quiet::stretch);
            let told = Told::Growing(Box::new(Growth { inside, told }));
            self.may_grow = true;
            self.quiet.push_back(Quiet { first_open: start, count: total, unknown, revision: 0, told });
            return;
        }
        match self.quiet.back_mut() {
            Some(last) if joined > 0 && last.revision == 0 && last.told == Told::Singly => {
                last.count += count
            }
            _ => {
                let told = Told::Singly;
                self.quiet.push_back(Quiet { first_open: from, count, unknown, revision: 0, told });
            }
        }
        for i in 0..count {
            let open_at = UnixNanos(from.0 + i * self.interval.nanos());
            desk.tell(&quiet_candle(self.interval, open_at, 1, unknown, 0, desk.origin));
        }
    }

    /// Tells a long run of quiet whose end is now known.
    #[inline]
    pub fn finish_stretch<S: OutputSink>(&mut self, desk: &mut Desk<'_, S>) {
        if self.may_grow {
            self.finish_stretch_told(desk);
        }
    }

    #[cold]
    fn finish_stretch_told<S: OutputSink>(&mut self, desk: &mut Desk<'_, S>) {
        self.may_grow = false;
        if let Some(last) = self.quiet.back_mut()
            && let Told::Growing(growth) = &mut last.told
        {
            let (inside, told) = (std::mem::take(&mut growth.inside), growth.told);
            if let Some(told) = told.filter(|told| (told.count, told.unknown) == (last.count, last.unknown)) {
                // It grew, and a late trade has cut off what it grew by: nothing new.
                last.revision = told.revision;
                last.told = Told::Together(inside.into());
                return;
            }
            last.revision = inside
                .first()
                .filter(|piece| piece.first_open == last.first_open)
                .map_or(0, |piece| piece.revision + 1);
            last.told = Told::Together(inside.into());
            let row = together(self.interval, last, desk.origin);
            desk.tell(&row);
        }
    }

    /// The revision of the next row told at that open time, where a quiet one may have been told.
    pub fn next_revision_of_quiet(&self, open_at: UnixNanos) -> u32 {
        let after = self.quiet.partition_point(|run| run.first_open <= open_at);
        let run = after.checked_sub(1).map(|at| &self.quiet[at]);
        run.filter(|run| open_at < run.end(self.interval))
            .map_or(0, |run| run.next_revision(self.interval, open_at))
    }
}
