//! The built-in broker of the demo carries QoS 1 from the uplink to the subscriber.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // clippy spares test functions, not their helpers
#![cfg(feature = "embedded-broker")]

#[path = "common/memory_queue.rs"]
mod memory_queue;
#[path = "common/uplink_rig.rs"]
mod uplink_rig;

use std::sync::Arc;

use footfall::event::Stream;
use footfall::uplink::broker;
use memory_queue::MemoryQueue;
use uplink_rig::{Rig, plain, subscriber, until, until_received};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_pass_through_the_built_in_broker_and_the_state_is_retained() {
    let port = broker::start().unwrap();
    let cloud = subscriber(port, None).await;
    let queue = Arc::new(MemoryQueue::default());
    for stream in Stream::ALL {
        queue.produce(stream, 1000, 200);
    }
    let rig = Rig::start(&plain(format!("mqtt://127.0.0.1:{port}")), queue);
    rig.until_delivered().await;
    until_received(&cloud, 4000).await;
    until(&mut cloud.watch(), "a birth", |seen| seen.state.is_some()).await;
    let last = rig.stop().await;
    assert_eq!(last.counters.events_acked, 4000);
}
