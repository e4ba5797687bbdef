//! What writer, readers and acknowledgements share: where each stream stands and which segment holds what.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, watch};

use super::StreamStat;
use super::index::Index;
use super::ranges::{PerStream, RangeSet};
use super::segment::Segment;
use crate::event::Stream;
use crate::metric::{Counter, Gauge};

/// Where one stream stands.
#[derive(Clone, Debug, Default)]
pub struct StreamState {
    /// Last number that is durable or given up; readers see nothing above it.
    pub last: u64,
    /// Acknowledged, or reported as gone; within 1..=last.
    pub acked: RangeSet,
    /// Not stored (any more): dropped after its acknowledgement, lost, or skipped; within 1..=last.
    pub absent: RangeSet,
}

impl StreamState {
    /// The first stored number above `after`.
    #[must_use]
    pub fn next_stored(&self, after: u64) -> Option<u64> {
        let next = after.checked_add(1)?;
        let stored = self.absent.missing_in(next..=self.last);
        stored.first().map(|range| *range.start())
    }

    /// Marks a range as acknowledged; what was never stored is left out.
    pub fn ack(&mut self, range: &RangeInclusive<u64>) {
        let (first, last) = (*range.start(), *range.end());
        self.acked.insert(first.max(1)..=last.min(self.last));
    }

    /// The numbers the uplink asks for.
    #[must_use]
    pub fn stat(&self) -> StreamStat {
        StreamStat {
            last: self.last,
            acked: self.acked.prefix(),
            pending: self.last - self.acked.total(),
        }
    }
}

/// A sealed segment.
#[derive(Clone, Debug)]
pub struct Closed {
    pub present: PerStream<RangeSet>,
    pub bytes: u64,
}

impl Closed {
    /// Whether the cloud has everything in it.
    fn is_acked(&self, streams: &PerStream<StreamState>) -> bool {
        let acked = |(stream, set): (Stream, &RangeSet)| {
            set.iter().all(|range| streams[stream].acked.covers(range))
        };
        self.present.iter().all(acked)
    }
}

/// The segment being written to.
pub struct Head {
    pub ordinal: u64,
    pub segment: Arc<Segment>,
}

/// Where to read on.
pub struct Place {
    pub ordinal: u64,
    /// The open head; `None` for a sealed segment.
    pub head: Option<Arc<Segment>>,
    /// Up to here the stream's numbers are there or absent.
    pub until: u64,
}

/// Everything behind one lock.
#[derive(Default)]
pub struct State {
    /// Sealed segments by number.
    pub closed: BTreeMap<u64, Closed>,
    /// `None` while it is being reopened.
    pub head: Option<Head>,
    pub streams: PerStream<StreamState>,
    /// Segments in which a reader met damage.
    pub damaged: BTreeSet<u64>,
    /// The outbox is closed.
    pub is_closed: bool,
    /// Acknowledgements since they were last stored.
    pub unstored_acks: u64,
}

/// Which part of the chain a number is in.
pub enum Located {
    /// Nothing is stored above that number.
    End,
    /// The head, which is being reopened.
    Busy,
    /// The outbox is closed.
    Closed,
    At(Place),
}

impl State {
    /// The segment that holds the first stored number above `after`.
    #[must_use]
    pub fn locate(&self, stream: Stream, after: u64) -> Located {
        if self.is_closed {
            return Located::Closed;
        }
        let state = &self.streams[stream];
        let Some(next) = state.next_stored(after) else {
            return Located::End;
        };
        // After damage the numbers need not lie in the order of the segments.
        let mut until = state.last;
        for (&ordinal, closed) in &self.closed {
            match closed.present[stream].next_from(next) {
                Some(first) if first == next => {
                    return Located::At(Place {
                        ordinal,
                        head: None,
                        until: closed.present[stream].reach(next, &state.absent),
                    });
                }
                Some(first) => until = until.min(first - 1),
                None => {}
            }
        }
        match &self.head {
            None => Located::Busy,
            Some(head) => Located::At(Place {
                ordinal: head.ordinal,
                head: Some(Arc::clone(&head.segment)),
                until,
            }),
        }
    }

    /// Whether the segment is part of the chain.
    #[must_use]
    pub fn holds(&self, ordinal: u64) -> bool {
        self.closed.contains_key(&ordinal)
            || self
                .head
                .as_ref()
                .is_some_and(|head| head.ordinal == ordinal)
    }

    /// Acknowledged segments that may be dropped, oldest first. The newest `kept` sealed ones stay: today's totals are
    /// rebuilt from them after a restart.
    #[must_use]
    pub fn droppable(&self, kept: usize) -> Vec<u64> {
        let older = self
            .closed
            .iter()
            .take(self.closed.len().saturating_sub(kept));
        let acked = older.filter(|(_, closed)| closed.is_acked(&self.streams));
        acked.map(|(&ordinal, _)| ordinal).collect()
    }

    /// The acknowledged ranges of all streams.
    #[must_use]
    pub fn acked(&self) -> PerStream<RangeSet> {
        PerStream::new(|stream| self.streams[stream].acked.clone())
    }

    /// The last durable numbers.
    #[must_use]
    pub fn last(&self) -> PerStream<u64> {
        PerStream::new(|stream| self.streams[stream].last)
    }
}

/// A sealed segment kept at hand for the next read.
pub struct Tail {
    pub ordinal: u64,
    pub index: Arc<Index>,
    /// Read since the writer last looked.
    pub used: bool,
}

/// What the handle, the readers and the writer hold together.
pub struct Shared {
    state: Mutex<State>,
    tail: Mutex<Option<Tail>>,
    trouble: Mutex<Option<String>>,
    pub changed: watch::Sender<u64>,
    /// Wakes the writer for something other than an event.
    pub wake: Notify,
    /// Grows with every turn of the writer, also while it waits for a disk that works again.
    pub turns: Counter,
    /// What all files take, bytes, at the last look.
    pub used: Gauge,
    /// Events that gave way in the queue, per stream.
    pub not_stored: PerStream<Counter>,
}

impl Shared {
    /// Around a recovered state.
    #[must_use]
    pub fn new(state: State) -> Self {
        Self {
            state: Mutex::new(state),
            tail: Mutex::new(None),
            trouble: Mutex::new(None),
            changed: watch::Sender::new(0),
            wake: Notify::new(),
            turns: Counter::default(),
            used: Gauge::default(),
            not_stored: PerStream::default(),
        }
    }

    /// Locks the state; nothing slow may happen under it.
    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Locks the cached sealed segment; it may be searched under this lock.
    pub fn tail(&self) -> MutexGuard<'_, Option<Tail>> {
        self.tail.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Closes all files.
    pub fn close(&self) {
        let mut state = self.state();
        state.is_closed = true;
        let head = state.head.take();
        drop(state);
        drop(head);
        *self.tail() = None;
    }

    /// The current storage trouble in plain words.
    pub fn trouble(&self) -> MutexGuard<'_, Option<String>> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(last: u64) -> StreamState {
        StreamState {
            last,
            ..StreamState::default()
        }
    }

    #[test]
    fn acknowledgements_come_in_any_order_and_never_run_ahead() {
        let mut stream = state(10);
        stream.ack(&(4..=6));
        assert_eq!(
            stream.stat(),
            StreamStat {
                last: 10,
                acked: 0,
                pending: 7
            }
        );
        stream.ack(&(0..=3));
        stream.ack(&(4..=6));
        assert_eq!(
            stream.stat(),
            StreamStat {
                last: 10,
                acked: 6,
                pending: 4
            }
        );
        stream.ack(&(9..=u64::MAX));
        assert_eq!(
            stream.stat(),
            StreamStat {
                last: 10,
                acked: 6,
                pending: 2
            }
        );
    }

    #[test]
    fn holes_are_stepped_over() {
        let mut stream = state(10);
        stream.absent.insert(1..=3);
        stream.absent.insert(10..=10);
        assert_eq!(stream.next_stored(0), Some(4));
        assert_eq!(stream.next_stored(5), Some(6));
        assert_eq!(stream.next_stored(9), None);
        assert_eq!(stream.next_stored(u64::MAX), None);
    }

    #[test]
    fn a_number_is_found_where_it_is_also_out_of_order() {
        let mut all = State::default();
        for (ordinal, ranges) in [(1, vec![7..=9, 15..=16]), (2, vec![1..=2, 5..=6])] {
            let mut present = PerStream::<RangeSet>::default();
            present[Stream::Count] = RangeSet::from_iter(ranges);
            all.closed.insert(ordinal, Closed { present, bytes: 0 });
        }
        all.streams[Stream::Count] = state(16);
        all.streams[Stream::Count].absent.insert(3..=4);
        let found = |after| match all.locate(Stream::Count, after) {
            Located::At(place) => (place.ordinal, place.until),
            _ => (0, 0),
        };
        assert_eq!((found(0), found(4)), ((2, 6), (2, 6)));
        assert_eq!((found(6), found(8), found(14)), ((1, 9), (1, 9), (1, 16)));
        // 10 to 14 are in the head, which is being reopened.
        assert!(matches!(all.locate(Stream::Count, 9), Located::Busy));
    }

    #[test]
    fn acknowledged_segments_may_go_but_the_newest_sealed_ones_stay() {
        let closed = |range| {
            let mut present = PerStream::<RangeSet>::default();
            present[Stream::Count].insert(range);
            Closed { present, bytes: 0 }
        };
        let mut all = State::default();
        all.closed.insert(1, closed(1..=5));
        all.closed.insert(2, closed(6..=10));
        all.closed.insert(3, closed(11..=12));
        all.streams[Stream::Count] = state(12);
        all.streams[Stream::Count].ack(&(6..=12));
        assert_eq!(all.droppable(1), [2]);
        all.streams[Stream::Count].ack(&(1..=5));
        assert_eq!(all.droppable(1), [1, 2]);
        assert_eq!(all.droppable(2), [1]);
        assert_eq!(all.droppable(9), [0; 0]);
    }
}
