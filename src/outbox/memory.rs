//! An outbox that keeps everything in memory: for tests of other rooms. It numbers and encodes events as
//! the real one does; every event is durable at once.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::{oneshot, watch};

use super::ranges::PerStream;
use super::state::StreamState;
use super::{OutboxError, Queue, Stored, StreamStat};
use crate::event::{Draft, Identity, Receipt, Sink, SinkClosed, Stream};

/// One stream.
#[derive(Default)]
struct Kept {
    state: StreamState,
    events: BTreeMap<u64, Vec<u8>>,
}

/// The fake.
pub struct MemoryOutbox {
    identity: Identity,
    streams: Mutex<PerStream<Kept>>,
    changed: watch::Sender<u64>,
}

impl MemoryOutbox {
    /// Empty.
    #[must_use]
    pub fn new(identity: Identity) -> Self {
        Self {
            identity,
            streams: Mutex::default(),
            changed: watch::Sender::new(0),
        }
    }

    /// Takes events away as damage would: they can no longer be read and count as acknowledged. The real
    /// outbox also reports them as `outbox.gap`.
    pub fn lose(&self, stream: Stream, range: RangeInclusive<u64>) {
        let Kept { state, events } = &mut self.lock()[stream];
        events.retain(|sequence, _| !range.contains(sequence));
        state.ack(&range);
    }

    fn lock(&self) -> MutexGuard<'_, PerStream<Kept>> {
        self.streams.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Sink for MemoryOutbox {
    fn submit(&self, draft: Draft) -> Result<Receipt, SinkClosed> {
        let (sender, receipt) = oneshot::channel();
        let Kept { state, events } = &mut self.lock()[draft.body.stream()];
        let sequence = state.last + 1;
        // As in the real outbox: what cannot be encoded takes no number and drops its receipt.
        if let Ok(bytes) = draft.encode(&self.identity, sequence) {
            state.last = sequence;
            events.insert(sequence, bytes);
            let _ = sender.send(sequence);
            self.changed.send_modify(|commits| *commits += 1);
        }
        Ok(receipt)
    }
}

impl Queue for MemoryOutbox {
    fn read(
        &self,
        stream: Stream,
        after: u64,
        max_events: usize,
        max_bytes: usize,
    ) -> Result<Vec<Stored>, OutboxError> {
        let mut size = 0;
        let mut batch: Vec<Stored> = Vec::new();
        let events = &self.lock()[stream].events;
        for (&sequence, bytes) in events
            .range(after.saturating_add(1)..)
            .take(max_events.max(1))
        {
            size += bytes.len();
            if !batch.is_empty() && size > max_bytes {
                break;
            }
            batch.push(Stored {
                sequence,
                bytes: bytes.clone(),
            });
        }
        Ok(batch)
    }

    fn ack(&self, stream: Stream, range: RangeInclusive<u64>) -> Result<(), OutboxError> {
        self.lock()[stream].state.ack(&range);
        Ok(())
    }

    fn is_acked(&self, stream: Stream, sequence: u64) -> bool {
        self.lock()[stream].state.acked.contains(sequence)
    }

    fn stat(&self, stream: Stream) -> StreamStat {
        self.lock()[stream].state.stat()
    }

    fn changed(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outbox::tests::{draft, identity};

    #[test]
    fn it_behaves_as_the_real_one_does() {
        let outbox = MemoryOutbox::new(identity());
        let changed = outbox.changed();
        for n in 1..=9 {
            let receipt = outbox.submit(draft(Stream::Count, "door")).unwrap();
            assert_eq!(receipt.blocking_recv(), Ok(n));
        }
        assert!(changed.has_changed().unwrap());
        let numbers = |after, max_events, max_bytes| -> Vec<u64> {
            let events = outbox
                .read(Stream::Count, after, max_events, max_bytes)
                .unwrap();
            events.iter().map(|event| event.sequence).collect()
        };
        assert_eq!(numbers(2, 3, 9999), [3, 4, 5]);
        assert_eq!(numbers(2, 3, 0), [3]);
        outbox.lose(Stream::Count, 4..=6);
        outbox.ack(Stream::Count, 1..=2).unwrap();
        assert_eq!(numbers(2, 3, 9999), [3, 7, 8]);
        let stat = outbox.stat(Stream::Count);
        assert_eq!((stat.last, stat.acked, stat.pending), (9, 2, 4));
        assert!(outbox.is_acked(Stream::Count, 5) && !outbox.is_acked(Stream::Count, 7));
    }
}
