//! The outbox as the rest of the house sees it.

use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tokio::sync::{oneshot, watch};

use super::chain::Layout;
use super::intake::{Intake, Item, Patience};
use super::reader;
use super::recovery::{self, Recovery};
use super::segment::Batch;
use super::state::Shared;
use super::writer::{GROUP, LINGER, Writer};
use super::{OutboxError, Queue, Stored, StreamStat};
use crate::clock::SharedClock;
use crate::event::{Draft, Identity, Receipt, Sink, SinkClosed, Stream};
use crate::metric::Counter;

/// Events that wait for the writer, at most; then sources wait for a moment, and then the lowest give way.
const QUEUE: usize = 1024;

/// How the outbox is kept.
#[derive(Clone, Debug)]
pub struct Options {
    /// An existing directory that the daemon may write in.
    pub dir: PathBuf,
    /// Cache of one sled database, bytes; only the head is open, and for a moment one that is written anew.
    pub cache_bytes: u64,
    /// Events in one segment, at most.
    pub segment_events: u64,
    /// Age at which a segment is sealed.
    pub segment_age: Duration,
    /// Newest sealed segments that stay even when they are acknowledged: today's totals are rebuilt from them.
    pub kept_segments: usize,
    /// What all files may take on disk, bytes; `None`: 1 GB, and at most a quarter of the file system.
    pub quota_bytes: Option<u64>,
}

impl Options {
    /// The measured defaults: 8 MB, 2,000 events, one day, 25 sealed segments kept, the file system's quota. sled keeps nearly all of its head in
    /// memory, so the segment's size is what bounds the memory, not the cache.
    #[must_use]
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self {
            dir: dir.into(),
            cache_bytes: 8 << 20,
            segment_events: 2_000,
            segment_age: Duration::from_secs(24 * 3600),
            kept_segments: 25,
            quota_bytes: None,
        }
    }
}

/// The durable queue. Clones share it; the last one dropped closes it.
#[derive(Clone)]
pub struct Outbox(Arc<Inner>);

struct Inner {
    queue: Arc<Intake>,
    closing: watch::Sender<bool>,
    shared: Arc<Shared>,
    dir: PathBuf,
    quota: u64,
    writer: Mutex<Option<JoinHandle<Result<(), OutboxError>>>>,
}

impl Outbox {
    /// Opens the outbox in an existing directory and starts its writer. Losses found are reported by the
    /// outbox itself, as `outbox.gap` events.
    ///
    /// # Errors
    /// [`OutboxError`]: `Locked` while another process has it open, `Io` when the directory is missing,
    /// read-only or full, `Corrupt` when even the repair of damage fails.
    pub fn open(
        options: Options,
        identity: Identity,
        clock: SharedClock,
    ) -> Result<(Self, Recovery), OutboxError> {
        Self::open_with(options, identity, clock, LINGER)
    }

    /// Opens with another time to wait for more events before a commit.
    pub(crate) fn open_with(
        options: Options,
        identity: Identity,
        clock: SharedClock,
        linger: Duration,
    ) -> Result<(Self, Recovery), OutboxError> {
        let dir = options.dir.clone();
        let layout = Layout {
            dir: options.dir,
            cache_bytes: options.cache_bytes,
            segment_events: options.segment_events.max(1),
            segment_age: options.segment_age,
            kept_segments: options.kept_segments,
            quota_bytes: options.quota_bytes,
        };
        let failed = |error| OutboxError::io(&dir, "start the writer of", error);
        let (chain, recovery) = recovery::open(layout, clock)?;
        let queue = Arc::new(Intake::new(QUEUE, GROUP, Patience::default()));
        let quota = chain.space.quota;
        let (closing, is_closing) = watch::channel(false);
        let shared = Arc::clone(&chain.shared);
        let writer =
            Writer::new(chain, identity, Arc::clone(&queue), is_closing, linger).map_err(failed)?;
        let thread = thread::Builder::new()
            .name("outbox".to_owned())
            .spawn(move || writer.run())
            .map_err(failed)?;
        let inner = Inner {
            queue,
            quota,
            closing,
            shared,
            dir,
            writer: Mutex::new(Some(thread)),
        };
        Ok((Self(Arc::new(inner)), recovery))
    }

    /// Stores one event and returns its number once it is durable.
    ///
    /// # Errors
    /// [`SinkClosed`] when the outbox closed first, refused the event (far too big), or the event gave way to others
    /// while nothing could be stored; the last two raise an alarm.
    pub async fn append(&self, draft: Draft) -> Result<u64, SinkClosed> {
        let (sender, receipt) = oneshot::channel();
        let item = Item {
            draft,
            receipt: Some(sender),
        };
        let failing = || self.is_failing();
        self.0.queue.put_async(item, failing).await?;
        receipt.await.map_err(|_| SinkClosed)
    }

    /// Takes no more events, stores those that wait, and closes the files. Blocks; calling it again is fine.
    ///
    /// # Errors
    /// [`OutboxError::Io`] when waiting events could not be stored; they were never acknowledged.
    pub fn close(&self) -> Result<(), OutboxError> {
        self.0.close()
    }

    /// What is wrong with the storage at the moment, in plain words.
    #[must_use]
    pub fn store_error(&self) -> Option<String> {
        let writer = self.0.writer.lock();
        let writer = writer.unwrap_or_else(PoisonError::into_inner);
        if writer.as_ref().is_some_and(JoinHandle::is_finished) && !*self.0.closing.borrow() {
            return Some("the outbox's writer has stopped; restart footfall".to_owned());
        }
        self.0.shared.trouble().clone()
    }

    /// A number that grows for as long as the writer is alive, at least once in five seconds.
    #[must_use]
    pub fn turns(&self) -> u64 {
        self.0.shared.turns.get()
    }

    fn is_failing(&self) -> bool {
        self.0.shared.trouble().is_some()
    }

    /// What all its files take on disk, bytes, when last measured: within ten seconds.
    #[must_use]
    pub fn disk_bytes(&self) -> u64 {
        self.0.shared.used.get() as u64
    }

    /// What its files may take on disk, bytes.
    #[must_use]
    pub fn quota_bytes(&self) -> u64 {
        self.0.quota
    }

    /// Events since the start that could not wait for the storage any longer and were dropped before they had a number.
    #[must_use]
    pub fn not_stored(&self) -> u64 {
        self.0.shared.not_stored.0.iter().map(Counter::get).sum()
    }
}

impl Inner {
    fn close(&self) -> Result<(), OutboxError> {
        self.closing.send_replace(true);
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        match writer.take().map(JoinHandle::join) {
            None => Ok(()),
            Some(Ok(outcome)) => outcome,
            Some(Err(_)) => Err(OutboxError::Corrupt(
                "the outbox's writer panicked; restart footfall".to_owned(),
            )),
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        if let Err(error) = self.close() {
            tracing::error!(%error, "closing the outbox failed");
        }
    }
}

impl Sink for Outbox {
    fn submit(&self, draft: Draft) -> Result<Receipt, SinkClosed> {
        let (sender, receipt) = oneshot::channel();
        let item = Item {
            draft,
            receipt: Some(sender),
        };
        self.0.queue.put(item, || self.is_failing())?;
        Ok(receipt)
    }
}

impl Queue for Outbox {
    fn read(
        &self,
        stream: Stream,
        after: u64,
        max_events: usize,
        max_bytes: usize,
    ) -> Result<Vec<Stored>, OutboxError> {
        let Inner { shared, dir, .. } = &*self.0;
        let batch = Batch::new(max_events, max_bytes);
        reader::read(shared, dir, stream, after, batch)
    }

    fn ack(&self, stream: Stream, range: RangeInclusive<u64>) -> Result<(), OutboxError> {
        let mut state = self.0.shared.state();
        if state.is_closed {
            return Err(OutboxError::Closed);
        }
        state.streams[stream].ack(&range);
        state.unstored_acks += 1;
        Ok(())
    }

    fn is_acked(&self, stream: Stream, sequence: u64) -> bool {
        let state = self.0.shared.state();
        state.streams[stream].acked.contains(sequence)
    }

    fn stat(&self, stream: Stream) -> StreamStat {
        self.0.shared.state().streams[stream].stat()
    }

    fn changed(&self) -> watch::Receiver<u64> {
        self.0.shared.changed.subscribe()
    }
}
