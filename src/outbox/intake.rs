//! The queue in front of the writer. It is bounded, and so is the time a source waits: when the storage does
//! not take events, sensors must go on counting. Then the oldest draft of the lowest stream gives way, never an
//! alarm as long as anything lower is there, and is counted. A draft has no number yet, so what gives way is no
//! gap in a stream; it is told of in an alarm.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, oneshot};
use tokio::time::{sleep, timeout};

use super::ranges::PerStream;
use crate::event::{Draft, SinkClosed, Stream};

/// How long a source waits for a place: while the storage works and is only slow, and while it does not.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    pub slow: Duration,
    pub failing: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            slow: Duration::from_secs(5),
            failing: Duration::from_millis(20),
        }
    }
}

/// How often a waiting source in async code looks for a place.
const LOOK: Duration = Duration::from_millis(10);

/// One event on its way in.
pub struct Item {
    pub draft: Draft,
    /// Answered with the event's number once it is durable.
    pub receipt: Option<oneshot::Sender<u64>>,
}

#[derive(Default)]
struct Waiting {
    items: VecDeque<Item>,
    /// What gave way and has not been told of.
    untold: PerStream<u64>,
    is_closed: bool,
}

/// The queue.
pub struct Intake {
    waiting: Mutex<Waiting>,
    capacity: usize,
    /// Events that the writer takes at once.
    group: usize,
    patience: Patience,
    /// Wakes the writer.
    arrived: Notify,
    /// Wakes the sources that wait.
    room: Condvar,
}

impl Intake {
    /// An empty queue of at most `capacity` events, which the writer takes in groups of at most `group`.
    #[must_use]
    pub fn new(capacity: usize, group: usize, patience: Patience) -> Self {
        let capacity = capacity.max(1);
        Self {
            waiting: Mutex::default(),
            capacity,
            group: group.clamp(1, capacity),
            patience,
            arrived: Notify::new(),
            room: Condvar::new(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn patience(&self, failing: bool) -> Duration {
        match failing {
            true => self.patience.failing,
            false => self.patience.slow,
        }
    }

    /// Hands an event over; waits, not for long, while the queue is full. `failing`: the storage is known not
    /// to work. Must not be called from async code.
    ///
    /// # Errors
    /// [`SinkClosed`].
    pub fn put(&self, item: Item, failing: impl Fn() -> bool) -> Result<(), SinkClosed> {
        let waiting = self.lock();
        let patience = match waiting.items.len() < self.capacity {
            true => Duration::ZERO,
            false => self.patience(failing()),
        };
        let full =
            |waiting: &mut Waiting| waiting.items.len() >= self.capacity && !waiting.is_closed;
        let (waiting, _) = self
            .room
            .wait_timeout_while(waiting, patience, full)
            .unwrap_or_else(PoisonError::into_inner);
        self.push(waiting, item)
    }

    /// As [`Intake::put`], for async code.
    ///
    /// # Errors
    /// [`SinkClosed`].
    pub async fn put_async(
        &self,
        item: Item,
        failing: impl Fn() -> bool,
    ) -> Result<(), SinkClosed> {
        let has_room = || {
            let waiting = self.lock();
            waiting.items.len() < self.capacity || waiting.is_closed
        };
        if !has_room() {
            let wait = async {
                while !has_room() {
                    sleep(LOOK).await;
                }
            };
            let _ = timeout(self.patience(failing()), wait).await;
        }
        self.push(self.lock(), item)
    }

    fn push(&self, mut waiting: MutexGuard<'_, Waiting>, item: Item) -> Result<(), SinkClosed> {
        if waiting.is_closed {
            return Err(SinkClosed);
        }
        waiting.items.push_back(item);
        if waiting.items.len() > self.capacity {
            let streams = waiting.items.iter().map(|item| item.draft.body.stream());
            if let Some(gone) = gives_way(streams)
                && let Some(item) = waiting.items.remove(gone)
            {
                waiting.untold[item.draft.body.stream()] += 1;
            }
        }
        // In between there is nothing for the writer to do, and waking it for each event would cost more than storing it.
        let has_news = waiting.items.len() == 1 || waiting.items.len() == self.group;
        drop(waiting);
        if has_news {
            self.arrived.notify_one();
        }
        Ok(())
    }

    /// Waits for an event; false once the queue is closed and empty. Only one may wait here or in [`Intake::full`].
    pub async fn any(&self) -> bool {
        self.at_least(1).await > 0
    }

    /// Waits until there is a whole group, or the queue is closed.
    pub async fn full(&self) {
        self.at_least(self.group).await;
    }

    async fn at_least(&self, events: usize) -> usize {
        loop {
            {
                let waiting = self.lock();
                if waiting.items.len() >= events || waiting.is_closed {
                    return waiting.items.len();
                }
            }
            self.arrived.notified().await;
        }
    }

    /// Takes up to a group, oldest first.
    #[must_use]
    pub fn take(&self) -> Vec<Item> {
        let mut waiting = self.lock();
        let most = waiting.items.len().min(self.group);
        let items = waiting.items.drain(..most).collect();
        drop(waiting);
        self.room.notify_all();
        items
    }

    /// Takes no more events; those that wait are still handed out.
    pub fn close(&self) {
        self.lock().is_closed = true;
        self.room.notify_all();
        self.arrived.notify_one();
    }

    /// Whether it takes no more events.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.lock().is_closed
    }

    /// What gave way since the last call.
    #[must_use]
    pub fn take_untold(&self) -> PerStream<u64> {
        std::mem::take(&mut self.lock().untold)
    }
}

/// Which of these drafts, oldest first, gives way: the oldest of the lowest stream.
fn gives_way(streams: impl Iterator<Item = Stream>) -> Option<usize> {
    let numbered = streams.enumerate();
    let lowest = numbered.max_by_key(|(index, stream)| (stream.index(), usize::MAX - index));
    lowest.map(|(index, _)| index)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outbox::tests::draft;

    fn item(stream: Stream, text: &str) -> Item {
        Item {
            draft: draft(stream, text),
            receipt: None,
        }
    }

    #[test]
    fn the_oldest_of_the_lowest_stream_gives_way() {
        use Stream::{Alarm, Count, Diagnostic, Interval};
        let gives = |streams: &[Stream]| gives_way(streams.iter().copied());
        assert_eq!(
            gives(&[Alarm, Count, Interval, Diagnostic, Diagnostic]),
            Some(3)
        );
        assert_eq!(gives(&[Alarm, Count, Interval, Count]), Some(2));
        assert_eq!(gives(&[Alarm, Count, Count]), Some(1));
        assert_eq!(gives(&[Alarm, Alarm]), Some(0));
        assert_eq!(gives(&[]), None);
    }

    #[test]
    fn a_full_queue_over_failing_storage_keeps_alarms_and_counts_what_gave_way() {
        let patience = Patience {
            slow: Duration::from_secs(3600),
            failing: Duration::ZERO,
        };
        let intake = Intake::new(3, 2, patience);
        for (stream, text) in [
            (Stream::Count, "1"),
            (Stream::Interval, "2"),
            (Stream::Count, "3"),
            (Stream::Alarm, "4"),
            (Stream::Alarm, "5"),
            (Stream::Count, "6"),
        ] {
            intake.put(item(stream, text), || true).unwrap();
        }
        assert_eq!(intake.take_untold(), PerStream([0, 2, 1, 0]));
        assert_eq!(intake.take_untold(), PerStream::default());
        intake.close();
        assert_eq!(
            intake.put(item(Stream::Alarm, "7"), || true),
            Err(SinkClosed)
        );
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        let mut left = Vec::new();
        while runtime.block_on(intake.any()) {
            left.extend(intake.take().into_iter().map(|item| item.draft));
        }
        let expected = [
            (Stream::Alarm, "4"),
            (Stream::Alarm, "5"),
            (Stream::Count, "6"),
        ];
        assert_eq!(left, expected.map(|(stream, text)| draft(stream, text)));
    }

    #[test]
    fn a_source_waits_for_storage_that_is_only_slow() {
        let patience = Patience {
            slow: Duration::from_secs(3600),
            failing: Duration::ZERO,
        };
        let intake = Intake::new(1, 2, patience);
        intake.put(item(Stream::Count, "1"), || false).unwrap();
        std::thread::scope(|scope| {
            let waits = scope.spawn(|| intake.put(item(Stream::Count, "2"), || false));
            let runtime = tokio::runtime::Builder::new_current_thread()
                .build()
                .unwrap();
            for text in ["1", "2"] {
                assert!(runtime.block_on(intake.any()));
                let next: Vec<_> = intake.take().into_iter().map(|item| item.draft).collect();
                assert_eq!(next, [draft(Stream::Count, text)]);
            }
            waits.join().unwrap().unwrap();
        });
        assert_eq!(intake.take_untold(), PerStream::default());
    }
}
