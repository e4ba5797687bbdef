//! How the link stands, for the status page and for alarms.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Serialize, Serializer};
use tokio::sync::watch;

use super::batch::Oversized;
use super::cause::{Cause, Objection};
use super::fault::Fault;
use crate::clock::SharedClock;
use crate::event::DeviceAlarm;
use crate::words::Words;

/// Where the connection stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LinkState {
    /// No broker is configured.
    Off,
    /// No connection, and another attempt follows.
    Disconnected,
    /// The first attempt since the start, or since a connection was lost.
    Connecting,
    /// Events flow.
    Connected,
    /// The broker answers and does not want this box: user, password, client id, quota.
    Refused,
    /// The TLS handshake fails: certificates, names, validity.
    TlsError,
    /// The daemon is shutting down.
    Stopped,
}

/// What happened since the daemon started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Counters {
    /// Connections that came up, the first included.
    pub connections: u64,
    /// Attempts that failed before the broker accepted.
    pub failed_attempts: u64,
    /// Connections that broke.
    pub connections_lost: u64,
    pub batches_sent: u64,
    pub events_sent: u64,
    /// Events the broker took.
    pub events_acked: u64,
    /// Events that were sent more than once; the cloud drops them by their id.
    pub events_resent: u64,
    /// Batches (and states) the broker answered with an error.
    pub batches_refused: u64,
    /// Events larger than the broker takes.
    pub events_oversized: u64,
    /// Messages that came in on the command topic.
    pub commands: u64,
    /// Answers to commands the broker took.
    pub answers: u64,
}

/// The broker answered a publish with an error, and has taken nothing of it since.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Refusal {
    pub topic: String,
    pub objection: Objection,
    /// What and what to do.
    pub message: Words,
}

/// The link's whole state, as a value to watch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct LinkStatus {
    pub state: LinkState,
    /// Since when `state` holds.
    #[serde(serialize_with = "rfc3339")]
    #[schemars(with = "String")]
    pub since: Timestamp,
    /// Why there is no connection; `None` when there is one, or none is wanted.
    pub cause: Option<Cause>,
    /// For a technician: what is wrong and what to do; empty when nothing is.
    pub message: Words,
    /// `host:port`; empty without a broker.
    pub broker: String,
    /// Publishes that wait for their acknowledgement.
    pub in_flight: usize,
    pub counters: Counters,
    /// What the broker refuses, by [`Stream::index`](crate::event::Stream::index).
    pub refusals: [Option<Refusal>; 4],
    /// The broker does not let the box listen for commands.
    pub deaf: Option<Refusal>,
    /// The latest event that no payload can hold.
    pub oversized: Option<Oversized>,
    /// Why events cannot be read from the outbox, or acknowledged to it, at the moment.
    pub outbox_trouble: Option<Words>,
}

fn rfc3339<S: Serializer>(moment: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(moment)
}

impl LinkStatus {
    /// The state before the uplink runs, and for good where no broker is configured.
    #[must_use]
    pub fn off(since: Timestamp) -> Self {
        Self {
            state: LinkState::Off,
            since,
            cause: None,
            message: Words::new(
                "no broker is configured; events stay on the box (set uplink.broker)",
                "未设置服务器；事件保存在设备上（请设置 uplink.broker）",
            ),
            broker: String::new(),
            in_flight: 0,
            counters: Counters::default(),
            refusals: Default::default(),
            deaf: None,
            oversized: None,
            outbox_trouble: None,
        }
    }

    /// What a person must be told now that the state `before` has become this one: one alarm for each
    /// stream the broker began to refuse, one for commands it began to withhold, one for new events that are too large. Whoever watches the
    /// status submits them; a state seen late loses no alarm.
    #[must_use]
    pub fn alarms_since(&self, before: &Self) -> Vec<DeviceAlarm> {
        let mut messages: Vec<String> = self
            .refusals
            .iter()
            .chain([&self.deaf])
            .zip(before.refusals.iter().chain([&before.deaf]))
            .filter(|(now, before)| before.is_none() && now.is_some())
            .filter_map(|(now, _)| now.as_ref().map(|refusal| refusal.message.en.clone()))
            .collect();
        let more = self
            .counters
            .events_oversized
            .saturating_sub(before.counters.events_oversized);
        if let Some(latest) = self.oversized
            && more > 0
        {
            messages.push(format!(
                "{more} more event(s) are larger than the broker takes and stay on the box, the latest {}/{} \
                 with {} bytes where {} are allowed: raise the broker's maximum packet size",
                latest.stream, latest.sequence, latest.bytes, latest.limit
            ));
        }
        messages
            .into_iter()
            .map(|message| DeviceAlarm {
                part: "uplink".into(),
                message,
            })
            .collect()
    }
}

/// The one writer of a [`LinkStatus`].
pub(super) struct Reporter {
    status: watch::Sender<LinkStatus>,
    clock: SharedClock,
}

impl Reporter {
    pub(super) fn new(
        status: watch::Sender<LinkStatus>,
        clock: SharedClock,
        broker: String,
    ) -> Self {
        status.send_modify(|status| status.broker = broker);
        Self { status, clock }
    }

    fn enter(&self, state: LinkState, why: Option<(Cause, Words)>) {
        let now = self.clock.now().wall;
        let (cause, message) = why.unzip();
        self.status.send_modify(|status| {
            if status.state != state {
                status.state = state;
                status.since = now;
            }
            status.cause = cause;
            status.message = message.unwrap_or_default();
        });
    }

    /// An attempt begins. A fault stays visible until an attempt succeeds, or the page would flicker.
    pub(super) fn attempt(&self) {
        if self.status.borrow().state == LinkState::Off {
            self.enter(LinkState::Connecting, None);
        }
    }

    pub(super) fn connected(&self, deaf: Option<Refusal>) {
        self.enter(LinkState::Connected, None);
        self.update(|status| {
            status.counters.connections += 1;
            status.deaf = deaf;
        });
    }

    pub(super) fn events_acked(&self) -> u64 {
        self.status.borrow().counters.events_acked
    }

    pub(super) fn stopped(&self) {
        self.enter(LinkState::Stopped, None);
        self.update(|status| status.in_flight = 0);
    }

    /// An attempt or a connection has failed.
    pub(super) fn failed(&self, fault: &Fault) {
        let was_connected = self.status.borrow().state == LinkState::Connected;
        self.enter(fault.state(), Some((fault.cause, fault.message.clone())));
        self.update(|status| {
            status.in_flight = 0;
            if was_connected {
                status.counters.connections_lost += 1;
            } else {
                status.counters.failed_attempts += 1;
            }
        });
    }

    pub(super) fn oversized(&self, count: u64, latest: Oversized) {
        self.update(|status| {
            status.counters.events_oversized += count;
            status.oversized = Some(latest);
        });
    }

    pub(super) fn outbox_trouble(&self, trouble: Option<Words>) {
        self.status.send_if_modified(|status| {
            let changed = status.outbox_trouble != trouble;
            if changed {
                status.outbox_trouble = trouble;
            }
            changed
        });
    }

    pub(super) fn update(&self, change: impl FnOnce(&mut LinkStatus)) {
        self.status.send_modify(change);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Stream;

    fn refusal() -> Refusal {
        Refusal {
            topic: "t".into(),
            objection: Objection::NotAuthorised,
            message: "the broker refuses t".into(),
        }
    }

    #[test]
    fn an_alarm_is_raised_when_a_refusal_begins_and_not_again_while_it_lasts() {
        let quiet = LinkStatus::off(Timestamp::UNIX_EPOCH);
        let mut refused = quiet.clone();
        refused.refusals[Stream::Count.index()] = Some(refusal());
        let alarms = refused.alarms_since(&quiet);
        assert_eq!(alarms.len(), 1);
        let deaf = LinkStatus {
            deaf: Some(refusal()),
            ..quiet.clone()
        };
        assert_eq!(deaf.alarms_since(&quiet).len(), 1);
        assert!(deaf.alarms_since(&deaf).is_empty());
        assert_eq!(alarms[0].message, "the broker refuses t");
        assert!(refused.alarms_since(&refused).is_empty());
        assert!(quiet.alarms_since(&refused).is_empty());
    }

    #[test]
    fn events_too_large_are_summed_up_in_one_alarm_even_when_the_state_is_seen_late() {
        let quiet = LinkStatus::off(Timestamp::UNIX_EPOCH);
        let mut later = quiet.clone();
        later.counters.events_oversized = 3;
        later.oversized = Some(Oversized {
            stream: Stream::Interval,
            sequence: 17,
            bytes: 900,
            limit: 500,
        });
        let alarms = later.alarms_since(&quiet);
        assert_eq!(alarms.len(), 1);
        let message = &alarms[0].message;
        assert!(
            message.contains("3 more") && message.contains("interval/17"),
            "{message}"
        );
    }

    #[test]
    fn the_state_serialises_for_the_api() {
        let text = serde_json::to_string(&LinkStatus::off(Timestamp::UNIX_EPOCH)).unwrap();
        assert!(
            text.starts_with(
                r#"{"state":"off","since":"1970-01-01T00:00:00Z","cause":null,"message":{"en":"#
            ),
            "{text}"
        );
    }
}
