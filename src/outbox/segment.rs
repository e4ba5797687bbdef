//! One segment: a directory with one sled database, one tree per stream, driven by the measured recipe.
//!
//! sled's `flush` ends in `sync_file_range`, so every commit is followed by an fsync of its file; after an
//! open every file and directory is synced, because sled syncs neither `conf` nor a new file's name. sled
//! panics on damaged files, so everything that reads runs under `catch_unwind` and every panic counts as
//! damage. Nothing here decides what to do about damage; see `chain`.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use super::Stored;
use super::probe;
use super::ranges::{PerStream, RangeSet};
use super::record::{self, Turn};
use crate::durable;
use crate::event::Stream;

/// How often and how long a lock that another handle is about to give up is waited for.
const LOCK_TRIES: u32 = 60;
const LOCK_PAUSE: Duration = Duration::from_millis(50);
/// How long closing may take before the database is left to itself.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(10);

/// sled splits a leaf in the middle when it gets its 17th entry and writes both halves anew. Keys that only ever grow
/// would have every record written three times over. So empty entries, the spacers, are put in ahead of the records:
/// leaves are split while hardly anything is in them. Nine spacers stay in a leaf. With this share of a record's events
/// from one to the next, six records come to lie between them, too few to split it again.
const fn spacing(events: usize) -> u64 {
    match events as u64 * 2 / 3 {
        0 => 1,
        spacing => spacing,
    }
}

/// How many spacers there are ahead: more than the last leaf holds, the one that splits.
const SPACERS: u64 = 20;

/// Why a segment cannot do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum SegmentError {
    /// The stored bytes are wrong.
    #[error("{0}")]
    Damaged(String),
    /// The device or the file system refused; the bytes may be fine.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Events being read, up to a limit.
#[derive(Debug)]
pub struct Batch {
    pub events: Vec<Stored>,
    bytes: usize,
    max_events: usize,
    max_bytes: usize,
    full: bool,
}

impl Batch {
    /// An empty batch; it takes at least one event.
    #[must_use]
    pub fn new(max_events: usize, max_bytes: usize) -> Self {
        Self {
            events: Vec::new(),
            bytes: 0,
            max_events: max_events.max(1),
            max_bytes,
            full: false,
        }
    }

    /// Whether no more goes in.
    #[must_use]
    pub const fn is_full(&self) -> bool {
        self.full
    }

    /// Leaves out what is not wanted; then there may be room again.
    pub fn retain(&mut self, wanted: impl Fn(u64) -> bool) {
        let before = self.events.len();
        self.events.retain(|event| wanted(event.sequence));
        if self.events.len() < before {
            self.bytes = self.events.iter().map(|event| event.bytes.len()).sum();
            self.full = false;
        }
    }

    /// Adds an event, unless that is too much; then the batch is full.
    pub fn push(&mut self, sequence: u64, bytes: Vec<u8>) {
        let size = self.bytes + bytes.len();
        if !self.events.is_empty() && size > self.max_bytes {
            self.full = true;
            return;
        }
        self.bytes = size;
        self.events.push(Stored { sequence, bytes });
        self.full = self.events.len() == self.max_events || size >= self.max_bytes;
    }
}

/// What is in a segment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Content {
    pub present: PerStream<RangeSet>,
    /// Highest epoch of any record.
    pub epoch: u32,
    /// Plain words about each record that is not whole, with its stream.
    pub faults: Vec<(Stream, String)>,
}

/// An open segment.
pub struct Segment {
    dir: PathBuf,
    /// Taken only by `drop`.
    db: Option<sled::Db>,
    trees: [sled::Tree; 4],
    file: File,
    /// Whether sled may have put nodes into files of their own, `blobs`.
    may_have_blobs: AtomicBool,
    /// The last spacer of each stream.
    spaced: [AtomicU64; 4],
}

impl Segment {
    /// Makes a new, empty segment in `dir`, which must not exist, and opens it.
    ///
    /// # Errors
    /// [`SegmentError`]; what was begun is left in `dir`.
    pub fn create(dir: &Path, cache_bytes: u64) -> Result<Self, SegmentError> {
        fs::create_dir(dir)?;
        start(dir, cache_bytes)
    }

    /// Opens a segment that was made and closed a moment ago: every file of it is on the disk already.
    ///
    /// # Errors
    /// [`SegmentError`].
    pub fn open_made(dir: &Path, cache_bytes: u64) -> Result<Self, SegmentError> {
        open(dir, cache_bytes)
    }

    /// Opens an existing segment, without sled's snapshots: its log is replayed. A snapshot may know more of a log than a
    /// power cut or damage left of it. Then what is written next gets places in the log that lie before what the
    /// snapshot has seen, and at the opening after that sled passes over it.
    ///
    /// # Errors
    /// [`SegmentError`].
    pub fn open(dir: &Path, cache_bytes: u64) -> Result<Self, SegmentError> {
        match fs::metadata(dir.join("db")) {
            Ok(meta) if meta.len() > 0 => {}
            Ok(_) => return Err(SegmentError::Damaged("its database is empty".to_owned())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(SegmentError::Damaged("its database is missing".to_owned()));
            }
            Err(error) => return Err(error.into()),
        }
        remove_snapshots(dir)?;
        start(dir, cache_bytes)
    }

    /// Adds one record; durable only after [`Segment::commit`]. The same record may be added again. `events`: as
    /// [`record::fit`] allows.
    ///
    /// # Errors
    /// [`SegmentError`]; the segment must then be reopened.
    pub fn put(
        &self,
        stream: Stream,
        turn: Turn,
        first: u64,
        events: &[Vec<u8>],
    ) -> Result<(), SegmentError> {
        let record = record::encode(stream, turn, first, events);
        // A node holds no more than 17 records, and the usual ones never come near the size of such a file together.
        if record.len() > record::RECORD_BYTES {
            self.may_have_blobs.store(true, Relaxed);
        }
        guarded(|| {
            self.space(stream, first, spacing(events.len()))?;
            self.trees[stream.index()].insert(record::key(first), record)?;
            Ok(())
        })
    }

    /// Puts in the spacers that are needed ahead of a record.
    fn space(&self, stream: Stream, first: u64, spacing: u64) -> sled::Result<()> {
        let spaced = &self.spaced[stream.index()];
        let mut at = spaced.load(Relaxed).max(first);
        while at < first.saturating_add(SPACERS * spacing) {
            at = at.saturating_add(spacing);
            // Never over a record: after damage, numbers do not come in their order.
            let absent = None::<&[u8]>;
            let _ =
                self.trees[stream.index()].compare_and_swap(record::key(at), absent, Some(&[]))?;
        }
        spaced.store(at, Relaxed);
        Ok(())
    }

    /// Makes everything added so far durable.
    ///
    /// # Errors
    /// [`SegmentError`]; the segment must then be reopened.
    pub fn commit(&self) -> Result<(), SegmentError> {
        if let Some(db) = &self.db {
            guarded(|| db.flush().map(|_| ()))?;
        }
        self.file.sync_data()?;
        if self.may_have_blobs.load(Relaxed) {
            sync_files(&self.dir.join("blobs"), true)?;
        }
        Ok(())
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
        let tree = &self.trees[stream.index()];
        let from = record::key(after.saturating_add(1));
        let is_record = |entry: &sled::Result<(sled::IVec, sled::IVec)>| {
            entry
                .as_ref()
                .map_or(true, |(_, record)| !record.is_empty())
        };
        let begin = guarded(|| tree.range(..=from).rev().find(is_record).transpose())?;
        let begin = begin.map_or_else(|| from.to_vec(), |(key, _)| key.to_vec());
        self.records(stream, &begin, |record| {
            let record = record.map_err(SegmentError::Damaged)?;
            for (sequence, event) in record.numbered() {
                if sequence > until || batch.is_full() {
                    return Ok(false);
                }
                let bytes = event.ok_or_else(|| {
                    SegmentError::Damaged(format!("event {stream}/{sequence} is damaged"))
                })?;
                if sequence > after {
                    batch.push(sequence, bytes.to_vec());
                }
            }
            Ok(true)
        })
    }

    /// Reads everything.
    ///
    /// # Errors
    /// [`SegmentError`] where sled cannot go on; a bad record is only noted.
    pub fn content(&self) -> Result<Content, SegmentError> {
        let mut content = Content::default();
        for stream in Stream::ALL {
            self.records(stream, &[], |record| {
                match record {
                    Err(why) => content.faults.push((stream, why)),
                    Ok(record) => {
                        content.epoch = content.epoch.max(record.turn.epoch);
                        for (sequence, event) in record.numbered() {
                            match event {
                                Some(_) => content.present[stream].insert(sequence..=sequence),
                                None => content.faults.push((
                                    stream,
                                    format!("event {stream}/{sequence} is damaged"),
                                )),
                            }
                        }
                    }
                }
                Ok(true)
            })?;
        }
        Ok(content)
    }

    /// Calls `each` with the records from key `begin` on until it returns false.
    fn records(
        &self,
        stream: Stream,
        begin: &[u8],
        mut each: impl FnMut(Result<record::Record<'_>, String>) -> Result<bool, SegmentError>,
    ) -> Result<(), SegmentError> {
        let mut range = self.trees[stream.index()].range(begin..);
        while let Some((key, value)) = guarded(|| range.next().transpose())? {
            if value.is_empty() {
                continue;
            }
            let named = match record::parse(&value) {
                Ok(record) if record.stream == stream && record::key(record.first) == *key => {
                    Ok(record)
                }
                Ok(_) => Err(format!(
                    "a record of stream {stream} lies under a wrong key"
                )),
                Err(why) => Err(format!("a record of stream {stream} is damaged: {why}")),
            };
            if !each(named)? {
                break;
            }
        }
        Ok(())
    }

    /// Size on disk, bytes; 0 when unknown.
    #[must_use]
    pub fn disk_bytes(&self) -> u64 {
        directory_bytes(&self.dir)
    }
}

impl Drop for Segment {
    /// Waits until sled has let go of the files, but not for ever: its flusher can hang on damaged data.
    fn drop(&mut self) {
        let db = self.db.take();
        let (done, closed) = mpsc::sync_channel(1);
        let closer = thread::Builder::new()
            .name("outbox-close".to_owned())
            .spawn(move || {
                drop(db);
                let _ = done.send(());
            });
        if closer.is_ok() && closed.recv_timeout(CLOSE_TIMEOUT).is_err() {
            tracing::warn!(dir = %self.dir.display(), "sled does not close; leaving it behind");
        }
    }
}

/// What all files below a directory take on disk, bytes: their blocks, not their lengths. What cannot be read counts
/// nothing.
#[must_use]
pub fn directory_bytes(dir: &Path) -> u64 {
    let Ok(entries) = fs::read_dir(dir) else {
        return 0;
    };
    entries.flatten().map(|entry| bytes(&entry)).sum()
}

/// What a file or directory takes on disk, bytes.
pub fn bytes(entry: &fs::DirEntry) -> u64 {
    match entry.metadata() {
        Ok(meta) if meta.is_dir() => directory_bytes(&entry.path()),
        // POSIX: st_blocks counts units of 512 bytes.
        Ok(meta) => meta.blocks() * 512,
        Err(_) => 0,
    }
}

/// Opens the database and syncs its files.
fn start(dir: &Path, cache_bytes: u64) -> Result<Segment, SegmentError> {
    let segment = open(dir, cache_bytes)?;
    segment.commit()?;
    sync_files(dir, false)?;
    durable::sync_dir(durable::parent(dir))?;
    Ok(segment)
}

/// Opens the database, waiting a moment for a lock that is about to be given up.
fn open(dir: &Path, cache_bytes: u64) -> Result<Segment, SegmentError> {
    let config = sled::Config::new()
        .path(dir)
        .cache_capacity(cache_bytes)
        .use_compression(false);
    let mut tries = 0;
    let db = loop {
        match guarded(|| config.open()) {
            Err(SegmentError::Io(error)) if is_locked(&error) && tries < LOCK_TRIES => {
                tries += 1;
                thread::sleep(LOCK_PAUSE);
            }
            Err(SegmentError::Io(error)) if is_locked(&error) => {
                return Err(io::Error::new(io::ErrorKind::ResourceBusy, error).into());
            }
            other => break other?,
        }
    };
    let open = |stream: Stream| guarded(|| db.open_tree(stream.name()));
    let [alarm, count, interval, diagnostic] = Stream::ALL.map(open);
    Ok(Segment {
        dir: dir.to_owned(),
        trees: [alarm?, count?, interval?, diagnostic?],
        file: File::open(dir.join("db"))?,
        // From an earlier opening.
        may_have_blobs: AtomicBool::new(has_entries(&dir.join("blobs"))),
        spaced: Default::default(),
        db: Some(db),
    })
}

/// Whether anything is in a directory; true also where that cannot be known.
fn has_entries(dir: &Path) -> bool {
    fs::read_dir(dir).map_or(true, |mut entries| entries.next().is_some())
}

/// Syncs every file and the directory itself; an empty or missing directory only when asked.
fn sync_files(dir: &Path, skip_empty: bool) -> io::Result<()> {
    let mut any = false;
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with(probe::RAW) {
            continue;
        }
        any = true;
        if entry.file_type()?.is_dir() {
            sync_files(&entry.path(), false)?;
        } else if let Err(error) = File::open(entry.path()).and_then(|file| file.sync_all()) {
            // sled removes files in the background.
            if error.kind() != io::ErrorKind::NotFound {
                return Err(error);
            }
        }
    }
    if any || !skip_empty {
        durable::sync_dir(dir)?;
    }
    Ok(())
}

/// Removes sled's snapshots, whole and unfinished ones; they only save the replay of the log.
fn remove_snapshots(dir: &Path) -> io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name.starts_with("snap.") {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

/// Runs sled code: a panic is damage, and sled's errors are told apart.
fn guarded<T>(action: impl FnOnce() -> sled::Result<T>) -> Result<T, SegmentError> {
    match catch_unwind(AssertUnwindSafe(action)) {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(classify(error)),
        Err(_) => Err(SegmentError::Damaged(
            "the database stopped on damaged data".to_owned(),
        )),
    }
}

fn classify(error: sled::Error) -> SegmentError {
    match error {
        // A file that ends too early is damage; everything else the system says is not about the bytes.
        sled::Error::Io(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
            SegmentError::Damaged(error.to_string())
        }
        sled::Error::Io(error) => SegmentError::Io(error),
        // sled's threads are shared by all databases of a process; once they are gone only a restart helps.
        sled::Error::ReportableBug(what) if what.contains("IO thread") => SegmentError::Io(
            io::Error::other("the database's threads have died; restart footfall"),
        ),
        other => SegmentError::Damaged(other.to_string()),
    }
}

/// sled has no kind of its own for a held lock.
fn is_locked(error: &io::Error) -> bool {
    error.to_string().contains("could not acquire lock")
}

#[cfg(test)]
mod tests;
