//! The outbox as the uplink uses it. Reading touches the disk, so it runs on a blocking thread, for some payloads at
//! once.

use std::ops::RangeInclusive;
use std::sync::Arc;

use tokio::sync::watch;
use tokio::task;

use super::batch::{Batch, Packed, PayloadLimit, pack};
use super::encoding::Encoding;
use super::route::Route;
use crate::event::Stream;
use crate::outbox::{OutboxError, Queue, Stored};
use crate::words::Words;

/// Payloads whose events are read at once.
const PAYLOADS: usize = 8;

/// Why the outbox gave nothing.
#[derive(Debug)]
pub(super) enum FeedError {
    /// The outbox is closed for good.
    Closed,
    /// May pass; plain words.
    Trouble(Words),
}

/// See the module.
pub(super) struct Feed {
    queue: Arc<dyn Queue>,
    /// Of payloads, where it makes them smaller.
    encoding: Encoding,
    /// Delivered, but not yet acknowledged to the outbox. Bounded: nothing more is sent while it cannot be emptied.
    delivered: Vec<(Stream, RangeInclusive<u64>)>,
    /// Read already, one for each route at most.
    ahead: Vec<Ahead>,
}

/// Events of a route that were read and not packed yet; never empty when kept.
struct Ahead {
    route: Route,
    /// They come after this number.
    after: u64,
    /// Where the route ended then; a new connection moves it.
    end: u64,
    events: Vec<Stored>,
    /// Nothing is left between them and the route's end.
    is_last: bool,
}

impl Feed {
    pub(super) fn new(queue: Arc<dyn Queue>, encoding: Encoding) -> Self {
        Self {
            queue,
            encoding,
            delivered: Vec::new(),
            ahead: Vec::new(),
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
        &mut self,
        route: Route,
        (after, end): (u64, u64),
        max_events: usize,
        limit: PayloadLimit,
    ) -> Result<Packed, FeedError> {
        let ahead = self.ahead.iter().position(|ahead| ahead.route == route);
        let mut ahead = match ahead.map(|position| self.ahead.swap_remove(position)) {
            Some(ahead) if (ahead.after, ahead.end) == (after, end) => ahead,
            _ => self.read(route, (after, end), max_events, limit).await?,
        };
        let most = ahead.events.len().min(max_events);
        let events = ahead.events.get(..most).unwrap_or_default();
        let skip = |sequence| self.queue.is_acked(route.stream, sequence);
        let mut packed = pack(route, ahead.after, events, limit, self.encoding, skip);
        ahead.after = packed.upto;
        let packed_events = events.partition_point(|event| event.sequence <= packed.upto);
        ahead.events.drain(..packed_events);
        if !ahead.events.is_empty() {
            self.ahead.push(ahead);
        } else if ahead.is_last {
            packed.upto = packed.upto.max(end);
        }
        Ok(packed)
    }

    /// Reads as much as several payloads hold: going to a blocking thread and back takes longer than reading.
    async fn read(
        &self,
        route: Route,
        (after, end): (u64, u64),
        max_events: usize,
        limit: PayloadLimit,
    ) -> Result<Ahead, FeedError> {
        let queue = self.queue.clone();
        let stream = route.stream;
        blocking(("reading the outbox", "读取事件库"), move || {
            let last = queue.stat(stream).last.min(end);
            let mut from = after;
            // Long acknowledged stretches lie behind an event that is set aside: no need to read them.
            while from < last && queue.is_acked(stream, from + 1) {
                from += 1;
            }
            let most = max_events.saturating_mul(PAYLOADS);
            let bytes = limit.target.saturating_mul(PAYLOADS);
            let mut events = queue.read(stream, from, most, bytes)?;
            let read = events.len();
            events.retain(|event| event.sequence <= end);
            Ok(Ahead {
                route,
                after: from,
                end,
                is_last: events.len() < read,
                events,
            })
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

    /// Acknowledges what was delivered to the outbox, which only notes it. What fails is kept for the next call.
    pub(super) fn record(&mut self) -> Result<(), FeedError> {
        while let Some((stream, range)) = self.delivered.last() {
            match self.queue.ack(*stream, range.clone()) {
                Ok(()) => self.delivered.pop(),
                Err(OutboxError::Closed) => return Err(FeedError::Closed),
                Err(error) => {
                    return Err(FeedError::Trouble(Words::new(
                        format!("acknowledging to the outbox failed: {error}"),
                        format!("更新事件库失败：{error}"),
                    )));
                }
            };
        }
        Ok(())
    }
}

async fn blocking<T: Send + 'static>(
    (en, zh): (&'static str, &'static str),
    work: impl FnOnce() -> Result<T, OutboxError> + Send + 'static,
) -> Result<T, FeedError> {
    match task::spawn_blocking(work).await {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(OutboxError::Closed)) => Err(FeedError::Closed),
        Ok(Err(error)) => Err(FeedError::Trouble(Words::new(
            format!("{en} failed: {error}"),
            format!("{zh}失败：{error}"),
        ))),
        Err(_) => Err(FeedError::Trouble(Words::new(
            format!("{en} panicked; see the log"),
            format!("{zh}时程序出错；请查看日志"),
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{Clock, FakeClock};
    use crate::event::{Body, DeviceAlarm, Draft, Identity, Sink};
    use crate::outbox::memory::MemoryOutbox;

    #[tokio::test]
    async fn what_was_read_up_to_an_earlier_end_hides_nothing_behind_it() {
        let identity = Identity {
            tenant: "t".into(),
            store: "s".into(),
            box_id: "b".into(),
            boot_id: "0".into(),
            zone: jiff::tz::TimeZone::UTC,
        };
        let outbox = Arc::new(MemoryOutbox::new(identity));
        let at = FakeClock::at(jiff::Timestamp::UNIX_EPOCH).now();
        for number in 1..=10 {
            let body = Body::DeviceAlarm(DeviceAlarm {
                part: "test".into(),
                message: number.to_string(),
            });
            let source = String::new();
            drop(outbox.submit(Draft { source, at, body }).unwrap());
        }
        let mut feed = Feed::new(outbox, Encoding::Identity);
        let route = Route::backfill(Stream::Alarm);
        let limit = PayloadLimit {
            target: 30_000,
            most: 30_000,
        };
        // One connection's backlog ends at 4, the next one's at 10.
        let packed = feed.next(route, (0, 4), 2, limit).await.unwrap();
        assert_eq!(packed.upto, 2);
        let mut after = packed.upto;
        let mut sent = packed.batch.events();
        while after < 10 {
            let packed = feed.next(route, (after, 10), 2, limit).await.unwrap();
            assert!(packed.upto > after);
            after = packed.upto;
            sent += packed.batch.events();
        }
        assert_eq!(sent, 10);
    }
}
