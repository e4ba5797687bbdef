//! The outbox as the uplink uses it. Reading touches the disk, so it runs on a blocking thread, for some payloads at
//! once.

use std::ops::RangeInclusive;
use std::sync::Arc;

use tokio::sync::watch;
use tokio::task::{self, JoinHandle};

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

/// Events of a route that were read and not packed yet.
struct Ahead {
    route: Route,
    /// They come after this number.
    after: u64,
    /// Where the route ended then; a new connection moves it.
    end: u64,
    events: Vec<Stored>,
    /// Nothing is left between them and the route's end.
    is_last: bool,
    /// What comes after them, being read while they are sent.
    following: Option<Reading>,
}

/// A blocking thread that reads.
type Reading = JoinHandle<Result<Ahead, OutboxError>>;

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
        let ahead = match ahead.map(|position| self.ahead.swap_remove(position)) {
            Some(ahead) if (ahead.after, ahead.end) == (after, end) => ahead.or_following().await?,
            _ => None,
        };
        let read = |after| self.read(route, (after, end), max_events, limit);
        let mut ahead = match ahead {
            Some(ahead) => ahead,
            None => what_is_read(read(after)).await?,
        };
        if let (None, false, Some(last)) = (&ahead.following, ahead.is_last, ahead.events.last())
            && last.sequence < end.min(self.queue.stat(route.stream).last)
        {
            ahead.following = Some(read(last.sequence));
        }
        let most = ahead.events.len().min(max_events);
        let events = ahead.events.get(..most).unwrap_or_default();
        let skip = |sequence| self.queue.is_acked(route.stream, sequence);
        let mut packed = pack(route, ahead.after, events, limit, self.encoding, skip);
        ahead.after = packed.upto;
        let packed_events = events.partition_point(|event| event.sequence <= packed.upto);
        ahead.events.drain(..packed_events);
        if ahead.is_last && ahead.events.is_empty() {
            packed.upto = packed.upto.max(end);
        } else {
            self.ahead.push(ahead);
        }
        Ok(packed)
    }

    /// Reads as much as several payloads hold: going to a blocking thread and back takes longer than reading.
    fn read(
        &self,
        route: Route,
        (after, end): (u64, u64),
        max_events: usize,
        limit: PayloadLimit,
    ) -> Reading {
        let queue = self.queue.clone();
        let stream = route.stream;
        task::spawn_blocking(move || {
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
                following: None,
            })
        })
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

impl Ahead {
    /// These events, or the ones that follow when all of these were sent; `None` when there were none then.
    async fn or_following(mut self) -> Result<Option<Self>, FeedError> {
        if self.events.is_empty() {
            self = match self.following {
                Some(following) => what_is_read(following).await?,
                None => return Ok(None),
            };
        }
        Ok(Some(self).filter(|ahead| !ahead.events.is_empty()))
    }
}

async fn what_is_read(reading: Reading) -> Result<Ahead, FeedError> {
    match reading.await {
        Ok(Ok(ahead)) => Ok(ahead),
        Ok(Err(OutboxError::Closed)) => Err(FeedError::Closed),
        Ok(Err(error)) => Err(FeedError::Trouble(Words::new(
            format!("reading the outbox failed: {error}"),
            format!("读取事件库失败：{error}"),
        ))),
        Err(_) => Err(FeedError::Trouble(Words::new(
            "reading the outbox panicked; see the log",
            "读取事件库时程序出错；请查看日志",
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{Clock, FakeClock};
    use crate::event::{Body, DeviceAlarm, Draft, Identity, Sink};
    use crate::outbox::memory::MemoryOutbox;

    const LIMIT: PayloadLimit = PayloadLimit {
        target: 30_000,
        most: 30_000,
    };

    fn route() -> Route {
        Route::backfill(Stream::Alarm)
    }

    fn outbox() -> Arc<MemoryOutbox> {
        Arc::new(MemoryOutbox::new(Identity {
            tenant: "t".into(),
            store: "s".into(),
            box_id: "b".into(),
            boot_id: "0".into(),
            zone: jiff::tz::TimeZone::UTC,
        }))
    }

    fn store(outbox: &MemoryOutbox, events: u64) {
        for number in 0..events {
            let draft = Draft {
                source: String::new(),
                at: FakeClock::at(jiff::Timestamp::UNIX_EPOCH).now(),
                body: Body::DeviceAlarm(DeviceAlarm {
                    part: "test".into(),
                    message: number.to_string(),
                }),
            };
            drop(outbox.submit(draft).unwrap());
        }
    }

    /// Takes payloads of two events until number `end` is dealt with; how many events that were.
    async fn drain(feed: &mut Feed, mut after: u64, end: u64) -> u64 {
        let mut sent = 0;
        while after < end {
            let packed = feed.next(route(), (after, end), 2, LIMIT).await.unwrap();
            assert!(packed.upto > after);
            after = packed.upto;
            sent += packed.batch.events();
        }
        sent
    }

    #[tokio::test]
    async fn what_was_read_up_to_an_earlier_end_hides_nothing_behind_it() {
        let outbox = outbox();
        store(&outbox, 10);
        let mut feed = Feed::new(outbox, Encoding::Identity);
        // One connection's backlog ends at 4, the next one's at 10.
        let packed = feed.next(route(), (0, 4), 2, LIMIT).await.unwrap();
        assert_eq!(packed.upto, 2);
        assert_eq!(drain(&mut feed, 2, 10).await, 8);
    }

    #[tokio::test]
    async fn what_is_read_while_others_are_sent_follows_them_without_a_gap() {
        let outbox = outbox();
        // More than twice what is read at once, two events a payload.
        store(&outbox, 5 * PAYLOADS as u64 + 1);
        let mut feed = Feed::new(outbox.clone(), Encoding::Identity);
        let last = outbox.stat(Stream::Alarm).last;
        assert_eq!(drain(&mut feed, 0, last).await, last);
        // An end that nobody knows yet, and nothing there: then something comes.
        let packed = feed
            .next(route(), (last, u64::MAX), 2, LIMIT)
            .await
            .unwrap();
        assert_eq!((packed.upto, packed.batch.events()), (last, 0));
        store(&outbox, 3);
        assert_eq!(drain(&mut feed, last, last + 3).await, 3);
        store(&outbox, 1);
        let packed = feed
            .next(route(), (last + 3, u64::MAX), 2, LIMIT)
            .await
            .unwrap();
        assert_eq!(packed.upto, last + 4);
    }
}
