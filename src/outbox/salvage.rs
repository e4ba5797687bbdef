//! Rebuilds a damaged segment from its raw files. Records name and check themselves, so every whole event
//! is found again even where sled cannot open its file any more; a flipped bit costs one event, not a day.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use super::about::{About, Sealed};
use super::layout::{self, Kind};
use super::probe::RAW;
use super::ranges::{PerStream, RangeSet};
use super::record::{self, EVENT_BYTES, Turn};
use super::segment::{Segment, SegmentError, directory_bytes};
use crate::event::Stream;

/// Bytes looked at in one go, and the longest record.
const WINDOW: usize = 4 * 1024 * 1024;
const LONGEST: usize = EVENT_BYTES + 1024;

/// Where a whole event lies.
#[derive(Clone, Copy, Debug)]
struct Found {
    turn: Turn,
    file: usize,
    at: u64,
    length: usize,
}

/// Every whole event in the raw files of one segment.
#[derive(Debug, Default)]
pub struct Index {
    files: Vec<File>,
    events: PerStream<BTreeMap<u64, Found>>,
}

impl Index {
    /// Searches the segment's files for events that `keep` (stream, number, epoch) accepts. Of several
    /// with one number the latest counts.
    ///
    /// # Errors
    /// Any I/O error but a missing file.
    pub fn of(dir: &Path, keep: impl Fn(Stream, u64, u32) -> bool) -> io::Result<Self> {
        let mut index = Self::default();
        index.search(dir, keep)?;
        Ok(index)
    }

    fn search(&mut self, dir: &Path, keep: impl Fn(Stream, u64, u32) -> bool) -> io::Result<()> {
        let mut paths = vec![dir.join(RAW), dir.join("db")];
        match fs::read_dir(dir.join("blobs")) {
            Ok(entries) => paths.extend(entries.flatten().map(|entry| entry.path())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        self.search_files(paths, keep)
    }

    fn search_files(
        &mut self,
        paths: impl IntoIterator<Item = PathBuf>,
        keep: impl Fn(Stream, u64, u32) -> bool,
    ) -> io::Result<()> {
        for path in paths {
            let file = match File::open(&path) {
                Ok(file) => file,
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(error),
            };
            self.add(&file, &keep)?;
            self.files.push(file);
        }
        Ok(())
    }

    fn add(&mut self, mut file: &File, keep: &impl Fn(Stream, u64, u32) -> bool) -> io::Result<()> {
        let mut window = Vec::new();
        let mut base = 0;
        loop {
            let got = file.by_ref().take(WINDOW as u64).read_to_end(&mut window)?;
            let done = match got {
                0 => window.len(),
                _ => window.len().saturating_sub(LONGEST),
            };
            for at in starts(&window).take_while(|at| *at < done) {
                let Some(bytes) = window.get(at..) else { break };
                let Ok(record) = record::parse(bytes) else {
                    continue;
                };
                for (sequence, event) in record.numbered() {
                    let Some(event) = event else { continue };
                    if !keep(record.stream, sequence, record.turn.epoch) {
                        continue;
                    }
                    let found = Found {
                        turn: record.turn,
                        file: self.files.len(),
                        at: base + (event.as_ptr().addr() - window.as_ptr().addr()) as u64,
                        length: event.len(),
                    };
                    let known = self.events[record.stream].entry(sequence).or_insert(found);
                    if known.turn < found.turn {
                        *known = found;
                    }
                }
            }
            window.drain(..done);
            base += done as u64;
            if got == 0 {
                return Ok(());
            }
        }
    }

    /// The numbers found.
    #[must_use]
    pub fn present(&self) -> PerStream<RangeSet> {
        PerStream::new(|stream| self.events[stream].keys().map(|&n| n..=n).collect())
    }

    /// Writes everything found into a segment.
    fn copy_to(&self, segment: &Segment, epoch: u32) -> Result<(), SegmentError> {
        let turn = Turn { epoch, commit: 0 };
        for (stream, events) in self.events.iter() {
            let mut run: Vec<Vec<u8>> = Vec::new();
            let mut next = 0;
            for (&sequence, found) in events {
                if sequence != next {
                    put_all(segment, stream, turn, next, &mut run)?;
                }
                let mut bytes = vec![0; found.length];
                if let Some(file) = self.files.get(found.file) {
                    file.read_exact_at(&mut bytes, found.at)?;
                }
                run.push(bytes);
                next = sequence + 1;
                if run.len() == record::RECORD_EVENTS {
                    put_all(segment, stream, turn, next, &mut run)?;
                }
            }
            put_all(segment, stream, turn, next, &mut run)?;
        }
        segment.commit()
    }
}

/// What an unsealed segment's raw files prove to have been durable, whatever sled makes of them: every whole event
/// of a commit that another follows, because a commit begins when the one before it is durable.
///
/// # Errors
/// Any I/O error but a missing file.
pub fn proven(dir: &Path, about: &About) -> io::Result<PerStream<RangeSet>> {
    let index = Index::of(dir, |stream, sequence, epoch| {
        epoch >= about.epoch_of(stream, sequence)
    })?;
    let turns = index.events.0.iter().flat_map(BTreeMap::values);
    let newest = turns.map(|found| found.turn).max().unwrap_or_default();
    Ok(PerStream::new(|stream| {
        let events = index.events[stream].iter();
        let earlier = events.filter(|(_, found)| found.turn < newest);
        earlier.map(|(&sequence, _)| sequence..=sequence).collect()
    }))
}

/// Whether file `copy` holds every whole event that `file` holds, in the same or a later state.
///
/// # Errors
/// Any I/O error but a missing file.
pub fn covers(copy: &Path, file: &Path) -> io::Result<bool> {
    let index = |path: &Path| {
        let mut index = Index::default();
        index.search_files([path.to_owned()], |_, _, _| true)?;
        io::Result::Ok(index)
    };
    let (copy, file) = (index(copy)?, index(file)?);
    Ok(file.events.iter().all(|(stream, events)| {
        let mut events = events.iter();
        events.all(|(sequence, found)| {
            let copied = copy.events[stream].get(sequence);
            copied.is_some_and(|copied| copied.turn >= found.turn)
        })
    }))
}

/// Stores the events that precede number `next` and forgets them.
fn put_all(
    segment: &Segment,
    stream: Stream,
    turn: Turn,
    next: u64,
    run: &mut Vec<Vec<u8>>,
) -> Result<(), SegmentError> {
    let first = next - run.len() as u64;
    put(segment, stream, turn, first, run)?;
    run.clear();
    Ok(())
}

/// Adds events with numbers from `first` on, in as many records as they need.
///
/// # Errors
/// [`SegmentError`]; the segment must then be reopened.
pub fn put(
    segment: &Segment,
    stream: Stream,
    turn: Turn,
    mut first: u64,
    mut events: &[Vec<u8>],
) -> Result<(), SegmentError> {
    while !events.is_empty() {
        let (now, rest) = events.split_at(record::fit(events));
        segment.put(stream, first, record::encode(stream, turn, first, now))?;
        first += now.len() as u64;
        events = rest;
    }
    Ok(())
}

/// Where records may start.
fn starts(bytes: &[u8]) -> impl Iterator<Item = usize> + '_ {
    bytes
        .windows(record::MAGIC.len())
        .enumerate()
        .filter(|(_, window)| window == record::MAGIC)
        .map(|(at, _)| at)
}

/// Replaces segment `ordinal`, which nobody may have open, by a sealed one of its whole events that `keep`
/// accepts, sets the damaged files aside as `bad-`, and says what could be kept. Nothing is left of a
/// segment without a whole event.
///
/// # Errors
/// [`SegmentError`]; the segment is then still in place or can be rebuilt again.
pub fn rebuild(
    dir: &Path,
    ordinal: u64,
    about: &About,
    epoch: u32,
    cache_bytes: u64,
    keep: impl Fn(Stream, u64) -> bool,
) -> Result<PerStream<RangeSet>, SegmentError> {
    let old = Kind::Segment.path(dir, ordinal);
    let new = Kind::New.path(dir, ordinal);
    layout::remove(&new)?;
    let index = Index::of(&old, |stream, sequence, epoch| {
        keep(stream, sequence) && epoch >= about.epoch_of(stream, sequence)
    })?;
    let present = index.present();
    let any = present.0.iter().any(|set| set.total() > 0);
    if any {
        let segment = Segment::create(&new, cache_bytes)?;
        index.copy_to(&segment, epoch)?;
        drop(segment);
        let about = About {
            epochs: vec![(epoch, [0; 4])],
            sealed: Some(Sealed::new(directory_bytes(&new), &present)),
            ..about.clone()
        };
        about.store(&new)?;
    }
    if old.exists() {
        layout::rename(dir, Kind::Segment, Kind::Bad, ordinal)?;
    }
    if any {
        layout::rename(dir, Kind::New, Kind::Segment, ordinal)?;
    }
    Ok(present)
}

/// Makes a sealed segment in `new`, which must not be there as a segment yet, of the events `keep` of some
/// sound segments; false when they are not all found.
///
/// # Errors
/// [`SegmentError`]; what was begun is left in `new`.
pub fn write_anew(
    sources: &[(PathBuf, About)],
    new: &Path,
    about: About,
    epoch: u32,
    cache_bytes: u64,
    keep: &PerStream<RangeSet>,
) -> Result<bool, SegmentError> {
    layout::remove(new)?;
    let mut index = Index::default();
    for (dir, about) in sources {
        index.search(dir, |stream, sequence, epoch| {
            keep[stream].contains(sequence) && epoch >= about.epoch_of(stream, sequence)
        })?;
    }
    if index.present() != *keep {
        return Ok(false);
    }
    let segment = Segment::create(new, cache_bytes)?;
    index.copy_to(&segment, epoch)?;
    drop(segment);
    let about = About {
        epochs: vec![(epoch, [0; 4])],
        sealed: Some(Sealed::new(directory_bytes(new), keep)),
        ..about
    };
    about.store(new)?;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outbox::segment::Batch;

    fn events(first: u64, count: u64) -> Vec<Vec<u8>> {
        (first..first + count)
            .map(|n| format!("event {n}").into_bytes())
            .collect()
    }

    const fn turn(epoch: u32) -> Turn {
        Turn { epoch, commit: 1 }
    }

    fn about() -> About {
        About {
            start: [1; 4],
            limit: 1000,
            created: 0,
            epochs: vec![(1, [1; 4]), (2, [2, 31, 1, 1])],
            sealed: None,
        }
    }

    #[test]
    fn a_segment_without_its_structure_is_rebuilt_from_its_records() {
        let tmp = tempfile::tempdir().unwrap();
        let dir = Kind::Segment.path(tmp.path(), 1);
        let segment = Segment::create(&dir, 1 << 20).unwrap();
        put(&segment, Stream::Count, turn(1), 1, &events(1, 40)).unwrap();
        put(&segment, Stream::Alarm, turn(1), 1, &[vec![b'x'; 200_000]]).unwrap();
        segment.commit().unwrap();
        drop(segment);
        fs::remove_file(dir.join("conf")).unwrap();
        let db = dir.join("db");
        let mut bytes = fs::read(&db).unwrap();
        let at = bytes
            .windows(8)
            .rposition(|w| w == b"event 5\x1a" || &w[..7] == b"event 5")
            .unwrap();
        bytes[at] ^= 1;
        bytes[..20].fill(0);
        #[allow(clippy::disallowed_methods)] // damage on purpose
        fs::write(&db, bytes).unwrap();
        let present = rebuild(tmp.path(), 1, &about(), 3, 1 << 20, |_, n| n <= 35).unwrap();
        // From 31 on the second epoch gave the numbers: what the first left there is torn.
        let count: Vec<_> = present[Stream::Count].iter().collect();
        assert_eq!(count, [1..=4, 6..=30]);
        assert_eq!(present[Stream::Alarm].total(), 1);
        let segment = Segment::open(&dir, 1 << 20).unwrap();
        let content = segment.content().unwrap();
        assert_eq!((content.present, content.epoch), (present, 3));
        let mut batch = Batch::new(100, 1 << 20);
        segment.read(Stream::Count, 3, 30, &mut batch).unwrap();
        assert_eq!(batch.events[1].bytes, b"event 6");
        let sealed = About::load(&dir).unwrap().unwrap().sealed.unwrap();
        assert_eq!(sealed.present[1], [(1, 4), (6, 30)]);
        assert!(Kind::Bad.path(tmp.path(), 1).exists());
    }

    #[test]
    fn records_across_a_window_are_found_once() {
        let tmp = tempfile::tempdir().unwrap();
        let mut raw = vec![0; WINDOW - 10];
        raw.extend(record::encode(Stream::Count, turn(1), 1, &events(1, 3)));
        raw.extend(vec![0; LONGEST]);
        raw.extend(record::encode(Stream::Count, turn(2), 2, &events(7, 1)));
        #[allow(clippy::disallowed_methods)]
        fs::write(tmp.path().join("db"), raw).unwrap();
        let index = Index::of(tmp.path(), |_, _, _| true).unwrap();
        assert_eq!(index.present()[Stream::Count].total(), 3);
        let found = index.events[Stream::Count][&2];
        let mut bytes = vec![0; found.length];
        index.files[0].read_exact_at(&mut bytes, found.at).unwrap();
        assert_eq!(bytes, b"event 7");
    }
}
