//! The outbox as the uplink uses it. Reading and acknowledging touch the disk, so both run on blocking threads.

use std::ops::RangeInclusive;
use std::sync::Arc;

use tokio::sync::watch;
use tokio::task;

use super::batch::{Batch, Packed, PayloadLimit, pack};
use super::encoding::Encoding;
use super::route::Route;
use crate::event::Stream;
use crate::outbox::{OutboxError, Queue};

/// Why the outbox gave nothing.
#[derive(Debug)]
pub(super) enum FeedError {
    /// The outbox is closed for good.
    Closed,
    /// May pass; plain words.
    Trouble(String),
}

/// See the module.
pub(super) struct Feed {
    queue: Arc<dyn Queue>,
    /// Of payloads, where it makes them smaller.
    encoding: Encoding,
    /// Delivered, but not yet acknowledged to the outbox. Bounded: nothing more is sent while it cannot be emptied.
    delivered: Vec<(Stream, RangeInclusive<u64>)>,
}

impl Feed {
    pub(super) fn new(queue: Arc<dyn Queue>, encoding: Encoding) -> Self {
        Self {
            queue,
            encoding,
            delivered: Vec::new(),
        }
    }

    /// Highest acknowledged sequence number without a gap below it, by stream.
    pub(super) fn acked(&self) -> [u64; 4] {
        Stream::ALL.map(|stream| self.queue.stat(stream).acked)
    }

    /// Highest stored sequence number, by stream.
    pub(super) fn last(&self) -> [u64; 4] {
        Stream::ALL.map(|stream| self.queue.stat(stream).last)
    }

    /// Events that wait, in all streams.
    pub(super) fn pending(&self) -> u64 {
        let pending = |stream: Stream| self.queue.stat(stream).pending;
        Stream::ALL.into_iter().map(pending).sum()
    }

    pub(super) fn changed(&self) -> watch::Receiver<u64> {
        self.queue.changed()
    }

    /// The next payload: what comes after `after`, not after `end`, and the cloud does not have.
    pub(super) async fn next(
        &self,
        route: Route,
        (after, end): (u64, u64),
        max_events: usize,
        limit: PayloadLimit,
    ) -> Result<Packed, FeedError> {
        let (queue, encoding) = (self.queue.clone(), self.encoding);
        let stream = route.stream;
        blocking("reading the outbox", move || {
            let last = queue.stat(stream).last.min(end);
            let mut after = after;
            // Long acknowledged stretches lie behind an event that is set aside: no need to read them.
            while after < last && queue.is_acked(stream, after + 1) {
                after += 1;
            }
            let mut events = queue.read(stream, after, max_events, limit.target)?;
            let read = events.len();
            events.retain(|event| event.sequence <= end);
            let mut packed = pack(route, after, &events, limit, encoding, |sequence| {
                queue.is_acked(stream, sequence)
            });
            // There are events behind the end, so nothing is left between the last one packed and it.
            let reached = events
                .last()
                .is_none_or(|last| packed.upto >= last.sequence);
            if events.len() < read && reached {
                packed.upto = packed.upto.max(end);
            }
            Ok(packed)
        })
        .await
    }

    /// Notes what the cloud has; [`Feed::record`] tells the outbox.
    pub(super) fn deliver(&mut self, batch: &Batch) {
        let ranges = batch.ranges.iter().cloned();
        self.delivered
            .extend(ranges.map(|range| (batch.route.stream, range)));
    }

    /// Whether [`Feed::record`] has anything to do.
    pub(super) fn has_unrecorded(&self) -> bool {
        !self.delivered.is_empty()
    }

    /// Acknowledges what was delivered to the outbox. What fails is kept for the next call.
    pub(super) async fn record(&mut self) -> Result<(), FeedError> {
        let (queue, delivered) = (self.queue.clone(), self.delivered.clone());
        blocking("acknowledging to the outbox", move || {
            delivered
                .into_iter()
                .try_for_each(|(stream, range)| queue.ack(stream, range))
        })
        .await?;
        self.delivered.clear();
        Ok(())
    }
}

async fn blocking<T: Send + 'static>(
    what: &'static str,
    work: impl FnOnce() -> Result<T, OutboxError> + Send + 'static,
) -> Result<T, FeedError> {
    match task::spawn_blocking(work).await {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(OutboxError::Closed)) => Err(FeedError::Closed),
        Ok(Err(error)) => Err(FeedError::Trouble(format!("{what} failed: {error}"))),
        Err(_) => Err(FeedError::Trouble(format!("{what} panicked; see the log"))),
    }
}
