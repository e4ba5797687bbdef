//! After an outage: new events do not wait behind the backlog, and both lanes together are complete.
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

use cutter::{Cutter, Plan};
use footfall::event::Stream;
use footfall::uplink::LinkState;
use footfall::uplink::subscriber::Report;
use memory_queue::MemoryQueue;
use mosquitto::Mosquitto;
use uplink_rig::{Rig, plain, subscriber, until, until_received};

const BACKLOG: u64 = 20_000;

fn live(report: &Report) -> u64 {
    report.streams.iter().map(|stream| stream.live).sum()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn given_a_backlog_a_new_event_arrives_live_before_the_backlog_and_nothing_is_missing() {
    let Some(broker) = Mosquitto::start("") else {
        return;
    };
    let cloud = subscriber(broker.port(), None).await;
    let queue = Arc::new(MemoryQueue::default());
    for stream in Stream::ALL {
        queue.produce(stream, BACKLOG / 4, 300);
    }
    let mut rig = Rig::start(&plain(broker.url()), queue.clone());
    rig.until("connected", |status| status.state == LinkState::Connected)
        .await;
    // The lowest stream: every other one has a backlog of higher priority.
    queue.produce(Stream::Diagnostic, 1, 300);
    let mut watch = cloud.watch();
    let seen = until(&mut watch, "a live event", |seen| live(&seen.report) == 1).await;
    let before = seen.report.received();
    println!("{before} of {BACKLOG} when the live event is there");
    assert!(before < BACKLOG, "only after the backlog");
    assert_eq!(
        seen.report.streams[Stream::Diagnostic.index()].last,
        BACKLOG / 4 + 1
    );
    let seen = until_received(&cloud, BACKLOG + 1).await;
    assert_eq!(live(&seen.report), 1, "the backlog came as backfill");
    rig.until_delivered().await;
    // From now on there is only the live lane.
    for stream in Stream::ALL {
        queue.produce(stream, 500, 50);
    }
    let seen = until_received(&cloud, BACKLOG + 2001).await;
    assert_eq!(live(&seen.report), 2001);
    let repeated = |report: &Report| -> u64 {
        let streams = report.streams.iter();
        streams.map(|s| s.duplicates + s.conflicts).sum()
    };
    assert_eq!(repeated(&seen.report), 0);
    assert_eq!(rig.stop().await.counters.events_resent, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn given_cut_lines_while_both_lanes_are_busy_nothing_is_missing_or_changed() {
    let Some(broker) = Mosquitto::start("") else {
        return;
    };
    let seed = fastrand::u64(..);
    let mut random = fastrand::Rng::with_seed(seed);
    println!("seed {seed}");
    let plans = (0..6)
        .map(|_| Plan {
            sent: usize::MAX,
            answered: random.usize(60..250),
            swallowed: random.usize(1..8),
        })
        .collect();
    let cutter = Cutter::start(broker.port(), plans).await;
    let cloud = subscriber(broker.port(), None).await;
    let queue = Arc::new(MemoryQueue::default());
    for stream in Stream::ALL {
        queue.produce(stream, 1000, 50);
    }
    let config = plain(format!("mqtt://127.0.0.1:{}", cutter.port));
    let mut rig = Rig::start(&config, queue.clone());
    for round in 1..=6 {
        rig.until("on the way", |status| {
            status.counters.events_sent > 100 * round
        })
        .await;
        for stream in Stream::ALL {
            queue.produce(stream, 50, 50);
        }
    }
    rig.until_delivered().await;
    let seen = until_received(&cloud, 4 * 1300).await;
    assert!(seen.report.streams.iter().all(|s| s.conflicts == 0));
    let last = rig.stop().await.counters;
    println!("live {}; {last:?}", live(&seen.report));
    assert_eq!(last.connections_lost, 6, "seed {seed}");
    assert!(last.events_resent > 0, "seed {seed}");
}
