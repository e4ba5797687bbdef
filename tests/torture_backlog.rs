//! A box that was offline for months: millions of events wait. It starts at once, needs hardly more memory than an
//! empty one, sends what is new at once, and the rest nearly as fast as if nothing had to be read from a disk.
//!
//! The full run holds the outbox to its contract; the short one only shows the figures, because a busy machine says
//! nothing about time. How fast it drains is shown and not asserted, beside two other speeds of the same minutes: of
//! events that are published as they come, through an outbox in which nothing waits; and of the MQTT library alone, with
//! events from nowhere. The latter says how much of the machine reading the disk takes, where the broker, whoever
//! listens and the box share its processors and no line is in between.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // clippy spares test functions, not their helpers

#[path = "common/mosquitto.rs"]
mod mosquitto;
#[path = "common/scale.rs"]
mod scale;

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use footfall::clock::{Clock, SystemClock};
use footfall::config::schema;
use footfall::event::{Body, Direction, Draft, Identity, LineCrossed, Sink, Stream};
use footfall::outbox::{Options, Outbox, Queue};
use footfall::system::rss_bytes;
use footfall::uplink::{Birth, LinkState, LinkStatus, Settings, Uplink};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use mosquitto::Mosquitto;
use rumqttc::NetworkOptions;
use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::{AsyncClient, Event, Incoming, MqttOptions};
use tempfile::TempDir;
use tokio::sync::watch;
use tokio::task::JoinHandle;

const DIR: &str = "FOOTFALL_TEST_DIR";
/// Far more than any of it takes.
const PATIENCE: Duration = Duration::from_secs(600);
/// What the contract says.
const REOPEN: Duration = Duration::from_secs(1);
const RSS_KB: u64 = 60 * 1024;
const FRESH: Duration = Duration::from_secs(2);
/// What the uplink puts into one payload of old events, bytes.
const PAYLOAD: usize = 32 * 1024;

fn now() -> Duration {
    SystemClock::new(true).now().boot
}

fn identity() -> Identity {
    Identity {
        tenant: "acme".into(),
        store: "shop-7".into(),
        box_id: "box-0042".into(),
        boot_id: "5f0c".into(),
        zone: TimeZone::UTC,
    }
}

fn open(dir: &Path) -> Outbox {
    let options = Options {
        // Nothing gives way: the size of this backlog is the point.
        quota_bytes: Some(1 << 40),
        ..Options::new(dir)
    };
    let clock = Arc::new(SystemClock::new(true));
    Outbox::open(options, identity(), clock).unwrap().0
}

fn draft(track: u64) -> Draft {
    Draft {
        source: "vision/entrance".into(),
        at: SystemClock::new(true).now(),
        body: Body::LineCrossed(LineCrossed {
            line: "door".into(),
            direction: Direction::In,
            track,
            from: "street".into(),
            to: "shop".into(),
            class: None,
        }),
    }
}

/// Stores so many events and closes.
fn fill(dir: &Path, events: u64) {
    let outbox = open(dir);
    store(&outbox, events);
    outbox.close().unwrap();
}

/// Stores so many events.
fn store(outbox: &Outbox, events: u64) {
    let mut stored = 0;
    while stored < events {
        let receipts: Vec<_> = (0..1000.min(events - stored))
            .map(|n| outbox.submit(draft(stored + n)).unwrap())
            .collect();
        for receipt in receipts {
            stored = receipt.blocking_recv().unwrap();
        }
    }
}

/// Opens what is there and says how long that took and how much memory the process has then, and after it has read a
/// while. Does nothing in an ordinary test run.
#[test]
fn child() {
    let Some(dir) = std::env::var_os(DIR) else {
        return;
    };
    let begin = now();
    let outbox = open(Path::new(&dir));
    let took = now() - begin;
    let opened = rss_bytes() / 1024;
    let mut after = 0;
    while after < 20_000 {
        let events = outbox.read(Stream::Count, after, 100, PAYLOAD).unwrap();
        let Some(last) = events.last() else { break };
        after = last.sequence;
    }
    println!("\nO {} {opened} {}", took.as_micros(), rss_bytes() / 1024);
}

/// What a process of its own says: time to open, RSS then, RSS after reading.
fn opened(dir: &Path) -> (Duration, u64, u64) {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child", "--nocapture"])
        .env(DIR, dir)
        // As the program sets it for itself.
        .env("MALLOC_MMAP_THRESHOLD_", "131072")
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix("O "));
    let line = line.unwrap_or_else(|| panic!("{text}{}", String::from_utf8_lossy(&output.stderr)));
    let numbers: Vec<u64> = line.split(' ').map(|n| n.parse().unwrap()).collect();
    (Duration::from_micros(numbers[0]), numbers[1], numbers[2])
}

/// An uplink between this outbox and this broker.
struct Link {
    status: watch::Receiver<LinkStatus>,
    _stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Link {
    fn start(broker: &Mosquitto, queue: Arc<Outbox>) -> Self {
        let config = schema::Uplink {
            broker: Some(broker.url()),
            ..schema::Uplink::default()
        };
        let (stop, stopped) = watch::channel(false);
        let (sender, status) = watch::channel(LinkStatus::off(Timestamp::UNIX_EPOCH));
        let uplink = Uplink {
            settings: Settings::from_config(&config, &identity())
                .unwrap()
                .unwrap(),
            queue,
            clock: Arc::new(SystemClock::new(true)),
            status: sender,
            birth: Birth {
                version: "0.1.0".into(),
                config_sha256: watch::channel("c0ffee".to_owned()).1,
                capabilities: Vec::new(),
            },
            desk: None,
            grace: Duration::from_secs(1),
        };
        let task = tokio::spawn(async move { uplink.run(stopped).await.unwrap() });
        Self {
            status,
            _stop: stop,
            task,
        }
    }

    async fn end(mut self) {
        self.task.abort();
        let _ = (&mut self.task).await;
    }

    async fn until(&mut self, what: &str, wanted: impl FnMut(&LinkStatus) -> bool) {
        let found = tokio::time::timeout(PATIENCE, self.status.wait_for(wanted)).await;
        assert!(matches!(found, Ok(Ok(_))), "not in time: {what}");
    }
}

/// Events a second when nothing waits: stored in groups, published as they become durable, answered.
async fn live_rate(broker: &Mosquitto, count: u64) -> f64 {
    let dir = TempDir::new().unwrap();
    let outbox = Arc::new(open(dir.path()));
    let mut link = Link::start(broker, Arc::clone(&outbox));
    link.until("connected", |status| status.state == LinkState::Connected)
        .await;
    let begin = now();
    let source = Arc::clone(&outbox);
    let produced = tokio::task::spawn_blocking(move || store(&source, count));
    link.until("all of it", |status| status.counters.events_acked >= count)
        .await;
    let took = now() - begin;
    produced.await.unwrap();
    link.end().await;
    outbox.close().unwrap();
    count as f64 / took.as_secs_f64()
}

/// Events a second when they come from nowhere: `count` payloads with `events` in each, published by the same library
/// with as many under way.
async fn bare_rate(broker: &Mosquitto, payload: &[u8], events: usize, count: usize) -> f64 {
    let (client, mut traffic) = AsyncClient::new(options("bare", broker), 100);
    let payload = payload.to_vec();
    let publisher = tokio::spawn(async move {
        for _ in 0..count {
            let topic = "footfall/v1/acme/shop-7/box-0042/backfill/count";
            let sent = client.publish(topic, QoS::AtLeastOnce, false, payload.clone());
            sent.await.unwrap();
        }
        client
    });
    let (mut begin, mut answered) = (Duration::ZERO, 0);
    while answered < count {
        match traffic.poll().await.unwrap() {
            Event::Incoming(Incoming::ConnAck(_)) => begin = now(),
            Event::Incoming(Incoming::PubAck(_)) => answered += 1,
            _ => {}
        }
    }
    let took = now() - begin;
    drop(publisher.await.unwrap());
    (count * events) as f64 / took.as_secs_f64()
}

/// As the uplink sets them.
fn options(id: &str, broker: &Mosquitto) -> MqttOptions {
    let mut options = MqttOptions::new(id, "127.0.0.1", broker.port());
    options.set_outgoing_inflight_upper_limit(schema::Uplink::default().inflight);
    options.set_max_packet_size(Some(1 << 20));
    let mut network = NetworkOptions::new();
    network.set_tcp_nodelay(true);
    network.set_tcp_send_buffer_size(64 * 1024);
    options.set_network_options(network);
    options
}

/// Somebody who takes everything and does nothing with it.
async fn listen(broker: &Mosquitto) -> JoinHandle<()> {
    let (client, mut traffic) = AsyncClient::new(options("cloud", broker), 100);
    let all = client.subscribe("footfall/#", QoS::AtLeastOnce).await;
    all.unwrap();
    while !matches!(
        traffic.poll().await.unwrap(),
        Event::Incoming(Incoming::SubAck(_))
    ) {}
    tokio::spawn(async move {
        // Without its client the loop would end.
        let _client = client;
        while traffic.poll().await.is_ok() {}
    })
}

/// A payload as the uplink makes them, and how many events are in it.
fn payload(outbox: &Outbox) -> (Vec<u8>, usize) {
    let most = schema::Uplink::default().batch_events;
    let mut bytes = vec![b'['];
    let events = outbox.read(Stream::Count, 0, most, PAYLOAD - 200).unwrap();
    for event in &events {
        bytes.extend_from_slice(&event.bytes);
        bytes.push(b',');
    }
    (bytes, events.len())
}

#[test]
fn a_great_backlog_costs_neither_time_at_the_start_nor_memory_nor_speed() {
    let backlog = scale::rounds(200_000, 5_000_000) as u64;
    let (empty, full) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let begin = now();
    fill(full.path(), backlog);
    println!("{backlog} events stored in {:.1?}", now() - begin);
    let nothing = opened(empty.path());
    // The quickest of three: the machine may be busy with something else.
    let three = (0..3).map(|_| opened(full.path()));
    let everything = three.min_by_key(|opened| opened.0).unwrap();
    for (what, (took, rss, later)) in [("empty", nothing), ("full", everything)] {
        println!("{what}: opened in {took:.3?}, RSS {rss} kB, after 20,000 reads {later} kB");
    }
    let more = everything.1.max(everything.2) - nothing.1;
    println!("{more} kB more than an empty outbox");
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let sent = runtime.block_on(drain(full.path(), backlog));
    if scale::full() {
        assert!(everything.0 < REOPEN, "opened in {:?}", everything.0);
        assert!(more < RSS_KB, "{more} kB more");
        if let Some(fresh) = sent {
            assert!(fresh < FRESH, "a new event waited {fresh:?}");
        }
    }
}

/// Shows how fast the backlog goes, in parts of the bare speed; gives how long a new event waits. `None` without a
/// broker.
async fn drain(dir: &Path, backlog: u64) -> Option<Duration> {
    let broker = Mosquitto::start("")?;
    let outbox = Arc::new(open(dir));
    let (payload, events) = payload(&outbox);
    let count = (backlog.min(400_000) / 2) as usize / events;
    let cloud = listen(&broker).await;
    let before = bare_rate(&broker, &payload, events, count).await;
    let mut link = Link::start(&broker, Arc::clone(&outbox));
    link.until("connected", |status| status.state == LinkState::Connected)
        .await;
    let connected = now();
    let fresh = outbox.append(draft(0)).await.unwrap();
    let first = u64::from(scale::full()) * 20_000 + 1000;
    link.until("the new event", |_| outbox.is_acked(Stream::Count, fresh))
        .await;
    let waited = now() - connected;
    let acked = |status: &LinkStatus| status.counters.events_acked;
    link.until("some", |status| acked(status) >= first).await;
    let (begin, at) = (now(), acked(&link.status.borrow()));
    let enough = at + (count * events) as u64 / 2;
    link.until("drained", |status| acked(status) >= enough)
        .await;
    let done = acked(&link.status.borrow()) - at;
    let rate = done as f64 / (now() - begin).as_secs_f64();
    link.end().await;
    let live = live_rate(&broker, (count * events) as u64 / 2).await;
    assert!(!cloud.is_finished(), "the cloud has gone");
    let after = bare_rate(&broker, &payload, events, count).await;
    let bare = f64::midpoint(before, after);
    eprintln!(
        "backlog {rate:.0} events/s; through an empty outbox {live:.0}: ratio {:.2}; the library alone, payloads of {} \
         bytes with {events} events, {before:.0} and {after:.0}: ratio {:.2}; a new event was with the broker \
         {waited:.3?} after connecting",
        rate / live,
        payload.len(),
        rate / bare
    );
    let pending = outbox.stat(Stream::Count).pending;
    assert!(pending < backlog, "nothing was acknowledged");
    // Before its directory goes.
    outbox.close().unwrap();
    Some(waited)
}
