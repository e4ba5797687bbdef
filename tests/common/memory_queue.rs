//! An outbox in memory, for tests of the uplink. It checks how it is used and can be made to fail.

#![allow(dead_code)] // each test file uses its own part

use std::collections::BTreeSet;
use std::ops::RangeInclusive;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use footfall::event::Stream;
use footfall::outbox::{OutboxError, Queue, Stored, StreamStat};
use tokio::sync::watch;

#[derive(Default)]
struct Lane {
    /// The event with sequence `n` is at `n - 1`.
    events: Vec<Vec<u8>>,
    acked: BTreeSet<u64>,
    /// 1 to here are all acknowledged.
    upto: u64,
}

pub struct MemoryQueue {
    lanes: Mutex<[Lane; 4]>,
    changes: watch::Sender<u64>,
    acks: watch::Sender<u64>,
    broken: AtomicBool,
}

impl Default for MemoryQueue {
    fn default() -> Self {
        Self {
            lanes: Mutex::default(),
            changes: watch::channel(0).0,
            acks: watch::channel(0).0,
            broken: AtomicBool::new(false),
        }
    }
}

impl MemoryQueue {
    /// Stores `count` more events whose data is `size` bytes long.
    pub fn produce(&self, stream: Stream, count: u64, size: usize) {
        let data = "x".repeat(size);
        self.store(stream, count, &data);
    }

    /// Stores one more event, whose data is this text, already escaped for JSON.
    pub fn produce_text(&self, stream: Stream, data: &str) {
        self.store(stream, 1, data);
    }

    fn store(&self, stream: Stream, count: u64, data: &str) {
        {
            let mut lanes = self.lanes.lock().unwrap();
            let events = &mut lanes[stream.index()].events;
            for _ in 0..count {
                let sequence = events.len() + 1;
                // The odd spacing is on purpose: bytes must pass unchanged.
                events.push(
                    format!(
                        r#"{{"id":"box/{stream}/{sequence}", "stream":"{stream}","sequence":"{sequence}","data": "{data}"}}"#
                    )
                    .into_bytes(),
                );
            }
        }
        self.changes.send_modify(|turn| *turn += 1);
    }

    /// The bytes of an event, which must arrive unchanged.
    pub fn event(&self, stream: Stream, sequence: u64) -> Option<Vec<u8>> {
        let place = usize::try_from(sequence).ok()?.checked_sub(1)?;
        let lanes = self.lanes.lock().unwrap();
        lanes[stream.index()].events.get(place).cloned()
    }

    /// While broken, reading and acknowledging fail.
    pub fn set_broken(&self, broken: bool) {
        self.broken.store(broken, Ordering::SeqCst);
    }

    /// Changes with every acknowledgement.
    pub fn acks(&self) -> watch::Receiver<u64> {
        self.acks.subscribe()
    }

    pub fn pending(&self) -> u64 {
        Stream::ALL
            .iter()
            .map(|stream| self.stat(*stream).pending)
            .sum()
    }

    fn check(&self) -> Result<(), OutboxError> {
        if self.broken.load(Ordering::SeqCst) {
            return Err(OutboxError::Io {
                what: "the test's disk".into(),
                source: std::io::ErrorKind::StorageFull.into(),
            });
        }
        Ok(())
    }
}

impl Queue for MemoryQueue {
    fn read(
        &self,
        stream: Stream,
        after: u64,
        max_events: usize,
        max_bytes: usize,
    ) -> Result<Vec<Stored>, OutboxError> {
        self.check()?;
        let lanes = self.lanes.lock().unwrap();
        let mut bytes = 0;
        let start = usize::try_from(after).unwrap();
        let events = lanes[stream.index()].events.iter().enumerate().skip(start);
        Ok(events
            .take(max_events)
            .take_while(|(_, event)| {
                let first = bytes == 0;
                bytes += event.len();
                first || bytes <= max_bytes
            })
            .map(|(position, event)| Stored {
                sequence: position as u64 + 1,
                bytes: event.clone(),
            })
            .collect())
    }

    fn ack(&self, stream: Stream, range: RangeInclusive<u64>) -> Result<(), OutboxError> {
        self.check()?;
        {
            let mut lanes = self.lanes.lock().unwrap();
            let lane = &mut lanes[stream.index()];
            assert!(*range.start() >= 1 && *range.end() <= lane.events.len() as u64);
            lane.acked.extend(range);
            while lane.acked.contains(&(lane.upto + 1)) {
                lane.upto += 1;
            }
        }
        self.acks.send_modify(|turn| *turn += 1);
        Ok(())
    }

    fn is_acked(&self, stream: Stream, sequence: u64) -> bool {
        self.lanes.lock().unwrap()[stream.index()]
            .acked
            .contains(&sequence)
    }

    fn stat(&self, stream: Stream) -> StreamStat {
        let lanes = self.lanes.lock().unwrap();
        let lane = &lanes[stream.index()];
        let last = lane.events.len() as u64;
        StreamStat {
            last,
            acked: lane.upto,
            pending: last - lane.acked.len() as u64,
        }
    }

    fn changed(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }
}
