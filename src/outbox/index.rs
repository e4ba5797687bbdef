//! The whole events of a segment, found in its raw files. Records name and check themselves, so nothing of sled is
//! needed: nothing is written, which a full disk would refuse, and a file that sled cannot open is read all the same.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use memchr::memmem;

use super::about::About;
use super::probe::RAW;
use super::ranges::{PerStream, RangeSet};
use super::record::{self, CRC, EVENT_BYTES, Turn};
use super::segment::{Batch, SegmentError};
use crate::event::Stream;

/// Bytes looked at in one go, and the longest record.
const WINDOW: usize = 1024 * 1024;
const LONGEST: usize = EVENT_BYTES + 1024;
/// Bytes read at once, at least.
const CHUNK: usize = 64 * 1024;

/// Where a whole event lies.
#[derive(Clone, Copy, Debug)]
struct Found {
    turn: Turn,
    file: usize,
    /// Of its CRC; the event follows.
    at: u64,
    length: usize,
}

/// Every whole event in the raw files of one segment or of several.
#[derive(Debug, Default)]
pub struct Index {
    files: Vec<File>,
    events: PerStream<BTreeMap<u64, Found>>,
}

/// What was written in one turn.
#[derive(Debug)]
pub struct Commit {
    pub turn: Turn,
    pub events: PerStream<BTreeMap<u64, Vec<u8>>>,
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

    /// What is whole of the numbers `present` in a sealed segment.
    ///
    /// # Errors
    /// Those of [`Index::of`].
    pub fn within(dir: &Path, present: &PerStream<RangeSet>) -> io::Result<Self> {
        let about = About::load(dir)?.unwrap_or_else(|| About::unknown(present));
        Self::of(dir, |stream, sequence, epoch| {
            present[stream].contains(sequence) && epoch >= about.epoch_of(stream, sequence)
        })
    }

    /// Of a sealed segment in which all of `present` must be.
    ///
    /// # Errors
    /// [`SegmentError::Damaged`] where not all of it is found whole; any I/O error but a missing file.
    pub fn sealed(dir: &Path, present: &PerStream<RangeSet>) -> Result<Self, SegmentError> {
        let index = Self::within(dir, present)?;
        match index.present().lacks(present) {
            Some(what) => Err(SegmentError::Damaged(what)),
            None => Ok(index),
        }
    }

    /// Of a segment that is not sealed: everything but torn leftovers of earlier starts.
    ///
    /// # Errors
    /// Those of [`Index::of`].
    pub fn unsealed(dir: &Path, about: &About) -> io::Result<Self> {
        Self::of(dir, |stream, sequence, epoch| {
            epoch >= about.epoch_of(stream, sequence)
        })
    }

    /// When the last record was written.
    fn newest(&self) -> Turn {
        let turns = self.events.0.iter().flat_map(BTreeMap::values);
        turns.map(|found| found.turn).max().unwrap_or_default()
    }

    /// What is proven to have been durable, whatever sled makes of it: every whole event of a commit that another
    /// follows, because a commit begins when the one before it is durable.
    #[must_use]
    pub fn proven(&self) -> PerStream<RangeSet> {
        let newest = self.newest();
        PerStream::new(|stream| {
            let events = self.events[stream].iter();
            let earlier = events.filter(|(_, found)| found.turn < newest);
            earlier.map(|(&sequence, _)| sequence..=sequence).collect()
        })
    }

    /// The whole events of the last commit, which nothing proves.
    ///
    /// # Errors
    /// Any I/O error.
    pub fn last_commit(&self) -> Result<Commit, SegmentError> {
        let turn = self.newest();
        let mut events = PerStream::<BTreeMap<u64, Vec<u8>>>::default();
        let mut chunk = Chunk::default();
        for (stream, found) in self.events.iter() {
            for (&sequence, found) in found.iter().filter(|(_, found)| found.turn == turn) {
                match self.event(stream, sequence, found, &mut chunk) {
                    Ok(event) => drop(events[stream].insert(sequence, event.to_vec())),
                    Err(SegmentError::Damaged(_)) => {}
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(Commit { turn, events })
    }

    /// Whether file `copy` holds every whole event that `files` hold, in the same or a later state.
    ///
    /// # Errors
    /// Those of [`Index::of`].
    pub fn covers(copy: &Path, files: &[PathBuf]) -> io::Result<bool> {
        let of = |files: &[PathBuf]| {
            let mut index = Self::default();
            index.search_files(files, |_, _, _| true)?;
            io::Result::Ok(index)
        };
        let (copy, files) = (of(&[copy.to_owned()])?, of(files)?);
        Ok(files.events.iter().all(|(stream, events)| {
            let mut events = events.iter();
            events.all(|(sequence, found)| {
                let copied = copy.events[stream].get(sequence);
                copied.is_some_and(|copied| copied.turn >= found.turn)
            })
        }))
    }

    /// Adds what another segment holds; see [`Index::of`].
    ///
    /// # Errors
    /// Those of [`Index::of`].
    pub fn search(
        &mut self,
        dir: &Path,
        keep: impl Fn(Stream, u64, u32) -> bool,
    ) -> io::Result<()> {
        self.search_files(&[dir.join(RAW)], &keep)?;
        self.search_files(&data_files(dir)?, &keep)
    }

    fn search_files(
        &mut self,
        paths: &[PathBuf],
        keep: impl Fn(Stream, u64, u32) -> bool,
    ) -> io::Result<()> {
        for path in paths {
            let file = match File::open(path) {
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
        // Growing step by step would copy it again and again.
        let mut window = Vec::with_capacity(WINDOW + LONGEST + 1);
        let mut base = 0;
        loop {
            let got = file.by_ref().take(WINDOW as u64).read_to_end(&mut window)?;
            let done = match got {
                0 => window.len(),
                _ => window.len().saturating_sub(LONGEST),
            };
            let mut next = 0;
            while let Some(at) = start(&window, next).filter(|at| *at < done) {
                let Some(bytes) = window.get(at..) else { break };
                next = at + 1;
                let Ok(record) = record::parse(bytes) else {
                    continue;
                };
                // Nothing starts inside a record that is whole.
                if let Some(Some(last)) = record.events.last()
                    && record.events.iter().all(Option::is_some)
                {
                    next = last.as_ptr_range().end.addr() - window.as_ptr().addr();
                }
                for (sequence, event) in record.numbered() {
                    let Some(event) = event else { continue };
                    if !keep(record.stream, sequence, record.turn.epoch) {
                        continue;
                    }
                    let from = event.as_ptr().addr() - window.as_ptr().addr() - CRC;
                    let found = Found {
                        turn: record.turn,
                        file: self.files.len(),
                        at: base + from as u64,
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

    /// Adds the stream's events after `after`, up to and including `until`, to the batch until it is full.
    ///
    /// # Errors
    /// [`SegmentError`]; the batch may hold events that precede the damage.
    pub fn read(
        &self,
        stream: Stream,
        after: u64,
        until: u64,
        batch: &mut Batch,
    ) -> Result<(), SegmentError> {
        if after >= until {
            return Ok(());
        }
        let mut chunk = Chunk::default();
        for (&sequence, found) in self.events[stream].range(after + 1..=until) {
            if batch.is_full() {
                break;
            }
            let event = self.event(stream, sequence, found, &mut chunk)?;
            batch.push(sequence, event.to_vec());
        }
        Ok(())
    }

    /// Calls `each` with every event of a stream, in order.
    ///
    /// # Errors
    /// [`SegmentError`], also of `each`.
    pub fn each(
        &self,
        stream: Stream,
        mut each: impl FnMut(u64, Vec<u8>) -> Result<(), SegmentError>,
    ) -> Result<(), SegmentError> {
        let mut chunk = Chunk::default();
        for (&sequence, found) in &self.events[stream] {
            let event = self.event(stream, sequence, found, &mut chunk)?;
            each(sequence, event.to_vec())?;
        }
        Ok(())
    }

    /// The event's bytes, checked again: a device may have changed its mind.
    fn event<'a>(
        &self,
        stream: Stream,
        sequence: u64,
        found: &Found,
        chunk: &'a mut Chunk,
    ) -> Result<&'a [u8], SegmentError> {
        let length = CRC + found.length;
        if chunk.bytes(found, length).is_none()
            && let Some(file) = self.files.get(found.file)
        {
            chunk.fill(file, found, length)?;
        }
        chunk
            .bytes(found, length)
            .and_then(|bytes| record::whole(stream, sequence, bytes))
            .ok_or_else(|| SegmentError::Damaged(format!("event {stream}/{sequence} is damaged")))
    }
}

/// The files in which sled keeps a segment's records: its log, and what was too big for it.
///
/// # Errors
/// Any I/O error but a missing directory.
pub fn data_files(dir: &Path) -> io::Result<Vec<PathBuf>> {
    let mut paths = vec![dir.join("db")];
    match fs::read_dir(dir.join("blobs")) {
        Ok(entries) => paths.extend(entries.flatten().map(|entry| entry.path())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    Ok(paths)
}

/// Part of a file: events that follow each other lie close together.
#[derive(Default)]
struct Chunk {
    file: usize,
    at: u64,
    bytes: Vec<u8>,
}

impl Chunk {
    fn bytes(&self, found: &Found, length: usize) -> Option<&[u8]> {
        let from = usize::try_from(found.at.checked_sub(self.at)?).ok()?;
        let bytes = self.bytes.get(from..from.checked_add(length)?)?;
        (self.file == found.file).then_some(bytes)
    }

    /// Reads what lies from there on, as far as the file goes.
    fn fill(&mut self, file: &File, found: &Found, length: usize) -> io::Result<()> {
        (self.file, self.at) = (found.file, found.at);
        self.bytes.resize(length.max(CHUNK), 0);
        let mut filled = 0;
        while let Some(rest) = self.bytes.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            match file.read_at(rest, found.at + filled as u64) {
                Ok(0) => break,
                Ok(read) => filled += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        self.bytes.truncate(filled);
        Ok(())
    }
}

/// Where the next record may start, from `from` on.
fn start(bytes: &[u8], from: usize) -> Option<usize> {
    memmem::find(bytes.get(from..)?, record::MAGIC).map(|at| from + at)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outbox::record::encode;

    const TURN: Turn = Turn {
        epoch: 2,
        commit: 1,
    };

    fn events(first: u64, count: u64) -> Vec<Vec<u8>> {
        (first..first + count)
            .map(|n| format!("event {n}").into_bytes())
            .collect()
    }

    #[allow(clippy::disallowed_methods)] // raw bytes on purpose
    fn write(path: &Path, bytes: &[u8]) {
        fs::write(path, bytes).unwrap();
    }

    #[test]
    fn records_across_a_window_are_found_once() {
        let tmp = tempfile::tempdir().unwrap();
        let mut raw = vec![0; WINDOW - 10];
        raw.extend(encode(Stream::Count, Turn::default(), 1, &events(1, 3)));
        raw.extend(vec![0; LONGEST]);
        raw.extend(encode(Stream::Count, TURN, 2, &events(7, 1)));
        write(&tmp.path().join("db"), &raw);
        let index = Index::of(tmp.path(), |_, _, _| true).unwrap();
        assert_eq!(index.present()[Stream::Count].total(), 3);
        let mut batch = Batch::new(9, 1000);
        index.read(Stream::Count, 1, 2, &mut batch).unwrap();
        assert_eq!(batch.events.len(), 1);
        assert_eq!(batch.events[0].bytes, b"event 7");
    }

    #[test]
    fn what_is_missing_or_changes_after_the_search_is_damage_and_never_read() {
        let tmp = tempfile::tempdir().unwrap();
        let db = tmp.path().join("db");
        let mut raw = encode(Stream::Count, Turn::default(), 1, &events(1, 3));
        write(&db, &raw);
        let mut present = PerStream::<RangeSet>::default();
        present[Stream::Count].insert(1..=3);
        let index = Index::sealed(tmp.path(), &present).unwrap();
        let last = raw.len() - 1;
        raw[last] ^= 1;
        write(&db, &raw);
        let mut batch = Batch::new(9, 1000);
        let error = index.read(Stream::Count, 0, 3, &mut batch).unwrap_err();
        assert_eq!(error.to_string(), "event count/3 is damaged");
        assert_eq!(batch.events.len(), 2);
        write(&db, &raw[..last - 3]);
        let error = index.read(Stream::Count, 2, 3, &mut batch).unwrap_err();
        assert!(matches!(error, SegmentError::Damaged(_)), "{error}");
        let error = Index::sealed(tmp.path(), &present).unwrap_err();
        assert_eq!(error.to_string(), "events count/3 to 3 are missing");
    }
}
