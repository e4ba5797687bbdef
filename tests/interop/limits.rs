//! Packets as large as the broker takes, and larger ones.

use std::sync::Arc;

use footfall::config::schema::{self, Protocol};
use footfall::event::Stream;
use footfall::outbox::Queue;
use footfall::uplink::LinkState;

use crate::broker::{At, Broker, Kind, Wishes};
use crate::memory_queue::MemoryQueue;
use crate::observer::Observer;
use crate::uplink_rig::{Rig, subscriber, until};

const LARGE: usize = 256 * 1024;
const SMALL: usize = 4 * 1024;

fn with_limit(bytes: usize) -> Wishes {
    Wishes {
        largest_packet: Some(bytes),
        ..Wishes::default()
    }
}

/// Whether the broker tells its limit; else the config does.
fn tells(at: At) -> bool {
    if at.is(Kind::Rumqttd, Protocol::V5) {
        at.gap("it does not announce its largest packet; uplink.max_packet_kib tells");
    }
    if at.protocol == Protocol::V311 {
        at.gap("a broker cannot announce its largest packet; uplink.max_packet_kib tells");
    }
    at.is(Kind::Mosquitto, Protocol::V5)
}

fn config(at: At, broker: &Broker, limit: usize) -> schema::Uplink {
    schema::Uplink {
        batch_events: 1000,
        batch_kib: 4096,
        max_packet_kib: (!tells(at)).then_some(limit / 1024),
        ..broker.config()
    }
}

pub async fn large_batch_near_the_limit(at: At) {
    let Some(broker) = at.broker(&with_limit(LARGE)) else {
        return;
    };
    let observer = Observer::connect(broker.cloud_port()).await;
    let queue = Arc::new(MemoryQueue::default());
    let mut rig = Rig::start(&config(at, &broker, LARGE), queue.clone());
    rig.until("connected", |status| status.state == LinkState::Connected)
        .await;
    // Live batches are the large ones.
    queue.produce(Stream::Interval, 900, 900);
    rig.until_delivered().await;
    let last = rig.stop().await.counters;
    assert_eq!((last.connections, last.connections_lost), (1, 0));
    observer.until_online(false).await;
    let batches = observer.batches("event", Stream::Interval);
    let largest = batches
        .iter()
        .map(|heard| heard.payload.len())
        .max()
        .unwrap();
    eprintln!("{} batches, the largest has {largest} bytes", batches.len());
    assert!(largest > LARGE - 2048 && largest < LARGE, "{largest}");
}

pub async fn oversize_event_is_set_aside(at: At) {
    let Some(broker) = at.broker(&with_limit(SMALL)) else {
        return;
    };
    let cloud = subscriber(broker.cloud_port(), None).await;
    let queue = Arc::new(MemoryQueue::default());
    queue.produce(Stream::Count, 20, 300);
    queue.produce(Stream::Count, 1, 6000);
    queue.produce(Stream::Count, 20, 300);
    let rig = Rig::start(&config(at, &broker, SMALL), queue.clone());
    let mut acks = queue.acks();
    until(&mut acks, "all but one", |_| queue.pending() == 1).await;
    assert!(!queue.is_acked(Stream::Count, 21));
    until(&mut cloud.watch(), "40 events", |seen| {
        seen.report.received() == 40
    })
    .await;
    let last = rig.stop().await;
    assert_eq!(last.oversized.unwrap().sequence, 21);
    let counters = last.counters;
    assert_eq!(
        (
            counters.events_oversized,
            counters.connections,
            counters.connections_lost
        ),
        (1, 1, 0)
    );
}

pub async fn oversize_event_when_nobody_told_the_limit(at: At) {
    let Some(broker) = at.broker(&with_limit(SMALL)) else {
        return;
    };
    let queue = Arc::new(MemoryQueue::default());
    queue.produce(Stream::Count, 20, 300);
    queue.produce(Stream::Count, 1, 6000);
    queue.produce(Stream::Diagnostic, 20, 300); // of lower priority
    let mut rig = Rig::start(&broker.config(), queue.clone());
    let mut acks = queue.acks();
    until(&mut acks, "everything else", |_| queue.pending() == 1).await;
    assert!(!queue.is_acked(Stream::Count, 21), "it stays on the box");
    if tells(at) {
        let last = rig.stop().await;
        assert_eq!(
            (
                last.counters.events_oversized,
                last.counters.connections_lost
            ),
            (1, 0)
        );
        return;
    }
    at.gap("the broker cuts the connection at a packet it does not take, again and again; the rest gets through between");
    let status = rig
        .until("cut twice", |status| status.counters.connections_lost >= 2)
        .await;
    assert_eq!(status.counters.events_oversized, 0);
    assert_eq!(queue.pending(), 1);
    rig.stop().await;
}
