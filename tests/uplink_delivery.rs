//! The uplink against a real broker: everything arrives, whatever happens to the broker and the line.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // clippy spares test functions, not their helpers

#[path = "common/cutter.rs"]
mod cutter;
#[path = "common/memory_queue.rs"]
mod memory_queue;
#[path = "common/mosquitto.rs"]
mod mosquitto;
#[path = "common/uplink_rig.rs"]
mod uplink_rig;

use std::sync::Arc;
use std::time::Duration;

use cutter::{Cutter, Plan};
use footfall::clock::{FakeClock, SystemClock};
use footfall::config::schema;
use footfall::event::Stream;
use footfall::uplink::LinkState;
use jiff::Timestamp;
use memory_queue::MemoryQueue;
use mosquitto::{Mosquitto, free_port};
use uplink_rig::{Rig, plain, subscriber, until, until_received};

fn produce_everywhere(queue: &MemoryQueue, count: u64) {
    for stream in Stream::ALL {
        queue.produce(stream, count, 50);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_of_all_streams_arrive_and_the_state_says_online_then_offline() {
    let Some(broker) = Mosquitto::start("") else {
        return;
    };
    let cloud = subscriber(broker.port(), None).await;
    let queue = Arc::new(MemoryQueue::default());
    produce_everywhere(&queue, 25);
    let mut rig = Rig::start(&plain(broker.url()), queue.clone());
    rig.until("connected", |status| status.state == LinkState::Connected)
        .await;
    rig.until_delivered().await;
    // Live events follow on the same connection.
    produce_everywhere(&queue, 3);
    let seen = until_received(&cloud, 4 * 28).await;
    let birth = until(&mut cloud.watch(), "a birth", |seen| seen.state.is_some()).await;
    let birth: serde_json::Value = serde_json::from_str(&birth.state.unwrap()).unwrap();
    assert_eq!(birth["online"], true);
    assert_eq!(birth["bootid"], "5f0c");
    assert_eq!(birth["pending"], 100);
    assert_eq!(birth["config_sha256"], "c0ffee");
    assert_eq!(birth["capabilities"][0], "vision");
    assert!(
        seen.report
            .streams
            .iter()
            .all(|stream| stream.duplicates == 0)
    );
    rig.until_delivered().await;
    let last = rig.stop().await;
    assert_eq!((last.state, last.in_flight), (LinkState::Stopped, 0));
    assert_eq!(
        (last.counters.events_acked, last.counters.events_resent),
        (112, 0)
    );
    let offline = r#"{"online":false}"#;
    until(&mut cloud.watch(), "offline", |seen| {
        seen.state.as_deref() == Some(offline)
    })
    .await;
    assert!(
        !broker.log().contains("ended the connection unexpectedly"),
        "{}",
        broker.log()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn given_the_broker_goes_away_and_returns_midway_nothing_is_missing() {
    let Some(mut broker) = Mosquitto::start("") else {
        return;
    };
    let cloud = subscriber(broker.port(), None).await;
    let queue = Arc::new(MemoryQueue::default());
    let mut rig = Rig::start(&plain(broker.url()), queue.clone());
    for round in 1..=3 {
        produce_everywhere(&queue, 200);
        // Cut into the middle of the traffic, not after it.
        rig.until("some were acknowledged", |status| {
            status.counters.events_acked > (round - 1) * 800
        })
        .await;
        broker.stop();
        rig.until("disconnected", |status| {
            status.state == LinkState::Disconnected
        })
        .await;
        produce_everywhere(&queue, 10);
        broker.run();
        rig.until_delivered().await;
    }
    let seen = until_received(&cloud, 4 * 3 * 210).await;
    assert!(
        seen.report
            .streams
            .iter()
            .all(|stream| stream.conflicts == 0)
    );
    let last = rig.stop().await;
    assert_eq!(
        (last.counters.connections, last.counters.connections_lost),
        (4, 3)
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn given_cut_lines_and_lost_acknowledgements_duplicates_are_byte_identical_and_nothing_is_missing()
 {
    let Some(broker) = Mosquitto::start("") else {
        return;
    };
    let seed = fastrand::u64(..);
    let mut random = fastrand::Rng::with_seed(seed);
    println!("seed {seed}");
    // Enough answers that the broker's greeting passes; one or two are swallowed, since a backlog has no more under
    // way at first.
    let plans = (0..8)
        .map(|turn| Plan {
            sent: if turn % 2 == 0 {
                usize::MAX
            } else {
                random.usize(1..40_000)
            },
            answered: random.usize(60..260),
            swallowed: random.usize(1..8),
        })
        .collect();
    let cutter = Cutter::start(broker.port(), plans).await;
    let cloud = subscriber(broker.port(), None).await;
    let queue = Arc::new(MemoryQueue::default());
    produce_everywhere(&queue, 2000);
    let config = plain(format!("mqtt://127.0.0.1:{}", cutter.port));
    let rig = Rig::start(&config, queue.clone());
    rig.until_delivered().await;
    let seen = until_received(&cloud, 8000).await;
    let duplicates: u64 = seen
        .report
        .streams
        .iter()
        .map(|stream| stream.duplicates)
        .sum();
    let last = rig.stop().await;
    assert!(duplicates > 0, "seed {seed}: no acknowledgement was lost");
    assert!(last.counters.events_resent >= duplicates, "seed {seed}");
    println!("{duplicates} duplicates; {:?}", last.counters);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn given_a_stop_with_events_pending_they_are_sent_first() {
    let Some(broker) = Mosquitto::start("") else {
        return;
    };
    let cloud = subscriber(broker.port(), None).await;
    let queue = Arc::new(MemoryQueue::default());
    let mut rig = Rig::start(&plain(broker.url()), queue.clone());
    rig.until("connected", |status| status.state == LinkState::Connected)
        .await;
    produce_everywhere(&queue, 500);
    rig.stop().await;
    assert_eq!(queue.pending(), 0);
    until_received(&cloud, 2000).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn given_an_outbox_that_fails_for_a_while_the_link_says_so_and_catches_up() {
    let Some(broker) = Mosquitto::start("") else {
        return;
    };
    let cloud = subscriber(broker.port(), None).await;
    let queue = Arc::new(MemoryQueue::default());
    queue.set_broken(true);
    produce_everywhere(&queue, 30);
    let mut rig = Rig::start(&plain(broker.url()), queue.clone());
    let status = rig
        .until("trouble", |status| status.outbox_trouble.is_some())
        .await;
    assert!(
        status
            .outbox_trouble
            .unwrap()
            .en
            .contains("the test's disk")
    );
    queue.set_broken(false);
    rig.until_delivered().await;
    until_received(&cloud, 120).await;
    rig.until("no trouble", |status| status.outbox_trouble.is_none())
        .await;
    let last = rig.stop().await;
    assert_eq!(last.counters.connections, 1, "the connection was kept");
}

/// A line on which the broker's greeting comes through, and no answer after it.
async fn deaf_line(broker: &Mosquitto) -> Cutter {
    let plan = Plan {
        sent: usize::MAX,
        answered: 60,
        swallowed: usize::MAX,
    };
    Cutter::start(broker.port(), vec![plan]).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn given_no_answers_a_stop_ends_with_the_grace_time_and_the_events_stay() {
    let Some(broker) = Mosquitto::start("") else {
        return;
    };
    let line = deaf_line(&broker).await;
    let queue = Arc::new(MemoryQueue::default());
    let config = plain(format!("mqtt://127.0.0.1:{}", line.port));
    let clock = Arc::new(SystemClock::new(true));
    let mut rig = Rig::start_with(&config, queue.clone(), clock, Duration::from_secs(2));
    rig.until("connected", |status| status.state == LinkState::Connected)
        .await;
    queue.produce(Stream::Count, 1000, 10); // live events may fill the window at once
    rig.until("a full window", |status| status.in_flight == 20)
        .await;
    assert_eq!(rig.stop().await.state, LinkState::Stopped);
    assert!(queue.pending() > 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn given_a_broker_that_stops_answering_publishes_the_connection_is_given_up_and_nothing_is_missing()
 {
    let Some(broker) = Mosquitto::start("") else {
        return;
    };
    let line = deaf_line(&broker).await;
    let cloud = subscriber(broker.port(), None).await;
    let queue = Arc::new(MemoryQueue::default());
    let config = plain(format!("mqtt://127.0.0.1:{}", line.port));
    let clock = Arc::new(FakeClock::at(Timestamp::UNIX_EPOCH));
    let grace = Duration::from_secs(30);
    let mut rig = Rig::start_with(&config, queue.clone(), clock.clone(), grace);
    rig.until("connected", |status| status.state == LinkState::Connected)
        .await;
    queue.produce(Stream::Count, 1000, 10); // live events may fill the window at once
    rig.until("a full window", |status| status.in_flight == 20)
        .await;
    let mut produced = 1000;
    let mut watched = rig.status.clone();
    // The session may be just about to note that it waits: then this minute does not count, and the next does.
    let status = loop {
        clock.advance(Duration::from_secs(61));
        queue.produce(Stream::Count, 1, 10); // the session looks at its clock again
        produced += 1;
        let given_up = watched.wait_for(|status| status.counters.connections_lost > 0);
        if let Ok(Ok(status)) = tokio::time::timeout(Duration::from_secs(1), given_up).await {
            break status.clone();
        }
    };
    assert!(
        status.message.en.contains("does not acknowledge"),
        "{}",
        status.message.en
    );
    rig.until_delivered().await;
    until_received(&cloud, produced).await;
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn given_nobody_listens_the_state_says_so_and_a_stop_is_quick() {
    let queue = Arc::new(MemoryQueue::default());
    let config = plain(format!("mqtt://127.0.0.1:{}", free_port()));
    let mut rig = Rig::start(&config, queue);
    let status = rig
        .until("a failed attempt", |status| {
            status.counters.failed_attempts > 1
        })
        .await;
    assert_eq!(status.state, LinkState::Disconnected);
    assert!(
        status.message.en.contains("nothing listens at 127.0.0.1:"),
        "{}",
        status.message.en
    );
    assert_eq!(rig.stop().await.state, LinkState::Stopped);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn given_a_broker_with_a_receive_maximum_of_one_everything_still_arrives() {
    let Some(broker) = Mosquitto::start("max_inflight_messages 1\n") else {
        return;
    };
    let cloud = subscriber(broker.port(), None).await;
    let queue = Arc::new(MemoryQueue::default());
    produce_everywhere(&queue, 40);
    let config = schema::Uplink {
        batch_events: 1,
        ..plain(broker.url())
    };
    let rig = Rig::start(&config, queue);
    rig.until_delivered().await;
    until_received(&cloud, 160).await;
    rig.stop().await;
}
