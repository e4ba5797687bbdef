//! A real mosquitto that is killed and stopped under load, over and over, with and without persistence, and the outbox
//! as it is on disk: a subscriber of its own sees every event, each repetition with the same bytes.
//!
//! A broker that is killed forgets who subscribed, so what it takes before the subscriber is back is lost behind the
//! uplink's back. After such an end the box gets to the broker only once the subscriber is there; and the broker may
//! not hold back anything for it (`max_inflight_messages 0`). It also takes with it what it had acknowledged and not yet
//! got through to the subscriber, on a busy machine more than on an idle one: only those events may be missing.
//! `FOOTFALL_SEED=n` repeats a run's choices.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // clippy spares test functions, not their helpers

#[path = "common/gate.rs"]
mod gate;
#[path = "common/memory_queue.rs"]
mod memory_queue;
#[path = "common/mosquitto.rs"]
mod mosquitto;
#[path = "common/scale.rs"]
mod scale;
#[path = "common/uplink_rig.rs"]
mod uplink_rig;

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use footfall::clock::{Clock, SystemClock};
use footfall::event::{Body, DeviceAlarm, Draft, Identity, Sink, Stream};
use footfall::outbox::{Options, Outbox, Queue};
use footfall::uplink::LinkState;
use footfall::uplink::subscriber::Subscriber;
use gate::Gate;
use jiff::tz::TimeZone;
use mosquitto::Mosquitto;
use uplink_rig::{Link, NAMES, keeping_subscriber, plain, until};

/// Far more than any of it takes.
const PATIENCE: Duration = Duration::from_secs(120);
/// Between two lots of events.
const LOAD_EVERY: Duration = Duration::from_millis(5);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn given_a_persistent_broker_killed_and_stopped_under_load_every_event_arrives() {
    restart_under_load("max_inflight_messages 0\n", true, scale::rounds(3, 50)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn given_a_forgetful_broker_killed_and_stopped_under_load_every_event_arrives() {
    let forgetful = "max_inflight_messages 0\npersistence false\n";
    restart_under_load(forgetful, false, scale::rounds(3, 50)).await;
}

fn open(dir: &Path) -> Outbox {
    let [tenant, store, box_id] = NAMES;
    let identity = Identity {
        tenant: tenant.into(),
        store: store.into(),
        box_id: box_id.into(),
        boot_id: "5f0c".into(),
        zone: TimeZone::UTC,
    };
    let clock = Arc::new(SystemClock::new(true));
    Outbox::open(Options::new(dir), identity, clock).unwrap().0
}

fn draft(size: usize) -> Draft {
    Draft {
        source: String::new(),
        at: SystemClock::new(true).now(),
        body: Body::DeviceAlarm(DeviceAlarm {
            part: "load".into(),
            message: "x".repeat(size),
        }),
    }
}

async fn restart_under_load(config: &str, persistent: bool, rounds: usize) {
    let seed = std::env::var("FOOTFALL_SEED").ok();
    let seed = seed.map_or_else(|| fastrand::u64(..), |seed| seed.parse().unwrap());
    eprintln!("seed {seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    let Some(mut broker) = Mosquitto::start(config) else {
        return;
    };
    let gate = Gate::start(broker.port()).await;
    let cloud = keeping_subscriber(broker.port()).await;
    let dir = tempfile::tempdir().unwrap();
    let queue = Arc::new(open(dir.path()));
    let mut rig = Link::start(
        &plain(format!("mqtt://127.0.0.1:{}", gate.port)),
        queue.clone(),
    );
    let load = tokio::spawn({
        let (queue, mut random) = (queue.clone(), random.fork());
        async move {
            loop {
                let lot: Vec<_> = (0..random.u32(1..20))
                    .map(|_| queue.submit(draft(random.usize(0..500))).unwrap())
                    .collect();
                for receipt in lot {
                    receipt.await.unwrap();
                }
                tokio::time::sleep(LOAD_EVERY).await;
            }
        }
    });
    let mut kills = 0;
    let mut may_be_lost = BTreeSet::new();
    let mut taken_before = BTreeSet::new();
    for _ in 0..rounds {
        let taken = rig.status.borrow().counters.events_acked + random.u64(1..1500);
        rig.until("events flow", |status| {
            status.counters.events_acked >= taken
        })
        .await;
        let kill = random.bool();
        let forgets = kill || !persistent;
        if kill {
            kills += 1;
            broker.kill();
        } else {
            broker.stop();
        }
        gate.set_open(!forgets);
        until(&mut cloud.watch(), "the subscriber is cut off", |seen| {
            !seen.subscribed
        })
        .await;
        if forgets {
            rig.until("disconnected", |status| {
                status.state != LinkState::Connected
            })
            .await;
        }
        let taken = acknowledged(&queue);
        if forgets {
            may_be_lost.extend(taken.difference(&taken_before));
        }
        taken_before = taken;
        broker.run();
        until(&mut cloud.watch(), "subscribed", |seen| seen.subscribed).await;
        gate.set_open(true);
    }
    load.abort();
    let _ = load.await;
    let pending = || -> u64 { Stream::ALL.iter().map(|s| queue.stat(*s).pending).sum() };
    // The outbox is told after the status is.
    let delivered = async {
        while pending() > 0 {
            tokio::time::sleep(LOAD_EVERY).await;
        }
    };
    let delivered = tokio::time::timeout(PATIENCE, delivered).await;
    assert!(delivered.is_ok(), "{} wait, seed {seed}", pending());
    let produced = queue.stat(Stream::Alarm).last;
    let arrived = async {
        loop {
            let lost = missing(&cloud, produced);
            if lost.is_subset(&may_be_lost) {
                return lost.len();
            }
            tokio::time::sleep(LOAD_EVERY * 20).await;
        }
    };
    let lost = tokio::time::timeout(PATIENCE, arrived).await;
    let lost = lost.unwrap_or_else(|_| {
        let lost = missing(&cloud, produced);
        let lost: Vec<_> = lost.difference(&may_be_lost).collect();
        panic!("seed {seed}: these never arrived: {lost:?}")
    });
    let report = cloud.report();
    let streams = &report.streams;
    assert!(
        streams.iter().all(|stream| stream.conflicts == 0),
        "seed {seed}"
    );
    let status = rig
        .until("connected", |status| {
            status.state == LinkState::Connected && status.in_flight == 0
        })
        .await;
    let duplicates: u64 = streams.iter().map(|stream| stream.duplicates).sum();
    eprintln!(
        "{rounds} restarts, {kills} of them kill -9: {produced} events, {duplicates} duplicates, {lost} of {} lost that \
         went down with a broker; {:?}",
        may_be_lost.len(),
        status.counters
    );
    rig.stop().await;
}

/// The events of which a broker has said that it has them.
fn acknowledged(queue: &Outbox) -> BTreeSet<u64> {
    let all = 1..=queue.stat(Stream::Alarm).last;
    all.filter(|number| queue.is_acked(Stream::Alarm, *number))
        .collect()
}

/// The events that the subscriber has never seen.
fn missing(cloud: &Subscriber, produced: u64) -> BTreeSet<u64> {
    let mut missing: BTreeSet<u64> = (1..=produced).collect();
    for event in cloud.events() {
        let event: serde_json::Value = serde_json::from_str(&event).unwrap();
        let number = event["sequence"].as_str().unwrap().parse().unwrap();
        missing.remove(&number);
    }
    missing
}
