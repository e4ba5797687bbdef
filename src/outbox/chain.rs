//! The writer's side of the chain of segments: append, seal and start the next, drop what is
//! acknowledged, repair what is damaged. Only the writer thread calls it, so nothing here races.
//!
//! Numbers: a stream's next event always gets `last + 1`, and `last` moves only after the commit. No
//! number above `reserved` is given before a higher reservation is durable in the ack file, so that after
//! the loss of a tail the next start can step over every number that was ever given out.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, MutexGuard};
use std::time::Duration;

use super::about::{About, Sealed};
use super::ackfile::{AckFile, Acks};
use super::gaps::{Gap, Gaps};
use super::index::Index;
use super::layout::{self, Kind};
use super::marks::Marks;
use super::probe::probe;
use super::ranges::{PerStream, RangeSet};
use super::record::Turn;
use super::salvage;
use super::segment::{Segment, SegmentError, directory_bytes};
use super::space::Space;
use super::spare::{self, Spare};
use super::state::{Closed, Head, Shared, Tail};
use crate::clock::SharedClock;
use crate::event::{GapReason, Stream};

/// Numbers reserved ahead of the last one given out.
pub const RESERVE: u64 = 1000;
/// Acknowledged segments that are dropped before new events have their turn again.
const DROPPED_AT_ONCE: usize = 16;
/// Starts noted in one segment before a new one is begun.
const EPOCHS: usize = 64;

/// Where and how big.
#[derive(Clone, Debug)]
pub struct Layout {
    pub dir: PathBuf,
    pub cache_bytes: u64,
    /// Events in one segment, at most.
    pub segment_events: u64,
    /// Age at which a segment with events is sealed.
    pub segment_age: Duration,
    /// Newest sealed segments that stay even when they are acknowledged.
    pub kept_segments: usize,
    /// What all files may take, bytes; `None`: what suits the file system.
    pub quota_bytes: Option<u64>,
}

/// The writer's hold on the chain.
pub struct Chain {
    pub layout: Layout,
    pub clock: SharedClock,
    pub shared: Arc<Shared>,
    pub acks: AckFile,
    pub marks: Marks,
    pub gaps: Gaps,
    /// The file says otherwise: it must be written before the number of a planned report goes to another alarm.
    pub gaps_differ: bool,
    /// Number of this start of the outbox.
    pub epoch: u32,
    /// Number of the commit that comes next.
    pub commit: u32,
    pub reserved: PerStream<u64>,
    /// Number of the head.
    pub ordinal: u64,
    /// A head of this number must be begun before anything else.
    pub unbegun: Option<u64>,
    /// Facts of the head.
    pub about: About,
    /// How old the head was at a moment (time since boot). Only a start asks the wall clock for its age.
    pub age: (Duration, Duration),
    /// The segment after the head.
    pub spare: Option<Spare>,
    /// What is durable in the head.
    pub present: PerStream<RangeSet>,
    /// What a person should hear of, in plain words.
    pub alarms: Vec<String>,
    pub space: Space,
    /// What is stored must be measured at the next occasion.
    pub must_measure: bool,
    /// Held as long as the outbox is open.
    pub _lock: File,
}

impl Chain {
    /// Stores new events of every stream under the numbers after `last` and makes them durable. After an
    /// error the very same events must be appended again, before any others; nothing else has seen them.
    ///
    /// # Errors
    /// [`SegmentError`]; the head must then be reopened.
    pub fn append(&mut self, events: &PerStream<Vec<Vec<u8>>>) -> Result<(), SegmentError> {
        let adding: u64 = events.0.iter().map(|events| events.len() as u64).sum();
        if self.gaps_differ {
            self.note(self.gaps.clone())?;
        }
        let stored = self.stored();
        if stored > 0 && stored + adding > self.about.limit {
            self.rotate()?;
        }
        let last = self.shared.state().last();
        self.reserve(&PerStream::new(|s| last[s] + events[s].len() as u64))?;
        let head = self.head()?;
        let turn = Turn {
            epoch: self.epoch,
            commit: self.commit,
        };
        for (stream, events) in events.iter() {
            salvage::put(&head, stream, turn, last[stream] + 1, events)?;
        }
        head.commit()?;
        self.commit += 1;
        let mut state = self.shared.state();
        for (stream, events) in events.iter().filter(|(_, events)| !events.is_empty()) {
            let first = last[stream] + 1;
            let now = last[stream] + events.len() as u64;
            self.present[stream].insert(first..=now);
            state.streams[stream].last = now;
        }
        let marks = state.last();
        drop(state);
        self.shared.changed.send_modify(|commits| *commits += 1);
        // Only a witness for the next start; the events are safe without it.
        if let Err(error) = self.marks.store(&marks) {
            tracing::warn!(%error, "cannot write the marks");
        }
        Ok(())
    }

    /// Events in the head.
    #[must_use]
    pub fn stored(&self) -> u64 {
        self.present.0.iter().map(RangeSet::total).sum()
    }

    fn head(&self) -> Result<Arc<Segment>, SegmentError> {
        let state = self.shared.state();
        let head = state.head.as_ref().map(|head| Arc::clone(&head.segment));
        head.ok_or_else(|| io::Error::other("the storage is not open").into())
    }

    /// Raises the reservation, durably, when a number above it is about to be given out.
    fn reserve(&mut self, upto: &PerStream<u64>) -> io::Result<()> {
        if upto
            .iter()
            .all(|(stream, upto)| *upto <= self.reserved[stream])
        {
            return Ok(());
        }
        let before = self.reserved;
        self.reserved = PerStream::new(|stream| upto[stream] + RESERVE);
        self.store_acks().inspect_err(|_| self.reserved = before)
    }

    /// Stores what is acknowledged.
    ///
    /// # Errors
    /// Any I/O error; what was stored before is still there.
    pub fn store_acks(&mut self) -> io::Result<()> {
        let mut state = self.shared.state();
        let unstored = std::mem::take(&mut state.unstored_acks);
        let acks = Acks {
            reserved: self.reserved,
            acked: state.acked(),
        };
        drop(state);
        self.acks.store(&acks).inspect_err(|_| {
            self.shared.state().unstored_acks += unstored;
        })
    }

    /// Seals the head when it is old enough and begins the next.
    ///
    /// # Errors
    /// [`SegmentError`]; the head must then be reopened.
    pub fn rotate_by_age(&mut self) -> Result<(), SegmentError> {
        let (age, then) = self.age;
        let since = self.clock.now().boot.saturating_sub(then);
        if age.saturating_add(since) >= self.layout.segment_age && self.stored() > 0 {
            self.rotate()?;
        }
        Ok(())
    }

    /// Seals the head and begins the next.
    ///
    /// # Errors
    /// [`SegmentError`]; the head must then be reopened.
    pub fn rotate(&mut self) -> Result<(), SegmentError> {
        let ordinal = self.ordinal;
        let bytes = self.head()?.disk_bytes();
        let about = About {
            sealed: Some(Sealed::new(bytes, &self.present)),
            ..self.about.clone()
        };
        about.store(&Kind::Segment.path(&self.layout.dir, ordinal))?;
        let present = self.present.clone();
        self.must_measure = true;
        self.begin(ordinal + 1, Some((ordinal, Closed { present, bytes })))
    }

    /// Makes and opens a new head; the old one, if any, is found `sealed` from that moment on. The new one
    /// comes into being complete: made under another name, then renamed.
    ///
    /// # Errors
    /// [`SegmentError`]; the old head, if any, is still the head.
    pub fn begin(
        &mut self,
        ordinal: u64,
        sealed: Option<(u64, Closed)>,
    ) -> Result<(), SegmentError> {
        let is_made = self.spare.take().is_some_and(|spare| spare.made(ordinal));
        let Layout {
            dir, cache_bytes, ..
        } = &self.layout;
        let new = Kind::New.path(dir, ordinal);
        if !is_made {
            spare::make(&new, *cache_bytes)?;
        }
        let last = self.shared.state().last();
        let start = last.0.map(|last| last + 1);
        let now = self.clock.now();
        let about = About {
            ordinal: None,
            start,
            limit: self.layout.segment_events,
            created: now.wall.as_second(),
            epochs: vec![(self.epoch, start)],
            sealed: None,
        };
        about.store(&new)?;
        layout::rename(dir, Kind::New, Kind::Segment, ordinal)?;
        let segment = Segment::open_made(&Kind::Segment.path(dir, ordinal), *cache_bytes)?;
        self.about = about;
        self.age = (Duration::ZERO, now.boot);
        self.ordinal = ordinal;
        self.unbegun = None;
        self.present = PerStream::default();
        self.set_head(segment, sealed);
        self.spare = Spare::begin(&self.layout, ordinal + 1);
        Ok(())
    }

    /// Lets readers find the head. The old one closes outside the lock: that may take a while.
    fn set_head(&self, segment: Segment, sealed: Option<(u64, Closed)>) {
        let mut state = self.shared.state();
        state.closed.extend(sealed);
        let old = state.head.replace(Head {
            ordinal: self.ordinal,
            segment: Arc::new(segment),
        });
        drop(state);
        drop(old);
    }

    /// Makes an opened segment the head and notes this start in it.
    ///
    /// # Errors
    /// [`SegmentError`].
    pub fn resume(&mut self, ordinal: u64, segment: Segment) -> Result<(), SegmentError> {
        let last = self.shared.state().last();
        let now = self.clock.now();
        // Made in the future: then the wall clock was wrong then or is now, and nobody knows the age.
        let age = u64::try_from(now.wall.as_second() - self.about.created).unwrap_or(0);
        self.age = (Duration::from_secs(age), now.boot);
        self.ordinal = ordinal;
        self.set_head(segment, None);
        if self.about.epochs.len() >= EPOCHS && self.stored() > 0 {
            return self.rotate();
        }
        self.about
            .epochs
            .push((self.epoch, last.0.map(|last| last + 1)));
        self.about
            .store(&Kind::Segment.path(&self.layout.dir, ordinal))?;
        self.spare = Spare::begin(&self.layout, ordinal + 1);
        Ok(())
    }

    /// Drops acknowledged segments whole; true when there are more. What is acknowledged is in both slots of the ack file
    /// before.
    ///
    /// # Errors
    /// Any I/O error; what could not be dropped is dropped later.
    pub fn drop_acked(&mut self) -> io::Result<bool> {
        let droppable = self.shared.state().droppable(self.layout.kept_segments);
        if droppable.is_empty() {
            return Ok(false);
        }
        self.store_acks()?;
        self.store_acks()?;
        let is_more = droppable.len() > DROPPED_AT_ONCE;
        if is_more {
            self.shared.wake.notify_one();
        }
        for ordinal in droppable.into_iter().take(DROPPED_AT_ONCE) {
            let tail = Self::hold_tail(&self.shared, ordinal);
            layout::rename(&self.layout.dir, Kind::Segment, Kind::Deleted, ordinal)?;
            let mut state = self.shared.state();
            if let Some(closed) = state.closed.remove(&ordinal) {
                for (stream, set) in closed.present.iter() {
                    state.streams[stream].absent.extend(set);
                }
            }
            drop((state, tail));
            layout::remove(&Kind::Deleted.path(&self.layout.dir, ordinal))?;
        }
        Ok(is_more)
    }

    /// Closes the cached sealed segment when nobody has read from it since the last call.
    pub fn close_idle_tail(&self) {
        let mut tail = self.shared.tail();
        let idle = tail
            .as_mut()
            .is_some_and(|tail| !std::mem::take(&mut tail.used));
        if idle {
            *tail = None;
        }
    }

    /// Closes a sealed segment; nobody opens one as long as the guard lives.
    fn hold_tail<'a>(shared: &'a Shared, ordinal: u64) -> MutexGuard<'a, Option<Tail>> {
        let mut tail = shared.tail();
        if tail.as_ref().is_some_and(|tail| tail.ordinal == ordinal) {
            *tail = None;
        }
        tail
    }

    /// Removes the segment that was made ahead.
    pub fn drop_spare(&mut self) {
        if let Some(spare) = self.spare.take() {
            spare.discard(&self.layout.dir);
        }
    }

    /// Closes the head; readers wait for it.
    pub fn close_head(&self) {
        // Outside the lock: that may take a while.
        let old = self.shared.state().head.take();
        drop(old);
    }

    /// Closes the head and opens it again, repairing it when what was durable is not all there.
    ///
    /// # Errors
    /// [`SegmentError`]; try again later.
    pub fn reopen(&mut self) -> Result<(), SegmentError> {
        self.close_head();
        if let Some(ordinal) = self.unbegun {
            return self.begin(ordinal, None);
        }
        let dir = Kind::Segment.path(&self.layout.dir, self.ordinal);
        match probe(&dir, self.layout.cache_bytes, &self.present)? {
            Ok((segment, _)) => {
                self.set_head(segment, None);
                Ok(())
            }
            Err(why) => {
                let expected = self.present.clone();
                let about = self.about.clone();
                self.rebuild(self.ordinal, &about, &expected, &why)?;
                self.unbegun = Some(self.ordinal + 1);
                self.begin(self.ordinal + 1, None)
            }
        }
    }

    /// Looks after a segment in which a reader met damage.
    ///
    /// # Errors
    /// [`SegmentError`]; try again later.
    pub fn repair(&mut self, ordinal: u64) -> Result<(), SegmentError> {
        if ordinal == self.ordinal {
            return self.reopen();
        }
        let expected = match self.shared.state().closed.get(&ordinal) {
            Some(closed) => closed.present.clone(),
            None => return Ok(()),
        };
        let shared = Arc::clone(&self.shared);
        let _tail = Self::hold_tail(&shared, ordinal);
        let dir = Kind::Segment.path(&self.layout.dir, ordinal);
        match Index::sealed(&dir, &expected) {
            Ok(_) => Ok(()),
            Err(SegmentError::Damaged(why)) => {
                let about = About::load(&dir)?.unwrap_or_else(|| About::unknown(&expected));
                self.rebuild(ordinal, &about, &expected, &why)
            }
            Err(error) => Err(error),
        }
    }

    /// Replaces a damaged segment by what can be saved of it and notes what cannot.
    fn rebuild(
        &mut self,
        ordinal: u64,
        about: &About,
        expected: &PerStream<RangeSet>,
        why: &str,
    ) -> Result<(), SegmentError> {
        let Layout {
            dir, cache_bytes, ..
        } = &self.layout;
        let keep = |stream: Stream, sequence| expected[stream].contains(sequence);
        let saved = salvage::rebuild(dir, ordinal, about, self.epoch, *cache_bytes, keep)?;
        let lost = PerStream::new(|stream| expected[stream].difference(&saved[stream]));
        self.alarms.push(set_aside(dir, ordinal, why, &lost));
        let bytes = directory_bytes(&Kind::Segment.path(dir, ordinal));
        // The losses are noted durably before they can be stored as settled.
        let acked = self.shared.state().acked();
        let unacked = PerStream::new(|stream| lost[stream].difference(&acked[stream]));
        let mut gaps = self.gaps.clone();
        for (stream, lost) in unacked.iter() {
            gaps.add(stream, lost, GapReason::Corruption);
        }
        gaps.unreport(&unacked[Stream::Alarm]);
        self.note(gaps)?;
        let mut state = self.shared.state();
        if saved.iter().any(|(_, set)| set.total() > 0) {
            let present = saved;
            state.closed.insert(ordinal, Closed { present, bytes });
        } else {
            state.closed.remove(&ordinal);
        }
        for (stream, lost) in lost.iter() {
            let stream_state = &mut state.streams[stream];
            stream_state.absent.extend(lost);
            stream_state.acked.extend(lost);
        }
        Ok(())
    }

    /// Plans the reports of losses that have none and stores the plan; returns those that come now, in order.
    ///
    /// # Errors
    /// Any I/O error; the losses then still have no report.
    pub fn plan_reports(&mut self) -> io::Result<Vec<Gap>> {
        if self.gaps.0.iter().all(|gap| gap.report.is_some()) {
            return Ok(Vec::new());
        }
        let alarms = self.shared.state().streams[Stream::Alarm].clone();
        let mut gaps = self.gaps.clone();
        gaps.join(&alarms.acked);
        if gaps.trim(&alarms.acked) {
            self.store_acks()?;
            self.store_acks()?;
        }
        let planned = gaps.plan(alarms.last + 1, &alarms.acked);
        if !planned.is_empty() {
            self.note(gaps)?;
        }
        Ok(planned)
    }

    /// Makes these the losses that are known, durably.
    ///
    /// # Errors
    /// Any I/O error; then those from before still are.
    pub fn note(&mut self, gaps: Gaps) -> io::Result<()> {
        gaps.store(&self.layout.dir.join(layout::GAPS))?;
        self.gaps = gaps;
        self.gaps_differ = false;
        Ok(())
    }
}

/// What a person should hear about a damaged segment.
pub fn set_aside(dir: &Path, ordinal: u64, why: &str, lost: &PerStream<RangeSet>) -> String {
    let bad = Kind::Bad.path(dir, ordinal);
    let events: u64 = lost.0.iter().map(RangeSet::total).sum();
    let message = format!(
        "Part of the event store was damaged ({why}). It was rebuilt; {events} events could not be saved. \
         The damaged files are kept in {}. If this happens again, replace the storage device.",
        bad.display()
    );
    tracing::error!(
        segment = ordinal,
        why,
        lost = events,
        "damaged segment set aside"
    );
    message
}
