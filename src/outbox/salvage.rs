//! Writes a segment anew: a damaged one of the whole events in its raw files, so that a flipped bit costs one event
//! and not a day; sound ones of what is to stay of them.

use std::path::{Path, PathBuf};

use super::about::{About, Sealed};
use super::index::Index;
use super::layout::{self, Kind};
use super::ranges::{PerStream, RangeSet};
use super::record::{self, Turn};
use super::segment::{Segment, SegmentError, directory_bytes};
use crate::event::Stream;

/// Writes everything found into a segment.
fn copy(index: &Index, segment: &Segment, epoch: u32) -> Result<(), SegmentError> {
    let turn = Turn { epoch, commit: 0 };
    for stream in Stream::ALL {
        let mut run: Vec<Vec<u8>> = Vec::new();
        let mut next = 0;
        index.each(stream, |sequence, bytes| {
            if sequence != next || run.len() == record::RECORD_EVENTS {
                put_all(segment, stream, turn, next, &mut run)?;
            }
            run.push(bytes);
            next = sequence + 1;
            Ok(())
        })?;
        put_all(segment, stream, turn, next, &mut run)?;
    }
    segment.commit()
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
        segment.put(stream, turn, first, now)?;
        first += now.len() as u64;
        events = rest;
    }
    Ok(())
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
        copy(&index, &segment, epoch)?;
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

/// A sealed segment and what of it is wanted.
pub struct Source {
    pub dir: PathBuf,
    pub about: About,
    pub keep: PerStream<RangeSet>,
}

/// Makes a sealed segment in `new`, which must not be there as a segment yet, of what is wanted of some sound
/// segments; false when that is not all found.
///
/// # Errors
/// [`SegmentError`]; what was begun is left in `new`.
pub fn write_anew(
    sources: &[Source],
    new: &Path,
    about: About,
    epoch: u32,
    cache_bytes: u64,
    keep: &PerStream<RangeSet>,
) -> Result<bool, SegmentError> {
    layout::remove(new)?;
    let mut index = Index::default();
    for source in sources {
        index.search(&source.dir, |stream, sequence, epoch| {
            let at_least = source.about.epoch_of(stream, sequence);
            source.keep[stream].contains(sequence) && epoch >= at_least
        })?;
    }
    if index.present() != *keep {
        return Ok(false);
    }
    let segment = Segment::create(new, cache_bytes)?;
    copy(&index, &segment, epoch)?;
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
    use std::fs;

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
            ordinal: None,
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
}
