//! The one thread that writes: groups events of all streams, gives them their numbers, commits, and only
//! then answers their sources. Between the groups it looks after the chain.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Runtime;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use super::OutboxError;
use super::chain::Chain;
use super::gaps::Gap;
use super::intake::{Intake, Item};
use super::ranges::PerStream;
use super::record::EVENT_BYTES;
use super::segment::SegmentError;
use super::state::Shared;
use crate::event::{Body, DeviceAlarm, Draft, Identity};

/// Events in one commit, at most.
pub const GROUP: usize = 100;
/// How long a commit waits for more events.
pub const LINGER: Duration = Duration::from_millis(50);
/// How often the chain is looked after when nothing happens; also how stale the ack file gets.
const TICK: Duration = Duration::from_secs(1);
/// Acknowledgements after which the ack file is written at once: a crash sends no more than these again.
const ACKS: u64 = 10_000;
/// Time without a read after which a sealed segment is closed.
const IDLE: Duration = Duration::from_secs(30);
/// How often what is stored is measured when no segment was begun or dropped.
const MEASURE: Duration = Duration::from_secs(10);
/// Pause after a failed commit: doubles from the first to the last.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));
/// Failed commits after which closing gives up.
const CLOSING_TRIES: u32 = 5;

/// The thread's state.
pub struct Writer {
    pub chain: Chain,
    identity: Identity,
    queue: Arc<Intake>,
    /// True once the outbox is to close.
    closing: watch::Receiver<bool>,
    runtime: Runtime,
    linger: Duration,
    /// When the ack file was last written, time since boot.
    acks_stored: Duration,
    /// There may be acknowledged segments that are still there.
    may_drop: bool,
    /// When the open sealed segment was last looked at, time since boot.
    tail_checked: Duration,
    /// When what is stored was last measured, time since boot.
    measured: Duration,
    /// Losses whose reports are planned and come next.
    planned: Vec<Gap>,
    /// Looking after the chain failed the last time.
    in_trouble: bool,
}

enum Gathered {
    Group(Vec<Item>),
    Nothing,
    Closed,
}

impl Writer {
    /// A writer of this chain; a group waits `linger` for more events.
    ///
    /// # Errors
    /// The timer cannot be made.
    pub fn new(
        chain: Chain,
        identity: Identity,
        queue: Arc<Intake>,
        closing: watch::Receiver<bool>,
        linger: Duration,
    ) -> io::Result<Self> {
        let now = chain.clock.now().boot;
        Ok(Self {
            chain,
            identity,
            queue,
            closing,
            runtime: tokio::runtime::Builder::new_current_thread()
                .enable_time()
                .build()?,
            linger,
            acks_stored: now,
            may_drop: true,
            tail_checked: now,
            measured: now,
            planned: Vec::new(),
            in_trouble: false,
        })
    }

    /// Works until the outbox closes and the queue is empty.
    ///
    /// # Errors
    /// [`OutboxError::Io`] when events that were never acknowledged could not be stored while closing.
    pub fn run(mut self) -> Result<(), OutboxError> {
        let outcome = self.work();
        let stored = self.chain.store_acks();
        let dir = self.chain.layout.dir.clone();
        self.chain.drop_spare();
        // The databases close here, before the lock of the directory goes.
        self.shared().close();
        outcome?;
        stored.map_err(|error| OutboxError::io(&dir, "write", error))
    }

    fn work(&mut self) -> Result<(), OutboxError> {
        loop {
            self.chain.shared.turns.add(1);
            self.look_after()?;
            match self.gather() {
                Gathered::Group(items) => self.store(items)?,
                Gathered::Nothing => {}
                Gathered::Closed => return Ok(()),
            }
        }
    }

    fn shared(&self) -> Arc<Shared> {
        Arc::clone(&self.chain.shared)
    }

    /// Waits for the next group: full, or some time after its first event.
    fn gather(&mut self) -> Gathered {
        let Self {
            chain,
            queue,
            closing,
            runtime,
            linger,
            ..
        } = self;
        runtime.block_on(async {
            let any = tokio::select! {
                biased;
                any = queue.any() => any,
                () = chain.shared.wake.notified() => return Gathered::Nothing,
                () = is_closing(closing), if !queue.is_closed() => {
                    queue.close();
                    return Gathered::Nothing;
                }
                () = sleep(TICK) => return Gathered::Nothing,
            };
            if !any {
                return Gathered::Closed;
            }
            let linger = match *closing.borrow() {
                true => Duration::ZERO,
                false => *linger,
            };
            let _ = timeout(linger, queue.full()).await;
            Gathered::Group(queue.take())
        })
    }

    /// Numbers, encodes and stores a group, however long that takes, and answers the sources.
    ///
    /// # Errors
    /// [`OutboxError::Io`] while closing.
    pub fn store(&mut self, items: Vec<Item>) -> Result<(), OutboxError> {
        let last = self.chain.shared.state().last();
        let mut events = PerStream::<Vec<Vec<u8>>>::default();
        let mut receipts = Vec::new();
        for item in items {
            let stream = item.draft.body.stream();
            let sequence = last[stream] + 1 + events[stream].len() as u64;
            match item.draft.encode(&self.identity, sequence) {
                Ok(bytes) if bytes.len() <= EVENT_BYTES => {
                    events[stream].push(bytes);
                    receipts.extend(item.receipt.map(|receipt| (receipt, sequence)));
                }
                Ok(bytes) => self.refuse(&item.draft, &format!("it has {} bytes", bytes.len())),
                Err(error) => self.refuse(&item.draft, &error.to_string()),
            }
        }
        self.append(&events)?;
        for (receipt, sequence) in receipts {
            // The source need not care.
            let _ = receipt.send(sequence);
        }
        Ok(())
    }

    fn refuse(&mut self, draft: &Draft, why: &str) {
        let kind = draft.body.kind();
        tracing::error!(kind, source = draft.source, why, "event refused");
        self.chain.alarms.push(format!(
            "An event {kind} of '{}' could not be stored ({why}). Report this to the maker.",
            draft.source
        ));
    }

    /// Appends until it succeeds; gives up only while closing.
    fn append(&mut self, events: &PerStream<Vec<Vec<u8>>>) -> Result<(), OutboxError> {
        let mut pause = BACKOFF.0;
        let mut tries = 0;
        let mut failed = false;
        let mut outcome = self.chain.append(events);
        while let Err(error) = outcome {
            failed = true;
            let error = self.explain("write", error);
            tracing::error!(%error, "events wait in memory; trying again");
            *self.chain.shared.trouble() = Some(error.to_string());
            if *self.closing.borrow() {
                tries += 1;
                if tries == CLOSING_TRIES {
                    return Err(error);
                }
            }
            if !self.made_room() {
                self.wait(pause);
                pause = (pause * 2).min(BACKOFF.1);
            }
            self.chain.shared.turns.add(1);
            outcome = self.chain.reopen().and_then(|()| self.chain.append(events));
        }
        if failed {
            *self.chain.shared.trouble() = None;
            tracing::info!("the storage works again");
        }
        Ok(())
    }

    /// Closes the head and makes room where that is what was missing; true when there is more now.
    fn made_room(&mut self) -> bool {
        if !self.chain.space.is_short() {
            return false;
        }
        self.chain.close_head();
        self.chain.make_room().unwrap_or_else(|error| {
            let error = self.explain("make room in", error);
            tracing::error!(%error, "no room could be made; trying again");
            false
        })
    }

    /// Waits, but not long when the outbox is to close.
    fn wait(&mut self, pause: Duration) {
        let Self {
            closing, runtime, ..
        } = self;
        runtime.block_on(async {
            if *closing.borrow() {
                sleep(BACKOFF.0).await;
            } else {
                let _ = timeout(pause, is_closing(closing)).await;
            }
        });
    }

    /// Stores acknowledgements, drops, seals, repairs and reports. Trouble is tried again at the next tick;
    /// only a report that cannot be stored while closing is an error.
    ///
    /// # Errors
    /// [`OutboxError::Io`] while closing.
    pub fn look_after(&mut self) -> Result<(), OutboxError> {
        match self.tend() {
            Ok(()) => {
                if std::mem::take(&mut self.in_trouble) {
                    *self.chain.shared.trouble() = None;
                }
            }
            Err(error) => {
                let error = self.explain("look after", error);
                tracing::error!(%error, "looking after the outbox failed; trying again");
                *self.chain.shared.trouble() = Some(error.to_string());
                self.in_trouble = true;
                if self.chain.space.is_short() && self.chain.make_room().is_err() {
                    tracing::error!("no room could be made; trying again");
                }
            }
        }
        self.tell_what_gave_way();
        let planned = std::mem::take(&mut self.planned);
        let alarms = std::mem::take(&mut self.chain.alarms);
        if planned.is_empty() && alarms.is_empty() {
            return Ok(());
        }
        let gaps = planned.iter().map(|gap| Body::OutboxGap(gap.event()));
        let alarms = alarms.into_iter().map(|message| {
            Body::DeviceAlarm(DeviceAlarm {
                part: "outbox".to_owned(),
                message,
            })
        });
        let at = self.chain.clock.now();
        // The losses come first, and before any other event, so that the planned numbers are theirs.
        let items = gaps.chain(alarms).map(|body| Item {
            draft: Draft {
                source: String::new(),
                at,
                body,
            },
            receipt: None,
        });
        self.store(items.collect())
    }

    /// Raises an alarm about events that found no place while the storage did not work.
    fn tell_what_gave_way(&mut self) {
        let untold = self.queue.take_untold();
        let mut words = Vec::new();
        for (stream, &count) in untold.iter().filter(|(_, count)| **count > 0) {
            self.chain.shared.not_stored[stream].add(count);
            words.push(format!("{count} of stream {stream}"));
        }
        if !words.is_empty() {
            let words = words.join(", ");
            tracing::error!(
                events = words,
                "events were dropped before they could be stored"
            );
            self.chain.alarms.push(format!(
                "The storage did not take events for a while and the waiting room was full: {words} could not be \
                 kept. Free some space on the disk, or check it (dmesg)."
            ));
        }
    }

    fn tend(&mut self) -> Result<(), SegmentError> {
        let now = self.chain.clock.now().boot;
        let unstored = self.chain.shared.state().unstored_acks;
        let is_due =
            unstored >= ACKS || (unstored > 0 && now.saturating_sub(self.acks_stored) >= TICK);
        if is_due {
            self.acks_stored = now;
            self.chain.store_acks()?;
        }
        let is_low = self.chain.space.is_low();
        // Not at every turn: it looks at every segment, and thousands may wait.
        if is_due || self.may_drop || self.chain.must_measure || is_low {
            // Also when it fails.
            self.may_drop = true;
            self.may_drop = self.chain.drop_acked()?;
        }
        if self.chain.must_measure || now.saturating_sub(self.measured) >= MEASURE || is_low {
            self.measured = now;
            self.chain.must_measure = false;
            self.chain.keep_room()?;
        }
        self.chain.rotate_by_age()?;
        let damaged = self.chain.shared.state().damaged.clone();
        for ordinal in damaged {
            self.chain.repair(ordinal)?;
            self.chain.shared.state().damaged.remove(&ordinal);
        }
        self.planned = self.chain.plan_reports()?;
        if now.saturating_sub(self.tail_checked) >= IDLE {
            self.tail_checked = now;
            self.chain.close_idle_tail();
        }
        Ok(())
    }

    fn explain(&self, action: &str, error: SegmentError) -> OutboxError {
        let error = match error {
            SegmentError::Io(error) => error,
            SegmentError::Damaged(why) => io::Error::other(why),
        };
        OutboxError::io(&self.chain.layout.dir, action, error)
    }
}

/// Ends when the outbox is to close, or when nobody holds it any more.
async fn is_closing(closing: &mut watch::Receiver<bool>) {
    let _ = closing.wait_for(|closing| *closing).await;
}
