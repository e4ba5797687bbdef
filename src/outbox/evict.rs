//! Making room: the part of the chain that carries out what [`super::room`] plans.
//!
//! A loss is noted in `gaps`, durably, before any file changes. From then on those numbers count as gone,
//! even where their bytes are still there after a crash.

use std::io;
use std::sync::Arc;

use super::about::About;
use super::chain::Chain;
use super::layout::{self, Kind};
use super::ranges::{PerStream, RangeSet};
use super::room::{self, Held, Step};
use super::salvage::{self, Source};
use super::segment::{SegmentError, directory_bytes};
use super::space;
use super::state::Closed;
use crate::event::{GapReason, Stream};

/// Steps in one go while a commit waits for room, at most.
const STEPS: usize = 8;
/// A head of this size is sealed when nothing else can make room, bytes.
const HEAD: u64 = 1 << 20;

impl Chain {
    /// Measures what is stored and makes one step of room where there is too much or too little is free;
    /// with enough free, the reserve is taken again.
    ///
    /// # Errors
    /// [`SegmentError`]; it is tried again later.
    pub fn keep_room(&mut self) -> Result<(), SegmentError> {
        let closed = self.shared.state().closed.clone();
        let sealed = closed.iter().map(|(n, closed)| (*n, closed.bytes));
        let used = self.space.used(&sealed.collect());
        self.shared.used.set(used as f64);
        let over = self.space.is_over(used);
        if !over && !self.space.is_low() {
            self.space.restore();
            return Ok(());
        }
        tracing::debug!(used, quota = self.space.quota, over, "making room");
        if layout::remove_bad(&self.layout.dir)? || self.make_step()? {
            self.must_measure = true;
            return Ok(());
        }
        let head = self
            .shared
            .state()
            .head
            .as_ref()
            .map(|head| Arc::clone(&head.segment));
        if head.is_some_and(|head| head.disk_bytes() >= HEAD) && self.stored() > 0 {
            self.rotate()?;
            self.must_measure = true;
        }
        Ok(())
    }

    /// Makes room after a write failed for lack of it; the head is closed. True when there is more room now.
    ///
    /// # Errors
    /// Any I/O error; whatever was begun is finished or undone at the next start.
    pub fn make_room(&mut self) -> Result<bool, SegmentError> {
        self.must_measure = true;
        let mut made = self.space.release();
        made |= layout::remove_bad(&self.layout.dir)?;
        for _ in 0..STEPS {
            if !self.space.is_low() || !self.make_step()? {
                break;
            }
            made = true;
        }
        Ok(made)
    }

    /// One step; false when there is nothing to gain.
    fn make_step(&mut self) -> Result<bool, SegmentError> {
        let held = self.held();
        let limit = self.layout.segment_events;
        let Some(step) = room::next_step(&held, limit, true) else {
            return Ok(false);
        };
        match self.carry_out(&step) {
            Err(SegmentError::Io(error)) if space::is_full(&error) => {}
            Err(SegmentError::Damaged(why)) if space::no_room(&self.layout.dir) => {
                tracing::warn!(why, "no room to write a segment anew");
            }
            outcome => return outcome.map(|()| true),
        }
        if self.space.release() {
            return Ok(true);
        }
        match room::next_step(&self.held(), limit, false) {
            Some(step) => self.carry_out(&step).map(|()| true),
            None => Ok(false),
        }
    }

    /// The sealed segments as the plan wants them. Damaged ones are left to their repair.
    fn held(&self) -> Vec<Held> {
        let state = self.shared.state();
        let sound = state
            .closed
            .iter()
            .filter(|(n, _)| !state.damaged.contains(n));
        let held = sound.map(|(&ordinal, closed)| Held {
            ordinal,
            bytes: closed.bytes,
            total: closed.present.0.iter().map(RangeSet::total).sum(),
            pending: PerStream::new(|stream| {
                let acked = &state.streams[stream].acked;
                closed.present[stream].difference(acked).total()
            }),
        });
        held.collect()
    }

    fn carry_out(&mut self, step: &Step) -> Result<(), SegmentError> {
        let lost = self.give_up(step)?;
        // The cloud's acknowledgements are the only witness of what goes without a gap: both slots know them.
        self.store_acks()?;
        self.store_acks()?;
        let shared = Arc::clone(&self.shared);
        let mut tail = shared.tail();
        // Nobody opens a segment as long as this guard lives.
        tail.take_if(|tail| step.ordinals.contains(&tail.ordinal));
        self.rewrite(&step.ordinals)?;
        drop(tail);
        let lost: u64 = lost.0.iter().map(RangeSet::total).sum();
        tracing::warn!(segments = ?step.ordinals, kept = step.kept, lost, "room made");
        Ok(())
    }

    /// Notes what this step gives up: first durably, then for everybody.
    fn give_up(&mut self, step: &Step) -> io::Result<PerStream<RangeSet>> {
        let state = self.shared.state();
        let reported = state.streams[Stream::Alarm].acked.clone();
        let lost = PerStream::new(|stream| {
            let mut lost = RangeSet::default();
            if room::goes(stream, step.give_up) {
                for closed in step.ordinals.iter().filter_map(|n| state.closed.get(n)) {
                    lost.extend(&closed.present[stream].difference(&state.streams[stream].acked));
                }
            }
            lost
        });
        drop(state);
        if lost.0.iter().all(|lost| lost.total() == 0) {
            return Ok(lost);
        }
        let mut gaps = self.gaps.clone();
        for (stream, lost) in lost.iter() {
            gaps.add(stream, lost, GapReason::Quota);
        }
        // What was reported in an alarm that goes is reported again.
        gaps.unreport(&lost[Stream::Alarm]);
        gaps.join(&reported);
        self.note(gaps)?;
        let mut state = self.shared.state();
        for (stream, lost) in lost.iter() {
            state.streams[stream].acked.extend(lost);
            state.streams[stream].absent.extend(lost);
            for ordinal in &step.ordinals {
                if let Some(closed) = state.closed.get_mut(ordinal) {
                    closed.present[stream] = closed.present[stream].difference(lost);
                }
            }
        }
        state.unstored_acks += 1;
        Ok(lost)
    }

    /// Replaces neighbouring sealed segments by one of their unacknowledged events. The caller keeps readers away.
    fn rewrite(&mut self, ordinals: &[u64]) -> Result<(), SegmentError> {
        let Some(&first) = ordinals.first() else {
            return Ok(());
        };
        let dir = self.layout.dir.clone();
        let state = self.shared.state();
        let mut had = PerStream::<RangeSet>::default();
        let mut keep = PerStream::<RangeSet>::default();
        let mut wanted = Vec::new();
        for (&ordinal, closed) in ordinals
            .iter()
            .filter_map(|n| state.closed.get_key_value(n))
        {
            let of_this = PerStream::new(|stream| {
                closed.present[stream].difference(&state.streams[stream].acked)
            });
            for stream in Stream::ALL {
                had[stream].extend(&closed.present[stream]);
                keep[stream].extend(&of_this[stream]);
            }
            wanted.push((ordinal, of_this));
        }
        drop(state);
        let any = keep.0.iter().any(|set| set.total() > 0);
        if any && !self.write_anew(wanted, first, &keep)? {
            return Ok(());
        }
        for &ordinal in ordinals {
            layout::rename(&dir, Kind::Segment, Kind::Deleted, ordinal)?;
            if ordinal == first && any {
                layout::rename(&dir, Kind::New, Kind::Segment, first)?;
            }
        }
        let bytes = directory_bytes(&Kind::Segment.path(&dir, first));
        let mut state = self.shared.state();
        for ordinal in ordinals {
            state.closed.remove(ordinal);
        }
        for (stream, had) in had.iter() {
            state.streams[stream]
                .absent
                .extend(&had.difference(&keep[stream]));
        }
        if any {
            let present = keep;
            state.closed.insert(first, Closed { present, bytes });
        }
        drop(state);
        for &ordinal in ordinals {
            layout::remove(&Kind::Deleted.path(&dir, ordinal))?;
        }
        Ok(())
    }

    /// Writes what stays into a segment in the making; false when it is not all found: the old ones are then
    /// looked at and repaired first.
    fn write_anew(
        &self,
        wanted: Vec<(u64, PerStream<RangeSet>)>,
        first: u64,
        keep: &PerStream<RangeSet>,
    ) -> Result<bool, SegmentError> {
        let dir = &self.layout.dir;
        let mut ordinals = Vec::new();
        let mut sources = Vec::new();
        for (ordinal, keep) in wanted {
            let dir = Kind::Segment.path(dir, ordinal);
            let about = About::load(&dir)?.unwrap_or_else(|| About::unknown(&keep));
            ordinals.push(ordinal);
            sources.push(Source { dir, about, keep });
        }
        let about = About {
            ordinal: None,
            start: PerStream::new(|stream| {
                let starts = sources.iter().map(|one| one.about.start[stream.index()]);
                starts.min().unwrap_or(1)
            })
            .0,
            limit: sources.iter().map(|one| one.about.limit).sum(),
            created: sources.first().map_or(0, |one| one.about.created),
            epochs: Vec::new(),
            sealed: None,
        };
        let new = Kind::New.path(dir, first);
        let made = salvage::write_anew(
            &sources,
            &new,
            about,
            self.epoch,
            self.layout.cache_bytes,
            keep,
        );
        if !matches!(made, Ok(true)) {
            // What was begun must not take the room that is needed.
            let _ = layout::remove(&new);
        }
        if matches!(made, Ok(false)) {
            self.shared.state().damaged.extend(ordinals);
            self.shared.wake.notify_one();
        }
        made
    }
}
