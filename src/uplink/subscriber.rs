//! A checking subscriber, for `footfall demo` and for tests: takes the place of the cloud and keeps a
//! record of what arrived. Sized for demonstrations; it stops recording at [`MOST_EVENTS`].

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::mqttbytes::v5::{Filter, Packet, Publish, SubscribeReasonCode};
use rumqttc::v5::{Event, MqttOptions};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::backoff::Backoff;
use super::encoding::{Encoding, expand};
use super::pump::Connection;
use super::route::{Lane, Route};
use super::topics::{BATCH_FILTERS, route_of};
use super::wire::Options;
use crate::event::Stream;

/// Events recorded at most, all streams together.
pub const MOST_EVENTS: usize = 1_000_000;
/// Largest packet taken, bytes; above the largest batch the config allows.
const LARGEST_PACKET: u32 = 16 * 1024 * 1024;
/// What a compressed batch may expand to, bytes.
const LARGEST_BATCH: usize = 16 * 1024 * 1024;
/// How long the broker keeps messages for a subscriber that is away, seconds.
const SESSION_EXPIRY: u32 = 3600;

/// Whom to ask for what.
#[derive(Clone, Debug)]
pub struct Subscription {
    pub host: String,
    pub port: u16,
    /// `footfall/v1/{tenant}/{store}/{box}`
    pub base: String,
    /// Unique at the broker.
    pub client_id: String,
    pub credentials: Option<(String, String)>,
}

/// What has arrived in one stream.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct StreamReport {
    /// Different sequence numbers.
    pub received: u64,
    /// Those of them that arrived live first; the others were older when they were sent.
    pub live: u64,
    /// Highest sequence number.
    pub last: u64,
    /// Whether 1 to `last` are all there; true when nothing arrived.
    pub contiguous: bool,
    /// Lowest sequence number that is missing below `last`.
    pub first_gap: Option<u64>,
    /// Events that came again with the same bytes.
    pub duplicates: u64,
    /// Events that came again with other bytes: a fault.
    pub conflicts: u64,
}

/// What has arrived so far.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// By [`Stream::index`].
    pub streams: [StreamReport; 4],
    pub batches: u64,
    /// The first thing that is not as it should be; gaps are not among these, since they may fill up.
    pub first_problem: Option<String>,
}

impl Report {
    /// Every stream complete from 1 on, and nothing odd seen.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.first_problem.is_none() && self.streams.iter().all(|stream| stream.contiguous)
    }

    /// Different events in all streams.
    #[must_use]
    pub fn received(&self) -> u64 {
        self.streams.iter().map(|stream| stream.received).sum()
    }
}

/// What the subscriber knows at the moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// Whether the broker has confirmed the subscription on the present connection.
    pub subscribed: bool,
    pub report: Report,
    /// The latest `{base}/state`, as text.
    pub state: Option<String>,
}

/// The running subscriber; dropping it stops it.
pub struct Subscriber {
    seen: watch::Receiver<Seen>,
    task: JoinHandle<()>,
    kept: Option<Kept>,
}

/// Events by stream and number.
type Kept = Arc<Mutex<BTreeMap<(Stream, u64), String>>>;

impl Subscriber {
    /// Connects in the background and stays connected; must be called inside a tokio runtime.
    #[must_use]
    pub fn start(subscription: Subscription) -> Self {
        Self::start_with(subscription, Record::default())
    }

    /// Like [`Subscriber::start`], and keeps the events themselves for [`Subscriber::events`].
    #[must_use]
    pub fn start_keeping(subscription: Subscription) -> Self {
        let record = Record {
            kept: Some(Arc::default()),
            ..Record::default()
        };
        Self::start_with(subscription, record)
    }

    fn start_with(subscription: Subscription, record: Record) -> Self {
        let (tx, seen) = watch::channel(Seen::default());
        let kept = record.kept.clone();
        let task = tokio::spawn(subscribe(subscription, tx, record));
        Self { seen, task, kept }
    }

    /// The events that were kept, each once, in the order of their streams and numbers.
    #[must_use]
    pub fn events(&self) -> Vec<String> {
        let Some(kept) = &self.kept else {
            return Vec::new();
        };
        let kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.values().cloned().collect()
    }

    /// What has been seen; changes with each batch.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<Seen> {
        self.seen.clone()
    }

    /// What has arrived so far.
    #[must_use]
    pub fn report(&self) -> Report {
        self.seen.borrow().report.clone()
    }
}

impl Drop for Subscriber {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn subscribe(subscription: Subscription, seen: watch::Sender<Seen>, mut record: Record) {
    let mut backoff = Backoff::with_seed(fastrand::u64(..));
    loop {
        let mut connection = Connection::start(Options::V5(Box::new(options(&subscription))), 4);
        while let Some(Ok(event)) = connection.next().await {
            let Event::Incoming(packet) = event else {
                continue;
            };
            match packet {
                Packet::ConnAck(_) => {
                    backoff.reset();
                    // In one packet, so that the answer means all of them.
                    let filters = BATCH_FILTERS.into_iter().chain(["state"]);
                    let filters = filters.map(|filter| {
                        let filter = format!("{}/{filter}", subscription.base);
                        Filter::new(filter, QoS::AtLeastOnce)
                    });
                    connection.client.subscribe(filters);
                }
                Packet::SubAck(ack) => {
                    let refused = |code| !matches!(code, SubscribeReasonCode::Success(_));
                    if ack.return_codes.into_iter().any(refused) {
                        record.problem("the broker refused the subscription".into());
                    }
                    seen.send_modify(|seen| {
                        seen.subscribed = true;
                        seen.report = record.report();
                    });
                }
                Packet::Publish(publish) => take(&subscription.base, &publish, &mut record, &seen),
                _ => {}
            }
        }
        seen.send_modify(|seen| seen.subscribed = false);
        tokio::time::sleep(backoff.next_wait()).await;
    }
}

fn take(base: &str, publish: &Publish, record: &mut Record, seen: &watch::Sender<Seen>) {
    let topic = String::from_utf8_lossy(&publish.topic);
    if topic.strip_prefix(base) == Some("/state") {
        let state = String::from_utf8_lossy(&publish.payload).into_owned();
        seen.send_modify(|seen| seen.state = Some(state));
        return;
    }
    match route_of(base, &topic) {
        Some(route) => {
            let properties = publish.properties.as_ref();
            let encoding =
                properties.and_then(|properties| Encoding::named_in(&properties.user_properties));
            record.encoded_batch(route, &publish.payload, encoding);
        }
        None => record.problem(format!("a message on the unexpected topic {topic}")),
    }
    seen.send_modify(|seen| seen.report = record.report());
}

fn options(subscription: &Subscription) -> MqttOptions {
    let mut options = MqttOptions::new(
        &subscription.client_id,
        &subscription.host,
        subscription.port,
    );
    options
        .set_keep_alive(Duration::from_secs(30))
        // The broker keeps what arrives while the subscriber is away: a gap is then the sender's.
        .set_clean_start(false)
        .set_session_expiry_interval(Some(SESSION_EXPIRY))
        .set_max_packet_size(Some(LARGEST_PACKET));
    if let Some((user, password)) = &subscription.credentials {
        options.set_credentials(user, password);
    }
    options
}

/// The start of an event's SHA-256.
type Fingerprint = [u8; 16];

/// What has arrived, by stream. Pure.
#[derive(Debug, Default)]
struct Record {
    streams: [Arrived; 4],
    events: usize,
    batches: u64,
    first_problem: Option<String>,
    kept: Option<Kept>,
}

#[derive(Debug, Default)]
struct Arrived {
    events: BTreeMap<u64, Fingerprint>,
    /// 1 to here have all arrived.
    upto: u64,
    live: u64,
    duplicates: u64,
    conflicts: u64,
}

/// The parts of an envelope that are checked.
#[derive(Deserialize)]
struct Head {
    sequence: String,
    stream: Stream,
}

impl Record {
    fn problem(&mut self, problem: String) {
        self.first_problem.get_or_insert(problem);
    }

    /// `named`: what the batch's properties say, as far as they survived.
    fn encoded_batch(&mut self, route: Route, payload: &[u8], named: Option<Encoding>) {
        let stream = route.stream;
        if named.is_some_and(|named| named != Encoding::of(payload)) {
            self.problem(format!(
                "a batch of {stream} is not encoded as its properties say"
            ));
        }
        match expand(payload, LARGEST_BATCH) {
            Ok(text) => self.batch(route, &text),
            Err(error) => self.problem(format!("a batch of {stream} cannot be read: {error}")),
        }
    }

    fn batch(&mut self, route: Route, payload: &[u8]) {
        let stream = route.stream;
        self.batches += 1;
        let events: Vec<&RawValue> = match serde_json::from_slice(payload) {
            Ok(events) => events,
            Err(error) => {
                return self.problem(format!("a batch of {stream} is no JSON array: {error}"));
            }
        };
        for event in events {
            if let Err(problem) = self.event(route, event.get()) {
                self.problem(problem);
            }
        }
    }

    fn event(&mut self, Route { lane, stream }: Route, text: &str) -> Result<(), String> {
        let head: Head = serde_json::from_str(text)
            .map_err(|error| format!("an event of {stream} has no readable envelope: {error}"))?;
        if head.stream != stream {
            return Err(format!("an event of {} came as {stream}", head.stream));
        }
        let sequence: u64 = head
            .sequence
            .parse()
            .ok()
            .filter(|sequence| *sequence > 0)
            .ok_or_else(|| format!("{stream} has the sequence {:?}", head.sequence))?;
        let mut fingerprint = Fingerprint::default();
        for (to, from) in fingerprint.iter_mut().zip(Sha256::digest(text)) {
            *to = from;
        }
        let arrived = &mut self.streams[stream.index()];
        match arrived.events.get(&sequence) {
            Some(known) if *known == fingerprint => arrived.duplicates += 1,
            Some(_) => {
                arrived.conflicts += 1;
                return Err(format!("{stream}/{sequence} came again with other bytes"));
            }
            None if self.events >= MOST_EVENTS => {
                return Err(format!(
                    "more than {MOST_EVENTS} events; the rest is not recorded"
                ));
            }
            None => {
                arrived.events.insert(sequence, fingerprint);
                arrived.live += u64::from(lane == Lane::Live);
                self.events += 1;
                if let Some(kept) = &self.kept {
                    let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
                    kept.insert((stream, sequence), text.to_owned());
                }
                while arrived.events.contains_key(&(arrived.upto + 1)) {
                    arrived.upto += 1;
                }
            }
        }
        Ok(())
    }

    fn report(&self) -> Report {
        let mut streams: [StreamReport; 4] = Default::default();
        for (report, arrived) in streams.iter_mut().zip(&self.streams) {
            let last = arrived.events.last_key_value().map_or(0, |(last, _)| *last);
            *report = StreamReport {
                received: arrived.events.len() as u64,
                live: arrived.live,
                last,
                contiguous: arrived.upto == last,
                first_gap: (arrived.upto < last).then_some(arrived.upto + 1),
                duplicates: arrived.duplicates,
                conflicts: arrived.conflicts,
            };
        }
        Report {
            streams,
            batches: self.batches,
            first_problem: self.first_problem.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(sequence: u64, data: &str) -> String {
        format!(r#"{{"stream":"count","sequence":"{sequence}","data":"{data}"}}"#)
    }

    fn record(batches: &[&str]) -> Report {
        let mut record = Record::default();
        for batch in batches {
            record.batch(Route::live(Stream::Count), batch.as_bytes());
        }
        record.report()
    }

    #[test]
    fn a_gap_is_reported_until_it_fills_up() {
        let [one, two, three] = [1, 2, 3].map(|sequence| event(sequence, "x"));
        let (first, second) = (format!("[{one},{three}]"), format!("[{two}]"));
        let report = record(&[&first]);
        let count = &report.streams[Stream::Count.index()];
        assert_eq!((count.received, count.first_gap), (2, Some(2)));
        assert!(!report.is_complete());
        let report = record(&[&first, &second]);
        assert!(report.is_complete());
        assert_eq!((report.received(), report.batches), (3, 2));
    }

    #[test]
    fn both_lanes_together_make_one_stream() {
        let mut record = Record::default();
        let [one, two] = [1, 2].map(|sequence| event(sequence, "x"));
        record.batch(Route::live(Stream::Count), format!("[{two}]").as_bytes());
        let older = format!("[{one},{two}]");
        record.batch(Route::backfill(Stream::Count), older.as_bytes());
        let report = record.report();
        assert!(report.is_complete());
        let count = &report.streams[Stream::Count.index()];
        assert_eq!((count.received, count.live, count.duplicates), (2, 1, 1));
    }

    #[test]
    fn a_repetition_is_harmless_with_the_same_bytes_and_a_problem_with_others() {
        let (one, other) = (event(1, "x"), event(1, "y"));
        let report = record(&[&format!("[{one},{one}]")]);
        assert_eq!(report.streams[Stream::Count.index()].duplicates, 1);
        assert!(report.is_complete());
        let report = record(&[&format!("[{one},{other}]")]);
        assert_eq!(report.streams[Stream::Count.index()].conflicts, 1);
        assert_eq!(
            report.first_problem.as_deref(),
            Some("count/1 came again with other bytes")
        );
    }

    #[test]
    fn what_is_no_batch_of_this_stream_is_a_problem_and_never_a_panic() {
        for (bad, why) in [
            ("", "no JSON array"),
            ("{}", "no JSON array"),
            ("[1]", "no readable envelope"),
            (r#"[{"stream":"alarm","sequence":"1"}]"#, "came as count"),
            (r#"[{"stream":"count","sequence":"0"}]"#, "has the sequence"),
        ] {
            let problem = record(&[bad]).first_problem.unwrap();
            assert!(problem.contains(why), "{bad}: {problem}");
        }
    }
}
