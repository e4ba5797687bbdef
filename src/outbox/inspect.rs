//! `footfall outbox stat|verify|dump`: what lies in a data directory while the daemon is stopped.
//!
//! Nothing is repaired here. Sealed segments are read as the daemon reads them, without sled. The head's database is
//! copied and the copy is opened, because sled writes when it opens and would cut off a damaged tail that the daemon
//! can still save.

use std::fs;
use std::io;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::about::{About, Sealed};
use super::ackfile::{self, Acks};
use super::gaps::Gaps;
use super::index::Index;
use super::layout::{self, ACKS, GAPS, Kind, MARKS};
use super::ranges::{PerStream, RangeSet};
use super::segment::{Batch, Content, Segment, SegmentError, directory_bytes};
use super::state::StreamState;
use super::{OutboxError, StreamStat, lock, marks};
use crate::event::Stream;

/// Cache of a database that is only looked at, bytes.
const CACHE: u64 = 8 << 20;
/// Events read at a time.
const BATCH: (usize, usize) = (500, 1 << 20);

/// What `verify` found.
#[derive(Clone, Debug, Serialize)]
pub struct VerifyReport {
    pub streams: Vec<StreamReport>,
    pub segments: u64,
    /// Size of all segments on disk.
    pub bytes: u64,
    /// One line of plain words per fault; empty when all is well.
    pub faults: Vec<String>,
}

/// One stream in [`VerifyReport`].
#[derive(Clone, Debug, Serialize)]
pub struct StreamReport {
    pub stream: Stream,
    /// First stored number; 0 when there is none.
    pub first: u64,
    /// Last stored number; 0 when there is none.
    pub last: u64,
    /// How many events are stored.
    pub count: u64,
    /// How many of them the cloud has not acknowledged.
    pub pending: u64,
    /// Missing and neither acknowledged nor reported, as first and last of each range.
    pub holes: Vec<(u64, u64)>,
    /// Records of the head that cannot be read.
    pub bad_records: u64,
}

/// What `stat` found.
#[derive(Clone, Debug, Serialize)]
pub struct StatReport {
    pub streams: Vec<NamedStat>,
    pub segments: u64,
    /// Size of all segments on disk.
    pub bytes: u64,
}

/// One stream in [`StatReport`].
#[derive(Clone, Debug, Serialize)]
pub struct NamedStat {
    pub stream: Stream,
    #[serde(flatten)]
    pub stat: StreamStat,
}

/// Checks everything: every segment opens, every record and event is whole, every number is stored,
/// acknowledged or reported as gone.
///
/// # Errors
/// [`OutboxError`]: `Locked` while the daemon runs, `Io` when something cannot be read or copied.
pub fn verify(dir: &Path) -> Result<VerifyReport, OutboxError> {
    let store = Store::open(dir)?;
    let mut faults = store.faults.clone();
    let mut present = PerStream::<RangeSet>::default();
    let mut bad = PerStream::<u64>::default();
    for ordinal in &store.ordinals {
        let path = Kind::Segment.path(dir, *ordinal);
        let about = store.about(*ordinal, &mut faults)?;
        let sealed = about.and_then(|about| about.sealed);
        let content = match store.content(*ordinal, sealed.as_ref())? {
            Ok(content) => content,
            Err(why) => {
                faults.push(format!("{}: {why}", path.display()));
                continue;
            }
        };
        for (stream, why) in &content.faults {
            bad[*stream] += 1;
            faults.push(format!("{}: {why}", path.display()));
        }
        if let Some(sealed) = sealed {
            for (stream, expected) in sealed.present().iter() {
                for range in expected.difference(&content.present[stream]).iter() {
                    faults.push(format!(
                        "{}: {} recorded as stored here and missing",
                        path.display(),
                        events(stream, &range)
                    ));
                }
            }
        }
        for (stream, set) in content.present.iter() {
            present[stream].extend(set);
        }
    }
    let mut streams = Vec::new();
    for (stream, present) in present.iter() {
        let settled = store.settled(stream, present);
        let last = present.last().unwrap_or(0).max(store.proven[stream]);
        let mut known = settled.clone();
        known.extend(present);
        let holes: Vec<_> = known.missing_in(1..=last);
        for hole in &holes {
            faults.push(format!("{} missing and not reported", events(stream, hole)));
        }
        streams.push(StreamReport {
            stream,
            first: present.first().unwrap_or(0),
            last: present.last().unwrap_or(0),
            count: present.total(),
            pending: present.difference(&settled).total(),
            holes: holes.into_iter().map(RangeInclusive::into_inner).collect(),
            bad_records: bad[stream],
        });
    }
    Ok(VerifyReport {
        streams,
        segments: store.ordinals.len() as u64,
        bytes: store.bytes(),
        faults,
    })
}

/// Where every stream stands, without reading the sealed segments.
///
/// # Errors
/// As [`verify`]; `Corrupt` when a database that must be read is damaged.
pub fn stat(dir: &Path) -> Result<StatReport, OutboxError> {
    let store = Store::open(dir)?;
    let mut present = PerStream::<RangeSet>::default();
    for ordinal in &store.ordinals {
        let about = store.about(*ordinal, &mut Vec::new())?;
        let here = match about.and_then(|about| about.sealed) {
            Some(sealed) => sealed.present(),
            None => {
                store
                    .content(*ordinal, None)?
                    .map_err(|why| store.damaged(*ordinal, &why))?
                    .present
            }
        };
        for (stream, set) in here.iter() {
            present[stream].extend(set);
        }
    }
    let streams = present.iter().map(|(stream, present)| {
        let acked = store.settled(stream, present);
        let last = present.last().unwrap_or(0).max(acked.last().unwrap_or(0));
        let state = StreamState {
            last,
            acked,
            absent: RangeSet::default(),
        };
        NamedStat {
            stream,
            stat: state.stat(),
        }
    });
    Ok(StatReport {
        streams: streams.collect(),
        segments: store.ordinals.len() as u64,
        bytes: store.bytes(),
    })
}

/// Writes every stored event, one line each, stream by stream in order.
///
/// # Errors
/// As [`verify`], and any error of `sink`; what a damaged segment still holds is written before `Corrupt`.
pub fn dump(dir: &Path, sink: &mut dyn io::Write) -> Result<(), OutboxError> {
    let store = Store::open(dir)?;
    let mut damage = None;
    for stream in Stream::ALL {
        for ordinal in &store.ordinals {
            let about = store.about(*ordinal, &mut Vec::new())?;
            let expected = about.and_then(|about| about.sealed);
            let why = match expected.map(|sealed| sealed.present()) {
                Some(expected) => store.dump_sealed(*ordinal, stream, &expected, sink)?,
                None => store.dump(*ordinal, stream, sink)?.err(),
            };
            if let Some(why) = why {
                damage.get_or_insert(store.damaged(*ordinal, &why));
            }
        }
    }
    sink.flush().map_err(cannot_write)?;
    damage.map_or(Ok(()), Err)
}

fn cannot_write(source: io::Error) -> OutboxError {
    OutboxError::Io {
        what: "cannot write the events".to_owned(),
        source,
    }
}

/// A data directory that is only looked at.
struct Store {
    dir: PathBuf,
    ordinals: Vec<u64>,
    acks: Option<Acks>,
    gone: PerStream<RangeSet>,
    /// Highest number that marks or acknowledgements prove, per stream.
    proven: PerStream<u64>,
    /// Faults of the small files.
    faults: Vec<String>,
    _lock: fs::File,
}

/// A segment opened as a copy, which goes with this value.
struct Copy {
    segment: Segment,
    _dir: Scratch,
}

/// A directory that is removed at the end.
struct Scratch(PathBuf);

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = layout::remove(&self.0);
    }
}

impl Store {
    fn open(dir: &Path) -> Result<Self, OutboxError> {
        let lock = lock::take(dir, 0)?;
        Self::load(dir, lock).map_err(|error| OutboxError::io(dir, "read", error))
    }

    fn load(dir: &Path, lock: fs::File) -> io::Result<Self> {
        let mut faults = Vec::new();
        let acks = read_optional(&dir.join(ACKS))?;
        let known = acks
            .as_deref()
            .map(|bytes| ackfile::newest(bytes).map(|(_, acks)| acks));
        if let Some(None) = known {
            faults.push("acks: both slots are damaged; events will be sent again".to_owned());
        }
        let acks = known.flatten();
        let marked = read_optional(&dir.join(MARKS))?;
        let marked = marked
            .and_then(|bytes| marks::decode(&bytes))
            .unwrap_or_default();
        let proven = PerStream::new(|stream| {
            let acked = acks.as_ref().and_then(|acks| acks.acked[stream].last());
            marked[stream].max(acked.unwrap_or(0))
        });
        Ok(Self {
            dir: dir.to_owned(),
            ordinals: layout::ordinals(dir, Kind::Segment)?.into_iter().collect(),
            acks,
            gone: Gaps::load(&dir.join(GAPS))?.missing(),
            proven,
            faults,
            _lock: lock,
        })
    }

    /// What needs no event any more: acknowledged, or reported as gone.
    fn settled(&self, stream: Stream, present: &RangeSet) -> RangeSet {
        let mut settled = match &self.acks {
            Some(acks) => acks.acked[stream].clone(),
            // Without the ack file: what was dropped was acknowledged.
            None => RangeSet::from_iter([1..=present.first().unwrap_or(1) - 1]),
        };
        settled.extend(&self.gone[stream]);
        settled
    }

    fn about(&self, ordinal: u64, faults: &mut Vec<String>) -> Result<Option<About>, OutboxError> {
        let path = Kind::Segment.path(&self.dir, ordinal);
        let about =
            About::load(&path).map_err(|error| OutboxError::io(&self.dir, "read", error))?;
        if about.is_none() {
            faults.push(format!(
                "{}: its `about` is missing or damaged",
                path.display()
            ));
        }
        Ok(about)
    }

    fn content(
        &self,
        ordinal: u64,
        sealed: Option<&Sealed>,
    ) -> Result<Result<Content, String>, OutboxError> {
        if let Some(sealed) = sealed {
            let present = self.sealed(ordinal, &sealed.present())?.present();
            return Ok(Ok(Content {
                present,
                ..Content::default()
            }));
        }
        let copy = match self.copy(ordinal)? {
            Ok(copy) => copy,
            Err(why) => return Ok(Err(why)),
        };
        self.sort(copy.segment.content())
    }

    fn sealed(&self, ordinal: u64, present: &PerStream<RangeSet>) -> Result<Index, OutboxError> {
        Index::within(&Kind::Segment.path(&self.dir, ordinal), present)
            .map_err(|error| OutboxError::io(&self.dir, "read", error))
    }

    /// Writes a sealed segment's events of a stream; says in plain words what is missing.
    fn dump_sealed(
        &self,
        ordinal: u64,
        stream: Stream,
        expected: &PerStream<RangeSet>,
        sink: &mut dyn io::Write,
    ) -> Result<Option<String>, OutboxError> {
        let index = self.sealed(ordinal, expected)?;
        let dumped = index.each(stream, |_, bytes| {
            sink.write_all(&bytes)?;
            Ok(sink.write_all(b"\n")?)
        });
        match dumped {
            Ok(()) => {}
            Err(SegmentError::Io(error)) => return Err(cannot_write(error)),
            Err(SegmentError::Damaged(why)) => return Ok(Some(why)),
        }
        let missing = expected[stream].difference(&index.present()[stream]);
        let first = missing.iter().next();
        Ok(first.map(|range| format!("{} missing", events(stream, &range))))
    }

    /// Writes the head's events of a stream; says in plain words what is damaged.
    fn dump(
        &self,
        ordinal: u64,
        stream: Stream,
        sink: &mut dyn io::Write,
    ) -> Result<Result<(), String>, OutboxError> {
        let copy = match self.copy(ordinal)? {
            Ok(copy) => copy,
            Err(why) => return Ok(Err(why)),
        };
        let mut after = 0;
        loop {
            let mut batch = Batch::new(BATCH.0, BATCH.1);
            let outcome = copy.segment.read(stream, after, u64::MAX, &mut batch);
            for event in &batch.events {
                sink.write_all(&event.bytes).map_err(cannot_write)?;
                sink.write_all(b"\n").map_err(cannot_write)?;
                after = event.sequence;
            }
            let outcome = self.sort(outcome)?;
            if outcome.is_err() || batch.events.is_empty() {
                return Ok(outcome);
            }
        }
    }

    /// Opens a copy of a segment's database; `Err` with plain words where it is damaged.
    fn copy(&self, ordinal: u64) -> Result<Result<Copy, String>, OutboxError> {
        let scratch = Scratch(Kind::Copy.path(&self.dir, ordinal));
        let copied = layout::remove(&scratch.0)
            .and_then(|()| copy_directory(&Kind::Segment.path(&self.dir, ordinal), &scratch.0));
        copied.map_err(|error| OutboxError::io(&self.dir, "copy a segment in", error))?;
        let opened = self.sort(Segment::open(&scratch.0, CACHE))?;
        Ok(opened.map(|segment| Copy {
            segment,
            _dir: scratch,
        }))
    }

    fn sort<T>(&self, outcome: Result<T, SegmentError>) -> Result<Result<T, String>, OutboxError> {
        match outcome {
            Ok(value) => Ok(Ok(value)),
            Err(SegmentError::Damaged(why)) => Ok(Err(why)),
            Err(SegmentError::Io(error)) => Err(OutboxError::io(&self.dir, "read", error)),
        }
    }

    fn damaged(&self, ordinal: u64, why: &str) -> OutboxError {
        let path = Kind::Segment.path(&self.dir, ordinal);
        OutboxError::Corrupt(format!(
            "{} is damaged ({why}); the daemon repairs it when it starts",
            path.display()
        ))
    }

    fn bytes(&self) -> u64 {
        let size = |ordinal: &u64| directory_bytes(&Kind::Segment.path(&self.dir, *ordinal));
        self.ordinals.iter().map(size).sum()
    }
}

fn read_optional(path: &Path) -> io::Result<Option<Vec<u8>>> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn copy_directory(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_directory(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}

fn events(stream: Stream, range: &RangeInclusive<u64>) -> String {
    match (range.start(), range.end()) {
        (first, last) if first == last => format!("event {stream}/{first} is"),
        (first, last) => format!("events {stream}/{first} to {last} are"),
    }
}
