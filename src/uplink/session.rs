//! The traffic of one accepted connection: fills the window, hears the answers, leaves in order.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use rumqttc::v5::mqttbytes::v5::PubAckReason;
use tokio::sync::{oneshot, watch};
use tokio::time::timeout;

use super::batch::{CONTENT_TYPE, Packed, ToldOversized};
use super::cause::{Cause, Objection};
use super::desk::{Desk, JSON};
use super::encoding::Encoding;
use super::fault::{Fault, words};
use super::feed::{Feed, FeedError};
use super::ledger::{Content, Ledger, Settled};
use super::link::{Link, Parcel, Receipt, Signal};
use super::route::Lane;
use super::state::{Refusal, Reporter};
use super::wire::OFFLINE;
use super::{Birth, Settings};
use crate::clock::SharedClock;

/// A broker that answers no publish for so long is taken for stuck.
const ACK_PATIENCE: Duration = Duration::from_secs(60);
/// Pause after the outbox could not be used, and after it had nothing where something should be.
const OUTBOX_PAUSE: Duration = Duration::from_secs(1);
/// Backfill batches are smaller than live ones may be: a live event waits for one of them on a slow line.
const BACKFILL_BYTES: usize = 32 * 1024;
mod commands;

use commands::{changed, next_receipt};

/// How a session ended.
pub(super) enum End {
    /// The connection is gone.
    Lost(Fault),
    /// Left in order after the stop signal.
    Left,
    /// The outbox is closed.
    Closed,
}

/// What outlives a connection.
pub(super) struct Shared {
    pub(super) settings: Settings,
    pub(super) birth: Birth,
    pub(super) desk: Option<Arc<dyn Desk>>,
    pub(super) clock: SharedClock,
    pub(super) reporter: Reporter,
    pub(super) ledger: Ledger,
    pub(super) feed: Feed,
    pub(super) grace: Duration,
    pub(super) told_oversized: ToldOversized,
}

impl Shared {
    /// Time for pauses and deadlines; does not jump.
    pub(super) fn now(&self) -> Duration {
        self.clock.now().boot
    }
}

/// The way out after a stop signal.
struct Leaving {
    /// Highest sequence number that is still sent, by stream.
    last: [u64; 4],
    send_until: Duration,
    ack_until: Duration,
    until: Duration,
}

pub(super) struct Session<'a> {
    shared: &'a mut Shared,
    link: Link,
    leaving: Option<Leaving>,
    /// Streams where the outbox announced more than it gave; asked again at `outbox_again_at`.
    stalled: [bool; 4],
    outbox_again_at: Option<Duration>,
    heard_at: Duration,
    /// When a publish was last answered, or the first one of a window sent.
    answered_at: Duration,
    /// Commands that are not acknowledged to the broker yet, in the order they came (MQTT 5, 4.6).
    taken: VecDeque<(Receipt, oneshot::Receiver<()>)>,
}

impl<'a> Session<'a> {
    pub(super) fn new(shared: &'a mut Shared, link: Link) -> Self {
        let now = shared.now();
        let (acked, last) = (shared.feed.acked(), shared.feed.last());
        shared.ledger.connected(link.limits.window, acked, last);
        // Only now: what is stored while the link shows as connected goes live.
        let deaf = link.refused_subscription.clone();
        shared.reporter.connected(deaf);
        Self {
            shared,
            link,
            leaving: None,
            stalled: [false; 4],
            outbox_again_at: None,
            heard_at: now,
            answered_at: now,
            taken: VecDeque::new(),
        }
    }

    pub(super) async fn run(&mut self, stop: &mut watch::Receiver<bool>) -> End {
        match self.traffic(stop).await {
            Ok(()) => {
                self.farewell().await;
                End::Left
            }
            Err(end) => {
                // What was heard counts even if the connection broke right after it.
                let _ = self.record();
                end
            }
        }
    }

    /// Returns when everything that should still go out has, or its time is over.
    async fn traffic(&mut self, stop: &mut watch::Receiver<bool>) -> Result<(), End> {
        let mut changes = self.shared.feed.changed();
        let mut answers = self.shared.desk.as_ref().map(|desk| desk.changed());
        let mut config = self.shared.birth.config_sha256.clone();
        config.mark_unchanged();
        let birth = self.birth();
        self.publish_state(birth);
        loop {
            while let Some(signal) = self.link.try_next() {
                self.hear(signal)?;
            }
            self.acknowledge_commands()?;
            self.record()?;
            if self.leaving.is_none() && *stop.borrow() {
                self.begin_leaving();
            }
            if self.answer_next() || self.send_next().await? {
                continue;
            }
            let now = self.shared.now();
            if let Some(leaving) = &self.leaving
                && (self.shared.ledger.in_flight() == 0 || now >= leaving.ack_until)
            {
                return Ok(());
            }
            self.check_alive(now)?;
            let wake = self.wakes_in(now);
            tokio::select! {
                signal = self.link.next() => self.hear(signal)?,
                durable = next_receipt(&mut self.taken) => self.taken_in(durable)?,
                () = changed(answers.as_mut()) => {}
                () = changed(Some(&mut config)), if self.leaving.is_none() => {
                    let birth = self.birth();
                    self.publish_state(birth);
                }
                changed = changes.changed() => {
                    changed.map_err(|_| End::Closed)?;
                    self.stalled = [false; 4];
                }
                // A dropped sender means that the daemon is going down, too.
                _ = stop.wait_for(|stop| *stop), if self.leaving.is_none() => self.begin_leaving(),
                () = tokio::time::sleep(wake) => {}
            }
        }
    }

    fn hear(&mut self, signal: Signal) -> Result<(), End> {
        let now = self.shared.now();
        if matches!(
            signal,
            Signal::Acked(..) | Signal::Command(..) | Signal::Heard
        ) {
            self.heard_at = now;
        }
        let settings = &self.shared.settings;
        let confused = |error| End::Lost(Fault::new(Cause::Garbled, &settings.broker(), error));
        match signal {
            Signal::Heard | Signal::Wrote | Signal::Goodbye => {}
            Signal::Command(message, receipt) => self.take(message, receipt)?,
            Signal::Written(id) => self.shared.ledger.written(id).map_err(confused)?,
            Signal::Acked(id, reason) => {
                self.answered_at = now;
                let accepted = matches!(
                    reason,
                    PubAckReason::Success | PubAckReason::NoMatchingSubscribers
                );
                let settled = self.shared.ledger.acked(id, accepted, now);
                self.settle(settled.map_err(confused)?, reason);
            }
            Signal::Down(fault) => return Err(End::Lost(fault)),
        }
        Ok(())
    }

    fn settle(&mut self, settled: Settled, reason: PubAckReason) {
        let shared = &mut *self.shared;
        let in_flight = shared.ledger.in_flight();
        match settled {
            Settled::Delivered(content) => {
                let (mut events, mut answers) = (0, 0);
                if let Content::Answer(ticket) = content {
                    answers = 1;
                    if let Some(desk) = &shared.desk {
                        desk.answered(ticket);
                    }
                }
                if let Content::Batch(batch) = content {
                    events = batch.events();
                    shared.feed.deliver(&batch);
                    let stream = batch.route.stream;
                    let refused = shared.ledger.is_refused(stream);
                    shared.reporter.update(|status| {
                        if !refused {
                            status.refusals[stream.index()] = None;
                        }
                    });
                }
                shared.reporter.update(|status| {
                    status.in_flight = in_flight;
                    status.counters.events_acked += events;
                    status.counters.answers += answers;
                });
            }
            Settled::Refused(content) => {
                let topics = &shared.settings.topics;
                let (topic, stream, events) = match &content {
                    Content::Batch(batch) => {
                        let stream = Some(batch.route.stream);
                        (topics.batch(batch.route), stream, batch.events())
                    }
                    Content::State => (topics.state(), None, 0),
                    Content::Answer(ticket) => {
                        let desk = shared.desk.as_ref();
                        let topic = desk.and_then(|desk| desk.refused(*ticket));
                        (topic.unwrap_or_else(|| topics.response("…")), None, 0)
                    }
                };
                tracing::warn!(%topic, ?reason, "the broker refused a publish");
                let objection = Objection::from(reason);
                let message = words::publish_refused(objection, &topic);
                shared.reporter.update(|status| {
                    status.in_flight = in_flight;
                    status.counters.batches_refused += 1;
                    status.counters.events_resent += events;
                    if let Some(stream) = stream {
                        status.refusals[stream.index()] = Some(Refusal {
                            topic,
                            objection,
                            message,
                        });
                    }
                });
            }
        }
    }

    /// Sends one batch; false when there is nothing to send, or no room, now.
    async fn send_next(&mut self) -> Result<bool, End> {
        let now = self.shared.now();
        let paused = self.outbox_again_at.is_some_and(|moment| now < moment);
        if paused || self.shared.feed.has_unrecorded() {
            return Ok(false);
        }
        if self.outbox_again_at.take().is_some() {
            self.stalled = [false; 4];
        }
        let last = self.sendable(now);
        let Some(route) = self.shared.ledger.next_route(last, now) else {
            return Ok(false);
        };
        let settings = &self.shared.settings;
        let topic = settings.topics.batch(route);
        let target = match route.lane {
            Lane::Live => settings.batch_bytes,
            Lane::Backfill => settings.batch_bytes.min(BACKFILL_BYTES),
        };
        let limit = self.link.payload_limit(&topic, CONTENT_TYPE, target);
        let ledger = &self.shared.ledger;
        let (after, end) = (ledger.cursor(route), ledger.end(route));
        let (feed, most) = (&mut self.shared.feed, settings.batch_events);
        let packed = match feed.next(route, (after, end), most, limit).await {
            Ok(packed) => packed,
            Err(error) => return self.outbox_fault(error).map(|()| false),
        };
        self.shared.reporter.outbox_trouble(None);
        if packed.upto == after {
            self.stalled[route.stream.index()] = true;
            self.outbox_again_at = Some(now + OUTBOX_PAUSE);
            return Ok(true); // the other streams may have something
        }
        self.report_oversized(&packed);
        if packed.payload.is_empty() {
            self.shared.ledger.skip(route, packed.upto);
            return Ok(true);
        }
        Ok(self.publish(&topic, packed, now))
    }

    fn publish(&mut self, topic: &str, packed: Packed, now: Duration) -> bool {
        let idle = self.shared.ledger.in_flight() == 0;
        let sent = self.link.publish(Parcel {
            topic,
            content_type: CONTENT_TYPE,
            encoding: packed.encoding,
            correlation: None,
            retain: false,
            payload: packed.payload,
        });
        if !sent {
            return false;
        }
        if idle {
            self.answered_at = now;
        }
        let (route, events) = (packed.batch.route, packed.batch.events());
        self.shared.ledger.sent(Content::Batch(packed.batch), now);
        self.shared.ledger.skip(route, packed.upto);
        let in_flight = self.shared.ledger.in_flight();
        self.shared.reporter.update(|status| {
            status.in_flight = in_flight;
            status.counters.batches_sent += 1;
            status.counters.events_sent += events;
        });
        true
    }

    /// Highest sequence number that may be sent now, by stream.
    fn sendable(&self, now: Duration) -> [u64; 4] {
        let mut last = match &self.leaving {
            Some(leaving) if now >= leaving.send_until => [0; 4],
            Some(leaving) => leaving.last,
            None => self.shared.feed.last(),
        };
        for (last, stalled) in last.iter_mut().zip(self.stalled) {
            if stalled {
                *last = 0;
            }
        }
        last
    }

    fn report_oversized(&mut self, packed: &Packed) {
        let told = &mut self.shared.told_oversized;
        let fresh: Vec<_> = packed
            .oversized
            .iter()
            .filter(|event| told.is_news(event))
            .collect();
        if let Some(&&latest) = fresh.last() {
            tracing::error!(stream = %latest.stream, sequence = latest.sequence, bytes = latest.bytes,
                limit = latest.limit, "an event is larger than the broker takes; set aside");
            self.shared.reporter.oversized(fresh.len() as u64, latest);
        }
    }

    fn record(&mut self) -> Result<(), End> {
        let paused = self
            .outbox_again_at
            .is_some_and(|moment| self.shared.now() < moment);
        if paused || !self.shared.feed.has_unrecorded() {
            return Ok(());
        }
        match self.shared.feed.record() {
            Ok(()) => {
                self.shared.reporter.outbox_trouble(None);
                Ok(())
            }
            Err(error) => self.outbox_fault(error),
        }
    }

    fn outbox_fault(&mut self, error: FeedError) -> Result<(), End> {
        match error {
            FeedError::Closed => Err(End::Closed),
            FeedError::Trouble(message) => {
                tracing::error!(error = %message.en, "the outbox cannot be used; trying again");
                self.shared.reporter.outbox_trouble(Some(message));
                self.outbox_again_at = Some(self.shared.now() + OUTBOX_PAUSE);
                Ok(())
            }
        }
    }

    fn check_alive(&self, now: Duration) -> Result<(), End> {
        let broker = self.shared.settings.broker();
        if now >= self.heard_at + self.link.limits.silence {
            return Err(End::Lost(Fault::new(Cause::Silent, &broker, "")));
        }
        if self.shared.ledger.in_flight() > 0 && now >= self.answered_at + ACK_PATIENCE {
            let fault = Fault::new(Cause::NoAcknowledgement, &broker, "");
            return Err(End::Lost(fault));
        }
        Ok(())
    }

    /// Time until something is due by itself.
    fn wakes_in(&self, now: Duration) -> Duration {
        let waiting = self.shared.ledger.in_flight() > 0;
        let leaving = self.leaving.as_ref();
        [
            Some(self.heard_at + self.link.limits.silence),
            waiting.then_some(self.answered_at + ACK_PATIENCE),
            self.outbox_again_at,
            self.shared.ledger.wakes_at(now),
            leaving.map(|leaving| leaving.ack_until),
        ]
        .into_iter()
        .flatten()
        .min()
        .unwrap_or(now)
        .saturating_sub(now)
        // Never a busy loop, whatever the clock does.
        .max(Duration::from_millis(1))
    }

    fn begin_leaving(&mut self) {
        let (now, grace) = (self.shared.now(), self.shared.grace);
        self.leaving = Some(Leaving {
            last: self.shared.feed.last(),
            send_until: now + grace * 6 / 10,
            ack_until: now + grace * 8 / 10,
            until: now + grace,
        });
    }

    /// Says that the box goes offline, hears the answer, disconnects; all of it within the grace time.
    async fn farewell(&mut self) {
        let Some(until) = self.leaving.as_ref().map(|leaving| leaving.until) else {
            return;
        };
        if self.publish_state(OFFLINE.into()) {
            while self.shared.ledger.in_flight() > 0 {
                let Ok(signal) = timeout(self.left_until(until), self.link.next()).await else {
                    break;
                };
                if self.hear(signal).is_err() {
                    break;
                }
            }
        }
        if let Err(End::Closed) = self.record() {
            return;
        }
        if self.link.say_goodbye() {
            while let Ok(signal) = timeout(self.left_until(until), self.link.next()).await {
                if matches!(signal, Signal::Goodbye | Signal::Down(_)) {
                    break;
                }
            }
        }
    }

    fn left_until(&self, until: Duration) -> Duration {
        until.saturating_sub(self.shared.now())
    }

    fn birth(&self) -> Vec<u8> {
        let Birth {
            version,
            config_sha256,
            capabilities,
        } = &self.shared.birth;
        serde_json::json!({
            "online": true,
            "bootid": self.shared.settings.boot_id,
            "version": version,
            "config_sha256": *config_sha256.borrow(),
            "capabilities": capabilities,
            "pending": self.shared.feed.pending(),
        })
        .to_string()
        .into_bytes()
    }

    /// False when it cannot be sent: no room, too large for the broker, or the connection is gone.
    fn publish_state(&mut self, payload: Vec<u8>) -> bool {
        let topic = self.shared.settings.topics.state();
        let limit = self.link.payload_limit(&topic, JSON, payload.len());
        let sent = self.shared.ledger.has_room()
            && payload.len() <= limit.most
            && self.link.publish(Parcel {
                topic: &topic,
                content_type: JSON,
                encoding: Encoding::Identity,
                correlation: None,
                retain: true,
                payload,
            });
        if sent {
            let now = self.shared.now();
            self.answered_at = now;
            self.shared.ledger.sent(Content::State, now);
        } else {
            tracing::warn!(%topic, "the box's state could not be published");
        }
        sent
    }
}
