//! Opening the outbox: what is there, what is missing, and with which numbers to go on.
//!
//! Sealed segments are believed by their `about`; damage in them is found when they are read. The head is
//! read whole. Its tail is lost when it holds less than the marks or the acknowledgements prove, and may be when the
//! marks cannot be read; then every stream goes on above its reservation, because any number up to there may have been
//! given out.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;

use super::OutboxError;
use super::about::{About, Sealed};
use super::ackfile::AckFile;
use super::chain::{Chain, Layout, set_aside};
use super::gaps::Gaps;
use super::index::{Commit, Index};
use super::layout::{self, ACKS, GAPS, Kind, MARKS};
use super::lock;
use super::marks::Marks;
use super::probe::probe_unsealed;
use super::ranges::{PerStream, RangeSet};
use super::salvage;
use super::segment::{Segment, SegmentError, directory_bytes};
use super::space::Space;
use super::state::{Closed, Shared, State, StreamState};
use crate::clock::SharedClock;
use crate::event::{GapReason, OutboxGap, Stream};

/// Threads that read what segments say about themselves.
const READERS: usize = 4;

/// Events that a segment of unknown limit may have held.
const DEFAULT_LIMIT: u64 = 50_000;

/// What opening found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recovery {
    /// Losses that are not reported yet; the outbox reports each by itself.
    pub gaps: Vec<OutboxGap>,
    /// Where damaged segments were set aside.
    pub quarantined: Vec<PathBuf>,
    /// The number after which each stream goes on.
    pub last: PerStream<u64>,
}

/// Opens the chain in `layout.dir`, repairing what is damaged.
///
/// # Errors
/// [`OutboxError`]; nothing was lost by trying.
pub fn open(layout: Layout, clock: SharedClock) -> Result<(Chain, Recovery), OutboxError> {
    let dir = layout.dir.clone();
    let lock = lock::take(&dir, lock::TRIES)?;
    let space = Space::new(&dir, layout.quota_bytes)
        .map_err(|error| OutboxError::io(&dir, "measure", error))?;
    space.prepare();
    Opening::begin(layout)
        .and_then(|opening| opening.finish(clock, lock, space))
        .map_err(|error| match error {
            SegmentError::Io(error) if error.kind() == io::ErrorKind::ResourceBusy => {
                OutboxError::Locked(dir.display().to_string())
            }
            SegmentError::Io(error) => OutboxError::io(&dir, "open", error),
            SegmentError::Damaged(why) => OutboxError::Corrupt(format!(
                "the event store in {} cannot be repaired ({why}); move the directory away and \
                 start with an empty one",
                dir.display()
            )),
        })
}

/// What every segment says about itself. After a reboot each is a wait for the disk, so some are read at once.
fn load_abouts(dir: &Path) -> io::Result<BTreeMap<u64, Option<About>>> {
    let ordinals: Vec<u64> = layout::ordinals(dir, Kind::Segment)?.into_iter().collect();
    let load = |ordinals: &[u64]| -> io::Result<Vec<(u64, Option<About>)>> {
        let ordinals = ordinals.iter();
        let each = ordinals.map(|&n| Ok((n, About::load(&Kind::Segment.path(dir, n))?)));
        each.collect()
    };
    let parts = ordinals.chunks(ordinals.len().div_ceil(READERS).max(1));
    let loaded: Vec<_> = thread::scope(|scope| {
        let threads: Vec<_> = parts.map(|part| scope.spawn(move || load(part))).collect();
        threads.into_iter().map(|thread| thread.join()).collect()
    });
    let mut abouts = BTreeMap::new();
    for part in loaded {
        abouts.extend(part.unwrap_or_else(|_| Err(io::Error::other("a thread stopped")))?);
    }
    Ok(abouts)
}

/// The head as it was found, whole.
struct FoundHead {
    ordinal: u64,
    about: About,
    segment: Segment,
    present: PerStream<RangeSet>,
}

struct Opening {
    layout: Layout,
    ack_file: AckFile,
    /// `None` when the file is missing or both slots are damaged.
    acked: Option<PerStream<RangeSet>>,
    reserved: PerStream<u64>,
    marks: Marks,
    gaps: Gaps,
    epoch: u32,
    closed: BTreeMap<u64, Closed>,
    /// First number of each stream in the oldest segment.
    floor: PerStream<u64>,
    head: Option<FoundHead>,
    /// The highest number that is proven to have been stored, per stream.
    known: PerStream<u64>,
    /// Whether numbers above `known` may have been given out.
    tail_lost: bool,
    alarms: Vec<String>,
    quarantined: Vec<PathBuf>,
}

impl Opening {
    /// Reads everything and repairs the head.
    fn begin(layout: Layout) -> Result<Self, SegmentError> {
        let dir = layout.dir.clone();
        let ready = |new: &Path| Ok(About::load(new)?.is_some_and(|about| about.sealed.is_some()));
        layout::tidy(&dir, ready)?;
        let (ack_file, acks) = AckFile::open(&dir.join(ACKS))?;
        let (marks, marked) = Marks::open(&dir.join(MARKS))?;
        let gaps = Gaps::load(&dir.join(GAPS))?;
        let abouts = load_abouts(&dir)?;
        let epochs = abouts.values().flatten().flat_map(|about| &about.epochs);
        let epoch = 1 + epochs.map(|(epoch, _)| *epoch).max().unwrap_or(0);
        let reserved = acks.as_ref().map(|acks| acks.reserved).unwrap_or_default();
        let mut opening = Self {
            layout,
            ack_file,
            acked: acks.map(|acks| acks.acked),
            reserved,
            marks,
            gaps,
            epoch,
            closed: BTreeMap::new(),
            floor: PerStream([u64::MAX; 4]),
            head: None,
            known: marked.unwrap_or_default(),
            // Without the marks nothing tells a head that lost its tail from a whole one.
            tail_lost: marked.is_none() && !abouts.is_empty(),
            alarms: Vec::new(),
            quarantined: Vec::new(),
        };
        opening.read_segments(abouts)?;
        Ok(opening)
    }

    fn read_segments(
        &mut self,
        mut abouts: BTreeMap<u64, Option<About>>,
    ) -> Result<(), SegmentError> {
        if let Some(acked) = &self.acked {
            let acked = PerStream::new(|stream| acked[stream].last().unwrap_or(0));
            self.raise_known(acked);
        }
        let newest = abouts.pop_last();
        for (ordinal, about) in abouts {
            match about {
                Some(About {
                    sealed: Some(sealed),
                    start,
                    ..
                }) => {
                    self.add_closed(ordinal, &start, sealed.present(), sealed.bytes);
                }
                about => self.seal(ordinal, about)?,
            }
        }
        match newest {
            None => {}
            Some((
                ordinal,
                Some(About {
                    sealed: Some(sealed),
                    start,
                    ..
                }),
            )) => {
                self.add_closed(ordinal, &start, sealed.present(), sealed.bytes);
            }
            Some((ordinal, Some(about))) => self.read_head(ordinal, about)?,
            Some((ordinal, None)) => self.seal(ordinal, None)?,
        }
        let stored = PerStream::new(|stream| {
            let closed = self.closed.values().map(|closed| &closed.present);
            let present = closed.chain(self.head.iter().map(|head| &head.present));
            let last = present.filter_map(|present| present[stream].last()).max();
            let start = self
                .head
                .as_ref()
                .map_or(0, |head| head.about.start[stream.index()] - 1);
            last.unwrap_or(0).max(start)
        });
        // A number that is proven and neither stored nor known to be gone: the tail is not all there.
        let gone = self.gaps.missing();
        self.tail_lost |= Stream::ALL.into_iter().any(|stream| {
            let unstored = stored[stream] + 1..=self.known[stream];
            !gone[stream].covers(unstored)
        });
        self.raise_known(stored);
        Ok(())
    }

    fn raise_known(&mut self, to: PerStream<u64>) {
        self.known = PerStream::new(|stream| self.known[stream].max(to[stream]));
    }

    fn add_closed(
        &mut self,
        ordinal: u64,
        start: &[u64; 4],
        present: PerStream<RangeSet>,
        bytes: u64,
    ) {
        self.lower_floor(start);
        // Given up, though a crash kept its bytes.
        let given_up = self.gaps.given_up();
        let present = PerStream::new(|stream| present[stream].difference(&given_up[stream]));
        self.closed.insert(ordinal, Closed { present, bytes });
    }

    fn lower_floor(&mut self, start: &[u64; 4]) {
        self.floor = PerStream::new(|stream| self.floor[stream].min(start[stream.index()]));
    }

    /// Reads a segment that should be sealed and is not, and seals it.
    fn seal(&mut self, ordinal: u64, about: Option<About>) -> Result<(), SegmentError> {
        let dir = Kind::Segment.path(&self.layout.dir, ordinal);
        match probe_unsealed(&dir, self.layout.cache_bytes, &PerStream::default())? {
            Ok((segment, content)) => {
                drop(segment);
                let bytes = directory_bytes(&dir);
                let about = About {
                    sealed: Some(Sealed::new(bytes, &content.present)),
                    ..about.unwrap_or_else(|| About::unknown(&content.present))
                };
                about.store(&dir)?;
                self.add_closed(ordinal, &about.start, content.present, bytes);
                Ok(())
            }
            Err(why) => {
                let about = about.unwrap_or_else(|| About::unknown(&PerStream::default()));
                self.salvage(ordinal, &about, &why)
            }
        }
    }

    /// Reads the head; it must hold every number from its start to the last proven one.
    fn read_head(&mut self, ordinal: u64, about: About) -> Result<(), SegmentError> {
        let dir = Kind::Segment.path(&self.layout.dir, ordinal);
        let gone = self.gaps.missing();
        let index = Index::unsealed(&dir, &about)?;
        // Before sled opens: it zeroes what it does not show.
        let (proven, mut last) = (index.proven(), index.last_commit()?);
        let expected = PerStream::new(|stream| {
            let start = about.start[stream.index()];
            let mut known = RangeSet::from_iter([start..=self.known[stream]]);
            known.extend(&proven[stream]);
            known.difference(&gone[stream])
        });
        self.raise_known(PerStream::new(|stream| proven[stream].last().unwrap_or(0)));
        match probe_unsealed(&dir, self.layout.cache_bytes, &expected)? {
            Ok((segment, mut content)) => {
                self.epoch = self.epoch.max(content.epoch + 1);
                self.lower_floor(&about.start);
                Self::take_back(&mut last, &about, &segment, &mut content.present)?;
                self.head = Some(FoundHead {
                    ordinal,
                    about,
                    segment,
                    present: content.present,
                });
                Ok(())
            }
            Err(why) => {
                self.tail_lost = true;
                self.salvage(ordinal, &about, &why)
            }
        }
    }

    /// Puts back what was whole of the last commit and sled does not show: cut off by a power cut before anybody was told
    /// of it, or finished and damaged since. Nothing proves which, so its events keep their numbers.
    fn take_back(
        commit: &mut Commit,
        about: &About,
        segment: &Segment,
        present: &mut PerStream<RangeSet>,
    ) -> Result<(), SegmentError> {
        for stream in Stream::ALL {
            let start = about.start[stream.index()];
            let first = present[stream].last().map_or(start, |last| last + 1);
            let mut next = first;
            let mut events = Vec::new();
            while let Some(event) = commit.events[stream].remove(&next) {
                events.push(event);
                next += 1;
            }
            // Still that commit: should this be cut off as well, it proves nothing.
            salvage::put(segment, stream, commit.turn, first, &events)?;
            present[stream].insert(first..=next - 1);
        }
        segment.commit()
    }

    /// Rebuilds a damaged segment from its raw files; it is sealed then.
    fn salvage(&mut self, ordinal: u64, about: &About, why: &str) -> Result<(), SegmentError> {
        let Layout {
            dir, cache_bytes, ..
        } = &self.layout;
        let present = salvage::rebuild(dir, ordinal, about, self.epoch, *cache_bytes, |_, _| true)?;
        let lost = PerStream::new(|stream| {
            let start = about.start[stream.index()];
            let last = match self.tail_lost {
                true => self.known[stream].max(present[stream].last().unwrap_or(0)),
                false => present[stream].last().unwrap_or(0),
            };
            RangeSet::from_iter([start..=last]).difference(&present[stream])
        });
        self.alarms.push(set_aside(dir, ordinal, why, &lost));
        self.quarantined.push(Kind::Bad.path(dir, ordinal));
        let bytes = directory_bytes(&Kind::Segment.path(dir, ordinal));
        let start = about.start;
        if present.iter().any(|(_, set)| set.total() > 0) {
            self.add_closed(ordinal, &start, present, bytes);
        } else {
            self.lower_floor(&start);
        }
        Ok(())
    }

    /// Where one stream stands before the losses are looked for.
    fn place(&self, stream: Stream, last: u64) -> StreamState {
        let mut present = RangeSet::default();
        for closed in self.closed.values() {
            present.extend(&closed.present[stream]);
        }
        if let Some(head) = &self.head {
            present.extend(&head.present[stream]);
        }
        let all = RangeSet::from_iter([1..=last]);
        let acked = match (&self.acked, self.floor[stream]) {
            (Some(acked), _) => acked[stream].clone(),
            (None, u64::MAX) => RangeSet::default(),
            // Without the ack file only this is certain: a segment is dropped when it is acknowledged.
            (None, floor) => RangeSet::from_iter([1..=floor - 1]),
        };
        StreamState {
            last,
            acked,
            absent: all.difference(&present),
        }
    }

    /// Notes every loss that is neither acknowledged nor noted, and which reports must be made again.
    fn find_gaps(&mut self, streams: &PerStream<StreamState>) {
        let alarm = &streams[Stream::Alarm];
        for gap in &mut self.gaps.0 {
            let made =
                |n| n <= alarm.last && (!alarm.absent.contains(n) || alarm.acked.contains(n));
            gap.report = gap.report.filter(|&n| made(n));
        }
        // Below the oldest segment everything is settled once the cloud has the report, which may still be given up.
        let floor = self.floor;
        let settled = |report| alarm.acked.contains(report);
        self.gaps
            .0
            .retain(|gap| gap.last >= floor[gap.stream] || !gap.report.is_some_and(settled));
        let noted = self.gaps.missing();
        for (stream, state) in streams.iter() {
            let lost = state
                .absent
                .difference(&state.acked)
                .difference(&noted[stream]);
            let known = RangeSet::from_iter([1..=self.known[stream]]);
            let skipped = lost.difference(&known);
            self.gaps
                .add(stream, &lost.difference(&skipped), GapReason::Corruption);
            self.gaps.add(stream, &skipped, GapReason::Skipped);
        }
    }

    /// Decides where every stream stands and starts the writer's side.
    fn finish(
        mut self,
        clock: SharedClock,
        lock: File,
        space: Space,
    ) -> Result<(Chain, Recovery), SegmentError> {
        // What was noted as gone or skipped is never given out, even where older marks came back.
        let noted = self.gaps.missing();
        let last = PerStream::new(|stream| {
            let last = match (self.tail_lost, &self.acked) {
                (false, _) => self.known[stream],
                (true, Some(_)) => self.known[stream].max(self.reserved[stream]),
                (true, None) => self.known[stream] + self.layout.segment_events.max(DEFAULT_LIMIT),
            };
            last.max(noted[stream].last().unwrap_or(0))
        });
        let streams = PerStream::new(|stream| self.place(stream, last[stream]));
        let stored = self.gaps.clone();
        self.find_gaps(&streams);
        let mut state = State {
            closed: std::mem::take(&mut self.closed),
            streams,
            ..State::default()
        };
        for (stream, missing) in self.gaps.missing().iter() {
            for range in missing.iter() {
                state.streams[stream].ack(&range);
            }
        }
        let unreported = self.gaps.0.iter().filter(|gap| gap.report.is_none());
        let recovery = Recovery {
            gaps: unreported.map(super::gaps::Gap::event).collect(),
            quarantined: self.quarantined,
            last,
        };
        let dir = &self.layout.dir;
        let all = layout::list(dir)?;
        let next = 1 + all
            .into_iter()
            .map(|(_, ordinal)| ordinal)
            .max()
            .unwrap_or(0);
        // Before there is a segment: a store with one and without marks was damaged. And after the losses: numbers that are
        // skipped must not be looked for at the next start.
        let mut gaps_differ = self.gaps != stored;
        let noted = match gaps_differ {
            true => self.gaps.store(&self.layout.dir.join(GAPS)),
            false => Ok(()),
        };
        gaps_differ &= noted.is_err();
        if let Err(error) = noted.and_then(|()| self.marks.begin(&last)) {
            tracing::warn!(%error, "cannot write what was found");
        }
        let mut chain = Chain {
            layout: self.layout,
            clock,
            shared: Arc::new(Shared::new(state)),
            acks: self.ack_file,
            marks: self.marks,
            gaps_differ,
            gaps: self.gaps,
            epoch: self.epoch,
            commit: 1,
            spare: None,
            reserved: self.reserved,
            ordinal: next,
            unbegun: Some(next),
            about: About::unknown(&PerStream::default()),
            age: Default::default(),
            present: PerStream::default(),
            alarms: self.alarms,
            space,
            must_measure: true,
            _lock: lock,
        };
        match self.head {
            Some(head) => {
                chain.about = head.about;
                chain.present = head.present;
                chain.unbegun = None;
                chain.resume(head.ordinal, head.segment)?;
            }
            None => chain.begin(next, None)?,
        }
        Ok((chain, recovery))
    }
}
